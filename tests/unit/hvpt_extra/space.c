/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A format that is known at run time, and a walk that goes on behind broken entries. Where tables lie is this test's own
 * choice, and entries are broken by hand.
 */
#include <hvpt/audit.h>

#include <criterion/criterion.h>
#include <string.h>

enum { FRAMES = 64 };

static uint64_t memory[FRAMES][512];
static unsigned next_frame;

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    const unsigned frames = 1u << order;

    (void)ctx;
    next_frame = (next_frame + frames - 1) & ~(frames - 1);
    if (next_frame + frames > FRAMES)
        return false;
    *out = hvpt_make_hpa((uint64_t)next_frame << 12);
    next_frame += frames;
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    return frame.value >> 12 < FRAMES ? memory[frame.value >> 12] : NULL;
}

static void flush_all(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx, (void)flush;
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, flush_all};
static const enum hvpt_kind kinds[] = {HVPT_KIND_EPT, HVPT_KIND_NPT, HVPT_KIND_S2, HVPT_KIND_GSTAGE};

static void begin(void)
{
    next_frame = 0;
    memset(memory, 0, sizeof(memory));
}

Test(space, every_kind_is_made_and_adopted)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct hvpt_space_config config = {kinds[i], {0}, {0}, {0}, {0}};
        struct hvpt_space made, adopted;
        struct hvpt_mapping out;

        begin();
        cr_assert_eq(hvpt_space_init(&made, &hooks, &config), HVPT_OK, "kind %u", i);
        cr_assert_eq(made.kind, kinds[i]);
        cr_assert_eq(hvpt_space_map(&made, hvpt_make_gpa(0x7000), hvpt_make_hpa(0x123000), HVPT_4K, hvpt_ram(HVPT_READ),
                                    NULL),
                     HVPT_OK);
        cr_assert_eq(hvpt_space_adopt(&adopted, &hooks, &config, hvpt_space_root(&made), true), HVPT_OK);
        cr_assert_eq(hvpt_space_translate(&adopted, hvpt_make_gpa(0x7008), &out), HVPT_OK);
        cr_expect_eq(out.hpa.value, 0x123008);
        cr_expect_eq(hvpt_space_unmap(&adopted, hvpt_make_gpa(0x7000), HVPT_4K, NULL), HVPT_E_READONLY);
    }
}

Test(space, a_kind_that_is_none_is_refused)
{
    struct hvpt_space_config config = {(enum hvpt_kind)9, {0}, {0}, {0}, {0}};
    struct hvpt_mapping out;
    struct hvpt_space space;

    begin();
    for (unsigned i = 0; i < 4; i++) {
        const struct hvpt_space_config *given = i / 2 ? &config : NULL;

        memset(&space, 0xa5, sizeof(space)); /* a local variable, as it comes */
        cr_expect_eq(i % 2 ? hvpt_space_init(&space, &hooks, given) : hvpt_space_adopt(&space, &hooks, given, 0, true),
                     HVPT_E_CONFIG, "%u", i);
        cr_expect_eq(hvpt_space_translate(&space, hvpt_make_gpa(0), &out), HVPT_E_RANGE, "no space was made: %u", i);
        hvpt_space_destroy(&space);
    }
}

/* One by one and 32 at once. Without a write-back type in the PAT no leaf is the usual one, nor is one with all bits set. */
Test(space, a_batch_says_of_each_address_what_translate_says)
{
    struct hvpt_space_config config = {.kind = HVPT_KIND_NPT, .npt = {.pat = UINT64_C(0x0101010101010101)}};
    const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WC, 0, 0};
    struct hvpt_mapping one, of_batch;
    enum hvpt_status status;
    struct hvpt_space space;
    const struct hvpt_hooks linear = {NULL, take, give, NULL, memory, flush_all};
    const hvpt_gpa gpa = hvpt_make_gpa(0x5000);
    uint64_t *entry = &memory[0][0];

    begin();
    cr_assert_eq(hvpt_space_init(&space, &linear, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, gpa, hvpt_make_hpa(0x123000), HVPT_4K, attr, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, gpa, &one), HVPT_OK);
    while (*entry != one.entry)
        entry++;
    *entry = UINT64_MAX;
    cr_assert_eq(hvpt_space_translate(&space, gpa, &one), HVPT_OK);
    hvpt_space_translate_batch(&space, &gpa, 1, &of_batch, &status);
    cr_assert_eq(status, HVPT_OK);
    cr_expect_eq(one.attr.perm, HVPT_READ | HVPT_WRITE, "bit 63 is NX");
    cr_expect_eq(one.attr.memtype, HVPT_MEM_WC);
    cr_expect_eq(of_batch.attr.perm, one.attr.perm);
    cr_expect_eq(of_batch.attr.memtype, one.attr.memtype);
    cr_expect_eq(of_batch.hpa.value, one.hpa.value);
    *entry = 0;
    hvpt_space_destroy(&space);
}

Test(space, an_empty_flush_owes_nothing)
{
    struct hvpt_flush flush = hvpt_flush_empty();

    cr_expect(!hvpt_flush_needed(&flush));
    cr_expect_eq(flush.dead_count, 0);
}

struct seen {
    unsigned leaves, entered, left, broken;
    uint64_t broken_at, broken_size;
    unsigned broken_level, stop_after; /* broken entries; 0: never */
};

static bool leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    (void)gpa, (void)mapping;
    ((struct seen *)ctx)->leaves++;
    return true;
}

static bool enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    (void)gpa, (void)table, (void)level;
    ((struct seen *)ctx)->entered++;
    return true;
}

static bool leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    (void)gpa, (void)table, (void)level;
    ((struct seen *)ctx)->left++;
    return true;
}

