/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What Arm's stage 2 has since FEAT_BBM: the log of dirty pages and its cleaner, access flags of tables, indirect permissions,
 * nT. Against tables made by hand from the Arm ARM, and a processor that logs as its text says.
 */
#include "../hvpt/support/rig.h"

#include <hvpt/arm/hdbss.h>
#include <hvpt/arm/indirect.h>

#include <criterion/criterion.h>
#include <string.h>

#define HOST UINT64_C(0x100000000)
#define BASE HVPT_1G

#define INDIRECT "stage 2, 4K, indirect permissions, access flags of tables, dirty pages logged"

/* ---- registers ---- */

/* "HDBSSBR_EL2", SZ: 0 is 4KB, 9 is 2MB, the others are reserved; "HDBSS must be aligned to its size". */
Test(arm, the_base_register_has_address_and_size)
{
    static const struct {
        uint64_t base;
        unsigned size;
        enum hvpt_status wanted;
        uint64_t reg;
    } cases[] = {
        {0x1000, 0, HVPT_OK, 0x1000},
        {0x1000, 1, HVPT_E_ALIGN, 0},
        {0x2000, 1, HVPT_OK, 0x2001},
        {0x200000, 9, HVPT_OK, 0x200009},
        {0x100000, 9, HVPT_E_ALIGN, 0},
        {0x400000, 10, HVPT_E_RANGE, 0},
        {0x1800, 0, HVPT_E_ALIGN, 0},
        {UINT64_C(0x00fffffffffff000), 0, HVPT_OK, UINT64_C(0x00fffffffffff000)},
        {UINT64_C(0x0100000000000000), 0, HVPT_E_RANGE, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t reg = 0;

        check_context("row %zu", i);
        CHECK_STATUS(hvpt_hdbss_base(hvpt_make_hpa(cases[i].base), cases[i].size, &reg), cases[i].wanted, "base");
        CHECK_EQ(reg, cases[i].reg, "HDBSSBR_EL2");
    }
    for (unsigned size = 0; size <= 9; size++)
        CHECK_EQ(hvpt_hdbss_entries(size), (UINT32_C(1) << (size + 12)) / 8, "entries");
    CHECK_EQ(HVPT_HACDBSBR_EN, 0x800, "HACDBSBR_EL2.EN");
}

/* "The HDBSS is full when INDEX is greater than or equal to 2^(SZ+12)/8"; FSC 31:26, INDEX 18:0; ERR_REASON 63:62. */
Test(arm, the_producer_and_the_consumer_tell_index_and_fault)
{
    static const struct {
        uint64_t prod;
        unsigned size, count;
        bool stuck;
        unsigned fault;
    } cases[] = {
        {0, 0, 0, false, 0},
        {511, 0, 511, false, 0},
        {512, 0, 512, true, 0},
        {0x7ffff, 0, 512, true, 0},
        {512, 1, 512, false, 0},
        {262143, 9, 262143, false, 0},
        {262144, 9, 262144, true, 0},
        {UINT64_C(0x10) << 26 | 3, 0, 3, true, 0x10},
        {UINT64_C(0x28) << 26 | 3, 0, 3, true, 0x28},
        {UINT64_C(0xffffffff00000000) | UINT64_C(0x3f80000) | 7, 0, 7, false, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_context("row %zu", i);
        CHECK_EQ(hvpt_hdbss_count(cases[i].prod, cases[i].size), cases[i].count, "entries");
        CHECK_EQ(hvpt_hdbss_is_stuck(cases[i].prod, cases[i].size), cases[i].stuck, "stuck");
        CHECK_EQ(hvpt_hdbss_fault_of(cases[i].prod), cases[i].fault, "FSC");
    }
    for (unsigned reason = 0; reason < 4; reason++) {
        CHECK_EQ(hvpt_hacdbs_fault_of((uint64_t)reason << 62 | 0x3ffff), reason, "ERR_REASON");
        CHECK_EQ(hvpt_hacdbs_done((uint64_t)reason << 62 | 9, 0), 9, "what was cleaned");
    }
}

/* "Hardware dirty state tracking structure fields": IPA 55:12, NSIPA 11, TTWL 3:1 as a signed number, valid 0. */
Test(arm, an_entry_names_a_page_and_arms_level)
{
    static const struct {
        unsigned level;
        uint64_t low;
    } cases[] = {{0, 7}, {1, 5}, {2, 3}, {3, 1}, {4, 0xf}};
    const uint64_t gpa = UINT64_C(0x0012345678abc000);

    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(hvpt_hdbss_entry(hvpt_make_gpa(gpa), cases[i].level), gpa | cases[i].low, "an entry");
        CHECK_EQ(hvpt_hdbss_level(gpa | cases[i].low), cases[i].level, "its level");
        CHECK_EQ(hvpt_hdbss_gpa(UINT64_C(0xff00000000000000) | gpa | 0xff0 | cases[i].low).value, gpa, "its page");
    }
    for (unsigned code = 4; code < 7; code++)
        CHECK_EQ(hvpt_hdbss_level(code << 1 | 1), 255, "a reserved level");
    CHECK((hvpt_hacdbs_stop() & 1) && hvpt_hdbss_level(hvpt_hacdbs_stop()) == 255, "valid, with a reserved level");
}

/* ---- what a configuration may ask for ---- */

/*
 * ID_AA64MMFR1_EL1.HAFDBS 3:0: 3 adds FEAT_HAFT, 4 FEAT_HDBSS. ID_AA64MMFR2_EL1.BBM 55:52. ID_AA64MMFR3_EL1.S2PIE 15:12.
 * VTCR_EL2: S2PIE 36, HAFT 44, HDBSS 45.
 */
Test(arm, what_an_id_register_denies_is_refused_and_vtcr_says_the_rest)
{
    const uint32_t af = HVPT_S2_USE_HARDWARE_AF, hd = HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY;
    const struct {
        struct hvpt_s2_config config;
        enum hvpt_status wanted;
        uint64_t vtcr; /* of bits 45:36 */
    } cases[] = {
        {{.features = af | HVPT_S2_USE_TABLE_AF}, HVPT_OK, UINT64_C(1) << 44},
        {{.features = HVPT_S2_USE_TABLE_AF}, HVPT_E_ATTR, 0},
        {{.mmfr1 = 2, .features = af | HVPT_S2_USE_TABLE_AF}, HVPT_E_ATTR, 0},
        {{.mmfr1 = 3, .features = af | HVPT_S2_USE_TABLE_AF}, HVPT_OK, UINT64_C(1) << 44},
        {{.mmfr1 = 3, .features = hd | HVPT_S2_USE_HDBSS}, HVPT_E_ATTR, 0},
        {{.mmfr1 = 4, .features = hd | HVPT_S2_USE_HDBSS}, HVPT_OK, UINT64_C(1) << 45},
        {{.mmfr1 = 4, .features = af | HVPT_S2_USE_HDBSS}, HVPT_E_ATTR, 0},
        {{.features = hd | HVPT_S2_USE_INDIRECT}, HVPT_OK, UINT64_C(1) << 36},
        {{.features = af | HVPT_S2_USE_INDIRECT}, HVPT_E_ATTR, 0},
        {{.mmfr0 = 5, .mmfr1 = 2, .features = hd | HVPT_S2_USE_INDIRECT}, HVPT_E_ATTR, 0},
        {{.mmfr0 = 5, .mmfr1 = 2, .mmfr3 = 1 << 12, .features = hd | HVPT_S2_USE_INDIRECT}, HVPT_OK, UINT64_C(1) << 36},
        {{.mmfr0 = 5, .features = HVPT_S2_USE_BBM1}, HVPT_E_ATTR, 0},
        {{.mmfr0 = 5, .mmfr2 = UINT64_C(1) << 52, .features = HVPT_S2_USE_BBM1}, HVPT_OK, 0},
        {{.mmfr0 = 5, .mmfr2 = UINT64_C(2) << 52, .features = HVPT_S2_USE_BBM1}, HVPT_OK, 0},
        {{.features = 1 << 20}, HVPT_E_CONFIG, 0},
        {{.features = 1 << 8}, HVPT_E_CONFIG, 0},
    };
    struct memory memory;

    memory_open(&memory, &(struct memory_options) {.slots_log2 = 6, .slot_order = 4, .phys_base = HVPT_1G});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvpt_space s2;

        check_context("row %zu", i);
        CHECK_STATUS(hvpt_s2_init(&s2, &memory.hooks, &cases[i].config), cases[i].wanted, "init");
        if (cases[i].wanted == HVPT_OK)
            CHECK_EQ(hvpt_s2_vtcr(&s2) & UINT64_C(0x3ff000000000), cases[i].vtcr, "VTCR_EL2 45:36");
        hvpt_space_destroy(&s2);
    }
    memory_close(&memory);
}

