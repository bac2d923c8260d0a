/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A reader (frames_needed, translate, next_leaf) beside dirty, age or write_protect, which on a processor that demands
 * break-before-make empty the entries of a contiguous set for a moment: under every interleaving of the one's loads and
 * the other's changes, the reader finds a page as it is, or none, and never a broken table. The code is the engine's own.
 */
#include <stdbool.h>
#include <stdint.h>

static void about_to_access(const void *at, bool changes);
static uint64_t access_load(const uint64_t *at, int order)
{
    about_to_access(at, false);
    return __atomic_load_n(at, order);
}
static uint64_t access_exchange(uint64_t *at, uint64_t value, int order)
{
    about_to_access(at, true);
    return __atomic_exchange_n(at, value, order);
}
static bool access_replace(uint64_t *at, uint64_t *expected, uint64_t value, bool weak, int order, int failed)
{
    about_to_access(at, true);
    (void)weak;
    return __atomic_compare_exchange_n(at, expected, value, false, order, failed);
}
static uint32_t access_mark(const uint32_t *at, int order)
{
    return __atomic_load_n(at, order);
}
#define __atomic_load_n(at, order) \
    _Generic((at), uint32_t *: access_mark, const uint32_t *: access_mark, default: access_load)(at, order)
#define __atomic_exchange_n         access_exchange
#define __atomic_compare_exchange_n access_replace

#define INDEX_BITS       2u
#define HVPT_FRAME_SHIFT (3 + INDEX_BITS)

enum { ROOT = 2, FRAMES = 4 };

#include "two_calls.h"

enum { PAGES = ROOT * ENTRIES, ROOT_SPAN = PAGE * ENTRIES };
#define PIECE UINT64_C(0x100000)

static void used_before(hvpt_entry *frame)
{
    memset(frame, 0x5b, sizeof(memory[0]));
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    must(held[frame_at(frame.value)], "only frames that are held are looked at");
    return memory[frame_at(frame.value)];
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)order;
    held[frame_at(frame.value)] = false;
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, NULL};
static const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0};

static unsigned asked, reader, writer;
static enum hvpt_status status[2];
static uint64_t found, begins, frames;

static void about_to_access(const void *at, bool changes)
{
    if (threads_run && changes == (running == 1) && (uintptr_t)at - (uintptr_t)memory < sizeof(memory))
        yield();
}

static void look(void)
{
    const hvpt_gpa gpa = hvpt_make_gpa((uint64_t)asked * PAGE);
    struct hvpt_leaf_iterator leaves = hvpt_leaves(gpa, PAGE);
    struct hvpt_mapping mapping;
    hvpt_gpa first = {0};

    if (reader == 0) {
        status[0] = hvpt_space_frames_needed(&space, gpa, hvpt_make_hpa(2 * PIECE), PAGE, attr, &frames);
    } else if (reader == 1) {
        status[0] = hvpt_space_translate(&space, gpa, &mapping);
        begins = gpa.value;
    } else {
        status[0] = hvpt_space_next_leaf(&space, &leaves, &first, &mapping) ? HVPT_OK
                  : leaves.status != HVPT_OK                                ? leaves.status : HVPT_E_ABSENT;
        begins = first.value;
    }
    if (reader != 0 && status[0] == HVPT_OK)
        found = mapping.hpa.value;
}

static void change(void)
{
    uint64_t bitmap = 0;
    struct hvpt_flush flush = {0};

    if (writer == 0)
        status[1] = hvpt_space_dirty(&space, hvpt_make_gpa(0), PAGES * PAGE, &bitmap, &flush);
    else if (writer == 1)
        status[1] = hvpt_space_age(&space, hvpt_make_gpa(0), PAGES * PAGE, &bitmap, &flush);
    else
        status[1] = hvpt_space_write_protect(&space, hvpt_make_gpa(0), PAGES * PAGE, &flush);
}

/* The first table's pages are one piece from PIECE on, or the root's blocks are; the last page is never mapped. */
static void run(void)
{
    const uint64_t size = choose(2) ? PAGES * PAGE - ROOT_SPAN : choose(2) ? ENTRIES * PAGE / 2 : PAGE;
    bool mapped;

    open_space(&hooks, SMALL_BREAKS | SMALL_SETS | (choose(2) ? SMALL_MARKS : 0), ROOT, 1);
    assume(hvpt_space_map(&space, hvpt_make_gpa(0), hvpt_make_hpa(PIECE), size, attr, NULL) == HVPT_OK);
    if (choose(2))
        assume(hvpt_space_split(&space, hvpt_make_gpa(0), PAGES * PAGE, PAGE, NULL) == HVPT_OK
               && hvpt_space_collapse(&space, hvpt_make_gpa(0), PAGES * PAGE / 4, NULL, NULL) == HVPT_OK);
    reader = choose(3);
    writer = choose(3);
    asked = choose(PAGES);
    mapped = (uint64_t)asked * PAGE < size;
    run_both(look, change);

    must(status[1] == HVPT_OK, "a change that has no cause to fail");
    if (reader == 0)
        must(status[0] == (mapped ? HVPT_E_EXISTS : HVPT_OK) || (status[0] == HVPT_OK && !apart), "what stands in the way");
    else
        must(status[0] == (mapped ? HVPT_OK : HVPT_E_ABSENT) || (status[0] == HVPT_E_ABSENT && !apart), "what is there");
    must(reader == 0 || status[0] != HVPT_OK || found == PIECE + begins, "a page as it is");
}

int main(void)
{
    enumerate(run);
    return 0;
}
