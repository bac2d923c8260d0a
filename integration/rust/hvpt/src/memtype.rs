//! Memory types, in the names of x86.

/// How a page may be cached. Arm and RISC-V translate the names; what a format lacks is
/// [`Error::Unsupported`](crate::Error::Unsupported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MemoryType {
    /// WB: for memory.
    WriteBack = 0,
    /// WC: for frame buffers.
    WriteCombining = 1,
    /// WT.
    WriteThrough = 2,
    /// WP.
    WriteProtected = 3,
    /// UC: strong order, for devices.
    Uncacheable = 4,
}

impl MemoryType {
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::WriteBack,
            1 => Self::WriteCombining,
            2 => Self::WriteThrough,
            3 => Self::WriteProtected,
            _ => Self::Uncacheable,
        }
    }
}
