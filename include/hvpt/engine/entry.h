/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the operations that change live entries have in common: statistics, break-before-make, tables linked and
 * unlinked, leaves split. Each change is one store into a visible table, and what it makes visible is complete by then.
 */
#ifndef HVPT_ENGINE_ENTRY_H
#define HVPT_ENGINE_ENTRY_H

#include "contig.h"

/* ---- statistics ---- */

/* Count n more leaves at level, for a writer: fault_map counts its own. */
HVPT_FUNCTION void hvpt_count_leaves(struct hvpt_space *space, unsigned level, uint64_t n)
{
    if (level == 0)
        hvpt_count_add(&space->leaves[0], n);
    else
        hvpt_count_add_shared(&space->leaves[level], n);
}

/* What a range holds: leaves by level, and the tables below entries of level top and lower. */
struct hvpt_census {
    const struct hvpt_space *space;
    unsigned top;
    uint64_t leaves[HVPT_MAX_LEVELS];
    uint64_t tables[HVPT_MAX_LEVELS];
};

static inline enum hvpt_status hvpt_census_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    uint64_t present = 0;
    unsigned i;

    for (i = 0; i < run->count; i++)
        present += hvpt_is_present(census->space, hvpt_load(&run->slot[i]));
    census->leaves[run->level] += present;
    return HVPT_OK;
}

/* Does each entry of this table at level 1 refer to a table that is known to be full of leaves? */
static inline bool hvpt_all_full(const struct hvpt_space *space, const hvpt_entry *table)
{
    const uint64_t full = space->rules->full_bit, mask = space->table_mask | full, bits = space->table_bits | full;
    unsigned i;

    for (i = 0; i < hvpt_entries(space); i++) {
        if ((hvpt_load(&table[i]) & mask) != bits)
            return false;
    }
    return true;
}

/* Tables marked full are counted without being read: that makes dropping them cheap. */
static inline HVPT_COLD enum hvpt_step hvpt_census_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_census *census = (struct hvpt_census *)ctx;
    const struct hvpt_space *space = census->space;
    const hvpt_entry *table;
    uint64_t full = 0;

    if (run->level > census->top)
        return HVPT_STEP_INTO;
    census->tables[run->level - 1]++;
    if (run->level == 1) {
        full = (run->entry & space->rules->full_bit) != 0;
    } else if (run->level == 2) {
        table = hvpt_table_below(space, run->entry);
        if (table != NULL && hvpt_all_full(space, table))
            full = hvpt_entries(space);
        census->tables[0] += full;
    }
    census->leaves[0] += full * hvpt_entries(space);
    return full != 0 ? HVPT_STEP_OVER : HVPT_STEP_INTO;
}

static inline void hvpt_census_begin(struct hvpt_census *census, const struct hvpt_space *space, unsigned top)
{
    const struct hvpt_census none = {space, top, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};

    *census = none;
}

/* Count what [gpa, gpa + size) holds. HVPT_E_CORRUPT: a table could not be reached. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_take_census(const struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                          unsigned top, struct hvpt_census *census)
{
    static const struct hvpt_steps steps = {hvpt_census_enter, hvpt_census_slots, NULL};

    hvpt_census_begin(census, space, top);
    return hvpt_walk(space, gpa, gpa + size, &steps, census);
}

/* ---- leaves come and go ---- */

/* Empty the slots of run, which hold no table. What extends beyond [start, end) stays. */
static inline void hvpt_clear_run(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run,
                                  uint64_t start, uint64_t end)
{
    unsigned cleared;

    if (HVPT_UNLIKELY(space->contig_log2[run->level] != 0))
        hvpt_unfold_edges(space, flush, run, start, end);
    cleared = hvpt_clear_slots(space, run->slot, run->count);
    if (cleared != 0) {
        hvpt_count_leaves(space, run->level, (uint64_t)0 - cleared);
        hvpt_defer(space, flush, run->gpa, (uint64_t)run->count << hvpt_span_shift(space, run->level), false);
    }
}

/*
 * Where a format demands it, a present entry is first made empty and flushed, so that no CPU holds the old and the new
 * translation at once (Arm ARM, "Using break-before-make when updating translation table entries"). Returns what was
 * there.
 */
HVPT_FUNCTION HVPT_COLD uint64_t hvpt_break(struct hvpt_space *space, struct hvpt_flush *flush,
                                                          hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    uint64_t old = hvpt_exchange(slot, space->empty_entry);

    hvpt_defer(space, flush, gpa, hvpt_span(space, level), level > 0);
    hvpt_finish(space, flush);
    return old;
}

/* Make run's leaves empty for a moment, if the format demands that before their address changes; else only defer. */
static inline void hvpt_break_run(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run)
{
    const uint64_t size = (uint64_t)run->count << hvpt_span_shift(space, run->level);

    hvpt_defer(space, flush, run->gpa, size, run->level > 0 && space->break_bits != 0);
    if (space->break_bits == 0)
        return;
    hvpt_fill_empty(space, run->slot, run->count);
    hvpt_finish(space, flush);
}

/* ---- tables come and go ---- */

