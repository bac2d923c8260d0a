//! Why a guest was left, in terms that both vendors share: what user space reads.

use hvpt::{insn::MAX_LENGTH, vmx::PortAccess};

use crate::memory::PhysicalAddress;

/// An exit that the kernel did not handle itself.
///
/// RIP is behind HLT and hypercalls. It is at the instruction of [`Exit::Port`], [`Exit::Msr`], [`Exit::Memory`] and
/// [`Exit::Other`]: the caller completes the access (`Vcpu::complete`, `Vcpu::complete_access`), raises an exception
/// there, or lets the guest try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// VMCALL or VMMCALL: arguments and results are in the guest's registers.
    Hypercall,
    /// HLT. An interrupt or an NMI that is injected wakes the guest.
    Halt,
    /// Memory that is not mapped, or not for this. The guest tries again when it runs on; a device's memory is answered
    /// by `Vcpu::access` and `Vcpu::complete_access`.
    Memory {
        gpa: PhysicalAddress,
        read: bool,
        write: bool,
        fetch: bool,
    },
    /// IN or OUT: the value is, or is to be put, in RAX. Then `Vcpu::complete`.
    Port(PortAccess),
    /// RDMSR or WRMSR that the policy leaves to the caller, the number in RCX: the value is, or is to be put, in RDX and
    /// RAX. Then `Vcpu::complete`.
    Msr { msr: u32, write: bool },
    /// A tables' entry that no CPU accepts: a mistake of the host's.
    Misconfigured { gpa: PhysicalAddress },
    /// The guest's triple fault.
    Shutdown,
    /// An interrupt of the host's waits. Nothing here lets it in: go back to where interrupts are on, in Redox to user
    /// mode, and run again.
    Interrupted,
    /// The guest can take an interrupt, as was asked for.
    InterruptWindow,
    /// The guest can take an NMI, as was asked for.
    NmiWindow,
    /// Anything else, by the vendor's own number, with what the CPU says about it.
    Other { code: u64, info: u64 },
}

/// The instruction that the guest was left at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Its bytes, as the CPU tells them; 0: it does not, and only the bytes do.
    pub length: u8,
    /// How many of `bytes` could be read.
    pub fetched: u8,
    /// What lies at RIP, up to the longest instruction or to the end of what can be read.
    pub bytes: [u8; MAX_LENGTH],
}

/// An access to memory, of the instruction that [`Exit::Memory`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Where.
    pub gpa: PhysicalAddress,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// What it writes; `None`: it reads.
    pub write: Option<u64>,
}
