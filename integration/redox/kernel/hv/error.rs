//! Why something could not be done, and the number that user space is told.

use core::fmt;

use hvpt::{svm::SvmEnableError, vmx, vmx::VmxEnableError, ControlError, Error as PagingError};

use crate::syscall::error::{
    Error, EAGAIN, EBUSY, EEXIST, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, EPERM,
};

/// A cause a value; what it says in words goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HvError {
    /// No frame.
    OutOfMemory,
    /// Second-level tables refused.
    Paging(PagingError),
    /// A control structure refused.
    Control(ControlError),
    /// VMX cannot be turned on.
    Vmx(VmxEnableError),
    /// SVM cannot be turned on.
    Svm(SvmEnableError),
    /// The CPU has neither.
    NoVirtualization,
    /// The CPU lacks something that every guest needs; the log says what.
    Missing,
    /// A VM entry failed; the log says which rules the VMCS breaks.
    Entry(vmx::EntryFailure),
    /// VMRUN refused the VMCB; the log says which rules it breaks.
    InvalidVmcb,
    /// VMREAD or VMWRITE of this field failed.
    Field(u32),
    /// An argument is out of range, not aligned, or more than a call takes.
    Invalid,
    /// The memory is not mapped in the guest.
    NotMapped,
    /// The memory is not the guest's own, but a device's or the kernel's.
    Forbidden,
    /// The guest cannot take the event now: ask for a window.
    Blocked,
    /// This CPU is running a guest already.
    Busy,
    /// The instruction is none that is carried out here.
    Instruction,
}

impl From<PagingError> for HvError {
    fn from(error: PagingError) -> Self {
        match error {
            PagingError::OutOfMemory => Self::OutOfMemory,
            other => Self::Paging(other),
        }
    }
}

impl From<ControlError> for HvError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Full => Self::OutOfMemory,
            other => Self::Control(other),
        }
    }
}

impl fmt::Display for HvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of frames"),
            Self::Paging(error) => error.fmt(f),
            Self::Control(error) => error.fmt(f),
            Self::Vmx(error) => error.fmt(f),
            Self::Svm(error) => error.fmt(f),
            Self::NoVirtualization => f.write_str("this CPU has neither VMX nor SVM"),
            Self::Missing => f.write_str("this CPU lacks what guests need"),
            Self::Entry(failure) => failure.fmt(f),
            Self::InvalidVmcb => f.write_str("VMRUN refused the VMCB"),
            Self::Field(field) => write!(f, "the CPU refused {}", vmx::field_name(*field)),
            Self::Invalid => f.write_str("out of range, not aligned, or too much"),
            Self::NotMapped => f.write_str("not mapped in the guest"),
            Self::Forbidden => f.write_str("not the guest's own memory"),
            Self::Blocked => f.write_str("the guest cannot take the event now"),
            Self::Busy => f.write_str("this CPU runs a guest already"),
            Self::Instruction => f.write_str("an instruction that is not carried out here"),
        }
    }
}

impl From<HvError> for Error {
    fn from(error: HvError) -> Self {
        Error::new(match error {
            HvError::OutOfMemory => ENOMEM,
            HvError::Paging(PagingError::AlreadyMapped) => EEXIST,
            HvError::Paging(PagingError::NotMapped) | HvError::NotMapped => ENOENT,
            HvError::Paging(_) | HvError::Control(_) | HvError::Invalid => EINVAL,
            HvError::Vmx(VmxEnableError::AlreadyOn)
            | HvError::Svm(SvmEnableError::AlreadyOn)
            | HvError::Busy => EBUSY,
            HvError::Vmx(_) | HvError::Svm(_) | HvError::NoVirtualization | HvError::Missing => {
                ENODEV
            }
            HvError::Entry(_) | HvError::InvalidVmcb | HvError::Field(_) => EIO,
            HvError::Forbidden => EPERM,
            HvError::Blocked => EAGAIN,
            HvError::Instruction => EOPNOTSUPP,
        })
    }
}
