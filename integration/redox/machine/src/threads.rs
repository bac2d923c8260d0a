//! Programs on two CPUs, by the scheme: guests of both at once, two virtual CPUs of one guest at once, and threads that are
//! killed while theirs are in the guest.

use alloc::{boxed::Box, sync::Arc};
use core::{
    arch::global_asm,
    hint, mem,
    ptr::{self, null_mut},
    slice,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use redox_hv::{
    abi::{exit, op},
    vmm, Calls, Errno, Exit, Hv, Rights, Vcpu, Vm,
};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    hv::{self, scheme::HvScheme},
    memory::{used_frames, Page, VirtualAddress},
    program::{memory_of, Program, KILLED},
    syscall::error::Error,
};

use crate::{
    check, host, log,
    program::{guests, LIVES},
    two::{second_begins, second_is_done},
    Machine,
};

extern "C" {
    fn redox_host_let_in();
}

static CPU: Machine = Machine;
const ROOT: usize = usize::MAX;
const PAGE: usize = 4096;
/// Where virtual CPUs begin, in real mode, by number.
const START: [u16; 2] = [0x1000, 0x2000];
/// The first one counts here, and the second one copies that to the other word.
const COUNTED: usize = 0x500;
const COPIED: usize = 0x504;
const ROUNDS: u32 = 1000;
const HLT: u8 = 0xf4;

// Real mode. The first one counts up as soon as the copy has come along, ROUNDS times, and halts: it ends only if the
// other one runs meanwhile. Both set IF, for Bochs looks at the guest's, although interrupts exit whatever it is.
global_asm!(
    ".pushsection .rodata.redox_threads, \"a\"",
    ".code16",
    "redox_threads_counts:",
    "    sti",
    "    movl ${rounds}, %ecx",
    "2:  incl {counted}",
    "3:  movl {copied}, %eax",
    "    cmpl {counted}, %eax",
    "    jne 3b",
    "    decl %ecx",
    "    jnz 2b",
    "    hlt",
    "redox_threads_copies:",
    "    sti",
    "2:  movl {counted}, %eax",
    "    movl %eax, {copied}",
    "    jmp 2b",
    "redox_threads_end:",
    ".code64",
    ".popsection",
    rounds = const ROUNDS,
    counted = const COUNTED,
    copied = const COPIED,
    options(att_syntax)
);

extern "C" {
    static redox_threads_counts: u8;
    static redox_threads_copies: u8;
    static redox_threads_end: u8;
}

/// The code of both.
fn code() -> [&'static [u8]; 2] {
    // SAFETY: symbols of the section above, and the bytes between them are constant.
    unsafe {
        let [first, second, end] = [
            ptr::addr_of!(redox_threads_counts),
            ptr::addr_of!(redox_threads_copies),
            ptr::addr_of!(redox_threads_end),
        ];
        [
            slice::from_raw_parts(first, second as usize - first as usize),
            slice::from_raw_parts(second, end as usize - second as usize),
        ]
    }
}

/// The second CPU's program, the virtual CPU that it runs, and the memory of a guest of its own.
static PROGRAM: AtomicPtr<Program> = AtomicPtr::new(null_mut());
static FD: AtomicUsize = AtomicUsize::new(0);
static MEMORY: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// What came of it.
static FINE: AtomicU64 = AtomicU64::new(0);
static KILLS: AtomicU64 = AtomicU64::new(0);
static CHANGED: AtomicU64 = AtomicU64::new(0);
static OTHERWISE: AtomicU64 = AtomicU64::new(0);

/// A program's guests, one after the other.
fn boots() {
    // SAFETY: the first CPU lends both until the task is over.
    let program = unsafe { &*PROGRAM.load(SeqCst) };

    FINE.store(guests(program, MEMORY.load(SeqCst)), SeqCst);
}

