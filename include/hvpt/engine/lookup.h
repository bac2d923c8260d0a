/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * translate and translate_batch: what hardware would do with guest-physical addresses, without its side effects.
 * The descent needs masks only; the format decodes the leaf, once, at the end.
 */
#ifndef HVPT_ENGINE_LOOKUP_H
#define HVPT_ENGINE_LOOKUP_H

#include "fault_map.h"

/* gpa's entry, at level: the leaf, or what stands in its place. perm: what the tables on the way allow. */
HVPT_FUNCTION enum hvpt_status hvpt_translate_entry(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                                    unsigned level, uint32_t perm, struct hvpt_mapping *out)
{
    if (!hvpt_is_present(space, entry))
        return HVPT_E_ABSENT;
    if (!hvpt_is_leaf(space, entry, level))
        return HVPT_E_CORRUPT;
    hvpt_describe(space, gpa, entry, level, perm, out);
    return HVPT_OK;
}

/* What a 4 KiB leaf of usual_bits means. */
HVPT_INLINE void hvpt_describe_usual(const struct hvpt_way *way, uint64_t gpa, uint64_t entry, struct hvpt_mapping *out)
{
    out->hpa = hvpt_make_hpa(((entry & way->frame_mask) << way->frame_shift) | (gpa & (HVPT_4K - 1)));
    out->attr.perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
    out->attr.memtype = HVPT_MEM_WB;
    out->attr.flags = way->space->usual_flags;
    out->attr.software = 0;
    out->page_size = HVPT_4K;
    out->level = 0;
    out->entry = entry;
}

/* The general path, for any tables. */
HVPT_FUNCTION enum hvpt_status hvpt_translate_slow(const struct hvpt_space *space, uint64_t gpa,
                                                   struct hvpt_mapping *out)
{
    struct hvpt_run run;
    uint32_t perm;

    if (gpa >= space->gpa_limit)
        return HVPT_E_RANGE;
    perm = hvpt_find(space, gpa, 0, &run);
    if (run.level == HVPT_LEVEL_UNREACHED)
        return HVPT_E_CORRUPT;
    return hvpt_translate_entry(space, gpa, run.entry, run.level, perm, out);
}

HVPT_INLINE enum hvpt_status hvpt_translate_any(const struct hvpt_space *space, hvpt_gpa gpa, struct hvpt_mapping *out)
{
    const struct hvpt_way way = hvpt_way_inlined(space);
    hvpt_entry *slot;
    uint64_t entry;

    if (HVPT_UNLIKELY(gpa.value >= space->walk_limit || !hvpt_slot_usual(&way, gpa.value, &slot)))
        return hvpt_translate_slow(space, gpa.value, out);
    entry = hvpt_load(slot);
    if (HVPT_UNLIKELY((entry & space->page_mask) != space->usual_bits))
        return hvpt_translate_entry(space, gpa.value, entry, 0, HVPT_PERM_ALL, out);
    hvpt_describe_usual(&way, gpa.value, entry, out);
    return HVPT_OK;
}

HVPT_API enum hvpt_status hvpt_space_translate(const struct hvpt_space *space, hvpt_gpa gpa, struct hvpt_mapping *out)
{
    return hvpt_translate_any(space, gpa, out);
}

/* How many walks run in parallel: more than the misses that a core can have outstanding; still more only take stack. */
#define HVPT_BATCH 32

/*
 * Translate a row of addresses together, a level at a time. Addresses that meet an unusual entry drop out and are
 * translated singly.
 */
HVPT_FUNCTION HVPT_HOT void hvpt_translate_row(const struct hvpt_space *space, const hvpt_gpa *gpa, unsigned count,
                                               struct hvpt_mapping *out, enum hvpt_status *status)
{
    const struct hvpt_way way = hvpt_way_of(space, hvpt_hooks_called(space), space->frame_shift);
    hvpt_entry *slot[HVPT_BATCH];
    unsigned i, level = space->page_shift == 12 ? space->root_level : 0;

    for (i = 0; i < count; i++)
        slot[i] = level > 0 && HVPT_LIKELY(gpa[i].value < space->gpa_limit)
                    ? &space->root_table[gpa[i].value >> hvpt_span_shift(space, level)]
                    : NULL;
    for (; level > 0; level--) {
        const unsigned shift = hvpt_span_shift(space, level - 1);

        for (i = 0; i < count; i++) {
            if (HVPT_LIKELY(slot[i] != NULL) && !hvpt_way_down(&way, &slot[i], gpa[i].value, shift))
                slot[i] = NULL;
            hvpt_prefetch(slot[i]);
        }
    }
    for (i = 0; i < count; i++) {
        const uint64_t entry = HVPT_LIKELY(slot[i] != NULL) ? hvpt_load(slot[i]) : 0;

        if (HVPT_LIKELY(slot[i] != NULL) && HVPT_LIKELY((entry & space->page_mask) == space->usual_bits)) {
            hvpt_describe_usual(&way, gpa[i].value, entry, &out[i]);
            status[i] = HVPT_OK;
        } else {
            status[i] = hvpt_translate_slow(space, gpa[i].value, &out[i]);
        }
    }
}

HVPT_INLINE void hvpt_batch_any(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
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

HVPT_API void hvpt_space_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                         struct hvpt_mapping *out, enum hvpt_status *status)
{
    hvpt_batch_any(space, gpa, count, out, status);
}

#endif
