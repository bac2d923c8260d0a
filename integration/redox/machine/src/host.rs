//! The host around a guest, word by word; and what reaches the host while a guest runs: interrupts and NMIs that the guest
//! itself has the local APIC send.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::slice;

use hvpt::{Gpr, GuestState, Register, Segment, SegmentName};
use redox_standin::{
    hv::{Exit, HvError, Vcpu, Vm},
    memory::{PageFlags, PhysicalAddress, RaiiFrame, RmmA},
    sync::CleanLockToken,
};

use crate::{check, log, skip, Machine};

extern "C" {
    fn redox_host_prepare();
    fn redox_host_words(words: *mut u64) -> usize;
    fn redox_host_name(number: usize) -> *const u8;
    fn redox_host_interrupts() -> u64;
    fn redox_host_nmis() -> u64;
    fn redox_host_let_in();
    fn redox_host_apic_id() -> u32;
}

static CPU: Machine = Machine;
const CODE: usize = 0x2000;
const HANDLER: usize = 0x3000;
const GDT: usize = 0x4000;
const IDT: usize = 0x5000;
const APIC: usize = 0x80_0000;

fn token() -> CleanLockToken {
    // SAFETY: nothing here holds a lock.
    unsafe { CleanLockToken::new() }
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

pub(crate) fn words() -> Vec<u64> {
    let mut words = [0; 64];
    // SAFETY: there are fewer than 64.
    let count = unsafe { redox_host_words(words.as_mut_ptr()) };

    words[..count].to_vec()
}

fn name(number: usize) -> String {
    // SAFETY: the runtime's strings end with a zero.
    unsafe {
        let start = redox_host_name(number);
        let length = (0..)
            .take_while(|at| start.add(*at).read_volatile() != 0)
            .count();
        String::from_utf8_lossy(slice::from_raw_parts(start, length)).into_owned()
    }
}

/// Each word is what it was.
fn compare(what: &str, before: &[u64]) {
    let after = words();
    let changed = before
        .iter()
        .zip(&after)
        .filter(|(was, is)| was != is)
        .count();

    for (number, (was, is)) in before.iter().zip(&after).enumerate() {
        if was != is {
            log(format_args!(
                "{} was {:#x}, is {:#x}",
                name(number),
                was,
                is
            ));
        }
    }
    check(
        &format!("{}: the host is what it was, {} words", what, after.len()),
        changed as u64,
        0,
    );
}

/// 2 MiB at 0 with the guest's own tables at 10000H, a GDT, and an IDT that leads #GP to a HLT.
fn guest() -> Result<(Arc<Vm>, GuestState), HvError> {
    let vm = Vm::new(&CPU)?;
    let flags: PageFlags<RmmA> = PageFlags::new().write(true).execute(true);
    let mut frames = Vec::new();
    for _ in 0..64 {
        frames.push(RaiiFrame::allocate().map_err(|_| HvError::OutOfMemory)?);
    }
    vm.map_frames(frames, gpa(0), flags, &mut token())?;
    let put = |at: usize, words: &[u64]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        vm.write(gpa(at), &bytes, &mut token())
    };
    put(0x1_0000, &[0x1_1003])?;
    put(0x1_1000, &[0x1_2003])?;
    let table: Vec<u64> = (0..512).map(|number| number << 21 | 0x83).collect();
    put(0x1_2000, &table)?;
    put(GDT, &[0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff])?;
    put(IDT + 13 * 16, &[HANDLER as u64 | 0x8e00_0008_0000, 0])?;
    put(HANDLER, &[0xf4f4_f4f4])?;
    let mut state = GuestState::long64(0x1_0000, CODE as u64, 0x8000);
    let table = |base: usize| Segment {
        base: base as u64,
        limit: 0xfff,
        ..Segment::default()
    };
    state.set_segment(SegmentName::Gdtr, table(GDT));
    state.set_segment(SegmentName::Idtr, table(IDT));
    Ok((vm, state))
}

fn run(what: &str, code: &[u8], rip: u64) -> Result<(), HvError> {
    let (vm, state) = guest()?;
    vm.write(gpa(CODE), code, &mut token())?;
    let mut vcpu = Vcpu::new(&vm, 0, &state)?;
    let before = words();

    check(
        &format!("{}: the guest comes to its HLT", what),
        u64::from(vcpu.run(&mut token())? == Exit::Halt),
        1,
    );
    compare(what, &before);
    check(
        &format!("{}: and it is the one that was expected", what),
        vcpu.state().get(Register::Rip),
        rip,
    );
    Ok(())
}

fn wrmsr(msr: u32, value: u64) -> Vec<u8> {
    let mut code = Vec::new();

    for (opcode, word) in [
        (0xb9, msr),
        (0xb8, value as u32),
        (0xba, (value >> 32) as u32),
    ] {
        code.push(opcode);
        code.extend_from_slice(&word.to_le_bytes());
    }
    code.extend_from_slice(&[0x0f, 0x30]);
    code
}

