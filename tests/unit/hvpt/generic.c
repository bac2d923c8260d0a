/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What holds for every format and configuration, each case written once and run over all of support/setups.c.
 * The rig compares the library with the model and with the processor after every case; a case only has to do things.
 */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define G4K HVPT_4K
#define G2M HVPT_2M
#define G1G HVPT_1G

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
    Test(generic, name)                \
    {                                  \
        each_setup(name);              \
    }                                  \
    static void name(struct rig *rig)

/* Page sizes up to the setup's cap, smallest first. */
static const uint64_t page_sizes[] = {HVPT_4K, HVPT_2M, HVPT_1G};

static bool has_page(const struct rig *rig, uint64_t size)
{
    return size <= setup_max_page(rig->setup);
}

/* Data pages are never touched, so any address will do; low enough for every MAXPHYADDR and away from no table. */
#define HOST UINT64_C(0x100000000)

static void must(enum hvpt_status status)
{
    CHECK_STATUS(status, HVPT_OK, "a step of the case");
}

static void must_be(enum hvpt_status status, enum hvpt_status wanted)
{
    CHECK_STATUS(status, wanted, "a step of the case");
}

/* The largest page that a mapping of [gpa, gpa + size) to hpa can have at at: alignment, room, cap. */
static uint64_t largest_page(const struct rig *rig, uint64_t at, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    uint64_t best = G4K;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t page = page_sizes[i];
        uint64_t start = at / page * page;

        if (has_page(rig, page) && start >= gpa && start + (page - 1) <= gpa + (size - 1)
            && (hpa + (start - gpa)) % page == 0)
            best = page;
    }
    return best;
}

static void check_largest_pages(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    for (uint64_t at = gpa; at - gpa < size;) {
        uint64_t wanted = largest_page(rig, at, gpa, hpa, size);

        CHECK(rig_page_size(rig, at) == wanted, "%#llx lies in a page of %#llx, %#llx fits", (unsigned long long)at,
              (unsigned long long)rig_page_size(rig, at), (unsigned long long)wanted);
        at = at / wanted * wanted + wanted;
    }
}

static uint64_t tables_held(struct rig *rig)
{
    struct hvpt_stats stats;
    uint64_t tables = 0;

    rig->adapter->stats(&rig->space, &stats);
    for (unsigned level = 0; level < HVPT_MAX_LEVELS; level++)
        tables += stats.tables[level];
    return tables;
}

/* ---- map ---- */

GENERIC(a_fresh_space_maps_nothing_and_holds_one_frame)
{
    CHECK_EQ(rig->memory.live, 1, "frames");
    CHECK_EQ(tables_held(rig), 1, "tables");
    rig_compare(rig, 0x123456789000);
}

GENERIC(one_page_of_each_size_is_mapped_as_such)
{
    for (unsigned i = 0; i < 3; i++) {
        uint64_t gpa = (i + 1) * 8 * G1G;

        must(rig_map(rig, gpa, HOST, page_sizes[i], rig_data(rig)));
        check_largest_pages(rig, gpa, HOST, page_sizes[i]);
    }
}

GENERIC(single_pages_are_mapped_one_after_the_other)
{
    for (unsigned page = 0; page < 5; page++)
        must(rig_map(rig, G1G + page * G4K, HOST + 2 * page * G4K, G4K, rig_data(rig)));
    for (unsigned page = 0; page < 5; page++)
        rig_compare(rig, G1G + page * G4K);
}

GENERIC(a_range_gets_the_largest_pages_that_fit)
{
    uint64_t gpa = G1G - G2M - G4K;
    uint64_t size = G1G + 2 * (G2M + G4K);

    must(rig_map(rig, gpa, HOST + gpa, size, rig_data(rig)));
    check_largest_pages(rig, gpa, HOST + gpa, size);
}

GENERIC(the_host_address_limits_the_page_size_too)
{
    static const uint64_t offsets[] = {HVPT_4K, HVPT_2M, HVPT_2M + HVPT_4K};

    for (unsigned i = 0; i < 3; i++) {
        uint64_t gpa = (i + 1) * 8 * G1G;
        uint64_t size = i == 1 ? G1G : 4 * G2M;

        must(rig_map(rig, gpa, HOST + offsets[i], size, rig_data(rig)));
        check_largest_pages(rig, gpa, HOST + offsets[i], size);
    }
}

/* Each edge of the range at, before and after each page size's boundary. */
GENERIC(every_edge_at_every_boundary_maps_and_unmaps)
{
    static const int64_t around[] = {-2 * (int64_t)HVPT_4K, -(int64_t)HVPT_4K, 0, (int64_t)HVPT_4K};

    for (unsigned page = 1; page < 3; page++) {
        uint64_t middle = 8 * G1G;

        for (unsigned a = 0; a < 4; a++) {
            for (unsigned b = 0; b < 4; b++) {
                uint64_t first = middle + (uint64_t)around[a];
                uint64_t past = middle + page_sizes[page] + (uint64_t)around[b];

                must(rig_map(rig, first, HOST + first, past - first, rig_data(rig)));
                check_largest_pages(rig, first, HOST + first, past - first);
                rig_check(rig);
                must(rig_unmap(rig, first, past - first));
                CHECK_EQ(rig->memory.live, 1, "frames after the unmap");
            }
        }
    }
}

GENERIC(the_first_and_the_last_page_of_the_space_can_be_mapped)
{
    uint64_t limit = setup_gpa_limit(rig->setup);

    must(rig_map(rig, 0, 0, G4K, rig_data(rig)));
    must(rig_map(rig, limit - G4K, HOST, G4K, rig_data(rig)));
    rig_check(rig);
    must(rig_unmap(rig, limit - G4K, G4K));
    must(rig_map(rig, limit - 3 * G4K, HOST, 3 * G4K, rig_data(rig)));
    rig_check(rig);
    must(rig_protect(rig, limit - 2 * G4K, 2 * G4K, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE));
    must(rig_unmap(rig, limit - 2 * G4K, 2 * G4K));
}

GENERIC(a_large_page_at_the_very_top_can_be_mapped_and_cut)
{
    uint64_t limit = setup_gpa_limit(rig->setup);

    must(rig_map(rig, limit - G1G, HOST, G1G, rig_data(rig)));
    check_largest_pages(rig, limit - G1G, HOST, G1G);
    must(rig_unmap(rig, limit - G4K, G4K));
    rig_check(rig);
    must(rig_protect(rig, limit - G2M, G2M - G4K, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE));
}

