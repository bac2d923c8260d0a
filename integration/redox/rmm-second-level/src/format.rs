//! The formats: bits of an entry, and how a host's page flags are said with them. The mapper has the loops.

use rmm::{Arch, PageFlags, PhysicalAddress};

/// Bits 51:12: the address in an entry of either format and in either root register.
pub const ADDRESS_MASK: usize = 0x000f_ffff_ffff_f000;

/// What is a guest's choice where `Arch` has constants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Levels of tables, 4 or 5. Nested tables are as deep as the host's own at VMRUN.
    pub levels: usize,
    /// Level of the largest page: 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB, which not every CPU has.
    pub largest: usize,
    /// The CPU's physical-address width, 32 to 52 bits.
    pub address_width: usize,
    /// EPT: let the CPU keep accessed and dirty bits. Nested paging always does.
    pub accessed_dirty: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { levels: 4, largest: 1, address_width: 52, accessed_dirty: false }
    }
}

impl Layout {
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self.levels, 4 | 5) && self.largest <= 2 && (32..=52).contains(&self.address_width)
    }
}

/// One format of second-level tables: what rmm's `Arch` is to the first level. A table has 512 entries of eight bytes
/// in both, and an address in bits 51:12. Flags here are those of a 4 KiB page; [`SecondLevel::enlarge`] says them of a
/// larger one.
pub trait SecondLevel: Clone + Copy + 'static {
    /// "EPT" or "NPT".
    const NAME: &'static str;
    /// An entry with none of these bits is empty, and the CPU reads nothing else of it.
    const ENTRY_PRESENT: usize;
    /// What an entry says that names a table.
    const ENTRY_TABLE: usize;
    /// Above level 0: the entry is a page.
    const ENTRY_LARGE: usize = 1 << 7;
    /// The CPU has used the page.
    const ENTRY_ACCESSED: usize;
    /// The CPU has written to the page.
    const ENTRY_DIRTY: usize;

    /// The entry bits that say `flags`. User and global have no meaning to a guest's page and are dropped, and so are
    /// the accessed and dirty bits of another page. `None`: not present, or there are bits that `Arch` has no name for.
    fn encode<A: Arch>(flags: PageFlags<A>) -> Option<usize>;

    /// The flags of a kernel page that say the same.
    fn decode<A: Arch>(entry: usize) -> PageFlags<A>;

    /// A small page's bits as a large page's.
    fn enlarge(bits: usize) -> usize;

    /// A large page's bits as a small page's.
    fn reduce(bits: usize) -> usize;

    /// Does a CPU accept the entry at `level`, which is a page or names a table, as far as the address does not matter?
    fn is_sound(entry: usize, level: usize, page: bool) -> bool;

    /// The register that names the tables: EPTP or nCR3.
    fn root(table: PhysicalAddress, layout: &Layout) -> usize;
}

/// Accessed and dirty of an x86 entry: flags that were read from one may have them, and `Arch` has no names for them.
const HOST_ACCESSED_DIRTY: usize = 3 << 5;

/// Are they flags of a page that is there, and does `Arch` name each of them?
fn is_named<A: Arch>(flags: PageFlags<A>) -> bool {
    let rights = A::ENTRY_FLAG_READONLY | A::ENTRY_FLAG_READWRITE | A::ENTRY_FLAG_NO_EXEC | A::ENTRY_FLAG_EXEC;
    let memory = A::ENTRY_FLAG_DEVICE_MEMORY | A::ENTRY_FLAG_UNCACHEABLE | A::ENTRY_FLAG_WRITE_COMBINING;
    let place = A::ENTRY_FLAG_PAGE_USER | A::ENTRY_FLAG_GLOBAL | A::ENTRY_FLAG_NO_GLOBAL;
    let named = A::ENTRY_FLAG_DEFAULT_PAGE | rights | memory | place | HOST_ACCESSED_DIRTY;

    flags.has_present() && flags.data() & !named == 0
}

/// Intel's format. SDM vol. 3, "The Extended Page-Table Mechanism (EPT)".
#[derive(Clone, Copy, Debug)]
pub struct Ept;

const EPT_READ: usize = 1 << 0;
const EPT_WRITE: usize = 1 << 1;
const EPT_EXECUTE: usize = 1 << 2;
const EPT_TYPE: usize = 7 << 3;
const EPT_UC: usize = 0;
const EPT_WC: usize = 1 << 3;
const EPT_WB: usize = 6 << 3;

impl SecondLevel for Ept {
    const NAME: &'static str = "EPT";
    const ENTRY_PRESENT: usize = EPT_READ | EPT_WRITE | EPT_EXECUTE;
    const ENTRY_TABLE: usize = EPT_READ | EPT_WRITE | EPT_EXECUTE;
    const ENTRY_ACCESSED: usize = 1 << 8;
    const ENTRY_DIRTY: usize = 1 << 9;