static bool broken(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct seen *seen = ctx;

    seen->broken++;
    seen->broken_at = gpa.value;
    seen->broken_size = size;
    seen->broken_level = level;
    return seen->stop_after == 0 || seen->broken < seen->stop_after;
}

/* EPT with three pages from 0; SDM vol. 3, "EPT Misconfigurations": writable and not readable is one. */
static void three_pages(struct hvpt_space *space)
{
    struct hvpt_ept_config config = {0};

    begin();
    cr_assert_eq(hvpt_ept_init(space, &hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(space, hvpt_make_gpa(0), hvpt_make_hpa(0x100000), 3 * HVPT_4K, hvpt_ram(HVPT_READ),
                                NULL),
                 HVPT_OK);
}

/* The entry that maps 0x1000, found from the root by hand. */
static uint64_t *second_page(const struct hvpt_space *space)
{
    uint64_t table = hvpt_space_root(space) & UINT64_C(0xffffffffff000);

    for (unsigned level = 3; level > 0; level--)
        table = memory[table >> 12][0] & UINT64_C(0xffffffffff000);
    return &memory[table >> 12][1];
}

Test(space, a_walk_goes_on_behind_a_broken_entry)
{
    const struct hvpt_visitor quiet = {NULL, leaf, NULL, enter, leave};
    struct hvpt_visitor visitor = quiet;
    struct seen seen = {0};
    struct hvpt_space space;

    three_pages(&space);
    *second_page(&space) = 0x101002;
    visitor.ctx = &seen;
    cr_expect_eq(hvpt_walk_past(&space, hvpt_make_gpa(0), HVPT_1G, &visitor, broken), HVPT_E_CORRUPT);
    cr_expect_eq(seen.leaves, 2);
    cr_expect_eq(seen.broken, 1);
    cr_expect_eq(seen.broken_at, 0x1000);
    cr_expect_eq(seen.broken_size, HVPT_4K);
    cr_expect_eq(seen.broken_level, 0);
    cr_expect_geq(seen.entered, 3);
}

Test(space, a_callback_ends_the_walk_at_a_broken_entry)
{
    struct hvpt_visitor visitor = {NULL, leaf, NULL, NULL, NULL};
    struct seen seen = {0};
    struct hvpt_space space;

    three_pages(&space);
    *second_page(&space) = 0x101002;
    seen.stop_after = 1;
    visitor.ctx = &seen;
    cr_expect_eq(hvpt_walk_past(&space, hvpt_make_gpa(0), HVPT_1G, &visitor, broken), HVPT_OK);
    cr_expect_eq(seen.leaves, 1);
    cr_expect_eq(hvpt_walk_past(&space, hvpt_make_gpa(0x1000), HVPT_4K, &visitor, NULL), HVPT_E_CORRUPT);
    cr_expect_eq(hvpt_walk_past(&space, hvpt_make_gpa(0), 0, &visitor, NULL), HVPT_E_RANGE);
}

/*
 * An entry of level 1, behind one whose table was walked and left: 2 MiB where tables have 4 KiB, 32 MiB where they
 * have 16 KiB. It leads beyond the 40 bits of address that there are (SDM vol. 3, "EPT Misconfigurations"; Arm ARM, "Address
 * size fault").
 */
Test(space, a_broken_entry_is_passed_over_whole)
{
    for (unsigned row = 0; row < 2; row++) {
        const uint64_t page = row == 0 ? HVPT_4K : HVPT_16K, span = row == 0 ? HVPT_2M : HVPT_32M;
        const struct hvpt_ept_config ept = {.maxphyaddr = 40};
        const struct hvpt_s2_config s2 = {.granule_shift = 14, .ipa_bits = 36, .mmfr0 = 2 | 1 << 20};
        struct hvpt_visitor visitor = {NULL, leaf, NULL, NULL, NULL};
        struct seen seen = {0};
        struct hvpt_space space;
        uint64_t table;

        begin();
        cr_assert_eq(row == 0 ? hvpt_ept_init(&space, &hooks, &ept) : hvpt_s2_init(&space, &hooks, &s2), HVPT_OK);
        for (unsigned i = 0; i < 3; i++)
            cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(i * span), hvpt_make_hpa(HVPT_1G), page,
                                        hvpt_ram(HVPT_READ), NULL),
                         HVPT_OK);
        table = hvpt_space_root(&space) & UINT64_C(0xffffffffff000);
        for (unsigned level = row == 0 ? 3 : 1; level > 1; level--)
            table = memory[table >> 12][0] & UINT64_C(0xffffffffff000);
        memory[table >> 12][1] |= UINT64_C(1) << 44;
        visitor.ctx = &seen;
        cr_expect_eq(hvpt_walk_past(&space, hvpt_make_gpa(0), 3 * span, &visitor, broken), HVPT_E_CORRUPT);
        cr_expect_eq(seen.leaves, 2);
        cr_expect_eq(seen.broken, 1);
        cr_expect_eq(seen.broken_at, span);
        cr_expect_eq(seen.broken_size, span);
        cr_expect_eq(seen.broken_level, 1);
    }
}

/* What makes map and fault_map quick is on where nothing speaks against it. Without it they are only slower. */
Test(space, the_quick_ways_are_open_with_four_levels)
{
    const struct hvpt_ept_config config = {0};
    struct hvpt_space space;

    begin();
    cr_assert_eq(hvpt_ept_init(&space, &hooks, &config), HVPT_OK);
    cr_expect(space.fault_quick);
    for (uint64_t page = 0; page < 2; page++)
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(HVPT_1G + page * HVPT_4K), hvpt_make_hpa(HVPT_1G), HVPT_4K,
                                    hvpt_ram(HVPT_READ), NULL),
                     HVPT_OK);
    cr_expect_eq(space.cursor_range, 1);
}
