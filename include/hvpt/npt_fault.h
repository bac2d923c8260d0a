/*
 * NPT's faults as #VMEXIT(NPF) reports them: the bits of EXITINFO1, and how to compose one. EXITINFO2 is the address.
 * APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering". For code that plays the processor; hvctl/svm_exit.h
 * takes them apart.
 */
#ifndef HVPT_NPT_FAULT_H
#define HVPT_NPT_FAULT_H

#include "npt.h"

#define HVPT_NPF_EXIT_CODE UINT64_C(0x400)

/* The low half is laid out as the error code of a page fault. */
#define HVPT_NPF_PRESENT     (UINT64_C(1) << 0)
#define HVPT_NPF_WRITE       (UINT64_C(1) << 1)
#define HVPT_NPF_USER        (UINT64_C(1) << 2)
#define HVPT_NPF_RESERVED    (UINT64_C(1) << 3)
#define HVPT_NPF_FETCH       (UINT64_C(1) << 4)
#define HVPT_NPF_FINAL       (UINT64_C(1) << 32)
#define HVPT_NPF_GUEST_TABLE (UINT64_C(1) << 33)

/*
 * The low half of EXITINFO1. access: what was attempted, HVPT_READ | HVPT_WRITE or HVPT_EXEC. present: all entries used
 * were. reserved: one of them had a reserved bit set. Every guest access counts as one of user mode. As in the error
 * code of a page fault, a fetch is told only where the host can refuse one.
 */
static inline uint64_t hvpt_npf_access(const struct hvpt_space *space, uint32_t access, bool present, bool reserved)
{
    return HVPT_NPF_USER | (present ? HVPT_NPF_PRESENT : 0) | (reserved ? HVPT_NPF_RESERVED : 0)
         | (access & HVPT_WRITE ? HVPT_NPF_WRITE : 0)
         | ((access & HVPT_EXEC) && !(space->features & HVPT_NPT_NO_NX) ? HVPT_NPF_FETCH : 0);
}

#endif
