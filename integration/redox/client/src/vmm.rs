//! An example: a guest of a few instructions, and the machine that it finds. It has a serial port at 3F8, a keyboard
//! port at 60, a device of two registers in memory at D0000, and a timer that interrupts by vector 20H while the guest
//! halts. The guest prints what it finds, and ends by OUT to port F4.

use core::{arch::global_asm, ptr};

use crate::{Calls, Errno, Exit, Hv, Left, Regs, Rights, Vcpu, PAGE_SIZE};

/// Memory that the guest needs.
pub const MEMORY: usize = 16 * PAGE_SIZE;
const START: u16 = 0x7c00;
const DEVICE: u64 = 0xd_0000;

// Real mode, at 0:7C00.
global_asm!(
    ".pushsection .rodata.redox_hv_guest, \"a\"",
    ".code16",
    ".globl redox_hv_guest, redox_hv_guest_end", // the generic code here is made in whichever crate uses it
    "redox_hv_guest:",
    "    xorw %ax, %ax",
    "    movw %ax, %ds",
    "    movw %ax, %ss",
    "    movw $0x7000, %sp",
    "    movw $(0x7c00 + 8f - redox_hv_guest), 0x80", // the timer's vector: IP, then CS
    "    movw %ax, 0x82",
    "    movw $(0x7c00 + 10f - redox_hv_guest), %si",
    "    callw 7f",
    "    movw $0xd000, %ax", // the device: read one register, write the other
    "    movw %ax, %es",
    "    movb %es:4, %al",
    "    movw $0x3f8, %dx",
    "    outb %al, %dx",
    "    movb $0x5a, %es:8",
    "    inb $0x60, %al",
    "    outb %al, %dx",
    "    sti",
    "    hlt",
    "    movw $(0x7c00 + 11f - redox_hv_guest), %si",
    "    callw 7f",
    "    movb $42, %al",
    "    outb %al, $0xf4",
    "    hlt",
    "7:  movw $0x3f8, %dx", // print the string at SI
    "    lodsb",
    "    testb %al, %al",
    "    jz 9f",
    "    outb %al, %dx",
    "    jmp 7b",
    "9:  retw",
    "8:  movb $0x74, %al", // the timer prints a t
    "    movw $0x3f8, %dx",
    "    outb %al, %dx",
    "    iretw",
    "10: .asciz \"a guest: \"",
    "11: .asciz \" bye\\n\"",
    "redox_hv_guest_end:",
    ".code64",
    ".popsection",
    options(att_syntax)
);

/// What the guest prints.
pub const PRINTS: &[u8] = b"a guest: mkt bye\n";
/// What it ends with.
pub const CODE: u8 = 42;

/// The guest's bytes.
fn guest() -> &'static [u8] {
    extern "C" {
        static redox_hv_guest: u8;
        static redox_hv_guest_end: u8;
    }
    // SAFETY: both are symbols of the section above, and the bytes between them are constant.
    unsafe {
        let (first, past) = (
            ptr::addr_of!(redox_hv_guest),
            ptr::addr_of!(redox_hv_guest_end),
        );
        core::slice::from_raw_parts(first, past as usize - first as usize)
    }
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By OUT to port F4, with this value.
    Code(u8),
    /// By something that this machine does not have.
    Left(Left),
    /// The kernel refused.
    Error(Errno),
}

/// What was done for the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exits.
    pub exits: u32,
    /// Interrupts of the host's among them.
    pub interrupted: u32,
    /// What the guest wrote to the device.
    pub written: u64,
}

/// Boot the guest and play its machine until it ends. `print` takes what it prints.
///
/// # Safety
/// `memory` is [`MEMORY`] bytes of this program's, aligned to a page and mapped by itself, that nobody else uses; it is
/// the guest's until the VM is closed, which it is when this returns.
pub unsafe fn boot<C: Calls + Clone>(
    hv: &Hv<C>,
    memory: *mut u8,
    print: &mut dyn FnMut(u8),
    counts: &mut Counts,
) -> End {
    // SAFETY: the caller's promise.
    match unsafe { start(hv, memory) } {
        Ok((_vm, vcpu)) => play(&vcpu, print, counts).unwrap_or_else(End::Error),
        Err(error) => End::Error(error),
    }
}

unsafe fn start<C: Calls + Clone>(
    hv: &Hv<C>,
    memory: *mut u8,
) -> Result<(crate::Vm<C>, Vcpu<C>), Errno> {
    let vm = hv.vm()?;

    // SAFETY: the caller's promise; the guest is shorter than what is behind its start.
    unsafe {
        let at = memory.add(usize::from(START));
        ptr::copy_nonoverlapping(guest().as_ptr(), at, guest().len());
        vm.lend(0, memory, MEMORY, Rights::ALL)?;
    }
    let vcpu = vm.vcpu(0)?;
    let mut regs: Regs = vcpu.regs()?;
    regs.real_mode(0, START);
    vcpu.set_regs(&regs)?;
    Ok((vm, vcpu))
}

fn play<C: Calls>(
    vcpu: &Vcpu<C>,
    print: &mut dyn FnMut(u8),
    counts: &mut Counts,
) -> Result<End, Errno> {
    let mut left = vcpu.run()?;

    loop {
        counts.exits += 1;
        left = match left.exit {
            Exit::Interrupted => {
                counts.interrupted += 1;
                vcpu.run()?
            }
            Exit::Port(port) if port.string => return Ok(End::Left(left)),
            Exit::Port(port) if port.input => {
                let value = if port.port == 0x60 {
                    u32::from(b'k')
                } else {
                    u32::MAX
                };
                vcpu.answer_and_run(value, port.size, left.rax)?
            }
            Exit::Port(port) => match port.port {
                0x3f8 => {
                    print(left.rax as u8);
                    vcpu.complete_and_run()?
                }
                0xf4 => return Ok(End::Code(left.rax as u8)),
                _ => vcpu.complete_and_run()?,
            },
            Exit::Memory(at) if at.gpa & !0xfff == DEVICE => {
                let access = vcpu.access()?;
                if let Some(value) = access.write {
                    counts.written = value;
                }
                vcpu.access_and_run(u64::from(b'm'))?
            }
            // The timer: the guest waits for it with interrupts on.
            Exit::Halt if left.takes_interrupt => {
                vcpu.interrupt(0x20)?;
                vcpu.run()?
            }
            _ => return Ok(End::Left(left)),
        };
    }
}
