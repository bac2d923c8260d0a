/*
 * Joined leaves: runs of neighbouring entries that hardware may hold as one (Arm's contiguous bit, Svnapot).
 * map makes them where they fit; whatever changes a part takes them apart first; collapse makes them again.
 */
#ifndef HVPT_CORE_JOIN_H
#define HVPT_CORE_JOIN_H

#include "obligation.h"

/* The entries that are joined with the one that covers gpa, at its level; slot is that of gpa. */
struct hvpt_joined {
    hvpt_entry *slot;
    unsigned count;
    uint64_t gpa;
};

HVPT_ENGINE struct hvpt_joined hvpt_joined_with(const struct hvpt_format *format, const struct hvpt_space *space,
                                                hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    struct hvpt_joined joined;

    joined.count = format->join_count(space, level);
    joined.gpa = gpa & ~(((uint64_t)joined.count << hvpt_span_shift(format, level)) - 1);
    joined.slot = slot - ((gpa - joined.gpa) >> hvpt_span_shift(format, level));
    return joined;
}

/*
 * Write the run anew, joined or apart: entry i becomes first + i * step, with the accessed and dirty bits of all of
 * them. Where the format demands it, all go by way of empty entries and one flush.
 */
HVPT_ENGINE void hvpt_rewrite_joined(const struct hvpt_format *format, struct hvpt_space *space,
                                     struct hvpt_flush *flush, const struct hvpt_joined *joined, unsigned level,
                                     uint64_t first, uint64_t step)
{
    const uint64_t hardware = format->hardware_bits(space, first);
    uint64_t seen = 0, late = 0;
    unsigned i;

    for (i = 0; i < joined->count; i++)
        seen |= (format->break_bits != 0 ? hvpt_exchange(&joined->slot[i], space->empty_entry)
                                         : hvpt_load(&joined->slot[i]))
              & hardware;
    if (format->break_bits != 0) {
        hvpt_owe_flush(space, flush, joined->gpa, (uint64_t)joined->count << hvpt_span_shift(format, level), false);
        format->settle(space, flush);
    }
    first = (first & ~hardware) | seen;
    for (i = 0; i < joined->count; i++, first += step) {
        uint64_t old = hvpt_load(&joined->slot[i]);

        while (!hvpt_compare_exchange(&joined->slot[i], &old, first | (old & hardware))) {
        }
        late |= old & hardware & ~seen;
    }
    /* What hardware marked meanwhile it holds for all of the run, and marks no other entry of it until the flush. */
    for (i = 0; late != 0 && i < joined->count; i++)
        hvpt_fetch_or(&joined->slot[i], late);
}

/* Take apart the run that holds the joined leaf in slot. Translations stay. */
HVPT_ENGINE void hvpt_unjoin(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                             hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    struct hvpt_joined joined = hvpt_joined_with(format, space, slot, gpa, level);
    uint64_t first = format->unjoin(hvpt_load(joined.slot), level, joined.gpa);

    hvpt_rewrite_joined(format, space, flush, &joined, level, first, format->leaf_step(level));
}

/* Take apart whatever is joined in run: its leaves are about to differ. */
HVPT_ENGINE void hvpt_unjoin_run(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                                 const struct hvpt_run *run)
{
    unsigned i;

    if (format->join_count(space, run->level) == 1)
        return;
    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);

        if (hvpt_is_present(space, entry) && format->is_joined(space, entry, run->level))
            hvpt_unjoin(format, space, flush, &run->slot[i], run->gpa + i * hvpt_span(format, run->level), run->level);
    }
}

/* Take apart what is joined across the edges of [start, end): the leaves of run that lie inside are about to go. */
HVPT_ENGINE void hvpt_unjoin_edges(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                                   const struct hvpt_run *run, uint64_t start, uint64_t end)
{
    const uint64_t span = hvpt_span(format, run->level);
    unsigned i, edge[2];

    if (format->join_count(space, run->level) == 1)
        return;
    edge[0] = 0;
    edge[1] = run->count - 1;
    for (i = 0; i < 2; i++) {
        uint64_t entry = hvpt_load(&run->slot[edge[i]]);
        uint64_t gpa = run->gpa + edge[i] * span;
        struct hvpt_joined joined = hvpt_joined_with(format, space, &run->slot[edge[i]], gpa, run->level);

        if (hvpt_is_present(space, entry) && format->is_joined(space, entry, run->level)
            && (joined.gpa < start || joined.gpa + joined.count * span > end))
            hvpt_unjoin(format, space, flush, &run->slot[edge[i]], gpa, run->level);
    }
}

/* Join the leaves of run wherever a whole group of them is one aligned piece of memory and says the same. */
HVPT_ENGINE void hvpt_join_run(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush,
                               const struct hvpt_run *run)
{
    const unsigned count = format->join_count(space, run->level);
    const uint64_t span = hvpt_span(format, run->level);
    const uint64_t size = count * span;
    unsigned at = (unsigned)(((0 - run->gpa) & (size - 1)) / span);

    if (count == 1)
        return;
    for (; at + count <= run->count; at += count) {
        uint64_t gpa = run->gpa + at * span;
        struct hvpt_joined joined = hvpt_joined_with(format, space, &run->slot[at], gpa, run->level);
        uint64_t first = hvpt_load(joined.slot);
        uint64_t hardware = format->hardware_bits(space, first);
        unsigned i;

        if (!hvpt_is_present(space, first) || !format->is_leaf(space, first, run->level)
            || format->is_joined(space, first, run->level)
            || (format->leaf_attr(space, first, run->level).flags & HVPT_LOGGED)
            || (format->leaf_address(space, first, run->level, gpa) & (size - 1)))
            continue;
        for (i = 1; i < count; i++) {
            if (((hvpt_load(&joined.slot[i]) - i * format->leaf_step(run->level)) ^ first) & ~hardware)
                break;
        }
        if (i == count)
            hvpt_rewrite_joined(format, space, flush, &joined, run->level, format->join(first, run->level),
                                format->join_step(run->level));
    }
}

#endif
