/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Stage 2's registers, descriptors and refusals against tables made by hand from the Arm ARM ("VTCR_EL2",
 * "VMSAv8-64 translation table format descriptors", "ID_AA64MMFR0_EL1" to "ID_AA64MMFR2_EL1").
 */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOST UINT64_C(0x100000000)

static unsigned got_order;
static _Alignas(1 << 20) unsigned char arena[1 << 20];

static bool give(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    got_order = order;
    out->value = 0; /* the linear map begins at the arena */
    return true;
}

static void take(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    CHECK(frame.value == 0 && order == got_order, "%#llx came back with order %u", (unsigned long long)frame.value,
          order);
}

static const struct hvpt_hooks hooks = {.alloc_frame = give, .free_frame = take, .linear_map = arena};

/* The hooks' space lives in an arena that no rig knows of. */
static enum hvpt_status open_s2(struct hvpt_space *s2, const struct hvpt_s2_config *config)
{
    memory_observe(NULL);
    return hvpt_s2_init(s2, &hooks, config);
}

static uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
    return (word >> low) & ((UINT64_C(2) << (high - low)) - 1);
}

/*
 * From the table of initial lookup levels: with up to 16 root tables side by side, this is the start for IPA sizes low
 * to high; one root table resolves alone bits of address.
 */
static const struct {
    unsigned granule, low, high, sl0, sl2, alone, levels;
    bool lpa2;
} starts[] = {
    {12, 32, 34, 0, 0, 30, 2, false}, {12, 35, 43, 1, 0, 39, 3, false}, {12, 44, 48, 2, 0, 48, 4, false},
    {12, 44, 52, 2, 0, 48, 4, true},  {14, 32, 40, 1, 0, 36, 2, false}, {14, 41, 48, 2, 0, 47, 3, false},
    {14, 41, 51, 2, 0, 47, 3, true},  {14, 52, 52, 3, 0, 58, 4, true},  {16, 32, 33, 0, 0, 29, 1, false},
    {16, 34, 46, 1, 0, 42, 2, false}, {16, 47, 52, 2, 0, 55, 3, false},
};

Test(stage2, vtcr_has_the_start_level_of_the_manuals_table_for_every_geometry)
{
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (unsigned ipa = starts[i].low; ipa <= starts[i].high; ipa++) {
            struct hvpt_s2_config config = {.granule_shift = starts[i].granule, .ipa_bits = ipa};
            unsigned wanted = starts[i].granule - 12;
            struct hvpt_stats stats;
            struct hvpt_space s2;
            uint64_t vtcr;

            check_context("granule %u, IPA %u, row %zu", starts[i].granule, ipa, i);
            if (starts[i].lpa2)
                config.features = HVPT_S2_USE_LPA2;
            CHECK_STATUS(open_s2(&s2, &config), HVPT_OK, "init");
            vtcr = hvpt_s2_vtcr(&s2);
            CHECK_EQ(bits(vtcr, 5, 0), 64 - ipa, "T0SZ");
            CHECK_EQ(bits(vtcr, 7, 6), starts[i].sl0, "SL0");
            CHECK_EQ(bits(vtcr, 9, 8), 1, "IRGN0");
            CHECK_EQ(bits(vtcr, 11, 10), 1, "ORGN0");
            CHECK_EQ(bits(vtcr, 13, 12), 3, "SH0");
            CHECK_EQ(bits(vtcr, 15, 14), starts[i].granule == 12 ? 0 : starts[i].granule == 14 ? 2 : 1, "TG0");
            CHECK_EQ(bits(vtcr, 18, 16), starts[i].lpa2 || starts[i].granule == 16 ? 6 : 5, "PS");
            CHECK_EQ(bits(vtcr, 30, 19), 0, "VS, HA, HD and what no config asked for");
            CHECK_EQ(bits(vtcr, 31, 31), 1, "RES1");
            CHECK_EQ(bits(vtcr, 32, 32), starts[i].lpa2, "DS");
            CHECK_EQ(bits(vtcr, 33, 33), starts[i].sl2, "SL2");
            CHECK_EQ(vtcr >> 34, 0, "the rest");
            if (ipa > starts[i].alone)
                wanted += ipa - starts[i].alone;
            CHECK_EQ(got_order, wanted, "order of the root");
            hvpt_space_stats(&s2, &stats);
            CHECK_EQ(stats.tables[starts[i].levels - 1], 1, "tables at the root's level");
            hvpt_space_destroy(&s2);
        }
    }
}

