/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * collapse: the same translations by larger pages. No attribute of a leaf is lost, and what stays small is reported
 * with the reason.
 */
#ifndef HVPT_ENGINE_COLLAPSE_H
#define HVPT_ENGINE_COLLAPSE_H

#include "entry.h"

/*
 * Tables that were replaced while hardware may still walk them and set accessed and dirty bits there. After the flush
 * they are read once more.
 */
#define HVPT_COLLAPSE_PENDING 8

struct hvpt_collapse {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    struct hvpt_collapse_report *report;
    uint64_t start;
    uint64_t end;
    unsigned pending;
    hvpt_entry *replaced[HVPT_COLLAPSE_PENDING]; /* where the new leaf is */
    uint64_t frame[HVPT_COLLAPSE_PENDING];       /* the table that was there */
};

/* The accessed and dirty bits of all leaves of a table together. */
static inline uint64_t hvpt_gather(const struct hvpt_space *space, const hvpt_entry *table)
{
    uint64_t bits = hvpt_hardware_bits(space, hvpt_load(table)), seen = 0;
    unsigned i;

    for (i = 0; i < hvpt_entries(space) && seen != bits; i++)
        seen |= hvpt_load(&table[i]) & bits;
    return seen;
}

/* Flush, take what hardware had still written into the replaced tables, and free them. */
static inline HVPT_COLD void hvpt_collapse_finish(struct hvpt_collapse *collapse)
{
    struct hvpt_space *space = collapse->space;
    unsigned i;

    if (collapse->pending == 0)
        return;
    hvpt_finish(space, collapse->flush);
    for (i = 0; i < collapse->pending; i++) {
        uint64_t late = hvpt_gather(space, hvpt_table_at(space, collapse->frame[i]));

        if (late & ~hvpt_load(collapse->replaced[i]))
            hvpt_fetch_or(collapse->replaced[i], late);
        hvpt_free_frame(space, collapse->frame[i], hvpt_table_order(space));
    }
    collapse->pending = 0;
}

/* Can the table below run become the leaf *leaf?  If not, *page is the first address that does not fit. */
HVPT_FUNCTION HVPT_COLD enum hvpt_obstacle hvpt_collapse_check(const struct hvpt_collapse *collapse,
                                                               const struct hvpt_run *run, uint64_t *leaf,
                                                               uint64_t *page)
{
    const struct hvpt_space *space = collapse->space;
    const struct hvpt_rules *rules = space->rules;
    const hvpt_entry *table = hvpt_table_below(space, run->entry);
    const uint64_t hardware = hvpt_hardware_bits(space, hvpt_load(table));
    const unsigned below = run->level - 1;
    const uint64_t span = hvpt_span(space, below), step = hvpt_leaf_step(space, below);
    uint64_t first = 0, base = 0;
    struct hvpt_attr attr;
    struct hvpt_leaf encoded;
    unsigned i, kind;

    *page = run->gpa;
    if (run->gpa < collapse->start || hvpt_span(space, run->level) > collapse->end - run->gpa)
        return HVPT_OBSTACLE_EDGE;
    /* Tables that others made may deny what the leaves allow. */
    if (hvpt_table_perm(space, run->entry) != hvpt_table_perm(space, space->table_bits))
        return HVPT_OBSTACLE_ATTR;
    for (i = 0; i < hvpt_entries(space); i++) {
        uint64_t entry = hvpt_load(&table[i]);
        const uint64_t at = run->gpa + i * span;

        if (hvpt_is_contig(space, entry, below))
            entry = hvpt_unfolded(space, entry, at);
        /* Equal to the first except for the address, so it is well-formed, too. */
        if (i != 0 && !(((entry - i * step) ^ first) & ~hardware))
            continue;
        *page = at;
        kind = hvpt_judge(space, entry, below);
        if (kind != HVPT_ENTRY_LEAF)
            return kind == HVPT_ENTRY_EMPTY   ? HVPT_OBSTACLE_HOLE
                   : kind == HVPT_ENTRY_TABLE ? HVPT_OBSTACLE_TABLE
                                              : HVPT_OBSTACLE_CORRUPT;
        if (i != 0)
            return hvpt_leaf_address(space, entry, below, at) != base + i * span ? HVPT_OBSTACLE_ADDRESS
                                                                                 : HVPT_OBSTACLE_ATTR;
        first = entry;
        base = hvpt_leaf_address(space, first, below, at);
        if (base & (hvpt_span(space, run->level) - 1))
            return HVPT_OBSTACLE_ADDRESS;
    }
    *page = run->gpa;
    attr = (rules->decode)(space, first, below);
    attr.flags &= ~(uint32_t)HVPT_JOINED;
    if (hvpt_leaf_make(space, attr, &encoded) != HVPT_OK || run->level > encoded.max_level)
        return HVPT_OBSTACLE_SIZE;
    *leaf = (rules->relevel)(first, below, run->level) | hvpt_gather(space, table);
    return HVPT_OBSTACLE_NONE;
}

