//! Calls on a virtual CPU.

use alloc::{sync::Arc, vec::Vec};

use hvpt::{Gpr, GuestState, Register, Segment, SegmentName};

use super::{
    super::{
        policy::MAX_ROWS, saved, stop::is_stopping, CpuidRow, Exit, MsrAnswer, MsrRow, Policy,
        Saved, Vcpu, Vm,
    },
    abi::{exit, op, policy, regs, run},
    handles::{Inside, Slot},
    words,
};
use crate::{
    arch::ipi::{ipi, IpiKind, IpiTarget},
    sync::CleanLockToken,
    syscall::{
        error::{Error, Result, EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP},
        usercopy::{UserSliceRo, UserSliceRw},
    },
};

const GENERAL: [Gpr; 16] = [
    Gpr::Rax,
    Gpr::Rcx,
    Gpr::Rdx,
    Gpr::Rbx,
    Gpr::Rsp,
    Gpr::Rbp,
    Gpr::Rsi,
    Gpr::Rdi,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R11,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
];
/// From [`regs::CR0`] on.
const NUMBERS: [Register; regs::SEGMENTS - regs::CR0] = [
    Register::Cr0,
    Register::Cr3,
    Register::Cr4,
    Register::Efer,
    Register::Rip,
    Register::Rflags,
    Register::Dr7,
    Register::Pat,
    Register::SysenterCs,
    Register::SysenterEsp,
    Register::SysenterEip,
    Register::Cr2,
    Register::Dr6,
    Register::Star,
    Register::Lstar,
    Register::Cstar,
    Register::Sfmask,
    Register::KernelGsBase,
    Register::Interruptibility,
    Register::Activity,
];
const SEGMENTS: [SegmentName; 10] = [
    SegmentName::Es,
    SegmentName::Cs,
    SegmentName::Ss,
    SegmentName::Ds,
    SegmentName::Fs,
    SegmentName::Gs,
    SegmentName::Ldtr,
    SegmentName::Tr,
    SegmentName::Gdtr,
    SegmentName::Idtr,
];

/// A virtual CPU as it is after a reset.
pub fn create(vm: &Arc<Vm>, number: u32) -> Result<Vcpu> {
    Ok(Vcpu::new(
        vm,
        number,
        &GuestState::real_mode(0xffff_0000, 0xfff0),
    )?)
}

/// All registers, as words.
pub fn get_regs(vcpu: &Vcpu) -> [u64; regs::WORDS] {
    let state = vcpu.state();
    let mut words = [0; regs::WORDS];
    let segments = SEGMENTS.iter().flat_map(|name| {
        let segment = state.segment(*name);
        [
            segment.selector.into(),
            segment.limit.into(),
            segment.rights.into(),
            segment.base,
        ]
    });
    let all = GENERAL
        .iter()
        .map(|name| vcpu.get(*name))
        .chain(NUMBERS.iter().map(|name| state.get(*name)))
        .chain(segments);

    for (word, value) in words.iter_mut().zip(all) {
        *word = value;
    }
    words
}

/// Change all registers. EINVAL: some cannot be so, and none has changed.
pub fn set_regs(vcpu: &mut Vcpu, words: &[u64; regs::WORDS]) -> Result<()> {
    let mut state = vcpu.state();
    let (general, rest) = words.split_at(regs::CR0);
    let (numbers, segments) = rest.split_at(regs::SEGMENTS - regs::CR0);

    for (name, value) in NUMBERS.iter().zip(numbers) {
        state.set(*name, *value);
    }
    for (name, words) in SEGMENTS.iter().zip(segments.chunks_exact(4)) {
        if let [selector, limit, rights, base] = *words {
            let narrow = |value: u64| u32::try_from(value).map_err(|_| Error::new(EINVAL));
            let selector = u16::try_from(selector).map_err(|_| Error::new(EINVAL))?;
            let segment = Segment {
                selector,
                limit: narrow(limit)?,
                rights: narrow(rights)?,
                base,
            };
            state.set_segment(*name, segment);
        }
    }
    if let Some(rsp) = general.get(Gpr::Rsp as usize) {
        state.set(Register::Rsp, *rsp);
    }
    state.set_known(
        state.known()
            | GuestState::KNOWS_CR2
            | GuestState::KNOWS_DR6
            | GuestState::KNOWS_SYSCALL
            | GuestState::KNOWS_NMI_BLOCKING
            | GuestState::KNOWS_ACTIVITY,
    );
    vcpu.set_state(&state)?;
    for (name, value) in GENERAL.iter().zip(general) {
        vcpu.set(*name, *value)?;
    }
    Ok(())
}

/// A call, as it came.
pub struct VcpuCall {
    pub op: u64,
    pub m1: u64,
    pub m2: u64,
    pub payload: UserSliceRw,
}

impl VcpuCall {
    pub fn carry_out(&self, slot: &Slot, token: &mut CleanLockToken) -> Result<usize> {
        match self.op {
            op::KICK => {
                slot.kick();
                // Whoever runs a guest leaves it; one that is about to, with interrupts off, enters and leaves at once.
                ipi(IpiKind::Wakeup, IpiTarget::Other);
                Ok(0)
            }
            op::RUN => {
                words::has_room(self.payload, exit::WORDS)?;
                slot.with(token, |inside, token| self.run(slot, inside, token))
            }
            _ => slot.with(token, |inside, token| self.other(inside, token)),
        }
    }

