/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Translates a kernel's own page flags (an x86 stage-1 entry and IA32_PAT) to struct hvpt_attr and back.
 * Bits are never reused: SDM vol. 3, "4-Level Paging and 5-Level Paging"; APM vol. 2, "Page-Translation-Table Entry
 * Fields".
 *
 * Why not reuse: in a stage-1 entry write-back is three clear bits, which EPT reads as UC; PCD is EPT's reserved memory
 * type 2; PAT is EPT's large-page bit; user becomes execute; no-execute becomes suppress-#VE.
 */
#ifndef HVPT_X86_PAGE_FLAGS_H
#define HVPT_X86_PAGE_FLAGS_H

#include "pat.h"

#define HVPT_PAGE_PRESENT        (UINT64_C(1) << 0)
#define HVPT_PAGE_WRITE          (UINT64_C(1) << 1)
#define HVPT_PAGE_USER           (UINT64_C(1) << 2)
#define HVPT_PAGE_PWT            (UINT64_C(1) << 3)
#define HVPT_PAGE_PCD            (UINT64_C(1) << 4)
#define HVPT_PAGE_ACCESSED       (UINT64_C(1) << 5)
#define HVPT_PAGE_DIRTY          (UINT64_C(1) << 6)
#define HVPT_PAGE_LARGE          (UINT64_C(1) << 7) /* above level 0 */
#define HVPT_PAGE_PAT            (UINT64_C(1) << 7) /* at level 0 */
#define HVPT_PAGE_GLOBAL         (UINT64_C(1) << 8)
#define HVPT_PAGE_SOFTWARE_LOW   (UINT64_C(7) << 9)
#define HVPT_PAGE_PAT_LARGE      (UINT64_C(1) << 12) /* above level 0 */
#define HVPT_PAGE_SOFTWARE_HIGH  (UINT64_C(0x7f) << 52)
#define HVPT_PAGE_PROTECTION_KEY (UINT64_C(15) << 59)
#define HVPT_PAGE_NO_EXECUTE     (UINT64_C(1) << 63)

/* The largest attr.software that an entry can hold, in bits 11:9, then bits 58:52. EPT and NPT take up to 15. */
#define HVPT_PAGE_SOFTWARE_MAX UINT32_C(1023)

/*
 * What struct hvpt_attr cannot express, and why it is dropped unless the caller insists:
 * USER: the guest's own tables say which of its modes may use a page.
 * GLOBAL: the second level has no translations that hold in every address space.
 * PROTECTION_KEY: keys are looked up by linear address, and a second-level entry has none.
 */
#define HVPT_PAGE_NOT_CARRIED (HVPT_PAGE_USER | HVPT_PAGE_GLOBAL | HVPT_PAGE_PROTECTION_KEY)

/* The PAT index of a leaf at level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB). */
static inline unsigned hvpt_page_pat_index(uint64_t entry, unsigned level)
{
    return (entry & HVPT_PAGE_PWT ? 1u : 0u) | (entry & HVPT_PAGE_PCD ? 2u : 0u)
         | (entry & (level == 0 ? HVPT_PAGE_PAT : HVPT_PAGE_PAT_LARGE) ? 4u : 0u);
}

static inline uint64_t hvpt_page_pat_bits(unsigned index, unsigned level)
{
    return (index & 1 ? HVPT_PAGE_PWT : 0) | (index & 2 ? HVPT_PAGE_PCD : 0)
         | (index & 4 ? (level == 0 ? HVPT_PAGE_PAT : HVPT_PAGE_PAT_LARGE) : 0);
}

