/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Makes segments that VM entry accepts out of those that a guest of either vendor can have: SVM checks fewer of their
 * bits. SDM vol. 3, "Checks on Guest Segment Registers"; APM vol. 2, "Segment State in the VMCB".
 */
#ifndef HVCTL_VMX_GUEST_SEGMENTS_H
#define HVCTL_VMX_GUEST_SEGMENTS_H

#include "../common/guest_state.h"

#define HVCTL_RIGHTS_RESERVED UINT32_C(0xfffe0f00)
#define HVCTL_RIGHTS_DPL      UINT32_C(0x60)
#define HVCTL_RIGHTS_V86      UINT32_C(0xf3)

/* Sign-extend an address of this many bits; 0: the width is unknown, and the address stays as it is. */
static inline uint64_t hvctl_sign_extend(uint64_t address, unsigned bits)
{
    if (bits == 0 || bits >= 64)
        return address;
    address &= ((uint64_t)1 << bits) - 1;
    return address >> (bits - 1) & 1u ? address | ~(uint64_t)0 << bits : address;
}

/* Make G match the limit, as VM entry demands; SVM's CPUs do not maintain G. */
static inline void hvctl_vmx_fit_limit(struct hvctl_segment *segment)
{
    if (segment->limit >> 20) {
        segment->limit |= 0xfffu;
        segment->rights |= HVCTL_RIGHTS_GRANULARITY;
    } else if ((segment->limit & 0xfffu) != 0xfffu) {
        segment->rights &= ~HVCTL_RIGHTS_GRANULARITY;
    }
}

/* What all usable segments need. */
static inline void hvctl_vmx_fit_usable(struct hvctl_segment *segment, bool code_or_data)
{
    segment->rights &= ~(HVCTL_RIGHTS_RESERVED | HVCTL_RIGHTS_UNUSABLE | HVCTL_RIGHTS_S);
    segment->rights |= HVCTL_RIGHTS_PRESENT | (code_or_data ? HVCTL_RIGHTS_S | HVCTL_RIGHTS_ACCESSED : 0);
    hvctl_vmx_fit_limit(segment);
}

/* DS, ES, FS, GS. SVM may keep the accessed bit of the descriptor, and code that cannot be read. */
static inline void hvctl_vmx_fit_data(struct hvctl_segment *segment)
{
    if (segment->rights & HVCTL_RIGHTS_UNUSABLE)
        return;
    hvctl_vmx_fit_usable(segment, true);
    if (segment->rights & HVCTL_RIGHTS_CODE)
        segment->rights |= HVCTL_RIGHTS_WRITABLE; /* for code this bit means readable */
}

static inline void hvctl_vmx_fit_cs(struct hvctl_segment *cs, unsigned cpl, bool data_allowed)
{
    uint32_t dpl;

    hvctl_vmx_fit_usable(cs, true); /* CS is never null: SVM ignores its P */
    cs->base &= UINT32_C(0xffffffff);
    if (!(cs->rights & HVCTL_RIGHTS_CODE)) {
        cs->rights = (cs->rights & ~HVCTL_RIGHTS_TYPE_MASK) | HVCTL_RIGHTS_WRITABLE | HVCTL_RIGHTS_ACCESSED;
        if (!data_allowed || cpl != 0)
            cs->rights |= HVCTL_RIGHTS_CODE;
    }
    dpl = cs->rights >> HVCTL_RIGHTS_DPL_SHIFT & 3u;
    if (!(cs->rights & HVCTL_RIGHTS_CODE) || !(cs->rights & HVCTL_RIGHTS_CONFORMING) || dpl > cpl)
        dpl = cpl;
    cs->rights = (cs->rights & ~HVCTL_RIGHTS_DPL) | dpl << HVCTL_RIGHTS_DPL_SHIFT;
}

static inline void hvctl_vmx_fit_ss(struct hvctl_segment *ss, unsigned cpl)
{
    if (ss->rights & HVCTL_RIGHTS_UNUSABLE) {
        ss->rights &= ~HVCTL_RIGHTS_DB; /* some AMD CPUs leave it set in a null segment */
    } else {
        hvctl_vmx_fit_usable(ss, true);
        ss->rights &= ~HVCTL_RIGHTS_CODE;
        ss->rights |= HVCTL_RIGHTS_WRITABLE;
        ss->base &= UINT32_C(0xffffffff);
    }
    ss->rights = (ss->rights & ~HVCTL_RIGHTS_DPL) | (uint32_t)cpl << HVCTL_RIGHTS_DPL_SHIFT;
}

