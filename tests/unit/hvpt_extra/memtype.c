/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt/x86/map_by_mtrr.h: trees that were mapped by memory type, as a processor walks them (support/hardware.h), against the
 * ranges of known machines (tests/reference/hvpt/mtrr_machine_ranges.csv).
 */
#include "mtrr_model.h"

#include "../hvpt/support/hardware.h"
#include "../hvpt/support/reference.h"
#include <hvpt/space.h>

#include <hvpt/x86/map_by_mtrr.h>

#include <criterion/criterion.h>
#include <string.h>

#define RANGES 64

/* IA32_PAT after reset (no WC, no WP), one with every type, and one that lacks WB. */
#define PAT_RESET UINT64_C(0x0007040600070406)
#define PAT_FULL  UINT64_C(0x0006010500070406)
#define PAT_NO_WB UINT64_C(0x0007010500070404)

static const struct hvpt_attr rwx = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WP, 0, 0};

/* One space beside the processor that walks it, and the machine whose memory it maps. */
struct bench {
    const char *name;
    struct machine machine;
    struct machine_range ranges[RANGES];
    size_t count;
    struct hvpt_mtrr mtrr;
    struct memory memory;
    struct cpu cpu;
    struct hvpt_space_config config;
    struct hvpt_space space;
    struct hvpt_flush flush;
};

/* false: there are no more machines. pat: of NPT; 0: EPT. */
static bool open_bench(struct bench *bench, size_t number, uint64_t pat)
{
    struct memory_options options = {.slots_log2 = 12};
    struct cpu_features features = {.kind = pat != 0 ? CPU_NPT : CPU_EPT,
                                    .levels = 4,
                                    .page_2m = true,
                                    .page_1g = true,
                                    .accessed_dirty = pat != 0,
                                    .no_execute = pat != 0,
                                    .pat = pat};

    memset(bench, 0, sizeof(*bench));
    if (!machine_load(&bench->machine, number, &bench->name))
        return false;
    check_context("%s, PAT %#llx", bench->name, (unsigned long long)pat);
    bench->count = machine_load_ranges(bench->name, bench->ranges, RANGES);
    CHECK_STATUS(hvpt_mtrr_read(&bench->mtrr, machine_rdmsr, &bench->machine, bench->machine.maxphyaddr,
                                bench->machine.amd ? HVPT_MTRR_AMD : 0),
                 HVPT_OK, "read");
    features.maxphyaddr = bench->machine.maxphyaddr;
    options.phys_base = UINT64_C(1) << (features.maxphyaddr - 1);
    memory_open(&bench->memory, &options);
    cpu_init(&bench->cpu, &features);
    bench->memory.flush_kind = pat != 0 ? HVPT_FLUSH_ASID : HVPT_FLUSH_INVEPT;
    bench->config.kind = pat != 0 ? HVPT_KIND_NPT : HVPT_KIND_EPT;
    bench->config.ept.maxphyaddr = bench->config.npt.maxphyaddr = features.maxphyaddr;
    bench->config.npt.pat = pat;
    CHECK_STATUS(hvpt_space_init(&bench->space, &bench->memory.hooks, &bench->config), HVPT_OK, "init");
    bench->memory.flush_root = hvpt_space_root(&bench->space);
    memory_track(&bench->memory, cpu_child, &bench->cpu, 12, 9,
                 cpu_root_table(&bench->cpu, hvpt_space_root(&bench->space)), 3);
    return true;
}

static void close_bench(struct bench *bench)
{
    hvpt_space_flush(&bench->space, &bench->flush);
    memory_check_contents(&bench->memory);
    bench->memory.destroying = true;
    hvpt_space_destroy(&bench->space);
    memory_close(&bench->memory);
}

/* The range of the machine that holds hpa. */
static const struct machine_range *range_at(const struct bench *bench, uint64_t hpa)
{
    for (size_t i = 0; i < bench->count; i++)
        if (hpa >= bench->ranges[i].start && hpa < bench->ranges[i].end)
            return &bench->ranges[i];
    CHECK(false, "%#llx is in no range", (unsigned long long)hpa);
}

/* Is the code in one of the bytes of the PAT? EPT has them all. */
static bool expressible(const struct bench *bench, unsigned type)
{
    for (unsigned index = 0; index < 8; index++)
        if (bench->config.kind == HVPT_KIND_EPT || ((bench->config.npt.pat >> (8 * index)) & 7) == type)
            return true;
    return false;
}