    fn run(&self, slot: &Slot, inside: &mut Inside, token: &mut CleanLockToken) -> Result<usize> {
        if self.m1 & !(run::COMPLETE | run::SET_RAX | run::COMPLETE_ACCESS) != 0 {
            return Err(Error::new(EINVAL));
        }
        if self.m1 & run::SET_RAX != 0 {
            inside.vcpu.set(Gpr::Rax, self.m2)?;
        }
        if self.m1 & run::COMPLETE != 0 {
            inside.vcpu.complete()?;
        }
        if self.m1 & run::COMPLETE_ACCESS != 0 {
            inside.vcpu.complete_access(self.m2, token)?;
        }
        if is_stopping() {
            return Err(Error::new(ENODEV));
        }
        let exit = if slot.was_kicked() {
            Exit::Interrupted
        } else {
            inside.vcpu.run(token)?
        };
        inside.last = told(&mut inside.vcpu, exit, token);
        words::write(self.payload, &inside.last) // a payload that is gone can ask for LAST_EXIT
    }

    fn other(&self, inside: &mut Inside, token: &mut CleanLockToken) -> Result<usize> {
        let vcpu = &mut inside.vcpu;

        match self.op {
            op::LAST_EXIT => return words::write(self.payload, &inside.last),
            op::COMPLETE => vcpu.complete()?,
            op::ACCESS => {
                let access = vcpu.access(token)?;
                let write = u64::from(access.write.is_some());
                let told = [
                    access.gpa.data() as u64,
                    access.size.into(),
                    write,
                    access.write.unwrap_or(0),
                ];
                return words::write(self.payload, &told);
            }
            op::COMPLETE_ACCESS => vcpu.complete_access(self.m1, token)?,
            op::RAISE => vcpu.inject_exception(narrow(self.m1)?, number(self.m2)?)?,
            op::INTERRUPT => vcpu.inject_interrupt(narrow(self.m1)?)?,
            op::NMI => vcpu.inject_nmi()?,
            op::WINDOW if self.m1 > 3 => return Err(Error::new(EINVAL)),
            op::WINDOW => {
                vcpu.want_interrupt_window(self.m1 & 1 != 0);
                vcpu.want_nmi_window(self.m1 & 2 != 0);
            }
            op::READ_MSR => {
                let value = vcpu.msr(number(self.m1)?).ok_or(Error::new(ENOENT))?;
                return words::write(self.payload, &[value]);
            }
            op::WRITE_MSR => vcpu.set_msr(number(self.m1)?, self.m2)?,
            op::POLICY => vcpu.set_policy(tables(vcpu.policy(), self.m1, self.payload)?)?,
            op::SAVE if self.payload.is_empty() => return Ok(saved::WORDS),
            op::SAVE => return words::write(self.payload, &vcpu.save().words()),
            op::RESTORE => {
                let words = words::read::<{ saved::WORDS }>(self.payload)?;
                vcpu.restore(&Saved::from_words(&words)?)?;
            }
            op::EXTENDED_STATE => {
                return self
                    .payload
                    .copy_common_bytes_from_slice(vcpu.extended_state());
            }
            op::SET_EXTENDED_STATE => {
                let bytes = bytes(self.payload.into_ro()?, vcpu.extended_state().len())?;
                vcpu.set_extended_state(&bytes)?;
            }
            op::EXIT_TEXT => {
                return self
                    .payload
                    .copy_common_bytes_from_slice(vcpu.exit_text().as_bytes());
            }
            op::SET_CR8 => vcpu.set_cr8(self.m1)?,
            _ => return Err(Error::new(EOPNOTSUPP)),
        }
        Ok(0)
    }
}

fn narrow(value: u64) -> Result<u8> {
    u8::try_from(value).map_err(|_| Error::new(EINVAL))
}

fn number(value: u64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::new(EINVAL))
}

/// Bytes of a program's, of which there may be so many.
fn bytes(from: UserSliceRo, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();

    if from.len() > most {
        return Err(Error::new(EINVAL));
    }
    bytes
        .try_reserve_exact(from.len())
        .map_err(|_| Error::new(ENOMEM))?;
    bytes.resize(from.len(), 0);
    from.copy_to_slice(&mut bytes)?;
    Ok(bytes)
}

