//! A guest's address space: its tables, and references to the frames that they name.

use alloc::{sync::Arc, vec::Vec};

use hvpt_redox::{
    cpu::Cpu, EptConfig, EptFlags, EptMapper, Error as PagingError, FrameAllocator, Gpa, Hpa, Keep, Mapper, NptConfig,
    NptFlags, NptMapper, SecondLevel, Stats, PAT_RESET,
};
use spin::Mutex;

use super::{
    error::HvError,
    frames::{Account, KernelFrames},
    percpu::{with_this_cpu, OnThisCpu},
};
use crate::{
    context::memory::AddrSpaceWrapper,
    memory::{used_frames, Page, PageFlags, RaiiFrame, RmmA, RmmArch, PAGE_SIZE},
    sync::CleanLockToken,
};

const MSR_PAT: u32 = 0x277;

/// A guest. Its vCPUs hold it; the last of them to go takes tables and references with it.
pub struct Vm {
    account: Arc<Account>,
    cpu: &'static dyn Cpu,
    pat: u64,
    root: u64,
    space: Mutex<Space>,
}

struct Space {
    /// Goes first: nothing maps a frame any more when its reference goes.
    tables: Tables,
    /// By guest-physical address, ascending.
    memory: Vec<Held>,
}

enum Tables {
    Ept(EptMapper<KernelFrames>),
    Npt(NptMapper<KernelFrames>),
}

