//! The formats, as types: what RMM's `Arch` is to the first level, [`SecondLevel`] is to the second.

use crate::InvalidationKind;

mod sealed {
    pub trait Sealed {}
}

/// A second-level format. The counterpart of RMM's `Arch`, with the difference that geometry which the machine or the
/// guest decides (levels, granule, the largest page) is in the configuration of a space and not in constants.
pub trait SecondLevel: sealed::Sealed + 'static {
    /// "EPT" and so on.
    const NAME: &'static str;
    /// Its number in the shim.
    #[doc(hidden)]
    const KIND: u32;
    /// Logarithm of the smallest page; of the smallest granule, where there is a choice.
    const PAGE_SHIFT: u32;
    /// Logarithm of the entries of a table in such pages.
    const PAGE_ENTRY_SHIFT: u32 = Self::PAGE_SHIFT - 3;
    /// The deepest tree.
    const MAX_LEVELS: u32;
    /// Frames of the largest root table: concatenated on Arm, four on RISC-V.
    const MAX_ROOT_FRAMES: usize;
    /// Can a page be made executable and not readable, where the CPU has that?
    const EXECUTE_ONLY: bool;
    /// Do changes of a live entry go through an empty one and a flush?
    const BREAK_BEFORE_MAKE: bool;
    /// The largest number that [`Flags::software`](crate::Flags::software) takes.
    const SOFTWARE_MAX: u32;
    /// What the CPU has to be told when an entry changes.
    const INVALIDATION: InvalidationKind;
    /// How a space is set up; the default is the usual.
    type Config: Clone + Default;

    /// The configuration as the shim reads it.
    #[doc(hidden)]
    fn config_words(config: &Self::Config) -> [u64; 11];
}

/// Policies of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Executable pages are of the smallest size, against machine checks when page sizes change.
    pub execute_4k_only: bool,
    /// Refuse to map a frame that holds one of the space's own tables.
    pub guard_tables: bool,
    /// To adopt: this library made the tables, and what it marked in bits that hardware ignores counts. Without it the
    /// tables are another's, and adopting them for writing clears those bits.
    pub own_marks: bool,
}

impl Policy {
    const fn bits(self) -> u64 {
        self.execute_4k_only as u64 | (self.guard_tables as u64) << 1 | (self.own_marks as u64) << 8
    }
}

/// Intel's format. SDM vol. 3, "The Extended Page-Table Mechanism (EPT)".
#[derive(Debug)]
pub enum Ept {}

/// What the VMCS that uses the tables enables; the two must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EptFeatures {
    /// EPTP bit 6.
    pub accessed_dirty: bool,
    /// EPTP bit 7.
    pub shadow_stack: bool,
    /// "Mode-based execute control for EPT".
    pub mode_based_execute: bool,
    /// "EPT-violation #VE": empty entries then suppress it.
    pub violation_ve: bool,
    /// "Guest-paging verification".
    pub verify_guest_paging: bool,
    /// "EPT paging-write control".
    pub paging_write: bool,
    /// "Sub-page write permissions for EPT".
    pub sub_page_write: bool,
}

/// How a guest's EPT is set up. Zero means the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EptConfig {
    /// 4 or 5; 0: 4.
    pub levels: u32,
    /// 4 KiB, 2 MiB or 1 GiB; 0: the largest the CPU has.
    pub max_page_size: u64,
    /// IA32_VMX_EPT_VPID_CAP as read; 0: not told.
    pub ept_vpid_cap: u64,
    /// Bits of a physical address; 0: 52.
    pub maxphyaddr: u32,
    /// What the VMCS enables.
    pub features: EptFeatures,
    /// Policies.
    pub policy: Policy,
}

impl sealed::Sealed for Ept {}
impl SecondLevel for Ept {
    const NAME: &'static str = "EPT";
    const KIND: u32 = 0;
    const PAGE_SHIFT: u32 = 12;
    const MAX_LEVELS: u32 = 5;
    const MAX_ROOT_FRAMES: usize = 1;
    const EXECUTE_ONLY: bool = true;
    const BREAK_BEFORE_MAKE: bool = false;
    const SOFTWARE_MAX: u32 = 15;
    const INVALIDATION: InvalidationKind = InvalidationKind::Invept;
    type Config = EptConfig;

    fn config_words(config: &EptConfig) -> [u64; 11] {
        let on = &config.features;
        let features = [
            on.accessed_dirty,
            on.shadow_stack,
            on.mode_based_execute,
            on.violation_ve,
            on.verify_guest_paging,
            on.paging_write,
            on.sub_page_write,
        ];

        words(
            config.levels,
            config.max_page_size,
            config.maxphyaddr,
            &features,
            config.policy,
            &[config.ept_vpid_cap],
        )
    }
}

