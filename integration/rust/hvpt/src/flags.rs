//! What a page says: rights, memory type, the format's own bits. Built like RMM's `PageFlags`, and from them by
//! translation: the bits of a first-level entry mean other things in a second-level one.

use core::{fmt, marker::PhantomData};

use crate::{
    error::Error,
    ffi,
    format::*,
    memtype::MemoryType,
    types::{page_flags, PageFlags},
};

/// IA32_PAT after a reset: WB, WT, UC-, UC, twice.
pub const PAT_RESET: u64 = 0x0007_0406_0007_0406;

const READ: u32 = 1;
const WRITE: u32 = 2;
const EXEC: u32 = 4;
const EXEC_USER: u32 = 8;
const ACCESSED: u32 = 1;
const DIRTY: u32 = 2;

/// Flags of a page in one format: the kernel's own, and what is specific beside them.
///
/// `base` says present, writable and executable. Its other bits mean nothing in a second level: the cache bits are those of
/// `memory_type`, into which [`Flags::from_page_flags`] translates them.
pub struct Flags<A> {
    /// Present, writable, executable.
    pub base: PageFlags,
    /// How the page may be cached.
    pub memory_type: MemoryType,
    /// Without it a page is execute-only.
    pub readable: bool,
    /// The guest's user mode may execute, where the format tells the modes apart.
    pub user_executable: bool,
    /// Accessed, dirty, and the format's own bits.
    bits: u32,
    /// A number that no hardware reads.
    pub software_number: u32,
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
    pub fn new() -> Self {
        Self {
            base: PageFlags::new(),
            memory_type: MemoryType::WriteBack,
            readable: true,
            user_executable: false,
            bits: 0,
            software_number: 0,
            format: PhantomData,
        }
    }

    /// As the shim has them: rights, memory type, bits, number.
    pub(crate) fn words(&self) -> [u32; 4] {
        let right = |value: bool, bit: u32| {
            if value && self.base.has_present() {
                bit
            } else {
                0
            }
        };
        let rights = right(self.readable, READ)
            | right(self.base.has_write(), WRITE)
            | right(self.base.has_execute(), EXEC)
            | right(self.user_executable, EXEC_USER);

        [
            rights,
            self.memory_type as u32,
            self.bits,
            self.software_number,
        ]
    }

    pub(crate) fn from_words(words: [u32; 4]) -> Self {
        let [rights, memory_type, bits, software_number] = words;

        Self {
            base: PageFlags::new()
                .write(rights & WRITE != 0)
                .execute(rights & EXEC != 0),
            memory_type: MemoryType::from_raw(memory_type),
            readable: rights & READ != 0,
            user_executable: rights & EXEC_USER != 0,
            bits,
            software_number,
            format: PhantomData,
        }
    }

    fn set(mut self, bits: u32, value: bool) -> Self {
        if value {
            self.bits |= bits;
        } else {
            self.bits &= !bits;
        }
        self
    }

    /// May the guest read? Without it a page is execute-only, which only EPT and some CPUs have.
    #[must_use]
    pub fn read(mut self, value: bool) -> Self {
        self.readable = value;
        self
    }

    /// May the guest write?
    #[must_use]
    pub fn write(mut self, value: bool) -> Self {
        self.base = self.base.write(value);
        self
    }

    /// May the guest execute? In all its modes, or in supervisor mode where the format tells them apart.
    #[must_use]
    pub fn execute(mut self, value: bool) -> Self {
        self.base = self.base.execute(value);
        self
    }

    /// May the guest's user mode execute? Counts with mode-based execute control (EPT) and XNX (Arm).
    #[must_use]
    pub fn execute_user(mut self, value: bool) -> Self {
        self.user_executable = value;
        self
    }

    /// How the page may be cached.
    #[must_use]
    pub fn memory_type(mut self, memory_type: MemoryType) -> Self {
        self.memory_type = memory_type;
        self
    }

    /// The accessed bit is set from the beginning.
    #[must_use]
    pub fn accessed(self, value: bool) -> Self {
        self.set(ACCESSED, value)
    }

    /// The dirty bit is set from the beginning.
    #[must_use]
    pub fn dirty(self, value: bool) -> Self {
        self.set(DIRTY, value)
    }

    /// A number that no hardware reads, up to [`SecondLevel::SOFTWARE_MAX`].
    #[must_use]
    pub fn software(mut self, number: u32) -> Self {
        self.software_number = number;
        self
    }

    /// Can the guest read?
    pub fn has_read(&self) -> bool {
        self.words()[0] & READ != 0
    }

    /// Can the guest write?
    pub fn has_write(&self) -> bool {
        self.words()[0] & WRITE != 0
    }

    /// Can the guest execute, in supervisor mode at least?
    pub fn has_execute(&self) -> bool {
        self.words()[0] & EXEC != 0
    }

    /// Has the guest used the page?
    pub fn is_accessed(&self) -> bool {
        self.bits & ACCESSED != 0
    }

    /// Has the guest written to the page?
    pub fn is_dirty(&self) -> bool {
        self.bits & DIRTY != 0
    }

    /// How the page is cached.
    pub fn get_memory_type(&self) -> MemoryType {
        self.memory_type
    }

