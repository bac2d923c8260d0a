//! A virtual CPU on VMX.

use alloc::{format, string::String};

use hvpt::{
    cpu::Cpu,
    insn::{gpr, CodeSize},
    vmx::{
        control, field, reason, solve, Control, Controls, CrAccess, CurrentVmcs, Event, EventKind,
        FieldTypes, MsrBitmap, Reason, VmcsImage, VmcsRegion, VmxCaps, VmxOn,
    },
    ControlError, GuestRegs, GuestState, Register,
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

/// STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, TSC_AUX: the VMCS does not hold them, and SWAPGS changes the last but one
/// without an exit.
const SWITCHED_MSRS: [(u32, Word); 6] = [
    (0xc000_0081, Word::Star),
    (0xc000_0082, Word::Lstar),
    (0xc000_0083, Word::Cstar),
    (0xc000_0084, Word::Sfmask),
    (0xc000_0102, Word::KernelGsBase),
    (0xc000_0103, Word::TscAux),
];
const TSC_AUX: u32 = 0xc000_0103;

/// MSRs that the guest uses without an exit, and the CPU checks: those above, and those that the VMCS holds. SDM vol. 3,
/// "MSR-Bitmap Address".
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

const DB: u32 = 1;
const AC: u32 = 17;
const MC: u32 = 18;
const BLOCKED_STI: u32 = 1;
const BLOCKED_SHADOW: u32 = 3;
const BLOCKED_NMI: u32 = 8;
const INTERRUPT_WINDOW: u32 = 1 << 2;
const NMI_WINDOW: u32 = 1 << 22;
const RFLAGS_TF: u64 = 1 << 8;
const RFLAGS_IF: u64 = 1 << 9;
const PENDING_BS: u64 = 1 << 14;
const EFER_LMA: u64 = 1 << 10;

pub(super) struct VmxCpu {
    region: VmcsRegion<KernelFrames>,
    bitmap: Option<MsrBitmap<KernelFrames>>,
    pub state: VmxState,
}

/// What there is of it between an exit and the next entry.
pub(super) struct VmxState {
    image: VmcsImage,
    caps: VmxCaps,
    cpu: &'static dyn Cpu,
    msrs: [u64; SWITCHED_MSRS.len()],
    dr6: u64,
    /// The MSRs are in the CPU, and not in the array.
    live: bool,
    has_tsc_aux: bool,
}

/// What every guest needs. Ports and debug registers exit. CR8 would be the host's own, without a TPR shadow.
const NEEDED: [Control; 22] = [
    control::PIN_EXTERNAL_INTERRUPT_EXITING,
    control::PIN_NMI_EXITING,
    control::PIN_VIRTUAL_NMIS,
    control::PRIMARY_HLT_EXITING,
    control::PRIMARY_UNCONDITIONAL_IO_EXITING,
    control::PRIMARY_MOV_DR_EXITING,
    control::PRIMARY_CR8_LOAD_EXITING,
    control::PRIMARY_CR8_STORE_EXITING,
    control::PRIMARY_MWAIT_EXITING,
    control::PRIMARY_MONITOR_EXITING,
    control::PRIMARY_RDPMC_EXITING,
    control::PRIMARY_USE_TSC_OFFSETTING,
    control::SECONDARY_ENABLE_EPT,
    control::SECONDARY_UNRESTRICTED_GUEST,
    control::EXIT_HOST_ADDRESS_SPACE_SIZE,
    control::EXIT_SAVE_DEBUG_CONTROLS,
    control::EXIT_SAVE_IA32_EFER,
    control::EXIT_LOAD_IA32_EFER,
    control::ENTRY_LOAD_DEBUG_CONTROLS,
    control::ENTRY_LOAD_IA32_EFER,
    control::EXIT_LOAD_IA32_PAT,
    control::ENTRY_LOAD_IA32_PAT,
];

/// Instructions that raise #UD in the guest without their control, and what CPUID says of them: leaf, subleaf where there
/// are any, register, bit. SDM vol. 3, "Definitions of Secondary Processor-Based VM-Execution Controls".
type Told = (u32, Option<u32>, usize, u32);
const WANTED: [(Control, &[Told]); 6] = [
    // RDTSCP and RDPID
    (
        control::SECONDARY_ENABLE_RDTSCP,
        &[(0x8000_0001, None, EDX, 27), (7, Some(0), ECX, 22)],
    ),
    (control::SECONDARY_ENABLE_INVPCID, &[(7, Some(0), EBX, 10)]),
    (
        control::SECONDARY_ENABLE_XSAVES_XRSTORS,
        &[(0xd, Some(1), EAX, 3)],
    ),
    // TPAUSE, UMONITOR, UMWAIT
    (
        control::SECONDARY_ENABLE_USER_WAIT_AND_PAUSE,
        &[(7, Some(0), ECX, 5)],
    ),
    (control::PRIMARY_USE_MSR_BITMAPS, &[]),
    (control::EXIT_SAVE_IA32_PAT, &[]),
];
const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

impl VmxCpu {
    pub fn new(
        on: &VmxOn<KernelFrames>,
        frames: KernelFrames,
        eptp: u64,
        common: &mut Common,
    ) -> Result<Self, HvError> {
        let caps = on.caps().clone();
        let wanted = WANTED.map(|(control, _)| control);
        let needed = Controls::of(&NEEDED);
        let solution = solve(needed, Controls::of(&wanted), &caps).map_err(|problems| {
            error!("VMX: {}", problems);
            HvError::Missing
        })?;
        let region = VmcsRegion::new(frames.clone(), &caps)?;
        let mut image = VmcsImage::new(&caps);

        image.touch_all(); // a new VMCS holds nothing
        image.set_controls(&solution.controls)?;
        image.write(field::EPT_POINTER, eptp)?;
        image.write(field::EXCEPTION_BITMAP, 1 << DB | 1 << AC | 1 << MC)?;
        let bitmap = if image.control_on(control::PRIMARY_USE_MSR_BITMAPS) {
            let mut map = MsrBitmap::new(frames).ok_or(HvError::OutOfMemory)?;
            for msr in DIRECT_MSRS {
                map.set(msr, true, true, false)?;
            }
            image.write(field::ADDRESS_OF_MSR_BITMAPS, map.base().data() as u64)?;
            Some(map)
        } else {
            None
        };
        common.cr4_cpu &= caps.cr4_fixed1();
        // What the guest's controls do not let it use, CPUID does not promise.
        for (control, told) in WANTED {
            if !image.control_on(control) {
                common.missing.extend_from_slice(told);
            }
        }
        let has_tsc_aux = image.control_on(control::SECONDARY_ENABLE_RDTSCP) && common.has_tsc_aux;
        common.has_tsc_aux = has_tsc_aux;
        let state = VmxState {
            image,
            caps,
            cpu: common.cpu,
            msrs: [0; SWITCHED_MSRS.len()],
            dr6: 0xffff_0ff0,
            live: false,
            has_tsc_aux,
        };

        Ok(Self {
            region,
            bitmap,
            state,
        })
    }

    /// The run loop. Interrupts are off and the CPU stays this one.
    pub fn run(
        &mut self,
        on: &VmxOn<KernelFrames>,
        common: &mut Common,
        vm: &Vm,
        token: &mut CleanLockToken,
    ) -> Result<Exit, HvError> {
        let state = &mut self.state;
        let (cpu, here, tlb) = (common.cpu, crate::cpu_id(), vm.tlb());

        debug_assert_eq!(
            self.bitmap.is_some(),
            state.image.control_on(control::PRIMARY_USE_MSR_BITMAPS)
        );
        state.image.capture_host(cpu)?; // it may be another CPU than last time
                                        // SAFETY: interrupts are off until it is dropped, at the end of this function.
        let mut current = unsafe { self.region.load(cpu) }.map_err(HvError::Entry)?;
        let host = state.msrs_in();
        let result = loop {
            if let Err(error) = state.arm(common) {
                break Err(error.into());
            }
            if let Err(field) = current.store(&mut state.image) {
                break Err(HvError::Field(field));
            }
            if tlb.enter(here, &mut common.seen) {
                // A CPU without INVEPT drops what it has cached at every transition without VPID.
                let eptp = state.image.get(field::EPT_POINTER);
                match on.invept(eptp) {
                    Ok(()) | Err(ControlError::Control) => (),
                    Err(error) => {
                        tlb.leave(here);
                        break Err(error.into());
                    }
                }
            }
            common.mitigations.enter(cpu);
            // SAFETY: interrupts are off; controls and host state are what new() and capture_host() made them, and the
            // EPT names memory of the guest alone.
            let entered = unsafe { current.enter(&mut common.regs) };
            tlb.leave(here);
            let reason = match entered {
                Ok(reason) => reason,
                Err(failure) => {
                    let (words, report) = state.image.explain(&state.caps, &failure);
                    error!("{}: {}\n{}", failure, words, report);
                    break Err(HvError::Entry(failure));
                }
            };
            common.delivered();
            let raw = match state.look(reason, &mut current) {
                Ok(raw) => raw,
                Err(error) => break Err(error),
            };
            match answer(raw, state, common, vm, token) {
                Ok(Step::Again) => continue,
                Ok(Step::Leave(exit)) => break Ok(exit),
                Err(error) => break Err(error),
            }
        };
        state.msrs_out(&host);
        result
    }
}

impl VmxState {
    /// The guest's MSRs into the CPU; the host's come back.
    fn msrs_in(&mut self) -> [u64; SWITCHED_MSRS.len()] {
        let host = SWITCHED_MSRS.map(|(msr, _)| self.read_msr(msr));

        for ((msr, _), value) in SWITCHED_MSRS.iter().zip(self.msrs) {
            self.write_msr(*msr, value);
        }
        self.live = true;
        host
    }

    fn msrs_out(&mut self, host: &[u64; SWITCHED_MSRS.len()]) {
        self.msrs = SWITCHED_MSRS.map(|(msr, _)| self.read_msr(msr));
        self.live = false;
        for ((msr, _), value) in SWITCHED_MSRS.iter().zip(host) {
            self.write_msr(*msr, *value);
        }
    }

    fn read_msr(&self, msr: u32) -> u64 {
        if msr == TSC_AUX && !self.has_tsc_aux {
            return 0;
        }
        self.cpu.rdmsr(msr).unwrap_or(0)
    }

    /// Only values that are checked, or that the CPU itself had there, come here.
    fn write_msr(&self, msr: u32, value: u64) {
        if msr == TSC_AUX && !self.has_tsc_aux {
            return;
        }
        if !self.cpu.wrmsr(msr, value) {
            error!("MSR {:#x} does not take {:#x}", msr, value);
        }
    }

    fn switched(word: Word) -> Option<usize> {
        SWITCHED_MSRS.iter().position(|(_, known)| *known == word)
    }

    /// Before an entry: windows that are wanted, and the trap that VM entry wants to see pending while it is held back.
    /// SDM vol. 3, "Checks on Guest Non-Register State".
    fn arm(&mut self, common: &Common) -> Result<(), ControlError> {
        let primary = self
            .image
            .get(field::PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
        let mut wanted = primary & !(INTERRUPT_WINDOW | NMI_WINDOW);

        // Whether STI holds NMIs back as well is up to the CPU. An entry with one may be refused there, so the window is
        // the one behind it, where interrupts can be taken, too. SDM vol. 3, "Checks on Guest Non-Register State".
        let behind_sti = self.image.get(field::GUEST_INTERRUPTIBILITY_STATE) & BLOCKED_STI != 0;
        if common.want_interrupt || common.want_nmi && behind_sti {
            wanted |= INTERRUPT_WINDOW;
        }
        if common.want_nmi && !behind_sti {
            wanted |= NMI_WINDOW;
        }
        if wanted != primary {
            self.image
                .write(field::PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, wanted)?;
        }
        let held = self.image.get(field::GUEST_INTERRUPTIBILITY_STATE) & BLOCKED_SHADOW != 0;
        let stepping = self.image.get(field::GUEST_RFLAGS) & RFLAGS_TF != 0
            && self.image.get(field::GUEST_IA32_DEBUGCTL) & 2 == 0;
        let pending = self.image.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS);
        if held && stepping != (pending & PENDING_BS != 0) {
            self.image
                .write(field::GUEST_PENDING_DEBUG_EXCEPTIONS, pending ^ PENDING_BS)?;
        }
        Ok(())
    }

    /// What an exit was about. The image has the guest's state afterwards, and the event that the exit interrupted waits
    /// for the next entry.
    fn look(
        &mut self,
        why: Reason,
        current: &mut CurrentVmcs<'_, KernelFrames>,
    ) -> Result<Raw, HvError> {
        let image = &mut self.image;

        current
            .read_back(image, FieldTypes::EXIT_INFO.and(FieldTypes::GUEST))
            .map_err(HvError::Field)?;
        current.read_field(image, field::VM_ENTRY_CONTROLS)?; // a VM exit changes "IA-32e mode guest"
                                                              // and ends the event that the entry delivered
        current.read_field(image, field::VM_ENTRY_INTERRUPTION_INFORMATION_FIELD)?;
        image.redeliver()?;
        image.reblock_nmis()?;
        let exit = image.exit();
        let gpa = PhysicalAddress::new(image.get(field::GUEST_PHYSICAL_ADDRESS) as usize);
        Ok(match why {
            reason::CPUID => Raw::Cpuid,
            reason::RDMSR => Raw::Msr { write: false },
            reason::WRMSR => Raw::Msr { write: true },
            reason::HLT => Raw::Halt,
            reason::VMCALL => Raw::Hypercall,
            reason::IO_INSTRUCTION => Raw::Port(exit.port()),
            reason::EPT_VIOLATION => {
                let violation = image.ept_violation();
                Raw::Memory {
                    gpa,
                    read: violation.read,
                    write: violation.write,
                    fetch: violation.fetch,
                }
            }
            reason::EPT_MISCONFIGURATION => Raw::Misconfigured(gpa),
            reason::TRIPLE_FAULT => Raw::Shutdown,
            reason::EXTERNAL_INTERRUPT => Raw::Interrupt,
            reason::INTERRUPT_WINDOW => Raw::InterruptWindow,
            reason::NMI_WINDOW => Raw::NmiWindow,
            reason::XSETBV => Raw::Xsetbv,
            reason::CR_ACCESS => match exit.cr_access() {
                CrAccess::To(number, from) => Raw::ControlMove {
                    number,
                    gpr: Some(gpr(from)),
                    write: true,
                },
                CrAccess::From(number, to) => Raw::ControlMove {
                    number,
                    gpr: Some(gpr(to)),
                    write: false,
                },
                CrAccess::Clts => Raw::Clts,
                CrAccess::Lmsw(value) => Raw::Lmsw(value),
            },
            // SDM vol. 3, "Exit Qualification for MOV DR"
            reason::DR_ACCESS => Raw::DebugMove {
                number: (exit.qualification & 7) as u8,
                gpr: Some(gpr((exit.qualification >> 8) as u8)),
                write: exit.qualification & 1 << 4 == 0,
            },
            reason::EXCEPTION_OR_NMI => Self::exception(image, &self.caps, exit.qualification)?,
            reason::ENTRY_FAILURE_MACHINE_CHECK => Raw::MachineCheck,
            reason::INVD | reason::WBINVD_OR_WBNOINVD => Raw::Nothing,
            reason::RDPMC => Raw::Forbidden,
            reason::MWAIT
            | reason::MONITOR
            | reason::GETSEC
            | reason::VMCLEAR
            | reason::VMLAUNCH
            | reason::VMPTRLD
            | reason::VMPTRST
            | reason::VMREAD
            | reason::VMRESUME
            | reason::VMWRITE
            | reason::VMXOFF
            | reason::VMXON
            | reason::INVEPT
            | reason::INVVPID => Raw::Undefined,
            other => Raw::Other {
                code: u64::from(other.number()),
                info: exit.qualification,
            },
        })
    }

    fn exception(
        image: &mut VmcsImage,
        caps: &VmxCaps,
        qualification: u64,
    ) -> Result<Raw, HvError> {
        let info = image.get(field::VM_EXIT_INTERRUPTION_INFORMATION);
        let error_code = image.get(field::VM_EXIT_INTERRUPTION_ERROR_CODE);
        let length = image.get(field::VM_EXIT_INSTRUCTION_LENGTH);

        Ok(match Event::of(info, error_code, length) {
            Some(Event {
                kind: EventKind::Nmi,
                ..
            }) => Raw::Nmi,
            Some(Event { vector, .. }) if u32::from(vector) == MC => Raw::MachineCheck,
            // INT1 says so itself, and has no trap in DR6
            Some(event) if event.kind == EventKind::PrivilegedSoftwareException => {
                image.inject(caps, event)?;
                Raw::Settled
            }
            Some(Event { vector, .. }) if u32::from(vector) == DB => Raw::Debug {
                bits: Some(qualification),
            },
            Some(event) => Raw::Exception {
                vector: event.vector,
                error_code,
            },
            None => Raw::Other {
                code: 0,
                info: u64::from(info),
            },
        })
    }

    pub fn guest(&self, regs: &GuestRegs) -> GuestState {
        let mut state = self.image.guest();
        let told = GuestState::KNOWS_CR2 | GuestState::KNOWS_DR6 | GuestState::KNOWS_SYSCALL;

        state.set(Register::Cr2, regs.cr2());
        state.set(Register::Dr6, self.dr6);
        for (register, word) in SYSCALL {
            state.set(register, self.word(word));
        }
        state.set_known(state.known() | told);
        state
    }

    pub fn set_guest(
        &mut self,
        state: &GuestState,
        allowed: u64,
        regs: &mut GuestRegs,
    ) -> Result<(), ControlError> {
        let known = |bit| state.known() & bit != 0;
        let own = self.caps.cr4_fixed0() | !allowed;

        self.image.set_guest(&self.caps, state)?;
        self.image.write(field::CR4_GUEST_HOST_MASK, own)?;
        if known(GuestState::KNOWS_CR2) {
            regs.set_cr2(state.get(Register::Cr2));
        }
        if known(GuestState::KNOWS_DR6) {
            self.dr6 = state.get(Register::Dr6);
        }
        if known(GuestState::KNOWS_SYSCALL) {
            for (register, word) in SYSCALL {
                if let Some(kept) = Self::switched(word).and_then(|at| self.msrs.get_mut(at)) {
                    *kept = state.get(register);
                }
            }
        }
        Ok(())
    }

    pub fn event(&self) -> Option<Event> {
        Event::of(
            self.image
                .get(field::VM_ENTRY_INTERRUPTION_INFORMATION_FIELD),
            self.image.get(field::VM_ENTRY_EXCEPTION_ERROR_CODE),
            self.image.get(field::VM_ENTRY_INSTRUCTION_LENGTH),
        )
    }

    pub fn set_event(&mut self, event: Option<Event>) -> Result<(), ControlError> {
        match event {
            Some(event) => self.image.inject(&self.caps, event),
            None => self
                .image
                .write(field::VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, 0),
        }
    }

    pub fn can_interrupt(&self) -> bool {
        self.image.get(field::GUEST_RFLAGS) & RFLAGS_IF != 0
            && self.image.get(field::GUEST_INTERRUPTIBILITY_STATE) & BLOCKED_SHADOW == 0
            && self.event().is_none()
    }

    pub fn can_nmi(&self) -> bool {
        let blocked = BLOCKED_SHADOW | BLOCKED_NMI;

        self.image.get(field::GUEST_INTERRUPTIBILITY_STATE) & blocked == 0 && self.event().is_none()
    }

    pub fn nmi_blocked(&self) -> bool {
        self.image.get(field::GUEST_INTERRUPTIBILITY_STATE) & BLOCKED_NMI != 0
    }

    pub fn set_nmi_blocked(&mut self, blocked: bool) -> Result<(), ControlError> {
        let now = self.image.get(field::GUEST_INTERRUPTIBILITY_STATE);
        let then = if blocked {
            now | BLOCKED_NMI
        } else {
            now & !BLOCKED_NMI
        };

        self.image.write(field::GUEST_INTERRUPTIBILITY_STATE, then)
    }

    pub fn exit_text(&self) -> String {
        format!("{}", self.image.exit_text(&self.caps))
    }
}

/// Registers of a state that the VMCS does not hold.
pub(super) const SYSCALL: [(Register, Word); 5] = [
    (Register::Star, Word::Star),
    (Register::Lstar, Word::Lstar),
    (Register::Cstar, Word::Cstar),
    (Register::Sfmask, Word::Sfmask),
    (Register::KernelGsBase, Word::KernelGsBase),
];

impl Machine for VmxState {
    fn word(&self, word: Word) -> u64 {
        let image = &self.image;
        let shadowed = |value: u64, shadow: u64, mask: u64| value & !mask | shadow & mask;

        match word {
            Word::Rsp => image.get(field::GUEST_RSP),
            Word::Rip => image.get(field::GUEST_RIP),
            Word::Rflags => image.get(field::GUEST_RFLAGS),
            Word::Cr0 => shadowed(
                image.get(field::GUEST_CR0),
                image.get(field::CR0_READ_SHADOW),
                image.get(field::CR0_GUEST_HOST_MASK),
            ),
            Word::Cr4 => shadowed(
                image.get(field::GUEST_CR4),
                image.get(field::CR4_READ_SHADOW),
                image.get(field::CR4_GUEST_HOST_MASK),
            ),
            Word::Cr3 => image.get(field::GUEST_CR3),
            Word::Efer => image.get(field::GUEST_IA32_EFER),
            Word::Pat => image.get(field::GUEST_IA32_PAT),
            Word::SysenterCs => u64::from(image.get(field::GUEST_IA32_SYSENTER_CS)),
            Word::SysenterEsp => image.get(field::GUEST_IA32_SYSENTER_ESP),
            Word::SysenterEip => image.get(field::GUEST_IA32_SYSENTER_EIP),
            Word::FsBase => image.get(field::GUEST_FS_BASE),
            Word::GsBase => image.get(field::GUEST_GS_BASE),
            Word::TscOffset => image.get(field::TSC_OFFSET),
            Word::Dr6 => self.dr6,
            Word::Dr7 => image.get(field::GUEST_DR7),
            Word::Rax => 0, // in the registers
            other => SWITCHED_MSRS
                .iter()
                .zip(self.msrs)
                .find(|((_, known), _)| *known == other)
                .map_or(
                    0,
                    |((msr, _), kept)| if self.live { self.read_msr(*msr) } else { kept },
                ),
        }
    }

    fn set_word(&mut self, word: Word, value: u64) -> Result<(), HvError> {
        let image = &mut self.image;

        match word {
            Word::Rsp => image.write(field::GUEST_RSP, value)?,
            Word::Rip => image.write(field::GUEST_RIP, value)?,
            Word::Rflags => image.write(field::GUEST_RFLAGS, value)?,
            Word::Cr3 => image.write(field::GUEST_CR3, value)?,
            Word::Efer => image.write(field::GUEST_IA32_EFER, value)?,
            Word::Pat => image.write(field::GUEST_IA32_PAT, value)?,
            Word::SysenterCs => image.write(field::GUEST_IA32_SYSENTER_CS, value as u32)?,
            Word::SysenterEsp => image.write(field::GUEST_IA32_SYSENTER_ESP, value)?,
            Word::SysenterEip => image.write(field::GUEST_IA32_SYSENTER_EIP, value)?,
            Word::FsBase => image.write(field::GUEST_FS_BASE, value)?,
            Word::GsBase => image.write(field::GUEST_GS_BASE, value)?,
            Word::TscOffset => image.write(field::TSC_OFFSET, value)?,
            Word::Dr6 => self.dr6 = value,
            Word::Dr7 => image.write(field::GUEST_DR7, value)?,
            Word::Cr0 | Word::Cr4 | Word::Rax => return Err(HvError::Invalid),
            other => {
                let at = Self::switched(other).ok_or(HvError::Invalid)?;
                if let (true, Some((msr, _))) = (self.live, SWITCHED_MSRS.get(at)) {
                    self.write_msr(*msr, value);
                }
                if let Some(kept) = self.msrs.get_mut(at) {
                    *kept = value;
                }
            }
        }
        Ok(())
    }

    fn code_size(&self) -> CodeSize {
        let rights = self.image.get(field::GUEST_CS_ACCESS_RIGHTS);
        let long = self.image.get(field::GUEST_IA32_EFER) & EFER_LMA != 0;

        match (long && rights & 1 << 13 != 0, rights & 1 << 14 != 0) {
            (true, _) => CodeSize::Bits64,
            (false, true) => CodeSize::Bits32,
            (false, false) => CodeSize::Bits16,
        }
    }

    fn user_mode(&self) -> bool {
        self.image.get(field::GUEST_SS_ACCESS_RIGHTS) >> 5 & 3 == 3
    }

    fn code_base(&self) -> u64 {
        match self.code_size() {
            CodeSize::Bits64 => 0,
            _ => self.image.get(field::GUEST_CS_BASE),
        }
    }

    fn pdptes(&self) -> [u64; 4] {
        [
            self.image.get(field::GUEST_PDPTE0),
            self.image.get(field::GUEST_PDPTE1),
            self.image.get(field::GUEST_PDPTE2),
            self.image.get(field::GUEST_PDPTE3),
        ]
    }

    fn length(&self) -> u8 {
        // Of a violation it is not defined. SDM vol. 3, "Information for VM Exits Due to Instruction Execution".
        match self.image.exit().reason {
            reason::EPT_VIOLATION | reason::EPT_MISCONFIGURATION | reason::EXTERNAL_INTERRUPT => 0,
            _ => self.image.get(field::VM_EXIT_INSTRUCTION_LENGTH) as u8,
        }
    }

    fn advance(&mut self) -> Result<(), ControlError> {
        self.image.advance()
    }

    fn skip(&mut self, length: u8) -> Result<(), HvError> {
        let blocking = self.image.get(field::GUEST_INTERRUPTIBILITY_STATE);
        let rip = after(self, length);

        self.image.write(field::GUEST_RIP, rip)?;
        self.image.write(
            field::GUEST_INTERRUPTIBILITY_STATE,
            blocking & !BLOCKED_SHADOW,
        )?;
        Ok(())
    }

    fn raise(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError> {
        self.image.inject_nested(&self.caps, vector, error_code)
    }

    fn set_cr0(&mut self, value: u64) -> Result<(), ControlError> {
        self.image.set_cr0(&self.caps, value)
    }

    fn set_pdptes(&mut self, entries: [u64; 4]) -> Result<(), ControlError> {
        let [first, second, third, fourth] = entries;

        self.image.write(field::GUEST_PDPTE0, first)?;
        self.image.write(field::GUEST_PDPTE1, second)?;
        self.image.write(field::GUEST_PDPTE2, third)?;
        self.image.write(field::GUEST_PDPTE3, fourth)
    }

    fn flush_own(&mut self) {
        // Without a VPID every entry begins with an empty TLB.
    }

    fn has_rax(&self) -> bool {
        false
    }
}
