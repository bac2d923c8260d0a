/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The operations beyond map, unmap and protect, for every format and configuration: what each promises, one promise a
 * case. The rig compares with the model and the processor after every case.
 */
#include "support/situations.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAGE HVPT_4K
#define HOST UINT64_C(0x100000000)
#define ELSE UINT64_C(0x200000000)
#define BASE SITUATION_BASE

static void each_setup(void (*one)(struct rig *rig))
{
    for (size_t i = 0; i < setup_count; i++) {
        struct rig rig;

        rig_open(&rig, &setups[i]);
        one(&rig);
        rig_flush(&rig);
        rig_check(&rig);
        rig_check_walk(&rig);
        rig_close(&rig);
    }
}

#define GENERIC(name)                  \
    static void name(struct rig *rig); \
    Test(operations, name)             \
    {                                  \
        each_setup(name);              \
    }                                  \
    static void name(struct rig *rig)

static void must(enum hvpt_status status)
{
    CHECK_STATUS(status, HVPT_OK, "a step of the case");
}

static void must_be(enum hvpt_status status, enum hvpt_status wanted)
{
    CHECK_STATUS(status, wanted, "a step of the case");
}

/* A fault on a page that lacked nothing, or only a mark that hardware sets by itself as well. */
static void spurious(enum hvpt_status status)
{
    CHECK(status == HVPT_OK || status == HVPT_E_NOTHING, "a spurious fault: \"%s\"", hvpt_status_text(status));
}

static bool has_large(const struct rig *rig)
{
    return setup_max_page(rig->setup) >= HVPT_2M;
}

static bool marks(const struct rig *rig)
{
    return cpu_marks_accessed(&rig->setup->cpu) && cpu_marks_dirty(&rig->setup->cpu);
}

/* ---- split and collapse ---- */

GENERIC(split_and_collapse_are_inverse)
{
    struct hvpt_attr attr = rig_data(rig);
    uint64_t size = setup_max_page(rig->setup);
    uint64_t frames;

    attr.software = rig_software(rig, 9);
    attr.memtype = rig_uncached(rig);
    must(rig_map(rig, BASE, HOST, size, attr));
    frames = rig->memory.live;
    rig_touch(rig, BASE + size / 2, CPU_WRITE);
    must(rig_split(rig, BASE, size, PAGE));
    CHECK_EQ(rig_page_size(rig, BASE + size / 2), PAGE, "page size after the split");
    rig_check(rig);
    must(rig_collapse(rig, BASE, size));
    CHECK_EQ(rig_page_size(rig, BASE + size / 2), size, "page size after the collapse");
    CHECK_EQ(rig->memory.live, frames, "frames");
}

GENERIC(split_stops_at_the_size_asked_for_and_at_the_range)
{
    if (setup_max_page(rig->setup) != HVPT_1G)
        return;
    must(rig_map(rig, BASE, HOST, 2 * HVPT_1G, rig_data(rig)));
    must(rig_split(rig, BASE, HVPT_1G, HVPT_2M));
    CHECK_EQ(rig_page_size(rig, BASE), HVPT_2M, "in the range");
    CHECK_EQ(rig_page_size(rig, BASE + HVPT_1G), HVPT_1G, "beyond the range");
    must(rig_split(rig, BASE + HVPT_2M, PAGE, PAGE));
    CHECK_EQ(rig_page_size(rig, BASE + HVPT_2M), PAGE, "in the range");
    CHECK_EQ(rig_page_size(rig, BASE), HVPT_2M, "beside the range");
}

GENERIC(split_owes_no_flush_where_nothing_changes_for_the_guest)
{
    uint64_t flushes;

    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    flushes = rig->memory.flushes;
    must(rig_split(rig, BASE, HVPT_2M, PAGE));
    if (rig->setup->cpu.kind != CPU_S2) /* where a block may not turn into a table without one */
        CHECK_EQ(rig->memory.flushes, flushes, "flushes");
}

GENERIC(split_refuses_what_is_no_page_size)
{
    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    must_be(rig_split(rig, BASE, HVPT_2M, 0), HVPT_E_ALIGN);
    must_be(rig_split(rig, BASE, HVPT_2M, PAGE / 2), HVPT_E_ALIGN);
    must_be(rig_split(rig, BASE, HVPT_2M, 2 * PAGE), HVPT_E_ALIGN);
    must_be(rig_split(rig, BASE, HVPT_2M, UINT64_MAX), HVPT_E_ALIGN);
}

