//! `percpu`: what a CPU that waits has to do meanwhile.

use core::sync::atomic::Ordering;

pub struct PercpuBlock {}

static BLOCK: PercpuBlock = PercpuBlock {};

impl PercpuBlock {
    pub fn current() -> &'static Self {
        &BLOCK
    }

    /// Counted, for tests that want to see that a wait answers.
    pub fn maybe_handle_tlb_shootdown(&self) {
        crate::control::SHOOTDOWNS.fetch_add(1, Ordering::SeqCst);
    }
}
