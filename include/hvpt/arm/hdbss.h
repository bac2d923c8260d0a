/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Arm's log of dirty pages and its cleaner: hardware logs which pages it makes dirty (FEAT_HDBSS), and hardware makes
 * the pages of such a list clean again (FEAT_HACDBS). Arm ARM, "Hardware dirty state tracking structure", "Hardware
 * accelerator for cleaning dirty state". The space must have HVPT_S2_USE_HDBSS.
 */
#ifndef HVPT_ARM_HDBSS_H
#define HVPT_ARM_HDBSS_H

#include "../engine/bitmap.h"
#include "../stage2.h"

/* ---- registers: HDBSSBR_EL2, HDBSSPROD_EL2, HACDBSBR_EL2, HACDBSCONS_EL2 ---- */

#define HVPT_HDBSS_SIZE_MAX       9u /* SZ: 4 KiB << 9 is 2 MiB */
#define HVPT_HDBSS_INDEX_BITS     UINT64_C(0x7ffff)
#define HVPT_HDBSSPROD_FSC_SHIFT  26
#define HVPT_HDBSS_ADDRESS_BITS   UINT64_C(0x00fffffffffff000)
#define HVPT_HACDBSBR_EN          (UINT64_C(1) << 11)
#define HVPT_HACDBSCONS_ERR_SHIFT 62

/* ---- an entry: Arm ARM, "Hardware dirty state tracking structure fields" ---- */

#define HVPT_HDBSS_BIT_VALID   (UINT64_C(1) << 0)
#define HVPT_HDBSS_TTWL_SHIFT  1 /* Arm's level, a signed number of three bits */
#define HVPT_HDBSS_TTWL_BITS   (UINT64_C(7) << 1)
#define HVPT_HDBSS_BIT_NSIPA   (UINT64_C(1) << 11) /* in Secure state: the address is Non-secure */

/* HDBSSPROD_EL2.FSC: why no more is logged. */
enum hvpt_hdbss_fault {
    HVPT_HDBSS_FINE = 0,
    HVPT_HDBSS_EXTERNAL_ABORT = 0x10,
    HVPT_HDBSS_PROTECTION_FAULT = 0x28 /* granule protection */
};

/* HACDBSCONS_EL2.ERR_REASON: why the cleaner stopped. */
enum hvpt_hacdbs_fault {
    HVPT_HACDBS_FINE,
    HVPT_HACDBS_STRUCTURE, /* the list could not be read */
    HVPT_HACDBS_WALK,      /* an MMU fault on the way to the entry's descriptor */
    HVPT_HACDBS_ENTRY      /* another error: no such page at that level, or the stop entry */
};

/* How many entries a structure of SZ = size has. */
static inline uint32_t hvpt_hdbss_entries(unsigned size)
{
    return UINT32_C(512) << size;
}

/*
 * HDBSSBR_EL2 for a structure of 4 KiB << size at base; HACDBSBR_EL2 is the same with HVPT_HACDBSBR_EN. HVPT_E_RANGE:
 * no such size. HVPT_E_ALIGN: it must be aligned to its size.
 */
static inline enum hvpt_status hvpt_hdbss_base(hvpt_hpa base, unsigned size, uint64_t *hdbssbr)
{
    if (size > HVPT_HDBSS_SIZE_MAX || (base.value & ~HVPT_HDBSS_ADDRESS_BITS & ~(HVPT_4K - 1)))
        return HVPT_E_RANGE;
    if (base.value & ((HVPT_4K << size) - 1))
        return HVPT_E_ALIGN;
    *hdbssbr = base.value | size;
    return HVPT_OK;
}

/* How many entries were written, by HDBSSPROD_EL2.INDEX; never more than there are. */
static inline uint32_t hvpt_hdbss_count(uint64_t hdbssprod, unsigned size)
{
    uint32_t index = (uint32_t)(hdbssprod & HVPT_HDBSS_INDEX_BITS);

    return index < hvpt_hdbss_entries(size) ? index : hvpt_hdbss_entries(size);
}

/* Will the next write to a clean page fault (ESR_EL2, ISS2.HDBSSF), because the structure is full or has failed? */
static inline bool hvpt_hdbss_is_stuck(uint64_t hdbssprod, unsigned size)
{
    return (hdbssprod & HVPT_HDBSS_INDEX_BITS) >= hvpt_hdbss_entries(size)
        || ((hdbssprod >> HVPT_HDBSSPROD_FSC_SHIFT) & 0x3f) != HVPT_HDBSS_FINE;
}

/* HDBSSPROD_EL2.FSC; a code that the manual does not know comes back as it is. */
static inline enum hvpt_hdbss_fault hvpt_hdbss_fault_of(uint64_t hdbssprod)
{
    return (enum hvpt_hdbss_fault)((hdbssprod >> HVPT_HDBSSPROD_FSC_SHIFT) & 0x3f);
}

/* An entry for the page or block at gpa, whose level counts from the smallest pages (Arm's level 3 is 0). */
static inline uint64_t hvpt_hdbss_entry(hvpt_gpa gpa, unsigned level)
{
    return (gpa.value & HVPT_HDBSS_ADDRESS_BITS)
         | (((uint64_t)3 - level) << HVPT_HDBSS_TTWL_SHIFT & HVPT_HDBSS_TTWL_BITS) | HVPT_HDBSS_BIT_VALID;
}

