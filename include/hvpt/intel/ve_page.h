/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The virtualization-exception information area: what the processor tells a guest about an EPT violation that it turned
 * into #VE. SDM vol. 3, "Virtualization Exceptions", "Virtualization-Exception Information".
 */
#ifndef HVPT_INTEL_VE_PAGE_H
#define HVPT_INTEL_VE_PAGE_H

#include "../engine/atomic.h"
#include "../types.h"

#define HVPT_VE_VECTOR 20
#define HVPT_VE_BUSY   UINT32_C(0xffffffff)

/*
 * The beginning of the page that the VMCS field "virtualization-exception information address" points to, aligned to
 * 4 KiB. The guest's handler of #VE reads it and writes busy to 0; as long as that is not 0, violations exit instead.
 */
struct hvpt_ve_page {
    uint32_t exit_reason;            /* 48, EPT violation: the only one there is */
    uint32_t busy;                   /* the processor writes HVPT_VE_BUSY */
    hvpt_entry qualification;        /* as hvpt_ept_decode_violation takes it */
    hvpt_entry guest_linear_address; /* valid if the qualification says so */
    hvpt_entry guest_physical_address;
    uint16_t eptp_index; /* of the list that VMFUNC switches by */
};

HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, exit_reason) == 0, "exit reason at 0");
HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, busy) == 4, "FFFFFFFFH at 4");
HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, qualification) == 8, "exit qualification at 8");
HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, guest_linear_address) == 16, "guest linear address at 16");
HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, guest_physical_address) == 24,
                   "guest-physical address at 24");
HVPT_STATIC_ASSERT(__builtin_offsetof(struct hvpt_ve_page, eptp_index) == 32, "EPTP index at 32");

/* What was in the area, read once. */
struct hvpt_ve_information {
    uint32_t exit_reason;
    uint64_t qualification;
    uint64_t guest_linear_address;
    hvpt_gpa guest_physical_address;
    uint16_t eptp_index;
};

/* Make the area empty, and ready for the first #VE. */
static inline void hvpt_ve_page_init(struct hvpt_ve_page *page)
{
    page->exit_reason = 0;
    page->qualification = 0;
    page->guest_linear_address = 0;
    page->guest_physical_address = 0;
    page->eptp_index = 0;
    __atomic_store_n(&page->busy, 0, __ATOMIC_RELEASE);
}

/* Does the area hold a #VE that nobody has dealt with? */
static inline bool hvpt_ve_page_is_busy(const struct hvpt_ve_page *page)
{
    return __atomic_load_n(&page->busy, __ATOMIC_ACQUIRE) != 0;
}

/*
 * Read the area. false: it holds nothing. For the guest's handler, or for a hypervisor, which must not trust a word of
 * it, because a guest that reaches the page can write anything there.
 */
static inline bool hvpt_ve_page_read(const struct hvpt_ve_page *page, struct hvpt_ve_information *out)
{
    if (!hvpt_ve_page_is_busy(page))
        return false;
    out->exit_reason = __atomic_load_n(&page->exit_reason, __ATOMIC_RELAXED);
    out->qualification = hvpt_atomic_load_relaxed(&page->qualification);
    out->guest_linear_address = hvpt_atomic_load_relaxed(&page->guest_linear_address);
    out->guest_physical_address = hvpt_make_gpa(hvpt_atomic_load_relaxed(&page->guest_physical_address));
    out->eptp_index = __atomic_load_n(&page->eptp_index, __ATOMIC_RELAXED);
    return true;
}

/* After the area was read: let the next violation be a #VE again. */
static inline void hvpt_ve_page_clear(struct hvpt_ve_page *page)
{
    __atomic_store_n(&page->busy, 0, __ATOMIC_RELEASE);
}

#endif
