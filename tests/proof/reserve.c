/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The guard policy: one CPU asks whether a frame may be mapped, while another changes the reserve through which the first
 * one looks (it grows, a map takes from it, it is given back), under every interleaving of their accesses to it. Whoever
 * gets a frame that was given back writes into it at once what would mislead a reader. The code is the engine's own.
 */
#include <stdbool.h>
#include <stdint.h>

static void about_to_access(const void *at, bool stores);
static uint64_t access_load(const uint64_t *at, int order)
{
    about_to_access(at, false);
    return __atomic_load_n(at, order);
}
static void access_store(uint64_t *at, uint64_t value, int order)
{
    about_to_access(at, true);
    __atomic_store_n(at, value, order);
}
static uint32_t access_number(const uint32_t *at, int order)
{
    about_to_access(at, false);
    return __atomic_load_n(at, order);
}
static void access_set_number(uint32_t *at, uint32_t value, int order)
{
    about_to_access(at, true);
    __atomic_store_n(at, value, order);
}
#define __atomic_load_n(at, order) \
    _Generic((at), uint32_t *: access_number, const uint32_t *: access_number, default: access_load)(at, order)
#define __atomic_store_n(at, value, order) \
    _Generic((at), uint32_t *: access_set_number, default: access_store)(at, value, order)

#define INDEX_BITS       2u
#define HVPT_FRAME_SHIFT (3 + INDEX_BITS)

enum { ROOT = 2, FRAMES = 5 };

#include "two_calls.h"

#define PIECE UINT64_C(0x100000)

static unsigned target;
static bool known[FRAMES]; /* frames that the space has or had */

/* What was in a frame before it came, or comes into it after it went: the address that is asked about. */
static void used_before(hvpt_entry *frame)
{
    unsigned i;

    for (i = 0; i < ENTRIES; i++)
        frame[i] = address_of(target);
    known[(size_t)(frame - memory[0]) / ENTRIES] = true;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    const uint64_t row = frame.value / 4096 - 1;

    (void)ctx;
    must(frame.value % 4096 == 0 && row < FRAMES && known[row], "what is looked at is or was a frame");
    return memory[row];
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    const unsigned row = frame_at(frame.value);

    (void)ctx, (void)order;
    must(held[row], "what is given back was held");
    held[row] = false;
    used_before(memory[row]);
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, NULL};
static const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0};

static unsigned grown, kind;
static enum hvpt_status status[2];

/*
 * One of them stores what the other loads; its own loads, and the tree, which map changes once, are beside the question.
 */
static void about_to_access(const void *at, bool stores)
{
    const uintptr_t into = (uintptr_t)at - (uintptr_t)memory;

    if (threads_run && stores == (running == 1)
        && (at == &space.pool.head || at == &space.pool_sequence
            || (into >= sizeof(memory[0]) && into < sizeof(memory))))
        yield();
}

static void ask(void)
{
    uint64_t frames;

    status[0] = hvpt_space_frames_needed(&space, hvpt_make_gpa((uint64_t)ENTRIES * PAGE), hvpt_make_hpa(address_of(target)),
                                         PAGE, attr, &frames);
}

static void change(void)
{
    if (kind == 0)
        status[1] = hvpt_space_reserve(&space, grown);
    else if (kind == 1)
        status[1] = hvpt_space_map(&space, hvpt_make_gpa(0), hvpt_make_hpa(PIECE), PAGE, attr, NULL);
    else
        status[1] = hvpt_space_reserve(&space, 0);
}

static void run(void)
{
    bool before[FRAMES];
    unsigned reserved, i;

    memset(known, 0, sizeof(known));
    target = 1 + choose(FRAMES - 1);
    open_space(&hooks, 0, ROOT, 1);
    known[0] = true;
    space.policy = HVPT_POLICY_GUARD_TABLES;
    space.first_frame = 0; /* whether a frame lies between them is beside the question */
    space.last_frame = UINT64_MAX;
    reserved = choose(3);
    for (i = 1; i <= reserved; i++)
        assume(hvpt_space_reserve(&space, choose(2) ? i : reserved) == HVPT_OK);
    kind = choose(3);
    grown = reserved + 1 + (kind == 0 ? choose(2) : 0);
    memcpy(before, held, sizeof(before));
    run_both(ask, change);

    must(status[1] == HVPT_OK || (status[1] == HVPT_E_NOMEM && failures != 0), "a change without a cause to fail");
    must(status[0] == HVPT_OK || status[0] == HVPT_E_RANGE || status[0] == HVPT_E_RACE, "a status that is promised");
    must(status[0] != HVPT_E_RANGE || known[target], "a frame that never was the space's may be mapped");
    must(status[0] != HVPT_E_RACE || !apart, "a race is between two");
    /* map takes a frame off the reserve before it links it, and nobody finds it between. */
    must(status[0] != HVPT_OK || !before[target] || !held[target] || (kind == 1 && !apart),
         "a frame that was the space's throughout may not be mapped");
    for (i = 0; i < FRAMES; i++)
        space.frames -= held[i];
    must(space.frames == 0, "no frame is lost");
}

int main(void)
{
    enumerate(run);
    return 0;
}
