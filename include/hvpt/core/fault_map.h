/*
 * fault_map: one page from a fault handler, on many CPUs at once, without a lock. The loser learns that it lost.
 */
#ifndef HVPT_CORE_FAULT_MAP_H
#define HVPT_CORE_FAULT_MAP_H

#include "find.h"
#include "tree.h"

/* Frames for the tables of one path, held by one call. */
struct hvpt_path_frames {
    uint64_t frame[HVPT_MAX_LEVELS - 1];
    hvpt_entry *table[HVPT_MAX_LEVELS - 1];
    unsigned count;
};

/* CPUs that fault at once have stacks of their own: their addresses spread the counting over the stripes. */
HVPT_ENGINE unsigned hvpt_stripe_here(void)
{
    volatile char here = 0;
    uint64_t hash = ((uint64_t)(uintptr_t)&here >> 12) * UINT64_C(0x9e3779b97f4a7c15);

    (void)here;
    return (unsigned)(hash >> (64 - HVPT_STRIPES_LOG2));
}

HVPT_ENGINE void hvpt_path_release(const struct hvpt_space *space, struct hvpt_path_frames *path)
{
    while (path->count != 0)
        hvpt_give_frame(space, path->frame[--path->count], space->table_order);
}

/*
 * The entry for an empty slot of a table at level: the leaf itself, or a chain of tables down to it, unseen as yet.
 * HVPT_E_NOMEM: frames that path holds stay there.
 */
HVPT_ENGINE enum hvpt_status hvpt_path_build(const struct hvpt_format *format, struct hvpt_space *space,
                                             struct hvpt_path_frames *path, uint64_t gpa, uint64_t leaf,
                                             unsigned leaf_level, unsigned level, uint64_t *entry)
{
    unsigned i;

    while (path->count < level - leaf_level) {
        path->table[path->count] = hvpt_alloc_frame(space, space->table_order, &path->frame[path->count]);
        if (path->table[path->count] == NULL)
            return HVPT_E_NOMEM;
        path->count++;
    }
    *entry = leaf;
    for (i = 0; i < level - leaf_level; i++) {
        hvpt_fill_empty(space, path->table[i], hvpt_entries(format));
        hvpt_store_relaxed(&path->table[i][hvpt_index(format, space, gpa, leaf_level + i)], *entry);
        hvpt_note_table(space, path->frame[i]);
        *entry = format->make_table(space, path->frame[i]);
    }
    return HVPT_OK;
}

/* The chain of the first used tables is linked: count them, keep the rest. */
HVPT_ENGINE void hvpt_path_linked(struct hvpt_space *space, struct hvpt_path_frames *path, unsigned leaf_level,
                                  unsigned used)
{
    unsigned i;

    for (i = 0; i < used; i++)
        hvpt_count_add_shared(&space->fault_tables[leaf_level + i], 1);
    for (i = used; i < path->count; i++)
        path->frame[i - used] = path->frame[i];
    path->count -= used;
    hvpt_count_add_shared(&space->fault_leaves[hvpt_stripe_here()].leaves[leaf_level], 1);
}

HVPT_ENGINE enum hvpt_status hvpt_fault_map_insert(const struct hvpt_format *format, struct hvpt_space *space,
                                                   struct hvpt_path_frames *path, uint64_t gpa, uint64_t leaf,
                                                   unsigned leaf_level)
{
    enum hvpt_status taken = HVPT_E_EXISTS;

    for (;;) {
        struct hvpt_run run;
        uint64_t entry;
        enum hvpt_status status = format->descend(space, gpa, leaf_level, &run);

        if (status != HVPT_OK)
            return status;
        if (hvpt_is_present(space, run.entry))
            return taken;
        status = hvpt_path_build(format, space, path, gpa, leaf, leaf_level, run.level, &entry);
        if (status != HVPT_OK)
            return status;
        if (HVPT_LIKELY(hvpt_compare_exchange(run.slot, &run.entry, entry))) {
            hvpt_path_linked(space, path, leaf_level, run.level - leaf_level);
            return HVPT_OK;
        }
        taken = HVPT_E_RACE;
    }
}

/*
 * The general way, whatever the arguments. Compiled once a format, out of line, as format->fault_map_rest.
 */