/// A thread that runs its virtual CPU until it is killed.
fn runs() {
    // SAFETY: as above.
    let program = unsafe { &*PROGRAM.load(SeqCst) };
    let before = host::words();

    loop {
        let mut words = [0; exit::WORDS];
        match program.call(FD.load(SeqCst), &mut words, [op::RUN, 0, 0]) {
            Ok(_) if words[exit::KIND] == exit::INTERRUPTED => (),
            Err(KILLED) => break,
            _ => {
                OTHERWISE.fetch_add(1, SeqCst);
                return;
            }
        }
    }
    let after = host::words();
    let changed = before.iter().zip(&after).filter(|(was, is)| was != is);
    CHANGED.fetch_add(changed.count() as u64, SeqCst);
    let is_free = program.thread.is_dead() && hv::enable_this_cpu(&CPU).is_ok();
    KILLS.fetch_add(u64::from(is_free), SeqCst);
    // SAFETY: the runtime's. The interrupt that came for it is the next thread's.
    unsafe { redox_host_let_in() };
}

/// A word of memory that guests write as well.
fn word(memory: *mut u8, at: usize) -> u32 {
    // SAFETY: below the end of the guest's memory.
    unsafe { memory.add(at).cast::<u32>().read_volatile() }
}

fn put(memory: *mut u8, at: usize, bytes: &[u8]) {
    // SAFETY: as above.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory.add(at), bytes.len()) }
}

fn begin(vcpu: &Vcpu<&Program>, number: usize) -> Result<(), Errno> {
    let mut regs = vcpu.regs()?;

    regs.real_mode(0, START[number]);
    vcpu.set_regs(&regs)
}

/// A guest with two virtual CPUs.
struct Guest<'a> {
    vm: Vm<&'a Program>,
    counts: Vcpu<&'a Program>,
    copies: Vcpu<&'a Program>,
}

fn guest(program: &Program, memory: *mut u8) -> Result<Guest<'_>, Errno> {
    let vm = Hv::new(program, ROOT).vm()?;

    for (start, code) in START.into_iter().zip(code()) {
        put(memory, start.into(), code);
    }
    put(memory, COUNTED, &[0; 8]);
    // SAFETY: nobody else uses it.
    unsafe { vm.lend(0, memory, vmm::MEMORY, Rights::ALL)? };
    let (counts, copies) = (vm.vcpu(0)?, vm.vcpu(1)?);
    begin(&counts, 0)?;
    begin(&copies, 1)?;
    Ok(Guest { vm, counts, copies })
}

/// Run it until something happens that is not the host's.
fn run(vcpu: &Vcpu<&Program>) -> Result<Exit, Errno> {
    loop {
        match vcpu.run()?.exit {
            Exit::Interrupted => (),
            exit => return Ok(exit),
        }
    }
}

/// The second CPU's thread runs this one from now on.
fn second_runs(thread: &mut Program, vcpu: &Vcpu<&Program>) {
    PROGRAM.store(thread, SeqCst);
    FD.store(vcpu.fd().number(), SeqCst);
    second_begins(runs);
}

/// The guest on the second CPU copies: it is in there.
fn wait_for_copy(memory: *mut u8) {
    let mark = word(memory, COUNTED) + 1;

    put(memory, COUNTED, &mark.to_le_bytes());
    while word(memory, COPIED) != mark {
        hint::spin_loop();
    }
}

/// One thread of two, in the guest: its process goes on with the guest.
fn one_of_two(first: &Program, memory: *mut u8, buffers: &mut Buffers) -> Result<(), Errno> {
    let guest = guest(first, memory)?;
    let mut second = buffers.thread(first)?;
    let kills = KILLS.load(SeqCst);

    second_runs(&mut second, &guest.copies);
    let counted = run(&guest.counts)? == Exit::Halt && word(memory, COPIED) == ROUNDS;
    check(
        "two virtual CPUs of a guest run at once",
        u64::from(counted),
        1,
    );
    check(
        "one that runs is nobody else's",
        u64::from(guest.copies.run().map(drop) == Err(Errno::EBUSY)),
        1,
    );
    wait_for_copy(memory);
    second.thread.force_kill();
    second_is_done();
    check(
        "a thread that is killed leaves the guest",
        KILLS.load(SeqCst) - kills,
        1,
    );

    put(memory, usize::from(START[1]) + 1, &[HLT]);
    let free = run(&guest.copies)? == Exit::Halt;
    check(
        "its virtual CPU runs for another thread, on another CPU",
        u64::from(free),
        1,
    );
    let ipis = control::ipis();
    guest.vm.unmap(0x8000, PAGE)?;
    check(
        "and nobody waits for the dead one",
        (control::ipis() - ipis) as u64,
        0,
    );
    Ok(())
}

