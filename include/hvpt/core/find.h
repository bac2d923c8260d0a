/*
 * The way down from the root to the entry that decides about an address: in line and unrolled, so that every shift is a
 * constant, for what is done once a page; and as a loop for everything else.
 */
#ifndef HVPT_CORE_FIND_H
#define HVPT_CORE_FIND_H

#include "state.h"

/* As a place's level: a table on the way cannot be reached. */
#define HVPT_LEVEL_UNSEEN HVPT_MAX_LEVELS

/* The level of most roots: what is inlined is for them, the rest is called. */
#define HVPT_USUAL_ROOT 3

/*
 * slot, entry: the first on the way that is not a well-formed reference to a table, and what it holds.  level: of its
 * table; HVPT_LEVEL_UNSEEN: neither means anything.  upper, link: the slot and the entry that lead to its table; NULL and
 * 0: that is the root.  perm: what all tables allow.
 */
struct hvpt_place {
    hvpt_entry *slot;
    uint64_t entry;
    hvpt_entry *upper;
    uint64_t link;
    unsigned level;
    uint32_t perm;
};

HVPT_ENGINE struct hvpt_place hvpt_find_from(hvpt_entry *slot, unsigned level)
{
    struct hvpt_place place;

    place.slot = slot;
    place.entry = hvpt_load(slot);
    place.upper = NULL;
    place.link = 0;
    place.level = level;
    place.perm = HVPT_PERM_ALL;
    return place;
}

/* One level down from the entry at level, if it is a plain table that this code can see; else NULL. */
HVPT_ENGINE hvpt_entry *hvpt_plain_below(const struct hvpt_format *format, const struct hvpt_space *space, bool called,
                                         const hvpt_entry *slot, uint64_t gpa, unsigned level)
{
    const uint64_t entry = hvpt_load(slot);
    hvpt_entry *table;

    if (HVPT_UNLIKELY((entry & space->plain_table_mask) != space->plain_table_bits))
        return NULL;
    table = hvpt_table_by(space, called, format->plain_frame(space, entry));
    if (HVPT_UNLIKELY(!hvpt_is_seen(called, table)))
        return NULL;
    return table + ((gpa >> hvpt_span_shift(format, level - 1)) & (hvpt_entries(format) - 1));
}

/* One level down, if the entry at level is a table. */
HVPT_ENGINE bool hvpt_find_below(const struct hvpt_format *format, const struct hvpt_space *space,
                                 const struct hvpt_view *view, uint64_t gpa, unsigned level, struct hvpt_place *place)
{
    const uint64_t odd = place->entry ^ view->table_bits; /* plain: no bit of the mask */
    uint64_t frame = format->plain_frame(space, place->entry);
    hvpt_entry *table;

    if (HVPT_UNLIKELY((odd & view->table_mask) != 0)) {
        if (!format->is_table(space, place->entry, level))
            return false;
        place->perm &= format->table_perm(space, place->entry);
        frame = format->table_frame(space, place->entry);
    }
    table = hvpt_table_by(space, view->called, frame);
    if (HVPT_UNLIKELY(!hvpt_is_seen(view->called, table))) {
        place->level = HVPT_LEVEL_UNSEEN;
        return false;
    }
    place->upper = place->slot;
    place->link = place->entry;
    place->slot = table + ((gpa >> hvpt_span_shift(format, level - 1)) & (hvpt_entries(format) - 1));
    place->entry = hvpt_load(place->slot);
    place->level = level - 1;
    return true;
}

/*
 * The way down to gpa's entry in the table at level lowest, or to what stands in the way, whatever the root and the hooks.
 * gpa lies in the space. Safe from any CPU beside map, fault_map and other readers.
 * A loop, and what it need not have at hand is in memory: a call on the way would move registers there anyway. Compiled
 * once a format, out of line, as format->find.
 */
