//! Memory that is lent, shared, and a device's.

use std::sync::Arc;

use crate::world::{both, page, token, World, EBADF, EFAULT, EPERM, K4};
use redox_hv::{
    abi::{op, rights},
    Calls, Errno, Rights,
};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    memory::{
        get_page_info, used_frames, Page, PageFlags, PhysicalAddress, RefCount, VirtualAddress,
    },
    program::memory_of,
    scheme::KernelScheme,
    syscall::{data::Map, flag::MapFlags},
};

#[test]
fn memory_is_lent_and_given_back() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let frame = world.program.process.frame(page(16)).unwrap();
        let count = || get_page_info(frame).unwrap().refcount().unwrap();
        assert_eq!(vm.stats().unwrap().memory, 16);
        assert!(matches!(count(), RefCount::Shared(n) if n.get() == 2));

        let memory = page(16).start_address().data() as *mut u8;
        let lend = |gpa, size, rights| unsafe { vm.lend(gpa, memory, size, rights) };
        assert_eq!(lend(0x5000, K4, Rights::ALL), Err(Errno::EEXIST));
        assert_eq!(lend(0x10_0800, K4, Rights::ALL), Err(Errno::EINVAL));
        assert_eq!(vm.stats().unwrap().memory, 16);
        vm.protect(0, 2 * K4, Rights::READ | Rights::EXECUTE)
            .unwrap();
        assert_eq!(vm.protect(0xf000, 2 * K4, Rights::READ), Err(Errno::ENOENT));
        vm.unmap(0, K4).unwrap();
        assert_eq!(count(), RefCount::One);
        vm.unmap(0, 64 * K4).unwrap();
        assert_eq!(vm.stats().unwrap().memory, 0);
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn memory_that_is_not_the_callers_own_is_not_lent() {
    both(|world| {
        let vm = world.hv().vm().unwrap();
        let process = &world.program.process;
        process.grow(page(16), 1).unwrap();
        process.map_foreign(page(17));
        let lend = |number: usize, pages: usize| {
            let address = page(number).start_address().data() as *mut u8;
            unsafe { vm.lend(0, address, pages * K4, Rights::ALL) }
        };
        let before = used_frames();
        assert_eq!(lend(16, 2), Err(EPERM));
        assert_eq!(lend(18, 1), Err(Errno::EINVAL), "nothing is there");
        assert_eq!(lend(16, 3000), Err(EPERM), "in several calls");
        let vm_fd = vm.fd().number();
        let map = |address: u64, pages: u64, rights: u64| {
            world
                .program
                .call(vm_fd, &mut [address, rights], [op::MAP, 0, pages])
        };
        assert_eq!(
            map(0xffff_8000_0000_0000, 1, rights::READ),
            Err(EFAULT),
            "the kernel's"
        );
        assert_eq!(map(u64::MAX - 0xfff, 1, rights::READ), Err(EFAULT));
        assert_eq!(map((1 << 47) - 0x1000, 2, rights::READ), Err(EFAULT));
        for pages in [0, 2049, 1 << 20, 1 << 28, 1 << 52, u64::MAX] {
            assert_eq!(
                map(0x40_0000, pages, rights::READ),
                Err(Errno::EINVAL),
                "{} pages",
                pages
            );
        }
        for rights in [0, rights::WRITE, rights::EXECUTE, 8, 15, u64::MAX] {
            assert_eq!(
                map(0x41_0000, 1, rights),
                Err(Errno::EINVAL),
                "rights {}",
                rights
            );
        }
        assert_eq!(used_frames(), before, "a refusal costs nothing");
        drop(vm);
        world.ends();
    });
}

#[test]
fn a_device_is_mapped_with_the_type_that_the_caller_has_it_with() {
    both(|world| {
        let vm = world.hv().vm().unwrap();
        let process = &world.program.process;
        let device = PhysicalAddress::new(0xfee0_0000);
        let kinds = [
            PageFlags::new().write(true).user(true).uncacheable(true),
            PageFlags::new()
                .write(true)
                .user(true)
                .write_combining(true),
        ];
        for (number, flags) in kinds.into_iter().enumerate() {
            process.map_device(page(20 + 2 * number), device, flags);
            process.map_device(page(21 + 2 * number), device.add(K4), flags);
        }
        process.map_device(
            page(30),
            device,
            PageFlags::new().user(true).uncacheable(true),
        );
        process.grow(page(31), 1).unwrap();

        let give = |number: usize, gpa: u64, pages: usize, rights: Rights| {
            let address = page(number).start_address().data() as *mut u8;
            unsafe { vm.give_device(gpa, address, pages * K4, rights) }
        };
        give(20, 0x10_0000, 2, Rights::WRITE).unwrap();
        give(22, 0x20_0000, 2, Rights::READ).unwrap();
        assert_eq!(
            give(30, 0x30_0000, 1, Rights::WRITE),
            Err(EPERM),
            "only to be read"
        );
        assert_eq!(
            give(20, 0x30_0000, 1, Rights::ALL),
            Err(EPERM),
            "never to be executed"
        );
        assert_eq!(
            give(21, 0x30_0000, 2, Rights::READ),
            Err(Errno::EINVAL),
            "not one piece"
        );
        assert_eq!(
            give(31, 0x30_0000, 1, Rights::READ),
            Err(EPERM),
            "memory after all"
        );
        assert_eq!(
            give(40, 0x30_0000, 1, Rights::READ),
            Err(Errno::EINVAL),
            "nothing"
        );
        assert_eq!(vm.stats().unwrap().memory, 0);

        // as the tables say it: SDM vol. 3, "EPT Translation Mechanism": UC 0, WC 1. APM vol. 2, "Nested Paging": the
        // host's PAT
        let words = vm.stats().unwrap();
        assert_eq!(words.pages[0], 4);
        vm.unmap(0x10_0000, 2 * K4).unwrap();
        assert_eq!(vm.stats().unwrap().pages[0], 2);
        process.shrink(page(20));
        drop(vm);
        world.ends();
    });
}

