//! The mapper on all formats, by one suite. Where an address leads is asked of a map of our own; frames are counted by
//! the arena; entries are compared with the manuals' bits.

use std::collections::BTreeMap;

use hvpt::{testing::Arena, *};

fn at(address: u64) -> PhysicalAddress {
    PhysicalAddress::new(address as usize)
}

fn page_flags(data: u64) -> PageFlags {
    unsafe { PageFlags::from_data(data as usize) }
}

const K4: u64 = 4 << 10;
const M2: u64 = 2 << 20;
const G1: u64 = 1 << 30;

/// What holds for every format.
fn suite<A: SecondLevel>(config: A::Config) {
    maps_and_unmaps::<A>(config.clone());
    refuses_what_it_should::<A>(config.clone());
    follows_a_model::<A>(config.clone());
    survives_every_failure_of_allocation::<A>(config.clone());
    gives_up_and_adopts::<A>(config.clone());
    flushes_once_and_frees_after::<A>(config.clone());
    walks::<A>(config.clone());
    explains::<A>(config);
}

fn rw<A: SecondLevel>() -> Flags<A> {
    Flags::new().write(true)
}

fn maps_and_unmaps<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config).unwrap();
    let (gpa, hpa) = (at(0x40_0000), at(0x80_0000));

    unsafe { mapper.map_phys(gpa, hpa, rw()) }.unwrap().flush();
    let there = mapper.translate(at(0x40_0123)).unwrap();
    assert_eq!(
        (there.hpa, there.page_size, there.level),
        (at(0x80_0123), K4, 0)
    );
    assert!(there.flags.has_write() && !there.flags.has_execute());
    assert_eq!(there.flags.get_memory_type(), MemoryType::WriteBack);

    unsafe { mapper.remap(gpa, Flags::new()) }.unwrap().flush();
    assert!(!mapper.translate(gpa).unwrap().flags.has_write());

    unsafe { mapper.replace_range(gpa, at(0x90_0000), K4, rw()) }
        .unwrap()
        .flush();
    let (was, flags, flush) = mapper.unmap_phys(gpa).unwrap();
    flush.flush();
    assert_eq!((was, flags.has_write()), (at(0x90_0000), true));
    assert_eq!(mapper.translate(gpa).unwrap_err(), Error::NotMapped);
    assert_eq!(mapper.unmap_phys(gpa).unwrap_err(), Error::NotMapped);
    assert_eq!(mapper.stats().pages, [0; 5]);
    drop(mapper);
    assert_eq!(arena.used(), 0);
}

fn refuses_what_it_should<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config).unwrap();
    let (frame, limit) = (at(0x80_0000), mapper.limit());
    let before = arena.used();

    unsafe {
        assert_eq!(
            mapper.map_phys(at(0x123), frame, rw()).unwrap_err(),
            Error::Misaligned
        );
        assert_eq!(
            mapper
                .map_phys(at(0x1000), at(0x80_0001), rw())
                .unwrap_err(),
            Error::Misaligned
        );
        assert_eq!(
            mapper.map_phys(at(limit), frame, rw()).unwrap_err(),
            Error::OutOfRange
        );
        assert_eq!(
            mapper
                .map_range(at(limit - K4), frame, 2 * K4, rw())
                .unwrap_err(),
            Error::OutOfRange
        );
        assert_eq!(
            mapper.map_range(at(0), frame, 0, rw()).unwrap_err(),
            Error::OutOfRange
        );
        assert_eq!(
            mapper
                .map_phys(at(0), frame, rw().software(1000))
                .unwrap_err(),
            Error::Unsupported
        );
        assert_eq!(
            mapper
                .map_phys(at(0), frame, rw().software(A::SOFTWARE_MAX + 1))
                .unwrap_err(),
            Error::Unsupported
        );
        mapper
            .map_phys(at(0), frame, rw().software(A::SOFTWARE_MAX))
            .unwrap()
            .flush();
        assert_eq!(
            mapper.unmap_phys(at(0)).unwrap().1.get_software(),
            A::SOFTWARE_MAX
        );
        assert_eq!(mapper.remap(at(0), rw()).unwrap_err(), Error::NotMapped);
        mapper.map_phys(at(0x1000), frame, rw()).unwrap().flush();
        let used = arena.used();
        assert_eq!(
            mapper.map_range(at(0), frame, M2, rw()).unwrap_err(),
            Error::AlreadyMapped
        );
        assert_eq!(arena.used(), used);
    }
    assert_eq!(mapper.translate(at(0)).unwrap_err(), Error::NotMapped);
    mapper.unmap_range(at(0), G1).unwrap().flush();
    assert_eq!(arena.used(), before);
}

