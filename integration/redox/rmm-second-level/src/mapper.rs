//! The mapper: rmm's `PageMapper` for a guest.

use core::{marker::PhantomData, mem::ManuallyDrop, ops::Range, ptr};

use rmm::{Arch, FrameAllocator, PageFlags, PhysicalAddress};

use crate::{
    format::ADDRESS_MASK,
    frames::Frames,
    plan::{self, Target},
    table::{pieces, size_of, Entry},
    Error, GuestAddress, GuestFlush, Invalidate, Layout, SecondLevel, Stale, Table,
};

/// One guest's tables in the format `S`, seen through the host's linear map `A`, from the frames of `F`; `V`
/// invalidates what CPUs have cached of the guest. CPUs may walk the tables during any call. Dropping it frees every
/// table: no CPU may run the guest any more.
pub struct GuestMapper<S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> {
    root: PhysicalAddress,
    layout: Layout,
    allocator: F,
    vm: V,
    /// What the next flush invalidates, and whether tables went away.
    owed: Option<(Range<usize>, bool)>,
    /// Tables that went away and that CPUs may still walk.
    removed: Frames<A>,
    format: PhantomData<fn() -> (S, A)>,
}

/// A change, or why it was not made.
type Changed<'a, S, A, F, V> = Result<GuestFlush<'a, S, A, F, V>, Error>;

/// What one entry maps.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<A: Arch> {
    /// Where the address itself leads.
    pub phys: PhysicalAddress,
    /// What the page allows, as flags of a kernel page.
    pub flags: PageFlags<A>,
    /// 0: a page of 4 KiB.
    pub level: usize,
    /// The entry as it is, with the format's accessed and dirty bits.
    pub entry: usize,
}

impl<S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> GuestMapper<S, A, F, V> {
    /// Empty tables. [`Error::Unsupported`]: there is no such layout; [`Error::OutOfMemory`].
    pub fn create(mut allocator: F, vm: V, layout: Layout) -> Result<Self, Error> {
        if !layout.is_sound() {
            return Err(Error::Unsupported);
        }
        let root = Frames::<A>::take(1, &mut allocator)?.zeroed();

        Ok(Self::over(root, allocator, vm, layout))
    }

    /// Take over the tables behind a root register, as [`GuestMapper::into_root`] gave them up. [`Error::Corrupt`]: the
    /// register is not of this layout, no CPU accepts an entry, or a table takes rights from the pages below it, which
    /// this mapper does not do; the tables then stay whose they are. What is not present is empty, whatever else it
    /// says.
    ///
    /// # Safety
    /// `root` names tables in frames that are in the linear map and that `allocator` can free; nobody else changes
    /// them.
    pub unsafe fn adopt(allocator: F, vm: V, layout: Layout, root: usize) -> Result<Self, Error> {
        let table = PhysicalAddress::new(root & ADDRESS_MASK);

        if !layout.is_sound() {
            return Err(Error::Unsupported);
        }
        // Not dropped before it is known to be sound: that would free the tables.
        let mapper = ManuallyDrop::new(Self::over(table, allocator, vm, layout));
        let sound = root == S::root(table, &layout) && root >> layout.address_width == 0;
        if sound && mapper.is_sound(&mapper.table()) {
            return Ok(ManuallyDrop::into_inner(mapper));
        }
        Self::dismantle(mapper);
        Err(Error::Corrupt)
    }

    fn over(root: PhysicalAddress, allocator: F, vm: V, layout: Layout) -> Self {
        Self { root, layout, allocator, vm, owed: None, removed: Frames::new(), format: PhantomData }
    }

    fn is_sound(&self, table: &Table<S, A>) -> bool {
        let (level, reserved) = (table.level(), ADDRESS_MASK & !((1 << self.layout.address_width) - 1));

        (0..512).all(|index| match (table.entry(index), table.raw(index)) {
            (Entry::Empty, _) => true,
            (Entry::Page(raw), _) => {
                let (frame, bits) = table.parts(raw);
                let small = level <= self.layout.largest && bits & ADDRESS_MASK == 0;
                small && frame & reserved == 0 && S::is_sound(raw, level, true)
            }
            (Entry::Table(frame), raw) => {
                let whole = raw & S::ENTRY_TABLE == S::ENTRY_TABLE && S::is_sound(raw, level, false);
                whole && raw & reserved == 0 && self.is_sound(&table.below(frame))
            }
        })
    }

    /// Give up the mapper and keep the tables: their root, and what the mapper was made of. What is owed is flushed.
    pub fn into_root(mut self) -> (usize, F, V) {
        self.flush();
        let root = self.root();
        let (allocator, vm) = Self::dismantle(ManuallyDrop::new(self));
        (root, allocator, vm)
    }

