/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMIDs of Arm and RISC-V: a number for each guest, the same on all CPUs, given out again after a flush when they run
 * out. Arm ARM, "VMID"; RISC-V Privileged Architecture, "Hypervisor Guest Address Translation and Protection (hgatp)
 * Register".
 */
#ifndef HVPT_VMID_H
#define HVPT_VMID_H

#include "types.h"

/*
 * All VMIDs of a machine, under a lock of the caller's. It stays where it is, and outlives the VMIDs that were taken
 * from it.
 */
struct hvpt_vmid_pool {
    uint32_t last;       /* 1 to this one are given out; 0 is the host's */
    uint32_t next;       /* 0: none is left before a flush */
    uint64_t generation; /* counts the flushes */
};

/* What a guest has. Begin with a zeroed one. */
struct hvpt_vmid {
    uint32_t value;
    uint64_t generation;
    const struct hvpt_vmid_pool *pool;
};

/* What has to happen before the guest runs. */
enum hvpt_vmid_use {
    HVPT_VMID_KEPT, /* nothing: it is the one it had, and the guest's other CPUs may be using it */
    HVPT_VMID_NEW,  /* write it into VTTBR_EL2 or hgatp; nobody has used it since the last flush of all */
    /*
     * The numbers begin anew: every CPU leaves its guest and takes a VMID before it goes on, and all of them flush what
     * they have of all guests (TLBI ALLE1IS; HFENCE.GVMA x0, x0 and HFENCE.VVMA on each hart), before any guest runs.
     * Then as NEW.
     */
    HVPT_VMID_ROLLOVER
};

/*
 * bits: how wide VMIDs are. Arm: 8, or 16 where VTCR_EL2.VS may be 1 (ID_AA64MMFR1_EL1.VMIDBits). RISC-V: as many of
 * hgatp's bits 57:44 as can be written. The first guest's use is a rollover: who used the machine before may have left
 * entries. HVPT_E_RANGE: more than 16 bits, or none: a hart without VMIDs flushes whenever it changes guests.
 */
static inline enum hvpt_status hvpt_vmid_pool_init(struct hvpt_vmid_pool *pool, unsigned bits)
{
    pool->last = bits <= 16 ? (UINT32_C(1) << bits) - 1 : 0;
    pool->next = 0;
    pool->generation = 0;
    return pool->last != 0 ? HVPT_OK : HVPT_E_RANGE;
}

/*
 * Is the VMID still good? What a CPU asks with interrupts off just before it enters the guest; without the lock the
 * answer may be late, which the rollover's summons makes good. A VMID of another pool is not.
 */
static inline bool hvpt_vmid_is_current(const struct hvpt_vmid_pool *pool, const struct hvpt_vmid *vmid)
{
    return vmid->pool == pool && vmid->generation == pool->generation && pool->generation != 0;
}

/* Make sure that the guest has a VMID. Under the lock. */
HVPT_NODISCARD static inline enum hvpt_vmid_use hvpt_vmid_take(struct hvpt_vmid_pool *pool, struct hvpt_vmid *vmid)
{
    enum hvpt_vmid_use use = HVPT_VMID_NEW;

    if (hvpt_vmid_is_current(pool, vmid))
        return HVPT_VMID_KEPT;
    if (pool->next == 0) {
        pool->generation++;
        pool->next = 1;
        use = HVPT_VMID_ROLLOVER;
    }
    vmid->value = pool->next;
    vmid->generation = pool->generation;
    vmid->pool = pool;
    pool->next = pool->next >= pool->last ? 0 : pool->next + 1;
    return use;
}

/* Forget a VMID, when the guest is gone: the number is not used again before the next rollover. */
static inline void hvpt_vmid_drop(struct hvpt_vmid *vmid)
{
    vmid->generation = 0;
    vmid->pool = NULL;
}

#endif
