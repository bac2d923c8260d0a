//! Two CPUs: a virtual CPU that runs on one and then on the other, and memory that is taken away under a running guest.
//! What programs do there is in [`crate::threads`].

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{
    hint, mem,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering::SeqCst},
};

use hvpt::{Gpr, GuestState, Register};
use redox_standin::{
    control,
    hv::{self, Exit, HvError, Vcpu, Vm},
    memory::{
        get_page_info, used_frames, Frame, PageFlags, PhysicalAddress, RaiiFrame, RefKind, RmmA,
        RmmArch,
    },
    sync::CleanLockToken,
};

use crate::{check, log, threads, Machine};

extern "C" {
    fn redox_host_apic_id() -> u32;
    fn redox_host_let_in();
    fn redox_two_interrupt_other();
}

static CPU: Machine = Machine;
const CODE: usize = 0x2000;
/// What the guest writes to.
const TARGET: usize = 0x20_0000;
const MARK: u64 = 0xaaaa_5555_aaaa_5555;
const ROUNDS: u64 = 100;

/// What the second CPU is to do: nothing, turn on, one run, runs until it is told otherwise, turn off, a task, end.
static JOB: AtomicU64 = AtomicU64::new(0);
const IDLE: u64 = 0;
const TURN_ON: u64 = 1;
const ONE_RUN: u64 = 2;
const RUNS: u64 = 3;
const TURN_OFF: u64 = 4;
const END: u64 = 5;
const TASK: u64 = 6;
/// A `fn()`.
static TASK_IS: AtomicPtr<()> = AtomicPtr::new(null_mut());
static READY: AtomicU64 = AtomicU64::new(0);
static VCPU: AtomicPtr<Vcpu> = AtomicPtr::new(null_mut());
static WRONG: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

