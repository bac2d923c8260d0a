//! A virtual CPU on VMX.

use alloc::{format, string::String};

use hvpt_redox::{
    cpu::Cpu,
    vmx::{
        control, field, reason, solve, Controls, CurrentVmcs, Event, FieldTypes, Reason, VmcsImage, VmcsRegion,
        VmxCaps, VmxOn,
    },
    ControlError, Gpr, GuestState,
};

use super::{
    error::HvError,
    exit::Exit,
    frames::KernelFrames,
    tlb::Tlb,
    vcpu::{Common, Step},
};

/// STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE: the VMCS does not hold them, and SWAPGS changes the last without an exit.
const SWITCHED_MSRS: [u32; 5] = [0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102];

pub(super) struct VmxCpu {
    region: VmcsRegion<KernelFrames>,
    image: VmcsImage,
    caps: VmxCaps,
    msrs: [u64; SWITCHED_MSRS.len()],
}

/// What every guest needs. MSR accesses exit, all of them, since no bitmap is used; so do ports and debug registers.
const NEEDED: [hvpt_redox::vmx::Control; 14] = [
    control::PIN_EXTERNAL_INTERRUPT_EXITING,
    control::PIN_NMI_EXITING,
    control::PRIMARY_HLT_EXITING,
    control::PRIMARY_UNCONDITIONAL_IO_EXITING,
    control::PRIMARY_MOV_DR_EXITING,
    control::SECONDARY_ENABLE_EPT,
    control::SECONDARY_UNRESTRICTED_GUEST,
    control::EXIT_HOST_ADDRESS_SPACE_SIZE,
    control::EXIT_SAVE_IA32_EFER,
    control::EXIT_LOAD_IA32_EFER,
    control::ENTRY_LOAD_IA32_EFER,
    control::EXIT_SAVE_IA32_PAT,
    control::EXIT_LOAD_IA32_PAT,
    control::ENTRY_LOAD_IA32_PAT,
];

/// Instructions that raise #UD in the guest without their control, and what CPUID says of them: leaf, subleaf where there
/// are any, register, bit. SDM vol. 3, "Definitions of Secondary Processor-Based VM-Execution Controls".
type Told = (u32, Option<u32>, usize, u32);
const WANTED: [(hvpt_redox::vmx::Control, &[Told]); 4] = [
    // RDTSCP and RDPID
    (control::SECONDARY_ENABLE_RDTSCP, &[(0x8000_0001, None, EDX, 27), (7, Some(0), ECX, 22)]),
    (control::SECONDARY_ENABLE_INVPCID, &[(7, Some(0), EBX, 10)]),
    (control::SECONDARY_ENABLE_XSAVES_XRSTORS, &[(0xd, Some(1), EAX, 3)]),
    // TPAUSE, UMONITOR, UMWAIT
    (control::SECONDARY_ENABLE_USER_WAIT_AND_PAUSE, &[(7, Some(0), ECX, 5)]),
];
const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

impl VmxCpu {
    pub fn new(on: &VmxOn<KernelFrames>, frames: KernelFrames, eptp: u64, start: &GuestState) -> Result<Self, HvError> {
        let caps = on.caps().clone();
        let wanted = WANTED.map(|(control, _)| control);
        let solution = solve(Controls::of(&NEEDED), Controls::of(&wanted), &caps).map_err(|problems| {
            error!("VMX: {}", problems);
            HvError::Missing
        })?;
        let region = VmcsRegion::new(frames, &caps)?;
        let mut image = VmcsImage::new(&caps);

        image.touch_all(); // a new VMCS holds nothing
        image.set_controls(&solution.controls)?;
        image.write(field::EPT_POINTER, eptp)?;
        image.set_guest(&caps, start)?;
        Ok(Self { region, image, caps, msrs: [0; SWITCHED_MSRS.len()] })
    }

    /// The run loop. Interrupts are off and the CPU stays this one.
    pub fn run(&mut self, on: &VmxOn<KernelFrames>, common: &mut Common, tlb: &Tlb) -> Result<Exit, HvError> {
        let (cpu, here) = (common.cpu, crate::cpu_id());

        self.image.capture_host(cpu)?; // it may be another CPU than last time
        let mut current = self.region.load(cpu).map_err(HvError::Entry)?;
        let host = SWITCHED_MSRS.map(|msr| cpu.rdmsr(msr).unwrap_or(0));
        write_msrs(cpu, &self.msrs);
        let result = loop {
            if let Err(field) = current.store(&mut self.image) {
                break Err(HvError::Field(field));
            }
            if tlb.enter(here, &mut common.seen) {
                // A CPU without INVEPT drops what it has cached at every transition without VPID.
                let eptp = self.image.get(field::EPT_POINTER);
                match on.invept(eptp) {
                    Ok(()) | Err(ControlError::Control) => (),
                    Err(error) => {
                        tlb.leave(here);
                        break Err(error.into());
                    }
                }
            }
            // SAFETY: interrupts are off; controls and host state are what new() and capture_host() made them, and the
            // EPT names memory of the guest alone.
            let entered = unsafe { current.enter(&mut common.regs) };
            tlb.leave(here);
            let reason = match entered {
                Ok(reason) => reason,
                Err(failure) => {
                    let (words, report) = self.image.explain(&self.caps, &failure);
                    error!("{}: {}\n{}", failure, words, report);
                    break Err(HvError::Entry(failure));
                }
            };
            match handle(reason, &mut current, &mut self.image, &mut self.msrs, common) {
                Ok(Step::Again) => continue,
                Ok(Step::Leave(exit)) => break Ok(exit),
                Err(error) => break Err(error),
            }
        };
        for (msr, guest) in SWITCHED_MSRS.iter().zip(&mut self.msrs) {
            *guest = cpu.rdmsr(*msr).unwrap_or(0);
        }
        write_msrs(cpu, &host);
        result
    }

