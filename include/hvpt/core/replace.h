/*
 * replace: point mapped pages elsewhere, one store an entry, so that a guest sees the old page or the new one.
 */
#ifndef HVPT_CORE_REPLACE_H
#define HVPT_CORE_REPLACE_H

#include "map.h"

struct hvpt_replace {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    struct hvpt_frames *list;
    uint64_t start;
    uint64_t end;
    uint64_t hpa; /* of start */
    struct hvpt_attr attr;
    unsigned leaf_level;
    uint64_t tables;
};

/* A leaf that the range covers in part becomes a table; one that is larger than the new page can be becomes several. */
HVPT_ENGINE enum hvpt_status hvpt_replace_plan_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                     void *ctx, const struct hvpt_run *run)
{
    struct hvpt_replace *replace = (struct hvpt_replace *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(space, entry))
            return HVPT_E_ABSENT;
        if (!format->is_leaf(space, entry, run->level))
            return HVPT_E_CORRUPT;
    }
    if (run->level > 0) {
        uint64_t past = run->gpa + hvpt_span(format, run->level);

        replace->tables +=
            hvpt_tables_below(format, run->gpa > replace->start ? run->gpa : replace->start,
                              past < replace->end ? past : replace->end, run->level, replace->leaf_level);
    }
    return HVPT_OK;
}

HVPT_ENGINE enum hvpt_status hvpt_replace_slots(const struct hvpt_format *format, const struct hvpt_space *space,
                                                void *ctx, const struct hvpt_run *run)
{
    struct hvpt_replace *replace = (struct hvpt_replace *)ctx;
    uint64_t size = (uint64_t)run->count << hvpt_span_shift(format, run->level);
    uint64_t hpa = replace->hpa + (run->gpa - replace->start);
    unsigned i;

    hvpt_unjoin_edges(format, replace->space, replace->flush, run, replace->start, replace->end);
    if (format->break_bits != 0) {
        for (i = 0; i < run->count; i++)
            hvpt_store_relaxed(&run->slot[i], space->empty_entry);
        hvpt_owe_flush(space, replace->flush, run->gpa, size, run->level > 0);
        format->settle(replace->space, replace->flush);
    } else {
        hvpt_owe_flush(space, replace->flush, run->gpa, size, false);
    }
    hvpt_fence_release();
    if (run->level <= replace->leaf_level) {
        format->fill_leaves(replace->space, run->slot, run->count, run->gpa, hpa, replace->attr, run->level);
    } else {
        hvpt_store_release(run->slot, hvpt_build_full(format, replace->space, replace->list, hpa, replace->attr,
                                                      run->level, replace->leaf_level));
        hvpt_count_add(&replace->space->stats.leaves[run->level], (uint64_t)-1);
    }
    return HVPT_OK;
}

HVPT_ENGINE enum hvpt_status hvpt_replace_pieces(const struct hvpt_format *format, struct hvpt_space *space,
                                                 struct hvpt_replace *replace)
{
    struct hvpt_frames list;
    enum hvpt_status status = format->look(space, replace->start, replace->end, HVPT_VISIT_REPLACE_PLAN, replace);

    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &list, replace->tables);
    if (status != HVPT_OK)
        return status;
    replace->list = &list;
    hvpt_split_at(format, space, &list, replace->flush, replace->start);
    hvpt_split_at(format, space, &list, replace->flush, replace->end);
    return format->change(space, replace->start, replace->end, HVPT_VISIT_REPLACE, replace);
}

/*
 * Point [gpa, gpa + size), all of it mapped, to [hpa, hpa + size) with the attributes attr. Leaves keep their size
 * where the new address allows it and become smaller ones where not; those that stick out are split. Accessed and dirty
 * bits of the old pages are lost with them: ask "dirty" first, and write-protect before copying a page that the guest may
 * write.
 * flush: see hvpt_flush; NULL: flushed before the call returns. Until then the guest may use the old pages.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_ATTR, HVPT_E_READONLY: the arguments.  HVPT_E_ABSENT: a hole.  HVPT_E_NOMEM,
 * HVPT_E_CORRUPT. Nothing changed then.
 *
 * The caller serializes it against everything but hardware.
 */
HVPT_ENGINE enum hvpt_status hvpt_replace_range(const struct hvpt_format *format, struct hvpt_space *space,
                                                hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                                struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_replace replace;
    enum hvpt_status status = hvpt_check_mapping(format, space, gpa.value, hpa.value, size, attr);

    if (status != HVPT_OK)
        return status;
    replace.space = space;
    replace.flush = hvpt_flush_or_own(flush, &own);
    replace.list = NULL;
    replace.start = gpa.value;
    replace.end = gpa.value + size;
    replace.hpa = hpa.value;
    replace.attr = attr;
    replace.leaf_level = hvpt_leaf_level(format, space, gpa.value, hpa.value, attr);
    replace.tables = 0;
    status = hvpt_replace_pieces(format, space, &replace);
    hvpt_flush_own(format, space, flush, &own);
    return status;
}

#endif
