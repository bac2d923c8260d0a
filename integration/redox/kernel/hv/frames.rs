//! Frames for guests: from the kernel's allocator, counted for each VM beside the kernel's own `used_frames`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use hvpt_redox::{FrameAllocator, FrameCount, Hpa, Invalidation};

use super::tlb::Tlb;
use crate::memory::{allocate_p2frame, deallocate_p2frame, Frame, PhysicalAddress, RmmA, RmmArch};

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

// SAFETY: allocate_p2frame gives out aligned frames, once; what it gave goes back by deallocate_p2frame alone, since these
// frames have no reference count. The linear map reaches all of them. Tlb keeps what invalidate promises.
unsafe impl FrameAllocator for KernelFrames {
    fn allocate(&mut self, count: FrameCount) -> Option<Hpa> {
        let frame = allocate_p2frame(count.order())?;
        let held = self.0.held.fetch_add(count.data(), Ordering::Relaxed) + count.data();

        self.0.peak.fetch_max(held, Ordering::Relaxed);
        Some(Hpa::new(frame.base().data() as u64))
    }

    unsafe fn free(&mut self, frame: Hpa, count: FrameCount) {
        // SAFETY: the caller's promise; frame 0 is never given out.
        unsafe {
            deallocate_p2frame(
                Frame::containing(PhysicalAddress::new(frame.data() as usize)),
                count.order(),
            );
        }
        self.0.held.fetch_sub(count.data(), Ordering::Relaxed);
    }

    fn phys_to_virt(frame: Hpa) -> *mut u8 {
        if frame.data() == 0 {
            return core::ptr::null_mut(); // reserved: no table is there
        }
        RmmA::phys_to_virt(PhysicalAddress::new(frame.data() as usize)).data() as *mut u8
    }

    fn invalidate(&mut self, _: &Invalidation) {
        self.0.tlb.invalidate(crate::cpu_id());
    }
}
