/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * walk and next_leaf: a range shown to the caller, tables, leaves and holes, in ascending order.
 */
#ifndef HVPT_ENGINE_VISIT_H
#define HVPT_ENGINE_VISIT_H

#include "lookup.h"

struct hvpt_visit {
    const struct hvpt_space *space;
    const struct hvpt_visitor *visitor;
    uint64_t start;
    uint64_t end;
    uint32_t perm[HVPT_MAX_LEVELS]; /* what the tables above each level allow together */
    bool ended;
};

/* The visitor wants no more. The status only ends the walk; hvpt_space_walk answers HVPT_OK. */
static inline enum hvpt_status hvpt_visit_end(struct hvpt_visit *visit)
{
    visit->ended = true;
    return HVPT_E_NOTHING;
}

static inline HVPT_COLD enum hvpt_status hvpt_visit_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_visit *visit = (struct hvpt_visit *)ctx;
    const struct hvpt_space *space = visit->space;
    const struct hvpt_visitor *visitor = visit->visitor;
    const uint64_t span = hvpt_span(space, run->level);
    unsigned i;

    if (visit->ended)
        return HVPT_E_NOTHING;
    for (i = 0; i < run->count; i++) {
        /* Above level 0 the entry that the walk read decides, because another CPU may have put a table there since. */
        uint64_t entry = run->level > 0 ? run->entry : hvpt_load(&run->slot[i]);
        uint64_t gpa = run->gpa + i * span;
        bool go_on = true;

        if (!hvpt_is_present(space, entry)) {
            uint64_t first = gpa > visit->start ? gpa : visit->start;
            uint64_t past = span < visit->end - gpa ? gpa + span : visit->end;

            if (visitor->hole != NULL)
                go_on = (visitor->hole)(visitor->ctx, hvpt_make_gpa(first), past - first, run->level);
        } else if (hvpt_is_leaf(space, entry, run->level)) {
            struct hvpt_mapping mapping;

            hvpt_describe(space, gpa, entry, run->level, visit->perm[run->level], &mapping);
            if (visitor->leaf != NULL)
                go_on = (visitor->leaf)(visitor->ctx, hvpt_make_gpa(gpa), &mapping);
        } else {
            return HVPT_E_CORRUPT;
        }
        if (!go_on)
            return hvpt_visit_end(visit);
    }
    return HVPT_OK;
}

static inline HVPT_COLD enum hvpt_step hvpt_visit_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_visit *visit = (struct hvpt_visit *)ctx;
    const struct hvpt_visitor *visitor = visit->visitor;
    uint64_t frame = hvpt_frame_in(visit->space, run->entry);

    if (visit->ended)
        return HVPT_STEP_OVER;
    visit->perm[run->level - 1] = visit->perm[run->level] & hvpt_table_perm(visit->space, run->entry);
    if (visitor->enter == NULL
        || (visitor->enter)(visitor->ctx, hvpt_make_gpa(run->gpa), hvpt_make_hpa(frame), run->level - 1))
        return HVPT_STEP_INTO;
    visit->ended = true;
    return HVPT_STEP_OVER;
}

static inline HVPT_COLD enum hvpt_status hvpt_visit_leave(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_visit *visit = (struct hvpt_visit *)ctx;
    const struct hvpt_visitor *visitor = visit->visitor;
    uint64_t frame = hvpt_frame_in(visit->space, run->entry);

    if (visit->ended
        || (visitor->leave != NULL
            && !(visitor->leave)(visitor->ctx, hvpt_make_gpa(run->gpa), hvpt_make_hpa(frame), run->level - 1)))
        return hvpt_visit_end(visit);
    return HVPT_OK;
}

/* ---- what ends a walk ---- */

struct hvpt_broken_search {
    const struct hvpt_space *space;
    struct hvpt_broken *out;
};

static inline enum hvpt_status hvpt_broken_found(const struct hvpt_broken_search *search, uint64_t gpa, uint64_t entry,
                                                 unsigned level, unsigned rule)
{
    search->out->gpa = hvpt_make_gpa(gpa);
    search->out->size = hvpt_span(search->space, level);
    search->out->entry = entry;
    search->out->level = level;
    search->out->rule = rule;
    return HVPT_E_CORRUPT;
}

