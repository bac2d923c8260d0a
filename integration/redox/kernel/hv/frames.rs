//! Frames for guests: from the kernel's allocator, counted for each VM beside the kernel's own `used_frames`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use hvpt::{GuestFrames, Invalidation};
use rmm::{FrameAllocator, FrameCount, FrameUsage};

use super::tlb::Tlb;
use crate::memory::{
    allocate_p2frame, deallocate_p2frame, total_frames, Frame, PhysicalAddress, RmmA, RmmArch,
};

/// The books of one VM, or of what CPUs need for all of them.
#[derive(Debug)]
pub struct Account {
    held: AtomicUsize,
    peak: AtomicUsize,
    pub(super) tlb: Tlb,
}

impl Account {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            tlb: Tlb::new(),
        })
    }

    /// Frames that are out: tables, control structures, save areas. Memory that a guest was given is not among them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The most that were out at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// The allocator that mappers and handles of one VM use.
#[derive(Clone, Debug)]
pub struct KernelFrames(Arc<Account>);

impl KernelFrames {
    pub fn new(account: &Arc<Account>) -> Self {
        Self(Arc::clone(account))
    }
}

/// The kernel's allocator gives out powers of two.
fn order(count: FrameCount) -> u32 {
    count.data().trailing_zeros()
}

// SAFETY: allocate_p2frame gives out aligned frames, once; what it gave goes back by deallocate_p2frame alone, since these
// frames have no reference count.
unsafe impl FrameAllocator for KernelFrames {
    fn allocate(&mut self, count: FrameCount) -> Option<PhysicalAddress> {
        let frame = allocate_p2frame(order(count))?;
        let held = self.0.held.fetch_add(count.data(), Ordering::Relaxed) + count.data();

        self.0.peak.fetch_max(held, Ordering::Relaxed);
        Some(frame.base())
    }

    unsafe fn free(&mut self, frame: PhysicalAddress, count: FrameCount) {
        // SAFETY: the caller's promise; frame 0 is never given out.
        unsafe { deallocate_p2frame(Frame::containing(frame), order(count)) };
        self.0.held.fetch_sub(count.data(), Ordering::Relaxed);
    }

    fn usage(&self) -> FrameUsage {
        FrameUsage::new(
            FrameCount::new(self.0.held()),
            FrameCount::new(total_frames()),
        )
    }
}

// SAFETY: the linear map reaches all frames. Tlb keeps what invalidate promises.
unsafe impl GuestFrames for KernelFrames {
    fn phys_to_virt(&self, frame: PhysicalAddress) -> *mut u8 {
        if frame.data() == 0 {
            return core::ptr::null_mut(); // reserved: no table is there
        }
        RmmA::phys_to_virt(frame).data() as *mut u8
    }

    fn invalidate(&mut self, _: &Invalidation) {
        self.0.tlb.invalidate(crate::cpu_id());
    }
}
