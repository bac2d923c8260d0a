/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Writes a guest's state into a VMCB's state-save area, and reads it back. APM vol. 2, "VMRUN Instruction", "Segment
 * State in the VMCB".
 */
#ifndef HVCTL_SVM_GUEST_H
#define HVCTL_SVM_GUEST_H

#include "../common/guest_state.h"
#include "vmcb.h"

/* A segment in the VMCB's form. */
static inline struct hvctl_vmcb_segment hvctl_svm_segment(const struct hvctl_segment *segment)
{
    struct hvctl_vmcb_segment out;

    out.selector = segment->selector;
    out.attrib = hvctl_rights_to_attrib(segment->rights);
    out.limit = segment->limit;
    out.base = segment->base;
    return out;
}

/* A segment of the VMCB in VMX's form. */
static inline struct hvctl_segment hvctl_segment_of_svm(const struct hvctl_vmcb_segment *segment)
{
    return hvctl_segment_make(segment->selector, segment->base, segment->limit,
                              hvctl_attrib_to_rights(segment->attrib));
}

/* The same for CS and TR, which are never null: the CPU ignores their P. APM vol. 2, "Segment State in the VMCB". */
static inline struct hvctl_segment hvctl_segment_of_svm_usable(const struct hvctl_vmcb_segment *segment)
{
    struct hvctl_segment out = hvctl_segment_of_svm(segment);

    out.rights = (out.rights & ~HVCTL_RIGHTS_UNUSABLE) | HVCTL_RIGHTS_PRESENT;
    return out;
}

/*
 * The bits of DebugCtl that AMD has: LBR, BTF, bus-lock trap and the pins. APM vol. 2, "Debug-Control MSR (DebugCtl)".
 */
#define HVCTL_SVM_DBGCTL UINT64_C(0x3f)

/* Bits of CR4 that only Intel's CPUs have: VMXE, SMXE, KL, PKS, UINTR, LASS, LAM_SUP. */
#define HVCTL_CR4_INTEL UINT64_C(0x1b086000)

/*
 * Can a VMCB hold everything in the state? It cannot hold a guest that is not active, pending exceptions and what only
 * Intel's CPUs have. BS is not lost while a trap is held back, because TF causes it again.
 */
static inline bool hvctl_svm_guest_fits(const struct hvctl_guest_state *state)
{
    bool held = (state->interruptibility & (HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS)) != 0;
    bool stepping = held && (state->rflags >> 8 & 1u);
    uint64_t own = 0;

    own |= state->known & HVCTL_KNOWS_PENDING_DEBUG ? state->pending_debug & ~(stepping ? HVCTL_PENDING_BS : 0) : 0;
    own |= state->known & HVCTL_KNOWS_PKRS ? state->pkrs : 0;
    own |= state->known & HVCTL_KNOWS_PERF_GLOBAL_CTRL ? state->perf_global_ctrl : 0;
    own |= state->known & HVCTL_KNOWS_BNDCFGS ? state->bndcfgs : 0;
    own |= state->known & HVCTL_KNOWS_RTIT_CTL ? state->rtit_ctl : 0;
    own |= state->known & HVCTL_KNOWS_LBR_CTL ? state->lbr_ctl : 0;
    own |= state->known & HVCTL_KNOWS_UINV ? state->uinv : 0;
    own |= state->interruptibility & (HVCTL_BLOCKING_SMI | HVCTL_ENCLAVE_INTERRUPTION);
    own |= (state->cr4 & HVCTL_CR4_INTEL) | (state->cr3 & UINT64_C(3) << 61);
    own |= (state->cr0 & (HVCTL_CR0_CD | HVCTL_CR0_NW)) == HVCTL_CR0_NW; /* a VMCS may have it, without effect */
    return own == 0 && state->activity == HVCTL_ACTIVITY_ACTIVE;
}

