/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * protect and write_protect: change the attributes of leaves, not their addresses. Accessed and dirty bits that
 * hardware sets meanwhile survive.
 */
#ifndef HVPT_ENGINE_PROTECT_H
#define HVPT_ENGINE_PROTECT_H

#include "plan.h"

struct hvpt_protect {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t start;
    uint64_t end;
    struct hvpt_attr attr;
    uint32_t mask;
    bool log;         /* this is write_protect: take HVPT_WRITE and mark the page; holes are fine */
    bool split_start; /* the leaf at that edge extends beyond the range and would change */
    bool split_end;
};

/*
 * The last leaf at level 0 that was looked at, since most leaves of a table differ in the address only and can reuse
 * its result (4x). change: the bits that protect flips in it; stale: a CPU may have to forget it.
 */
struct hvpt_protect_memo {
    uint64_t entry; /* 0: none yet, and no present leaf is like it */
    uint64_t change;
    bool stale;
};

HVPT_INLINE bool hvpt_protect_is_like(const struct hvpt_protect_memo *memo, uint64_t entry, uint64_t matters)
{
    return memo->entry != 0 && !((entry ^ memo->entry) & matters);
}

/* The attributes that a leaf with attributes old is to get. */
static inline struct hvpt_attr hvpt_protect_attr(const struct hvpt_protect *protect, struct hvpt_attr old)
{
    const uint32_t kept = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED, perm = protect->mask & HVPT_PERM_ALL;

    old.flags &= ~(uint32_t)HVPT_JOINED;
    old.perm = (old.perm & ~perm) | (protect->attr.perm & perm);
    if (perm & HVPT_WRITE)
        old.flags &= ~(uint32_t)HVPT_LOGGED;
    if (protect->mask & HVPT_CHANGE_MEMTYPE)
        old.memtype = protect->attr.memtype;
    if (protect->mask & HVPT_CHANGE_FLAGS)
        old.flags = (old.flags & kept) | (protect->attr.flags & ~kept);
    if (protect->mask & HVPT_CHANGE_SOFTWARE)
        old.software = protect->attr.software;
    return old;
}

/*
 * The leaf that entry becomes, in *changed. HVPT_E_ATTR: it cannot be expressed, at this level or at all, or a policy
 * forbids it. Cannot fail for a leaf that has passed the plan.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_protect_leaf(const struct hvpt_protect *protect, uint64_t entry,
                                                           unsigned level, uint64_t *changed)
{
    const struct hvpt_space *space = protect->space;
    struct hvpt_attr old, attr;
    struct hvpt_leaf leaf;
    enum hvpt_status status;

    if (protect->log) {
        *changed = (space->rules->log_writes)(space, entry);
        /* A write-only page would be left without any permission. */
        return *changed != entry && (space->rules->decode)(space, *changed, level).perm == 0 ? HVPT_E_ATTR : HVPT_OK;
    }
    old = (space->rules->decode)(space, entry, level);
    attr = hvpt_protect_attr(protect, old);
    status = (space->rules->encode)(space, attr, &leaf);
    if (status != HVPT_OK)
        return status;
    if (level > leaf.max_level
        || ((space->policy & HVPT_POLICY_EXEC_4K_ONLY) && level > 0
            && (attr.perm & ~old.perm & (HVPT_EXEC | HVPT_EXEC_USER))))
        return HVPT_E_ATTR;
    *changed = (space->rules->change)(space, entry, leaf.bits[level], protect->mask, level);
    return HVPT_OK;
}

static inline HVPT_COLD enum hvpt_status hvpt_protect_plan_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_protect *protect = (struct hvpt_protect *)ctx;
    const struct hvpt_space *space = protect->space;
    const uint64_t matters = space->page_mask;
    struct hvpt_protect_memo memo = {0, 0, false};
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]), changed;
        enum hvpt_status status;

        if (HVPT_LIKELY(hvpt_protect_is_like(&memo, entry, matters)))
            continue;
        if (!hvpt_is_present(space, entry)) {
            if (protect->log)
                continue;
            return HVPT_E_ABSENT;
        }
        if (!hvpt_is_leaf(space, entry, run->level))
            return HVPT_E_CORRUPT;
        status = hvpt_protect_leaf(protect, entry, run->level, &changed);
        if (status != HVPT_OK)
            return status;
        if (changed != entry) {
            protect->split_start = protect->split_start || run->gpa < protect->start;
            protect->split_end =
                protect->split_end || run->gpa + run->count * hvpt_span(space, run->level) > protect->end;
        }
        /* In a contiguous set the address bits of a leaf may hold more than its address (Svnapot). */
        memo.entry = run->level == 0 && !hvpt_is_contig(space, entry, 0) ? entry : 0;
    }
    return HVPT_OK;
}

