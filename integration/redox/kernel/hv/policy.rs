//! What a guest finds of the machine, as tables that the caller can change: CPUID, MSRs, CR4, XCR0.
//!
//! The tables that a new virtual CPU has give a guest what is switched with it, and hide what is not. Numbers and bits are
//! those of SDM vol. 2, "CPUID - CPU Identification", vol. 4, and APM vol. 3, appendix E.

use alloc::vec::Vec;

use super::error::HvError;

/// What becomes of the host's answer to a range of leaves: `keep` is ANDed, then `set` is ORed, to EAX, EBX, ECX, EDX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuidRow {
    pub first: u32,
    pub last: u32,
    /// `None`: all of them.
    pub subleaf: Option<u32>,
    pub keep: [u32; 4],
    pub set: [u32; 4],
}

/// What is done about an access to an MSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsrAnswer {
    /// `Exit::Msr`: the caller's.
    Leave,
    /// #GP, as of an MSR that is not there.
    Fault,
    /// A read gives this; a write is dropped.
    Fixed(u64),
    /// A register of the guest's without any effect: a read gives what was written, at first 0.
    Keep,
}

/// The answer for a range of MSRs. The first row that has an MSR counts; without one it is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsrRow {
    pub first: u32,
    pub last: u32,
    pub read: MsrAnswer,
    pub write: MsrAnswer,
}

/// What a guest finds. MSRs that a CPU cannot do without are the guest's own and in no table: EFER, PAT, STAR to SFMASK,
/// the bases of FS and GS, SYSENTER's, TSC, TSC_AUX, XSS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Applied one after the other. What hangs on the guest's own state (its number, OSXSAVE, sizes of the XSAVE area)
    /// comes before.
    pub cpuid: Vec<CpuidRow>,
    pub msrs: Vec<MsrRow>,
    /// Virtual CPUs of the guest, for the leaves about topology.
    pub cpus: u32,
    /// Bits of CR4 that the guest may set, as far as the CPU has them. Others raise #GP.
    pub cr4: u64,
    /// Components that the guest may enable in XCR0, as far as the host has.
    pub xcr0: u64,
}

/// Rows of each table.
pub const MAX_ROWS: usize = 128;

/// CR4 to OSXMMEXCPT, UMIP, LA57, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE: the rest has state that is not switched.
const CR4: u64 =
    0x7ff | 1 << 11 | 1 << 12 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 20 | 1 << 21 | 1 << 22;
/// Those among them without which there is no guest at all.
pub(super) const CR4_ALWAYS: u64 = 1 << 5;
/// AMX's tiles have XFD, which is not switched; CET's are in XSS.
const XCR0: u64 = !(3 << 17 | 1 << 19);

const ALL: u32 = u32::MAX;
const NONE: [u32; 4] = [0; 4];

const fn without(first: u32, subleaf: Option<u32>, hidden: [u32; 4]) -> CpuidRow {
    let [a, b, c, d] = hidden;

    CpuidRow {
        first,
        last: first,
        subleaf,
        keep: [!a, !b, !c, !d],
        set: NONE,
    }
}

const fn only(first: u32, keep: [u32; 4]) -> CpuidRow {
    CpuidRow {
        first,
        last: first,
        subleaf: None,
        keep,
        set: NONE,
    }
}

const fn nothing(first: u32, last: u32) -> CpuidRow {
    CpuidRow {
        first,
        last,
        subleaf: None,
        keep: NONE,
        set: NONE,
    }
}

const fn bits(list: &[u32]) -> u32 {
    let mut word = 0;
    let mut at = 0;

    while at < list.len() {
        word |= 1 << list[at];
        at += 1;
    }
    word
}

const CPUID: [CpuidRow; 30] = [
    // DTES64, MONITOR, DS-CPL, EIST, TM2, SDBG, xTPR, PDCM, DCA, x2APIC, TSC deadline; MCE, MTRR, MCA, DS, ACPI, TM, PBE
    without(
        1,
        None,
        [
            0,
            0,
            bits(&[2, 3, 4, 7, 8, 11, 14, 15, 18, 21, 24]),
            bits(&[7, 12, 14, 21, 22, 29, 31]),
        ],
    ),
    // there is a hypervisor
    CpuidRow {
        first: 1,
        last: 1,
        subleaf: None,
        keep: [ALL; 4],
        set: [0, 0, 1 << 31, 0],
    },
    nothing(5, 5),
    only(6, [1 << 2, 0, 0, 0]), // ARAT
    // SGX, RDT-M, MPX, RDT-A, PT; CET_SS, TME, KL, bus-lock detection, ENQCMD, SGX_LC, PKS; UINTR, SRBDS_CTRL, hybrid,
    // PCONFIG, LBR, CET_IBT, AMX, and what is done by SPEC_CTRL, PRED_CMD, FLUSH_CMD, ARCH_CAPABILITIES, CORE_CAPABILITIES
    without(
        7,
        Some(0),
        [
            0,
            bits(&[2, 12, 14, 15, 25]),
            bits(&[7, 13, 23, 24, 29, 30, 31]),
            bits(&[5, 9, 15, 18, 19, 20, 22, 24, 25, 26, 27, 28, 29, 30, 31]),
        ],
    ),
    // LASS, FRED, LKGS, WRMSRNS, NMI sources, LAM, MSRLIST; CET_SSS, APX
    without(
        7,
        Some(1),
        [bits(&[6, 17, 18, 19, 20, 26, 27]), 0, 0, bits(&[18, 21])],
    ),
    without(7, Some(2), [ALL; 4]),
    nothing(0xa, 0xa),
    nothing(0xf, 0x10),
    nothing(0x12, 0x12),
    nothing(0x14, 0x14),
    nothing(0x19, 0x1e),
    nothing(0x20, 0x20),
    nothing(0x23, 0x23),
    nothing(0x27, 0x28),
    // an outer hypervisor is not the guest's
    nothing(0x4000_0000, 0x4fff_ffff),
    // ExtApicSpace, OSVW, IBS, WDT, LWP, TCE, NodeId, TopologyExt, PerfCtrExt, DBX, PTSC, LLC counters, MWAITX
    without(
        0x8000_0001,
        None,
        [
            0,
            0,
            bits(&[3, 9, 10, 13, 15, 17, 19, 22, 23, 24, 26, 27, 28, 29]),
            0,
        ],
    ),
    only(0x8000_0007, [0, 0, 0, 1 << 8]), // invariant TSC
    // CLZERO, WBNOINVD
    only(0x8000_0008, [ALL, 1 | 1 << 9, ALL, 0]),
    nothing(0x8000_000a, 0x8000_000a),
    nothing(0x8000_001a, 0x8000_001c),
    nothing(0x8000_001f, 0x8000_0020),
    // LFENCE serializes; a null selector clears its base
    only(0x8000_0021, [1 << 2 | 1 << 6, 0, 0, 0]),
    nothing(0x8000_0022, 0x8000_0026),
    nothing(0x8fff_ffff, 0x8fff_ffff),
    nothing(0xc000_0000, 0xc000_0000),
    nothing(0x2000_0000, 0x2fff_ffff),
    nothing(0x8086_0000, 0x8086_ffff),
    nothing(0x21, 0x22),
    nothing(0x24, 0x26),
];

