//! The flush: what a change owes before the guest's view can be trusted, as a value that must be used.

use core::{fmt, mem};

use crate::{mapper::Mapper, GuestFrames, PhysicalAddress, SecondLevel};

/// Which invalidation makes a change good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidationKind {
    /// INVEPT, single context, of the root. SDM vol. 3, "Invalidating Cached Translation Information".
    Invept,
    /// TLB_CONTROL for the guest's ASID at the next VMRUN, or a new ASID. APM vol. 2, "TLB Control".
    Asid,
    /// DSB ISHST, TLBI IPAS2E1IS over the range, DSB ISH, TLBI VMALLE1IS, DSB ISH, ISB.
    Tlbi,
    /// HFENCE.GVMA over the range, on every hart.
    Hfence,
}

/// What may be stale: an allocator's [`invalidate`](GuestFrames::invalidate) may drop more, never less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// By which instruction.
    pub kind: InvalidationKind,
    /// The register value that names the space: EPTP, nCR3, VTTBR_EL2, hgatp.
    pub root: u64,
    /// Where the range begins that encloses every change.
    pub gpa: PhysicalAddress,
    /// Its bytes.
    pub size: u64,
    /// An entry that pointed to a table went away, so caches of the walk itself are stale, too.
    pub tables: bool,
}

/// A change that has been made, and that processors may not see yet.
///
/// Flush it, or ignore it unsafely; what is dropped otherwise is flushed. While it lives nothing else can be done with
/// the mapper, so frames that the change took out of the tables are not reused before the flush.
#[must_use = "the change must be flushed, or the flush unsafely ignored"]
pub struct Flush<'a, A: SecondLevel, F: GuestFrames> {
    mapper: &'a mut Mapper<A, F>,
}

impl<'a, A: SecondLevel, F: GuestFrames> Flush<'a, A, F> {
    pub(crate) fn new(mapper: &'a mut Mapper<A, F>) -> Self {
        Self { mapper }
    }

    /// Invalidate on every CPU, and free the tables that went away.
    pub fn flush(self) {
        drop(self);
    }

    /// Could any processor hold something stale?
    pub fn is_needed(&self) -> bool {
        self.mapper.flush_is_owed()
    }

    /// Leave the flush to the next one of this mapper, or to [`Mapper::flush`]. Nothing is lost: the mapper keeps what
    /// is owed, and the tables that went away wait with it.
    ///
    /// # Safety
    /// Until then guests may go on through what has been unmapped or restricted: the memory must stay theirs.
    pub unsafe fn ignore(self) {
        mem::forget(self);
    }
}

impl<A: SecondLevel, F: GuestFrames> Drop for Flush<'_, A, F> {
    fn drop(&mut self) {
        self.mapper.flush();
    }
}

impl<A: SecondLevel, F: GuestFrames> fmt::Debug for Flush<'_, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush")
            .field("needed", &self.is_needed())
            .finish()
    }
}
