//! `context::memory`: a process's address space, as far as memory is borrowed from it.

pub mod memory {
    use alloc::{collections::BTreeMap, sync::Arc};

    use spin::Mutex;

    use crate::{
        memory::{get_page_info, Frame, Page, RaiiFrame, RefKind},
        sync::CleanLockToken,
        syscall::error::{Error, Result, EINVAL, ENOMEM, EPERM},
    };

    /// A page of a process: memory of its own, or anything else, which cannot be borrowed.
    enum Grant {
        Allocated(RaiiFrame),
        Other,
    }

    pub struct AddrSpaceWrapper {
        grants: Mutex<BTreeMap<usize, Grant>>,
    }

    impl AddrSpaceWrapper {
        pub fn new() -> Result<Arc<Self>> {
            Ok(Arc::new(Self {
                grants: Mutex::new(BTreeMap::new()),
            }))
        }

        /// Give the process `count` pages of memory (the stand-in's own).
        pub fn grow(&self, page: Page, count: usize) -> Result<()> {
            for number in 0..count {
                let frame = RaiiFrame::allocate()?;
                self.grants.lock().insert(
                    page.next_by(number).start_address().data(),
                    Grant::Allocated(frame),
                );
            }
            Ok(())
        }

        /// Give the process a page that is not its own memory (the stand-in's own).
        pub fn map_foreign(&self, page: Page) {
            self.grants
                .lock()
                .insert(page.start_address().data(), Grant::Other);
        }

        /// Take a page away from the process, as munmap does (the stand-in's own).
        pub fn shrink(&self, page: Page) {
            self.grants.lock().remove(&page.start_address().data());
        }

        /// The frame behind a page (the stand-in's own).
        pub fn frame(&self, page: Page) -> Option<Frame> {
            match self.grants.lock().get(&page.start_address().data()) {
                Some(Grant::Allocated(frame)) => Some(frame.get()),
                _ => None,
            }
        }

        pub fn borrow_frame_enforce_rw_allocated(
            self: &Arc<Self>,
            page: Page,
            _token: &mut CleanLockToken,
        ) -> Result<RaiiFrame> {
            let grants = self.grants.lock();
            let frame = match grants.get(&page.start_address().data()) {
                Some(Grant::Allocated(frame)) => frame.get(),
                Some(Grant::Other) => return Err(Error::new(EPERM)),
                None => return Err(Error::new(EINVAL)),
            };
            let info = get_page_info(frame).expect("missing page info for Allocated grant");

            info.add_ref(RefKind::Shared)
                .map_err(|_| Error::new(ENOMEM))?;
            // SAFETY: the reference was just added.
            Ok(unsafe { RaiiFrame::new_unchecked(frame) })
        }
    }
}
