/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Contiguous sets: runs of neighbouring leaves that hardware may hold as one (Arm's contiguous bit, Svnapot).
 * map makes them where they fit; whatever changes a part of one unfolds it first; collapse folds it again.
 */
#ifndef HVPT_ENGINE_CONTIG_H
#define HVPT_ENGINE_CONTIG_H

#include "defer.h"
#include "walk.h"

/* The aligned group of leaves at one level that begins at gpa, in slot. */
struct hvpt_set {
    hvpt_entry *slot;
    unsigned count;
    uint64_t gpa;
};

HVPT_FUNCTION HVPT_COLD struct hvpt_set hvpt_set_around(const struct hvpt_space *space, hvpt_entry *slot, uint64_t gpa,
                                                        unsigned level)
{
    struct hvpt_set set;

    set.count = 1u << space->contig_log2[level];
    set.gpa = gpa & ~(((uint64_t)set.count << hvpt_span_shift(space, level)) - 1);
    set.slot = slot - ((gpa - set.gpa) >> hvpt_span_shift(space, level));
    return set;
}

/*
 * Rewrite the set, folded or not: entry i becomes first + i * step, with the accessed and dirty bits of all of them.
 * Where the format demands it, all entries are emptied and flushed once before that.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_set_rewrite(struct hvpt_space *space, struct hvpt_flush *flush,
                                                            const struct hvpt_set *set, unsigned level, uint64_t first,
                                                            uint64_t step)
{
    const uint64_t hardware = hvpt_hardware_bits(space, first);
    uint64_t seen = 0, late = 0;
    unsigned i;

    for (i = 0; i < set->count; i++)
        seen |= (space->break_sizes ? hvpt_exchange(&set->slot[i], space->empty_entry) : hvpt_load(&set->slot[i]))
              & hardware;
    if (space->break_sizes) {
        hvpt_defer(space, flush, set->gpa, (uint64_t)set->count << hvpt_span_shift(space, level), false);
        hvpt_finish(space, flush);
    }
    first = (first & ~hardware) | seen;
    for (i = 0; i < set->count; i++, first += step) {
        uint64_t old = hvpt_load(&set->slot[i]);

        while (!hvpt_compare_exchange(&set->slot[i], &old, first | (old & hardware))) {
        }
        late |= old & hardware & ~seen;
    }
    /* A bit that hardware set during the rewrite stands for the whole set: copy it to every entry. */
    for (i = 0; late != 0 && i < set->count; i++)
        hvpt_fetch_or(&set->slot[i], late);
}

/* A leaf out of a set as one that stands alone. */
HVPT_INLINE uint64_t hvpt_unfolded(const struct hvpt_space *space, uint64_t entry, uint64_t gpa)
{
    const uint64_t clear = space->rules->contig_clear;

    return (entry & ~(space->contig_bit | clear)) | (gpa >> space->frame_shift & clear);
}

/* Unfold the set that holds the leaf in slot. Translations stay. */
HVPT_FUNCTION HVPT_COLD void hvpt_unfold(struct hvpt_space *space, struct hvpt_flush *flush,
                                                       hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    struct hvpt_set set = hvpt_set_around(space, slot, gpa, level);

    hvpt_set_rewrite(space, flush, &set, level, hvpt_unfolded(space, hvpt_load(set.slot), set.gpa),
                     hvpt_leaf_step(space, level));
}

/* Unfold every set that has a leaf in run: these leaves are about to differ. */
HVPT_FUNCTION HVPT_COLD void hvpt_unfold_all(struct hvpt_space *space, struct hvpt_flush *flush,
                                             const struct hvpt_run *run)
{
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);

        if (hvpt_is_present(space, entry) && hvpt_is_contig(space, entry, run->level))
            hvpt_unfold(space, flush, &run->slot[i], run->gpa + i * hvpt_span(space, run->level), run->level);
    }
}

HVPT_INLINE void hvpt_unfold_run(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run)
{
    if (HVPT_UNLIKELY(space->contig_log2[run->level] != 0))
        hvpt_unfold_all(space, flush, run);
}

/* Unfold what is folded across the edges of [start, end): the leaves of run that lie inside are about to go. */
HVPT_FUNCTION HVPT_COLD void hvpt_unfold_edges(struct hvpt_space *space, struct hvpt_flush *flush,
                                               const struct hvpt_run *run, uint64_t start, uint64_t end)
{
    const uint64_t span = hvpt_span(space, run->level);
    unsigned i, edge[2];

    edge[0] = 0;
    edge[1] = run->count - 1;
    for (i = 0; i < 2; i++) {
        uint64_t entry = hvpt_load(&run->slot[edge[i]]);
        uint64_t gpa = run->gpa + edge[i] * span;
        struct hvpt_set set = hvpt_set_around(space, &run->slot[edge[i]], gpa, run->level);

        if (hvpt_is_present(space, entry) && hvpt_is_contig(space, entry, run->level)
            && (set.gpa < start || set.gpa + set.count * span > end))
            hvpt_unfold(space, flush, &run->slot[edge[i]], gpa, run->level);
    }
}

/* Fold the leaves of run wherever a whole group of them is one aligned piece of memory and says the same. */
HVPT_FUNCTION HVPT_COLD void hvpt_fold_run(struct hvpt_space *space, struct hvpt_flush *flush,
                                                         const struct hvpt_run *run)
{
    const struct hvpt_rules *rules = space->rules;
    const unsigned level = run->level, count = 1u << space->contig_log2[level];
    const uint64_t span = hvpt_span(space, level), size = count * span, step = hvpt_leaf_step(space, level);
    unsigned at = (unsigned)(((0 - run->gpa) & (size - 1)) >> hvpt_span_shift(space, level));

    if (count == 1)
        return;
    for (; at + count <= run->count; at += count) {
        const struct hvpt_set set = {&run->slot[at], count, run->gpa + at * span};
        uint64_t first = hvpt_load(set.slot), hardware = hvpt_hardware_bits(space, first);
        unsigned i;

        if (hvpt_judge(space, first, level) != HVPT_ENTRY_LEAF || hvpt_is_contig(space, first, level)
            || ((rules->decode)(space, first, level).flags & HVPT_LOGGED)
            || (hvpt_leaf_address(space, first, level, set.gpa) & (size - 1)))
            continue;
        for (i = 1; i < count; i++) {
            if (((hvpt_load(&set.slot[i]) - i * step) ^ first) & ~hardware)
                break;
        }
        if (i == count)
            hvpt_set_rewrite(space, flush, &set, level, (first & ~rules->contig_clear) | rules->contig_set,
                             rules->contig_clear != 0 ? 0 : step);
    }
}

/*
 * Fold what a walk of [start, end) shows: at level 0 the leaves of run; above, where a run is one entry, all of a set
 * that lies in the range, once its last entry is reached.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_fold_seen(struct hvpt_space *space, struct hvpt_flush *flush,
                                            const struct hvpt_run *run, uint64_t start, uint64_t end)
{
    struct hvpt_run whole = *run;

    if (HVPT_LIKELY(space->contig_log2[run->level] == 0))
        return;
    if (run->level > 0) {
        const struct hvpt_set set = hvpt_set_around(space, run->slot, run->gpa, run->level);

        if (&set.slot[set.count - 1] != run->slot || set.gpa < start || hvpt_span(space, run->level) > end - run->gpa)
            return;
        whole.slot = set.slot;
        whole.gpa = set.gpa;
        whole.count = set.count;
    }
    hvpt_fold_run(space, flush, &whole);
}

#endif