    fn dismantle(mapper: ManuallyDrop<Self>) -> (F, V) {
        // SAFETY: the mapper is never dropped, so each is moved out once; the rest owns nothing.
        unsafe { (ptr::read(&mapper.allocator), ptr::read(&mapper.vm)) }
    }

    /// The register that names the tables: EPTP or nCR3.
    pub fn root(&self) -> usize {
        S::root(self.root, &self.layout)
    }

    /// The table that the root names.
    pub fn table(&self) -> Table<S, A> {
        // SAFETY: the mapper's own table, which lives as long as the mapper.
        unsafe { Table::new(self.root, self.layout.levels - 1) }
    }

    /// The allocator.
    pub fn allocator_mut(&mut self) -> &mut F {
        &mut self.allocator
    }

    /// Where `guest` leads, and what the page allows. `None`: nowhere.
    pub fn translate(&self, guest: GuestAddress) -> Option<(PhysicalAddress, PageFlags<A>)> {
        self.lookup(guest).map(|mapping| (mapping.phys, mapping.flags))
    }

    /// The same, with all that the entry says.
    pub fn lookup(&self, guest: GuestAddress) -> Option<Mapping<A>> {
        let mut table = self.table();

        if guest.data() >= self.limit() {
            return None;
        }
        loop {
            let size = size_of(table.level());
            match table.entry(guest.data() / size % 512) {
                Entry::Empty => return None,
                Entry::Table(frame) => table = table.below(frame),
                Entry::Page(entry) => {
                    let (frame, bits) = table.parts(entry);
                    return Some(Mapping {
                        phys: PhysicalAddress::new(frame + guest.data() % size),
                        flags: S::decode(bits),
                        level: table.level(),
                        entry,
                    });
                }
            }
        }
    }

