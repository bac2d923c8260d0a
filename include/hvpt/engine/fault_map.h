/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* fault_map: one page from a fault handler, on many CPUs at once, without a lock. The loser of a race is told so. */
#ifndef HVPT_ENGINE_FAULT_MAP_H
#define HVPT_ENGINE_FAULT_MAP_H

#include "map.h"

/*
 * Choose a shard for a caller that has none, known by a page of its stack: a free one; else, now and then, one that
 * another caller has, who may be long gone; else any. Which one is taken over changes with the count, so that two CPUs
 * do not take the same one from each other again and again.
 */
HVPT_FUNCTION HVPT_COLD hvpt_counter *hvpt_shard_take(struct hvpt_space *space, uint32_t page)
{
    unsigned shard = (page + (page >> 2) + (page >> 4)) % HVPT_SHARDS, i;
    const uint64_t count = hvpt_count_read(&space->shards[shard * HVPT_SHARD_STRIDE]);

    for (i = 0; i < HVPT_SHARDS && hvpt_mark_read(&space->shard_user[i]) != 0; i++) {
    }
    if (i < HVPT_SHARDS || count % 64 == 0) {
        shard = i < HVPT_SHARDS ? i : (unsigned)(count / 64 % HVPT_SHARDS);
        hvpt_mark_write(&space->shard_user[shard], page);
    }
    return &space->shards[shard * HVPT_SHARD_STRIDE];
}

/*
 * Identifies the caller: CPUs that fault at once have stacks of their own, so the page of the stack tells them apart.
 * The public call asks for it, because the stack is equally deep there each time.
 */
HVPT_INLINE uint32_t hvpt_shard_user(void)
{
    volatile char here = 0;

    (void)here;
    return (uint32_t)((uintptr_t)&here >> 12);
}

/* The counter for this CPU. The marks are rarely written, so every CPU has them in its cache. */
HVPT_FUNCTION hvpt_counter *hvpt_shard_of(struct hvpt_space *space, uint32_t page)
{
    unsigned i;

    for (i = 0; i < HVPT_SHARDS; i++)
        if (HVPT_LIKELY(hvpt_mark_read(&space->shard_user[i]) == page))
            return &space->shards[i * HVPT_SHARD_STRIDE];
    return hvpt_shard_take(space, page);
}

/*
 * Put the leaf bits for hpa at level, and the tables that are missing on the way. Each is linked empty, and a CPU that
 * loses against another one goes on in the winner's table. All frames are taken before the first is linked, and list
 * keeps those that were not needed.
 */
static inline HVPT_COLD enum hvpt_status hvpt_fault_insert(struct hvpt_space *space, struct hvpt_frames *list,
                                                           uint64_t gpa, uint64_t hpa, uint64_t bits, unsigned level,
                                                           uint32_t user)
{
    enum hvpt_status taken = HVPT_E_EXISTS;

    for (;;) {
        struct hvpt_run run;
        enum hvpt_status status = hvpt_descend(space, gpa, level, &run);

        if (status != HVPT_OK)
            return status;
        if (hvpt_is_present(space, run.entry))
            return taken;
        if (run.level > level) {
            if (list->count < run.level - level) {
                status = hvpt_frames_add(space, list, NULL, run.level - level - list->count);
                if (status != HVPT_OK)
                    return status;
                if ((space->policy & HVPT_POLICY_GUARD_TABLES)
                    && hvpt_frames_touch(space, list, hpa, hpa + hvpt_span(space, level)))
                    return HVPT_E_RANGE;
            }
            (void)hvpt_link_empty(space, list, run.slot, run.entry, run.level);
        } else if (HVPT_LIKELY(hvpt_compare_exchange(run.slot, &run.entry, bits))) {
            hvpt_count_add_shared(level == 0 ? hvpt_shard_of(space, user) : &space->leaves[level], 1);
            return HVPT_OK;
        }
        taken = HVPT_E_RACE; /* what is there from now on came after a look that found nothing */
    }
}