const fn msr(first: u32, last: u32, read: MsrAnswer, write: MsrAnswer) -> MsrRow {
    MsrRow {
        first,
        last,
        read,
        write,
    }
}

const fn fixed(number: u32, value: u64) -> MsrRow {
    msr(number, number, MsrAnswer::Fixed(value), MsrAnswer::Fixed(0))
}

const fn zeros(first: u32, last: u32) -> MsrRow {
    msr(first, last, MsrAnswer::Fixed(0), MsrAnswer::Fixed(0))
}

const MSRS: [MsrRow; 17] = [
    zeros(0x8b, 0x8b),                                                 // microcode
    zeros(0x17, 0x17),                                                 // PLATFORM_ID
    zeros(0xce, 0xce),                                                 // PLATFORM_INFO
    zeros(0x179, 0x17b),                                               // MCG_CAP: no banks
    fixed(0x1a0, 1),                                                   // MISC_ENABLE: fast strings
    zeros(0x1d9, 0x1d9),                                               // DEBUGCTL
    zeros(0x198, 0x19c), // performance states, thermal state
    fixed(0xfe, 0),      // MTRRCAP: none
    msr(0x3b, 0x3b, MsrAnswer::Keep, MsrAnswer::Keep), // TSC_ADJUST
    fixed(0x3a, 1),      // FEATURE_CONTROL: locked
    msr(0xc001_0114, 0xc001_0117, MsrAnswer::Fault, MsrAnswer::Fault), // VM_CR
    zeros(0xc001_0000, 0xc001_0007), // K7's counters
    zeros(0xc001_0010, 0xc001_0010), // SYSCFG
    zeros(0xc001_0015, 0xc001_0015), // HWCR
    zeros(0xc001_001f, 0xc001_001f), // NB_CFG
    zeros(0xc001_0055, 0xc001_0058), // interrupt pending, MMIO configuration
    zeros(0xc001_1020, 0xc001_102f), // LS_CFG, DE_CFG
];

impl Policy {
    /// For a guest with so many virtual CPUs.
    pub fn new(cpus: u32) -> Self {
        Self {
            cpuid: CPUID.to_vec(),
            msrs: MSRS.to_vec(),
            cpus,
            cr4: CR4,
            xcr0: XCR0,
        }
    }

    /// The host's answer as these rows have it.
    pub(super) fn cpuid(&self, leaf: u32, subleaf: u32, mut answer: [u32; 4]) -> [u32; 4] {
        for row in &self.cpuid {
            let there = row.first <= leaf && leaf <= row.last;

            if there && row.subleaf.map_or(true, |number| number == subleaf) {
                for ((word, keep), set) in answer.iter_mut().zip(row.keep).zip(row.set) {
                    *word = *word & keep | set;
                }
            }
        }
        answer
    }

    /// What to do about an MSR.
    pub(super) fn msr(&self, number: u32, write: bool) -> MsrAnswer {
        let row = self
            .msrs
            .iter()
            .find(|row| row.first <= number && number <= row.last);

        match row {
            Some(row) if write => row.write,
            Some(row) => row.read,
            None => MsrAnswer::Leave,
        }
    }

    /// Tables that are larger than the kernel keeps, and ranges that run backwards, are refused.
    pub(super) fn check(&self) -> Result<(), HvError> {
        let sound = self.cpuid.len() <= MAX_ROWS
            && self.msrs.len() <= MAX_ROWS
            && self.cpuid.iter().all(|row| row.first <= row.last)
            && self.msrs.iter().all(|row| row.first <= row.last)
            && (1..=0x1_0000).contains(&self.cpus)
            && self.cr4 & CR4_ALWAYS == CR4_ALWAYS
            && self.xcr0 & 1 != 0;

        if sound {
            Ok(())
        } else {
            Err(HvError::Invalid)
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(1)
    }
}
