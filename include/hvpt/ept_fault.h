/*
 * EPT's faults as a VM exit reports them: the bits of an EPT violation's exit qualification, and how to compose one.
 * SDM vol. 3, "Exit Qualification for EPT Violations". For code that plays the processor; hvctl/vmx_exit.h takes them
 * apart.
 */
#ifndef HVPT_EPT_FAULT_H
#define HVPT_EPT_FAULT_H

#include "ept.h"

/* Basic exit reasons: SDM vol. 3, "VMX Basic Exit Reasons". */
#define HVPT_EPT_VIOLATION_REASON        48
#define HVPT_EPT_MISCONFIGURATION_REASON 49

#define HVPT_EPT_VIOLATION_READ            (UINT64_C(1) << 0)
#define HVPT_EPT_VIOLATION_WRITE           (UINT64_C(1) << 1)
#define HVPT_EPT_VIOLATION_FETCH           (UINT64_C(1) << 2)
#define HVPT_EPT_VIOLATION_READABLE        (UINT64_C(1) << 3)
#define HVPT_EPT_VIOLATION_WRITABLE        (UINT64_C(1) << 4)
#define HVPT_EPT_VIOLATION_EXECUTABLE      (UINT64_C(1) << 5)
#define HVPT_EPT_VIOLATION_USER_EXECUTABLE (UINT64_C(1) << 6)
#define HVPT_EPT_VIOLATION_LINEAR_VALID    (UINT64_C(1) << 7)
#define HVPT_EPT_VIOLATION_FINAL           (UINT64_C(1) << 8) /* clear: on one of the guest's own tables */
#define HVPT_EPT_VIOLATION_USER_LINEAR     (UINT64_C(1) << 9) /* this and the next two: advanced information */
#define HVPT_EPT_VIOLATION_LINEAR_WRITABLE (UINT64_C(1) << 10)
#define HVPT_EPT_VIOLATION_LINEAR_NX       (UINT64_C(1) << 11)
#define HVPT_EPT_VIOLATION_GUEST_PAGING    (UINT64_C(1) << 15) /* guest-paging verification failed */

/* IA32_VMX_EPT_VPID_CAP: bits 11:9 of the qualification are reported. */
#define HVPT_EPT_CAP_ADVANCED_INFORMATION (UINT64_C(1) << 22)

/*
 * The low seven bits of the qualification. access: what was attempted, HVPT_READ | HVPT_WRITE, or HVPT_EXEC or
 * HVPT_EXEC_USER for a fetch. perm: what all entries used allow together, 0 if one was not present.
 */
static inline uint64_t hvpt_ept_violation_access(uint32_t access, uint32_t perm)
{
    return (access & HVPT_READ ? HVPT_EPT_VIOLATION_READ : 0) | (access & HVPT_WRITE ? HVPT_EPT_VIOLATION_WRITE : 0)
         | (access & (HVPT_EXEC | HVPT_EXEC_USER) ? HVPT_EPT_VIOLATION_FETCH : 0)
         | (perm & HVPT_READ ? HVPT_EPT_VIOLATION_READABLE : 0) | (perm & HVPT_WRITE ? HVPT_EPT_VIOLATION_WRITABLE : 0)
         | (perm & HVPT_EXEC ? HVPT_EPT_VIOLATION_EXECUTABLE : 0)
         | (perm & HVPT_EXEC_USER ? HVPT_EPT_VIOLATION_USER_EXECUTABLE : 0);
}

#endif
