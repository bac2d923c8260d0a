//! What a page says: rights, memory type, the format's own bits. Built like RMM's `PageFlags`, and from them by
//! translation: the bits of a first-level entry mean other things in a second-level one.

use core::{fmt, marker::PhantomData};

use crate::{error::Error, ffi, format::*, memtype::MemoryType};

/// IA32_PAT after a reset: WB, WT, UC-, UC, twice.
pub const PAT_RESET: u64 = 0x0007_0406_0007_0406;

const READ: u32 = 1;
const WRITE: u32 = 2;
const EXEC: u32 = 4;
const EXEC_USER: u32 = 8;
const ACCESSED: u32 = 1;
const DIRTY: u32 = 2;

/// Flags of a page in one format. A new one is readable, not writable, not executable, write-back, as RMM's are.
pub struct Flags<A> {
    pub(crate) words: [u32; 4],
    format: PhantomData<fn() -> A>,
}

/// Flags of an EPT page.
pub type EptFlags = Flags<Ept>;
/// Flags of a page in nested tables.
pub type NptFlags = Flags<Npt>;
/// Flags of a stage 2 page.
pub type Stage2Flags = Flags<Stage2>;
/// Flags of a G-stage page.
pub type GstageFlags = Flags<Gstage>;

/// Bits of page flags that no second-level entry has a word for, and whose loss is to be an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The page is for the supervisor alone: which of the guest's modes may use a page is for the guest's own tables.
    pub supervisor: bool,
    /// The page is global: a guest's translations go with the guest.
    pub global: bool,
    /// The page has a protection key: keys are looked up by linear address.
    pub protection_key: bool,
}

impl Keep {
    const fn bits(self) -> u64 {
        (self.supervisor as u64) << 2
            | (self.global as u64) << 8
            | if self.protection_key { 15 << 59 } else { 0 }
    }
}

impl<A: SecondLevel> Flags<A> {
    /// Readable and nothing else, write-back.
    pub const fn new() -> Self {
        Self::from_words([READ, 0, 0, 0]).memory_type(MemoryType::WriteBack)
    }

    pub(crate) const fn from_words(words: [u32; 4]) -> Self {
        Self {
            words,
            format: PhantomData,
        }
    }

    const fn set(mut self, word: usize, bits: u32, value: bool) -> Self {
        if value {
            self.words[word] |= bits;
        } else {
            self.words[word] &= !bits;
        }
        self
    }

    /// May the guest read? Without it a page is execute-only, which only EPT and some CPUs have.
    #[must_use]
    pub const fn read(self, value: bool) -> Self {
        self.set(0, READ, value)
    }

    /// May the guest write?
    #[must_use]
    pub const fn write(self, value: bool) -> Self {
        self.set(0, WRITE, value)
    }

    /// May the guest execute? In all its modes, or in supervisor mode where the format tells them apart.
    #[must_use]
    pub const fn execute(self, value: bool) -> Self {
        self.set(0, EXEC, value)
    }

    /// May the guest's user mode execute? Counts with mode-based execute control (EPT) and XNX (Arm).
    #[must_use]
    pub const fn execute_user(self, value: bool) -> Self {
        self.set(0, EXEC_USER, value)
    }

    /// How the page may be cached.
    #[must_use]
    pub const fn memory_type(mut self, memory_type: MemoryType) -> Self {
        self.words[1] = memory_type as u32;
        self
    }

    /// The accessed bit is set from the beginning.
    #[must_use]
    pub const fn accessed(self, value: bool) -> Self {
        self.set(2, ACCESSED, value)
    }

    /// The dirty bit is set from the beginning.
    #[must_use]
    pub const fn dirty(self, value: bool) -> Self {
        self.set(2, DIRTY, value)
    }

    /// A number that no hardware reads, up to [`SecondLevel::SOFTWARE_MAX`].
    #[must_use]
    pub const fn software(mut self, number: u32) -> Self {
        self.words[3] = number;
        self
    }

    /// Can the guest read?
    pub const fn has_read(&self) -> bool {
        self.words[0] & READ != 0
    }

    /// Can the guest write?
    pub const fn has_write(&self) -> bool {
        self.words[0] & WRITE != 0
    }

    /// Can the guest execute, in supervisor mode at least?
    pub const fn has_execute(&self) -> bool {
        self.words[0] & EXEC != 0
    }

    /// Has the guest used the page?
    pub const fn is_accessed(&self) -> bool {
        self.words[2] & ACCESSED != 0
    }

    /// Has the guest written to the page?
    pub const fn is_dirty(&self) -> bool {
        self.words[2] & DIRTY != 0
    }

    /// How the page is cached.
    pub fn get_memory_type(&self) -> MemoryType {
        MemoryType::from_raw(self.words[1])
    }

