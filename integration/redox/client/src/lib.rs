//! Guests for programs on Redox: the scheme `hv` of the kernel module, as types.
//!
//! | type | what it is |
//! |---|---|
//! | [`Hv`] | the scheme: `/scheme/hv`, opened by whoever is root |
//! | [`Vm`] | a guest: memory that is lent to it, and its virtual CPUs |
//! | [`Vcpu`] | a virtual CPU: registers, [`Vcpu::run`], events |
//! | [`Exit`] | why it was left |
//! | [`Calls`] | the kernel's calls, which a test can play; `Native` makes them, with the feature of its name |
//!
//! `no_std`, no allocation, no dependency. [`vmm`] is an example: it boots a small guest with a serial port, a device
//! in memory and a timer.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![warn(rust_2018_idioms)]

#[cfg(test)]
extern crate std;

/// Numbers and words, as the kernel compiles them.
#[allow(missing_docs)]
#[path = "../../kernel/hv/scheme/abi.rs"]
pub mod abi;
mod calls;
mod exit;
#[cfg(all(target_arch = "x86_64", any(target_os = "redox", feature = "native")))]
mod native;
#[cfg(any(
    test,
    all(target_arch = "x86_64", any(target_os = "redox", feature = "native"))
))]
mod numbers;
mod regs;
mod vcpu;
mod vm;
#[cfg(target_arch = "x86_64")]
pub mod vmm;

pub use calls::{Calls, Errno, Fd};
pub use exit::{Access, Exit, Left, Port};
#[cfg(all(target_arch = "x86_64", any(target_os = "redox", feature = "native")))]
pub use native::Native;
pub use regs::{Regs, Segment};
pub use vcpu::{MemoryAccess, Vcpu};
pub use vm::{Hv, Rights, Stats, Vm, PAGE_SIZE};
