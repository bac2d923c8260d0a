//! `context::file`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalFlags(u32);

impl InternalFlags {
    pub const POSITIONED: Self = Self(1);

    pub const fn empty() -> Self {
        Self(0)
    }
}