#[test]
fn guest_memory_is_shared_by_the_file_descriptor() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let other = AddrSpaceWrapper::new().unwrap();
        let viewer = world.program.of(&other);
        let frame = |process: &AddrSpaceWrapper, address: usize| {
            process
                .frame(Page::containing_address(VirtualAddress::new(address)))
                .unwrap()
        };
        let fd = vm.fd().number();
        let at = viewer.map(fd, 0x3000, 4 * K4, true).unwrap();
        for number in 0..4 {
            let lent = world.program.process.frame(page(16 + 3 + number)).unwrap();
            assert_eq!(frame(&other, at + number * K4), lent);
        }
        // the guest, its owner and the viewer; each may go first
        let lent = world.program.process.frame(page(19)).unwrap();
        let refs = || get_page_info(lent).unwrap().refcount().unwrap();
        assert!(matches!(refs(), RefCount::Shared(n) if n.get() == 3));
        vm.unmap(0, 16 * K4).unwrap();
        world.program.process.shrink(page(19));
        assert_eq!(refs(), RefCount::One);

        for (offset, size) in [
            (0x3000, K4), // not the guest's any more
            (0, 0),
            (0x800, K4),
            (0, K4 + 1),
            (usize::MAX - K4 + 1, K4),
            (usize::MAX - K4 + 1, 2 * K4),
            (1 << 60, K4),
            (0, 2049 * K4),
        ] {
            let refused = viewer.map(fd, offset, size, false);
            assert!(refused.is_err(), "{:#x} {:#x}", offset, size);
        }
        let fixed = |flags| {
            let map = Map {
                offset: 0x5000,
                size: K4,
                flags,
                address: 0x1000,
            };
            viewer.scheme.kfmap(fd, &other, &map, false, &mut token())
        };
        for flags in [
            MapFlags::MAP_PRIVATE | MapFlags::PROT_READ,
            MapFlags::MAP_SHARED | MapFlags::PROT_EXEC,
            MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
            MapFlags::MAP_SHARED | MapFlags::MAP_FIXED_NOREPLACE,
        ] {
            assert!(fixed(flags).is_err());
        }
        let memory = page(24).start_address().data() as *mut u8;
        unsafe { vm.lend(0x8000, memory, 4 * K4, Rights::READ) }.unwrap();
        control::fail_mapping_after(2);
        let used = used_frames();
        assert_eq!(viewer.map(fd, 0x8000, 4 * K4, true), Err(Errno::ENOMEM));
        control::fail_mapping_after(usize::MAX);
        assert_eq!(used_frames(), used);
        assert_eq!(
            get_page_info(world.program.process.frame(page(24)).unwrap())
                .unwrap()
                .refcount()
                .map(|count| count != RefCount::One),
            Some(true)
        );
        assert_eq!(viewer.map(vcpu.fd().number(), 0, K4, true), Err(EBADF));
        drop((vm, vcpu, viewer, other));
        world.ends();
    });
}

#[test]
fn a_programs_memory_is_where_the_program_sees_it() {
    let world = World::new(true);
    let memory = memory_of(&world.program.process, 4).unwrap();
    unsafe { memory.write_bytes(0x11, 4 * K4) };
    let vm = world.hv().vm().unwrap();
    unsafe { vm.lend(0, memory, 4 * K4, Rights::WRITE) }.unwrap();
    let other = AddrSpaceWrapper::new().unwrap();
    let viewer = world.program.of(&other);
    let at = viewer.map(vm.fd().number(), 0x2000, K4, false).unwrap();
    control::set_process(Some(Arc::clone(&other)));
    let mut bytes = [0; 8];
    let from = redox_standin::syscall::usercopy::UserSliceRo::ro(at, 8).unwrap();
    from.copy_to_slice(&mut bytes).unwrap();
    assert_eq!(bytes, [0x11; 8]);
    control::set_process(None);
    drop((vm, viewer, other));
    world.ends();
}
