//! What tests say to the stand-in: its memory, the CPU it is on, where the log goes.

use core::{
    fmt,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use spin::Mutex;

use crate::cpu_set::LogicalCpuId;
pub use crate::memory::{allocations, fail_at, init, peak_frames};

static CPU: AtomicU32 = AtomicU32::new(0);
pub(crate) static IPIS: AtomicUsize = AtomicUsize::new(0);
pub(crate) static SHOOTDOWNS: AtomicUsize = AtomicUsize::new(0);
static LOG: Mutex<Option<fn(fmt::Arguments<'_>)>> = Mutex::new(None);

/// The CPU that the kernel is on from now on.
pub fn set_cpu(number: u32) {
    CPU.store(number, Ordering::SeqCst);
}

pub(crate) fn cpu() -> LogicalCpuId {
    LogicalCpuId::new(CPU.load(Ordering::SeqCst))
}

/// Inter-processor interrupts that were sent.
pub fn ipis() -> usize {
    IPIS.load(Ordering::SeqCst)
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