/// A small generator: xorshift, so that a failure can be seen again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn follows_a_model<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(4096);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config).unwrap();
    let mut model = BTreeMap::<u64, (u64, bool)>::new(); // page: frame, writable
    let mut random = Random(0x2545_f491_4f6c_dd1d);

    for _ in 0..400 {
        let first = random.below(2048);
        let count = [1, 1, 3, 512, 700][random.below(5) as usize];
        let frame = if random.below(2) == 0 {
            first
        } else {
            first + random.below(512)
        };
        let write = random.below(2) == 0;
        let (gpa, hpa, size) = (at(first * K4), at(frame * K4), count * K4);
        let flags = Flags::new().write(write);
        let taken = (first..first + count)
            .filter(|page| model.contains_key(page))
            .count() as u64;

        match random.below(4) {
            0 | 1 => match unsafe { mapper.map_range(gpa, hpa, size, flags) } {
                Ok(flush) => {
                    flush.flush();
                    assert_eq!(taken, 0);
                    model.extend((0..count).map(|i| (first + i, (frame + i, write))));
                }
                Err(error) => assert!(error == Error::AlreadyMapped && taken != 0, "{:?}", error),
            },
            2 => {
                mapper.unmap_range(gpa, size).unwrap().flush();
                model.retain(|page, _| !(first..first + count).contains(page));
            }
            _ => match unsafe { mapper.remap_range(gpa, size, flags) } {
                Ok(flush) => {
                    flush.flush();
                    assert_eq!(taken, count);
                    (first..first + count).for_each(|page| model.get_mut(&page).unwrap().1 = write);
                }
                Err(error) => assert!(error == Error::NotMapped && taken != count, "{:?}", error),
            },
        }
    }
    for page in 0..3000 {
        let got = mapper
            .translate(at(page * K4 + 0x10))
            .ok()
            .map(|m| (m.hpa.data() as u64, m.flags.has_write()));
        let expected = model
            .get(&page)
            .map(|(frame, write)| (frame * K4 + 0x10, *write));
        assert_eq!(got, expected, "{} page {}", A::NAME, page);
    }
    drop(mapper);
    assert_eq!(arena.used(), 0);
}

/// A life with a change of every kind; how far it came.
fn life<A: SecondLevel>(arena: &Arena, config: A::Config) -> Result<(), Error> {
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config)?;
    unsafe {
        mapper.map_range(at(0), at(0x1000), 5 * M2, rw())?.flush();
        mapper.map_range(at(G1), at(G1), G1, rw())?.flush();
        mapper.unmap_phys(at(G1 + 0x1000))?.2.flush();
        mapper.remap(at(G1 + M2), Flags::new())?.ignore();
    }
    mapper.reserve(3)?;
    mapper.split(at(G1 + 4 * M2), M2, K4)?.flush();
    mapper.unmap_range(at(0), 2 * G1)?.flush();
    Ok(())
}

fn survives_every_failure_of_allocation<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(8192);
    let mut failures = 0;

    for n in 0.. {
        arena.fail_at(Some(n));
        match life::<A>(&arena, config.clone()) {
            Ok(()) => break,
            Err(error) => assert_eq!(error, Error::OutOfMemory),
        }
        failures += 1;
        assert_eq!(
            arena.used(),
            0,
            "{}: frames lost when allocation {} fails",
            A::NAME,
            n
        );
    }
    assert_eq!(arena.used(), 0);
    assert!(failures > 8, "{}: only {} allocations", A::NAME, failures);
}