HVPT_ENGINE enum hvpt_status hvpt_fault_map_rest(const struct hvpt_format *format, struct hvpt_space *space,
                                                 hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size, struct hvpt_attr attr)
{
    struct hvpt_path_frames path;
    struct hvpt_flush own;
    unsigned level = 0;
    enum hvpt_status status;

    if (space->readonly)
        return HVPT_E_READONLY;
    status = format->check_attr(space, attr);
    if (status != HVPT_OK)
        return status;
    while (level <= space->max_leaf_level && hvpt_span(format, level) != page_size)
        level++;
    if (level > space->max_leaf_level)
        return HVPT_E_ATTR;
    if ((gpa.value | hpa.value) & (page_size - 1))
        return HVPT_E_ALIGN;
    if (level > hvpt_leaf_level(format, space, gpa.value, hpa.value, attr))
        return HVPT_E_ATTR;
    status = hvpt_check_range(format, space, gpa.value, page_size);
    if (status == HVPT_OK)
        status = hvpt_check_frames(format, space, hpa.value, page_size);
    if (status != HVPT_OK)
        return status;
    if (HVPT_UNLIKELY(space->policy & HVPT_POLICY_GUARD_TABLES) && format->holds_table(space, hpa.value, page_size))
        return HVPT_E_RANGE;
    path.count = 0;
    status =
        hvpt_fault_map_insert(format, space, &path, gpa.value, format->make_leaf(space, hpa.value, attr, level), level);
    hvpt_path_release(space, &path);
    if (format->mapping_needs_flush && status == HVPT_OK) {
        hvpt_flush_clear(&own);
        hvpt_owe_flush(space, &own, gpa.value, page_size, true); /* tables may have been linked */
        format->settle(space, &own);
    }
    return status;
}

/* The slot at level 0 that gpa belongs to, where its table exists; else NULL. */
HVPT_ENGINE hvpt_entry *hvpt_slot_of_page(const struct hvpt_format *format, const struct hvpt_space *space,
                                          uint64_t gpa)
{
    const bool called = HVPT_HOOKS_KNOWN && hvpt_hooks_called(space);
    struct hvpt_place place;

    if (HVPT_LIKELY(hvpt_goes_inline(space))) {
        hvpt_entry *slot = space->root_table + (gpa >> hvpt_span_shift(format, 3));

        slot = hvpt_plain_below(format, space, called, slot, gpa, 3);
        slot = slot == NULL ? NULL : hvpt_plain_below(format, space, called, slot, gpa, 2);
        return slot == NULL ? NULL : hvpt_plain_below(format, space, called, slot, gpa, 1);
    }
    format->find(space, gpa, 0, &place);
    return place.level == 0 ? place.slot : NULL;
}

/*
 * Map one page of page_size at gpa to hpa.
 *
 * HVPT_E_ALIGN: gpa or hpa is not aligned to page_size.  HVPT_E_RANGE.  HVPT_E_ATTR: the attributes, or a page_size
 * that the format, the CPU, the config or the policy does not allow for them.  HVPT_E_READONLY.  HVPT_E_NOMEM.
 * HVPT_E_CORRUPT.
 * HVPT_E_EXISTS: something is mapped there already, be it by this page or by others of another size.
 * HVPT_E_RACE: the same, and this call saw that another CPU put it there meanwhile (it does not always see that). For a
 * handler both mean: let the guest try again.
 *
 * Where a CPU may hold that the page is not mapped (RISC-V), the hook has flushed it when the call ends well.
 * Safe on any number of CPUs at once, beside readers and beside one map of other pages. It takes no frame from the
 * reserve.
 */
HVPT_ENGINE enum hvpt_status hvpt_fault_map_page(const struct hvpt_format *format, struct hvpt_space *space,
                                                 hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size, struct hvpt_attr attr)
{
    /* One smallest page where all tables exist. */
    if (page_size == hvpt_span(format, 0) && !format->mapping_needs_flush
        && HVPT_LIKELY(!((gpa.value | hpa.value) & (page_size - 1)) && gpa.value < space->gpa_limit
                       && hpa.value < space->plain_limit && format->check_attr(space, attr) == HVPT_OK)) {
        hvpt_entry *slot = hvpt_slot_of_page(format, space, gpa.value);
        uint64_t old = space->empty_entry;

        /* Not looked at first: another CPU may hold its cache line, which then comes once, and to be written. */
        if (HVPT_LIKELY(slot != NULL
                        && hvpt_compare_exchange(slot, &old, format->make_leaf(space, hpa.value, attr, 0)))) {
            hvpt_count_add_shared(&space->fault_leaves[hvpt_stripe_here()].leaves[0], 1);
            return HVPT_OK;
        }
    }
    return format->fault_map_rest(space, gpa, hpa, page_size, attr);
}

#endif