/// AMD's format. APM vol. 2, "Nested Paging".
#[derive(Debug)]
pub enum Npt {}

/// How a guest's nested tables are set up. Zero means the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NptConfig {
    /// 4 or 5, as the host's own paging has at VMRUN; 0: 4.
    pub levels: u32,
    /// 4 KiB, 2 MiB or 1 GiB; 0: 1 GiB, which not every CPU has.
    pub max_page_size: u64,
    /// Bits of a physical address; 0: 52.
    pub maxphyaddr: u32,
    /// The host's IA32_PAT at VMRUN; 0: what it is after a reset.
    pub pat: u64,
    /// The host's EFER.NXE is clear: no page can be refused execution.
    pub no_nx: bool,
    /// Guest mode execute trap, VMCB offset 90h bit 3: [`Flags::execute`](crate::Flags::execute) is then the right of the
    /// guest's supervisor, [`Flags::execute_user`](crate::Flags::execute_user) that of its user mode, and a page cannot
    /// have the former alone.
    pub gmet: bool,
    /// Supervisor shadow stacks, VMCB offset 90h bit 4; not with `no_nx`.
    pub shadow_stack: bool,
    /// Memory encryption: which bit of an address is the C-bit, CPUID 8000001FH EBX\[5:0\]. 0: there is none. Tables have
    /// it set, a page where its flags say [`Flags::encrypted`](crate::Flags::encrypted). `maxphyaddr` is then the reduced
    /// one, at most the bit's number; 0: that number.
    pub c_bit: u32,
    /// Policies.
    pub policy: Policy,
}

impl sealed::Sealed for Npt {}
impl SecondLevel for Npt {
    const NAME: &'static str = "NPT";
    const KIND: u32 = 1;
    const PAGE_SHIFT: u32 = 12;
    const MAX_LEVELS: u32 = 5;
    const MAX_ROOT_FRAMES: usize = 1;
    const EXECUTE_ONLY: bool = false;
    const BREAK_BEFORE_MAKE: bool = false;
    const SOFTWARE_MAX: u32 = 15;
    const INVALIDATION: InvalidationKind = InvalidationKind::Asid;
    type Config = NptConfig;

    fn config_words(config: &NptConfig) -> [u64; 11] {
        let features = [config.no_nx, config.gmet, config.shadow_stack];

        words(
            config.levels,
            config.max_page_size,
            config.maxphyaddr,
            &features,
            config.policy,
            &[config.pat, u64::from(config.c_bit)],
        )
    }
}

/// Arm's format. Arm ARM, "The AArch64 Virtual Memory System Architecture", stage 2.
#[derive(Debug)]
pub enum Stage2 {}

/// Extensions of the CPU to be used for stage 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage2Features {
    /// FEAT_S2FWB, with HCR_EL2.FWB set.
    pub fwb: bool,
    /// FEAT_XNX.
    pub xnx: bool,
    /// VTCR_EL2.HA.
    pub hardware_af: bool,
    /// VTCR_EL2.HD, with HA.
    pub hardware_dirty: bool,
    /// VTCR_EL2.DS.
    pub lpa2: bool,
    /// Runs are joined by the contiguous bit where they fit.
    pub contiguous: bool,
    /// VTCR_EL2.VS.
    pub vmid16: bool,
    /// FEAT_BBM level 2: a change of size needs no break-before-make.
    pub bbm2: bool,
    /// FEAT_BBM level 1: tables of others may have nT set in a block.
    pub bbm1: bool,
    /// VTCR_EL2.HAFT, with HA: tables have access flags.
    pub table_af: bool,
    /// VTCR_EL2.HDBSS, with HD: pages made dirty are logged.
    pub hdbss: bool,
    /// VTCR_EL2.S2PIE, with HD: permissions by S2PIR_EL2.
    pub indirect: bool,
}

/// How a guest's stage 2 is set up. Zero means the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage2Config {
    /// 12, 14 or 16; 0: 12.
    pub granule_shift: u32,
    /// Width of the guest-physical space, 32 to 52; 0: 40.
    pub ipa_bits: u32,
    /// Depth; 0: the least, with up to 16 root tables side by side.
    pub levels: u32,
    /// A block or page size of the granule; 0: the largest there is.
    pub max_page_size: u64,
    /// ID_AA64MMFR0_EL1 to ID_AA64MMFR3_EL1 as read; all 0: not told.
    pub mmfr: [u64; 4],
    /// Extensions to be used.
    pub features: Stage2Features,
    /// Policies.
    pub policy: Policy,
}

