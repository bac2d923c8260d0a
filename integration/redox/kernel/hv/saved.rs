//! A virtual CPU as words: to be kept, or to go on elsewhere. x87 to AVX are apart (`Vcpu::extended_state`), and memory is
//! the VM's.

use hvpt::sizes::GUEST_WORDS;

use super::error::HvError;

const FORM: u64 = 0x3155_4356_5648_0001; // "HVVCU1", and 1
const STATE: usize = 2;
const REGS: usize = STATE + GUEST_WORDS;
const DEBUG: usize = REGS + 16;
const REST: usize = DEBUG + 4;
const EVENT: usize = REST + 6;
const KEPT: usize = EVENT + 4;
/// MSRs that the policy keeps for a guest.
pub(super) const MAX_KEPT: usize = 16;
/// Words of a saved virtual CPU.
pub const WORDS: usize = KEPT + 2 * MAX_KEPT;

/// A virtual CPU between two runs. The words mean the same in later versions, which may have more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved(pub(super) Parts);

/// Its parts, in the order of the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub state: [u64; GUEST_WORDS],
    pub regs: [u64; 16],
    pub debug: [u64; 4],
    pub xcr0: u64,
    pub tsc: u64,
    pub tsc_aux: u64,
    pub cr8: u64,
    pub nmi_blocked: bool,
    pub halted: bool,
    /// Whether there is one, and its kind, vector and error code, length.
    pub event: [u64; 4],
    pub kept: [(u64, u64); MAX_KEPT],
}

impl Saved {
    /// As words.
    pub fn words(&self) -> [u64; WORDS] {
        let parts = &self.0;
        let mut words = [0; WORDS];
        let rest = [
            parts.xcr0,
            parts.tsc,
            parts.tsc_aux,
            parts.cr8,
            u64::from(parts.nmi_blocked),
            u64::from(parts.halted),
        ];
        let head = [FORM, WORDS as u64 - 2];
        let kept = parts.kept.iter().flat_map(|(msr, value)| [*msr, *value]);
        let all = head
            .iter()
            .chain(&parts.state)
            .chain(&parts.regs)
            .chain(&parts.debug)
            .chain(&rest)
            .chain(&parts.event)
            .copied()
            .chain(kept);

        for (word, value) in words.iter_mut().zip(all) {
            *word = value;
        }
        words
    }

    /// From words. [`HvError::Invalid`]: they are none.
    pub fn from_words(words: &[u64]) -> Result<Self, HvError> {
        let head = [FORM, WORDS as u64 - 2];
        let part = |at: usize, count: usize| words.get(at..at + count).ok_or(HvError::Invalid);

        if part(0, 2)? != head {
            return Err(HvError::Invalid);
        }
        let mut state = [0; GUEST_WORDS];
        let mut regs = [0; 16];
        let mut debug = [0; 4];
        let mut rest = [0; 6];
        let mut event = [0; 4];
        let mut kept = [(0, 0); MAX_KEPT];
        state.copy_from_slice(part(STATE, GUEST_WORDS)?);
        regs.copy_from_slice(part(REGS, 16)?);
        debug.copy_from_slice(part(DEBUG, 4)?);
        rest.copy_from_slice(part(REST, 6)?);
        event.copy_from_slice(part(EVENT, 4)?);
        for (pair, from) in kept
            .iter_mut()
            .zip(part(KEPT, 2 * MAX_KEPT)?.chunks_exact(2))
        {
            if let [msr, value] = from {
                *pair = (*msr, *value);
            }
        }
        let [xcr0, tsc, tsc_aux, cr8, nmi_blocked, halted] = rest;
        Ok(Self(Parts {
            state,
            regs,
            debug,
            xcr0,
            tsc,
            tsc_aux,
            cr8,
            nmi_blocked: nmi_blocked != 0,
            halted: halted != 0,
            event,
            kept,
        }))
    }
}