fn token() -> CleanLockToken {
    // SAFETY: nothing here holds a lock.
    unsafe { CleanLockToken::new() }
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn number() -> u32 {
    // SAFETY: the runtime's.
    unsafe { redox_host_apic_id() }
}

fn one_run(vcpu: &mut Vcpu) {
    match vcpu.run(&mut token()) {
        Ok(Exit::Interrupted) => {
            INTERRUPTS.fetch_add(1, SeqCst);
            // SAFETY: the runtime's.
            unsafe { redox_host_let_in() };
        }
        Ok(Exit::Memory { gpa: at, .. }) if at == gpa(TARGET) => {
            FAULTS.fetch_add(1, SeqCst);
        }
        Ok(Exit::Halt) => (),
        _ => {
            WRONG.fetch_add(1, SeqCst);
        }
    }
}

/// The second CPU's life.
#[no_mangle]
pub extern "C" fn redox_second_main() {
    READY.store(1, SeqCst);
    loop {
        match JOB.load(SeqCst) {
            IDLE => {
                hint::spin_loop();
                continue;
            }
            TURN_ON => {
                if hv::enable_this_cpu(&CPU).is_err() {
                    WRONG.fetch_add(1, SeqCst);
                }
            }
            RUNS => {
                // SAFETY: the first CPU lends it until the job is over.
                one_run(unsafe { &mut *VCPU.load(SeqCst) });
                continue;
            }
            ONE_RUN => one_run(unsafe { &mut *VCPU.load(SeqCst) }),
            TURN_OFF => hv::disable_this_cpu(&CPU),
            TASK => {
                // SAFETY: the first CPU has put one there.
                let task = unsafe { mem::transmute::<*mut (), fn()>(TASK_IS.load(SeqCst)) };
                task();
            }
            _ => {
                JOB.store(IDLE, SeqCst);
                return;
            }
        }
        let _ = JOB.compare_exchange(JOB.load(SeqCst), IDLE, SeqCst, SeqCst);
    }
}

/// Have the second CPU do something, and wait until it has.
fn second(job: u64) {
    JOB.store(job, SeqCst);
    second_is_done();
}

/// Have the second CPU do this.
pub(crate) fn second_begins(task: fn()) {
    TASK_IS.store(task as *mut (), SeqCst);
    JOB.store(TASK, SeqCst);
}

/// Wait until it has.
pub(crate) fn second_is_done() {
    while JOB.load(SeqCst) != IDLE {
        hint::spin_loop();
    }
}

fn guest(code: &[u8]) -> Result<(Arc<Vm>, Box<Vcpu>), HvError> {
    let vm = Vm::new(&CPU)?;
    let flags: PageFlags<RmmA> = PageFlags::new().write(true).execute(true);
    let mut frames = Vec::new();
    for _ in 0..32 {
        frames.push(RaiiFrame::allocate().map_err(|_| HvError::OutOfMemory)?);
    }
    vm.map_frames(frames, gpa(0), flags, &mut token())?;
    let put = |at: usize, word: u64| vm.write(gpa(at), &word.to_le_bytes(), &mut token());
    put(0x1_0000, 0x1_1003)?;
    put(0x1_1000, 0x1_2003)?;
    for number in 0..4 {
        put(0x1_2000 + 8 * number, (number as u64) << 21 | 0x83)?;
    }
    vm.write(gpa(CODE), code, &mut token())?;
    let mut state = GuestState::long64(0x1_0000, CODE as u64, 0x8000);
    state.set(Register::Rflags, 0x202); // Bochs looks at the guest's IF, although interrupts exit whatever it is
    let vcpu = Vcpu::new(&vm, 0, &state)?;
    Ok((vm, Box::new(vcpu)))
}

/// One after the other: registers and the guest's own MSRs come along.
fn moves() -> Result<(), HvError> {
    // inc rbx; hlt; jmp back
    let (_vm, mut vcpu) = guest(&[0x48, 0xff, 0xc3, 0xf4, 0xeb, 0xfa])?;

    vcpu.set_msr(0xc000_0082, 0x7fff_0000_1000)?;
    vcpu.set_msr(0xc000_0102, 0x7fff_0000_2000)?;
    VCPU.store(&mut *vcpu, SeqCst);
    for _ in 0..20 {
        one_run(&mut vcpu);
        second(ONE_RUN);
    }
    check(
        "a virtual CPU runs on both CPUs in turn",
        vcpu.get(Gpr::Rbx),
        40,
    );
    check(
        "its LSTAR comes along",
        vcpu.msr(0xc000_0082).unwrap_or(0),
        0x7fff_0000_1000,
    );
    check(
        "and KERNEL_GS_BASE",
        vcpu.msr(0xc000_0102).unwrap_or(0),
        0x7fff_0000_2000,
    );
    Ok(())
}

/// Another reference to a frame.
fn share(frame: Frame) -> Result<RaiiFrame, HvError> {
    let info = get_page_info(frame).ok_or(HvError::Invalid)?;
    info.add_ref(RefKind::Shared)
        .map_err(|_| HvError::OutOfMemory)?;
    // SAFETY: the reference was just added.
    Ok(unsafe { RaiiFrame::new_unchecked(frame) })
}

/// The guest on the second CPU writes a page without end, which this one takes away again and again.
fn taken_away() -> Result<(), HvError> {
    // inc rax; mov [rdi], rax; jmp back
    let (vm, mut vcpu) = guest(&[0x48, 0xff, 0xc0, 0x48, 0x89, 0x07, 0xeb, 0xf8])?;
    let frame = RaiiFrame::allocate().map_err(|_| HvError::OutOfMemory)?;
    let word = RmmA::phys_to_virt(frame.get().base()).data() as *mut u64;
    let flags: PageFlags<RmmA> = PageFlags::new().write(true);
    let (mut stale, mut unwritten) = (0_u64, 0_u64);

    vcpu.set(Gpr::Rdi, TARGET as u64)?;
    VCPU.store(&mut *vcpu, SeqCst);
    JOB.store(RUNS, SeqCst);
    for _ in 0..ROUNDS {
        vm.map_frames(vec![share(frame.get())?], gpa(TARGET), flags, &mut token())?;
        // SAFETY: a word of a frame that is held here; the guest writes it, too.
        let read = || unsafe { word.read_volatile() };
        let before = read();
        let mut patience = 2_000_000_u32;
        while read() == before && patience > 0 {
            patience -= 1;
            hint::spin_loop();
        }
        unwritten += u64::from(patience == 0);
        vm.unmap(gpa(TARGET), 1, &mut token())?;
        // SAFETY: as above.
        unsafe { word.write_volatile(MARK) };
        // An emulator that runs its CPUs by turns lets the other one come to the page only after a while.
        let faults = FAULTS.load(SeqCst);
        for turn in 0..200_000 {
            stale += u64::from(read() != MARK);
            if turn >= 2000 && FAULTS.load(SeqCst) != faults {
                break;
            }
            hint::spin_loop();
        }
    }
    JOB.store(IDLE, SeqCst);
    // SAFETY: the runtime's.
    unsafe { redox_two_interrupt_other() };
    second(TURN_ON); // it is on: this waits until the last run is over
    check("the guest wrote the page whenever it had it", unwritten, 0);
    check("and never after it was taken away", stale, 0);
    check(
        "it ran into its absence",
        u64::from(FAULTS.load(SeqCst) >= ROUNDS / 2),
        1,
    );
    check(
        "interrupts sent it out",
        u64::from(INTERRUPTS.load(SeqCst) > 0),
        1,
    );
    log(format_args!(
        "{} rounds, {} faults, {} interrupts",
        ROUNDS,
        FAULTS.load(SeqCst),
        INTERRUPTS.load(SeqCst)
    ));
    Ok(())
}

/// Everything on two CPUs. `memory`: as for `redox_machine_main`.
///
/// # Safety
/// As for `redox_machine_main`; the second CPU is on its way to `redox_second_main`.
#[no_mangle]
pub unsafe extern "C" fn redox_two_main(memory: usize, frames: usize) {
    // SAFETY: the caller's promise.
    unsafe { control::init(memory, 0, frames) };
    control::set_log(log);
    control::set_cpu_of(Some(number));
    // SAFETY: the runtime's.
    control::set_ipi(Some(|| unsafe { redox_two_interrupt_other() }));
    while READY.load(SeqCst) == 0 {
        hint::spin_loop();
    }
    let before = used_frames();
    if hv::enable_this_cpu(&CPU).is_err() {
        WRONG.fetch_add(1, SeqCst);
    }
    second(TURN_ON);
    for (what, result) in [("moving", moves()), ("taking away", taken_away())] {
        if let Err(error) = result {
            log(format_args!("{}: {}", what, error));
            check(what, 0, 1);
        }
    }
    threads::run_all();
    hv::disable_this_cpu(&CPU);
    second(TURN_OFF);
    JOB.store(END, SeqCst);
    check("nothing unexpected happened", WRONG.load(SeqCst), 0);
    check("every frame came back", used_frames() as u64, before as u64);
}
