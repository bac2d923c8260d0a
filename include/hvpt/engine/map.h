/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * map: a range, with the largest pages that fit, all or nothing.
 */
#ifndef HVPT_ENGINE_MAP_H
#define HVPT_ENGINE_MAP_H

#include "plan.h"

/*
 * Map the plan's range, which it found empty, with the frames it took. Cannot fail.
 *
 * A slot that the range covers whole gets its subtree in one piece: built where nobody sees it, linked by one release
 * store when it is complete. Every table of it is filled from end to end, so none is emptied first. A slot covered in
 * part may be wanted by a fault_map of its other part at this moment: an empty table is linked there first, by
 * compare-exchange, and filled in place.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_map_commit(struct hvpt_space *space, struct hvpt_plan *plan)
{
    hvpt_entry *table[HVPT_MAX_LEVELS];
    uint64_t link[HVPT_MAX_LEVELS]; /* the entry that is to link the table, where nobody sees it yet; else 0 */
    unsigned level = space->root_level;
    uint64_t at = plan->start;

    table[level] = space->root_table;
    link[level] = 0;
    for (;;) {
        const unsigned shift = hvpt_span_shift(space, level);
        hvpt_entry *slot = &table[level][hvpt_index(space, at, level)];
        const bool hidden = link[level] != 0;
        unsigned whole = hvpt_whole_entries(space, level, at, plan->end);
        uint64_t old, frame;

        if (level > 0 && !hidden) /* an empty table in the way is used, not replaced */
            whole = hvpt_count_empty(space, slot, whole);
        if (level > 0 && (whole == 0 || level > plan->leaf_level)) { /* a slot of level 0 is always there */
            level--;
            link[level] = 0;
            if (whole != 0) {
                table[level] = hvpt_take_table(space, &plan->list, level, &frame);
                link[level] = hvpt_make_table(space, frame) | (level == 0 ? space->rules->full_bit : 0);
                continue;
            }
            old = hvpt_load(slot);
            table[level] = hvpt_is_present(space, old) ? hvpt_table_below(space, old)
                                                       : hvpt_link_empty(space, &plan->list, slot, old, level + 1);
            continue;
        }
        hvpt_plan_fill(plan, slot, whole, at, level);
        hvpt_count_leaves(space, level, whole);
        at += (uint64_t)whole << shift;
        while (level < space->root_level && (at == plan->end || !(at & (hvpt_span(space, level + 1) - 1)))) {
            level++;
            if (link[level - 1] != 0)
                hvpt_store_release(&table[level][hvpt_index(space, at - 1, level)], link[level - 1]);
        }
        if (at == plan->end)
            return;
    }
}

/* The general path, for any arguments. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_map_slow(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                       uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    struct hvpt_plan plan;
    hvpt_entry *slot;
    enum hvpt_status status = hvpt_plan_begin(&plan, space, gpa, hpa, size, attr);

    if (status != HVPT_OK)
        return status;
    space->last_attr = attr;
    space->last_bits = plan.leaf.bits[0];
    status = hvpt_plan_map(&plan, &slot);
    if (status == HVPT_OK && slot == NULL)
        status = hvpt_plan_take(space, &plan);
    if (status != HVPT_OK)
        return status;
    hvpt_fence_release(); /* what the caller put into the pages comes before the leaves that show it */
    if (slot != NULL) {
        const unsigned count = (unsigned)(size >> hvpt_span_shift(space, 0));

        hvpt_plan_fill(&plan, slot, count, gpa, 0);
        hvpt_count_leaves(space, 0, count);
    } else {
        hvpt_map_commit(space, &plan);
        /* Something is left over only where fault_map linked a table first. */
        hvpt_frames_release(space, &plan.list, 0);
    }
    if (space->map_flushes)
        (space->rules->grown)(space, flush, gpa, size, plan.tables != 0);
    return HVPT_OK;
}

/* Two members as they lie in memory, so that compilers compare them as one number. */
HVPT_INLINE uint64_t hvpt_pair(uint32_t first, uint32_t second)
{
    return first | (uint64_t)second << 32;
}

HVPT_INLINE bool hvpt_same_attr(struct hvpt_attr a, struct hvpt_attr b)
{
    return ((hvpt_pair(a.perm, (uint32_t)a.memtype) ^ hvpt_pair(b.perm, (uint32_t)b.memtype))
            | (hvpt_pair(a.flags, a.software) ^ hvpt_pair(b.flags, b.software)))
        == 0;
}

