/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One operation of the engine, from every tree of two levels with few entries a table, with every range and every
 * allocation failing or not; with HIDES, with each frame in turn unknown to phys_to_virt; with AFTER, on a flush on which
 * another call has left what is to be done. KIND says for which processor: one that demands break-before-make, one with
 * contiguous sets, one that marks pages used, one that may hold that a page is absent, or none of it. ROOT entries in the
 * root, 1 << INDEX_BITS in a table, LEAVES kinds of leaves.
 *
 * The oracle is a processor: its walk (look_at), and what it may have cached of each page and of the way to it. It looks
 * after every store (HVPT_ON_STORE), it is told of every flush, and it is asked when a frame is given back.
 */
#ifndef INDEX_BITS
#define INDEX_BITS 2u /* four entries a table */
#endif
#ifndef ROOT
#define ROOT (1 << INDEX_BITS) /* entries of the root */
#endif
#define HVPT_FRAME_SHIFT           (3 + INDEX_BITS)
#define HVPT_ON_STORE(slot, value) proof_stored()
static void proof_stored(void);

#include "enumerate.h"

#include <string.h>

#include "small_format.h"

#ifndef LEAVES
#define LEAVES 1 /* 1: one piece of memory; 2: also without write; 3: also memory elsewhere */
#endif
#ifndef KIND
#define KIND 0
#endif
#if defined(DIRTY) || defined(AGE) || defined(WRITE_PROTECT) || defined(TOUCH)
#define TRACKS 1 /* what the guest used and wrote */
#else
#define TRACKS 0
#endif
enum { ENTRIES = 1 << INDEX_BITS, PAGES = ROOT * ENTRIES, SPARE = ROOT, FRAMES = 1 + ROOT + SPARE };
enum { SHIFT = HVPT_FRAME_SHIFT, PAGE = 1 << SHIFT, ROOT_SPAN = PAGE * ENTRIES };

/* ---- memory: frame i lies at 4096 * (i + 1), since the engine keeps a level in the low bits of a retired frame ---- */

static hvpt_entry memory[FRAMES][ROOT > ENTRIES ? ROOT : ENTRIES];
static bool held[FRAMES];
static bool may_fail; /* allocations do */
static unsigned next_spare, failures;
static unsigned hidden; /* the frame that phys_to_virt does not know; FRAMES: it knows all (HIDES) */

static uint64_t address_of(unsigned frame)
{
    return (uint64_t)(frame + 1) * 4096;
}

static unsigned frame_at(uint64_t address)
{
    return (unsigned)(address / 4096) - 1;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    must((frame.value & 4095) == 0 && frame_at(frame.value) < FRAMES, "only frames of the space are looked at");
    must(held[frame_at(frame.value)], "and only while they are held");
    if (frame_at(frame.value) == hidden) {
        failures++;
        return NULL;
    }
    return memory[frame_at(frame.value)];
}

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    unsigned i;

    (void)ctx;
    must(order == 0, "frames are of one size");
    if (next_spare == FRAMES || (may_fail && choose(2))) {
        failures++;
        return false;
    }
    for (i = 0; i < ENTRIES; i++)
        memory[next_spare][i] = UINT64_C(0x5a5a5a5a5a5a5a5b) * (i + 1); /* contents undefined */
    held[next_spare] = true;
    *out = hvpt_make_hpa(address_of(next_spare++));
    return true;
}

/* ---- the processor ---- */

struct view {
    bool present;
    uint64_t page;
    uint64_t says;
    uint64_t marks; /* accessed and dirty */
};

/* What may be cached since the beginning, and since the call before (AFTER). */
enum { SINCE = 2 };

static struct view before[PAGES], cached[SINCE][PAGES], changed[PAGES];
static bool has_changed[PAGES], ready;
static unsigned cached_table[SINCE][ROOT]; /* the frame that each entry of the root leads to; FRAMES: none */

#define ADDRESS (SMALL_ADDRESS & ~(uint64_t)(PAGE - 1))
/* Not what a leaf says: that it is one of a set, and what a processor notes. */
#define UNSAID  (SMALL_CONTIG | SMALL_ACCESSED | SMALL_DIRTY)

