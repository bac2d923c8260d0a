//! One guest's second-level tables: RMM's `PageMapper` for a second level.

use alloc::alloc::{alloc, dealloc, Layout};
use core::{ffi::c_void, fmt, marker::PhantomData, mem, ptr::NonNull};

use crate::{
    error::Error,
    ffi,
    flags::Flags,
    flush::Flush,
    format::*,
    paging::{GuestAccess, GuestFault, GuestPaging},
    sizes, text,
    types::{address, frames_of_order},
    walk::Visit,
    GuestFrames, Invalidation, InvalidationKind, PhysicalAddress,
};

/// A guest's tables in one format, from the frames of `F`. Dropping it gives back every frame.
///
/// Calls that look (`&self`) may run on many CPUs at once; calls that change (`&mut self`) are one at a time, and a
/// processor may walk the tables during any of them.
pub struct Mapper<A: SecondLevel, F: GuestFrames> {
    inner: NonNull<Inner<F>>,
    format: PhantomData<fn() -> A>,
}

/// EPT.
pub type EptMapper<F> = Mapper<Ept, F>;
/// Nested tables.
pub type NptMapper<F> = Mapper<Npt, F>;
/// Arm stage 2.
pub type Stage2Mapper<F> = Mapper<Stage2, F>;
/// RISC-V G-stage.
pub type GstageMapper<F> = Mapper<Gstage, F>;

/// The shim's struct and the allocator that its hooks point to: in one block of the heap, since neither may move.
#[repr(C)]
struct Inner<F> {
    space: [u64; sizes::SPACE],
    frames: F,
}

// SAFETY: the mapper owns its tables and its allocator; whatever may go to another CPU goes as a whole.
unsafe impl<A: SecondLevel, F: GuestFrames + Send> Send for Mapper<A, F> {}
// SAFETY: &self calls only read the tables, by single loads that a concurrent map may race with ("Who may call what" in
// docs/contracts.md), and of F only phys_to_virt, by reference.
unsafe impl<A: SecondLevel, F: GuestFrames + Sync> Sync for Mapper<A, F> {}

/// One translation.
pub struct Mapping<A: SecondLevel> {
    /// Where the address lies (translate), or where the page begins (walk).
    pub hpa: PhysicalAddress,
    /// What the page and all tables above it allow together, and the rest of what the page says.
    pub flags: Flags<A>,
    /// Bytes that the page maps.
    pub page_size: u64,
    /// 0 for the smallest pages.
    pub level: u32,
    /// The entry as it is in the table.
    pub entry: u64,
}

impl<A: SecondLevel> fmt::Debug for Mapping<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {:?}, {:#x} bytes",
            self.hpa, self.flags, self.page_size
        )
    }
}

/// What a space holds. Kept as the work goes: reading it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pages by level; 0: the smallest.
    pub pages: [u64; 5],
    /// Tables by level, the root included.
    pub tables: [u64; 5],
    /// Pieces got from the allocator and not given back: tables, the reserve, tables that wait for a flush. A root of
    /// several frames counts once.
    pub frames: u64,
    /// Those of them that are reserved.
    pub reserved: u64,
}

// ---- what the shim calls ----

/// A panic must not unwind through C: a second one aborts.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a callback of second-level paging panicked");
    }
}

fn no_unwind<T>(call: impl FnOnce() -> T) -> T {
    let bomb = Bomb;
    let result = call();

    mem::forget(bomb);
    result
}

unsafe extern "C" fn on_alloc<F: GuestFrames>(ctx: *mut c_void, order: u32, out: *mut u64) -> bool {
    // SAFETY: ctx is the allocator of a mapper whose &mut self call is running; out is the shim's.
    no_unwind(|| unsafe {
        match (*(ctx as *mut F)).allocate(frames_of_order(order)) {
            Some(frame) => {
                *out = frame.data() as u64;
                true
            }
            None => false,
        }
    })
}