/* One table of small pages with something wrong; the report names it and where it is. */
static void obstacle(struct rig *rig, enum hvpt_obstacle wanted, uint64_t page)
{
    struct hvpt_collapse_report report;

    CHECK_STATUS(rig->adapter->collapse(&rig->space, BASE, HVPT_2M, NULL, &report), HVPT_OK, "collapse");
    CHECK_EQ(report.collapsed, wanted == HVPT_OBSTACLE_NONE ? 1 : 0, "tables that became leaves");
    /* The table above, whose reach is larger than the range, may be reported too, but not first. */
    if (wanted != HVPT_OBSTACLE_NONE) {
        CHECK(report.obstacle == wanted, "the obstacle is \"%s\", should be \"%s\"",
              hvpt_obstacle_text(report.obstacle), hvpt_obstacle_text(wanted));
        CHECK(report.kept != 0, "no table stayed");
        CHECK_EQ(report.level, 0, "its level");
        CHECK_EQ(report.table.value, BASE, "its table");
        CHECK_EQ(report.page.value, page, "the page");
    }
}

GENERIC(collapse_says_what_stands_in_the_way)
{
    struct hvpt_attr attr = rig_data(rig);

    if (!has_large(rig))
        return;
    must(rig_map(rig, BASE, HOST, 2 * HVPT_2M, attr));
    must(rig_split(rig, BASE, 2 * HVPT_2M, PAGE));
    must(rig_unmap(rig, BASE + 7 * PAGE, PAGE));
    obstacle(rig, HVPT_OBSTACLE_HOLE, BASE + 7 * PAGE);
    must(rig_map(rig, BASE + 7 * PAGE, ELSE, PAGE, attr));
    obstacle(rig, HVPT_OBSTACLE_ADDRESS, BASE + 7 * PAGE);
    attr.software = 1;
    must(rig_replace(rig, BASE + 7 * PAGE, HOST + 7 * PAGE, PAGE, attr));
    obstacle(rig, HVPT_OBSTACLE_ATTR, BASE + 7 * PAGE);
    attr.software = 0;
    must(rig_replace(rig, BASE + 7 * PAGE, HOST + 7 * PAGE, PAGE, attr));
    obstacle(rig, HVPT_OBSTACLE_NONE, 0);
}

/* Tables that others made: what is above a leaf takes away from it (EPT, NPT; bit 1 is the right to write in both). */
GENERIC(collapse_keeps_a_table_that_denies_what_its_pages_allow)
{
    struct cpu_translation way;

    if (!has_large(rig) || (rig->setup->cpu.kind != CPU_EPT && rig->setup->cpu.kind != CPU_NPT))
        return;
    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    must(rig_split(rig, BASE, HVPT_2M, PAGE));
    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, BASE, CPU_PROBE, &way);
    memory_poke(way.table[1], way.index[1], way.table[1]->virt[way.index[1]] & ~UINT64_C(2));
    obstacle(rig, HVPT_OBSTACLE_ATTR, BASE);
    memory_poke(way.table[1], way.index[1], way.table[1]->virt[way.index[1]] | 2);
    obstacle(rig, HVPT_OBSTACLE_NONE, 0);
}

GENERIC(collapse_leaves_alone_what_reaches_out_of_the_range)
{
    if (!has_large(rig))
        return;
    must(rig_map(rig, BASE, HOST, 2 * HVPT_2M, rig_data(rig)));
    must(rig_split(rig, BASE, 2 * HVPT_2M, PAGE));
    must(rig_collapse(rig, BASE + PAGE, 2 * HVPT_2M - 2 * PAGE));
    CHECK_EQ(rig_page_size(rig, BASE), PAGE, "a page at the edge");
    must(rig_collapse(rig, BASE + PAGE, 2 * HVPT_2M - PAGE));
    CHECK_EQ(rig_page_size(rig, BASE), PAGE, "a page at the edge");
    CHECK_EQ(rig_page_size(rig, BASE + HVPT_2M), HVPT_2M, "a page inside");
}

GENERIC(every_obstacle_has_a_text_of_its_own)
{
    (void)rig;
    for (int a = HVPT_OBSTACLE_NONE; a <= HVPT_OBSTACLE_CORRUPT; a++)
        for (int b = HVPT_OBSTACLE_NONE; b < a; b++)
            CHECK(strcmp(hvpt_obstacle_text((enum hvpt_obstacle)a), hvpt_obstacle_text((enum hvpt_obstacle)b)) != 0,
                  "obstacles %d and %d", a, b);
    CHECK(hvpt_obstacle_text((enum hvpt_obstacle)99) != NULL, "no text");
}

