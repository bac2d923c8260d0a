//! What the kernel does about an exit by itself, and what it leaves to the caller.

use hvpt::{insn, ControlError, Gpr};

use super::{
    cpuid, debug,
    error::HvError,
    exit::Exit,
    machine::{Both, Machine, Raw, Word},
    msr,
    vcpu::{Common, Step},
    vm::Vm,
};
use crate::sync::CleanLockToken;

const UD: u8 = 6;
const GP: u8 = 13;
const CR0_TS: u64 = 1 << 3;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const CR4_PCIDE: u64 = 1 << 17;
const EFER_LMA: u64 = 1 << 10;

/// Interrupts are off; the structure has the guest's state, and takes what is changed to the next entry.
pub(super) fn answer(
    raw: Raw,
    machine: &mut dyn Machine,
    common: &mut Common,
    vm: &Vm,
    token: &mut CleanLockToken,
) -> Result<Step, HvError> {
    let mut regs = core::mem::take(&mut common.regs);
    let mut both = Both {
        machine,
        regs: &mut regs,
    };
    let step = act(raw, &mut both, common, vm, token);

    common.regs = regs;
    step
}

fn act(
    raw: Raw,
    both: &mut Both<'_>,
    common: &mut Common,
    vm: &Vm,
    token: &mut CleanLockToken,
) -> Result<Step, HvError> {
    let leave = match raw {
        Raw::Cpuid => return cpuid::answer(both, common),
        Raw::Msr { write } => return msr::answer(write, both, common),
        Raw::Xsetbv => return xsetbv(both, common),
        Raw::ControlMove { number, gpr, write } => {
            let from = operand(gpr, both.machine, vm, token)?;
            return control_move(number, from, write, both, common, vm, token);
        }
        Raw::Clts => {
            let value = both.machine.word(Word::Cr0) & !CR0_TS;
            return set_cr0(value, both, common, vm, token);
        }
        Raw::Lmsw(value) => {
            // PE can be set but not cleared. SDM vol. 2, "LMSW".
            let value = both.machine.word(Word::Cr0) & !0xe | u64::from(value) & 0xf;
            return set_cr0(value, both, common, vm, token);
        }
        Raw::DebugMove { number, gpr, write } => {
            let from = operand(gpr, both.machine, vm, token)?;
            return debug::answer(number, from, write, both, common);
        }
        Raw::Debug { bits } => return debug::reflect(bits, both.machine, common),
        Raw::Exception { vector, error_code } => {
            return common.raise(both.machine, vector, error_code)
        }
        Raw::Undefined => return common.raise(both.machine, UD, 0),
        Raw::Forbidden => return common.raise(both.machine, GP, 0),
        Raw::Nothing => {
            both.machine.advance()?;
            return Ok(Step::Again);
        }
        Raw::Settled => return Ok(Step::Again),
        Raw::Nmi => {
            common.cpu.nmi();
            return Ok(Step::Again);
        }
        Raw::MachineCheck => {
            common.cpu.machine_check();
            return Ok(Step::Again);
        }
        Raw::Memory { gpa, write, .. } if write && vm.touch(gpa, token) => return Ok(Step::Again),
        Raw::Memory {
            gpa,
            read,
            write,
            fetch,
        } => Exit::Memory {
            gpa,
            read,
            write,
            fetch,
        },
        Raw::Misconfigured(gpa) => Exit::Misconfigured { gpa },
        Raw::Halt => {
            both.machine.advance()?;
            Exit::Halt
        }
        Raw::Hypercall => {
            both.machine.advance()?;
            Exit::Hypercall
        }
        Raw::Port(access) => Exit::Port(access),
        Raw::Shutdown => Exit::Shutdown,
        Raw::Interrupt => Exit::Interrupted,
        Raw::InterruptWindow if !core::mem::take(&mut common.want_interrupt) => {
            return Ok(Step::Again); // it was for an NMI
        }
        Raw::InterruptWindow => Exit::InterruptWindow,
        Raw::NmiWindow => {
            common.want_nmi = false;
            Exit::NmiWindow
        }
        Raw::Other { code, info } => Exit::Other { code, info },
    };
    Ok(Step::Leave(leave))
}

/// The general register of a MOV to or from a system register, and how to get behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub gpr: Gpr,
    length: Option<u8>,
}

