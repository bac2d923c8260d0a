//! The first half of a change: look whether it can be made, and count the tables that it needs. Nothing is written.

use core::ops::Range;

use rmm::Arch;

use crate::{
    table::{pieces, size_of, Entry},
    Error, SecondLevel, Table,
};

/// Where a range is to lead, and how large its pages may be.
#[derive(Clone, Copy)]
pub struct Target {
    /// Host's address less guest's, wrapping.
    pub offset: usize,
    /// Level of the largest page.
    pub largest: usize,
    /// What the pages say, as bits of a small one.
    pub bits: usize,
}

impl Target {
    /// Is the piece one page at this level?
    pub fn is_page(&self, level: usize, piece: &Range<usize>) -> bool {
        level <= self.largest && piece.len() == size_of(level) && self.phys(piece) % size_of(level) == 0
    }

    /// Where a piece leads.
    pub fn phys(&self, piece: &Range<usize>) -> usize {
        piece.start.wrapping_add(self.offset)
    }
}

/// Tables that mapping needs below `table`; `None`: one that does not exist yet, at `level`.
pub fn to_map<S: SecondLevel, A: Arch>(
    table: Option<&Table<S, A>>,
    level: usize,
    range: Range<usize>,
    target: Target,
) -> Result<usize, Error> {
    let mut needed = 0;

    if table.is_none() && level == 0 {
        return Ok(0);
    }
    for (index, piece) in pieces(level, range) {
        match table.map_or(Entry::Empty, |table| table.entry(index)) {
            Entry::Page(_) => return Err(Error::AlreadyMapped),
            Entry::Table(frame) => {
                let below = table.map(|table| table.below(frame));
                needed += to_map(below.as_ref(), level - 1, piece, target)?;
            }
            Entry::Empty if target.is_page(level, &piece) => (),
            Entry::Empty => needed += 1 + to_map::<S, A>(None, level - 1, piece, target)?,
        }
    }
    Ok(needed)
}

/// Tables that splitting needs below `table` for a change to `bits`; `None`: unmapping, which does not mind holes.
pub fn to_change<S: SecondLevel, A: Arch>(
    table: &Table<S, A>,
    range: Range<usize>,
    bits: Option<usize>,
) -> Result<usize, Error> {
    let level = table.level();
    let mut needed = 0;

    for (index, piece) in pieces(level, range) {
        match table.entry(index) {
            Entry::Page(raw) if table.says(raw, bits) => (),
            Entry::Page(_) => needed += to_split(level, piece),
            Entry::Table(frame) => needed += to_change(&table.below(frame), piece, bits)?,
            Entry::Empty if bits.is_none() => (),
            Entry::Empty => return Err(Error::NotMapped),
        }
    }
    Ok(needed)
}

/// Tables that splitting a page at `level` needs, for a piece of it.
fn to_split(level: usize, piece: Range<usize>) -> usize {
    if piece.len() == size_of(level) {
        return 0;
    }
    1 + pieces(level - 1, piece).map(|(_, piece)| to_split(level - 1, piece)).sum::<usize>()
}
