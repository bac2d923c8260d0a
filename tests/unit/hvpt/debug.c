/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * HVPT_DEBUG names what a caller or a hook breaks, each breach by the call that it was found in; and says nothing of a
 * caller who keeps the contracts.
 */
#define HVPT_DEBUG
static void heard(int breach, const char *call);
#define HVPT_ON_BREACH(space, breach, call) ((void)(space), heard((int)(breach), call))

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <hvpt/ept.h>
#include <hvpt/gstage.h>

enum { FRAMES = 64 };
#define BASE UINT64_C(0x40000000)
#define HOST UINT64_C(0x100000000)

static _Alignas(4096) unsigned char memory[FRAMES][4096];
static unsigned next_frame, flushes;
static int last_breach;
static unsigned breaches;
static const char *last_call;
static uint64_t give_instead; /* what alloc_frame gives, once */
static unsigned view_off;     /* by how much phys_to_virt is off */
static struct hvpt_space space;
static struct hvpt_space *call_back; /* the flush hook calls it back */
static const struct hvpt_attr rwx = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

static void heard(int breach, const char *call)
{
    breaches++;
    last_breach = breach;
    last_call = call;
}

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    *out = hvpt_make_hpa(give_instead != 0 ? give_instead : (uint64_t)++next_frame * 4096);
    give_instead = 0;
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    return frame.value / 4096 < FRAMES ? memory[frame.value / 4096] + view_off : NULL;
}

static void flushed(void *ctx, const struct hvpt_flush *flush)
{
    struct hvpt_mapping mapping;

    (void)ctx, (void)flush;
    flushes++;
    if (call_back != NULL)
        (void)!hvpt_space_translate(call_back, hvpt_make_gpa(BASE), &mapping);
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, flushed};

static void load(void)
{
    const struct hvpt_ept_config config = {.levels = 4};

    memset(memory, 0, sizeof(memory));
    next_frame = flushes = breaches = view_off = 0;
    give_instead = 0;
    call_back = NULL;
    last_call = "";
    cr_assert_eq(hvpt_ept_init(&space, &hooks, &config), HVPT_OK);
}

static enum hvpt_status map_at(uint64_t gpa, uint64_t pages, struct hvpt_flush *flush)
{
    return hvpt_space_map(&space, hvpt_make_gpa(gpa), hvpt_make_hpa(HOST + gpa), pages * HVPT_4K, rwx, flush);
}

static void expect(enum hvpt_breach breach, const char *call)
{
    cr_expect_eq(breaches, 1, "%u breaches", breaches);
    cr_expect_eq(last_breach, (int)breach, "%s: %s", last_call, hvpt_breach_text((enum hvpt_breach)last_breach));
    cr_expect_str_eq(last_call, call);
    breaches = 0;
}

TestSuite(debug, .init = load);

Test(debug, a_caller_who_keeps_the_contracts_hears_nothing)
{
    struct hvpt_flush flush = {0};
    struct hvpt_mapping mapping;

    cr_assert_eq(map_at(BASE, 600, &flush), HVPT_OK);
    cr_assert_eq(hvpt_ept_map(&space, hvpt_make_gpa(0), hvpt_make_hpa(HOST), HVPT_4K, rwx, &flush), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    cr_assert_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, rwx, HVPT_WRITE, &flush), HVPT_OK);
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), 600 * HVPT_4K, &flush), HVPT_OK);
    hvpt_space_flush(&space, &flush);
    hvpt_debug_unlock(&space);
    cr_assert_eq(hvpt_space_fault_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx), HVPT_OK);
    hvpt_space_destroy(&space);
    cr_expect_eq(breaches, 0);
    cr_expect_eq(flushes, 1);
}

Test(debug, a_frame_that_is_not_aligned)
{
    give_instead = 20 * 4096 + 64;
    cr_expect_eq(map_at(BASE, 1, NULL), HVPT_E_NOMEM);
    expect(HVPT_BREACH_ALIGNMENT, "alloc_frame");
}

