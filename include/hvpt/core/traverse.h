/*
 * The loop through a tree, and the operations' parts in it. Compiled out of line, as format->look, change and harvest.
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

/* Is visit this part, one of visits? visits and part are constants: a part that is not played is not compiled. */
HVPT_ENGINE bool hvpt_plays(enum hvpt_visits visits, enum hvpt_visit part, enum hvpt_visit visit)
{
    return ((unsigned)visits >> (unsigned)part & (unsigned)(visit == part)) != 0;
}

/* A run without tables in it: leaves, empty entries, corrupt ones. Any status but HVPT_OK ends the visit. */
HVPT_ENGINE enum hvpt_status hvpt_visit_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                              enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                              const struct hvpt_run *run)
{
    if (hvpt_plays(visits, HVPT_VISIT_MAP_PLAN, visit))
        return hvpt_plan_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_UNMAP, visit))
        return hvpt_unmap_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_PROTECT_PLAN, visit))
        return hvpt_protect_plan_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_PROTECT, visit))
        return hvpt_protect_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_REPLACE_PLAN, visit))
        return hvpt_replace_plan_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_REPLACE, visit))
        return hvpt_replace_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_SPLIT_PLAN, visit))
        return hvpt_split_plan_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_HARVEST, visit))
        return hvpt_harvest_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_COLLAPSE, visit))
        return hvpt_collapse_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_WALK, visit))
        return hvpt_walk_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_CENSUS, visit))
        return hvpt_census_slots(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_ADOPT, visit))
        return hvpt_adopt_slots(format, space, ctx, run);
    return HVPT_OK;
}

/* A table entry: into what is below it, or over. */
HVPT_ENGINE enum hvpt_step hvpt_visit_enter(const struct hvpt_format *format, const struct hvpt_space *space,
                                            enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                            const struct hvpt_run *run)
{
    if (hvpt_plays(visits, HVPT_VISIT_UNMAP, visit))
        return hvpt_unmap_enter(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_SPLIT_PLAN, visit))
        return hvpt_split_enter(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_WALK, visit))
        return hvpt_walk_enter(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_CENSUS, visit))
        return hvpt_census_enter(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_SEARCH, visit))
        return hvpt_search_enter(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_ADOPT, visit))
        return hvpt_adopt_enter(format, space, ctx, run);
    return HVPT_STEP_INTO;
}

/* All of the table below run->slot that lies in the range has been visited. */
HVPT_ENGINE enum hvpt_status hvpt_visit_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                              enum hvpt_visits visits, enum hvpt_visit visit, void *ctx,
                                              const struct hvpt_run *run)
{
    if (hvpt_plays(visits, HVPT_VISIT_UNMAP, visit))
        return hvpt_unmap_leave(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_COLLAPSE, visit))
        return hvpt_collapse_leave(format, space, ctx, run);
    if (hvpt_plays(visits, HVPT_VISIT_WALK, visit))
        return hvpt_walk_leave(format, space, ctx, run);
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
