/*
 * A guest's state into a VMCB's state-save area and back. APM vol. 2, "VMRUN Instruction", "Segment State in the VMCB".
 */
#ifndef HVCTL_SVM_GUEST_H
#define HVCTL_SVM_GUEST_H

#include "../common/guest_state.h"
#include "vmcb.h"

/* A segment as the VMCB has it. */
static inline struct hvctl_vmcb_segment hvctl_svm_segment(const struct hvctl_segment *segment)
{
    struct hvctl_vmcb_segment out;

    out.selector = segment->selector;
    out.attrib = hvctl_rights_to_attrib(segment->rights);
    out.limit = segment->limit;
    out.base = segment->base;
    return out;
}

/* A segment of the VMCB as VMX has it. */
static inline struct hvctl_segment hvctl_segment_of_svm(const struct hvctl_vmcb_segment *segment)
{
    return hvctl_segment_make(segment->selector, segment->base, segment->limit,
                              hvctl_attrib_to_rights(segment->attrib));
}

/*
 * Write a guest's state into the VMCB, through the setters: all that VMRUN reads is marked as changed. EFER.SVME, which
 * VMRUN demands, is added; CPL is SS's DPL, and 0 in real mode; DR6 becomes its reset value, CR2 and RAX 0. FS, GS,
 * LDTR, TR and the SYSENTER MSRs are those that VMLOAD reads.
 */
static inline void hvctl_svm_guest_write(struct hvctl_vmcb *vmcb, const struct hvctl_guest_state *state)
{
    struct hvctl_vmcb_segment table = {0, 0, 0, 0};
    uint8_t cpl = (uint8_t)(state->ss.rights >> HVCTL_RIGHTS_DPL_SHIFT & 3u);

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
    hvctl_vmcb_set_cpl(vmcb, state->cr0 & HVCTL_CR0_PE ? cpl : 0);
    hvctl_vmcb_set_efer(vmcb, state->efer | HVCTL_EFER_SVME);
    hvctl_vmcb_set_cr0(vmcb, state->cr0);
    hvctl_vmcb_set_cr2(vmcb, 0);
    hvctl_vmcb_set_cr3(vmcb, state->cr3);
    hvctl_vmcb_set_cr4(vmcb, state->cr4);
    hvctl_vmcb_set_dr6(vmcb, UINT64_C(0xffff0ff0));
    hvctl_vmcb_set_dr7(vmcb, state->dr7);
    hvctl_vmcb_set_rip(vmcb, state->rip);
    hvctl_vmcb_set_rsp(vmcb, state->rsp);
    hvctl_vmcb_set_rax(vmcb, 0);
    hvctl_vmcb_set_rflags(vmcb, state->rflags);
    hvctl_vmcb_set_g_pat(vmcb, state->pat);
    hvctl_vmcb_set_sysenter_cs(vmcb, state->sysenter_cs);
    hvctl_vmcb_set_sysenter_esp(vmcb, state->sysenter_esp);
    hvctl_vmcb_set_sysenter_eip(vmcb, state->sysenter_eip);
    hvctl_vmcb_set_interrupt_state(vmcb, 0);
}

/* The guest's state as the last VMEXIT, and a VMSAVE after it, left the VMCB. EFER comes without SVME. */
static inline struct hvctl_guest_state hvctl_svm_guest_read(const struct hvctl_vmcb *vmcb)
{
    const struct hvctl_vmcb_save *save = &vmcb->save;
    struct hvctl_guest_state state;

    state.cr0 = save->cr0;
    state.cr3 = save->cr3;
    state.cr4 = save->cr4;
    state.efer = save->efer & ~HVCTL_EFER_SVME;
    state.rip = save->rip;
    state.rsp = save->rsp;
    state.rflags = save->rflags;
    state.dr7 = save->dr7;
    state.pat = save->g_pat;
    state.es = hvctl_segment_of_svm(&save->es);
    state.cs = hvctl_segment_of_svm(&save->cs);
    state.ss = hvctl_segment_of_svm(&save->ss);
    state.ds = hvctl_segment_of_svm(&save->ds);
    state.fs = hvctl_segment_of_svm(&save->fs);
    state.gs = hvctl_segment_of_svm(&save->gs);
    state.ldtr = hvctl_segment_of_svm(&save->ldtr);
    state.tr = hvctl_segment_of_svm(&save->tr);
    state.gdtr = hvctl_segment_make(0, save->gdtr.base, save->gdtr.limit, 0);
    state.idtr = hvctl_segment_make(0, save->idtr.base, save->idtr.limit, 0);
    state.sysenter_cs = save->sysenter_cs;
    state.sysenter_esp = save->sysenter_esp;
    state.sysenter_eip = save->sysenter_eip;
    return state;
}

#endif
