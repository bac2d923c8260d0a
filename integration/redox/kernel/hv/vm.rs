//! A guest's address space: its tables, which are also the list of the frames that are held for it.
//!
//! Each 4 KiB of memory that a guest is given is mapped with one reference to its frame, and unmapped before the reference
//! goes. Pages of devices are marked, in a bit that no hardware reads, and have none. So no book is kept that grows with a
//! guest's memory, and no call takes more of the kernel's heap than one page.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};

use hvpt::{
    cpu::Cpu, Ept, EptConfig, EptFeatures, EptMapper, Error as PagingError, Flags, GuestAccess,
    GuestPaging, Keep, Mapper, Npt, NptConfig, NptMapper, SecondLevel, Stats, Visit, PAT_RESET,
};

use super::{
    error::HvError,
    exit::Instruction,
    frames::{Account, KernelFrames},
    machine::{Machine, Word},
    percpu::{with_this_cpu, OnThisCpu},
    tlb::Tlb,
};
use crate::{
    context::memory::AddrSpaceWrapper,
    memory::{
        get_page_info, used_frames, Frame, Page, PageFlags, PhysicalAddress, RaiiFrame, RefKind,
        RmmA, RmmArch, PAGE_SIZE,
    },
    sync::{CleanLockToken, RwLock, L3},
};

const MSR_PAT: u32 = 0x277;
/// EPT_VPID_CAP: accessed and dirty flags.
const CAP_ACCESSED_DIRTY: u64 = 1 << 21;
/// The software bits of a page that no reference is held for.
const DEVICE: u32 = 1;
/// Pages of 2 MiB, which are kept whole where they can be.
const LARGE: usize = 512;

/// A guest. Its vCPUs hold it; the last of them to go takes tables and references with it.
pub struct Vm {
    account: Arc<Account>,
    cpu: &'static dyn Cpu,
    pat: u64,
    root: u64,
    limit: u64,
    /// Pages of memory that are mapped, beside what the tables count.
    memory: AtomicUsize,
    space: RwLock<L3, Tables>,
}

enum Tables {
    Ept(EptMapper<KernelFrames>),
    Npt(NptMapper<KernelFrames>),
}

/// The same for both formats.
macro_rules! either {
    ($tables:expr, $inner:ident => $action:expr) => {
        match $tables {
            Tables::Ept($inner) => $action,
            Tables::Npt($inner) => $action,
        }
    };
}

/// What a VM holds, beside what the whole kernel uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmStats {
    /// Frames of tables, control structures and save areas.
    pub held: usize,
    /// The most that there were.
    pub peak: usize,
    /// Frames that the guest was given.
    pub memory: usize,
    /// Tables and pages by level.
    pub tables: Stats,
    /// The kernel's own count, of everything.
    pub used_frames: usize,
}

fn address(number: u64) -> PhysicalAddress {
    PhysicalAddress::new(number as usize)
}

/// Pages in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    base: PhysicalAddress,
    count: usize,
}

impl Vm {
    /// The most pages that one call takes: interrupts are off in a system call.
    pub const MAX_PAGES_A_CALL: usize = 2048;

