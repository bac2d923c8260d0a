//! The checks: a process lends memory, a guest of real mode and one of 64-bit mode run in it, fault, call, and are taken
//! down; every frame comes back, and so it does when an allocation fails.

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::sync::atomic::Ordering;

use hvpt::{Gpr, GuestState, Register};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    hv::{self, Exit, Vcpu, Vm},
    memory::{used_frames, Page, PageFlags, PhysicalAddress, RmmA, VirtualAddress},
    sync::CleanLockToken,
    syscall::error::{Error, ENOMEM},
};

use crate::{check, heap, log, skip, Machine, WITHOUT_FLAGS};

static CPU: Machine = Machine;
const K4: u64 = 4096;
/// Physical memory that the guests are given in one piece, from guest-physical 0 on.
const PAGES: usize = 32;

fn page(number: usize) -> Page {
    Page::containing_address(VirtualAddress::new(0x40_0000 + number * K4 as usize))
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn token() -> CleanLockToken {
    // SAFETY: nothing here holds a lock.
    unsafe { CleanLockToken::new() }
}

fn rwx() -> PageFlags<RmmA> {
    PageFlags::new().write(true).execute(true)
}

/// Bochs with SVM. QEMU calls itself a hypervisor, in bit 31.
fn emulator_dies_of_triple_faults() -> bool {
    use hvpt::cpu::Cpu;
    CPU.cpuid(1, 0)[2] & (1 << 31 | 1 << 5) == 0
}

/// QEMU, whose VMRUN loads no interrupt shadow.
fn emulator_forgets_shadows() -> bool {
    use hvpt::cpu::Cpu;
    CPU.cpuid(1, 0)[2] & 1 << 31 != 0
}

fn has_vmx() -> bool {
    use hvpt::cpu::Cpu;
    CPU.cpuid(1, 0)[2] & 1 << 5 != 0
}

/// VMCALL on Intel, VMMCALL on AMD.
fn hypercall() -> [u8; 3] {
    if has_vmx() {
        [0x0f, 0x01, 0xc1]
    } else {
        [0x0f, 0x01, 0xd9]
    }
}

/// A process with memory, and a guest that has the first part of it.
struct World {
    process: Arc<AddrSpaceWrapper>,
    vm: Arc<Vm>,
}

fn world() -> Result<World, Error> {
    let process = AddrSpaceWrapper::new()?;
    process.grow(page(0), PAGES + 1)?;
    let vm = Vm::new(&CPU)?;
    vm.map_user(&process, page(0), PAGES, gpa(0), rwx(), &mut token())?;
    Ok(World { process, vm })
}

/// Instructions, one after the other.
fn code(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Real mode: read and write memory, a port, CPUID, HLT.
fn real_mode(world: &World) -> Result<(), Error> {
    let program = code(&[
        &[0xb8, 0x34, 0x12],                               // mov ax, 0x1234
        &[0xa3, 0x00, 0x30],                               // mov [0x3000], ax
        &[0xba, 0xf8, 0x03, 0xee],                         // mov dx, 0x3f8; out dx, al
        &[0xf4],                                           // hlt
        &[0x66, 0x31, 0xc0, 0x66, 0x31, 0xc9, 0x0f, 0xa2], // xor eax, eax; xor ecx, ecx; cpuid
        &hypercall(),
        &[0xf4],
    ]);
    world.vm.write(gpa(0x1000), &program, &mut token())?;
    let mut vcpu = Vcpu::new(&world.vm, 0, &GuestState::real_mode(0, 0x1000))?;

    match vcpu.run(&mut token())? {
        Exit::Port(port) => {
            check(
                "real mode: OUT exits with its port",
                u64::from(port.port),
                0x3f8,
            );
            check(
                "real mode: of one byte, outwards",
                u64::from(port.size) | u64::from(port.input) << 8,
                1,
            );
        }
        other => unexpected("OUT", other),
    }
    check(
        "real mode: RIP is at the OUT",
        vcpu.state().get(Register::Rip),
        0x1009,
    );
    vcpu.complete()?;
    check(
        "real mode: and behind it, once it is done",
        vcpu.state().get(Register::Rip),
        0x100a,
    );
    check(
        "real mode: AL is what the guest sends",
        vcpu.get(Gpr::Rax) & 0xff,
        0x34,
    );
    let mut bytes = [0; 2];
    world.vm.read(gpa(0x3000), &mut bytes, &mut token())?;
    check(
        "real mode: what the guest wrote is in its memory",
        u64::from(u16::from_le_bytes(bytes)),
        0x1234,
    );
    check(
        "real mode: HLT exits",
        u64::from(vcpu.run(&mut token())? == Exit::Halt),
        1,
    );
    check(
        "real mode: a hypercall exits, after a CPUID that did not",
        u64::from(vcpu.run(&mut token())? == Exit::Hypercall),
        1,
    );
    check(
        "real mode: the guest goes on behind it",
        vcpu.state().get(Register::Rip),
        0x1000 + program.len() as u64 - 1,
    );
    check(
        "real mode: HLT exits again",
        u64::from(vcpu.run(&mut token())? == Exit::Halt),
        1,
    );
    Ok(())
}

/// Which pages a guest has written. Where the CPU has no flags for that, writes are found out by faults that the guest's
/// owner does not see.
fn dirty_log(world: &World, how: &str) -> Result<(), Error> {
    let program = code(&[
        &[0xa2, 0x00, 0x30, 0xa2, 0x00, 0x50, 0xa0, 0x00, 0x60], // mov [3000h], al; mov [5000h], al; mov al, [6000h]
        &[0xf4],
        &[0xa2, 0x00, 0x50, 0xa2, 0x01, 0x50], // mov [5000h], al; mov [5001h], al
        &[0xf4],
    ]);
    world.vm.write(gpa(0x1000), &program, &mut token())?;
    let mut vcpu = Vcpu::new(&world.vm, 0, &GuestState::real_mode(0, 0x1000))?;
    let log = || {
        let mut bitmap = [0];
        let told = world.vm.dirty(gpa(0), 8, &mut bitmap, &mut token());
        told.map(|()| bitmap[0])
    };

    log()?;
    let halts = vcpu.run(&mut token())? == Exit::Halt;
    check(
        &format!("{}: the guest writes as if nothing were", how),
        u64::from(halts),
        1,
    );
    check(
        &format!("{}: what it wrote is told", how),
        log()?,
        1 << 3 | 1 << 5,
    );
    let halts = vcpu.run(&mut token())? == Exit::Halt;
    check(
        &format!("{}: and again, what it wrote since", how),
        log()? | u64::from(!halts),
        1 << 5,
    );
    check(&format!("{}: and nothing after that", how), log()?, 0);
    world
        .vm
        .protect(gpa(0x5000), 1, PageFlags::new(), &mut token())?;
    vcpu.set_state(&GuestState::real_mode(0, 0x100a))?;
    let refused = vcpu.run(&mut token())?;
    let at_page = matches!(refused, Exit::Memory { gpa: at, write: true, .. } if at == gpa(0x5000));
    check(
        &format!("{}: a page that is read-only stays so", how),
        u64::from(at_page),
        1,
    );
    world.vm.protect(gpa(0x5000), 1, rwx(), &mut token())?;
    Ok(())
}

/// An NMI that STI or MOV SS holds back: the window is one instruction on, and the guest sees nothing of how that is
/// found out.
fn nmi_windows(world: &World) -> Result<(), Error> {
    // nop; mov cx, 1000h; loop to itself, since emulators look for windows between blocks of instructions; hlt; and the
    // NMI's handler: hlt
    let program = [0x90, 0xb9, 0x00, 0x10, 0xe2, 0xfe, 0xf4, 0xf4];

    world.vm.write(gpa(0x1000), &program, &mut token())?;
    world.vm.write(gpa(8), &[0x07, 0x10, 0, 0], &mut token())?;
    let held = |shadow: u64, flags: u64| {
        let mut state = GuestState::real_mode(0, 0x1000);
        state.set(Register::Interruptibility, shadow);
        state.set(Register::Rflags, flags);
        Vcpu::new(&world.vm, 0, &state)
    };
    for (what, shadow, flags) in [
        ("STI", 1, 0x202),
        ("MOV SS", 2, 0x202),
        ("MOV SS, interrupts off", 2, 2),
    ] {
        let mut vcpu = held(shadow, flags)?;
        check(
            &format!("{} holds an NMI back", what),
            u64::from(vcpu.inject_nmi().is_err()),
            1,
        );
        vcpu.want_nmi_window(true);
        let exit = vcpu.run(&mut token())?;
        let state = vcpu.state();
        let came = format!("{}: the window comes", what);
        if flags & 0x200 != 0 && emulator_dies_of_triple_faults() {
            skip(
                &came,
                "this emulator's VMRUN with V_IRQ and IF set takes no virtual interrupt",
            );
            continue;
        }
        check(&came, u64::from(exit == Exit::NmiWindow), 1);
        let behind = format!("{}: behind one instruction", what);
        if flags & 0x200 != 0 && emulator_forgets_shadows() {
            skip(&behind, "this emulator's VMRUN loads no interrupt shadow");
        } else {
            check(&behind, state.get(Register::Rip), 0x1001);
        }
        check(
            &format!("{}: with the guest's own flags", what),
            state.get(Register::Rflags),
            flags,
        );
        check(
            &format!("{}: and DR6", what),
            state.get(Register::Dr6) & 0xe00f,
            0,
        );
    }
    let mut vcpu = held(2, 2)?;
    vcpu.set(Gpr::Rsp, 0x4000)?;
    vcpu.want_nmi_window(true);
    let window = vcpu.run(&mut token())? == Exit::NmiWindow;
    vcpu.inject_nmi()?;
    check(
        "the NMI's handler comes with the window, and halts",
        u64::from(window && vcpu.run(&mut token())? == Exit::Halt),
        1,
    );
    check(
        "and is the one of vector 2",
        vcpu.state().get(Register::Rip),
        0x1008,
    );
    Ok(())
}

/// The guest's own tables at 0x10000: 1 GiB one to one by 2 MiB pages.
fn long_mode_tables(vm: &Vm) -> Result<(), Error> {
    let mut table = vec![0_u8; 4096];
    let entry = |at: usize, value: u64| vm.write(gpa(at), &value.to_le_bytes(), &mut token());

    entry(0x10000, 0x11000 | 3)?;
    entry(0x11000, 0x12000 | 3)?;
    for (number, bytes) in table.chunks_mut(8).enumerate() {
        bytes.copy_from_slice(&((number as u64) << 21 | 0x83).to_le_bytes());
    }
    Ok(vm.write(gpa(0x12000), &table, &mut token())?)
}

/// 64-bit mode: a write to memory that is not there, which then is; a write to what is taken away again; an MSR.
fn long_mode(world: &World) -> Result<(), Error> {
    let program = code(&[
        &[0x48, 0x89, 0x37],             // mov [rdi], rsi
        &[0x48, 0x8b, 0x07],             // mov rax, [rdi]
        &hypercall(),                    //
        &[0x48, 0x89, 0x37],             // mov [rdi], rsi
        &hypercall(),                    //
        &[0xb9, 0x82, 0x00, 0x00, 0xc0], // mov ecx, LSTAR
        &[0x0f, 0x30],                   // wrmsr
        &[0x31, 0xc0, 0x31, 0xd2],       // xor eax, eax; xor edx, edx
        &[0x0f, 0x32],                   // rdmsr
        &hypercall(),
        &[0x0f, 0x0b], // ud2: without an IDT, a triple fault
    ]);
    world.vm.write(gpa(0x2000), &program, &mut token())?;
    long_mode_tables(&world.vm)?;
    let mut vcpu = Vcpu::new(&world.vm, 1, &GuestState::long64(0x10000, 0x2000, 0x8000))?;
    vcpu.set(Gpr::Rdi, 0x20_0ff8)?;
    vcpu.set(Gpr::Rsi, 0x1122_3344_5566_7788)?;

    match vcpu.run(&mut token())? {
        Exit::Memory {
            gpa, write, fetch, ..
        } => {
            check(
                "long mode: memory that is not mapped exits with its address",
                gpa.data() as u64,
                0x20_0ff8,
            );
            check(
                "long mode: as a write",
                u64::from(write) | u64::from(fetch) << 1,
                1,
            );
        }
        other => unexpected("a fault", other),
    }
    log(format_args!("{}", vcpu.exit_text()));
    world.vm.map_user(
        &world.process,
        page(PAGES),
        1,
        gpa(0x20_0000),
        rwx(),
        &mut token(),
    )?;
    check(
        "long mode: mapped, the guest goes on to its call",
        u64::from(vcpu.run(&mut token())? == Exit::Hypercall),
        1,
    );
    check(
        "long mode: and reads what it wrote",
        vcpu.get(Gpr::Rax),
        0x1122_3344_5566_7788,
    );
    let mut bytes = [0; 8];
    world.vm.read(gpa(0x20_0ff8), &mut bytes, &mut token())?;
    check(
        "long mode: which the host sees",
        u64::from_le_bytes(bytes),
        0x1122_3344_5566_7788,
    );

    world.vm.unmap(gpa(0x20_0000), 1, &mut token())?;
    match vcpu.run(&mut token())? {
        Exit::Memory { gpa, .. } => check(
            "long mode: taken away, it faults again",
            gpa.data() as u64,
            0x20_0ff8,
        ),
        other => unexpected("a fault", other),
    }
    world.vm.map_user(
        &world.process,
        page(PAGES),
        1,
        gpa(0x20_0000),
        rwx(),
        &mut token(),
    )?;
    check(
        "long mode: a second call",
        u64::from(vcpu.run(&mut token())? == Exit::Hypercall),
        1,
    );

    vcpu.set(Gpr::Rax, 0x89ab_cdef)?;
    vcpu.set(Gpr::Rdx, 0x0000_4567)?;
    check(
        "long mode: an MSR of its own is written and read",
        u64::from(vcpu.run(&mut token())? == Exit::Hypercall),
        1,
    );
    check(
        "long mode: with its value",
        vcpu.get(Gpr::Rax) | vcpu.get(Gpr::Rdx) << 32,
        0x4567_89ab_cdef,
    );
    if emulator_dies_of_triple_faults() {
        skip(
            "long mode: a triple fault is a shutdown",
            "Bochs 2.7 with SVM ends itself instead of the guest",
        );
    } else {
        check(
            "long mode: a triple fault is a shutdown",
            u64::from(vcpu.run(&mut token())? == Exit::Shutdown),
            1,
        );
    }
    Ok(())
}

fn unexpected(expected: &str, got: Exit) {
    log(format_args!("expected {}, got {:?}", expected, got));
    check("an exit is the one that was expected", 0, 1);
}

/// All of it, from nothing to nothing.
fn life() -> Result<(), Error> {
    let world = world()?;
    real_mode(&world)?;
    nmi_windows(&world)?;
    dirty_log(&world, "dirty log")?;
    long_mode(&world)
}

/// The dirty log of a CPU without flags for it. AMD's all have them.
fn without_flags() -> Result<(), Error> {
    let how = "dirty log without the CPU's flags";

    if !has_vmx() {
        skip(how, "nested tables always have them");
        return Ok(());
    }
    WITHOUT_FLAGS.store(true, Ordering::Relaxed);
    let result = world().and_then(|world| dirty_log(&world, how));
    hv::disable_this_cpu(&CPU);
    WITHOUT_FLAGS.store(false, Ordering::Relaxed);
    result
}

/// The same without words: what an allocation that fails leaves behind is of interest, not what the guest does.
fn quiet_life() -> Result<(), Error> {
    let world = world()?;
    let vcpu = Vcpu::new(&world.vm, 0, &GuestState::real_mode(0, 0x1000))?;
    drop(vcpu);
    Ok(())
}

pub fn run() {
    let (frames, blocks) = (used_frames(), heap::blocks());

    for life in [life, without_flags] {
        if let Err(error) = life() {
            log(format_args!("{:?}", error));
            check("guests run to their ends", error.errno as u64, 0);
        }
        hv::disable_this_cpu(&CPU);
    }
    log(format_args!(
        "{} frames at most, {} allocations",
        control::peak_frames(),
        control::allocations()
    ));
    check("every frame came back", used_frames() as u64, frames as u64);
    check(
        "every block of the heap came back",
        heap::blocks() as u64,
        blocks as u64,
    );

    let mut failures = 0;
    let mut lost = 0;
    let mut other = String::new();
    for n in 0.. {
        control::fail_at(Some(n));
        let result = quiet_life();
        control::fail_at(None);
        hv::disable_this_cpu(&CPU);
        lost += used_frames() - frames;
        match result {
            Ok(()) => break,
            Err(error) if error == Error::new(ENOMEM) => failures += 1,
            Err(error) => {
                other = format!("allocation {}: {:?}", n, error);
                break;
            }
        }
    }
    if !other.is_empty() {
        log(format_args!("{}", other));
    }
    log(format_args!("{} allocations were made to fail", failures));
    check(
        "each failing allocation is told as such",
        u64::from(other.is_empty() && failures > 30),
        1,
    );
    check("no frame is lost when one fails", lost as u64, 0);
    drop(other);
    check(
        "and no block of the heap",
        heap::blocks() as u64,
        blocks as u64,
    );
}

/// After all that used the CPU: nothing is left.
pub fn end() {
    hv::disable_this_cpu(&CPU);
    check(
        "virtualization is off, and every frame came back",
        used_frames() as u64,
        0,
    );
}