/* ---- single pages after others ---- */

/* The table that the first page went through waits for its flush, and nothing may be written into it any more. */
GENERIC(a_page_mapped_where_a_whole_range_was_unmapped_is_mapped)
{
    rig->owing = true;
    must(rig_map(rig, BASE, HOST, PAGE, rig_data(rig)));
    must(rig_map(rig, BASE + PAGE, HOST + PAGE, PAGE, rig_data(rig)));
    must(rig_unmap(rig, BASE, HVPT_1G));
    must(rig_map(rig, BASE + 2 * PAGE, HOST, PAGE, rig_data(rig)));
    rig_compare(rig, BASE + 2 * PAGE);
}

/* ---- replace ---- */

GENERIC(replace_points_elsewhere_with_new_attributes)
{
    struct hvpt_attr attr = rig_data(rig);

    attr.perm &= ~(uint32_t)HVPT_WRITE;
    attr.software = rig_software(rig, 3);
    must(rig_map(rig, BASE, HOST, setup_max_page(rig->setup), rig_data(rig)));
    rig_touch(rig, BASE, CPU_WRITE);
    must(rig_replace(rig, BASE, ELSE, PAGE, attr));
    rig_check(rig);
    must(rig_replace(rig, BASE, 2 * ELSE, setup_max_page(rig->setup), attr));
}

GENERIC(replace_refuses_a_hole)
{
    must(rig_map(rig, BASE, HOST, 4 * PAGE, rig_data(rig)));
    must_be(rig_replace(rig, BASE, ELSE, 5 * PAGE, rig_data(rig)), HVPT_E_ABSENT);
    must_be(rig_replace(rig, BASE - PAGE, ELSE, 2 * PAGE, rig_data(rig)), HVPT_E_ABSENT);
}

/* ---- fault_map ---- */

GENERIC(fault_map_makes_one_page_of_the_size_asked_for)
{
    static const uint64_t sizes[] = {HVPT_4K, HVPT_2M, HVPT_1G};

    for (unsigned i = 0; i < 3; i++) {
        enum hvpt_status status = rig_fault_map(rig, BASE + i * HVPT_1G, HOST, sizes[i], rig_data(rig));

        must_be(status, sizes[i] <= setup_max_page(rig->setup) ? HVPT_OK : HVPT_E_ATTR);
    }
    must_be(rig_fault_map(rig, BASE, HOST, PAGE, rig_data(rig)), HVPT_E_EXISTS);
    must_be(rig_fault_map(rig, BASE + PAGE, HOST, 2 * PAGE, rig_data(rig)), HVPT_E_ATTR);
    must_be(rig_fault_map(rig, BASE + PAGE / 2, HOST, PAGE, rig_data(rig)), HVPT_E_ALIGN);
    must_be(rig_fault_map(rig, BASE + PAGE, HOST + 1, PAGE, rig_data(rig)), HVPT_E_ALIGN);
    must_be(rig_fault_map(rig, setup_gpa_limit(rig->setup), HOST, PAGE, rig_data(rig)), HVPT_E_RANGE);
    must_be(rig_fault_map(rig, BASE + PAGE, setup_hpa_limit(rig->setup), PAGE, rig_data(rig)), HVPT_E_RANGE);
    if (has_large(rig)) {
        must_be(rig_fault_map(rig, BASE + PAGE, HOST, HVPT_2M, rig_data(rig)), HVPT_E_ALIGN);
        must_be(rig_fault_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)), HVPT_E_EXISTS);
    }
}

/* ---- what the guest touched ---- */

GENERIC(age_and_dirty_report_what_was_touched_and_forget_it)
{
    uint64_t bitmap[2] = {0};

    must(rig_map(rig, BASE, HOST + PAGE, 64 * PAGE, rig_data(rig)));
    rig_touch(rig, BASE + 3 * PAGE, CPU_READ);
    rig_touch(rig, BASE + 9 * PAGE, CPU_WRITE);
    must(rig_age(rig, BASE, 64 * PAGE));
    must(rig_dirty(rig, BASE, 64 * PAGE));
    must(rig->adapter->dirty(&rig->space, BASE, 64 * PAGE, bitmap, NULL));
    CHECK_EQ(bitmap[0], 0, "dirty pages the second time");
    must(rig->adapter->age(&rig->space, BASE, 64 * PAGE, bitmap, NULL));
    CHECK_EQ(bitmap[0], 0, "accessed pages the second time");
    rig_check(rig);
}

