/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The G-stage's register, entries and refusals against the Privileged Architecture ("hgatp", "Sv39", "Svpbmt",
 * "Svnapot"), written out by hand.
 */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOST UINT64_C(0x100000000)

static uint64_t entry_at(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    return now.entry;
}

Test(gstage, hgatp_has_the_mode_and_the_page_number_of_a_root_of_16_kib)
{
    for (unsigned mode = 8; mode <= 10; mode++) {
        struct setup setup = *setup_named("G-stage, Sv39x4, no extensions");
        struct rig rig;

        setup.config.mode = mode;
        setup.cpu.levels = mode - 5;
        setup.cpu.gpa_bits = mode == 8 ? 41 : mode == 9 ? 50 : 59;
        setup.config.max_page_size = HVPT_1G;
        rig_open(&rig, &setup);
        CHECK_EQ(rig.memory.flush_root >> 60, mode, "MODE");
        CHECK_EQ((rig.memory.flush_root >> 44) & 0xffff, 0, "VMID and what is reserved");
        CHECK_EQ(memory_frame(&rig.memory, (rig.memory.flush_root & UINT64_C(0xfffffffffff)) << 12)->order, 2, "order");
        rig_check(&rig);
        rig_close(&rig);
    }
}

/* Sv48 has pages of 512 GiB, Sv57 of 256 TiB. */
Test(gstage, the_largest_pages_of_each_mode_are_used)
{
    for (unsigned mode = 8; mode <= 10; mode++) {
        struct setup setup = *setup_named("G-stage, Sv39x4, no extensions");
        uint64_t page = HVPT_1G << (9 * (mode - 8));
        struct hvpt_mapping mapping;
        struct rig rig;

        setup.config.mode = mode;
        setup.cpu.levels = mode - 5;
        setup.cpu.gpa_bits = mode == 8 ? 41 : mode == 9 ? 50 : 59;
        rig_open(&rig, &setup);
        CHECK_STATUS(rig.adapter->map(&rig.space, page, 2 * page, 2 * page, attr_rwx(), NULL), HVPT_OK, "map");
        CHECK_STATUS(rig.adapter->translate(&rig.space, page + 5, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.page_size, page, "page size");
        CHECK_EQ(rig_page_size(&rig, 2 * page), page, "the processor's");
        CHECK_EQ(entry_at(&rig, page), (2 * page >> 12) << 10 | 0xdf, "V, R, W, X, U, A and D");
        CHECK_STATUS(rig.adapter->unmap(&rig.space, page, 2 * page, NULL), HVPT_OK, "unmap");
        rig_close(&rig);
    }
}

Test(gstage, every_attribute_is_where_the_manual_has_it)
{
    static const struct {
        struct hvpt_attr attr;
        uint64_t wanted;
    } cases[] = {
        {{HVPT_READ, HVPT_MEM_WB, 0, 0}, 0x13},
        {{HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0}, 0x17},
        {{HVPT_EXEC, HVPT_MEM_WB, 0, 0}, 0x19},
        {{HVPT_READ, HVPT_MEM_WB, HVPT_ACCESSED, 0}, 0x53},
        {{HVPT_READ, HVPT_MEM_WB, HVPT_DIRTY, 0}, 0x93},
        {{HVPT_READ, HVPT_MEM_WC, 0, 0}, 0x13 | UINT64_C(1) << 61},
        {{HVPT_READ, HVPT_MEM_UC, 0, 0}, 0x13 | UINT64_C(2) << 61},
        {{HVPT_READ, HVPT_MEM_WB, 0, 1}, 0x213},
    };
    struct rig rig;

    rig_open(&rig, setup_named("G-stage, Sv48x4, Svpbmt, Svnapot, Svadu"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t gpa = i * HVPT_64K;

        CHECK_STATUS(rig_map(&rig, gpa, HOST, HVPT_4K, cases[i].attr), HVPT_OK, "map");
        CHECK_EQ(entry_at(&rig, gpa), cases[i].wanted | HOST >> 2, "the entry");
    }
    /* N, and 1000 in the low four bits of the page number: in all sixteen entries. */
    CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, HVPT_64K, rig_data(&rig)), HVPT_OK, "map");
    for (uint64_t page = 0; page < 16; page++)
        CHECK_EQ(entry_at(&rig, HVPT_1G + page * HVPT_4K), UINT64_C(1) << 63 | HOST >> 2 | 8 << 10 | 0x17, "NAPOT");
    rig_check(&rig);
    rig_close(&rig);
}