    /// A guest without memory.
    pub fn new(cpu: &'static dyn Cpu) -> Result<Arc<Self>, HvError> {
        let account = Account::new();
        let frames = KernelFrames::new(&account);
        let pat = cpu.rdmsr(MSR_PAT).unwrap_or(PAT_RESET);
        let tables = with_this_cpu(cpu, |on| {
            Ok(match on {
                OnThisCpu::Vmx(on) => {
                    let cap = on.caps().ept_vpid_cap();
                    Tables::Ept(EptMapper::create(
                        frames,
                        EptConfig {
                            ept_vpid_cap: cap,
                            maxphyaddr: on.caps().maxphyaddr(),
                            features: EptFeatures {
                                accessed_dirty: cap & CAP_ACCESSED_DIRTY != 0,
                                ..EptFeatures::default()
                            },
                            ..EptConfig::default()
                        },
                    )?)
                }
                OnThisCpu::Svm { on, .. } => Tables::Npt(NptMapper::create(
                    frames,
                    NptConfig {
                        // as deep as the host's own: CR4.LA57
                        levels: if cpu.read_cr(4) & 1 << 12 != 0 { 5 } else { 4 },
                        max_page_size: if on.caps().has_1g_pages() { 0 } else { 2 << 20 },
                        maxphyaddr: on.caps().maxphyaddr(),
                        pat,
                        ..NptConfig::default()
                    },
                )?),
            })
        })?;
        let root = either!(&tables, tables => tables.root());
        let limit = either!(&tables, tables => tables.limit());

        Ok(Arc::new(Self {
            account,
            cpu,
            pat,
            root,
            limit,
            memory: AtomicUsize::new(0),
            space: RwLock::new(tables),
        }))
    }

    /// The end of a range of pages, which a call may take.
    fn end(&self, gpa: PhysicalAddress, count: usize) -> Result<u64, HvError> {
        let start = gpa.data() as u64;
        let size = (count as u64).checked_mul(PAGE_SIZE as u64);
        let end = size
            .and_then(|size| start.checked_add(size))
            .ok_or(HvError::Invalid)?;

        if start % PAGE_SIZE as u64 != 0
            || count == 0
            || count > Self::MAX_PAGES_A_CALL
            || end > self.limit
        {
            return Err(HvError::Invalid);
        }
        Ok(end)
    }

    /// Give the guest `count` pages of a process's memory from `page` on, at `gpa`: all of them or, after an error, none.
    /// The frames stay referenced until they are unmapped, whatever the process does. [`HvError::Invalid`] (EINVAL): more
    /// than [`Vm::MAX_PAGES_A_CALL`], or out of range.
    pub fn map_user(
        &self,
        process: &Arc<AddrSpaceWrapper>,
        page: Page,
        count: usize,
        gpa: PhysicalAddress,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), crate::syscall::error::Error> {
        let end = self.end(gpa, count)?;
        // A user's address is at most this far; so no addition wraps.
        let first = page.start_address().data();
        if (first as u64)
            .checked_add(end - gpa.data() as u64)
            .map_or(true, |past| past >> 47 != 0)
        {
            return Err(HvError::Invalid.into());
        }
        let mut done = 0;

        while done < count {
            let at = gpa.add(done * PAGE_SIZE);
            let to_boundary = LARGE - at.data() / PAGE_SIZE % LARGE;
            let step = to_boundary.min(count - done);
            let borrowed = borrow(process, page.next_by(done), step, token);
            let mapped = borrowed.and_then(|frames| Ok(self.map_chunk(frames, at, flags, token)?));
            if let Err(error) = mapped {
                self.take_back(gpa, done, token);
                return Err(error);
            }
            done += step;
        }
        Ok(())
    }

    /// Give the guest these frames, in this order, at `gpa`: all of them or, after an error, none.
    #[allow(dead_code)] // for guests of the kernel's own
    pub fn map_frames(
        &self,
        frames: Vec<RaiiFrame>,
        gpa: PhysicalAddress,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        self.end(gpa, frames.len())?;
        self.map_chunk(frames, gpa, flags, token)
    }

