/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The isolation audit: which host frames two guests can both reach, which of these either may write, and which are a
 * table of the second level. It only reads, works in memory that the caller gives, and trusts no entry.
 */
#ifndef HVPT_AUDIT_H
#define HVPT_AUDIT_H

#include "space.h"

/* ---- a walk that goes on past broken entries ---- */

/*
 * Called for [gpa, gpa + size), a part of the space that is hidden by an entry of a table at level: the entry is
 * misconfigured, or refers to a table that cannot be reached. (Such a table is reported entry by entry.) Returns true
 * to go on past it.
 */
typedef bool hvpt_broken_fn(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level);

struct hvpt_past {
    const struct hvpt_visitor *visitor;
    uint64_t from;  /* where this part of the walk began: tables that begin before it were shown already */
    uint64_t next;  /* first address that was not shown yet */
    unsigned level; /* of the table that was entered last */
    bool ended;
};

static inline bool hvpt_past_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct hvpt_past *past = (struct hvpt_past *)ctx;

    past->next = gpa.value + mapping->page_size;
    past->ended = past->visitor->leaf != NULL && !(past->visitor->leaf)(past->visitor->ctx, gpa, mapping);
    return !past->ended;
}

static inline bool hvpt_past_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct hvpt_past *past = (struct hvpt_past *)ctx;

    past->next = gpa.value + size;
    past->ended = past->visitor->hole != NULL && !(past->visitor->hole)(past->visitor->ctx, gpa, size, level);
    return !past->ended;
}

static inline bool hvpt_past_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct hvpt_past *past = (struct hvpt_past *)ctx;

    past->level = level;
    if (gpa.value < past->from)
        return true;
    past->ended = past->visitor->enter != NULL && !(past->visitor->enter)(past->visitor->ctx, gpa, table, level);
    return !past->ended;
}

static inline bool hvpt_past_leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct hvpt_past *past = (struct hvpt_past *)ctx;

    past->level = level + 1;
    past->ended = past->visitor->leave != NULL && !(past->visitor->leave)(past->visitor->ctx, gpa, table, level);
    return !past->ended;
}

/* log2 of what one entry of a table at level covers. */
static inline unsigned hvpt_audit_entry_shift(const struct hvpt_space *space, unsigned level)
{
    const unsigned page = space->kind == HVPT_KIND_S2 ? space->page_shift : 12u;

    return page + level * (page - 3);
}

/* Bytes of the whole guest-physical space. */
static inline uint64_t hvpt_audit_space_size(const struct hvpt_space *space)
{
    return space->gpa_limit;
}

/* Bytes of a table: the root may be larger than the others. */
static inline uint64_t hvpt_audit_table_size(const struct hvpt_space *space, uint64_t frame, unsigned level)
{
    return HVPT_4K << (level == space->root_level && frame == space->root_frame ? space->root_order
                                                                                : hvpt_table_order(space));
}

/*
 * hvpt_space_walk that does not end at a broken entry: it calls broken (may be NULL) and goes on past the entry. A
 * table whose last entry is broken is entered and not left.
 * HVPT_OK: also when a callback ended it. HVPT_E_CORRUPT: it went to the end, and something was broken.
 * HVPT_E_ALIGN, HVPT_E_RANGE: as hvpt_space_walk.
 *
 * A table that is linked twice or loops is shown as often as it is reached, which may take for ever: a visitor that
 * cannot trust the tables counts in enter, and ends the walk. Reader.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_walk_past(const struct hvpt_space *space, hvpt_gpa gpa,
                                                             uint64_t size, const struct hvpt_visitor *visitor,
                                                             hvpt_broken_fn *broken)
{
    struct hvpt_past past = {visitor, gpa.value, gpa.value, 0, false};
    struct hvpt_visitor wrapped = {NULL, hvpt_past_leaf, hvpt_past_hole, hvpt_past_enter, hvpt_past_leave};
    const uint64_t end = gpa.value + size;
    enum hvpt_status status, answer = HVPT_OK;

    wrapped.ctx = &past;
    for (;;) {
        uint64_t span, skip;

        status = hvpt_space_walk(space, hvpt_make_gpa(past.from), end - past.from, &wrapped);
        if (past.ended)
            return HVPT_OK;
        if (status != HVPT_E_CORRUPT)
            return status == HVPT_OK ? answer : status;
        answer = HVPT_E_CORRUPT;
        span = UINT64_C(1) << hvpt_audit_entry_shift(space, past.level);
        skip = span - (past.next & (span - 1));
        if (skip > end - past.next)
            skip = end - past.next;
        if (broken != NULL && !(broken)(visitor->ctx, hvpt_make_gpa(past.next), skip, past.level))
            return HVPT_OK;
        past.next += skip;
        past.from = past.next;
        if (past.from >= end)
            return answer;
    }
}

/* ---- the audit ---- */

