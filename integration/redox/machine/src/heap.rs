//! The heap of the test kernel: blocks of powers of two from one static piece, each size with a list of what came back.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    hint, ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

const SIZE: usize = 8 << 20;
const CLASSES: usize = 24;

#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u8; SIZE]>);

struct Heap {
    memory: Memory,
    next: UnsafeCell<usize>,
    free: UnsafeCell<[*mut u8; CLASSES]>,
}

// SAFETY: one CPU at a time, by TAKEN; no handler of an interrupt allocates.
unsafe impl Sync for Heap {}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Alone with the heap.
fn alone<T>(action: impl FnOnce() -> T) -> T {
    while TAKEN.swap(true, Ordering::Acquire) {
        hint::spin_loop();
    }
    let result = action();

    TAKEN.store(false, Ordering::Release);
    result
}

static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Blocks that are out.
pub fn blocks() -> usize {
    BLOCKS.load(Ordering::Relaxed)
}

fn class(layout: Layout) -> usize {
    layout
        .size()
        .max(layout.align())
        .max(16)
        .next_power_of_two()
        .trailing_zeros() as usize
}

// SAFETY: a block of class c has 1 << c bytes, is aligned to that, and is in one list or out.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let class = class(layout);
        if class >= CLASSES {
            return ptr::null_mut();
        }
        // SAFETY: alone; a free block's first word is the next one.
        alone(|| unsafe {
            let list = &mut (*self.free.get())[class];
            let mut block = *list;
            if block.is_null() {
                let next = &mut *self.next.get();
                let at = (*next + (1 << class) - 1) & !((1 << class) - 1);
                if at + (1 << class) > SIZE {
                    return ptr::null_mut();
                }
                *next = at + (1 << class);
                block = (self.memory.0.get() as *mut u8).add(at);
            } else {
                *list = *(block as *mut *mut u8);
            }
            BLOCKS.fetch_add(1, Ordering::Relaxed);
            block
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: it was out, in this class.
        alone(|| unsafe {
            let list = &mut (*self.free.get())[class(layout)];
            *(block as *mut *mut u8) = *list;
            *list = block;
        });
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[global_allocator]
static HEAP: Heap = Heap {
    memory: Memory(UnsafeCell::new([0; SIZE])),
    next: UnsafeCell::new(0),
    free: UnsafeCell::new([ptr::null_mut(); CLASSES]),
};
