//! The host's state that an exit of either vendor leaves changed: taken before a guest runs, put back afterwards.
//! SDM vol. 3, "Loading Host State"; APM vol. 2, "#VMEXIT".

use super::Cpu;

const MSR_DEBUGCTL: u32 = 0x1d9;
const ES: usize = 0;
const DS: usize = 3;
const FS: usize = 4;
const GS: usize = 5;
const LDTR: usize = 6;
const TR: usize = 7;

/// What [`HostState::restore`] puts back: CR2, the limits of GDTR and IDTR, LDTR, TR with the limit that its descriptor
/// has, selectors of ES, DS, FS and GS, DR6 and DR7, DEBUGCTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostState {
    gdt: (u64, u16),
    idt: (u64, u16),
    selectors: [u16; 8],
    cr2: u64,
    dr6: u64,
    dr7: u64,
    debugctl: Option<u64>,
}

impl HostState {
    /// What this CPU has now.
    pub fn capture(cpu: &dyn Cpu) -> Self {
        Self {
            gdt: cpu.table(false),
            idt: cpu.table(true),
            selectors: cpu.selectors(),
            cr2: cpu.read_cr(2),
            dr6: cpu.read_dr(6),
            dr7: cpu.read_dr(7),
            debugctl: cpu.rdmsr(MSR_DEBUGCTL),
        }
    }

    /// Make it so again, on the same CPU, with interrupts off. `task`: the CPU's exits reset TR's limit (VMX), which no
    /// instruction tells.
    pub fn restore(&self, cpu: &dyn Cpu, task: bool) {
        if cpu.table(false) != self.gdt {
            cpu.load_table(false, self.gdt.0, self.gdt.1);
        }
        if cpu.table(true) != self.idt {
            cpu.load_table(true, self.idt.0, self.idt.1);
        }
        let now = cpu.selectors();
        if now[LDTR] != self.selectors[LDTR] {
            cpu.load_ldtr(self.selectors[LDTR]);
        }
        if (task || now[TR] != self.selectors[TR]) && self.selectors[TR] & !7 != 0 {
            cpu.load_tr(self.selectors[TR]);
        }
        for number in [ES, DS, FS, GS] {
            if now[number] != self.selectors[number] {
                cpu.load_segment(number as u32, self.selectors[number]);
            }
        }
        if cpu.read_cr(2) != self.cr2 {
            cpu.write_cr(2, self.cr2);
        }
        for (number, value) in [(6, self.dr6), (7, self.dr7)] {
            if cpu.read_dr(number) != value {
                cpu.write_dr(number, value);
            }
        }
        if let Some(value) = self.debugctl {
            if cpu.rdmsr(MSR_DEBUGCTL) != Some(value) {
                cpu.wrmsr(MSR_DEBUGCTL, value);
            }
        }
    }
}
