/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Draining the page-modification log: a log filled as the processor fills it (SDM vol. 3, "Page-Modification Logging"),
 * against a list of the pages that were written.
 */
#include "../hvpt/support/memory.h"
#include "../hvpt/support/rig.h"

#include <hvpt/intel/pml.h>

#include <criterion/criterion.h>
#include <string.h>

static struct hvpt_pml_page page;
static uint64_t bitmap[1024];

/* The processor: false if it exits instead (reason 62). */
static bool log_write(uint16_t *index, uint64_t gpa)
{
    if (*index > 511)
        return false;
    page.gpa[*index] = gpa & ~UINT64_C(0xfff);
    (*index)--;
    return true;
}

static unsigned bits_set(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof(bitmap) * 8; i++)
        count += bitmap[i / 64] >> (i % 64) & 1;
    return count;
}

static bool marked(unsigned i)
{
    return (bitmap[i / 64] >> (i % 64) & 1) != 0;
}

Test(pml, the_index_counts_down_to_ffff)
{
    static const struct {
        uint16_t index;
        unsigned count;
        bool full;
    } cases[] = {{511, 0, false}, {510, 1, false}, {1, 510, false}, {0, 511, false}, {0xffff, 512, true}};

    CHECK(sizeof(struct hvpt_pml_page) == 4096, "one page");
    CHECK_EQ(HVPT_PML_START, 511, "the index to begin with");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(hvpt_pml_count(cases[i].index), cases[i].count, "entries");
        CHECK_EQ(hvpt_pml_is_full(cases[i].index), cases[i].full, "full");
    }
}

Test(pml, every_number_of_entries_is_drained)
{
    for (unsigned n = 0; n <= 512; n++) {
        uint16_t index = HVPT_PML_START;
        struct hvpt_pml_report report;

        memset(&page, 0xa5, sizeof(page)); /* what was there before counts for nothing */
        memset(bitmap, 0, sizeof(bitmap));
        for (unsigned i = 0; i < n; i++)
            CHECK(log_write(&index, 0x40000000 + i * 3 * HVPT_4K + 0x123), "there is room");
        CHECK(n < 512 || !log_write(&index, 0), "then it is full");
        index = hvpt_pml_drain(&page, index, hvpt_make_gpa(0x40000000), 2048 * HVPT_4K, bitmap, &report);
        CHECK_EQ(index, HVPT_PML_START, "index");
        CHECK_EQ(report.logged, n, "logged");
        CHECK_EQ(report.outside, 0, "outside");
        CHECK_EQ(bits_set(), n, "bits");
        for (unsigned i = 0; i < n; i++)
            CHECK(marked(3 * i), "page %u", 3 * i);
    }
}

/* Two ranges, drained in turn; entries of neither stay, in their order, and nothing is lost or told twice. */
Test(pml, what_is_outside_the_range_stays_in_the_log)
{
    struct random_stream random = {3};

    for (unsigned round = 0; round < 200; round++) {
        uint16_t index = HVPT_PML_START;
        uint64_t outside[512];
        unsigned wanted[2] = {0, 0}, left = 0, n = (unsigned)random_below(&random, 513);
        struct hvpt_pml_report report;

        for (unsigned i = 0; i < n; i++) {
            uint64_t gpa = random_below(&random, 4) * HVPT_1G + random_below(&random, 64) * HVPT_4K;

            (void)log_write(&index, gpa);
            if (gpa / HVPT_1G < 2)
                wanted[gpa / HVPT_1G]++;
            else
                outside[left++] = gpa;
        }
        for (unsigned range = 0; range < 2; range++) {
            memset(bitmap, 0, sizeof(bitmap));
            index = hvpt_pml_drain(&page, index, hvpt_make_gpa(range * HVPT_1G), HVPT_1G, bitmap, &report);
            CHECK_EQ(report.logged, wanted[range], "logged");
            CHECK_EQ(report.outside, left + (range == 0 ? wanted[1] : 0), "outside");
            CHECK_EQ(hvpt_pml_count(index), report.outside, "entries that stay");
        }
        for (unsigned i = 0; i < left; i++)
            CHECK_EQ(page.gpa[511 - i], outside[i], "in their order");
    }
}

