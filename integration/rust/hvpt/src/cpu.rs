//! The CPU's part: a trait with one method an instruction, whose provided methods are the instructions themselves.
//!
//! A kernel implements the trait and replaces what it does better, above all [`Cpu::rdmsr`] and [`Cpu::wrmsr`] by forms
//! that survive a fault. A test plays the whole CPU.

use core::ffi::c_void;

use crate::{GuestRegs, PhysicalAddress};

/// How a VMX instruction ended. SDM vol. 3, "VMX Instruction Reference", "Conventions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum VmxResult {
    /// It did what it does.
    Succeed = 0,
    /// VMfailInvalid: there is no current VMCS to hold an error number.
    FailInvalid = 1,
    /// VMfailValid: VM_INSTRUCTION_ERROR of the current VMCS has the number.
    FailValid = 2,
    /// The instruction raised a fault that the platform caught.
    Fault = 3,
}

impl VmxResult {
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Succeed,
            1 => Self::FailInvalid,
            2 => Self::FailValid,
            _ => Self::Fault,
        }
    }
}

/// The VMX instructions that take an address or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum VmxInstruction {
    Vmxon = 0,
    Vmxoff = 1,
    Vmclear = 2,
    Vmptrld = 3,
}

#[cfg(target_arch = "x86_64")]
macro_rules! native {
    ($call:expr, $else:expr) => {
        // SAFETY: whoever implements the trait says that this runs where the instruction may be executed.
        unsafe { $call }
    };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! native {
    ($call:expr, $else:expr) => {
        $else
    };
}
#[cfg(target_arch = "x86_64")]
use crate::ffi;

/// The CPU that runs this. Every method acts on it, so the caller does not move to another one in between.
///
/// # Safety
/// Whoever implements it says that the provided methods that are left may be executed where the trait is used: at CPL 0,
/// on a CPU of the vendor whose instructions they are. Replaced methods do what the instruction does.
#[allow(unused_variables)]
pub unsafe trait Cpu: Sync {
    /// RDMSR; `None`: it faulted. The provided one cannot tell: a fault is a fault.
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        Some(native!(ffi::hvctl_rs_native_rdmsr(msr), return None))
    }

    /// WRMSR; false: it faulted. The provided one cannot tell.
    fn wrmsr(&self, msr: u32, value: u64) -> bool {
        native!(ffi::hvctl_rs_native_wrmsr(msr, value), return false);
        true
    }

    /// RDTSC.
    fn rdtsc(&self) -> u64 {
        native!(ffi::hvctl_rs_native_rdtsc(), 0)
    }

    /// CPUID: EAX, EBX, ECX, EDX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        #[allow(unused_mut)]
        let mut registers = [0; 4];
        native!(
            ffi::hvctl_rs_native_cpuid(leaf, subleaf, registers.as_mut_ptr()),
            ()
        );
        registers
    }

    /// CR0, CR2, CR3 or CR4.
    fn read_cr(&self, number: u32) -> u64 {
        native!(ffi::hvctl_rs_native_read_cr(number), 0)
    }

    /// Write CR0, CR2 or CR4; false: it faulted.
    fn write_cr(&self, number: u32, value: u64) -> bool {
        native!(ffi::hvctl_rs_native_write_cr(number, value), return false);
        true
    }

    /// Selectors: ES, CS, SS, DS, FS, GS, LDTR, TR.
    fn selectors(&self) -> [u16; 8] {
        #[allow(unused_mut)]
        let mut words = [0; 8];
        native!(ffi::hvctl_rs_native_selectors(words.as_mut_ptr()), ());
        words
    }

    /// Base and limit of GDTR or IDTR.
    fn table(&self, idt: bool) -> (u64, u16) {
        #[allow(unused_mut)]
        let mut limit = 0;
        (
            native!(ffi::hvctl_rs_native_table(idt, &mut limit), 0),
            limit,
        )
    }

    /// LGDT or LIDT.
    fn load_table(&self, idt: bool, base: u64, limit: u16) {
        native!(ffi::hvctl_rs_native_load_table(idt, base, limit), ())
    }

    /// LTR of a TSS whose descriptor may be busy.
    fn load_tr(&self, selector: u16) {
        native!(ffi::hvctl_rs_native_load_tr(selector), ())
    }

    /// LLDT.
    fn load_ldtr(&self, selector: u16) {
        native!(ffi::hvctl_rs_native_load_ldtr(selector), ())
    }

    /// Load ES (0), DS (3), FS (4) or GS (5) with a selector that it held before; bases stay.
    fn load_segment(&self, number: u32, selector: u16) {
        native!(ffi::hvctl_rs_native_load_segment(number, selector), ())
    }

    /// DR0 to DR3, DR6 or DR7.
    fn read_dr(&self, number: u32) -> u64 {
        native!(ffi::hvctl_rs_native_read_dr(number), 0)
    }

    /// Write DR0 to DR3, DR6 or DR7.
    fn write_dr(&self, number: u32, value: u64) {
        native!(ffi::hvctl_rs_native_write_dr(number, value), ())
    }

    /// XGETBV of XCR0, with CR4.OSXSAVE set.
    fn read_xcr0(&self) -> u64 {
        native!(ffi::hvctl_rs_native_read_xcr0(), 0)
    }

    /// XSETBV of XCR0, of a value that the CPU takes.
    fn write_xcr0(&self, value: u64) {
        native!(ffi::hvctl_rs_native_write_xcr0(value), ())
    }

    /// VERW, which clears buffers where CPUID says MD_CLEAR.
    fn verw(&self) {
        native!(ffi::hvctl_rs_native_verw(), ())
    }

    /// Call the host's machine-check handler: an exit took a machine check away.
    fn machine_check(&self) {
        native!(ffi::hvctl_rs_native_machine_check(), ())
    }

    /// VMXON, VMXOFF, VMCLEAR, VMPTRLD.
    fn vmx(&self, instruction: VmxInstruction, operand: u64) -> VmxResult {
        VmxResult::from_raw(native!(
            ffi::hvctl_rs_native_vmx(instruction as u32, operand),
            3
        ))
    }

    /// VMPTRST; all ones: there is no current VMCS.
    fn vmptrst(&self) -> u64 {
        native!(ffi::hvctl_rs_native_vmptrst(), u64::MAX)
    }

    /// VMREAD; `None`: it failed.
    fn vmread(&self, field: u32) -> Option<u64> {
        #[allow(unused_mut)]
        let mut value = 0;
        if native!(ffi::hvctl_rs_native_vmread(field, &mut value), false) {
            Some(value)
        } else {
            None
        }
    }

    /// VMWRITE; false: it failed.
    fn vmwrite(&self, field: u32, value: u64) -> bool {
        native!(ffi::hvctl_rs_native_vmwrite(field, value), false)
    }

    /// INVVPID, or INVEPT, with its type and the two words of its descriptor.
    fn invalidate(&self, vpid: bool, kind: u32, low: u64, high: u64) -> VmxResult {
        VmxResult::from_raw(native!(
            ffi::hvctl_rs_native_invalidate(vpid, kind, low, high),
            3
        ))
    }

    /// VMLAUNCH or VMRESUME with the guest's registers, until its next VM exit.
    fn vmx_switch(&self, regs: &mut GuestRegs, launched: bool) -> VmxResult {
        VmxResult::from_raw(native!(
            ffi::hvctl_rs_native_vmx_switch(regs.as_mut_ptr(), launched),
            3
        ))
    }

    /// VMRUN with the guest's registers, until its next VMEXIT. `host`: a page for the host's VMSAVE state.
    fn svm_switch(
        &self,
        regs: &mut GuestRegs,
        vmcb: PhysicalAddress,
        host: PhysicalAddress,
        interrupts: bool,
    ) {
        native!(
            ffi::hvctl_rs_native_svm_switch(
                regs.as_mut_ptr(),
                vmcb.data() as u64,
                host.data() as u64,
                interrupts
            ),
            ()
        )
    }

    /// STGI.
    fn stgi(&self) {
        native!(ffi::hvctl_rs_native_stgi(), ())
    }

    /// Call the host's NMI handler: VMX takes an NMI away with the VM exit that it causes.
    fn nmi(&self) {
        native!(ffi::hvctl_rs_native_nmi(), ())
    }

    /// CLI; what to give to [`Cpu::irq_restore`].
    fn irq_off(&self) -> u64 {
        native!(ffi::hvctl_rs_native_irq_off(), 0)
    }

    /// Interrupts as they were.
    fn irq_restore(&self, flags: u64) {
        native!(ffi::hvctl_rs_native_irq_restore(flags), ())
    }

    /// XSAVE of all that XCR0 names, or FXSAVE.
    ///
    /// # Safety
    /// `area` is aligned to 64 bytes, zeroed before its first use, and as large as CPUID leaf 0DH says, or 512 bytes.
    unsafe fn state_save(&self, area: *mut u8, wide: bool) {
        native!(ffi::hvctl_rs_native_state_save(area, wide), ())
    }

    /// XRSTOR or FXRSTOR.
    ///
    /// # Safety
    /// As for `state_save`, and what the area holds came from it.
    unsafe fn state_load(&self, area: *const u8, wide: bool) {
        native!(ffi::hvctl_rs_native_state_load(area, wide), ())
    }
}

