/*
 * A guest's state into a VMCS image and back: the guest-state area as VM entry wants it, with what VMX fixes added and
 * hidden from the guest. SDM vol. 3, "Guest-State Area", "Checks on the Guest State Area".
 */
#ifndef HVCTL_VMX_GUEST_H
#define HVCTL_VMX_GUEST_H

#include "../common/guest_state.h"
#include "solver.h"

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

/*
 * Write a guest's state into the guest-state area of an image whose control words are set (hvctl_vmx_controls_write),
 * and put non-register state in order: active, no interruptibility, no pending debug exceptions, link pointer all ones.
 *
 * VMX fixes bits of CR0 and CR4. They are added to GUEST_CR0 and GUEST_CR4; the read shadows hold what state says and
 * the guest/host masks own the fixed bits, so that the guest reads what it wrote and a change of such a bit is a VM
 * exit. "IA-32e mode guest" is set or cleared as state.efer.LMA demands. EFER and PAT are written where the CPU has the
 * fields; they count if the entry controls load them.
 *
 * HVCTL_E_MODE: PE or PG is 0 in state.cr0 and "unrestricted guest" is not on; HVCTL_E_CONTROL: a 64-bit guest and this
 * CPU cannot; errors of hvctl_vmcs_write else.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_guest_write(struct hvctl_vmcs_image *image,
                                                                      const struct hvctl_vmx_caps *caps,
                                                                      const struct hvctl_guest_state *state)
{
    enum hvctl_status status = HVCTL_OK;
    bool unrestricted = hvctl_vmx_control_on(image, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    bool long_mode = (state->efer & HVCTL_EFER_LMA) != 0;
    uint64_t entry = hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_CONTROLS);
    uint64_t ia32e = hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST);

    if (!unrestricted && (state->cr0 & (HVCTL_CR0_PE | HVCTL_CR0_PG)) != (HVCTL_CR0_PE | HVCTL_CR0_PG))
        return HVCTL_E_MODE;
    if (long_mode && !hvctl_vmx_can(caps, HVCTL_ENTRY_IA32E_MODE_GUEST))
        return HVCTL_E_CONTROL;

    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_CONTROLS, long_mode ? entry | ia32e : entry & ~ia32e, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR0, hvctl_vmx_adjust_cr0(caps, state->cr0, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_READ_SHADOW, state->cr0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_GUEST_HOST_MASK, hvctl_vmx_cr0_ones(caps, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR4, hvctl_vmx_adjust_cr4(caps, state->cr4), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR4_READ_SHADOW, state->cr4, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR4_GUEST_HOST_MASK, caps->cr4_fixed0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR3, state->cr3, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_DR7, state->dr7, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RIP, state->rip, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RSP, state->rsp, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RFLAGS, state->rflags, &status);
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
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_CS, state->sysenter_cs, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_ESP, state->sysenter_esp, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_SYSENTER_EIP, state->sysenter_eip, &status);
    if (hvctl_vmcs_has(image, HVCTL_VMCS_GUEST_IA32_EFER))
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_EFER, state->efer, &status);
    if (hvctl_vmcs_has(image, HVCTL_VMCS_GUEST_IA32_PAT))
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_PAT, state->pat, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_DEBUGCTL, 0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE, 0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_VMCS_LINK_POINTER, UINT64_MAX, &status);
    return status;
}

/*
 * Carry out a MOV to CR0, CLTS or LMSW of the guest's that a VM exit reports, because it would change a bit that the
 * guest/host mask owns: value is what CR0 is to be in the guest's eyes. The read shadow takes it, GUEST_CR0 gets the
 * fixed bits added, and where PG changes with EFER.LME set, EFER.LMA and "IA-32e mode guest" go with it. The image
 * holds GUEST_CR0, GUEST_IA32_EFER and the entry controls as the exit left them, and the entry controls load EFER.
 * PDPTEs of a guest that turns PAE paging on are the caller's, and so is what CR0 itself forbids (PG without PE, LME
 * and PG without PAE: #GP).
 *
 * HVCTL_E_MODE: PE or PG would be 0 and "unrestricted guest" is not on; errors of hvctl_vmcs_write else. SDM vol. 3,
 * "Changes to Instruction Behavior in VMX Non-Root Operation", "Unrestricted Guests".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_guest_set_cr0(struct hvctl_vmcs_image *image,
                                                                        const struct hvctl_vmx_caps *caps,
                                                                        uint64_t value)
{
    const uint64_t both = HVCTL_CR0_PE | HVCTL_CR0_PG;
    enum hvctl_status status = HVCTL_OK;
    bool unrestricted = hvctl_vmx_control_on(image, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    uint64_t entry = hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_CONTROLS);
    uint64_t ia32e = hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST);
    uint64_t efer = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_EFER);

    if (!unrestricted && (value & both) != both)
        return HVCTL_E_MODE;
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR0, hvctl_vmx_adjust_cr0(caps, value, unrestricted), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_CR0_READ_SHADOW, value, &status);
    if (efer & HVCTL_EFER_LME) {
        bool long_mode = (value & HVCTL_CR0_PG) != 0;

        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_EFER,
                       long_mode ? efer | HVCTL_EFER_LMA : efer & ~HVCTL_EFER_LMA, &status);
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_CONTROLS, long_mode ? entry | ia32e : entry & ~ia32e, &status);
    }
    return status;
}

/*
 * The guest's state as the guest sees it: control registers through their masks and shadows. EFER and PAT are 0 where
 * the CPU does not have the fields. The image is as the last VM exit left the VMCS.
 */
static inline struct hvctl_guest_state hvctl_vmx_guest_read(const struct hvctl_vmcs_image *image)
{
    struct hvctl_guest_state state;
    uint64_t mask;

    mask = hvctl_vmcs_get(image, HVCTL_VMCS_CR0_GUEST_HOST_MASK);
    state.cr0 = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0) & ~mask) |
                (hvctl_vmcs_get(image, HVCTL_VMCS_CR0_READ_SHADOW) & mask);
    mask = hvctl_vmcs_get(image, HVCTL_VMCS_CR4_GUEST_HOST_MASK);
    state.cr4 = (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR4) & ~mask) |
                (hvctl_vmcs_get(image, HVCTL_VMCS_CR4_READ_SHADOW) & mask);
    state.cr3 = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR3);
    state.efer = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_EFER);
    state.pat = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_PAT);
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
    return state;
}

#endif