impl Operand {
    pub fn finish(self, machine: &mut dyn Machine) -> Result<Step, HvError> {
        match self.length {
            Some(length) => machine.skip(length)?,
            None => machine.advance()?,
        }
        Ok(Step::Again)
    }
}

/// As the CPU tells it, or as the instruction's bytes do.
fn operand(
    told: Option<Gpr>,
    machine: &dyn Machine,
    vm: &Vm,
    token: &mut CleanLockToken,
) -> Result<Operand, HvError> {
    if let Some(gpr) = told {
        return Ok(Operand { gpr, length: None });
    }
    let instruction = vm.fetch(machine, token);
    let bytes = instruction
        .bytes
        .get(..usize::from(instruction.fetched))
        .unwrap_or(&[]);

    insn::system_move(bytes, machine.code_size())
        .map(|found| Operand {
            gpr: found.gpr,
            length: Some(found.length),
        })
        .ok_or(HvError::Instruction)
}

fn xsetbv(both: &mut Both<'_>, common: &mut Common) -> Result<Step, HvError> {
    let value = both.pair();
    let known = both.get(Gpr::Rcx) as u32 == 0 && value & !common.policy.xcr0 == 0;

    if !known || common.set_xcr0(value).is_err() {
        return common.raise(both.machine, GP, 0);
    }
    both.machine.advance()?;
    Ok(Step::Again)
}

fn control_move(
    number: u8,
    from: Operand,
    write: bool,
    both: &mut Both<'_>,
    common: &mut Common,
    vm: &Vm,
    token: &mut CleanLockToken,
) -> Result<Step, HvError> {
    let value = both.get(from.gpr);

    match (number, write) {
        (8, false) => both.set(from.gpr, common.cr8)?,
        (8, true) if value > 15 => return common.raise(both.machine, GP, 0),
        (8, true) => common.cr8 = value,
        (0, true) => return set_cr0(value, both, common, vm, token),
        (4, true) => return set_cr4(value, from, both, common),
        _ => return Err(HvError::Instruction),
    }
    from.finish(both.machine)
}

fn set_cr0(
    value: u64,
    both: &mut Both<'_>,
    common: &mut Common,
    vm: &Vm,
    token: &mut CleanLockToken,
) -> Result<Step, HvError> {
    match both.machine.set_cr0(value) {
        Ok(()) | Err(ControlError::OwesInvvpid) => (),
        Err(ControlError::Fault) => return common.raise(both.machine, GP, 0),
        Err(error) => return Err(error.into()),
    }
    let pae = both.machine.word(Word::Cr4) & CR4_PAE != 0;
    if value & CR0_PG != 0 && pae && both.machine.word(Word::Efer) & EFER_LMA == 0 {
        let mut entries = [0_u64; 4];
        let at = both.machine.word(Word::Cr3) & 0xffff_ffe0;

        for (entry, offset) in entries.iter_mut().zip((0..).step_by(8)) {
            let mut bytes = [0; 8];
            vm.read_at(at + offset, &mut bytes, token)?;
            *entry = u64::from_le_bytes(bytes);
        }
        // Reserved bits: SDM vol. 3, "PDPTE Registers". What is beyond MAXPHYADDR faults when it is used.
        if entries
            .iter()
            .any(|entry| entry & 1 != 0 && entry & 0xfff0_0000_0000_01e6 != 0)
        {
            return common.raise(both.machine, GP, 0);
        }
        both.machine.set_pdptes(entries)?;
    }
    both.machine.advance()?;
    Ok(Step::Again)
}

/// SDM vol. 2, "MOV - Move to/from Control Registers". On VMX only what the guest may not set comes here.
fn set_cr4(
    value: u64,
    from: Operand,
    both: &mut Both<'_>,
    common: &mut Common,
) -> Result<Step, HvError> {
    let now = both.machine.word(Word::Cr4);
    let long = both.machine.word(Word::Efer) & EFER_LMA != 0;
    let turned_on = value & !now;
    let fault = value & !common.cr4_allowed() != 0
        || long && (value & CR4_PAE == 0 || (value ^ now) & CR4_LA57 != 0)
        || turned_on & CR4_PCIDE != 0 && (!long || both.machine.word(Word::Cr3) & 0xfff != 0);

    if fault {
        return common.raise(both.machine, GP, 0);
    }
    both.machine.set_word(Word::Cr4, value)?;
    if value != now {
        both.machine.flush_own();
    }
    from.finish(both.machine)
}
