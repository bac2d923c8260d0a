//! What the mapper promises, by the manuals' bits, a map of our own, and a count of frames.

mod common;

use std::collections::BTreeMap;

use common::*;
use rmm::{x86_64::X8664Arch, Arch, FrameAllocator, PageFlags};
use rmm_second_level::*;

const FRAME: usize = 0x000f_ffff_ffff_f000;

fn large() -> Layout {
    Layout { largest: 2, ..Layout::default() }
}

/// SAFETY of every map here: no CPU walks the tables.
fn map<S: SecondLevel>(mapper: &mut Mapper<S>, guest: usize, to: usize, size: usize, flags: PageFlags<A>) {
    unsafe { mapper.map_range(at(guest), phys(to), size, flags) }.unwrap().flush();
}

fn entry<S: SecondLevel>(mapper: &Mapper<S>, guest: usize) -> usize {
    mapper.lookup(at(guest)).unwrap().entry
}

fn follows_a_model<S: SecondLevel>(layout: Layout) {
    let arena = Arena::default();
    let mut mapper: Mapper<S> = new(&arena, layout);
    let mut model = BTreeMap::<usize, (usize, bool)>::new(); // page: frame, writable
    let mut random = Random(0x2545_f491_4f6c_dd1d);

    for _ in 0..400 {
        let (first, count) = (random.below(2048), [1, 1, 3, 512, 700][random.below(5)]);
        let frame = if random.chance() { first } else { first + random.below(512) };
        let write = random.chance();
        let (guest, size, range) = (at(first * K4), count * K4, first..first + count);
        let taken = range.clone().filter(|page| model.contains_key(page)).count();
        let before = arena.used();

        match random.below(4) {
            0 | 1 => match unsafe { mapper.map_range(guest, phys(frame * K4), size, flags(write)) } {
                Ok(flush) => {
                    flush.flush();
                    assert_eq!(taken, 0);
                    model.extend((0..count).map(|i| (first + i, (frame + i, write))));
                }
                Err(error) => assert!(error == Error::AlreadyMapped && taken != 0 && arena.used() == before),
            },
            2 => {
                mapper.unmap_range(guest, size).unwrap().flush();
                model.retain(|page, _| !range.contains(page));
            }
            _ => match unsafe { mapper.remap_range(guest, size, flags(write)) } {
                Ok(flush) => {
                    flush.flush();
                    assert_eq!(taken, count);
                    range.for_each(|page| model.get_mut(&page).unwrap().1 = write);
                }
                Err(error) => assert!(error == Error::NotMapped && taken != count && arena.used() == before),
            },
        }
    }
    for page in 0..3000 {
        let got = mapper.translate(at(page * K4 + 0x10)).map(|(phys, flags)| (phys.data(), flags.has_write()));
        assert_eq!(got, model.get(&page).map(|(frame, write)| (frame * K4 + 0x10, *write)), "page {}", page);
    }
    drop(mapper);
    assert_eq!(arena.used(), 0);
}

#[test]
fn translations_are_those_of_a_model() {
    follows_a_model::<Ept>(Layout::default());
    follows_a_model::<Ept>(Layout { largest: 0, levels: 5, ..Layout::default() });
    follows_a_model::<Npt>(Layout::default());
    follows_a_model::<Npt>(Layout { largest: 0, levels: 5, ..Layout::default() });
}

/// A life with a change of every kind: how far it came.
fn life<S: SecondLevel>(arena: &Arena) -> Result<(), Error> {
    let mut mapper: Mapper<S> = GuestMapper::create(arena.clone(), arena.guest(), large())?;
    let mut model = Vec::new();
    let mut check = |mapper: &Mapper<S>, result: Result<(), Error>| {
        // A failure leaves the tree as it was.
        let now = tree(mapper.root(), 4, if S::NAME == "EPT" { 7 } else { 1 });
        if result.is_err() {
            assert!(now == model, "a failed change has changed something");
        }
        model = now;
        result
    };
    unsafe {
        let result = mapper.map_range(at(0x1000), phys(0x1000), 2 * M2, flags(true)).map(|flush| flush.flush());
        check(&mapper, result)?;
        let result = mapper.map_range(at(G1), phys(G1), G1, flags(true)).map(|flush| flush.flush());
        check(&mapper, result)?;
        let result = mapper.unmap_phys(at(G1 + 0x1000)).map(|(_, _, flush)| flush.flush());
        check(&mapper, result)?;
        let result = mapper.remap(at(G1 + 5 * M2), flags(false)).map(|flush| flush.ignore());
        check(&mapper, result)?;
        let result = mapper.map_range(at(3 * G1 - K4), phys(0), M2, flags(true)).map(|flush| flush.flush());
        check(&mapper, result)?;
        let result = mapper.unmap_range(at(G1 + 6 * M2 + K4), 3 * M2).map(|flush| flush.flush());
        check(&mapper, result)
    }
}

