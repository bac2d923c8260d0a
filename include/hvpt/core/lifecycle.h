/*
 * Beginning and end of a space: its root, its numbers, and giving everything back.
 */
#ifndef HVPT_CORE_LIFECYCLE_H
#define HVPT_CORE_LIFECYCLE_H

#include "find.h"
#include "obligation.h"

/* Zero but for what the format sets afterwards: nothing here may depend on the memory's former contents. */
HVPT_ENGINE void hvpt_clear_space(struct hvpt_space *space)
{
    unsigned char *byte = (unsigned char *)space;
    size_t i;

    for (i = 0; i < sizeof(*space); i++)
        byte[i] = 0;
    space->kind = HVPT_KIND_NONE;
    space->plain_table_bits = UINT64_MAX; /* nothing is plain until the format says what */
    space->plain_leaf_bits = UINT64_MAX;
    space->lowest_table = UINT64_MAX;
    space->cursor_range = UINT64_MAX;
}

/*
 * The hooks that this space uses: any with the three that cannot be done without (phys_to_virt and flush may be NULL),
 * and, where HVPT_STATIC_HOOKS fixes them, no others.
 */
HVPT_ENGINE enum hvpt_status hvpt_set_hooks(struct hvpt_space *space, const struct hvpt_hooks *hooks)
{
    if (hooks == NULL || hooks->alloc_frame == NULL || hooks->free_frame == NULL)
        return HVPT_E_ATTR;
#ifdef HVPT_STATIC_HOOKS
    if (hooks != &HVPT_STATIC_HOOKS)
        return HVPT_E_ATTR;
#endif
    space->hooks = hooks;
    space->linear = (char *)hooks->linear_map;
    space->called = hooks->phys_to_virt != NULL;
    return HVPT_OK;
}

/* Everything is set: what needs no second look when a page is mapped or looked up. */
HVPT_ENGINE void hvpt_open_space(struct hvpt_space *space)
{
    space->plain_limit = space->readonly || (space->policy & HVPT_POLICY_GUARD_TABLES) ? 0 : space->hpa_limit;
    space->direct = space->root_level == HVPT_USUAL_ROOT && !space->called;
}

/* An empty root. The geometry is set. HVPT_E_NOMEM. */
HVPT_ENGINE enum hvpt_status hvpt_create_root(const struct hvpt_format *format, struct hvpt_space *space)
{
    space->root_table = hvpt_alloc_frame(space, space->root_order, &space->root_frame);
    if (space->root_table == NULL)
        return HVPT_E_NOMEM;
    hvpt_fill_empty(space, space->root_table, hvpt_table_entries(format, space, space->root_level));
    space->stats.tables[space->root_level] = 1;
    space->stats.frames = 1;
    hvpt_open_space(space);
    return HVPT_OK;
}

/*
 * Give back every frame: the tables, the reserve. No CPU may use the tables any more, and every flush that operations
 * on this space asked for has been done: frames that wait in a struct hvpt_flush are not found here. A space adopted
 * for reading gives nothing back. Afterwards the space is as good as never initialized.
 */
HVPT_ENGINE void hvpt_close_space(const struct hvpt_format *format, struct hvpt_space *space)
{
    struct hvpt_flush all;

    if (space->root_table != NULL && !space->readonly) {
        hvpt_frames_release(space, &space->pool, 0);
        hvpt_flush_clear(&all); /* no flush is due, and the whole tree is dead */
        all.dead[all.dead_count++] = space->root_frame | space->root_level;
        format->settle(space, &all);
    }
    hvpt_clear_space(space);
}

/*
 * The numbers kept as the work goes. Consistent when no writer is at work; beside one, each number is one it has had.
 */
HVPT_ENGINE void hvpt_read_stats(const struct hvpt_space *space, struct hvpt_stats *out)
{
    unsigned level, stripe;

    out->frames = hvpt_count_read(&space->stats.frames);
    out->reserved = hvpt_count_read(&space->pool.count);
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        uint64_t faulted = hvpt_count_read(&space->fault_tables[level]);

        out->tables[level] = hvpt_count_read(&space->stats.tables[level]) + faulted;
        out->frames += faulted;
        out->leaves[level] = hvpt_count_read(&space->stats.leaves[level]);
        for (stripe = 0; stripe < HVPT_STRIPES; stripe++)
            out->leaves[level] += hvpt_count_read(&space->fault_leaves[stripe].leaves[level]);
    }
}

#endif