/// All threads of a process: the guest goes with the last one, on the CPU where that dies.
fn all_of_them(
    scheme: &'static HvScheme,
    process: &Arc<AddrSpaceWrapper>,
    memory: *mut u8,
    buffers: &mut Buffers,
    in_the_guest_last: bool,
) -> Result<(), Errno> {
    let first = buffers.first(scheme, process)?;
    let mut second = buffers.thread(&first)?;
    let kills = KILLS.load(SeqCst);
    let before = used_frames();
    let guest = guest(&first, memory)?;

    second_runs(&mut second, &guest.copies);
    mem::forget(guest); // the kernel closes it
    wait_for_copy(memory);
    let held = used_frames();
    first.thread.force_kill_here();
    if in_the_guest_last {
        check("the first thread dies", u64::from(first.interrupted()), 1);
        check(
            "and the guest stays with the second one",
            used_frames() as u64,
            held as u64,
        );
        wait_for_copy(memory);
    }
    second.thread.force_kill();
    second_is_done();
    check(
        "a thread is killed in the guest",
        KILLS.load(SeqCst) - kills,
        1,
    );
    if !in_the_guest_last {
        check(
            "its guest stays with the other one",
            used_frames() as u64,
            held as u64,
        );
        check(
            "which dies on its own CPU",
            u64::from(first.interrupted()),
            1,
        );
    }
    check(
        "with the last one all frames of the guest go",
        used_frames() as u64,
        before as u64,
    );
    Ok(())
}

/// Pages of the process for payloads, one a thread.
struct Buffers(usize);

impl Buffers {
    fn next(&mut self) -> Page {
        self.0 += PAGE;
        Page::containing_address(VirtualAddress::new(self.0))
    }

    fn first(
        &mut self,
        scheme: &'static HvScheme,
        process: &Arc<AddrSpaceWrapper>,
    ) -> Result<Program, Errno> {
        Program::new(scheme, process, self.next(), 1).map_err(number)
    }

    fn thread(&mut self, of: &Program) -> Result<Program, Errno> {
        of.another(self.next(), 1).map_err(number)
    }
}

fn number(error: Error) -> Errno {
    Errno(error.errno)
}

fn life() -> Result<(), Errno> {
    let scheme: &'static HvScheme = Box::leak(Box::new(HvScheme::new(&CPU)));
    let process = AddrSpaceWrapper::new().map_err(number)?;
    let mut buffers = Buffers(0x7000_0000_0000);
    let first = buffers.first(scheme, &process)?;
    let mut second = buffers.thread(&first)?;
    let memory = memory_of(&process, vmm::MEMORY / PAGE).map_err(number)?;

    MEMORY.store(
        memory_of(&process, vmm::MEMORY / PAGE).map_err(number)?,
        SeqCst,
    );
    PROGRAM.store(&mut second, SeqCst);
    second_begins(boots);
    let fine = guests(&first, memory);
    second_is_done();
    check("a program boots guests through the scheme", fine, LIVES);
    check(
        "and so does one on the other CPU meanwhile",
        FINE.load(SeqCst),
        LIVES,
    );

    one_of_two(&first, memory, &mut buffers)?;
    all_of_them(scheme, &process, memory, &mut buffers, true)?;
    all_of_them(scheme, &process, memory, &mut buffers, false)?;
    check(
        "a dead thread's CPU has the host's own words",
        CHANGED.load(SeqCst),
        0,
    );
    check("nothing else came of it", OTHERWISE.load(SeqCst), 0);
    Ok(())
}

pub fn run_all() {
    let before = used_frames() as u64;

    // SAFETY: the runtime's.
    control::set_user_mode(Some(|| unsafe { redox_host_let_in() }));
    if let Err(error) = life() {
        log(format_args!("threads: {:?}", error));
        check("threads", 0, 1);
    }
    control::set_process(None);
    control::set_user_mode(None);
    check(
        "threads leave no frames behind",
        used_frames() as u64,
        before,
    );
}
