//! RDMSR and WRMSR: registers that the guest has of its own, checked as the CPU checks them, and the policy's table for
//! the rest.

use hvpt::Gpr;

use super::{
    error::HvError,
    exit::Exit,
    machine::{Both, Word},
    policy::MsrAnswer,
    vcpu::{Common, Step},
};

const TSC: u32 = 0x10;
const PAT: u32 = 0x277;
const XSS: u32 = 0xda0;
const EFER: u32 = 0xc000_0080;
const EFER_SCE: u64 = 1;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;
const EFER_FFXSR: u64 = 1 << 14;
const CR0_PG: u64 = 1 << 31;

/// What a value must be, or WRMSR raises #GP. SDM vol. 4; APM vol. 2, appendix A.
#[derive(Clone, Copy)]
enum Rule {
    Any,
    /// Of a linear address.
    Canonical,
    /// Bits 63:32 are 0.
    Low,
    /// Eight memory types.
    Pat,
}

/// The guest's own register behind an MSR.
fn own(msr: u32) -> Option<(Word, Rule)> {
    Some(match msr {
        0x174 => (Word::SysenterCs, Rule::Low),
        0x175 => (Word::SysenterEsp, Rule::Canonical),
        0x176 => (Word::SysenterEip, Rule::Canonical),
        PAT => (Word::Pat, Rule::Pat),
        0xc000_0081 => (Word::Star, Rule::Any),
        0xc000_0082 => (Word::Lstar, Rule::Canonical),
        0xc000_0083 => (Word::Cstar, Rule::Canonical),
        0xc000_0084 => (Word::Sfmask, Rule::Low),
        0xc000_0100 => (Word::FsBase, Rule::Canonical),
        0xc000_0101 => (Word::GsBase, Rule::Canonical),
        0xc000_0102 => (Word::KernelGsBase, Rule::Canonical),
        0xc000_0103 => (Word::TscAux, Rule::Low),
        _ => return None,
    })
}

fn holds(rule: Rule, value: u64, common: &Common) -> bool {
    match rule {
        Rule::Any => true,
        Rule::Canonical => common.is_canonical(value),
        Rule::Low => value >> 32 == 0,
        Rule::Pat => value
            .to_le_bytes()
            .iter()
            .all(|kind| matches!(kind, 0 | 1 | 4..=7)),
    }
}

/// The value of an MSR; `None`: #GP. `Err(Step)`: the caller's.
enum Read {
    Value(u64),
    Fault,
    Leave,
}

fn read(msr: u32, both: &Both<'_>, common: &Common) -> Read {
    if let Some((word, _)) = own(msr) {
        if word == Word::TscAux && !common.has_tsc_aux {
            return Read::Fault;
        }
        return Read::Value(both.machine.word(word));
    }
    match msr {
        EFER => Read::Value(both.machine.word(Word::Efer)),
        TSC => {
            let host = common.cpu.rdtsc();
            Read::Value(host.wrapping_add(both.machine.word(Word::TscOffset)))
        }
        XSS if common.state.components() != 0 => Read::Value(0),
        _ => match common.policy.msr(msr, false) {
            MsrAnswer::Leave => Read::Leave,
            MsrAnswer::Fault => Read::Fault,
            MsrAnswer::Fixed(value) => Read::Value(value),
            MsrAnswer::Keep => Read::Value(common.kept(msr)),
        },
    }
}

/// What becomes of a write: done, #GP, or the caller's.
enum Write {
    Done,
    Fault,
    Leave,
}

fn write(msr: u32, value: u64, both: &mut Both<'_>, common: &mut Common) -> Result<Write, HvError> {
    if let Some((word, rule)) = own(msr) {
        if !holds(rule, value, common) || word == Word::TscAux && !common.has_tsc_aux {
            return Ok(Write::Fault);
        }
        both.machine.set_word(word, value)?;
        return Ok(Write::Done);
    }
    match msr {
        EFER => {
            let now = both.machine.word(Word::Efer);
            let paging = both.machine.word(Word::Cr0) & CR0_PG != 0;
            let allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | common.efer;
            if value & !allowed != 0 || paging && (now ^ value) & EFER_LME != 0 {
                return Ok(Write::Fault);
            }
            both.machine
                .set_word(Word::Efer, now & EFER_LMA | value & !EFER_LMA)?;
        }
        TSC => {
            let host = common.cpu.rdtsc();
            both.machine
                .set_word(Word::TscOffset, value.wrapping_sub(host))?;
        }
        XSS if common.state.components() != 0 => {
            return Ok(if value == 0 {
                Write::Done
            } else {
                Write::Fault
            });
        }
        _ => match common.policy.msr(msr, true) {
            MsrAnswer::Leave => return Ok(Write::Leave),
            MsrAnswer::Fault => return Ok(Write::Fault),
            MsrAnswer::Fixed(_) => (),
            MsrAnswer::Keep => {
                if !common.keep(msr, value) {
                    return Ok(Write::Fault);
                }
            }
        },
    }
    Ok(Write::Done)
}

/// RDMSR or WRMSR exited.
pub(super) fn answer(
    write_it: bool,
    both: &mut Both<'_>,
    common: &mut Common,
) -> Result<Step, HvError> {
    let msr = both.regs.get(Gpr::Rcx) as u32;
    let outcome = if write_it {
        let value = both.pair();
        write(msr, value, both, common)?
    } else {
        match read(msr, both, common) {
            Read::Value(value) => {
                both.set_pair(value)?;
                Write::Done
            }
            Read::Fault => Write::Fault,
            Read::Leave => Write::Leave,
        }
    };

    match outcome {
        Write::Done => both.machine.advance()?,
        Write::Fault => return common.raise(both.machine, 13, 0),
        Write::Leave => {
            return Ok(Step::Leave(Exit::Msr {
                msr,
                write: write_it,
            }))
        }
    }
    Ok(Step::Again)
}

/// An MSR by the caller's wish. `None`: #GP would be raised, or it is the caller's own.
pub(super) fn get(msr: u32, both: &Both<'_>, common: &Common) -> Option<u64> {
    match read(msr, both, common) {
        Read::Value(value) => Some(value),
        _ => None,
    }
}

pub(super) fn set(
    msr: u32,
    value: u64,
    both: &mut Both<'_>,
    common: &mut Common,
) -> Result<(), HvError> {
    match write(msr, value, both, common)? {
        Write::Done => Ok(()),
        _ => Err(HvError::Invalid),
    }
}

/// Bits of EFER that the guest may set beyond those of every CPU.
pub(super) fn efer_of(amd: bool, extended_edx: u32) -> u64 {
    if amd && extended_edx & 1 << 25 != 0 {
        EFER_FFXSR
    } else {
        0
    }
}
