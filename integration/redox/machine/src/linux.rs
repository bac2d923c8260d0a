//! Linux as a guest of `Vm` and `Vcpu`: a kernel with its 64-bit entry, one virtual CPU, the devices of board.rs. On the way
//! its memory's dirty log is read, and the virtual CPU is saved and goes on as another one.

use alloc::{sync::Arc, vec::Vec};
use core::slice;

use hvpt::{cpu::Cpu, vmx::PortAccess, Gpr, GuestState, Register};
use redox_standin::{
    control,
    hv::{self, CpuidRow, Exit, HvError, Saved, Vcpu, Vm},
    memory::{used_frames, PageFlags, PhysicalAddress, RaiiFrame, RmmA},
    sync::CleanLockToken,
};

use crate::{board::Board, check, log, Machine};

extern "C" {
    /// Let the host's interrupts in, once.
    fn redox_linux_let_in();
    /// Wait for one.
    fn redox_linux_wait();
}

static CPU: Machine = Machine;
const RAM_MIB: usize = 224;
const PAGES: usize = RAM_MIB << 8;
/// Where things lie in the guest: Linux, "The Linux/x86 Boot Protocol", "64-bit Boot Protocol".
const TABLES: usize = 0x1_0000;
const PARAMS: usize = 0x2_0000;
const COMMAND_LINE: usize = 0x2_1000;
const INITRD_END: usize = RAM_MIB << 20;
const USER_SPACE: &str = "init: Linux has come to user space";
const DONE: &str = "init: done";
const COMMAND: &str = "console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 nokaslr mitigations=off no5lvl reboot=t \
    cryptomgr.notests pci=off acpi=off loglevel=6 tsc=reliable i8042.noaux i8042.nokbd no_timer_check tsc_early_khz=";

/// What the boot loader found.
#[repr(C)]
pub struct Files {
    kernel: *const u8,
    kernel_size: usize,
    initrd: *const u8,
    initrd_size: usize,
    tsc_hz: u64,
}

fn token() -> CleanLockToken {
    // SAFETY: nothing here holds a lock.
    unsafe { CleanLockToken::new() }
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn put(vm: &Vm, at: usize, bytes: &[u8]) -> Result<(), HvError> {
    vm.write(gpa(at), bytes, &mut token())
}

/// Memory from 0 on, in pieces that a call takes.
fn memory(vm: &Vm) -> Result<(), HvError> {
    let flags: PageFlags<RmmA> = PageFlags::new().write(true).execute(true);

    for start in (0..PAGES).step_by(512) {
        let mut frames = Vec::with_capacity(512);
        for _ in 0..512 {
            frames.push(RaiiFrame::allocate().map_err(|_| HvError::OutOfMemory)?);
        }
        vm.map_frames(frames, gpa(start << 12), flags, &mut token())?;
    }
    Ok(())
}

/// Kernel, initrd, boot parameters, tables; and how the virtual CPU begins. `None`: no kernel with a 64-bit entry.
fn load(vm: &Vm, kernel: &[u8], initrd: &[u8], tsc_hz: u64) -> Result<Option<GuestState>, HvError> {
    let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|n| kernel[at + n]));
    let setup = (usize::from(if kernel[0x1f1] == 0 { 4 } else { kernel[0x1f1] }) + 1) * 512;
    let at = word(0x258) as usize;

    if &kernel[0x202..0x206] != b"HdrS" || kernel[0x236] & 1 == 0 {
        return Ok(None);
    }
    put(vm, at, &kernel[setup..])?;
    let initrd_at = (INITRD_END - initrd.len()) & !4095;
    put(vm, initrd_at, initrd)?;

    let mut params = [0_u8; 4096];
    let end = 0x202 + usize::from(kernel[0x201]);
    params[0x1f1..end].copy_from_slice(&kernel[0x1f1..end]);
    params[0x210] = 0xff;
    params[0x218..0x21c].copy_from_slice(&(initrd_at as u32).to_le_bytes());
    params[0x21c..0x220].copy_from_slice(&(initrd.len() as u32).to_le_bytes());
    params[0x228..0x22c].copy_from_slice(&(COMMAND_LINE as u32).to_le_bytes());
    params[0x1e8] = 2;
    let ranges = [(0_u64, 0x9_f000_u64), (0x10_0000, (RAM_MIB as u64) << 20)];
    for (number, (start, end)) in (0..).zip(ranges) {
        let entry = &mut params[0x2d0 + 20 * number..][..20];
        entry[..8].copy_from_slice(&start.to_le_bytes());
        entry[8..16].copy_from_slice(&(end - start).to_le_bytes());
        entry[16] = 1;
    }
    put(vm, PARAMS, &params)?;
    put(
        vm,
        COMMAND_LINE,
        alloc::format!("{}{}\0", COMMAND, tsc_hz / 1000).as_bytes(),
    )?;

    put(vm, TABLES, &(TABLES as u64 + 0x1003).to_le_bytes())?;
    put(vm, TABLES + 0x1000, &(TABLES as u64 + 0x2003).to_le_bytes())?;
    for number in 0..512_usize {
        put(
            vm,
            TABLES + 0x2000 + 8 * number,
            &((number as u64) << 21 | 0x83).to_le_bytes(),
        )?;
    }
    Ok(Some(GuestState::long64(
        TABLES as u64,
        at as u64 + 0x200,
        0x9_0000,
    )))
}

