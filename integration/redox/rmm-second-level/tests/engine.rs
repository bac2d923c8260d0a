//! The C engine as the judge: random operations on both, and after each the same answer and the same tree of tables,
//! entry by entry, but for bits that no CPU reads.

mod common;

use common::*;
use hvpt as engine;
use rmm::PageFlags;
use rmm_second_level::*;

/// A format, and its counterpart in C.
trait Judged: SecondLevel {
    type Judge: engine::SecondLevel;

    const PRESENT: u64;

    /// What a CPU reads of an entry.
    fn compared(level: usize, entry: u64) -> u64;

    fn config(layout: &Layout) -> <Self::Judge as engine::SecondLevel>::Config;
    fn set(layout: &mut Layout, random: &mut Random);
}

fn page_size(layout: &Layout) -> u64 {
    [K4, M2, G1][layout.largest] as u64
}

impl Judged for Ept {
    type Judge = engine::Ept;
    const PRESENT: u64 = 7;

    // SDM vol. 3, "EPT Translation Mechanism": hardware ignores 11, 52 to 62 and, unless EPTP has bit 6, 8 and 9.
    fn compared(_: usize, entry: u64) -> u64 {
        entry & 0x800f_ffff_ffff_f4ff
    }

    fn config(layout: &Layout) -> engine::EptConfig {
        engine::EptConfig {
            levels: layout.levels as u32,
            max_page_size: page_size(layout),
            maxphyaddr: layout.address_width as u32,
            features: engine::EptFeatures { accessed_dirty: layout.accessed_dirty, ..Default::default() },
            ..Default::default()
        }
    }
    fn set(layout: &mut Layout, random: &mut Random) {
        layout.accessed_dirty = random.chance();
    }
}

impl Judged for Npt {
    type Judge = engine::Npt;
    const PRESENT: u64 = 1;

    // APM vol. 2, "Long-Mode Page Translation": all but accessed and dirty, 9 to 11 and 52 to 62. PWT, PCD and PAT are
    // compared by the type that they select, UC- as UC: there is more than one way to say it.
    fn compared(level: usize, entry: u64) -> u64 {
        let pat = if level == 0 { 7 } else { 12 };
        if level != 0 && entry & 1 << 7 == 0 {
            return entry & 0x800f_ffff_ffff_f007;
        }
        let index = entry >> 3 & 3 | (entry >> pat & 1) << 2;
        let memory = match PAT >> (8 * index) & 7 {
            7 => 0,
            other => other,
        };
        let size = if level == 0 { 0 } else { 1 << 7 };
        entry & 0x800f_ffff_ffff_f007 & !(1 << pat) | memory << 3 | size
    }

    fn config(layout: &Layout) -> engine::NptConfig {
        engine::NptConfig {
            levels: layout.levels as u32,
            max_page_size: page_size(layout),
            maxphyaddr: layout.address_width as u32,
            pat: PAT,
            ..Default::default()
        }
    }
    fn set(_: &mut Layout, _: &mut Random) {}
}

fn same(error: engine::Error) -> Error {
    match error {
        engine::Error::Misaligned => Error::Misaligned,
        engine::Error::OutOfRange => Error::OutOfRange,
        engine::Error::AlreadyMapped => Error::AlreadyMapped,
        engine::Error::NotMapped => Error::NotMapped,
        engine::Error::OutOfMemory => Error::OutOfMemory,
        engine::Error::Corrupt => Error::Corrupt,
        _ => Error::Unsupported,
    }
}

fn some_flags(random: &mut Random) -> PageFlags<A> {
    PageFlags::new()
        .write(random.chance())
        .execute(random.chance())
        .user(random.chance())
        .global(random.chance())
        .uncacheable(random.below(4) == 0)
        .write_combining(random.below(4) == 0)
        .custom_flag(3 << 5, random.chance()) // accessed and dirty, as flags that were read from an entry have them
}

/// Says where the first difference is: trees are long.
fn same_tree<S: Judged>(mine: &[(usize, usize, u64)], judge: &[(usize, usize, u64)], context: &str) {
    let compared = |(begin, level, entry): (usize, usize, u64)| (begin, level, S::compared(level, entry));

    for (mine, judge) in mine.iter().zip(judge) {
        assert_eq!(compared(*mine), compared(*judge), "{}: {:#x?} and {:#x?}", context, mine, judge);
    }
    assert_eq!(mine.len(), judge.len(), "{}", context);
}