/* The bitmap as words, checked here in plain sight where hardware marks pages. */
GENERIC(the_bitmap_has_one_bit_for_each_smallest_page)
{
    uint64_t bitmap[3] = {0};

    if (!marks(rig))
        return;
    must(rig_map(rig, BASE, HOST + PAGE, 130 * PAGE, rig_data(rig)));
    rig_touch(rig, BASE + 64 * PAGE, CPU_WRITE);
    rig_touch(rig, BASE + 129 * PAGE, CPU_WRITE);
    rig_touch(rig, BASE, CPU_READ);
    must(rig->adapter->dirty(&rig->space, BASE, 130 * PAGE, bitmap, NULL));
    CHECK_EQ(bitmap[0], 0, "word 0");
    CHECK_EQ(bitmap[1], 1, "word 1");
    CHECK_EQ(bitmap[2], 2, "word 2");
    must(rig->adapter->age(&rig->space, BASE, 130 * PAGE, bitmap, NULL));
    CHECK_EQ(bitmap[0], 1, "word 0");
    model_clear_flags(&rig->model, BASE, BASE + 130 * PAGE - 1, HVPT_ACCESSED | HVPT_DIRTY);
}

GENERIC(a_large_page_that_sticks_out_is_reported_and_not_forgotten)
{
    uint64_t bitmap[9] = {0};

    if (!has_large(rig) || !marks(rig))
        return;
    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    rig_touch(rig, BASE, CPU_WRITE);
    must(rig_dirty(rig, BASE + PAGE, 4 * PAGE));
    must(rig->adapter->dirty(&rig->space, BASE, HVPT_2M, bitmap, NULL));
    CHECK_EQ(bitmap[0], UINT64_MAX, "its first 64 parts");
    CHECK_EQ(bitmap[7], UINT64_MAX, "its last 64 parts");
    CHECK_EQ(bitmap[8], 0, "what is behind it");
    model_clear_flags(&rig->model, BASE, BASE + HVPT_2M - 1, HVPT_DIRTY);
}

GENERIC(write_protect_takes_the_right_and_a_fault_gives_it_back)
{
    struct hvpt_attr readonly = rig_data(rig);

    readonly.perm &= ~(uint32_t)HVPT_WRITE;
    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    must(rig_map(rig, BASE + 2 * HVPT_2M, HOST, PAGE, readonly));
    must(rig_write_protect(rig, BASE + PAGE, 2 * HVPT_2M));
    rig_check(rig);
    must(rig_fault(rig, BASE + PAGE, HVPT_WRITE));
    rig_touch(rig, BASE + PAGE, CPU_WRITE);
    spurious(rig_fault(rig, BASE, HVPT_WRITE));
    must_be(rig_fault(rig, BASE + 2 * HVPT_2M, HVPT_WRITE), HVPT_E_ATTR);
    spurious(rig_fault(rig, BASE + 2 * HVPT_2M, HVPT_READ));
    must_be(rig_fault(rig, BASE + 8 * HVPT_2M, HVPT_READ), HVPT_E_ABSENT);
    must_be(rig_fault(rig, setup_gpa_limit(rig->setup), HVPT_READ), HVPT_E_RANGE);
}

GENERIC(an_aged_page_comes_back_with_all_its_rights)
{
    struct hvpt_attr attr = attr_rwx();

    attr.software = rig_software(rig, 6);
    must(rig_map(rig, BASE, HOST, 4 * PAGE, attr));
    must(rig_map(rig, BASE + HVPT_1G, HOST, HVPT_2M, rig_data(rig)));
    must(rig_age(rig, BASE, HVPT_1G + HVPT_2M));
    rig_check(rig);
    spurious(rig_fault(rig, BASE + PAGE, HVPT_EXEC));
    spurious(rig_fault(rig, BASE + HVPT_1G, HVPT_READ));
    rig_touch(rig, BASE + PAGE, CPU_FETCH);
    rig_check(rig);
    must(rig_unmap(rig, BASE + 2 * PAGE, PAGE));
    must(rig_protect(rig, BASE + 3 * PAGE, PAGE, attr, HVPT_WRITE));
}

/* ---- frames in advance ---- */

