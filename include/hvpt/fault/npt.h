/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT's faults as #VMEXIT(NPF) reports them: EXITINFO1 and EXITINFO2 taken apart, put into words, and composed.
 * APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering". No tables are needed, only the numbers.
 */
#ifndef HVPT_FAULT_NPT_H
#define HVPT_FAULT_NPT_H

#include "../text.h"
#include "../types.h"

#define HVPT_NPF_EXIT_CODE UINT64_C(0x400)

/* The low half has the layout of a page fault's error code. */
#define HVPT_NPF_PRESENT         (UINT64_C(1) << 0)
#define HVPT_NPF_WRITE           (UINT64_C(1) << 1)
#define HVPT_NPF_USER            (UINT64_C(1) << 2)
#define HVPT_NPF_RESERVED        (UINT64_C(1) << 3)
#define HVPT_NPF_FETCH           (UINT64_C(1) << 4)
#define HVPT_NPF_SHADOW_STACK    (UINT64_C(1) << 6)
#define HVPT_NPF_RMP             (UINT64_C(1) << 31) /* SEV-SNP: "RMP and VMPL Access Checks" */
#define HVPT_NPF_FINAL           (UINT64_C(1) << 32)
#define HVPT_NPF_GUEST_TABLE     (UINT64_C(1) << 33)
#define HVPT_NPF_ENCRYPTED       (UINT64_C(1) << 34) /* this and the next two: SEV-SNP */
#define HVPT_NPF_SIZE_MISMATCH   (UINT64_C(1) << 35)
#define HVPT_NPF_VMPL            (UINT64_C(1) << 36)
#define HVPT_NPF_SHADOW_PAGE     (UINT64_C(1) << 37)
#define HVPT_NPF_NOT_RESTARTABLE (UINT64_C(1) << 63) /* Secure AVIC */

/* A nested page fault taken apart. */
struct hvpt_npt_fault {
    hvpt_gpa gpa;                 /* EXITINFO2: the address, or that of the table entry in a page walk */
    bool present;                 /* the nested page was present: its rights forbade the access */
    bool write, fetch;            /* neither: a read. The guest's own page walks count as writes */
    bool user;                    /* as the nested tables see it: always true without GMET and SSS */
    bool reserved;                /* a reserved bit was set in a nested entry */
    bool shadow_stack;            /* a shadow-stack access */
    bool rmp;                     /* SEV-SNP: the RMP or a VMPL did not allow it */
    bool final;                   /* at the guest's final physical address ... */
    bool guest_table;             /* ... or on one of its own page tables */
    bool encrypted;               /* SEV-SNP: the guest's C-bit was set */
    bool size_mismatch;           /* SEV-SNP: the page sizes of the RMP and of PVALIDATE or RMPADJUST differ */
    bool vmpl;                    /* SEV-SNP: the VMPL's permission mask did not allow it */
    bool supervisor_shadow_stack; /* the leaf is a supervisor shadow-stack page, and SSS is on */
    bool not_restartable;         /* Secure AVIC: the guest cannot go on from here */
};

/* Take EXITINFO1 and EXITINFO2 apart. Every value is accepted; bits that have no meaning are dropped. */
static inline struct hvpt_npt_fault hvpt_npt_decode_fault(uint64_t exitinfo1, uint64_t exitinfo2)
{
    struct hvpt_npt_fault out;

    out.gpa = hvpt_make_gpa(exitinfo2);
    out.present = (exitinfo1 & HVPT_NPF_PRESENT) != 0;
    out.write = (exitinfo1 & HVPT_NPF_WRITE) != 0;
    out.fetch = (exitinfo1 & HVPT_NPF_FETCH) != 0;
    out.user = (exitinfo1 & HVPT_NPF_USER) != 0;
    out.reserved = (exitinfo1 & HVPT_NPF_RESERVED) != 0;
    out.shadow_stack = (exitinfo1 & HVPT_NPF_SHADOW_STACK) != 0;
    out.rmp = (exitinfo1 & HVPT_NPF_RMP) != 0;
    out.final = (exitinfo1 & HVPT_NPF_FINAL) != 0;
    out.guest_table = (exitinfo1 & HVPT_NPF_GUEST_TABLE) != 0;
    out.encrypted = (exitinfo1 & HVPT_NPF_ENCRYPTED) != 0;
    out.size_mismatch = (exitinfo1 & HVPT_NPF_SIZE_MISMATCH) != 0;
    out.vmpl = (exitinfo1 & HVPT_NPF_VMPL) != 0;
    out.supervisor_shadow_stack = (exitinfo1 & HVPT_NPF_SHADOW_PAGE) != 0;
    out.not_restartable = (exitinfo1 & HVPT_NPF_NOT_RESTARTABLE) != 0;
    return out;
}