fn judge<S: Judged>(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut layout = Layout {
        levels: 4 + random.below(2),
        largest: random.below(3),
        address_width: [36, 40, 48, 52][random.below(4)],
        accessed_dirty: false,
    };
    S::set(&mut layout, &mut random);
    // The arenas' frames lie at addresses of the host: a narrow width would refuse the root.
    layout.address_width = layout.address_width.max(48);

    let arena = Arena::default();
    let theirs = engine::testing::Arena::new(1 << 16);
    let mut mine: Mapper<S> = new(&arena, layout);
    let mut judge = engine::Mapper::<S::Judge, _>::create(theirs.clone(), S::config(&layout)).unwrap();
    let mut done = [0; 3];

    for step in 0..steps {
        let unit = [K4, K4, M2, G1][random.below(4)];
        let mut guest = random.below(5) * G1 / 2 + random.below(3) * M2 + random.below(6) * unit % (3 * G1);
        let mut size =
            [1, 1, 2, 3, 511, 512, 513][random.below(7)] * unit.min(M2) + random.below(2) * random.below(3) * K4;
        let mut target = if random.chance() { guest } else { random.below(1 << 20) * [K4, M2][random.below(2)] };
        let fits = |unit: usize| (guest ^ target) % unit == 0;
        if layout.largest == 0 || !fits(M2) {
            size = size.min(5 * M2 + 3 * K4); // else all of it is small pages, and the comparison takes long
        }
        match random.below(40) {
            0 => guest += 1 + random.below(K4 - 1),
            1 => size += 1 + random.below(K4 - 1),
            2 => size = 0,
            3 => guest += (1 << (12 + 9 * layout.levels)) - G1,
            4 => target += 1 << layout.address_width,
            _ => (),
        }
        let flags = some_flags(&mut random);
        let other = engine::Flags::<S::Judge>::from_page_flags(
            unsafe { engine::PageFlags::from_data(flags.data()) },
            PAT,
            engine::Keep::default(),
        )
        .unwrap();
        let (to, hpa) = (engine::PhysicalAddress::new(guest), engine::PhysicalAddress::new(target));

        let kind = random.below(6);
        // SAFETY: no CPU walks the tables.
        let (mine_says, judge_says) = unsafe {
            match kind {
                0..=2 => (
                    mine.map_range(at(guest), phys(target), size, flags).map(|flush| flush.flush()),
                    judge.map_range(to, hpa, size as u64, other).map(|flush| flush.flush()),
                ),
                3 | 4 => (
                    mine.unmap_range(at(guest), size).map(|flush| flush.flush()),
                    judge.unmap_range(to, size as u64).map(|flush| flush.flush()),
                ),
                _ => (
                    mine.remap_range(at(guest), size, flags).map(|flush| flush.flush()),
                    judge.remap_range(to, size as u64, other).map(|flush| flush.flush()),
                ),
            }
        };
        let context = format!("{} seed {:#x} step {}, kind {}: {:#x} + {:#x}", S::NAME, seed, step, kind, guest, size);
        assert_eq!(mine_says, judge_says.map_err(same), "{}", context);
        if mine_says.is_ok() {
            done[kind / 2] += 1;
        }

        let tree_mine = tree(mine.root(), layout.levels, S::PRESENT);
        let tree_judge = tree(judge.table().data(), layout.levels, S::PRESENT);
        same_tree::<S>(&tree_mine, &tree_judge, &context);
        assert_eq!(arena.used(), tables(&tree_mine), "{}", context);

        for _ in 0..4 {
            let probe = guest.wrapping_add(random.below(2 * size + K4)).wrapping_sub(size / 2) % mine.limit();
            let judge_says = judge.translate(engine::PhysicalAddress::new(probe)).ok();
            let mine_says = mine.lookup(at(probe));
            assert_eq!(
                mine_says.map(|m| (m.phys.data() as u64, m.level as u32, m.flags.has_write(), m.flags.has_execute())),
                judge_says.map(|m| (m.hpa.data() as u64, m.level, m.flags.has_write(), m.flags.has_execute())),
                "{} probe {:#x}",
                context,
                probe
            );
        }
    }
    assert!(done.iter().all(|count| *count > steps / 20), "too little was done: {:?}", done);

    // Each takes over what the other has made.
    assert_eq!(mine.root() as u64 & 0xfff, judge.root() & 0xfff);
    let stats = judge.stats();
    let looked = tree(mine.root(), layout.levels, S::PRESENT);
    let (root, allocator, vm) = mine.into_root();
    // SAFETY: the tables are nobody's now, and it gives them up again.
    let look = unsafe {
        engine::Mapper::<S::Judge, _>::adopt_register(theirs.clone(), S::config(&layout), root as u64, false)
    }
    .unwrap();
    assert_eq!((look.stats().pages, look.stats().tables), (stats.pages, stats.tables));
    drop(look.into_table());
    // SAFETY: as they were given up.
    let mine = unsafe { Mapper::<S>::adopt(allocator, vm, layout, root) }.unwrap();
    same_tree::<S>(&tree(mine.root(), layout.levels, S::PRESENT), &looked, "adopted");
    drop(mine);
    drop(judge);
    assert_eq!((arena.used(), theirs.used()), (0, 0));
}

