/*
 * How many frames will it take, and taking them in advance: for callers who may not allocate later.
 */
#ifndef HVPT_CORE_RESERVE_H
#define HVPT_CORE_RESERVE_H

#include "map.h"
#include "replace.h"
#include "split.h"

/*
 * The frames that map, called now with the same arguments, will take: exact. *frames is written with HVPT_OK only;
 * other answers are those that map would give.
 */
HVPT_ENGINE enum hvpt_status hvpt_map_needs(const struct hvpt_format *format, const struct hvpt_space *space,
                                            hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                            uint64_t *frames)
{
    struct hvpt_map_plan plan;
    enum hvpt_status status = hvpt_check_mapping(format, space, gpa.value, hpa.value, size, attr);

    if (status != HVPT_OK)
        return status;
    plan.start = gpa.value;
    plan.end = gpa.value + size;
    plan.leaf_level = hvpt_leaf_level(format, space, gpa.value, hpa.value, attr);
    status = hvpt_map_prepare(format, space, &plan);
    if (status == HVPT_OK)
        *frames = plan.tables;
    return status;
}

/*
 * The frames that unmap of this range will take: exact. protect and write_protect take no more, and fewer where a large
 * page at an edge need not change.
 */
HVPT_ENGINE enum hvpt_status hvpt_unmap_needs(const struct hvpt_format *format, const struct hvpt_space *space,
                                              hvpt_gpa gpa, uint64_t size, uint64_t *frames)
{
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    return hvpt_edges_need(format, space, gpa.value, gpa.value + size, true, true, frames);
}

/* The frames that split of this range to page_size will take: exact. */
HVPT_ENGINE enum hvpt_status hvpt_split_needs(const struct hvpt_format *format, const struct hvpt_space *space,
                                              hvpt_gpa gpa, uint64_t size, uint64_t page_size, uint64_t *frames)
{
    struct hvpt_split split;
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    split.start = gpa.value;
    split.end = gpa.value + size;
    split.level = hvpt_level_of(format, space, page_size);
    if (split.level == HVPT_MAX_LEVELS)
        return HVPT_E_ALIGN;
    status = hvpt_split_prepare(format, space, &split);
    if (status == HVPT_OK)
        *frames = split.tables;
    return status;
}

/*
 * Hold at least count frames in reserve, so that the next operations that need no more in all cannot fail for want of
 * one; 0 gives the reserve back. Every operation but fault_map takes from the reserve first. HVPT_E_NOMEM: the reserve
 * is as before.
 *
 * The caller serializes it against everything but readers and fault_map.
 */
HVPT_ENGINE enum hvpt_status hvpt_reserve_frames(struct hvpt_space *space, uint64_t count)
{
    if (space->readonly)
        return HVPT_E_READONLY;
    if (count == 0) {
        hvpt_frames_release(space, &space->pool, 0);
        return HVPT_OK;
    }
    if (count <= space->pool.count)
        return HVPT_OK;
    return hvpt_frames_alloc(space, &space->pool, count - space->pool.count);
}

#endif