enum hvpt_audit_kind {
    HVPT_AUDIT_SHARED,        /* both guests reach these frames */
    HVPT_AUDIT_REACHES_TABLE, /* a guest reaches a frame that is a table, its own or the other's */
    HVPT_AUDIT_SHARED_TABLE   /* one frame is a table of both */
};

/*
 * What was found about the host frames [hpa, hpa + size).
 * SHARED: perm[0] and gpa[0] are the first guest's, perm[1] and gpa[1] the second's.
 * REACHES_TABLE: guest, 0 or 1, reaches it at gpa[guest] with perm[guest]; it is a table at level of owner.
 * SHARED_TABLE: gpa[0] and gpa[1] are the first addresses that the table covers; level is its level in the second.
 */
struct hvpt_audit_finding {
    enum hvpt_audit_kind kind;
    hvpt_hpa hpa;
    uint64_t size;
    hvpt_gpa gpa[2];
    uint32_t perm[2];
    unsigned guest;
    unsigned owner;
    unsigned level;
};

/* A row of the workspace, private to the audit. */
struct hvpt_audit_item {
    uint64_t hpa;
    uint64_t size;
    uint64_t reach; /* the highest end of this row and those before it */
    uint64_t gpa;
    uint32_t perm;
    uint8_t source; /* 0: pages of the first guest; 1, 2: tables of the first and the second */
    uint8_t level;
};

/*
 * What to audit. second: NULL looks at the first guest's own tables only.
 * items, count: the workspace, of 64 rows or more. A row holds pages that are contiguous in both address spaces, or a
 * table; with too few rows the audit takes several passes.
 * found: called for each finding (NULL: not called); false ends the audit. Frames that a guest reaches at several
 * addresses are reported for each.
 * go_on: called at each table that is entered, in every pass; false ends the audit. It serves to show progress, and to
 * end in bounded time where the tables cannot be trusted. NULL: not called.
 */
struct hvpt_audit {
    const struct hvpt_space *first;
    const struct hvpt_space *second;
    struct hvpt_audit_item *items;
    size_t count;
    bool (*found)(void *ctx, const struct hvpt_audit_finding *finding);
    bool (*go_on)(void *ctx);
    void *ctx;
};

/*
 * How it went. complete: every page and table was looked at; false if a callback ended the audit, or broken is not 0.
 * bytes: the sum over all findings of a kind, each counted as often as it was reported.
 * writable: how many of these bytes are SHARED frames that either guest may write, or tables that a guest may write.
 * broken: entries that are misconfigured or refer to tables out of reach; what lies below them was not looked at.
 */
struct hvpt_audit_report {
    bool complete;
    unsigned passes;
    uint64_t findings[3];
    uint64_t bytes[3];
    uint64_t writable[3];
    uint64_t broken;
};

/* The progress of the audit, and the run of pages that is being put together. */
struct hvpt_audit_state {
    const struct hvpt_audit *audit;
    struct hvpt_audit_report *report;
    uint64_t low, high; /* only what begins in [low, high) is of this pass */
    size_t used;
    unsigned guest; /* whose tree is walked */
    bool comparing; /* the second half of a pass */
    bool counting;  /* broken entries are counted in the first pass only */
    bool stopped;
    uint64_t gpa, hpa, size; /* size 0: no run */
    uint32_t perm;
};

/* Sift the row at index down, in a heap that has the greatest hpa on top. */
static inline void hvpt_audit_sift(struct hvpt_audit_item *items, size_t used, size_t index)
{
    for (;;) {
        size_t child = 2 * index + 1;
        struct hvpt_audit_item item;

        if (child >= used)
            return;
        if (child + 1 < used && items[child + 1].hpa > items[child].hpa)
            child++;
        if (items[index].hpa >= items[child].hpa)
            return;
        item = items[index];
        items[index] = items[child];
        items[child] = item;
        index = child;
    }
}

/* Keep the rows that begin lowest; the first that does not fit is where the next pass begins. */
static inline void hvpt_audit_keep(struct hvpt_audit_state *state, const struct hvpt_audit_item *item)
{
    struct hvpt_audit_item *items = state->audit->items;
    size_t at;

    if (item->hpa < state->low || item->hpa >= state->high)
        return;
    if (state->used == state->audit->count) {
        const uint64_t greatest = items[0].hpa;

        state->high = item->hpa > greatest ? item->hpa : greatest;
        if (item->hpa >= greatest)
            return;
        items[0] = *item;
        hvpt_audit_sift(items, state->used, 0);
        return;
    }
    at = state->used++;
    items[at] = *item;
    while (at > 0 && items[(at - 1) / 2].hpa < items[at].hpa) {
        const size_t parent = (at - 1) / 2;
        struct hvpt_audit_item swap = items[parent];

        items[parent] = items[at];
        items[at] = swap;
        at = parent;
    }
}

