//! A virtual CPU: what both vendors share of running it.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use hvpt::{
    cpu::{Cpu, ExtendedState, HostState},
    insn::{gpr, memory_instruction, MemoryInstruction},
    vmx::{Event, EventKind},
    ControlError, Gpr, GuestRegs, GuestState, Register,
};

use super::{
    cpuid::cr4_of,
    debug::DebugRegisters,
    error::HvError,
    exit::{Exit, Instruction, MemoryAccess},
    frames::KernelFrames,
    machine::{Both, Machine, Word},
    mitigate::Mitigations,
    msr,
    percpu::{with_this_cpu, OnThisCpu},
    policy::Policy,
    saved::{Parts, Saved, MAX_KEPT},
    svm::SvmCpu,
    tlb::Seen,
    vm::Vm,
    vmx::VmxCpu,
};
use crate::{memory::PhysicalAddress, sync::CleanLockToken};

const RFLAGS_FIXED: u64 = 2;

/// A virtual CPU of one VM. One thread runs it at a time; it may run on another CPU each time.
pub struct Vcpu {
    vm: Arc<Vm>,
    common: Common,
    machine: Kind,
    pending: Pending,
}

/// What the caller may complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    /// An instruction that exited and has not been carried out.
    Instruction,
    /// One that reaches memory, decoded when it is asked for.
    Memory(PhysicalAddress),
}

/// What is the same for both.
pub(super) struct Common {
    pub cpu: &'static dyn Cpu,
    pub regs: GuestRegs,
    pub seen: Seen,
    pub identity: u32,
    pub state: ExtendedState<KernelFrames>,
    pub policy: Policy,
    pub mitigations: Mitigations,
    pub debug: DebugRegisters,
    pub cr8: u64,
    /// Bits of CR4 that the CPU has.
    pub cr4_cpu: u64,
    /// Bits of EFER beyond every CPU's.
    pub efer: u64,
    pub amd: bool,
    pub has_tsc_aux: bool,
    /// What CPUID must not promise: leaf, subleaf, register, bit.
    pub missing: Vec<(u32, Option<u32>, usize, u32)>,
    pub want_interrupt: bool,
    pub want_nmi: bool,
    linear_bits: u32,
    /// An event of the caller's waits for the next entry.
    event_set: bool,
    /// The guest ends with the next run.
    shutdown: bool,
    halted: bool,
    kept: [(u64, u64); MAX_KEPT],
}

enum Kind {
    Vmx(Box<VmxCpu>),
    Svm(Box<SvmCpu>),
}

/// What the run loop does after an exit.
pub(super) enum Step {
    /// It was handled: enter again.
    Again,
    /// Tell the caller.
    Leave(Exit),
}

impl Vcpu {
    /// A virtual CPU that begins with this state. `identity` is its number, which CPUID tells the guest, below 255.
    pub fn new(vm: &Arc<Vm>, identity: u32, start: &GuestState) -> Result<Self, HvError> {
        if identity > 254 {
            return Err(HvError::Invalid);
        }
        let cpu = vm.cpu();
        let frames = KernelFrames::new(vm.account());
        let mut common = Common::new(cpu, frames.clone(), identity)?;
        let machine = with_this_cpu(cpu, |on| {
            Ok(match on {
                OnThisCpu::Vmx(on) => {
                    Kind::Vmx(Box::new(VmxCpu::new(on, frames, vm.root(), &mut common)?))
                }
                OnThisCpu::Svm { on, .. } => {
                    Kind::Svm(Box::new(SvmCpu::new(on, frames, vm.root(), &common)?))
                }
            })
        })?;
        let mut vcpu = Self {
            vm: Arc::clone(vm),
            common,
            machine,
            pending: Pending::Nothing,
        };

        vcpu.set_state(start)?;
        Ok(vcpu)
    }

