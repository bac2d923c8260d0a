/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * unmap: a range with or without holes. Large pages that extend beyond it are split first; tables left empty are freed.
 */
#ifndef HVPT_ENGINE_UNMAP_H
#define HVPT_ENGINE_UNMAP_H

#include "map.h"

struct hvpt_unmap {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t start;
    uint64_t end;
};

static inline HVPT_COLD enum hvpt_status hvpt_unmap_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;

    hvpt_clear_run(unmap->space, unmap->flush, run, unmap->start, unmap->end);
    return HVPT_OK;
}

/* A subtree that lies in the range as a whole is unlinked as a whole. */
static inline HVPT_COLD enum hvpt_step hvpt_unmap_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;

    if (run->gpa < unmap->start || hvpt_span(unmap->space, run->level) > unmap->end - run->gpa)
        return HVPT_STEP_INTO;
    hvpt_unlink_table(unmap->space, unmap->flush, run);
    return HVPT_STEP_OVER;
}

/* A table that lies in the range in part may be empty now; if not, it is certainly not full any more. */
static inline HVPT_COLD enum hvpt_status hvpt_unmap_leave(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;
    struct hvpt_space *space = unmap->space;
    struct hvpt_run emptied = *run;
    const hvpt_entry *table;
    unsigned first, last;
    uint64_t past;

    if (run->level == 1 && (run->entry & space->rules->full_bit)) {
        emptied.entry = run->entry & ~space->rules->full_bit;
        hvpt_store_relaxed(run->slot, emptied.entry);
    }
    table = hvpt_table_below(space, run->entry);
    past = run->gpa + hvpt_span(space, run->level);
    if (unmap->end < past)
        past = unmap->end;
    first = hvpt_index(space, unmap->start > run->gpa ? unmap->start : run->gpa, run->level - 1);
    last = hvpt_index(space, past - 1, run->level - 1);
    if (hvpt_is_drained(space, table, first, last))
        hvpt_unlink_empty(space, unmap->flush, &emptied);
    return HVPT_OK;
}

/* The general path, for any arguments. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_unmap_slow(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                         struct hvpt_flush *flush)
{
    static const struct hvpt_steps steps = {hvpt_unmap_enter, hvpt_unmap_slots, hvpt_unmap_leave};
    struct hvpt_flush own;
    struct hvpt_unmap unmap = {space, hvpt_flush_begin(space, flush, &own), gpa, gpa + size};
    struct hvpt_frames list;
    uint64_t frames;
    enum hvpt_status status = hvpt_check_edit(space, gpa, size);

    if (status != HVPT_OK)
        return status;
    status = hvpt_edges_need(space, unmap.start, unmap.end, true, true, &frames);
    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, frames);
    if (status != HVPT_OK)
        return status;
    if (frames != 0) {
        hvpt_split_at(space, &list, unmap.flush, unmap.start);
        hvpt_split_at(space, &list, unmap.flush, unmap.end);
    }
    status = hvpt_walk(space, unmap.start, unmap.end, &steps, &unmap);
    /* Break-before-make: the next entries for these addresses may be valid, and must not meet cached old ones. */
    if (unmap.flush == &own || space->break_bits != 0)
        hvpt_finish(space, unmap.flush);
    return status;
}

/* After a page without a neighbour above it was unmapped: free its table, too, if it is empty now. */
HVPT_FUNCTION enum hvpt_status hvpt_unmap_lonely(struct hvpt_space *space, uint64_t gpa, const hvpt_entry *slot,
                                                 struct hvpt_flush *flush)
{
    const unsigned index = (unsigned)(gpa >> 12) & 511u;

    return hvpt_is_drained(space, slot - index, index, index) ? hvpt_unmap_slow(space, gpa, HVPT_4K, flush) : HVPT_OK;
}

/*
 * Unmap one 4 KiB page by the cursor. A table that is marked full takes the slow path, where the mark is cleared. A
 * present neighbour, on a cache line that is hot, shows that the table is not empty.
 */
HVPT_INLINE enum hvpt_status hvpt_unmap_near(struct hvpt_space *space, bool called, unsigned shift, uint64_t gpa,
                                             struct hvpt_flush *flush)
{
    uint64_t link, entry;
    hvpt_entry *slot = hvpt_slot_near(space, called, shift, gpa, &link);

    if (HVPT_UNLIKELY(slot == NULL || (link & space->rules->full_bit)))
        return hvpt_unmap_slow(space, gpa, HVPT_4K, flush);
    entry = hvpt_load(slot);
    if (HVPT_UNLIKELY(!hvpt_is_present(space, entry) || (entry & space->contig_bit)))
        return hvpt_unmap_slow(space, gpa, HVPT_4K, flush);
    hvpt_store_relaxed(slot, space->empty_entry);
    hvpt_count_add(&space->leaves[0], (uint64_t)-1);
    hvpt_defer_page(space, flush, gpa, HVPT_4K);
    if (HVPT_LIKELY((~gpa & (HVPT_2M - HVPT_4K)) != 0 && hvpt_is_present(space, hvpt_load(slot + 1))))
        return HVPT_OK;
    return hvpt_unmap_lonely(space, gpa, slot, flush);
}

/* The same for any hooks and any cursor. The caller has checked all but the limits of the space. */
HVPT_FUNCTION enum hvpt_status hvpt_unmap_page(struct hvpt_space *space, uint64_t gpa, struct hvpt_flush *flush)
{
    if (HVPT_UNLIKELY(gpa >= space->gpa_limit
                      || (!hvpt_is_near(space, gpa) && (space->fast_limit == 0 || !hvpt_cursor_move(space, gpa)))))
        return hvpt_unmap_slow(space, gpa, HVPT_4K, flush);
    return hvpt_unmap_near(space, hvpt_hooks_called(space), space->frame_shift, gpa, flush);
}

HVPT_INLINE enum hvpt_status hvpt_unmap_any(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                            struct hvpt_flush *flush)
{
    if (HVPT_UNLIKELY(size != HVPT_4K || flush == NULL || (gpa.value & (HVPT_4K - 1)) || space->break_bits != 0
                      || hvpt_flush_is_foreign(space, flush)))
        return hvpt_unmap_slow(space, gpa.value, size, flush);
    if (HVPT_HOOKS_KNOWN && HVPT_LIKELY(gpa.value < space->walk_limit && hvpt_is_near(space, gpa.value)))
        return hvpt_unmap_near(space, hvpt_hooks_called(space), HVPT_NATIVE_SHIFT, gpa.value, flush);
    return hvpt_unmap_page(space, gpa.value, flush);
}

HVPT_API enum hvpt_status hvpt_space_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                           struct hvpt_flush *flush)
{
    return hvpt_unmap_any(space, gpa, size, flush);
}

#endif
