/*
 * split: the same translations by smaller pages. Nothing that a leaf says is lost.
 */
#ifndef HVPT_CORE_SPLIT_H
#define HVPT_CORE_SPLIT_H

#include "tree.h"

struct hvpt_split {
    uint64_t start;
    uint64_t end;
    unsigned level; /* leaves above this level are to be split */
    uint64_t tables;
};

HVPT_ENGINE enum hvpt_status hvpt_split_plan_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                   void *ctx, const struct hvpt_run *run)
{
    struct hvpt_split *split = (struct hvpt_split *)ctx;
    uint64_t past = run->gpa + hvpt_span(format, run->level);
    uint64_t first = run->gpa > split->start ? run->gpa : split->start;
    uint64_t last = (past < split->end ? past : split->end) - 1;
    unsigned level;

    if (run->level <= split->level || !hvpt_is_present(space, run->entry))
        return HVPT_OK;
    if (!format->is_leaf(space, run->entry, run->level))
        return HVPT_E_CORRUPT;
    for (level = run->level; level > split->level; level--)
        split->tables += (last >> hvpt_span_shift(format, level)) - (first >> hvpt_span_shift(format, level)) + 1;
    return HVPT_OK;
}

HVPT_ENGINE enum hvpt_step hvpt_split_enter(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                                            const struct hvpt_run *run)
{
    const struct hvpt_split *split = (const struct hvpt_split *)ctx;

    (void)format, (void)space;
    return run->level > split->level + 1 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/* Count the tables that splitting [start, end) down to split->level takes. HVPT_E_CORRUPT. */
HVPT_ENGINE enum hvpt_status hvpt_split_prepare(const struct hvpt_format *format, const struct hvpt_space *space,
                                                struct hvpt_split *split)
{
    split->tables = 0;
    return format->look(space, split->start, split->end, HVPT_VISIT_SPLIT_PLAN, split);
}

/* A page size of this format, as a level. HVPT_MAX_LEVELS: it is none. */
HVPT_ENGINE unsigned hvpt_level_of(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t page_size)
{
    unsigned level = 0;

    while (level <= space->root_level && hvpt_span(format, level) != page_size)
        level++;
    return level <= space->root_level ? level : HVPT_MAX_LEVELS;
}

/*
 * Split every leaf that touches [gpa, gpa + size) and is larger than page_size, down to page_size inside the range and
 * no further than needed outside. Translations, attributes, accessed and dirty bits stay; holes are fine.
 * flush: where the format breaks before it makes, the call flushes on the way; elsewhere nothing becomes stale.
 *
 * HVPT_E_ALIGN: also if page_size is no page size of the format.  HVPT_E_RANGE, HVPT_E_READONLY.  HVPT_E_NOMEM.
 * HVPT_E_CORRUPT.  Nothing changed then.
 *
 * The caller serializes it against everything but hardware.
 */
HVPT_ENGINE enum hvpt_status hvpt_split_range(const struct hvpt_format *format, struct hvpt_space *space, hvpt_gpa gpa,
                                              uint64_t size, uint64_t page_size, struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_flush *owed = hvpt_flush_or_own(flush, &own);
    struct hvpt_frames list;
    struct hvpt_split split;
    uint64_t at = gpa.value;
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    split.start = gpa.value;
    split.end = gpa.value + size;
    split.level = hvpt_level_of(format, space, page_size);
    if (split.level == HVPT_MAX_LEVELS)
        return HVPT_E_ALIGN;
    if (space->readonly)
        return HVPT_E_READONLY;
    status = hvpt_split_prepare(format, space, &split);
    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, split.tables);
    if (status != HVPT_OK)
        return status;
    while (list.count != 0) {
        struct hvpt_run run;

        (void)format->descend(space, at, split.level, &run);
        if (run.level > split.level && hvpt_is_present(space, run.entry))
            format->split_leaf(space, &list, owed, &run);
        else
            at = (at | (hvpt_span(format, run.level > split.level ? run.level : split.level + 1) - 1)) + 1;
    }
    hvpt_flush_own(format, space, flush, &own);
    return HVPT_OK;
}

#endif
