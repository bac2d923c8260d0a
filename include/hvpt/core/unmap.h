/*
 * unmap: a range with or without holes. Large pages that stick out are split first; tables left empty go away.
 */
#ifndef HVPT_CORE_UNMAP_H
#define HVPT_CORE_UNMAP_H

#include "find.h"
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
        hvpt_unlink_empty(format, unmap->space, unmap->flush, &emptied);
    return HVPT_OK;
}

/* The general way, whatever the arguments. Compiled once a format, out of line, as format->unmap_pieces. */
HVPT_ENGINE enum hvpt_status hvpt_unmap_pieces(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa,
                                               uint64_t size, struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_unmap unmap = {space, hvpt_flush_or_own(flush, &own), gpa, gpa + size};
    struct hvpt_frames list;
    uint64_t frames;
    enum hvpt_status status = hvpt_check_range(format, space, gpa, size);

    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    status = hvpt_edges_need(format, space, unmap.start, unmap.end, true, true, &frames);
    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, frames);
    if (status != HVPT_OK)
        return status;
    if (frames != 0) {
        hvpt_split_at(format, space, &list, unmap.flush, unmap.start);
        hvpt_split_at(format, space, &list, unmap.flush, unmap.end);
    }
    status = format->change(space, unmap.start, unmap.end, HVPT_VISIT_UNMAP, &unmap);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

/*
 * Is this leaf, at level 0, sure not to be the last in its table? Its neighbours tell, on the cache line that is hot:
 * whoever unmaps page after page finds the next one live.
 */
HVPT_ENGINE bool hvpt_has_neighbour(const struct hvpt_format *format, const struct hvpt_space *space,
                                    const struct hvpt_place *place, uint64_t gpa)
{
    unsigned index = (unsigned)(gpa >> hvpt_span_shift(format, 0)) & (hvpt_entries(format) - 1);

    return (index + 1 < hvpt_entries(format) && hvpt_is_present(space, hvpt_load(place->slot + 1)))
        || (index != 0 && hvpt_is_present(space, hvpt_load(place->slot - 1)));
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
    const uint64_t page = hvpt_span(format, 0);

    /*
     * One smallest page in a table that stays as it is: neither the first out of a full one nor the last out of any,
     * which change the entry that leads to it.
     */
    if (size == page
        && HVPT_LIKELY(flush != NULL && !(gpa.value & (page - 1)) && gpa.value < space->gpa_limit
                       && !space->readonly)) {
        struct hvpt_place place = hvpt_find_near(format, space, gpa.value);

        if (HVPT_LIKELY(place.level == 0 && !(place.link & format->table_full) && hvpt_is_present(space, place.entry)
                        && !format->is_joined(space, place.entry, 0)
                        && hvpt_has_neighbour(format, space, &place, gpa.value))) {
            hvpt_store_relaxed(place.slot, space->empty_entry);
            hvpt_count_add(&space->stats.leaves[0], (uint64_t)-1);
            hvpt_owe_page(format, space, flush, gpa.value);
            return HVPT_OK;
        }
    }
    return format->unmap_pieces(space, gpa.value, size, flush);
}

#endif