/* "VTCR_EL2, Virtualization Translation Control Register": S2POE is bit 37, which no configuration of ours sets. */
Test(arm, the_control_of_overlays_is_where_the_manual_has_it)
{
    CHECK_EQ(HVPT_VTCR_S2POE, UINT64_C(1) << 37, "VTCR_EL2.S2POE");
}

/* ---- descriptors ---- */

/* "Hardware managed Access Flag for Table descriptors": bit 10 of a table, set before a walk must set it. */
Test(arm, tables_are_made_with_their_access_flag)
{
    struct rig rig;
    struct cpu_translation way;

    rig_open(&rig, setup_named(INDIRECT));
    CHECK_STATUS(rig_map(&rig, BASE, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    CHECK_STATUS(rig_fault_map(&rig, 3 * BASE, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "fault_map");
    for (uint64_t gpa = BASE; gpa <= 3 * BASE; gpa += 2 * BASE) {
        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, gpa, CPU_PROBE, &way);
        for (unsigned level = 1; level < 3; level++)
            CHECK_EQ(way.table[level]->virt[way.index[level]] & 0x403, 0x403, "a table's low bits");
        CHECK_EQ(way.entry & 0x400, 0, "a page that nobody used");
    }
    /* Other tables may have it clear, and are tables all the same. */
    cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, BASE, CPU_PROBE, &way);
    memory_poke(way.table[1], way.index[1], way.table[1]->virt[way.index[1]] & ~UINT64_C(0x400));
    rig_check(&rig);
    rig_check_walk(&rig);
    rig_close(&rig);
}

/* "S2PIR_EL2": read 1, write 2, execution at EL1 4, at EL0 8; walks; TL0 1, TL1 2. */
static const struct {
    uint32_t perm, walk, top;
} codes[16] = {
    {0, 0, 0}, {0, 0, 0}, {1, 3, 0}, {1, 3, 2}, {2, 0, 0},  {0, 0, 0}, {1, 3, 1}, {1, 3, 3},
    {1, 1, 0}, {9, 1, 0}, {5, 1, 0}, {13, 1, 0}, {3, 3, 0}, {11, 3, 0}, {7, 3, 0}, {15, 3, 0},
};

Test(arm, codes_of_permissions)
{
    for (unsigned code = 0; code < 16; code++) {
        struct hvpt_s2_permission one = hvpt_s2_permission_of(code);

        CHECK(one.perm == codes[code].perm && one.walk == codes[code].walk && one.top_level == codes[code].top,
              "code %u: %x, walks %x, top level %x", code, one.perm, one.walk, one.top_level);
        for (unsigned over = 0; over < 16; over++) {
            struct hvpt_s2_permission both = hvpt_s2_overlaid(one, hvpt_s2_permission_of(over));

            CHECK(both.perm == (codes[code].perm & codes[over].perm) && both.walk == (codes[code].walk & codes[over].walk),
                  "code %u under %u", code, over);
        }
        CHECK_EQ(hvpt_s2_permission_code(UINT64_C(0xfedcba9876543210), code), code, "its place in the register");
    }
    for (unsigned index = 0; index < 16; index++) {
        const uint64_t entry = (uint64_t)(index & 1) << 6 | (uint64_t)(index >> 1 & 1) << 51 | (uint64_t)(index >> 2) << 53;

        CHECK_EQ(hvpt_s2_permission_index(entry), index, "PIIndex: bits 54, 53, 51 and 6");
        CHECK_EQ(hvpt_s2_permission_index(~entry), 15 - index, "and no other");
        CHECK_EQ(hvpt_s2_overlay_index((uint64_t)index << 59), index, "POIndex: bits 62 to 59");
    }
}

/*
 * The register's value: index XN[1:0], DBM, S2AP[0]. Codes of "S2PIR_EL2": 0 no access, 4 WO, 8 RO, 9 RO+uX, A RO+pX, B RO+puX,
 * C RW, D RW+uX, E RW+pX, F RW+puX; XN as in "Stage 2 access permissions": 00 all, 01 EL0, 10 none, 11 EL1.
 */
Test(arm, the_register_keeps_the_meanings_of_the_bits)
{
    static const uint8_t expected[16] = {0, 0xb, 4, 0xf, 0, 9, 4, 0xd, 0, 8, 4, 0xc, 0, 0xa, 4, 0xe};

    for (unsigned index = 0; index < 16; index++)
        CHECK_EQ(hvpt_s2_pir() >> (4 * index) & 15, expected[index], "the code of an index");
}

/* Every permission that can be said reaches the register's code for it; and translate says what the code permits. */
Test(arm, every_permission_by_way_of_s2pir)
{
    struct rig rig;

    rig_open(&rig, setup_named(INDIRECT));
    for (uint32_t perm = 0; perm < 16; perm++) {
        const struct hvpt_attr attr = attr_of(perm, HVPT_MEM_WB);
        const bool can = perm != 0 && ((perm & HVPT_READ) || perm == HVPT_WRITE);
        struct cpu_translation now;
        struct hvpt_mapping mapping;

        CHECK_EQ(setup_expresses(rig.setup, attr), can, "can it be said?");
        CHECK_STATUS(rig_map(&rig, BASE, HOST, HVPT_4K, attr), can ? HVPT_OK : HVPT_E_ATTR, "map");
        if (!can)
            continue;
        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, BASE, CPU_PROBE, &now);
        CHECK_EQ(codes[hvpt_s2_pir() >> (4 * hvpt_s2_permission_index(now.entry)) & 15].perm, perm, "by the register");
        CHECK_STATUS(rig.adapter->translate(&rig.space, BASE, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.attr.perm, perm, "by translate");
        CHECK_STATUS(rig_unmap(&rig, BASE, HVPT_4K), HVPT_OK, "unmap");
    }
    rig_close(&rig);
}

/* "nT, bit 16": of a block, with FEAT_BBM level 1 and 2; without, the bit is RES0. In a page it is address. */
Test(arm, a_block_may_have_nt_where_the_processor_has_it)
{
    for (unsigned level = 0; level < 3; level++) {
        const struct hvpt_s2_config config = {
            .features = level == 0 ? 0 : level == 1 ? HVPT_S2_USE_BBM1 : HVPT_S2_USE_BBM2};
        struct memory memory;
        struct hvpt_space s2;
        struct hvpt_mapping mapping;
        uint64_t *slot = NULL;

        memory_open(&memory, &(struct memory_options) {.slots_log2 = 6, .slot_order = 4, .phys_base = HVPT_1G});
        memory.flush_kind = HVPT_FLUSH_TLBI;
        CHECK_STATUS(hvpt_s2_init(&s2, &memory.hooks, &config), HVPT_OK, "init");
        CHECK_STATUS(hvpt_space_map(&s2, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_2M, attr_rwx(), NULL), HVPT_OK, "map");
        CHECK_STATUS(hvpt_space_translate(&s2, hvpt_make_gpa(BASE), &mapping), HVPT_OK, "translate");
        for (uint32_t i = 0; i < memory.slot_count; i++)
            for (unsigned entry = 0; memory.frames[i].state != FRAME_FREE && entry < 512; entry++)
                slot = memory.frames[i].virt[entry] == mapping.entry ? &memory.frames[i].virt[entry] : slot;
        CHECK(slot != NULL, "no such entry");
        *slot |= UINT64_C(1) << 16;
        CHECK_STATUS(hvpt_space_translate(&s2, hvpt_make_gpa(BASE + 5), &mapping), level == 0 ? HVPT_E_CORRUPT : HVPT_OK,
                     "translate");
        if (level != 0) {
            CHECK_EQ(mapping.hpa.value, HOST + 5, "the host address");
            CHECK_STATUS(hvpt_space_split(&s2, hvpt_make_gpa(BASE), HVPT_2M, HVPT_4K, NULL), HVPT_OK, "split");
            for (unsigned page = 0; page < 512; page++) {
                CHECK_STATUS(hvpt_space_translate(&s2, hvpt_make_gpa(BASE + page * HVPT_4K), &mapping), HVPT_OK, "translate");
                CHECK_EQ(mapping.hpa.value, HOST + page * HVPT_4K, "page by page");
            }
        } else {
            *slot &= ~(UINT64_C(1) << 16);
        }
        hvpt_space_destroy(&s2);
        memory_close(&memory);
    }
}

/* ---- the log ---- */

#define SPAN  (64 * HVPT_2M) /* of guest memory: its first half in blocks, the rest in pages of which every third is mapped */
#define PAGES (SPAN / HVPT_4K)

static hvpt_entry structure[512 << 2];
static uint64_t bitmap[PAGES / 64], wanted[PAGES / 64];

/*
 * "When hardware updates a stage 2 descriptor from writable-clean to writable-dirty, the PE writes to the HDBSS"; if that is
 * full, the access faults and nothing is updated.
 */
static bool guest_writes(struct rig *rig, uint64_t gpa, uint64_t *prod, unsigned size)
{
    struct cpu_translation now;
    uint64_t dirty = UINT64_C(1) << 7;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    if (now.outcome != CPU_MAPPED || !(now.rights & HVPT_WRITE) || (now.entry & dirty))
        return true;
    if (*prod >= (UINT64_C(512) << size))
        return false;
    memory_hardware_set(now.table[now.level], now.index[now.level], dirty);
    structure[*prod] = (gpa & ~(now.page_size - 1)) | (uint64_t)(3 - now.level) << 1 | 1;
    ++*prod;
    for (uint64_t at = gpa & ~(now.page_size - 1); at < (gpa & ~(now.page_size - 1)) + now.page_size; at += HVPT_4K)
        wanted[(at - BASE) / HVPT_4K / 64] |= UINT64_C(1) << ((at - BASE) / HVPT_4K % 64);
    return true;
}

Test(arm, what_the_log_names_is_reported_and_clean_again)
{
    struct random_stream random = {9};
    uint64_t prod = 0, full = 0;
    struct rig rig;

    rig_open(&rig, setup_named(INDIRECT));
    CHECK_STATUS(rig_map(&rig, BASE, HOST, SPAN / 2, rig_data(&rig)), HVPT_OK, "map");
    for (uint64_t page = PAGES / 2; page < PAGES; page += 3)
        CHECK_STATUS(rig.adapter->map(&rig.space, BASE + page * HVPT_4K, HOST + page * HVPT_4K, HVPT_4K, rig_data(&rig), NULL),
                     HVPT_OK, "map");
    for (unsigned round = 0; round < 40; round++) {
        struct hvpt_hdbss_report one, other;
        unsigned size = round % 3;
        uint64_t logged;

        check_context("round %u", round);
        memset(bitmap, 0, sizeof(bitmap));
        memset(wanted, 0, sizeof(wanted));
        for (unsigned i = 0; i < 5000; i++)
            full += !guest_writes(&rig, BASE + random_below(&random, PAGES) * HVPT_4K, &prod, size);
        logged = prod;
        if (prod > 3)
            structure[3] &= ~UINT64_C(1); /* not valid: nobody's */
        /* The first half, then all: what lay outside the first range stays, and nothing is told twice or lost. */
        CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, size, &prod, hvpt_make_gpa(BASE), SPAN / 2, bitmap, NULL, &one),
                     HVPT_OK, "half");
        CHECK_EQ(one.outside, prod, "what stays");
        CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, size, &prod, hvpt_make_gpa(BASE), SPAN, bitmap, NULL, &other),
                     HVPT_OK, "all");
        CHECK_EQ(prod, 0, "HDBSSPROD_EL2");
        CHECK(one.corrupt == 0 && other.corrupt == 0 && other.outside == 0, "corrupt");
        CHECK_EQ(one.logged + other.logged + (logged > 3), logged, "entries");
        /* The page of the entry that was not valid is still dirty, and the long way finds it. */
        CHECK_STATUS(rig.adapter->dirty(&rig.space, BASE, SPAN, bitmap, NULL), HVPT_OK, "dirty");
        CHECK(memcmp(bitmap, wanted, sizeof(bitmap)) == 0, "the pages that were written");
        memset(bitmap, 0, sizeof(bitmap));
        CHECK_STATUS(rig.adapter->dirty(&rig.space, BASE, SPAN, bitmap, NULL), HVPT_OK, "dirty");
        for (size_t i = 0; i < PAGES / 64; i++)
            CHECK_EQ(bitmap[i], 0, "all is clean");
    }
    CHECK(full != 0, "the log was never full");
    rig.memory.destroying = true;
    rig.adapter->destroy(&rig.space);
    memory_close(&rig.memory);
    model_free(&rig.model);
}

