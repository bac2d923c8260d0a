/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The VMCS that the cases are made from: pages that its fields lead to, good images of many kinds, and an entry that
 * survives what a case does to the host's state.
 */
#ifndef DIFFERENTIAL_VMX_WORLD_H
#define DIFFERENTIAL_VMX_WORLD_H

#include <hvctl/vmx/check.h>

#include "random.h"
#include "vm/vmx.h"

#define WORLD_IMAGES 40u

/* Pages that fields lead to. All of them hold zeros but where world_make says otherwise. */
struct world_pages {
    uint8_t ept[2][4096]; /* an empty EPT, at an address with bit 12 and at one without */
    uint8_t vmcs[4096];   /* the current one */
    uint8_t linked[4096]; /* a VMCS for the link pointer; its address differs from the current one's in bit 12 */
    uint8_t zero[4096];   /* what the guest's CR3 leads to: no translation */
    uint8_t io_a[4096], io_b[4096], msr_bitmap[4096], virtual_apic[4096], apic_access[4096], pml[4096], spp[4096];
    uint8_t eptp_list[4096], vmread_bitmap[4096], vmwrite_bitmap[4096], ve_info[4096], posted[4096];
    uint64_t entry_msrs[512], exit_msrs[512], stored_msrs[512]; /* 256 entries each */
};

extern struct world_pages world_pages;

struct world {
    struct hvctl_vmcs_image image[WORLD_IMAGES]; /* good ones */
    struct hvctl_vmx_surroundings around;
    bool launched;
};

/* Builds the images and makes the VMCS current. */
void world_make(struct world *world, struct random *random);

/* How an entry ended. */
struct world_result {
    enum hvctl_failure failure;
    uint32_t error;  /* of VMfail, else 0; ~0: VMfailInvalid */
    uint32_t reason; /* EXIT_REASON */
    uint64_t qualification;
};

/* Enters with the VMCS as it is. Guest state in the VMCS is then what the guest left there. */
struct world_result world_enter(struct world *world);

/* Where a VM exit arrives; also mapped at these offsets. */
uint64_t world_host_rip(void);
#define WORLD_ALIAS_LOW  UINT64_C(0x00007f8000000000)
#define WORLD_ALIAS_HIGH UINT64_C(0xffff800000000000)
/* And at these, where the host has five levels. */
#define WORLD_ALIAS_LOW_57  UINT64_C(0x00ff000000000000)
#define WORLD_ALIAS_HIGH_57 UINT64_C(0xff00000000000000)

#endif