fn gives_up_and_adopts<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config.clone()).unwrap();

    unsafe { mapper.map_range(at(0), at(M2), M2 + K4, rw()) }
        .unwrap()
        .flush();
    let stats = mapper.stats();
    let mut mapper = {
        mapper.reserve(1).unwrap();
        let kept = mapper.into_table().unwrap_err(); // with a reserve it stays
        drop(kept);
        assert_eq!(arena.used(), 0);
        let mut mapper = Mapper::<A, _>::create(arena.clone(), config.clone()).unwrap();
        unsafe { mapper.map_range(at(0), at(M2), M2 + K4, rw()) }
            .unwrap()
            .flush();
        mapper
    };
    mapper.flush();
    let root = mapper.root();
    let (table, _) = mapper.into_table().unwrap();
    assert_ne!(arena.used(), 0);

    let look = unsafe { Mapper::<A, _>::adopt_register(arena.clone(), config.clone(), root, true) }
        .unwrap();
    assert_eq!(look.translate(at(M2)).unwrap().hpa, at(2 * M2));
    assert_eq!((look.table(), look.root()), (table, root));
    drop(look);
    let astray =
        unsafe { Mapper::<A, _>::adopt(arena.clone(), config.clone(), table.add(0x800), true) };
    assert_eq!(astray.unwrap_err(), Error::Misaligned);

    let mut look =
        unsafe { Mapper::<A, _>::adopt(arena.clone(), config.clone(), table, true) }.unwrap();
    assert_eq!((look.table(), look.root()), (table, root));
    assert_eq!(look.unmap_range(at(0), M2).unwrap_err(), Error::ReadOnly);
    drop(look);

    let mut mapper = unsafe { Mapper::<A, _>::adopt(arena.clone(), config, table, false) }.unwrap();
    assert_eq!(mapper.stats(), stats);
    mapper.unmap_range(at(0), M2).unwrap().flush();
    drop(mapper);
    assert_eq!(arena.used(), 0);
}

fn flushes_once_and_frees_after<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config).unwrap();
    let root = mapper.root();

    unsafe { mapper.map_range(at(0), at(0x1000), 8 * K4, rw()) }
        .unwrap()
        .flush();
    arena.take_invalidations();
    let used = arena.used();

    let flush = mapper.unmap_range(at(0x1000), 7 * K4).unwrap();
    // With break-before-make, unmap has flushed by itself.
    assert_eq!(flush.is_needed(), !A::BREAK_BEFORE_MAKE);
    unsafe { flush.ignore() };
    unsafe { mapper.unmap_range(at(0), K4).unwrap().ignore() };
    if !A::BREAK_BEFORE_MAKE {
        assert_eq!(arena.take_invalidations(), []);
        assert_eq!(arena.used(), used, "{}: freed before the flush", A::NAME);
    }
    mapper.flush();
    let seen = arena.take_invalidations();
    assert!(!seen.is_empty());
    assert!(seen
        .iter()
        .all(|stale| stale.kind == A::INVALIDATION && stale.root == root));
    let last = seen[seen.len() - 1];
    if !A::BREAK_BEFORE_MAKE {
        assert!(
            last.gpa == at(0) && last.size >= 8 * K4 && last.tables,
            "{:?}",
            last
        );
    }
    assert!(arena.used() < used);

    // dropped without a word, it is flushed all the same
    unsafe { mapper.map_phys(at(0), at(0x1000), rw()) }
        .unwrap()
        .flush();
    arena.take_invalidations();
    drop(mapper.unmap_range(at(0), K4).unwrap());
    assert_ne!(arena.take_invalidations(), []);
}

