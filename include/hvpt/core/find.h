/*
 * The shortest way down, for operations on a single page: from the root to the entry that decides about an address.
 * Unrolled over the levels, so that every shift is a constant; tree.h has the same as a loop, for everything else.
 */
#ifndef HVPT_CORE_FIND_H
#define HVPT_CORE_FIND_H

#include "state.h"

/*
 * slot, entry: the first on the way that is not a well-formed reference to a table, and what it holds; NULL: a table
 * cannot be reached.  link: the entry that leads to its table; 0: that is the root.  perm: what all tables allow.
 */
struct hvpt_place {
    hvpt_entry *slot;
    uint64_t entry;
    uint64_t link;
    uint64_t mask; /* the space's plain_table_mask and _bits, read once */
    uint64_t bits;
    unsigned level;
    uint32_t perm;
};

/* One level down, if the entry at level is a table. */
HVPT_ENGINE bool hvpt_find_below(const struct hvpt_format *format, const struct hvpt_space *space,
                                 const struct hvpt_view *view, uint64_t gpa, unsigned level, struct hvpt_place *place)
{
    hvpt_entry *table;
    uint64_t frame = format->plain_frame(space, place->entry);

    if (HVPT_UNLIKELY((place->entry & place->mask) != place->bits)) {
        if (!format->is_table(space, place->entry, level))
            return false;
        place->perm &= format->table_perm(space, place->entry);
        frame = format->table_frame(space, place->entry);
    }
    table = hvpt_table_in(view, frame);
    place->slot = NULL;
    /* Memory at a fixed offset is all there. */
    if ((view->called || sizeof(uintptr_t) < sizeof(frame)) && HVPT_UNLIKELY(table == NULL))
        return false;
    place->link = place->entry;
    place->slot = table + ((gpa >> hvpt_span_shift(format, level - 1)) & (hvpt_entries(format) - 1));
    place->entry = hvpt_load(place->slot);
    place->level = level - 1;
    return true;
}

/* From the root to level 1, or to what stands in the way. gpa lies in the space. */
HVPT_ENGINE struct hvpt_place hvpt_find_table(const struct hvpt_format *format, const struct hvpt_space *space,
                                              const struct hvpt_view *view, uint64_t gpa)
{
    const unsigned root = space->root_level;
    struct hvpt_place place;

    place.slot = space->root_table + (gpa >> hvpt_span_shift(format, root));
    place.entry = hvpt_load(place.slot);
    place.link = 0;
    place.level = root;
    place.mask = space->plain_table_mask;
    place.bits = space->plain_table_bits;
    place.perm = HVPT_PERM_ALL;
    if ((root <= 3 || hvpt_find_below(format, space, view, gpa, 4, &place))
        && (root <= 2 || hvpt_find_below(format, space, view, gpa, 3, &place)) && root > 1)
        (void)hvpt_find_below(format, space, view, gpa, 2, &place);
    return place;
}

/* gpa lies in the space. Safe from any CPU beside map, fault_map and other readers. */
HVPT_ENGINE struct hvpt_place hvpt_find(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa)
{
    const struct hvpt_view view = hvpt_view_of(space);
    struct hvpt_place place = hvpt_find_table(format, space, &view, gpa);

    if (HVPT_LIKELY(place.level == 1 && place.slot != NULL))
        (void)hvpt_find_below(format, space, &view, gpa, 1, &place);
    return place;
}

/*
 * The same for the writer, who goes on near where it was last: most single pages lie in the gigabyte of the one before
 * (bench: half the time).
 */
HVPT_ENGINE struct hvpt_place hvpt_find_near(const struct hvpt_format *format, struct hvpt_space *space, uint64_t gpa)
{
    const struct hvpt_view view = hvpt_view_of(space);
    const uint64_t range = gpa >> hvpt_span_shift(format, 2);
    const unsigned index = (unsigned)(gpa >> hvpt_span_shift(format, 1)) & (hvpt_entries(format) - 1);
    struct hvpt_place place;

    if (HVPT_LIKELY(space->cursor_range == range)) {
        place.slot = space->cursor_table + index;
        place.entry = hvpt_load(place.slot);
        place.level = 1;
        place.mask = space->plain_table_mask;
        place.bits = space->plain_table_bits;
        place.perm = HVPT_PERM_ALL;
    } else {
        place = hvpt_find_table(format, space, &view, gpa);
        if (HVPT_UNLIKELY(place.level != 1 || place.slot == NULL))
            return place;
        if (space->root_level > 1) { /* a root may be larger than other tables */
            space->cursor_range = range;
            space->cursor_table = place.slot - index;
        }
    }
    (void)hvpt_find_below(format, space, &view, gpa, 1, &place);
    return place;
}

#endif