unsafe extern "C" fn on_free<F: GuestFrames>(ctx: *mut c_void, frame: u64, order: u32) {
    // SAFETY: as on_alloc; the engine frees what it allocated, once, after the flush.
    no_unwind(|| unsafe { (*(ctx as *mut F)).free(address(frame), frames_of_order(order)) })
}

unsafe extern "C" fn on_phys_to_virt<F: GuestFrames>(ctx: *mut c_void, frame: u64) -> *mut c_void {
    // SAFETY: ctx is the allocator of a mapper of which a call is running; none of its methods is.
    no_unwind(|| unsafe { (*(ctx as *const F)).phys_to_virt(address(frame)) as *mut c_void })
}

unsafe extern "C" fn on_flush<F: GuestFrames>(
    ctx: *mut c_void,
    kind: u32,
    tables: bool,
    gpa: u64,
    size: u64,
    root: u64,
) {
    let kind = match kind {
        1 => InvalidationKind::Invept,
        2 => InvalidationKind::Asid,
        3 => InvalidationKind::Tlbi,
        4 => InvalidationKind::Hfence,
        _ => return, // nothing can be stale: only frames wait
    };
    let stale = Invalidation {
        kind,
        root,
        gpa: address(gpa),
        size,
        tables,
    };

    // SAFETY: as on_alloc.
    no_unwind(|| unsafe { (*(ctx as *mut F)).invalidate(&stale) })
}

unsafe extern "C" fn on_visit<A: SecondLevel, V: FnMut(Visit<A>) -> bool>(
    ctx: *mut c_void,
    what: u32,
    gpa: u64,
    numbers: *const u64,
    words: *const u32,
) -> bool {
    no_unwind(|| {
        let gpa = address(gpa);
        // SAFETY: ctx is walk's visitor; the shim passes four numbers, and four words with a page.
        let (visitor, numbers) = unsafe { (&mut *(ctx as *mut V), *(numbers as *const [u64; 4])) };
        let (table, level) = (address(numbers[0]), numbers[2] as u32);

        visitor(match what {
            // SAFETY: see above.
            0 => Visit::Page {
                gpa,
                mapping: mapping(&numbers, unsafe { *(words as *const [u32; 4]) }),
            },
            1 => Visit::Hole {
                gpa,
                size: numbers[1],
                level,
            },
            2 => Visit::Enter { gpa, table, level },
            _ => Visit::Leave { gpa, table, level },
        })
    })
}

fn mapping<A: SecondLevel>(numbers: &[u64; 4], words: [u32; 4]) -> Mapping<A> {
    Mapping {
        hpa: address(numbers[0]),
        flags: Flags::from_words(words),
        page_size: numbers[1],
        level: numbers[2] as u32,
        entry: numbers[3],
    }
}

const CHANGE_RIGHTS: u32 = 15;
const CHANGE_MEMTYPE: u32 = 1 << 24;
const CHANGE_ALL: u32 = CHANGE_RIGHTS | CHANGE_MEMTYPE | 1 << 25 | 1 << 26;

impl<A: SecondLevel, F: GuestFrames> Mapper<A, F> {
    /// A mapper without a space yet, and the hooks to give it.
    fn prepare(frames: F) -> Result<(Self, ffi::Host), Error> {
        // SAFETY: Inner is not empty, having the space.
        let inner = NonNull::new(unsafe { alloc(Layout::new::<Inner<F>>()) } as *mut Inner<F>);
        let inner = inner.ok_or(Error::OutOfMemory)?;

        // SAFETY: the block is as large as Inner and nobody else's.
        unsafe {
            inner.as_ptr().write(Inner {
                space: [0; sizes::SPACE],
                frames,
            })
        };
        let mapper = Self {
            inner,
            format: PhantomData,
        };
        let host = ffi::Host {
            ctx: mapper.frames_ptr() as *mut c_void,
            alloc_frame: on_alloc::<F>,
            free_frame: on_free::<F>,
            phys_to_virt: on_phys_to_virt::<F>,
            flush: on_flush::<F>,
        };
        Ok((mapper, host))
    }