/* Write the members that only some states know; what the state does not know stays. */
static inline void hvctl_svm_put_rest(struct hvctl_vmcb *vmcb, const struct hvctl_guest_state *state)
{
    bool shadow = (state->interruptibility & (HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS)) != 0;

    hvctl_vmcb_set_interrupt_state(vmcb, (vmcb->control.interrupt_state & HVCTL_GUEST_INTERRUPT_MASK)
                                             | (shadow ? HVCTL_INTERRUPT_SHADOW : 0));
    if ((state->known & HVCTL_KNOWS_NMI_BLOCKING)
        && (vmcb->control.virtual_interrupt_control & HVCTL_VINTR_NMI_ENABLE))
        hvctl_vmcb_virtual_interrupt(vmcb, state->interruptibility & HVCTL_BLOCKING_NMI ? HVCTL_VINTR_NMI_MASK : 0,
                                     HVCTL_VINTR_NMI_MASK);
    if (state->known & HVCTL_KNOWS_CR2)
        hvctl_vmcb_set_cr2(vmcb, state->cr2);
    if (state->known & HVCTL_KNOWS_DR6)
        hvctl_vmcb_set_dr6(vmcb, state->dr6 & UINT32_C(0xffffffff));
    /* The next ones have clean bits of their own, so they are written only if they change. */
    if ((state->known & HVCTL_KNOWS_DEBUGCTL) && vmcb->save.dbgctl != (state->debugctl & HVCTL_SVM_DBGCTL))
        hvctl_vmcb_set_dbgctl(vmcb, state->debugctl & HVCTL_SVM_DBGCTL);
    if (state->known & HVCTL_KNOWS_SYSCALL) {
        hvctl_vmcb_set_star(vmcb, state->star);
        hvctl_vmcb_set_lstar(vmcb, state->lstar);
        hvctl_vmcb_set_cstar(vmcb, state->cstar);
        hvctl_vmcb_set_sfmask(vmcb, state->sfmask);
        hvctl_vmcb_set_kernel_gs_base(vmcb, state->kernel_gs_base);
    }
    if ((state->known & HVCTL_KNOWS_CET)
        && (vmcb->save.s_cet != state->s_cet || vmcb->save.ssp != state->ssp
            || vmcb->save.isst_addr != state->interrupt_ssp_table)) {
        hvctl_vmcb_set_s_cet(vmcb, state->s_cet);
        hvctl_vmcb_set_ssp(vmcb, state->ssp);
        hvctl_vmcb_set_isst_addr(vmcb, state->interrupt_ssp_table);
    }
    if (state->known & HVCTL_KNOWS_SPEC_CTRL)
        hvctl_vmcb_set_spec_ctrl(vmcb, state->spec_ctrl);
    if (state->known & HVCTL_KNOWS_FRED) {
        hvctl_vmcb_set_fred_config(vmcb, state->fred_config);
        hvctl_vmcb_set_fred_rsp1(vmcb, state->fred_rsp1);
        hvctl_vmcb_set_fred_rsp2(vmcb, state->fred_rsp2);
        hvctl_vmcb_set_fred_rsp3(vmcb, state->fred_rsp3);
        hvctl_vmcb_set_fred_stklvls(vmcb, state->fred_stklvls);
        hvctl_vmcb_set_fred_ssp1(vmcb, state->fred_ssp1);
        hvctl_vmcb_set_fred_ssp2(vmcb, state->fred_ssp2);
        hvctl_vmcb_set_fred_ssp3(vmcb, state->fred_ssp3);
    }
    if (state->known & HVCTL_KNOWS_FRED_RSP0)
        hvctl_vmcb_set_fred_rsp0(vmcb, state->fred_rsp0);
}

/*
 * Write a guest's state into the VMCB through the setters, so that VMRUN reads what changed. EFER.SVME, which VMRUN
 * demands, is added; CPL is SS's DPL, 0 in real mode, 3 in virtual-8086 mode; RAX stays as it is (struct
 * hvctl_guest_regs has the guest's). FS, GS, LDTR, TR, the SYSENTER and SYSCALL MSRs and KERNEL_GS_BASE are those that
 * VMLOAD reads. Blocking of NMIs is written if V_NMI_ENABLE is set; without NMI virtualization it is up to the caller,
 * who intercepts IRET. DEBUGCTL has an effect with LBR virtualization.
 *
 * HVCTL_E_STATE: written, but the state does not know something that SVM's guests need, which is as the VMCB had it:
 * EFER, PAT, CR2, DR6 or the SYSCALL MSRs. Add them after hvctl_vmx_guest_read.
 * HVCTL_E_MODE: written, except for what no VMCB can hold. The caller holds a guest that is not active back until an
 * event ends the halt, and injects pending debug exceptions; what only Intel's CPUs have (CR4.PKS with pkrs, LAM, LASS,
 * KL, user interrupts, MPX, tracing, ...) should not have been shown to the guest.
 */
