/*
 * walk: show a range to a visitor, tables, leaves and holes, in ascending order.
 */
#ifndef HVPT_CORE_WALK_H
#define HVPT_CORE_WALK_H

#include "translate.h"
#include "fill.h"

/*
 * The caller's callbacks; NULL: not interested. Each returns true to go on and false to end the walk.
 *
 * leaf: gpa is where the page begins, which for the first page may lie before the range; mapping->hpa likewise.
 * hole: [gpa, gpa + size) of the range is not mapped, by one empty entry of a table at level.
 * enter, leave: before and after what a table at level holds for the range; gpa is where the table's reach begins,
 * table its frame. enter is also called for the root. A walk that is ended calls no leave.
 */
struct hvpt_visitor {
    void *ctx;
    bool (*leaf)(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping);
    bool (*hole)(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level);
    bool (*enter)(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level);
    bool (*leave)(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level);
};

struct hvpt_walk {
    const struct hvpt_visitor *visitor;
    uint64_t start;
    uint64_t end;
    uint32_t perm[HVPT_MAX_LEVELS]; /* what the tables above each level allow together */
    bool ended;
};

HVPT_ENGINE enum hvpt_status hvpt_walk_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_walk *walk = (struct hvpt_walk *)ctx;
    const struct hvpt_visitor *visitor = walk->visitor;
    uint64_t span = hvpt_span(format, run->level);
    unsigned i;

    if (walk->ended)
        return HVPT_E_RACE;
    for (i = 0; i < run->count; i++) {
        /* Above level 0 what the traversal saw decides: at a second look another CPU may have put a table there. */
        uint64_t entry = run->level > 0 ? run->entry : hvpt_load(&run->slot[i]);
        uint64_t gpa = run->gpa + i * span;
        bool go_on = true;

        if (!hvpt_is_present(space, entry)) {
            uint64_t first = gpa > walk->start ? gpa : walk->start;
            uint64_t past = gpa + span < walk->end ? gpa + span : walk->end;

            if (visitor->hole != NULL)
                go_on = visitor->hole(visitor->ctx, hvpt_make_gpa(first), past - first, run->level);
        } else if (format->is_leaf(space, entry, run->level)) {
            struct hvpt_mapping mapping;

            hvpt_describe(format, space, gpa, entry, run->level, walk->perm[run->level], &mapping);
            if (visitor->leaf != NULL)
                go_on = visitor->leaf(visitor->ctx, hvpt_make_gpa(gpa), &mapping);
        } else {
            return HVPT_E_CORRUPT;
        }
        if (!go_on) {
            walk->ended = true;
            return HVPT_E_RACE;
        }
    }
    return HVPT_OK;
}

HVPT_ENGINE enum hvpt_step hvpt_walk_enter(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                                           const struct hvpt_run *run)
{
    struct hvpt_walk *walk = (struct hvpt_walk *)ctx;
    const struct hvpt_visitor *visitor = walk->visitor;

    if (walk->ended)
        return HVPT_STEP_OVER;
    walk->perm[run->level - 1] = walk->perm[run->level] & format->table_perm(space, run->entry);
    if (visitor->enter != NULL
        && !visitor->enter(visitor->ctx, hvpt_make_gpa(run->gpa), hvpt_make_hpa(format->table_frame(space, run->entry)),
                           run->level - 1)) {
        walk->ended = true;
        return HVPT_STEP_OVER;
    }
    return HVPT_STEP_INTO;
}

HVPT_ENGINE enum hvpt_status hvpt_walk_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_walk *walk = (struct hvpt_walk *)ctx;
    const struct hvpt_visitor *visitor = walk->visitor;

    (void)space;
    if (walk->ended
        || (visitor->leave != NULL
            && !visitor->leave(visitor->ctx, hvpt_make_gpa(run->gpa),
                               hvpt_make_hpa(format->table_frame(space, run->entry)), run->level - 1))) {
        walk->ended = true;
        return HVPT_E_RACE;
    }
    return HVPT_OK;
}

/*
 * Walk [gpa, gpa + size). HVPT_OK also when the visitor ended it.
 * HVPT_E_ALIGN, HVPT_E_RANGE.  HVPT_E_CORRUPT: as translate; what came before has been shown.
 * Safe beside map, fault_map and other readers.
 */
HVPT_ENGINE enum hvpt_status hvpt_walk_range(const struct hvpt_format *format, const struct hvpt_space *space,
                                             hvpt_gpa gpa, uint64_t size, const struct hvpt_visitor *visitor)
{
    struct hvpt_walk walk;
    unsigned level;
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    walk.visitor = visitor;
    walk.start = gpa.value;
    walk.end = gpa.value + size;
    walk.ended = false;
    for (level = 0; level < HVPT_MAX_LEVELS; level++)
        walk.perm[level] = HVPT_PERM_ALL;
    if (visitor->enter != NULL
        && !visitor->enter(visitor->ctx, hvpt_make_gpa(0), hvpt_make_hpa(space->root_frame), space->root_level))
        return HVPT_OK;
    status = format->look(space, walk.start, walk.end, HVPT_VISIT_WALK, &walk);
    if (walk.ended)
        return HVPT_OK;
    if (status == HVPT_OK && visitor->leave != NULL)
        (void)visitor->leave(visitor->ctx, hvpt_make_gpa(0), hvpt_make_hpa(space->root_frame), space->root_level);
    return status;
}

#endif
