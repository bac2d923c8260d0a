//! Addresses, page flags and frames, in the names, signatures and meaning of rmm, Redox's memory manager, which can take
//! their place.
#![allow(missing_docs, clippy::missing_safety_doc, clippy::new_without_default)]

use core::fmt;

/// Bytes of the smallest frame.
pub const PAGE_SIZE: usize = 4096;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(transparent)]
        pub struct $name(usize);

        impl $name {
            pub const fn new(address: usize) -> Self {
                Self(address)
            }
            pub fn data(&self) -> usize {
                self.0
            }
            #[allow(clippy::should_implement_trait)]
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
address!(
    /// A physical address, the host's or a guest's (Arm: IPA).
    PhysicalAddress,
    "phys"
);
address!(
    /// A linear address.
    VirtualAddress,
    "virt"
);

/// Flags of a page in the bits of an x86-64 entry.
#[derive(Clone, Copy)]
pub struct PageFlags {
    data: usize,
}

const PRESENT: usize = 1;
const WRITE: usize = 1 << 1;
const USER: usize = 1 << 2;
const NO_EXEC: usize = 1 << 63;

impl PageFlags {
    /// Present, read-only, not executable, write-back.
    pub fn new() -> Self {
        Self {
            data: PRESENT | NO_EXEC,
        }
    }
    pub unsafe fn from_data(data: usize) -> Self {
        Self { data }
    }
    pub fn data(&self) -> usize {
        self.data
    }
    #[must_use]
    pub fn custom_flag(mut self, flag: usize, value: bool) -> Self {
        if value {
            self.data |= flag;
        } else {
            self.data &= !flag;
        }
        self
    }
    pub fn has_flag(&self, flag: usize) -> bool {
        self.data & flag == flag
    }
    pub fn has_present(&self) -> bool {
        self.has_flag(PRESENT)
    }
    #[must_use]
    pub fn user(self, value: bool) -> Self {
        self.custom_flag(USER, value)
    }
    pub fn has_user(&self) -> bool {
        self.has_flag(USER)
    }
    #[must_use]
    pub fn write(self, value: bool) -> Self {
        self.custom_flag(WRITE, value)
    }
    pub fn has_write(&self) -> bool {
        self.has_flag(WRITE)
    }
    #[must_use]
    pub fn execute(self, value: bool) -> Self {
        self.custom_flag(NO_EXEC, !value)
    }
    pub fn has_execute(&self) -> bool {
        !self.has_flag(NO_EXEC)
    }
}

impl fmt::Debug for PageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageFlags {:#0x}", self.data)
    }
}

/// A number of frames.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct FrameCount(usize);

impl FrameCount {
    pub fn new(count: usize) -> Self {
        Self(count)
    }
    pub fn data(&self) -> usize {
        self.0
    }
}

/// Frames that are out, and all.
#[derive(Debug)]
pub struct FrameUsage {
    used: FrameCount,
    total: FrameCount,
}

impl FrameUsage {
    pub fn new(used: FrameCount, total: FrameCount) -> Self {
        Self { used, total }
    }
    pub fn used(&self) -> FrameCount {
        self.used
    }
    pub fn free(&self) -> FrameCount {
        FrameCount(self.total.0 - self.used.0)
    }
    pub fn total(&self) -> FrameCount {
        self.total
    }
}

/// Frames, in pieces that are a power of two and aligned to their size.
///
/// # Safety
/// What it gives out is nobody else's until it comes back.
pub unsafe trait FrameAllocator {
    /// `count` frames in one piece. Contents may be anything. `None`: there are none left.
    fn allocate(&mut self, count: FrameCount) -> Option<PhysicalAddress>;

    /// Give back what `allocate` gave.
    ///
    /// # Safety
    /// It came from `allocate` with the same count, and nobody uses it any more.
    unsafe fn free(&mut self, address: PhysicalAddress, count: FrameCount);

    fn allocate_one(&mut self) -> Option<PhysicalAddress> {
        self.allocate(FrameCount::new(1))
    }

    unsafe fn free_one(&mut self, address: PhysicalAddress) {
        // SAFETY: the caller's promise.
        unsafe { self.free(address, FrameCount::new(1)) }
    }

    fn usage(&self) -> FrameUsage;
}
