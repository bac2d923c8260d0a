//! Guests: second-level address spaces, virtual CPUs, and the CPUs that run them.
//!
//! [`Vm`] owns a guest's second-level tables and holds references to its memory; [`Vcpu`] owns a VMCS or a VMCB and runs;
//! [`percpu`] turns VMX or SVM on and off; [`frames`] takes frames from the kernel's allocator and keeps each VM's books.
//! The tables and control structures are the crate hvpt.

mod answer;
mod cpuid;
mod debug;
pub mod error;
pub mod exit;
pub mod frames;
mod machine;
mod mitigate;
mod msr;
pub mod percpu;
pub mod policy;
pub mod saved;
pub mod scheme;
pub mod stop;
mod svm;
pub mod tlb;
pub mod vcpu;
pub mod vm;
mod vmx;

#[allow(unused_imports)] // what the rest of a kernel needs; the scheme takes the modules
pub use self::{
    error::HvError,
    exit::{Exit, Instruction, MemoryAccess},
    frames::{Account, KernelFrames},
    percpu::{disable_this_cpu, enable_this_cpu},
    policy::{CpuidRow, MsrAnswer, MsrRow, Policy},
    saved::Saved,
    vcpu::Vcpu,
    vm::{Vm, VmStats},
};
