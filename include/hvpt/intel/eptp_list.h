/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The list of EPTPs that a guest may switch between by VM function 0, and what makes an EPTP valid.
 * SDM vol. 3, "EPTP Switching", "Extended-Page-Table Pointer (EPTP)".
 */
#ifndef HVPT_INTEL_EPTP_LIST_H
#define HVPT_INTEL_EPTP_LIST_H

#include "../ept.h"

#define HVPT_EPTP_LIST_ENTRIES 512

/* The page that the VMCS field "EPTP-list address" points to: aligned to its size, which is 4 KiB. */
struct hvpt_eptp_list {
    hvpt_entry eptp[HVPT_EPTP_LIST_ENTRIES];
};

/* What is wrong with an EPTP. VM entry and VMFUNC check the same (SDM vol. 3, "VM-Execution Control Fields"). */
enum hvpt_eptp_problem {
    HVPT_EPTP_VALID,
    HVPT_EPTP_BAD_MEMTYPE,       /* bits 2:0: not UC or WB, or one that the CPU does not offer */
    HVPT_EPTP_BAD_LEVELS,        /* bits 5:3: not 4 or 5 levels, or a depth that the CPU does not offer */
    HVPT_EPTP_NO_ACCESSED_DIRTY, /* bit 6 on a CPU without accessed and dirty bits */
    HVPT_EPTP_NO_SHADOW_STACK,   /* bit 7 on a CPU without control of supervisor shadow stacks */
    HVPT_EPTP_RESERVED,          /* bits 11:8 */
    HVPT_EPTP_BAD_ADDRESS        /* bits at MAXPHYADDR and above */
};

static inline const char *hvpt_eptp_problem_text(enum hvpt_eptp_problem problem)
{
    switch (problem) {
    case HVPT_EPTP_VALID: return "valid";
    case HVPT_EPTP_BAD_MEMTYPE: return "bits 2:0 are no memory type that this CPU offers for EPT tables";
    case HVPT_EPTP_BAD_LEVELS: return "bits 5:3 are no number of levels, less one, that this CPU offers";
    case HVPT_EPTP_NO_ACCESSED_DIRTY: return "bit 6 is set, and this CPU has no accessed and dirty bits for EPT";
    case HVPT_EPTP_NO_SHADOW_STACK: return "bit 7 is set, and this CPU has no EPT control of supervisor shadow stacks";
    case HVPT_EPTP_RESERVED: return "one of bits 11:8 is set";
    case HVPT_EPTP_BAD_ADDRESS: return "the address is beyond the physical-address width";
    }
    return "unknown problem";
}

/* ept_vpid_cap: IA32_VMX_EPT_VPID_CAP as read. maxphyaddr: as in struct hvpt_ept_config, 32 to 52. */
static inline enum hvpt_eptp_problem hvpt_eptp_check(uint64_t eptp, uint64_t ept_vpid_cap, unsigned maxphyaddr)
{
    const uint64_t memtype = eptp & 7;
    const uint64_t levels = (eptp >> HVPT_EPTP_LEVELS_SHIFT) & 7;

    if (!(memtype == HVPT_EPTP_MEMTYPE_UC && (ept_vpid_cap & HVPT_EPT_CAP_UC))
        && !(memtype == HVPT_EPTP_MEMTYPE_WB && (ept_vpid_cap & HVPT_EPT_CAP_WB)))
        return HVPT_EPTP_BAD_MEMTYPE;
    if (!(levels == 3 && (ept_vpid_cap & HVPT_EPT_CAP_LEVELS_4))
        && !(levels == 4 && (ept_vpid_cap & HVPT_EPT_CAP_LEVELS_5)))
        return HVPT_EPTP_BAD_LEVELS;
    if ((eptp & HVPT_EPTP_ACCESSED_DIRTY) && !(ept_vpid_cap & HVPT_EPT_CAP_ACCESSED_DIRTY))
        return HVPT_EPTP_NO_ACCESSED_DIRTY;
    if ((eptp & HVPT_EPTP_SHADOW_STACK) && !(ept_vpid_cap & HVPT_EPT_CAP_SHADOW_STACK))
        return HVPT_EPTP_NO_SHADOW_STACK;
    if (eptp & UINT64_C(0xf00))
        return HVPT_EPTP_RESERVED;
    return eptp >> maxphyaddr ? HVPT_EPTP_BAD_ADDRESS : HVPT_EPTP_VALID;
}

/* Make every entry invalid: 0 would be tables of one level, which no CPU offers. */
static inline void hvpt_eptp_list_init(struct hvpt_eptp_list *list)
{
    unsigned slot;

    for (slot = 0; slot < HVPT_EPTP_LIST_ENTRIES; slot++)
        hvpt_store_relaxed(&list->eptp[slot], 0);
}

/*
 * Let VMFUNC leaf 0 with ECX = slot switch to eptp. *problem (may be NULL) tells why not.
 * HVPT_E_RANGE: there are 512 slots.  HVPT_E_ATTR: the EPTP is not valid, and the slot is as it was.
 *
 * A guest switches without the hypervisor: the tables must stay until the slot is cleared and no CPU runs on them.
 * Translations are cached for each EPTP apart, so that a switch needs no flush; a change of the tables of any slot
 * does.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_eptp_list_set(struct hvpt_eptp_list *list, unsigned slot,
                                                                 uint64_t eptp, uint64_t ept_vpid_cap,
                                                                 unsigned maxphyaddr, enum hvpt_eptp_problem *problem)
{
    enum hvpt_eptp_problem found = hvpt_eptp_check(eptp, ept_vpid_cap, maxphyaddr);

    if (slot >= HVPT_EPTP_LIST_ENTRIES)
        return HVPT_E_RANGE;
    if (problem != NULL)
        *problem = found;
    if (found != HVPT_EPTP_VALID)
        return HVPT_E_ATTR;
    hvpt_store_release(&list->eptp[slot], eptp);
    return HVPT_OK;
}

/* The EPTP in slot; 0: none, or no such slot. */
static inline uint64_t hvpt_eptp_list_get(const struct hvpt_eptp_list *list, unsigned slot)
{
    return slot < HVPT_EPTP_LIST_ENTRIES ? hvpt_load(&list->eptp[slot]) : 0;
}

/*
 * Make VMFUNC to slot exit from now on (reason 59). A CPU that runs on these tables goes on doing so until it leaves
 * the guest and EPT_POINTER is written anew.  HVPT_E_RANGE: there are 512 slots.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_eptp_list_clear(struct hvpt_eptp_list *list, unsigned slot)
{
    if (slot >= HVPT_EPTP_LIST_ENTRIES)
        return HVPT_E_RANGE;
    hvpt_store_release(&list->eptp[slot], 0);
    return HVPT_OK;
}

#endif