GENERIC(frames_needed_is_what_is_taken)
{
    uint64_t needed = 0, before;

    must(
        rig->adapter->map_needs(&rig->space, BASE - PAGE, HOST - PAGE, HVPT_1G / 4 + 2 * PAGE, rig_data(rig), &needed));
    before = rig->memory.live;
    must(rig_map(rig, BASE - PAGE, HOST - PAGE, HVPT_1G / 4 + 2 * PAGE, rig_data(rig)));
    CHECK_EQ(rig->memory.live - before, needed, "frames for the map");
}

/* ---- adoption ---- */

GENERIC(an_adopted_space_goes_on_where_the_other_ended)
{
    must(rig_map(rig, BASE - HVPT_2M - PAGE, HOST - HVPT_2M - PAGE, 4 * HVPT_2M, rig_data(rig)));
    must(rig_map(rig, setup_gpa_limit(rig->setup) - PAGE, HOST, PAGE, rig_data(rig)));
    rig_touch(rig, BASE, CPU_WRITE);
    rig_adopt(rig);
    rig_check(rig);
    must(rig_unmap(rig, BASE, PAGE));
    must(rig_map(rig, BASE, HOST, PAGE, rig_data(rig)));
    rig_adopt(rig);
    must(rig_unmap(rig, 0, setup_gpa_limit(rig->setup)));
    CHECK_EQ(rig->memory.live, 1, "frames");
}

GENERIC(a_space_adopted_for_reading_reads_and_changes_nothing)
{
    struct hvpt_space reader;
    struct hvpt_flush flush = {0};
    struct hvpt_mapping mapping;
    uint64_t bitmap[8], root = rig->memory.flush_root, stores;
    const struct adapter *adapter = rig->adapter;

    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    stores = rig->memory.stores;
    must(adapter->adopt(&reader, &rig->memory.hooks, &rig->setup->config, root, true));
    must(adapter->translate(&reader, BASE + 5, &mapping));
    CHECK_EQ(mapping.hpa.value, HOST + 5, "hpa");
    must_be(adapter->map(&reader, 0, 0, PAGE, rig_data(rig), NULL), HVPT_E_READONLY);
    must_be(adapter->unmap(&reader, BASE, PAGE, NULL), HVPT_E_READONLY);
    must_be(adapter->protect(&reader, BASE, PAGE, rig_data(rig), HVPT_WRITE, NULL), HVPT_E_READONLY);
    must_be(adapter->replace(&reader, BASE, ELSE, PAGE, rig_data(rig), NULL), HVPT_E_READONLY);
    must_be(adapter->fault_map(&reader, 0, 0, PAGE, rig_data(rig)), HVPT_E_READONLY);
    must_be(adapter->split(&reader, BASE, PAGE, PAGE, NULL), HVPT_E_READONLY);
    must_be(adapter->collapse(&reader, BASE, HVPT_2M, NULL, NULL), HVPT_E_READONLY);
    must_be(adapter->age(&reader, BASE, HVPT_2M, bitmap, NULL), HVPT_E_READONLY);
    must_be(adapter->dirty(&reader, BASE, HVPT_2M, bitmap, NULL), HVPT_E_READONLY);
    must_be(adapter->write_protect(&reader, BASE, HVPT_2M, NULL), HVPT_E_READONLY);
    must_be(adapter->touch(&reader, BASE, HVPT_READ), HVPT_E_READONLY);
    must_be(adapter->reserve(&reader, 1), HVPT_E_READONLY);
    adapter->flush(&reader, &flush);
    adapter->destroy(&reader);
    CHECK_EQ(rig->memory.stores, stores, "stores");
}

GENERIC(a_root_that_is_no_frame_is_not_adopted)
{
    struct hvpt_space space;
    uint64_t root;
    uint64_t frame = cpu_root_table(&rig->cpu, rig->memory.flush_root);

    if (rig->setup->linear)
        return;
    rig->memory.lenient = true;
    root = setup_root_register(rig->setup, frame + (PAGE << setup_root_order(rig->setup)));
    must_be(rig->adapter->adopt(&space, &rig->memory.hooks, &rig->setup->config, root, true), HVPT_E_CORRUPT);
    root = setup_root_register(rig->setup, frame | setup_hpa_limit(rig->setup));
    if (rig->setup->cpu.maxphyaddr < 48)
        CHECK(rig->adapter->adopt(&space, &rig->memory.hooks, &rig->setup->config, root, true) != HVPT_OK,
              "a root beyond MAXPHYADDR was adopted");
    rig->memory.lenient = false;
}