static bool same(struct view a, struct view b)
{
    return a.present == b.present && (!a.present || (a.page == b.page && a.says == b.says));
}

static unsigned table_below(unsigned slot)
{
    const uint64_t entry = memory[0][slot];

    return (entry & 3) == 3 ? frame_at(entry & ADDRESS) : FRAMES;
}

static struct view look_at(unsigned at)
{
    uint64_t entry = memory[0][at / ENTRIES];
    struct view view = {false, 0, 0, 0};

    if ((entry & 3) == 3) {
        const unsigned frame = frame_at(entry & ADDRESS);

        must(frame > 0 && frame < FRAMES && held[frame], "a walk meets tables alone");
        if (!(frame > 0 && frame < FRAMES))
            return view;
        entry = memory[frame][at % ENTRIES];
        must(!(entry & 1) || !(entry & 2), "a page is well-formed");
        view.page = entry & ADDRESS;
    } else {
        must(!(entry & 1) || (entry & ADDRESS & (ROOT_SPAN - 1)) == 0, "a block is aligned");
        view.page = (entry & ADDRESS) + at % ENTRIES * PAGE;
    }
    view.present = (entry & 1) != 0;
    view.says = entry & ~ADDRESS & ~UNSAID;
    view.marks = entry & (SMALL_ACCESSED | SMALL_DIRTY);
    return view;
}

/* After every store: each page is as it was, or as it will be; or absent for a moment where the manual wants that. */
static void proof_stored(void)
{
    unsigned at;

    for (at = 0; ready && at < PAGES; at++) {
        const struct view now = look_at(at);

        if (has_changed[at] ? same(now, changed[at]) : same(now, before[at]))
            continue;
        if ((KIND & SMALL_BREAKS) && !now.present)
            continue;
        must(!has_changed[at], "one store takes a page from what it was to what it will be");
        has_changed[at] = true;
        changed[at] = now;
    }
}

static void flushed(void *ctx, const struct hvpt_flush *flush)
{
    unsigned at, since;

    (void)ctx;
    must(flush->kind == HVPT_FLUSH_TLBI, "the kind is the format's");
    for (at = 0; at < PAGES; at++) {
        for (since = 0; since < SINCE; since++) {
            if (at * PAGE >= flush->gpa.value && at * PAGE - flush->gpa.value < flush->size) {
                cached[since][at] = look_at(at);
                if (flush->tables)
                    cached_table[since][at / ENTRIES] = table_below(at / ENTRIES);
            }
        }
    }
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    const unsigned at = frame_at(frame.value);
    unsigned i;

    (void)ctx, (void)order;
    must(at > 0 && at < FRAMES && held[at], "what is given back was held");
    for (i = 0; i < ROOT; i++)
        must(cached_table[0][i] != at && cached_table[1][i] != at, "no processor walks through it any more");
    for (i = 0; i < ROOT; i++)
        must((memory[0][i] & 3) != 3 || frame_at(memory[0][i] & ADDRESS) != at, "and it is not linked");
    held[at] = false;
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, flushed};

/* ---- every start ---- */

static struct hvpt_space space;

static void configure(void)
{
    small_space(&space, &hooks, KIND, SHIFT, ROOT);
    space.root_table = memory[0];
    space.root_frame = address_of(0);
    space.root_register = address_of(0);
}

/* Memory that a page may lie in: one piece for all of them, and one elsewhere. */
#define PIECE     UINT64_C(0x100000)
#define ELSEWHERE UINT64_C(0x900000)

static const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
#if TRACKS
static const struct hvpt_attr guarded = {HVPT_READ | HVPT_EXEC, HVPT_MEM_WB, HVPT_LOGGED, 0};
#else
static const struct hvpt_attr guarded = {HVPT_READ, HVPT_MEM_UC, 0, 1};
#endif

static uint64_t leaf_of(struct hvpt_attr attr, uint64_t hpa, unsigned level)
{
    struct hvpt_leaf leaf;

    must(hvpt_leaf_make(&space, attr, &leaf) == HVPT_OK, "an attribute that there is");
    return leaf.bits[level] | hvpt_place(&space, hpa);
}

