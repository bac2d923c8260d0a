/*
 * protect: change what leaves say, not where they lead. Accessed and dirty bits that hardware sets meanwhile survive.
 */
#ifndef HVPT_CORE_PROTECT_H
#define HVPT_CORE_PROTECT_H

#include "tree.h"

struct hvpt_protect {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t start;
    uint64_t end;
    struct hvpt_attr attr;
    uint32_t mask;
    bool log;         /* write_protect: take HVPT_WRITE where it is, and remember; holes are fine */
    bool split_start; /* the leaf at that edge sticks out and would change */
    bool split_end;
};

/* What a leaf with attributes old says after the call. */
HVPT_ENGINE struct hvpt_attr hvpt_protect_attr(const struct hvpt_protect *protect, struct hvpt_attr old)
{
    const uint32_t hardware = HVPT_ACCESSED | HVPT_DIRTY;
    uint32_t perm = protect->mask & HVPT_PERM_ALL;

    old.flags &= ~(uint32_t)HVPT_JOINED;
    if (protect->log) {
        if (old.perm & HVPT_WRITE)
            old.flags |= HVPT_LOGGED;
        old.perm &= ~(uint32_t)HVPT_WRITE;
        return old;
    }
    old.perm = (old.perm & ~perm) | (protect->attr.perm & perm);
    if (perm & HVPT_WRITE)
        old.flags &= ~(uint32_t)HVPT_LOGGED;
    if (protect->mask & HVPT_CHANGE_MEMTYPE)
        old.memtype = protect->attr.memtype;
    if (protect->mask & HVPT_CHANGE_FLAGS)
        old.flags = (old.flags & (hardware | HVPT_LOGGED)) | (protect->attr.flags & ~(hardware | HVPT_LOGGED));
    if (protect->mask & HVPT_CHANGE_SOFTWARE)
        old.software = protect->attr.software;
    return old;
}

/* The leaf entry becomes this when it says attr. Bits that no attribute stands for stay as they are. */
HVPT_ENGINE uint64_t hvpt_protect_leaf(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t entry,
                                       struct hvpt_attr attr, unsigned level)
{
    uint64_t bits = format->attr_bits(space, level);

    return (entry & ~bits) | (format->make_leaf(space, 0, attr, level) & bits);
}

/*
 * What is true of one leaf at level 0 is true of all that differ from it in the address alone, and most of a table's do:
 * a leaf like the last one is not taken apart (bench: 4x). change: what protect flips in it; stale: a CPU may have to
 * forget it.
 */
struct hvpt_protect_like {
    uint64_t entry; /* 0: none yet, and no present leaf is like it */
    uint64_t change;
    bool stale;
};

/* matters: hvpt_protect_matters. */
HVPT_ENGINE bool hvpt_protect_is_like(const struct hvpt_protect_like *like, uint64_t entry, uint64_t matters)
{
    return like->entry != 0 && !((entry ^ like->entry) & matters);
}

/* All bits of a leaf at level 0 but those of an address that the CPU has: it may not have the higher ones. */
HVPT_ENGINE uint64_t hvpt_protect_matters(const struct hvpt_format *format, const struct hvpt_space *space)
{
    return ~format->plain_frame(space, UINT64_MAX) | space->plain_leaf_mask;
}

HVPT_ENGINE enum hvpt_status hvpt_protect_plan_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                     void *ctx, const struct hvpt_run *run)
{
    struct hvpt_protect *protect = (struct hvpt_protect *)ctx;
    const uint64_t matters = hvpt_protect_matters(format, space);
    uint64_t span = hvpt_span(format, run->level);
    struct hvpt_protect_like like = {0, 0, false};
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);
        struct hvpt_attr old, attr;
        enum hvpt_status status;

        if (hvpt_protect_is_like(&like, entry, matters))
            continue;

        if (!hvpt_is_present(space, entry)) {
            if (protect->log)
                continue;
            return HVPT_E_ABSENT;
        }
        if (!format->is_leaf(space, entry, run->level))
            return HVPT_E_CORRUPT;
        old = format->leaf_attr(space, entry, run->level);
        attr = hvpt_protect_attr(protect, old);
        status = format->check_attr(space, attr);
        if (status != HVPT_OK)
            return status;
        if (run->level > format->attr_level(space, attr))
            return HVPT_E_ATTR;
        if ((space->policy & HVPT_POLICY_EXEC_4K_ONLY) && run->level > 0
            && (attr.perm & ~old.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
            return HVPT_E_ATTR;
        if (hvpt_protect_leaf(format, space, entry, attr, run->level) != entry) {
            protect->split_start = protect->split_start || run->gpa < protect->start;
            protect->split_end = protect->split_end || run->gpa + run->count * span > protect->end;
        }
        /* The address of a joined leaf says more than an address. */
        like.entry = run->level == 0 && !format->is_joined(space, entry, 0) ? entry : 0;
    }
    return HVPT_OK;
}

