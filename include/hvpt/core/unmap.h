/*
 * unmap: a range with or without holes. Large pages that stick out are split first; tables left empty go away.
 */
#ifndef HVPT_CORE_UNMAP_H
#define HVPT_CORE_UNMAP_H

#include "tree.h"

struct hvpt_unmap {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t start;
    uint64_t end;
};

HVPT_ENGINE enum hvpt_status hvpt_unmap_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                              void *ctx, const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;
    unsigned cleared;

    hvpt_unjoin_edges(format, unmap->space, unmap->flush, run, unmap->start, unmap->end);
    cleared = hvpt_clear_leaves(space, run->slot, run->count);
    if (cleared != 0) {
        hvpt_count_add(&unmap->space->stats.leaves[run->level], (uint64_t)0 - cleared);
        hvpt_owe_flush(space, unmap->flush, run->gpa, (uint64_t)run->count << hvpt_span_shift(format, run->level),
                       false);
    }
    return HVPT_OK;
}

/* A subtree that lies in the range whole is dropped without a look at its leaves. */
HVPT_ENGINE enum hvpt_step hvpt_unmap_enter(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                                            const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;

    (void)space;
    if (run->gpa < unmap->start || hvpt_span(format, run->level) > unmap->end - run->gpa)
        return HVPT_STEP_INTO;
    format->unlink_table(unmap->space, unmap->flush, run);
    return HVPT_STEP_OVER;
}

/* A table that was visited in part may be empty now; if not, it is certainly not full any more. */
HVPT_ENGINE enum hvpt_status hvpt_unmap_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                              void *ctx, const struct hvpt_run *run)
{
    struct hvpt_unmap *unmap = (struct hvpt_unmap *)ctx;
    struct hvpt_run emptied = *run;
    const hvpt_entry *table;
    unsigned index;
    uint64_t past;

    if (!hvpt_is_present(space, run->entry))
        return HVPT_OK; /* it was unlinked whole */
    if (run->level == 1 && (run->entry & format->table_full)) {
        emptied.entry = run->entry & ~format->table_full;
        hvpt_store_relaxed(run->slot, emptied.entry);
    }
    table = hvpt_table_at(space, format->table_frame(space, run->entry));
    past = run->gpa + hvpt_span(format, run->level);
    if (unmap->end < past)
        past = unmap->end;
    index = hvpt_index(format, space, past - 1, run->level - 1);
    if (!hvpt_is_present(space, hvpt_load(&table[index]))
        && hvpt_alone_in_table(space, table, hvpt_entries(format), index))
        format->unlink_table(unmap->space, unmap->flush, &emptied);
    return HVPT_OK;
}

/*
 * One smallest page, mapped as such, in a table that stays. HVPT_E_RACE here says only: not that simple.
 */
HVPT_ENGINE enum hvpt_status hvpt_unmap_page(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa,
                                             struct hvpt_flush *flush)
{
    hvpt_entry *table = space->root_table;
    unsigned level, index;
    uint64_t entry = 0;

    for (level = space->root_level; level > 0; level--) {
        entry = hvpt_load(&table[hvpt_index(format, space, gpa, level)]);
        if (HVPT_UNLIKELY(!hvpt_is_present(space, entry) || !format->is_table(space, entry, level)))
            return HVPT_E_RACE;
        table = hvpt_table_at(space, format->table_frame(space, entry));
        if (HVPT_UNLIKELY(table == NULL))
            return HVPT_E_CORRUPT;
    }
    index = hvpt_index(format, space, gpa, 0);
    /*
     * The first page out of a full table, and the last out of any, change the table's own entry: the general way does.
     */
    if (HVPT_UNLIKELY(space->root_level > 0 && (entry & format->table_full)))
        return HVPT_E_RACE;
    entry = hvpt_load(&table[index]);
    if (!hvpt_is_present(space, entry))
        return HVPT_OK;
    if (HVPT_UNLIKELY(format->is_joined(space, entry, 0)))
        return HVPT_E_RACE;
    if (HVPT_UNLIKELY(hvpt_alone_in_table(space, table, hvpt_table_entries(format, space, 0), index)))
        return HVPT_E_RACE;
    hvpt_store_relaxed(&table[index], space->empty_entry);
    hvpt_count_add(&space->stats.leaves[0], (uint64_t)-1);
    hvpt_owe_flush(space, flush, gpa, hvpt_span(format, 0), false);
    return HVPT_OK;
}

/* The general way; arguments checked. Compiled once a format, out of line, as format->unmap_pieces. */
HVPT_ENGINE enum hvpt_status hvpt_unmap_pieces(const struct hvpt_format *format, struct hvpt_space *space,
                                               uint64_t start, uint64_t end, struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_unmap unmap = {space, hvpt_flush_or_own(flush, &own), start, end};
    struct hvpt_frames list;
    uint64_t frames;
    enum hvpt_status status = hvpt_edges_need(format, space, start, end, true, true, &frames);

    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, frames);
    if (status != HVPT_OK)
        return status;
    if (frames != 0) {
        hvpt_split_at(format, space, &list, unmap.flush, start);
        hvpt_split_at(format, space, &list, unmap.flush, end);
    }
    status = format->change(space, start, end, HVPT_VISIT_UNMAP, &unmap);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

/*
 * Unmap [gpa, gpa + size), holes included. flush: see hvpt_flush; NULL: flushed before the call returns.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_READONLY: the arguments.  HVPT_E_NOMEM: a large page sticks out of the range and
 * there is no frame to split it with.  HVPT_E_CORRUPT: a table at an edge of the range cannot be reached. Nothing
 * changed then.
 *
 * The caller serializes it against everything but hardware.
 */
HVPT_ENGINE enum hvpt_status hvpt_unmap_range(const struct hvpt_format *format, struct hvpt_space *space, hvpt_gpa gpa,
                                              uint64_t size, struct hvpt_flush *flush)
{
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (HVPT_UNLIKELY(status != HVPT_OK))
        return status;
    if (HVPT_UNLIKELY(space->readonly))
        return HVPT_E_READONLY;
    if (size == hvpt_span(format, 0) && HVPT_LIKELY(flush != NULL)) {
        status = hvpt_unmap_page(format, space, gpa.value, flush);
        if (HVPT_LIKELY(status != HVPT_E_RACE))
            return status;
    }
    return format->unmap_pieces(space, gpa.value, gpa.value + size, flush);
}

#endif
