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

/* A table known to be full of leaves is not read: that is what makes dropping it cheap. */
HVPT_ENGINE enum hvpt_step hvpt_census_enter(const struct hvpt_format *format, const struct hvpt_space *space,
                                             void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;

    (void)space;
    if (run->level > census->top)
        return HVPT_STEP_INTO;
    census->tables[run->level - 1]++;
    if (run->level > 1 || !(run->entry & format->table_full))
        return HVPT_STEP_INTO;
    census->leaves[0] += hvpt_entries(format);
    return HVPT_STEP_OVER;
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