/* 2^48 bytes in 1G pages take 512 tables; in 4K pages more than there is memory; beyond MAXPHYADDR nothing. */
GENERIC(the_whole_space_at_once_is_mapped_or_refused_for_a_reason)
{
    uint64_t limit = setup_gpa_limit(rig->setup);
    enum hvpt_status status;

    if (limit <= setup_hpa_limit(rig->setup) && !has_page(rig, G1G))
        rig->memory.fail_at = 3000, rig->memory.fail_forever = true;
    status = rig_map(rig, 0, 0, limit, rig_data(rig));
    if (limit > setup_hpa_limit(rig->setup) || (rig->setup->config.policy & HVPT_POLICY_GUARD_TABLES))
        must_be(status, HVPT_E_RANGE);
    else if (!has_page(rig, G1G))
        must_be(status, HVPT_E_NOMEM);
    else
        must(status);
    rig_check(rig);
    rig->memory.fail_at = 0;
    must(rig_unmap(rig, 0, limit));
    CHECK_EQ(rig->memory.live, 1, "frames");
}

GENERIC(the_last_host_page_can_be_mapped_and_none_beyond)
{
    uint64_t limit = setup_hpa_limit(rig->setup);

    must(rig_map(rig, G1G, limit - G4K, G4K, rig_data(rig)));
    must(rig_map(rig, 2 * G1G, limit - G1G / 2, G1G / 2, rig_data(rig)));
    must_be(rig_map(rig, 0, limit, G4K, rig_data(rig)), HVPT_E_RANGE);
    must_be(rig_map(rig, 0, limit - G4K, 2 * G4K, rig_data(rig)), HVPT_E_RANGE);
    must_be(rig_map(rig, 0, UINT64_MAX - G4K + 1, G4K, rig_data(rig)), HVPT_E_RANGE);
    must_be(rig_map(rig, 0, UINT64_MAX - G4K + 1, 2 * G4K, rig_data(rig)), HVPT_E_RANGE);
}

/* Addresses and sizes that no call may take; the rig sees to it that nothing was stored. */
GENERIC(ranges_beyond_the_space_or_misaligned_are_refused_by_every_call)
{
    const uint64_t limit = setup_gpa_limit(rig->setup);
    const struct {
        uint64_t gpa, size;
        enum hvpt_status wanted;
    } bad[] = {
        {0, 0, HVPT_E_RANGE},
        {limit, HVPT_4K, HVPT_E_RANGE},
        {limit - HVPT_4K, 2 * HVPT_4K, HVPT_E_RANGE},
        {0, limit + HVPT_4K, HVPT_E_RANGE},
        {HVPT_4K, limit, HVPT_E_RANGE},
        {UINT64_MAX - HVPT_4K + 1, HVPT_4K, HVPT_E_RANGE},
        {UINT64_MAX - HVPT_4K + 1, 2 * HVPT_4K, HVPT_E_RANGE},
        {HVPT_4K, UINT64_MAX - HVPT_4K + 1, HVPT_E_RANGE},
        {UINT64_C(1) << 63, UINT64_C(1) << 63, HVPT_E_RANGE},
        {1, HVPT_4K, HVPT_E_ALIGN},
        {HVPT_4K, HVPT_4K - 1, HVPT_E_ALIGN},
        {HVPT_4K / 2, HVPT_4K, HVPT_E_ALIGN},
    };
    struct hvpt_visitor visitor = {0};

    must(rig_map(rig, 0, HOST, 4 * G2M, rig_data(rig)));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        must_be(rig_map(rig, bad[i].gpa, 0, bad[i].size, rig_data(rig)), bad[i].wanted);
        must_be(rig_unmap(rig, bad[i].gpa, bad[i].size), bad[i].wanted);
        must_be(rig_protect(rig, bad[i].gpa, bad[i].size, rig_data(rig), HVPT_WRITE), bad[i].wanted);
        must_be(rig->adapter->walk(&rig->space, bad[i].gpa, bad[i].size, &visitor), bad[i].wanted);
    }
    must_be(rig_map(rig, G1G, 1, G4K, rig_data(rig)), HVPT_E_ALIGN);
    must_be(rig_map(rig, G1G, HOST + G4K / 2, G2M, rig_data(rig)), HVPT_E_ALIGN);
}

GENERIC(map_refuses_a_range_in_which_anything_is_mapped)
{
    static const uint64_t inside[] = {0, HVPT_4K, HVPT_2M - HVPT_4K, HVPT_2M, HVPT_1G / 2 + HVPT_4K, HVPT_1G - HVPT_4K};

    for (unsigned i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        must(rig_map(rig, G1G + inside[i], HOST, G4K, rig_data(rig)));
        must_be(rig_map(rig, G1G, 2 * HOST, G1G, rig_data(rig)), HVPT_E_EXISTS);
        must_be(rig_map(rig, G1G + inside[i], 2 * HOST, G4K, rig_data(rig)), HVPT_E_EXISTS);
        rig_check(rig);
        must(rig_unmap(rig, G1G + inside[i], G4K));
    }
}

/* Its leaves go into two tables that are there already, and nowhere else. */
GENERIC(map_fills_the_ends_of_two_tables)
{
    must(rig_map(rig, 2 * G2M - 8 * G4K, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, 2 * G2M + 7 * G4K, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, 2 * G2M - 4 * G4K, HOST + G4K, 8 * G4K, rig_data(rig)));
    must_be(rig_map(rig, 2 * G2M + 3 * G4K, HOST, 2 * G4K, rig_data(rig)), HVPT_E_EXISTS);
    must(rig_map(rig, 2 * G2M + 4 * G4K, HOST, 3 * G4K, rig_data(rig)));
}

/* One page in the way, at each place of a range that is longer than any row that is looked at together. */
GENERIC(map_sees_a_page_at_each_place_of_its_range)
{
    for (unsigned page = 0; page < 35; page++) {
        must(rig_map(rig, G1G + page * G4K, HOST, G4K, rig_data(rig)));
        must_be(rig->adapter->map(&rig->space, G1G, 2 * HOST, 35 * G4K, rig_data(rig), NULL), HVPT_E_EXISTS);
        must(rig_unmap(rig, G1G + page * G4K, G4K));
    }
}

