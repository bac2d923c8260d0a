//! The kernel module on bare metal: the stand-in kernel over real memory, and a guest that runs through `Vm` and `Vcpu`.
//! tests/machine/x86/redox/main.c starts it and prints what it checks.
#![no_std]

extern crate alloc;

mod checks;
mod heap;

use core::{fmt, panic::PanicInfo};

use hvpt_redox::cpu::Cpu;
use redox_standin::control;

extern "C" {
    fn redox_machine_check(got: u64, expected: u64, name: *const u8, length: usize);
    fn redox_machine_skip(name: *const u8, length: usize, why: *const u8, why_length: usize);
    fn redox_machine_print(bytes: *const u8, length: usize);
    fn redox_machine_panic(bytes: *const u8, length: usize) -> !;
    fn redox_machine_rdmsr(msr: u32, value: *mut u64) -> bool;
    fn redox_machine_wrmsr(msr: u32, value: u64) -> bool;
}

/// The CPU of this machine: its instructions, but MSRs through the runtime's forms that survive a fault.
pub(crate) struct Machine;

// SAFETY: everything here runs at CPL 0.
unsafe impl Cpu for Machine {
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        let mut value = 0;
        // SAFETY: the runtime's.
        if unsafe { redox_machine_rdmsr(msr, &mut value) } {
            return Some(value);
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
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    log(format_args!("{}", info));
    let words = "a panic in Rust, see above";
    // SAFETY: a string and its length.
    unsafe { redox_machine_panic(words.as_ptr(), words.len()) }
}