Test(stage2, a_deeper_tree_than_need_be_starts_higher)
{
    static const struct {
        unsigned granule, ipa, levels;
        uint32_t features;
        unsigned sl0, sl2;
    } deeper[] = {
        {12, 34, 3, 0, 1, 0},
        {12, 40, 4, 0, 2, 0},
        {12, 52, 5, HVPT_S2_USE_LPA2, 0, 1},
        {12, 49, 5, HVPT_S2_USE_LPA2, 0, 1},
        {14, 40, 3, 0, 2, 0},
        {14, 51, 4, HVPT_S2_USE_LPA2, 3, 0},
        {16, 33, 2, 0, 1, 0},
        {16, 46, 3, 0, 2, 0},
    };

    for (size_t i = 0; i < sizeof(deeper) / sizeof(deeper[0]); i++) {
        struct hvpt_s2_config config = {.granule_shift = deeper[i].granule,
                                        .ipa_bits = deeper[i].ipa,
                                        .levels = deeper[i].levels,
                                        .features = deeper[i].features};
        struct hvpt_space s2;

        check_context("row %zu", i);
        CHECK_STATUS(open_s2(&s2, &config), HVPT_OK, "init");
        CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 7, 6), deeper[i].sl0, "SL0");
        CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 33, 33), deeper[i].sl2, "SL2");
        hvpt_space_destroy(&s2);
    }
}

Test(stage2, vtcr_says_what_was_configured)
{
    static const unsigned widths[] = {32, 36, 40, 42, 44, 48};
    struct hvpt_s2_config config = {.features =
                                        HVPT_S2_USE_VMID16 | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY};
    struct hvpt_space s2;

    CHECK_STATUS(open_s2(&s2, &config), HVPT_OK, "init");
    CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 19, 19), 1, "VS");
    CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 21, 21), 1, "HA");
    CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 22, 22), 1, "HD");
    hvpt_space_destroy(&s2);
    for (unsigned code = 1; code < 6; code++) {
        struct hvpt_s2_config small = {.ipa_bits = widths[code], .mmfr0 = code};

        CHECK_STATUS(open_s2(&s2, &small), HVPT_OK, "an IPA size of all that PARange has");
        CHECK_EQ(bits(hvpt_s2_vtcr(&s2), 18, 16), code, "PS");
        hvpt_space_destroy(&s2);
        small.ipa_bits++;
        CHECK_STATUS(open_s2(&s2, &small), HVPT_E_ATTR, "one bit more");
    }
}

#define G4(first, second)  ((uint64_t)(first) << 28 | (uint64_t)(second) << 40 | 6)
#define G16(first, second) ((uint64_t)(first) << 20 | (uint64_t)(second) << 32 | 6)
#define G64(first, second) ((uint64_t)(first) << 24 | (uint64_t)(second) << 36 | 6)

