/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest's stage 2 tables in the headers' struct hvpt_space, with hooks that do what a hypervisor's would. The calls
 * here flush
 * before they return; for others, hvpt_s2_* takes &paging->s2.
 */
#ifndef VM_PAGING_H
#define VM_PAGING_H

#include <hvpt/stage2.h>

#include "frames.h"
#include "walk.h"

/* What differs from test to test; all zero: 4 KiB granule, 40 bits (or the CPU's fewer), no optional feature. */
struct paging_options {
    unsigned granule_shift;
    unsigned ipa_bits;
    unsigned levels;
    uint64_t max_page_size;
    uint32_t features;
    uint32_t policy;
};

struct paging {
    struct hvpt_space s2;
    struct hvpt_hooks hooks;
    struct hvpt_s2_config config;
    struct frames *frames;
    unsigned vmid;
    uint64_t vtcr, s2pir; /* further bits of VTCR_EL2, and S2PIR_EL2 where not 0: set before the first entry */
    unsigned flushes;    /* calls of the flush hook */
    uint64_t low, high;  /* hull of what they were asked to flush since paging_watch() */
    bool watching;       /* paging_watch() was called */
    uint64_t watched;    /* this address */
    unsigned seen_empty; /* flushes during which it was not mapped */
    bool unflushed;      /* inside an unmap, and no flush yet */
    bool early;          /* a table's frame came back then: must stay false */
};

/* What the ID registers say. */
unsigned paging_physical_bits(void);
bool paging_has_granule(unsigned shift);
bool paging_has_lpa2(unsigned shift);
bool paging_has(uint32_t feature); /* HVPT_S2_USE_... */
unsigned paging_usual_ipa_bits(void);
bool paging_has_stage1_granule(unsigned shift);
bool paging_has_stage1_lpa2(unsigned shift);

enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options);
void paging_destroy(struct paging *paging);
enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size);
enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm);
void paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out);

/* VTTBR_EL2 with the VMID. */
uint64_t paging_vttbr(const struct paging *paging);

/* Makes these the tables of the EL1&0 regime, if they are not. hcr: HCR_EL2 but for VM, RW and FWB. */
void paging_load(struct paging *paging, uint64_t hcr);

/* The address translation instructions of EL2 through these tables: PAR_EL1. Stage 1 is off, everything write-back. */
uint64_t paging_at(struct paging *paging, uint64_t ipa, bool write);

/* The tests' own walk. */
struct walk paging_walk(const struct paging *paging, uint64_t ipa);

/* From now on the flush hook looks whether ipa is mapped, and remembers the hull of what is flushed. */
void paging_watch(struct paging *paging, uint64_t ipa);

/* Write-back memory with these permissions. */
struct hvpt_attr paging_attr(uint32_t perm);

#endif
