//! Guests: second-level address spaces, virtual CPUs, and the CPUs that run them.
//!
//! [`Vm`] owns a guest's second-level tables and holds references to its memory; [`Vcpu`] owns a VMCS or a VMCB and runs;
//! [`percpu`] turns VMX or SVM on and off; [`frames`] takes frames from the kernel's allocator and keeps each VM's books.
//! The tables and control structures are the crate hvpt_redox.

pub mod error;
pub mod exit;
pub mod frames;
pub mod percpu;
mod svm;
pub mod tlb;
pub mod vcpu;
pub mod vm;
mod vmx;

pub use self::{
    error::HvError,
    exit::Exit,
    frames::{Account, KernelFrames},
    percpu::{disable_this_cpu, enable_this_cpu},
    vcpu::Vcpu,
    vm::{Vm, VmStats},
};