/// The instructions as they are. An MSR that does not exist raises #GP in the caller.
#[derive(Clone, Copy, Debug)]
pub struct Native(());

impl Native {
    /// The CPU that runs this.
    ///
    /// # Safety
    /// It is used at CPL 0 only.
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: the promise of Native::new.
unsafe impl Cpu for Native {}

#[path = "cpu/extended.rs"]
mod extended;
#[path = "cpu/host.rs"]
mod host;
pub use extended::ExtendedState;
pub use host::HostState;

/// What a guest with this CR4 is to see of the host's answer to CPUID: neither virtualization nor memory encryption;
/// OSXSAVE and OSPKE as CR4 has them. Hiding more is the caller's choice.
pub fn guest_cpuid(leaf: u32, subleaf: u32, host: [u32; 4], cr4: u64) -> [u32; 4] {
    let mut registers = host;

    // SAFETY: the shim reads and writes four words.
    unsafe { crate::ffi::hvctl_rs_guest_cpuid(leaf, subleaf, cr4, registers.as_mut_ptr()) };
    registers
}

// ---- what the shim calls: ctx points to a &dyn Cpu ----

/// The address of a `&dyn Cpu`, as the shim hands it back.
pub(crate) fn ctx(cpu: &&dyn Cpu) -> *mut c_void {
    cpu as *const &dyn Cpu as *mut c_void
}

/// # Safety
/// `ctx` comes from `ctx()` and its reference is alive.
unsafe fn cpu<'a>(ctx: *mut c_void) -> &'a dyn Cpu {
    // SAFETY: the caller's promise.
    unsafe { *(ctx as *const &dyn Cpu) }
}

macro_rules! callbacks {
    ($($name:ident($cpu:ident $(, $argument:ident: $kind:ty)*) $(-> $result:ty)? $body:block)*) => {
        $(
            // SAFETY of the body: the shim passes what `ctx()` made, and pointers to variables of its own.
            #[doc(hidden)]
            #[no_mangle]
            unsafe extern "C" fn $name(ctx: *mut c_void $(, $argument: $kind)*) $(-> $result)? {
                #[allow(unused_unsafe)]
                // SAFETY: see above.
                unsafe {
                    let $cpu = cpu(ctx);
                    $body
                }
            }
        )*
    };
}

callbacks! {
    hvctl_rs_cpu_rdmsr(cpu, msr: u32, value: *mut u64) -> bool {
        let read = cpu.rdmsr(msr);
        *value = read.unwrap_or(0);
        read.is_some()
    }
    hvctl_rs_cpu_wrmsr(cpu, msr: u32, value: u64) -> bool { cpu.wrmsr(msr, value) }
    hvctl_rs_cpu_cpuid(cpu, leaf: u32, subleaf: u32, registers: *mut u32) {
        *(registers as *mut [u32; 4]) = cpu.cpuid(leaf, subleaf);
    }
    hvctl_rs_cpu_read_cr(cpu, number: u32) -> u64 { cpu.read_cr(number) }
    hvctl_rs_cpu_write_cr(cpu, number: u32, value: u64) -> bool { cpu.write_cr(number, value) }
    hvctl_rs_cpu_selectors(cpu, words: *mut u16) { *(words as *mut [u16; 8]) = cpu.selectors(); }
    hvctl_rs_cpu_table(cpu, idt: bool, limit: *mut u16) -> u64 {
        let table = cpu.table(idt);
        *limit = table.1;
        table.0
    }
    hvctl_rs_cpu_vmx(cpu, instruction: u32, operand: u64) -> u32 {
        let instruction = match instruction {
            0 => VmxInstruction::Vmxon,
            1 => VmxInstruction::Vmxoff,
            2 => VmxInstruction::Vmclear,
            _ => VmxInstruction::Vmptrld,
        };
        cpu.vmx(instruction, operand) as u32
    }
    hvctl_rs_cpu_vmptrst(cpu) -> u64 { cpu.vmptrst() }
    hvctl_rs_cpu_vmread(cpu, field: u32, value: *mut u64) -> bool {
        let read = cpu.vmread(field);
        *value = read.unwrap_or(0);
        read.is_some()
    }
    hvctl_rs_cpu_vmwrite(cpu, field: u32, value: u64) -> bool { cpu.vmwrite(field, value) }
    hvctl_rs_cpu_invalidate(cpu, vpid: bool, kind: u32, low: u64, high: u64) -> u32 {
        cpu.invalidate(vpid, kind, low, high) as u32
    }
    hvctl_rs_cpu_stgi(cpu) { cpu.stgi() }
}