Test(stage2, what_an_id_register_denies_is_refused)
{
    /* ID_AA64MMFR0_EL1: TGran4 31:28 (15: no), TGran64 27:24 (15: no), TGran16 23:20 (0: no); _2 fields 43:32 (1: no). */
    static const struct {
        struct hvpt_s2_config config;
        enum hvpt_status wanted; /* HVPT_E_ATTR: this CPU cannot; HVPT_E_CONFIG: none can */
    } cases[] = {
        {{.granule_shift = 12, .mmfr0 = G4(0, 0)}, HVPT_OK},
        {{.granule_shift = 12, .mmfr0 = G4(15, 0)}, HVPT_E_ATTR},
        {{.granule_shift = 12, .mmfr0 = G4(15, 2)}, HVPT_OK},
        {{.granule_shift = 12, .mmfr0 = G4(0, 1)}, HVPT_E_ATTR},
        {{.granule_shift = 12, .mmfr0 = G4(0, 0), .features = HVPT_S2_USE_LPA2}, HVPT_E_ATTR},
        {{.granule_shift = 12, .mmfr0 = G4(1, 0), .features = HVPT_S2_USE_LPA2}, HVPT_OK},
        {{.granule_shift = 12, .mmfr0 = G4(1, 2), .features = HVPT_S2_USE_LPA2}, HVPT_E_ATTR},
        {{.granule_shift = 12, .mmfr0 = G4(1, 3), .features = HVPT_S2_USE_LPA2}, HVPT_OK},
        {{.granule_shift = 14, .mmfr0 = G16(0, 0)}, HVPT_E_ATTR},
        {{.granule_shift = 14, .mmfr0 = G16(1, 0)}, HVPT_OK},
        {{.granule_shift = 14, .mmfr0 = G16(0, 2)}, HVPT_OK},
        {{.granule_shift = 14, .mmfr0 = G16(1, 1)}, HVPT_E_ATTR},
        {{.granule_shift = 14, .mmfr0 = G16(1, 0), .features = HVPT_S2_USE_LPA2}, HVPT_E_ATTR},
        {{.granule_shift = 14, .mmfr0 = G16(2, 0), .features = HVPT_S2_USE_LPA2}, HVPT_OK},
        {{.granule_shift = 14, .mmfr0 = G16(2, 3), .features = HVPT_S2_USE_LPA2}, HVPT_OK},
        {{.granule_shift = 16, .mmfr0 = G64(0, 0)}, HVPT_OK},
        {{.granule_shift = 16, .mmfr0 = G64(15, 0)}, HVPT_E_ATTR},
        {{.granule_shift = 16, .mmfr0 = G64(15, 2)}, HVPT_OK},
        {{.granule_shift = 16, .mmfr0 = G64(0, 1)}, HVPT_E_ATTR},
        /* ID_AA64MMFR1_EL1: HAFDBS 3:0, VMIDBits 7:4, XNX 31:28; ID_AA64MMFR2_EL1: FWB 43:40. */
        {{.mmfr1 = 1, .features = HVPT_S2_USE_HARDWARE_AF}, HVPT_OK},
        {{.mmfr1 = 0x20, .features = HVPT_S2_USE_HARDWARE_AF}, HVPT_E_ATTR},
        {{.mmfr1 = 1, .features = HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY}, HVPT_E_ATTR},
        {{.mmfr1 = 2, .features = HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY}, HVPT_OK},
        {{.features = HVPT_S2_USE_HARDWARE_DIRTY}, HVPT_E_ATTR},
        {{.mmfr1 = 0x20, .features = HVPT_S2_USE_VMID16}, HVPT_OK},
        {{.mmfr1 = 0x02, .features = HVPT_S2_USE_VMID16}, HVPT_E_ATTR},
        {{.mmfr1 = 0x10000000, .features = HVPT_S2_USE_XNX}, HVPT_OK},
        {{.mmfr1 = 0x00000002, .features = HVPT_S2_USE_XNX}, HVPT_E_ATTR},
        {{.mmfr2 = UINT64_C(1) << 40, .features = HVPT_S2_USE_FWB}, HVPT_OK},
        {{.mmfr2 = 1, .features = HVPT_S2_USE_FWB}, HVPT_E_ATTR},
        {{.mmfr0 = 5, .features = HVPT_S2_USE_FWB}, HVPT_E_ATTR},
        {{.mmfr0 = 7}, HVPT_OK}, /* more than 52 bits: 52 are used, here 48 */
        /* No geometry. */
        {{.granule_shift = 13}, HVPT_E_CONFIG},
        {{.granule_shift = 16, .features = HVPT_S2_USE_LPA2}, HVPT_E_CONFIG},
        {{.ipa_bits = 31}, HVPT_E_CONFIG},
        {{.ipa_bits = 49}, HVPT_E_CONFIG},
        {{.ipa_bits = 53, .features = HVPT_S2_USE_LPA2}, HVPT_E_CONFIG},
        {{.ipa_bits = 40, .levels = 2}, HVPT_E_CONFIG},
        {{.ipa_bits = 39, .levels = 4}, HVPT_E_CONFIG},
        {{.ipa_bits = 40, .levels = 5}, HVPT_E_CONFIG},
        {{.granule_shift = 14, .ipa_bits = 48, .levels = 4}, HVPT_E_CONFIG},
        {{.granule_shift = 14, .ipa_bits = 48, .levels = 5}, HVPT_E_CONFIG},
        {{.granule_shift = 16, .ipa_bits = 48, .levels = 4}, HVPT_E_CONFIG},
        /* VTCR_EL2.SL0: a start that is reserved where PARange is small. */
        {{.mmfr0 = 2, .ipa_bits = 40, .levels = 4}, HVPT_E_ATTR},
        {{.granule_shift = 14, .mmfr0 = 2 | 1 << 20, .ipa_bits = 40, .levels = 3}, HVPT_E_ATTR},
        {{.granule_shift = 14, .mmfr0 = 3 | 1 << 20, .ipa_bits = 40, .levels = 3}, HVPT_OK},
        {{.granule_shift = 16, .mmfr0 = 3, .ipa_bits = 42, .levels = 3}, HVPT_E_CONFIG},
        {{.max_page_size = HVPT_1G}, HVPT_OK},
        {{.max_page_size = HVPT_512G}, HVPT_E_CONFIG},
        {{.max_page_size = HVPT_512G, .features = HVPT_S2_USE_LPA2}, HVPT_OK},
        {{.max_page_size = HVPT_32M}, HVPT_E_CONFIG},
        {{.features = 1 << 8}, HVPT_E_CONFIG},
        {{.features = HVPT_S2_USE_BBM2}, HVPT_OK},
        {{.mmfr0 = 5, .mmfr2 = UINT64_C(1) << 52, .features = HVPT_S2_USE_BBM2}, HVPT_E_ATTR}, /* ID_AA64MMFR2_EL1.BBM */
        {{.mmfr0 = 5, .mmfr2 = UINT64_C(2) << 52, .features = HVPT_S2_USE_BBM2}, HVPT_OK},
        {{.policy = 16}, HVPT_E_CONFIG},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvpt_space s2;

        check_context("row %zu", i);
        CHECK_STATUS(open_s2(&s2, &cases[i].config), cases[i].wanted, "init");
        if (cases[i].wanted == HVPT_OK)
            hvpt_space_destroy(&s2);
    }
}

