/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A frame allocator that keeps books. First fit: the pool is small and a test wants the same frames each time. */
#include "frames.h"

#include "machine.h"
#include "memory.h"

/*
 * As an entry of any format it is malformed: EPT's memory type is reserved, RISC-V's bits 60:54 are set, and the address
 * lies outside RAM and above MAXPHYADDR. A walk through a frame that was given back therefore shows.
 */
#define POISON 0xdb

void frames_init(struct frames *frames)
{
    memset(frames, 0, sizeof(*frames));
    frames->refuse_after = FRAMES_NO_LIMIT;
}

static bool all_free(const struct frames *frames, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        if (frames->state[i] != FRAME_FREE)
            return false;
    return true;
}

bool frames_alloc(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct frames *frames = ctx;
    unsigned count = 1u << order;

    if (frames->refuse_after == 0)
        return false;
    for (unsigned i = 0; i + count <= FRAMES_COUNT; i += count) {
        if (!all_free(frames, i, count))
            continue;
        memset(&frames->state[i], FRAME_TAIL, count);
        frames->state[i] = FRAME_HELD;
        frames->order[i] = (uint8_t)order;
        frames->held += count;
        frames->allocated += count;
        if (frames->held > frames->peak)
            frames->peak = frames->held;
        if (frames->refuse_after != FRAMES_NO_LIMIT)
            frames->refuse_after--;
        *out = hvpt_make_hpa(FRAMES_BASE + i * UINT64_C(4096));
        memset((void *)(uintptr_t)out->value, POISON,
               count * (size_t)4096); /* contents undefined, so nobody relies on zeros */
        return true;
    }
    return false;
}

void frames_free(void *ctx, hvpt_hpa frame, unsigned order)
{
    struct frames *frames = ctx;
    uint64_t at = (frame.value - FRAMES_BASE) / 4096;
    unsigned count = 1u << order;

    if (frame.value < FRAMES_BASE || frame.value % 4096 != 0 || at >= FRAMES_COUNT) {
        frames->foreign_free++;
        return;
    }
    if (frames->state[at] != FRAME_HELD || frames->order[at] != order) {
        frames->double_free++;
        return;
    }
    memset(&frames->state[at], FRAME_FREE, count);
    frames->held -= count;
    frames->given_back += count;
    memset((void *)(uintptr_t)frame.value, POISON, count * (size_t)4096);
}

void *frames_page(struct frames *frames)
{
    hvpt_hpa frame;

    if (!frames_alloc(frames, 0, &frame))
        panic("no frame left");
    return memset((void *)(uintptr_t)frame.value, 0, 4096);
}

void frames_give_page(struct frames *frames, void *page)
{
    frames_free(frames, hvpt_make_hpa((uintptr_t)page), 0);
}