static unsigned char tables_16k[1 << 20] __attribute__((aligned(1 << 20)));
static uint64_t next_16k;

/* Upwards, each at a multiple of its size: the root is 16 tables side by side. */
static bool give_16k(void *ctx, unsigned order, hvpt_hpa *out)
{
    const uint64_t size = UINT64_C(4096) << order;

    (void)ctx;
    *out = hvpt_make_hpa((next_16k + size - 1) & ~(size - 1));
    next_16k = out->value + size;
    return next_16k <= sizeof(tables_16k);
}

static void take_16k(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

/* An entry has address bits from 12 up, whatever the granule: it names the page that holds that address. */
Test(arm, an_entry_within_a_page_of_16k_names_the_page)
{
    const struct hvpt_hooks hooks = {NULL, give_16k, take_16k, NULL, tables_16k, NULL};
    const struct hvpt_s2_config config = {
        .granule_shift = 14, .ipa_bits = 40, .features = HVPT_S2_USE_HDBSS | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY};
    static hvpt_entry log[512];
    struct hvpt_hdbss_report report;
    struct hvpt_space space;
    const enum hvpt_status made = hvpt_s2_init(&space, &hooks, &config);

    cr_assert_eq(made, HVPT_OK, "%s", hvpt_status_text(made));
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), 4 * 16384,
                                hvpt_ram(HVPT_READ | HVPT_WRITE), NULL), HVPT_OK);
    for (unsigned page = 0; page < 4; page++) {
        uint64_t prod = 1, seen = 0;

        log[0] = hvpt_hdbss_entry(hvpt_make_gpa(BASE + page * 16384 + HVPT_4K), 0);
        cr_assert_eq(hvpt_hdbss_dirty(&space, log, 0, &prod, hvpt_make_gpa(BASE), 4 * 16384, &seen, NULL, &report), HVPT_OK);
        cr_expect(report.logged == 1 && report.outside == 0 && report.corrupt == 0 && prod == 0, "page %u", page);
    }
}

