/*
 * map: a range, with the largest pages that fit, all or nothing.
 * One look to find conflicts and to count, then all allocations, then stores that cannot fail.
 */
#ifndef HVPT_CORE_MAP_H
#define HVPT_CORE_MAP_H

#include "find.h"
#include "tree.h"

/*
 * The tables needed below one empty entry of a table at level to map [at, end) inside it with leaves of up to
 * leaf_level. Pure arithmetic: at each level, the slots that cannot be leaves. Where large pages fit those are the two
 * at the edges.
 */
HVPT_ENGINE uint64_t hvpt_tables_below(const struct hvpt_format *format, uint64_t at, uint64_t end, unsigned level,
                                       unsigned leaf_level)
{
    uint64_t tables = 0;

    for (; level > 0; level--) {
        unsigned shift = hvpt_span_shift(format, level);
        uint64_t inside = (UINT64_C(1) << shift) - 1;
        uint64_t slots = ((end - 1) >> shift) - (at >> shift) + 1;

        if (level <= leaf_level) {
            uint64_t edges = (uint64_t)((at & inside) != 0) + (uint64_t)((end & inside) != 0);

            slots = slots < edges ? slots : edges;
        }
        if (slots == 0)
            break;
        tables += slots;
    }
    return tables;
}

struct hvpt_map_plan {
    uint64_t start;
    uint64_t end;
    uint64_t tables;
    unsigned leaf_level;
};

HVPT_ENGINE enum hvpt_status hvpt_plan_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_map_plan *plan = (struct hvpt_map_plan *)ctx;
    uint64_t at = run->gpa, end = run->gpa + ((uint64_t)run->count << hvpt_span_shift(format, run->level));
    unsigned empty;

    /* Above level 0 what the traversal saw decides: at a second look fault_map may have put a table there. */
    if (run->level > 0 && hvpt_is_present(space, run->entry))
        return format->is_leaf(space, run->entry, run->level) ? HVPT_E_EXISTS : HVPT_E_CORRUPT;
    if (run->level == 0) {
        empty = hvpt_count_empty(space, run->slot, run->count);
        if (empty != run->count)
            return format->is_leaf(space, hvpt_load(&run->slot[empty]), 0) ? HVPT_E_EXISTS : HVPT_E_CORRUPT;
    } else {
        plan->tables += hvpt_tables_below(format, at > plan->start ? at : plan->start,
                                          end < plan->end ? end : plan->end, run->level, plan->leaf_level);
    }
    return HVPT_OK;
}

/* Find conflicts and count the tables that are missing. HVPT_E_EXISTS, HVPT_E_CORRUPT. Changes nothing. */
HVPT_ENGINE enum hvpt_status hvpt_map_prepare(const struct hvpt_format *format, const struct hvpt_space *space,
                                              struct hvpt_map_plan *plan)
{
    plan->tables = 0;
    return format->look(space, plan->start, plan->end, HVPT_VISIT_MAP_PLAN, plan);
}

/*
 * Build what fills one slot of a table at level whole, with leaves of leaf_level below it, where nobody can see it.
 * Every table is filled from end to end, so none is emptied first. Returns the entry that links it.
 */
HVPT_ENGINE uint64_t hvpt_build_full(const struct hvpt_format *format, struct hvpt_space *space,
                                     struct hvpt_frames *list, uint64_t hpa, struct hvpt_attr attr, unsigned level,
                                     unsigned leaf_level)
{
    const unsigned entries = hvpt_entries(format);
    hvpt_entry *table[HVPT_MAX_LEVELS];
    uint64_t link[HVPT_MAX_LEVELS];
    unsigned filled[HVPT_MAX_LEVELS];
    unsigned at = level;

    for (;;) {
        while (at > leaf_level) {
            uint64_t frame;

            at--;
            table[at] = hvpt_take_table(space, list, at, &frame);
            link[at] = format->make_table(space, frame) | (at == 0 ? format->table_full : 0);
            filled[at] = 0;
        }
        format->fill_leaves(space, table[at], entries, 0, hpa, attr, at);
        hvpt_count_add(&space->stats.leaves[at], entries);
        hpa += (uint64_t)entries << hvpt_span_shift(format, at);
        filled[at] = entries;
        while (filled[at] == entries) {
            if (at + 1 == level)
                return link[at];
            hvpt_store_relaxed(&table[at + 1][filled[at + 1]++], link[at]);
            at++;
        }
    }
}