    pub fn rsp(&self) -> u64 {
        self.image.get(field::GUEST_RSP)
    }

    pub fn set_rsp(&mut self, value: u64) -> Result<(), ControlError> {
        self.image.write(field::GUEST_RSP, value)
    }

    pub fn state(&self) -> GuestState {
        self.image.guest()
    }

    pub fn set_state(&mut self, state: &GuestState) -> Result<(), ControlError> {
        self.image.set_guest(&self.caps, state)
    }

    /// Behind the instruction that exited.
    pub fn advance(&mut self) -> Result<(), ControlError> {
        self.image.advance()
    }

    pub fn inject_exception(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError> {
        self.image.inject(&self.caps, Event::exception(vector, error_code))
    }

    pub fn exit_text(&self) -> String {
        format!("{}", self.image.exit_text(&self.caps))
    }
}

fn write_msrs(cpu: &dyn Cpu, values: &[u64; SWITCHED_MSRS.len()]) {
    for (msr, value) in SWITCHED_MSRS.iter().zip(values) {
        cpu.wrmsr(*msr, *value);
    }
}

/// Look at an exit: what the kernel answers, what it leaves to the caller. The image has the guest's state afterwards.
fn handle(
    reason: Reason,
    current: &mut CurrentVmcs<'_, KernelFrames>,
    image: &mut VmcsImage,
    msrs: &mut [u64; SWITCHED_MSRS.len()],
    common: &mut Common,
) -> Result<Step, HvError> {
    current.read_back(image, FieldTypes::EXIT_INFO.and(FieldTypes::GUEST)).map_err(HvError::Field)?;
    image.redeliver()?;
    let exit = image.exit();
    let leave = match reason {
        reason::CPUID => {
            let cr4 = image.guest().get(hvpt_redox::Register::Cr4);
            let (leaf, subleaf) = (common.regs.get(Gpr::Rax) as u32, common.regs.get(Gpr::Rcx) as u32);
            let mut id = common.cpuid(leaf, subleaf, cr4);
            hide(image, leaf, subleaf, &mut id);
            let eax = common.answer_cpuid(id);
            common.regs.set(Gpr::Rax, eax);
            image.advance()?;
            return Ok(Step::Again);
        }
        reason::RDMSR | reason::WRMSR => {
            let (msr, write) = (common.regs.get(Gpr::Rcx) as u32, reason == reason::WRMSR);
            if let Some(number) = SWITCHED_MSRS.iter().position(|known| *known == msr) {
                answer_msr(common, write, &mut msrs[number], msr);
                image.advance()?;
                return Ok(Step::Again);
            }
            Exit::Msr { msr, write }
        }
        reason::HLT => {
            image.advance()?;
            Exit::Halt
        }
        reason::VMCALL => {
            image.advance()?;
            Exit::Hypercall
        }
        reason::IO_INSTRUCTION => Exit::Port(exit.port()),
        reason::EPT_VIOLATION => {
            let violation = image.ept_violation();
            Exit::Memory { gpa: violation.gpa, read: violation.read, write: violation.write, fetch: violation.fetch }
        }
        reason::EPT_MISCONFIGURATION => Exit::Misconfigured { gpa: image.get(field::GUEST_PHYSICAL_ADDRESS) },
        reason::TRIPLE_FAULT => Exit::Shutdown,
        reason::EXTERNAL_INTERRUPT => Exit::Interrupted,
        // NMIs exit and exceptions do not: their bitmap is empty. The host's handler is called for it.
        reason::EXCEPTION_OR_NMI => {
            common.cpu.nmi();
            return Ok(Step::Again);
        }
        other => Exit::Other { code: u64::from(other.number()), info: exit.qualification },
    };
    Ok(Step::Leave(leave))
}

/// What the guest's controls do not let it use, CPUID does not promise.
fn hide(image: &VmcsImage, leaf: u32, subleaf: u32, id: &mut [u32; 4]) {
    for (control, told) in WANTED {
        for &(of, sub, register, bit) in told {
            if of == leaf && sub.map_or(true, |sub| sub == subleaf) && !image.control_on(control) {
                id[register] &= !(1 << bit);
            }
        }
    }
}

/// RDMSR or WRMSR of an MSR that is the guest's own while it runs: the register has the value, and the array after it.
fn answer_msr(common: &mut Common, write: bool, kept: &mut u64, msr: u32) {
    if write {
        *kept = common.regs.get(Gpr::Rdx) << 32 | common.regs.get(Gpr::Rax) & 0xffff_ffff;
        common.cpu.wrmsr(msr, *kept);
    } else {
        let value = common.cpu.rdmsr(msr).unwrap_or(0);
        common.regs.set(Gpr::Rax, value & 0xffff_ffff);
        common.regs.set(Gpr::Rdx, value >> 32);
    }
}
