/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Writes a guest's state into a VMCS image and reads it back: the guest-state area as VM entry demands it, with the
 * bits that VMX fixes added and hidden from the guest. SDM vol. 3, "Guest-State Area", "Checks on the Guest State
 * Area".
 */
#ifndef HVCTL_VMX_GUEST_H
#define HVCTL_VMX_GUEST_H

#include "../common/guest_state.h"
#include "guest_segments.h"
#include "solver.h"

/* EFER bits that only AMD has. Without these two a guest computes the same; others change what its instructions do. */
#define HVCTL_EFER_TCE    UINT64_C(0x8000)
#define HVCTL_EFER_AIBRSE UINT64_C(0x200000)
#define HVCTL_EFER_VMX    (HVCTL_EFER_SCE | HVCTL_EFER_LME | HVCTL_EFER_LMA | HVCTL_EFER_NXE)

/* Bits that VM entry refuses: SDM vol. 4, IA32_DEBUGCTL; vol. 1, "EFLAGS Register". */
#define HVCTL_VMX_DEBUGCTL_RESERVED UINT64_C(0xffffffffffff0038)
#define HVCTL_VMX_RFLAGS_RESERVED   UINT64_C(0xffffffffffc08028)

/*
 * Selector, base, limit and access rights of one segment register: the four encodings of ES plus 2 for each register.
 */
static inline void hvctl_vmx_put_segment(struct hvctl_vmcs_image *image, unsigned number,
                                         const struct hvctl_segment *segment, enum hvctl_status *status)
{
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ES_SELECTOR + 2u * number, segment->selector, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ES_BASE + 2u * number, segment->base, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ES_LIMIT + 2u * number, segment->limit, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + 2u * number, segment->rights, status);
}

/* A segment register of the image; number counts ES, CS, SS, DS, FS, GS, LDTR, TR from 0. */
static inline struct hvctl_segment hvctl_vmx_get_segment(const struct hvctl_vmcs_image *image, unsigned number)
{
    return hvctl_segment_make((uint16_t)hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ES_SELECTOR + 2u * number),
                              hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ES_BASE + 2u * number),
                              (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ES_LIMIT + 2u * number),
                              (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + 2u * number));
}

/* Write a field that this CPU may lack; the value must be 0 then. */
static inline void hvctl_vmx_put_if(struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t value,
                                    enum hvctl_status *status)
{
    if (hvctl_vmcs_has(image, encoding))
        hvctl_vmcs_put(image, encoding, value, status);
    else if (value != 0 && *status == HVCTL_OK)
        *status = HVCTL_E_MODE;
}

/* The same for a value that the state may not know: the field then stays as it is. */
static inline void hvctl_vmx_put_known(struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t value,
                                       const struct hvctl_guest_state *state, unsigned knows, enum hvctl_status *status)
{
    if (state->known & knows)
        hvctl_vmx_put_if(image, encoding, value, status);
}

/*
 * Does the guest have its own blocking of NMIs? With "NMI exiting" and without "virtual NMIs" the bit is about the
 * host's NMIs, which every VM exit due to one blocks.
 */
static inline bool hvctl_vmx_guest_has_nmis(const struct hvctl_vmcs_image *image)
{
    return !hvctl_vmx_control_on(image, HVCTL_PIN_NMI_EXITING) || hvctl_vmx_control_on(image, HVCTL_PIN_VIRTUAL_NMIS);
}

/* The bits of CR3 that this CPU has, with LAM's unless it is known to lack them. */
static inline uint64_t hvctl_vmx_cr3_bits(const struct hvctl_vmx_caps *caps)
{
    uint64_t lam = caps->cpu.lam || !caps->cpu.leaf7 ? UINT64_C(3) << 61 : 0;

    return ~hvctl_beyond(caps->cpu.maxphyaddr ? caps->cpu.maxphyaddr : 52) | lam;
}

