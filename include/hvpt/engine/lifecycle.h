/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The life of a space that was made: its root, flushes, statistics, and giving everything back.
 */
#ifndef HVPT_ENGINE_LIFECYCLE_H
#define HVPT_ENGINE_LIFECYCLE_H

#include "setup.h"

HVPT_API HVPT_COLD void hvpt_space_destroy(struct hvpt_space *space)
{
    struct hvpt_flush all;

    if (space->root_table != NULL && !space->readonly) {
        hvpt_frames_release(space, &space->pool, 0);
        hvpt_flush_clear(&all); /* no flush is due, and the whole tree is retired */
        all.dead[all.dead_count++] = space->root_frame | space->root_level;
        hvpt_finish(space, &all);
    }
    hvpt_space_clear(space);
}

HVPT_API uint64_t hvpt_space_root(const struct hvpt_space *space)
{
    return space->root_register;
}

HVPT_API HVPT_COLD void hvpt_space_flush(struct hvpt_space *space, struct hvpt_flush *flush)
{
    if (space->rules != NULL && flush != NULL && flush->kind != HVPT_FLUSH_NONE && !hvpt_flush_is_foreign(space, flush))
        hvpt_finish(space, flush);
}

/* How many smallest pages fault_map has mapped since the space was made. */
static inline uint64_t hvpt_shards_read(const struct hvpt_space *space)
{
    uint64_t sum = 0;
    unsigned shard;

    for (shard = 0; shard < HVPT_SHARDS; shard++)
        sum += hvpt_count_read_acquire(&space->shards[shard * HVPT_SHARD_STRIDE]);
    return sum;
}

HVPT_API HVPT_COLD void hvpt_space_stats(const struct hvpt_space *space, struct hvpt_stats *out)
{
    uint64_t before, after = hvpt_shards_read(space);
    unsigned level;

    out->frames = hvpt_count_read(&space->frames);
    out->reserved = hvpt_count_read(&space->pool.count);
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        out->tables[level] = hvpt_count_read(&space->tables[level]);
        out->leaves[level] = hvpt_count_read(&space->leaves[level]);
    }
    /*
     * leaves[0] and the shards are parts of one number. The shards only grow: if they did not while leaves[0] was read,
     * the sum is true.
     */
    do {
        before = after;
        out->leaves[0] = hvpt_count_read_acquire(&space->leaves[0]);
        after = hvpt_shards_read(space);
    } while (before != after);
    out->leaves[0] += after;
}

#endif