/*
 * The attributes of the leaf entry at level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), under the value pat of IA32_PAT. Its
 * address is ignored; an encryption bit (C-bit, key ID) counts as address.
 *
 * Carried: write; execute, from bit 63, which needs EFER.NXE (as HVPT_EXEC: a space with mode-based execute control may
 * want HVPT_EXEC_USER beside it); the memory type, UC- as UC; accessed and dirty, which a space without such bits
 * refuses, so clear attr->flags for one; software bits, as a number.
 * keep: bits of HVPT_PAGE_NOT_CARRIED whose meaning must not be lost; the others are dropped silently.
 *
 * HVPT_E_ATTR: the entry is not present, is a table or of a level that has no leaves, or selects a reserved type in
 * pat; or it has a property that keep names: it is for the supervisor alone (USER clear), is global, has a key other
 * than 0.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_page_flags_to_attr(uint64_t entry, unsigned level, uint64_t pat,
                                                                      uint64_t keep, struct hvpt_attr *attr)
{
    const enum hvpt_pat_type type = hvpt_pat_get(pat, hvpt_page_pat_index(entry, level));

    if (!(entry & HVPT_PAGE_PRESENT) || level > 2 || (level > 0 && !(entry & HVPT_PAGE_LARGE)))
        return HVPT_E_ATTR;
    if (type == HVPT_PAT_RESERVED || (keep & ~entry & HVPT_PAGE_USER)
        || (entry & keep & (HVPT_PAGE_GLOBAL | HVPT_PAGE_PROTECTION_KEY)))
        return HVPT_E_ATTR;
    attr->perm = (uint32_t)HVPT_READ | (entry & HVPT_PAGE_WRITE ? (uint32_t)HVPT_WRITE : 0)
               | (entry & HVPT_PAGE_NO_EXECUTE ? 0 : (uint32_t)HVPT_EXEC);
    attr->memtype = hvpt_pat_memtype(type);
    attr->flags = (entry & HVPT_PAGE_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
                | (entry & HVPT_PAGE_DIRTY ? (uint32_t)HVPT_DIRTY : 0);
    attr->software = (uint32_t)((entry & HVPT_PAGE_SOFTWARE_LOW) >> 9 | (entry & HVPT_PAGE_SOFTWARE_HIGH) >> 52 << 3);
    return HVPT_OK;
}

/*
 * The flags of a leaf at level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB) that express attr under the value pat of IA32_PAT, in
 * *entry; the caller ORs in an address that is aligned to the page. add: bits of HVPT_PAGE_NOT_CARRIED to set, which
 * attr cannot express.
 *
 * UC becomes UC- where pat has no UC, and a WC MTRR then makes it WC. A page that is dirty but may not be written is a
 * shadow-stack page to a CPU with CR4.CET: clear HVPT_DIRTY in attr.flags if that is not meant.
 *
 * HVPT_E_ATTR: a stage-1 leaf cannot express this: not readable; executable by user mode alone; a memory type that pat
 * lacks; HVPT_LOGGED or a flag of one format; more software bits than there are; or add or level is out of range.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_page_flags_from_attr(struct hvpt_attr attr, unsigned level,
                                                                        uint64_t pat, uint64_t add, uint64_t *entry)
{
    static const enum hvpt_pat_type types[] = {HVPT_PAT_WB, HVPT_PAT_WC, HVPT_PAT_WT, HVPT_PAT_WP, HVPT_PAT_UC};
    unsigned index;

    if (level > 2 || (add & ~HVPT_PAGE_NOT_CARRIED) || (unsigned)attr.memtype > HVPT_MEM_UC)
        return HVPT_E_ATTR;
    if ((attr.perm & ~HVPT_PERM_ALL) || !(attr.perm & HVPT_READ)
        || (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER)
        return HVPT_E_ATTR;
    if ((attr.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY)) || attr.software > HVPT_PAGE_SOFTWARE_MAX)
        return HVPT_E_ATTR;
    index = hvpt_pat_find(pat, types[attr.memtype]);
    if (index == HVPT_PAT_NO_INDEX && attr.memtype == HVPT_MEM_UC)
        index = hvpt_pat_find(pat, HVPT_PAT_UC_MINUS);
    if (index == HVPT_PAT_NO_INDEX)
        return HVPT_E_ATTR;
    *entry = HVPT_PAGE_PRESENT | (attr.perm & HVPT_WRITE ? HVPT_PAGE_WRITE : 0)
           | (attr.perm & HVPT_EXEC ? 0 : HVPT_PAGE_NO_EXECUTE) | (level > 0 ? HVPT_PAGE_LARGE : 0)
           | (attr.flags & HVPT_ACCESSED ? HVPT_PAGE_ACCESSED : 0) | (attr.flags & HVPT_DIRTY ? HVPT_PAGE_DIRTY : 0)
           | hvpt_page_pat_bits(index, level) | ((uint64_t)attr.software << 9 & HVPT_PAGE_SOFTWARE_LOW)
           | ((uint64_t)attr.software >> 3 << 52) | add;
    return HVPT_OK;
}

#endif
