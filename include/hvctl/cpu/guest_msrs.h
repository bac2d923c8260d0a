/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Saves and loads the part of a guest's state that a VMCS has no place for: on VMX the guest's values stay in the CPU's
 * registers after a VM exit. SDM vol. 3, "Saving Guest State"; vol. 2, "SYSCALL", "SWAPGS".
 */
#ifndef HVCTL_CPU_GUEST_MSRS_H
#define HVCTL_CPU_GUEST_MSRS_H

#include "../common/guest_state.h"
#include "../common/regs.h"
#include "cpu.h"

/* The nth MSR of those that SYSCALL and SWAPGS use, and the member that keeps it. */
static inline uint32_t hvctl_guest_msr(struct hvctl_guest_state *state, unsigned n, uint64_t **member)
{
    switch (n) {
    case 0: *member = &state->star; return HVCTL_MSR_STAR;
    case 1: *member = &state->lstar; return HVCTL_MSR_LSTAR;
    case 2: *member = &state->cstar; return HVCTL_MSR_CSTAR;
    case 3: *member = &state->sfmask; return HVCTL_MSR_SFMASK;
    default: *member = &state->kernel_gs_base; return HVCTL_MSR_KERNEL_GS_BASE;
    }
}

/*
 * After hvctl_vmx_guest_read, add what the CPU holds, star to kernel_gs_base, and CR2 from where the world switch left
 * it. Call it right after the VM exit, before the host's own values are loaded. DR6 is left to the caller
 * (hvctl_x86_read_dr6), who adds HVCTL_KNOWS_DR6.
 * HVCTL_E_MSR: one of them faulted, and the state does not know them.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_guest_msrs_save(const struct hvctl_cpu_ops *ops,
                                                                      const struct hvctl_guest_regs *regs,
                                                                      struct hvctl_guest_state *state)
{
    uint64_t *member;
    unsigned i;

    state->cr2 = regs->cr2;
    state->known |= HVCTL_KNOWS_CR2;
    for (i = 0; i < 5; i++) {
        uint32_t msr = hvctl_guest_msr(state, i, &member);

        if (!(ops->rdmsr)(ops->ctx, msr, member))
            return HVCTL_E_MSR;
    }
    state->known |= HVCTL_KNOWS_SYSCALL;
    return HVCTL_OK;
}

/*
 * The reverse, before the guest runs. What the state does not know is left alone.
 * HVCTL_E_MSR: one of them faulted; those before it were written.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_guest_msrs_load(const struct hvctl_cpu_ops *ops,
                                                                      struct hvctl_guest_regs *regs,
                                                                      struct hvctl_guest_state *state)
{
    uint64_t *member;
    unsigned i;

    if (state->known & HVCTL_KNOWS_CR2)
        regs->cr2 = state->cr2;
    for (i = 0; i < 5 && (state->known & HVCTL_KNOWS_SYSCALL); i++) {
        uint32_t msr = hvctl_guest_msr(state, i, &member);

        if (!(ops->wrmsr)(ops->ctx, msr, *member))
            return HVCTL_E_MSR;
    }
    return HVCTL_OK;
}

#endif
