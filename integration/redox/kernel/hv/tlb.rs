//! What CPUs have cached of one VM. The kernel's shoot-down knows nothing of guests, so a VM has its own: a generation
//! that grows with every invalidation, and the one in which each CPU that is inside the guest has entered.
//!
//! A virtual CPU flushes before it enters on another CPU or in another generation than last time. Whoever invalidates
//! raises the generation first and then waits until every other CPU is outside or has entered in the new generation: an
//! interrupt ends the guest there. Meanwhile it answers the kernel's own shoot-downs, as the kernel's locks do: a CPU that
//! is to leave the guest may be waiting for one.

use core::{
    hint,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    arch::ipi::{ipi, IpiKind, IpiTarget},
    cpu_set::{LogicalCpuId, MAX_CPU_COUNT},
    percpu::PercpuBlock,
};

const CPUS: usize = MAX_CPU_COUNT as usize;

/// A CPU that is not inside: nothing is newer.
const OUTSIDE: u64 = u64::MAX;
/// A CPU that is about to enter, in which generation is not known yet: everything is.
const ENTERING: u64 = 0;

/// The state of one VM.
#[derive(Debug)]
pub struct Tlb {
    generation: AtomicU64,
    entered: [AtomicU64; CPUS],
}

/// Where a virtual CPU last flushed.
pub type Seen = Option<(LogicalCpuId, u64)>;

impl Tlb {
    pub fn new() -> Self {
        #[allow(clippy::declare_interior_mutable_const)] // copied into each place, which is what is meant
        const NOBODY: AtomicU64 = AtomicU64::new(OUTSIDE);

        Self {
            generation: AtomicU64::new(1),
            entered: [NOBODY; CPUS],
        }
    }

    /// After this no CPU translates through what the tables said before. `here`: the CPU that calls, which is outside.
    pub fn invalidate(&self, here: LogicalCpuId) {
        let now = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let behind = |entered: &AtomicU64| entered.load(Ordering::SeqCst) < now;
        let others = || {
            let here = here.get() as usize;
            self.entered
                .iter()
                .enumerate()
                .filter(move |(cpu, _)| *cpu != here)
        };

        if others().any(|(_, entered)| behind(entered)) {
            ipi(IpiKind::Wakeup, IpiTarget::Other);
            for (_, entered) in others() {
                while behind(entered) {
                    PercpuBlock::current().maybe_handle_tlb_shootdown();
                    hint::spin_loop();
                }
            }
        }
    }

    /// This CPU is about to enter; true: it must flush first. `seen` is the virtual CPU's.
    pub fn enter(&self, here: LogicalCpuId, seen: &mut Seen) -> bool {
        // Said before the generation is read: an invalidation then either sees this CPU or is seen by it.
        self.say(here, ENTERING);
        let generation = self.generation.load(Ordering::SeqCst);
        let now = (here, generation);
        let stale = *seen != Some(now);

        // From here on nobody waits for it: it flushes before the guest runs.
        self.say(here, generation);
        *seen = Some(now);
        stale
    }

    /// This CPU has left the guest.
    pub fn leave(&self, here: LogicalCpuId) {
        self.say(here, OUTSIDE);
    }

    fn say(&self, here: LogicalCpuId, what: u64) {
        if let Some(entered) = self.entered.get(here.get() as usize) {
            entered.store(what, Ordering::SeqCst);
        }
    }
}