HVPT_ENGINE void hvpt_find(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa,
                           unsigned lowest, struct hvpt_place *out)
{
    unsigned level = space->root_level;
    hvpt_entry *slot = space->root_table + (gpa >> hvpt_span_shift(format, level));
    uint64_t entry;

    out->upper = NULL;
    out->link = 0;
    out->perm = HVPT_PERM_ALL;
    for (;;) {
        const bool called = hvpt_hooks_called(space);
        hvpt_entry *table;
        uint64_t frame;

        entry = hvpt_load(slot);
        if (level <= lowest)
            break;
        frame = format->plain_frame(space, entry);
        if (HVPT_UNLIKELY((entry & space->plain_table_mask) != space->plain_table_bits)) {
            if (!format->is_table(space, entry, level))
                break;
            out->perm &= format->table_perm(space, entry);
            frame = format->table_frame(space, entry);
        }
        out->upper = slot;
        out->link = entry;
        table = hvpt_table_by(space, called, frame);
        if (HVPT_UNLIKELY(!hvpt_is_seen(called, table))) {
            level = HVPT_LEVEL_UNSEEN;
            break;
        }
        level--;
        slot = table + ((gpa >> hvpt_span_shift(format, level)) & (hvpt_entries(format) - 1));
    }
    out->slot = slot;
    out->entry = entry;
    out->level = level;
}

/* May the way down be taken in line? From a root of the usual level, with memory at a fixed offset or known hooks. */
HVPT_ENGINE bool hvpt_goes_inline(const struct hvpt_space *space)
{
    return HVPT_HOOKS_KNOWN ? space->root_level == HVPT_USUAL_ROOT : space->direct;
}

/* The way to level 0 from a root of the usual level, unrolled. called: a constant. */
HVPT_ENGINE struct hvpt_place hvpt_find_usual(const struct hvpt_format *format, const struct hvpt_space *space,
                                              bool called, uint64_t gpa)
{
    const struct hvpt_view view = hvpt_view_of(space, called);
    struct hvpt_place place = hvpt_find_from(space->root_table + (gpa >> hvpt_span_shift(format, 3)), 3);

    (void)(hvpt_find_below(format, space, &view, gpa, 3, &place)
           && hvpt_find_below(format, space, &view, gpa, 2, &place)
           && hvpt_find_below(format, space, &view, gpa, 1, &place));
    return place;
}

/* What a reader wants to know of a place: little enough to be returned in registers. */
struct hvpt_found {
    uint64_t entry;
    uint32_t level;
    uint32_t perm;
};

HVPT_ENGINE struct hvpt_found hvpt_found_at(struct hvpt_place place)
{
    struct hvpt_found found;

    found.entry = place.entry;
    found.level = place.level;
    found.perm = place.perm;
    return found;
}

/* The same for a reader, where it may not be in line. Compiled once a format, out of line, as format->find_far. */
HVPT_ENGINE struct hvpt_found hvpt_find_far(const struct hvpt_format *format, const struct hvpt_space *space,
                                            uint64_t gpa)
{
    struct hvpt_place place;

    if (HVPT_LIKELY(space->root_level == HVPT_USUAL_ROOT && hvpt_hooks_called(space)))
        return hvpt_found_at(hvpt_find_usual(format, space, true, gpa));
    format->find(space, gpa, 0, &place);
    return hvpt_found_at(place);
}

/*
 * The way to level 0 for the writer, who goes on near where it was last: most single pages lie in the gigabyte of the one before
 * (bench: half the time).
 */
HVPT_ENGINE struct hvpt_place hvpt_find_near(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa)
{
    const struct hvpt_view view = hvpt_view_of(space, hvpt_hooks_called(space));
    const uint64_t range = gpa >> hvpt_span_shift(format, 2);
    const unsigned index = (unsigned)(gpa >> hvpt_span_shift(format, 1)) & (hvpt_entries(format) - 1);
    struct hvpt_place place, far;

    if (HVPT_LIKELY(space->cursor_range == range)) {
        place = hvpt_find_from(space->cursor_table + index, 1);
        (void)hvpt_find_below(format, space, &view, gpa, 1, &place);
        return place;
    }
    format->find(space, gpa, 0, &far);
    if (far.level == 0 && space->root_level > 1) { /* a root may be larger than other tables */
        space->cursor_range = range;
        space->cursor_table = far.upper - index;
    }
    return far;
}

#endif
