/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The inner loops: runs of neighbouring entries in one table. Everything that is done once an entry is here; the rest of
 * the engine runs once a table.
 */
#ifndef HVPT_ENGINE_FILL_H
#define HVPT_ENGINE_FILL_H

#include "rules.h"

/*
 * Store count entries from slot upwards, each step further. Relaxed stores: nobody can see this table yet, or its
 * entries were empty and a reader may find the old or the new one. Unrolled by hand, over two chains of additions,
 * because gcc -O2 does not and one chain would be the limit.
 */
HVPT_FUNCTION HVPT_HOT void hvpt_fill(hvpt_entry *slot, unsigned count, uint64_t value, uint64_t step)
{
    uint64_t even = value, odd = value + step;
    const uint64_t two = 2 * step;

    for (; count >= 8; count -= 8, slot += 8) {
        hvpt_store_relaxed(&slot[0], even);
        hvpt_store_relaxed(&slot[1], odd);
        even += two;
        odd += two;
        hvpt_store_relaxed(&slot[2], even);
        hvpt_store_relaxed(&slot[3], odd);
        even += two;
        odd += two;
        hvpt_store_relaxed(&slot[4], even);
        hvpt_store_relaxed(&slot[5], odd);
        even += two;
        odd += two;
        hvpt_store_relaxed(&slot[6], even);
        hvpt_store_relaxed(&slot[7], odd);
        even += two;
        odd += two;
    }
    for (; count != 0; count--, slot++, even += step)
        hvpt_store_relaxed(slot, even);
}

/* Leaves for count neighbouring pages from hpa upwards that lie on one side of every multiple of HVPT_FAR_ADDRESS. */
static inline void hvpt_fill_near(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa,
                                  uint64_t hpa, const struct hvpt_leaf *leaf, unsigned level)
{
    const uint64_t step = hvpt_leaf_step(space, level);
    const unsigned set = 1u << space->contig_log2[level];
    const uint64_t inside = ((uint64_t)set << hvpt_span_shift(space, level)) - 1;
    uint64_t value = leaf->bits[level] | hvpt_place(space, hpa);

    if (HVPT_UNLIKELY(set > 1) && !((gpa ^ hpa) & inside) && !leaf->alone) {
        const struct hvpt_rules *rules = space->rules;
        unsigned head = (unsigned)(((0 - gpa) & inside) >> hvpt_span_shift(space, level));

        head = head < count ? head : count;
        hvpt_fill(slot, head, value, step);
        slot += head;
        value += head * step;
        for (count -= head; count >= set; count -= set, slot += set, value += set * step)
            hvpt_fill(slot, set, (value & ~rules->contig_clear) | rules->contig_set,
                      rules->contig_clear != 0 ? 0 : step);
    }
    hvpt_fill(slot, count, value, step);
}

/* Leaves for count neighbouring pages from gpa to hpa upwards, in contiguous sets where their places allow. */
HVPT_FUNCTION void hvpt_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot, unsigned count,
                                                  uint64_t gpa, uint64_t hpa, const struct hvpt_leaf *leaf,
                                                  unsigned level)
{
    while (count != 0) {
        uint64_t left = HVPT_FAR_ADDRESS - (hpa & (HVPT_FAR_ADDRESS - 1));
        uint64_t pages = left >> hvpt_span_shift(space, level);
        unsigned run = pages < count ? (unsigned)pages : count;
        uint64_t bytes = (uint64_t)run << hvpt_span_shift(space, level);

        hvpt_fill_near(space, slot, run, gpa, hpa, leaf, level);
        slot += run;
        count -= run;
        gpa += bytes;
        hpa += bytes;
    }
}

/* Make count entries empty that nobody can see. */
static inline void hvpt_fill_empty(const struct hvpt_space *space, hvpt_entry *slot, unsigned count)
{
    hvpt_fill(slot, count, space->empty_entry, 0);
}

/* How many of the count entries from slot upwards are empty, before the first that is not. */
HVPT_FUNCTION HVPT_HOT unsigned hvpt_count_empty(const struct hvpt_space *space, const hvpt_entry *slot,
                                                               unsigned count)
{
    uint64_t mask = space->present_mask;
    unsigned seen = 0;

    for (; count - seen >= 8; seen += 8) {
        uint64_t any = hvpt_load(&slot[seen]) | hvpt_load(&slot[seen + 1]) | hvpt_load(&slot[seen + 2])
                     | hvpt_load(&slot[seen + 3]) | hvpt_load(&slot[seen + 4]) | hvpt_load(&slot[seen + 5])
                     | hvpt_load(&slot[seen + 6]) | hvpt_load(&slot[seen + 7]);

        if (any & mask)
            break;
    }
    while (seen < count && !(hvpt_load(&slot[seen]) & mask))
        seen++;
    return seen;
}

/* Make an entry empty. Returns 1 where it was, else 0. */
HVPT_INLINE unsigned hvpt_clear_slot(hvpt_entry *slot, uint64_t mask, uint64_t empty)
{
    if (HVPT_UNLIKELY(!(hvpt_load(slot) & mask)))
        return 1;
    hvpt_store_relaxed(slot, empty);
    return 0;
}

/* Make count entries empty that hardware and readers may be looking at. Returns how many were not. */
HVPT_FUNCTION HVPT_HOT unsigned hvpt_clear_slots(const struct hvpt_space *space, hvpt_entry *slot,
                                                               unsigned count)
{
    const uint64_t mask = space->present_mask, empty = space->empty_entry;
    unsigned present = count;

    for (; count >= 4; count -= 4, slot += 4) {
        present -= hvpt_clear_slot(&slot[0], mask, empty);
        present -= hvpt_clear_slot(&slot[1], mask, empty);
        present -= hvpt_clear_slot(&slot[2], mask, empty);
        present -= hvpt_clear_slot(&slot[3], mask, empty);
    }
    for (; count != 0; count--, slot++)
        present -= hvpt_clear_slot(slot, mask, empty);
    return present;
}

/*
 * Is every entry of the table but the one at index empty?  Its neighbours first, upwards: whoever unmaps page after page
 * finds the next one present at once, and the entry's own cache line is hot.
 */
static inline bool hvpt_is_alone(const struct hvpt_space *space, const hvpt_entry *table, unsigned entries,
                                 unsigned index)
{
    unsigned above = entries - index - 1;

    if (above != 0 && hvpt_is_present(space, hvpt_load(&table[index + 1])))
        return false;
    if (index != 0 && hvpt_is_present(space, hvpt_load(&table[index - 1])))
        return false;
    return hvpt_count_empty(space, &table[index + 1], above) == above && hvpt_count_empty(space, table, index) == index;
}

#endif