/*
 * Of LDTR, SVM checks only P. TR is never null, and must be busy; in IA-32e mode it is a 64-bit one. If its type is no
 * TSS's, bit 3 distinguishes 32-bit ones from 16-bit ones.
 */
static inline void hvctl_vmx_fit_system(struct hvctl_segment *ldtr, struct hvctl_segment *tr, bool long_mode)
{
    uint32_t type = long_mode || (tr->rights & HVCTL_RIGHTS_CODE) ? HVCTL_RIGHTS_TYPE_TSS_BUSY
                                                                  : HVCTL_RIGHTS_TYPE_TSS16_BUSY;

    if (!(ldtr->rights & HVCTL_RIGHTS_UNUSABLE)) {
        hvctl_vmx_fit_usable(ldtr, false);
        ldtr->rights = (ldtr->rights & ~HVCTL_RIGHTS_TYPE_MASK) | HVCTL_RIGHTS_TYPE_LDT;
    }
    hvctl_vmx_fit_usable(tr, false);
    tr->rights = (tr->rights & ~HVCTL_RIGHTS_TYPE_MASK) | type;
}

/* Virtual-8086 mode: base, limit and rights are what loading the selector makes them. */
static inline void hvctl_vmx_fit_v86(struct hvctl_segment *segment)
{
    segment->base = (uint64_t)segment->selector << 4;
    segment->limit = 0xffff;
    segment->rights = HVCTL_RIGHTS_V86;
}

/*
 * Fit all of a guest's segments. linear_bits: the width of the CPU's linear addresses, to which VMRUN and VMLOAD would
 * have sign-extended bases; 0: unknown. unrestricted: "unrestricted guest" is on, and CS may be data. Segments that VM
 * entry accepts already are not changed, except for what is hidden in unusable ones.
 */
static inline void hvctl_vmx_fit_segments(struct hvctl_guest_state *state, unsigned linear_bits, bool unrestricted)
{
    struct hvctl_segment *data[4];
    bool v86 = (state->cr0 & HVCTL_CR0_PE) && (state->rflags >> 17 & 1u);
    unsigned i, cpl = !(state->cr0 & HVCTL_CR0_PE) ? 0 : v86 ? 3 : hvctl_guest_cpl(state);

    data[0] = &state->es;
    data[1] = &state->ds;
    data[2] = &state->fs;
    data[3] = &state->gs;
    if (v86) {
        hvctl_vmx_fit_v86(&state->cs);
        hvctl_vmx_fit_v86(&state->ss);
    } else {
        hvctl_vmx_fit_cs(&state->cs, cpl, unrestricted);
        hvctl_vmx_fit_ss(&state->ss, cpl);
    }
    for (i = 0; i < 4; i++) {
        if (v86)
            hvctl_vmx_fit_v86(data[i]);
        else
            hvctl_vmx_fit_data(data[i]);
        data[i]->base = i < 2 && !(data[i]->rights & HVCTL_RIGHTS_UNUSABLE)
                          ? data[i]->base & UINT32_C(0xffffffff)
                          : hvctl_sign_extend(data[i]->base, linear_bits);
    }
    hvctl_vmx_fit_system(&state->ldtr, &state->tr, (state->efer & HVCTL_EFER_LMA) != 0);
    if (!(state->ldtr.rights & HVCTL_RIGHTS_UNUSABLE))
        state->ldtr.base = hvctl_sign_extend(state->ldtr.base, linear_bits);
    state->tr.base = hvctl_sign_extend(state->tr.base, linear_bits);
    state->gdtr.base = hvctl_sign_extend(state->gdtr.base, linear_bits);
    state->idtr.base = hvctl_sign_extend(state->idtr.base, linear_bits);
    state->gdtr.limit &= 0xffffu;
    state->idtr.limit &= 0xffffu;
}

#endif