    /// Run the guest until something happens that the kernel leaves to the caller. Interrupts of the host end it with
    /// [`Exit::Interrupted`]; they are off meanwhile, and this lets none in.
    pub fn run(&mut self, token: &mut CleanLockToken) -> Result<Exit, HvError> {
        let (common, machine, vm) = (&mut self.common, &mut self.machine, &*self.vm);

        self.pending = Pending::Nothing;
        if core::mem::take(&mut common.shutdown) {
            return Ok(Exit::Shutdown);
        }
        if core::mem::take(&mut common.halted) && !common.event_set {
            return Ok(Exit::Halt);
        }
        let exit = with_this_cpu(common.cpu, |on| {
            let host = HostState::capture(common.cpu);
            let cpu = common.cpu;

            common.mitigations.begin(cpu);
            common.state.enter(cpu);
            common.debug.enter(cpu, machine.machine().word(Word::Dr7));
            let result = match (&mut *machine, on) {
                (Kind::Vmx(vcpu), OnThisCpu::Vmx(on)) => vcpu.run(on, common, vm, token),
                (Kind::Svm(vcpu), OnThisCpu::Svm { on, asids }) => {
                    vcpu.run(on, asids, common, vm, token)
                }
                _ => Err(HvError::NoVirtualization), // two vendors' CPUs in one machine
            };
            common.debug.leave(cpu);
            common.state.leave(cpu);
            host.restore(cpu, matches!(machine, Kind::Vmx(_)));
            common.mitigations.end(cpu);
            result
        })?;
        self.pending = match exit {
            Exit::Port(_) | Exit::Msr { .. } | Exit::Other { .. } => Pending::Instruction,
            Exit::Memory {
                gpa, fetch: false, ..
            } => Pending::Memory(gpa),
            _ => Pending::Nothing,
        };
        Ok(exit)
    }

    /// The instruction of the last [`Exit::Port`], [`Exit::Msr`] or [`Exit::Other`] has been carried out: the guest goes
    /// on behind it. Without this it executes it again; with [`Vcpu::inject_exception`] instead, the exception is raised at
    /// the instruction, as #GP for an MSR that does not exist must be. [`HvError::Invalid`]: there is none, or it has no
    /// end that is known.
    pub fn complete(&mut self) -> Result<(), HvError> {
        if self.pending != Pending::Instruction {
            return Err(HvError::Invalid);
        }
        self.machine.machine_mut().advance()?;
        self.pending = Pending::Nothing;
        Ok(())
    }

    /// What the instruction of the last [`Exit::Memory`] does: for a device's memory that the caller plays.
    /// [`HvError::Invalid`]: there was no such exit. [`HvError::Instruction`]: it is none that is understood, or its
    /// bytes cannot be read.
    pub fn access(&mut self, token: &mut CleanLockToken) -> Result<MemoryAccess, HvError> {
        let (gpa, found) = self.memory_instruction(token)?;
        let both = self.both();

        Ok(MemoryAccess {
            gpa,
            size: found.size,
            write: found.stored(&both),
        })
    }

    /// The access has been made: the guest goes on behind the instruction. `value`: what was read; of a write it does not
    /// count. Errors as of [`Vcpu::access`].
    pub fn complete_access(
        &mut self,
        value: u64,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let (_, found) = self.memory_instruction(token)?;

        found.loaded(value, &mut self.both());
        self.machine.machine_mut().skip(found.length)?;
        self.pending = Pending::Nothing;
        Ok(())
    }

    fn memory_instruction(
        &mut self,
        token: &mut CleanLockToken,
    ) -> Result<(PhysicalAddress, MemoryInstruction), HvError> {
        let gpa = match self.pending {
            Pending::Memory(gpa) => gpa,
            _ => return Err(HvError::Invalid),
        };
        let told = self.instruction(token);
        let bytes = told.bytes.get(..usize::from(told.fetched)).unwrap_or(&[]);
        let code = self.machine.machine().code_size();

        let found = memory_instruction(bytes, code).ok_or(HvError::Instruction)?;
        Ok((gpa, found))
    }

    /// The instruction at RIP: its length, where the CPU told it at the last exit, and its bytes, from the guest's memory.
    pub fn instruction(&mut self, token: &mut CleanLockToken) -> Instruction {
        if let Kind::Svm(vcpu) = &self.machine {
            let (bytes, count) = vcpu.state.fetched();
            if count != 0 {
                return Instruction {
                    length: 0,
                    fetched: count as u8,
                    bytes,
                };
            }
        }
        self.vm.fetch(self.machine.machine(), token)
    }

