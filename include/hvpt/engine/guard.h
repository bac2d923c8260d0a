/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The guard policy: no page of the guest may be a table of this space, or a frame that is to become one. */
#ifndef HVPT_ENGINE_GUARD_H
#define HVPT_ENGINE_GUARD_H

#include "frames.h"
#include "walk.h"

/*
 * HVPT_E_RANGE: a frame of this list, the reserve or one that this CPU alone sees, lies in [hpa, hpa + size), which are
 * whole smallest pages, as frames are. HVPT_E_RACE: another CPU changed the reserve meanwhile. Then what was read may
 * be entries of a table by now, and no address in it is followed.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_frames_touch(const struct hvpt_space *space,
                                                           const struct hvpt_frames *list, uint64_t hpa, uint64_t size)
{
    const uint32_t before = hvpt_sequence_read(&space->pool_sequence);
    uint64_t head = hvpt_atomic_load(&list->head), word;
    bool touched = false;

    while (head != 0 && !touched) {
        unsigned next = (unsigned)head & HVPT_FRAMES_NEXT;
        const uint64_t *noted = (const uint64_t *)(const void *)hvpt_table_at(space, head -= next);

        if (noted == NULL)
            return HVPT_E_RACE;
        for (word = head; word != HVPT_FRAMES_END && next < HVPT_FRAMES_CHUNK; word = hvpt_atomic_load(&noted[next++]))
            touched |= word - hpa < size;
        head = hvpt_atomic_load(&noted[0]);
        if (hvpt_sequence_read(&space->pool_sequence) != before)
            return HVPT_E_RACE;
    }
    return touched ? HVPT_E_RANGE : HVPT_OK;
}

/*
 * HVPT_E_RANGE: [hpa, hpa + size), which are whole smallest pages as tables are, touches a table of this space, or a
 * frame of its reserve. HVPT_E_RACE: the reserve changed meanwhile. A frame that a call on another CPU has taken and
 * not linked yet is not found.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_tables_touch(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    const uint64_t root_size = UINT64_C(1) << (HVPT_FRAME_SHIFT + space->root_order);
    enum hvpt_status status = hvpt_frames_touch(space, &space->pool, hpa, size);
    struct hvpt_run run;
    unsigned level;
    uint64_t at;

    if (hpa < space->root_frame + root_size && space->root_frame < hpa + size)
        return HVPT_E_RANGE;
    for (level = 1; level <= space->root_level && status == HVPT_OK; level++) {
        for (at = 0; at < space->gpa_limit; at = (at | (hvpt_span(space, run.level) - 1)) + 1) {
            (void)hvpt_find(space, at, level, &run);
            if (run.level == HVPT_LEVEL_UNREACHED)
                run.level = level;
            else if (hvpt_is_table(space, run.entry, level) && hvpt_frame_in(space, run.entry) - hpa < size)
                return HVPT_E_RANGE;
        }
    }
    return status;
}

/* The same, if the guard policy is on. The bounds of all frames answer most calls. */
HVPT_INLINE enum hvpt_status hvpt_guard(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    if (!(space->policy & HVPT_POLICY_GUARD_TABLES) || hpa > hvpt_count_read(&space->last_frame)
        || hpa + size <= hvpt_count_read(&space->first_frame))
        return HVPT_OK;
    return hvpt_tables_touch(space, hpa, size);
}

#endif
