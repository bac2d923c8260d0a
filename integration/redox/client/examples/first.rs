//! The first program in user space, in place of Redox's bootstrap: guests one after the other, and what the kernel
//! counts before and after them. It has the kernel's schemes as file descriptors, and nothing else; when it is done it
//! turns the machine off. `../boot` builds and starts it.

#![no_std]
#![no_main]

use core::{
    arch::{asm, global_asm},
    fmt::{self, Write},
    panic::PanicInfo,
    ptr::addr_of_mut,
};

use redox_hv::{
    vmm::{self, Counts, End},
    Calls, Errno, Hv, Native,
};

/// Guests after the first one, which makes the CPU take what it keeps.
const GUESTS: u32 = 50;

/// The kernel gives its first program each scheme's root, numbered as the scheme is, from here on.
const SCHEMES: usize = 1 << 62;
const DEBUG: usize = SCHEMES + 1;
const SYS: usize = SCHEMES + 8;
const HV: usize = SCHEMES + 12;

#[repr(C, align(4096))]
struct Pages([u8; vmm::MEMORY]);
static mut MEMORY: Pages = Pages([0; vmm::MEMORY]);
static CALLS: Native = Native::new(100);

// The kernel looks for the entry at 1AH, and starts it without a stack.
global_asm!(
    ".pushsection .head, \"a\"",
    ".skip 0x1a",
    ".quad _start",
    ".popsection",
    ".globl _start",
    "_start: leaq first_stack_end(%rip), %rsp",
    "xorl %ebp, %ebp",
    "call first",
    "ud2",
    ".pushsection .bss.first_stack, \"aw\", @nobits",
    ".balign 16",
    ".skip 65536",
    "first_stack_end:",
    ".popsection",
    options(att_syntax)
);

/// Write bytes.
fn write(fd: usize, bytes: &[u8]) {
    const WRITE: usize = 0x2100_0004;

    // SAFETY: the kernel reads the bytes, and keeps every register but these.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") WRITE => _,
            in("rdi") fd,
            in("rsi") bytes.as_ptr(),
            in("rdx") bytes.len(),
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
}

/// The kernel's serial port.
struct Out(usize);

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(self.0, text.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: the kernel ends the program, and says where.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// What a guest printed.
#[derive(Default)]
struct Printed {
    bytes: [u8; 32],
    count: usize,
}

impl Printed {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.count) {
            *place = byte;
        }
        self.count += 1;
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or(&[])
    }
}

/// A guest, and whether it did all that it is to do.
fn guest(hv: &Hv<&'static Native>, printed: &mut Printed, all: &mut Counts) -> (End, bool) {
    let mut counts = Counts::default();

    // SAFETY: one guest has the memory at a time, and nothing else uses it.
    let end = unsafe {
        let memory = addr_of_mut!(MEMORY) as *mut u8;
        vmm::boot(hv, memory, &mut |byte| printed.push(byte), &mut counts)
    };
    all.exits += counts.exits;
    all.interrupted += counts.interrupted;
    let fine =
        end == End::Code(vmm::CODE) && printed.get() == vmm::PRINTS && counts.written == 0x5a;
    (end, fine)
}

/// Frames that the whole kernel uses, while there is one guest without memory.
fn used(hv: &Hv<&'static Native>) -> Result<u64, Errno> {
    Ok(hv.vm()?.stats()?.used_frames)
}

fn tell(out: &mut Out, hv: &Hv<&'static Native>) -> Result<(), Errno> {
    let mut all = Counts::default();
    let mut printed = Printed::default();
    let (end, fine) = guest(hv, &mut printed, &mut all);
    let text = core::str::from_utf8(printed.get()).unwrap_or("?");
    let _ = writeln!(
        out,
        "first: the guest prints {:?} and ends with {:?}",
        text, end
    );
    if !fine {
        return Ok(());
    }
    let before = used(hv)?;
    let good = (0..GUESTS)
        .filter(|_| guest(hv, &mut Printed::default(), &mut all).1)
        .count();
    let after = used(hv)?;
    let _ = writeln!(
        out,
        "first: {} of {} guests did what they are to do; {} exits, {} for the host's interrupts",
        good, GUESTS, all.exits, all.interrupted
    );
    let _ = writeln!(
        out,
        "first: {} frames in use before them, {} after: {}",
        before,
        after,
        if before == after { "balanced" } else { "lost" }
    );
    Ok(())
}

#[no_mangle]
extern "C" fn first() -> ! {
    let mut out = Out(CALLS.openat(DEBUG, "").unwrap_or(DEBUG));
    let hv = Hv::new(&CALLS, HV);

    if let Err(error) = tell(&mut out, &hv) {
        let _ = writeln!(out, "first: the scheme says {:?}", error);
    }
    if let Ok(stop) = CALLS.openat(SYS, "kstop") {
        write(stop, b"shutdown");
    }
    loop {
        core::hint::spin_loop();
    }
}
