/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT's faults as a VM exit reports them: the exit qualification of an EPT violation taken apart, put into words, and
 * composed. SDM vol. 3, "Exit Qualification for EPT Violations". No tables are needed, only the number.
 */
#ifndef HVPT_FAULT_EPT_H
#define HVPT_FAULT_EPT_H

#include "../text.h"
#include "../types.h"

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
#define HVPT_EPT_VIOLATION_NMI_UNBLOCKING  (UINT64_C(1) << 12)
#define HVPT_EPT_VIOLATION_SHADOW_STACK    (UINT64_C(1) << 13)
#define HVPT_EPT_VIOLATION_SHADOW_PAGE     (UINT64_C(1) << 14) /* bit 60 of the leaf, where EPTP[7] is set */
#define HVPT_EPT_VIOLATION_GUEST_PAGING    (UINT64_C(1) << 15) /* guest-paging verification failed */
#define HVPT_EPT_VIOLATION_ASYNCHRONOUS    (UINT64_C(1) << 16)

/* IA32_VMX_EPT_VPID_CAP: bits 11:9 of the qualification are reported. */
#define HVPT_EPT_CAP_ADVANCED_INFORMATION (UINT64_C(1) << 22)

/* Which bits of a qualification the CPU defines, by its capabilities and the VMCS in use. All false: the oldest CPU. */
struct hvpt_ept_violation_form {
    bool mode_based_execute;      /* "mode-based execute control for EPT" is 1 */
    bool advanced_information;    /* IA32_VMX_EPT_VPID_CAP[22] */
    bool supervisor_shadow_stack; /* EPTP[7] is 1 */
    bool paging_verification;     /* "guest-paging verification" is 1 */
};

/* A qualification taken apart. */
struct hvpt_ept_violation {
    bool read, write, fetch;             /* the access; a page walk that counts as a write is a read as well */
    bool readable, writable, executable; /* what the entries used allow together; all false if one is not present */
    bool user_executable;                /* with mode-based execute control; executable is then the supervisor's */
    bool linear_valid;                   /* the exit's guest linear address is that of the access */
    bool final_translation;              /* false: an access to the guest's own paging structures */
    bool user_linear, writable_linear, nx_linear; /* from the guest's own tables (advanced information) */
    bool nmi_unblocking;          /* an IRET had just unblocked NMIs: block them again before the guest goes on */
    bool shadow_stack;            /* a shadow-stack access */
    bool supervisor_shadow_stack; /* the leaf allows those of the supervisor */
    bool paging_verification;     /* the entries allowed it, but not by these guest tables */
    bool asynchronous;            /* not by a guest instruction: trace output, PEBS, user-interrupt delivery */
};

/*
 * The bits of a qualification that the CPU defines; the others hold anything. Bit 8 is about a linear address and bits
 * 11:9 are about its final translation, so they have a meaning only where bit 7 is set, or bits 7 and 8.
 */
static inline uint64_t hvpt_ept_violation_defined(uint64_t qualification, struct hvpt_ept_violation_form form)
{
    const uint64_t final = HVPT_EPT_VIOLATION_LINEAR_VALID | HVPT_EPT_VIOLATION_FINAL;
    const uint64_t advanced =
        HVPT_EPT_VIOLATION_USER_LINEAR | HVPT_EPT_VIOLATION_LINEAR_WRITABLE | HVPT_EPT_VIOLATION_LINEAR_NX;
    uint64_t defined = (HVPT_EPT_VIOLATION_ASYNCHRONOUS << 1) - 1;

    if (!form.mode_based_execute)
        defined &= ~HVPT_EPT_VIOLATION_USER_EXECUTABLE;
    if (!(qualification & HVPT_EPT_VIOLATION_LINEAR_VALID))
        defined &= ~HVPT_EPT_VIOLATION_FINAL;
    if (!form.advanced_information || (qualification & final) != final)
        defined &= ~advanced;
    if (!form.supervisor_shadow_stack)
        defined &= ~HVPT_EPT_VIOLATION_SHADOW_PAGE;
    if (!form.paging_verification)
        defined &= ~HVPT_EPT_VIOLATION_GUEST_PAGING;
    return defined;
}

/* Take a qualification apart. A member whose bit the CPU does not define is false. */
static inline struct hvpt_ept_violation hvpt_ept_decode_violation_as(uint64_t qualification,
                                                                     struct hvpt_ept_violation_form form)
{
    const uint64_t bits = qualification & hvpt_ept_violation_defined(qualification, form);
    struct hvpt_ept_violation out;