/* The root of a space with 52-bit addresses: bits 51:48 in 5:2, and a frame that the PA size cannot hold. */
Test(stage2, a_vttbr_is_parsed_or_refused)
{
    const struct hvpt_s2_config narrow = {.mmfr0 = 2}, wide = {.granule_shift = 16, .ipa_bits = 48};
    struct hvpt_space s2;

    memory_observe(NULL);
    memset(arena, 0, sizeof(arena));
    CHECK_STATUS(hvpt_s2_adopt(&s2, &hooks, &narrow, UINT64_C(1) << 48 | 1, true), HVPT_OK, "VMID and CnP");
    CHECK_EQ(hvpt_space_root(&s2), UINT64_C(1) << 48 | 1, "the register, whole: a flush is by VMID");
    CHECK_STATUS(hvpt_s2_adopt(&s2, &hooks, &narrow, 0x1000, true), HVPT_E_ALIGN, "two tables side by side");
    CHECK_STATUS(hvpt_s2_adopt(&s2, &hooks, &narrow, UINT64_C(1) << 40, true), HVPT_E_RANGE, "beyond 40 bits");
    CHECK_STATUS(hvpt_s2_adopt(&s2, &hooks, &(struct hvpt_s2_config) {.granule_shift = 13}, 0, true), HVPT_E_CONFIG,
                 "a granule that is none");
    CHECK_STATUS(hvpt_s2_adopt(&s2, &hooks, &wide, UINT64_C(0x10000) | 15 << 2, true), HVPT_OK, "bits 51:48");
    CHECK_EQ(s2.root_frame, UINT64_C(0xf000000010000), "the root");
    CHECK_EQ(hvpt_space_root(&s2), UINT64_C(0x10000) | 15 << 2, "VTTBR_EL2");
}

