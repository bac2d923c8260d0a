//! CPUID as the guest finds it: the host's answer, what hangs on the guest's own state, then the policy's table.

use hvpt::{cpu::guest_cpuid, Gpr};

use super::{
    error::HvError,
    machine::{Both, Word},
    vcpu::{Common, Step},
};

/// CPUID exited.
pub(super) fn answer(both: &mut Both<'_>, common: &mut Common) -> Result<Step, HvError> {
    let (leaf, subleaf) = (both.get(Gpr::Rax) as u32, both.get(Gpr::Rcx) as u32);
    let [eax, ebx, ecx, edx] = common.cpuid(leaf, subleaf, both.machine.word(Word::Cr4));

    both.set(Gpr::Rax, u64::from(eax))?;
    both.set(Gpr::Rbx, u64::from(ebx))?;
    both.set(Gpr::Rcx, u64::from(ecx))?;
    both.set(Gpr::Rdx, u64::from(edx))?;
    both.machine.advance()?;
    Ok(Step::Again)
}

/// As many bits as it takes to number so many.
fn width(count: u32) -> u32 {
    32 - count.saturating_sub(1).leading_zeros()
}

impl Common {
    /// What the guest sees of a leaf.
    pub(super) fn cpuid(&self, leaf: u32, subleaf: u32, cr4: u64) -> [u32; 4] {
        let host = guest_cpuid(leaf, subleaf, self.cpu.cpuid(leaf, subleaf), cr4);
        let mut answer = self
            .policy
            .cpuid(leaf, subleaf, self.own(leaf, subleaf, host));

        for &(of, sub, register, bit) in &self.missing {
            if of == leaf && sub.map_or(true, |sub| sub == subleaf) {
                if let Some(word) = answer.get_mut(register) {
                    *word &= !(1 << bit);
                }
            }
        }
        answer
    }

    /// The leaves that say who this virtual CPU is, and what it has of XSAVE. One thread a core, all in one package.
    fn own(&self, leaf: u32, subleaf: u32, host: [u32; 4]) -> [u32; 4] {
        let [eax, ebx, ecx, edx] = host;
        let (id, cpus) = (self.identity, self.policy.cpus);

        match leaf {
            1 => {
                let several = u32::from(cpus > 1) << 28;
                let count = cpus.min(0xff) << 16;
                let ecx = if self.state.components() == 0 {
                    ecx & !(1 << 26 | 1 << 27 | 1 << 28) // XSAVE, OSXSAVE, AVX
                } else {
                    ecx
                };
                [
                    eax,
                    ebx & 0xffff | count | id << 24,
                    ecx,
                    edx & !(1 << 28) | several,
                ]
            }
            4 if eax & 31 != 0 => [eax & 0x3fff | (cpus - 1).min(63) << 26, ebx, ecx, edx],
            7 if subleaf == 0 && self.state.components() & 1 << 9 == 0 => {
                [eax, ebx, ecx & !(1 << 3 | 1 << 4), edx] // PKU, OSPKE
            }
            0xb | 0x1f if host != [0; 4] => match subleaf {
                0 => [0, 1, 1 << 8, id],
                1 => [width(cpus), cpus, 2 << 8 | 1, id],
                _ => [0, 0, subleaf & 0xff, id],
            },
            0xd => self.xsave(subleaf, host),
            0x8000_0008 => {
                let count = (cpus - 1).min(0xff);
                let core_bits = width(cpus) << 12;
                [
                    eax,
                    ebx,
                    if self.amd { count | core_bits } else { ecx },
                    edx,
                ]
            }
            0x8000_001d if eax & 31 != 0 => [eax & 0x3fff, ebx, ecx, edx],
            0x8000_001e => [id, id & 0xff, 0, 0],
            _ => host,
        }
    }

    /// Leaf 0DH. SDM vol. 1, "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features".
    fn xsave(&self, subleaf: u32, host: [u32; 4]) -> [u32; 4] {
        let mine = self.state.components() & self.policy.xcr0;
        let [eax, ebx, ecx, edx] = host;

        match subleaf {
            _ if mine == 0 => [0; 4],
            0 => {
                let now = self.xsave_size(self.state.xcr0(self.cpu), false);
                [
                    mine as u32,
                    now,
                    self.xsave_size(mine, false),
                    (mine >> 32) as u32,
                ]
            }
            // XSAVEOPT, XSAVEC, XGETBV with ECX 1, XSAVES; XFD needs an MSR. Nothing in XSS.
            1 => [
                eax & 15,
                self.xsave_size(self.state.xcr0(self.cpu), true),
                0,
                0,
            ],
            2..=62 if mine >> subleaf & 1 != 0 => [eax, ebx, ecx & !4, edx],
            _ => [0; 4],
        }
    }

    fn xsave_size(&self, components: u64, compacted: bool) -> u32 {
        let mut size = 512 + 64;

        for number in (2..63).filter(|number| components >> number & 1 != 0) {
            let [bytes, offset, flags, _] = self.cpu.cpuid(0xd, number);

            if compacted {
                let start = if flags & 2 != 0 {
                    (size + 63) & !63
                } else {
                    size
                };
                size = start + bytes;
            } else {
                size = size.max(offset + bytes);
            }
        }
        size
    }

    /// Bits of CR4 that this CPU has, as far as the policy lets a guest have them.
    pub(super) fn cr4_allowed(&self) -> u64 {
        self.policy.cr4 & self.cr4_cpu
    }
}

/// Bits of CR4 by what CPUID says: SDM vol. 3, "Control Registers". `xsave`: the host uses XSAVE.
pub(super) fn cr4_of(cpu: &dyn hvpt::cpu::Cpu, xsave: bool) -> u64 {
    let [_, _, ecx, edx] = cpu.cpuid(1, 0);
    let [top, ..] = cpu.cpuid(0, 0);
    let [_, ebx7, ecx7, _] = if top >= 7 { cpu.cpuid(7, 0) } else { [0; 4] };
    let bit = |word: u32, from: u32, to: u32| u64::from(word >> from & 1) << to;

    bit(edx, 1, 0)
        | bit(edx, 1, 1)
        | bit(edx, 4, 2)
        | bit(edx, 2, 3)
        | bit(edx, 3, 4)
        | 1 << 5 // PAE: long mode has it
        | bit(edx, 7, 6)
        | bit(edx, 13, 7)
        | 1 << 8
        | bit(edx, 24, 9)
        | bit(edx, 25, 10)
        | bit(ecx7, 2, 11)
        | bit(ecx7, 16, 12)
        | bit(ebx7, 0, 16)
        | bit(ecx, 17, 17)
        | u64::from(xsave) << 18
        | bit(ebx7, 7, 20)
        | bit(ebx7, 20, 21)
        | bit(ecx7, 3, 22)
}