/// The verdict is the last line: which right is lacking, in the manual's words.
fn explains<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena, config).unwrap();
    let (gpa, beyond) = (at(0x40_0000), at(mapper.limit()));
    let last = |words: String| words.lines().last().unwrap_or("").to_owned();

    unsafe { mapper.map_phys(gpa, at(0x80_0000), Flags::new()) }
        .unwrap()
        .flush();
    let why = mapper.explain(gpa, rw());
    assert_eq!(why.verdict(), Err(Error::Unsupported));
    assert!(
        why.to_string().starts_with("read, write at 0x400000\n"),
        "{}",
        why
    );
    let said = last(why.to_string());
    assert!(
        said.starts_with("denied by level 0") && said.contains("no right to write"),
        "{}",
        said
    );
    assert_eq!(mapper.explain(gpa, Flags::new()).verdict(), Ok(()));
    let why = mapper.explain(at(0x50_0000), rw());
    assert_eq!(why.verdict(), Err(Error::NotMapped));
    assert!(
        last(format!("{:?}", why)).starts_with("not mapped at level"),
        "{}",
        why
    );
    assert_eq!(
        mapper.explain(beyond, rw()).verdict(),
        Err(Error::OutOfRange)
    );
}

fn walks<A: SecondLevel>(config: A::Config) {
    let arena = Arena::new(256);
    let mut mapper = Mapper::<A, _>::create(arena.clone(), config).unwrap();

    unsafe { mapper.map_phys(at(0x3000), at(0x9000), rw()) }
        .unwrap()
        .flush();
    let (mut pages, mut holes, mut tables, mut depth) = (Vec::new(), 0, 0, 0);
    mapper
        .walk(at(0), M2, |step| {
            match step {
                Visit::Page { gpa, mapping } => pages.push((gpa, mapping.hpa)),
                Visit::Hole { size, .. } => holes += size,
                Visit::Enter { .. } => {
                    tables += 1;
                    depth += 1;
                }
                Visit::Leave { .. } => depth -= 1,
                #[allow(unreachable_patterns)]
                _ => unreachable!(),
            }
            true
        })
        .unwrap();
    assert_eq!(pages, [(at(0x3000), at(0x9000))]);
    assert_eq!((holes, depth), (M2 - K4, 0));
    assert_eq!(tables, mapper.stats().tables.iter().sum::<u64>());

    let mut steps = 0;
    mapper
        .walk(at(0), M2, |_| {
            steps += 1;
            steps < 3
        })
        .unwrap();
    assert_eq!(steps, 3);
}

#[test]
fn ept() {
    suite::<Ept>(EptConfig::default());
    suite::<Ept>(EptConfig {
        levels: 5,
        max_page_size: K4,
        ..Default::default()
    });
}

#[test]
fn npt() {
    suite::<Npt>(NptConfig::default());
    suite::<Npt>(NptConfig {
        levels: 5,
        max_page_size: M2,
        ..Default::default()
    });
}

#[test]
fn stage2() {
    suite::<Stage2>(Stage2Config::default());
}

#[test]
fn gstage() {
    suite::<Gstage>(GstageConfig::default());
    suite::<Gstage>(GstageConfig {
        mode: GstageMode::Sv39x4,
        ..Default::default()
    });
}

#[test]
fn a_root_is_an_address_and_its_register_what_the_config_says() {
    let features = EptFeatures {
        accessed_dirty: true,
        shadow_stack: true,
        ..Default::default()
    };
    gives_up_and_adopts::<Ept>(EptConfig {
        levels: 5,
        features,
        ..Default::default()
    });
    gives_up_and_adopts::<Npt>(NptConfig {
        c_bit: 47,
        ..Default::default()
    });
    gives_up_and_adopts::<Stage2>(Stage2Config {
        ipa_bits: 48,
        ..Default::default()
    });
    gives_up_and_adopts::<Gstage>(GstageConfig {
        mode: GstageMode::Sv57x4,
        ..Default::default()
    });
}