Test(debug, a_frame_that_the_format_cannot_address)
{
    give_instead = UINT64_C(1) << 52;
    cr_expect_eq(map_at(BASE, 1, NULL), HVPT_E_NOMEM);
    expect(HVPT_BREACH_BEYOND, "alloc_frame");
}

Test(debug, a_frame_that_is_a_table_already)
{
    cr_assert_eq(map_at(BASE, 1, NULL), HVPT_OK);
    give_instead = 2 * 4096;
    (void)!map_at(BASE << 9, 1, NULL);
    expect(HVPT_BREACH_DUPLICATE, "alloc_frame");
}

Test(debug, a_frame_that_is_the_root)
{
    give_instead = 1 * 4096;
    (void)!map_at(BASE, 1, NULL);
    expect(HVPT_BREACH_DUPLICATE, "alloc_frame");
}

Test(debug, a_frame_that_is_in_reserve)
{
    cr_assert_eq(hvpt_space_reserve(&space, 2), HVPT_OK);
    give_instead = 3 * 4096;
    cr_assert_eq(hvpt_space_reserve(&space, 3), HVPT_OK);
    expect(HVPT_BREACH_DUPLICATE, "alloc_frame");
}

Test(debug, a_view_that_is_not_aligned)
{
    view_off = 4;
    give_instead = 30 * 4096;
    (void)!hvpt_space_reserve(&space, 1);
    expect(HVPT_BREACH_VIEW, "phys_to_virt");
}

Test(debug, a_flush_that_was_not_zeroed)
{
    struct hvpt_flush flush;

    memset(&flush, 0x5a, sizeof(flush));
    hvpt_debug_begin(&space, HVPT_ROLE_SOLE, &flush, "hvpt_space_unmap");
    expect(HVPT_BREACH_FLUSH, "hvpt_space_unmap");
}

/* types.h: an empty one has kind NONE, and nothing else counts then. */
Test(debug, a_flush_with_more_tables_than_it_holds)
{
    struct hvpt_flush flush = {0};

    flush.dead_count = HVPT_FLUSH_DEAD_MAX + 1;
    hvpt_debug_begin(&space, HVPT_ROLE_SOLE, &flush, "hvpt_space_unmap");
    hvpt_debug_end(&space, HVPT_ROLE_SOLE, &flush);
    cr_expect_eq(breaches, 0, "an empty one");
    flush.kind = HVPT_FLUSH_INVEPT;
    hvpt_debug_begin(&space, HVPT_ROLE_SOLE, &flush, "hvpt_space_unmap");
    expect(HVPT_BREACH_FLUSH, "hvpt_space_unmap");
}

Test(debug, another_flush_before_the_first_was_settled)
{
    struct hvpt_flush first = {0}, second = {0};

    cr_assert_eq(map_at(BASE, 4, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, &first), HVPT_OK);
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE + HVPT_4K), HVPT_4K, &second), HVPT_OK);
    expect(HVPT_BREACH_UNSETTLED, "hvpt_space_unmap");
}

Test(debug, a_lock_dropped_before_the_flush)
{
    struct hvpt_flush flush = {0};

    cr_assert_eq(map_at(BASE, 4, NULL), HVPT_OK);
    cr_assert_eq(hvpt_ept_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, &flush), HVPT_OK);
    hvpt_debug_unlock(&space);
    expect(HVPT_BREACH_UNSETTLED, "hvpt_debug_unlock");
}

/* RISC-V without Svvptc: a hart may have cached that the page was not there. */
Test(debug, a_lock_dropped_before_the_flush_that_a_mapping_owes)
{
    const struct hvpt_gstage_config config = {.mode = 8};
    struct hvpt_flush flush = {0};
    struct hvpt_space other;

    next_frame = 3; /* the root has 16 KiB, and is aligned to that */
    cr_assert_eq(hvpt_gstage_init(&other, &hooks, &config), HVPT_OK);
    next_frame = 7;
    cr_assert_eq(hvpt_space_map(&other, hvpt_make_gpa(0), hvpt_make_hpa(HOST), HVPT_4K, rwx, &flush), HVPT_OK);
    cr_expect_eq(breaches, 0);
    hvpt_debug_unlock(&other);
    expect(HVPT_BREACH_UNSETTLED, "hvpt_debug_unlock");
}

