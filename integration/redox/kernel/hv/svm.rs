//! A virtual CPU on SVM.

use alloc::{format, string::String};

use hvpt::{
    insn::CodeSize,
    svm::{
        exit, field, Asid, AsidPool, AsidUse, EventKind, ExitCode, PermissionMaps, SvmCaps, SvmOn,
        Vmcb,
    },
    vmx, ControlError, GuestState, PAT_RESET,
};

use super::{
    answer::answer,
    error::HvError,
    exit::Exit,
    frames::KernelFrames,
    machine::{after, Machine, Raw, Word},
    vcpu::{Common, Step},
    vm::Vm,
};
use crate::{memory::PhysicalAddress, sync::CleanLockToken};

/// TLB_CONTROL. APM vol. 2, "TLB Control".
const FLUSH_NOTHING: u8 = 0;
const FLUSH_ALL: u8 = 1;
/// APM vol. 2, "Virtual Interrupts": V_IRQ, V_INTR_PRIO, V_IGN_TPR.
const V_IRQ: u64 = 1 << 8;
const V_WINDOW: u64 = V_IRQ | 15 << 16 | 1 << 20;
const V_INTR_MASKING: u64 = 1 << 24;
const SHADOW: u64 = 1;
const RFLAGS_TF: u64 = 1 << 8;
const RFLAGS_IF: u64 = 1 << 9;
const EFER_SVME: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;
const DR6_BS: u64 = 1 << 14;

/// MSRs that the guest uses without an exit: VMRUN, VMLOAD and VMSAVE switch them, and the CPU checks them.
const DIRECT_MSRS: [u32; 10] = [
    0x174,
    0x175,
    0x176,
    0xc000_0081,
    0xc000_0082,
    0xc000_0083,
    0xc000_0084,
    0xc000_0100,
    0xc000_0101,
    0xc000_0102,
];

pub(super) struct SvmCpu {
    pub state: SvmState,
    maps: PermissionMaps<KernelFrames>,
    asid: Asid,
}

/// What there is of it between an exit and the next entry.
pub(super) struct SvmState {
    vmcb: Vmcb<KernelFrames>,
    caps: SvmCaps,
    cpu: &'static dyn hvpt::cpu::Cpu,
    /// State that VMRUN has not seen yet.
    unproven: bool,
    /// What the guest's TLB has may be wrong.
    flush: bool,
    nmi_blocked: bool,
    /// The guest executes one instruction with TF set, for what comes behind it.
    stepping: Option<Step1>,
    tsc_aux: u64,
    has_tsc_aux: bool,
    live: bool,
}

/// One instruction of the guest under TF.
#[derive(Clone, Copy, Debug)]
struct Step1 {
    rip: u64,
    /// The guest's own.
    trap_flag: bool,
    dr6: u64,
    /// An IRET that ends a handler of NMIs. It sets TF by itself.
    iret: bool,
}

/// What every guest needs: VMRUN demands the first; the rest would give the guest more than a CPU of its own, or must
/// reach the host.
const INTERCEPTS: [ExitCode; 25] = [
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
    exit::RDPMC,
    exit::MONITOR,
    exit::MWAIT,
    exit::EXCP_DB,
    exit::EXCP_AC,
    exit::EXCP_MC,
];
const TSC_AUX: u32 = 0xc000_0103;

impl SvmCpu {
    pub fn new(
        on: &SvmOn<KernelFrames>,
        frames: KernelFrames,
        n_cr3: u64,
        common: &Common,
    ) -> Result<Self, HvError> {
        let caps = on.caps().clone();
        let mut vmcb = Vmcb::new(frames.clone(), &caps)?;
        let mut maps = PermissionMaps::new(frames).ok_or(HvError::OutOfMemory)?;

        for code in INTERCEPTS {
            vmcb.intercept(code, true)?;
        }
        for msr in DIRECT_MSRS {
            maps.set_msr(msr, true, true, false)?;
        }
        vmcb.set(field::INTERCEPT_DR_READ, 0xffff_u16);
        vmcb.set(field::INTERCEPT_DR_WRITE, 0xffff_u16);
        vmcb.set(field::VIRTUAL_INTERRUPT_CONTROL, V_INTR_MASKING);
        maps.install(&mut vmcb);
        vmcb.set_nested_paging(n_cr3, PAT_RESET);
        let state = SvmState {
            vmcb,
            caps,
            cpu: common.cpu,
            unproven: true,
            flush: false,
            nmi_blocked: false,
            stepping: None,
            tsc_aux: 0,
            has_tsc_aux: common.has_tsc_aux,
            live: false,
        };

        Ok(Self {
            state,
            maps,
            asid: Asid::default(),
        })
    }