static uint64_t any_entry(unsigned level, unsigned at, bool *present)
{
    static const uint64_t marks[3] = {0, SMALL_ACCESSED, SMALL_ACCESSED | SMALL_DIRTY};
    const unsigned kind = choose(1 + LEAVES);

    *present = kind != 0;
    if (kind == 0)
        return 0;
    return (TRACKS ? marks[choose(3)] : 0) | leaf_of(kind == 2 ? guarded : usual, (kind == 3 ? ELSEWHERE : PIECE) + at * PAGE, level);
}

#if KIND & 2 /* SMALL_SETS */
/* Some neighbours that could be a set are one. */
static void any_sets(hvpt_entry *table, uint64_t span)
{
    unsigned i;

    for (i = 0; i < ENTRIES; i += 2) {
        if ((table[i] & 1) && table[i + 1] == table[i] + span && !(table[i] & ADDRESS & span)
            && !(span != PAGE && (table[i] & 2)) && choose(2)) {
            table[i] |= SMALL_CONTIG;
            table[i + 1] |= SMALL_CONTIG;
        }
    }
}
#else
#define any_sets(table, span) ((void)0)
#endif

static void any_tree(void)
{
    unsigned i, j;
    bool present;

    held[0] = true;
    next_spare = 1 + ROOT;
    space.frames = 1;
    space.tables[1] = 1;
    for (i = 0; i < ROOT; i++) {
        const bool table = choose(2);
        unsigned leaves = 0;

        held[1 + i] = table;
        if (!table) {
            memory[0][i] = any_entry(1, i * ENTRIES, &present);
            space.leaves[1] += present;
            continue;
        }
        for (j = 0; j < ENTRIES; j++) {
            memory[1 + i][j] = any_entry(0, i * ENTRIES + j, &present);
            leaves += present;
        }
        any_sets(memory[1 + i], PAGE);
        assume(leaves != 0); /* what is empty is reclaimed */
        memory[0][i] = hvpt_make_table(&space, address_of(1 + i))
                     | (leaves == ENTRIES && choose(2) ? space.rules->full_bit : 0);
        space.frames++;
        space.tables[0]++;
        space.leaves[0] += leaves;
    }
    any_sets(memory[0], ROOT_SPAN);
}

/* ---- every operation ---- */

/* The books, the frames and translate agree with the tree. */
static void audit(void)
{
    uint64_t leaves0 = 0, leaves1 = 0, tables = 0, frames = 0, shards = 0;
    struct hvpt_mapping mapping;
    enum hvpt_status status;
    unsigned i, j;

    for (i = 0; i < ROOT; i++) {
        const uint64_t entry = memory[0][i];

        if ((entry & 3) == 3) {
            unsigned here = 0;

            tables++;
            for (j = 0; j < ENTRIES; j++)
                here += memory[frame_at(entry & ADDRESS)][j] & 1;
            leaves0 += here;
            must(!(entry & space.rules->full_bit) || here == ENTRIES, "a table marked full is full");
        } else {
            leaves1 += entry & 1;
        }
    }
    for (i = 0; i < FRAMES; i++)
        frames += held[i];
    for (i = 0; i < HVPT_SHARDS; i++)
        shards += space.shards[i * HVPT_SHARD_STRIDE];
    must(frames == tables + 1, "no frame is lost, and none is held that is not used");
    must(space.frames == frames, "frames are counted");
    must(space.tables[0] == tables && space.tables[1] == 1, "tables are counted");
    must(space.leaves[0] + shards == leaves0 && space.leaves[1] == leaves1, "leaves are counted");
    for (i = 0; i < PAGES; i++) {
        const struct view now = look_at(i);

        status = hvpt_space_translate(&space, hvpt_make_gpa(i * PAGE), &mapping);
        must(now.present ? status == HVPT_OK && mapping.hpa.value == now.page : status == HVPT_E_ABSENT,
             "translate says what the processor finds");
    }
}

struct call {
    uint64_t gpa, size, hpa;
    struct hvpt_attr attr;
    uint32_t mask;
};

