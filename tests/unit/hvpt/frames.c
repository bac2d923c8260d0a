/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Many frames at once: the reserve and the frames of one map, below, at and beyond the number whose addresses one frame
 * holds. Each frame that the hook gave is used once and given back once, whatever fails on the way.
 */
#include "support/check.h"

#include <hvpt/ept.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define FRAMES 4096u

static unsigned char *arena;
static bool held[FRAMES];
static unsigned next, live, fail_at;

static bool give(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    if (fail_at != 0 && --fail_at == 0)
        return false;
    while (held[next % FRAMES])
        next++;
    held[next % FRAMES] = true;
    live++;
    out->value = HVPT_4K * (next++ % FRAMES);
    return true;
}

static void take(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)order;
    CHECK(frame.value % HVPT_4K == 0 && frame.value / HVPT_4K < FRAMES && held[frame.value / HVPT_4K],
          "0x%llx was not given, or came back before", (unsigned long long)frame.value);
    held[frame.value / HVPT_4K] = false;
    live--;
}

static const struct hvpt_hooks *hooks(void)
{
    static struct hvpt_hooks all = {.alloc_frame = give, .free_frame = take};

    if (arena == NULL)
        arena = aligned_alloc(HVPT_4K, FRAMES * HVPT_4K);
    all.linear_map = arena;
    return &all;
}

static void open_space(struct hvpt_space *ept)
{
    const struct hvpt_ept_config config = {.max_page_size = HVPT_4K};

    next = live = fail_at = 0;
    CHECK_STATUS(hvpt_ept_init(ept, hooks(), &config), HVPT_OK, "init");
}

static uint64_t in_reserve(const struct hvpt_space *ept)
{
    struct hvpt_stats stats;

    hvpt_space_stats(ept, &stats);
    CHECK_EQ(stats.frames, live, "frames by the books");
    return stats.reserved;
}

/* Frames that hold leaves, in the order of their addresses in the guest, as hardware finds them. */
static unsigned leaf_tables(uint64_t *list, unsigned count)
{
    const uint64_t *root = (const uint64_t *)(void *)arena, *middle;
    unsigned found = 0, i, j;

    middle = (const uint64_t *)(void *)(arena + (root[0] & 0xffffffffff000));
    for (i = 0; i < 512; i++) {
        const uint64_t *table = (const uint64_t *)(void *)(arena + (middle[i] & 0xffffffffff000));

        for (j = 0; (middle[i] & 7) != 0 && j < 512; j++) {
            if ((table[j] & 7) != 0 && found < count)
                list[found++] = table[j] & 0xffffffffff000;
        }
    }
    return found;
}

static const uint64_t counts[] = {1, 2, 3, 510, 511, 512, 513, 514, 1023, 1024, 1025, 1536, 1537, 2050};

Test(frames, a_reserve_grows_and_shrinks_across_frames_of_addresses)
{
    struct hvpt_space ept;

    open_space(&ept);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t j = i; j < sizeof counts / sizeof *counts; j++) {
            check_context("%llu, then %llu", (unsigned long long)counts[i], (unsigned long long)counts[j]);
            CHECK_STATUS(hvpt_space_reserve(&ept, counts[i]), HVPT_OK, "reserve");
            fail_at = (unsigned)(counts[j] - counts[i]); /* the last one that is wanted */
            if (fail_at != 0) {
                CHECK_STATUS(hvpt_space_reserve(&ept, counts[j]), HVPT_E_NOMEM, "reserve");
                CHECK_EQ(in_reserve(&ept), counts[i], "in reserve");
            }
            CHECK_STATUS(hvpt_space_reserve(&ept, counts[j]), HVPT_OK, "reserve");
            CHECK_EQ(in_reserve(&ept), counts[j], "in reserve");
            CHECK_EQ(live, counts[j] + 1, "frames held");
            CHECK_STATUS(hvpt_space_reserve(&ept, 0), HVPT_OK, "reserve");
            CHECK_EQ(live, 1, "frames held");
        }
    }
    hvpt_space_destroy(&ept);
    CHECK_EQ(live, 0, "frames held");
}

/* So many tables with leaves, of which so many frames come from the reserve; two more for the levels above. */
static void map_tables(uint64_t tables, uint64_t reserved)
{
    const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    static uint64_t list[FRAMES];
    static bool seen[FRAMES];
    uint64_t above = 1 + (tables + 511) / 512, needed = tables + above, size = tables << 21;
    unsigned in_order = 0, i;
    struct hvpt_flush flush = {0};
    struct hvpt_space ept;

    check_context("%llu tables, %llu in reserve", (unsigned long long)tables, (unsigned long long)reserved);
    open_space(&ept);
    CHECK_STATUS(hvpt_space_reserve(&ept, reserved), HVPT_OK, "reserve");
    if (reserved < needed) {
        fail_at = (unsigned)(needed - reserved);
        CHECK_STATUS(hvpt_space_map(&ept, hvpt_make_gpa(0), hvpt_make_hpa(0), size, attr, NULL), HVPT_E_NOMEM, "map");
        CHECK_EQ(in_reserve(&ept), reserved, "in reserve");
        CHECK_EQ(live, reserved + 1, "frames held");
    }
    CHECK_STATUS(hvpt_space_map(&ept, hvpt_make_gpa(0), hvpt_make_hpa(0), size, attr, NULL), HVPT_OK, "map");
    CHECK_EQ(in_reserve(&ept), reserved > needed ? reserved - needed : 0, "in reserve");
    CHECK_EQ(leaf_tables(list, FRAMES), tables, "tables with leaves");
    memset(seen, 0, sizeof seen);
    for (i = 0; i < tables; i++) {
        CHECK(held[list[i] / HVPT_4K] && !seen[list[i] / HVPT_4K], "table %u at 0x%llx: not given, or used twice", i,
              (unsigned long long)list[i]);
        seen[list[i] / HVPT_4K] = true;
        in_order += i != 0 && list[i] == list[i - 1] + HVPT_4K;
    }
    /* As the hook gave them, upwards; but for one in 512, and where hook and reserve meet. */
    CHECK(in_order + 8 + tables / 100 >= tables, "%u of %llu tables come in order", in_order,
          (unsigned long long)tables);
    CHECK_STATUS(hvpt_space_unmap(&ept, hvpt_make_gpa(0), size, &flush), HVPT_OK, "unmap");
    hvpt_space_flush(&ept, &flush);
    CHECK_EQ(live, in_reserve(&ept) + 1, "frames held");
    hvpt_space_destroy(&ept);
    CHECK_EQ(live, 0, "frames held");
}

Test(frames, each_is_a_table_once)
{
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++)
            map_tables(counts[i] < 1500 ? counts[i] : 1500, j == 0 ? 0 : counts[j]);
    }
}