/* Sort the heap in ascending order, without what belongs to the next pass. */
static inline void hvpt_audit_sort(struct hvpt_audit_state *state)
{
    struct hvpt_audit_item *items = state->audit->items;
    size_t left, i;
    uint64_t reach = 0;

    for (left = state->used; left > 1; left--) {
        struct hvpt_audit_item swap = items[0];

        items[0] = items[left - 1];
        items[left - 1] = swap;
        hvpt_audit_sift(items, left - 1, 0);
    }
    while (state->used > 0 && items[state->used - 1].hpa >= state->high)
        state->used--;
    for (i = 0; i < state->used; i++) {
        const uint64_t end = items[i].hpa + items[i].size;

        reach = end > reach ? end : reach;
        items[i].reach = reach;
    }
}

static inline bool hvpt_audit_tell(struct hvpt_audit_state *state, const struct hvpt_audit_finding *finding)
{
    const bool writable = finding->kind == HVPT_AUDIT_SHARED_TABLE ? false
                        : finding->kind == HVPT_AUDIT_SHARED ? ((finding->perm[0] | finding->perm[1]) & HVPT_WRITE) != 0
                                                             : (finding->perm[finding->guest] & HVPT_WRITE) != 0;

    state->report->findings[finding->kind]++;
    state->report->bytes[finding->kind] += finding->size;
    state->report->writable[finding->kind] += writable ? finding->size : 0;
    if (state->audit->found != NULL && !(state->audit->found)(state->audit->ctx, finding))
        state->stopped = true;
    return !state->stopped;
}

/* Compare pages or a table, seen in the tree that is walked, with one row. */
static inline bool hvpt_audit_pair(struct hvpt_audit_state *state, const struct hvpt_audit_item *seen, bool is_table,
                                   const struct hvpt_audit_item *row)
{
    const uint64_t seen_end = seen->hpa + seen->size, row_end = row->hpa + row->size;
    const uint64_t begin = seen->hpa > row->hpa ? seen->hpa : row->hpa;
    struct hvpt_audit_finding finding;

    if (is_table ? state->guest != 1 || row->source != 1 : row->source == 0 && state->guest != 1)
        return true;
    finding.kind = is_table ? HVPT_AUDIT_SHARED_TABLE : row->source == 0 ? HVPT_AUDIT_SHARED : HVPT_AUDIT_REACHES_TABLE;
    finding.hpa = hvpt_make_hpa(begin);
    finding.size = (seen_end < row_end ? seen_end : row_end) - begin;
    finding.gpa[0] = finding.gpa[1] = hvpt_make_gpa(0);
    finding.perm[0] = finding.perm[1] = 0;
    finding.guest = state->guest;
    finding.owner = row->source == 2 ? 1 : 0;
    finding.level = is_table ? seen->level : row->level;
    finding.gpa[state->guest] = hvpt_make_gpa(is_table ? seen->gpa : seen->gpa + (begin - seen->hpa));
    finding.perm[state->guest] = seen->perm;
    if (row->source == 0) {
        finding.gpa[0] = hvpt_make_gpa(row->gpa + (begin - row->hpa));
        finding.perm[0] = row->perm;
    } else if (is_table) {
        finding.gpa[0] = hvpt_make_gpa(row->gpa);
    }
    return hvpt_audit_tell(state, &finding);
}

/* Compare with all rows that overlap, from the last that begins before the end, back to where none reaches so far. */
static inline bool hvpt_audit_compare(struct hvpt_audit_state *state, const struct hvpt_audit_item *seen, bool is_table)
{
    const struct hvpt_audit_item *items = state->audit->items;
    const uint64_t end = seen->hpa + seen->size;
    size_t low = 0, high = state->used;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (items[middle].hpa < end)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && items[low - 1].reach > seen->hpa) {
        low--;
        if (items[low].hpa + items[low].size > seen->hpa && !hvpt_audit_pair(state, seen, is_table, &items[low]))
            return false;
    }
    return true;
}

/*
 * Process a run of pages or a table, seen in the tree that is walked: keep it in the first half of a pass, compare it
 * in the second.
 */
static inline bool hvpt_audit_seen(struct hvpt_audit_state *state, const struct hvpt_audit_item *item, bool is_table)
{
    if (state->comparing)
        return hvpt_audit_compare(state, item, is_table);
    if (is_table || state->guest == 0)
        hvpt_audit_keep(state, item);
    return true;
}

