//! `sync`: the token of a thread that holds no lock.

pub struct CleanLockToken(());

impl CleanLockToken {
    /// # Safety
    /// The thread holds no lock.
    pub unsafe fn new() -> Self {
        Self(())
    }
}