    /// A general register of the guest.
    pub fn get(&self, register: Gpr) -> u64 {
        let machine = self.machine.machine();

        match register {
            Gpr::Rsp => machine.word(Word::Rsp),
            Gpr::Rax if machine.has_rax() => machine.word(Word::Rax),
            _ => self.common.regs.get(register),
        }
    }

    /// Change a general register of the guest.
    pub fn set(&mut self, register: Gpr, value: u64) -> Result<(), HvError> {
        self.both().set(register, value)
    }

    fn both(&mut self) -> Both<'_> {
        Both {
            machine: self.machine.machine_mut(),
            regs: &mut self.common.regs,
        }
    }

    /// The guest's other registers, as it sees them. What an event would end is in there, too: shadows of STI and MOV SS,
    /// blocking of NMIs.
    pub fn state(&self) -> GuestState {
        let mut state = match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.guest(&self.common.regs),
            Kind::Svm(vcpu) => vcpu.state.guest(),
        };
        let blocked = u64::from(self.nmi_blocked()) << 3;
        let told = GuestState::KNOWS_NMI_BLOCKING | GuestState::KNOWS_ACTIVITY;

        state.set(
            Register::Interruptibility,
            state.get(Register::Interruptibility) & !8 | blocked,
        );
        state.set(Register::Activity, u64::from(self.common.halted));
        state.set_known(state.known() | told);
        state
    }

    /// Begin elsewhere: general registers stay, and an event that waited does not come any more. What the state does not
    /// know stays as well. [`HvError::Invalid`]: it has bits of CR4 that the policy does not allow, or an activity other
    /// than active and halted, or values that a CPU does not take.
    pub fn set_state(&mut self, state: &GuestState) -> Result<(), HvError> {
        let allowed = self.common.cr4_allowed();
        let activity = state.get(Register::Activity);
        let syscall = [Register::Lstar, Register::Cstar, Register::KernelGsBase];
        let sound = state.get(Register::Cr4) & !allowed == 0
            && activity <= 1
            && syscall
                .iter()
                .all(|name| self.common.is_canonical(state.get(*name)))
            && state.get(Register::Sfmask) >> 32 == 0;

        if !sound {
            return Err(HvError::Invalid);
        }
        let mut active = state.clone();
        active.set(Register::Activity, 0);
        active.set(
            Register::Interruptibility,
            state.get(Register::Interruptibility) & !8,
        );
        active.set(Register::Rflags, state.get(Register::Rflags) | RFLAGS_FIXED);
        match &mut self.machine {
            Kind::Vmx(vcpu) => {
                vcpu.state
                    .set_guest(&active, allowed, &mut self.common.regs)?;
                vcpu.state.set_event(None)?;
            }
            Kind::Svm(vcpu) => {
                vcpu.state.set_guest(&active)?;
                vcpu.state.set_event(None)?;
            }
        }
        if state.known() & GuestState::KNOWS_NMI_BLOCKING != 0 {
            self.set_nmi_blocked(state.get(Register::Interruptibility) & 8 != 0)?;
        }
        self.pending = Pending::Nothing;
        self.common.event_set = false;
        self.common.shutdown = false;
        self.common.halted = activity == 1;
        Ok(())
    }

    /// Let the next run deliver an exception, where RIP is. It takes the place of what the last exit interrupted, or becomes
    /// #DF with it, or ends the guest, as the manual has it. [`HvError::Blocked`]: an event of the caller's waits already.
    pub fn inject_exception(&mut self, vector: u8, error_code: u32) -> Result<(), HvError> {
        if self.common.event_set {
            return Err(HvError::Blocked);
        }
        match self.machine.machine_mut().raise(vector, error_code) {
            Ok(()) => self.common.event_set = true,
            Err(ControlError::Shutdown) => self.common.shutdown = true,
            Err(error) => return Err(error.into()),
        }
        self.pending = Pending::Nothing;
        Ok(())
    }

    /// Would the guest take an interrupt now? Not with RFLAGS.IF clear, behind STI or MOV SS, or while another event waits.
    pub fn can_interrupt(&self) -> bool {
        match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.can_interrupt(),
            Kind::Svm(vcpu) => vcpu.state.can_interrupt(),
        }
    }

    /// Let the next run deliver an interrupt. [`HvError::Blocked`]: not now; ask for a window.
    pub fn inject_interrupt(&mut self, vector: u8) -> Result<(), HvError> {
        if !self.can_interrupt() {
            return Err(HvError::Blocked);
        }
        self.set_event(Some(Event::interrupt(vector)))
    }

    /// Let a run end with [`Exit::InterruptWindow`] as soon as the guest can take an interrupt; once.
    pub fn want_interrupt_window(&mut self, wanted: bool) {
        self.common.want_interrupt = wanted;
    }

    /// Would the guest take an NMI now? Not in the handler of another one.
    pub fn can_nmi(&self) -> bool {
        match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.can_nmi(),
            Kind::Svm(vcpu) => vcpu.state.can_nmi(),
        }
    }

    /// Let the next run deliver an NMI. [`HvError::Blocked`]: not now; ask for a window.
    pub fn inject_nmi(&mut self) -> Result<(), HvError> {
        if !self.can_nmi() {
            return Err(HvError::Blocked);
        }
        self.set_event(Some(Event::nmi()))
    }

    /// Let a run end with [`Exit::NmiWindow`] as soon as the guest can take an NMI; once.
    pub fn want_nmi_window(&mut self, wanted: bool) {
        self.common.want_nmi = wanted;
    }

    fn set_event(&mut self, event: Option<Event>) -> Result<(), HvError> {
        match &mut self.machine {
            Kind::Vmx(vcpu) => vcpu.state.set_event(event)?,
            Kind::Svm(vcpu) => vcpu.state.set_event(event)?,
        }
        self.common.event_set = event.is_some();
        if event.is_some() {
            self.common.halted = false;
        }
        Ok(())
    }

    fn event(&self) -> Option<Event> {
        match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.event(),
            Kind::Svm(vcpu) => vcpu.state.event(),
        }
    }

    fn nmi_blocked(&self) -> bool {
        match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.nmi_blocked(),
            Kind::Svm(vcpu) => vcpu.state.nmi_blocked(),
        }
    }

    fn set_nmi_blocked(&mut self, blocked: bool) -> Result<(), HvError> {
        match &mut self.machine {
            Kind::Vmx(vcpu) => vcpu.state.set_nmi_blocked(blocked)?,
            Kind::Svm(vcpu) => vcpu.state.set_nmi_blocked(blocked),
        }
        Ok(())
    }

    /// The tables of what the guest finds.
    pub fn policy(&self) -> &Policy {
        &self.common.policy
    }

    /// Change them, before the guest first runs or at any time. [`HvError::Invalid`]: they are larger than the kernel
    /// keeps, or take away what the guest uses now.
    pub fn set_policy(&mut self, policy: Policy) -> Result<(), HvError> {
        let now = self.machine.machine().word(Word::Cr4);

        policy.check()?;
        if now & !policy.cr4 != 0 || self.common.state.xcr0(self.common.cpu) & !policy.xcr0 != 0 {
            return Err(HvError::Invalid);
        }
        self.common.policy = policy;
        // CR4's mask goes with it
        let (halted, waiting, set) = (self.common.halted, self.event(), self.common.event_set);
        let state = self.state();
        self.set_state(&state)?;
        self.set_event(waiting)?;
        self.common.event_set = set;
        self.common.halted = halted;
        Ok(())
    }

    /// An MSR of the guest's own, or one that the policy answers. `None`: there is none, or it is the caller's.
    pub fn msr(&mut self, number: u32) -> Option<u64> {
        let mut regs = core::mem::take(&mut self.common.regs);
        let both = Both {
            machine: self.machine.machine_mut(),
            regs: &mut regs,
        };
        let value = msr::get(number, &both, &self.common);

        self.common.regs = regs;
        value
    }

    /// Change it, as the guest's WRMSR would. [`HvError::Invalid`]: that would raise #GP, or it is the caller's.
    pub fn set_msr(&mut self, number: u32, value: u64) -> Result<(), HvError> {
        let mut regs = core::mem::take(&mut self.common.regs);
        let mut both = Both {
            machine: self.machine.machine_mut(),
            regs: &mut regs,
        };
        let result = msr::set(number, value, &mut both, &mut self.common);

        self.common.regs = regs;
        result
    }

    /// CPUID as the guest sees it now.
    #[allow(dead_code)] // for guests of the kernel's own
    pub fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        self.common
            .cpuid(leaf, subleaf, self.machine.machine().word(Word::Cr4))
    }

    /// CR8: the guest's task priority, which is the caller's interrupt controller's to mind.
    pub fn cr8(&self) -> u64 {
        self.common.cr8
    }

    /// Change CR8, to 0 to 15.
    pub fn set_cr8(&mut self, value: u64) -> Result<(), HvError> {
        if value > 15 {
            return Err(HvError::Invalid);
        }
        self.common.cr8 = value;
        Ok(())
    }

    /// All of it but memory and x87 to AVX. An access that has not been completed is made again.
    pub fn save(&mut self) -> Saved {
        let machine = self.machine.machine();
        let host = self.common.cpu.rdtsc();
        let tsc = host.wrapping_add(machine.word(Word::TscOffset));
        let tsc_aux = machine.word(Word::TscAux);
        let mut regs = [0; 16];
        let event = match self.event() {
            None => [0; 4],
            Some(event) => [
                1,
                event.kind as u64 | u64::from(event.vector) << 8,
                u64::from(event.error_code),
                u64::from(event.length),
            ],
        };

        for (number, word) in (0..).zip(&mut regs) {
            *word = self.get(gpr(number));
        }
        Saved(Parts {
            state: self.state().save(),
            regs,
            debug: self.common.debug.address,
            xcr0: self.common.state.xcr0(self.common.cpu),
            tsc,
            tsc_aux,
            cr8: self.common.cr8,
            nmi_blocked: self.nmi_blocked(),
            halted: self.common.halted,
            event,
            kept: self.common.kept,
        })
    }

    /// Go on where a virtual CPU was saved, of this VM or another, with its policy set before. [`HvError::Invalid`]: it
    /// cannot here; the virtual CPU may then be anywhere between the two, and needs a state.
    pub fn restore(&mut self, saved: &Saved) -> Result<(), HvError> {
        let parts = &saved.0;
        let state = GuestState::restore(&parts.state)?;

        self.set_state(&state)?;
        for (number, value) in (0..).zip(&parts.regs) {
            if gpr(number) != Gpr::Rsp {
                self.set(gpr(number), *value)?;
            }
        }
        self.common.set_xcr0(parts.xcr0)?;
        self.set_cr8(parts.cr8)?;
        if parts.tsc_aux >> 32 != 0 {
            return Err(HvError::Invalid);
        }
        self.machine
            .machine_mut()
            .set_word(Word::TscAux, parts.tsc_aux)?;
        self.common.debug.address = parts.debug;
        self.common.kept = parts.kept;
        let host = self.common.cpu.rdtsc();
        self.machine
            .machine_mut()
            .set_word(Word::TscOffset, parts.tsc.wrapping_sub(host))?;
        self.set_nmi_blocked(parts.nmi_blocked)?;
        let [there, what, error_code, length] = parts.event;
        if there != 0 {
            let kind = EventKind::from_raw(what as u32 & 7).ok_or(HvError::Invalid)?;
            self.set_event(Some(Event {
                kind,
                vector: (what >> 8) as u8,
                error_code: error_code as u32,
                length: length as u32,
            }))?;
        }
        self.common.halted = parts.halted;
        Ok(())
    }

    /// x87 to AVX and whatever else XCR0 names, as XSAVE leaves it (or FXSAVE, where the host does).
    pub fn extended_state(&mut self) -> &[u8] {
        self.common.state.guest_bytes()
    }

    /// Change it. [`HvError::Control`]: the CPU would refuse it.
    pub fn set_extended_state(&mut self, bytes: &[u8]) -> Result<(), HvError> {
        Ok(self.common.state.set_guest_bytes(bytes)?)
    }

    /// The last exit in words.
    pub fn exit_text(&self) -> String {
        match &self.machine {
            Kind::Vmx(vcpu) => vcpu.state.exit_text(),
            Kind::Svm(vcpu) => vcpu.state.exit_text(),
        }
    }

    /// The VM that it belongs to.
    pub fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }
}