    /// The number of [`Flags::software`].
    pub const fn get_software(&self) -> u32 {
        self.words[3]
    }

    /// What the flags of an x86 page say: `data` is `PageFlags::data()` of a 4 KiB page, `pat` IA32_PAT.
    ///
    /// A translation, never a reuse of bits: in a first-level entry write-back is three clear bits, which EPT reads as
    /// UC; PCD is a reserved memory type there, PAT the large-page bit, user becomes execute and no-execute suppresses
    /// #VE. Accessed and dirty are dropped: they were said of another page. [`Error::Unsupported`]: the flags are not
    /// present, select a reserved memory type, or say what `keep` insists on.
    ///
    /// ```
    /// # use hvpt_redox::*;
    /// // present, writable, user, PCD, no-execute: a device's registers
    /// let flags = EptFlags::from_page_flags(1 << 63 | 0x17, PAT_RESET, Keep::default())?;
    /// assert_eq!(flags, EptFlags::new().write(true).memory_type(MemoryType::Uncacheable));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_page_flags(data: u64, pat: u64, keep: Keep) -> Result<Self, Error> {
        let mut words = [0; 4];

        // SAFETY: words has room for the four that the shim writes.
        Error::check(unsafe {
            ffi::hvpt_rs_from_page_flags(data, 0, pat, keep.bits(), words.as_mut_ptr())
        })?;
        words[2] = 0;
        words[3] = 0; // software bits of the first level are the kernel's own
        Ok(Self::from_words(words))
    }

    /// The same the other way round: the data of page flags that say this, for a 4 KiB page under `pat`, with the user
    /// bit as told. [`Error::Unsupported`]: they cannot.
    pub fn to_page_flags(&self, pat: u64, user: bool) -> Result<u64, Error> {
        let mut entry = 0;
        let add = if user { 1 << 2 } else { 0 };

        // SAFETY: words and entry are valid for the call.
        Error::check(unsafe {
            ffi::hvpt_rs_to_page_flags(self.words.as_ptr(), 0, pat, add, &mut entry)
        })?;
        Ok(entry)
    }
}

/// What EPT alone has. Each but the first needs the feature of its name in [`EptConfig`].
impl Flags<Ept> {
    /// The guest's PAT does not count: the memory type is this one alone.
    #[must_use]
    pub const fn ignore_pat(self, value: bool) -> Self {
        self.set(2, 1 << 8, value)
    }

    /// A violation exits even where #VE is enabled.
    #[must_use]
    pub const fn suppress_ve(self, value: bool) -> Self {
        self.set(2, 1 << 9, value)
    }

    /// Reached only through guest tables that have paging-write.
    #[must_use]
    pub const fn verify_guest_paging(self, value: bool) -> Self {
        self.set(2, 1 << 10, value)
    }

    /// A page walk may set the guest's accessed and dirty bits here.
    #[must_use]
    pub const fn paging_write(self, value: bool) -> Self {
        self.set(2, 1 << 11, value)
    }

    /// Supervisor shadow-stack accesses are allowed.
    #[must_use]
    pub const fn shadow_stack(self, value: bool) -> Self {
        self.set(2, 1 << 12, value)
    }

    /// Writes are decided in parts of 128 bytes by the sub-page table.
    #[must_use]
    pub const fn sub_page_write(self, value: bool) -> Self {
        self.set(2, 1 << 13, value)
    }
}

/// What stage 2 alone has: shareability where it is not that of the configuration.
impl Flags<Stage2> {
    /// Outer shareable.
    #[must_use]
    pub const fn outer_shareable(self, value: bool) -> Self {
        self.set(2, 1 << 20, value)
    }

    /// Not shareable.
    #[must_use]
    pub const fn non_shareable(self, value: bool) -> Self {
        self.set(2, 1 << 21, value)
    }
}

impl<A> Clone for Flags<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Flags<A> {}

impl<A> PartialEq for Flags<A> {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl<A> Eq for Flags<A> {}

impl<A: SecondLevel> Default for Flags<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: SecondLevel> fmt::Debug for Flags<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |bit, letter| {
            if self.words[0] & bit != 0 {
                letter
            } else {
                '-'
            }
        };

        write!(
            f,
            "{} {}{}{}",
            A::NAME,
            letter(READ, 'r'),
            letter(WRITE, 'w'),
            letter(EXEC, 'x')
        )?;
        if self.words[0] & EXEC_USER != 0 {
            f.write_str("u")?;
        }
        write!(f, " {:?}", self.get_memory_type())?;
        if self.words[2] != 0 {
            write!(f, " flags {:#x}", self.words[2])?;
        }
        if self.words[3] != 0 {
            write!(f, " software {}", self.words[3])?;
        }
        Ok(())
    }
}
