/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The ways through any tree: down to the entry that decides about one address, and over a range, table by table. The
 * inlined walks of usual tables are in fault_map.h and map.h.
 * No recursion; a path is an array of tables, one a level.
 */
#ifndef HVPT_ENGINE_WALK_H
#define HVPT_ENGINE_WALK_H

#include "fill.h"

/* The level of a run where a table on the way cannot be reached. */
#define HVPT_LEVEL_UNREACHED HVPT_MAX_LEVELS

/*
 * A run of entries of one table: slots [slot, slot + count) at level, the first covering gpa. gpa is aligned to the
 * slot, so at the edges of a range a leaf may extend beyond it. entry: the first slot's content.
 */
struct hvpt_run {
    hvpt_entry *slot;
    unsigned count;
    unsigned level;
    uint64_t gpa;
    uint64_t entry;
};

/*
 * Descend to gpa's entry in the table at level lowest, or to what stands in the way: the first entry that is not a
 * well-formed reference to a table. With HVPT_LEVEL_UNREACHED the rest of found means nothing. Returns what all tables
 * on the way allow. gpa lies in the space. Safe from any CPU beside map, fault_map and other readers.
 */
HVPT_FUNCTION HVPT_HOT uint32_t hvpt_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                          struct hvpt_run *found)
{
    const bool called = hvpt_hooks_called(space);
    unsigned level = space->root_level;
    hvpt_entry *table = space->root_table, *slot;
    uint32_t perm = HVPT_PERM_ALL;
    uint64_t entry, frame;

    for (;;) {
        slot = table + hvpt_index(space, gpa, level);
        entry = hvpt_load(slot);
        if (level <= lowest)
            break;
        frame = (entry & space->frame_mask) << space->frame_shift;
        if (HVPT_UNLIKELY(!hvpt_is_usual_table(space, entry))) {
            if (!hvpt_is_table(space, entry, level))
                break;
            perm &= hvpt_table_perm(space, entry);
            frame = hvpt_frame_in(space, entry);
        }
        table = hvpt_table_by(space, called, frame);
        level--;
        if (HVPT_UNLIKELY(!hvpt_is_reached(called, table))) {
            level = HVPT_LEVEL_UNREACHED;
            break;
        }
    }
    found->slot = slot;
    found->count = 1;
    found->level = level;
    found->entry = entry;
    return perm;
}

/* What a leaf found at level means for gpa. perm: what the tables on the way allow. */
HVPT_FUNCTION void hvpt_describe(const struct hvpt_space *space, uint64_t gpa, uint64_t entry, unsigned level,
                                 uint32_t perm, struct hvpt_mapping *out)
{
    const uint64_t size = hvpt_span(space, level);

    out->hpa = hvpt_make_hpa(hvpt_leaf_address(space, entry, level, gpa) | (gpa & (size - 1)));
    out->attr = (space->rules->decode)(space, entry, level);
    out->attr.perm &= perm;
    out->page_size = size;
    out->level = level;
    out->entry = entry;
}

/*
 * hvpt_find, but a table that cannot be reached or an entry that is not well-formed is refused: HVPT_E_CORRUPT.
 * found->gpa is the first address that the entry covers.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                                      struct hvpt_run *found)
{
    (void)hvpt_find(space, gpa, lowest, found);
    if (found->level == HVPT_LEVEL_UNREACHED
        || (!hvpt_is_usual_leaf(space, found->entry, found->level)
            && hvpt_judge(space, found->entry, found->level) >= HVPT_ENTRY_BROKEN))
        return HVPT_E_CORRUPT;
    found->gpa = gpa & ~(hvpt_span(space, found->level) - 1);
    return HVPT_OK;
}

enum hvpt_step { HVPT_STEP_INTO, HVPT_STEP_OVER };

/*
 * What an operation does on a walk over a range; NULL: nothing.
 * enter: run is one table entry; go into the table below it, or over it.
 * slots: run has no table in it: leaves, empty entries, broken ones. At level 0 it is all of the table that lies in the
 * range; above, one slot. Any status but HVPT_OK ends the walk.
 * leave: everything below run, one entry, that lies in the range has been visited.
 */
struct hvpt_steps {
    enum hvpt_step (*enter)(void *ctx, const struct hvpt_run *run);
    enum hvpt_status (*slots)(void *ctx, const struct hvpt_run *run);
    enum hvpt_status (*leave)(void *ctx, const struct hvpt_run *run);
};

/*
 * Walk [start, end), which has passed hvpt_check_range, in ascending order. The walk itself only reads; steps may
 * change what they are shown. HVPT_E_CORRUPT: a table cannot be reached.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_walk(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                   const struct hvpt_steps *steps, void *ctx)
{
    hvpt_entry *table[HVPT_MAX_LEVELS];
    unsigned level = space->root_level;
    uint64_t at = start;

    table[level] = space->root_table;
    for (;;) {
        unsigned shift = hvpt_span_shift(space, level);
        enum hvpt_status status;
        struct hvpt_run run;

        run.slot = &table[level][hvpt_index(space, at, level)];
        run.level = level;
        run.gpa = at >> shift << shift;
        run.entry = hvpt_load(run.slot);
        run.count = 1;
        if (level == 0) {
            run.count = hvpt_whole_entries(space, 0, at, end);
        } else if (hvpt_is_table(space, run.entry, level)) {
            if (steps->enter == NULL || (steps->enter)(ctx, &run) == HVPT_STEP_INTO) {
                table[level - 1] = hvpt_table_below(space, run.entry);
                if (table[level - 1] == NULL)
                    return HVPT_E_CORRUPT;
                level--;
                continue;
            }
            goto next;
        }
        if (steps->slots != NULL) {
            status = (steps->slots)(ctx, &run);
            if (status != HVPT_OK)
                return status;
        }
    next:
        at = run.gpa + ((uint64_t)run.count << shift);
        while (level < space->root_level && (at >= end || !(at & (hvpt_span(space, level + 1) - 1)))) {
            level++;
            shift = hvpt_span_shift(space, level);
            run.gpa = (at - 1) >> shift << shift;
            run.slot = &table[level][hvpt_index(space, run.gpa, level)];
            run.level = level;
            run.count = 1;
            run.entry = hvpt_load(run.slot);
            if (steps->leave != NULL) {
                status = (steps->leave)(ctx, &run);
                if (status != HVPT_OK)
                    return status;
            }
        }
        if (at >= end)
            return HVPT_OK;
    }
}

#endif