Test(pml, a_log_full_of_other_pages_stays_full)
{
    uint16_t index = HVPT_PML_START;
    struct hvpt_pml_report report;

    while (log_write(&index, HVPT_1G)) {
    }
    CHECK_EQ(hvpt_pml_drain(&page, index, hvpt_make_gpa(0), HVPT_1G, bitmap, &report), 0xffff, "index");
    CHECK_EQ(report.outside, 512, "outside");
    CHECK_EQ(bits_set(), 0, "bits");
    CHECK_EQ(page.gpa[0], HVPT_1G, "the last entry");
}

/* Ends of the range, the bitmap's words, and addresses at the top: nothing wraps. */
Test(pml, borders)
{
    static const uint64_t gpa[] = {
        0x7ffff000, 0x80000000, 0x8003f000, 0x80040000, 0x800ff000, 0x80100000, UINT64_C(0xfffffffffffff000)};
    uint16_t index = HVPT_PML_START;
    struct hvpt_pml_report report;

    for (size_t i = 0; i < sizeof(gpa) / sizeof(gpa[0]); i++)
        (void)log_write(&index, gpa[i]);
    bitmap[1] = UINT64_C(1) << 63;
    index = hvpt_pml_drain(&page, index, hvpt_make_gpa(0x80000000), 0x100000, bitmap, &report);
    CHECK(report.logged == 4 && report.outside == 3, "%u in, %u out", report.logged, report.outside);
    CHECK_EQ(bitmap[0], UINT64_C(1) | UINT64_C(1) << 63, "word 0");
    CHECK_EQ(bitmap[1], UINT64_C(1) | UINT64_C(1) << 63, "word 1: its other bits are left");
    CHECK_EQ(bitmap[3], UINT64_C(1) << 63, "word 3");
    memset(bitmap, 0, sizeof(bitmap));
    index = hvpt_pml_drain(&page, index, hvpt_make_gpa(UINT64_C(0xfffffffffffff000)), HVPT_4K, bitmap, &report);
    CHECK_EQ(report.logged, 1, "the topmost page");
    /* bits 11:0, which the manual has as 0, are not part of the page's number */
    page.gpa[511] = 0x1fff;
    (void)hvpt_pml_drain(&page, 510, hvpt_make_gpa(0x1000), HVPT_4K, bitmap, &report);
    CHECK_EQ(report.logged, 1, "an entry with an offset");
    page.gpa[511] = 0x5fff;
    (void)hvpt_pml_drain(&page, 510, hvpt_make_gpa(0x1000), HVPT_4K, bitmap, &report);
    CHECK_EQ(page.gpa[511], 0x5000, "an entry with an offset that stays");
}

/* ---- into the dirty bits ---- */

static const struct setup with_bits = {
    .name = "EPT with accessed and dirty bits",
    .adapter = &ept_adapter,
    .config = {.features = HVPT_EPT_USE_ACCESSED_DIRTY},
    .cpu = {.kind = CPU_EPT, .levels = 4, .maxphyaddr = 52, .page_2m = true, .page_1g = true, .accessed_dirty = true},
};

static bool is_dirty(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    CHECK(now.outcome == CPU_MAPPED, "mapped");
    return now.dirty;
}

/* The guest writes, and the processor logs if that set a dirty bit. */
static void guest_writes(struct rig *rig, uint16_t *index, uint64_t gpa)
{
    bool before = is_dirty(rig, gpa);

    rig_touch(rig, gpa, CPU_WRITE);
    if (!before)
        CHECK(log_write(index, gpa), "there is room");
}