/* A page's descriptor, attribute by attribute. */
Test(stage2, every_attribute_is_where_the_manual_has_it)
{
    static const struct {
        uint32_t features;
        struct hvpt_attr attr;
        uint64_t wanted; /* without the address, valid, page and AF bits */
    } cases[] = {
        {0, {HVPT_READ, HVPT_MEM_WB, 0, 0}, 3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(1) << 54},
        {0, {HVPT_WRITE, HVPT_MEM_WB, 0, 0}, 3 << 8 | 15 << 2 | 2 << 6 | UINT64_C(1) << 54},
        {0, {7, HVPT_MEM_UC, 0, 0}, 3 << 8 | 1 << 2 | 3 << 6},
        {0, {7, HVPT_MEM_WC, HVPT_S2_OUTER_SHAREABLE, 0}, 2 << 8 | 5 << 2 | 3 << 6},
        {0, {7, HVPT_MEM_WT, HVPT_S2_NON_SHAREABLE, 2}, 10 << 2 | 3 << 6 | UINT64_C(2) << 55},
        {HVPT_S2_USE_FWB, {7, HVPT_MEM_WB, 0, 0}, 3 << 8 | 6 << 2 | 3 << 6},
        {HVPT_S2_USE_XNX, {HVPT_READ | HVPT_EXEC, HVPT_MEM_WB, 0, 0}, 3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(3) << 53},
        {HVPT_S2_USE_XNX,
         {HVPT_READ | HVPT_EXEC_USER, HVPT_MEM_WB, 0, 0},
         3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(1) << 53},
        {HVPT_S2_USE_XNX, {HVPT_READ, HVPT_MEM_WB, 0, 0}, 3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(2) << 53},
        {HVPT_S2_USE_XNX, {13, HVPT_MEM_WB, 0, 0}, 3 << 8 | 15 << 2 | 1 << 6},
        {HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY,
         {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, HVPT_ACCESSED, 0},
         3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(1) << 51 | UINT64_C(1) << 54},
        {HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY,
         {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, HVPT_ACCESSED | HVPT_DIRTY, 0},
         3 << 8 | 15 << 2 | 3 << 6 | UINT64_C(1) << 51 | UINT64_C(1) << 54},
        /* Dirty without the right to write: in bit 57, which hardware ignores. */
        {HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY,
         {HVPT_READ, HVPT_MEM_WB, HVPT_ACCESSED | HVPT_DIRTY, 0},
         3 << 8 | 15 << 2 | 1 << 6 | UINT64_C(1) << 54 | UINT64_C(1) << 57},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct setup setup = *setup_named("stage 2, 4K, all defaults");
        struct cpu_translation now;
        struct rig rig;

        setup.config.features = cases[i].features;
        setup.cpu.execute_never_two = (cases[i].features & HVPT_S2_USE_XNX) != 0;
        setup.two_exec = setup.cpu.execute_never_two;
        setup.cpu.forced_write_back = (cases[i].features & HVPT_S2_USE_FWB) != 0;
        setup.cpu.hardware_access_flag = (cases[i].features & HVPT_S2_USE_HARDWARE_AF) != 0;
        setup.cpu.hardware_dirty_state = (cases[i].features & HVPT_S2_USE_HARDWARE_DIRTY) != 0;
        rig_open(&rig, &setup);
        check_context("row %zu", i);
        CHECK_STATUS(rig_map(&rig, 0, HOST, HVPT_4K, cases[i].attr), HVPT_OK, "map");
        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 0, CPU_PROBE, &now);
        CHECK_EQ(now.entry, cases[i].wanted | HOST | 3 | 1 << 10, "the descriptor");
        rig_check(&rig);
        rig_close(&rig);
    }
}

/* Arm ARM, "Stage 2 memory region type and cacheability attributes", its two tables; what they reserve is left out. */
Test(stage2, every_memory_type_that_another_wrote_is_read_as_the_manual_has_it)
{
    static const struct {
        uint64_t memattr;
        enum hvpt_memtype type; /* of the inner and the outer caches, the weaker one */
        uint32_t features;
    } cases[] = {
        {0, HVPT_MEM_UC, 0}, {1, HVPT_MEM_UC, 0}, {2, HVPT_MEM_UC, 0}, {3, HVPT_MEM_UC, 0}, {4, HVPT_MEM_WB, 0},
        {5, HVPT_MEM_WC, 0}, {6, HVPT_MEM_WC, 0}, {7, HVPT_MEM_WC, 0}, {9, HVPT_MEM_WC, 0}, {10, HVPT_MEM_WT, 0},
        {11, HVPT_MEM_WT, 0}, {13, HVPT_MEM_WC, 0}, {14, HVPT_MEM_WT, 0}, {15, HVPT_MEM_WB, 0},
        {0, HVPT_MEM_UC, HVPT_S2_USE_FWB}, {1, HVPT_MEM_UC, HVPT_S2_USE_FWB}, {2, HVPT_MEM_UC, HVPT_S2_USE_FWB},
        {3, HVPT_MEM_UC, HVPT_S2_USE_FWB}, {5, HVPT_MEM_WC, HVPT_S2_USE_FWB}, {6, HVPT_MEM_WB, HVPT_S2_USE_FWB},
        {7, HVPT_MEM_WB, HVPT_S2_USE_FWB}, {14, HVPT_MEM_WB, HVPT_S2_USE_FWB}, {15, HVPT_MEM_WB, HVPT_S2_USE_FWB},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* 64K granule and 32 bits: tables of pages, side by side, and no other level */
        const struct hvpt_s2_config config = {.granule_shift = 16, .ipa_bits = 32, .features = cases[i].features};
        const uint64_t page = 3 << 8 | 3 << 6 | 1 << 10 | 3;
        struct hvpt_mapping found;
        struct hvpt_space s2;
        uint64_t entry = page | cases[i].memattr << 2;

        check_context("row %zu", i);
        CHECK_STATUS(open_s2(&s2, &config), HVPT_OK, "init");
        memcpy(arena, &entry, sizeof(entry));
        CHECK_STATUS(hvpt_space_translate(&s2, hvpt_make_gpa(0), &found), HVPT_OK, "translate");
        CHECK_EQ(found.attr.memtype, cases[i].type, "memory type");
        hvpt_space_destroy(&s2);
    }
}