GENERIC(map_refuses_a_part_of_what_is_mapped_large)
{
    must(rig_map(rig, G1G, HOST, G1G, rig_data(rig)));
    must_be(rig_map(rig, G1G, HOST, G1G, rig_data(rig)), HVPT_E_EXISTS);
    must_be(rig_map(rig, G1G + G2M, HOST + G2M, G2M, rig_data(rig)), HVPT_E_EXISTS);
    must_be(rig_map(rig, G1G + 5 * G4K, HOST, G4K, rig_data(rig)), HVPT_E_EXISTS);
    must_be(rig_map(rig, 2 * G1G - G4K, HOST, 2 * G4K, rig_data(rig)), HVPT_E_EXISTS);
    must_be(rig_map(rig, G1G - G4K, HOST, 2 * G4K, rig_data(rig)), HVPT_E_EXISTS);
    must(rig_map(rig, 2 * G1G, HOST, 2 * G4K, rig_data(rig)));
    must(rig_map(rig, G1G - 2 * G4K, HOST, 2 * G4K, rig_data(rig)));
}

GENERIC(large_pages_grow_around_what_is_there)
{
    /* The tables for one page exist already: the rest of its 1G and 2M is mapped around it. */
    must(rig_map(rig, G1G + G2M, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, G1G, HOST * 2, G2M, rig_data(rig)));
    must(rig_map(rig, G1G + G2M + G4K, HOST * 2 + G2M + G4K, G1G - G2M - G4K, rig_data(rig)));
    check_largest_pages(rig, G1G + 2 * G2M, HOST * 2 + 2 * G2M, G1G - 2 * G2M);
}

/* ---- attributes ---- */

GENERIC(every_combination_of_attributes_comes_back_or_is_refused)
{
    uint64_t gpa = 0;

    for (uint32_t perm = 0; perm <= HVPT_PERM_ALL; perm++) {
        for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
            /* Under the policy an executable 1G takes 513 tables: room for one attribute after the other. */
            must(rig_unmap(rig, 0, setup_gpa_limit(rig->setup)));
            gpa = 0;
            for (unsigned i = 0; i < 3; i++) {
                struct hvpt_attr attr = attr_of(perm, (enum hvpt_memtype)type);

                attr.software = (perm + type) % 8;
                gpa += 2 * G1G;
                if (setup_expresses(rig->setup, attr))
                    must(rig_map(rig, gpa, HOST, has_page(rig, page_sizes[i]) ? page_sizes[i] : 2 * G4K, attr));
                else
                    must_be(rig_map(rig, gpa, HOST, page_sizes[i], attr), HVPT_E_ATTR);
            }
        }
    }
}

GENERIC(attributes_that_do_not_exist_are_refused)
{
    struct hvpt_attr attr = rig_data(rig);

    attr.perm |= 16;
    must_be(rig_map(rig, 0, HOST, G4K, attr), HVPT_E_ATTR);
    attr = rig_data(rig);
    attr.memtype = (enum hvpt_memtype)(HVPT_MEM_UC + 1);
    must_be(rig_map(rig, 0, HOST, G4K, attr), HVPT_E_ATTR);
    attr = rig_data(rig);
    attr.flags = UINT32_C(1) << 31;
    must_be(rig_map(rig, 0, HOST, G4K, attr), HVPT_E_ATTR);
    attr = rig_data(rig);
    attr.software = UINT32_MAX;
    must_be(rig_map(rig, 0, HOST, G4K, attr), HVPT_E_ATTR);
}

GENERIC(executable_pages_are_small_where_the_policy_says_so)
{
    bool small = (rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY) != 0;

    must(rig_map(rig, G1G, HOST, 2 * G2M, attr_rwx()));
    CHECK_EQ(rig_page_size(rig, G1G), small || !has_page(rig, G2M) ? G4K : G2M, "an executable page");
    must(rig_map(rig, 2 * G1G, HOST, 2 * G2M, rig_data(rig)));
    CHECK_EQ(rig_page_size(rig, 2 * G1G), has_page(rig, G2M) ? G2M : G4K, "a page of data");
    if (small && has_page(rig, G2M))
        must_be(rig_protect(rig, 2 * G1G, G2M, attr_rwx(), HVPT_EXEC), HVPT_E_ATTR);
}

