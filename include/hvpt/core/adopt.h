/*
 * Taking over tables that exist: another kernel's, a snapshot's, this library's own after a restart.
 */
#ifndef HVPT_CORE_ADOPT_H
#define HVPT_CORE_ADOPT_H

#include "lifecycle.h"
#include "tree.h"

HVPT_ENGINE enum hvpt_step hvpt_adopt_enter(const struct hvpt_format *format, const struct hvpt_space *space, void *ctx,
                                            const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    uint64_t frame = format->table_frame(space, run->entry);

    (void)space;
    /* The mark that a table is full may be anything else in tables that others made. */
    if (run->entry & format->table_full)
        hvpt_store_relaxed(run->slot, run->entry & ~format->table_full);
    census->tables[run->level - 1]++;
    if (frame < census->gpa)
        census->gpa = frame;
    if (frame > census->size)
        census->size = frame;
    return HVPT_STEP_INTO;
}

HVPT_ENGINE enum hvpt_status hvpt_adopt_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                              void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(space, entry))
            continue;
        if (!format->is_leaf(space, entry, run->level))
            return HVPT_E_CORRUPT;
        census->leaves[run->level]++;
    }
    return HVPT_OK;
}

/*
 * Make the configured space that of the tables at root. To change them they must all be counted, and are from now on
 * freed by free_frame as if alloc_frame had given them; HVPT_E_CORRUPT then says that one of them is not well-formed.
 * For reading only, nothing is read now and nothing written ever: each entry is judged when a walk meets it.
 */
HVPT_ENGINE enum hvpt_status hvpt_adopt_root(const struct hvpt_format *format, struct hvpt_space *space, uint64_t root,
                                             bool readonly)
{
    struct hvpt_census census;
    unsigned level;
    enum hvpt_status status;

    space->root_frame = root;
    space->root_table = hvpt_table_at(space, root);
    if (space->root_table == NULL)
        return HVPT_E_CORRUPT;
    space->readonly = readonly;
    hvpt_open_space(space);
    if (readonly)
        return HVPT_OK;
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        census.leaves[level] = 0;
        census.tables[level] = 0;
    }
    census.gpa = UINT64_MAX; /* here: the lowest and highest table */
    census.size = 0;
    census.tables[space->root_level] = 1;
    status = format->change(space, 0, space->gpa_limit, HVPT_VISIT_ADOPT, &census);
    if (status != HVPT_OK) {
        hvpt_clear_space(space);
        return status;
    }
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        space->stats.leaves[level] = census.leaves[level];
        space->stats.tables[level] = census.tables[level];
        space->stats.frames += census.tables[level];
    }
    space->lowest_table = census.gpa;
    space->highest_table = census.size;
    return HVPT_OK;
}

#endif
