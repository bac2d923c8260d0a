//! Against speculation from a guest into the host, and back: what CPUID and ARCH_CAPABILITIES say that this CPU needs.
//! A guest's own SPEC_CTRL is not offered to it, so the host's stays in force.

use hvpt::cpu::Cpu;

const ARCH_CAPABILITIES: u32 = 0x10a;
const PRED_CMD: u32 = 0x49;
const FLUSH_CMD: u32 = 0x10b;
const RDCL_NO: u64 = 1;
const SKIP_L1DFL_VMENTRY: u64 = 1 << 3;
const MDS_NO: u64 = 1 << 5;

/// What to do around a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mitigations {
    /// VERW before each entry: buffers that the guest could sample.
    verw: bool,
    /// Flush the L1 data cache before the guest runs: L1 terminal fault.
    flush: bool,
    /// A branch-predictor barrier after the guest ran: what it trained ends.
    barrier: bool,
}

impl Mitigations {
    pub fn of(cpu: &dyn Cpu) -> Self {
        let [top, ..] = cpu.cpuid(0, 0);
        let [_, _, _, edx] = if top >= 7 { cpu.cpuid(7, 0) } else { [0; 4] };
        let [top, ..] = cpu.cpuid(0x8000_0000, 0);
        let [_, ebx, ..] = if top >= 0x8000_0008 {
            cpu.cpuid(0x8000_0008, 0)
        } else {
            [0; 4]
        };
        let [_, vendor, ..] = cpu.cpuid(0, 0);
        let intel = vendor == 0x756e_6547;
        let told = if edx & 1 << 29 != 0 {
            cpu.rdmsr(ARCH_CAPABILITIES).unwrap_or(0)
        } else {
            0
        };

        Self {
            verw: edx & 1 << 10 != 0 && told & MDS_NO == 0,
            flush: intel && edx & 1 << 28 != 0 && told & (RDCL_NO | SKIP_L1DFL_VMENTRY) == 0,
            barrier: edx & 1 << 26 != 0 || ebx & 1 << 12 != 0,
        }
    }

    /// Before the guest runs on this CPU.
    pub fn begin(&self, cpu: &dyn Cpu) {
        if self.flush {
            cpu.wrmsr(FLUSH_CMD, 1);
        }
    }

    /// Right before each entry.
    pub fn enter(&self, cpu: &dyn Cpu) {
        if self.verw {
            cpu.verw();
        }
    }

    /// Before anyone else runs on this CPU.
    pub fn end(&self, cpu: &dyn Cpu) {
        if self.barrier {
            cpu.wrmsr(PRED_CMD, 1);
        }
    }
}