    fn frames_ptr(&self) -> *mut F {
        // SAFETY: inner is alive; no reference is made.
        unsafe { core::ptr::addr_of_mut!((*self.inner.as_ptr()).frames) }
    }

    fn space(&self) -> *mut c_void {
        self.inner.as_ptr() as *mut c_void
    }

    /// Empty tables. [`Error::Unsupported`]: this CPU cannot have such tables; [`Error::OutOfMemory`].
    pub fn create(frames: F, config: A::Config) -> Result<Self, Error> {
        Self::make(frames, config, |space, config, host| {
            // SAFETY: as make says.
            unsafe { ffi::hvpt_rs_create(space, A::KIND, config, host) }
        })
    }

    /// Take over the tables whose root is at this address: those of [`Mapper::into_table`], another kernel's, a
    /// snapshot's. With `readonly` they are looked at only, and stay whose they are; else they are this mapper's from
    /// now on. Errors as `create`; [`Error::OutOfRange`]: the root is beyond MAXPHYADDR; [`Error::Corrupt`]: a table
    /// cannot be reached or is not well-formed.
    ///
    /// # Safety
    /// `table` is the root of tables in this format, set up as `config` says, in frames that `frames` can see and, unless
    /// `readonly`, free; nobody else changes them.
    pub unsafe fn adopt(
        frames: F,
        config: A::Config,
        table: PhysicalAddress,
        readonly: bool,
    ) -> Result<Self, Error> {
        Self::make(frames, config, |space, config, host| {
            let table = table.data() as u64;
            // SAFETY: as make says; the tables are as the caller says.
            unsafe { ffi::hvpt_rs_adopt_table(space, A::KIND, config, host, table, readonly) }
        })
    }

    /// The same by the value of the register that names them, as [`Mapper::root`] has it: what that says beside the
    /// address counts, and comes before the configuration where both say it (an EPTP's levels), or has to agree with
    /// it. [`Error::Unsupported`]: it does not.
    ///
    /// # Safety
    /// As of `adopt`.
    pub unsafe fn adopt_register(
        frames: F,
        config: A::Config,
        register: u64,
        readonly: bool,
    ) -> Result<Self, Error> {
        Self::make(frames, config, |space, config, host| {
            // SAFETY: as make says; the tables are as the caller says.
            unsafe { ffi::hvpt_rs_adopt(space, A::KIND, config, host, register, readonly) }
        })
    }

    /// A mapper whose space the call makes, or its error with the block given back: a space that was not made must not be
    /// destroyed. The block is large enough (the shim's build asserts it), the words are those that the shim reads, and
    /// the hooks live in the same block.
    fn make(
        frames: F,
        config: A::Config,
        call: impl FnOnce(*mut c_void, *const u64, &ffi::Host) -> u32,
    ) -> Result<Self, Error> {
        let (mapper, host) = Self::prepare(frames)?;
        let words = A::config_words(&config);

        match Error::check(call(mapper.space(), words.as_ptr(), &host)) {
            Ok(()) => Ok(mapper),
            Err(error) => {
                drop(mapper.dismantle());
                Err(error)
            }
        }
    }

    /// Free the block but not the tables.
    fn dismantle(self) -> F {
        // SAFETY: self is forgotten, so the block is freed once, and the allocator is moved out before.
        unsafe {
            let frames = self.frames_ptr().read();
            dealloc(self.inner.as_ptr() as *mut u8, Layout::new::<Inner<F>>());
            mem::forget(self);
            frames
        }
    }

    /// Give up the mapper and keep the tables, for [`Mapper::adopt`]. What is owed is flushed. `Err` with the mapper:
    /// it holds frames in reserve, which no one could find again.
    pub fn into_table(mut self) -> Result<(PhysicalAddress, F), Self> {
        if self.stats().reserved != 0 {
            return Err(self);
        }
        self.flush();
        let table = self.table();
        Ok((table, self.dismantle()))
    }

