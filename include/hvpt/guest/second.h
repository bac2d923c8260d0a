/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the second level does with one guest-physical access, down to the entry and the permission that decide;
 * translate says only that there is no translation.
 */
#ifndef HVPT_GUEST_SECOND_H
#define HVPT_GUEST_SECOND_H

#include "../engine/walk.h"
#include "../ept.h"
#include "../gstage.h"
#include "../npt.h"
#include "../stage2.h"

enum hvpt_second {
    HVPT_SECOND_ALLOWED,
    HVPT_SECOND_DENIED,       /* mapped, but not for this access */
    HVPT_SECOND_NOT_ACCESSED, /* an accessed or dirty bit is clear that hardware does not set (stage 2, G-stage) */
    HVPT_SECOND_ABSENT,       /* an entry is not present, or the address is beyond the space */
    HVPT_SECOND_MALFORMED,    /* a misconfiguration (EPT), a reserved bit (NPT, G-stage), an address size (stage 2) */
    HVPT_SECOND_UNREACHABLE   /* phys_to_virt does not offer one of the tables */
};

/*
 * Is the entry present for hardware? A page from which age took the permissions is not, although translate still finds
 * it: the guest's access exits, and touch answers.
 */
static inline bool hvpt_second_is_present(const struct hvpt_space *space, uint64_t entry)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_perm(space, entry) != 0;
    case HVPT_KIND_NPT: return (entry & HVPT_NPT_BIT_PRESENT) != 0;
    case HVPT_KIND_S2: return (entry & HVPT_S2_BIT_VALID) != 0;
    default: return (entry & HVPT_GSTAGE_BIT_VALID) != 0;
    }
}

/*
 * Judge a valid entry that the format calls neither table nor leaf. What the manuals reserve is malformed, except on
 * Arm: a descriptor of no kind counts as not valid, an address that is too large is a fault of its own, and bits below
 * a block's address are ignored, so that the leaf in *entry is well-formed without them.
 */
static inline enum hvpt_second hvpt_second_other(const struct hvpt_space *space, unsigned level, uint64_t *entry)
{
    const uint64_t page = (UINT64_C(1) << space->page_shift) - 1;

    if (space->kind != HVPT_KIND_S2)
        return HVPT_SECOND_MALFORMED;
    if (level == 0 && !(*entry & HVPT_S2_BIT_TABLE))
        return HVPT_SECOND_ABSENT;
    if (!(*entry & HVPT_S2_BIT_TABLE) && level > hvpt_s2_block_level(space))
        return HVPT_SECOND_ABSENT;
    if (hvpt_s2_address(space, *entry) >= space->hpa_limit)
        return HVPT_SECOND_MALFORMED;
    *entry &= ~((UINT64_C(1) << (space->page_shift + level * (space->page_shift - 3u))) - 1) | page;
    return HVPT_SECOND_ALLOWED;
}

/*
 * Find the leaf for gpa. HVPT_SECOND_ALLOWED: *out is as translate has it. Otherwise out->level and out->entry are
 * those of the entry that ended the walk (0 for an address beyond the space), and out->attr.perm is 0.
 */
static inline enum hvpt_second hvpt_second_find(const struct hvpt_space *space, uint64_t gpa,
                                                struct hvpt_mapping *out)
{
    const hvpt_entry *table = space->root_table;
    unsigned level = space->root_level;
    uint32_t perm = HVPT_PERM_ALL;
    enum hvpt_second other;

    hvpt_describe(space, 0, 0, level, 0, out);
    if (gpa >= space->gpa_limit)
        return HVPT_SECOND_ABSENT;
    for (;; level--) {
        uint64_t entry = hvpt_load(&table[hvpt_index(space, gpa, level)]);

        out->level = level;
        out->entry = entry;
        if (!hvpt_second_is_present(space, entry))
            return HVPT_SECOND_ABSENT;
        if (hvpt_is_table(space, entry, level)) {
            perm &= hvpt_table_perm(space, entry);
            table = hvpt_table_below(space, entry);
            if (table == NULL)
                return HVPT_SECOND_UNREACHABLE;
            continue;
        }
        if (!hvpt_is_leaf(space, entry, level)) {
            other = hvpt_second_other(space, level, &entry);
            if (other != HVPT_SECOND_ALLOWED)
                return other;
        }
        hvpt_describe(space, gpa, entry, level, perm, out);
        return HVPT_SECOND_ALLOWED;
    }
}