    out.read = (bits & HVPT_EPT_VIOLATION_READ) != 0;
    out.write = (bits & HVPT_EPT_VIOLATION_WRITE) != 0;
    out.fetch = (bits & HVPT_EPT_VIOLATION_FETCH) != 0;
    out.readable = (bits & HVPT_EPT_VIOLATION_READABLE) != 0;
    out.writable = (bits & HVPT_EPT_VIOLATION_WRITABLE) != 0;
    out.executable = (bits & HVPT_EPT_VIOLATION_EXECUTABLE) != 0;
    out.user_executable = (bits & HVPT_EPT_VIOLATION_USER_EXECUTABLE) != 0;
    out.linear_valid = (bits & HVPT_EPT_VIOLATION_LINEAR_VALID) != 0;
    out.final_translation = (bits & HVPT_EPT_VIOLATION_FINAL) != 0;
    out.user_linear = (bits & HVPT_EPT_VIOLATION_USER_LINEAR) != 0;
    out.writable_linear = (bits & HVPT_EPT_VIOLATION_LINEAR_WRITABLE) != 0;
    out.nx_linear = (bits & HVPT_EPT_VIOLATION_LINEAR_NX) != 0;
    out.nmi_unblocking = (bits & HVPT_EPT_VIOLATION_NMI_UNBLOCKING) != 0;
    out.shadow_stack = (bits & HVPT_EPT_VIOLATION_SHADOW_STACK) != 0;
    out.supervisor_shadow_stack = (bits & HVPT_EPT_VIOLATION_SHADOW_PAGE) != 0;
    out.paging_verification = (bits & HVPT_EPT_VIOLATION_GUEST_PAGING) != 0;
    out.asynchronous = (bits & HVPT_EPT_VIOLATION_ASYNCHRONOUS) != 0;
    return out;
}

/*
 * Take a qualification apart, assuming that the CPU defines every bit that some control makes it define. Where bits 6,
 * 11:9, 14 or 15 may hold anything, call hvpt_ept_decode_violation_as instead.
 */
static inline struct hvpt_ept_violation hvpt_ept_decode_violation(uint64_t qualification)
{
    struct hvpt_ept_violation_form all = {true, true, true, true};

    return hvpt_ept_decode_violation_as(qualification, all);
}

/*
 * The access as the permission that hvpt_space_touch and hvpt_space_explain take: HVPT_WRITE before HVPT_READ, because
 * an access that is both needs the former. user_mode: a fetch counts as the user's (mode-based execute control: the
 * page was a user page by the guest's tables, user_linear). 0: no bit was set.
 */
static inline uint32_t hvpt_ept_violation_wants(const struct hvpt_ept_violation *violation, bool user_mode)
{
    return violation->write ? (uint32_t)HVPT_WRITE
         : violation->fetch ? (uint32_t)(user_mode ? HVPT_EXEC_USER : HVPT_EXEC)
         : violation->read  ? (uint32_t)HVPT_READ
                            : 0;
}

/* "data write; EPT allows read, fetch; by the translation of a linear address". */
static inline void hvpt_ept_violation_text(const struct hvpt_ept_violation *violation, const struct hvpt_text *text)
{
    struct hvpt_text_list access = {text, " and ", false};
    struct hvpt_text_list allowed = {text, ", ", false};

    hvpt_text_item_if(&access, violation->read, "data read");
    hvpt_text_item_if(&access, violation->write, "data write");
    hvpt_text_item_if(&access, violation->fetch, "instruction fetch");
    hvpt_text_item_if(&access, !access.begun, "access of unknown kind");
    hvpt_text_string(text, violation->shadow_stack ? " of a shadow stack; EPT allows " : "; EPT allows ");
    hvpt_text_item_if(&allowed, violation->readable, "read");
    hvpt_text_item_if(&allowed, violation->writable, "write");
    hvpt_text_item_if(&allowed, violation->executable, "fetch");
    hvpt_text_item_if(&allowed, violation->user_executable, "user-mode fetch");
    hvpt_text_item_if(&allowed, violation->supervisor_shadow_stack, "supervisor shadow stack");
    hvpt_text_item_if(&allowed, !allowed.begun, "nothing");
    hvpt_text_string(text, !violation->linear_valid       ? "; no linear address"
                           : violation->final_translation ? "; by the translation of a linear address"
                                                          : "; on the walk of the guest's own page tables");
    hvpt_text_string_if(text, violation->paging_verification, "; guest-paging verification");
    hvpt_text_string_if(text, violation->nmi_unblocking, "; NMIs unblocked by IRET");
    hvpt_text_string_if(text, violation->asynchronous, "; asynchronous to instruction execution");
}

/*
 * Sub-page write permissions: what VM exit 66 is about. SDM vol. 3, "Basic VM-Exit Information", table for SPP-related
 * events. hvpt_spp_walk tells which entry it was.
 */
#define HVPT_SPP_EVENT_REASON 66
#define HVPT_SPP_EVENT_MISS   (UINT64_C(1) << 11) /* clear: a misconfiguration */
#define HVPT_SPP_EVENT_NMI    HVPT_EPT_VIOLATION_NMI_UNBLOCKING

struct hvpt_spp_event {
    bool miss; /* false: a misconfiguration */
    bool nmi_unblocking;
};

static inline struct hvpt_spp_event hvpt_spp_decode_event(uint64_t qualification)
{
    struct hvpt_spp_event out;

    out.miss = (qualification & HVPT_SPP_EVENT_MISS) != 0;
    out.nmi_unblocking = (qualification & HVPT_SPP_EVENT_NMI) != 0;
    return out;
}

/*
 * For code that emulates the processor: the low seven bits of the qualification. access: what was attempted, HVPT_READ
 * | HVPT_WRITE, or HVPT_EXEC or HVPT_EXEC_USER for a fetch. perm: what all entries used allow together, 0 if one was
 * not present.
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
