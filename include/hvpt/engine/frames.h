/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Table frames on their way in and out: taken in advance, so that nothing fails half-way, and given back only after
 * the flush that covers them.
 */
#ifndef HVPT_ENGINE_FRAMES_H
#define HVPT_ENGINE_FRAMES_H

#include "rules.h"

/* Give a frame back to the hook; the caller takes it off space->frames. */
HVPT_INLINE void hvpt_give_frame(const struct hvpt_space *space, uint64_t frame, unsigned order)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);

    (hooks->free_frame)(hooks->ctx, hvpt_make_hpa(frame), order);
}

HVPT_FUNCTION HVPT_COLD void hvpt_free_frame(struct hvpt_space *space, uint64_t frame, unsigned order)
{
    hvpt_give_frame(space, frame, order);
    hvpt_count_add_shared(&space->frames, (uint64_t)-1);
}

#ifdef HVPT_DEBUG
static inline void hvpt_debug_frame(const struct hvpt_space *space, unsigned order, uint64_t frame, const void *table);
#endif

/* One frame from the hook, refused if the format could not address it. NULL: none, and nothing is held. */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_alloc_frame(struct hvpt_space *space, unsigned order, uint64_t *frame)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);
    const uint64_t size = UINT64_C(1) << (HVPT_FRAME_SHIFT + order);
    hvpt_hpa got = {0};
    hvpt_entry *table = NULL;

    if (!(hooks->alloc_frame)(hooks->ctx, order, &got))
        return NULL;
    if ((got.value & (size - 1)) == 0 && got.value <= space->hpa_limit - size)
        table = hvpt_table_at(space, got.value);
#ifdef HVPT_DEBUG
    hvpt_debug_frame(space, order, got.value, table);
    if ((uintptr_t)table & 7) /* it has been reported; a program that goes on must not write there */
        table = NULL;
#endif
    if (table == NULL)
        (hooks->free_frame)(hooks->ctx, got, order);
    *frame = got.value;
    return table;
}

/*
 * Before a change of list and after it. The reserve has a sequence number, because fault_map and frames_needed look
 * through it (hvpt_frames_touch) while map takes from it.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_frames_change(struct hvpt_space *space, const struct hvpt_frames *list)
{
    if (list == &space->pool)
        hvpt_sequence_step(&space->pool_sequence);
}

HVPT_FUNCTION HVPT_COLD void hvpt_frames_push(struct hvpt_space *space, struct hvpt_frames *list,
                                              hvpt_entry *table, uint64_t frame)
{
    unsigned index = (unsigned)list->count % HVPT_FRAMES_CHUNK;

    /* These are not entries: nobody walks these frames. */
    hvpt_frames_change(space, list);
    if (index == 0) {
        hvpt_atomic_store_relaxed((uint64_t *)(void *)table, list->head);
        hvpt_atomic_store_relaxed(&list->head, frame);
    } else {
        hvpt_atomic_store_relaxed((uint64_t *)(void *)hvpt_table_at(space, list->head) + index, frame);
    }
    hvpt_count_add(&list->count, 1);
    hvpt_frames_change(space, list);
}

/* Take the last frame off the list, which must not be empty. */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_frames_pop(struct hvpt_space *space, struct hvpt_frames *list,
                                                    uint64_t *frame)
{
    const unsigned index = (unsigned)(list->count - 1) % HVPT_FRAMES_CHUNK;
    const uint64_t head = list->head, noted = ((const uint64_t *)(const void *)hvpt_table_at(space, head))[index];

    hvpt_frames_change(space, list);
    hvpt_count_add(&list->count, (uint64_t)-1);
    if (index == 0)
        hvpt_atomic_store_relaxed(&list->head, noted);
    hvpt_frames_change(space, list);
    *frame = index == 0 ? head : noted;
    return hvpt_table_at(space, *frame);
}

/* Reverse the addresses that a finished chunk stores, from frame number had on: see hvpt_frames_add. */
static inline void hvpt_frames_turn(const struct hvpt_space *space, struct hvpt_frames *list, uint64_t had)
{
    uint64_t *noted = (uint64_t *)(void *)hvpt_table_at(space, list->head);
    uint64_t base = (list->count - 1) / HVPT_FRAMES_CHUNK * HVPT_FRAMES_CHUNK;
    unsigned first = had > base ? (unsigned)(had - base) : 1, last = (unsigned)(list->count - 1 - base);

    for (; first < last; first++, last--) {
        uint64_t swap = noted[first];

        hvpt_atomic_store_relaxed(&noted[first], noted[last]);
        hvpt_atomic_store_relaxed(&noted[last], swap);
    }
}

