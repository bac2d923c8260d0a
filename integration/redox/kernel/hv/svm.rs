//! A virtual CPU on SVM.

use alloc::{format, string::String};

use hvpt_redox::{
    svm::{exit, field, Asid, AsidPool, AsidUse, EventKind, PermissionMaps, SvmCaps, SvmOn, Vmcb},
    ControlError, Gpr, GuestState, PAT_RESET,
};

use super::{
    error::HvError,
    exit::Exit,
    frames::KernelFrames,
    tlb::Tlb,
    vcpu::{Common, Step},
};

/// TLB_CONTROL. APM vol. 2, "TLB Control".
const FLUSH_NOTHING: u8 = 0;
const FLUSH_ALL: u8 = 1;
const V_INTR_MASKING: u64 = 1 << 24;

pub(super) struct SvmCpu {
    vmcb: Vmcb<KernelFrames>,
    _maps: PermissionMaps<KernelFrames>,
    caps: SvmCaps,
    asid: Asid,
    /// State that VMRUN has not seen yet.
    unproven: bool,
}

/// What every guest needs: VMRUN demands the first; the rest would give the guest more than a CPU of its own, or must
/// reach the host.
const INTERCEPTS: [hvpt_redox::svm::ExitCode; 19] = [
    exit::VMRUN,
    exit::VMMCALL,
    exit::VMLOAD,
    exit::VMSAVE,
    exit::STGI,
    exit::CLGI,
    exit::SKINIT,
    exit::INVLPGA,
    exit::INTR,
    exit::NMI,
    exit::SMI,
    exit::INIT,
    exit::CPUID,
    exit::HLT,
    exit::IOIO,
    exit::MSR,
    exit::SHUTDOWN,
    exit::XSETBV,
    exit::INVD,
];

impl SvmCpu {
    pub fn new(
        on: &SvmOn<KernelFrames>,
        frames: KernelFrames,
        n_cr3: u64,
        start: &GuestState,
    ) -> Result<Self, HvError> {
        let caps = on.caps().clone();
        let mut vmcb = Vmcb::new(frames.clone(), &caps)?;
        let maps = PermissionMaps::new(frames).ok_or(HvError::OutOfMemory)?;

        for code in INTERCEPTS {
            vmcb.intercept(code, true)?;
        }
        vmcb.set(field::INTERCEPT_DR_READ, 0xffff_u16);
        vmcb.set(field::INTERCEPT_DR_WRITE, 0xffff_u16);
        vmcb.set(field::VIRTUAL_INTERRUPT_CONTROL, V_INTR_MASKING);
        maps.install(&mut vmcb);
        vmcb.set_guest(start);
        vmcb.set_nested_paging(n_cr3, PAT_RESET);
        Ok(Self { vmcb, _maps: maps, caps, asid: Asid::default(), unproven: true })
    }

    /// The run loop. Interrupts are off and the CPU stays this one.
    pub fn run(
        &mut self,
        on: &SvmOn<KernelFrames>,
        asids: &mut AsidPool,
        common: &mut Common,
        tlb: &Tlb,
    ) -> Result<Exit, HvError> {
        let (cpu, here) = (common.cpu, crate::cpu_id());
        let host = on.host_state().ok_or(HvError::NoVirtualization)?;

        loop {
            let moved = common.seen.map_or(true, |(last, _)| last != here);
            if tlb.enter(here, &mut common.seen) {
                self.asid.forget(); // a fresh ASID has nothing cached under it
            }
            if moved {
                self.vmcb.touch_all(); // what another CPU has cached of the VMCB is worth nothing here
            }
            let (asid, what) = asids.take(&mut self.asid);
            if self.vmcb.get(field::GUEST_ASID) != asid {
                self.vmcb.set(field::GUEST_ASID, asid);
            }
            self.vmcb.set(field::TLB_CONTROL, if what == AsidUse::FlushAll { FLUSH_ALL } else { FLUSH_NOTHING });
            // VMEXIT_INVALID may overwrite the save area, so afterwards a report would come too late.
            if self.unproven {
                let report = self.vmcb.check(&self.caps);
                if !report.is_clean() {
                    tlb.leave(here);
                    error!("VMRUN would refuse this VMCB:\n{}", report);
                    return Err(HvError::InvalidVmcb);
                }
                self.unproven = false;
            }
            // SAFETY: interrupts are off; intercepts are what new() made them, and the nested tables name memory of the
            // guest alone. Interrupts of the host end the guest: the flag is set while it runs, and INTR is intercepted.
            let code = unsafe { self.vmcb.run(cpu, &mut common.regs, host, true) };
            tlb.leave(here);
            if code.is_invalid() {
                return Err(HvError::InvalidVmcb);
            }
            match self.handle(common)? {
                Step::Again => continue,
                Step::Leave(exit) => return Ok(exit),
            }
        }
    }