/*
 * Is the guest in a mode that VM entry accepts? A VMCB can have others: paging in real mode, virtual-8086 mode
 * elsewhere than in protected mode, CR4 bits of long mode outside it, an instruction pointer that is not canonical,
 * FRED without its privilege levels, TR or LDTR out of an LDT. SDM vol. 3, "Checks on the Guest State Area".
 */
static inline bool hvctl_vmx_guest_mode_fits(const struct hvctl_vmx_caps *caps, const struct hvctl_guest_state *state)
{
    bool long_mode = (state->efer & HVCTL_EFER_LMA) != 0;
    bool code64 = long_mode && (state->cs.rights & HVCTL_RIGHTS_LONG);
    uint64_t high = hvctl_beyond(caps->cpu.linear_bits ? caps->cpu.linear_bits : 57);
    unsigned cpl = hvctl_guest_cpl(state);

    if ((state->cr0 & (HVCTL_CR0_PG | HVCTL_CR0_PE)) == HVCTL_CR0_PG
        || ((state->rflags >> 17 & 1u) && (long_mode || !(state->cr0 & HVCTL_CR0_PE))))
        return false;
    if (!long_mode && (state->cr4 & (HVCTL_CR4_PCIDE | HVCTL_CR4_FRED)))
        return false;
    if (long_mode && (state->cr3 & ~hvctl_vmx_cr3_bits(caps)))
        return false;
    if (code64 && (state->rip & high) != 0 && (state->rip & high) != high)
        return false;
    if ((state->cr4 & HVCTL_CR4_FRED)
        && (cpl == 1 || cpl == 2 || (cpl == 0 && !code64)
            || (cpl == 3 && ((state->rflags >> 12 & 3u) || (state->interruptibility & HVCTL_BLOCKING_STI)))))
        return false;
    return !(state->tr.selector & 4u)
        && ((state->ldtr.rights & HVCTL_RIGHTS_UNUSABLE) || !(state->ldtr.selector & 4u));
}

/*
 * Can VMX on this CPU, with the image's controls, hold the state at all? HVCTL_OK, or the error of
 * hvctl_vmx_guest_write.
 */
static inline enum hvctl_status hvctl_vmx_guest_fits(const struct hvctl_vmcs_image *image,
                                                     const struct hvctl_vmx_caps *caps,
                                                     const struct hvctl_guest_state *state)
{
    const uint64_t paged = HVCTL_CR0_PE | HVCTL_CR0_PG;

    if (!hvctl_vmx_control_on(image, HVCTL_SECONDARY_UNRESTRICTED_GUEST) && (state->cr0 & paged) != paged)
        return HVCTL_E_MODE;
    if ((state->efer & HVCTL_EFER_LMA) && !hvctl_vmx_can(caps, HVCTL_ENTRY_IA32E_MODE_GUEST))
        return HVCTL_E_CONTROL;
    if ((state->efer & ~(HVCTL_EFER_VMX | HVCTL_EFER_SVME | HVCTL_EFER_TCE | HVCTL_EFER_AIBRSE))
        || (state->cr4 & ~caps->cr4_fixed1))
        return HVCTL_E_MODE;
    if (!hvctl_vmx_guest_mode_fits(caps, state))
        return HVCTL_E_MODE;
    if (state->activity > HVCTL_ACTIVITY_WAIT_FOR_SIPI
        || (state->activity && !(caps->misc >> (5 + state->activity) & 1u)))
        return HVCTL_E_MODE;
    if (hvctl_guest_uses_pdptes(state) && hvctl_vmx_control_on(image, HVCTL_SECONDARY_ENABLE_EPT)
        && !(state->known & HVCTL_KNOWS_PDPTES))
        return HVCTL_E_STATE;
    return HVCTL_OK;
}

/*
 * A single-step trap that blocking or a halt holds back is pending, and VM entry demands that BS says so; a state from
 * SVM has no such bit. SDM vol. 3, "Checks on Guest Non-Register State".
 */