    /// The value for the register, which is more than an address: EPTP, nCR3, VTTBR_EL2 (the VMID is the caller's to add), hgatp (so is its VMID).
    pub fn root(&self) -> u64 {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_root(self.space()) }
    }

    /// What goes with it: VTCR_EL2 on Arm, else 0.
    pub fn control(&self) -> u64 {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_control(self.space()) }
    }

    /// The table that the root names.
    pub fn table(&self) -> PhysicalAddress {
        // SAFETY: the space is alive.
        address(unsafe { ffi::hvpt_rs_root_frame(self.space()) })
    }

    /// Bytes of the smallest page.
    pub fn page_size(&self) -> u64 {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_page_size(self.space()) }
    }

    /// The first guest-physical address beyond the space.
    pub fn limit(&self) -> u64 {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_gpa_limit(self.space()) }
    }

    /// The allocator.
    pub fn allocator(&self) -> &F {
        // SAFETY: alive, and changed by &mut self calls only.
        unsafe { &*self.frames_ptr() }
    }

    /// The allocator.
    pub fn allocator_mut(&mut self) -> &mut F {
        // SAFETY: as allocator().
        unsafe { &mut *self.frames_ptr() }
    }

    /// Do what an [ignored](Flush::ignore) flush left undone.
    pub fn flush(&mut self) {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_flush(self.space()) }
    }

    pub(crate) fn flush_is_owed(&self) -> bool {
        // SAFETY: the space is alive.
        unsafe { ffi::hvpt_rs_flush_owed(self.space()) }
    }

    fn owing(&mut self, status: u32) -> Result<Flush<'_, A, F>, Error> {
        match Error::check(status) {
            Ok(()) => Ok(Flush::new(self)),
            Err(error) => Err(error),
        }
    }

    /// Lay a range of pages down: map or replace.
    ///
    /// # Safety
    /// As for `map_range`.
    unsafe fn lay(
        &mut self,
        call: unsafe extern "C" fn(*mut c_void, u64, u64, u64, *const u32) -> u32,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        let (gpa, hpa) = (gpa.data() as u64, hpa.data() as u64);
        // SAFETY: the space is alive, flags are four words.
        let status = unsafe { call(self.space(), gpa, hpa, size, flags.words().as_ptr()) };

        self.owing(status)
    }

    /// Change what `what` names of the pages of a range.
    ///
    /// # Safety
    /// As for `remap_range`.
    unsafe fn change(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
        what: u32,
    ) -> Result<Flush<'_, A, F>, Error> {
        let (gpa, words) = (gpa.data() as u64, flags.words());
        // SAFETY: the space is alive, flags are four words.
        let status = unsafe { ffi::hvpt_rs_protect(self.space(), gpa, size, words.as_ptr(), what) };

        self.owing(status)
    }

    /// Map one page of the smallest size. [`Error::AlreadyMapped`]: there is something; nothing is overwritten.
    ///
    /// # Safety
    /// The guest gets what `flags` say of the frame at `hpa`: it must stay the guest's to have until it is unmapped and
    /// that is flushed.
    pub unsafe fn map_phys(
        &mut self,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        let size = self.page_size();
        // SAFETY: the caller's promise.
        unsafe { self.map_range(gpa, hpa, size, flags) }
    }

    /// Map `size` bytes with the largest pages that fit: all of it or, after an error, nothing.
    ///
    /// # Safety
    /// As for `map_phys`, of the whole range.
    pub unsafe fn map_range(
        &mut self,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.lay(ffi::hvpt_rs_map, gpa, hpa, size, flags) }
    }

    /// Map one page of `page_size` from a fault handler. [`Error::Race`] or [`Error::AlreadyMapped`]: it is there
    /// already or, with the policy `guard_tables`, the reserve changed meanwhile; a handler lets the guest try again.
    /// Nothing is owed but what the engine does itself.
    ///
    /// # Safety
    /// As for `map_phys`.
    pub unsafe fn fault_map(
        &mut self,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        page_size: u64,
        flags: Flags<A>,
    ) -> Result<(), Error> {
        // SAFETY: as map_range.
        Error::check(unsafe {
            ffi::hvpt_rs_fault_map(
                self.space(),
                gpa.data() as u64,
                hpa.data() as u64,
                page_size,
                flags.words().as_ptr(),
            )
        })
    }

    /// Give the page that holds `gpa`, one of the smallest size, other flags; a larger page around it is split.
    ///
    /// # Safety
    /// As for `map_phys`, with the new flags.
    pub unsafe fn remap(
        &mut self,
        gpa: PhysicalAddress,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        let size = self.page_size();
        let start = address(gpa.data() as u64 & !(size - 1));

        // SAFETY: the caller's promise.
        unsafe { self.remap_range(start, size, flags) }
    }

    /// Give a range other flags. [`Error::NotMapped`]: there is a hole in it, and nothing has changed.
    ///
    /// # Safety
    /// As for `remap`, of the whole range.
    pub unsafe fn remap_range(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.change(gpa, size, flags, CHANGE_ALL) }
    }

    /// Give a range other rights and another memory type; software bits and the format's own flags stay. Errors as of
    /// `remap_range`.
    ///
    /// # Safety
    /// As for `remap`, of the whole range.
    pub unsafe fn protect_range(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.change(gpa, size, flags, CHANGE_RIGHTS | CHANGE_MEMTYPE) }
    }

    /// Point mapped pages elsewhere, each by one store.
    ///
    /// # Safety
    /// As for `map_range`; what was mapped there is the guest's until the flush.
    pub unsafe fn replace_range(
        &mut self,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.lay(ffi::hvpt_rs_replace, gpa, hpa, size, flags) }
    }

    /// Unmap one page of the smallest size, splitting a larger one around it, and tell what it was.
    #[allow(clippy::type_complexity)] // RMM's own order of results
    pub fn unmap_phys(
        &mut self,
        gpa: PhysicalAddress,
    ) -> Result<(PhysicalAddress, Flags<A>, Flush<'_, A, F>), Error> {
        let size = self.page_size();
        let was = self.translate(gpa)?;
        let flush = self.unmap_range(gpa, size)?;

        Ok((was.hpa, was.flags, flush))
    }

    /// Unmap a range. Holes are fine; large pages that stick out are split; tables that become empty go away.
    pub fn unmap_range(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the space is alive. Taking rights away can hurt no one but the guest.
        let status = unsafe { ffi::hvpt_rs_unmap(self.space(), gpa.data() as u64, size) };
        self.owing(status)
    }

    /// Make pages of a range no larger than `page_size`, losing nothing.
    pub fn split(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        page_size: u64,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the space is alive; translations stay what they are.
        let status =
            unsafe { ffi::hvpt_rs_split(self.space(), gpa.data() as u64, size, page_size) };
        self.owing(status)
    }

    /// Make pages of a range as large as what they map and say allows.
    pub fn collapse(&mut self, gpa: PhysicalAddress, size: u64) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the space is alive; translations stay what they are.
        let status = unsafe { ffi::hvpt_rs_collapse(self.space(), gpa.data() as u64, size) };
        self.owing(status)
    }

    /// Which pages of the smallest size have been written since the last call: a bit each in `bitmap`, from bit 0 of
    /// its first word, which must have room. They are clean afterwards.
    pub fn dirty(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        bitmap: &mut [u64],
    ) -> Result<Flush<'_, A, F>, Error> {
        self.harvest(ffi::hvpt_rs_dirty, gpa, size, bitmap)
    }

    /// As `dirty`, of pages that have been used.
    pub fn age(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
        bitmap: &mut [u64],
    ) -> Result<Flush<'_, A, F>, Error> {
        self.harvest(ffi::hvpt_rs_age, gpa, size, bitmap)
    }

    fn harvest(
        &mut self,
        call: unsafe extern "C" fn(*mut c_void, u64, u64, *mut u64) -> u32,
        gpa: PhysicalAddress,
        size: u64,
        bitmap: &mut [u64],
    ) -> Result<Flush<'_, A, F>, Error> {
        if size / self.page_size() > bitmap.len() as u64 * 64 {
            return Err(Error::OutOfRange);
        }
        // SAFETY: the space is alive and the bitmap is large enough.
        let status = unsafe { call(self.space(), gpa.data() as u64, size, bitmap.as_mut_ptr()) };
        self.owing(status)
    }

    /// Make writes to a range fault, so that `dirty` can tell them without hardware's help; [`Mapper::touch`] gives the
    /// right back.
    pub fn write_protect(
        &mut self,
        gpa: PhysicalAddress,
        size: u64,
    ) -> Result<Flush<'_, A, F>, Error> {
        // SAFETY: the space is alive; rights are only taken away.
        let status = unsafe { ffi::hvpt_rs_write_protect(self.space(), gpa.data() as u64, size) };
        self.owing(status)
    }

    /// Give the page at `gpa` back what `write_protect`, `dirty` or `age` took, as far as `access` wants it.
    /// [`Error::Nothing`]: the page allows the access already. [`Error::Unsupported`]: it denies it for good.
    /// [`Error::NotMapped`].
    pub fn touch(&mut self, gpa: PhysicalAddress, access: Flags<A>) -> Result<(), Error> {
        // SAFETY: the space is alive; only rights that the page had come back.
        Error::check(unsafe {
            ffi::hvpt_rs_touch(self.space(), gpa.data() as u64, access.words()[0])
        })
    }

    /// Take frames for tables in advance, so that later calls need no allocation.
    pub fn reserve(&mut self, frames: u64) -> Result<(), Error> {
        // SAFETY: the space is alive.
        Error::check(unsafe { ffi::hvpt_rs_reserve(self.space(), frames) })
    }

    /// How many frames mapping this would take.
    pub fn frames_needed(
        &self,
        gpa: PhysicalAddress,
        hpa: PhysicalAddress,
        size: u64,
        flags: Flags<A>,
    ) -> Result<u64, Error> {
        let mut frames = 0;

        // SAFETY: the space is alive, flags are four words.
        Error::check(unsafe {
            ffi::hvpt_rs_frames_needed(
                self.space(),
                gpa.data() as u64,
                hpa.data() as u64,
                size,
                flags.words().as_ptr(),
                &mut frames,
            )
        })?;
        Ok(frames)
    }

    /// Where an address leads. [`Error::NotMapped`].
    pub fn translate(&self, gpa: PhysicalAddress) -> Result<Mapping<A>, Error> {
        let mut numbers = [0; 4];
        let mut words = [0; 4];

        // SAFETY: the space is alive, and the arrays have the room that the shim fills.
        Error::check(unsafe {
            ffi::hvpt_rs_translate(
                self.space(),
                gpa.data() as u64,
                numbers.as_mut_ptr(),
                words.as_mut_ptr(),
            )
        })?;
        Ok(mapping(&numbers, words))
    }

    /// May the guest access `gpa` so, with all rights that `access` has, and why not? Its `Display` is a line for each
    /// entry on the way down and what it allows, then the verdict: which bit denies it, by which section of the manual.
    pub fn explain(&self, gpa: PhysicalAddress, access: Flags<A>) -> Explanation<'_, A, F> {
        Explanation {
            mapper: self,
            gpa: gpa.data() as u64,
            access: access.words()[0],
        }
    }

    /// Where an x86 guest's linear address leads, through its own tables and these: the guest-physical address.
    /// `Err`: what the access runs into. Only for EPT and nested tables.
    pub fn guest_walk(
        &self,
        paging: &GuestPaging,
        linear: u64,
        access: GuestAccess,
    ) -> Result<PhysicalAddress, GuestFault> {
        let mut out = [0; 2];
        let words = paging.words();

        // SAFETY: the space is alive; words and out have the room that the shim reads and writes.
        let end = unsafe {
            ffi::hvpt_rs_guest_walk(
                self.space(),
                words.as_ptr(),
                linear,
                access.bits(),
                out.as_mut_ptr(),
            )
        };
        match end {
            0 => Ok(address(out[0])),
            1 => Err(GuestFault::NotCanonical),
            2 => Err(GuestFault::Page(out[1] as u32)),
            3..=5 => Err(GuestFault::SecondLevel(address(out[0]))),
            _ => Err(GuestFault::Other),
        }
    }

    /// Show a range to a visitor, which ends the walk by returning false. It must not panic: there is C in between, so
    /// a panic aborts.
    pub fn walk<V: FnMut(Visit<A>) -> bool>(
        &self,
        gpa: PhysicalAddress,
        size: u64,
        mut visitor: V,
    ) -> Result<(), Error> {
        let ctx = &mut visitor as *mut V as *mut c_void;

        // SAFETY: the space is alive, ctx is the visitor that on_visit expects.
        Error::check(unsafe {
            ffi::hvpt_rs_walk(self.space(), gpa.data() as u64, size, on_visit::<A, V>, ctx)
        })
    }

    /// What the space holds.
    pub fn stats(&self) -> Stats {
        let mut numbers = [0; 12];
        let mut stats = Stats::default();

        // SAFETY: the space is alive; the shim fills twelve numbers.
        unsafe { ffi::hvpt_rs_stats(self.space(), numbers.as_mut_ptr()) };
        stats.pages.copy_from_slice(&numbers[..5]);
        stats.tables.copy_from_slice(&numbers[5..10]);
        stats.frames = numbers[10];
        stats.reserved = numbers[11];
        stats
    }
}

