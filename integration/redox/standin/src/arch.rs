//! `arch`: interrupts between CPUs.

pub mod ipi {
    use core::sync::atomic::Ordering;

    #[derive(Clone, Copy, Debug)]
    #[repr(u8)]
    pub enum IpiKind {
        Wakeup = 0x40,
        Tlb = 0x41,
        Switch = 0x42,
        Pit = 0x43,
        Stop = 0x45,
    }

    #[derive(Clone, Copy, Debug)]
    #[repr(u8)]
    pub enum IpiTarget {
        Current = 1,
        All = 2,
        Other = 3,
    }

    pub fn ipi(_: IpiKind, _: IpiTarget) {
        crate::control::IPIS.fetch_add(1, Ordering::SeqCst);
        crate::control::send_ipi();
    }
}