fn survives_every_failure<S: SecondLevel>() {
    let arena = Arena::default();
    let mut failures = 0;

    for n in 0.. {
        arena.fail_at(Some(n));
        match life::<S>(&arena) {
            Ok(()) => break,
            Err(error) => assert_eq!(error, Error::OutOfMemory),
        }
        failures += 1;
        assert_eq!(arena.used(), 0, "frames lost when allocation {} fails", n);
    }
    assert_eq!(arena.used(), 0);
    assert!(failures > 12, "only {} allocations", failures);
}

#[test]
fn no_frame_is_lost_and_nothing_changes_when_memory_runs_out() {
    survives_every_failure::<Ept>();
    survives_every_failure::<Npt>();
}

#[test]
fn an_entry_of_ept_is_that_of_the_manual() {
    // SDM vol. 3, "EPT Translation Mechanism": R, W, X in bits 2:0, memory type in 5:3 (WB 6, WC 1, UC 0), 7 a large
    // page
    let arena = Arena::default();
    let mut ept: Mapper<Ept> = new(&arena, Layout { levels: 5, accessed_dirty: true, ..large() });

    map(&mut ept, 0, M2, M2, flags(true).execute(true));
    map(&mut ept, G1, 0xfee0_0000, K4, flags(true).uncacheable(true));
    map(&mut ept, G1 + K4, 0xc000_0000, K4, flags(false).write_combining(true).user(true).global(true));
    map(&mut ept, 4 * G1, 0, G1, flags(false).device_memory(true));
    assert_eq!(entry(&ept, 0), M2 | 1 << 7 | 6 << 3 | 7);
    assert_eq!(entry(&ept, G1), 0xfee0_0000 | 3);
    assert_eq!(entry(&ept, G1 + K4), 0xc000_0000 | 1 << 3 | 1);
    assert_eq!(entry(&ept, 4 * G1), 1 << 7 | 1);
    // EPTP: tables in write-back memory, a walk of five, accessed and dirty
    assert_eq!(ept.root() & !FRAME, 6 | 4 << 3 | 1 << 6);
    assert_eq!(ept.root() & FRAME, ept.table().phys().data());
    assert_eq!(ept.table().raw(0) & !FRAME, 7);
}

#[test]
fn an_entry_of_npt_is_that_of_the_manual() {
    // APM vol. 2, "Nested Paging": as a host's entry, with the user bit; PAT is bit 7, and bit 12 of a large page
    let arena = Arena::default();
    let mut npt: Mapper<Npt> = new(&arena, large());

    map(&mut npt, 0, 0x5000, K4, flags(true));
    map(&mut npt, M2, M2, M2, flags(false).execute(true).write_combining(true));
    map(&mut npt, G1, G1, G1, flags(true).uncacheable(true));
    map(&mut npt, 2 * M2, 0x9000, K4, flags(false).write_combining(true).global(true));
    assert_eq!(entry(&npt, 0), 1 << 63 | 0x5000 | 7);
    assert_eq!(entry(&npt, M2), M2 | 1 << 12 | 1 << 7 | 5);
    assert_eq!(entry(&npt, G1), 1 << 63 | G1 | 1 << 7 | 2 << 3 | 7);
    assert_eq!(entry(&npt, 2 * M2), 1 << 63 | 0x9000 | 1 << 7 | 5);
    assert_eq!(npt.root(), npt.table().phys().data());

    // split, its PAT bit comes back to where a small page has it
    npt.unmap_phys(at(M2)).unwrap().2.flush();
    assert_eq!(entry(&npt, M2 + K4), (M2 + K4) | 1 << 7 | 5);
}

