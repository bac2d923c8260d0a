//! What is told of guests.

use crate::world::{both, token, EOPNOTSUPP, ROOT};
use hvpt::{svm, vmx};
use redox_hv::{abi::op, Calls};
use redox_standin::{
    control,
    memory::used_frames,
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
            format!("guests 2, frames {} of {} in use", held, used_frames())
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