/*
 * Does the second level allow access to gpa, on x86? access: HVPT_READ | HVPT_WRITE, or HVPT_EXEC, or HVPT_EXEC_USER
 * where the space tells the two apart. paging: it is made by the guest's page walk, not by the guest.
 * HVPT_SECOND_ALLOWED and HVPT_SECOND_DENIED: *out is the mapping; the others: as hvpt_second_find.
 *
 * SDM vol. 3, "EPT Violations", for the last rule: with the EPT paging-write control, a page can be open to the page
 * walk's writes and closed to the guest's.
 */
static inline enum hvpt_second hvpt_second_access(const struct hvpt_space *space, uint64_t gpa, uint32_t access,
                                                  bool paging, struct hvpt_mapping *out)
{
    enum hvpt_second found = hvpt_second_find(space, gpa, out);

    if (found != HVPT_SECOND_ALLOWED)
        return found;
    access &= ~out->attr.perm;
    if (paging && space->kind == HVPT_KIND_EPT && (out->attr.flags & HVPT_EPT_PAGING_WRITE))
        access &= ~(uint32_t)HVPT_WRITE;
    return access == 0 ? HVPT_SECOND_ALLOWED : HVPT_SECOND_DENIED;
}

/* Is the stage 2 memory type of a leaf one of the Device types?  Arm ARM, "Stage 2 memory type and Cacheability". */
static inline bool hvpt_second_is_device(const struct hvpt_space *space, uint64_t entry)
{
    const uint64_t attr = (entry & HVPT_S2_MEMATTR_BITS) >> HVPT_S2_MEMATTR_SHIFT;

    return (space->features & HVPT_S2_USE_FWB ? attr & 4 : attr & 12) == 0;
}

/*
 * The same on Arm. no_device: the access is a table walk's, which HCR_EL2.PTW keeps out of Device memory. The access
 * flag comes before the permissions: Arm ARM, "Prioritization of synchronous aborts from a single stage of
 * translation".
 */
static inline enum hvpt_second hvpt_second_access_s2(const struct hvpt_space *space, uint64_t gpa, uint32_t access,
                                                     bool no_device, struct hvpt_mapping *out)
{
    enum hvpt_second found = hvpt_second_find(space, gpa, out);

    if (found != HVPT_SECOND_ALLOWED)
        return found;
    if (!(out->entry & HVPT_S2_BIT_AF) && !(space->features & HVPT_S2_USE_HARDWARE_AF))
        return HVPT_SECOND_NOT_ACCESSED;
    if ((access & ~out->attr.perm) || (no_device && hvpt_second_is_device(space, out->entry)))
        return HVPT_SECOND_DENIED;
    return HVPT_SECOND_ALLOWED;
}

/*
 * The same on RISC-V. executable: the permission to execute is enough for reading (MXR).
 * Privileged Architecture, "Two-Stage Address Translation", and step 9 of "Virtual Address Translation Process":
 * without Svadu, hardware sets no accessed or dirty bit.
 */
static inline enum hvpt_second hvpt_second_access_gstage(const struct hvpt_space *space, uint64_t gpa, uint32_t access,
                                                         bool executable, struct hvpt_mapping *out)
{
    enum hvpt_second found = hvpt_second_find(space, gpa, out);

    if (found != HVPT_SECOND_ALLOWED)
        return found;
    if (executable && (out->attr.perm & HVPT_EXEC))
        access &= ~(uint32_t)HVPT_READ;
    if (access & ~out->attr.perm)
        return HVPT_SECOND_DENIED;
    if (!(space->features & HVPT_GSTAGE_USE_SVADU)
        && (!(out->attr.flags & HVPT_ACCESSED) || ((access & HVPT_WRITE) && !(out->attr.flags & HVPT_DIRTY))))
        return HVPT_SECOND_NOT_ACCESSED;
    return HVPT_SECOND_ALLOWED;
}

#endif