GENERIC(guarded_tables_cannot_be_mapped)
{
    uint64_t root = cpu_root_table(&rig->cpu, rig->memory.flush_root);
    uint64_t table = 0;

    must(rig_map(rig, 0, HOST, G4K, rig_data(rig)));
    for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++)
        if (rig->memory.frames[slot].state == FRAME_LINKED && rig->memory.frames[slot].level == 0)
            table = rig->memory.frames[slot].pa;
    CHECK(table != 0, "no lowest table");
    if (rig->setup->config.policy & HVPT_POLICY_GUARD_TABLES) {
        must_be(rig_map(rig, G1G, root, G4K, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_map(rig, G1G, table, G4K, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_map(rig, G1G, table / G2M * G2M, G2M, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_map(rig, G1G, table - G4K, 2 * G4K, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_fault_map(rig, G1G, table, G4K, rig_data(rig)), HVPT_E_RANGE);
        must(rig_map(rig, G1G, table + G4K, G4K, rig_data(rig)));
    } else {
        must(rig_map(rig, G1G, root, G4K, rig_data(rig)));
        must(rig_map(rig, G1G + G4K, table, G4K, rig_data(rig)));
    }
}

/* Of every level, also where a reserve has frames on both sides of it. */
GENERIC(each_table_is_guarded)
{
    unsigned tables = 0;

    if (!(rig->setup->config.policy & HVPT_POLICY_GUARD_TABLES))
        return;
    must(rig_map(rig, 0, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, setup_gpa_limit(rig->setup) - G4K, HOST, G4K, rig_data(rig)));
    must(rig_reserve(rig, 3));
    for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++) {
        const struct frame *frame = &rig->memory.frames[slot];

        if (frame->state != FRAME_LINKED)
            continue;
        tables++;
        must_be(rig_map(rig, G1G, frame->pa, G4K, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_fault_map(rig, G1G, frame->pa, G4K, rig_data(rig)), HVPT_E_RANGE);
        must_be(rig_replace(rig, 0, frame->pa, G4K, rig_data(rig)), HVPT_E_RANGE);
    }
    CHECK(tables >= 5, "%u tables", tables);
    must(rig_reserve(rig, 0));
}

/* ---- unmap ---- */

GENERIC(unmap_of_a_hole_is_fine)
{
    must(rig_unmap(rig, 0, setup_gpa_limit(rig->setup)));
    must(rig_unmap(rig, G1G + G4K, G4K));
    must(rig_map(rig, G1G, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, G1G + 7 * G4K, HOST, G4K, rig_data(rig)));
    must(rig_unmap(rig, G1G + G4K, 6 * G4K));
    must(rig_unmap(rig, 0, 3 * G1G));
    CHECK_EQ(rig->memory.live, 1, "frames");
}

GENERIC(a_page_cut_out_of_a_large_one_leaves_the_rest_as_it_was)
{
    static const uint64_t cuts[] = {
        0, HVPT_4K, HVPT_2M - HVPT_4K, HVPT_2M, HVPT_1G / 2 + HVPT_2M / 2, HVPT_1G - HVPT_4K};
    static const uint64_t sizes[] = {HVPT_4K, HVPT_2M};

    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        for (unsigned j = 0; j < 2; j++) {
            struct hvpt_attr attr = rig_data(rig);

            attr.perm &= ~(uint32_t)HVPT_WRITE;
            attr.memtype = rig_uncached(rig);
            if (cuts[i] + sizes[j] > G1G)
                continue;
            attr.software = rig_software(rig, 5);
            must(rig_map(rig, 4 * G1G, HOST, G1G, attr));
            rig_touch(rig, 4 * G1G + 0x5000, CPU_READ);
            must(rig_unmap(rig, 4 * G1G + cuts[i], sizes[j]));
            rig_check(rig);
            rig_check_walk(rig);
            must(rig_unmap(rig, 4 * G1G, G1G));
            CHECK_EQ(rig->memory.live, 1, "frames after the last part went");
        }
    }
}

GENERIC(only_the_edges_of_a_large_page_become_small_when_it_is_cut)
{
    must(rig_map(rig, 4 * G1G, HOST, G1G, rig_data(rig)));
    must(rig_unmap(rig, 4 * G1G + 16 * G2M + G4K, 32 * G2M));
    CHECK_EQ(rig_page_size(rig, 4 * G1G), has_page(rig, G2M) ? G2M : G4K, "below the cut");
    CHECK_EQ(rig_page_size(rig, 4 * G1G + 16 * G2M), G4K, "at the cut");
    CHECK_EQ(rig_page_size(rig, 4 * G1G + 48 * G2M + G4K), G4K, "above the cut");
    CHECK_EQ(rig_page_size(rig, 4 * G1G + 49 * G2M), has_page(rig, G2M) ? G2M : G4K, "above that");
}

GENERIC(tables_go_when_their_last_page_goes)
{
    uint64_t step = setup_gpa_limit(rig->setup) / 8;

    for (uint64_t i = 0; i < 8; i++)
        must(rig_map(rig, i * step, HOST, 2 * G4K, rig_data(rig)));
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t held = rig->memory.live;

        must(rig_unmap(rig, i * step + G4K, G4K));
        CHECK_EQ(rig->memory.live, held, "frames while a page is left");
        must(rig_unmap(rig, i * step, G4K));
        CHECK(rig->memory.live < held, "no frame came back");
    }
    CHECK_EQ(rig->memory.live, 1, "frames");
}

GENERIC(page_after_page_in_any_order_ends_with_the_root_alone)
{
    uint64_t order[64];

    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 64; i++)
            order[i] = i;
        for (unsigned i = 63; i > 0 && round > 1; i--) {
            unsigned j = (unsigned)random_below(&rig->random, i + 1);
            uint64_t swap = order[i];

            order[i] = order[j];
            order[j] = swap;
        }
        must(rig_map(rig, G1G - 32 * G4K, HOST, 64 * G4K, rig_data(rig)));
        for (unsigned i = 0; i < 64; i++)
            must(rig_unmap(rig, G1G - 32 * G4K + G4K * (round == 1 ? 63 - order[i] : order[i]), G4K));
        CHECK_EQ(rig->memory.live, 1, "frames");
    }
}

/* ---- protect ---- */

GENERIC(protect_changes_what_the_mask_names_and_nothing_else)
{
    struct hvpt_attr before = rig_data(rig);
    struct hvpt_attr after = attr_of(HVPT_READ, rig_uncached(rig));
    static const uint32_t masks[] = {0,
                                     HVPT_WRITE,
                                     HVPT_READ,
                                     HVPT_CHANGE_MEMTYPE,
                                     HVPT_CHANGE_SOFTWARE,
                                     HVPT_CHANGE_FLAGS,
                                     HVPT_WRITE | HVPT_CHANGE_SOFTWARE,
                                     HVPT_WRITE | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_SOFTWARE | HVPT_CHANGE_FLAGS};

    before.software = rig_software(rig, 3);
    after.software = rig_software(rig, 4);
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        uint64_t gpa = (i + 1) * 2 * G1G;

        must(rig_map(rig, gpa, HOST, 2 * G2M, before));
        rig_touch(rig, gpa, CPU_WRITE);
        must(rig_protect(rig, gpa, 2 * G2M, after, masks[i]));
        rig_check(rig);
    }
}

/* hvpt.h: what mask may name is nine bits; every other one names nothing. */
GENERIC(a_mask_that_names_nothing_is_refused)
{
    const uint32_t names = HVPT_PERM_ALL | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_FLAGS | HVPT_CHANGE_SOFTWARE;

    must(rig_map(rig, HVPT_1G, HOST, 4 * HVPT_4K, rig_data(rig)));
    for (unsigned i = 0; i < 32; i++) {
        const uint32_t bit = UINT32_C(1) << i;
        uint64_t stores = rig->memory.stores;

        if (names & bit)
            continue;
        must_be(rig->adapter->protect(&rig->space, HVPT_1G, HVPT_4K, rig_data(rig), bit, NULL), HVPT_E_ATTR);
        must_be(rig->adapter->protect(&rig->space, HVPT_1G, HVPT_4K, rig_data(rig), bit | HVPT_WRITE, NULL), HVPT_E_ATTR);
        CHECK_EQ(rig->memory.stores, stores, "stores");
    }
    must(rig->adapter->protect(&rig->space, HVPT_1G, HVPT_4K, rig_data(rig), 0, NULL));
}

