//! One table, and what an address means at its level.

use core::{
    iter,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use rmm::{Arch, PhysicalAddress};

use crate::{format::ADDRESS_MASK, SecondLevel};

const ENTRIES: usize = 512;

/// Bytes that an entry at `level` stands for.
pub const fn size_of(level: usize) -> usize {
    1 << (12 + 9 * level)
}

/// The pieces of a range that the entries of a table at `level` stand for, and their indices.
pub fn pieces(level: usize, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = range.start;

    iter::from_fn(move || {
        let from = at;
        at = ((from | (size_of(level) - 1)) + 1).min(range.end);
        (from < range.end).then(|| (from / size_of(level) % ENTRIES, from..at))
    })
}

/// What an entry says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// Nothing.
    Empty,
    /// A page, with all bits of the entry.
    Page(usize),
    /// A table one level down.
    Table(PhysicalAddress),
}

/// A table of a format `S`, seen through the linear map of `A`.
///
/// Entries are read and written by single atomic accesses: a CPU may walk the table at any time, and sets accessed and
/// dirty bits by itself. `Arch::read` and `Arch::write` could lose those.
#[derive(Clone, Copy)]
pub struct Table<S, A> {
    frame: PhysicalAddress,
    level: usize,
    format: PhantomData<fn() -> (S, A)>,
}

impl<S: SecondLevel, A: Arch> Table<S, A> {
    /// The table in `frame`.
    ///
    /// # Safety
    /// The frame is a table at this level, in the linear map, and stays one for as long as this is used.
    pub(crate) unsafe fn new(frame: PhysicalAddress, level: usize) -> Self {
        Self { frame, level, format: PhantomData }
    }

    /// Its frame.
    pub fn phys(&self) -> PhysicalAddress {
        self.frame
    }

    /// 0: its entries are 4 KiB pages.
    pub fn level(&self) -> usize {
        self.level
    }

    fn slot(&self, index: usize) -> &AtomicUsize {
        assert!(index < ENTRIES);
        // SAFETY: new's caller has promised a table, and the index is within it. Every access to it is atomic.
        unsafe { &*(A::phys_to_virt(self.frame).data() as *const AtomicUsize).add(index) }
    }

    /// The bits of an entry; `index` is below 512.
    pub fn raw(&self, index: usize) -> usize {
        self.slot(index).load(Ordering::Acquire)
    }

    pub(crate) fn entry(&self, index: usize) -> Entry {
        match self.raw(index) {
            raw if raw & S::ENTRY_PRESENT == 0 => Entry::Empty,
            raw if self.level == 0 || raw & S::ENTRY_LARGE != 0 => Entry::Page(raw),
            raw => Entry::Table(PhysicalAddress::new(raw & ADDRESS_MASK)),
        }
    }

    /// The table that an entry names.
    pub(crate) fn below(&self, frame: PhysicalAddress) -> Self {
        // SAFETY: the entry of a table at this level named it.
        unsafe { Self::new(frame, self.level - 1) }
    }

    /// Whoever reaches what the entry names finds it written.
    pub(crate) fn set(&self, index: usize, raw: usize) {
        self.slot(index).store(raw, Ordering::Release);
    }

    /// Change an entry that a CPU may be changing, too.
    pub(crate) fn update(&self, index: usize, new: impl Fn(usize) -> usize) {
        let changed = |raw| Some(new(raw));
        let _ = self.slot(index).fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
    }

    /// Put a table in the place of a page: `frame`, which nobody looks at yet. Translations stay what they are.
    pub(crate) fn split(&self, index: usize, frame: PhysicalAddress) -> Self {
        let below = self.below(frame);

        // Filled again if a CPU sets the page's accessed or dirty bit meanwhile.
        self.update(index, |raw| {
            let (base, bits) = self.parts(raw);
            for piece in 0..ENTRIES {
                below.set(piece, below.page(base + piece * size_of(below.level), bits));
            }
            frame.data() | S::ENTRY_TABLE
        });
        below
    }

    pub(crate) fn is_empty(&self) -> bool {
        (0..ENTRIES).all(|index| self.entry(index) == Entry::Empty)
    }

    /// The bits of a page at this level that map `frame` and say what `bits` say of a small page.
    pub(crate) fn page(&self, frame: usize, bits: usize) -> usize {
        frame | if self.level == 0 { bits } else { S::enlarge(bits) }
    }

    /// The frame of a page at this level, and its bits as a small page's.
    pub(crate) fn parts(&self, raw: usize) -> (usize, usize) {
        let mask = ADDRESS_MASK & !(size_of(self.level) - 1);
        let bits = raw & !mask;

        (raw & mask, if self.level == 0 { bits } else { S::reduce(bits) })
    }

    /// Would a page stay what it is?
    pub(crate) fn says(&self, raw: usize, bits: Option<usize>) -> bool {
        bits == Some(self.parts(raw).1 & !(S::ENTRY_ACCESSED | S::ENTRY_DIRTY))
    }
}