Test(debug, a_space_destroyed_before_the_flush)
{
    struct hvpt_flush flush = {0};

    cr_assert_eq(map_at(BASE, 4, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), 4 * HVPT_4K, &flush), HVPT_OK);
    hvpt_space_destroy(&space);
    expect(HVPT_BREACH_UNSETTLED, "hvpt_space_destroy");
}

Test(debug, a_hook_that_calls_back)
{
    cr_assert_eq(map_at(BASE, 4, NULL), HVPT_OK);
    call_back = &space;
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
    expect(HVPT_BREACH_BESIDE, "hvpt_space_translate");
}

/* The table of docs/contracts.md, row by row: who began first, who may begin beside it. */
Test(debug, every_row_of_who_may_run_beside_whom)
{
    static const char *const allowed[] = {
        "READER: READER FAULTER TOUCH WRITER TRACKER", "FAULTER: READER FAULTER TOUCH WRITER",
        "TOUCH: READER FAULTER TOUCH WRITER TRACKER",  "WRITER: READER FAULTER TOUCH",
        "TRACKER: READER TOUCH",                       "SOLE:",
    };
    static const char *const names[] = {"READER", "FAULTER", "TOUCH", "WRITER", "TRACKER", "SOLE"};

    for (unsigned first = 0; first < 6; first++) {
        for (unsigned second = 0; second < 6; second++) {
            const bool may = strstr(strchr(allowed[first], ':'), names[second]) != NULL;

            breaches = 0;
            hvpt_debug_begin(&space, (enum hvpt_role)first, NULL, "first");
            cr_expect_eq(breaches, 0);
            hvpt_debug_begin(&space, (enum hvpt_role)second, NULL, "second");
            cr_expect_eq(breaches, may ? 0 : 1, "%s beside %s: %u", names[second], names[first], breaches);
            hvpt_debug_end(&space, (enum hvpt_role)second, NULL);
            hvpt_debug_end(&space, (enum hvpt_role)first, NULL);
        }
    }
}

/* The table of 512 pages that go is retired; its frame is free_frame's only after the flush. */
Test(debug, mapping_a_table_that_waits_for_its_flush_is_heard)
{
    struct hvpt_flush flush = {0};
    hvpt_hpa table, other;

    cr_assert_eq(map_at(BASE + 512 * HVPT_4K, 1, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE + 512 * HVPT_4K), HVPT_4K, &flush), HVPT_OK);
    cr_assert_gt(flush.dead_count, 0);
    table = hvpt_make_hpa(flush.dead[0] & ~(HVPT_4K - 1));
    other = hvpt_make_hpa(table.value + HVPT_4K * FRAMES);
    (void)!hvpt_space_map(&space, hvpt_make_gpa(0), other, HVPT_4K, rwx, &flush);
    cr_expect_eq(breaches, 0, "another frame");
    (void)!hvpt_space_map(&space, hvpt_make_gpa(HVPT_4K), table, HVPT_4K, rwx, &flush);
    expect(HVPT_BREACH_RETIRED, "hvpt_space_map");
    (void)!hvpt_space_replace(&space, hvpt_make_gpa(0), table, HVPT_4K, rwx, &flush);
    expect(HVPT_BREACH_RETIRED, "hvpt_space_replace");
    hvpt_space_flush(&space, &flush);
    (void)!hvpt_space_replace(&space, hvpt_make_gpa(0), table, HVPT_4K, rwx, NULL);
    cr_expect_eq(breaches, 0, "after the flush");
}

Test(debug, every_breach_has_words_of_its_own)
{
    for (unsigned i = 0; i <= HVPT_BREACH_RETIRED; i++) {
        const char *words = hvpt_breach_text((enum hvpt_breach)i);

        cr_assert_not_null(words);
        cr_expect_str_neq(words, "unknown breach");
        for (unsigned other = 0; other < i; other++)
            cr_expect_str_neq(words, hvpt_breach_text((enum hvpt_breach)other));
    }
    cr_expect_str_eq(hvpt_breach_text((enum hvpt_breach)99), "unknown breach");
}