impl sealed::Sealed for Stage2 {}
impl SecondLevel for Stage2 {
    const NAME: &'static str = "stage 2";
    const KIND: u32 = 2;
    const PAGE_SHIFT: u32 = 12;
    const MAX_LEVELS: u32 = 5;
    const MAX_ROOT_FRAMES: usize = 16;
    const EXECUTE_ONLY: bool = true;
    const BREAK_BEFORE_MAKE: bool = true;
    const SOFTWARE_MAX: u32 = 3;
    const INVALIDATION: InvalidationKind = InvalidationKind::Tlbi;
    type Config = Stage2Config;

    fn config_words(config: &Stage2Config) -> [u64; 11] {
        let on = &config.features;
        let features = [
            on.fwb,
            on.xnx,
            on.hardware_af,
            on.hardware_dirty,
            on.lpa2,
            on.contiguous,
            on.vmid16,
            on.bbm2,
        ];
        let later = [on.bbm1, on.table_af, on.hdbss, on.indirect];
        let own = [
            u64::from(config.granule_shift),
            u64::from(config.ipa_bits),
            config.mmfr[0],
            config.mmfr[1],
            config.mmfr[2],
            config.mmfr[3],
        ];

        let mut words = words(
            config.levels,
            config.max_page_size,
            0,
            &features,
            config.policy,
            &own,
        );
        words[3] |= bits(&later) << 16;
        words
    }
}

/// RISC-V's format. Privileged specification, "Hypervisor Extension", "Two-Stage Address Translation".
#[derive(Debug)]
pub enum Gstage {}

/// The depth of a G-stage, as hgatp has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum GstageMode {
    /// Three levels.
    Sv39x4 = 8,
    /// Four levels.
    #[default]
    Sv48x4 = 9,
    /// Five levels.
    Sv57x4 = 10,
}

/// How a guest's G-stage is set up. Zero means the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GstageConfig {
    /// How many levels.
    pub mode: GstageMode,
    /// A page size of the mode; 0: the largest it has.
    pub max_page_size: u64,
    /// Bits of a physical address; 0: 56.
    pub maxphyaddr: u32,
    /// Memory types, by Svpbmt.
    pub svpbmt: bool,
    /// Runs of 64 KiB, by Svnapot.
    pub svnapot: bool,
    /// Hardware sets accessed and dirty bits, by Svadu.
    pub svadu: bool,
    /// An entry that becomes valid is seen soon without a fence, by Svvptc: a map owes no flush.
    pub svvptc: bool,
    /// Bits 60:59 of entries are software's, by Svrsw60t59b.
    pub svrsw60t59b: bool,
    /// Policies.
    pub policy: Policy,
}

impl sealed::Sealed for Gstage {}
impl SecondLevel for Gstage {
    const NAME: &'static str = "G-stage";
    const KIND: u32 = 3;
    const PAGE_SHIFT: u32 = 12;
    const MAX_LEVELS: u32 = 5;
    const MAX_ROOT_FRAMES: usize = 4;
    const EXECUTE_ONLY: bool = true;
    const BREAK_BEFORE_MAKE: bool = false;
    const SOFTWARE_MAX: u32 = 1;
    const INVALIDATION: InvalidationKind = InvalidationKind::Hfence;
    type Config = GstageConfig;

    fn config_words(config: &GstageConfig) -> [u64; 11] {
        let features = [
            config.svpbmt,
            config.svnapot,
            config.svadu,
            config.svvptc,
            config.svrsw60t59b,
        ];

        words(
            0,
            config.max_page_size,
            config.maxphyaddr,
            &features,
            config.policy,
            &[config.mode as u64],
        )
    }
}

/// levels, max_page_size, maxphyaddr, features (bit n: the nth), policy, and the format's own.
fn words(
    levels: u32,
    max_page_size: u64,
    maxphyaddr: u32,
    features: &[bool],
    policy: Policy,
    own: &[u64],
) -> [u64; 11] {
    let mut out = [0; 11];

    out[0] = u64::from(levels);
    out[1] = max_page_size;
    out[2] = u64::from(maxphyaddr);
    out[3] = bits(features);
    out[4] = policy.bits();
    out[5..5 + own.len()].copy_from_slice(own);
    out
}

/// Bit n: the nth.
fn bits(features: &[bool]) -> u64 {
    features
        .iter()
        .rev()
        .fold(0, |bits, on| bits << 1 | u64::from(*on))
}