/// A guest without a local APIC, whose devices are the board's.
fn without_apic(vcpu: &mut Vcpu) -> Result<(), HvError> {
    let mut policy = vcpu.policy().clone();

    policy.cpuid.push(CpuidRow {
        first: 1,
        last: 1,
        subleaf: None,
        keep: [!0, !0, !0, !(1 << 9)],
        set: [0; 4],
    });
    vcpu.set_policy(policy)
}

#[derive(Default, Debug)]
struct Counts {
    exits: u64,
    ports: u64,
    msrs: u64,
    halts: u64,
    windows: u64,
    interrupts: u64,
    injected: u64,
    memory: u64,
}

struct Run {
    vm: Arc<Vm>,
    vcpu: Vcpu,
    board: Board,
    counts: Counts,
    good: u64,
    bad: u64,
    user_space: bool,
    done: bool,
}

impl Run {
    fn port(&mut self, access: PortAccess, now: u64) -> Result<(), HvError> {
        let value = self.vcpu.get(Gpr::Rax);

        self.counts.ports += 1;
        if access.string {
            return Err(HvError::Instruction);
        }
        if access.input {
            let mask = u64::MAX >> (64 - 8 * u32::from(access.size));
            let read = match access.size {
                1 => u64::from(self.board.read(access.port, now)),
                _ => u64::MAX,
            };
            let keep = if access.size == 4 { 0 } else { value & !mask };
            self.vcpu.set(Gpr::Rax, keep | read & mask)?;
        } else if let Some(line) = self.board.write(access.port, value as u8, now) {
            self.line(&line)?;
        }
        self.vcpu.complete()
    }

    /// Linux has printed a line.
    fn line(&mut self, line: &str) -> Result<(), HvError> {
        log(format_args!("linux| {}", line));
        self.good += u64::from(line.starts_with("good: "));
        self.bad += u64::from(line.starts_with("bad: "));
        self.done |= line == DONE;
        self.user_space |= line == USER_SPACE;
        Ok(())
    }

    /// Everything that an exit asks for. True: the guest has ended.
    fn step(&mut self) -> Result<bool, HvError> {
        let now = CPU.rdtsc();

        self.board.tick(now);
        if self.board.is_pending() {
            if self.vcpu.can_interrupt() {
                let vector = self.board.acknowledge();
                self.vcpu.inject_interrupt(vector)?;
                self.counts.injected += 1;
            } else {
                self.vcpu.want_interrupt_window(true);
            }
        }
        self.counts.exits += 1;
        match self.vcpu.run(&mut token())? {
            Exit::Port(access) => self.port(access, now)?,
            Exit::Msr { .. } => {
                self.counts.msrs += 1;
                self.vcpu.inject_exception(13, 0)?;
            }
            Exit::Halt => {
                self.counts.halts += 1;
                while !self.board.is_pending() {
                    // SAFETY: the runtime's.
                    unsafe { redox_linux_wait() };
                    self.board.tick(CPU.rdtsc());
                }
            }
            Exit::Interrupted => {
                self.counts.interrupts += 1;
                // SAFETY: the runtime's.
                unsafe { redox_linux_let_in() };
            }
            Exit::InterruptWindow => self.counts.windows += 1,
            // nothing is there: reads give ones
            Exit::Memory { .. } => {
                self.counts.memory += 1;
                self.vcpu.access(&mut token())?;
                self.vcpu.complete_access(u64::MAX, &mut token())?;
            }
            Exit::Hypercall => self.vcpu.inject_exception(6, 0)?,
            Exit::Shutdown => return Ok(true),
            other => {
                log(format_args!("{:?}: {}", other, self.vcpu.exit_text()));
                return Err(HvError::Instruction);
            }
        }
        Ok(false)
    }