    /// The number of [`Flags::software`].
    pub fn get_software(&self) -> u32 {
        self.software_number
    }

    /// What the kernel's flags of a 4 KiB page say, under this IA32_PAT; they become `base`.
    ///
    /// A translation, never a reuse of bits: in a first-level entry write-back is three clear bits, which EPT reads as
    /// UC; PCD is a reserved memory type there, PAT the large-page bit, user becomes execute and no-execute suppresses
    /// #VE. Accessed and dirty are dropped: they were said of another page. [`Error::Unsupported`]: the flags are not
    /// present, select a reserved memory type, or say what `keep` insists on.
    ///
    /// ```
    /// # use hvpt::*;
    /// // PCD: a device's registers
    /// let base = PageFlags::new().write(true).custom_flag(1 << 4, true);
    /// let flags = EptFlags::from_page_flags(base, PAT_RESET, Keep::default())?;
    /// assert_eq!(flags.memory_type, MemoryType::Uncacheable);
    /// assert!(flags.base.has_write() && !flags.base.has_execute());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_page_flags(base: PageFlags, pat: u64, keep: Keep) -> Result<Self, Error> {
        let mut words = [0; 4];

        // SAFETY: words has room for the four that the shim writes.
        Error::check(unsafe {
            ffi::hvpt_rs_from_page_flags(
                base.data() as u64,
                0,
                pat,
                keep.bits(),
                words.as_mut_ptr(),
            )
        })?;
        words[2] = 0;
        words[3] = 0; // software bits of the first level are the kernel's own
        Ok(Self {
            base,
            ..Self::from_words(words)
        })
    }

    /// The same the other way round: the kernel's flags that say this, for a 4 KiB page under `pat`, with the user bit as
    /// told. [`Error::Unsupported`]: they cannot.
    pub fn to_page_flags(&self, pat: u64, user: bool) -> Result<PageFlags, Error> {
        let mut entry = 0;
        let add = if user { 1 << 2 } else { 0 };

        // SAFETY: words and entry are valid for the call.
        Error::check(unsafe {
            ffi::hvpt_rs_to_page_flags(self.words().as_ptr(), 0, pat, add, &mut entry)
        })?;
        Ok(page_flags(entry))
    }
}

/// What EPT alone has. Each but the first needs the feature of its name in [`EptConfig`].
impl Flags<Ept> {
    /// The guest's PAT does not count: the memory type is this one alone.
    #[must_use]
    pub fn ignore_pat(self, value: bool) -> Self {
        self.set(1 << 8, value)
    }

    /// A violation exits even where #VE is enabled.
    #[must_use]
    pub fn suppress_ve(self, value: bool) -> Self {
        self.set(1 << 9, value)
    }

    /// Reached only through guest tables that have paging-write.
    #[must_use]
    pub fn verify_guest_paging(self, value: bool) -> Self {
        self.set(1 << 10, value)
    }

    /// A page walk may set the guest's accessed and dirty bits here.
    #[must_use]
    pub fn paging_write(self, value: bool) -> Self {
        self.set(1 << 11, value)
    }

    /// Supervisor shadow-stack accesses are allowed.
    #[must_use]
    pub fn shadow_stack(self, value: bool) -> Self {
        self.set(1 << 12, value)
    }

    /// Writes are decided in parts of 128 bytes by the sub-page table.
    #[must_use]
    pub fn sub_page_write(self, value: bool) -> Self {
        self.set(1 << 13, value)
    }
}

/// What nested tables alone have. Each needs the feature of its name in [`NptConfig`].
impl Flags<Npt> {
    /// A supervisor shadow stack. Its page cannot be executed, and should not be writable: its own writes need no right.
    #[must_use]
    pub fn shadow_stack(self, value: bool) -> Self {
        self.set(1 << 16, value)
    }

    /// The C-bit is set: the page is encrypted. Needs [`NptConfig::c_bit`].
    #[must_use]
    pub fn encrypted(self, value: bool) -> Self {
        self.set(1 << 17, value)
    }
}

/// What stage 2 alone has: shareability where it is not that of the configuration.
impl Flags<Stage2> {
    /// Outer shareable.
    #[must_use]
    pub fn outer_shareable(self, value: bool) -> Self {
        self.set(1 << 20, value)
    }

    /// Not shareable.
    #[must_use]
    pub fn non_shareable(self, value: bool) -> Self {
        self.set(1 << 21, value)
    }
}

impl<A> Clone for Flags<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Flags<A> {}

impl<A: SecondLevel> PartialEq for Flags<A> {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl<A: SecondLevel> Eq for Flags<A> {}

impl<A: SecondLevel> Default for Flags<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: SecondLevel> fmt::Debug for Flags<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        let letter = |bit, letter| {
            if words[0] & bit != 0 {
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
        if words[0] & EXEC_USER != 0 {
            f.write_str("u")?;
        }
        write!(f, " {:?}", self.get_memory_type())?;
        if words[2] != 0 {
            write!(f, " flags {:#x}", words[2])?;
        }
        if words[3] != 0 {
            write!(f, " software {}", words[3])?;
        }
        Ok(())
    }
}
