//! In this package the crate's types are rmm's own: what compiles here proves it, and a mapper stands on an allocator
//! that knows rmm's trait.

use hvpt::{
    testing::Arena, EptConfig, EptFlags, EptMapper, Keep, MemoryType, NptConfig, NptFlags,
    NptMapper, PAT_RESET,
};
use rmm::{x86_64::X8664Arch, FrameAllocator, FrameCount, PageFlags, PhysicalAddress};

/// A kernel's function that knows nothing of this crate.
fn kernels_own(allocator: &mut dyn FrameAllocator) -> usize {
    let frame: PhysicalAddress = allocator.allocate(FrameCount::new(1)).unwrap();

    unsafe { allocator.free_one(frame) };
    allocator.usage().used().data()
}

#[test]
fn types_are_rmms() {
    let mut arena = Arena::new(64);
    assert_eq!(kernels_own(&mut arena), 0);

    let base: PageFlags<X8664Arch> = PageFlags::new().write(true);
    let mut ept = EptMapper::create(arena.clone(), EptConfig::default()).unwrap();
    let mut npt = NptMapper::create(arena.clone(), NptConfig::default()).unwrap();
    let mut flags = EptFlags::new();
    flags.base = base;
    flags.memory_type = MemoryType::Uncacheable;
    let (guest, host) = (PhysicalAddress::new(0x3000), PhysicalAddress::new(0x9000));
    unsafe { ept.map_phys(guest, host, flags) }.unwrap().flush();
    let (was, flags, flush) = ept.unmap_phys(guest).unwrap();
    flush.flush();
    assert_eq!(was, host);
    assert!(flags.base.has_write() && !flags.base.has_execute());
    assert_eq!(flags.memory_type, MemoryType::Uncacheable);

    let device = PageFlags::<X8664Arch>::new().device_memory(true);
    let flags = NptFlags::from_page_flags(device, PAT_RESET, Keep::default()).unwrap();
    assert_eq!(flags.memory_type, MemoryType::Uncacheable);
    assert_eq!(flags.base.data(), device.data());
    unsafe { npt.map_phys(guest, host, flags) }.unwrap().flush();
    let root: PhysicalAddress = npt.table();
    assert_eq!(root.data() as u64, npt.root());
    assert_eq!(arena.usage().used().data(), arena.used());
}
