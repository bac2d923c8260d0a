//! A guest's page tables in rmm's terms: what `PageMapper` is to the kernel's own address spaces, [`GuestMapper`] is to
//! a guest's, for EPT and for nested paging, in Rust alone.
//!
//! | rmm | here |
//! |---|---|
//! | `Arch`: constants of a first-level format | [`SecondLevel`]: [`Ept`], [`Npt`]; the linear map stays with `Arch` |
//! | `PageFlags<A>` | the same, translated: a first-level bit means something else one level down |
//! | `PageTable<A>`, `PageEntry<A>` | [`Table`]: entries are changed atomically, since the CPU writes them as well |
//! | `PageMapper<A, F>` | [`GuestMapper`], from the same `FrameAllocator` |
//! | `PageFlush<A>`: this CPU, the current address space | [`GuestFlush`]: the guest's root, and every CPU |
//!
//! Every change is all or nothing: a failure leaves each translation and each frame where it was. Nothing is
//! overwritten, pages are as large as they can be, and tables that went away are freed after the flush and not before.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![warn(rust_2018_idioms)]

mod flush;
mod format;
mod frames;
mod mapper;
mod plan;
mod table;

use core::fmt;

pub use flush::{GuestFlush, Invalidate, Stale};
pub use format::{Ept, Layout, Npt, SecondLevel};
pub use mapper::{GuestMapper, Mapping};
pub use table::Table;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("an entry has 64 bits, and rmm keeps entries in a usize");

/// A guest-physical address. A type of its own, so that it cannot be taken for the host's.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct GuestAddress(usize);

impl GuestAddress {
    /// The address with this number.
    #[inline(always)]
    pub const fn new(address: usize) -> Self {
        Self(address)
    }

    /// The number.
    #[inline(always)]
    pub const fn data(&self) -> usize {
        self.0
    }
}

impl fmt::Debug for GuestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[guest {:#0x}]", self.0)
    }
}

/// Why a call failed. After any of these every translation is what it was, and no frame is held that was not held
/// before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// An address or a size is not a multiple of the page size.
    Misaligned,
    /// The range is empty, or beyond what the tables or the CPU's physical addresses can hold.
    OutOfRange,
    /// Something in the range is mapped already.
    AlreadyMapped,
    /// Something in the range is not mapped.
    NotMapped,
    /// The allocator has no frame left.
    OutOfMemory,
    /// The format has no way to say this: flags that `Arch` does not name, or a layout that does not exist.
    Unsupported,
    /// Tables that were to be adopted are not such as this mapper makes.
    Corrupt,
}