/*
 * Move the cursor to gpa's level 1 table. It halves the time, because most single pages lie in the same gigabyte as the
 * one before. false: there is no such table, or not a usual one. Pages are 4 KiB here.
 */
HVPT_FUNCTION HVPT_COLD bool hvpt_cursor_move(struct hvpt_space *space, uint64_t gpa)
{
    struct hvpt_run run;

    (void)hvpt_find(space, gpa, 1, &run);
    if (run.level != 1 || space->root_level == 1) /* a root may be larger than other tables */
        return false;
    space->cursor_range = (uint32_t)(gpa >> 30);
    space->cursor_table = run.slot - ((unsigned)(gpa >> 21) & 511u);
    return true;
}

/* Is the cursor at the level 1 table of gpa, which lies in the space? */
HVPT_INLINE bool hvpt_is_near(const struct hvpt_space *space, uint64_t gpa)
{
    return space->cursor_range == (uint32_t)(gpa >> 30);
}

/*
 * The slot at level 0 for gpa, by the cursor, and in *link the entry that leads to its table. NULL: not a usual table.
 * shift: frame_shift.
 */
HVPT_INLINE hvpt_entry *hvpt_slot_near(const struct hvpt_space *space, bool called, unsigned shift, uint64_t gpa,
                                       uint64_t *link)
{
    hvpt_entry *table;

    *link = hvpt_load(&space->cursor_table[(unsigned)(gpa >> 21) & 511u]);
    if (HVPT_UNLIKELY(!hvpt_is_usual_table(space, *link)))
        return NULL;
    table = hvpt_table_by(space, called, (*link & space->frame_mask) << shift);
    return HVPT_LIKELY(hvpt_is_reached(called, table)) ? table + ((unsigned)(gpa >> 12) & 511u) : NULL;
}

/* Map one 4 KiB page with last_attr, for any hooks and any cursor. The caller has checked all but gpa's limit. */
HVPT_FUNCTION enum hvpt_status hvpt_map_page(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                             struct hvpt_flush *flush)
{
    uint64_t link;
    hvpt_entry *slot = NULL;

    /* Written twice, because the walk with a call, which most pages here take, is then without a jump. */
    if (gpa < space->gpa_limit && (HVPT_LIKELY(hvpt_is_near(space, gpa)) || hvpt_cursor_move(space, gpa)))
        slot = HVPT_LIKELY(hvpt_hooks_called(space)) ? hvpt_slot_near(space, true, space->frame_shift, gpa, &link)
                                                     : hvpt_slot_near(space, false, space->frame_shift, gpa, &link);
    if (HVPT_UNLIKELY(slot == NULL || hvpt_is_present(space, hvpt_load(slot))))
        return hvpt_map_slow(space, gpa, hpa, HVPT_4K, space->last_attr, flush);
    hvpt_store_release(slot, space->last_bits | hpa >> space->frame_shift);
    hvpt_count_add(&space->leaves[0], 1);
    if (HVPT_UNLIKELY(space->map_flushes))
        (space->rules->grown)(space, flush, gpa, HVPT_4K, false);
    return HVPT_OK;
}

HVPT_INLINE enum hvpt_status hvpt_map_any(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                          struct hvpt_attr attr, struct hvpt_flush *flush)
{
    const bool called = HVPT_HOOKS_KNOWN && hvpt_hooks_called(space);
    uint64_t link;
    hvpt_entry *slot;

    if (HVPT_UNLIKELY(size != HVPT_4K || ((gpa.value | hpa.value) & (HVPT_4K - 1)) || hpa.value >= space->fast_limit
                      || !hvpt_same_attr(attr, space->last_attr)))
        return hvpt_map_slow(space, gpa.value, hpa.value, size, attr, flush);
    if (HVPT_UNLIKELY(gpa.value >= space->walk_limit || !hvpt_is_near(space, gpa.value) || space->map_flushes))
        return hvpt_map_page(space, gpa.value, hpa.value, flush);
    slot = hvpt_slot_near(space, called, HVPT_NATIVE_SHIFT, gpa.value, &link);
    if (HVPT_UNLIKELY(slot == NULL) || HVPT_UNLIKELY(hvpt_is_present(space, hvpt_load(slot))))
        return hvpt_map_slow(space, gpa.value, hpa.value, HVPT_4K, attr, flush);
    hvpt_store_release(slot, space->last_bits | hpa.value >> HVPT_NATIVE_SHIFT);
    hvpt_count_add(&space->leaves[0], 1);
    return HVPT_OK;
}

HVPT_API enum hvpt_status hvpt_space_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                         struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_map_any(space, gpa, hpa, size, attr, flush);
}

#endif