/* hvpt.h: what mask does not name stays, and accessed and dirty bits whatever it says. */
GENERIC(protect_keeps_the_address_and_the_marks)
{
    static const uint32_t masks[] = {HVPT_WRITE, HVPT_CHANGE_MEMTYPE, HVPT_CHANGE_FLAGS, HVPT_CHANGE_SOFTWARE};
    const uint64_t hpa = setup_hpa_limit(rig->setup) - G4K; /* each bit of an address */
    struct hvpt_attr reads = rig_data(rig);
    struct hvpt_mapping before, after;

    reads.perm &= ~(uint32_t)HVPT_WRITE;
    must(rig_map(rig, G1G, hpa, G4K, reads));
    must(rig->adapter->translate(&rig->space, G1G, &before));
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        must(rig_protect(rig, G1G, G4K, reads, masks[i]));
        must(rig->adapter->translate(&rig->space, G1G, &after));
        CHECK_EQ(after.hpa.value, hpa, "address");
        CHECK_EQ(after.attr.flags, before.attr.flags, "flags");
        CHECK_EQ(after.attr.perm, before.attr.perm, "permissions");
    }
}

GENERIC(protect_splits_only_where_it_changes_something)
{
    must(rig_map(rig, 4 * G1G, HOST, G1G, rig_data(rig)));
    must(rig_protect(rig, 4 * G1G + G2M + G4K, G4K, rig_data(rig), HVPT_READ | HVPT_WRITE));
    check_largest_pages(rig, 4 * G1G, HOST, G1G);
    must(rig_protect(rig, 4 * G1G + G2M + G4K, G4K, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE));
    rig_check(rig);
    CHECK_EQ(rig_page_size(rig, 4 * G1G + G2M), G4K, "the changed page");
    CHECK_EQ(rig_page_size(rig, 4 * G1G), has_page(rig, G2M) ? G2M : G4K, "its neighbour");
}

GENERIC(protect_of_whole_large_pages_splits_nothing)
{
    uint64_t frames;

    must(rig_map(rig, 4 * G1G, HOST, 2 * G1G, rig_data(rig)));
    frames = rig->memory.live;
    must(rig_protect(rig, 4 * G1G, G1G, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE));
    CHECK_EQ(rig->memory.live, frames, "frames");
    check_largest_pages(rig, 4 * G1G, HOST, 2 * G1G);
}

GENERIC(protect_refuses_a_range_with_a_hole)
{
    static const uint64_t holes[] = {0, HVPT_4K, HVPT_2M - HVPT_4K, HVPT_2M, HVPT_1G - HVPT_4K};

    for (unsigned i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
        must(rig_map(rig, 4 * G1G, HOST, G1G, rig_data(rig)));
        must(rig_unmap(rig, 4 * G1G + holes[i], G4K));
        must_be(rig_protect(rig, 4 * G1G, G1G, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE), HVPT_E_ABSENT);
        rig_check(rig);
        must(rig_unmap(rig, 4 * G1G, G1G));
    }
    must_be(rig_protect(rig, 0, G4K, rig_data(rig), HVPT_WRITE), HVPT_E_ABSENT);
}

GENERIC(protect_refuses_what_cannot_be_said)
{
    struct hvpt_attr attr = attr_of(0, HVPT_MEM_WB);

    must(rig_map(rig, 4 * G1G, HOST, G2M, rig_data(rig)));
    if (rig->setup->cpu.kind != CPU_S2) /* which can say write alone, and nothing but a fetch */
        must_be(rig_protect(rig, 4 * G1G, G2M, attr, HVPT_READ), HVPT_E_ATTR);
    must_be(rig_protect(rig, 4 * G1G, G2M, attr, HVPT_PERM_ALL), HVPT_E_ATTR);
    attr.software = UINT32_MAX;
    must_be(rig_protect(rig, 4 * G1G, G2M, attr, HVPT_CHANGE_SOFTWARE), HVPT_E_ATTR);
    attr.memtype = (enum hvpt_memtype)17;
    must_be(rig_protect(rig, 4 * G1G, G2M, attr, HVPT_CHANGE_MEMTYPE), HVPT_E_ATTR);
    attr.flags = UINT32_C(1) << 31;
    must_be(rig_protect(rig, 4 * G1G, G2M, attr, HVPT_CHANGE_FLAGS), HVPT_E_ATTR);
    rig_check(rig);
}

GENERIC(accessed_and_dirty_survive_protect_and_cuts)
{
    must(rig_map(rig, 4 * G1G, HOST, G1G, rig_data(rig)));
    rig_touch(rig, 4 * G1G + 123 * G4K, CPU_WRITE);
    rig_check(rig);
    must(rig_protect(rig, 4 * G1G + 64 * G4K, 64 * G4K, attr_of(0, rig_uncached(rig)), HVPT_CHANGE_MEMTYPE));
    rig_check(rig);
    must(rig_unmap(rig, 4 * G1G + 8 * G4K, G4K));
    rig_check(rig);
}

/* ---- translate ---- */

GENERIC(translate_is_exact_at_every_offset_of_a_page)
{
    struct hvpt_mapping mapping;

    must(rig_map(rig, 4 * G1G, HOST, G1G + G2M + G4K, rig_data(rig)));
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset = random_below(&rig->random, G1G + G2M + G4K);

        must(rig->adapter->translate(&rig->space, 4 * G1G + offset, &mapping));
        CHECK_EQ(mapping.hpa.value, HOST + offset, "hpa");
        rig_compare(rig, 4 * G1G + offset);
    }
}

/* The lowest bit of the index at each level, and some between: each leads to a page of its own. */
GENERIC(translate_tells_addresses_apart_by_each_bit)
{
    must(rig_map(rig, 0, HOST, G4K, rig_data(rig)));
    for (unsigned bit = 12; bit < cpu_gpa_bits(&rig->setup->cpu); bit += 3)
        must(rig_map(rig, UINT64_C(1) << bit, HOST + bit * G4K, G4K, rig_data(rig)));
    for (unsigned bit = 12; bit < cpu_gpa_bits(&rig->setup->cpu); bit += 3)
        rig_compare(rig, UINT64_C(1) << bit);
}

GENERIC(translate_leaves_its_result_alone_when_there_is_none)
{
    struct hvpt_mapping mapping, copy;

    memset(&mapping, 0x5a, sizeof(mapping));
    copy = mapping;
    must_be(rig->adapter->translate(&rig->space, G1G, &mapping), HVPT_E_ABSENT);
    must_be(rig->adapter->translate(&rig->space, setup_gpa_limit(rig->setup), &mapping), HVPT_E_RANGE);
    must_be(rig->adapter->translate(&rig->space, UINT64_MAX, &mapping), HVPT_E_RANGE);
    CHECK(memcmp(&mapping, &copy, sizeof(copy)) == 0, "the result was written");
}

