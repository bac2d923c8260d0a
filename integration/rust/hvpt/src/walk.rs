//! What a walk shows: tables before and after what they hold, pages, holes.

use crate::{Mapping, PhysicalAddress, SecondLevel};

/// One step of [`Mapper::walk`](crate::Mapper::walk), in ascending order of addresses.
#[derive(Debug)]
pub enum Visit<A: SecondLevel> {
    /// A page that is mapped. `gpa` is where it begins, which for the first one may lie before the range.
    Page {
        /// Where the page begins.
        gpa: PhysicalAddress,
        /// What it maps to.
        mapping: Mapping<A>,
    },
    /// A part of the range that is not mapped, by one empty entry of a table at `level`.
    Hole {
        /// Where the part begins.
        gpa: PhysicalAddress,
        /// Its bytes.
        size: u64,
        /// Of the table with the empty entry; 0 holds the smallest pages.
        level: u32,
    },
    /// A table, before what it holds.
    Enter {
        /// Where its reach begins.
        gpa: PhysicalAddress,
        /// The table.
        table: PhysicalAddress,
        /// Its level.
        level: u32,
    },
    /// The same table, after what it holds. Not shown of a walk that was ended.
    Leave {
        /// Where its reach begins.
        gpa: PhysicalAddress,
        /// The table.
        table: PhysicalAddress,
        /// Its level.
        level: u32,
    },
}
