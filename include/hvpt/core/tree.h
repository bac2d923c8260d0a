/*
 * Changing the shape of a tree: splitting a leaf into a table, unlinking a table.
 * Each change is one store into a visible table; what it makes visible is complete by then.
 */
#ifndef HVPT_CORE_TREE_H
#define HVPT_CORE_TREE_H

#include "census.h"
#include "find.h"
#include "join.h"

/*
 * Descend to the entry that covers gpa: the deepest one, down to the table at level lowest, that is not a reference to
 * a table; or the entry at lowest, whatever it is but corrupt.
 * HVPT_E_CORRUPT: a table could not be reached, or the entry is not well-formed.
 */
HVPT_ENGINE enum hvpt_status hvpt_descend(const struct hvpt_format *format, const struct hvpt_space *space,
                                          uint64_t gpa, unsigned lowest, struct hvpt_run *found)
{
    struct hvpt_place place;

    format->find(space, gpa, lowest, &place);
    if (place.level == HVPT_LEVEL_UNSEEN)
        return HVPT_E_CORRUPT;
    if (hvpt_is_present(space, place.entry) && !format->is_leaf(space, place.entry, place.level)
        && (place.level == 0 || !format->is_table(space, place.entry, place.level)))
        return HVPT_E_CORRUPT;
    found->slot = place.slot;
    found->entry = place.entry;
    found->level = place.level;
    found->count = 1;
    found->gpa = gpa & ~(hvpt_span(format, place.level) - 1);
    return HVPT_OK;
}

/*
 * Where a format demands it, a present entry is first made empty and flushed, so that no CPU holds the old and the new
 * translation at once (Arm: "Using break-before-make when updating translation table entries"). Returns what was there.
 */
HVPT_ENGINE uint64_t hvpt_break(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                                hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    uint64_t old = hvpt_exchange(slot, space->empty_entry);

    hvpt_owe_flush(space, flush, gpa, hvpt_span(format, level), level > 0);
    format->settle(space, flush);
    return old;
}

/*
 * Replace the leaf in run, at level 1 or above, by a table of leaves that say the same, with a frame from list.
 * Hardware may set accessed and dirty bits until the exchange succeeds; none is lost.
 */
HVPT_ENGINE void hvpt_split_leaf(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_frames *list,
                                 struct hvpt_flush *flush, const struct hvpt_run *run)
{
    unsigned child_level = run->level - 1;
    unsigned entries = hvpt_entries(format);
    uint64_t old = run->entry;
    uint64_t frame;
    hvpt_entry *table = hvpt_take_table(space, list, child_level, &frame);
    uint64_t link = format->make_table(space, frame) | (child_level == 0 ? format->table_full : 0);

    if (format->is_joined(space, old, run->level)) {
        hvpt_unjoin(format, space, flush, run->slot, run->gpa, run->level);
        old = hvpt_load(run->slot);
    }
    if (format->break_bits != 0)
        old = hvpt_break(format, space, flush, run->slot, run->gpa, run->level);
    do {
        uint64_t child = format->child_leaf(old, run->level);

        if (child_level == 0)
            hvpt_fill(table, entries, child, format->leaf_step(0));
        else
            hvpt_fill(table, entries, child, format->leaf_step(child_level));
        if (format->break_bits != 0) {
            hvpt_store_release(run->slot, link);
            break;
        }
    } while (!hvpt_compare_exchange(run->slot, &old, link));
    hvpt_count_add(&space->stats.leaves[run->level], (uint64_t)-1);
    hvpt_count_add(&space->stats.leaves[child_level], entries);
}

/*
 * The frames that hvpt_split_at needs for one boundary. gpa: a multiple of the smallest page, not the end of the space.
 */
HVPT_ENGINE unsigned hvpt_split_at_needs(const struct hvpt_format *format, const struct hvpt_run *leaf, uint64_t gpa)
{
    unsigned level = leaf->level;
    unsigned tables = 0;

    for (; level > 0 && (gpa & (hvpt_span(format, level) - 1)); level--)
        tables++;
    return tables;
}

