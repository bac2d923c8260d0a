/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMIDs of Arm and RISC-V: one number for each guest, the same on all CPUs. When they run out, a flush comes first and
 * then they are given out again. Arm ARM, "VMID"; RISC-V Privileged Architecture, "Hypervisor Guest Address Translation
 * and Protection (hgatp) Register".
 */
#ifndef HVPT_VMID_H
#define HVPT_VMID_H

#include "types.h"

/*
 * All VMIDs of a machine, protected by a lock of the caller's. It must not move, and must outlive the VMIDs that were
 * taken from it.
 */
struct hvpt_vmid_pool {
    uint32_t last;       /* the highest VMID; the lowest is 1, since 0 is the host's */
    uint32_t next;       /* 0: none is left until a flush */
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
    HVPT_VMID_KEPT, /* nothing: the guest keeps the one it had, which its other CPUs may be using */
    HVPT_VMID_NEW,  /* write it into VTTBR_EL2 or hgatp; nobody has used it since the last flush of all */
    /*
     * The numbers begin anew. Before any guest runs, every CPU must leave its guest and flush what it has cached of all
     * guests (TLBI ALLE1IS; HFENCE.GVMA x0, x0 and HFENCE.VVMA on each hart); it takes a VMID again before it goes on.
     * Then as for NEW.
     */
    HVPT_VMID_ROLLOVER
};

/*
 * bits: the width of a VMID. Arm: 8, or 16 where VTCR_EL2.VS may be 1 (ID_AA64MMFR1_EL1.VMIDBits). RISC-V: as many of
 * hgatp's bits 57:44 as can be written. The first VMID taken is a rollover, because whoever used the machine before may
 * have left entries.
 * HVPT_E_RANGE: bits is 0 or above 16. A hart without VMIDs must flush whenever it changes guests.
 */
static inline enum hvpt_status hvpt_vmid_pool_init(struct hvpt_vmid_pool *pool, unsigned bits)
{
    pool->last = bits <= 16 ? (UINT32_C(1) << bits) - 1 : 0;
    pool->next = 0;
    pool->generation = 0;
    return pool->last != 0 ? HVPT_OK : HVPT_E_RANGE;
}

/*
 * Is the VMID still valid? A CPU asks with interrupts off just before it enters the guest. Without the lock the answer
 * may be out of date, which does no harm: a rollover makes every CPU leave its guest anyway. A VMID of another pool is
 * not valid.
 */
static inline bool hvpt_vmid_is_current(const struct hvpt_vmid_pool *pool, const struct hvpt_vmid *vmid)
{
    return vmid->pool == pool && vmid->generation == pool->generation && pool->generation != 0;
}

/* Make sure that the guest has a VMID. The caller holds the lock. */
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

/* Forget the VMID of a guest that is gone. The number is not used again before the next rollover. */
static inline void hvpt_vmid_drop(struct hvpt_vmid *vmid)
{
    vmid->generation = 0;
    vmid->pool = NULL;
}

#endif