/* Sixteen blocks of 2 MiB that hardware may hold as one: a page out of one of them leaves the rest as it was. */
Test(stage2, a_page_is_cut_out_of_a_run_of_large_pages)
{
    struct rig rig;

    rig_open(&rig, setup_named("stage 2, 4K, contiguous runs, 40-bit addresses, execution on 4K pages only"));
    CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, 16 * HVPT_2M, rig_data(&rig)), HVPT_OK, "map");
    for (unsigned page = 0; page < 16; page++) {
        struct cpu_translation now;

        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, HVPT_1G + page * HVPT_2M, CPU_PROBE, &now);
        CHECK(now.joined && now.reach == 16 * HVPT_2M, "block %u is not part of a run", page);
        rig_touch(&rig, HVPT_1G + page * HVPT_2M, CPU_WRITE);
    }
    CHECK_STATUS(rig_unmap(&rig, HVPT_1G + 5 * HVPT_2M + HVPT_4K, HVPT_4K), HVPT_OK, "unmap");
    rig_check(&rig);
    rig_check_walk(&rig);
    rig_close(&rig);
}

/*
 * Arm ARM, "The Contiguous bit": while a set's leaves change one by one none of them is contiguous, whatever the level; the
 * memory behind the rig looks at the set after every store. The new pages are contiguous again.
 */
Test(stage2, a_run_of_pages_or_blocks_is_replaced_whole)
{
    static const char *const names[] = {
        "stage 2, 4K, contiguous runs, 40-bit addresses, execution on 4K pages only",
        "stage 2, 4K, contiguous runs, no break before make",
    };

    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t size = HVPT_4K; size <= HVPT_2M; size *= 512) {
            struct rig rig;

            rig_open(&rig, setup_named(names[i]));
            CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, 32 * size, rig_data(&rig)), HVPT_OK, "map");
            CHECK_STATUS(rig_replace(&rig, HVPT_1G, HOST + HVPT_1G, 32 * size, rig_data(&rig)), HVPT_OK, "replace");
            for (unsigned page = 0; page < 32; page++) {
                struct cpu_translation now;

                cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, HVPT_1G + page * size, CPU_PROBE, &now);
                CHECK(now.hpa == HOST + HVPT_1G + page * size, "page %u leads to %#llx", page, (unsigned long long)now.hpa);
                CHECK(now.joined && now.reach == 16 * size, "page %u is not part of a run", page);
            }
            CHECK_STATUS(rig_replace(&rig, HVPT_1G + 3 * size, HOST, 16 * size, rig_data(&rig)), HVPT_OK, "replace a part");
            rig_check(&rig);
            rig_check_walk(&rig);
            rig_close(&rig);
        }
    }
}

static const struct setup *any_named(const char *name)
{
    for (size_t i = 0; i < granule_count; i++)
        if (strcmp(granules[i].name, name) == 0)
            return &granules[i];
    return setup_named(name);
}