#[test]
fn flags_that_have_no_name_are_refused() {
    fn refuses<S: SecondLevel>() {
        let arena = Arena::default();
        let mut mapper: Mapper<S> = new(&arena, Layout::default());
        let mut try_flags = |flags| unsafe { mapper.map_phys(at(0), phys(0x1000), flags) }.map(|flush| flush.flush());

        let not_present = PageFlags::new().custom_flag(X8664Arch::ENTRY_FLAG_PRESENT, false);
        for flags in [not_present, flags(true).custom_flag(1 << 3, true), flags(true).custom_flag(1 << 52, true)] {
            assert_eq!(try_flags(flags), Err(Error::Unsupported));
        }
        assert_eq!(arena.used(), 1);
    }
    refuses::<Ept>();
    refuses::<Npt>();
}

#[test]
fn flags_come_back_as_they_went_in() {
    fn round<S: SecondLevel>() {
        let arena = Arena::default();
        let mut mapper: Mapper<S> = new(&arena, Layout::default());

        for bits in 0..16 {
            let flags = PageFlags::<A>::new()
                .write(bits & 1 != 0)
                .execute(bits & 2 != 0)
                .uncacheable(bits & 12 == 4)
                .write_combining(bits & 12 == 8);
            unsafe { mapper.map_phys(at(0), phys(0x1000), flags) }.unwrap().flush();
            let (to, back, flush) = mapper.unmap_phys(at(0)).unwrap();
            flush.flush();
            assert_eq!((to.data(), back.data()), (0x1000, flags.data()));
        }
    }
    round::<Ept>();
    round::<Npt>();
}

#[test]
fn accessed_and_dirty_bits_outlive_other_changes() {
    // SDM vol. 3, "Accessed and Dirty Flags for EPT": 8 and 9. APM vol. 2: 5 and 6.
    fn keeps<S: SecondLevel>(bits: usize) {
        let arena = Arena::default();
        let mut mapper: Mapper<S> = new(&arena, Layout { accessed_dirty: true, ..large() });
        map(&mut mapper, 0, 0, M2, flags(true));

        let mut table = mapper.table().phys().data();
        for _ in 0..2 {
            table = unsafe { (table as *const usize).read() } & FRAME;
        }
        unsafe { (table as *mut usize).write((table as *const usize).read() | bits) }; // the guest writes
        unsafe { mapper.remap(at(K4), flags(false)) }.unwrap().flush();
        for page in [0, K4, M2 - K4] {
            assert_eq!(entry(&mapper, page) & bits, bits, "{} page {:#x}", S::NAME, page);
        }
        assert_eq!(S::ENTRY_ACCESSED | S::ENTRY_DIRTY, bits);
    }
    keeps::<Ept>(3 << 8);
    keeps::<Npt>(3 << 5);
}

#[test]
fn an_invalidation_names_the_guest_and_comes_before_frames_are_freed() {
    fn invalidates<S: SecondLevel>() {
        let arena = Arena::default();
        let mut mapper: Mapper<S> = new(&arena, Layout::default());

        map(&mut mapper, 0, 0x1000, 8 * K4, flags(true));
        assert_eq!(arena.take_stale(), [], "a new translation is nowhere cached");
        let (root, used) = (mapper.root(), arena.used());

        unsafe { mapper.unmap_range(at(K4), 7 * K4).unwrap().ignore() };
        unsafe { mapper.unmap_range(at(0), K4).unwrap().ignore() };
        assert_eq!((arena.take_stale(), arena.used()), (vec![], used), "freed before the flush");
        mapper.flush();
        assert_eq!(arena.take_stale(), [Stale { root, start: at(0), size: 8 * K4, tables: true }]);
        assert_eq!((arena.used_at_invalidation(), arena.used()), (used, 1));
        mapper.flush();
        assert_eq!(arena.take_stale(), [], "nothing is owed twice");

        // a change of rights alone lets tables be
        map(&mut mapper, G1, G1, M2, flags(true));
        unsafe { mapper.remap_range(at(G1), M2, flags(false)) }.unwrap().flush();
        assert_eq!(arena.take_stale(), [Stale { root, start: at(G1), size: M2, tables: false }]);
        // that tables went away is not forgotten over what came later
        map(&mut mapper, 0, 0, K4, flags(true));
        unsafe { mapper.unmap_range(at(0), K4).unwrap().ignore() };
        unsafe { mapper.remap_range(at(G1), M2, flags(true)) }.unwrap().flush();
        assert_eq!(arena.take_stale(), [Stale { root, start: at(0), size: G1 + M2, tables: true }]);
        // what is merely dropped is flushed
        drop(mapper.unmap_range(at(G1), K4).unwrap());
        assert_eq!(arena.take_stale().len(), 1);
        // and so is everything before the root goes
        let used = arena.used();
        drop(mapper);
        let last = arena.take_stale().pop().unwrap();
        assert!(last.root == root && last.tables && last.size == 1 << 48);
        assert_eq!((arena.used_at_invalidation(), arena.used()), (used, 0));
    }
    invalidates::<Ept>();
    invalidates::<Npt>();
}