/* What is in a table decides, not who put it there: entries changed at random are read as the processor reads them. */
GENERIC(translate_judges_any_entry_as_the_processor_does)
{
    const uint64_t gpa[] = {0, HVPT_1G + 5 * HVPT_4K, 4 * HVPT_1G + HVPT_2M, 8 * HVPT_1G};
    unsigned outcomes[CPU_LOST + 1] = {0};

    /* With a linear map every address is as good as a table. */
    if (rig->setup->linear)
        return;
    must(rig_map(rig, 0, HOST, 3 * G4K, rig_data(rig)));
    must(rig_map(rig, G1G, HOST, G2M - G4K, attr_rwx()));
    must(rig_map(rig, 4 * G1G, HOST, 4 * G2M, rig_data(rig)));
    must(rig_map(rig, 8 * G1G, HOST, G1G, rig_data(rig)));
    rig->memory.lenient = true;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t at = gpa[i % 4] + (random_next(&rig->random) & 0xfff);
        struct cpu_translation way, now;
        struct hvpt_mapping mapping;
        enum hvpt_status status;
        uint64_t old, entry;
        unsigned level;

        cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, at, CPU_PROBE, &way);
        level = way.level + (unsigned)random_below(&rig->random, rig->setup->cpu.levels - way.level);
        entry = old = way.table[level]->virt[way.index[level]];
        for (uint64_t bits = random_below(&rig->random, 4); bits-- > 0;)
            entry ^= UINT64_C(1) << random_below(&rig->random, 64);
        if (i % 16 == 0)
            entry = (old & ~UINT64_C(0xfff)) | random_below(&rig->random, 0x1000);
        memory_poke(way.table[level], way.index[level], entry);
        cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, at, CPU_PROBE, &now);
        status = rig->adapter->translate(&rig->space, at, &mapping);
        outcomes[now.outcome]++;
        /* In what hardware takes for empty, bit 62 is the library's own mark of an aged page. */
        if (rig->setup->cpu.kind == CPU_EPT && now.outcome == CPU_ABSENT && (now.entry >> 62 & 1)) {
            memory_poke(way.table[level], way.index[level], old);
            continue;
        }
        CHECK(status
                  == (now.outcome == CPU_MAPPED   ? HVPT_OK
                      : now.outcome == CPU_ABSENT ? HVPT_E_ABSENT
                                                  : HVPT_E_CORRUPT),
              "entry %#llx at level %u: \"%s\", but the processor finds %d (%s)", (unsigned long long)entry, level,
              hvpt_status_text(status), (int)now.outcome, now.rule ? now.rule : "-");
        if (status == HVPT_OK) {
            CHECK_EQ(mapping.hpa.value, now.hpa, "hpa");
            CHECK_EQ(mapping.attr.perm & (rig->setup->two_exec ? 15 : 7), now.rights, "perm");
            CHECK_EQ(mapping.page_size, now.page_size, "page size");
            if (now.memtype != CPU_ANY_MEMTYPE)
                CHECK_EQ(x86_memtype(mapping.attr.memtype), now.memtype == 7 ? 0 : now.memtype, "memory type");
            CHECK_EQ((mapping.attr.flags & HVPT_ACCESSED) != 0, now.accessed && setup_keeps_accessed(rig->setup),
                     "accessed");
            /* Stage 2 has no dirty bit beside the right to write: the library keeps one of its own where hardware looks at none. */
            if (rig->setup->cpu.kind == CPU_S2 && (mapping.entry & HVPT_S2_BIT_WRITTEN))
                now.dirty = true;
            CHECK_EQ((mapping.attr.flags & HVPT_DIRTY) != 0, now.dirty && setup_keeps_dirty(rig->setup), "dirty");
        }
        memory_poke(way.table[level], way.index[level], old);
    }
    rig->memory.lenient = false;
    CHECK(outcomes[CPU_MAPPED] && outcomes[CPU_ABSENT] && outcomes[CPU_MISCONFIGURED] && outcomes[CPU_LOST],
          "the entries were too tame: %u mapped, %u absent, %u misconfigured, %u lost", outcomes[CPU_MAPPED],
          outcomes[CPU_ABSENT], outcomes[CPU_MISCONFIGURED], outcomes[CPU_LOST]);
}

/* ---- walk ---- */

struct seen {
    unsigned calls;
    unsigned stop_at;
    uint64_t first;
    uint64_t bytes;
};

static bool count_call(struct seen *seen)
{
    seen->calls++;
    CHECK(seen->calls <= seen->stop_at, "a call after the visitor ended the walk");
    return seen->calls < seen->stop_at;
}

static bool count_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    (void)gpa, (void)mapping;
    return count_call(ctx);
}

static bool count_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    (void)gpa, (void)size, (void)level;
    return count_call(ctx);
}

static bool count_table(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    (void)gpa, (void)table, (void)level;
    return count_call(ctx);
}

/* Ends the walk at every call there is, in turn. */
GENERIC(a_walk_that_the_visitor_ends_makes_no_further_call)
{
    struct seen seen = {0};
    struct hvpt_visitor visitor = {&seen, count_leaf, count_hole, count_table, count_table};
    unsigned calls;

    must(rig_map(rig, 4 * G1G - G2M, HOST - G2M, 2 * G2M + 2 * G4K, rig_data(rig)));
    must(rig_map(rig, 5 * G1G + G4K, HOST, G4K, rig_data(rig)));
    must(rig_map(rig, 6 * G1G, HOST, G1G / 2, rig_data(rig)));
    must(rig_map(rig, 8 * G1G, HOST, G4K, rig_data(rig)));
    seen.stop_at = UINT32_MAX;
    must(rig->adapter->walk(&rig->space, 0, 16 * G1G, &visitor));
    calls = seen.calls;
    for (unsigned stop = 1; stop <= calls; stop += stop < 64 || stop > calls - 64 ? 1 : 1 + calls / 128) {
        seen.calls = 0;
        seen.stop_at = stop;
        must(rig->adapter->walk(&rig->space, 0, 16 * G1G, &visitor));
        CHECK_EQ(seen.calls, stop, "calls");
    }
}

