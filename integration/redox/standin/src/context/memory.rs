//! `context::memory`: a process's address space, as far as memory is borrowed from it and mapped into it.

use alloc::{collections::BTreeMap, sync::Arc};
use core::num::NonZeroUsize;

use spin::Mutex;

use crate::{
    memory::{
        get_page_info, Frame, Page, PageFlags, PhysicalAddress, RaiiFrame, RefKind, RmmA,
        VirtualAddress, PAGE_SIZE,
    },
    sync::{CleanLockToken, LockToken, RwLock, RwLockReadGuard, RwLockWriteGuard, L4, L5},
    syscall::{
        error::{Error, Result, EEXIST, EINVAL, ENOMEM, EPERM, ESRCH},
        flag::MapFlags,
    },
    USER_END_OFFSET,
};

#[derive(Clone, Copy, Debug)]
pub struct PageSpan {
    pub base: Page,
    pub count: usize,
}

impl PageSpan {
    pub fn new(base: Page, count: usize) -> Self {
        Self { base, count }
    }
}

/// Where a page's memory comes from.
#[derive(Debug)]
pub enum Provider {
    /// The process's own.
    Allocated,
    /// Shared with whoever else has it.
    AllocatedShared,
    /// Not the allocator's.
    PhysBorrowed { base: Frame },
    /// Anything else.
    Other,
}

/// One page of a process (the kernel's have more).
#[derive(Debug)]
pub struct Grant {
    base: Page,
    info: GrantInfo,
}

#[derive(Debug)]
pub struct GrantInfo {
    flags: PageFlags<RmmA>,
    pub(crate) provider: Provider,
}

impl GrantInfo {
    /// What the process may do, whatever its tables say yet.
    pub fn flags(&self) -> PageFlags<RmmA> {
        self.flags
    }
}

/// A reference that goes with a page.
fn drop_ref(frame: Frame) {
    // SAFETY: the grant that ends had it.
    drop(unsafe { RaiiFrame::new_unchecked(frame) });
}

impl Grant {
    pub fn allocated_shared_one_page(
        frame: Frame,
        page: Page,
        flags: PageFlags<RmmA>,
        mapper: &mut PageMapper,
        flusher: &mut Flusher,
        _is_pinned: bool,
    ) -> Result<Grant> {
        let info = get_page_info(frame).expect("needs page info");

        info.add_ref(RefKind::Shared)
            .expect("must be possible if previously Zero");
        if crate::control::mapping_fails() {
            // as map_phys does without a frame for a table; the kernel's own code loses the reference here
            drop_ref(frame);
            return Err(Error::new(ENOMEM));
        }
        mapper
            .pages
            .insert(page.start_address().data(), (frame.base(), flags));
        flusher.0 += 1;
        Ok(Grant {
            base: page,
            info: GrantInfo {
                flags,
                provider: Provider::AllocatedShared,
            },
        })
    }
}

/// What is to be flushed (counted only).
pub struct Flusher(usize);

/// The process's tables: by page.
pub struct PageMapper {
    pages: BTreeMap<usize, (PhysicalAddress, PageFlags<RmmA>)>,
}

impl PageMapper {
    pub fn translate(&self, virt: VirtualAddress) -> Option<(PhysicalAddress, PageFlags<RmmA>)> {
        self.pages.get(&(virt.data() & !(PAGE_SIZE - 1))).copied()
    }
}

pub struct Table {
    pub utable: PageMapper,
}

pub struct UserGrants {
    inner: BTreeMap<usize, Grant>,
}

impl UserGrants {
    pub fn contains(&self, page: Page) -> Option<(Page, &GrantInfo)> {
        let grant = self.inner.get(&page.start_address().data())?;

        Some((grant.base, &grant.info))
    }

    pub fn find_free(&self, min: usize, page_count: usize) -> Option<PageSpan> {
        let size = page_count * PAGE_SIZE;
        let mut at = min;

        for page in self.inner.range(min..).map(|(page, _)| *page) {
            if page - at >= size {
                break;
            }
            at = page + PAGE_SIZE;
        }
        let past = at.checked_add(size)?;
        (past <= USER_END_OFFSET).then(|| {
            PageSpan::new(
                Page::containing_address(VirtualAddress::new(at)),
                page_count,
            )
        })
    }
}