static inline enum hvctl_status hvctl_svm_guest_write(struct hvctl_vmcb *vmcb, const struct hvctl_guest_state *state)
{
    const unsigned needed =
        HVCTL_KNOWS_EFER | HVCTL_KNOWS_PAT | HVCTL_KNOWS_CR2 | HVCTL_KNOWS_DR6 | HVCTL_KNOWS_SYSCALL;
    struct hvctl_vmcb_segment table = {0, 0, 0, 0};
    bool v86 = (state->rflags >> 17 & 1u) != 0;

    hvctl_vmcb_set_es(vmcb, hvctl_svm_segment(&state->es));
    hvctl_vmcb_set_cs(vmcb, hvctl_svm_segment(&state->cs));
    hvctl_vmcb_set_ss(vmcb, hvctl_svm_segment(&state->ss));
    hvctl_vmcb_set_ds(vmcb, hvctl_svm_segment(&state->ds));
    hvctl_vmcb_set_fs(vmcb, hvctl_svm_segment(&state->fs));
    hvctl_vmcb_set_gs(vmcb, hvctl_svm_segment(&state->gs));
    hvctl_vmcb_set_ldtr(vmcb, hvctl_svm_segment(&state->ldtr));
    hvctl_vmcb_set_tr(vmcb, hvctl_svm_segment(&state->tr));
    table.base = state->gdtr.base;
    table.limit = state->gdtr.limit;
    hvctl_vmcb_set_gdtr(vmcb, table);
    table.base = state->idtr.base;
    table.limit = state->idtr.limit;
    hvctl_vmcb_set_idtr(vmcb, table);
    hvctl_vmcb_set_cpl(vmcb, (uint8_t)(!(state->cr0 & HVCTL_CR0_PE) ? 0 : v86 ? 3 : hvctl_guest_cpl(state)));
    hvctl_vmcb_set_efer(vmcb, state->efer | HVCTL_EFER_SVME);
    hvctl_vmcb_set_cr0(vmcb, state->cr0);
    hvctl_vmcb_set_cr3(vmcb, state->cr3);
    hvctl_vmcb_set_cr4(vmcb, state->cr4);
    hvctl_vmcb_set_dr7(vmcb, state->dr7);
    hvctl_vmcb_set_rip(vmcb, state->rip);
    hvctl_vmcb_set_rsp(vmcb, state->rsp);
    hvctl_vmcb_set_rflags(vmcb, state->rflags);
    if (state->known & HVCTL_KNOWS_PAT)
        hvctl_vmcb_set_g_pat(vmcb, state->pat);
    hvctl_vmcb_set_sysenter_cs(vmcb, state->sysenter_cs);
    hvctl_vmcb_set_sysenter_esp(vmcb, state->sysenter_esp);
    hvctl_vmcb_set_sysenter_eip(vmcb, state->sysenter_eip);
    hvctl_svm_put_rest(vmcb, state);
    if (~state->known & needed)
        return HVCTL_E_STATE;
    return hvctl_svm_guest_fits(state) ? HVCTL_OK : HVCTL_E_MODE;
}

