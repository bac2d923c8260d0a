/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the guest used and wrote: accessed and dirty pages, tested and cleared in the bits that hardware keeps or,
 * without them, by taking permissions away and giving them back at the fault.
 */
#ifndef HVPT_ENGINE_TRACK_H
#define HVPT_ENGINE_TRACK_H

#include "bitmap.h"
#include "entry.h"

struct hvpt_track {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t *bitmap;
    uint64_t start;
    uint64_t end;
    uint64_t (*clear)(const struct hvpt_space *space, uint64_t entry); /* rules->clean or rules->forget */
    bool unseen; /* for dirty without hardware bits: writes that need no HVPT_WRITE cause no fault */
};

/* Report the leaf old at gpa if it is accessed or dirty, and clear that. false: it was not. */
HVPT_FUNCTION HVPT_COLD bool hvpt_track_leaf(const struct hvpt_track *track, hvpt_entry *slot, uint64_t old,
                                             uint64_t gpa, unsigned level)
{
    struct hvpt_space *space = track->space;
    const uint64_t span = hvpt_span(space, level);
    const uint64_t first = gpa > track->start ? gpa : track->start;
    const uint64_t past = span < track->end - gpa ? gpa + span : track->end;
    uint64_t cleared = (track->clear)(space, old);

    if (cleared == old && !(track->unseen && ((space->rules->grants)(space, old, level, true) & HVPT_WRITE)))
        return false;
    hvpt_bitmap_set(track->bitmap, (first - track->start) >> space->page_shift, (past - first) >> space->page_shift);
    if (past - first != span || cleared == old)
        return true; /* clearing would lose the state of pages outside the range; or there is nothing to clear */
    while (!hvpt_compare_exchange(slot, &old, cleared))
        cleared = (track->clear)(space, old);
    hvpt_defer(space, track->flush, gpa, span, false);
    return true;
}

/* The last leaf at level 0 that had nothing to clear is remembered: most others differ from it in the address alone. */
static inline HVPT_HOT enum hvpt_status hvpt_track_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_track *track = (struct hvpt_track *)ctx;
    struct hvpt_space *space = track->space;
    const uint64_t matters = space->page_mask;
    uint64_t quiet = 0; /* a leaf at level 0 that had nothing to clear; 0: none yet */
    unsigned i;

    hvpt_unfold_run(space, track->flush, run);
    for (i = 0; i < run->count; i++) {
        uint64_t old = hvpt_load(&run->slot[i]);

        if (HVPT_LIKELY(quiet != 0 && !((old ^ quiet) & matters)))
            continue;
        if (!hvpt_is_present(space, old) || !hvpt_is_leaf(space, old, run->level))
            continue;
        if (!hvpt_track_leaf(track, &run->slot[i], old, run->gpa + i * hvpt_span(space, run->level), run->level))
            quiet = run->level == 0 ? old : 0;
    }
    return HVPT_OK;
}

static inline void hvpt_track_begin(struct hvpt_track *track, struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                    uint64_t *bitmap, struct hvpt_flush *flush, bool dirty)
{
    track->space = space;
    track->flush = flush;
    track->bitmap = bitmap;
    track->start = gpa;
    track->end = gpa + size;
    track->clear = dirty ? space->rules->clean : space->rules->forget;
    track->unseen = dirty && space->hardware_bits == 0;
}

/* Test and clear the leaves of [start, end), which lies in the range that the bitmap covers. */
static inline enum hvpt_status hvpt_track_walk(struct hvpt_track *track, uint64_t start, uint64_t end)
{
    static const struct hvpt_steps steps = {NULL, hvpt_track_slots, NULL};

    return hvpt_walk(track->space, start, end, &steps, track);
}

HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_track_range(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                          uint64_t *bitmap, struct hvpt_flush *flush, bool dirty)
{
    struct hvpt_flush own;
    struct hvpt_track track;
    enum hvpt_status status = hvpt_check_edit(space, gpa, size);

    if (status != HVPT_OK)
        return status;
    hvpt_track_begin(&track, space, gpa, size, bitmap, hvpt_flush_begin(space, flush, &own), dirty);
    status = hvpt_track_walk(&track, gpa, gpa + size);
    hvpt_flush_end(space, track.flush, &own);
    return status;
}

HVPT_API enum hvpt_status hvpt_space_dirty(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size, uint64_t *bitmap,
                                           struct hvpt_flush *flush)
{
    return hvpt_track_range(space, gpa.value, size, bitmap, flush, true);
}

HVPT_API enum hvpt_status hvpt_space_age(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size, uint64_t *bitmap,
                                         struct hvpt_flush *flush)
{
    return hvpt_track_range(space, gpa.value, size, bitmap, flush, false);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_touch(struct hvpt_space *space, hvpt_gpa gpa, uint32_t access)
{
    struct hvpt_run run;
    uint64_t touched;
    enum hvpt_status status;

    if (gpa.value >= space->gpa_limit)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    do {
        /* Each try begins at the root, because a split may have come between. */
        status = hvpt_descend(space, gpa.value, 0, &run);
        if (status != HVPT_OK)
            return status;
        if (!hvpt_is_present(space, run.entry))
            return HVPT_E_ABSENT;
        touched = (space->rules->touch)(space, run.entry, access);
        if (access == 0 || (access & ~(space->rules->grants)(space, touched, run.level, touched != run.entry)))
            return HVPT_E_ATTR;
    } while (touched != run.entry && !hvpt_compare_exchange(run.slot, &run.entry, touched));
    /* A CPU that has cached the old entry would go on denying, even where another CPU's touch came first. */
    if (space->relax_flushes)
        (space->rules->grown)(space, NULL, run.gpa, hvpt_span(space, run.level), false);
    return touched == run.entry ? HVPT_E_NOTHING : HVPT_OK;
}

#endif