#[test]
fn ept_entries_are_those_of_the_manual() {
    // SDM vol. 3, "EPT Translation Mechanism": R, W, X in bits 2:0, memory type in 5:3 (WB 6, UC 0), 7 a large page
    let mut ept = EptMapper::create(Arena::new(16), EptConfig::default()).unwrap();
    let ram = EptFlags::new().write(true).execute(true);
    let device = EptFlags::new()
        .write(true)
        .memory_type(MemoryType::Uncacheable)
        .ignore_pat(true);

    unsafe {
        ept.map_range(at(0), at(M2), M2, ram).unwrap().flush();
        ept.map_phys(at(G1), at(0xfee0_0000), device)
            .unwrap()
            .flush();
    }
    assert_eq!(
        ept.translate(at(0)).unwrap().entry & 0xfff0_0000_0000_0fff,
        0x80 | 6 << 3 | 7
    );
    assert_eq!(
        ept.translate(at(G1)).unwrap().entry,
        0xfee0_0000 | 1 << 6 | 3
    );
    // EPTP: write-back, a walk of four
    assert_eq!(ept.root() & 0xfff, 3 << 3 | 6);
    assert_eq!(
        unsafe {
            ept.map_phys(
                at(0x4000_1000),
                at(0),
                EptFlags::new().read(false).execute(true),
            )
        }
        .unwrap_err(),
        Error::Unsupported
    ); // execute-only, and no capability told
}

#[test]
fn npt_entries_are_those_of_the_manual() {
    // APM vol. 2, "Nested Paging": as an x86 entry, with the user bit, which every nested access needs
    let mut npt = NptMapper::create(Arena::new(16), NptConfig::default()).unwrap();

    unsafe { npt.map_phys(at(0), at(0x5000), NptFlags::new().write(true)) }
        .unwrap()
        .flush();
    assert_eq!(
        npt.translate(at(0)).unwrap().entry & !0x60,
        1 << 63 | 0x5000 | 7
    );
    assert_eq!(npt.root(), npt.table().data() as u64);
}

#[test]
fn npt_has_the_c_bit_gmet_and_shadow_stacks() {
    // APM vol. 2, "Secure Memory Encryption", "Guest Mode Execute Trap", "Supervisor Shadow Stack": bit 47 in tables and
    // encrypted pages; with GMET the user bit is clear where the supervisor may execute; a supervisor shadow stack
    // is a page without user bit that is not executed
    let config = NptConfig {
        c_bit: 47,
        gmet: true,
        shadow_stack: true,
        ..Default::default()
    };
    let mut npt = NptMapper::create(Arena::new(16), config).unwrap();
    let pages = [
        NptFlags::new().write(true).encrypted(true),
        NptFlags::new().write(true),
        NptFlags::new().execute(true).execute_user(true),
        NptFlags::new().shadow_stack(true),
    ];
    for (page, flags) in (0..).zip(pages) {
        let gpa = at(page << 12);
        unsafe { npt.map_phys(gpa, at(0x5000), flags) }
            .unwrap()
            .flush();
    }
    let bits = |npt: &NptMapper<Arena>, page: u64| {
        npt.translate(at(page << 12)).unwrap().entry & (1 << 63 | 1 << 47 | 7)
    };
    assert_eq!(bits(&npt, 0), 1 << 63 | 1 << 47 | 7);
    assert_eq!(npt.translate(at(0)).unwrap().hpa, at(0x5000)); // the bit is none of the address
    assert_eq!(bits(&npt, 1), 1 << 63 | 7);
    assert_eq!(npt.root(), npt.table().data() as u64 | 1 << 47);
    assert_eq!(bits(&npt, 2), 1);
    assert_eq!(bits(&npt, 3), 1 << 63 | 1);

    let refused = NptFlags::new().execute(true); // GMET has no page for the supervisor alone
    let end = unsafe { npt.map_phys(at(0x9000), at(0x5000), refused) };
    assert_eq!(end.err(), Some(Error::Unsupported));
    let mut plain = NptMapper::create(Arena::new(16), NptConfig::default()).unwrap();
    let end = unsafe { plain.map_phys(at(0), at(0x5000), NptFlags::new().encrypted(true)) };
    assert_eq!(end.err(), Some(Error::Unsupported));
}

