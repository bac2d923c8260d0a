/*
 * translate_batch: many addresses at once. The walks go down side by side, so their cache misses overlap.
 */
#ifndef HVPT_CORE_BATCH_H
#define HVPT_CORE_BATCH_H

#include "translate.h"

/* Walks side by side: enough to keep a core's miss buffers busy, few enough for the stack. */
#define HVPT_BATCH 24

HVPT_ENGINE void hvpt_translate_some(const struct hvpt_format *format, const struct hvpt_space *space,
                                     const hvpt_gpa *gpa, unsigned count, struct hvpt_mapping *out,
                                     enum hvpt_status *status)
{
    const hvpt_entry *slot[HVPT_BATCH];
    uint8_t perm[HVPT_BATCH];
    unsigned level = space->root_level;
    unsigned i, going = 0;

    for (i = 0; i < count; i++) {
        slot[i] = NULL;
        perm[i] = HVPT_PERM_ALL;
        status[i] = HVPT_E_RANGE;
        if (gpa[i].value >= space->gpa_limit)
            continue;
        slot[i] = &space->root_table[hvpt_index(format, space, gpa[i].value, level)];
        going++;
    }
    for (; going != 0; level--) {
        for (i = 0; i < count; i++) {
            const hvpt_entry *here = slot[i];
            uint64_t entry;

            if (here == NULL)
                continue;
            entry = hvpt_load(here);
            slot[i] = NULL;
            if (level != 0 && HVPT_LIKELY(format->is_table(space, entry, level))) {
                const hvpt_entry *table = hvpt_table_at(space, format->table_frame(space, entry));

                perm[i] &= (uint8_t)format->table_perm(space, entry);
                status[i] = HVPT_E_CORRUPT;
                if (HVPT_LIKELY(table != NULL)) {
                    slot[i] = table + hvpt_index(format, space, gpa[i].value, level - 1);
                    hvpt_prefetch(slot[i]);
                    continue;
                }
            } else if (!hvpt_is_present(space, entry)) {
                status[i] = HVPT_E_ABSENT;
            } else if (!format->is_leaf(space, entry, level)) {
                status[i] = HVPT_E_CORRUPT;
            } else {
                status[i] = HVPT_OK;
                hvpt_describe(format, space, gpa[i].value, entry, level, perm[i], &out[i]);
            }
            going--;
        }
    }
}

/*
 * translate for count addresses: status[i] and, with HVPT_OK, out[i] are what translate says of gpa[i].
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