static inline uint64_t hvctl_vmx_pending_debug(const struct hvctl_guest_state *state)
{
    bool held = (state->interruptibility & (HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS))
             || state->activity == HVCTL_ACTIVITY_HLT;
    bool stepping = (state->rflags >> 8 & 1u) && !(state->debugctl >> 1 & 1u);

    if (!held)
        return state->pending_debug;
    return stepping ? state->pending_debug | HVCTL_PENDING_BS : state->pending_debug & ~HVCTL_PENDING_BS;
}

/* Write the non-register state, and what newer CPUs added to the guest-state area. */
static inline void hvctl_vmx_put_rest(struct hvctl_vmcs_image *image, const struct hvctl_guest_state *state,
                                      enum hvctl_status *status)
{
    uint64_t blocking = state->interruptibility;

    if (!hvctl_vmx_guest_has_nmis(image))
        blocking &= ~HVCTL_BLOCKING_NMI;
    if ((blocking & HVCTL_BLOCKING_STI) && ((blocking & HVCTL_BLOCKING_MOV_SS) || !(state->rflags >> 9 & 1u)))
        blocking = (blocking & ~HVCTL_BLOCKING_STI) | HVCTL_BLOCKING_MOV_SS;
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE, state->activity, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, hvctl_vmx_pending_debug(state), status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_DEBUGCTL, state->debugctl & ~HVCTL_VMX_DEBUGCTL_RESERVED, status);
    hvctl_vmcs_put(image, HVCTL_VMCS_VMCS_LINK_POINTER, UINT64_MAX, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_PDPTE0, state->pdpte[0], state, HVCTL_KNOWS_PDPTES, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_PDPTE1, state->pdpte[1], state, HVCTL_KNOWS_PDPTES, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_PDPTE2, state->pdpte[2], state, HVCTL_KNOWS_PDPTES, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_PDPTE3, state->pdpte[3], state, HVCTL_KNOWS_PDPTES, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_S_CET, state->s_cet, state, HVCTL_KNOWS_CET, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_SSP, state->ssp, state, HVCTL_KNOWS_CET, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, state->interrupt_ssp_table, state,
                        HVCTL_KNOWS_CET, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_SPEC_CTRL, state->spec_ctrl, state, HVCTL_KNOWS_SPEC_CTRL, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_PKRS, state->pkrs, state, HVCTL_KNOWS_PKRS, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, state->perf_global_ctrl, state,
                        HVCTL_KNOWS_PERF_GLOBAL_CTRL, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_BNDCFGS, state->bndcfgs, state, HVCTL_KNOWS_BNDCFGS, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_RTIT_CTL, state->rtit_ctl, state, HVCTL_KNOWS_RTIT_CTL, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_LBR_CTL, state->lbr_ctl, state, HVCTL_KNOWS_LBR_CTL, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_UINV, state->uinv, state, HVCTL_KNOWS_UINV, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_CONFIG, state->fred_config, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP1, state->fred_rsp1, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP2, state->fred_rsp2, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP3, state->fred_rsp3, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_STKLVLS, state->fred_stklvls, state, HVCTL_KNOWS_FRED,
                        status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP1, state->fred_ssp1, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP2, state->fred_ssp2, state, HVCTL_KNOWS_FRED, status);
    hvctl_vmx_put_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP3, state->fred_ssp3, state, HVCTL_KNOWS_FRED, status);
}