impl Kind {
    fn machine(&self) -> &dyn Machine {
        match self {
            Self::Vmx(vcpu) => &vcpu.state,
            Self::Svm(vcpu) => &vcpu.state,
        }
    }

    fn machine_mut(&mut self) -> &mut dyn Machine {
        match self {
            Self::Vmx(vcpu) => &mut vcpu.state,
            Self::Svm(vcpu) => &mut vcpu.state,
        }
    }
}

impl Common {
    fn new(cpu: &'static dyn Cpu, frames: KernelFrames, identity: u32) -> Result<Self, HvError> {
        let state = ExtendedState::new(cpu, frames).ok_or(HvError::OutOfMemory)?;
        let [_, vendor, ..] = cpu.cpuid(0, 0);
        let [top, ..] = cpu.cpuid(0x8000_0000, 0);
        let [_, _, _, extended] = cpu.cpuid(0x8000_0001, 0);
        let [sizes, ..] = if top >= 0x8000_0008 {
            cpu.cpuid(0x8000_0008, 0)
        } else {
            [0; 4]
        };
        let amd = vendor == 0x6874_7541;
        let xsave = state.components() != 0;

        Ok(Self {
            cpu,
            regs: GuestRegs::default(),
            seen: None,
            identity,
            state,
            policy: Policy::default(),
            mitigations: Mitigations::of(cpu),
            debug: DebugRegisters::default(),
            cr8: 0,
            cr4_cpu: cr4_of(cpu, xsave),
            efer: msr::efer_of(amd, extended),
            amd,
            has_tsc_aux: extended & 1 << 27 != 0,
            missing: Vec::new(),
            want_interrupt: false,
            want_nmi: false,
            linear_bits: (sizes >> 8 & 0xff).max(48),
            event_set: false,
            shutdown: false,
            halted: false,
            kept: [(0, 0); MAX_KEPT],
        })
    }