/*
 * Link a fresh, empty table into a slot that other CPUs see. Whoever loses against fault_map takes the winner's table
 * and keeps its own frame in the list.
 */
HVPT_ENGINE hvpt_entry *hvpt_link_empty(const struct hvpt_format *format, struct hvpt_space *space,
                                        struct hvpt_frames *list, hvpt_entry *slot, uint64_t old, unsigned level)
{
    uint64_t frame;
    hvpt_entry *table = hvpt_frames_pop(space, list, &frame);

    hvpt_fill_empty(space, table, hvpt_entries(format));
    hvpt_note_table(space, frame);
    if (!hvpt_compare_exchange(slot, &old, format->make_table(space, frame))) {
        hvpt_frames_push(space, list, table, frame);
        return hvpt_table_at(space, format->table_frame(space, old));
    }
    hvpt_count_add(&space->stats.tables[level - 1], 1);
    return table;
}

/*
 * Map [at, end), which prepare found empty, to hpa with frames from list. Cannot fail.
 *
 * A slot that the range covers whole gets its subtree in one piece: built where nobody sees it, linked by one release
 * store. A slot covered in part may be wanted by a fault_map of its other part at this moment: an empty table is linked
 * there first, by compare-exchange, and filled in place.
 */
HVPT_ENGINE void hvpt_map_commit(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_frames *list,
                                 uint64_t at, uint64_t end, uint64_t hpa, struct hvpt_attr attr, unsigned leaf_level)
{
    hvpt_entry *table[HVPT_MAX_LEVELS];
    unsigned level = space->root_level;

    table[level] = space->root_table;
    hvpt_fence_release(); /* what the caller put into the pages comes before the leaves that show it */
    for (;;) {
        unsigned shift = hvpt_span_shift(format, level);
        uint64_t inside = (UINT64_C(1) << shift) - 1;
        unsigned index = hvpt_index(format, space, at, level);
        hvpt_entry *slot = &table[level][index];
        unsigned whole = 0;

        if (!(at & inside)) {
            uint64_t left = (end - at) >> shift;
            unsigned rest = hvpt_table_entries(format, space, level) - index;

            whole = left < rest ? (unsigned)left : rest;
            if (level > 0) /* an empty table in the way is used, not replaced */
                whole = hvpt_count_empty(space, slot, whole);
        }
        if (whole != 0) {
            if (level <= leaf_level) {
                format->fill_leaves(space, slot, whole, at, hpa, attr, level);
                hvpt_count_add(&space->stats.leaves[level], whole);
            } else {
                whole = 1;
                hvpt_store_release(slot, hvpt_build_full(format, space, list, hpa, attr, level, leaf_level));
            }
            at += (uint64_t)whole << shift;
            hpa += (uint64_t)whole << shift;
        } else {
            uint64_t old = hvpt_load(slot);

            level--;
            table[level] = hvpt_is_present(space, old) ? hvpt_table_at(space, format->table_frame(space, old))
                                                       : hvpt_link_empty(format, space, list, slot, old, level + 1);
            continue;
        }
        if (at == end)
            return;
        while (!(at & (hvpt_span(format, level + 1) - 1)) && level < space->root_level)
            level++;
    }
}

/* Everything that can be wrong with the arguments of map and replace, before a table is looked at. */
HVPT_ENGINE enum hvpt_status hvpt_check_mapping(const struct hvpt_format *format, const struct hvpt_space *space,
                                                uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    enum hvpt_status status = hvpt_check_range(format, space, gpa, size);

    if (HVPT_LIKELY(status == HVPT_OK))
        status = hvpt_check_frames(format, space, hpa, size);
    if (HVPT_LIKELY(status == HVPT_OK))
        status = format->check_attr(space, attr);
    if (HVPT_UNLIKELY(status != HVPT_OK))
        return status;
    if (HVPT_UNLIKELY(space->readonly))
        return HVPT_E_READONLY;
    if (HVPT_UNLIKELY(space->policy & HVPT_POLICY_GUARD_TABLES) && format->holds_table(space, hpa, size))
        return HVPT_E_RANGE;
    return HVPT_OK;
}

