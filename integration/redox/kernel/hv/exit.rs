//! Why a guest was left, in terms that both vendors share: what user space reads.

use hvpt_redox::vmx::PortAccess;

/// An exit that the kernel did not handle itself. RIP is behind HLT and hypercalls, and at the
/// instruction of [`Exit::Port`] and [`Exit::Msr`]: the caller completes the access (`Vcpu::complete`) or raises an exception
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// VMCALL or VMMCALL: arguments and results are in the guest's registers.
    Hypercall,
    /// HLT.
    Halt,
    /// Memory that is not mapped, or not for this. The guest tries again when it runs on.
    Memory { gpa: u64, read: bool, write: bool, fetch: bool },
    /// IN or OUT: the value is, or is to be put, in RAX. Then `Vcpu::complete`.
    Port(PortAccess),
    /// RDMSR or WRMSR, the number in RCX: the value is, or is to be put, in RDX and RAX. Then `Vcpu::complete`.
    Msr { msr: u32, write: bool },
    /// A tables' entry that no CPU accepts: a mistake of the host's.
    Misconfigured { gpa: u64 },
    /// The guest's triple fault.
    Shutdown,
    /// An interrupt of the host's waits: let it in, and run on.
    Interrupted,
    /// Anything else, by the vendor's own number, with what the CPU says about it.
    Other { code: u64, info: u64 },
}