/*
 * The access as the permission that hvpt_space_touch and hvpt_space_explain take. gmet: the guest runs with guest mode
 * execute trap, so that a fetch by the user needs HVPT_EXEC_USER and one by the supervisor HVPT_EXEC; some CPUs report
 * user wrongly there, and the CPL in the VMCB tells (APM vol. 2, "Guest Mode Execute Trap Extension").
 */
static inline uint32_t hvpt_npt_fault_wants(const struct hvpt_npt_fault *fault, bool gmet)
{
    return fault->fetch ? (uint32_t)(gmet && fault->user ? HVPT_EXEC_USER : HVPT_EXEC)
         : fault->write ? (uint32_t)HVPT_WRITE
                        : (uint32_t)HVPT_READ;
}

/* "data write; the nested page does not allow it; at the guest's final physical address". */
static inline void hvpt_npt_fault_text(const struct hvpt_npt_fault *fault, const struct hvpt_text *text)
{
    hvpt_text_string(text, fault->fetch ? "instruction fetch" : fault->write ? "data write" : "data read");
    hvpt_text_string_if(text, !fault->user, " by the supervisor");
    hvpt_text_string_if(text, fault->shadow_stack, " of a shadow stack");
    hvpt_text_string(text, fault->reserved  ? "; a reserved bit is set in a nested entry"
                           : fault->rmp     ? "; the RMP does not allow it"
                           : fault->present ? "; the nested page does not allow it"
                                            : "; no nested page is present");
    hvpt_text_string_if(text, fault->guest_table, "; on the walk of the guest's own page tables");
    hvpt_text_string_if(text, !fault->guest_table && fault->final, "; at the guest's final physical address");
    hvpt_text_string_if(text, fault->encrypted, "; encrypted");
    hvpt_text_string_if(text, fault->size_mismatch, "; page size differs from the RMP's");
    hvpt_text_string_if(text, fault->vmpl, "; VMPL permission");
    hvpt_text_string_if(text, fault->supervisor_shadow_stack, "; supervisor shadow-stack page");
    hvpt_text_string_if(text, fault->not_restartable, "; the guest cannot be restarted");
}

/*
 * For code that emulates the processor: the low half of EXITINFO1. access: what was attempted, HVPT_READ | HVPT_WRITE,
 * or HVPT_EXEC or HVPT_EXEC_USER for a fetch, which is reported only where the host can refuse one (no_execute: its
 * EFER.NXE or CR4.SMEP is 1). user: it counts as one of user mode. present: all entries used were. reserved: one of
 * them had a reserved bit set.
 */
static inline uint64_t hvpt_npf_access(uint32_t access, bool user, bool no_execute, bool present, bool reserved)
{
    return (user ? HVPT_NPF_USER : 0) | (present ? HVPT_NPF_PRESENT : 0) | (reserved ? HVPT_NPF_RESERVED : 0)
         | (access & HVPT_WRITE ? HVPT_NPF_WRITE : 0)
         | ((access & (HVPT_EXEC | HVPT_EXEC_USER)) && no_execute ? HVPT_NPF_FETCH : 0);
}

#endif
