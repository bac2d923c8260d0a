/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * map: a range, with the largest pages that fit, all or nothing.
 */
#ifndef HVPT_ENGINE_MAP_H
#define HVPT_ENGINE_MAP_H

#include "plan.h"

/*
 * Map [at, end), which the plan found empty, to hpa with frames from list. Cannot fail.
 *
 * A slot that the range covers whole gets its subtree in one piece: built where nobody sees it, linked by one release
 * store. A slot covered in part may be wanted by a fault_map of its other part at this moment: an empty table is linked
 * there first, by compare-exchange, and filled in place.
 */
HVPT_FUNCTION void hvpt_map_commit(struct hvpt_space *space, struct hvpt_frames *list,
                                                 const struct hvpt_plan *plan, uint64_t hpa,
                                                 const struct hvpt_leaf *leaf)
{
    hvpt_entry *table[HVPT_MAX_LEVELS];
    unsigned level = space->root_level;
    uint64_t at = plan->start;

    table[level] = space->root_table;
    hvpt_fence_release(); /* what the caller put into the pages comes before the leaves that show it */
    for (;;) {
        unsigned shift = hvpt_span_shift(space, level);
        unsigned index = hvpt_index(space, at, level);
        hvpt_entry *slot = &table[level][index];
        unsigned whole = 0;

        if (!(at & ((UINT64_C(1) << shift) - 1))) {
            uint64_t left = (plan->end - at) >> shift;
            unsigned rest = hvpt_table_entries(space, level) - index;

            whole = left < rest ? (unsigned)left : rest;
            if (level > 0) /* an empty table in the way is used, not replaced */
                whole = hvpt_count_empty(space, slot, whole);
        }
        if (whole != 0) {
            if (level <= plan->leaf_level) {
                hvpt_put_leaves(space, slot, whole, at, hpa, leaf, level);
            } else {
                whole = 1;
                hvpt_store_release(slot, hvpt_build(space, list, hpa, leaf, level, plan->leaf_level));
            }
            at += (uint64_t)whole << shift;
            hpa += (uint64_t)whole << shift;
        } else {
            uint64_t old = hvpt_load(slot);

            level--;
            table[level] = hvpt_is_present(space, old) ? hvpt_table_at(space, hvpt_frame_in(space, old))
                                                       : hvpt_link_empty(space, list, slot, old, level + 1);
            continue;
        }
        if (at == plan->end)
            return;
        while (!(at & (hvpt_span(space, level + 1) - 1)) && level < space->root_level)
            level++;
    }
}

/*
 * A run of smallest pages in one table that is there, and empty as far as they go: no plan, no frames. false: it is not
 * so, and nothing changed.
 */
static inline bool hvpt_map_run(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                const struct hvpt_leaf *leaf)
{
    const unsigned count = (unsigned)(size >> hvpt_span_shift(space, 0));
    struct hvpt_place place;

    if (size >= hvpt_span(space, 1) || (gpa ^ (gpa + size - 1)) >> hvpt_span_shift(space, 1))
        return false;
    hvpt_find(space, gpa, 0, &place);
    if (place.level != 0 || hvpt_count_empty(space, place.slot, count) != count)
        return false;
    hvpt_fence_release(); /* what the caller put into the pages comes before the leaves that show it */
    hvpt_put_leaves(space, place.slot, count, gpa, hpa, leaf, 0);
    return true;
}

/* The general way, whatever the arguments. */
HVPT_FUNCTION enum hvpt_status hvpt_map_slow(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                           uint64_t size, struct hvpt_attr attr,
                                                           struct hvpt_flush *flush)
{
    struct hvpt_leaf leaf;
    struct hvpt_plan plan;
    struct hvpt_frames list;
    enum hvpt_status status;