/* An entry that ends a list early: the cleaner stops there with HVPT_HACDBS_ENTRY, after cleaning all before it. */
static inline uint64_t hvpt_hacdbs_stop(void)
{
    return HVPT_HDBSS_BIT_VALID | UINT64_C(4) << HVPT_HDBSS_TTWL_SHIFT;
}

/* The level in an entry, counted from the smallest pages: 0 to 4. 255: a reserved one. */
static inline unsigned hvpt_hdbss_level(uint64_t entry)
{
    const unsigned code = (unsigned)((entry & HVPT_HDBSS_TTWL_BITS) >> HVPT_HDBSS_TTWL_SHIFT);

    return code <= 3 ? 3 - code : code == 7 ? 4 : 255;
}

/* The page or block of a valid entry. */
static inline hvpt_gpa hvpt_hdbss_gpa(uint64_t entry)
{
    return hvpt_make_gpa(entry & HVPT_HDBSS_ADDRESS_BITS);
}

/* HACDBSCONS_EL2: why the cleaner stopped, and how many entries it has cleaned. */
static inline enum hvpt_hacdbs_fault hvpt_hacdbs_fault_of(uint64_t hacdbscons)
{
    return (enum hvpt_hacdbs_fault)(hacdbscons >> HVPT_HACDBSCONS_ERR_SHIFT & 3);
}

static inline uint32_t hvpt_hacdbs_done(uint64_t hacdbscons, unsigned size)
{
    return hvpt_hdbss_count(hacdbscons, size);
}

/* ---- draining ---- */

/*
 * What a drain found. Each valid entry is counted in one of the first two.
 * logged: entries for pages of the range. outside: entries for others; they stay, for a drain of another range.
 * corrupt: how many of the logged have a descriptor out of reach; the bits of their pages are set.
 */
struct hvpt_hdbss_report {
    uint32_t logged;
    uint32_t outside;
    uint32_t corrupt;
};

/**
 * hvpt_space_dirty of [gpa, gpa + size), but it looks only at the pages that the structure names: their bits are set in
 * bitmap and their dirty state is cleared, so that the next write is logged again. A block that extends beyond the
 * range is reported as far as it lies inside, and not cleared: drain by ranges of whole blocks.
 * @param log       the structure, of 4 KiB << log_size, in the endianness of this CPU
 * @param hdbssprod HDBSSPROD_EL2 as read after a DSB and an ISB, with the vCPU out of the guest; afterwards the value
 *                  to write there: what is outside the range, oldest first, and no fault
 * @param flush     until it is done, a CPU may write again without logging. NULL: done at once
 * @retval HVPT_E_ATTR  the space is not of stage 2, or lacks HVPT_S2_USE_HDBSS
 * @retval HVPT_E_RANGE also: no such log_size
 * The caller serialises it as hvpt_space_dirty; drains of one log run one at a time.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_hdbss_dirty(struct hvpt_space *space, hvpt_entry *log, unsigned log_size,
                                                          uint64_t *hdbssprod, hvpt_gpa gpa, uint64_t size,
                                                          uint64_t *bitmap, struct hvpt_flush *flush,
                                                          struct hvpt_hdbss_report *report);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
HVPT_API enum hvpt_status hvpt_hdbss_dirty(struct hvpt_space *space, hvpt_entry *log, unsigned log_size,
                                           uint64_t *hdbssprod, hvpt_gpa gpa, uint64_t size, uint64_t *bitmap,
                                           struct hvpt_flush *flush, struct hvpt_hdbss_report *report)
{
    const uint64_t end = gpa.value + size;
    struct hvpt_track track;
    struct hvpt_flush own;
    uint32_t i, count, kept = 0;
    enum hvpt_status status = hvpt_check_range(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    if (log_size > HVPT_HDBSS_SIZE_MAX)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    if (space->kind != HVPT_KIND_S2 || !(space->features & HVPT_S2_USE_HDBSS))
        return HVPT_E_ATTR;
    report->logged = 0;
    report->outside = 0;
    report->corrupt = 0;
    hvpt_track_begin(&track, space, gpa.value, size, bitmap, hvpt_flush_begin(space, flush, &own), true);
    count = hvpt_hdbss_count(*hdbssprod, log_size);
    for (i = 0; i < count; i++) {
        const uint64_t entry = hvpt_load(&log[i]);
        const unsigned level = hvpt_hdbss_level(entry);
        const uint64_t span = hvpt_span(space, level > space->root_level ? 0 : level);
        uint64_t first = hvpt_hdbss_gpa(entry).value & ~(span - 1), past = first + span;

        if (!(entry & HVPT_HDBSS_BIT_VALID))
            continue;
        if (past <= gpa.value || first >= end) {
            hvpt_atomic_store_relaxed(&log[kept++], entry);
            continue;
        }
        report->logged++;
        first = first > gpa.value ? first : gpa.value;
        past = past < end ? past : end;
        if (hvpt_track_walk(&track, first, past) == HVPT_OK)
            continue;
        hvpt_bitmap_set(bitmap, (first - gpa.value) >> space->page_shift, (past - first) >> space->page_shift);
        report->corrupt++;
    }
    report->outside = kept;
    *hdbssprod = kept;
    hvpt_flush_end(space, track.flush, &own);
    return HVPT_OK;
}
#endif

#endif
