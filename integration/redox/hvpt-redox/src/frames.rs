//! What a kernel provides: frames, a view of them, invalidation; and frames that free themselves.

use crate::{Hpa, Invalidation};

/// Bytes of the smallest frame.
pub const PAGE_SIZE: usize = 4096;

/// A number of frames, always a power of two: what Redox's allocator gives out in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct FrameCount(usize);

impl FrameCount {
    /// One frame.
    pub const ONE: Self = Self(1);

    /// `1 << order` frames; order is at most 31.
    pub const fn of_order(order: u32) -> Self {
        Self(1 << order)
    }

    /// The fewest frames that hold so many bytes.
    pub fn for_bytes(bytes: usize) -> Self {
        let frames = bytes / PAGE_SIZE + usize::from(bytes % PAGE_SIZE != 0);
        Self(frames.next_power_of_two())
    }

    /// The number.
    pub const fn data(self) -> usize {
        self.0
    }

    /// Its logarithm.
    pub const fn order(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// In bytes.
    pub const fn bytes(self) -> usize {
        self.0 * PAGE_SIZE
    }
}

/// What the tables of one guest stand on: RMM's `FrameAllocator`, and of its `Arch` what a second level needs.
///
/// In RMM invalidation is static, since there is one current address space; a guest's has to be named, so it is a method
/// here, of an allocator that may know which guest it serves.
///
/// # Safety
/// The implementor promises what its methods' texts say; tables that a processor walks rest on it.
pub unsafe trait FrameAllocator {
    /// `count` frames in one piece, aligned to their size. Contents may be anything. `None`: there are none left.
    fn allocate(&mut self, count: FrameCount) -> Option<Hpa>;

    /// Give back what `allocate` gave.
    ///
    /// # Safety
    /// `frame` came from `allocate` with the same count, of this allocator or of one that is as good as it, and nobody
    /// uses it any more.
    unsafe fn free(&mut self, frame: Hpa, count: FrameCount);

    /// Where this code sees the frame, for as long as it is allocated. NULL: there is no such frame, which ends an
    /// operation that meets it in a table with [`Error::Corrupt`](crate::Error::Corrupt).
    fn phys_to_virt(frame: Hpa) -> *mut u8
    where
        Self: Sized;

    /// Make it so, on every CPU and before returning, that nothing is translated through what `stale` names. Called
    /// before the frames of tables that went away are freed. Must not use the mapper that calls it.
    fn invalidate(&mut self, stale: &Invalidation);

    /// One frame.
    fn allocate_one(&mut self) -> Option<Hpa> {
        self.allocate(FrameCount::ONE)
    }

    /// Give back one frame.
    ///
    /// # Safety
    /// As for `free`.
    unsafe fn free_one(&mut self, frame: Hpa) {
        // SAFETY: the caller's promise.
        unsafe { self.free(frame, FrameCount::ONE) }
    }
}

/// Frames that are given back when this is dropped.
#[derive(Debug)]
pub struct OwnedFrames<F: FrameAllocator> {
    frames: F,
    base: Hpa,
    count: FrameCount,
}

impl<F: FrameAllocator> OwnedFrames<F> {
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
        unsafe { owned.as_ptr().write_bytes(0, count.bytes()) };
        Some(owned)
    }

    /// Their physical address.
    pub fn base(&self) -> Hpa {
        self.base
    }

    /// How many.
    pub fn count(&self) -> FrameCount {
        self.count
    }

    /// Where this code sees them.
    pub fn as_ptr(&self) -> *mut u8 {
        F::phys_to_virt(self.base)
    }

    /// Their bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: all bytes are initialized, and this handle is the only way to them that safe code has.
        unsafe { core::slice::from_raw_parts_mut(self.as_ptr(), self.count.bytes()) }
    }
}

impl<F: FrameAllocator> Drop for OwnedFrames<F> {
    fn drop(&mut self) {
        // SAFETY: allocated by zeroed() with this count, and this handle was the owner.
        unsafe { self.frames.free(self.base, self.count) }
    }
}