    /// One lock's worth.
    fn map_chunk(
        &self,
        frames: Vec<RaiiFrame>,
        gpa: PhysicalAddress,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let count = frames.len();
        let mut space = self.space.write(token.token());

        match &mut *space {
            Tables::Ept(tables) => {
                let flags = Flags::<Ept>::from_page_flags(flags, self.pat, Keep::default())?;
                map_all(tables, &frames, gpa, flags)?;
            }
            Tables::Npt(tables) => {
                let flags = Flags::<Npt>::from_page_flags(flags, self.pat, Keep::default())?;
                map_all(tables, &frames, gpa, flags)?;
            }
        }
        for frame in frames {
            let _: Frame = frame.take(); // the tables have the reference now
        }
        self.memory.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// What a call mapped before it failed. Whole chunks go without splitting a page, so no frame is needed; should it fail
    /// all the same, the pages stay the guest's, and their references stay with them.
    fn take_back(&self, gpa: PhysicalAddress, count: usize, token: &mut CleanLockToken) {
        if count != 0 {
            if let Err(error) = self.unmap(gpa, count, token) {
                warn!("{} pages at {:?} stay mapped: {}", count, gpa, error);
            }
        }
    }

    /// Give the guest a device's memory, with the type that the flags say. [`HvError::Forbidden`]: the allocator owns some
    /// of it, so it is memory.
    pub fn map_device(
        &self,
        device: PhysicalAddress,
        count: usize,
        gpa: PhysicalAddress,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let size = self.end(gpa, count)? - gpa.data() as u64;
        let first = device.data();
        let past = first.checked_add(size as usize).ok_or(HvError::Invalid)?;
        let is_memory =
            |at: usize| get_page_info(Frame::containing(PhysicalAddress::new(at))).is_some();

        if first % PAGE_SIZE != 0 {
            return Err(HvError::Invalid);
        }
        if first == 0 || (first..past).step_by(PAGE_SIZE).any(is_memory) {
            return Err(HvError::Forbidden);
        }
        let mut space = self.space.write(token.token());
        let (to, from) = (gpa, device);
        match &mut *space {
            Tables::Ept(tables) => {
                let flags = Flags::<Ept>::from_page_flags(flags, self.pat, Keep::default())?;
                // SAFETY: no memory of the kernel's or of a process's is in the range.
                unsafe { tables.map_range(to, from, size, flags.software(DEVICE))? }.flush();
            }
            Tables::Npt(tables) => {
                let flags = Flags::<Npt>::from_page_flags(flags, self.pat, Keep::default())?;
                // SAFETY: as above.
                unsafe { tables.map_range(to, from, size, flags.software(DEVICE))? }.flush();
            }
        }
        Ok(())
    }

    /// Take `count` pages away from the guest; holes are fine. Once this returns no CPU reaches them through the guest, and
    /// their references are dropped.
    pub fn unmap(
        &self,
        gpa: PhysicalAddress,
        count: usize,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let end = self.end(gpa, count)?;
        let mut space = self.space.write(token.token());

        self.drop_range(&mut space, gpa.data() as u64, end)
    }

    fn drop_range(&self, tables: &mut Tables, gpa: u64, end: u64) -> Result<(), HvError> {
        let dropped = either!(tables, tables => drop_pages(tables, gpa, end));

        self.memory.fetch_sub(dropped.0, Ordering::Relaxed);
        dropped.1
    }

    /// Give pages other rights, or another memory type. [`HvError::Paging`] with `NotMapped`: there is a hole, and nothing
    /// has changed.
    pub fn protect(
        &self,
        gpa: PhysicalAddress,
        count: usize,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let size = self.end(gpa, count)? - gpa.data() as u64;
        let mut space = self.space.write(token.token());
        let at = gpa;

        match &mut *space {
            Tables::Ept(tables) => {
                let flags = Flags::<Ept>::from_page_flags(flags, self.pat, Keep::default())?;
                // SAFETY: the memory stays the guest's, with its references and its marks.
                unsafe { tables.protect_range(at, size, flags)? }.flush();
            }
            Tables::Npt(tables) => {
                let flags = Flags::<Npt>::from_page_flags(flags, self.pat, Keep::default())?;
                // SAFETY: as above.
                unsafe { tables.protect_range(at, size, flags)? }.flush();
            }
        }
        Ok(())
    }

    /// Which pages the guest has written since the last call, the first of which begins the log: a bit each, from bit 0 of
    /// the first word, which must have room. They count as clean afterwards. Pages larger than 4 KiB are split first, so that each
    /// is told by itself.
    pub fn dirty(
        &self,
        gpa: PhysicalAddress,
        count: usize,
        bitmap: &mut [u64],
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let size = self.end(gpa, count)? - gpa.data() as u64;
        let mut space = self.space.write(token.token());
        let at = gpa;

        either!(&mut *space, tables => {
            tables.split(at, size, PAGE_SIZE as u64)?.flush();
            tables.dirty(at, size, bitmap)?.flush();
        });
        Ok(())
    }

    /// A write met a page that `dirty` protected, on a CPU without dirty flags: it may go on.
    pub(super) fn touch(&self, gpa: PhysicalAddress, token: &mut CleanLockToken) -> bool {
        let mut space = self.space.write(token.token());
        let at = PhysicalAddress::new(gpa.data() & !(PAGE_SIZE - 1));

        match &mut *space {
            Tables::Ept(tables) => tables.touch(at, Flags::new().write(true)).is_ok(),
            Tables::Npt(tables) => tables.touch(at, Flags::new().write(true)).is_ok(),
        }
    }

    /// Another reference to the frame behind a page of the guest's, to map it somewhere else. [`HvError::Forbidden`]: it is
    /// a device's.
    pub fn borrow(
        &self,
        gpa: PhysicalAddress,
        token: &mut CleanLockToken,
    ) -> Result<RaiiFrame, HvError> {
        let space = self.space.read(token.token());
        let at = memory_at(&space, gpa.data() as u64)?;
        let frame = Frame::containing(PhysicalAddress::new(at));
        let info = get_page_info(frame).ok_or(HvError::Forbidden)?;

        info.add_ref(RefKind::Shared)
            .map_err(|_| HvError::OutOfMemory)?;
        // SAFETY: the reference was just added.
        Ok(unsafe { RaiiFrame::new_unchecked(frame) })
    }

    /// Read the guest's memory.
    #[allow(dead_code)] // for guests of the kernel's own
    pub fn read(
        &self,
        gpa: PhysicalAddress,
        bytes: &mut [u8],
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        self.read_at(gpa.data() as u64, bytes, token)
    }

    pub(super) fn read_at(
        &self,
        gpa: u64,
        bytes: &mut [u8],
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let to = bytes.as_mut_ptr();

        // SAFETY: the pointer is into a frame that is held, the other into the caller's bytes; what the guest does to the
        // memory meanwhile is its affair.
        self.access(gpa, bytes.len(), token, |at, offset, length| unsafe {
            core::ptr::copy_nonoverlapping(at, to.add(offset), length);
        })
    }

    /// Write the guest's memory, whatever rights the guest has to it.
    #[allow(dead_code)] // for guests of the kernel's own
    pub fn write(
        &self,
        gpa: PhysicalAddress,
        bytes: &[u8],
        token: &mut CleanLockToken,
    ) -> Result<(), HvError> {
        let from = bytes.as_ptr();

        // SAFETY: as read_at.
        self.access(
            gpa.data() as u64,
            bytes.len(),
            token,
            |at, offset, length| unsafe {
                core::ptr::copy_nonoverlapping(from.add(offset), at, length);
            },
        )
    }

    /// Page by page: where the guest's bytes are, their offset from `gpa` on, and how many. All of the range is memory, or
    /// nothing is accessed.
    fn access(
        &self,
        gpa: u64,
        size: usize,
        token: &mut CleanLockToken,
        mut each: impl FnMut(*mut u8, usize, usize),
    ) -> Result<(), HvError> {
        let space = self.space.read(token.token());
        let end = gpa.checked_add(size as u64).ok_or(HvError::Invalid)?;

        for check in [true, false] {
            let mut at = gpa;
            while at < end {
                let within = at as usize % PAGE_SIZE;
                let length = (PAGE_SIZE - within).min((end - at) as usize);
                let memory = PhysicalAddress::new(memory_at(&space, at)?);
                if !check {
                    each(
                        RmmA::phys_to_virt(memory).data() as *mut u8,
                        (at - gpa) as usize,
                        length,
                    );
                }
                at += length as u64;
            }
        }
        Ok(())
    }

    /// Where an address of the guest leads; `None`: nowhere.
    #[allow(dead_code)] // for guests of the kernel's own
    pub fn translate(
        &self,
        gpa: PhysicalAddress,
        token: &mut CleanLockToken,
    ) -> Option<PhysicalAddress> {
        let space = self.space.read(token.token());
        let at = gpa;
        let found = either!(&*space, tables => tables.translate(at).map(|found| found.hpa));

        found.ok()
    }

    /// The bytes at the guest's RIP.
    pub(super) fn fetch(&self, machine: &dyn Machine, token: &mut CleanLockToken) -> Instruction {
        let mut found = Instruction {
            length: machine.length(),
            ..Instruction::default()
        };
        let paging = GuestPaging {
            cr0: machine.word(Word::Cr0),
            cr3: machine.word(Word::Cr3),
            cr4: machine.word(Word::Cr4),
            efer: machine.word(Word::Efer),
            rflags: machine.word(Word::Rflags),
            pat: machine.word(Word::Pat),
            pdpte: machine.pdptes(),
        };
        let wide = machine.code_size() == hvpt::insn::CodeSize::Bits64;
        let start = machine.word(Word::Rip).wrapping_add(machine.code_base());
        let access = GuestAccess::Fetch(machine.user_mode());

        // A piece up to the end of the page, and one behind it.
        for _ in 0..2 {
            let done = usize::from(found.fetched);
            let linear = start.wrapping_add(done as u64);
            let linear = if wide { linear } else { linear & 0xffff_ffff };
            let space = self.space.read(token.token());
            let walked = either!(&*space, tables => tables.guest_walk(&paging, linear, access));
            drop(space);
            let gpa = match walked {
                Ok(gpa) => gpa.data() as u64,
                Err(_) => break,
            };
            let rest = found.bytes.get_mut(done..).unwrap_or(&mut []);
            let count = (PAGE_SIZE - linear as usize % PAGE_SIZE).min(rest.len());
            let piece = rest.get_mut(..count).unwrap_or(&mut []);
            if self.read_at(gpa, piece, token).is_err() {
                break;
            }
            found.fetched += count as u8;
        }
        found
    }

    /// What the VM holds now.
    pub fn stats(&self, token: &mut CleanLockToken) -> VmStats {
        let space = self.space.read(token.token());

        VmStats {
            held: self.account.held(),
            peak: self.account.peak(),
            memory: self.memory.load(Ordering::Relaxed),
            tables: either!(&*space, tables => tables.stats()),
            used_frames: used_frames(),
        }
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(super) fn tlb(&self) -> &Tlb {
        &self.account.tlb
    }

    pub(super) fn cpu(&self) -> &'static dyn Cpu {
        self.cpu
    }

    /// EPTP or nCR3.
    pub(super) fn root(&self) -> u64 {
        self.root
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let limit = self.limit;
        let tables = self.space.get_mut();
        let (_, result) = either!(tables, tables => drop_pages(tables, 0, limit));

        if let Err(error) = result {
            error!("a guest's memory could not be given back: {}", error);
        }
    }
}

/// References to a process's pages, all or none.
fn borrow(
    process: &Arc<AddrSpaceWrapper>,
    page: Page,
    count: usize,
    token: &mut CleanLockToken,
) -> Result<Vec<RaiiFrame>, crate::syscall::error::Error> {
    let mut frames = Vec::new();

    frames
        .try_reserve_exact(count)
        .map_err(|_| HvError::OutOfMemory)?;
    for number in 0..count {
        // Each is pinned by a reference of its own, which an error on the way drops.
        frames.push(process.borrow_frame_enforce_rw_allocated(page.next_by(number), token)?);
    }
    Ok(frames)
}

/// Where memory of the guest's is: not a device's.
fn memory_at(tables: &Tables, gpa: u64) -> Result<usize, HvError> {
    let (hpa, software) = either!(tables, tables => tables
        .translate(address(gpa))
        .map(|found| (found.hpa.data(), found.flags.software_number))
        .map_err(|_| HvError::NotMapped)?);

    if software == DEVICE {
        return Err(HvError::Forbidden);
    }
    Ok(hpa)
}

/// Map frames one after the other, runs of neighbours in one go, so that large pages come about; take it all back if one
/// cannot be mapped.
fn map_all<A: SecondLevel>(
    tables: &mut Mapper<A, KernelFrames>,
    frames: &[RaiiFrame],
    gpa: PhysicalAddress,
    flags: Flags<A>,
) -> Result<(), PagingError> {
    let gpa = gpa.data() as u64;
    let page = PAGE_SIZE as u64;
    let mut done = 0;

    for run in Runs(frames) {
        let at = address(gpa + done * page);
        let (base, size) = (run.base, run.count as u64 * page);
        // SAFETY: whoever calls this holds a reference to each frame and gives it to the tables when all are mapped.
        let mapped = unsafe { tables.map_range(at, base, size, flags) };
        match mapped.map(|flush| flush.flush()) {
            Ok(()) => done += run.count as u64,
            Err(error) => {
                if done != 0 {
                    // What was mapped just now in whole runs goes without splitting a page, so it needs no frame.
                    tables.unmap_range(address(gpa), done * page)?.flush();
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Frames that lie in a row.
struct Runs<'a>(&'a [RaiiFrame]);

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let (first, _) = self.0.split_first()?;
        let base = first.get().base();
        let in_row = |(number, frame): &(usize, &RaiiFrame)| {
            frame.get().base().data() == base.data() + number * PAGE_SIZE
        };
        let count = self.0.iter().enumerate().take_while(in_row).count();

        self.0 = self.0.get(count..).unwrap_or(&[]);
        Some(Run { base, count })
    }
}

/// Unmap a range and drop the references of what was there, some hundred runs at a time. How many pages went, and whether
/// all did.
fn drop_pages<A: SecondLevel>(
    tables: &mut Mapper<A, KernelFrames>,
    gpa: u64,
    end: u64,
) -> (usize, Result<(), HvError>) {
    const RUNS: usize = 255; // 4 KiB
    let mut runs: Vec<Run> = Vec::new();
    let (mut at, mut dropped) = (gpa, 0);

    if runs.try_reserve_exact(RUNS).is_err() {
        return (0, Err(HvError::OutOfMemory));
    }
    while at < end {
        let mut stop = end;
        runs.clear();
        let walked = tables.walk(address(at), end - at, |step| {
            let (start, mapping) = match step {
                Visit::Page { gpa, mapping } => (gpa.data() as u64, mapping),
                _ => return true,
            };
            if runs.len() == RUNS {
                stop = start;
                return false;
            }
            if mapping.flags.software_number != DEVICE {
                let (first, past) = (start.max(at), (start + mapping.page_size).min(end));
                let base = mapping.hpa.add((first - start) as usize);
                runs.push(Run {
                    base,
                    count: ((past - first) / PAGE_SIZE as u64) as usize,
                });
            }
            true
        });
        let unmapped = walked.and_then(|()| {
            tables
                .unmap_range(address(at), stop - at)
                .map(|flush| flush.flush())
        });
        if let Err(error) = unmapped {
            return (dropped, Err(error.into()));
        }
        for run in &runs {
            for number in 0..run.count {
                let frame = Frame::containing(run.base.add(number * PAGE_SIZE));
                // SAFETY: the reference that the tables had, and no CPU reaches the frame any more.
                drop(unsafe { RaiiFrame::new_unchecked(frame) });
            }
            dropped += run.count;
        }
        at = stop;
    }
    (dropped, Ok(()))
}
