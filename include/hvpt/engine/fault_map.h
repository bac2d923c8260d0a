/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * fault_map: one page from a fault handler, on many CPUs at once, without a lock. The loser of a race gets HVPT_E_RACE
 * or HVPT_E_EXISTS.
 */
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
    char here;

    return (uint32_t)((uintptr_t)hvpt_opaque(&here) >> 12);
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
                status = hvpt_frames_add(space, list, run.level - level - list->count);
                if (status != HVPT_OK)
                    return status;
                if (space->policy & HVPT_POLICY_GUARD_TABLES)
                    status = hvpt_frames_touch(space, list, hpa, hvpt_span(space, level));
                if (status != HVPT_OK)
                    return status;
            }
            (void)hvpt_link_empty(space, list, run.slot, run.entry, run.level);
        } else if (HVPT_LIKELY(hvpt_compare_exchange(run.slot, &run.entry, bits))) {
            hvpt_count_add_shared(level == 0 ? hvpt_shard_of(space, user) : &space->leaves[level], 1);
            return HVPT_OK;
        }
        taken = HVPT_E_RACE; /* whatever is found from here on, another CPU stored after our first look */
    }
}

/* The general path, for any arguments. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_fault_slow(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                         uint64_t size, struct hvpt_attr attr, uint32_t user)
{
    struct hvpt_plan plan;
    const unsigned level = hvpt_level_of(space, size);
    enum hvpt_status status;

    if (space->rules == NULL)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    if (level > space->max_leaf_level)
        return HVPT_E_ATTR;
    if ((gpa | hpa) & (size - 1))
        return HVPT_E_ALIGN;
    status = hvpt_plan_begin(&plan, space, gpa, hpa, size, attr);
    if (status != HVPT_OK)
        return status;
    if (level > plan.leaf.max_level)
        return HVPT_E_ATTR;
    plan.list.head = plan.list.count = 0;
    status = hvpt_fault_insert(space, &plan.list, gpa, hpa, plan.leaf.bits[level] | hvpt_place(space, hpa), level, user);
    hvpt_frames_release(space, &plan.list, 0);
    if (space->map_flushes && status == HVPT_OK)
        (space->rules->grown)(space, NULL, gpa, size, true); /* tables may have been linked */
    return status;
}

/*
 * What the fast walk needs of a space at each level, read once. The compiler would read it again after each acquire
 * load, and cold walks are limited by how many instructions a core can have in flight.
 */
struct hvpt_way {
    const struct hvpt_space *space;
    uint64_t table_mask;
    uint64_t table_bits;
    uint64_t frame_mask;
    unsigned frame_shift;
    bool called;
};

HVPT_INLINE struct hvpt_way hvpt_way_of(const struct hvpt_space *space, bool called, unsigned shift)
{
    const struct hvpt_way way = {space, space->table_mask, space->table_bits, space->frame_mask, shift, called};

    return way;
}

/* The same for the inlined walk, which takes addresses below walk_limit. */
HVPT_INLINE struct hvpt_way hvpt_way_inlined(const struct hvpt_space *space)
{
    return hvpt_way_of(space, HVPT_HOOKS_KNOWN && hvpt_hooks_called(space), HVPT_NATIVE_SHIFT);
}

/* Move *slot one level down. false: it holds no usual table that this code can see. shift: that of the slot below. */
HVPT_INLINE bool hvpt_way_down(const struct hvpt_way *way, hvpt_entry **slot, uint64_t gpa, unsigned shift)
{
    const uint64_t entry = hvpt_load(*slot) ^ way->table_bits; /* which has no bits of the address */
    hvpt_entry *table;

    if (HVPT_UNLIKELY(entry & way->table_mask))
        return false;
    table = hvpt_table_by(way->space, way->called, (entry & way->frame_mask) << way->frame_shift);
    if (!hvpt_is_reached(way->called, table))
        return false;
    *slot = table + ((unsigned)(gpa >> shift) & 511u);
    return true;
}

/* Find gpa's slot at level 0 in a tree of four levels. false: a table on the way is missing or unusual. */
HVPT_INLINE bool hvpt_slot_usual(const struct hvpt_way *way, uint64_t gpa, hvpt_entry **slot)
{
    *slot = way->space->root_table + (gpa >> 39);
    return hvpt_way_down(way, slot, gpa, 30) && hvpt_way_down(way, slot, gpa, 21) && hvpt_way_down(way, slot, gpa, 12);
}

/*
 * Put leaf into a slot at level 0. false: the slot is not empty. It is not loaded first, because a load would fetch the
 * cache line to be shared, and the compare-exchange would fetch it once more to be written.
 */
HVPT_INLINE bool hvpt_fault_put(struct hvpt_space *space, hvpt_entry *slot, uint64_t leaf, uint32_t user)
{
    uint64_t old = space->empty_entry;

    if (HVPT_UNLIKELY(!hvpt_compare_exchange(slot, &old, leaf)))
        return false;
    hvpt_count_add_shared(hvpt_shard_of(space, user), 1);
    return true;
}

/* Map one 4 KiB page of usual memory where the inlined walk cannot. The caller has checked all but gpa's limit. */
HVPT_FUNCTION enum hvpt_status hvpt_fault_found(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint32_t user)
{
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    struct hvpt_run run;

    run.level = HVPT_LEVEL_UNREACHED;
    if (gpa < space->gpa_limit)
        (void)hvpt_find(space, gpa, 0, &run);
    if (run.level == 0 && hvpt_fault_put(space, run.slot, space->usual_bits | hpa >> space->frame_shift, user))
        return HVPT_OK;
    return hvpt_fault_slow(space, gpa, hpa, HVPT_4K, usual, user);
}

HVPT_INLINE enum hvpt_status hvpt_fault_any(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                            struct hvpt_attr attr)
{
    const uint32_t user = hvpt_shard_user();
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    struct hvpt_way way;
    hvpt_entry *slot;

    if (HVPT_UNLIKELY(page_size != HVPT_4K || ((gpa.value | hpa.value) & (HVPT_4K - 1))
                      || hpa.value >= space->fast_limit || !space->fault_quick || !hvpt_same_attr(attr, usual)))
        return hvpt_fault_slow(space, gpa.value, hpa.value, page_size, attr, user);
    if (HVPT_UNLIKELY(gpa.value >= space->walk_limit))
        return hvpt_fault_found(space, gpa.value, hpa.value, user);
    way = hvpt_way_inlined(space);
    if (HVPT_LIKELY(hvpt_slot_usual(&way, gpa.value, &slot)
                    && hvpt_fault_put(space, slot, space->usual_bits | hpa.value >> HVPT_NATIVE_SHIFT, user)))
        return HVPT_OK;
    return hvpt_fault_slow(space, gpa.value, hpa.value, HVPT_4K, usual, user);
}

HVPT_API enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                               struct hvpt_attr attr)
{
    return hvpt_fault_any(space, gpa, hpa, page_size, attr);
}

#endif