    if (space->rules == NULL)
        return HVPT_E_RANGE;
    status = hvpt_check_mapping(space, gpa, hpa, size, attr, &leaf);
    if (status != HVPT_OK)
        return status;
    space->last_attr = attr;
    space->last_bits = leaf.bits[0];
    plan.tables = 0;
    if (!hvpt_map_run(space, gpa, hpa, size, &leaf)) {
        status = hvpt_plan_make(space, HVPT_EDIT_MAP, gpa, gpa + size, hvpt_leaf_level(space, gpa, hpa, &leaf), &plan);
        if (status == HVPT_OK)
            status = hvpt_plan_take(space, &list, plan.tables, hpa, size);
        if (status != HVPT_OK)
            return status;
        hvpt_map_commit(space, &list, &plan, hpa, &leaf);
        /* Something is left over only where fault_map linked a table first. */
        hvpt_frames_release(space, &list, 0);
    }
    if (space->map_flushes)
        hvpt_flush_grown(space, flush, gpa, size, plan.tables != 0);
    return HVPT_OK;
}

HVPT_INLINE bool hvpt_same_attr(struct hvpt_attr a, struct hvpt_attr b)
{
    return ((a.perm ^ b.perm) | ((unsigned)a.memtype ^ (unsigned)b.memtype) | (a.flags ^ b.flags)
            | (a.software ^ b.software))
        == 0;
}

/*
 * The slot at level 0 for gpa, by the cursor, and in *link the entry that leads to its table: a writer goes on near
 * where it was last, and most single pages lie in the gigabyte of the one before (half the time). NULL: its table is not
 * there, or not a usual one. Pages are 4 KiB here.
 */
HVPT_INLINE hvpt_entry *hvpt_slot_near(struct hvpt_space *space, bool called, uint64_t gpa, uint64_t *link)
{
    struct hvpt_place place;
    const uint64_t range = gpa >> 30;
    const unsigned upper = (unsigned)(gpa >> 21) & 511u;
    hvpt_entry *table;

    if (HVPT_LIKELY(space->cursor_range == range)) {
        *link = hvpt_load(&space->cursor_table[upper]);
        if (HVPT_UNLIKELY((*link & (space->table_mask | space->far_bits)) != space->table_bits))
            return NULL;
        table = hvpt_table_by(space, called, (*link & space->frame_mask) << space->frame_shift);
        return HVPT_LIKELY(hvpt_is_reached(called, table)) ? table + ((unsigned)(gpa >> 12) & 511u) : NULL;
    }
    hvpt_find(space, gpa, 0, &place);
    if (place.level != 0)
        return NULL;
    if (space->root_level > 1) { /* a root may be larger than other tables */
        space->cursor_range = range;
        space->cursor_table = place.upper - upper;
    }
    *link = place.link;
    return place.slot;
}

/* One 4 KiB page in a table that is there, with an attribute already encoded. false: ask hvpt_map_slow. */
HVPT_INLINE bool hvpt_map_page(struct hvpt_space *space, bool called, uint64_t gpa, uint64_t hpa, uint64_t bits,
                               struct hvpt_flush *flush)
{
    uint64_t link;
    hvpt_entry *slot = hvpt_slot_near(space, called, gpa, &link);

    if (HVPT_UNLIKELY(slot == NULL) || HVPT_UNLIKELY(hvpt_is_present(space, hvpt_load(slot))))
        return false;
    hvpt_store_release(slot, bits | hpa >> space->frame_shift);
    hvpt_count_add(&space->leaves[0], 1);
    if (HVPT_UNLIKELY(space->map_flushes))
        hvpt_defer_page(space, flush, gpa);
    return true;
}

HVPT_INLINE enum hvpt_status hvpt_map_any(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                          struct hvpt_attr attr, struct hvpt_flush *flush)
{
    if (HVPT_LIKELY(size == HVPT_4K && !((gpa.value | hpa.value) & (HVPT_4K - 1)) && gpa.value < space->gpa_limit
                    && hpa.value < space->fast_limit && hvpt_same_attr(attr, space->last_attr)
                    && (!space->map_flushes || (flush != NULL && !hvpt_flush_is_foreign(space, flush))))
        && HVPT_LIKELY(hvpt_map_page(space, hvpt_hooks_called(space), gpa.value, hpa.value, space->last_bits, flush)))
        return HVPT_OK;
    return hvpt_map_slow(space, gpa.value, hpa.value, size, attr, flush);
}

HVPT_API enum hvpt_status hvpt_space_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                         struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_map_any(space, gpa, hpa, size, attr, flush);
}

#endif