/*
 * A run of smallest pages in one table that is there, and empty as far as they go: no plan, no frames. false: it is not
 * so, and nothing changed. The arguments have passed hvpt_check_mapping.
 */
HVPT_ENGINE bool hvpt_map_run(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                              uint64_t size, struct hvpt_attr attr)
{
    const unsigned count = (unsigned)(size >> hvpt_span_shift(format, 0));
    struct hvpt_place place;

    if (size >= hvpt_span(format, 1) || (gpa ^ (gpa + size - 1)) >> hvpt_span_shift(format, 1))
        return false;
    format->find(space, gpa, 0, &place);
    if (place.level != 0 || hvpt_count_empty(space, place.slot, count) != count)
        return false;
    hvpt_fence_release(); /* what the caller put into the pages comes before the leaves that show it */
    format->fill_leaves(space, place.slot, count, gpa, hpa, attr, 0);
    hvpt_count_add(&space->stats.leaves[0], count);
    return true;
}

/* The general way, whatever the arguments. Compiled once a format, out of line, as format->map_pieces. */
HVPT_ENGINE enum hvpt_status hvpt_map_pieces(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa,
                                             uint64_t hpa, uint64_t size, struct hvpt_attr attr,
                                             struct hvpt_flush *flush)
{
    struct hvpt_map_plan plan;
    struct hvpt_frames list;
    enum hvpt_status status = hvpt_check_mapping(format, space, gpa, hpa, size, attr);

    if (status != HVPT_OK)
        return status;
    plan.tables = 0;
    if (!hvpt_map_run(format, space, gpa, hpa, size, attr)) {
        plan.start = gpa;
        plan.end = gpa + size;
        plan.leaf_level = hvpt_leaf_level(format, space, gpa, hpa, attr);
        status = hvpt_map_prepare(format, space, &plan);
        if (status == HVPT_OK)
            status = hvpt_frames_take(space, &list, plan.tables);
        if (status != HVPT_OK)
            return status;
        hvpt_map_commit(format, space, &list, plan.start, plan.end, hpa, attr, plan.leaf_level);
        /* Left over only where fault_map linked a table first. */
        hvpt_frames_release(space, &list, 0);
    }
    if (format->mapping_needs_flush)
        hvpt_owe_mapping(space, flush, gpa, size, plan.tables != 0, format->settle);
    return HVPT_OK;
}

/*
 * Map [gpa, gpa + size) to [hpa, hpa + size) with the largest pages that fit.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_ATTR, HVPT_E_READONLY: the arguments.
 * HVPT_E_EXISTS: something in the range is mapped.
 * HVPT_E_CORRUPT.  HVPT_E_NOMEM.
 * After any of them every translation is what it was, and no frame is held that was not.
 *
 * flush: only where a CPU may hold that a page is not mapped (RISC-V); NULL: flushed before the call returns.
 *
 * Safe beside readers, hardware and fault_map of other pages; the caller serializes it against everything else.
 */
HVPT_ENGINE enum hvpt_status hvpt_map_range(const struct hvpt_format *format, struct hvpt_space *space, hvpt_gpa gpa,
                                            hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                            struct hvpt_flush *flush)
{
    const uint64_t page = hvpt_span(format, 0);

    /* One smallest page where all tables exist: no plan, no frames. */
    if (size == page
        && HVPT_LIKELY(!((gpa.value | hpa.value) & (page - 1)) && gpa.value < space->gpa_limit
                       && hpa.value < space->plain_limit && (!format->mapping_needs_flush || flush != NULL)
                       && format->check_attr(space, attr) == HVPT_OK)) {
        struct hvpt_place place = hvpt_find_near(format, space, gpa.value);

        if (HVPT_LIKELY(place.level == 0 && !hvpt_is_present(space, place.entry))) {
            hvpt_store_release(place.slot, format->make_leaf(space, hpa.value, attr, 0));
            hvpt_count_add(&space->stats.leaves[0], 1);
            if (format->mapping_needs_flush)
                hvpt_owe_page(format, space, flush, gpa.value);
            return HVPT_OK;
        }
    }
    return format->map_pieces(space, gpa.value, hpa.value, size, attr, flush);
}

#endif
