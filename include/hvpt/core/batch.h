/*
 * translate_batch: many addresses at once. The walks go down side by side, so their cache misses overlap.
 */
#ifndef HVPT_CORE_BATCH_H
#define HVPT_CORE_BATCH_H

#include "translate.h"

/* Walks side by side: more than a core has buffers for misses, so that none is idle; many more would only take stack. */
#define HVPT_BATCH 32

/*
 * Down to level 1 one after the other, since the tables above are few and their entries hot; then a level at a time, all
 * side by side. Whoever meets anything but plain tables and a plain leaf leaves the row, and goes alone at the end.
 */
HVPT_ENGINE void hvpt_translate_some(const struct hvpt_format *format, const struct hvpt_space *space,
                                     const hvpt_gpa *gpa, unsigned count, struct hvpt_mapping *out,
                                     enum hvpt_status *status)
{
    const bool called = hvpt_hooks_called(space);
    const unsigned root = space->root_level;
    const hvpt_entry *slot[HVPT_BATCH];
    unsigned i, level;

    for (i = 0; i < count; i++) {
        const uint64_t at = gpa[i].value;

        slot[i] = NULL;
        if (HVPT_UNLIKELY(at >= space->gpa_limit || root == 0))
            continue;
        slot[i] = &space->root_table[at >> hvpt_span_shift(format, root)];
        for (level = root; level > 1 && HVPT_LIKELY(slot[i] != NULL); level--)
            slot[i] = hvpt_plain_below(format, space, called, slot[i], at, level);
        hvpt_prefetch(slot[i]);
    }
    for (i = 0; i < count; i++) {
        if (HVPT_LIKELY(slot[i] != NULL))
            slot[i] = hvpt_plain_below(format, space, called, slot[i], gpa[i].value, 1);
        hvpt_prefetch(slot[i]);
    }
    for (i = 0; i < count; i++) {
        const uint64_t entry = HVPT_LIKELY(slot[i] != NULL) ? hvpt_load(slot[i]) : ~space->plain_leaf_bits;

        if (HVPT_LIKELY((entry & space->plain_leaf_mask) == space->plain_leaf_bits)) {
            hvpt_describe(format, space, gpa[i].value, entry, 0, HVPT_PERM_ALL, &out[i]);
            status[i] = HVPT_OK;
        } else {
            status[i] = hvpt_translate_seldom(format, space, gpa[i], &out[i]);
        }
    }
}

/*
 * translate for count addresses: status[i] and, with HVPT_OK, out[i] are what translate says of gpa[i]; without, out[i]
 * holds nothing of use.
 * Safe beside map, fault_map and other readers, from any CPU.
 */
HVPT_ENGINE void hvpt_translate_many(const struct hvpt_format *format, const struct hvpt_space *space,
                                     const hvpt_gpa *gpa, size_t count, struct hvpt_mapping *out,
                                     enum hvpt_status *status)
{
    while (count != 0) {
        unsigned some = count < HVPT_BATCH ? (unsigned)count : HVPT_BATCH;

        hvpt_translate_some(format, space, gpa, some, out, status);
        gpa += some;
        out += some;
        status += some;
        count -= some;
    }
}

#endif
