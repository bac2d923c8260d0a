//! x86-64, with the linear map wherever a test puts it, and no CPU behind it.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::{Arch, PhysicalAddress, TableKind, VirtualAddress};

#[derive(Clone, Copy, Debug)]
pub struct X8664Arch;

static LINEAR_MAP: AtomicUsize = AtomicUsize::new(0);

/// Physical address 0 is seen here from now on (the stand-in's own).
pub fn set_linear_map(offset: usize) {
    LINEAR_MAP.store(offset, Ordering::Relaxed);
}

impl Arch for X8664Arch {
    const KERNEL_SEPARATE_TABLE: bool = false;

    const PAGE_SHIFT: usize = 12;
    const PAGE_ENTRY_SHIFT: usize = 9;
    const PAGE_LEVELS: usize = 4;

    const ENTRY_ADDRESS_WIDTH: usize = 40;
    const ENTRY_FLAG_DEFAULT_PAGE: usize = Self::ENTRY_FLAG_PRESENT;
    const ENTRY_FLAG_DEFAULT_TABLE: usize = Self::ENTRY_FLAG_PRESENT | Self::ENTRY_FLAG_READWRITE;
    const ENTRY_FLAG_PRESENT: usize = 1 << 0;
    const ENTRY_FLAG_READONLY: usize = 0;
    const ENTRY_FLAG_READWRITE: usize = 1 << 1;
    const ENTRY_FLAG_PAGE_USER: usize = 1 << 2;
    const ENTRY_FLAG_GLOBAL: usize = 1 << 8;
    const ENTRY_FLAG_NO_GLOBAL: usize = 0;
    const ENTRY_FLAG_NO_EXEC: usize = 1 << 63;
    const ENTRY_FLAG_EXEC: usize = 0;
    const ENTRY_FLAG_DEVICE_MEMORY: usize = 2 << 3; // PAT entry 2: UC-
    const ENTRY_FLAG_UNCACHEABLE: usize = 2 << 3;
    const ENTRY_FLAG_WRITE_COMBINING: usize = 1 << 7; // PAT entry 4, where the kernel puts WC

    const PHYS_OFFSET: usize = Self::PAGE_NEGATIVE_MASK + (Self::PAGE_ADDRESS_SIZE >> 1) as usize;

    fn invalidate(_: VirtualAddress) {}
    fn invalidate_all() {}

    fn table(_: TableKind) -> PhysicalAddress {
        PhysicalAddress::new(0)
    }
    unsafe fn set_table(_: TableKind, _: PhysicalAddress) {}

    fn phys_to_virt(phys: PhysicalAddress) -> VirtualAddress {
        match phys.data().checked_add(LINEAR_MAP.load(Ordering::Relaxed)) {
            Some(some) => VirtualAddress::new(some),
            None => panic!("phys_to_virt({:#x}) overflow", phys.data()),
        }
    }

    fn virt_is_valid(address: VirtualAddress) -> bool {
        let masked = address.data() & 0xffff_8000_0000_0000;
        masked == 0xffff_8000_0000_0000 || masked == 0
    }
}