/*
 * Write a guest's state into the guest-state area of an image whose control words are set (hvctl_vmx_controls_write);
 * the link pointer becomes all ones. A state from SVM is changed into one that VM entry accepts: segments as
 * hvctl_vmx_fit_segments makes them, RIP of 32 bits outside 64-bit mode, CR3 outside long mode without bits that no
 * address has, BS where a trap is held back.
 *
 * VMX fixes bits of CR0 and CR4. They are added to GUEST_CR0 and GUEST_CR4; the read shadows hold what state says and
 * the guest/host masks own the fixed bits, so that the guest reads what it wrote and a change of such a bit is a VM
 * exit. "IA-32e mode guest" is set or cleared as state.efer.LMA demands. EFER and PAT are written where the CPU has the
 * fields; they have an effect if the entry controls load them.
 *
 * The VMCS has no place for cr2 (struct hvctl_guest_regs), dr6, star, lstar, cstar, sfmask and kernel_gs_base: the
 * caller loads those, with cpu/guest_msrs.h. Members that the state does not know (known) leave their fields as they
 * are.
 *
 * HVCTL_E_MODE: PE or PG is 0 in state.cr0 and "unrestricted guest" is not on; or something that this CPU's VMX cannot
 * hold: bits of CR3, CR4 and EFER, an activity, a member that is not 0 without its field, a mode that only a VMCB can
 * have (paging in real mode, virtual-8086 mode in long mode, ...), a RIP that is not canonical.
 * HVCTL_E_CONTROL: the guest is in IA-32e mode, which this CPU's VMX does not support.
 * HVCTL_E_STATE: with EPT, a guest in PAE paging whose PDPTEs are not known (hvctl_guest_load_pdptes).
 * Otherwise errors of hvctl_vmcs_write.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_guest_write(struct hvctl_vmcs_image *image,
                                                                      const struct hvctl_vmx_caps *caps,
                                                                      const struct hvctl_guest_state *given)
{
    struct hvctl_guest_state fitted;
    const struct hvctl_guest_state *state = &fitted;
    bool unrestricted = hvctl_vmx_control_on(image, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    bool long_mode = (given->efer & HVCTL_EFER_LMA) != 0;
    uint64_t entry = hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_CONTROLS);
    uint64_t ia32e = hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST);
    enum hvctl_status status = hvctl_vmx_guest_fits(image, caps, given);

    if (status != HVCTL_OK)
        return status;
    fitted = *given;
    hvctl_vmx_fit_segments(&fitted, caps->cpu.linear_bits, unrestricted);
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_CONTROLS, long_mode ? entry | ia32e : entry & ~ia32e, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR0, hvctl_vmx_adjust_cr0(caps, state->cr0, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_READ_SHADOW, state->cr0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_GUEST_HOST_MASK, hvctl_vmx_cr0_ones(caps, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR4, hvctl_vmx_adjust_cr4(caps, state->cr4), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR4_READ_SHADOW, state->cr4, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR4_GUEST_HOST_MASK, caps->cr4_fixed0, &status);
    /* Outside long mode paging uses 32 bits of CR3; the rest stays in it, and takes effect when long mode begins. */
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR3, state->cr3 & hvctl_vmx_cr3_bits(caps), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_DR7, state->dr7, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RIP,
                   long_mode && (state->cs.rights & HVCTL_RIGHTS_LONG) ? state->rip : state->rip & UINT32_C(0xffffffff),
                   &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RSP, state->rsp, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RFLAGS, (state->rflags & ~HVCTL_VMX_RFLAGS_RESERVED) | 2u, &status);
    hvctl_vmx_put_segment(image, 0, &state->es, &status);
    hvctl_vmx_put_segment(image, 1, &state->cs, &status);
    hvctl_vmx_put_segment(image, 2, &state->ss, &status);
    hvctl_vmx_put_segment(image, 3, &state->ds, &status);
    hvctl_vmx_put_segment(image, 4, &state->fs, &status);
    hvctl_vmx_put_segment(image, 5, &state->gs, &status);
    hvctl_vmx_put_segment(image, 6, &state->ldtr, &status);
    hvctl_vmx_put_segment(image, 7, &state->tr, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_GDTR_BASE, state->gdtr.base, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_GDTR_LIMIT, state->gdtr.limit, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IDTR_BASE, state->idtr.base, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IDTR_LIMIT, state->idtr.limit, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_CS, state->sysenter_cs & UINT32_C(0xffffffff), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_ESP,
                   hvctl_sign_extend(state->sysenter_esp, caps->cpu.linear_bits), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_EIP,
                   hvctl_sign_extend(state->sysenter_eip, caps->cpu.linear_bits), &status);
    if (hvctl_vmcs_has(image, HVCTL_VMCS_GUEST_IA32_EFER) && (state->known & HVCTL_KNOWS_EFER))
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_EFER, state->efer & HVCTL_EFER_VMX, &status);
    if (hvctl_vmcs_has(image, HVCTL_VMCS_GUEST_IA32_PAT) && (state->known & HVCTL_KNOWS_PAT))
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_PAT, state->pat, &status);
    hvctl_vmx_put_rest(image, state, &status);
    return status;
}