/* Could a CPU that still uses a leaf as it was allow what it does not now, or use another memory type? */
HVPT_ENGINE bool hvpt_protect_is_stale(const struct hvpt_format *format, struct hvpt_attr before,
                                       struct hvpt_attr after)
{
    return format->relaxing_needs_flush || (before.perm & ~after.perm) != 0 || before.memtype != after.memtype
        || before.flags != after.flags;
}

/* One present leaf, until no hardware comes between. *like is what it taught, or nothing. */
HVPT_ENGINE void hvpt_protect_one(const struct hvpt_format *format, const struct hvpt_protect *protect,
                                  hvpt_entry *slot, uint64_t old, uint64_t gpa, unsigned level,
                                  struct hvpt_protect_like *like)
{
    struct hvpt_space *space = protect->space;
    bool broken = false;

    like->entry = 0;

    for (;;) {
        struct hvpt_attr before = format->leaf_attr(space, old, level);
        struct hvpt_attr after = hvpt_protect_attr(protect, before);
        uint64_t entry = hvpt_protect_leaf(format, space, old, after, level);

        if (broken) {
            hvpt_store_release(slot, entry);
            return;
        }
        if ((entry ^ old) & format->break_bits) {
            old = hvpt_break(format, space, protect->flush, slot, gpa, level);
            broken = true;
        } else if (entry == old || hvpt_compare_exchange(slot, &old, entry)) {
            like->entry = level == 0 ? old : 0;
            like->change = entry ^ old;
            like->stale = like->change != 0 && hvpt_protect_is_stale(format, before, after);
            if (like->stale)
                hvpt_owe_flush(space, protect->flush, gpa, hvpt_span(format, level), false);
            return;
        }
    }
}

HVPT_ENGINE enum hvpt_status hvpt_protect_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                void *ctx, const struct hvpt_run *run)
{
    struct hvpt_protect *protect = (struct hvpt_protect *)ctx;
    const uint64_t matters = hvpt_protect_matters(format, space);
    struct hvpt_protect_like like = {0, 0, false};
    unsigned i;

    hvpt_unjoin_run(format, protect->space, protect->flush, run);
    for (i = 0; i < run->count; i++) {
        uint64_t gpa = run->gpa + i * hvpt_span(format, run->level);
        uint64_t old = hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(space, old))
            continue;
        if (hvpt_protect_is_like(&like, old, matters)
            && (like.change == 0 || hvpt_compare_exchange(&run->slot[i], &old, old ^ like.change))) {
            if (like.stale)
                hvpt_owe_page(format, space, protect->flush, gpa);
        } else {
            hvpt_protect_one(format, protect, &run->slot[i], old, gpa, run->level, &like);
        }
    }
    return HVPT_OK;
}

/*
 * protect, and with log write_protect, whose attr and mask do not count. Compiled once a format, out of line, as
 * format->protect_pieces.
 */
HVPT_ENGINE enum hvpt_status hvpt_protect_pieces(const struct hvpt_format *format, struct hvpt_space *space,
                                                 uint64_t gpa, uint64_t size, struct hvpt_attr attr, uint32_t mask,
                                                 bool log, struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_protect protect = {space, hvpt_flush_or_own(flush, &own), gpa, gpa + size, attr, mask, log, false,
                                   false};
    struct hvpt_frames list;
    uint64_t frames = 0;
    enum hvpt_status status = hvpt_check_range(format, space, gpa, size);

    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    status = format->look(space, protect.start, protect.end, HVPT_VISIT_PROTECT_PLAN, &protect);
    if (status == HVPT_OK && (protect.split_start || protect.split_end))
        status =
            hvpt_edges_need(format, space, protect.start, protect.end, protect.split_start, protect.split_end, &frames);
    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, frames);
    if (status != HVPT_OK)
        return status;
    if (protect.split_start)
        hvpt_split_at(format, space, &list, protect.flush, protect.start);
    if (protect.split_end)
        hvpt_split_at(format, space, &list, protect.flush, protect.end);
    status = format->change(space, protect.start, protect.end, HVPT_VISIT_PROTECT, &protect);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

/*
 * Change the leaves of [gpa, gpa + size): the permission bits in mask, and the memory type, flags and software bits
 * where mask has HVPT_CHANGE_MEMTYPE, _FLAGS, _SOFTWARE, to what attr says. The rest is kept; accessed and dirty bits
 * always are. Naming HVPT_WRITE in mask also ends write logging of the page (HVPT_LOGGED). Large pages that stick out
 * are split.
 * flush: see hvpt_flush; NULL: flushed before the call returns.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_READONLY: the arguments.  HVPT_E_ABSENT: a hole.  HVPT_E_ATTR: a leaf would say
 * what cannot be said, or the "execute only on 4K pages" policy forbids it (split first).  HVPT_E_NOMEM,
 * HVPT_E_CORRUPT. Nothing changed then.
 *
 * The caller serializes it against everything but hardware.
 */
HVPT_ENGINE enum hvpt_status hvpt_protect_range(const struct hvpt_format *format, struct hvpt_space *space,
                                                hvpt_gpa gpa, uint64_t size, struct hvpt_attr attr, uint32_t mask,
                                                struct hvpt_flush *flush)
{
    return format->protect_pieces(space, gpa.value, size, attr, mask, false, flush);
}

#endif
