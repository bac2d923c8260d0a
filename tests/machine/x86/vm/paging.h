/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Second-level tables of whatever format this machine has, in the headers' struct hvpt_space, so that a check can be written
 * once and run on both. The calls here flush before they return; for others, hvpt_space_* takes &paging->space.
 */
#ifndef VM_PAGING_H
#define VM_PAGING_H

#include <hvpt/ept.h>
#include <hvpt/npt.h>

#include "frames.h"

struct paging {
    bool npt;
    struct hvpt_space space;
    struct hvpt_hooks hooks;
    struct frames *frames;
    unsigned levels;
    unsigned flushes; /* calls of the flush hook */
    unsigned early;   /* table frames that came back inside an unmap before its flush: must stay 0 */
    bool unmapping;
    bool stale; /* set by the flush hook: drop the guest's translations before the next entry (NPT) */
};

/* What differs from machine to machine. max_page_size 0: the largest the machine has. */
struct paging_options {
    uint64_t max_page_size;
    bool accessed_dirty; /* EPT: let hardware keep A and D; NPT always does */
    uint32_t features;   /* EPT: what else the VMCS enables, HVPT_EPT_USE_... */
};

/* The machine's usual paging with this allocator; VMX must be on for EPT, since the flush is an INVEPT. */
enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options);
uint64_t paging_root(const struct paging *paging);
enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size);
enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm);
enum hvpt_status paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out);
void paging_destroy(struct paging *paging);

/* Write-back memory with these permissions. */
struct hvpt_attr paging_attr(uint32_t perm);

/* The largest page that the machine's CPU offers: HVPT_2M or HVPT_1G. */
uint64_t paging_largest_page(const struct paging *paging);

/*
 * The entry for gpa at a level, found by a walk of its own: manual's figures, not the headers' code. NULL: the walk ends above.
 * For reading back what hardware wrote, and for breaking entries on purpose (flush afterwards).
 */
uint64_t *paging_entry(const struct paging *paging, uint64_t gpa, unsigned level);
void paging_flush_all(struct paging *paging);

#endif
