//! Memory types, in the names of x86.

/// How a page may be cached. Arm and RISC-V translate the names; what a format lacks is
/// [`Error::Unsupported`](crate::Error::Unsupported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MemoryType {
    /// UC: strong order, for devices.
    Uncacheable = 0,
    /// WC: for frame buffers.
    WriteCombining = 1,
    /// WT.
    WriteThrough = 2,
    /// WP.
    WriteProtected = 3,
    /// WB: for memory.
    WriteBack = 4,
}

impl MemoryType {
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            1 => Self::WriteCombining,
            2 => Self::WriteThrough,
            3 => Self::WriteProtected,
            4 => Self::WriteBack,
            _ => Self::Uncacheable,
        }
    }
}
