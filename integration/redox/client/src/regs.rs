//! A virtual CPU's registers, as the words that the scheme has.

use crate::abi::regs;

/// A segment register with its hidden part; of GDTR and IDTR base and limit count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// In bytes, whatever the granularity.
    pub limit: u32,
    /// Access rights, as VMX has them.
    pub rights: u32,
    /// The base.
    pub base: u64,
}

/// All registers: by the numbers of [`abi::regs`](crate::abi::regs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regs(pub [u64; regs::WORDS]);

impl Regs {
    /// A general register, numbered as instructions encode it: 0 is RAX, 4 RSP.
    pub fn general(&self, number: usize) -> u64 {
        self.0[regs::GENERAL + number % 16]
    }

    /// Change one.
    pub fn set_general(&mut self, number: usize, value: u64) {
        self.0[regs::GENERAL + number % 16] = value;
    }

    /// A segment register: ES, CS, SS, DS, FS, GS, LDTR, TR, GDTR, IDTR from 0 on.
    pub fn segment(&self, number: usize) -> Segment {
        let at = regs::SEGMENTS + 4 * (number % 10);

        Segment {
            selector: self.0[at] as u16,
            limit: self.0[at + 1] as u32,
            rights: self.0[at + 2] as u32,
            base: self.0[at + 3],
        }
    }

    /// Change one.
    pub fn set_segment(&mut self, number: usize, segment: Segment) {
        let at = regs::SEGMENTS + 4 * (number % 10);

        self.0[at] = segment.selector.into();
        self.0[at + 1] = segment.limit.into();
        self.0[at + 2] = segment.rights.into();
        self.0[at + 3] = segment.base;
    }

    /// Begin in real mode at `segment:offset`, with the other segments at 0.
    pub fn real_mode(&mut self, segment: u16, offset: u16) {
        for number in 0..6 {
            self.set_real(number, 0);
        }
        self.set_real(1, segment);
        self.0[regs::RIP] = offset.into();
    }

    fn set_real(&mut self, number: usize, selector: u16) {
        let base = u64::from(selector) << 4;

        self.set_segment(
            number,
            Segment {
                selector,
                base,
                limit: 0xffff,
                ..self.segment(number)
            },
        );
    }
}