/* Give frames back until rest of them are left. They were never linked, so no flush is due. */
HVPT_FUNCTION HVPT_COLD void hvpt_frames_release(struct hvpt_space *space, struct hvpt_frames *list, uint64_t rest)
{
    if (list->count != rest)
        hvpt_count_add_shared(&space->frames, rest - list->count);
    while (list->count != rest) {
        uint64_t frame;

        (void)hvpt_frames_pop(space, list, &frame);
        hvpt_give_frame(space, frame, hvpt_table_order(space));
    }
}

/*
 * Add count frames to list, from the reserve or (from NULL) from the hook. HVPT_E_NOMEM: list is as it was. Each
 * finished chunk is reversed, so that pops come in allocation order: allocators tend to go upwards, and the processor's
 * prefetcher likes that (3x).
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_add(struct hvpt_space *space, struct hvpt_frames *list,
                                                         struct hvpt_frames *from, uint64_t count)
{
    const uint64_t had = list->count, end = had + count;

    while (list->count != end) {
        uint64_t frame = 0;
        hvpt_entry *table = from != NULL ? hvpt_frames_pop(space, from, &frame)
                                         : hvpt_alloc_frame(space, hvpt_table_order(space), &frame);

        if (HVPT_UNLIKELY(table == NULL))
            break;
        hvpt_frames_push(space, list, table, frame);
        if (list->count % HVPT_FRAMES_CHUNK == 0 || list->count == end)
            hvpt_frames_turn(space, list, had);
    }
    if (from == NULL && list->count != had)
        hvpt_count_add_shared(&space->frames, list->count - had);
    if (list->count == end)
        return HVPT_OK;
    hvpt_frames_release(space, list, had);
    return HVPT_E_NOMEM;
}

/* Take everything an operation is going to need, from the space's reserve first. HVPT_E_NOMEM: nothing was taken. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_take(struct hvpt_space *space, struct hvpt_frames *list,
                                                          uint64_t count)
{
    uint64_t pooled = count < space->pool.count ? count : space->pool.count;
    enum hvpt_status status;

    list->head = 0;
    list->count = 0;
    status = hvpt_frames_add(space, list, NULL, count - pooled);
    return status != HVPT_OK ? status : hvpt_frames_add(space, list, &space->pool, pooled);
}

/*
 * HVPT_E_RANGE: a frame of this list, the reserve or one that this CPU alone sees, lies in [first, end). HVPT_E_RACE:
 * another CPU changed the reserve meanwhile. Then what was read may be entries of a table by now, and no address in it
 * is followed.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_touch(const struct hvpt_space *space,
                                                           const struct hvpt_frames *list, uint64_t first, uint64_t end)
{
    /* A frame touches the range if it begins in it, or less than its own size before it. */
    const uint64_t lowest = first - hvpt_span(space, 0) + 1, reach = end - lowest;
    const uint32_t before = hvpt_sequence_read(&space->pool_sequence) & ~1u; /* what an odd number never is again */
    uint64_t frame = hvpt_atomic_load(&list->head), left = hvpt_count_read_acquire(&list->count);
    bool touched = false;

    while (left != 0 && !touched) {
        const uint64_t *noted = (const uint64_t *)(const void *)hvpt_table_at(space, frame);
        unsigned i = (unsigned)(left - 1) % HVPT_FRAMES_CHUNK;
        uint64_t word;

        if (noted == NULL)
            return HVPT_E_RACE;
        left -= i + 1;
        do {
            word = hvpt_atomic_load(&noted[i]);
            touched |= (i != 0 ? word : frame) - lowest < reach;
        } while (i-- != 0);
        if (hvpt_sequence_read(&space->pool_sequence) != before)
            return HVPT_E_RACE;
        frame = word;
    }
    return touched ? HVPT_E_RANGE : HVPT_OK;
}

/* A frame becomes a table: the guard policy must know where tables lie. */
HVPT_FUNCTION HVPT_COLD void hvpt_note_table(struct hvpt_space *space, uint64_t frame)
{
    hvpt_bound_lower(&space->lowest_table, frame);
    hvpt_bound_raise(&space->highest_table, frame);
}

/* The next frame of an operation's list, to be the table at this level. Its contents are undefined. */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_take_table(struct hvpt_space *space, struct hvpt_frames *list, unsigned level,
                                                    uint64_t *frame)
{
    hvpt_entry *table = hvpt_frames_pop(space, list, frame);

    if (space->policy & HVPT_POLICY_GUARD_TABLES)
        hvpt_note_table(space, *frame);
    hvpt_count_add_shared(&space->tables[level], 1);
    return table;
}

#endif
