//! A stand-in for rmm, the memory manager inside the Redox kernel: names, signatures and constants that a second level
//! is built on. Where the kernel's tree is at hand, its own crate takes the place of this one.
#![no_std]
#![allow(clippy::missing_safety_doc, clippy::new_without_default)] // as rmm has it

mod allocator;
mod arch;
mod page;

use core::fmt;

pub use allocator::{FrameAllocator, FrameCount, FrameUsage};
pub use arch::{x86_64, Arch};
pub use page::PageFlags;

pub const KILOBYTE: usize = 1024;
pub const MEGABYTE: usize = KILOBYTE * 1024;
pub const GIGABYTE: usize = MEGABYTE * 1024;

/// Which half of an address space a table is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TableKind {
    User,
    Kernel,
}

macro_rules! address {
    ($name:ident, $word:literal) => {
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(transparent)]
        pub struct $name(usize);

        impl $name {
            #[inline(always)]
            pub const fn new(address: usize) -> Self {
                Self(address)
            }
            #[inline(always)]
            pub fn data(&self) -> usize {
                self.0
            }
            #[allow(clippy::should_implement_trait)]
            #[inline(always)]
            pub fn add(self, offset: usize) -> Self {
                Self(self.0 + offset)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("[", $word, " {:#0x}]"), self.0)
            }
        }
    };
}
address!(PhysicalAddress, "phys");
address!(VirtualAddress, "virt");

impl VirtualAddress {
    pub fn kind(&self) -> TableKind {
        if (self.0 as isize) < 0 {
            TableKind::Kernel
        } else {
            TableKind::User
        }
    }
}
