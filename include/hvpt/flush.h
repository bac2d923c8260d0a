/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A deferred flush: what an operation changed that a CPU may still have cached, and the table frames that wait until it
 * is invalidated. A zeroed struct hvpt_flush is empty. (One that was not initialised is taken for another space's:
 * calls then flush at once.) Several operations on one space may share one, so that a single flush covers them all. A
 * space uses one at a time: carry it out (hvpt_space_flush) before another one is passed to a call on the same space.
 */
#ifndef HVPT_FLUSH_H
#define HVPT_FLUSH_H

#include "hooks.h"

/* Which invalidation it takes. The flush hook carries it out on every CPU that may run the guest. */
enum hvpt_flush_kind {
    HVPT_FLUSH_NONE, /* nothing can be stale */
    /*
     * Single-context INVEPT, with root (the EPTP) in the descriptor.  SDM vol. 3, "Invalidating Cached Translation
     * Information"
     */
    HVPT_FLUSH_INVEPT,
    HVPT_FLUSH_ASID, /* TLB_CONTROL for the guest's ASID at the next VMRUN, or a new ASID.  APM vol. 2, "TLB Control" */
    /*
     * DSB ISHST, TLBI IPAS2E1IS over the range, DSB ISH, TLBI VMALLE1IS, DSB ISH, ISB.  map and fault_map need none of
     * it, but a DSB ISHST must come before the entry into a guest that may use the page, so that the walker sees the
     * stores.
     */
    HVPT_FLUSH_TLBI,
    /*
     * HFENCE.GVMA on every hart: for each page of the range, with its address shifted right by 2 in rs1; or once with
     * rs1 = x0 where tables is set, because a fence with an address covers leaf entries only.
     */
    HVPT_FLUSH_HFENCE
};

/* The most subtrees that wait in one flush; a call that unlinks one more flushes at once. */
#define HVPT_FLUSH_DEAD_MAX 16

/*
 * kind: NONE as long as no change could leave anything stale.
 * gpa, size: one range that encloses every change; a hook may invalidate more, never less.
 * tables: an entry that referred to a table went away, or one came where none was (RISC-V), so that cached table
 * entries are stale too. Where it is false, Arm and RISC-V may restrict the invalidation to leaf entries; INVEPT and
 * ASID flushes always cover both.
 * root: the register value of the space (EPTP, nCR3, VTTBR, hgatp), as an INVEPT descriptor wants it. An adopted space
 * has the value that it was adopted with, VMID included; in that of a space made by init the VMID is 0, since the space
 * does not know the guest's. A hook that needs the guest's VMID or ASID finds the guest by its ctx, if each guest has
 * hooks of its own, or by root.
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

/* An empty flush, as `= {0}` in C and `= {}` in C++ make it. */
static inline struct hvpt_flush hvpt_flush_empty(void)
{
    const struct hvpt_flush empty = {HVPT_FLUSH_NONE, false, {0}, 0, 0, 0, {0}};
    return empty;
}

/* Must the flush hook run before the guest's view can be trusted and frames can be reused? */
static inline bool hvpt_flush_needed(const struct hvpt_flush *flush)
{
    return flush->kind != HVPT_FLUSH_NONE;
}

#endif