/* What hvctl_svm_put_rest writes. */
static inline void hvctl_svm_get_rest(const struct hvctl_vmcb *vmcb, struct hvctl_guest_state *state)
{
    const struct hvctl_vmcb_save *save = &vmcb->save;

    state->known = HVCTL_KNOWS_EFER | HVCTL_KNOWS_PAT | HVCTL_KNOWS_CR2 | HVCTL_KNOWS_DR6 | HVCTL_KNOWS_SYSCALL
                 | HVCTL_KNOWS_CET;
    state->cr2 = save->cr2;
    state->dr6 = save->dr6;
    state->star = save->star;
    state->lstar = save->lstar;
    state->cstar = save->cstar;
    state->sfmask = save->sfmask;
    state->kernel_gs_base = save->kernel_gs_base;
    state->s_cet = save->s_cet;
    state->ssp = save->ssp;
    state->interrupt_ssp_table = save->isst_addr;
    if (save->spec_ctrl != 0) { /* a CPU that does not virtualize it leaves 0, too */
        state->spec_ctrl = save->spec_ctrl;
        state->known |= HVCTL_KNOWS_SPEC_CTRL;
    }
    if (vmcb->control.virtualization_control & HVCTL_VIRT_LBR) {
        state->debugctl = save->dbgctl;
        state->known |= HVCTL_KNOWS_DEBUGCTL;
    }
    if (vmcb->control.virtualization_control & HVCTL_VIRT_FRED) {
        state->fred_config = save->fred_config;
        state->fred_rsp1 = save->fred_rsp1;
        state->fred_rsp2 = save->fred_rsp2;
        state->fred_rsp3 = save->fred_rsp3;
        state->fred_stklvls = save->fred_stklvls;
        state->fred_ssp1 = save->fred_ssp1;
        state->fred_ssp2 = save->fred_ssp2;
        state->fred_ssp3 = save->fred_ssp3;
        state->fred_rsp0 = save->fred_rsp0;
        state->known |= HVCTL_KNOWS_FRED | HVCTL_KNOWS_FRED_RSP0;
    }
    if (vmcb->control.interrupt_state & HVCTL_INTERRUPT_SHADOW)
        state->interruptibility = HVCTL_BLOCKING_MOV_SS;
    if (vmcb->control.virtual_interrupt_control & HVCTL_VINTR_NMI_ENABLE) {
        state->interruptibility |=
            vmcb->control.virtual_interrupt_control & HVCTL_VINTR_NMI_MASK ? HVCTL_BLOCKING_NMI : 0;
        state->known |= HVCTL_KNOWS_NMI_BLOCKING;
    }
}

/*
 * Read the guest's state from a VMCB after VMSAVE, as the guest sees it: EFER without SVME; CPL is in SS's DPL. A
 * segment that is not present becomes an unusable one, except for CS and TR, whose P the CPU ignores. The result does
 * not know what the VMCB has no place for: PDPTEs (hvctl_guest_load_pdptes), blocking of NMIs without NMI
 * virtualization, a halt, VMX's own MSRs.
 */
static inline struct hvctl_guest_state hvctl_svm_guest_read(const struct hvctl_vmcb *vmcb)
{
    const struct hvctl_vmcb_save *save = &vmcb->save;
    struct hvctl_guest_state state;

    hvctl_guest_state_clear(&state);
    state.cr0 = save->cr0;
    state.cr3 = save->cr3;
    state.cr4 = save->cr4;
    state.efer = save->efer & ~(HVCTL_EFER_SVME | HVCTL_EFER_LMA);
    if ((save->efer & HVCTL_EFER_LME) && (save->cr0 & HVCTL_CR0_PG))
        state.efer |= HVCTL_EFER_LMA; /* VMRUN makes it so, whatever the VMCB has */
    state.rip = save->rip;
    state.rsp = save->rsp;
    state.rflags = save->rflags;
    state.dr7 = save->dr7;
    state.pat = save->g_pat;
    state.es = hvctl_segment_of_svm(&save->es);
    state.cs = hvctl_segment_of_svm_usable(&save->cs);
    state.ss = hvctl_segment_of_svm(&save->ss);
    state.ds = hvctl_segment_of_svm(&save->ds);
    state.fs = hvctl_segment_of_svm(&save->fs);
    state.gs = hvctl_segment_of_svm(&save->gs);
    state.ldtr = hvctl_segment_of_svm(&save->ldtr);
    state.tr = hvctl_segment_of_svm_usable(&save->tr);
    state.gdtr = hvctl_segment_make(0, save->gdtr.base, save->gdtr.limit, 0);
    state.idtr = hvctl_segment_make(0, save->idtr.base, save->idtr.limit, 0);
    state.sysenter_cs = save->sysenter_cs;
    state.sysenter_esp = save->sysenter_esp;
    state.sysenter_eip = save->sysenter_eip;
    hvctl_guest_set_cpl(&state, !(state.cr0 & HVCTL_CR0_PE) ? 0 : state.rflags >> 17 & 1u ? 3 : save->cpl);
    hvctl_svm_get_rest(vmcb, &state);
    return state;
}

#endif