    /// The run loop. Interrupts are off and the CPU stays this one.
    pub fn run(
        &mut self,
        on: &SvmOn<KernelFrames>,
        asids: &mut AsidPool,
        common: &mut Common,
        vm: &Vm,
        token: &mut CleanLockToken,
    ) -> Result<Exit, HvError> {
        let state = &mut self.state;
        let (cpu, here, tlb) = (common.cpu, crate::cpu_id(), vm.tlb());
        let host = on.host_state().ok_or(HvError::NoVirtualization)?;
        let host_aux = state.aux_in();

        self.maps.install(&mut state.vmcb);
        let result = loop {
            if common.want_nmi && state.can_nmi() {
                common.want_nmi = false;
                break Ok(Exit::NmiWindow);
            }
            let moved = common.seen.map_or(true, |(last, _)| last != here);
            let stale = tlb.enter(here, &mut common.seen);
            if core::mem::take(&mut state.flush) || stale {
                self.asid.forget(); // a fresh ASID has nothing cached under it
            }
            if moved {
                state.vmcb.touch_all(); // what another CPU has cached of the VMCB is worth nothing here
            }
            let (asid, what) = asids.take(&mut self.asid);
            if state.vmcb.get(field::GUEST_ASID) != asid {
                state.vmcb.set(field::GUEST_ASID, asid);
            }
            let flush = if what == AsidUse::FlushAll {
                FLUSH_ALL
            } else {
                FLUSH_NOTHING
            };
            state.vmcb.set(field::TLB_CONTROL, flush);
            if let Err(error) = state.arm(common) {
                tlb.leave(here);
                break Err(error);
            }
            common.mitigations.enter(cpu);
            // SAFETY: interrupts are off; intercepts are what new() made them, and the nested tables name memory of the
            // guest alone. Interrupts of the host end the guest: the flag is set while it runs, and INTR is intercepted.
            let code = unsafe { state.vmcb.run(cpu, &mut common.regs, host, true) };
            tlb.leave(here);
            if code.is_invalid() {
                break Err(HvError::InvalidVmcb);
            }
            common.delivered();
            let raw = match state.look() {
                Ok(raw) => raw,
                Err(error) => break Err(error),
            };
            match answer(raw, state, common, vm, token) {
                Ok(Step::Again) => continue,
                Ok(Step::Leave(exit)) => break Ok(exit),
                Err(error) => break Err(error),
            }
        };
        state.aux_out(host_aux);
        result
    }
}

impl SvmState {
    fn aux_in(&mut self) -> u64 {
        self.live = true;
        if !self.has_tsc_aux {
            return 0;
        }
        let host = self.cpu.rdmsr(TSC_AUX).unwrap_or(0);
        if host != self.tsc_aux {
            self.cpu.wrmsr(TSC_AUX, self.tsc_aux);
        }
        host
    }

    fn aux_out(&mut self, host: u64) {
        self.live = false;
        if self.has_tsc_aux && host != self.tsc_aux {
            self.cpu.wrmsr(TSC_AUX, host);
        }
    }

    /// Before an entry: windows that are wanted, and the rules of VMRUN for a state that the caller gave.
    fn arm(&mut self, common: &Common) -> Result<(), HvError> {
        // No exit tells when an NMI can be taken. Behind STI an interrupt can be at the same time, so the window of those
        // tells; behind MOV SS with interrupts off, a step does. (An event that waits is delivered with this entry: the
        // next exit of whatever kind finds the window.)
        let held = common.want_nmi
            && !self.nmi_blocked
            && self.vmcb.get(field::INTERRUPT_STATE) & SHADOW != 0
            && self.event().is_none();
        let enabled = self.vmcb.get(field::RFLAGS) & RFLAGS_IF != 0;
        if held && !enabled && self.stepping.is_none() {
            self.step(false);
        }
        let window = common.want_interrupt || held && enabled;
        let control = self.vmcb.get(field::VIRTUAL_INTERRUPT_CONTROL);
        let wanted = if window {
            control & !V_WINDOW | V_WINDOW
        } else {
            control & !V_WINDOW
        };

        if wanted != control {
            self.vmcb.set(field::VIRTUAL_INTERRUPT_CONTROL, wanted);
            self.vmcb.intercept(exit::VINTR, window)?;
        }
        let own_cr4 = common.cr4_allowed() != common.cr4_cpu;
        if self.vmcb.intercepts(exit::CR4_WRITE) != own_cr4 {
            self.vmcb.intercept(exit::CR4_WRITE, own_cr4)?;
        }
        let watch = self.nmi_blocked && self.stepping.is_none();
        if self.vmcb.intercepts(exit::IRET) != watch {
            self.vmcb.intercept(exit::IRET, watch)?;
        }
        // VMEXIT_INVALID may overwrite the save area, so afterwards a report would come too late.
        if self.unproven {
            let report = self.vmcb.check(&self.caps);
            if !report.is_clean() {
                error!("VMRUN would refuse this VMCB:\n{}", report);
                return Err(HvError::InvalidVmcb);
            }
            self.unproven = false;
        }
        Ok(())
    }