/* To own tables is to know that they are sound. */
GENERIC(a_corrupt_tree_is_not_adopted_for_writing)
{
    struct hvpt_space space;
    struct cpu_translation way;
    uint64_t root = rig->memory.flush_root, old;

    must(rig_map(rig, BASE, HOST, 2 * PAGE, rig_data(rig)));
    cpu_walk(&rig->cpu, &rig->memory, root, BASE, CPU_PROBE, &way);
    old = way.entry;
    if (rig->setup->cpu.kind == CPU_GSTAGE)
        memory_poke(way.table[0], way.index[0], old | UINT64_C(1) << 54); /* reserved */
    else if (rig->setup->cpu.kind == CPU_S2)
        memory_poke(way.table[0], way.index[0], old & ~UINT64_C(2)); /* a block, where only pages are */
    else if (rig->setup->cpu.maxphyaddr < 52)
        memory_poke(way.table[0], way.index[0], old | UINT64_C(1) << rig->setup->cpu.maxphyaddr);
    else
        return;
    must_be(rig->adapter->adopt(&space, &rig->memory.hooks, &rig->setup->config, root, false), HVPT_E_CORRUPT);
    memory_poke(way.table[0], way.index[0], old);
}

/* ---- ranges ---- */

GENERIC(every_call_refuses_ranges_beyond_the_space_or_misaligned)
{
    const uint64_t limit = setup_gpa_limit(rig->setup);
    const struct {
        uint64_t gpa, size;
        enum hvpt_status wanted;
    } bad[] = {
        {0, 0, HVPT_E_RANGE},
        {limit, HVPT_4K, HVPT_E_RANGE},
        {limit - HVPT_4K, 2 * HVPT_4K, HVPT_E_RANGE},
        {UINT64_MAX - HVPT_4K + 1, 2 * HVPT_4K, HVPT_E_RANGE},
        {HVPT_4K, UINT64_MAX - HVPT_4K + 1, HVPT_E_RANGE},
        {1, HVPT_4K, HVPT_E_ALIGN},
        {HVPT_4K, HVPT_4K - 1, HVPT_E_ALIGN},
    };

    must(rig_map(rig, 0, HOST, 4 * HVPT_2M, rig_data(rig)));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        must_be(rig_replace(rig, bad[i].gpa, 0, bad[i].size, rig_data(rig)), bad[i].wanted);
        must_be(rig_split(rig, bad[i].gpa, bad[i].size, PAGE), bad[i].wanted);
        must_be(rig_collapse(rig, bad[i].gpa, bad[i].size), bad[i].wanted);
        must_be(rig_age(rig, bad[i].gpa, bad[i].size), bad[i].wanted);
        must_be(rig_dirty(rig, bad[i].gpa, bad[i].size), bad[i].wanted);
        must_be(rig_write_protect(rig, bad[i].gpa, bad[i].size), bad[i].wanted);
    }
}

GENERIC(an_iterator_over_no_range_says_so)
{
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(0), setup_gpa_limit(rig->setup) + PAGE);
    struct hvpt_mapping mapping;
    hvpt_gpa gpa;

    CHECK(!rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "a leaf");
    must_be(iterator.status, HVPT_E_RANGE);
    iterator = hvpt_leaves(hvpt_make_gpa(UINT64_MAX - PAGE + 1), 2 * PAGE);
    CHECK(!rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "a leaf");
    must_be(iterator.status, HVPT_E_RANGE);
}

/* It shows whole the page in which it begins, then the next ones, and no hole. */
GENERIC(an_iterator_may_begin_within_a_page)
{
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(BASE + HVPT_2M - PAGE), HVPT_2M);
    const uint64_t next[] = {BASE + HVPT_2M, BASE + HVPT_2M + 3 * PAGE};
    struct hvpt_mapping mapping;
    hvpt_gpa gpa;

    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    for (unsigned i = 0; i < 2; i++)
        must(rig_map(rig, next[i], HOST, PAGE, rig_data(rig)));
    CHECK(rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "no leaf");
    CHECK_EQ(gpa.value + mapping.page_size, BASE + HVPT_2M, "the end of the first");
    for (unsigned i = 0; i < 2; i++) {
        CHECK(rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "no leaf");
        CHECK_EQ(gpa.value, next[i], "the next");
    }
    CHECK(!rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "one more leaf");
    must(iterator.status);
}