    fn handle(&mut self, common: &mut Common) -> Result<Step, HvError> {
        let code = self.vmcb.exit_code();
        let info = self.vmcb.get(field::EXITINFO1);

        self.vmcb.redeliver();
        let leave = match code {
            exit::CPUID => {
                let (leaf, subleaf) = (self.rax() as u32, common.regs.get(Gpr::Rcx) as u32);
                let id = common.cpuid(leaf, subleaf, self.vmcb.get(field::CR4));
                let eax = common.answer_cpuid(id);
                self.set_rax(eax);
                self.advance()?;
                return Ok(Step::Again);
            }
            exit::MSR => {
                let (msr, write) = (common.regs.get(Gpr::Rcx) as u32, info & 1 != 0);
                let kept = match msr {
                    0xc000_0081 => field::STAR,
                    0xc000_0082 => field::LSTAR,
                    0xc000_0083 => field::CSTAR,
                    0xc000_0084 => field::SFMASK,
                    0xc000_0102 => field::KERNEL_GS_BASE,
                    _ => return Ok(Step::Leave(Exit::Msr { msr, write })),
                };
                if write {
                    let value = common.regs.get(Gpr::Rdx) << 32 | self.rax() & 0xffff_ffff;
                    self.vmcb.set(kept, value);
                } else {
                    let value = self.vmcb.get(kept);
                    self.set_rax(value & 0xffff_ffff);
                    common.regs.set(Gpr::Rdx, value >> 32);
                }
                self.advance()?;
                return Ok(Step::Again);
            }
            exit::HLT => {
                self.advance()?;
                Exit::Halt
            }
            exit::VMMCALL => {
                self.advance()?;
                Exit::Hypercall
            }
            exit::IOIO => Exit::Port(self.vmcb.port()),
            exit::NPF => {
                let fault = self.vmcb.nested_fault();
                if fault.reserved {
                    Exit::Misconfigured { gpa: fault.gpa }
                } else {
                    let read = !fault.write && !fault.fetch;
                    Exit::Memory { gpa: fault.gpa, read, write: fault.write, fetch: fault.fetch }
                }
            }
            exit::SHUTDOWN => Exit::Shutdown,
            // They wait behind the global interrupt flag, and are taken as soon as the caller lets them in.
            exit::INTR | exit::NMI | exit::SMI | exit::INIT => Exit::Interrupted,
            other => Exit::Other { code: other.number(), info },
        };
        Ok(Step::Leave(leave))
    }

    /// Behind the instruction that exited.
    pub fn advance(&mut self) -> Result<(), ControlError> {
        self.vmcb.advance(&self.caps)
    }

    pub fn rax(&self) -> u64 {
        self.vmcb.get(field::RAX)
    }

    pub fn set_rax(&mut self, value: u64) {
        self.vmcb.set(field::RAX, value);
    }

    pub fn rsp(&self) -> u64 {
        self.vmcb.get(field::RSP)
    }

    pub fn set_rsp(&mut self, value: u64) {
        self.vmcb.set(field::RSP, value);
    }

    pub fn state(&self) -> GuestState {
        self.vmcb.guest()
    }

    pub fn set_state(&mut self, state: &GuestState) {
        self.vmcb.set_guest(state);
        self.unproven = true;
    }

    pub fn inject_exception(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError> {
        self.vmcb.inject(EventKind::Exception, vector, error_code)
    }

    pub fn exit_text(&self) -> String {
        format!("{}", self.vmcb.exit_text(&self.caps))
    }
}