/* The general path, for any arguments. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_fault_slow(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                         uint64_t size, struct hvpt_attr attr, uint32_t user)
{
    struct hvpt_frames list = {0, 0};
    struct hvpt_leaf leaf;
    unsigned level = 0;
    enum hvpt_status status;

    if (space->rules == NULL)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    status = hvpt_leaf_make(space, attr, &leaf);
    if (status != HVPT_OK)
        return status;
    while (level <= space->max_leaf_level && hvpt_span(space, level) != size)
        level++;
    if (level > space->max_leaf_level || level > leaf.max_level)
        return HVPT_E_ATTR;
    if ((gpa | hpa) & (size - 1))
        return HVPT_E_ALIGN;
    status = hvpt_check_range(space, gpa, size);
    if (status == HVPT_OK)
        status = hvpt_check_frames(space, hpa, size);
    if (status != HVPT_OK)
        return status;
    if ((space->policy & HVPT_POLICY_GUARD_TABLES) && hvpt_holds_table(space, hpa, size))
        return HVPT_E_RANGE;
    status = hvpt_fault_insert(space, &list, gpa, hpa, leaf.bits[level] | hvpt_place(space, hpa), level, user);
    hvpt_frames_release(space, &list, 0);
    if (space->map_flushes && status == HVPT_OK)
        hvpt_flush_grown(space, NULL, gpa, size, true); /* tables may have been linked */
    return status;
}

/*
 * One level down from the entry in slot, if it is a usual table that this code can see; else NULL. shift: that of the
 * slot returned.
 */
HVPT_INLINE hvpt_entry *hvpt_usual_below(const struct hvpt_space *space, bool called, const hvpt_entry *slot,
                                         uint64_t gpa, unsigned shift)
{
    const uint64_t entry = hvpt_load(slot);
    hvpt_entry *table;

    if (HVPT_UNLIKELY(!hvpt_is_usual_table(space, entry)))
        return NULL;
    table = hvpt_table_by(space, called, (entry & space->frame_mask) << space->frame_shift);
    if (HVPT_UNLIKELY(!hvpt_is_reached(called, table)))
        return NULL;
    return table + ((unsigned)(gpa >> shift) & 511u);
}

/* The slot at level 0 for gpa in a tree of four levels, if all tables on the way are usual; else NULL. */
HVPT_INLINE hvpt_entry *hvpt_slot_usual(const struct hvpt_space *space, bool called, uint64_t gpa)
{
    hvpt_entry *slot = hvpt_usual_below(space, called, space->root_table + (gpa >> 39), gpa, 30);

    slot = slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa, 21);
    return slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa, 12);
}

/* Map one 4 KiB page of usual memory in slot; slot is NULL where a table on the way is missing or unusual. */
HVPT_INLINE enum hvpt_status hvpt_fault_page(struct hvpt_space *space, hvpt_entry *slot, uint64_t gpa, uint64_t hpa,
                                             uint32_t user)
{
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    uint64_t old = space->empty_entry;

    /* No load before the compare-exchange: it would fetch the cache line shared, and then once more to be written. */
    if (HVPT_UNLIKELY(slot == NULL
                      || !hvpt_compare_exchange(slot, &old, space->usual_bits | hpa >> space->frame_shift)))
        return hvpt_fault_slow(space, gpa, hpa, HVPT_4K, usual, user);
    hvpt_count_add_shared(hvpt_shard_of(space, user), 1);
    return HVPT_OK;
}

/* The same where phys_to_virt must be called. */
HVPT_FUNCTION enum hvpt_status hvpt_fault_called(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint32_t user)
{
    struct hvpt_run run;

    (void)hvpt_find(space, gpa, 0, &run);
    return hvpt_fault_page(space, run.level == 0 ? run.slot : NULL, gpa, hpa, user);
}

HVPT_INLINE enum hvpt_status hvpt_fault_any(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                            struct hvpt_attr attr)
{
    const uint32_t user = hvpt_shard_user();
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

    if (HVPT_UNLIKELY(page_size != HVPT_4K || ((gpa.value | hpa.value) & (HVPT_4K - 1)) || gpa.value >= space->gpa_limit
                      || hpa.value >= space->fast_limit || !space->fault_quick || !hvpt_same_attr(attr, usual)))
        return hvpt_fault_slow(space, gpa.value, hpa.value, page_size, attr, user);
    if (!HVPT_HOOKS_KNOWN && space->called)
        return hvpt_fault_called(space, gpa.value, hpa.value, user);
    return hvpt_fault_page(space, hvpt_slot_usual(space, HVPT_HOOKS_KNOWN && hvpt_hooks_called(space), gpa.value),
                           gpa.value, hpa.value, user);
}

HVPT_API enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                               struct hvpt_attr attr)
{
    return hvpt_fault_any(space, gpa, hpa, page_size, attr);
}

#endif