/* Split until no leaf reaches across gpa. */
HVPT_ENGINE void hvpt_split_at(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_frames *list,
                               struct hvpt_flush *flush, uint64_t gpa)
{
    struct hvpt_run run;

    if (gpa == space->gpa_limit)
        return;
    while (format->descend(space, gpa, 0, &run) == HVPT_OK && hvpt_is_present(space, run.entry)
           && (gpa & (hvpt_span(format, run.level) - 1)))
        format->split_leaf(space, list, flush, &run);
}

/*
 * The frames needed so that no leaf reaches across start, nor across end (each where asked for).
 * HVPT_E_CORRUPT: a table on the way to either could not be reached.
 */
HVPT_ENGINE enum hvpt_status hvpt_edges_need(const struct hvpt_format *format, const struct hvpt_space *space,
                                             uint64_t start, uint64_t end, bool at_start, bool at_end, uint64_t *frames)
{
    struct hvpt_run first, last;
    unsigned head = 0, tail = 0, level;

    *frames = 0;
    if (format->descend(space, start, 0, &first) != HVPT_OK || format->descend(space, end - 1, 0, &last) != HVPT_OK)
        return HVPT_E_CORRUPT;
    if (at_start && hvpt_is_present(space, first.entry))
        head = hvpt_split_at_needs(format, &first, start);
    if (at_end && hvpt_is_present(space, last.entry))
        tail = hvpt_split_at_needs(format, &last, end);
    *frames = head + tail;
    if (first.slot != last.slot)
        return HVPT_OK;
    /* Both edges in one leaf share tables until their ways part. */
    for (level = first.level; head != 0 && tail != 0; level--, head--, tail--) {
        if ((start ^ (end - 1)) >> hvpt_span_shift(format, level))
            break;
        --*frames;
    }
    return HVPT_OK;
}

/*
 * Let an unlinked table and all below it wait for the flush that its range is owed. run is where it was; level: how deep
 * to look for tables below it, 0 where there are none.
 */
HVPT_ENGINE void hvpt_bury(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                           const struct hvpt_run *run, unsigned level)
{
    uint64_t size = hvpt_span(format, run->level);

    space->cursor_range = UINT64_MAX;
    if (flush->dead_count == HVPT_FLUSH_DEAD_MAX)
        format->settle(space, flush);
    hvpt_owe_flush(space, flush, run->gpa, size, true);
    flush->dead[flush->dead_count++] = format->table_frame(space, run->entry) | level;
}

/* Empty a slot whose table holds nothing, and let the table wait for the flush. */
HVPT_ENGINE void hvpt_unlink_empty(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                                   const struct hvpt_run *run)
{
    hvpt_count_add(&space->stats.tables[run->level - 1], (uint64_t)-1);
    hvpt_store_relaxed(run->slot, space->empty_entry);
    hvpt_bury(format, space, flush, run, 0);
}

/*
 * Empty a slot that holds a table, and let the table and all below it wait for the flush.
 * Compiled once a format, out of line, as format->unlink_table.
 */
HVPT_ENGINE void hvpt_unlink_table(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                                   const struct hvpt_run *run)
{
    struct hvpt_census census;
    unsigned level;

    census.gpa = run->gpa;
    census.size = hvpt_span(format, run->level);
    census.top = run->level;
    (void)hvpt_take_census(format, space, &census);
    for (level = 0; level < run->level; level++) {
        hvpt_count_add(&space->stats.leaves[level], (uint64_t)0 - census.leaves[level]);
        hvpt_count_add(&space->stats.tables[level], (uint64_t)0 - census.tables[level]);
    }
    hvpt_store_relaxed(run->slot, space->empty_entry);
    hvpt_bury(format, space, flush, run, run->level - 1);
}

#endif
