/*
 * translate: what hardware would do with a guest-physical address, without its side effects.
 */
#ifndef HVPT_CORE_TRANSLATE_H
#define HVPT_CORE_TRANSLATE_H

#include "find.h"

/* What a leaf found at level means for gpa. perm: what the tables on the way allow. */
HVPT_ENGINE void hvpt_describe(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa,
                               uint64_t entry, unsigned level, uint32_t perm, struct hvpt_mapping *out)
{
    uint64_t inside = gpa & (hvpt_span(format, level) - 1);

    out->hpa = hvpt_make_hpa(format->leaf_address(space, entry, level, gpa) | inside);
    out->attr = format->leaf_attr(space, entry, level);
    out->attr.perm &= perm;
    out->page_size = hvpt_span(format, level);
    out->level = level;
    out->entry = entry;
}

/*
 * The walk ended at this entry, which is no plain leaf. Compiled once a format, out of line, as format->translate_rest.
 */
HVPT_ENGINE enum hvpt_status hvpt_translate_rest(const struct hvpt_format *format, const struct hvpt_space *space,
                                                 uint64_t gpa, uint64_t entry, unsigned level, uint32_t perm,
                                                 struct hvpt_mapping *out)
{
    if (level == HVPT_LEVEL_UNSEEN)
        return HVPT_E_CORRUPT;
    if (!hvpt_is_present(space, entry))
        return HVPT_E_ABSENT;
    if (!format->is_leaf(space, entry, level))
        return HVPT_E_CORRUPT;
    hvpt_describe(format, space, gpa, entry, level, perm, out);
    return HVPT_OK;
}

/*
 * Where does gpa lead, and with which rights? *out is written only with HVPT_OK.
 *
 * HVPT_E_RANGE: beyond the space.  HVPT_E_ABSENT: not mapped.  HVPT_E_CORRUPT: hardware would call it a
 * misconfiguration or a reserved-bit fault, or a table cannot be reached.
 *
 * Safe beside map, fault_map and other readers, from any CPU.
 */
HVPT_ENGINE enum hvpt_status hvpt_translate_one(const struct hvpt_format *format, const struct hvpt_space *space,
                                                hvpt_gpa gpa, struct hvpt_mapping *out)
{
    struct hvpt_found found;

    if (HVPT_UNLIKELY(gpa.value >= space->gpa_limit))
        return HVPT_E_RANGE;
    if (HVPT_LIKELY(hvpt_goes_inline(space)))
        found = hvpt_found_at(hvpt_find_usual(format, space, HVPT_HOOKS_KNOWN && hvpt_hooks_called(space), gpa.value));
    else
        found = format->find_far(space, gpa.value);
    if (HVPT_UNLIKELY(found.level != 0 || (found.entry & space->plain_leaf_mask) != space->plain_leaf_bits))
        return format->translate_rest(space, gpa.value, found.entry, found.level, found.perm, out);
    hvpt_describe(format, space, gpa.value, found.entry, 0, found.perm, out);
    return HVPT_OK;
}

/* translate, where speed does not matter: no walk in line. */
HVPT_ENGINE enum hvpt_status hvpt_translate_seldom(const struct hvpt_format *format, const struct hvpt_space *space,
                                                   hvpt_gpa gpa, struct hvpt_mapping *out)
{
    struct hvpt_found found;

    if (gpa.value >= space->gpa_limit)
        return HVPT_E_RANGE;
    found = format->find_far(space, gpa.value);
    return format->translate_rest(space, gpa.value, found.entry, found.level, found.perm, out);
}

#endif