static void look(const struct bench *bench, uint64_t gpa, struct cpu_translation *now)
{
    cpu_walk(&bench->cpu, &bench->memory, hvpt_space_root(&bench->space), gpa, CPU_PROBE, now);
}

/* Page by page: where it leads, its type, and that no larger one would have fitted. Returns the number of pages. */
static uint64_t check_pages(const struct bench *bench, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    static const uint64_t sizes[] = {HVPT_1G, HVPT_2M, HVPT_4K};
    uint64_t pages = 0;

    for (uint64_t done = 0; done < size; pages++) {
        const struct machine_range *range = range_at(bench, hpa + done);
        struct hvpt_mapping mapping;
        struct cpu_translation now;
        unsigned i = 0;

        while (((gpa + done) | (hpa + done)) % sizes[i] != 0 || size - done < sizes[i]
               || range->end - (hpa + done) < sizes[i])
            i++;
        look(bench, gpa + done, &now);
        CHECK(now.outcome == CPU_MAPPED, "%#llx is not mapped", (unsigned long long)(gpa + done));
        CHECK_EQ(now.hpa, hpa + done, "address");
        CHECK_EQ(now.page_size, sizes[i], "page size");
        CHECK_EQ(now.perm, rwx.perm, "permissions");
        CHECK_EQ(now.memtype, expressible(bench, range->type) ? range->type : TYPE_WB, "memory type");
        CHECK_STATUS(hvpt_space_translate(&bench->space, hvpt_make_gpa(gpa + done), &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.hpa.value, hpa + done, "address as translated");
        CHECK_EQ(mapping.page_size, sizes[i], "page size as translated");
        done += sizes[i];
    }
    return pages;
}

static void check_absent(const struct bench *bench, uint64_t gpa, uint64_t size)
{
    struct cpu_translation now;

    for (size_t i = 0; i < bench->count; i++) {
        if (bench->ranges[i].start >= size)
            continue;
        look(bench, gpa + bench->ranges[i].start, &now);
        CHECK_EQ(now.outcome, CPU_ABSENT, "the start of a range");
    }
    look(bench, gpa + size - 1, &now);
    CHECK_EQ(now.outcome, CPU_ABSENT, "the end");
}

static uint64_t leaves(const struct bench *bench)
{
    struct hvpt_stats stats;
    uint64_t sum = 0;

    hvpt_space_stats(&bench->space, &stats);
    for (unsigned level = 0; level < HVPT_MAX_LEVELS; level++)
        sum += stats.leaves[level];
    return sum;
}

/* ---- whole machines ---- */

static void map_every_machine(uint64_t pat)
{
    static struct bench bench;

    for (size_t number = 0; open_bench(&bench, number, pat); number++) {
        uint64_t size = UINT64_C(1) << bench.machine.maxphyaddr;

        CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, &bench.flush), HVPT_OK, "map");
        CHECK_EQ(leaves(&bench), check_pages(&bench, 0, 0, size), "pages");
        CHECK(!hvpt_flush_needed(&bench.flush), "new mappings make nothing stale");
        close_bench(&bench);
    }
}

Test(memtype, an_identity_map_has_the_types_of_the_machine_in_ept)
{
    map_every_machine(0);
}

Test(memtype, an_identity_map_has_the_types_of_the_machine_in_npt)
{
    map_every_machine(PAT_FULL);
}

/* A host PAT without WC and WP: the CPU combines WB with the MTRRs, and no page may mix types of theirs. */
Test(memtype, what_the_pat_lacks_is_left_to_the_mtrrs)
{
    map_every_machine(PAT_RESET);
}

/* ... which gives what the guest would have without nested paging, WC apart, that snoops (APM vol. 2). */
Test(memtype, wb_in_nested_tables_leaves_the_mtrr_type_as_it_is)
{
    struct reference combined, effective;
    size_t checked = 0;

    reference_load(&combined, "hvpt/npt_combined_memtype.csv");
    reference_load(&effective, "hvpt/npt_mtrr_memtype.csv");
    for (size_t i = 1; i < combined.rows; i++) {
        if (strcmp(combined.cell[i][1], "WB") != 0 || strcmp(combined.cell[i][0], "UC-") == 0)
            continue;
        CHECK(strncmp(combined.cell[i][0], combined.cell[i][2], 2) == 0, "%s becomes %s", combined.cell[i][0],
              combined.cell[i][2]);
        checked++;
    }
    for (size_t i = 1; i < effective.rows; i++) {
        if (strcmp(effective.cell[i][0], "WB") != 0)
            continue;
        CHECK(strcmp(effective.cell[i][1], effective.cell[i][2]) == 0, "%s becomes %s", effective.cell[i][1],
              effective.cell[i][2]);
        checked++;
    }
    CHECK_EQ(checked, 5 + 5, "records");
    reference_free(&combined);
    reference_free(&effective);
}

