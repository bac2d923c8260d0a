//! What CPUs have cached of one VM. The kernel's shoot-down knows nothing of guests, so a VM has its own: a generation
//! that grows with every invalidation, and the CPUs that are inside the guest right now.
//!
//! A virtual CPU flushes before it enters on another CPU or in another generation than last time. Whoever invalidates
//! raises the generation first and then waits until every other CPU has been outside: an interrupt ends the guest there.

use core::{
    hint,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    arch::ipi::{ipi, IpiKind, IpiTarget},
    cpu_set::{LogicalCpuId, MAX_CPU_COUNT},
};

const CPUS: usize = MAX_CPU_COUNT as usize;

/// The state of one VM.
#[derive(Debug)]
pub struct Tlb {
    generation: AtomicU64,
    inside: [AtomicBool; CPUS],
}

/// Where a virtual CPU last flushed.
pub type Seen = Option<(LogicalCpuId, u64)>;

impl Tlb {
    pub fn new() -> Self {
        #[allow(clippy::declare_interior_mutable_const)] // copied into each place, which is what is meant
        const OUTSIDE: AtomicBool = AtomicBool::new(false);

        Self { generation: AtomicU64::new(1), inside: [OUTSIDE; CPUS] }
    }

    /// After this no CPU translates through what the tables said before. `here`: the CPU that calls, which is outside.
    pub fn invalidate(&self, here: LogicalCpuId) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        let others = || self.inside.iter().enumerate().filter(|(cpu, _)| *cpu != here.get() as usize);
        if others().any(|(_, inside)| inside.load(Ordering::SeqCst)) {
            ipi(IpiKind::Wakeup, IpiTarget::Other);
            for (_, inside) in others() {
                // A CPU that comes in again has seen the new generation and flushed: waiting for it too costs a while.
                while inside.load(Ordering::SeqCst) {
                    hint::spin_loop();
                }
            }
        }
    }

    /// This CPU is about to enter; true: it must flush first. `seen` is the virtual CPU's.
    pub fn enter(&self, here: LogicalCpuId, seen: &mut Seen) -> bool {
        // Inside before the generation is read: an invalidation then either sees this CPU or is seen by it.
        self.inside[here.get() as usize].store(true, Ordering::SeqCst);
        let now = (here, self.generation.load(Ordering::SeqCst));
        let stale = *seen != Some(now);

        *seen = Some(now);
        stale
    }

    /// This CPU has left the guest.
    pub fn leave(&self, here: LogicalCpuId) {
        self.inside[here.get() as usize].store(false, Ordering::SeqCst);
    }
}
