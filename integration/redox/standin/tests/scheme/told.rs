//! What is told of guests.

use crate::world::{both, page, token, EOPNOTSUPP, K4, ROOT};
use hvpt::{svm, vmx};
use redox_hv::{abi::op, Calls};
use redox_standin::{
    control, hv,
    memory::{free_frames, total_frames, used_frames, Page, VirtualAddress},
    scheme::KernelScheme,
    syscall::flag::{EventFlags, EVENT_READ},
};

#[test]
fn statistics_are_read_by_the_owner_and_by_whoever_looks() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let stats = vm.stats().unwrap();
        assert_eq!((stats.memory, stats.vcpus), (16, 1));
        assert_eq!(stats.used_frames as usize, used_frames());
        assert_eq!(stats.pages.iter().sum::<u64>(), 16);
        assert!(stats.held > stats.tables.iter().sum() && stats.peak >= stats.held);
        let other = world.hv().vm().unwrap();

        let fd = world.program.openat(ROOT, "stat").unwrap();
        let text = String::from_utf8(world.program.text(fd)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{}", text);
        assert!(lines[0].contains("vcpus 1, memory 16,"), "{}", text);
        assert!(lines[1].contains("vcpus 0, memory 0,"), "{}", text);
        let held = stats.held + stats.memory + other.stats().unwrap().held;
        assert_eq!(
            lines[2],
            format!(
                "guests 2, frames {}, for CPUs {}, of {} in use",
                held,
                if world.cpu.amd { 2 } else { 1 }, // a host save area and the host's VMCB; a VMXON region
                used_frames()
            )
        );
        assert_eq!(
            world.program.call(fd, &mut [], [op::RUN, 0, 0]),
            Err(EOPNOTSUPP)
        );
        world.program.close(fd);
        drop((vm, vcpu, other));
        world.ends();
    });
}

/// What a system shows of itself without knowing of guests: the memory scheme's `fstatvfs`, which is `used_frames` and
/// `free_frames`; `sys:context`, private and shared memory of processes; `sys:iostat`, their file descriptors.
#[test]
fn the_kernels_own_accounting_has_what_guests_hold() {
    both(|world| {
        let process = &world.program.process;
        hv::enable_this_cpu(world.cpu).unwrap();
        let (used, free) = (used_frames(), free_frames());
        let grown = |pages: usize| (pages + 2) * K4; // and two of payloads

        // all that a guest takes is counted there, and it is what the scheme's read says
        let (vm, vcpu) = world.guest();
        let stats = vm.stats().unwrap();
        let taken = used_frames() - used;
        assert_eq!(taken as u64, stats.held + stats.memory);
        assert_eq!(free - free_frames(), taken);
        assert_eq!(stats.used_frames as usize, total_frames() - free_frames());
        // memory that is lent is the process's as before
        assert_eq!(process.private_and_shared(), (grown(16), 0));

        // what the process unmaps is the guest's alone: out of its own count, and still in the kernel's and the guest's
        for number in 16..20 {
            process.shrink(page(number));
        }
        assert_eq!(process.private_and_shared(), (grown(12), 0));
        assert_eq!(used_frames() - used, taken);
        assert_eq!(vm.stats().unwrap(), stats);
        // mapped by the file descriptor it is shared memory of whoever maps it, and not counted twice
        let at = vm.share(0, 4 * K4, false).unwrap() as usize;
        assert_eq!(process.private_and_shared(), (grown(12), 4 * K4));
        assert_eq!(used_frames() - used, taken);
        vm.unmap(0, 4 * K4).unwrap();
        assert_eq!(used_frames() - used, taken, "the process has them again");
        for number in 0..4 {
            let address = VirtualAddress::new(at + number * K4);
            process.shrink(Page::containing_address(address));
        }
        let stats = vm.stats().unwrap();
        assert_eq!(used_frames() - used, (stats.held + stats.memory) as usize);
        assert_eq!((stats.memory, taken - (used_frames() - used)), (12, 4));

        // whose guests they are: sys:iostat has number and path of each file descriptor, the number is that of stat
        let stat = world.program.openat(ROOT, "stat").unwrap();
        let paths: Vec<_> = world.program.iostat();
        let name = |fd: usize, path: &str| (fd, format!("/scheme/hv/{}", path));
        assert_eq!(
            paths,
            [
                name(vm.fd().number(), "vm"),
                name(vcpu.fd().number(), "vcpu/0"),
                name(stat, "stat")
            ]
        );
        let text = String::from_utf8(world.program.text(stat)).unwrap();
        assert!(text.starts_with(&format!("vm {}: vcpus 1, memory 12,", vm.fd().number())));
        let cpus = world.before + grown(0) / K4;
        let frames = format!(
            "guests 1, frames {}, for CPUs {}, of {} in use\n",
            stats.held + stats.memory,
            used - cpus,
            used_frames()
        );
        assert!(text.ends_with(&frames), "{} {}", text, frames);
        world.program.close(stat);
        drop((vm, vcpu));
        assert_eq!(used_frames() - used, 12, "what the process still has");
        assert_eq!(free - free_frames(), 12);
        world.ends();
    });
}

#[test]
fn a_virtual_cpu_can_be_waited_for() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let scheme = world.program.scheme;
        let fd = vcpu.fd().number();
        let all = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        assert_eq!(scheme.fevent(fd, all, &mut token()), Ok(EVENT_READ));
        assert!(scheme.fevent(vm.fd().number(), all, &mut token()).is_err());
        let events = control::events();
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        vcpu.run().unwrap();
        assert_eq!(control::events(), events + 1);
        drop((vm, vcpu));
        world.ends();
    });
}