    /// The same guest on another virtual CPU.
    fn move_over(&mut self) -> Result<(), HvError> {
        let words = self.vcpu.save().words();
        let registers = self.vcpu.extended_state().to_vec();
        let mut other = Vcpu::new(&self.vm, 0, &GuestState::reset())?;

        without_apic(&mut other)?;
        other.restore(&Saved::from_words(&words)?)?;
        other.set_extended_state(&registers)?;
        let again = other.save().words();
        let changed = words
            .iter()
            .zip(&again)
            .filter(|(was, is)| was != is)
            .count();
        check(
            "a saved virtual CPU is what it was, but for the TSC",
            changed as u64,
            1,
        );
        self.vcpu = other;
        Ok(())
    }

    /// How many pages were written since the last time.
    fn written(&self) -> Result<u64, HvError> {
        let mut pages = 0;

        for start in (0..PAGES).step_by(Vm::MAX_PAGES_A_CALL) {
            let count = Vm::MAX_PAGES_A_CALL.min(PAGES - start);
            let mut bitmap = [0_u64; Vm::MAX_PAGES_A_CALL / 64];
            self.vm
                .dirty(gpa(start << 12), count, &mut bitmap, &mut token())?;
            pages += bitmap
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>();
        }
        Ok(pages)
    }
}

fn boot(files: &Files) -> Result<(), HvError> {
    // SAFETY: the boot loader's files, which nobody writes.
    let (kernel, initrd) = unsafe {
        (
            slice::from_raw_parts(files.kernel, files.kernel_size),
            slice::from_raw_parts(files.initrd, files.initrd_size),
        )
    };
    let vm = Vm::new(&CPU)?;

    memory(&vm)?;
    let start = match load(&vm, kernel, initrd, files.tsc_hz)? {
        Some(start) => start,
        None => {
            check("the kernel has a 64-bit entry", 0, 1);
            return Ok(());
        }
    };
    let mut vcpu = Vcpu::new(&vm, 0, &start)?;
    without_apic(&mut vcpu)?;
    vcpu.set(Gpr::Rsi, PARAMS as u64)?;
    check(
        "the guest begins where it was told",
        vcpu.state().get(Register::Rip),
        start.get(Register::Rip),
    );
    log(format_args!(
        "Linux begins, {} MiB, TSC at {} kHz",
        RAM_MIB,
        files.tsc_hz / 1000
    ));

    let mut run = Run {
        vm,
        vcpu,
        board: Board::new(files.tsc_hz),
        counts: Counts::default(),
        good: 0,
        bad: 0,
        user_space: false,
        done: false,
    };
    let mut moved = false;
    while !run.step()? {
        if run.user_space && !moved {
            moved = true;
            run.written()?;
            run.move_over()?;
        }
    }
    check("Linux comes to user space", u64::from(run.user_space), 1);
    check("init comes to its end", u64::from(run.done), 1);
    check("init complains of nothing", run.bad, 0);
    check(
        "and has seen what it looked for",
        u64::from(run.good >= 6),
        1,
    );
    let written = run.written()?;
    log(format_args!(
        "{:?}, {} pages written in user space",
        run.counts, written
    ));
    check(
        "64 MiB that init filled are in the dirty log",
        u64::from(written >= 64 << 8),
        1,
    );
    check(
        "and not all of memory is",
        u64::from(written < PAGES as u64),
        1,
    );
    check(
        "interrupts of the host ended the guest",
        u64::from(run.counts.interrupts > 10),
        1,
    );
    check(
        "interrupts were injected",
        u64::from(run.counts.injected > 10),
        1,
    );
    check(
        "some of them by a window",
        u64::from(run.counts.windows > 0),
        1,
    );
    Ok(())
}

/// Boots Linux. `memory`: as for `redox_machine_main`.
///
/// # Safety
/// As for `redox_machine_main`, and the files are there.
#[no_mangle]
pub unsafe extern "C" fn redox_linux_main(memory: usize, frames: usize, files: *const Files) {
    // SAFETY: the caller's promise.
    let files = unsafe {
        control::init(memory, 0, frames);
        &*files
    };
    control::set_log(log);
    let before = used_frames();
    if let Err(error) = boot(files) {
        log(format_args!("{}", error));
        check("Linux runs to its end", 0, 1);
    }
    hv::disable_this_cpu(&CPU);
    check("every frame came back", used_frames() as u64, before as u64);
}
