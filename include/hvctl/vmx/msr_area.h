/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * MSRs that VM entry and VM exit load and store through lists in memory.
 * SDM vol. 3, "VM-Exit Controls for MSRs", "VM-Entry Controls for MSRs".
 */
#ifndef HVCTL_VMX_MSR_AREA_H
#define HVCTL_VMX_MSR_AREA_H

#include "caps.h"

/* One entry of an area, 16 bytes as the CPU reads it. */
struct hvctl_msr_entry {
    uint32_t msr;
    uint32_t reserved; /* 0 */
    uint64_t value;    /* to load; or where a VM exit stores */
};

/*
 * An area. entry points to 16-byte aligned memory whose physical address goes into the VMCS, with count into the count
 * field. Change it only while the guest does not run, because VM entry and VM exit use it.
 */
struct hvctl_msr_area {
    struct hvctl_msr_entry *entry;
    uint32_t count, capacity;
};

/* Make an empty area of capacity entries, but no more than the CPU recommends (caps NULL: no limit). */
static inline void hvctl_msr_area_init(struct hvctl_msr_area *area, struct hvctl_msr_entry *entry, uint32_t capacity,
                                       const struct hvctl_vmx_caps *caps)
{
    uint32_t most = caps ? hvctl_vmx_msr_list_max(caps) : capacity;

    area->entry = entry;
    area->count = 0;
    area->capacity = capacity < most ? capacity : most;
}

/*
 * May an MSR be loaded from an area? Not FS and GS base, nor those of the x2APIC, nor, outside SMM,
 * IA32_SMM_MONITOR_CTL; some CPUs refuse more, and a value that WRMSR would refuse fails as well. SDM vol. 3, "Loading
 * MSRs".
 */
static inline bool hvctl_msr_loadable(uint32_t msr)
{
    return msr != HVCTL_MSR_FS_BASE && msr != HVCTL_MSR_GS_BASE && msr >> 8 != 8 && msr != HVCTL_MSR_SMM_MONITOR_CTL;
}

/* The entry of an MSR; NULL if the area has none. */
static inline struct hvctl_msr_entry *hvctl_msr_area_find(const struct hvctl_msr_area *area, uint32_t msr)
{
    uint32_t i;

    for (i = 0; i < area->count; i++)
        if (area->entry[i].msr == msr)
            return &area->entry[i];
    return NULL;
}

/*
 * Give an MSR this value in the area: its entry is changed, or one is added. If count changes, write the VMCS's count
 * field, too.
 * HVCTL_E_RANGE: it cannot be loaded from an area.
 * HVCTL_E_FULL: the area has no room.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_msr_area_set(struct hvctl_msr_area *area, uint32_t msr,
                                                                   uint64_t value)
{
    struct hvctl_msr_entry *entry = hvctl_msr_area_find(area, msr);

    if (!hvctl_msr_loadable(msr))
        return HVCTL_E_RANGE;
    if (!entry) {
        if (area->count >= area->capacity)
            return HVCTL_E_FULL;
        entry = &area->entry[area->count++];
    }
    entry->msr = msr;
    entry->reserved = 0;
    entry->value = value;
    return HVCTL_OK;
}

/* Remove an MSR; the last entry moves into its place. HVCTL_E_ABSENT: it was not in the area. */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_msr_area_remove(struct hvctl_msr_area *area, uint32_t msr)
{
    struct hvctl_msr_entry *entry = hvctl_msr_area_find(area, msr);

    if (!entry)
        return HVCTL_E_ABSENT;
    *entry = area->entry[--area->count];
    return HVCTL_OK;
}

#endif
