//! `memory`: frames in powers of two up to order 10, zeroed; reference counts, and the panics of their misuse; the types
//! that come from rmm.

use alloc::{boxed::Box, vec::Vec};
use core::{
    fmt,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
};

use spin::Mutex;

use crate::syscall::error::{Error, ENOMEM};

pub const PAGE_SIZE: usize = 4096;
pub const PAGE_MASK: usize = PAGE_SIZE - 1;
const MAX_ORDER: u32 = 10;

pub use rmm::{
    x86_64::X8664Arch as RmmA, Arch as RmmArch, PageFlags, PhysicalAddress, VirtualAddress,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page {
    number: usize,
}

impl Page {
    pub fn start_address(self) -> VirtualAddress {
        VirtualAddress::new(self.number * PAGE_SIZE)
    }
    pub fn containing_address(address: VirtualAddress) -> Page {
        Page {
            number: address.data() / PAGE_SIZE,
        }
    }
    pub fn offset_from(self, other: Self) -> usize {
        self.number - other.number
    }
    pub fn next_by(self, n: usize) -> Page {
        Self {
            number: self.number + n,
        }
    }
}

// ---- frames ----

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    physaddr: NonZeroUsize,
}

impl Frame {
    pub fn containing(address: PhysicalAddress) -> Frame {
        Frame {
            physaddr: NonZeroUsize::new(address.data() & !PAGE_MASK)
                .expect("frame 0x0 is reserved"),
        }
    }
    pub fn base(self) -> PhysicalAddress {
        PhysicalAddress::new(self.physaddr.get())
    }
    pub fn next_by(self, n: usize) -> Self {
        let sum = self
            .physaddr
            .get()
            .checked_add(n * PAGE_SIZE)
            .and_then(NonZeroUsize::new);
        Self {
            physaddr: sum.expect("overflow or null in Frame::next_by"),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[frame at {:#x}]", self.base().data())
    }
}

const RC_USED_NOT_FREE: usize = 1 << (usize::BITS - 1);
const RC_SHARED_NOT_COW: usize = 1 << (usize::BITS - 2);

/// One frame's reference count, as the kernel keeps it.
#[derive(Debug)]
pub struct PageInfo {
    pub refcount: AtomicUsize,
    /// Order of what was allocated here, plus 1; 0: nothing was. The stand-in's own, to catch a wrong order.
    order: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefKind {
    Cow,
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefCount {
    One,
    Shared(NonZeroUsize),
    Cow(NonZeroUsize),
}

#[derive(Debug, PartialEq)]
pub enum AddRefError {
    CowToShared,
    SharedToCow,
    RcOverflow,
}

impl RefCount {
    pub fn from_raw(raw: usize) -> Option<Self> {
        if raw & RC_USED_NOT_FREE == 0 {
            return None;
        }
        let count = NonZeroUsize::new(raw & !(RC_SHARED_NOT_COW | RC_USED_NOT_FREE))?;

        Some(if count.get() == 1 {
            RefCount::One
        } else if raw & RC_SHARED_NOT_COW != 0 {
            RefCount::Shared(count)
        } else {
            RefCount::Cow(count)
        })
    }
}

impl PageInfo {
    pub fn refcount(&self) -> Option<RefCount> {
        RefCount::from_raw(self.refcount.load(Ordering::Relaxed))
    }

    pub fn add_ref(&self, kind: RefKind) -> Result<(), AddRefError> {
        match (self.refcount().expect("cannot add_ref to free frame"), kind) {
            (RefCount::One, RefKind::Cow) => {
                self.refcount.store(RC_USED_NOT_FREE | 2, Ordering::Relaxed)
            }
            (RefCount::One, RefKind::Shared) => self
                .refcount
                .store(RC_USED_NOT_FREE | RC_SHARED_NOT_COW | 2, Ordering::Relaxed),
            (RefCount::Cow(_), RefKind::Cow) | (RefCount::Shared(_), RefKind::Shared) => {
                self.refcount.fetch_add(1, Ordering::Relaxed);
            }
            (RefCount::Cow(_), RefKind::Shared) => return Err(AddRefError::CowToShared),
            (RefCount::Shared(_), RefKind::Cow) => return Err(AddRefError::SharedToCow),
        }
        Ok(())
    }

    #[must_use = "must deallocate if refcount reaches None"]
    pub fn remove_ref(&self) -> Option<RefCount> {
        match self.refcount() {
            None => panic!("refcount was already zero when calling remove_ref!"),
            Some(RefCount::One) => {
                self.refcount.store(RC_USED_NOT_FREE, Ordering::Relaxed);
                None
            }
            Some(_) => RefCount::from_raw(self.refcount.fetch_sub(1, Ordering::Relaxed) - 1),
        }
    }
}

struct Arena {
    base: usize,
    info: &'static [PageInfo],
    used: usize,
    peak: usize,
    allocations: usize,
    fail_at: Option<usize>,
    /// Below it nothing is free.
    first: usize,
}

static ARENA: Mutex<Option<Arena>> = Mutex::new(None);

/// Use `frames` frames from physical `base` on, which is not 0 and aligned to order 10, seen at `base + offset`.
///
/// # Safety
/// The memory is nobody else's, and stays.
pub unsafe fn init(base: usize, offset: usize, frames: usize) {
    let info: Vec<PageInfo> = (0..frames)
        .map(|_| PageInfo {
            refcount: AtomicUsize::new(0),
            order: AtomicUsize::new(0),
        })
        .collect();

    assert!(base != 0 && base % (PAGE_SIZE << MAX_ORDER) == 0);
    rmm::x86_64::set_linear_map(offset);
    let info = Box::leak(info.into_boxed_slice());
    *ARENA.lock() = Some(Arena {
        base,
        info,
        used: 0,
        peak: 0,
        allocations: 0,
        fail_at: None,
        first: 0,
    });
}

fn arena<T>(action: impl FnOnce(&mut Arena) -> T) -> T {
    action(
        ARENA
            .lock()
            .as_mut()
            .expect("the stand-in has no memory yet"),
    )
}

/// Let the `n`th allocation from now fail, from 0; `None`: none.
pub fn fail_at(n: Option<usize>) {
    arena(|arena| arena.fail_at = n.map(|n| arena.allocations + n));
}

/// Allocations that were asked for so far.
pub fn allocations() -> usize {
    arena(|arena| arena.allocations)
}

/// The most frames that were out at once.
pub fn peak_frames() -> usize {
    arena(|arena| arena.peak)
}

pub fn used_frames() -> usize {
    arena(|arena| arena.used)
}
pub fn total_frames() -> usize {
    arena(|arena| arena.info.len())
}
pub fn free_frames() -> usize {
    total_frames() - used_frames()
}

pub fn get_page_info(frame: Frame) -> Option<&'static PageInfo> {
    arena(|arena| {
        let at = frame.base().data().checked_sub(arena.base)? / PAGE_SIZE;
        arena.info.get(at)
    })
}

/// Zeroed, aligned to its size; it has no reference count.
pub fn allocate_p2frame(order: u32) -> Option<Frame> {
    if order > MAX_ORDER {
        return None;
    }
    let frame = arena(|arena| {
        let number = arena.allocations;
        arena.allocations += 1;
        if arena.fail_at == Some(number) {
            return None;
        }
        let count = 1 << order;
        let is_free =
            |info: &PageInfo| info.refcount.load(Ordering::Relaxed) & RC_USED_NOT_FREE == 0;
        let at = (arena.first / count..arena.info.len() / count)
            .find(|at| arena.info[at * count..][..count].iter().all(is_free))?
            * count;

        for info in &arena.info[at..][..count] {
            info.refcount.store(RC_USED_NOT_FREE, Ordering::Relaxed);
        }
        arena.info[at]
            .order
            .store(order as usize + 1, Ordering::Relaxed);
        if arena.first == at {
            arena.first += count;
        }
        arena.used += count;
        arena.peak = arena.peak.max(arena.used);
        Some(Frame::containing(PhysicalAddress::new(
            arena.base + at * PAGE_SIZE,
        )))
    })?;

    // SAFETY: the frame was free, and the arena is the stand-in's.
    unsafe {
        (RmmA::phys_to_virt(frame.base()).data() as *mut u8).write_bytes(0, PAGE_SIZE << order)
    };
    Some(frame)
}

pub fn allocate_frame() -> Option<Frame> {
    allocate_p2frame(0)
}

/// # Safety
/// The frame came from `allocate_p2frame` with this order and nobody uses it.
pub unsafe fn deallocate_p2frame(frame: Frame, order: u32) {
    let info = get_page_info(frame)
        .unwrap_or_else(|| panic!("missing PageInfo for {:?} being freed", frame));
    let was = info.order.swap(0, Ordering::Relaxed);

    assert_eq!(
        was,
        order as usize + 1,
        "{:?} was not allocated with this order",
        frame
    );
    // SAFETY: it was out; whoever still looks at it finds poison.
    unsafe {
        (RmmA::phys_to_virt(frame.base()).data() as *mut u8).write_bytes(0xdb, PAGE_SIZE << order)
    };
    for number in 0..1 << order {
        get_page_info(frame.next_by(number))
            .unwrap()
            .refcount
            .store(0, Ordering::Relaxed);
    }
    arena(|arena| {
        arena.used -= 1 << order;
        let at = (frame.base().data() - arena.base) / PAGE_SIZE;
        arena.first = arena.first.min(at);
    });
}

/// # Safety
/// As for `deallocate_p2frame`.
pub unsafe fn deallocate_frame(frame: Frame) {
    // SAFETY: the caller's promise.
    unsafe { deallocate_p2frame(frame, 0) }
}

#[derive(Debug)]
pub struct Enomem;

impl From<Enomem> for Error {
    fn from(_: Enomem) -> Self {
        Self::new(ENOMEM)
    }
}

/// A frame with a reference count of its own.
#[derive(Debug)]
pub struct RaiiFrame {
    inner: Frame,
}

impl RaiiFrame {
    pub fn allocate() -> Result<Self, Enomem> {
        let inner = allocate_frame().ok_or(Enomem)?;
        get_page_info(inner)
            .unwrap()
            .refcount
            .store(RC_USED_NOT_FREE | 1, Ordering::Relaxed);
        Ok(Self { inner })
    }
    /// # Safety
    /// The frame has a reference that becomes this one's.
    pub unsafe fn new_unchecked(inner: Frame) -> Self {
        Self { inner }
    }
    pub fn get(&self) -> Frame {
        self.inner
    }
    pub fn take(self) -> Frame {
        let frame = self.get();
        core::mem::forget(self);
        frame
    }
}

/// Frames of one piece, each with its reference (the stand-in's own). Those in between are given back.
pub fn neighbours(count: usize) -> Result<Vec<RaiiFrame>, Enomem> {
    let (mut run, mut aside) = (Vec::<RaiiFrame>::new(), Vec::new());

    while run.len() < count {
        let frame = RaiiFrame::allocate()?;
        let follows = |last: &RaiiFrame| last.get().next_by(1) == frame.get();
        if !run.last().map_or(true, follows) {
            aside.append(&mut run);
        }
        run.push(frame);
    }
    Ok(run)
}

impl Drop for RaiiFrame {
    fn drop(&mut self) {
        let info = get_page_info(self.inner).expect("RaiiFrame lacking PageInfo");
        if info.remove_ref().is_none() {
            // SAFETY: this was the last reference.
            unsafe { deallocate_frame(self.inner) }
        }
    }
}
