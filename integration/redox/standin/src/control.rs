//! What tests say to the stand-in: its memory, the CPU it is on, where the log goes.

use core::{
    fmt,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use spin::Mutex;

pub use crate::context::memory::set_current as set_process;
use crate::cpu_set::LogicalCpuId;
pub use crate::memory::{allocations, fail_at, init, peak_frames};

static CPU: AtomicU32 = AtomicU32::new(0);
static CPUS: AtomicU32 = AtomicU32::new(1);
static CPU_OF: Mutex<Option<fn() -> u32>> = Mutex::new(None);
static IPI: Mutex<Option<fn()>> = Mutex::new(None);
static USER_MODE: Mutex<Option<fn()>> = Mutex::new(None);
pub(crate) static IPIS: AtomicUsize = AtomicUsize::new(0);
pub(crate) static EVENTS: AtomicUsize = AtomicUsize::new(0);
static MAPPINGS: AtomicUsize = AtomicUsize::new(usize::MAX);
pub(crate) static SHOOTDOWNS: AtomicUsize = AtomicUsize::new(0);
static LOG: Mutex<Option<fn(fmt::Arguments<'_>)>> = Mutex::new(None);

/// The CPU that the kernel is on from now on.
pub fn set_cpu(number: u32) {
    CPU.store(number, Ordering::SeqCst);
}

/// Ask this which CPU the kernel is on, for threads that are on several.
pub fn set_cpu_of(ask: Option<fn() -> u32>) {
    *CPU_OF.lock() = ask;
}

pub(crate) fn cpu() -> LogicalCpuId {
    let ask = *CPU_OF.lock();

    LogicalCpuId::new(ask.map_or_else(|| CPU.load(Ordering::SeqCst), |ask| ask()))
}

/// So many CPUs take part from now on; at first 1.
pub fn set_cpus(count: u32) {
    CPUS.store(count, Ordering::SeqCst);
}

pub(crate) fn cpus() -> u32 {
    CPUS.load(Ordering::SeqCst)
}

/// Inter-processor interrupts that were sent.
pub fn ipis() -> usize {
    IPIS.load(Ordering::SeqCst)
}

/// Have this interrupt the other CPUs, where there are any.
pub fn set_ipi(send: Option<fn()>) {
    *IPI.lock() = send;
}

pub(crate) fn send_ipi() {
    let send = *IPI.lock();

    if let Some(send) = send {
        send();
    }
}

/// Call this whenever a system call returns to user mode, where interrupts are on.
pub fn set_user_mode(let_in: Option<fn()>) {
    *USER_MODE.lock() = let_in;
}

pub(crate) fn user_mode() {
    let let_in = *USER_MODE.lock();

    if let Some(let_in) = let_in {
        let_in();
    }
}

/// File descriptors that were told to be ready.
pub fn events() -> usize {
    EVENTS.load(Ordering::SeqCst)
}

/// Let mapping a shared page into a process fail after so many that succeed.
pub fn fail_mapping_after(count: usize) {
    MAPPINGS.store(count, Ordering::SeqCst);
}

pub(crate) fn mapping_fails() -> bool {
    let less = |left: usize| left.checked_sub(usize::from(left != usize::MAX));
    MAPPINGS
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_err()
}

/// How often a CPU that waits asked whether there is a shoot-down for it.
pub fn shootdowns() -> usize {
    SHOOTDOWNS.load(Ordering::SeqCst)
}

/// Where the log goes; nowhere at first.
pub fn set_log(to: fn(fmt::Arguments<'_>)) {
    *LOG.lock() = Some(to);
}

pub(crate) fn log(line: fmt::Arguments<'_>) {
    let to = *LOG.lock();
    if let Some(to) = to {
        to(line);
    }
}
