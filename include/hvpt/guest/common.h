/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the walks of all guest architectures share: how an access ends, an entry of the guest's tables, and reading the
 * guest's memory.
 */
#ifndef HVPT_GUEST_COMMON_H
#define HVPT_GUEST_COMMON_H

#include "second.h"

/* How the access ends. */
enum hvpt_guest_end {
    HVPT_GUEST_OK,
    HVPT_GUEST_NOT_CANONICAL,        /* x86: the guest gets #GP(0), or #SS(0) for an access by way of SS */
    HVPT_GUEST_PAGE_FAULT,           /* the guest gets #PF, an abort at EL1, or a page fault in VS-mode */
    HVPT_GUEST_EPT_VIOLATION,        /* the hypervisor gets exit reason 48: exit_information, fault_gpa */
    HVPT_GUEST_EPT_MISCONFIGURATION, /* the hypervisor gets exit reason 49: fault_gpa */
    HVPT_GUEST_NESTED_PAGE_FAULT,    /* the hypervisor gets VMEXIT_NPF: exit_information, fault_gpa */
    HVPT_GUEST_STAGE2_FAULT,         /* the hypervisor gets an abort at EL2: esr, hpfar, fault_gpa */
    HVPT_GUEST_GSTAGE_FAULT,         /* the hypervisor gets a guest-page fault: cause, htval, htinst, fault_gpa */
    HVPT_GUEST_UNREACHABLE,          /* phys_to_virt does not know the frame of a table, of either stage */
    HVPT_GUEST_BAD_ARGUMENT          /* no CPU can be in this state, or no such access */
};

static inline const char *hvpt_guest_end_text(enum hvpt_guest_end end)
{
    switch (end) {
    case HVPT_GUEST_OK: return "ok";
    case HVPT_GUEST_NOT_CANONICAL: return "address not canonical";
    case HVPT_GUEST_PAGE_FAULT: return "page fault of the guest";
    case HVPT_GUEST_EPT_VIOLATION: return "EPT violation";
    case HVPT_GUEST_EPT_MISCONFIGURATION: return "EPT misconfiguration";
    case HVPT_GUEST_NESTED_PAGE_FAULT: return "nested page fault";
    case HVPT_GUEST_STAGE2_FAULT: return "stage 2 fault";
    case HVPT_GUEST_GSTAGE_FAULT: return "guest-page fault";
    case HVPT_GUEST_UNREACHABLE: return "a table lies where no memory can be read";
    case HVPT_GUEST_BAD_ARGUMENT: return "no such state or access";
    }
    return "unknown end";
}

/*
 * One entry of the guest that the walk used. gpa, hpa: where it lies.  entry: as it was read, once.
 * update: the accessed and dirty bits that the access would change (with HVPT_GUEST_OK): hardware leaves entry ^
 * update. x86, RISC-V: set; Arm: the access flag is set, and AP[2], which forbids to write, is cleared.
 * in_register: an x86 PDPTE given in pdpte, with no address.
 */
struct hvpt_guest_step {
    hvpt_gpa gpa;
    hvpt_hpa hpa;
    uint64_t entry;
    uint32_t update;
    bool in_register;
};

/* Zero size bytes. */
static inline void hvpt_guest_clear(void *walk, size_t size)
{
    unsigned char *byte = (unsigned char *)walk;
    size_t i;

    for (i = 0; i < size; i++)
        byte[i] = 0;
}

/*
 * Read the aligned 8 bytes that hold hpa, once. memory: how to reach the guest's frames; NULL: by the space's hooks.
 * false: there is no such frame.
 */
static inline bool hvpt_guest_read(const struct hvpt_space *space, const struct hvpt_hooks *memory, uint64_t hpa,
                                   uint64_t *word)
{
    const struct hvpt_hooks *hooks = memory != NULL ? memory : hvpt_hooks_of(space);
    const uint64_t page = hpa & ~(HVPT_4K - 1);
    const char *frame = hooks->phys_to_virt == NULL
                          ? (const char *)hvpt_linear_at(hooks->linear_map, page)
                          : (const char *)(hooks->phys_to_virt)(hooks->ctx, hvpt_make_hpa(page));

    if (frame == NULL)
        return false;
    *word = hvpt_load((const hvpt_entry *)(const void *)(frame + (hpa & (HVPT_4K - 8))));
    return true;
}

#endif