    /// What an exit was about. The event that it interrupted waits for the next entry.
    fn look(&mut self) -> Result<Raw, HvError> {
        let code = self.vmcb.exit_code();
        let info = self.vmcb.get(field::EXITINFO1);

        self.vmcb.redeliver();
        if let Some(step) = self.stepping {
            if let Some(raw) = self.stepped(step, code) {
                return Ok(raw);
            }
        }
        Ok(match code {
            exit::CPUID => Raw::Cpuid,
            exit::MSR => Raw::Msr {
                write: info & 1 != 0,
            },
            exit::HLT => Raw::Halt,
            exit::VMMCALL => Raw::Hypercall,
            exit::IOIO => Raw::Port(self.vmcb.port()),
            exit::NPF => {
                let fault = self.vmcb.nested_fault();
                let gpa = PhysicalAddress::new(fault.gpa as usize);
                if fault.reserved {
                    Raw::Misconfigured(gpa)
                } else {
                    Raw::Memory {
                        gpa,
                        read: !fault.write && !fault.fetch,
                        write: fault.write,
                        fetch: fault.fetch,
                    }
                }
            }
            exit::SHUTDOWN => Raw::Shutdown,
            // They wait behind the global interrupt flag, and are taken as soon as the caller lets them in.
            exit::INTR | exit::NMI | exit::SMI | exit::INIT => Raw::Interrupt,
            exit::VINTR => Raw::InterruptWindow,
            exit::IRET => self.unblock_after_iret(),
            exit::XSETBV => Raw::Xsetbv,
            exit::CR4_WRITE => Raw::ControlMove {
                number: 4,
                gpr: None,
                write: true,
            },
            // VMEXIT saves DR6 and DR7 as the handler is to see them. APM vol. 2, "#DB - Debug Exception".
            exit::EXCP_DB => Raw::Debug { bits: None },
            exit::EXCP_AC => Raw::Exception {
                vector: 17,
                error_code: info as u32,
            },
            exit::EXCP_MC => Raw::MachineCheck,
            exit::INVD => Raw::Nothing,
            exit::RDPMC => Raw::Forbidden,
            exit::VMRUN
            | exit::VMLOAD
            | exit::VMSAVE
            | exit::STGI
            | exit::CLGI
            | exit::SKINIT
            | exit::INVLPGA
            | exit::MONITOR
            | exit::MWAIT => Raw::Undefined,
            other => Self::debug_move(other).unwrap_or(Raw::Other {
                code: other.number(),
                info,
            }),
        })
    }

    /// APM vol. 2, appendix C: 20H to 2FH reads of debug registers, 30H to 3FH writes.
    fn debug_move(code: ExitCode) -> Option<Raw> {
        let read = exit::DR0_READ.number();
        let number = code.number().checked_sub(read)?;

        if number >= 32 {
            return None;
        }
        Some(Raw::DebugMove {
            number: (number & 15) as u8,
            gpr: None,
            write: number >= 16,
        })
    }

    /// The guest is about to end its NMI handler. Without virtual NMIs the CPU does not tell when it has: TF does.
    /// APM vol. 2, "NMI Support".
    fn unblock_after_iret(&mut self) -> Raw {
        self.step(true);
        Raw::Settled
    }

    /// One instruction, and #DB behind it. Flags that the instruction itself saves have TF.
    fn step(&mut self, iret: bool) {
        let flags = self.vmcb.get(field::RFLAGS);

        self.stepping = Some(Step1 {
            rip: self.vmcb.get(field::RIP),
            trap_flag: flags & RFLAGS_TF != 0,
            dr6: self.vmcb.get(field::DR6),
            iret,
        });
        self.vmcb.set(field::RFLAGS, flags | RFLAGS_TF);
    }

