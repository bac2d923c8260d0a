/*
 * translate_batch: many addresses at once. The walks go down side by side, so their cache misses overlap.
 */
#ifndef HVPT_CORE_BATCH_H
#define HVPT_CORE_BATCH_H

#include "translate.h"

/* Walks side by side: more than a core has buffers for misses, so that none is idle; many more would only take stack. */
#define HVPT_BATCH 32

/* The walks that are still going, each at an entry of the same level. */
struct hvpt_walks {
    const hvpt_entry *slot[HVPT_BATCH];
    uint8_t which[HVPT_BATCH]; /* of the addresses asked for */
};

HVPT_ENGINE void hvpt_translate_some(const struct hvpt_format *format, const struct hvpt_space *space,
                                     const hvpt_gpa *gpa, unsigned count, struct hvpt_mapping *out,
                                     enum hvpt_status *status)
{
    const struct hvpt_view view = hvpt_view_of(space);
    const uint64_t mask = space->plain_table_mask, bits = space->plain_table_bits;
    struct hvpt_walks walks;
    unsigned level = space->root_level;
    unsigned i, going = 0, shift = hvpt_span_shift(format, level);

    for (i = 0; i < count; i++) {
        status[i] = HVPT_E_RANGE;
        if (gpa[i].value >= space->gpa_limit)
            continue;
        walks.slot[going] = &space->root_table[gpa[i].value >> shift];
        walks.which[going] = (uint8_t)i;
        out[i].attr.perm = HVPT_PERM_ALL; /* what the tables allow so far */
        going++;
    }
    for (; level != 0; level--) {
        unsigned on = 0;

        shift -= hvpt_index_bits(format);
        for (i = 0; i < going; i++) {
            const unsigned me = walks.which[i];
            const uint64_t entry = hvpt_load(walks.slot[i]);
            const hvpt_entry *table;
            uint64_t frame = format->plain_frame(space, entry);

            if (HVPT_UNLIKELY((entry & mask) != bits)) {
                if (!format->is_table(space, entry, level)) {
                    status[me] =
                        format->translate_rest(space, gpa[me].value, entry, level, out[me].attr.perm, &out[me]);
                    continue;
                }
                out[me].attr.perm &= format->table_perm(space, entry);
                frame = format->table_frame(space, entry);
            }
            table = hvpt_table_in(&view, frame);
            status[me] = HVPT_E_CORRUPT;
            if (HVPT_UNLIKELY(table == NULL))
                continue;
            walks.slot[on] = table + ((gpa[me].value >> shift) & (hvpt_entries(format) - 1));
            walks.which[on] = (uint8_t)me;
            hvpt_prefetch(walks.slot[on]);
            on++;
        }
        going = on;
    }
    for (i = 0; i < going; i++) {
        const unsigned me = walks.which[i];

        status[me] =
            format->translate_rest(space, gpa[me].value, hvpt_load(walks.slot[i]), 0, out[me].attr.perm, &out[me]);
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