    fn encode<A: Arch>(flags: PageFlags<A>) -> Option<usize> {
        // Uncacheable and write-combining together select PAT entry 6, which the kernel sets to UC- as it does entry 2.
        let uncacheable = A::ENTRY_FLAG_DEVICE_MEMORY | A::ENTRY_FLAG_UNCACHEABLE;
        let memory = match flags.data() {
            data if data & uncacheable != 0 => EPT_UC,
            data if data & A::ENTRY_FLAG_WRITE_COMBINING != 0 => EPT_WC,
            _ => EPT_WB,
        };
        let write = if flags.has_write() { EPT_WRITE } else { 0 };
        let execute = if flags.has_execute() { EPT_EXECUTE } else { 0 };

        is_named(flags).then_some(EPT_READ | write | execute | memory)
    }

    fn decode<A: Arch>(entry: usize) -> PageFlags<A> {
        let memory = entry & EPT_TYPE;

        PageFlags::new()
            .write(entry & EPT_WRITE != 0)
            .execute(entry & EPT_EXECUTE != 0)
            .write_combining(memory == EPT_WC)
            .uncacheable(memory != EPT_WB && memory != EPT_WC)
    }

    fn enlarge(bits: usize) -> usize {
        bits | Self::ENTRY_LARGE
    }

    fn reduce(bits: usize) -> usize {
        bits & !Self::ENTRY_LARGE
    }

    // SDM vol. 3, "EPT Misconfigurations". Execute-only pages are a capability that is not asked for here. WT and WP
    // exist, though this module never says them. Bits 6:3 of an entry that names a table are reserved.
    fn is_sound(entry: usize, _: usize, page: bool) -> bool {
        let memory = entry & EPT_TYPE;
        let exists = if page { !matches!(memory >> 3, 2 | 3 | 7) } else { entry & 0xf << 3 == 0 };

        exists && entry & EPT_READ != 0
    }

    // SDM vol. 3, "Extended-Page-Table Pointer (EPTP)": write-back tables, one less than the levels, accessed and
    // dirty.
    fn root(table: PhysicalAddress, layout: &Layout) -> usize {
        table.data() | 6 | (layout.levels - 1) << 3 | usize::from(layout.accessed_dirty) << 6
    }
}

/// AMD's format: that of the host's own pages. APM vol. 2, "Nested Paging".
#[derive(Clone, Copy, Debug)]
pub struct Npt;

const NPT_PRESENT: usize = 1 << 0;
const NPT_WRITE: usize = 1 << 1;
/// Every access of a guest counts as a user's.
const NPT_USER: usize = 1 << 2;
const NPT_PAT: usize = 1 << 7;
const NPT_PAT_MOVES: usize = 5;
const NPT_PAT_LARGE: usize = NPT_PAT << NPT_PAT_MOVES;
/// What a nested entry has in common with the host's own: write, PWT, PCD, PAT, no-execute.
const NPT_SHARED: usize = NPT_WRITE | 3 << 3 | NPT_PAT | 1 << 63;

impl SecondLevel for Npt {
    const NAME: &'static str = "NPT";
    const ENTRY_PRESENT: usize = NPT_PRESENT;
    const ENTRY_TABLE: usize = NPT_PRESENT | NPT_WRITE | NPT_USER;
    const ENTRY_ACCESSED: usize = 1 << 5;
    const ENTRY_DIRTY: usize = 1 << 6;

    // The memory type goes by the host's PAT, which is that of the host's own entries: the same bits say the same.
    fn encode<A: Arch>(flags: PageFlags<A>) -> Option<usize> {
        is_named(flags).then_some(flags.data() & NPT_SHARED | NPT_PRESENT | NPT_USER)
    }

    fn decode<A: Arch>(entry: usize) -> PageFlags<A> {
        // SAFETY: the bits of a kernel page that is present and the kernel's own.
        unsafe { PageFlags::from_data(entry & NPT_SHARED | A::ENTRY_FLAG_DEFAULT_PAGE) }
    }

    fn enlarge(bits: usize) -> usize {
        bits & !NPT_PAT | (bits & NPT_PAT) << NPT_PAT_MOVES | Self::ENTRY_LARGE
    }

    fn reduce(bits: usize) -> usize {
        bits & !(Self::ENTRY_LARGE | NPT_PAT_LARGE) | (bits & NPT_PAT_LARGE) >> NPT_PAT_MOVES
    }

    // APM vol. 2, "Long-Mode Page Translation": bit 8 must be zero in the two highest tables there are.
    fn is_sound(entry: usize, level: usize, _: bool) -> bool {
        level < 3 || entry & 1 << 8 == 0
    }

    fn root(table: PhysicalAddress, _: &Layout) -> usize {
        table.data()
    }
}