/* What stays small may still be folded. */
static inline HVPT_COLD enum hvpt_status hvpt_collapse_slots(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_collapse *collapse = (const struct hvpt_collapse *)ctx;

    hvpt_fold_seen(collapse->space, collapse->flush, run, collapse->start, collapse->end);
    return HVPT_OK;
}

/* On the way up: what is below has already been collapsed as far as it can. */
static inline HVPT_COLD enum hvpt_status hvpt_collapse_leave(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_collapse *collapse = (struct hvpt_collapse *)ctx;
    struct hvpt_collapse_report *report = collapse->report;
    struct hvpt_space *space = collapse->space;
    uint64_t leaf = 0, page;
    enum hvpt_obstacle obstacle;

    if (run->level > space->max_leaf_level)
        return HVPT_OK; /* no page of that size exists: not a table that stayed */
    /*
     * The leaves below must have all their bits before they are checked, and hardware may still set some in the tables
     * that they replaced. Or there is no room for another table.
     */
    if (run->level > 1 || collapse->pending == HVPT_COLLAPSE_PENDING)
        hvpt_collapse_finish(collapse);
    obstacle = hvpt_collapse_check(collapse, run, &leaf, &page);
    if (obstacle != HVPT_OBSTACLE_NONE) {
        if (report->kept++ == 0) {
            report->obstacle = obstacle;
            report->level = run->level - 1;
            report->table = hvpt_make_gpa(run->gpa);
            report->page = hvpt_make_gpa(page);
        }
        return HVPT_OK;
    }
    report->collapsed++;
    hvpt_replace_table(space, collapse->flush, run, leaf);
    if (hvpt_hardware_bits(space, leaf) == 0) {
        hvpt_retire(space, collapse->flush, run, 0);
        return HVPT_OK;
    }
    hvpt_defer(space, collapse->flush, run->gpa, hvpt_span(space, run->level), true);
    collapse->replaced[collapse->pending] = run->slot;
    collapse->frame[collapse->pending++] = hvpt_frame_in(space, run->entry);
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_collapse(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                        struct hvpt_flush *flush, struct hvpt_collapse_report *report)
{
    static const struct hvpt_steps steps = {NULL, hvpt_collapse_slots, hvpt_collapse_leave};
    struct hvpt_collapse_report unread;
    struct hvpt_flush own;
    struct hvpt_collapse collapse;
    enum hvpt_status status = hvpt_check_edit(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    collapse.space = space;
    collapse.flush = hvpt_flush_begin(space, flush, &own);
    collapse.report = report != NULL ? report : &unread;
    collapse.report->collapsed = 0;
    collapse.report->kept = 0;
    collapse.report->obstacle = HVPT_OBSTACLE_NONE;
    collapse.report->level = 0;
    collapse.report->table = hvpt_make_gpa(0);
    collapse.report->page = hvpt_make_gpa(0);
    collapse.start = gpa.value;
    collapse.end = gpa.value + size;
    collapse.pending = 0;
    status = hvpt_walk(space, collapse.start, collapse.end, &steps, &collapse);
    hvpt_collapse_finish(&collapse);
    hvpt_flush_end(space, collapse.flush, &own);
    return status;
}

#endif
