/*
 * What the guest touched: accessed and dirty pages read and cleared, by the bits that hardware keeps or, without them,
 * by taking rights away and giving them back at the fault.
 */
#ifndef HVPT_CORE_LOG_H
#define HVPT_CORE_LOG_H

#include "protect.h"

struct hvpt_harvest {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    uint64_t *bitmap;
    uint64_t start;
    uint64_t end;
    bool dirty; /* or accessed */
};

/* Set count bits from bit first upwards, whole words at a time. */
static HVPT_NOINLINE void hvpt_bitmap_set(uint64_t *bitmap, uint64_t first, uint64_t count)
{
    while (count != 0) {
        uint64_t shift = first & 63;
        uint64_t room = 64 - shift;
        uint64_t here = count < room ? count : room;

        bitmap[first >> 6] |= (here == 64 ? ~UINT64_C(0) : (UINT64_C(1) << here) - 1) << shift;
        first += here;
        count -= here;
    }
}

HVPT_ENGINE enum hvpt_status hvpt_harvest_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                void *ctx, const struct hvpt_run *run)
{
    struct hvpt_harvest *harvest = (struct hvpt_harvest *)ctx;
    uint64_t span = hvpt_span(format, run->level);
    unsigned i;

    hvpt_unjoin_run(format, harvest->space, harvest->flush, run);
    for (i = 0; i < run->count; i++) {
        uint64_t old = hvpt_load(&run->slot[i]);
        uint64_t gpa = run->gpa + i * span;
        uint64_t first = gpa > harvest->start ? gpa : harvest->start;
        uint64_t past = span < harvest->end - gpa ? gpa + span : harvest->end;
        uint64_t cleared;

        if (!hvpt_is_present(space, old) || !format->is_leaf(space, old, run->level))
            continue;
        cleared = harvest->dirty ? format->clean(space, old) : format->forget(space, old);
        if (cleared == old)
            continue;
        hvpt_bitmap_set(harvest->bitmap, (first - harvest->start) >> format->page_shift,
                        (past - first) >> format->page_shift);
        if (past - first != span)
            continue; /* it stands for pages outside, too, which would be forgotten */
        while (!hvpt_compare_exchange(&run->slot[i], &old, cleared))
            cleared = harvest->dirty ? format->clean(space, old) : format->forget(space, old);
        hvpt_owe_flush(space, harvest->flush, gpa, span, false);
    }
    return HVPT_OK;
}

/*
 * Read and clear, for [gpa, gpa + size), which pages were written (dirty) or used at all (not dirty: accessed) since
 * the last time. Bit i of bitmap, bit i % 64 of word i / 64, is set for smallest page i of the range; other bits are
 * left as they are. A large page sets the bits of all its parts; one that sticks out of the range is reported but not
 * cleared.
 *
 * Where hardware keeps the bits they are read and cleared. Where not, "dirty" reports pages that may be written and
 * write-logs them (HVPT_LOGGED), "accessed" reports pages that have rights and takes those away; touch gives them back
 * at the fault.
 *
 * flush: until it is done CPUs may go on using what they have cached without setting the bits again. NULL: done at
 * once.
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_READONLY.  HVPT_E_CORRUPT: a table cannot be reached; bits before it have been
 * cleared and are in bitmap.
 *
 * The caller serializes it against everything but hardware, touch and readers.
 */
HVPT_ENGINE enum hvpt_status hvpt_harvest_range(const struct hvpt_format *format, struct hvpt_space *space,
                                                hvpt_gpa gpa, uint64_t size, bool dirty, uint64_t *bitmap,
                                                struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_harvest harvest;
    enum hvpt_status status = hvpt_check_range(format, space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    harvest.space = space;
    harvest.flush = hvpt_flush_or_own(flush, &own);
    harvest.bitmap = bitmap;
    harvest.start = gpa.value;
    harvest.end = gpa.value + size;
    harvest.dirty = dirty;
    status = format->harvest(space, harvest.start, harvest.end, HVPT_VISIT_HARVEST, &harvest);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

/*
 * Take HVPT_WRITE from every leaf of [gpa, gpa + size) that has it and mark it HVPT_LOGGED: the guest's next write
 * faults, and touch gives the right back. Holes are fine; large pages that stick out are split, others keep their size.
 * flush: until it is done writes may still go unseen. NULL: done before the call returns.
 * EPT with sub-page write permissions: a page that has HVPT_EPT_SUB_PAGE_WRITE lacks HVPT_WRITE, so its sub-pages stay
 * writable; take them by the sub-page table (spp.h).
 * EPT with #VE: a page that is to fault into the hypervisor must have been mapped with HVPT_EPT_SUPPRESS_VE.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_READONLY, HVPT_E_NOMEM, HVPT_E_CORRUPT: nothing changed.
 *
 * The caller serializes it against everything but hardware, touch and readers.
 */
HVPT_ENGINE enum hvpt_status hvpt_write_protect_range(const struct hvpt_format *format, struct hvpt_space *space,
                                                      hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    const struct hvpt_attr none = {0, HVPT_MEM_UC, 0, 0};

    return format->protect_pieces(space, gpa.value, size, none, 0, true, flush);
}

/*
 * The guest faulted on gpa: give back what write_protect, dirty or age took from the page.
 * access: the one right it wanted, HVPT_READ, HVPT_WRITE, HVPT_EXEC or HVPT_EXEC_USER.
 *
 * HVPT_OK: the page allows the access now (another CPU may have seen to it); let the guest try again. Where a CPU could
 * go on denying it from what it has cached (Arm, RISC-V), the page has been flushed, through the hook, by this very
 * call.
 * HVPT_E_ATTR: the page denies it for good.  HVPT_E_ABSENT: also while break-before-make has it in hand (Arm): try
 * again.
 * HVPT_E_RANGE, HVPT_E_READONLY, HVPT_E_CORRUPT.
 *
 * Safe on any number of CPUs at once, beside readers, map and fault_map, and beside dirty, age and write_protect.
 */
HVPT_ENGINE enum hvpt_status hvpt_touch_page(const struct hvpt_format *format, struct hvpt_space *space, hvpt_gpa gpa,
                                             uint32_t access)
{
    struct hvpt_flush own;
    struct hvpt_run run;
    uint64_t touched;
    enum hvpt_status status;

    if (gpa.value >= space->gpa_limit)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    do {
        /* Each time from the root: what came between may have been a split. */
        status = format->descend(space, gpa.value, 0, &run);
        if (status != HVPT_OK)
            return status;
        if (!hvpt_is_present(space, run.entry))
            return HVPT_E_ABSENT;
        touched = format->touch(space, run.entry, access);
        if (!(format->leaf_attr(space, touched, run.level).perm & access))
            return HVPT_E_ATTR;
        if (touched == run.entry)
            return HVPT_OK;
    } while (!hvpt_compare_exchange(run.slot, &run.entry, touched));
    if (format->relaxing_needs_flush) {
        /* A CPU that still holds the entry as it was would go on denying. */
        hvpt_flush_clear(&own);
        hvpt_owe_flush(space, &own, run.gpa, hvpt_span(format, run.level), false);
        format->settle(space, &own);
    }
    return HVPT_OK;
}

#endif
