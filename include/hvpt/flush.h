/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The flush obligation: what an operation left behind that a CPU may still have cached, and the frames that wait for
 * it. A zeroed struct hvpt_flush is empty (what was not initialised is taken for another space's: calls then flush at
 * once). Several operations on one space may share one, then a single flush covers all.
 */
#ifndef HVPT_FLUSH_H
#define HVPT_FLUSH_H

#include "hooks.h"

/* Which invalidation makes it good. The flush hook carries it out on every CPU that may run the guest. */
enum hvpt_flush_kind {
    HVPT_FLUSH_NONE, /* nothing can be stale */
    /*
     * INVEPT, single context, descriptor: root (the EPTP).  SDM vol. 3, "Invalidating Cached Translation
     * Information"
     */
    HVPT_FLUSH_INVEPT,
    HVPT_FLUSH_ASID, /* TLB_CONTROL for the guest's ASID at the next VMRUN, or a new ASID.  APM vol. 2, "TLB Control" */
    /*
     * DSB ISHST, TLBI IPAS2E1IS over the range, DSB ISH, TLBI VMALLE1IS, DSB ISH, ISB.  map and fault_map owe none of
     * it, but want a DSB ISHST before a guest that may use the page is entered, so that the walker sees the stores.
     */
    HVPT_FLUSH_TLBI,
    /*
     * HFENCE.GVMA, on every hart: for each page of the range, whose address goes into rs1 shifted right by 2; with rs1
     * = x0 where tables is set, since an address restricts the fence to leaves.
     */
    HVPT_FLUSH_HFENCE
};

/* Subtrees that wait in one obligation at most; one more flushes on the way. */
#define HVPT_FLUSH_DEAD_MAX 16

/*
 * kind: NONE as long as no change could leave anything stale.
 * gpa, size: one range that encloses every change; a hook may invalidate more, never less.
 * tables: an entry that pointed to a table went away, or one came where none was (RISC-V), so caches of the walk itself
 * are stale too (Arm and RISC-V may restrict themselves to leaf entries where this is false; INVEPT and ASID flushes
 * always cover both).
 * root: the register value of the space (EPTP, nCR3, VTTBR, hgatp), as an INVEPT descriptor wants it; of an adopted
 * space as it was given, VMID and all. The VMID of a space that was made here is its guest's and not in it.
 * dead: unlinked tables, the level in the low bits; freed, with all below them, once the flush is done. For the engine
 * only.
 */
struct hvpt_flush {
    enum hvpt_flush_kind kind;
    bool tables;
    hvpt_gpa gpa;
    uint64_t size;
    uint64_t root;
    unsigned dead_count;
    uint64_t dead[HVPT_FLUSH_DEAD_MAX];
};

/* An obligation that owes nothing, as `= {0}` in C and `= {}` in C++ make it. */
static inline struct hvpt_flush hvpt_flush_empty(void)
{
    const struct hvpt_flush empty = {HVPT_FLUSH_NONE, false, {0}, 0, 0, 0, {0}};
    return empty;
}

/* Must the flush hook run before the guest's view can be trusted and frames be reused? */
static inline bool hvpt_flush_needed(const struct hvpt_flush *flush)
{
    return flush->kind != HVPT_FLUSH_NONE;
}

#endif