Test(pml, pages_that_were_logged_are_clean_afterwards_and_no_others)
{
    const uint64_t base = HVPT_1G;
    uint16_t index = HVPT_PML_START;
    struct hvpt_pml_report report;
    struct hvpt_flush flush = {0};
    struct rig rig;

    rig_open(&rig, &with_bits);
    CHECK_STATUS(rig_map(&rig, base, 0x100001000, 0x40000, rig_data(&rig)), HVPT_OK, "map small pages");
    CHECK_STATUS(rig_map(&rig, base + HVPT_2M, 0x200000000, 2 * HVPT_2M, rig_data(&rig)), HVPT_OK, "map large pages");
    guest_writes(&rig, &index, base + 0x3008);
    guest_writes(&rig, &index, base + 0x3010);
    guest_writes(&rig, &index, base + 0x8000);
    guest_writes(&rig, &index, base + HVPT_2M + 0x5000);
    rig_touch(&rig, base + 0x9000, CPU_WRITE); /* dirty, but not in the log: another vCPU's, say */
    CHECK_EQ(hvpt_pml_count(index), 3, "entries");
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(base), 2 * HVPT_2M, bitmap, &flush,
                                &report),
                 HVPT_OK, "dirty");
    CHECK(report.logged == 3 && report.outside == 0 && report.corrupt == 0, "report");
    CHECK_EQ(index, HVPT_PML_START, "index");
    CHECK(!is_dirty(&rig, base + 0x3000) && !is_dirty(&rig, base + 0x8000), "small pages are clean");
    CHECK(is_dirty(&rig, base + 0x9000), "what was not logged is left alone");
    CHECK(!is_dirty(&rig, base + HVPT_2M), "the large page is clean");
    CHECK_EQ(bits_set(), 2 + 512, "bits: two small pages and all of the large one");
    CHECK(marked(3) && marked(8) && marked(512) && marked(1023), "which");
    CHECK(hvpt_flush_needed(&flush), "a CPU may have cached that they are dirty");
    hvpt_space_flush(&rig.space, &flush);
    tlb_check(&rig.tlb);

    /* The next write to each is logged again: also to another part of the large page. */
    guest_writes(&rig, &index, base + 0x3000);
    guest_writes(&rig, &index, base + HVPT_2M + 0x7000);
    CHECK_EQ(hvpt_pml_count(index), 2, "entries, after the flush");

    /* A large page that sticks out of the range: its part is reported, and it stays dirty. */
    memset(bitmap, 0, sizeof(bitmap));
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(base), HVPT_2M + 0x10000, bitmap,
                                NULL, &report),
                 HVPT_OK, "dirty");
    CHECK_EQ(bits_set(), 1 + 16, "bits");
    CHECK(is_dirty(&rig, base + HVPT_2M), "it stays dirty");

    /* Logged and then unmapped: told, and nothing to clean. */
    memset(bitmap, 0, sizeof(bitmap));
    guest_writes(&rig, &index, base + 0x4000);
    CHECK_STATUS(rig_unmap(&rig, base + 0x4000, HVPT_4K), HVPT_OK, "unmap");
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(base), HVPT_2M, bitmap, NULL,
                                &report),
                 HVPT_OK, "dirty");
    CHECK(report.logged == 1 && marked(4) && bits_set() == 1, "told");
    rig_recount(&rig);
    rig_close(&rig);
}

Test(pml, arguments_are_judged_before_anything_is_changed)
{
    static const struct setup without = {
        .name = "EPT without accessed and dirty bits",
        .adapter = &ept_adapter,
        .cpu = {.kind = CPU_EPT, .levels = 4, .maxphyaddr = 52, .page_2m = true, .page_1g = true},
    };
    uint16_t index = HVPT_PML_START;
    struct hvpt_pml_report report;
    struct hvpt_space reader;
    struct hvpt_ept_config config = {.features = HVPT_EPT_USE_ACCESSED_DIRTY};
    struct cpu_translation now;
    struct rig rig;

    (void)log_write(&index, 0);
    rig_open(&rig, &without);
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                 HVPT_E_ATTR, "without dirty bits");
    rig_close(&rig);
    rig_open(&rig, setup_named("NPT, all defaults"));
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                 HVPT_E_ATTR, "not EPT");
    rig_close(&rig);
    rig_open(&rig, &with_bits);
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(1), HVPT_4K, bitmap, NULL, &report),
                 HVPT_E_ALIGN, "misaligned");
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(0), 0, bitmap, NULL, &report),
                 HVPT_E_RANGE, "empty");
    CHECK_STATUS(hvpt_ept_adopt(&reader, &rig.memory.hooks, &config, hvpt_space_root(&rig.space), true), HVPT_OK,
                 "adopt");
    CHECK_STATUS(hvpt_pml_dirty(&reader, &page, &index, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                 HVPT_E_READONLY, "for reading only");
    CHECK_EQ(index, 510, "the log is as it was");

    /* A table that phys_to_virt does not know: the page is told all the same. */
    CHECK_STATUS(rig_map(&rig, 0, 0, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 0, CPU_PROBE, &now);
    rig.memory.lenient = true;
    memory_poke(now.table[1], now.index[1], 0x2007);
    CHECK_STATUS(hvpt_pml_dirty(&rig.space, &page, &index, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                 HVPT_OK, "dirty");
    CHECK(report.logged == 1 && report.corrupt == 1 && marked(0), "told, and counted");
    memory_poke(now.table[1], now.index[1], now.table[0]->pa | 7);
    rig_close(&rig);
}
