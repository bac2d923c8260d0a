/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * G-stage tables with this kernel's allocator and fences. The calls here flush before they return; for others,
 * hvpt_gstage_* takes &paging->space.
 */
#ifndef VM_PAGING_H
#define VM_PAGING_H

#include <hvpt/gstage.h>

#include "frames.h"

/* The VMID of all guests here: not 0, so that a fence for the wrong one would be seen to be wrong. */
#define PAGING_VMID UINT64_C(1)

/* hgatp's MODE. Privileged manual, "Hypervisor Guest Address Translation and Protection (hgatp) Register". */
enum { MODE_SV39X4 = 8, MODE_SV48X4 = 9, MODE_SV57X4 = 10 };

struct paging {
    struct hvpt_space space;
    struct hvpt_hooks hooks;
    struct frames *frames;
    unsigned mode;
    unsigned levels;
    unsigned flushes; /* calls of the flush hook */
    unsigned early;   /* table frames that came back inside an unmap before its flush: must stay 0 */
    bool unmapping;
    struct hvpt_flush last; /* what the hook was last asked for */
};

/* mode 0: Sv48x4. max_page_size 0: the largest. features: HVPT_GSTAGE_USE_... */
struct paging_options {
    unsigned mode;
    uint64_t max_page_size;
    uint32_t features;
};

enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options);
uint64_t paging_hgatp(const struct paging *paging); /* with the VMID */
enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size);
enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm);
enum hvpt_status paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out);
void paging_destroy(struct paging *paging);

/* Write-back memory with these permissions. */
struct hvpt_attr paging_attr(uint32_t perm);

/* First guest-physical address beyond the mode's: 2^41, 2^50, 2^59. */
uint64_t paging_limit(unsigned mode);

/*
 * The entry for gpa at a level, found by a walk of its own: the manual's figures, not the headers' code. NULL: the
 * walk ends above. For reading back what hardware wrote, and for breaking entries on purpose (fence afterwards).
 */
uint64_t *paging_entry(const struct paging *paging, uint64_t gpa, unsigned level);

#endif
