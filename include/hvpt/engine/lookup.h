/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * translate and translate_batch: what hardware would do with guest-physical addresses, without its side effects.
 * The way down is blind to meaning; the format says once, at the end, what the leaf says.
 */
#ifndef HVPT_ENGINE_LOOKUP_H
#define HVPT_ENGINE_LOOKUP_H

#include "fault_map.h"

/* The general way, whatever the tables. */
HVPT_FUNCTION enum hvpt_status hvpt_translate_slow(const struct hvpt_space *space, uint64_t gpa,
                                                                 struct hvpt_mapping *out)
{
    struct hvpt_place place;

    if (gpa >= space->gpa_limit)
        return HVPT_E_RANGE;
    hvpt_find(space, gpa, 0, &place);
    if (place.level == HVPT_LEVEL_UNREACHED)
        return HVPT_E_CORRUPT;
    if (!hvpt_is_present(space, place.entry))
        return HVPT_E_ABSENT;
    if (!hvpt_is_leaf(space, place.entry, place.level))
        return HVPT_E_CORRUPT;
    hvpt_describe(space, gpa, place.entry, place.level, place.perm, out);
    return HVPT_OK;
}

/* A usual leaf of 4 KiB. */
HVPT_INLINE void hvpt_describe_page(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                    struct hvpt_mapping *out)
{
    out->hpa = hvpt_make_hpa(((entry & space->frame_mask) << space->frame_shift) | (gpa & (HVPT_4K - 1)));
    out->page_size = HVPT_4K;
    out->level = 0;
    out->entry = entry;
    if (HVPT_LIKELY((entry & ~space->frame_mask) == space->usual_bits)) {
        out->attr.perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
        out->attr.memtype = HVPT_MEM_WB;
        out->attr.flags = space->usual_flags;
        out->attr.software = 0;
    } else {
        out->attr = (space->rules->decode)(space, entry, 0);
    }
}

/* Is this a leaf of 4 KiB that hvpt_describe_page can take? */
HVPT_INLINE bool hvpt_is_usual_page(const struct hvpt_space *space, uint64_t entry)
{
    return (entry & (space->leaf_mask | space->far_bits | space->contig_bit)) == space->leaf_bits;
}

HVPT_INLINE enum hvpt_status hvpt_translate_any(const struct hvpt_space *space, hvpt_gpa gpa, struct hvpt_mapping *out)
{
    if (HVPT_LIKELY(gpa.value < space->gpa_limit && space->root_level == 3 && space->page_shift == 12)) {
        const bool called = hvpt_hooks_called(space);
        const hvpt_entry *slot = space->root_table + (gpa.value >> 39);

        slot = hvpt_usual_below(space, called, slot, gpa.value, 30);
        slot = slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa.value, 21);
        slot = slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa.value, 12);
        if (HVPT_LIKELY(slot != NULL)) {
            const uint64_t entry = hvpt_load(slot);

            if (HVPT_LIKELY(hvpt_is_usual_page(space, entry))) {
                hvpt_describe_page(space, gpa.value, entry, out);
                return HVPT_OK;
            }
        }
    }
    return hvpt_translate_slow(space, gpa.value, out);
}

HVPT_API enum hvpt_status hvpt_space_translate(const struct hvpt_space *space, hvpt_gpa gpa, struct hvpt_mapping *out)
{
    return hvpt_translate_any(space, gpa, out);
}

/* Walks side by side: more than a core has buffers for misses, so that none is idle; many more would only take stack. */
#define HVPT_BATCH 32

/*
 * Down to level 1 one after the other, since the tables above are few and their entries hot; then a level at a time, all
 * side by side. Addresses that meet an unusual entry drop out and are translated singly.
 */
HVPT_FUNCTION HVPT_HOT void hvpt_translate_row(const struct hvpt_space *space, const hvpt_gpa *gpa,
                                                             unsigned count, struct hvpt_mapping *out,
                                                             enum hvpt_status *status)
{
    const bool called = hvpt_hooks_called(space);
    const hvpt_entry *slot[HVPT_BATCH];
    unsigned i, level;

    for (i = 0; i < count; i++) {
        const uint64_t at = gpa[i].value;

        slot[i] = NULL;
        if (HVPT_UNLIKELY(at >= space->gpa_limit || space->root_level == 0 || space->page_shift != 12))
            continue;
        slot[i] = &space->root_table[at >> (12 + 9 * space->root_level)];
        for (level = space->root_level; level > 1 && HVPT_LIKELY(slot[i] != NULL); level--)
            slot[i] = hvpt_usual_below(space, called, slot[i], at, 3 + 9 * level);
        hvpt_prefetch(slot[i]);
    }
    for (i = 0; i < count; i++) {
        if (HVPT_LIKELY(slot[i] != NULL))
            slot[i] = hvpt_usual_below(space, called, slot[i], gpa[i].value, 12);
        hvpt_prefetch(slot[i]);
    }
    for (i = 0; i < count; i++) {
        const uint64_t entry = HVPT_LIKELY(slot[i] != NULL) ? hvpt_load(slot[i]) : 0;

        if (HVPT_LIKELY(slot[i] != NULL) && HVPT_LIKELY(hvpt_is_usual_page(space, entry))) {
            hvpt_describe_page(space, gpa[i].value, entry, &out[i]);
            status[i] = HVPT_OK;
        } else {
            status[i] = hvpt_translate_slow(space, gpa[i].value, &out[i]);
        }
    }
}

HVPT_API void hvpt_space_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                         struct hvpt_mapping *out, enum hvpt_status *status)
{
    while (count != 0) {
        unsigned row = count < HVPT_BATCH ? (unsigned)count : HVPT_BATCH;

        hvpt_translate_row(space, gpa, row, out, status);
        gpa += row;
        out += row;
        status += row;
        count -= row;
    }
}

#endif