static inline bool hvpt_audit_end_run(struct hvpt_audit_state *state)
{
    struct hvpt_audit_item item = {0, 0, 0, 0, 0, 0, 0};

    if (state->size == 0)
        return true;
    item.hpa = state->hpa;
    item.size = state->size;
    item.gpa = state->gpa;
    item.perm = state->perm;
    state->size = 0;
    return hvpt_audit_seen(state, &item, false);
}

static inline bool hvpt_audit_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct hvpt_audit_state *state = (struct hvpt_audit_state *)ctx;

    if (state->size != 0 && gpa.value == state->gpa + state->size && mapping->hpa.value == state->hpa + state->size
        && mapping->attr.perm == state->perm) {
        state->size += mapping->page_size;
        return true;
    }
    if (!hvpt_audit_end_run(state))
        return false;
    state->gpa = gpa.value;
    state->hpa = mapping->hpa.value;
    state->size = mapping->page_size;
    state->perm = mapping->attr.perm;
    return true;
}

static inline bool hvpt_audit_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct hvpt_audit_state *state = (struct hvpt_audit_state *)ctx;
    const struct hvpt_space *space = state->guest == 0 ? state->audit->first : state->audit->second;
    struct hvpt_audit_item item = {0, 0, 0, 0, 0, 0, 0};

    if (state->audit->go_on != NULL && !(state->audit->go_on)(state->audit->ctx)) {
        state->stopped = true;
        return false;
    }
    item.hpa = table.value;
    item.size = hvpt_audit_table_size(space, table.value, level);
    item.gpa = gpa.value;
    item.source = state->guest == 0 ? 1 : 2;
    item.level = (uint8_t)level;
    return hvpt_audit_seen(state, &item, true);
}

static inline bool hvpt_audit_broken(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct hvpt_audit_state *state = (struct hvpt_audit_state *)ctx;

    (void)gpa;
    (void)size;
    (void)level;
    state->report->broken += state->counting;
    if (state->audit->go_on != NULL && !(state->audit->go_on)(state->audit->ctx))
        state->stopped = true;
    return !state->stopped;
}

static inline enum hvpt_status hvpt_audit_walk(struct hvpt_audit_state *state, unsigned guest, bool comparing)
{
    const struct hvpt_space *space = guest == 0 ? state->audit->first : state->audit->second;
    struct hvpt_visitor visitor = {NULL, hvpt_audit_leaf, NULL, hvpt_audit_enter, NULL};
    enum hvpt_status status;

    if (space == NULL)
        return HVPT_OK;
    visitor.ctx = state;
    state->guest = guest;
    state->comparing = comparing;
    state->size = 0;
    status = hvpt_walk_past(space, hvpt_make_gpa(0), hvpt_audit_space_size(space), &visitor, hvpt_audit_broken);
    if (!state->stopped && !hvpt_audit_end_run(state))
        state->stopped = true;
    return status == HVPT_E_CORRUPT ? HVPT_OK : status;
}

/*
 * Audit. Neither space may change meanwhile. To audit tables that others use, stop the others and adopt the tables for
 * reading only.
 *
 * HVPT_OK: report says what was found. The guests are isolated if there are no findings and report->complete is true.
 * HVPT_E_NOMEM: fewer than 64 rows, or more pages and tables begin at one host frame than there are rows.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_audit_run(const struct hvpt_audit *audit,
                                                             struct hvpt_audit_report *report)
{
    struct hvpt_audit_state state;
    enum hvpt_status status;
    unsigned kind;

    report->complete = false;
    report->passes = 0;
    report->broken = 0;
    for (kind = 0; kind < 3; kind++)
        report->findings[kind] = report->bytes[kind] = report->writable[kind] = 0;
    if (audit->count < 64)
        return HVPT_E_NOMEM;
    state.audit = audit;
    state.report = report;
    state.low = 0;
    state.stopped = false;
    for (;;) {
        state.high = UINT64_MAX;
        state.used = 0;
        state.counting = report->passes == 0;
        report->passes++;
        status = hvpt_audit_walk(&state, 0, false);
        if (status == HVPT_OK && !state.stopped)
            status = hvpt_audit_walk(&state, 1, false);
        if (status != HVPT_OK || state.stopped)
            return status;
        state.counting = false;
        hvpt_audit_sort(&state);
        if (state.used == 0 && state.high != UINT64_MAX)
            return HVPT_E_NOMEM;
        status = hvpt_audit_walk(&state, 0, true);
        if (status == HVPT_OK && !state.stopped)
            status = hvpt_audit_walk(&state, 1, true);
        if (status != HVPT_OK || state.stopped)
            return status;
        if (state.high == UINT64_MAX)
            break;
        state.low = state.high;
    }
    report->complete = report->broken == 0;
    return HVPT_OK;
}

#endif