/*
 * Does a MOV to CR0 of this value raise #GP(0) in the guest? SDM vol. 2, "MOV - Move to/from Control Registers",
 * exceptions of protected and of 64-bit mode. The image holds GUEST_CR0 and its shadow, GUEST_CR4, GUEST_IA32_EFER and
 * the rights of CS and TR.
 */
static inline bool hvctl_vmx_guest_cr0_faults(const struct hvctl_vmcs_image *image, uint64_t value)
{
    uint64_t before = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0);
    uint64_t mask = hvctl_vmcs_get(image, HVCTL_VMCS_CR0_GUEST_HOST_MASK);
    uint64_t cr4 = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR4);
    uint64_t efer = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_EFER);
    uint64_t tr = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS);
    bool cs_l = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) & HVCTL_RIGHTS_LONG) != 0;

    before = (before & ~mask) | (hvctl_vmcs_get(image, HVCTL_VMCS_CR0_READ_SHADOW) & mask);
    if (value >> 32 || (value & (HVCTL_CR0_PG | HVCTL_CR0_PE)) == HVCTL_CR0_PG
        || (value & (HVCTL_CR0_NW | HVCTL_CR0_CD)) == HVCTL_CR0_NW)
        return true;
    if ((cr4 & HVCTL_CR4_CET) && !(value & HVCTL_CR0_WP))
        return true;
    if (!(value & HVCTL_CR0_PG))
        return (before & HVCTL_CR0_PG) && ((cr4 & HVCTL_CR4_PCIDE) || ((efer & HVCTL_EFER_LMA) && cs_l));
    if ((before & HVCTL_CR0_PG) || !(efer & HVCTL_EFER_LME))
        return false;
    /*
     * Entering IA-32e mode needs PAE, and must not happen with CS.L set, nor with a 16-bit TSS, which bit 3 of the type
     * distinguishes from a 32-bit one.
     */
    return !(cr4 & HVCTL_CR4_PAE) || cs_l || !(tr & HVCTL_RIGHTS_CODE);
}