    /// An entry has happened: what waited for it was delivered.
    pub fn delivered(&mut self) {
        self.event_set = false;
    }

    /// An exception for the guest.
    pub fn raise(
        &mut self,
        machine: &mut dyn Machine,
        vector: u8,
        error_code: u32,
    ) -> Result<Step, HvError> {
        match machine.raise(vector, error_code) {
            Ok(()) => Ok(Step::Again),
            Err(ControlError::Shutdown) => Ok(Step::Leave(Exit::Shutdown)),
            Err(error) => Err(error.into()),
        }
    }

    /// Is this an address that the CPU takes?
    pub fn is_canonical(&self, value: u64) -> bool {
        let shift = 64 - self.linear_bits.min(64);

        (value << shift) as i64 >> shift == value as i64
    }

    /// Change the guest's XCR0, while it runs or not.
    pub fn set_xcr0(&mut self, value: u64) -> Result<(), ControlError> {
        if self.state.components() == 0 {
            // a guest without XSAVE has the value of a reset
            return if value == 1 {
                Ok(())
            } else {
                Err(ControlError::Fault)
            };
        }
        self.state.set_xcr0(self.cpu, value)
    }

    /// The value that the policy keeps of an MSR.
    pub fn kept(&self, msr: u32) -> u64 {
        let found = self
            .kept
            .iter()
            .find(|(number, _)| *number == u64::from(msr));

        found.map_or(0, |(_, value)| *value)
    }

    /// Keep it. False: there is no room for another one.
    pub fn keep(&mut self, msr: u32, value: u64) -> bool {
        let number = u64::from(msr);
        let place = self.kept.iter().position(|(known, _)| *known == number);
        let place = place.or_else(|| self.kept.iter().position(|(known, _)| *known == 0));

        match place.and_then(|at| self.kept.get_mut(at)) {
            Some(pair) => {
                *pair = (number, value);
                true
            }
            None => false,
        }
    }
}