/* Every range, and some that are none. */
static struct call any_call(void)
{
    const unsigned odd = choose(8);
    struct call call;

#if !defined(MAP) && !defined(REPLACE) && !defined(FAULT_MAP)
    assume(odd != 2 && odd != 3); /* it has no host address */
#endif

    call.gpa = PAGE * choose(odd == 0 ? 1 : PAGES);
    call.size = PAGE * (1 + choose(odd == 0 ? 1 : PAGES - (unsigned)(call.gpa / PAGE)));
    call.hpa = PIECE + call.gpa;
    call.attr = usual;
    call.mask = HVPT_WRITE;
    switch (odd) {
    case 0:
        switch (choose(8)) {
        case 0: call.size = 0; break;
        case 1: call.size++; break;
        case 2: call.gpa += PAGE / 2; break;
        case 3: call.gpa = PAGES * PAGE; break;
        case 4: call.gpa = UINT64_MAX - PAGE + 1; call.size = 2 * PAGE; break;
        case 5: call.hpa = UINT64_C(1) << 48; break;
        case 6: call.hpa++; break;
        default: call.attr.perm = 16; break;
        }
        break;
    case 1: break;
    case 2: call.hpa = ELSEWHERE + call.gpa; break;
    case 3: call.hpa = PIECE + call.gpa + PAGE; break; /* no large page fits */
    case 4: call.attr = guarded; call.mask |= HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_SOFTWARE; break;
    case 5: call.attr = guarded; call.mask = HVPT_PERM_ALL; break;
    case 6: call.attr.perm = HVPT_READ; break;
    default: call.attr.flags = HVPT_LOGGED; call.attr.perm = HVPT_READ; break;
    }
    return call;
}

/* What the leaf says after protect, by what the call documents. */
static inline struct hvpt_attr as_protected(struct hvpt_attr old, const struct call *call)
{
    const uint32_t named = call->mask & HVPT_PERM_ALL;

    old.perm = (old.perm & ~named) | (call->attr.perm & named);
    if (named & HVPT_WRITE)
        old.flags &= ~(uint32_t)HVPT_LOGGED;
    old.memtype = call->mask & HVPT_CHANGE_MEMTYPE ? call->attr.memtype : old.memtype;
    old.software = call->mask & HVPT_CHANGE_SOFTWARE ? call->attr.software : old.software;
    return old;
}

static inline bool reads_as(uint64_t says, struct hvpt_attr attr)
{
    const struct hvpt_attr now = space.rules->decode(&space, says, 0);

    attr.flags &= ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY);
    return now.perm == attr.perm && now.memtype == attr.memtype && now.flags == attr.flags && now.software == attr.software;
}

/* What a processor may have cached by now, and what every page is before the call. */
static void remember(unsigned since)
{
    unsigned i;

    for (; since < SINCE; since++) {
        for (i = 0; i < PAGES; i++)
            before[i] = cached[since][i] = look_at(i);
        for (i = 0; i < ROOT; i++)
            cached_table[since][i] = table_below(i);
    }
    memset(has_changed, 0, sizeof(has_changed));
}

#ifdef AFTER
/* Another call, which succeeds or does nothing, and leaves its flush to be settled later. */
static void call_before(struct hvpt_flush *flush)
{
    const uint64_t gpa = PAGE * choose(PAGES), size = PAGE * (1 + choose(PAGES - (unsigned)(gpa / PAGE)));

    switch (choose(3)) {
    case 0: (void)hvpt_space_unmap(&space, hvpt_make_gpa(gpa), size, flush); break;
    case 1: (void)hvpt_space_write_protect(&space, hvpt_make_gpa(gpa), size, flush); break;
    default: (void)hvpt_space_collapse(&space, hvpt_make_gpa(gpa), size, flush, NULL); break;
    }
}
#endif

#if TRACKS
/* The pages from start on that one leaf maps. */
static unsigned leaf_around(unsigned at, unsigned *start)
{
    const bool block = (memory[0][at / ENTRIES] & 3) == 1;

    *start = block ? at - at % ENTRIES : at;
    return block ? ENTRIES : 1;
}
#endif

