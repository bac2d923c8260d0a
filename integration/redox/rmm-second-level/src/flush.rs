//! What a change owes: an invalidation that names the guest, and after it the frames of tables that went away.

use core::mem;

use rmm::{Arch, FrameAllocator};

use crate::{GuestAddress, GuestMapper, SecondLevel};

/// What CPUs may have cached that the tables no longer say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stale {
    /// The register that names the guest's tables: EPTP or nCR3.
    pub root: usize,
    /// Where the range begins that encloses every change.
    pub start: GuestAddress,
    /// Its bytes.
    pub size: usize,
    /// An entry that named a table is gone, so that caches of the walk itself are stale, too.
    pub tables: bool,
}

/// How one guest's translations are invalidated.
///
/// # Safety
/// What is taken from the guest, memory or tables, is used for something else once `invalidate` has returned.
pub unsafe trait Invalidate {
    /// Make it so, before returning, that no CPU translates through what `stale` names: INVEPT of its root, or a new
    /// ASID, on each CPU that runs the guest or has run it. More may be dropped, never less.
    fn invalidate(&mut self, stale: &Stale);
}

/// A change that was made, and that CPUs may not see yet: flush it, or ignore it unsafely. It borrows the mapper, so
/// nothing else can be changed before that is settled. What is merely dropped is flushed.
#[must_use = "The guest's tables must be flushed, or the changes unsafely ignored"]
pub struct GuestFlush<'a, S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> {
    pub(crate) mapper: &'a mut GuestMapper<S, A, F, V>,
}

impl<S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> GuestFlush<'_, S, A, F, V> {
    /// Invalidate on every CPU, then free the tables that went away.
    pub fn flush(self) {}

    /// Leave it to the next flush of the mapper, which remembers what is owed.
    ///
    /// # Safety
    /// Until then the guest may go on through what was unmapped or restricted.
    pub unsafe fn ignore(self) {
        mem::forget(self);
    }
}

impl<S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> Drop for GuestFlush<'_, S, A, F, V> {
    fn drop(&mut self) {
        self.mapper.flush();
    }
}