/// Nothing: no file is told of an unmapping.
pub struct UnmapVec(());

pub struct AddrSpace {
    pub table: Table,
    pub grants: UserGrants,
    pub mmap_min: usize,
}

static CURRENT: Mutex<Option<Arc<AddrSpaceWrapper>>> = Mutex::new(None);

/// The process whose system calls come now (the stand-in's own).
pub fn set_current(process: Option<Arc<AddrSpaceWrapper>>) {
    let before = core::mem::replace(&mut *CURRENT.lock(), process);
    drop(before); // after the lock: its frames may go with it
}

impl AddrSpace {
    pub fn current() -> Result<Arc<AddrSpaceWrapper>> {
        CURRENT.lock().clone().ok_or(Error::new(ESRCH))
    }

    pub fn mmap(
        &mut self,
        _dst_lock: &AddrSpaceWrapper,
        requested_base_opt: Option<Page>,
        page_count: NonZeroUsize,
        flags: MapFlags,
        _notify_files_out: Option<&mut UnmapVec>,
        map: impl FnOnce(Page, PageFlags<RmmA>, &mut PageMapper, &mut Flusher) -> Result<Grant>,
    ) -> Result<Page> {
        assert_eq!(page_count.get(), 1, "the stand-in maps one page at a time");
        let page = match requested_base_opt {
            Some(page) if flags.contains(MapFlags::MAP_FIXED_NOREPLACE) => {
                if self.grants.inner.contains_key(&page.start_address().data()) {
                    return Err(Error::new(EEXIST));
                }
                page
            }
            _ => {
                self.grants
                    .find_free(self.mmap_min, 1)
                    .ok_or(Error::new(ENOMEM))?
                    .base
            }
        };
        let page_flags = PageFlags::new()
            .user(true)
            .execute(flags.contains(MapFlags::PROT_EXEC))
            .write(flags.contains(MapFlags::PROT_WRITE));
        let grant = map(page, page_flags, &mut self.table.utable, &mut Flusher(0))?;

        self.grants
            .inner
            .insert(grant.base.start_address().data(), grant);
        Ok(page)
    }

    fn insert(
        &mut self,
        page: Page,
        phys: PhysicalAddress,
        flags: PageFlags<RmmA>,
        provider: Provider,
    ) {
        let at = page.start_address().data();
        // as physmap has it: writable by the first write
        let now = match provider {
            Provider::PhysBorrowed { .. } => flags.write(false),
            _ => flags,
        };

        self.table.utable.pages.insert(at, (phys, now));
        self.grants.inner.insert(
            at,
            Grant {
                base: page,
                info: GrantInfo { flags, provider },
            },
        );
    }

    fn remove(&mut self, at: usize) {
        let grant = self.grants.inner.remove(&at);
        let page = self.table.utable.pages.remove(&at);

        if let (
            Some(Grant {
                info:
                    GrantInfo {
                        provider: Provider::Allocated | Provider::AllocatedShared,
                        ..
                    },
                ..
            }),
            Some((phys, _)),
        ) = (grant, page)
        {
            drop_ref(Frame::containing(phys));
        }
    }
}

impl Drop for AddrSpace {
    fn drop(&mut self) {
        while let Some(at) = self.grants.inner.keys().next().copied() {
            self.remove(at);
        }
    }
}

pub struct AddrSpaceWrapper {
    inner: RwLock<L5, AddrSpace>,
}

impl AddrSpaceWrapper {
    pub fn new() -> Result<Arc<Self>> {
        let space = AddrSpace {
            table: Table {
                utable: PageMapper {
                    pages: BTreeMap::new(),
                },
            },
            grants: UserGrants {
                inner: BTreeMap::new(),
            },
            mmap_min: PAGE_SIZE,
        };
        Ok(Arc::new(Self {
            inner: RwLock::new(space),
        }))
    }

