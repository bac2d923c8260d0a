//! Frames in a list that needs no memory of its own: each holds the address of the next in its first entry.
//!
//! A CPU may still walk a table that was taken out, until the flush. It finds empty entries: an address alone has none
//! of the bits that make an entry present.

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering},
};

use rmm::{Arch, FrameAllocator, PhysicalAddress};

use crate::Error;

/// The list. It owns its frames, and whoever owns it gives them back.
pub struct Frames<A> {
    head: PhysicalAddress,
    count: usize,
    arch: PhantomData<fn() -> A>,
}

impl<A: Arch> Frames<A> {
    pub fn new() -> Self {
        Self { head: PhysicalAddress::new(0), count: 0, arch: PhantomData }
    }

    /// `count` frames, or none.
    pub fn take(count: usize, allocator: &mut impl FrameAllocator) -> Result<Self, Error> {
        let mut frames = Self::new();

        while frames.count < count {
            match allocator.allocate_one() {
                // SAFETY: the frame is nobody else's.
                Some(frame) => unsafe { frames.push(frame) },
                None => {
                    frames.give_back(allocator);
                    return Err(Error::OutOfMemory);
                }
            }
        }
        Ok(frames)
    }

    fn link(frame: PhysicalAddress) -> *const AtomicUsize {
        A::phys_to_virt(frame).data() as *const AtomicUsize
    }

    /// # Safety
    /// The frame is in the linear map and the list's from now on. Whoever else still looks at it takes it for a table.
    pub unsafe fn push(&mut self, frame: PhysicalAddress) {
        // SAFETY: the caller's promise.
        unsafe { (*Self::link(frame)).store(self.head.data(), Ordering::Release) };
        self.head = frame;
        self.count += 1;
    }

    fn pop(&mut self) -> Option<PhysicalAddress> {
        if self.count == 0 {
            return None;
        }
        let frame = self.head;
        // SAFETY: push put it there.
        self.head = PhysicalAddress::new(unsafe { (*Self::link(frame)).load(Ordering::Acquire) });
        self.count -= 1;
        Some(frame)
    }

    /// An empty table. The plan has counted how many there must be.
    pub fn zeroed(&mut self) -> PhysicalAddress {
        let frame = self.pop().expect("a change needs more tables than its plan has counted");

        // SAFETY: the frame is the list's, and nobody looks at it.
        unsafe { A::write_bytes(A::phys_to_virt(frame), 0, A::PAGE_SIZE) };
        frame
    }

    pub fn give_back(&mut self, allocator: &mut impl FrameAllocator) {
        while let Some(frame) = self.pop() {
            // SAFETY: it came from an allocator of this mapper, and nobody looks at it any more.
            unsafe { allocator.free_one(frame) };
        }
    }
}