/* Arm ARM, "The Contiguous bit", the table of how many entries are one set, by granule and level. */
Test(stage2, a_contiguous_set_is_as_large_as_the_manuals_table_has_it)
{
    static const struct {
        const char *name;
        uint64_t page;
        unsigned count;
    } sets[] = {
        {"stage 2, 4K, contiguous runs, no break before make", HVPT_4K, 16},
        {"stage 2, 4K, contiguous runs, no break before make", HVPT_2M, 16},
        {"stage 2, 4K, contiguous runs, no break before make", HVPT_1G, 16},
        {"stage 2, 16K, LPA2, contiguous runs, hardware dirty state", HVPT_16K, 128},
        {"stage 2, 16K, LPA2, contiguous runs, hardware dirty state", HVPT_32M, 32},
        {"stage 2, 64K, contiguous runs", HVPT_64K, 32},
        {"stage 2, 64K, contiguous runs", HVPT_512M, 32},
    };

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        const uint64_t whole = sets[i].page * sets[i].count;
        struct cpu_translation now;
        struct rig rig;

        check_context("%s, pages of %#llx", sets[i].name, (unsigned long long)sets[i].page);
        rig_open(&rig, any_named(sets[i].name));
        /* Two sets less a page: the second one is not complete. */
        CHECK_STATUS(rig.adapter->map(&rig.space, 2 * whole, 4 * whole, 2 * whole - sets[i].page, rig_data(&rig), NULL),
                     HVPT_OK, "map");
        for (unsigned page = 0; page < 2 * sets[i].count - 1; page++) {
            cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 2 * whole + page * sets[i].page, CPU_PROBE, &now);
            CHECK(now.outcome == CPU_MAPPED && now.page_size == sets[i].page, "page %u", page);
            CHECK_EQ(now.entry >> 52 & 1, page < sets[i].count, "the Contiguous bit");
        }
        CHECK_STATUS(rig.adapter->unmap(&rig.space, 2 * whole, 2 * whole, NULL), HVPT_OK, "unmap");
        rig_close(&rig);
    }
}

/* Arm ARM, "Stage 2 memory region type and Cacheability attributes", SH[1:0]: 0 non-, 2 outer, 3 inner shareable. */
Test(stage2, protect_of_flags_changes_the_shareability)
{
    static const struct {
        uint32_t flags;
        unsigned code;
    } cases[] = {{HVPT_S2_NON_SHAREABLE, 0}, {HVPT_S2_OUTER_SHAREABLE, 2}, {0, 3}};
    struct cpu_translation now;
    struct rig rig;

    rig_open(&rig, setup_named("stage 2, 4K, contiguous runs, no break before make"));
    CHECK_STATUS(rig.adapter->map(&rig.space, 0, HOST, HVPT_4K, rig_data(&rig), NULL), HVPT_OK, "map");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvpt_attr attr = rig_data(&rig);

        attr.flags = cases[i].flags;
        CHECK_STATUS(rig.adapter->protect(&rig.space, 0, HVPT_4K, attr, HVPT_CHANGE_FLAGS, NULL), HVPT_OK, "protect");
        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 0, CPU_PROBE, &now);
        CHECK_EQ(bits(now.entry, 9, 8), cases[i].code, "SH");
    }
    CHECK_STATUS(rig.adapter->unmap(&rig.space, 0, HVPT_4K, NULL), HVPT_OK, "unmap");
    rig_close(&rig);
}

/* hvpt.h: collapse changes [gpa, gpa + size), so that a set which begins before the range is not joined. */
Test(stage2, collapse_of_a_part_joins_the_sets_that_lie_in_it)
{
    for (unsigned first = 0; first < 32; first += 5) {
        struct rig rig;

        rig_open(&rig, setup_named("stage 2, 4K, contiguous runs, no break before make"));
        for (unsigned page = 0; page < 64; page++)
            CHECK_STATUS(rig_map(&rig, HVPT_1G + page * HVPT_4K, HOST + page * HVPT_4K, HVPT_4K, rig_data(&rig)),
                         HVPT_OK, "map");
        CHECK_STATUS(rig_collapse(&rig, HVPT_1G + first * HVPT_4K, (64 - first) * HVPT_4K), HVPT_OK, "collapse");
        for (unsigned page = 0; page < 64; page++) {
            struct cpu_translation now;

            cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, HVPT_1G + page * HVPT_4K, CPU_PROBE, &now);
            CHECK_EQ(now.joined, page / 16 * 16 >= first, "joined");
        }
        rig_check(&rig);
        rig_close(&rig);
    }
}
