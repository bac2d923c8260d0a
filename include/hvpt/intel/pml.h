/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The page-modification log: the processor records in it the guest pages that it makes dirty, and exits when it is
 * full. SDM vol. 3, "Page-Modification Logging". It is drained into a bitmap, and the dirty bits of EPT are cleared
 * with it.
 */
#ifndef HVPT_INTEL_PML_H
#define HVPT_INTEL_PML_H

#include "../engine/bitmap.h"
#include "../ept.h"

#define HVPT_PML_ENTRIES     512
#define HVPT_PML_START       511 /* the PML index to begin with: entries are written downwards */
#define HVPT_PML_FULL_REASON 62  /* VM exit: a write found no entry left, and was not made */

/* The page that the VMCS field "PML address" points to, aligned to 4 KiB. */
struct hvpt_pml_page {
    hvpt_entry gpa[HVPT_PML_ENTRIES];
};

/*
 * What a drain found. Each entry is counted in one of the first two.
 * logged: entries for pages of the range; the same page may be logged more than once.
 * outside: entries for other pages. They stay in the log, for a drain of another range.
 * corrupt: from hvpt_pml_dirty only: how many of the logged have an EPT entry out of reach; their bits are set.
 */
struct hvpt_pml_report {
    unsigned logged;
    unsigned outside;
    unsigned corrupt;
};

/* Entries in the log, by the guest-state field "PML index": the next to be written, 511 to 0, then FFFFH. */
static inline unsigned hvpt_pml_count(uint16_t index)
{
    return index > HVPT_PML_START ? HVPT_PML_ENTRIES : (unsigned)(HVPT_PML_START - index);
}

/* Will the next write exit? */
static inline bool hvpt_pml_is_full(uint16_t index)
{
    return index > HVPT_PML_START;
}

/* The page of a log entry. By the manual bits 11:0 are 0, but an emulator was seen to put the offset there. */
static inline uint64_t hvpt_pml_entry(const struct hvpt_pml_page *page, unsigned entry)
{
    return hvpt_load(&page->gpa[entry]) & ~(HVPT_4K - 1);
}

/*
 * Take the pages of [gpa, gpa + size) out of the log. Bit i of bitmap, bit i % 64 of word i / 64, is set for page i of
 * the range; other bits are left as they are. Entries for other pages are kept, the oldest first as before.
 *
 * index: the PML index of the VMCS whose log this is, out of the guest. Returns the index to put there: HVPT_PML_START
 * if nothing is left. If all 512 entries are outside the range the log is as full as it was.
 *
 * The dirty bits stay set, so the same pages are not logged again; hvpt_pml_dirty clears them. A large page is logged
 * once, by the address that was written first: where there are large pages, use hvpt_pml_dirty.
 * The vCPU must not run meanwhile, and drains of one log run one at a time.
 */
static inline uint16_t hvpt_pml_drain(struct hvpt_pml_page *page, uint16_t index, hvpt_gpa gpa, uint64_t size,
                                      uint64_t *bitmap, struct hvpt_pml_report *report)
{
    unsigned first = HVPT_PML_ENTRIES - hvpt_pml_count(index);
    unsigned kept = HVPT_PML_START;
    unsigned i;

    report->logged = 0;
    report->outside = 0;
    report->corrupt = 0;
    for (i = HVPT_PML_ENTRIES; i-- > first;) {
        uint64_t logged = hvpt_pml_entry(page, i);

        if (logged >= gpa.value && logged - gpa.value < size) {
            report->logged++;
            hvpt_bitmap_set(bitmap, (logged - gpa.value) >> 12, 1);
        } else {
            report->outside++;
            hvpt_store_relaxed(&page->gpa[kept--], logged);
        }
    }
    return (uint16_t)kept; /* below 0: FFFFH, as the processor has it */
}

/*
 * Drain the log, and clear the dirty bits of the pages that were logged: hvpt_space_dirty of the range, but it looks at
 * those pages alone. A large page sets the bits of all its parts, as far as they are in the range; one that extends
 * beyond it is reported and not cleared, so drain by ranges of whole large pages, or map by small ones.
 *
 * *index: the PML index; after HVPT_OK the one to put into the VMCS.
 * flush: until it is done a CPU may write again without logging. NULL: done at once.
 * HVPT_E_ALIGN, HVPT_E_RANGE, HVPT_E_READONLY: as hvpt_space_dirty.
 * HVPT_E_ATTR: the space is not EPT or has no accessed and dirty bits, so that nothing is logged. Nothing changed.
 *
 * The caller serialises it as hvpt_space_dirty.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_pml_dirty(struct hvpt_space *space, struct hvpt_pml_page *page,
                                                        uint16_t *index, hvpt_gpa gpa, uint64_t size, uint64_t *bitmap,
                                                        struct hvpt_flush *flush, struct hvpt_pml_report *report);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
HVPT_API enum hvpt_status hvpt_pml_dirty(struct hvpt_space *space, struct hvpt_pml_page *page, uint16_t *index,
                                         hvpt_gpa gpa, uint64_t size, uint64_t *bitmap, struct hvpt_flush *flush,
                                         struct hvpt_pml_report *report)
{
    const unsigned first = HVPT_PML_ENTRIES - hvpt_pml_count(*index);
    struct hvpt_track track;
    struct hvpt_flush own;
    unsigned corrupt = 0;
    unsigned i;
    enum hvpt_status status = hvpt_check_range(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    if (space->kind != HVPT_KIND_EPT || !(space->features & HVPT_EPT_USE_ACCESSED_DIRTY))
        return HVPT_E_ATTR;
    hvpt_track_begin(&track, space, gpa.value, size, bitmap, hvpt_flush_begin(space, flush, &own), true);
    for (i = first; i < HVPT_PML_ENTRIES; i++) {
        uint64_t logged = hvpt_pml_entry(page, i);

        if (logged >= gpa.value && logged - gpa.value < size
            && hvpt_track_walk(&track, logged, logged + HVPT_4K) != HVPT_OK)
            corrupt++;
    }
    *index = hvpt_pml_drain(page, *index, gpa, size, bitmap, report);
    report->corrupt = corrupt;
    hvpt_flush_end(space, track.flush, &own);
    return HVPT_OK;
}
#endif

#endif