Test(memtype, the_identity_map_ends_where_the_first_of_three_does)
{
    static struct bench bench;

    CHECK(open_bench(&bench, 0, 0), "no machine");
    CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, HVPT_1G, rwx, &bench.flush), HVPT_OK, "1 GiB");
    CHECK_EQ(leaves(&bench), check_pages(&bench, 0, 0, HVPT_1G), "pages");
    CHECK_STATUS(hvpt_space_unmap(&bench.space, hvpt_make_gpa(0), HVPT_1G, &bench.flush), HVPT_OK, "unmap");
    hvpt_space_flush(&bench.space, &bench.flush);

    bench.space.gpa_limit = UINT64_C(5) << 30;
    CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, &bench.flush), HVPT_OK, "the space");
    CHECK_EQ(leaves(&bench), check_pages(&bench, 0, 0, UINT64_C(5) << 30), "pages");
    CHECK_STATUS(hvpt_space_unmap(&bench.space, hvpt_make_gpa(0), UINT64_C(5) << 30, &bench.flush), HVPT_OK, "unmap");
    hvpt_space_flush(&bench.space, &bench.flush);

    bench.space.gpa_limit = UINT64_C(1) << 48;
    bench.space.hpa_limit = UINT64_C(40) << 30; /* the tables lie below that */
    CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, &bench.flush), HVPT_OK, "MAXPHYADDR");
    CHECK_EQ(leaves(&bench), check_pages(&bench, 0, 0, UINT64_C(40) << 30), "pages");
    close_bench(&bench);
}

/* ---- parts, elsewhere ---- */

Test(memtype, types_follow_the_host_address_wherever_the_guest_sees_it)
{
    static const struct {
        uint64_t gpa, hpa, size;
    } parts[] = {
        {UINT64_C(0x8000000000), 0, HVPT_4K},
        {UINT64_C(0x8000001000), UINT64_C(0x9f000), UINT64_C(0x80000)},
        {0, UINT64_C(0xbf800000), UINT64_C(0x41000000)},
        {UINT64_C(0x40000000), UINT64_C(0x80000000), UINT64_C(0x100000000)},
        {UINT64_C(0x40201000), UINT64_C(0xbfffe000), UINT64_C(0x50003000)},
        {UINT64_C(0x7fffff000), UINT64_C(0xfff000), UINT64_C(0x2000)},
    };
    static struct bench bench;

    for (unsigned npt = 0; npt < 2; npt++) {
        for (size_t number = 0; open_bench(&bench, number, npt ? PAT_FULL : 0); number++) {
            for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                CHECK_STATUS(hvpt_memtype_map(&bench.space, &bench.mtrr, hvpt_make_gpa(parts[i].gpa),
                                              hvpt_make_hpa(parts[i].hpa), parts[i].size, rwx, &bench.flush),
                             HVPT_OK, "map");
                CHECK_EQ(leaves(&bench), check_pages(&bench, parts[i].gpa, parts[i].hpa, parts[i].size), "pages");
                CHECK_STATUS(hvpt_space_unmap(&bench.space, hvpt_make_gpa(parts[i].gpa), parts[i].size, &bench.flush),
                             HVPT_OK, "unmap");
                hvpt_space_flush(&bench.space, &bench.flush);
            }
            close_bench(&bench);
        }
    }
}

Test(memtype, attributes_other_than_the_type_are_those_given)
{
    static struct bench bench;
    struct hvpt_attr attr = {HVPT_READ, (enum hvpt_memtype)77, HVPT_EPT_IGNORE_PAT, 9};
    struct hvpt_mapping mapping;

    CHECK(open_bench(&bench, 0, 0), "no machine");
    CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, attr, &bench.flush), HVPT_OK, "map");
    for (size_t i = 0; i < bench.count; i++) {
        CHECK_STATUS(hvpt_space_translate(&bench.space, hvpt_make_gpa(bench.ranges[i].start), &mapping), HVPT_OK,
                     "translate");
        CHECK_EQ(mapping.attr.perm, HVPT_READ, "permissions");
        CHECK_EQ(mapping.attr.flags, HVPT_EPT_IGNORE_PAT, "flags");
        CHECK_EQ(mapping.attr.software, 9, "software");
    }
    close_bench(&bench);
}