GENERIC(a_walk_without_callbacks_is_fine)
{
    struct hvpt_visitor visitor = {0};

    must(rig_map(rig, 4 * G1G - G2M, HOST - G2M, 2 * G2M + 2 * G4K, rig_data(rig)));
    must(rig->adapter->walk(&rig->space, 0, setup_gpa_limit(rig->setup), &visitor));
}

struct part {
    uint64_t start, end;
    uint64_t next;
    struct rig *rig;
};

static bool part_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct part *part = ctx;

    if (part->next == part->start)
        CHECK(gpa.value <= part->start && part->start - gpa.value < mapping->page_size, "the first leaf is at %#llx",
              (unsigned long long)gpa.value);
    else
        CHECK_EQ(gpa.value, part->next, "the next leaf");
    CHECK(gpa.value < part->end, "a leaf beyond the range");
    part->next = gpa.value + mapping->page_size;
    return true;
}

static bool part_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct part *part = ctx;

    (void)level;
    CHECK_EQ(gpa.value, part->next, "the next hole");
    CHECK(size != 0 && gpa.value + size <= part->end, "a hole of %#llx beyond the range", (unsigned long long)size);
    part->next = gpa.value + size;
    return true;
}

GENERIC(a_walk_of_a_part_shows_that_part)
{
    must(rig_map(rig, 4 * G1G, HOST, G1G + G2M + G4K, rig_data(rig)));
    for (unsigned i = 0; i < 200; i++) {
        struct part part = {.rig = rig};
        struct hvpt_visitor visitor = {&part, part_leaf, part_hole, NULL, NULL};

        part.start = 3 * G1G + random_below(&rig->random, 3 * G1G / G4K) * G4K;
        part.end = part.start + (1 + random_below(&rig->random, 2000)) * G4K;
        part.next = part.start;
        must(rig->adapter->walk(&rig->space, part.start, part.end - part.start, &visitor));
        CHECK(part.next >= part.end, "the walk ended at %#llx", (unsigned long long)part.next);
    }
}

/* ---- flush ---- */

/* Privileged Architecture, "Supervisor Memory-Management Fence Instruction": only RISC-V lets an invalid entry be cached. */
GENERIC(map_owes_a_flush_only_where_an_empty_entry_may_be_cached)
{
    uint64_t flushes = rig->memory.flushes;
    bool owed = rig->setup->cpu.kind == CPU_GSTAGE;

    rig->owing = true;
    must(rig_map(rig, G1G, HOST, G1G, rig_data(rig)));
    must(rig_map(rig, 3 * G1G + G4K, HOST, G4K, rig_data(rig)));
    CHECK_EQ(hvpt_flush_needed(&rig->flush), owed, "a flush is owed");
    rig_flush(rig);
    CHECK_EQ(rig->memory.flushes, flushes + owed, "flushes");
}

GENERIC(without_an_obligation_to_add_to_a_call_flushes_before_it_returns)
{
    uint64_t flushes = rig->memory.flushes;

    must(rig_map(rig, G1G, HOST, 2 * G4K, rig_data(rig)));
    rig_touch(rig, G1G, CPU_WRITE);
    must(rig_protect(rig, G1G, G4K, attr_of(HVPT_READ, HVPT_MEM_WB), HVPT_WRITE));
    CHECK(rig->memory.flushes > flushes, "protect did not flush");
    flushes = rig->memory.flushes;
    must(rig_unmap(rig, G1G, G4K));
    CHECK(rig->memory.flushes > flushes, "unmap did not flush");
}

/*
 * Arm ARM, "Using break-before-make when updating translation table entries": there the flush may not wait, since the
 * next map of the same addresses would put a valid entry where a TLB still holds the old one.
 */
static bool breaks(const struct rig *rig)
{
    return rig->setup->cpu.kind == CPU_S2;
}

GENERIC(several_operations_share_one_flush)
{
    uint64_t flushes = rig->memory.flushes;

    if (breaks(rig))
        return;

    rig->owing = true;
    for (uint64_t i = 0; i < 4; i++) {
        must(rig_map(rig, i * G1G, HOST, 2 * G4K, rig_data(rig)));
        rig_touch(rig, i * G1G, CPU_WRITE);
        rig_touch(rig, i * G1G + G4K, CPU_READ);
    }
    for (uint64_t i = 0; i < 4; i++)
        must(rig_unmap(rig, i * G1G, 2 * G4K));
    CHECK_EQ(rig->memory.flushes, flushes, "flushes before the caller asked");
    CHECK(memory_count(&rig->memory, FRAME_UNLINKED) != 0, "the tables did not wait for the flush");
    rig_flush(rig);
    CHECK_EQ(rig->memory.flushes, flushes + 1, "flushes");
    CHECK_EQ(rig->memory.live, 1, "frames");
}

/* Page after page, in one obligation: what it names is exactly these, and the guest's caches hold none of them after. */
GENERIC(pages_one_after_the_other_owe_one_range)
{
    uint64_t page;

    if (breaks(rig))
        return;
    must(rig_map(rig, G1G, HOST, 20 * G4K, rig_data(rig)));
    must(rig_unmap(rig, G1G + 19 * G4K, G4K)); /* no table full from one end to the other, and none joined there */
    rig_flush(rig);
    rig->owing = true;
    for (page = 16; page < 19; page++) {
        rig_touch(rig, G1G + page * G4K, CPU_READ);
        must(rig_unmap(rig, G1G + page * G4K, G4K));
    }
    CHECK_EQ(rig->flush.gpa.value, G1G + 16 * G4K, "where the range begins");
    CHECK_EQ(rig->flush.size, 3 * G4K, "its size");
    rig_flush(rig);
    for (page = 16; page < 19; page++)
        must_be(rig_protect(rig, G1G + page * G4K, G4K, rig_data(rig), HVPT_WRITE), HVPT_E_ABSENT);
}

GENERIC(more_dead_tables_than_fit_flush_on_the_way)
{
    const uint64_t many = 3 * HVPT_FLUSH_DEAD_MAX;

    rig->owing = true;
    for (uint64_t i = 0; i < many; i++) {
        must(rig_map(rig, i * G2M, HOST, G4K, rig_data(rig)));
        rig_touch(rig, i * G2M, CPU_READ);
    }
    for (uint64_t i = 0; i < many; i++)
        must(rig_unmap(rig, i * G2M, G4K));
    rig_flush(rig);
    CHECK_EQ(rig->memory.live, 1, "frames");
}