/* Could a CPU that has the old leaf cached allow more than the new one does, or use another memory type? */
static inline bool hvpt_is_stale(const struct hvpt_space *space, uint64_t before, uint64_t after, unsigned level)
{
    const struct hvpt_rules *rules = space->rules;

    if (before == after)
        return false;
    return space->relax_flushes || ((before ^ after) & ~rules->lenient_bits) != 0
        || ((rules->decode)(space, before, level).perm & ~(rules->decode)(space, after, level).perm) != 0;
}

/* Change one present leaf, again and again until hardware does not interfere. */
HVPT_FUNCTION HVPT_COLD void hvpt_protect_one(const struct hvpt_protect *protect, hvpt_entry *slot, uint64_t old,
                                              uint64_t gpa, unsigned level, struct hvpt_protect_memo *memo)
{
    struct hvpt_space *space = protect->space;
    bool broken = false;

    memo->entry = 0;
    for (;;) {
        uint64_t entry = old;

        (void)hvpt_protect_leaf(protect, old, level, &entry);
        if (broken) {
            hvpt_store_release(slot, entry);
            return;
        }
        if ((entry ^ old) & space->break_bits) {
            old = hvpt_break(space, protect->flush, slot, gpa, level);
            broken = true;
        } else if (entry == old || hvpt_compare_exchange(slot, &old, entry)) {
            memo->entry = level == 0 ? old : 0;
            memo->change = entry ^ old;
            memo->stale = hvpt_is_stale(space, old, entry, level);
            if (memo->stale)
                hvpt_defer(space, protect->flush, gpa, hvpt_span(space, level), false);
            return;
        }
    }
}

static inline HVPT_COLD enum hvpt_status hvpt_protect_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_protect *protect = (struct hvpt_protect *)ctx;
    struct hvpt_space *space = protect->space;
    const uint64_t matters = space->page_mask;
    struct hvpt_protect_memo memo = {0, 0, false};
    unsigned i;

    hvpt_unfold_run(space, protect->flush, run);
    for (i = 0; i < run->count; i++) {
        uint64_t gpa = run->gpa + i * hvpt_span(space, run->level);
        uint64_t old = hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(space, old))
            continue;
        /* The plan would have split it if it had been writable; a permission that touch gave back since stays. */
        if (protect->log && run->level > 0
            && (gpa < protect->start || hvpt_span(space, run->level) > protect->end - gpa))
            continue;
        if (HVPT_LIKELY(hvpt_protect_is_like(&memo, old, matters))
            && (memo.change == 0 || hvpt_compare_exchange(&run->slot[i], &old, old ^ memo.change))) {
            if (memo.stale)
                hvpt_defer_page(space, protect->flush, gpa, hvpt_span(space, 0));
        } else {
            hvpt_protect_one(protect, &run->slot[i], old, gpa, run->level, &memo);
        }
    }
    return HVPT_OK;
}

/* protect or, with log, write_protect, which has only a range and a flush. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_protect_range(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                            struct hvpt_attr attr, uint32_t mask, bool log,
                                                            struct hvpt_flush *flush)
{
    static const struct hvpt_steps plan = {NULL, hvpt_protect_plan_slots, NULL};
    static const struct hvpt_steps commit = {NULL, hvpt_protect_slots, NULL};
    struct hvpt_protect protect = {space, NULL, gpa, gpa + size, attr, mask, log, false, false};
    struct hvpt_flush own;
    struct hvpt_frames list;
    uint64_t frames = 0;
    enum hvpt_status status = hvpt_check_edit(space, gpa, size);

    if (status != HVPT_OK)
        return status;
    if (mask & ~(HVPT_PERM_ALL | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_FLAGS | HVPT_CHANGE_SOFTWARE))
        return HVPT_E_ATTR;
    protect.flush = hvpt_flush_begin(space, flush, &own);
    status = hvpt_walk(space, gpa, protect.end, &plan, &protect);
    if (status == HVPT_OK && (protect.split_start || protect.split_end))
        status = hvpt_edges_need(space, gpa, protect.end, protect.split_start, protect.split_end, &frames);
    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, frames);
    if (status != HVPT_OK)
        return status;
    if (protect.split_start)
        hvpt_split_at(space, &list, protect.flush, gpa);
    if (protect.split_end)
        hvpt_split_at(space, &list, protect.flush, protect.end);
    status = hvpt_walk(space, gpa, protect.end, &commit, &protect);
    hvpt_flush_end(space, protect.flush, &own);
    return status;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                       struct hvpt_attr attr, uint32_t mask, struct hvpt_flush *flush)
{
    return hvpt_protect_range(space, gpa.value, size, attr, mask, false, flush);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_write_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                             struct hvpt_flush *flush)
{
    const struct hvpt_attr none = {0, HVPT_MEM_UC, 0, 0};

    return hvpt_protect_range(space, gpa.value, size, none, 0, true, flush);
}

#endif