/* ---- failures ---- */

Test(memtype, bad_arguments_are_refused_before_anything_is_written)
{
    static struct bench bench;
    const uint64_t limit = UINT64_C(1) << 36;
    const struct {
        uint64_t gpa, hpa, size;
        uint32_t perm;
        enum hvpt_status wanted;
    } cases[] = {
        {0, 0, 0, HVPT_READ, HVPT_E_RANGE},
        {0, 0, limit + HVPT_4K, HVPT_READ, HVPT_E_RANGE},
        {0, limit, HVPT_4K, HVPT_READ, HVPT_E_RANGE},
        {0, limit - HVPT_4K, 2 * HVPT_4K, HVPT_READ, HVPT_E_RANGE},
        {0, UINT64_MAX - HVPT_4K + 1, HVPT_4K, HVPT_READ, HVPT_E_RANGE},
        {0, HVPT_4K, UINT64_MAX - HVPT_4K + 1, HVPT_READ, HVPT_E_RANGE},
        {UINT64_C(1) << 48, 0, HVPT_4K, HVPT_READ, HVPT_E_RANGE},
        {(UINT64_C(1) << 48) - HVPT_2M, 0, HVPT_1G, HVPT_READ, HVPT_E_RANGE},
        {UINT64_MAX - HVPT_4K + 1, 0, HVPT_1G, HVPT_READ, HVPT_E_RANGE},
        {1, 0, HVPT_4K, HVPT_READ, HVPT_E_ALIGN},
        {0, 1, HVPT_4K, HVPT_READ, HVPT_E_ALIGN},
        {0, 0, HVPT_1G + 1, HVPT_READ, HVPT_E_ALIGN},
        {0, 0, HVPT_1G, 0, HVPT_E_ATTR},
        {0, 0, HVPT_1G, HVPT_WRITE, HVPT_E_ATTR},
    };

    for (unsigned npt = 0; npt < 2; npt++) {
        CHECK(open_bench(&bench, 0, npt ? PAT_RESET : 0), "no machine");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct hvpt_attr attr = rwx;
            uint64_t stores = bench.memory.stores, allocations = bench.memory.allocations;

            attr.perm = cases[i].perm;
            check_context("case %zu", i);
            CHECK_STATUS(hvpt_memtype_map(&bench.space, &bench.mtrr, hvpt_make_gpa(cases[i].gpa),
                                          hvpt_make_hpa(cases[i].hpa), cases[i].size, attr, &bench.flush),
                         cases[i].wanted, "map");
            CHECK_EQ(bench.memory.stores, stores, "stores");
            CHECK_EQ(bench.memory.allocations, allocations, "allocations");
        }
        /* A space that reaches further than the MTRRs do. */
        bench.space.hpa_limit = UINT64_C(1) << 48;
        CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, limit + HVPT_4K, rwx, &bench.flush),
                     HVPT_E_RANGE, "a page too much");
        CHECK_STATUS(hvpt_memtype_map(&bench.space, &bench.mtrr, hvpt_make_gpa(0), hvpt_make_hpa(limit - HVPT_4K),
                                      2 * HVPT_4K, rwx, &bench.flush),
                     HVPT_E_RANGE, "half of it beyond");
        CHECK_EQ(leaves(&bench), 0, "pages");
        for (unsigned bits = 0; bits < 80; bits++) {
            bench.mtrr.maxphyaddr = bits;
            if (bits < 32 || bits > 52)
                CHECK_STATUS(hvpt_memtype_map(&bench.space, &bench.mtrr, hvpt_make_gpa(0), hvpt_make_hpa(0), HVPT_4K,
                                              rwx, &bench.flush),
                             HVPT_E_ATTR, "MAXPHYADDR");
        }
        close_bench(&bench);
    }
}

Test(memtype, a_pat_without_wb_cannot_leave_it_to_the_mtrrs)
{
    static struct bench bench;

    CHECK(open_bench(&bench, 0, PAT_NO_WB), "no machine");
    CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, &bench.flush), HVPT_E_ATTR, "map");
    CHECK_EQ(leaves(&bench), 0, "pages");
    close_bench(&bench);
}

