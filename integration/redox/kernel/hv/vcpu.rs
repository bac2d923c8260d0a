//! A virtual CPU: what both vendors share of running it.

use alloc::{boxed::Box, sync::Arc};

use hvpt_redox::{
    cpu::{guest_cpuid, Cpu, ExtendedState},
    Gpr, GuestRegs, GuestState,
};

use super::{
    error::HvError,
    exit::Exit,
    frames::KernelFrames,
    percpu::{with_this_cpu, OnThisCpu},
    svm::SvmCpu,
    tlb::Seen,
    vm::Vm,
    vmx::VmxCpu,
};

/// A virtual CPU of one VM. One thread runs it at a time; it may run on another CPU each time.
pub struct Vcpu {
    vm: Arc<Vm>,
    common: Common,
    machine: Machine,
    /// RIP is at an instruction whose access the caller has been told of.
    pending: bool,
}

/// What is the same for both.
pub(super) struct Common {
    pub cpu: &'static dyn Cpu,
    pub regs: GuestRegs,
    pub seen: Seen,
    pub identity: u32,
    state: ExtendedState<KernelFrames>,
}

enum Machine {
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
    /// A virtual CPU that begins with this state. `identity` is its number, which CPUID tells the guest.
    pub fn new(vm: &Arc<Vm>, identity: u32, start: &GuestState) -> Result<Self, HvError> {
        let cpu = vm.cpu();
        let frames = KernelFrames::new(vm.account());
        let state = ExtendedState::new(cpu, frames.clone()).ok_or(HvError::OutOfMemory)?;
        let machine = with_this_cpu(cpu, |on| {
            Ok(match on {
                OnThisCpu::Vmx(on) => Machine::Vmx(Box::new(VmxCpu::new(on, frames, vm.root(), start)?)),
                OnThisCpu::Svm { on, .. } => Machine::Svm(Box::new(SvmCpu::new(on, frames, vm.root(), start)?)),
            })
        })?;
        let common = Common { cpu, regs: GuestRegs::default(), seen: None, identity, state };

        Ok(Self { vm: Arc::clone(vm), common, machine, pending: false })
    }

    /// Run the guest until something happens that the kernel leaves to the caller. Interrupts of the host end it with
    /// [`Exit::Interrupted`]; they are off meanwhile and come in when the caller lets them.
    pub fn run(&mut self) -> Result<Exit, HvError> {
        let (common, machine) = (&mut self.common, &mut self.machine);

        self.pending = false;
        let tlb = &self.vm.account().tlb;

        let exit = with_this_cpu(common.cpu, |on| {
            common.state.enter(common.cpu);
            let result = match (machine, on) {
                (Machine::Vmx(vcpu), OnThisCpu::Vmx(on)) => vcpu.run(on, common, tlb),
                (Machine::Svm(vcpu), OnThisCpu::Svm { on, asids }) => vcpu.run(on, asids, common, tlb),
                _ => Err(HvError::NoVirtualization), // two vendors' CPUs in one machine
            };
            common.state.leave(common.cpu);
            result
        })?;
        self.pending = matches!(exit, Exit::Port(_) | Exit::Msr { .. });
        Ok(exit)
    }

    /// The access of the last [`Exit::Port`] or [`Exit::Msr`] has been carried out: the guest goes on behind the
    /// instruction. Without this it executes it again; with [`Vcpu::inject_exception`] instead, the exception is raised at
    /// the instruction, as #GP for an MSR that does not exist must be. [`HvError::Invalid`]: there is no such access.
    pub fn complete(&mut self) -> Result<(), HvError> {
        if !self.pending {
            return Err(HvError::Invalid);
        }
        match &mut self.machine {
            Machine::Vmx(vcpu) => vcpu.advance()?,
            Machine::Svm(vcpu) => vcpu.advance()?,
        }
        self.pending = false;
        Ok(())
    }

    /// A general register of the guest.
    pub fn get(&self, register: Gpr) -> u64 {
        match (&self.machine, register) {
            (Machine::Vmx(vcpu), Gpr::Rsp) => vcpu.rsp(),
            (Machine::Svm(vcpu), Gpr::Rsp) => vcpu.rsp(),
            (Machine::Svm(vcpu), Gpr::Rax) => vcpu.rax(),
            _ => self.common.regs.get(register),
        }
    }

    /// Change a general register of the guest.
    pub fn set(&mut self, register: Gpr, value: u64) -> Result<(), HvError> {
        match (&mut self.machine, register) {
            (Machine::Vmx(vcpu), Gpr::Rsp) => vcpu.set_rsp(value)?,
            (Machine::Svm(vcpu), Gpr::Rsp) => vcpu.set_rsp(value),
            (Machine::Svm(vcpu), Gpr::Rax) => vcpu.set_rax(value),
            _ => self.common.regs.set(register, value),
        }
        Ok(())
    }

    /// The guest's other registers, as it sees them.
    pub fn state(&self) -> GuestState {
        match &self.machine {
            Machine::Vmx(vcpu) => vcpu.state(),
            Machine::Svm(vcpu) => vcpu.state(),
        }
    }

    /// Begin elsewhere: general registers stay.
    pub fn set_state(&mut self, state: &GuestState) -> Result<(), HvError> {
        self.pending = false;
        match &mut self.machine {
            Machine::Vmx(vcpu) => vcpu.set_state(state)?,
            Machine::Svm(vcpu) => vcpu.set_state(state),
        }
        Ok(())
    }

    /// Let the next run deliver an exception, where RIP is.
    pub fn inject_exception(&mut self, vector: u8, error_code: u32) -> Result<(), HvError> {
        self.pending = false;
        match &mut self.machine {
            Machine::Vmx(vcpu) => vcpu.inject_exception(vector, error_code)?,
            Machine::Svm(vcpu) => vcpu.inject_exception(vector, error_code)?,
        }
        Ok(())
    }

    /// The last exit in words.
    pub fn exit_text(&self) -> alloc::string::String {
        match &self.machine {
            Machine::Vmx(vcpu) => vcpu.exit_text(),
            Machine::Svm(vcpu) => vcpu.exit_text(),
        }
    }

    /// The VM that it belongs to.
    pub fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }
}

impl Common {
    /// CPUID as the guest sees it: the host's, less virtualization, and with the guest's own number. What the guest's CR4
    /// decides follows it.
    pub fn cpuid(&self, leaf: u32, subleaf: u32, cr4: u64) -> [u32; 4] {
        let mut out = guest_cpuid(leaf, subleaf, self.cpu.cpuid(leaf, subleaf), cr4);

        if leaf == 1 {
            out[1] = out[1] & 0x00ff_ffff | self.identity << 24;
            out[2] |= 1 << 31; // there is a hypervisor
        }
        out
    }

    /// Answer CPUID into the registers, but for EAX, which comes back.
    pub fn answer_cpuid(&mut self, [eax, ebx, ecx, edx]: [u32; 4]) -> u64 {
        self.regs.set(Gpr::Rbx, u64::from(ebx));
        self.regs.set(Gpr::Rcx, u64::from(ecx));
        self.regs.set(Gpr::Rdx, u64::from(edx));
        u64::from(eax)
    }
}
