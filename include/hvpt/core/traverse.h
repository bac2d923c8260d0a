/*
 * The loop through a tree, and the operations' parts in it. Compiled out of line, as format->look, change and recast.
 * No recursion; the path is an array of tables, one a level.
 */
#ifndef HVPT_CORE_TRAVERSE_H
#define HVPT_CORE_TRAVERSE_H

#include "adopt.h"
#include "census.h"
#include "collapse.h"
#include "log.h"
#include "map.h"
#include "protect.h"
#include "replace.h"
#include "split.h"
#include "unmap.h"
#include "walk.h"

/* Is this visit one of visits? Both are constants: what is not played is not compiled. */
HVPT_ENGINE bool hvpt_plays(enum hvpt_visits visits, enum hvpt_visit visit)
{
    return ((unsigned)visits >> (unsigned)visit & 1) != 0;
}

/* A run without tables in it: leaves, empty entries, corrupt ones. Any status but HVPT_OK ends the visit. */
HVPT_ENGINE enum hvpt_status hvpt_visit_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                              enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                              const struct hvpt_run *run)
{
    switch (visit) {
    case HVPT_VISIT_MAP_PLAN:
        if (hvpt_plays(visits, HVPT_VISIT_MAP_PLAN))
            return hvpt_plan_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_UNMAP:
        if (hvpt_plays(visits, HVPT_VISIT_UNMAP))
            return hvpt_unmap_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_PROTECT_PLAN:
        if (hvpt_plays(visits, HVPT_VISIT_PROTECT_PLAN))
            return hvpt_protect_plan_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_PROTECT:
        if (hvpt_plays(visits, HVPT_VISIT_PROTECT))
            return hvpt_protect_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_REPLACE_PLAN:
        if (hvpt_plays(visits, HVPT_VISIT_REPLACE_PLAN))
            return hvpt_replace_plan_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_REPLACE:
        if (hvpt_plays(visits, HVPT_VISIT_REPLACE))
            return hvpt_replace_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_SPLIT_PLAN:
        if (hvpt_plays(visits, HVPT_VISIT_SPLIT_PLAN))
            return hvpt_split_plan_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_HARVEST:
        if (hvpt_plays(visits, HVPT_VISIT_HARVEST))
            return hvpt_harvest_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_COLLAPSE:
        if (hvpt_plays(visits, HVPT_VISIT_COLLAPSE))
            return hvpt_collapse_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_WALK:
        if (hvpt_plays(visits, HVPT_VISIT_WALK))
            return hvpt_walk_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_CENSUS:
        if (hvpt_plays(visits, HVPT_VISIT_CENSUS))
            return hvpt_census_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_ADOPT:
        if (hvpt_plays(visits, HVPT_VISIT_ADOPT))
            return hvpt_adopt_slots(format, space, ctx, run);
        break;
    case HVPT_VISIT_SEARCH: break;
    }
    return HVPT_OK;
}

/* A table entry: into what is below it, or over. */
HVPT_ENGINE enum hvpt_step hvpt_visit_enter(const struct hvpt_format *format, const struct hvpt_space *space,
                                            enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                            const struct hvpt_run *run)
{
    switch (visit) {
    case HVPT_VISIT_UNMAP:
        if (hvpt_plays(visits, HVPT_VISIT_UNMAP))
            return hvpt_unmap_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_SPLIT_PLAN:
        if (hvpt_plays(visits, HVPT_VISIT_SPLIT_PLAN))
            return hvpt_split_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_WALK:
        if (hvpt_plays(visits, HVPT_VISIT_WALK))
            return hvpt_walk_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_CENSUS:
        if (hvpt_plays(visits, HVPT_VISIT_CENSUS))
            return hvpt_census_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_SEARCH:
        if (hvpt_plays(visits, HVPT_VISIT_SEARCH))
            return hvpt_search_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_ADOPT:
        if (hvpt_plays(visits, HVPT_VISIT_ADOPT))
            return hvpt_adopt_enter(format, space, ctx, run);
        break;
    case HVPT_VISIT_MAP_PLAN:
    case HVPT_VISIT_PROTECT_PLAN:
    case HVPT_VISIT_PROTECT:
    case HVPT_VISIT_REPLACE_PLAN:
    case HVPT_VISIT_REPLACE:
    case HVPT_VISIT_COLLAPSE:
    case HVPT_VISIT_HARVEST: break;
    }
    return HVPT_STEP_INTO;
}