/// An exit as words.
fn told(vcpu: &mut Vcpu, exit: Exit, token: &mut CleanLockToken) -> [u64; exit::WORDS] {
    let bit = |condition: bool, bit: u64| if condition { bit } else { 0 };
    let (kind, detail) = match exit {
        Exit::Hypercall => (exit::HYPERCALL, [0; 3]),
        Exit::Halt => (exit::HALT, [0; 3]),
        Exit::Memory {
            gpa,
            read,
            write,
            fetch,
        } => {
            let access = bit(read, exit::access::READ)
                | bit(write, exit::access::WRITE)
                | bit(fetch, exit::access::FETCH);
            (exit::MEMORY, [gpa.data() as u64, access, 0])
        }
        Exit::Port(port) => {
            let what = bit(port.input, exit::port::INPUT)
                | bit(port.string, exit::port::STRING)
                | bit(port.rep, exit::port::REPEATED);
            (exit::PORT, [port.port.into(), port.size.into(), what])
        }
        Exit::Msr { msr, write } => (exit::MSR, [msr.into(), write.into(), 0]),
        Exit::Misconfigured { gpa } => (exit::MISCONFIGURED, [gpa.data() as u64, 0, 0]),
        Exit::Shutdown => (exit::SHUTDOWN, [0; 3]),
        Exit::Interrupted => (exit::INTERRUPTED, [0; 3]),
        Exit::InterruptWindow => (exit::INTERRUPT_WINDOW, [0; 3]),
        Exit::NmiWindow => (exit::NMI_WINDOW, [0; 3]),
        Exit::Other { code, info } => (exit::OTHER, [code, info, 0]),
    };
    let state = vcpu.state();
    let ready =
        bit(vcpu.can_interrupt(), exit::ready::INTERRUPT) | bit(vcpu.can_nmi(), exit::ready::NMI);
    let [a, b, c] = detail;
    let mut instruction = [0; 3];

    if matches!(exit, Exit::Memory { .. } | Exit::Other { .. }) {
        let found = vcpu.instruction(token);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(found.bytes) {
            *to = from;
        }
        let whole = u128::from_ne_bytes(bytes);
        // In memory the words follow one another, on whatever machine.
        let (low, high) = if cfg!(target_endian = "little") {
            (0, 64)
        } else {
            (64, 0)
        };
        let length = u64::from(found.length) | u64::from(found.fetched) << 8;
        instruction = [length, (whole >> low) as u64, (whole >> high) as u64];
    }
    let [length, low, high] = instruction;
    [
        kind,
        a,
        b,
        c,
        state.get(Register::Rip),
        vcpu.get(Gpr::Rax),
        state.get(Register::Rflags),
        vcpu.cr8(),
        ready,
        length,
        low,
        high,
    ]
}

fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// The tables of POLICY.
fn tables(now: &Policy, over: u64, payload: UserSliceRw) -> Result<Policy> {
    let from = payload.into_ro()?;
    let [cpus, cr4, xcr0, cpuid, msrs]: [u64; policy::HEAD] = words::read_ro(from)?;
    let most = MAX_ROWS as u64;

    if cpuid > most || msrs > most || over > 1 {
        return Err(Error::new(EINVAL));
    }
    let cpus = if cpus == 0 { now.cpus } else { number(cpus)? };
    let own = Policy::new(cpus);
    let mut tables = Policy {
        cpuid: Vec::new(),
        msrs: Vec::new(),
        cpus,
        cr4: if cr4 == 0 { now.cr4 } else { cr4 },
        xcr0: if xcr0 == 0 { now.xcr0 } else { xcr0 },
    };
    let mut rest = from.advance(policy::HEAD * 8).ok_or(Error::new(EINVAL))?;

    // Rows of CPUID are applied one after the other, of MSRs the first counts: both times the program's has the last
    // word.
    if over == 1 {
        tables.cpuid = own.cpuid;
    }
    for _ in 0..cpuid {
        tables.cpuid.push(cpuid_row(words::read_ro(rest)?));
        rest = rest.advance(policy::CPUID * 8).ok_or(Error::new(EINVAL))?;
    }
    for _ in 0..msrs {
        tables.msrs.push(msr_row(words::read_ro(rest)?)?);
        rest = rest.advance(policy::MSR * 8).ok_or(Error::new(EINVAL))?;
    }
    if over == 1 {
        tables.msrs.extend(own.msrs);
    }
    Ok(tables)
}

fn cpuid_row([leaves, subleaf, keep, keep_more, set, set_more]: [u64; policy::CPUID]) -> CpuidRow {
    let four = |low: u64, high: u64| {
        let ([a, b], [c, d]) = (halves(low), halves(high));
        [a, b, c, d]
    };
    let ([first, last], [number, counts]) = (halves(leaves), halves(subleaf));

    CpuidRow {
        first,
        last,
        subleaf: if counts == 0 { None } else { Some(number) },
        keep: four(keep, keep_more),
        set: four(set, set_more),
    }
}

fn msr_row([numbers, read, read_value, write, write_value]: [u64; policy::MSR]) -> Result<MsrRow> {
    let answer = |kind: u64, value: u64| match kind {
        policy::LEAVE => Ok(MsrAnswer::Leave),
        policy::FAULT => Ok(MsrAnswer::Fault),
        policy::FIXED => Ok(MsrAnswer::Fixed(value)),
        policy::KEEP => Ok(MsrAnswer::Keep),
        _ => Err(Error::new(EINVAL)),
    };
    let [first, last] = halves(numbers);

    Ok(MsrRow {
        first,
        last,
        read: answer(read, read_value)?,
        write: answer(write, write_value)?,
    })
}
