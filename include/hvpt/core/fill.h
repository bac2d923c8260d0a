/*
 * The inner loops: runs of neighbouring entries in one table.
 * Everything that is done once a page is here; the rest of the engine runs once a table.
 */
#ifndef HVPT_CORE_FILL_H
#define HVPT_CORE_FILL_H

#include "state.h"

/*
 * count entries from slot upwards, each step further. Relaxed stores: nobody can see this table yet, or its entries
 * were empty and a reader may find the old or the new one, so order does not matter. step is a constant where the level
 * is one; the loop then runs at the speed of plain stores. Unrolled by hand: at -O2 gcc does not.
 */
HVPT_ENGINE void hvpt_fill(hvpt_entry *slot, unsigned count, uint64_t value, uint64_t step)
{
    for (; count >= 8; count -= 8, slot += 8, value += 8 * step) {
        hvpt_store_relaxed(&slot[0], value);
        hvpt_store_relaxed(&slot[1], value + step);
        hvpt_store_relaxed(&slot[2], value + 2 * step);
        hvpt_store_relaxed(&slot[3], value + 3 * step);
        hvpt_store_relaxed(&slot[4], value + 4 * step);
        hvpt_store_relaxed(&slot[5], value + 5 * step);
        hvpt_store_relaxed(&slot[6], value + 6 * step);
        hvpt_store_relaxed(&slot[7], value + 7 * step);
    }
    for (; count != 0; count--, slot++, value += step)
        hvpt_store_relaxed(slot, value);
}

/*
 * count leaves from gpa to hpa upwards, whose encodings are all one step apart: as many joined as their places allow.
 */
HVPT_ENGINE void hvpt_fill_linear(const struct hvpt_format *format, const struct hvpt_space *space, hvpt_entry *slot,
                                  unsigned count, uint64_t gpa, uint64_t hpa, struct hvpt_attr attr, unsigned level)
{
    const unsigned shift = hvpt_span_shift(format, level);
    const uint64_t step = format->leaf_step(level);
    const unsigned joined = format->join_count(space, level);
    const uint64_t inside = ((uint64_t)joined << shift) - 1;
    uint64_t value = format->make_leaf(space, hpa, attr, level);

    /* A logged page gets its right back alone, so it stays alone. */
    if (joined > 1 && !((gpa ^ hpa) & inside) && !(attr.flags & HVPT_LOGGED)) {
        unsigned head = (unsigned)(((0 - gpa) & inside) >> shift);

        head = head < count ? head : count;
        hvpt_fill(slot, head, value, step);
        slot += head;
        value += head * step;
        for (count -= head; count >= joined; count -= joined, slot += joined, value += joined * step)
            hvpt_fill(slot, joined, format->join(value, level), format->join_step(level));
    }
    hvpt_fill(slot, count, value, step);
}

/* Leaves for count neighbouring pages from gpa to hpa upwards. */
HVPT_ENGINE void hvpt_fill_leaves_at(const struct hvpt_format *format, const struct hvpt_space *space, hvpt_entry *slot,
                                     unsigned count, uint64_t gpa, uint64_t hpa, struct hvpt_attr attr, unsigned level)
{
    while (format->linear_block != 0 && count != 0) {
        uint64_t left = format->linear_block - (hpa & (format->linear_block - 1));
        uint64_t pages = left >> hvpt_span_shift(format, level);
        unsigned run = pages < count ? (unsigned)pages : count;
        uint64_t bytes = (uint64_t)run << hvpt_span_shift(format, level);

        hvpt_fill_linear(format, space, slot, run, gpa, hpa, attr, level);
        slot += run;
        count -= run;
        gpa += bytes;
        hpa += bytes;
    }
    if (format->linear_block == 0)
        hvpt_fill_linear(format, space, slot, count, gpa, hpa, attr, level);
}

/*
 * The same with the level as a constant, for the two levels that matter: a run-time step costs half as much again.
 * Compiled once a format, out of line, as format->fill_leaves: it runs once a table.
 */
HVPT_ENGINE void hvpt_fill_leaves(const struct hvpt_format *format, const struct hvpt_space *space, hvpt_entry *slot,
                                  unsigned count, uint64_t gpa, uint64_t hpa, struct hvpt_attr attr, unsigned level)
{
    if (level == 0)
        hvpt_fill_leaves_at(format, space, slot, count, gpa, hpa, attr, 0);
    else if (level == 1)
        hvpt_fill_leaves_at(format, space, slot, count, gpa, hpa, attr, 1);
    else
        hvpt_fill_leaves_at(format, space, slot, count, gpa, hpa, attr, level);
}

/* Make count entries empty that nobody can see. */
HVPT_OFTEN static HVPT_NOINLINE void hvpt_fill_empty(const struct hvpt_space *space, hvpt_entry *slot, unsigned count)
{
    hvpt_fill(slot, count, space->empty_entry, 0);
}

/* How many of the count entries from slot upwards are empty, before the first that is not. */
HVPT_OFTEN static HVPT_NOINLINE unsigned hvpt_count_empty(const struct hvpt_space *space, const hvpt_entry *slot,
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
HVPT_ENGINE unsigned hvpt_clear_leaf(hvpt_entry *slot, uint64_t mask, uint64_t empty)
{
    if (HVPT_UNLIKELY(!(hvpt_load(slot) & mask)))
        return 1;
    hvpt_store_relaxed(slot, empty);
    return 0;
}

/* Make count entries empty that hardware and readers may be looking at. Returns how many were not. */
HVPT_OFTEN static HVPT_NOINLINE unsigned hvpt_clear_leaves(const struct hvpt_space *space, hvpt_entry *slot,
                                                           unsigned count)
{
    const uint64_t mask = space->present_mask, empty = space->empty_entry;
    unsigned present = count;

    for (; count >= 8; count -= 8, slot += 8) {
        present -= hvpt_clear_leaf(&slot[0], mask, empty);
        present -= hvpt_clear_leaf(&slot[1], mask, empty);
        present -= hvpt_clear_leaf(&slot[2], mask, empty);
        present -= hvpt_clear_leaf(&slot[3], mask, empty);
        present -= hvpt_clear_leaf(&slot[4], mask, empty);
        present -= hvpt_clear_leaf(&slot[5], mask, empty);
        present -= hvpt_clear_leaf(&slot[6], mask, empty);
        present -= hvpt_clear_leaf(&slot[7], mask, empty);
    }
    for (; count != 0; count--, slot++)
        present -= hvpt_clear_leaf(slot, mask, empty);
    return present;
}

/*
 * Is every entry of the table but the one at index empty? Its neighbours first, upwards: whoever unmaps page after page
 * finds the next one live at once, and the entry's own cache line is hot.
 */
HVPT_ENGINE bool hvpt_alone_in_table(const struct hvpt_space *space, const hvpt_entry *table, unsigned entries,
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
