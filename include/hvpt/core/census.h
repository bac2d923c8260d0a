/*
 * Counting what a range holds: for the stats when a subtree is dropped whole or adopted, and for the guard policy.
 */
#ifndef HVPT_CORE_CENSUS_H
#define HVPT_CORE_CENSUS_H

#include "fill.h"

HVPT_ENGINE enum hvpt_status hvpt_census_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                               void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    uint64_t present = 0;
    unsigned i;

    (void)format;
    for (i = 0; i < run->count; i++)
        present += hvpt_is_present(space, hvpt_load(&run->slot[i]));
    census->leaves[run->level] += present;
    return HVPT_OK;
}

/* Does each entry of this table at level 1 refer to a table that is known to be full of leaves? */
HVPT_ENGINE bool hvpt_all_full(const struct hvpt_format *format, const struct hvpt_space *space,
                               const hvpt_entry *table)
{
    const uint64_t mask = space->plain_table_mask | format->table_full;
    const uint64_t bits = space->plain_table_bits | format->table_full;
    unsigned i;

    for (i = 0; i < hvpt_entries(format); i++) {
        if ((hvpt_load(&table[i]) & mask) != bits)
            return false;
    }
    return true;
}

/* A table known to be full of leaves is not read, nor is each of its like dwelt upon: that makes dropping them cheap. */
HVPT_ENGINE enum hvpt_step hvpt_census_enter(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    const hvpt_entry *table;
    uint64_t full = 0;

    if (run->level > census->top)
        return HVPT_STEP_INTO;
    census->tables[run->level - 1]++;
    if (run->level == 1) {
        full = (run->entry & format->table_full) != 0;
    } else if (run->level == 2) {
        table = hvpt_table_at(space, format->table_frame(space, run->entry));
        if (table != NULL && hvpt_all_full(format, space, table))
            full = hvpt_entries(format);
        census->tables[0] += full;
    }
    census->leaves[0] += full * hvpt_entries(format);
    return full != 0 ? HVPT_STEP_OVER : HVPT_STEP_INTO;
}

/* Fill census for [census->gpa, census->gpa + census->size). HVPT_E_CORRUPT: a table could not be reached. */
HVPT_ENGINE enum hvpt_status hvpt_take_census(const struct hvpt_format *format, const struct hvpt_space *space,
                                              struct hvpt_census *census)
{
    unsigned level;

    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        census->leaves[level] = 0;
        census->tables[level] = 0;
    }
    return format->look(space, census->gpa, census->gpa + census->size, HVPT_VISIT_CENSUS, census);
}

struct hvpt_frame_search {
    uint64_t first;
    uint64_t last;
    bool found;
};

HVPT_ENGINE enum hvpt_step hvpt_search_enter(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_frame_search *search = (struct hvpt_frame_search *)ctx;
    uint64_t frame = format->table_frame(space, run->entry);

    (void)space;
    if (frame >= search->first && frame <= search->last)
        search->found = true;
    return run->level > 1 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/*
 * Does [hpa, hpa + size) touch a table of this space? The hull of all tables answers most calls, the tree itself the
 * rest.
 */
HVPT_ENGINE bool hvpt_holds_table(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t hpa,
                                  uint64_t size)
{
    uint64_t table_size = HVPT_4K << space->table_order;
    uint64_t root_size = HVPT_4K << space->root_order;
    struct hvpt_frame_search search;

    if (hpa < space->root_frame + root_size && space->root_frame < hpa + size)
        return true;
    if (hpa >= hvpt_count_read(&space->highest_table) + table_size
        || hpa + size <= hvpt_count_read(&space->lowest_table))
        return false;
    /*
     * Frames are aligned to their size, so a table is touched if and only if its first byte lies in the widened range.
     */
    search.first = hpa & ~(table_size - 1);
    search.last = hpa + size - 1;
    search.found = false;
    (void)format->look(space, 0, space->gpa_limit, HVPT_VISIT_SEARCH, &search);
    return search.found;
}

#endif
