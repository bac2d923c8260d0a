//! A stand-in for the Redox kernel: as much of it as the module `hv` uses, with the kernel's signatures, behaviours and
//! panics, so that the very same files compile and run in tests, on a host and on bare metal. What is the stand-in's own
//! is in [`control`].
#![no_std]
#![allow(dead_code, clippy::new_without_default)]

extern crate alloc;

#[macro_use]
mod macros;

pub mod arch;
pub mod context;
pub mod control;
pub mod cpu_set;
pub mod event;
pub mod memory;
pub mod percpu;
pub mod program;
pub mod scheme;
pub mod sync;
pub mod syscall;

#[path = "../../kernel/hv/mod.rs"]
pub mod hv;

/// The first address that no program has.
pub const USER_END_OFFSET: usize = 1 << 47;

/// CPUs that take part.
pub fn cpu_count() -> u32 {
    control::cpus()
}

/// The CPU that runs this.
pub fn cpu_id() -> cpu_set::LogicalCpuId {
    control::cpu()
}