/* All of the table below run->slot that lies in the range has been visited. */
HVPT_ENGINE enum hvpt_status hvpt_visit_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                              enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                              const struct hvpt_run *run)
{
    switch (visit) {
    case HVPT_VISIT_UNMAP:
        if (hvpt_plays(visits, HVPT_VISIT_UNMAP))
            return hvpt_unmap_leave(format, space, ctx, run);
        break;
    case HVPT_VISIT_COLLAPSE:
        if (hvpt_plays(visits, HVPT_VISIT_COLLAPSE))
            return hvpt_collapse_leave(format, space, ctx, run);
        break;
    case HVPT_VISIT_WALK:
        if (hvpt_plays(visits, HVPT_VISIT_WALK))
            return hvpt_walk_leave(format, space, ctx, run);
        break;
    case HVPT_VISIT_MAP_PLAN:
    case HVPT_VISIT_PROTECT_PLAN:
    case HVPT_VISIT_PROTECT:
    case HVPT_VISIT_REPLACE_PLAN:
    case HVPT_VISIT_REPLACE:
    case HVPT_VISIT_SPLIT_PLAN:
    case HVPT_VISIT_HARVEST:
    case HVPT_VISIT_CENSUS:
    case HVPT_VISIT_SEARCH:
    case HVPT_VISIT_ADOPT: break;
    }
    return HVPT_OK;
}

/* Visit [start, end), which has passed hvpt_check_range, in ascending order. The visit itself only reads. */
HVPT_ENGINE enum hvpt_status hvpt_traverse(const struct hvpt_format *format, const struct hvpt_space *space,
                                           uint64_t start, uint64_t end, enum hvpt_visits visits, enum hvpt_visit visit,
                                           void *ctx)
{
    hvpt_entry *table[HVPT_MAX_LEVELS];
    unsigned level = space->root_level;
    uint64_t at = start;

    table[level] = space->root_table;
    for (;;) {
        unsigned shift = hvpt_span_shift(format, level);
        uint64_t span = UINT64_C(1) << shift;
        unsigned index = hvpt_index(format, space, at, level);
        enum hvpt_status status;
        struct hvpt_run run;

        run.slot = &table[level][index];
        run.level = level;
        run.gpa = at & ~(span - 1);
        run.entry = hvpt_load(run.slot);
        run.count = 1;
        if (level == 0) {
            uint64_t left = (end - at) >> shift;
            unsigned rest = hvpt_table_entries(format, space, 0) - index;

            run.count = left < rest ? (unsigned)left : rest;
        } else if (hvpt_is_present(space, run.entry) && format->is_table(space, run.entry, level)) {
            if (hvpt_visit_enter(format, space, visits, visit, ctx, &run) == HVPT_STEP_INTO) {
                table[level - 1] = hvpt_table_at(space, format->table_frame(space, run.entry));
                if (table[level - 1] == NULL)
                    return HVPT_E_CORRUPT;
                level--;
                continue;
            }
            goto next;
        }
        status = hvpt_visit_slots(format, space, visits, visit, ctx, &run);
        if (status != HVPT_OK)
            return status;
    next:
        at = run.gpa + ((uint64_t)run.count << shift);
        while (level < space->root_level && (at >= end || !(at & (hvpt_span(format, level + 1) - 1)))) {
            level++;
            run.gpa = (at - 1) & ~(hvpt_span(format, level) - 1);
            run.slot = &table[level][hvpt_index(format, space, run.gpa, level)];
            run.level = level;
            run.count = 1;
            run.entry = hvpt_load(run.slot);
            status = hvpt_visit_leave(format, space, visits, visit, ctx, &run);
            if (status != HVPT_OK)
                return status;
        }
        if (at >= end)
            return HVPT_OK;
    }
}

#endif