static bool flushed_tables;

static void note_tables(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx;
    flushed_tables = flush->tables;
}

/*
 * "Supervisor Memory-Management Fence Instruction": a fence of an address may leave non-leaf entries unordered, so who
 * links a table where a hart may have seen none owes the other kind.
 */
Test(gstage, a_flush_after_map_tells_whether_tables_were_linked)
{
    void (*flush)(void *ctx, const struct hvpt_flush *flush);
    struct rig rig;

    rig_open(&rig, setup_named("G-stage, Sv39x4, no extensions"));
    rig.owing = true;
    CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    CHECK(rig.flush.kind == HVPT_FLUSH_HFENCE && rig.flush.tables, "tables were linked");
    rig_flush(&rig);
    rig.owing = true;
    CHECK_STATUS(rig_map(&rig, HVPT_1G + HVPT_4K, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    CHECK(rig.flush.kind == HVPT_FLUSH_HFENCE && !rig.flush.tables, "none was linked");
    rig_flush(&rig);
    flush = rig.memory.hooks.flush;
    rig.memory.hooks.flush = note_tables;
    CHECK_STATUS(rig.adapter->fault_map(&rig.space, 2 * HVPT_1G, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "fault_map");
    CHECK(flushed_tables, "tables were linked");
    rig.memory.hooks.flush = flush;
    CHECK_STATUS(rig.adapter->unmap(&rig.space, 2 * HVPT_1G, HVPT_4K, NULL), HVPT_OK, "unmap");
    rig_close(&rig);
}

Test(gstage, what_is_no_hgatp_or_no_hart_is_refused)
{
    const struct setup *setup = setup_named("G-stage, Sv39x4, Svadu, 4K pages only, guarded tables");
    struct hvpt_gstage_config config = {0};
    struct hvpt_space gstage;
    struct rig rig;

    rig_open(&rig, setup);
    config.maxphyaddr = 40;
    CHECK_STATUS(hvpt_gstage_adopt(&gstage, &rig.memory.hooks, &config, 0, true), HVPT_E_ATTR, "Bare");
    CHECK_STATUS(hvpt_gstage_adopt(&gstage, &rig.memory.hooks, &config, UINT64_C(7) << 60, true), HVPT_E_ATTR,
                 "mode 7");
    CHECK_STATUS(hvpt_gstage_adopt(&gstage, &rig.memory.hooks, &config, UINT64_C(11) << 60, true), HVPT_E_ATTR, "11");
    CHECK_STATUS(hvpt_gstage_adopt(&gstage, &rig.memory.hooks, &config, UINT64_C(8) << 60 | 5, true), HVPT_E_ALIGN,
                 "a root of 4 KiB");
    CHECK_STATUS(hvpt_gstage_adopt(&gstage, &rig.memory.hooks, &config, UINT64_C(8) << 60 | UINT64_C(1) << 28, true),
                 HVPT_E_RANGE, "beyond 40 bits");
    config.mode = 7;
    CHECK_STATUS(hvpt_gstage_init(&gstage, &rig.memory.hooks, &config), HVPT_E_CONFIG, "mode 7");
    config.mode = 0;
    config.maxphyaddr = 31;
    CHECK_STATUS(hvpt_gstage_init(&gstage, &rig.memory.hooks, &config), HVPT_E_CONFIG, "31 bits");
    config.maxphyaddr = 0;
    CHECK_STATUS(hvpt_gstage_init(&gstage, &rig.memory.hooks, &config), HVPT_OK, "the usual");
    CHECK_EQ(hvpt_space_root(&gstage) >> 60, 9, "its mode");
    hvpt_space_destroy(&gstage);
    rig_close(&rig);
}