/*
 * Carry out the guest's MOV to CR0, CLTS or LMSW that a VM exit reports because it would change a bit owned by the
 * guest/host mask. value is the CR0 that the guest is to see. The read shadow takes it, GUEST_CR0 gets the fixed bits
 * added, and where PG changes with EFER.LME set, EFER.LMA and "IA-32e mode guest" go with it. The image holds
 * GUEST_CR0, GUEST_CR4, GUEST_IA32_EFER, the rights of CS and TR and the entry controls as the exit left them, and the
 * entry controls load EFER. The caller loads the PDPTEs of a guest that turns PAE paging on (hvctl_guest_load_pdptes).
 *
 * HVCTL_OWES_INVVPID: done, and PG was cleared with "enable VPID" on. The instruction would have flushed all of the
 * guest's TLB, so the caller must execute a single-context INVVPID before the guest goes on. SDM vol. 3, "Operations
 * that Invalidate TLBs and Paging-Structure Caches".
 * HVCTL_E_MODE: PE or PG would be 0 and "unrestricted guest" is not on.
 * HVCTL_E_FAULT: the guest must get #GP(0) instead (hvctl_vmx_guest_cr0_faults), and nothing changed.
 * Otherwise errors of hvctl_vmcs_write.
 * SDM vol. 3, "Changes to Instruction Behavior in VMX Non-Root Operation", "Unrestricted Guests".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_guest_set_cr0(struct hvctl_vmcs_image *image,
                                                                        const struct hvctl_vmx_caps *caps,
                                                                        uint64_t value)
{
    const uint64_t both = HVCTL_CR0_PE | HVCTL_CR0_PG;
    enum hvctl_status status = HVCTL_OK;
    bool unrestricted = hvctl_vmx_control_on(image, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    bool paged = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0) & HVCTL_CR0_PG) != 0;
    uint64_t entry = hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_CONTROLS);
    uint64_t ia32e = hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST);
    uint64_t efer = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_EFER);

    if (!unrestricted && (value & both) != both)
        return HVCTL_E_MODE;
    if (hvctl_vmx_guest_cr0_faults(image, value))
        return HVCTL_E_FAULT;
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR0, hvctl_vmx_adjust_cr0(caps, value, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_READ_SHADOW, value, &status);
    if (efer & HVCTL_EFER_LME) {
        bool long_mode = (value & HVCTL_CR0_PG) != 0;

        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_EFER,
                       long_mode ? efer | HVCTL_EFER_LMA : efer & ~HVCTL_EFER_LMA, &status);
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_CONTROLS, long_mode ? entry | ia32e : entry & ~ia32e, &status);
    }
    if (status == HVCTL_OK && paged && !(value & HVCTL_CR0_PG)
        && hvctl_vmx_control_on(image, HVCTL_SECONDARY_ENABLE_VPID))
        return HVCTL_OWES_INVVPID;
    return status;
}

/* Read a field into the state and mark it as known, if the CPU has the field. */
static inline void hvctl_vmx_get_known(const struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t *member,
                                       struct hvctl_guest_state *state, unsigned knows)
{
    if (!hvctl_vmcs_has(image, encoding))
        return;
    *member = hvctl_vmcs_get(image, encoding);
    state->known |= knows;
}

/* What hvctl_vmx_put_rest writes. */
static inline void hvctl_vmx_get_rest(const struct hvctl_vmcs_image *image, struct hvctl_guest_state *state)
{
    state->interruptibility = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE);
    if (hvctl_vmx_guest_has_nmis(image))
        state->known |= HVCTL_KNOWS_NMI_BLOCKING;
    else
        state->interruptibility &= ~HVCTL_BLOCKING_NMI;
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE, &state->activity, state, HVCTL_KNOWS_ACTIVITY);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, &state->pending_debug, state,
                        HVCTL_KNOWS_PENDING_DEBUG);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_DEBUGCTL, &state->debugctl, state, HVCTL_KNOWS_DEBUGCTL);
    if (hvctl_vmx_control_on(image, HVCTL_SECONDARY_ENABLE_EPT)) { /* a VM exit saves them with EPT only */
        hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_PDPTE0, &state->pdpte[0], state, HVCTL_KNOWS_PDPTES);
        hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_PDPTE1, &state->pdpte[1], state, HVCTL_KNOWS_PDPTES);
        hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_PDPTE2, &state->pdpte[2], state, HVCTL_KNOWS_PDPTES);
        hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_PDPTE3, &state->pdpte[3], state, HVCTL_KNOWS_PDPTES);
    }
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_S_CET, &state->s_cet, state, HVCTL_KNOWS_CET);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_SSP, &state->ssp, state, HVCTL_KNOWS_CET);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, &state->interrupt_ssp_table, state,
                        HVCTL_KNOWS_CET);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_SPEC_CTRL, &state->spec_ctrl, state, HVCTL_KNOWS_SPEC_CTRL);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_PKRS, &state->pkrs, state, HVCTL_KNOWS_PKRS);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, &state->perf_global_ctrl, state,
                        HVCTL_KNOWS_PERF_GLOBAL_CTRL);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_BNDCFGS, &state->bndcfgs, state, HVCTL_KNOWS_BNDCFGS);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_RTIT_CTL, &state->rtit_ctl, state, HVCTL_KNOWS_RTIT_CTL);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_LBR_CTL, &state->lbr_ctl, state, HVCTL_KNOWS_LBR_CTL);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_UINV, &state->uinv, state, HVCTL_KNOWS_UINV);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_CONFIG, &state->fred_config, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP1, &state->fred_rsp1, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP2, &state->fred_rsp2, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_RSP3, &state->fred_rsp3, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_STKLVLS, &state->fred_stklvls, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP1, &state->fred_ssp1, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP2, &state->fred_ssp2, state, HVCTL_KNOWS_FRED);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_FRED_SSP3, &state->fred_ssp3, state, HVCTL_KNOWS_FRED);
}