#[test]
fn a_table_that_waits_looks_empty_to_a_cpu_that_walks_it() {
    let arena = Arena::default();
    let mut ept: Mapper<Ept> = new(&arena, Layout::default());

    map(&mut ept, 0, 0x1000, K4, flags(true));
    map(&mut ept, G1, 0x1000, K4, flags(true));
    let mut waiting = Vec::new();
    for guest in [0, G1] {
        let mut table = ept.table().phys().data();
        for level in (1..4).rev() {
            let index = guest >> (12 + 9 * level) & 511;
            table = unsafe { (table as *const usize).add(index).read() } & FRAME;
            waiting.push(table);
        }
    }
    unsafe { ept.unmap_range(at(0), 2 * G1).unwrap().ignore() };
    for table in waiting {
        assert!((0..512).all(|index| unsafe { (table as *const usize).add(index).read() } & 7 == 0));
    }
    ept.flush();
    assert_eq!(arena.used(), 1);
}

#[test]
fn roots_are_given_up_and_taken_over() {
    fn changes_hands<S: SecondLevel>() {
        let arena = Arena::default();
        let mut mapper: Mapper<S> = new(&arena, Layout::default());

        map(&mut mapper, 0, 0, M2 + K4, flags(true));
        unsafe { mapper.unmap_range(at(M2), K4).unwrap().ignore() };
        let (root, allocator, vm) = mapper.into_root();
        assert_eq!(arena.take_stale().len(), 1, "what was owed is settled");
        assert_eq!(arena.used(), 3);

        // a register of another layout, a root beyond the CPU's addresses, a bit that must be clear
        let narrow = Layout { address_width: 32, ..Layout::default() };
        let untracked = Layout { accessed_dirty: S::NAME == "EPT", ..Layout::default() };
        for (layout, root) in [(untracked, root | 1 << 10), (narrow, root), (Layout::default(), root | 1 << 11)] {
            let refused = unsafe { Mapper::<S>::adopt(arena.clone(), arena.guest(), layout, root) }.map(drop);
            assert_eq!(refused, Err(Error::Corrupt), "{:?}", layout);
        }
        let mut mapper = unsafe { Mapper::<S>::adopt(allocator, vm, Layout::default(), root) }.unwrap();
        assert_eq!(mapper.root(), root);
        mapper.unmap_range(at(0), K4).unwrap().flush();
        assert!(mapper.translate(at(0)).is_none() && mapper.translate(at(K4)).is_some());
        assert_eq!(mapper.allocator_mut().usage().used().data(), arena.used());
        drop(mapper);
        assert_eq!(arena.used(), 0);
    }
    changes_hands::<Ept>();
    changes_hands::<Npt>();
}

#[test]
fn layouts_that_do_not_exist_are_refused() {
    for layout in [
        Layout { levels: 3, ..Layout::default() },
        Layout { levels: 6, ..Layout::default() },
        Layout { largest: 3, ..Layout::default() },
        Layout { address_width: 31, ..Layout::default() },
        Layout { address_width: 53, ..Layout::default() },
    ] {
        let arena = Arena::default();
        let made = GuestMapper::<Ept, A, _, _>::create(arena.clone(), arena.guest(), layout).map(drop);
        assert_eq!(made, Err(Error::Unsupported));
    }
}
