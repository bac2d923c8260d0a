//! What the tests stand on: frames of the heap whose physical addresses are their virtual ones, a guest whose
//! invalidations are kept, random numbers, and a walk of tables that knows the manuals' bits and nothing of the code
//! under test.
#![allow(dead_code)]

use std::{
    alloc::{alloc, dealloc, Layout as Block},
    cell::RefCell,
    collections::BTreeSet,
    rc::Rc,
};

use rmm::{x86_64::X8664Arch, FrameAllocator, FrameCount, FrameUsage, PageFlags, PhysicalAddress};
use rmm_second_level::*;

pub const K4: usize = 4 << 10;
pub const M2: usize = 2 << 20;
pub const G1: usize = 1 << 30;

pub type A = X8664Arch;
pub type Mapper<S> = GuestMapper<S, A, Arena, Guest>;

/// IA32_PAT as the kernel sets it: WB, WT, UC-, UC, WC, WT, UC-, UC.
pub const PAT: u64 = 0x0007_0401_0007_0406;

#[derive(Default)]
struct Shared {
    out: BTreeSet<usize>,
    asked: usize,
    fail_at: Option<usize>,
    stale: Vec<Stale>,
    /// Frames that were out when the guest was last invalidated.
    out_then: usize,
}

#[derive(Clone, Default)]
pub struct Arena(Rc<RefCell<Shared>>);

/// The guest's side of the same arena.
pub struct Guest(Arena);

impl Arena {
    pub fn used(&self) -> usize {
        self.0.borrow().out.len()
    }

    pub fn guest(&self) -> Guest {
        Guest(self.clone())
    }

    /// Let the `n`th allocation from now fail, from 0, and all later ones.
    pub fn fail_at(&self, n: Option<usize>) {
        let mut shared = self.0.borrow_mut();
        shared.fail_at = n.map(|n| shared.asked + n);
    }

    pub fn take_stale(&self) -> Vec<Stale> {
        std::mem::take(&mut self.0.borrow_mut().stale)
    }

    pub fn used_at_invalidation(&self) -> usize {
        self.0.borrow().out_then
    }
}

fn block() -> Block {
    Block::from_size_align(K4, K4).unwrap()
}

// SAFETY: blocks of the heap, each given out once.
unsafe impl FrameAllocator for Arena {
    fn allocate(&mut self, count: FrameCount) -> Option<PhysicalAddress> {
        let mut shared = self.0.borrow_mut();
        assert_eq!(count.data(), 1, "tables are one frame");
        shared.asked += 1;
        if shared.fail_at.map_or(false, |at| shared.asked > at) {
            return None;
        }
        // SAFETY: the layout is not empty; the block is as large as it is filled.
        let frame = unsafe {
            let frame = alloc(block());
            frame.write_bytes(0xdb, K4); // entries that are present and wrong
            frame as usize
        };
        shared.out.insert(frame);
        Some(PhysicalAddress::new(frame))
    }

    unsafe fn free(&mut self, address: PhysicalAddress, count: FrameCount) {
        assert!(count.data() == 1 && self.0.borrow_mut().out.remove(&address.data()), "not out: {:?}", address);
        // SAFETY: it was out.
        unsafe {
            (address.data() as *mut u8).write_bytes(0xdb, K4);
            dealloc(address.data() as *mut u8, block());
        }
    }

    fn usage(&self) -> FrameUsage {
        FrameUsage::new(FrameCount::new(self.used()), FrameCount::new(usize::MAX))
    }
}

// SAFETY: no CPU walks the tables.
unsafe impl Invalidate for Guest {
    fn invalidate(&mut self, stale: &Stale) {
        let mut shared = self.0 .0.borrow_mut();
        shared.out_then = shared.out.len();
        shared.stale.push(*stale);
    }
}

pub fn new<S: SecondLevel>(arena: &Arena, layout: Layout) -> Mapper<S> {
    GuestMapper::create(arena.clone(), arena.guest(), layout).unwrap()
}

pub fn at(guest: usize) -> GuestAddress {
    GuestAddress::new(guest)
}

pub fn phys(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

pub fn flags(write: bool) -> PageFlags<A> {
    PageFlags::new().write(write)
}

/// xorshift, so that a failure can be seen again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    pub fn chance(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// Every entry that is present, in the order of addresses, tables before what they hold: where it begins, its level,
/// the entry (of a table: without the address, which is no one's business). `present`: bits of which one must be set.
pub fn tree(root: usize, levels: usize, present: u64) -> Vec<(usize, usize, u64)> {
    fn visit(table: usize, level: usize, base: usize, present: u64, out: &mut Vec<(usize, usize, u64)>) {
        for index in 0..512 {
            // SAFETY: the address of a table is its own, and 512 entries are in it.
            let entry = unsafe { (table as *const u64).add(index).read() };
            let begin = base + (index << (12 + 9 * level));
            if entry & present == 0 {
                continue;
            }
            if level == 0 || entry & 1 << 7 != 0 {
                out.push((begin, level, entry));
            } else {
                out.push((begin, level, entry & !0x000f_ffff_ffff_f000));
                visit((entry & 0x000f_ffff_ffff_f000) as usize, level - 1, begin, present, out);
            }
        }
    }
    let mut out = Vec::new();

    visit(root & 0x000f_ffff_ffff_f000, levels - 1, 0, present, &mut out);
    out
}

/// Tables in a tree, the root among them.
pub fn tables(tree: &[(usize, usize, u64)]) -> usize {
    1 + tree.iter().filter(|(_, level, entry)| *level != 0 && entry & 1 << 7 == 0).count()
}