/*
 * Read the guest's state as the guest sees it: control registers through their masks and shadows. The image must hold
 * the guest state and the controls as the last VM exit left them. The result does not know what the VMCS has no place
 * for: cr2 (struct hvctl_guest_regs), dr6, star to kernel_gs_base (cpu/guest_msrs.h), and fields that this CPU lacks.
 * EFER, PAT, DR7 and DEBUGCTL are as the guest last had them only with the exit controls that save them.
 */
static inline struct hvctl_guest_state hvctl_vmx_guest_read(const struct hvctl_vmcs_image *image)
{
    struct hvctl_guest_state state;
    uint64_t mask;

    hvctl_guest_state_clear(&state);
    mask = hvctl_vmcs_get(image, HVCTL_VMCS_CR0_GUEST_HOST_MASK);
    state.cr0 = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0) & ~mask) |
                (hvctl_vmcs_get(image, HVCTL_VMCS_CR0_READ_SHADOW) & mask);
    mask = hvctl_vmcs_get(image, HVCTL_VMCS_CR4_GUEST_HOST_MASK);
    state.cr4 = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR4) & ~mask) |
                (hvctl_vmcs_get(image, HVCTL_VMCS_CR4_READ_SHADOW) & mask);
    state.cr3 = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR3);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_EFER, &state.efer, &state, HVCTL_KNOWS_EFER);
    hvctl_vmx_get_known(image, HVCTL_VMCS_GUEST_IA32_PAT, &state.pat, &state, HVCTL_KNOWS_PAT);
    if (!(state.known & HVCTL_KNOWS_EFER) && hvctl_vmx_control_on(image, HVCTL_ENTRY_IA32E_MODE_GUEST))
        state.efer = HVCTL_EFER_LME | HVCTL_EFER_LMA; /* the control tells at least the mode */
    state.rip = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_RIP);
    state.rsp = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_RSP);
    state.rflags = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_RFLAGS);
    state.dr7 = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_DR7);
    state.es = hvctl_vmx_get_segment(image, 0);
    state.cs = hvctl_vmx_get_segment(image, 1);
    state.ss = hvctl_vmx_get_segment(image, 2);
    state.ds = hvctl_vmx_get_segment(image, 3);
    state.fs = hvctl_vmx_get_segment(image, 4);
    state.gs = hvctl_vmx_get_segment(image, 5);
    state.ldtr = hvctl_vmx_get_segment(image, 6);
    state.tr = hvctl_vmx_get_segment(image, 7);
    state.gdtr = hvctl_segment_make(0, hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_GDTR_BASE),
                                    (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_GDTR_LIMIT), 0);
    state.idtr = hvctl_segment_make(0, hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IDTR_BASE),
                                    (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IDTR_LIMIT), 0);
    state.sysenter_cs = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_CS);
    state.sysenter_esp = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_ESP);
    state.sysenter_eip = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_EIP);
    hvctl_vmx_get_rest(image, &state);
    return state;
}

#endif