/*
 * Link a fresh, empty table into a slot at level that other CPUs see, and that held old a moment ago. If another CPU
 * was first, one table less is needed: the frame is freed, and the table is that CPU's; NULL if it put a page there.
 */
HVPT_FUNCTION HVPT_COLD hvpt_entry *hvpt_link_empty(struct hvpt_space *space, struct hvpt_frames *list,
                                                    hvpt_entry *slot, uint64_t old, unsigned level)
{
    uint64_t frame;
    hvpt_entry *table = hvpt_frames_pop(space, list, &frame);

    hvpt_fill_empty(space, table, hvpt_entries(space));
    if (!hvpt_compare_exchange(slot, &old, hvpt_make_table(space, frame))) {
        hvpt_free_frame(space, frame, hvpt_table_order(space));
        return hvpt_is_table(space, old, level) ? hvpt_table_below(space, old) : NULL;
    }
    hvpt_count_add_shared(&space->tables[level - 1], 1);
    return table;
}

/*
 * Replace the leaf in run, at level 1 or above, by a table of leaves that say the same, with a frame from list.
 * Hardware may set accessed and dirty bits until the exchange succeeds; none is lost.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_split_leaf(struct hvpt_space *space, struct hvpt_frames *list,
                                             struct hvpt_flush *flush, const struct hvpt_run *run)
{
    const unsigned below = run->level - 1, entries = hvpt_entries(space);
    uint64_t old = run->entry, frame, link;
    hvpt_entry *table = hvpt_take_table(space, list, below, &frame);

    link = hvpt_make_table(space, frame) | (below == 0 ? space->rules->full_bit : 0);
    if (hvpt_is_contig(space, old, run->level)) {
        hvpt_unfold(space, flush, run->slot, run->gpa, run->level);
        old = hvpt_load(run->slot);
    }
    if (space->break_sizes)
        old = hvpt_break(space, flush, run->slot, run->gpa, run->level);
    do {
        hvpt_fill(table, entries, (space->rules->relevel)(old, run->level, below), hvpt_leaf_step(space, below));
        if (space->break_sizes) {
            hvpt_store_release(run->slot, link);
            break;
        }
    } while (!hvpt_compare_exchange(run->slot, &old, link));
    hvpt_count_leaves(space, run->level, (uint64_t)-1);
    hvpt_count_leaves(space, below, entries);
}

/* Split until no leaf reaches across gpa. */
HVPT_FUNCTION HVPT_COLD void hvpt_split_at(struct hvpt_space *space, struct hvpt_frames *list,
                                                         struct hvpt_flush *flush, uint64_t gpa)
{
    struct hvpt_run run;

    if (gpa == space->gpa_limit)
        return;
    while (hvpt_descend(space, gpa, 0, &run) == HVPT_OK && hvpt_is_present(space, run.entry)
           && (gpa & (hvpt_span(space, run.level) - 1)))
        hvpt_split_leaf(space, list, flush, &run);
}

/*
 * Retire an unlinked table and all below it until the flush of its range. run is where it was; level: how deep to look
 * for tables below it, 0 where there are none.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_retire(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run,
                                         unsigned level)
{
    space->cursor_range = UINT32_MAX;
    if (flush->kind != HVPT_FLUSH_NONE && flush->dead_count == HVPT_FLUSH_DEAD_MAX)
        hvpt_finish(space, flush);
    hvpt_defer(space, flush, run->gpa, hvpt_span(space, run->level), true);
    flush->dead[flush->dead_count++] = hvpt_frame_in(space, run->entry) | level;
}

/* Empty a slot whose table holds nothing, and retire the table. */
static inline void hvpt_unlink_empty(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run)
{
    hvpt_count_add_shared(&space->tables[run->level - 1], (uint64_t)-1);
    hvpt_store_relaxed(run->slot, space->empty_entry);
    hvpt_retire(space, flush, run, 0);
}

/* Empty a slot that holds a table, and retire the table and all below it. */
HVPT_FUNCTION HVPT_COLD void hvpt_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush,
                                               const struct hvpt_run *run)
{
    struct hvpt_census census;
    unsigned level;

    (void)hvpt_take_census(space, run->gpa, hvpt_span(space, run->level), run->level, &census);
    for (level = 0; level < run->level; level++) {
        hvpt_count_leaves(space, level, (uint64_t)0 - census.leaves[level]);
        hvpt_count_add_shared(&space->tables[level], (uint64_t)0 - census.tables[level]);
    }
    hvpt_store_relaxed(run->slot, space->empty_entry);
    hvpt_retire(space, flush, run, run->level - 1);
}

/* Put a leaf in the place of run's table, whose pages it maps as they do. The caller retires the table. */
static inline void hvpt_replace_table(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run,
                                      uint64_t leaf)
{
    hvpt_count_leaves(space, run->level, 1);
    hvpt_count_leaves(space, run->level - 1, (uint64_t)0 - hvpt_entries(space));
    hvpt_count_add_shared(&space->tables[run->level - 1], (uint64_t)-1);
    space->cursor_range = UINT32_MAX;
    if (space->break_sizes)
        (void)hvpt_break(space, flush, run->slot, run->gpa, run->level);
    hvpt_store_release(run->slot, leaf);
}

#endif
