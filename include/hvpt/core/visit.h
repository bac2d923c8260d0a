/*
 * The one way through a tree: every operation that is not a single descent visits a range with callbacks of its own.
 * No recursion; the path is an array of tables, one a level.
 */
#ifndef HVPT_CORE_VISIT_H
#define HVPT_CORE_VISIT_H

#include "fill.h"

/*
 * Where a visit stands. run: slots [slot, slot + count) of the table at this level, the first covering gpa; gpa is
 * aligned to the slot, so at the edges a leaf may stick out of the range [start, end) of the visit. entry: the first
 * slot's content. At level 0 a run is all of the table that lies in the range; above, one slot.
 */
struct hvpt_run {
    hvpt_entry *slot;
    unsigned count;
    unsigned level;
    uint64_t gpa;
    uint64_t entry;
};

enum hvpt_step { HVPT_STEP_INTO, HVPT_STEP_OVER };

/*
 * What an operation does on its way; a constant object, so that the calls are inlined. None is NULL.
 * slots: a run without tables in it (leaves, empty entries, corrupt ones).  enter: a table entry; INTO or OVER it.
 * leave: all of the table below run->slot that lies in the range has been visited.  Any status but HVPT_OK ends the
 * visit. The visit itself only reads; an operation that writes keeps its own pointer to the space in ctx.
 */
struct hvpt_visit {
    enum hvpt_status (*slots)(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                              const struct hvpt_run *run);
    enum hvpt_step (*enter)(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                            const struct hvpt_run *run);
    enum hvpt_status (*leave)(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                              const struct hvpt_run *run);
};

HVPT_ENGINE enum hvpt_step hvpt_visit_into(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                                           const struct hvpt_run *run)
{
    (void)format, (void)space, (void)ctx, (void)run;
    return HVPT_STEP_INTO;
}

HVPT_ENGINE enum hvpt_status hvpt_visit_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                              void *ctx, const struct hvpt_run *run)
{
    (void)format, (void)space, (void)ctx, (void)run;
    return HVPT_OK;
}

/* Visit [start, end), which has passed hvpt_check_range, in ascending order. */
HVPT_ENGINE enum hvpt_status hvpt_visit_range(const struct hvpt_format *format, const struct hvpt_space *space,
                                              uint64_t start, uint64_t end, const struct hvpt_visit *visit, void *ctx)
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
            if (visit->enter(format, space, ctx, &run) == HVPT_STEP_INTO) {
                table[level - 1] = hvpt_table_at(space, format->table_frame(run.entry));
                if (table[level - 1] == NULL)
                    return HVPT_E_CORRUPT;
                level--;
                continue;
            }
            goto next;
        }
        status = visit->slots(format, space, ctx, &run);
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
            status = visit->leave(format, space, ctx, &run);
            if (status != HVPT_OK)
                return status;
        }
        if (at >= end)
            return HVPT_OK;
    }
}

#endif