GENERIC(an_empty_obligation_flushes_nothing)
{
    uint64_t flushes = rig->memory.flushes;

    rig->owing = true;
    must(rig_unmap(rig, 0, G1G));
    must_be(rig_protect(rig, 0, G4K, rig_data(rig), HVPT_WRITE), HVPT_E_ABSENT);
    rig_flush(rig);
    CHECK_EQ(rig->memory.flushes, flushes, "flushes");
}

/* ---- life ---- */

Test(generic, sizes_are_what_their_names_say)
{
    CHECK_EQ(HVPT_4K, 4096, "4K");
    CHECK_EQ(HVPT_2M, 2097152, "2M");
    CHECK_EQ(HVPT_1G, 1073741824, "1G");
}

GENERIC(destroy_gives_back_a_full_tree)
{
    must(rig_map(rig, G4K, HOST, G1G + G2M, rig_data(rig)));
    must(rig_map(rig, setup_gpa_limit(rig->setup) / 2, HOST, G1G, rig_data(rig)));
    must(rig_unmap(rig, G1G / 2, G4K));
}

Test(generic, hooks_without_a_flush_callback_free_at_once)
{
    for (size_t i = 0; i < setup_count; i++) {
        struct memory_options options = {.slots_log2 = 10,
                                         .slot_order = setup_root_order(&setups[i]),
                                         .no_flush = true,
                                         .linear = setups[i].linear,
                                         .phys_base = 1 << 24};
        const struct adapter *adapter = setups[i].adapter;
        struct memory memory;
        struct hvpt_space space;
        struct hvpt_flush flush = {0};

        check_context("%s", setups[i].name);
        memory_open(&memory, &options);
        must(adapter->init(&space, &memory.hooks, &setups[i].config));
        must(adapter->map(&space, 0, HOST, 64 * G4K, attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB), NULL));
        must(adapter->unmap(&space, 0, 64 * G4K, NULL));
        CHECK_EQ(memory.live, 1, "frames");
        must(adapter->map(&space, 0, HOST, 64 * G4K, attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB), &flush));
        must(adapter->unmap(&space, 0, 64 * G4K, &flush));
        adapter->flush(&space, &flush);
        CHECK_EQ(memory.live, 1, "frames");
        adapter->destroy(&space);
        memory_close(&memory);
    }
}

/* ---- what the environment may do wrong ---- */

static uint64_t bad_frame;
static unsigned bad_given;

static bool give_bad_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    out->value = bad_frame;
    bad_given++;
    return true;
}

static void take_bad_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)order;
    CHECK_EQ(frame.value, bad_frame, "the frame that came back");
    bad_given--;
}

static void *see_no_frame(void *ctx, hvpt_hpa frame)
{
    (void)ctx, (void)frame;
    return NULL;
}

/* Misaligned, beyond MAXPHYADDR, or nowhere to be seen: the frame goes back and the call ends with HVPT_E_NOMEM. */
Test(generic, a_frame_that_cannot_be_a_table_is_given_back)
{
    for (size_t i = 0; i < setup_count; i++) {
        const uint64_t bad[] = {HVPT_4K / 2, setup_hpa_limit(&setups[i]), UINT64_MAX - HVPT_4K + 1, HVPT_4K};
        struct hvpt_hooks hooks = {0};
        struct hvpt_space space;

        check_context("%s", setups[i].name);
        hooks.alloc_frame = give_bad_frame;
        hooks.free_frame = take_bad_frame;
        hooks.phys_to_virt = see_no_frame;
        for (unsigned j = 0; j < 4; j++) {
            bad_frame = bad[j];
            must_be(setups[i].adapter->init(&space, &hooks, &setups[i].config), HVPT_E_NOMEM);
            CHECK_EQ(bad_given, 0, "frames kept");
        }
    }
}

Test(generic, hooks_that_lack_a_callback_are_refused)
{
    for (size_t i = 0; i < setup_count; i++) {
        struct hvpt_hooks hooks = {0};
        struct hvpt_space space;

        check_context("%s", setups[i].name);
        must_be(setups[i].adapter->init(&space, &hooks, &setups[i].config), HVPT_E_HOOK);
        must_be(setups[i].adapter->init(&space, NULL, &setups[i].config), HVPT_E_HOOK);
        hooks.alloc_frame = give_bad_frame;
        must_be(setups[i].adapter->init(&space, &hooks, &setups[i].config), HVPT_E_HOOK);
    }
}

Test(generic, configurations_that_do_not_exist_are_refused)
{
    for (size_t i = 0; i < setup_count; i++) {
        const struct adapter *adapter = setups[i].adapter;
        struct memory_options options = {.slots_log2 = 4,
                                         .slot_order = setup_root_order(&setups[i]),
                                         .phys_base = 1 << 24};
        bool x86 = setups[i].cpu.kind == CPU_EPT || setups[i].cpu.kind == CPU_NPT;
        struct any_config config;
        struct memory memory;
        struct hvpt_space space;

        check_context("%s", setups[i].name);
        memory_open(&memory, &options);
        for (unsigned levels = 1; levels < 9 && x86; levels++) {
            config = setups[i].config;
            config.levels = levels;
            if (levels != 4 && levels != 5)
                must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        }
        for (unsigned bit = 0; bit < 64; bit++) {
            config = setups[i].config;
            config.max_page_size = UINT64_C(1) << bit;
            if (bit != 12 && bit != 21 && bit != 30 && (x86 || (bit != 39 && bit != 48)))
                must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        }
        config = setups[i].config;
        config.maxphyaddr = x86 ? 53 : 57;
        if (setups[i].cpu.kind != CPU_S2)
            must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        config.maxphyaddr = 12;
        if (setups[i].cpu.kind != CPU_S2)
            must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        config = setups[i].config;
        config.features = UINT32_C(1) << 31;
        must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        config = setups[i].config;
        config.policy = UINT32_C(1) << 31;
        must_be(adapter->init(&space, &memory.hooks, &config), HVPT_E_CONFIG);
        memory_close(&memory);
    }
}

Test(generic, every_status_has_a_text_of_its_own)
{
    for (int a = HVPT_OK; a <= HVPT_E_READONLY; a++) {
        cr_assert_not_null(hvpt_status_text((enum hvpt_status)a));
        for (int b = HVPT_OK; b < a; b++)
            cr_assert_str_neq(hvpt_status_text((enum hvpt_status)a), hvpt_status_text((enum hvpt_status)b));
    }
    cr_assert_not_null(hvpt_status_text((enum hvpt_status)99));
}
