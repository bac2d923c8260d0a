/*
 * collapse: the same translations by larger pages. Nothing that a leaf says is lost, and what stays small has a reason.
 */
#ifndef HVPT_CORE_COLLAPSE_H
#define HVPT_CORE_COLLAPSE_H

#include "tree.h"

/* Why a table could not become a leaf. */
enum hvpt_obstacle {
    HVPT_OBSTACLE_NONE,
    HVPT_OBSTACLE_EDGE,    /* the table reaches out of the range */
    HVPT_OBSTACLE_HOLE,    /* a page below is not mapped */
    HVPT_OBSTACLE_TABLE,   /* a table below stayed one, for a reason of its own */
    HVPT_OBSTACLE_ADDRESS, /* the pages below are not one aligned piece of memory */
    HVPT_OBSTACLE_ATTR,    /* the pages below differ in what they say */
    HVPT_OBSTACLE_SIZE,    /* the config, the CPU or a policy does not allow so large a page for them */
    HVPT_OBSTACLE_CORRUPT  /* an entry below is not well-formed */
};

/* In words, for a log. Never NULL. */
static inline const char *hvpt_obstacle_text(enum hvpt_obstacle obstacle)
{
    switch (obstacle) {
    case HVPT_OBSTACLE_NONE: return "nothing";
    case HVPT_OBSTACLE_EDGE: return "the table reaches out of the range";
    case HVPT_OBSTACLE_HOLE: return "a page is not mapped";
    case HVPT_OBSTACLE_TABLE: return "a table below stays";
    case HVPT_OBSTACLE_ADDRESS: return "the pages are not one aligned piece of memory";
    case HVPT_OBSTACLE_ATTR: return "the pages differ in their attributes";
    case HVPT_OBSTACLE_SIZE: return "a page of that size is not allowed here";
    case HVPT_OBSTACLE_CORRUPT: return "an entry is not well-formed";
    }
    return "unknown obstacle";
}

/*
 * What collapse did: tables that became leaves, tables that stayed, and of the first that stayed the reason, where its
 * reach begins, its level, and the address of the page that stood in the way (of the table where no single page did).
 */
struct hvpt_collapse_report {
    uint64_t collapsed;
    uint64_t kept;
    enum hvpt_obstacle obstacle;
    unsigned level;
    hvpt_gpa table;
    hvpt_gpa page;
};

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
HVPT_ENGINE uint64_t hvpt_gather(const struct hvpt_format *format, const struct hvpt_space *space,
                                 const hvpt_entry *table)
{
    uint64_t bits = format->hardware_bits(space, hvpt_load(table));
    uint64_t seen = 0;
    unsigned i;

    for (i = 0; i < hvpt_entries(format) && seen != bits; i++)
        seen |= hvpt_load(&table[i]) & bits;
    return seen;
}

/* Flush, take what hardware had still written into the replaced tables, and free them. */
HVPT_ENGINE void hvpt_collapse_settle(const struct hvpt_format *format, struct hvpt_collapse *collapse)
{
    struct hvpt_space *space = collapse->space;
    unsigned i;

    if (collapse->pending == 0)
        return;
    format->settle(space, collapse->flush);
    for (i = 0; i < collapse->pending; i++) {
        uint64_t late = hvpt_gather(format, space, hvpt_table_at(space, collapse->frame[i]));

        if (late & ~hvpt_load(collapse->replaced[i]))
            hvpt_fetch_or(collapse->replaced[i], late);
        hvpt_free_frame(space, collapse->frame[i], space->table_order);
    }
    collapse->pending = 0;
}

/* Can the table below run become the leaf *leaf?  If not, *page is the first address that does not fit. */
HVPT_ENGINE enum hvpt_obstacle hvpt_collapse_check(const struct hvpt_format *format,
                                                   const struct hvpt_collapse *collapse, const struct hvpt_run *run,
                                                   uint64_t *leaf, uint64_t *page)
{
    const struct hvpt_space *space = collapse->space;
    const hvpt_entry *table = hvpt_table_at(space, format->table_frame(space, run->entry));
    const uint64_t hardware = format->hardware_bits(space, hvpt_load(table));
    const unsigned below = run->level - 1;
    uint64_t first = 0, base = 0;
    unsigned i;

    *page = run->gpa;
    if (run->gpa < collapse->start || hvpt_span(format, run->level) > collapse->end - run->gpa)
        return HVPT_OBSTACLE_EDGE;
    /* Tables that others made may deny what the leaves allow. */
    if (format->table_perm(space, run->entry) != format->table_perm(space, format->make_table(space, 0)))
        return HVPT_OBSTACLE_ATTR;
    for (i = 0; i < hvpt_entries(format); i++) {
        uint64_t entry = hvpt_load(&table[i]);

        *page = run->gpa + i * hvpt_span(format, below);
        if (!hvpt_is_present(space, entry))
            return HVPT_OBSTACLE_HOLE;
        if (below > 0 && format->is_table(space, entry, below))
            return HVPT_OBSTACLE_TABLE;
        if (!format->is_leaf(space, entry, below))
            return HVPT_OBSTACLE_CORRUPT;
        if (format->is_joined(space, entry, below))
            entry = format->unjoin(entry, below, *page);
        if (i == 0) {
            first = entry;
            base = format->leaf_address(space, first, below, run->gpa);
            if (base & (hvpt_span(format, run->level) - 1))
                return HVPT_OBSTACLE_ADDRESS;
        }
        if (format->leaf_address(space, entry, below, *page) != base + i * hvpt_span(format, below))
            return HVPT_OBSTACLE_ADDRESS;
        if (((entry - i * format->leaf_step(below)) ^ first) & ~hardware)
            return HVPT_OBSTACLE_ATTR;
    }
    *page = run->gpa;
    if (run->level > hvpt_leaf_level(format, space, 0, 0, format->leaf_attr(space, first, below)))
        return HVPT_OBSTACLE_SIZE;
    *leaf = format->parent_leaf(first, run->level) | hvpt_gather(format, space, table);
    return HVPT_OBSTACLE_NONE;
}

