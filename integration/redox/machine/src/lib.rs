//! The kernel module on bare metal: the stand-in kernel over real memory, and a guest that runs through `Vm` and `Vcpu`.
//! tests/machine/x86/redox/main.c starts it and prints what it checks.
#![no_std]

extern crate alloc;

mod board;
mod checks;
mod heap;
mod host;
mod linux;
mod program;
mod threads;
mod two;

use core::{
    fmt,
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering},
};

use hvpt::{
    cpu::{Cpu, VmxResult},
    GuestRegs, PhysicalAddress,
};
use redox_standin::control;

extern "C" {
    fn redox_machine_check(got: u64, expected: u64, name: *const u8, length: usize);
    fn redox_machine_skip(name: *const u8, length: usize, why: *const u8, why_length: usize);
    fn redox_machine_print(bytes: *const u8, length: usize);
    fn redox_machine_panic(bytes: *const u8, length: usize) -> !;
    fn redox_machine_rdmsr(msr: u32, value: *mut u64) -> bool;
    fn redox_machine_wrmsr(msr: u32, value: u64) -> bool;
    fn redox_machine_state_save(area: *mut u8);
    fn redox_machine_state_load(area: *const u8);
    fn redox_machine_vmx_switch(regs: *mut GuestRegs, launched: bool) -> u32;
    fn redox_machine_svm_switch(regs: *mut GuestRegs, vmcb: u64, host: u64, interrupts: bool);
}

/// The CPU says that EPT has no accessed and dirty flags, as those before 2013 do.
static WITHOUT_FLAGS: AtomicBool = AtomicBool::new(false);
const EPT_VPID_CAP: u32 = 0x48c;
const CAP_ACCESSED_DIRTY: u64 = 1 << 21;

/// The CPU of this machine: its instructions, but MSRs through the runtime's forms that survive a fault.
pub(crate) struct Machine;

// SAFETY: everything here runs at CPL 0.
unsafe impl Cpu for Machine {
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        let mut value = 0;
        // SAFETY: the runtime's.
        if unsafe { redox_machine_rdmsr(msr, &mut value) } {
            let hidden = msr == EPT_VPID_CAP && WITHOUT_FLAGS.load(Ordering::Relaxed);
            return Some(if hidden {
                value & !CAP_ACCESSED_DIRTY
            } else {
                value
            });
        }
        // Bochs has SVM but not VM_CR: nothing is disabled and nothing locked.
        if msr == 0xc001_0114 {
            Some(0)
        } else {
            None
        }
    }

    fn wrmsr(&self, msr: u32, value: u64) -> bool {
        // SAFETY: the runtime's.
        unsafe { redox_machine_wrmsr(msr, value) }
    }

    fn vmx_switch(&self, regs: &mut GuestRegs, launched: bool) -> VmxResult {
        // SAFETY: seventeen words; the runtime's.
        match unsafe { redox_machine_vmx_switch(regs, launched) } {
            0 => VmxResult::Succeed,
            1 => VmxResult::FailInvalid,
            2 => VmxResult::FailValid,
            _ => VmxResult::Fault,
        }
    }

    fn svm_switch(
        &self,
        regs: &mut GuestRegs,
        vmcb: PhysicalAddress,
        host: PhysicalAddress,
        interrupts: bool,
    ) {
        // SAFETY: as above.
        unsafe {
            redox_machine_svm_switch(regs, vmcb.data() as u64, host.data() as u64, interrupts)
        }
    }

    unsafe fn state_save(&self, area: *mut u8, _: bool) {
        // SAFETY: the caller's promise.
        unsafe { redox_machine_state_save(area) }
    }

    unsafe fn state_load(&self, area: *const u8, _: bool) {
        // SAFETY: the caller's promise.
        unsafe { redox_machine_state_load(area) }
    }
}

/// A name and two values that are to be equal.
pub(crate) fn check(name: &str, got: u64, expected: u64) {
    // SAFETY: a string and its length.
    unsafe { redox_machine_check(got, expected, name.as_ptr(), name.len()) }
}

/// A name and why it is not checked here.
pub(crate) fn skip(name: &str, why: &str) {
    // SAFETY: strings and their lengths.
    unsafe { redox_machine_skip(name.as_ptr(), name.len(), why.as_ptr(), why.len()) }
}

/// Text on its way to the console, a piece at a time.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: a string and its length.
        unsafe { redox_machine_print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

fn log(line: fmt::Arguments<'_>) {
    let _ = fmt::Write::write_fmt(&mut Console, format_args!("{}\n", line));
}

/// Runs every check. `memory`: physical memory for frames, mapped one to one.
///
/// # Safety
/// Called once, with memory that is nobody else's: `frames` frames, aligned to 4 MiB.
#[no_mangle]
pub unsafe extern "C" fn redox_machine_main(memory: usize, frames: usize) {
    // SAFETY: the caller's promise.
    unsafe { control::init(memory, 0, frames) };
    control::set_log(log);
    checks::run();
    host::run_all();
    program::run();
    checks::end();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    log(format_args!("{}", info));
    let words = "a panic in Rust, see above";
    // SAFETY: a string and its length.
    unsafe { redox_machine_panic(words.as_ptr(), words.len()) }
}