    /// Map one page of 4 KiB. Errors as [`GuestMapper::map_range`].
    ///
    /// # Safety
    /// The guest gets what `flags` say of the frame: it must stay the guest's to have until it is unmapped and that is
    /// flushed.
    pub unsafe fn map_phys(
        &mut self,
        guest: GuestAddress,
        phys: PhysicalAddress,
        flags: PageFlags<A>,
    ) -> Changed<'_, S, A, F, V> {
        // SAFETY: the caller's promise.
        unsafe { self.map_range(guest, phys, size_of(0), flags) }
    }

    /// Map `size` bytes with the largest pages that fit. [`Error::AlreadyMapped`]: a page of the range is; nothing is
    /// overwritten. [`Error::Unsupported`]: the format cannot say `flags`. [`Error::OutOfMemory`]: not all tables can
    /// be had, and then none is kept.
    ///
    /// # Safety
    /// As for [`GuestMapper::map_phys`], of the whole range.
    pub unsafe fn map_range(
        &mut self,
        guest: GuestAddress,
        phys: PhysicalAddress,
        size: usize,
        flags: PageFlags<A>,
    ) -> Changed<'_, S, A, F, V> {
        let range = self.range(guest, size)?;
        let (offset, largest) = (phys.data().wrapping_sub(range.start), self.layout.largest);

        if phys.data() % size_of(0) != 0 {
            return Err(Error::Misaligned);
        }
        if phys.data().checked_add(size).map_or(true, |past| past > 1 << self.layout.address_width) {
            return Err(Error::OutOfRange);
        }
        let target = Target { offset, largest, bits: S::encode(flags).ok_or(Error::Unsupported)? };
        let root = self.table();
        let needed = plan::to_map(Some(&root), root.level(), range.clone(), target)?;
        let mut stock = Frames::take(needed, &mut self.allocator)?;

        fill(&root, range, target, &mut stock);
        Ok(GuestFlush { mapper: self })
    }

    /// Give one page of 4 KiB other flags, splitting a larger one around it.
    ///
    /// # Safety
    /// As for [`GuestMapper::map_phys`], with the new flags.
    pub unsafe fn remap(&mut self, guest: GuestAddress, flags: PageFlags<A>) -> Changed<'_, S, A, F, V> {
        // SAFETY: the caller's promise.
        unsafe { self.remap_range(guest, size_of(0), flags) }
    }

    /// Give a range other flags; accessed and dirty bits stay. [`Error::NotMapped`]: there is a hole in it.
    ///
    /// # Safety
    /// As for [`GuestMapper::remap`], of the whole range.
    pub unsafe fn remap_range(
        &mut self,
        guest: GuestAddress,
        size: usize,
        flags: PageFlags<A>,
    ) -> Changed<'_, S, A, F, V> {
        self.change(guest, size, Some(S::encode(flags).ok_or(Error::Unsupported)?))
    }

    /// Unmap one page of 4 KiB, splitting a larger one around it: where it led, what it allowed, and the flush, in the
    /// order that rmm has them.
    #[allow(clippy::type_complexity)]
    pub fn unmap_phys(
        &mut self,
        guest: GuestAddress,
    ) -> Result<(PhysicalAddress, PageFlags<A>, GuestFlush<'_, S, A, F, V>), Error> {
        self.range(guest, size_of(0))?;
        let (phys, flags) = self.translate(guest).ok_or(Error::NotMapped)?;
        let flush = self.unmap_range(guest, size_of(0))?;

        Ok((phys, flags, flush))
    }

    /// Unmap a range. Holes are fine; pages that stick out are split; tables that become empty go away.
    pub fn unmap_range(&mut self, guest: GuestAddress, size: usize) -> Changed<'_, S, A, F, V> {
        self.change(guest, size, None)
    }

    /// Settle what ignored flushes have left: invalidate, then free the tables that went away.
    pub fn flush(&mut self) {
        if let Some((range, tables)) = self.owed.take() {
            let stale = Stale { root: self.root(), start: GuestAddress::new(range.start), size: range.len(), tables };
            self.vm.invalidate(&stale);
        }
        self.removed.give_back(&mut self.allocator);
    }

    /// The first address beyond what the tables can translate.
    pub fn limit(&self) -> usize {
        size_of(self.layout.levels)
    }

    fn range(&self, guest: GuestAddress, size: usize) -> Result<Range<usize>, Error> {
        let start = guest.data();

        if (start | size) % size_of(0) != 0 {
            return Err(Error::Misaligned);
        }
        match start.checked_add(size) {
            Some(end) if size != 0 && end <= self.limit() => Ok(start..end),
            _ => Err(Error::OutOfRange),
        }
    }

    /// Both ways of changing what is mapped: other bits, or none.
    fn change(&mut self, guest: GuestAddress, size: usize, bits: Option<usize>) -> Changed<'_, S, A, F, V> {
        let range = self.range(guest, size)?;
        let root = self.table();
        let needed = plan::to_change(&root, range.clone(), bits)?;
        let mut stock = Frames::take(needed, &mut self.allocator)?;

        self.alter(&root, range, bits, &mut stock);
        Ok(GuestFlush { mapper: self })
    }

    fn alter(&mut self, table: &Table<S, A>, range: Range<usize>, bits: Option<usize>, stock: &mut Frames<A>) {
        for (index, piece) in pieces(table.level(), range) {
            let below = match table.entry(index) {
                Entry::Empty => continue,
                Entry::Table(frame) => table.below(frame),
                Entry::Page(raw) if table.says(raw, bits) => continue,
                Entry::Page(_) if piece.len() < size_of(table.level()) => table.split(index, stock.zeroed()),
                Entry::Page(_) => {
                    table.update(index, |raw| match bits {
                        None => 0,
                        Some(bits) => table.page(table.parts(raw).0, bits) | raw & (S::ENTRY_ACCESSED | S::ENTRY_DIRTY),
                    });
                    self.owe(piece, false);
                    continue;
                }
            };
            self.alter(&below, piece.clone(), bits, stock);
            if bits.is_none() && below.is_empty() {
                table.set(index, 0);
                // SAFETY: nothing names the table any more; CPUs that still walk it find it empty.
                unsafe { self.removed.push(below.phys()) };
                self.owe(piece, true);
            }
        }
    }

    fn owe(&mut self, piece: Range<usize>, gone: bool) {
        let (range, tables) = self.owed.take().unwrap_or((piece.clone(), gone));

        self.owed = Some((range.start.min(piece.start)..range.end.max(piece.end), tables || gone));
    }

    fn free_tables(&mut self, table: &Table<S, A>) {
        for index in 0..512 {
            if let Entry::Table(frame) = table.entry(index) {
                self.free_tables(&table.below(frame));
            }
        }
        // SAFETY: the tables are this mapper's, and whoever could still walk them has been told.
        unsafe { self.allocator.free_one(table.phys()) };
    }
}

/// Write what the plan has found possible. A table is filled before it is linked, so that no CPU finds it half done.
fn fill<S: SecondLevel, A: Arch>(table: &Table<S, A>, range: Range<usize>, target: Target, stock: &mut Frames<A>) {
    for (index, piece) in pieces(table.level(), range) {
        match table.entry(index) {
            Entry::Table(frame) => fill(&table.below(frame), piece, target, stock),
            _ if target.is_page(table.level(), &piece) => {
                table.set(index, table.page(target.phys(&piece), target.bits));
            }
            _ => {
                let frame = stock.zeroed();
                fill(&table.below(frame), piece, target, stock);
                table.set(index, frame.data() | S::ENTRY_TABLE);
            }
        }
    }
}

impl<S: SecondLevel, A: Arch, F: FrameAllocator, V: Invalidate> Drop for GuestMapper<S, A, F, V> {
    fn drop(&mut self) {
        self.owe(0..self.limit(), true);
        self.flush();
        let root = self.table();
        self.free_tables(&root);
    }
}