/* A table that cannot be reached ends the walk by itself. */
static inline HVPT_COLD enum hvpt_step hvpt_broken_enter(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_broken_search *search = (const struct hvpt_broken_search *)ctx;

    if (hvpt_table_at(search->space, hvpt_frame_in(search->space, run->entry)) == NULL)
        (void)hvpt_broken_found(search, run->gpa, run->entry, run->level, HVPT_ENTRY_TABLE);
    return HVPT_STEP_INTO;
}

static inline HVPT_COLD enum hvpt_status hvpt_broken_slots(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_broken_search *search = (const struct hvpt_broken_search *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = run->level > 0 ? run->entry : hvpt_load(&run->slot[i]);
        unsigned rule = hvpt_judge(search->space, entry, run->level);

        if (rule >= HVPT_ENTRY_BROKEN)
            return hvpt_broken_found(search, run->gpa + i * hvpt_span(search->space, run->level), entry, run->level,
                                     rule);
    }
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_find_broken(const struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                           struct hvpt_broken *out)
{
    static const struct hvpt_steps steps = {hvpt_broken_enter, hvpt_broken_slots, NULL};
    struct hvpt_broken_search search;
    enum hvpt_status status = hvpt_check_range(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    search.space = space;
    search.out = out;
    return hvpt_walk(space, gpa.value, gpa.value + size, &steps, &search);
}

/* ---- the walk itself ---- */

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_walk(const struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                    const struct hvpt_visitor *visitor)
{
    static const struct hvpt_steps steps = {hvpt_visit_enter, hvpt_visit_slots, hvpt_visit_leave};
    const hvpt_hpa root = hvpt_make_hpa(space->root_frame);
    struct hvpt_visit visit;
    unsigned level;
    enum hvpt_status status = hvpt_check_range(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    visit.space = space;
    visit.visitor = visitor;
    visit.start = gpa.value;
    visit.end = gpa.value + size;
    visit.ended = false;
    for (level = 0; level < HVPT_MAX_LEVELS; level++)
        visit.perm[level] = HVPT_PERM_ALL;
    if (visitor->enter != NULL && !(visitor->enter)(visitor->ctx, hvpt_make_gpa(0), root, space->root_level))
        return HVPT_OK;
    status = hvpt_walk(space, visit.start, visit.end, &steps, &visit);
    if (visit.ended)
        return HVPT_OK;
    if (status == HVPT_OK && visitor->leave != NULL)
        (void)(visitor->leave)(visitor->ctx, hvpt_make_gpa(0), root, space->root_level);
    return status;
}

HVPT_API struct hvpt_leaf_iterator hvpt_leaves(hvpt_gpa gpa, uint64_t size)
{
    struct hvpt_leaf_iterator iterator;

    iterator.next = gpa;
    iterator.end = gpa.value + size;
    iterator.status = iterator.end < gpa.value ? HVPT_E_RANGE : HVPT_OK;
    return iterator;
}

HVPT_API HVPT_COLD bool hvpt_space_next_leaf(const struct hvpt_space *space, struct hvpt_leaf_iterator *iterator,
                                             hvpt_gpa *gpa, struct hvpt_mapping *mapping)
{
    if (iterator->end > space->gpa_limit)
        iterator->status = HVPT_E_RANGE;
    while (iterator->status == HVPT_OK && iterator->next.value < iterator->end) {
        struct hvpt_run run;
        const uint32_t perm = hvpt_find(space, iterator->next.value, 0, &run);
        uint64_t span;

        if (run.level == HVPT_LEVEL_UNREACHED) {
            iterator->status = HVPT_E_CORRUPT;
            break;
        }
        span = hvpt_span(space, run.level);
        run.gpa = iterator->next.value & ~(span - 1);
        iterator->status = hvpt_translate_entry(space, run.gpa, run.entry, run.level, perm, mapping);
        if (iterator->status == HVPT_E_CORRUPT)
            break;
        iterator->next = hvpt_make_gpa(run.gpa + span);
        if (iterator->status == HVPT_OK) {
            *gpa = hvpt_make_gpa(run.gpa);
            return true;
        }
        iterator->status = HVPT_OK; /* a hole */
    }
    return false;
}

#endif
