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
 * A loop, and what it needs comes from memory: a call on the way would only move registers there. Compiled once a format,
 * out of line, as format->find.
 */
HVPT_ENGINE void hvpt_find(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa,
                           unsigned lowest, struct hvpt_place *out)
{
    const bool called = hvpt_hooks_called(space);
    unsigned level = space->root_level;
    struct hvpt_place place = hvpt_find_from(space->root_table + (gpa >> hvpt_span_shift(format, level)), level);

    while (level > lowest) {
        uint64_t frame = format->plain_frame(space, place.entry);
        hvpt_entry *table;

        if (HVPT_UNLIKELY((place.entry & space->plain_table_mask) != space->plain_table_bits)) {
            if (!format->is_table(space, place.entry, level))
                break;
            place.perm &= format->table_perm(space, place.entry);
            frame = format->table_frame(space, place.entry);
        }
        table = hvpt_table_by(space, called, frame);
        if (HVPT_UNLIKELY(!hvpt_is_seen(called, table))) {
            level = HVPT_LEVEL_UNSEEN;
            break;
        }
        level--;
        place.upper = place.slot;
        place.link = place.entry;
        place.slot = table + ((gpa >> hvpt_span_shift(format, level)) & (hvpt_entries(format) - 1));
        place.entry = hvpt_load(place.slot);
    }
    place.level = level;
    *out = place;
}

/*
 * The way to level 0 in line, for a root of the usual level and memory at a fixed offset, or hooks that the compiler
 * knows.
 */
HVPT_ENGINE struct hvpt_place hvpt_find_here(const struct hvpt_format *format, const struct hvpt_space *space,
                                             uint64_t gpa)
{
    const struct hvpt_view view = hvpt_view_of(space, HVPT_HOOKS_KNOWN && hvpt_hooks_called(space));
    struct hvpt_place place, far;

    if (HVPT_LIKELY(HVPT_HOOKS_KNOWN ? space->root_level == HVPT_USUAL_ROOT : space->direct)) {
        place = hvpt_find_from(space->root_table + (gpa >> hvpt_span_shift(format, 3)), 3);
        (void)(hvpt_find_below(format, space, &view, gpa, 3, &place)
               && hvpt_find_below(format, space, &view, gpa, 2, &place)
               && hvpt_find_below(format, space, &view, gpa, 1, &place));
        return place;
    }
    format->find(space, gpa, 0, &far); /* a variable of its own, that the other may stay in registers */
    return far;
}

/*
 * The same for the writer, who goes on near where it was last: most single pages lie in the gigabyte of the one before
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