    pub fn acquire_read<'a>(
        &'a self,
        token: LockToken<'a, L4>,
    ) -> RwLockReadGuard<'a, L5, AddrSpace> {
        self.inner.read(token)
    }

    pub fn acquire_write<'a>(
        &'a self,
        token: LockToken<'a, L4>,
    ) -> RwLockWriteGuard<'a, L5, AddrSpace> {
        self.inner.write(token)
    }

    pub fn munmap(
        &self,
        span: PageSpan,
        _unpin: bool,
        token: &mut CleanLockToken,
    ) -> Result<UnmapVec> {
        let mut space = self.acquire_write(token.downgrade());

        for number in 0..span.count {
            space.remove(span.base.next_by(number).start_address().data());
        }
        Ok(UnmapVec(()))
    }

    fn with<T>(&self, action: impl FnOnce(&mut AddrSpace) -> T) -> T {
        // SAFETY: only tests and copies of user memory come here, which hold no lock of a higher level.
        let mut token = unsafe { CleanLockToken::new() };
        let mut space = self.acquire_write(token.downgrade());

        action(&mut space)
    }

    /// What is behind a page (the stand-in's own).
    pub fn look(&self, page: Page) -> Option<(PhysicalAddress, PageFlags<RmmA>)> {
        self.with(|space| space.table.utable.translate(page.start_address()))
    }

    /// Give the process `count` pages of memory (the stand-in's own).
    pub fn grow(&self, page: Page, count: usize) -> Result<()> {
        for number in 0..count {
            self.give(page.next_by(number), RaiiFrame::allocate()?);
        }
        Ok(())
    }

    /// Give the process this frame, which becomes its own (the stand-in's own).
    pub fn give(&self, page: Page, frame: RaiiFrame) {
        let (phys, flags) = (frame.take().base(), PageFlags::new().user(true).write(true));

        self.with(|space| space.insert(page, phys, flags, Provider::Allocated));
    }

    /// Give the process a page that is not its own memory (the stand-in's own).
    pub fn map_foreign(&self, page: Page) {
        self.with(|space| {
            space.grants.inner.insert(
                page.start_address().data(),
                Grant {
                    base: page,
                    info: GrantInfo {
                        flags: PageFlags::new().user(true),
                        provider: Provider::Other,
                    },
                },
            );
        });
    }

    /// Give the process a device's page, as `memory:physical` does (the stand-in's own).
    pub fn map_device(&self, page: Page, device: PhysicalAddress, flags: PageFlags<RmmA>) {
        let base = Frame::containing(device);

        self.with(|space| space.insert(page, device, flags, Provider::PhysBorrowed { base }));
    }

    /// Bytes that `sys:context` shows of the process, private and shared (the stand-in's own; the rule is the kernel's).
    pub fn private_and_shared(&self) -> (usize, usize) {
        self.with(|space| {
            let (mut private, mut shared) = (0, 0);
            for grant in space.grants.inner.values() {
                match grant.info.provider {
                    Provider::Allocated => private += PAGE_SIZE,
                    Provider::PhysBorrowed { .. } => (),
                    _ => shared += PAGE_SIZE,
                }
            }
            (private, shared)
        })
    }

    /// Take a page away from the process, as munmap does (the stand-in's own).
    pub fn shrink(&self, page: Page) {
        self.with(|space| space.remove(page.start_address().data()));
    }

    /// The frame behind a page (the stand-in's own).
    pub fn frame(&self, page: Page) -> Option<Frame> {
        self.look(page).map(|(phys, _)| Frame::containing(phys))
    }

    pub fn borrow_frame_enforce_rw_allocated(
        self: &Arc<Self>,
        page: Page,
        token: &mut CleanLockToken,
    ) -> Result<RaiiFrame> {
        let space = self.acquire_write(token.downgrade());
        let grant = space
            .grants
            .inner
            .get(&page.start_address().data())
            .ok_or(Error::new(EINVAL))?;

        if !matches!(grant.info.provider, Provider::Allocated) {
            return Err(Error::new(EPERM));
        }
        let (phys, _) = space
            .table
            .utable
            .translate(page.start_address())
            .expect("an Allocated page without a frame");
        let frame = Frame::containing(phys);
        let info = get_page_info(frame).expect("missing page info for Allocated grant");

        info.add_ref(RefKind::Shared)
            .map_err(|_| Error::new(ENOMEM))?;
        // SAFETY: the reference was just added.
        Ok(unsafe { RaiiFrame::new_unchecked(frame) })
    }
}