/* In whichever piece the one mapped page lies. */
Test(memtype, a_page_in_the_way_is_found_before_anything_is_written)
{
    static struct bench bench;

    for (unsigned npt = 0; npt < 2; npt++) {
        CHECK(open_bench(&bench, 0, npt ? PAT_FULL : 0), "no machine");
        for (size_t i = 0; i < bench.count; i++) {
            hvpt_gpa last = hvpt_make_gpa(bench.ranges[i].end - HVPT_4K);
            struct hvpt_attr attr = rwx;
            uint64_t stores;

            attr.memtype = HVPT_MEM_WB;
            CHECK_STATUS(hvpt_space_map(&bench.space, last, hvpt_make_hpa(0), HVPT_4K, attr, &bench.flush), HVPT_OK,
                         "map");
            stores = bench.memory.stores;
            CHECK_STATUS(hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, &bench.flush), HVPT_E_EXISTS,
                         "map");
            CHECK_EQ(bench.memory.stores, stores, "stores");
            CHECK_EQ(leaves(&bench), 1, "pages");
            CHECK_STATUS(hvpt_space_unmap(&bench.space, last, HVPT_4K, &bench.flush), HVPT_OK, "unmap");
            hvpt_space_flush(&bench.space, &bench.flush);
        }
        close_bench(&bench);
    }
}

Test(memtype, a_space_for_reading_stays_as_it_is)
{
    static struct bench bench;
    static struct hvpt_space reader;

    CHECK(open_bench(&bench, 0, 0), "no machine");
    CHECK_STATUS(hvpt_space_adopt(&reader, &bench.memory.hooks, &bench.config, hvpt_space_root(&bench.space), true),
                 HVPT_OK, "adopt");
    CHECK_STATUS(hvpt_memtype_map_identity(&reader, &bench.mtrr, 0, rwx, &bench.flush), HVPT_E_READONLY, "map");
    hvpt_space_destroy(&reader);
    close_bench(&bench);
}

/* The n-th allocation fails, for every n there is: the space holds what it held, and no frame more. */
static void starve(uint64_t pat, bool own_flush)
{
    static struct bench bench;
    const uint64_t apart = UINT64_C(1) << 40; /* mapped before, and after */
    uint64_t size, live;
    bool undone = false;
    struct hvpt_attr attr = rwx;

    CHECK(open_bench(&bench, 0, pat), "no machine");
    attr.memtype = HVPT_MEM_WB;
    CHECK_STATUS(hvpt_space_map(&bench.space, hvpt_make_gpa(apart), hvpt_make_hpa(0), HVPT_4K, attr, NULL), HVPT_OK,
                 "map");
    size = UINT64_C(1) << bench.machine.maxphyaddr;
    live = bench.memory.live;
    for (uint64_t n = 1;; n++) {
        struct cpu_translation now;
        uint64_t flushes = bench.memory.flushes;
        enum hvpt_status status;

        bench.memory.fail_at = n;
        bench.memory.failures = 0;
        status = hvpt_memtype_map_identity(&bench.space, &bench.mtrr, 0, rwx, own_flush ? NULL : &bench.flush);
        bench.memory.fail_at = 0;
        look(&bench, apart, &now);
        CHECK_EQ(now.outcome, CPU_MAPPED, "the page beside");
        if (status == HVPT_OK) {
            CHECK(n > 3 && undone, "it took %llu frames", (unsigned long long)n - 1);
            CHECK_EQ(leaves(&bench), 1 + check_pages(&bench, 0, 0, size), "pages");
            break;
        }
        CHECK_STATUS(status, HVPT_E_NOMEM, "map");
        CHECK_EQ(bench.memory.failures, 1, "failed allocations");
        check_absent(&bench, 0, size);
        CHECK_EQ(leaves(&bench), 1, "pages");
        if (own_flush)
            undone = undone || bench.memory.flushes != flushes;
        else
            undone = undone || hvpt_flush_needed(&bench.flush);
        hvpt_space_flush(&bench.space, &bench.flush);
        CHECK_EQ(bench.memory.live, live, "frames");
    }
    close_bench(&bench);
}

Test(memtype, without_frames_nothing_is_mapped_in_ept)
{
    starve(0, false);
    starve(0, true);
}

Test(memtype, without_frames_nothing_is_mapped_in_npt)
{
    starve(PAT_FULL, false);
    starve(PAT_RESET, true);
}
