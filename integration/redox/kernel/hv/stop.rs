//! Every CPU out of VMX operation, before the machine is turned off or another kernel starts: a CPU in it ignores INIT.

use core::{
    hint,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use hvpt::cpu::Cpu;

use super::{disable_this_cpu, scheme::CPU};
use crate::{
    arch::ipi::{ipi, IpiKind, IpiTarget},
    percpu::PercpuBlock,
};

static STOPPING: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// A CPU that has not answered after so many looks never will.
const PATIENCE: u32 = 100_000_000;

/// No guest runs from now on.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::SeqCst)
}

/// What [`IpiKind::Stop`] does on the CPU that gets it: a guest is left, virtualization goes off.
pub fn stopped() {
    stopped_on(&CPU);
}

/// Stop guests for good, and turn virtualization off on every CPU. False: one has not answered.
pub fn stop_everywhere() -> bool {
    stop_everywhere_on(&CPU)
}

/// The same as [`stopped`], of another kind of CPU.
pub fn stopped_on(cpu: &dyn Cpu) {
    disable_this_cpu(cpu);
    STOPPED.fetch_add(1, Ordering::SeqCst);
}

/// The same as [`stop_everywhere`], of another kind of CPU.
pub fn stop_everywhere_on(cpu: &dyn Cpu) -> bool {
    if STOPPING.swap(true, Ordering::SeqCst) {
        return true; // it has been done
    }
    disable_this_cpu(cpu);
    let others = crate::cpu_count().saturating_sub(1);
    if others == 0 {
        return true;
    }
    ipi(IpiKind::Stop, IpiTarget::Other);
    for _ in 0..PATIENCE {
        if STOPPED.load(Ordering::SeqCst) >= others {
            return true;
        }
        PercpuBlock::current().maybe_handle_tlb_shootdown();
        hint::spin_loop();
    }
    warn!("guests are not stopped on every CPU");
    false
}
