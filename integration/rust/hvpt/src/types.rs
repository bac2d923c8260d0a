//! Addresses, page flags and frames: plain ones. The package hvpt-redox, which compiles these files for Redox, has rmm's, of the same
//! names and surface.

#[cfg(not(hvpt_rmm))]
pub use crate::plain::{
    FrameAllocator, FrameCount, FrameUsage, PageFlags, PhysicalAddress, VirtualAddress, PAGE_SIZE,
};
#[cfg(hvpt_rmm)]
pub use rmm::{FrameAllocator, FrameCount, FrameUsage, PhysicalAddress, VirtualAddress};

/// The flags of a page of the kernel's own.
#[cfg(hvpt_rmm)]
pub type PageFlags = rmm::PageFlags<rmm::x86_64::X8664Arch>;
#[cfg(hvpt_rmm)]
pub(crate) const PAGE_SIZE: usize = <rmm::x86_64::X8664Arch as rmm::Arch>::PAGE_SIZE;

/// The address with this number.
pub(crate) const fn address(number: u64) -> PhysicalAddress {
    PhysicalAddress::new(number as usize)
}

/// Flags that say what an x86 entry says.
pub(crate) fn page_flags(data: u64) -> PageFlags {
    #[allow(unused_unsafe)]
    // SAFETY: flags are a number; what is done with them is what counts.
    unsafe {
        PageFlags::from_data(data as usize)
    }
}

/// The fewest frames, a power of two, that hold so many bytes.
pub(crate) fn frames_for(bytes: usize) -> FrameCount {
    let frames = bytes / PAGE_SIZE + usize::from(bytes % PAGE_SIZE != 0);
    FrameCount::new(frames.next_power_of_two())
}

/// `1 << order` frames.
pub(crate) fn frames_of_order(order: u32) -> FrameCount {
    FrameCount::new(1 << order)
}