/* Above level 0 a visit sees one entry at a time: with the last of a group, look at the whole group. */
HVPT_ENGINE void hvpt_collapse_join(const struct hvpt_format *format, struct hvpt_collapse *collapse,
                                    const struct hvpt_run *run)
{
    const uint64_t span = hvpt_span(format, run->level);
    const uint64_t size = format->join_count(collapse->space, run->level) * span;
    struct hvpt_joined joined = hvpt_joined_with(format, collapse->space, run->slot, run->gpa, run->level);
    struct hvpt_run whole = *run;

    if (((run->gpa + span) & (size - 1)) || joined.gpa < collapse->start || span > collapse->end - run->gpa)
        return;
    whole.slot = joined.slot;
    whole.gpa = joined.gpa;
    whole.count = joined.count;
    hvpt_join_run(format, collapse->space, collapse->flush, &whole);
}

/* What stays small may still be joined. */
HVPT_ENGINE enum hvpt_status hvpt_collapse_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                 void *ctx, const struct hvpt_run *run)
{
    struct hvpt_collapse *collapse = (struct hvpt_collapse *)ctx;

    (void)space;
    if (run->level == 0)
        hvpt_join_run(format, collapse->space, collapse->flush, run);
    else
        hvpt_collapse_join(format, collapse, run);
    return HVPT_OK;
}

/* On the way up: what is below has already been collapsed as far as it can. */
HVPT_ENGINE enum hvpt_status hvpt_collapse_leave(const struct hvpt_format *format, const struct hvpt_space *space,
                                                 void *ctx, const struct hvpt_run *run)
{
    struct hvpt_collapse *collapse = (struct hvpt_collapse *)ctx;
    struct hvpt_collapse_report *report = collapse->report;
    uint64_t leaf = 0, page;
    enum hvpt_obstacle obstacle;

    if (run->level > space->max_leaf_level)
        return HVPT_OK; /* no page of that size exists: not a table that stayed */
    /*
     * Before leaves below are looked at that hardware may still mark in the table they replaced, or when there is no
     * room.
     */
    if (run->level > 1 || collapse->pending == HVPT_COLLAPSE_PENDING)
        hvpt_collapse_settle(format, collapse);
    obstacle = hvpt_collapse_check(format, collapse, run, &leaf, &page);
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
    hvpt_count_add(&collapse->space->stats.leaves[run->level], 1);
    hvpt_count_add(&collapse->space->stats.leaves[run->level - 1], (uint64_t)0 - hvpt_entries(format));
    hvpt_count_add(&collapse->space->stats.tables[run->level - 1], (uint64_t)-1);
    collapse->space->cursor_range = UINT64_MAX;
    if (format->break_bits != 0)
        (void)hvpt_break(format, collapse->space, collapse->flush, run->slot, run->gpa, run->level);
    hvpt_store_release(run->slot, leaf);
    if (format->hardware_bits(space, leaf) == 0) {
        hvpt_bury(format, collapse->space, collapse->flush, run, 0);
        return HVPT_OK;
    }
    hvpt_owe_flush(space, collapse->flush, run->gpa, hvpt_span(format, run->level), true);
    collapse->replaced[collapse->pending] = run->slot;
    collapse->frame[collapse->pending++] = format->table_frame(space, run->entry);
    return HVPT_OK;
}

/*
 * Turn every table in [gpa, gpa + size) whose pages are one aligned piece of memory with the same attributes into one
 * leaf, up to the largest pages the space allows. A leaf is accessed or dirty if one of its parts was.
 * report: may be NULL. flush: where hardware sets accessed and dirty bits the call flushes on the way, in batches, so
 * that none is lost; elsewhere the old tables wait in flush. NULL: flushed before the call returns.
 *
 * HVPT_OK: whatever could be collapsed is; report tells what could not and why.  HVPT_E_ALIGN, HVPT_E_RANGE,
 * HVPT_E_READONLY.
 * HVPT_E_CORRUPT: a table cannot be reached.
 *
 * The caller serializes it against everything but hardware.
 */
HVPT_ENGINE enum hvpt_status hvpt_collapse_range(const struct hvpt_format *format, struct hvpt_space *space,
                                                 hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush,
                                                 struct hvpt_collapse_report *report)
{
    struct hvpt_collapse_report unread;
    struct hvpt_flush own;
    struct hvpt_collapse collapse;
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    collapse.space = space;
    collapse.flush = hvpt_flush_or_own(flush, &own);
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
    status = format->change(space, collapse.start, collapse.end, HVPT_VISIT_COLLAPSE, &collapse);
    hvpt_collapse_settle(format, &collapse);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

#endif
