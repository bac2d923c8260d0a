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

impl VmxCpu {
    pub fn new(on: &VmxOn<KernelFrames>, frames: KernelFrames, eptp: u64, start: &GuestState) -> Result<Self, HvError> {
        let caps = on.caps().clone();
        let solution = solve(Controls::of(&NEEDED), Controls::default(), &caps).map_err(|problems| {
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
    // An event that this exit interrupted is delivered again; the layout of both fields is the same.
    let vectoring = image.get(field::IDT_VECTORING_INFORMATION_FIELD);
    if vectoring >> 31 != 0 {
        image.write(field::VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, vectoring & !(1 << 12))?;
        if vectoring & 1 << 11 != 0 {
            let code = image.get(field::IDT_VECTORING_ERROR_CODE);
            image.write(field::VM_ENTRY_EXCEPTION_ERROR_CODE, code)?;
        }
        let length = image.get(field::VM_EXIT_INSTRUCTION_LENGTH);
        image.write(field::VM_ENTRY_INSTRUCTION_LENGTH, length)?;
    }
    let exit = image.exit();
    let leave = match reason {
        reason::CPUID => {
            let cr4 = image.guest().get(hvpt_redox::Register::Cr4);
            let eax = common.answer_cpuid(common.regs.get(Gpr::Rax), cr4);
            common.regs.set(Gpr::Rax, eax);
            advance(image)?;
            return Ok(Step::Again);
        }
        reason::RDMSR | reason::WRMSR => {
            let (msr, write) = (common.regs.get(Gpr::Rcx) as u32, reason == reason::WRMSR);
            advance(image)?;
            if let Some(number) = SWITCHED_MSRS.iter().position(|known| *known == msr) {
                answer_msr(common, write, &mut msrs[number], msr);
                return Ok(Step::Again);
            }
            Exit::Msr { msr, write }
        }
        reason::HLT => {
            advance(image)?;
            Exit::Halt
        }
        reason::VMCALL => {
            advance(image)?;
            Exit::Hypercall
        }
        reason::IO_INSTRUCTION => {
            advance(image)?;
            Exit::Port(exit.port())
        }
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

/// Behind the instruction that exited; it has ended what STI and MOV SS block.
fn advance(image: &mut VmcsImage) -> Result<(), ControlError> {
    let rip = image.get(field::GUEST_RIP).wrapping_add(u64::from(image.get(field::VM_EXIT_INSTRUCTION_LENGTH)));
    let blocking = image.get(field::GUEST_INTERRUPTIBILITY_STATE);

    image.write(field::GUEST_RIP, rip)?;
    if blocking & 3 != 0 {
        image.write(field::GUEST_INTERRUPTIBILITY_STATE, blocking & !3)?;
    }
    Ok(())
}
