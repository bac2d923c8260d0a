//! An allocator over ordinary memory, for examples and for tests of what is built on this crate: frames whose physical
//! addresses are their virtual ones, counted, with failures on request. A kernel has its own.

use alloc::{
    alloc::{alloc_zeroed, dealloc, Layout},
    rc::Rc,
    vec::Vec,
};
use core::{cell::RefCell, fmt};

use crate::{
    types::{address, FrameUsage, PAGE_SIZE},
    FrameAllocator, FrameCount, GuestFrames, Invalidation, PhysicalAddress,
};

/// A handle on an arena; clones share it.
#[derive(Clone)]
pub struct Arena {
    shared: Rc<RefCell<Shared>>,
}

struct Shared {
    frames: usize,
    used: usize,
    allocations: usize,
    fail_at: Option<usize>,
    held: Vec<(usize, usize)>,
    invalidations: Vec<Invalidation>,
}

fn layout(count: FrameCount) -> Layout {
    Layout::from_size_align(count.data() * PAGE_SIZE, count.data() * PAGE_SIZE)
        .expect("a size that is a power of two")
}

impl Arena {
    /// An arena of so many frames.
    pub fn new(frames: usize) -> Self {
        let shared = Shared {
            frames,
            used: 0,
            allocations: 0,
            fail_at: None,
            held: Vec::new(),
            invalidations: Vec::new(),
        };
        Self {
            shared: Rc::new(RefCell::new(shared)),
        }
    }

    /// Frames that are out.
    pub fn used(&self) -> usize {
        self.shared.borrow().used
    }

    /// Allocations that were asked for so far.
    pub fn allocations(&self) -> usize {
        self.shared.borrow().allocations
    }

    /// Let the allocation fail that is the `n`th from now, from 0; `None`: let none fail.
    pub fn fail_at(&self, n: Option<usize>) {
        let mut shared = self.shared.borrow_mut();
        shared.fail_at = n.map(|n| shared.allocations + n);
    }

    /// The invalidations since the last call.
    pub fn take_invalidations(&self) -> Vec<Invalidation> {
        core::mem::take(&mut self.shared.borrow_mut().invalidations)
    }
}

// SAFETY: frames are blocks of the heap, aligned to their size, given out once; no processor has anything cached.
unsafe impl FrameAllocator for Arena {
    fn allocate(&mut self, count: FrameCount) -> Option<PhysicalAddress> {
        let mut shared = self.shared.borrow_mut();
        let number = shared.allocations;

        shared.allocations += 1;
        if shared.fail_at == Some(number) || shared.used + count.data() > shared.frames {
            return None;
        }
        // SAFETY: the layout is not empty.
        let frame = unsafe { alloc_zeroed(layout(count)) };
        if frame.is_null() {
            return None;
        }
        // SAFETY: so large is the block. Nobody may rely on zeros.
        unsafe { frame.write_bytes(0xdb, count.data() * PAGE_SIZE) };
        shared.used += count.data();
        shared.held.push((frame as usize, count.data()));
        Some(address(frame as u64))
    }

    unsafe fn free(&mut self, frame: PhysicalAddress, count: FrameCount) {
        let mut shared = self.shared.borrow_mut();
        let held = shared
            .held
            .iter()
            .position(|held| *held == (frame.data(), count.data()));

        shared
            .held
            .swap_remove(held.expect("this frame is not out, or not with this count"));
        shared.used -= count.data();
        // SAFETY: it was out, so it is a block of this layout.
        unsafe {
            (frame.data() as *mut u8).write_bytes(0xdb, PAGE_SIZE);
            dealloc(frame.data() as *mut u8, layout(count));
        }
    }

    fn usage(&self) -> FrameUsage {
        let shared = self.shared.borrow();
        FrameUsage::new(FrameCount::new(shared.used), FrameCount::new(shared.frames))
    }
}

// SAFETY: physical addresses are virtual ones, and no processor has anything cached.
unsafe impl GuestFrames for Arena {
    fn phys_to_virt(&self, frame: PhysicalAddress) -> *mut u8 {
        frame.data() as *mut u8
    }

    fn invalidate(&mut self, stale: &Invalidation) {
        self.shared.borrow_mut().invalidations.push(*stale);
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[arena, {} of {} frames used]",
            self.used(),
            self.shared.borrow().frames
        )
    }
}
