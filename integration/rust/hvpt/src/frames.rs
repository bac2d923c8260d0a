//! What a guest's tables ask of a kernel's frames, and frames that free themselves.

use crate::{
    types::{FrameCount, PhysicalAddress, PAGE_SIZE},
    FrameAllocator, Invalidation,
};

/// What a second level needs of an allocator beside frames: the view of a frame, and invalidation.
///
/// A kernel's own address space is the current one; a guest's has to be named, so invalidation is a method here, of an
/// allocator that may know which guest it serves.
///
/// # Safety
/// The implementor promises what its methods' texts say; tables that a processor walks rest on it. Its
/// [`FrameAllocator::free`] takes frames of any clone of it.
pub unsafe trait GuestFrames: FrameAllocator {
    /// Where this code sees the frame, for as long as it is allocated. NULL: there is no such frame, which ends an
    /// operation that meets it in a table with [`Error::Corrupt`](crate::Error::Corrupt). Calls that look, on many CPUs
    /// at once, call this.
    fn phys_to_virt(&self, frame: PhysicalAddress) -> *mut u8;

    /// Make it so, on every CPU and before returning, that nothing is translated through what `stale` names. Called
    /// before the frames of tables that went away are freed. Must not use the mapper that calls it.
    fn invalidate(&mut self, stale: &Invalidation);
}

/// Frames that are given back when this is dropped.
#[derive(Debug)]
pub struct OwnedFrames<F: GuestFrames> {
    frames: F,
    base: PhysicalAddress,
    count: FrameCount,
}

impl<F: GuestFrames> OwnedFrames<F> {
    /// Zeroed frames; `None` if there are none, or none that this code can see.
    pub fn zeroed(mut frames: F, count: FrameCount) -> Option<Self> {
        let base = frames.allocate(count)?;
        let owned = Self {
            frames,
            base,
            count,
        };

        if owned.as_ptr().is_null() {
            return None;
        }
        // SAFETY: the frames were just allocated and are nobody else's.
        unsafe { owned.as_ptr().write_bytes(0, count.data() * PAGE_SIZE) };
        Some(owned)
    }

    /// Their physical address.
    pub fn base(&self) -> PhysicalAddress {
        self.base
    }

    /// How many.
    pub fn count(&self) -> FrameCount {
        self.count
    }

    /// Where this code sees them.
    pub fn as_ptr(&self) -> *mut u8 {
        self.frames.phys_to_virt(self.base)
    }

    /// Their bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: all bytes are initialized, and this handle is the only way to them that safe code has.
        unsafe { core::slice::from_raw_parts_mut(self.as_ptr(), self.count.data() * PAGE_SIZE) }
    }
}

impl<F: GuestFrames> Drop for OwnedFrames<F> {
    fn drop(&mut self) {
        // SAFETY: allocated by zeroed() with this count, and this handle was the owner.
        unsafe { self.frames.free(self.base, self.count) }
    }
}