static void run(void)
{
    struct hvpt_flush flush;
    struct hvpt_leaf leaf;
    struct hvpt_attr old;
    struct call call;
    enum hvpt_status status;
    bool valid, inside, hit = false, hole = false, can, settles;
    unsigned i;
#if defined(DIRTY) || defined(AGE)
    uint64_t bitmap = 0;
#elif defined(TOUCH)
    uint32_t access;
#endif

    ready = may_fail = false;
    failures = 0;
    hidden = FRAMES;
    memset(&flush, 0, sizeof(flush));
    memset(has_changed, 0, sizeof(has_changed));
    memset(held, 0, sizeof(held));
    memset(memory, 0, sizeof(memory));
    configure();
    any_tree();
    remember(0);
#ifdef AFTER
    call_before(&flush);
#endif
    remember(1);

    call = any_call();
    settles = choose(2) != 0; /* the caller's flush, or the call's own */
    valid = (call.gpa & (PAGE - 1)) == 0 && (call.size & (PAGE - 1)) == 0 && call.size != 0 && call.size <= PAGES * PAGE
         && call.gpa <= PAGES * PAGE - call.size;
#if defined(MAP) || defined(REPLACE)
    valid = valid && (call.hpa & (PAGE - 1)) == 0 && call.hpa <= space.hpa_limit - call.size;
#elif defined(FAULT_MAP)
    valid = (call.size == PAGE || call.size == ROOT_SPAN) && ((call.gpa | call.hpa) & (call.size - 1)) == 0
         && call.gpa < PAGES * PAGE && call.hpa <= space.hpa_limit - call.size;
#endif
#if defined(UNMAP) || defined(SPLIT) || defined(COLLAPSE) || TRACKS
    assume(call.attr.perm == usual.perm);
#endif
#if !defined(MAP) && !defined(REPLACE) && !defined(PROTECT)
    assume(call.attr.perm != guarded.perm);
#endif
    for (i = 0; valid && i < PAGES; i++) {
        if (i * PAGE >= call.gpa && i * PAGE - call.gpa < call.size) {
            hit = hit || before[i].present;
            hole = hole || !before[i].present;
        }
    }
    can = hvpt_leaf_make(&space, call.attr, &leaf) == HVPT_OK;
    ready = may_fail = true;
#ifdef HIDES
    hidden = 1 + choose(FRAMES - 1);
#endif

#if defined(MAP)
    status = hvpt_space_map(&space, hvpt_make_gpa(call.gpa), hvpt_make_hpa(call.hpa), call.size, call.attr, settles ? NULL : &flush);
    must(status != HVPT_OK || (valid && can && !hit), "what is wrong or taken is refused");
    must(failures != 0 || (status == HVPT_E_EXISTS) == (valid && can && hit), "as what it is");
    must(!(valid && can && !hit && failures == 0) || status == HVPT_OK, "what can be done is");
#elif defined(REPLACE)
    status = hvpt_space_replace(&space, hvpt_make_gpa(call.gpa), hvpt_make_hpa(call.hpa), call.size, call.attr, settles ? NULL : &flush);
    must(status != HVPT_OK || (valid && can && !hole), "what is wrong or absent is refused");
    must(failures != 0 || (status == HVPT_E_ABSENT) == (valid && can && hole), "as what it is");
    must(!(valid && can && !hole && failures == 0) || status == HVPT_OK, "what can be done is");
#elif defined(UNMAP)
    status = hvpt_space_unmap(&space, hvpt_make_gpa(call.gpa), call.size, settles ? NULL : &flush);
    must(status != HVPT_OK || valid, "what is wrong is refused");
    must(!(valid && failures == 0) || status == HVPT_OK, "what can be done is");
#elif defined(SPLIT)
    status = hvpt_space_split(&space, hvpt_make_gpa(call.gpa), call.size, PAGE, settles ? NULL : &flush);
    must(status != HVPT_OK || valid, "what is wrong is refused");
    must(!(valid && failures == 0) || status == HVPT_OK, "what can be done is");
#elif defined(COLLAPSE)
    {
        struct hvpt_collapse_report report;

        status = hvpt_space_collapse(&space, hvpt_make_gpa(call.gpa), call.size, settles ? NULL : &flush, &report);
        must(failures != 0 || (status == HVPT_OK) == valid, "every range that is one, and no other");
    }
#elif defined(PROTECT)
    status = hvpt_space_protect(&space, hvpt_make_gpa(call.gpa), call.size, call.attr, call.mask, settles ? NULL : &flush);
    must(status != HVPT_OK || (valid && !hole), "what is wrong or absent is refused");
    must(failures != 0 || (status == HVPT_E_ABSENT) == (valid && hole), "as what it is");
    must(!(valid && !hole && failures == 0 && !(call.attr.perm & 16)) || status == HVPT_OK, "what can be done is");
#elif defined(FAULT_MAP)
    status = hvpt_space_fault_map(&space, hvpt_make_gpa(call.gpa), hvpt_make_hpa(call.hpa), call.size, call.attr);
    must(status != HVPT_OK || (valid && can && !hit), "what is wrong or taken is refused");
    must(status != HVPT_E_RACE, "nobody else was there");
#elif defined(DIRTY) || defined(AGE)
#if defined(DIRTY)
    status = hvpt_space_dirty(&space, hvpt_make_gpa(call.gpa), call.size, &bitmap, settles ? NULL : &flush);
#else
    status = hvpt_space_age(&space, hvpt_make_gpa(call.gpa), call.size, &bitmap, settles ? NULL : &flush);
#endif
    must(failures != 0 || (status == HVPT_OK) == valid, "every range that is one, and no other");
    must(valid || bitmap == 0, "what is wrong reports nothing");
#elif defined(WRITE_PROTECT)
    status = hvpt_space_write_protect(&space, hvpt_make_gpa(call.gpa), call.size, settles ? NULL : &flush);
    must(status != HVPT_OK || valid, "what is wrong is refused");
    must(!(valid && failures == 0) || status == HVPT_OK, "what can be done is");
#elif defined(TOUCH)
    access = choose(2) ? HVPT_WRITE : choose(2) ? HVPT_READ : HVPT_EXEC_USER;
    status = hvpt_space_touch(&space, hvpt_make_gpa(call.gpa), access);
    assume(call.gpa < PAGES * PAGE || status == HVPT_E_RANGE);
    if (failures == 0 && call.gpa < PAGES * PAGE) {
        const struct view was = before[call.gpa / PAGE];
        const uint32_t perm = (uint32_t)(was.says >> SMALL_PERM) & 15;
        const bool logged = (was.says & SMALL_LOGGED) && access == HVPT_WRITE;
        const bool asleep = !(KIND & SMALL_MARKS) && !(was.marks & SMALL_ACCESSED);

        must(status == (!was.present                   ? HVPT_E_ABSENT
                        : !(perm & access) && !logged  ? HVPT_E_ATTR
                        : logged || asleep             ? HVPT_OK
                                                       : HVPT_E_NOTHING),
             "it says what was given back");
    }
#endif

    hidden = FRAMES;
    must(status != HVPT_E_CORRUPT || failures != 0, "no table is corrupt");
    for (i = 0; i < PAGES; i++) {
        const struct view now = look_at(i);

        inside = status == HVPT_OK && i * PAGE >= call.gpa && i * PAGE - call.gpa < call.size;
        old = space.rules->decode(&space, before[i].says, 0);
#if !defined(DIRTY) && !defined(AGE)
        must(status == HVPT_OK || !has_changed[i], "after a failure nothing has changed, not for a moment");
#endif
#if defined(MAP) || defined(REPLACE) || defined(FAULT_MAP)
        if (inside) {
            must(now.present && now.page == call.hpa + (i * PAGE - call.gpa) && reads_as(now.says, call.attr),
                 "the page is what was asked for");
            continue;
        }
#elif defined(UNMAP)
        if (inside) {
            must(!now.present, "the page is gone");
            continue;
        }
#elif defined(PROTECT)
        if (inside) {
            must(now.present && now.page == before[i].page && reads_as(now.says, as_protected(old, &call)),
                 "the page says what was asked for");
            continue;
        }
#elif defined(DIRTY) || defined(AGE)
        if (valid && before[i].present && i * PAGE >= call.gpa && i * PAGE - call.gpa < call.size) {
            unsigned start, count = leaf_around(i, &start);
            const bool whole = start * PAGE >= call.gpa && (start + count) * PAGE - call.gpa <= call.size;
            const bool told = (bitmap >> (i - call.gpa / PAGE) & 1) != 0;
#if defined(DIRTY)
            const bool write = (before[i].says >> SMALL_PERM & HVPT_WRITE) != 0;
            const bool used = KIND & SMALL_MARKS ? (before[i].marks & SMALL_DIRTY) != 0 : write;
            const bool logged = !(now.says >> SMALL_PERM & HVPT_WRITE) && (now.says & SMALL_LOGGED);
            const bool cleared = KIND & SMALL_MARKS ? !(now.marks & SMALL_DIRTY) : logged;
#else
            const bool used = (before[i].marks & SMALL_ACCESSED) != 0, cleared = !(now.marks & SMALL_ACCESSED);
#endif

            must(status == HVPT_OK ? told == used : !told || used, "what was used is told, and nothing else");
            must(!(status == HVPT_OK && used && whole) || cleared, "and cleared");
            must(!used || !cleared || told, "nothing is cleared untold");
            must(now.present && now.page == before[i].page, "it is the same page");
            must(whole || (now.says == before[i].says && now.marks == before[i].marks),
                 "what stands for others, too, stays");
            must(now.says == before[i].says || (used && cleared && !(KIND & SMALL_MARKS)), "and says what it said");
            continue;
        }
#elif defined(WRITE_PROTECT)
        if (inside && now.present) {
            const uint64_t write = (uint64_t)HVPT_WRITE << SMALL_PERM;

            must(before[i].present && now.page == before[i].page, "it is the same page");
            must(now.says == (before[i].says & write ? (before[i].says & ~write) | SMALL_LOGGED : before[i].says),
                 "it may not be written, and nothing else was taken");
            must(now.marks == before[i].marks, "what the processor noted stays");
            continue;
        }
#elif defined(TOUCH)
        if (status == HVPT_OK) {
            unsigned start, count = leaf_around((unsigned)(call.gpa / PAGE), &start);

            if (i >= start && i < start + count) {
                struct hvpt_attr given = old;

                if (access == HVPT_WRITE && (old.flags & HVPT_LOGGED)) {
                    given.perm |= HVPT_WRITE;
                    given.flags &= ~(uint32_t)HVPT_LOGGED;
                }
                must(now.present && now.page == before[i].page && reads_as(now.says, given),
                     "what was taken is given back");
                continue;
            }
        }
#elif defined(SPLIT)
        if (inside)
            must((memory[0][i / ENTRIES] & 3) != 1, "no block is left in the range");
#elif defined(COLLAPSE)
        if (inside && i % ENTRIES == 0 && call.size - (i * PAGE - call.gpa) >= ROOT_SPAN) {
            bool one = before[i].present && (before[i].page & (ROOT_SPAN - 1)) == 0;
            unsigned j;

            for (j = 1; j < ENTRIES; j++)
                one = one && before[i + j].present && before[i + j].says == before[i].says
                   && before[i + j].page == before[i].page + j * PAGE;
            must(!one || (memory[0][i / ENTRIES] & 3) == 1, "what can be one block is");
        }
#endif
        (void)old, (void)can, (void)hole, (void)hit, (void)settles;
        must(same(now, before[i]), "all other pages are what they were");
    }
    hvpt_space_flush(&space, &flush);
    for (i = 0; i < SINCE * PAGES; i++) {
        const struct view held_now = cached[i / PAGES][i % PAGES], now = look_at(i % PAGES);

        must(!held_now.present || same(held_now, now), "after the flush no processor holds what is no more");
#if TRACKS
        must(!held_now.present || !(held_now.marks & ~now.marks), "nor a page as used that is to be noted again");
#endif
    }
    must(!hvpt_flush_needed(&flush), "a settled flush is empty");
    audit();
}

int main(void)
{
    enumerate(run);
    return 0;
}
