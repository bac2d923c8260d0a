/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The inner loops of map and unmap: runs of neighbouring entries in one table are filled, counted and cleared.
 */
#ifndef HVPT_ENGINE_FILL_H
#define HVPT_ENGINE_FILL_H

#include "rules.h"

/* How many of count entries a loop takes in rows; it is unrolled by hand, because gcc -O2 does not. None for -Os. */
#ifdef __OPTIMIZE_SIZE__
#define HVPT_IN_ROWS(count, row) 0u
#else
#define HVPT_IN_ROWS(count, row) ((count) & ~((row) - 1u))
#endif

/* Four entries of hvpt_fill, in two chains of additions, because a single chain would be the bottleneck. */
HVPT_INLINE void hvpt_fill_four(hvpt_entry *slot, uint64_t *even, uint64_t *odd, uint64_t two)
{
    hvpt_store_relaxed(&slot[0], *even);
    hvpt_store_relaxed(&slot[1], *odd);
    *even += two;
    *odd += two;
    hvpt_store_relaxed(&slot[2], *even);
    hvpt_store_relaxed(&slot[3], *odd);
    *even += two;
    *odd += two;
}

/*
 * Store count entries from slot upwards, each greater by step than the one before. Relaxed stores: nobody can see this
 * table yet, or a reader may find the old entry or the new one, and the caller has issued a release fence.
 */
HVPT_FUNCTION HVPT_HOT void hvpt_fill(hvpt_entry *slot, unsigned count, uint64_t value, uint64_t step)
{
    uint64_t even = value, odd = value + step;
    const uint64_t two = 2 * step;
    const hvpt_entry *rows = slot + HVPT_IN_ROWS(count, 16), *end = slot + count;

    for (; slot != rows; slot += 16) {
        hvpt_fill_four(slot, &even, &odd, two);
        hvpt_fill_four(slot + 4, &even, &odd, two);
        hvpt_fill_four(slot + 8, &even, &odd, two);
        hvpt_fill_four(slot + 12, &even, &odd, two);
    }
    for (; slot != end; slot++, even += step)
        hvpt_store_relaxed(slot, even);
}

/* Empty count entries. If anyone can see them, the caller flushes. */
HVPT_INLINE void hvpt_fill_empty(const struct hvpt_space *space, hvpt_entry *slot, unsigned count)
{
    hvpt_fill(slot, count, space->empty_entry, 0);
}

/* How many of the count entries from slot upwards are empty, before the first that is not. */
HVPT_FUNCTION HVPT_HOT unsigned hvpt_count_empty(const struct hvpt_space *space, const hvpt_entry *slot, unsigned count)
{
    const uint64_t mask = space->present_mask;
    const hvpt_entry *at = slot, *end = slot + count, *rows = slot + HVPT_IN_ROWS(count, 8);

    for (; at != rows; at += 8) {
        uint64_t any = hvpt_load(&at[0]) | hvpt_load(&at[1]) | hvpt_load(&at[2]) | hvpt_load(&at[3]) | hvpt_load(&at[4])
                     | hvpt_load(&at[5]) | hvpt_load(&at[6]) | hvpt_load(&at[7]);

        if (any & mask)
            break;
    }
    while (at != end && !(hvpt_load(at) & mask))
        at++;
    return (unsigned)(at - slot);
}

/* Empty an entry; one that is empty already is only counted. */
HVPT_INLINE void hvpt_clear_slot(hvpt_entry *slot, uint64_t mask, uint64_t empty, unsigned *absent)
{
    if (HVPT_UNLIKELY(!(hvpt_load(slot) & mask)))
        ++*absent;
    else
        hvpt_store_relaxed(slot, empty);
}

/* Empty count entries that hardware and readers may be looking at. Returns how many were not empty before. */
HVPT_FUNCTION HVPT_HOT unsigned hvpt_clear_slots(const struct hvpt_space *space, hvpt_entry *slot, unsigned count)
{
    const uint64_t mask = space->present_mask, empty = space->empty_entry;
    const hvpt_entry *end = slot + count, *rows = slot + HVPT_IN_ROWS(count, 4);
    unsigned absent = 0;

    for (; slot != rows; slot += 4) {
        hvpt_clear_slot(&slot[0], mask, empty, &absent);
        hvpt_clear_slot(&slot[1], mask, empty, &absent);
        hvpt_clear_slot(&slot[2], mask, empty, &absent);
        hvpt_clear_slot(&slot[3], mask, empty, &absent);
    }
    for (; slot != end; slot++)
        hvpt_clear_slot(slot, mask, empty, &absent);
    return count - absent;
}

/*
 * Is the table empty, after slots first to last were emptied? Of these only first and last themselves may still hold
 * tables. Their neighbours are checked first, the one above before the one below, because a caller that unmaps page
 * after page finds the next one present at once, on a cache line that is hot.
 */
HVPT_FUNCTION HVPT_COLD bool hvpt_is_drained(const struct hvpt_space *space, const hvpt_entry *table, unsigned first,
                                             unsigned last)
{
    const unsigned above = hvpt_entries(space) - last;

    if ((above > 1 && hvpt_is_present(space, hvpt_load(&table[last + 1])))
        || (first != 0 && hvpt_is_present(space, hvpt_load(&table[first - 1]))))
        return false;
    return hvpt_count_empty(space, &table[last], above) == above
        && hvpt_count_empty(space, table, first + 1) == first + 1;
}

#endif
