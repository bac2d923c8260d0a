//! A guest's own paging, as far as a walk of it needs to know.

use crate::{GuestState, PhysicalAddress, Register};

/// The registers that a walk of the guest's tables reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GuestPaging {
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub rflags: u64,
    pub pat: u64,
    /// Of a guest with PAE paging on EPT.
    pub pdpte: [u64; 4],
}

impl GuestPaging {
    pub(crate) fn words(&self) -> [u64; 10] {
        let [p0, p1, p2, p3] = self.pdpte;

        [
            self.cr0,
            self.cr3,
            self.cr4,
            self.efer,
            self.rflags,
            self.pat,
            p0,
            p1,
            p2,
            p3,
        ]
    }
}

impl From<&GuestState> for GuestPaging {
    fn from(state: &GuestState) -> Self {
        Self {
            cr0: state.get(Register::Cr0),
            cr3: state.get(Register::Cr3),
            cr4: state.get(Register::Cr4),
            efer: state.get(Register::Efer),
            rflags: state.get(Register::Rflags),
            pat: state.get(Register::Pat),
            pdpte: [
                Register::Pdpte0,
                Register::Pdpte1,
                Register::Pdpte2,
                Register::Pdpte3,
            ]
            .map(|word| state.get(word)),
        }
    }
}

/// An access of the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestAccess {
    /// A read of data; in user mode?
    Read(bool),
    /// A write.
    Write(bool),
    /// Fetching an instruction.
    Fetch(bool),
}

impl GuestAccess {
    pub(crate) fn bits(self) -> u32 {
        let (access, user) = match self {
            Self::Read(user) => (1, user),
            Self::Write(user) => (2, user),
            Self::Fetch(user) => (4, user),
        };
        access | u32::from(user) << 8
    }
}

/// What an access of the guest's runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// #GP, or #SS.
    NotCanonical,
    /// #PF with this error code.
    Page(u32),
    /// An exit for this address.
    SecondLevel(PhysicalAddress),
    /// The guest's state allows no such access, or a table is not memory.
    Other,
}