#[test]
fn ept_agrees_with_the_engine() {
    (1..24).for_each(|seed| judge::<Ept>(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15), 120));
}

#[test]
fn npt_agrees_with_the_engine() {
    (1..24).for_each(|seed| judge::<Npt>(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15), 120));
}

/// Tables that another program wrote are adopted by both or by neither.
fn corrupts<S: Judged>() {
    let layout = Layout { largest: 2, address_width: 48, ..Layout::default() };
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;

    for _ in 0..600 {
        let arena = Arena::default();
        let mut mine: Mapper<S> = new(&arena, layout);
        // SAFETY: no CPU walks the tables.
        unsafe {
            mine.map_range(at(0), phys(0), M2 + 3 * K4, flags(true)).unwrap().flush();
            mine.map_range(at(2 * G1), phys(G1), G1, flags(true)).unwrap().flush();
        }
        let (mut table, mut level) = (mine.table().phys().data(), 3);
        let depth = random.below(4);
        while level > depth {
            // SAFETY: the first entry of each table but the lowest leads on.
            let entry = unsafe { (table as *const usize).read() };
            if entry & 1 << 7 != 0 {
                break;
            }
            (table, level) = (entry & 0x000f_ffff_ffff_f000, level - 1);
        }
        let slot = (table + 8 * [0, 2][usize::from(level == 2 && random.chance())]) as *mut usize;
        // SAFETY: within the table.
        let large = level != 0 && unsafe { slot.read() } & 1 << 7 != 0;
        let bit = loop {
            // what hardware ignores may be marks of the engine's; 10 is ignored without mode-based execute control
            match random.below(64) {
                7 if level != 0 => (), // turns pages into tables that are nowhere
                8..=11 if S::PRESENT == 7 => (),
                5 | 6 | 9..=11 if S::PRESENT == 1 => (),
                bit @ 12..=20 if large => break bit, // a page that is not aligned, or its PAT bit
                12..=47 => (),                       // another address is another tree
                52..=63 => (),
                bit => break bit,
            }
        };
        // SAFETY: within the table.
        unsafe { slot.write(slot.read() ^ 1 << bit) };

        let root = mine.root();
        let theirs = engine::testing::Arena::new(16);
        let config = S::config(&layout);
        let (_, allocator, vm) = mine.into_root();
        // SAFETY: the tables are nobody's; each only looks at what it refuses.
        let judge_says =
            unsafe { engine::Mapper::<S::Judge, _>::adopt_register(theirs.clone(), config, root as u64, false) }
                .map(|mapper| drop(mapper.into_table()))
                .map_err(same);
        // SAFETY: as above.
        let mine_says =
            unsafe { Mapper::<S>::adopt(allocator, vm, layout, root) }.map(|mapper| drop(mapper.into_root()));
        // SAFETY: within the table.
        let entry = unsafe { slot.read() };
        if entry as u64 & S::PRESENT == 0 {
            assert_eq!(mine_says, Ok(())); // empty, as a CPU sees it; the engine wants it to be zero
            continue;
        }
        // The engine lets a table take rights from all that is below it; this mapper neither makes nor takes such
        // tables.
        let restricts = level != 0 && !large && bit < 3;
        if restricts && judge_says.is_ok() {
            assert_eq!(mine_says, Err(Error::Corrupt), "{} level {} bit {} entry {:#x}", S::NAME, level, bit, entry);
        } else {
            assert_eq!(mine_says, judge_says, "{} level {} bit {} entry {:#x}", S::NAME, level, bit, entry);
        }
        refused += usize::from(judge_says.is_err());
    }
    assert!(refused > 100, "{} refused", refused);
}

#[test]
fn ept_refuses_what_the_engine_refuses() {
    corrupts::<Ept>();
}

#[test]
fn npt_refuses_what_the_engine_refuses() {
    corrupts::<Npt>();
}