#[test]
fn page_flags_are_translated() {
    let keep = Keep::default();
    let from = |data| EptFlags::from_page_flags(page_flags(data), PAT_RESET, keep);
    const NX: u64 = 1 << 63;

    // a kernel's page, write-back by three clear bits, which EPT would read as UC
    assert_eq!(from(NX | 1).unwrap(), EptFlags::new());
    assert_eq!(from(1).unwrap(), EptFlags::new().execute(true));
    assert_eq!(
        from(NX | 3 | 1 << 2 | 1 << 8).unwrap(),
        EptFlags::new().write(true)
    ); // user and global are not carried
    assert_eq!(
        from(NX | 0x20 | 0x40 | 1 << 9 | 1).unwrap(),
        EptFlags::new()
    ); // nor accessed, dirty, software
    assert_eq!(
        from(NX | 1 << 4 | 1).unwrap().get_memory_type(),
        MemoryType::Uncacheable
    );
    assert_eq!(
        from(NX | 1 << 3 | 1).unwrap().get_memory_type(),
        MemoryType::WriteThrough
    );
    assert_eq!(from(0).unwrap_err(), Error::Unsupported);

    // write-combining is the PAT bit in a PAT whose entry 4 says so; it is EPT's large-page bit
    let pat = PAT_RESET & !(0xff << 32) | 1 << 32;
    assert_eq!(
        EptFlags::from_page_flags(page_flags(NX | 1 << 7 | 1), pat, keep)
            .unwrap()
            .get_memory_type(),
        MemoryType::WriteCombining
    );
    assert_eq!(
        EptFlags::from_page_flags(page_flags(NX | 1), pat & !0xff | 2, keep).unwrap_err(),
        Error::Unsupported
    ); // reserved

    let keep = Keep {
        supervisor: true,
        global: true,
        protection_key: true,
    };
    assert_eq!(
        EptFlags::from_page_flags(page_flags(NX | 1), PAT_RESET, keep).unwrap_err(),
        Error::Unsupported
    );
    assert!(EptFlags::from_page_flags(page_flags(NX | 5), PAT_RESET, keep).is_ok());
    assert_eq!(
        EptFlags::from_page_flags(page_flags(NX | 5 | 1 << 8), PAT_RESET, keep).unwrap_err(),
        Error::Unsupported
    );
    assert_eq!(
        EptFlags::from_page_flags(page_flags(NX | 5 | 1 << 59), PAT_RESET, keep).unwrap_err(),
        Error::Unsupported
    );

    // and back
    let flags = EptFlags::new()
        .write(true)
        .memory_type(MemoryType::Uncacheable);
    assert_eq!(
        flags.to_page_flags(PAT_RESET, true).unwrap().data() as u64,
        NX | 1 << 4 | 1 << 3 | 7
    );
    assert_eq!(
        EptFlags::new()
            .read(false)
            .execute(true)
            .to_page_flags(PAT_RESET, false)
            .map(|flags| flags.data() as u64)
            .unwrap_err(),
        Error::Unsupported
    );
}

#[test]
fn dirty_pages_are_told_and_bitmaps_must_have_room() {
    let arena = Arena::new(64);
    let mut ept = EptMapper::create(arena, EptConfig::default()).unwrap();
    let ram = EptFlags::new().write(true);
    let mut bitmap = [0; 2];

    unsafe { ept.map_range(at(0), at(0x1000), 70 * K4, ram) }
        .unwrap()
        .flush();
    assert_eq!(
        ept.dirty(at(0), 129 * K4, &mut bitmap).unwrap_err(),
        Error::OutOfRange
    );
    ept.write_protect(at(0), 70 * K4).unwrap().flush();
    assert!(!ept.translate(at(0)).unwrap().flags.has_write());
    ept.touch(at(65 * K4), EptFlags::new().read(false).write(true))
        .unwrap();
    ept.dirty(at(0), 70 * K4, &mut bitmap).unwrap().flush();
    assert_eq!(bitmap, [0, 2]);
}