/// A guest that changes all that it can, and one that tries what a CPU refuses.
fn hostile() -> Result<(), HvError> {
    let mut own = Vec::new();
    for msr in [
        0xc000_0081,
        0xc000_0082,
        0xc000_0083,
        0xc000_0100,
        0xc000_0101,
        0xc000_0102,
        0x175,
        0x176,
    ] {
        own.extend(wrmsr(msr, 0x7fff_1111_2000));
    }
    own.extend(wrmsr(0xc000_0084, 0x4_7700));
    own.extend([0xb8, 0x0f, 0, 0, 0, 0x44, 0x0f, 0x22, 0xc0]); // mov eax, 15; mov cr8, rax
    own.extend([0xb8, 0x00, 0x30, 0, 0, 0x0f, 0x23, 0xc0, 0x0f, 0x23, 0xd8]); // mov eax, 3000h; mov dr0, rax; mov dr3, rax
    own.extend([0xb8, 0x02, 0x04, 0, 0, 0x0f, 0x23, 0xf8]); // mov eax, 402h; mov dr7, rax
    own.extend([0x0f, 0x22, 0xd0]); // mov cr2, rax
    own.extend([0x0f, 0x01, 0xf8]); // swapgs
    own.push(0xf4);
    let end = (CODE + own.len()) as u64;
    run("a guest with values of its own", &own, end)?;

    for (msr, value) in [
        (0xc000_0082, 0x8000_0000_0000),
        (0xc000_0083, 1 << 63),
        (0xc000_0084, 1 << 32),
        (0xc000_0102, 0xdead_beef_0000_0000),
        (0x176, 0x8000_0000_0000),
    ] {
        let mut code = wrmsr(msr, value);
        code.push(0xf4);
        let what = format!("WRMSR {:#x} of {:#x}", msr, value);
        if takes(msr, value) {
            skip(&format!("{}: #GP", what), "this emulator takes the value");
        } else {
            run(&what, &code, HANDLER as u64 + 1)?;
        }
    }
    Ok(())
}

/// Does the emulator itself take what a CPU refuses? Then its guest gets no #GP either.
fn takes(msr: u32, value: u64) -> bool {
    use hvpt::cpu::Cpu;
    let was = CPU.rdmsr(msr);
    let taken = CPU.wrmsr(msr, value);

    if let (true, Some(was)) = (taken, was) {
        CPU.wrmsr(msr, was);
    }
    taken
}

/// The guest writes the local APIC's ICR: a command for this CPU. Then a loop, since emulators look for interrupts between
/// blocks of instructions, and HLT.
fn send(command: u32) -> Result<Vcpu, HvError> {
    let (vm, mut state) = guest()?;
    let device = PageFlags::new().write(true).device_memory(true);
    let mut code = Vec::new();
    // SAFETY: the runtime's.
    let id = unsafe { redox_host_apic_id() };

    vm.map_device(gpa(0xfee0_0000), 1, gpa(APIC), device, &mut token())?;
    for (offset, word) in [(0x310_u32, id << 24), (0x300, command)] {
        code.extend_from_slice(&[0xc7, 0x04, 0x25]); // mov dword [disp32], imm32
        code.extend_from_slice(&(APIC as u32 + offset).to_le_bytes());
        code.extend_from_slice(&word.to_le_bytes());
    }
    code.extend_from_slice(&[0xb9, 0x00, 0x10, 0, 0, 0xe2, 0xfe]); // mov ecx, 1000h; loop to itself
    code.push(0xf4);
    vm.write(gpa(CODE), &code, &mut token())?;
    state.set(Register::Rflags, 0x202); // Bochs looks at the guest's IF, although interrupts exit whatever it is
    Vcpu::new(&vm, 0, &state)
}

fn interrupts() -> Result<(), HvError> {
    // SAFETY: the runtime's; so in all that follow.
    let (taken, before) = (|| unsafe { redox_host_interrupts() }, unsafe {
        redox_host_interrupts()
    });
    let mut vcpu = send(0x4040)?;
    let words = words();
    let first = vcpu.run(&mut token())?;

    check(
        "an interrupt ends the guest",
        u64::from(first == Exit::Interrupted),
        1,
    );
    check("and waits until the host lets it in", taken() - before, 0);
    compare("an interrupt", &words);
    check(
        "it ends the guest again as long as it waits",
        u64::from(vcpu.run(&mut token())? == Exit::Interrupted),
        1,
    );
    unsafe { redox_host_let_in() };
    check("the host takes it once", taken() - before, 1);
    check(
        "and the guest goes on",
        u64::from(vcpu.run(&mut token())? == Exit::Halt),
        1,
    );
    check("with its own registers", vcpu.get(Gpr::Rsp), 0x8000);
    Ok(())
}

fn nmis() -> Result<(), HvError> {
    // SAFETY: as above.
    let (taken, before) = (|| unsafe { redox_host_nmis() }, unsafe {
        redox_host_nmis()
    });
    let mut vcpu = send(0x4400)?;
    let words = words();

    for number in 1..=2 {
        let mut exit = vcpu.run(&mut token())?;
        if exit == Exit::Interrupted {
            exit = vcpu.run(&mut token())?; // SVM: it was held off until the guest was left
        }
        check(
            "an NMI does not disturb the guest",
            u64::from(exit == Exit::Halt),
            1,
        );
        check(
            "the host's handler was called for it",
            taken() - before,
            number,
        );
        compare("an NMI", &words);
        let mut state = vcpu.state();
        state.set(Register::Rip, CODE as u64);
        vcpu.set_state(&state)?;
    }
    Ok(())
}

pub fn run_all() {
    // SAFETY: once, before anything depends on what it changes.
    unsafe { redox_host_prepare() };
    for (what, result) in [
        ("hostile guests", hostile()),
        ("interrupts", interrupts()),
        ("NMIs", nmis()),
    ] {
        if let Err(error) = result {
            log(format_args!("{}: {}", what, error));
            check(what, 0, 1);
        }
    }
}
