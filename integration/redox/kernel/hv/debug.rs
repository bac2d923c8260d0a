//! A guest's debug registers. MOV to and from them exits and is carried out on copies; the CPU's own take them only while
//! the guest has a breakpoint enabled.

use hvpt::cpu::Cpu;

use super::{
    answer::Operand,
    error::HvError,
    machine::{Both, Machine, Word},
    vcpu::{Common, Step},
};

const CR4_DE: u64 = 1 << 3;
const DR7_FIXED: u64 = 1 << 10;
const DR7_GD: u64 = 1 << 13;
const DR7_ENABLED: u64 = 0xff;
/// Bits of DR6 and DR7 that read as 1.
const DR6_FIXED: u64 = 0xfffe_0ff0;
const DR6_BD: u64 = 1 << 13;
/// B3 to B0, BD, BS, BT.
const DR6_WRITABLE: u64 = 0xe00f;

/// DR0 to DR3 of the guest, and the host's while they are in use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DebugRegisters {
    pub address: [u64; 4],
    host: Option<[u64; 4]>,
}

impl DebugRegisters {
    /// Before the guest runs.
    pub fn enter(&mut self, cpu: &dyn Cpu, dr7: u64) {
        if dr7 & DR7_ENABLED != 0 {
            self.host = Some([0, 1, 2, 3].map(|number| cpu.read_dr(number)));
            write(cpu, &self.address);
        }
    }

    /// Afterwards; the host's DR7, which an exit clears, comes back later.
    pub fn leave(&mut self, cpu: &dyn Cpu) {
        if let Some(host) = self.host.take() {
            write(cpu, &host);
        }
    }
}

fn write(cpu: &dyn Cpu, addresses: &[u64; 4]) {
    for (number, address) in (0..).zip(addresses) {
        cpu.write_dr(number, *address);
    }
}

/// MOV to or from a debug register exited, at CPL 0.
pub(super) fn answer(
    number: u8,
    operand: Operand,
    to: bool,
    both: &mut Both<'_>,
    common: &mut Common,
) -> Result<Step, HvError> {
    let (dr7, gpr) = (both.machine.word(Word::Dr7), operand.gpr);
    let number = match number {
        4 | 5 if both.machine.word(Word::Cr4) & CR4_DE != 0 => {
            return common.raise(both.machine, 6, 0)
        }
        4 | 5 => number + 2,
        other => other,
    };

    if dr7 & DR7_GD != 0 {
        let dr6 = both.machine.word(Word::Dr6);
        both.machine.set_word(Word::Dr6, dr6 | DR6_BD)?;
        both.machine.set_word(Word::Dr7, dr7 & !DR7_GD)?;
        return common.raise(both.machine, 1, 0);
    }
    let wide = both.machine.code_size() == hvpt::insn::CodeSize::Bits64;
    if to {
        let value = if wide {
            both.get(gpr)
        } else {
            both.get(gpr) & 0xffff_ffff
        };
        match number {
            6 | 7 if value >> 32 != 0 => return common.raise(both.machine, 13, 0),
            6 => both
                .machine
                .set_word(Word::Dr6, value & DR6_WRITABLE | DR6_FIXED | 1 << 16)?,
            7 => {
                both.machine
                    .set_word(Word::Dr7, value & !(0xd000) | DR7_FIXED)?;
                common.reload_debug(value);
            }
            _ => {
                if let Some(address) = common.debug.address.get_mut(usize::from(number)) {
                    *address = value;
                }
                common.reload_debug(dr7);
            }
        }
    } else {
        let value = match number {
            6 => both.machine.word(Word::Dr6),
            7 => dr7,
            _ => common
                .debug
                .address
                .get(usize::from(number))
                .copied()
                .unwrap_or(0),
        };
        both.set(gpr, value)?;
    }
    operand.finish(both.machine)
}

/// #DB exited: so that one cannot follow the other for ever (SDM vol. 3, "Debug Exceptions"; CVE-2015-8104).
pub(super) fn reflect(
    bits: Option<u64>,
    machine: &mut dyn Machine,
    common: &mut Common,
) -> Result<Step, HvError> {
    if let Some(bits) = bits {
        // B3 to B0 are this one's; BD, BS and BT stay until software clears them
        let dr6 = machine.word(Word::Dr6) & !0xf | bits & DR6_WRITABLE;
        machine.set_word(Word::Dr6, dr6)?;
        let dr7 = machine.word(Word::Dr7);
        machine.set_word(Word::Dr7, dr7 & !DR7_GD)?;
    }
    common.raise(machine, 1, 0)
}

impl Common {
    /// The guest's breakpoints changed while it runs: what the CPU has goes with them.
    fn reload_debug(&mut self, dr7: u64) {
        self.debug.leave(self.cpu);
        self.debug.enter(self.cpu, dr7);
    }
}