/// What [`Mapper::explain`] says; it looks each time that it is asked.
pub struct Explanation<'a, A: SecondLevel, F: GuestFrames> {
    mapper: &'a Mapper<A, F>,
    gpa: u64,
    access: u32,
}

impl<A: SecondLevel, F: GuestFrames> Explanation<'_, A, F> {
    /// `Ok`: the guest may. [`Error::NotMapped`]; [`Error::Unsupported`]: the page denies it; [`Error::Corrupt`]: an
    /// entry on the way is not well-formed; [`Error::OutOfRange`].
    pub fn verdict(&self) -> Result<(), Error> {
        unsafe extern "C" fn unheard(_: *mut c_void, _: *const u8, _: usize) {}

        self.ask(unheard, core::ptr::null_mut())
    }

    fn ask(&self, put: ffi::Put, ctx: *mut c_void) -> Result<(), Error> {
        // SAFETY: the space is alive, and ctx is what put expects.
        Error::check(unsafe {
            ffi::hvpt_rs_explain(self.mapper.space(), self.gpa, self.access, put, ctx)
        })
    }
}

impl<A: SecondLevel, F: GuestFrames> fmt::Display for Explanation<'_, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, |put, ctx| {
            let _ = self.ask(put, ctx);
        })
    }
}

impl<A: SecondLevel, F: GuestFrames> fmt::Debug for Explanation<'_, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: SecondLevel, F: GuestFrames> Drop for Mapper<A, F> {
    fn drop(&mut self) {
        // SAFETY: a mapper that can be dropped has a space; after destroy nothing refers to the allocator or the block.
        unsafe {
            ffi::hvpt_rs_destroy(self.space());
            self.frames_ptr().drop_in_place();
            dealloc(self.inner.as_ptr() as *mut u8, Layout::new::<Inner<F>>());
        }
    }
}

impl<A: SecondLevel, F: GuestFrames> fmt::Debug for Mapper<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapper")
            .field("format", &A::NAME)
            .field("root", &format_args!("{:#x}", self.root()))
            .field("stats", &self.stats())
            .finish()
    }
}
