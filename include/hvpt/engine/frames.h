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

/* A frame is or may become a table: the guard policy must know where frames lie. */
HVPT_FUNCTION HVPT_COLD void hvpt_note_frame(struct hvpt_space *space, uint64_t frame, uint64_t size)
{
    if (!(space->policy & HVPT_POLICY_GUARD_TABLES))
        return;
    hvpt_bound_lower(&space->first_frame, frame);
    hvpt_bound_raise(&space->last_frame, frame + size - 1);
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
    if (table != NULL)
        hvpt_note_frame(space, got.value, size);
    else
        (hooks->free_frame)(hooks->ctx, got, order);
    *frame = got.value;
    return table;
}

/*
 * Set a list's head and count. The reserve has a sequence number, because fault_map and frames_needed look through it
 * (hvpt_frames_touch) while its writer changes it.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_frames_set(struct hvpt_space *space, struct hvpt_frames *list, uint64_t head,
                                             uint64_t count)
{
    hvpt_atomic_store_relaxed(&list->head, head);
    hvpt_atomic_store_relaxed(&list->count, count);
    if (list == &space->pool)
        hvpt_sequence_step(&space->pool_sequence);
}

/* Take a frame off list or, if that is empty, off the reserve. The caller has made sure that one of them is not. */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_frames_pop(struct hvpt_space *space, struct hvpt_frames *list,
                                                    uint64_t *frame)
{
    const uint64_t *noted;
    uint64_t head, rest;
    unsigned next;

    if (list->count == 0)
        list = &space->pool;
    head = list->head;
    rest = head + 1;
    next = (unsigned)head & HVPT_FRAMES_NEXT;
    noted = (const uint64_t *)(const void *)hvpt_table_at(space, head - next);
    *frame = noted[next];
    if (*frame == HVPT_FRAMES_END) {
        *frame = head - next;
        rest = noted[0];
    }
    hvpt_frames_set(space, list, rest, list->count - 1);
    return hvpt_table_at(space, *frame);
}

/* Give frames back until rest of them are left. They were never linked, so no flush is due. */
HVPT_FUNCTION HVPT_COLD void hvpt_frames_release(struct hvpt_space *space, struct hvpt_frames *list, uint64_t rest)
{
    while (list->count != rest) {
        uint64_t frame;

        (void)hvpt_frames_pop(space, list, &frame);
        hvpt_free_frame(space, frame, hvpt_table_order(space));
    }
}

/* Add count frames from the hook to list. HVPT_E_NOMEM: list is as it was. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_add(struct hvpt_space *space, struct hvpt_frames *list,
                                                         uint64_t count)
{
    const uint64_t had = list->count, end = had + count;
    uint64_t *noted = NULL, frame, head = 0;
    unsigned next = HVPT_FRAMES_CHUNK - 1;

    while (list->count != end) {
        /* These are not entries: nobody walks these frames. */
        uint64_t *words = (uint64_t *)(void *)hvpt_alloc_frame(space, hvpt_table_order(space), &frame);

        if (HVPT_UNLIKELY(words == NULL))
            break;
        if (next == HVPT_FRAMES_CHUNK - 1) { /* the frame becomes a chunk on top of those that there are */
            noted = words;
            next = 0;
            head = frame + 1;
            frame = list->head;
        }
        hvpt_atomic_store_relaxed(&noted[next + 1], HVPT_FRAMES_END);
        hvpt_atomic_store(&noted[next++], frame); /* who finds the note finds what ends the notes now */
        hvpt_frames_set(space, list, head, list->count + 1);
    }
    if (list->count != had)
        hvpt_count_add_shared(&space->frames, list->count - had);
    if (list->count == end)
        return HVPT_OK;
    hvpt_frames_release(space, list, had);
    return HVPT_E_NOMEM;
}

/* Take everything that an operation is going to need beyond the reserve. HVPT_E_NOMEM: nothing was taken. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_take(struct hvpt_space *space, struct hvpt_frames *list,
                                                          uint64_t count)
{
    list->head = 0;
    list->count = 0;
    return hvpt_frames_add(space, list, count > space->pool.count ? count - space->pool.count : 0);
}

/* The next frame of an operation's list, to be the table at this level. Its contents are undefined. */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_take_table(struct hvpt_space *space, struct hvpt_frames *list, unsigned level,
                                                    uint64_t *frame)
{
    hvpt_entry *table = hvpt_frames_pop(space, list, frame);

    hvpt_count_add_shared(&space->tables[level], 1);
    return table;
}

#endif