/// A page of the guest's, and the reference that keeps its frame.
struct Held {
    gpa: u64,
    frame: RaiiFrame,
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

impl Vm {
    /// A guest without memory.
    pub fn new(cpu: &'static dyn Cpu) -> Result<Arc<Self>, HvError> {
        let account = Account::new();
        let frames = KernelFrames::new(&account);
        let pat = cpu.rdmsr(MSR_PAT).unwrap_or(PAT_RESET);
        let tables = with_this_cpu(cpu, |on| {
            Ok(match on {
                OnThisCpu::Vmx(on) => Tables::Ept(EptMapper::create(
                    frames,
                    EptConfig {
                        ept_vpid_cap: on.caps().ept_vpid_cap(),
                        maxphyaddr: on.caps().maxphyaddr(),
                        ..EptConfig::default()
                    },
                )?),
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
        let root = match &tables {
            Tables::Ept(tables) => tables.root(),
            Tables::Npt(tables) => tables.root(),
        };
        let space = Mutex::new(Space { tables, memory: Vec::new() });

        Ok(Arc::new(Self { account, cpu, pat, root, space }))
    }

    /// Give the guest `count` pages of a process's memory from `page` on, at `gpa`: all of them or, after an error, none.
    /// The frames stay referenced until they are unmapped, whatever the process does.
    pub fn map_user(
        &self,
        process: &Arc<AddrSpaceWrapper>,
        page: Page,
        count: usize,
        gpa: u64,
        flags: PageFlags<RmmA>,
        token: &mut CleanLockToken,
    ) -> Result<(), crate::syscall::error::Error> {
        let mut frames = Vec::new();

        frames.try_reserve_exact(count).map_err(|_| HvError::OutOfMemory)?;
        for number in 0..count {
            // Each is pinned by a reference of its own, which an error on the way drops.
            frames.push(process.borrow_frame_enforce_rw_allocated(page.next_by(number), token)?);
        }
        Ok(self.map_frames(frames, gpa, flags)?)
    }

    /// Give the guest these frames, in this order, at `gpa`: all of them or, after an error, none.
    pub fn map_frames(&self, frames: Vec<RaiiFrame>, gpa: u64, flags: PageFlags<RmmA>) -> Result<(), HvError> {
        let size = frames.len() as u64 * PAGE_SIZE as u64;
        let mut space = self.space.lock();
        let space = &mut *space;

        if gpa % PAGE_SIZE as u64 != 0 || gpa.checked_add(size).is_none() {
            return Err(HvError::Invalid);
        }
        space.memory.try_reserve(frames.len()).map_err(|_| HvError::OutOfMemory)?;
        let data = flags.data() as u64;
        match &mut space.tables {
            Tables::Ept(tables) => {
                let flags = EptFlags::from_page_flags(data, self.pat, Keep::default())?;
                map_all(tables, &frames, gpa, flags)?;
            }
            Tables::Npt(tables) => {
                let flags = NptFlags::from_page_flags(data, self.pat, Keep::default())?;
                map_all(tables, &frames, gpa, flags)?;
            }
        }
        let at = space.memory.partition_point(|held| held.gpa < gpa);
        let held = (gpa..).step_by(PAGE_SIZE).zip(frames).map(|(gpa, frame)| Held { gpa, frame });
        space.memory.splice(at..at, held);
        Ok(())
    }

    /// Take `count` pages away from the guest. Once this returns no CPU reaches them through the guest, and their
    /// references are dropped.
    pub fn unmap(&self, gpa: u64, count: usize) -> Result<(), HvError> {
        let size = (count as u64).checked_mul(PAGE_SIZE as u64).ok_or(HvError::Invalid)?;
        let end = gpa.checked_add(size).ok_or(HvError::Invalid)?;
        let mut space = self.space.lock();

        match &mut space.tables {
            Tables::Ept(tables) => tables.unmap_range(Gpa::new(gpa), size)?.flush(),
            Tables::Npt(tables) => tables.unmap_range(Gpa::new(gpa), size)?.flush(),
        }
        let first = space.memory.partition_point(|held| held.gpa < gpa);
        let past = space.memory.partition_point(|held| held.gpa < end);
        space.memory.drain(first..past);
        Ok(())
    }

    /// Read the guest's memory.
    pub fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), HvError> {
        // SAFETY: the pointer is into a frame that is held; what the guest does to it meanwhile is its affair.
        self.access(gpa, bytes.len(), |at, offset, length| unsafe {
            core::ptr::copy_nonoverlapping(at, bytes[offset..offset + length].as_mut_ptr(), length);
        })
    }

    /// Write the guest's memory.
    pub fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), HvError> {
        // SAFETY: as read.
        self.access(gpa, bytes.len(), |at, offset, length| unsafe {
            core::ptr::copy_nonoverlapping(bytes[offset..offset + length].as_ptr(), at, length);
        })
    }

    /// Page by page: where the guest's bytes are, their offset from `gpa` on, and how many. All of the range is held, or
    /// nothing is accessed.
    fn access(&self, gpa: u64, size: usize, mut each: impl FnMut(*mut u8, usize, usize)) -> Result<(), HvError> {
        let space = self.space.lock();
        let end = gpa.checked_add(size as u64).ok_or(HvError::Invalid)?;
        let page = |at: u64| {
            let start = at & !(PAGE_SIZE as u64 - 1);
            space.memory.binary_search_by_key(&start, |held| held.gpa).map_err(|_| HvError::NotMapped)
        };

        for check in [true, false] {
            let mut at = gpa;
            while at < end {
                let held = &space.memory[page(at)?];
                let within = (at - held.gpa) as usize;
                let length = (PAGE_SIZE - within).min((end - at) as usize);
                if !check {
                    let base = RmmA::phys_to_virt(held.frame.get().base()).data() as *mut u8;
                    each(base.wrapping_add(within), (at - gpa) as usize, length);
                }
                at += length as u64;
            }
        }
        Ok(())
    }

    /// Where an address of the guest leads; `None`: nowhere.
    pub fn translate(&self, gpa: u64) -> Option<u64> {
        match &self.space.lock().tables {
            Tables::Ept(tables) => tables.translate(Gpa::new(gpa)).ok().map(|mapping| mapping.hpa.data()),
            Tables::Npt(tables) => tables.translate(Gpa::new(gpa)).ok().map(|mapping| mapping.hpa.data()),
        }
    }

    /// What the VM holds.
    pub fn stats(&self) -> VmStats {
        let space = self.space.lock();

        VmStats {
            held: self.account.held(),
            peak: self.account.peak(),
            memory: space.memory.len(),
            tables: match &space.tables {
                Tables::Ept(tables) => tables.stats(),
                Tables::Npt(tables) => tables.stats(),
            },
            used_frames: used_frames(),
        }
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(super) fn cpu(&self) -> &'static dyn Cpu {
        self.cpu
    }

    /// EPTP or nCR3.
    pub(super) fn root(&self) -> u64 {
        self.root
    }
}

/// Map frames one after the other, runs of neighbours in one go, so that large pages come about; take it all back if one
/// cannot be mapped.
fn map_all<A: SecondLevel, F: FrameAllocator>(
    tables: &mut Mapper<A, F>,
    frames: &[RaiiFrame],
    gpa: u64,
    flags: hvpt_redox::Flags<A>,
) -> Result<(), PagingError> {
    let page = PAGE_SIZE as u64;
    let base = |number: usize| frames[number].get().base().data() as u64;
    let mut done = 0;

    while done < frames.len() {
        let mut past = done + 1;
        while past < frames.len() && base(past) == base(past - 1) + page {
            past += 1;
        }
        let at = Gpa::new(gpa + done as u64 * page);
        // SAFETY: whoever calls this holds a reference to each frame and keeps it as long as it is mapped.
        let mapped = unsafe { tables.map_range(at, Hpa::new(base(done)), (past - done) as u64 * page, flags) };
        match mapped.map(|flush| flush.flush()) {
            Ok(()) => done = past,
            Err(error) => {
                if done != 0 {
                    // What was mapped just now in whole runs goes without splitting a page, so it needs no frame. Were
                    // it to fail, the caller would drop the references to frames that the guest reaches.
                    let undo = tables.unmap_range(Gpa::new(gpa), done as u64 * page);
                    undo.expect("a range that was just mapped cannot be unmapped").flush();
                }
                return Err(error);
            }
        }
    }
    Ok(())
}