/* The entry names a page whose tables are out of reach by now: it is reported as written, and as corrupt. */
Test(arm, a_logged_page_out_of_reach_is_counted)
{
    struct hvpt_hdbss_report report;
    struct cpu_translation now;
    uint64_t prod = 0, link;
    struct rig rig;

    rig_open(&rig, setup_named(INDIRECT));
    CHECK_STATUS(rig_map(&rig, BASE, HOST, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    memset(bitmap, 0, sizeof(bitmap));
    memset(wanted, 0, sizeof(wanted));
    CHECK(guest_writes(&rig, BASE, &prod, 0) && prod == 1, "one entry");
    cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, BASE, CPU_PROBE, &now);
    link = now.table[1]->virt[now.index[1]];
    rig.memory.lenient = true;
    memory_poke(now.table[1], now.index[1], (link & 0xfff) | HOST);
    CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, 0, &prod, hvpt_make_gpa(BASE), SPAN, bitmap, NULL, &report),
                 HVPT_OK, "dirty");
    CHECK(report.logged == 1 && report.corrupt == 1 && report.outside == 0, "%u, %u corrupt, %u outside",
          (unsigned)report.logged, (unsigned)report.corrupt, (unsigned)report.outside);
    CHECK(bitmap[0] == 1 && prod == 0, "the page that was written");
    memory_poke(now.table[1], now.index[1], link);
    rig.memory.lenient = false;
    rig.memory.destroying = true;
    rig.adapter->destroy(&rig.space);
    memory_close(&rig.memory);
    model_free(&rig.model);
}

Test(arm, a_log_is_drained_of_stage_2_with_a_log_alone)
{
    static const struct {
        const char *setup;
        enum hvpt_status wanted;
    } cases[] = {
        {INDIRECT, HVPT_OK},
        {"stage 2, 4K, contiguous runs, no break before make", HVPT_E_ATTR},
        {"EPT, all defaults", HVPT_E_ATTR},
    };

    for (unsigned i = 0; i < 3; i++) {
        struct hvpt_hdbss_report report;
        uint64_t prod = 0;
        struct rig rig;

        rig_open(&rig, setup_named(cases[i].setup));
        CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, 0, &prod, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                     cases[i].wanted, "drain");
        CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, 10, &prod, hvpt_make_gpa(0), HVPT_4K, bitmap, NULL, &report),
                     HVPT_E_RANGE, "no such size");
        CHECK_STATUS(hvpt_hdbss_dirty(&rig.space, structure, 0, &prod, hvpt_make_gpa(1), HVPT_4K, bitmap, NULL, &report),
                     HVPT_E_ALIGN, "no such range");
        rig_close(&rig);
    }
}