    /// An exit while an instruction was under TF. `Some`: that was all.
    fn stepped(&mut self, step: Step1, code: ExitCode) -> Option<Raw> {
        let flags = self.vmcb.get(field::RFLAGS);
        let dr6 = self.vmcb.get(field::DR6);
        // a jump to itself has been executed as well
        let trapped = code == exit::EXCP_DB && dr6 & DR6_BS != 0;
        let executed = trapped || self.vmcb.get(field::RIP) != step.rip;

        let guests_own = step.trap_flag || step.iret && executed;

        self.stepping = None;
        if !guests_own {
            self.vmcb.set(field::RFLAGS, flags & !RFLAGS_TF);
        }
        if !executed {
            return None; // as it was, and once more
        }
        self.nmi_blocked = false;
        if code != exit::EXCP_DB || step.trap_flag {
            return None;
        }
        if dr6 & 15 != 0 {
            self.vmcb.set(field::DR6, dr6 & !DR6_BS | step.dr6 & DR6_BS);
            return None; // a breakpoint of the guest's as well
        }
        self.vmcb.set(field::DR6, step.dr6);
        Some(Raw::Settled)
    }

    pub fn guest(&self) -> GuestState {
        self.vmcb.guest()
    }

    pub fn set_guest(&mut self, state: &GuestState) -> Result<(), ControlError> {
        self.unproven = true;
        self.flush = true;
        match self.vmcb.set_guest(state) {
            // what it does not know, or that it halts: both are seen to by the caller of this
            Ok(()) | Err(ControlError::State) | Err(ControlError::Mode) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn event(&self) -> Option<vmx::Event> {
        let event = self.vmcb.get(field::EVENTINJ);

        vmx::Event::of(event as u32, (event >> 32) as u32, 0)
    }

    pub fn set_event(&mut self, event: Option<vmx::Event>) -> Result<(), ControlError> {
        let event = match event {
            Some(event) => event,
            None => {
                self.vmcb.set(field::EVENTINJ, 0_u64);
                return Ok(());
            }
        };
        let kind = match event.kind {
            vmx::EventKind::ExternalInterrupt => EventKind::Interrupt,
            vmx::EventKind::Nmi => EventKind::Nmi,
            vmx::EventKind::SoftwareInterrupt => EventKind::SoftwareInterrupt,
            _ => EventKind::Exception,
        };
        self.vmcb.inject(kind, event.vector, event.error_code)?;
        if kind == EventKind::Nmi {
            self.nmi_blocked = true;
        }
        Ok(())
    }

    pub fn can_interrupt(&self) -> bool {
        self.vmcb.get(field::RFLAGS) & RFLAGS_IF != 0
            && self.vmcb.get(field::INTERRUPT_STATE) & SHADOW == 0
            && self.event().is_none()
            && self.stepping.is_none()
    }

    pub fn can_nmi(&self) -> bool {
        !self.nmi_blocked
            && self.vmcb.get(field::INTERRUPT_STATE) & SHADOW == 0
            && self.event().is_none()
    }

    pub fn nmi_blocked(&self) -> bool {
        self.nmi_blocked
    }

    pub fn set_nmi_blocked(&mut self, blocked: bool) {
        self.nmi_blocked = blocked;
    }

    /// The bytes that the CPU fetched of an instruction that met a nested fault.
    pub fn fetched(&self) -> ([u8; 15], usize) {
        match self.vmcb.exit_code() {
            exit::NPF => self.vmcb.fetched(),
            _ => ([0; 15], 0),
        }
    }

    pub fn exit_text(&self) -> String {
        format!("{}", self.vmcb.exit_text(&self.caps))
    }
}

impl Machine for SvmState {
    fn word(&self, word: Word) -> u64 {
        let vmcb = &self.vmcb;

        match word {
            Word::Rax => vmcb.get(field::RAX),
            Word::Rsp => vmcb.get(field::RSP),
            Word::Rip => vmcb.get(field::RIP),
            Word::Rflags => vmcb.get(field::RFLAGS),
            Word::Cr0 => vmcb.get(field::CR0),
            Word::Cr3 => vmcb.get(field::CR3),
            Word::Cr4 => vmcb.get(field::CR4),
            Word::Efer => vmcb.get(field::EFER) & !EFER_SVME,
            Word::Pat => vmcb.get(field::G_PAT),
            Word::SysenterCs => vmcb.get(field::SYSENTER_CS),
            Word::SysenterEsp => vmcb.get(field::SYSENTER_ESP),
            Word::SysenterEip => vmcb.get(field::SYSENTER_EIP),
            Word::FsBase => vmcb.get(field::FS).base,
            Word::GsBase => vmcb.get(field::GS).base,
            Word::KernelGsBase => vmcb.get(field::KERNEL_GS_BASE),
            Word::Star => vmcb.get(field::STAR),
            Word::Lstar => vmcb.get(field::LSTAR),
            Word::Cstar => vmcb.get(field::CSTAR),
            Word::Sfmask => vmcb.get(field::SFMASK),
            Word::TscAux => self.tsc_aux,
            Word::TscOffset => vmcb.get(field::TSC_OFFSET),
            Word::Dr6 => vmcb.get(field::DR6),
            Word::Dr7 => vmcb.get(field::DR7),
        }
    }

    fn set_word(&mut self, word: Word, value: u64) -> Result<(), HvError> {
        let vmcb = &mut self.vmcb;

        match word {
            Word::Rax => vmcb.set(field::RAX, value),
            Word::Rsp => vmcb.set(field::RSP, value),
            Word::Rip => vmcb.set(field::RIP, value),
            Word::Rflags => vmcb.set(field::RFLAGS, value),
            Word::Cr0 => return Err(HvError::Invalid),
            Word::Cr3 => vmcb.set(field::CR3, value),
            Word::Cr4 => vmcb.set(field::CR4, value),
            Word::Efer => vmcb.set(field::EFER, value | EFER_SVME),
            Word::Pat => vmcb.set(field::G_PAT, value),
            Word::SysenterCs => vmcb.set(field::SYSENTER_CS, value),
            Word::SysenterEsp => vmcb.set(field::SYSENTER_ESP, value),
            Word::SysenterEip => vmcb.set(field::SYSENTER_EIP, value),
            Word::FsBase => {
                let mut segment = vmcb.get(field::FS);
                segment.base = value;
                vmcb.set(field::FS, segment);
            }
            Word::GsBase => {
                let mut segment = vmcb.get(field::GS);
                segment.base = value;
                vmcb.set(field::GS, segment);
            }
            Word::KernelGsBase => vmcb.set(field::KERNEL_GS_BASE, value),
            Word::Star => vmcb.set(field::STAR, value),
            Word::Lstar => vmcb.set(field::LSTAR, value),
            Word::Cstar => vmcb.set(field::CSTAR, value),
            Word::Sfmask => vmcb.set(field::SFMASK, value),
            Word::TscAux => {
                self.tsc_aux = value;
                if self.live && self.has_tsc_aux {
                    self.cpu.wrmsr(TSC_AUX, value);
                }
            }
            Word::TscOffset => vmcb.set(field::TSC_OFFSET, value),
            Word::Dr6 => vmcb.set(field::DR6, value),
            Word::Dr7 => vmcb.set(field::DR7, value),
        }
        Ok(())
    }

    fn code_size(&self) -> CodeSize {
        let attributes = self.vmcb.get(field::CS).attributes;
        let long = self.vmcb.get(field::EFER) & EFER_LMA != 0;

        match (long && attributes & 1 << 9 != 0, attributes & 1 << 10 != 0) {
            (true, _) => CodeSize::Bits64,
            (false, true) => CodeSize::Bits32,
            (false, false) => CodeSize::Bits16,
        }
    }

    fn user_mode(&self) -> bool {
        self.vmcb.get(field::CPL) == 3
    }

    fn code_base(&self) -> u64 {
        match self.code_size() {
            CodeSize::Bits64 => 0,
            _ => self.vmcb.get(field::CS).base,
        }
    }

    fn pdptes(&self) -> [u64; 4] {
        [0; 4]
    }

    fn length(&self) -> u8 {
        let (rip, next) = (self.vmcb.get(field::RIP), self.vmcb.get(field::NRIP));
        let after = match self.vmcb.exit_code() {
            exit::IOIO => self.vmcb.get(field::EXITINFO2),
            exit::NPF => return 0,
            _ => next,
        };

        match after.wrapping_sub(rip) {
            length @ 1..=15 if after != 0 => length as u8,
            _ => 0,
        }
    }

    fn advance(&mut self) -> Result<(), ControlError> {
        self.vmcb.advance(&self.caps)
    }

    fn skip(&mut self, length: u8) -> Result<(), HvError> {
        let rip = after(self, length);
        let state = self.vmcb.get(field::INTERRUPT_STATE);

        self.vmcb.set(field::RIP, rip);
        self.vmcb.set(field::INTERRUPT_STATE, state & !SHADOW);
        Ok(())
    }

    fn raise(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError> {
        self.vmcb.inject_nested(vector, error_code)
    }

    fn set_cr0(&mut self, _: u64) -> Result<(), ControlError> {
        Err(ControlError::Mode) // CR0 is the guest's own on SVM
    }

    fn set_pdptes(&mut self, _: [u64; 4]) -> Result<(), ControlError> {
        Ok(()) // with nested paging they are read from memory
    }

    fn flush_own(&mut self) {
        self.flush = true;
    }

    fn has_rax(&self) -> bool {
        true
    }
}
