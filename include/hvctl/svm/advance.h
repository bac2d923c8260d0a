/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What to do before the guest goes on: skip the instruction that exited, and deliver again an event that the exit
 * interrupted. APM vol. 2, "State Saved on Exit", "EXITINTINFO Pseudo-Code".
 */
#ifndef HVCTL_SVM_ADVANCE_H
#define HVCTL_SVM_ADVANCE_H

#include "../common/exceptions.h"
#include "caps.h"
#include "exit.h"

/*
 * The length of the instruction that causes this exit code, in the manual's encoding without prefixes. 0: the code
 * stands for more than one instruction or length. APM vol. 3, "General-Purpose and System Instruction Reference".
 */
static inline unsigned hvctl_svm_known_length(uint64_t exit_code)
{
    switch (exit_code) {
    case HVCTL_SVM_EXIT_HLT:
    case HVCTL_SVM_EXIT_ICEBP: return 1;
    case HVCTL_SVM_EXIT_CPUID:
    case HVCTL_SVM_EXIT_INVD:
    case HVCTL_SVM_EXIT_MSR:
    case HVCTL_SVM_EXIT_PAUSE:
    case HVCTL_SVM_EXIT_RDPMC:
    case HVCTL_SVM_EXIT_RDTSC:
    case HVCTL_SVM_EXIT_RSM:
    case HVCTL_SVM_EXIT_WBINVD: return 2;
    case HVCTL_SVM_EXIT_CLGI:
    case HVCTL_SVM_EXIT_INVLPGA:
    case HVCTL_SVM_EXIT_MONITOR:
    case HVCTL_SVM_EXIT_MWAIT:
    case HVCTL_SVM_EXIT_RDTSCP:
    case HVCTL_SVM_EXIT_SKINIT:
    case HVCTL_SVM_EXIT_STGI:
    case HVCTL_SVM_EXIT_VMLOAD:
    case HVCTL_SVM_EXIT_VMMCALL:
    case HVCTL_SVM_EXIT_VMRUN:
    case HVCTL_SVM_EXIT_VMSAVE:
    case HVCTL_SVM_EXIT_XSETBV: return 3;
    default: return 0;
    }
}

/*
 * As hvctl_vmx_advance, for a VMCB: RIP becomes NRIP where the CPU saves it (HVCTL_SVM_NRIPS), and otherwise moves on
 * by the instruction's known length; for I/O instructions EXITINFO2 has the next RIP on every CPU. The interrupt shadow
 * ends. Without NRIP, a prefix before the instruction, which no compiler emits, is taken for its beginning.
 *
 * HVCTL_E_RANGE: neither is known for this exit; nothing changed.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_svm_advance(struct hvctl_vmcb *vmcb,
                                                                  const struct hvctl_svm_caps *caps)
{
    uint64_t code = vmcb->control.exitcode, rip = vmcb->save.rip;
    bool code64 = (vmcb->save.efer & HVCTL_EFER_LMA) && (vmcb->save.cs.attrib >> 9 & 1u);
    unsigned length = hvctl_svm_known_length(code);

    if (code == HVCTL_SVM_EXIT_IOIO)
        rip = vmcb->control.exitinfo2;
    else if (hvctl_svm_can(caps, HVCTL_SVM_NRIPS) && vmcb->control.nrip != 0)
        rip = vmcb->control.nrip;
    else if (length != 0)
        rip += length;
    else
        return HVCTL_E_RANGE;
    hvctl_vmcb_set_rip(vmcb, code64 ? rip : rip & UINT32_C(0xffffffff));
    hvctl_vmcb_set_interrupt_state(vmcb, vmcb->control.interrupt_state & ~HVCTL_INTERRUPT_SHADOW);
    return HVCTL_OK;
}

/*
 * As hvctl_vmx_redeliver, for a VMCB: EXITINTINFO, where it is valid, becomes EVENTINJ. Call it after every VMEXIT. An
 * event that the guest's own INT n, INT3 or INTO raised is left out: RIP is still at the instruction, which the guest
 * executes again. The same event from hvctl_vmcb_inject, where there may be no such instruction, is injected again,
 * with its NRIP. With virtual NMIs VMRUN blocks them again when it injects one; without, the caller's own blocking
 * stays as it is.
 *
 * HVCTL_OK: also where there was no event, or where VMRUN refused the VMCB; then the event to be injected stays as it
 * was.
 * HVCTL_E_RANGE: EXITINTINFO has a value that VMRUN would refuse, and the event is lost: CPUs give no such value, but
 * emulators do.
 * APM vol. 2, "Event Injection", "EXITINTINFO Pseudo-Code", "NMI Virtualization".
 */
static inline enum hvctl_status hvctl_svm_redeliver(struct hvctl_vmcb *vmcb)
{
    struct hvctl_svm_event event = hvctl_svm_event_decode(vmcb->control.exitintinfo);
    uint64_t injected = hvctl_svm_injected_get(vmcb, 16), nrip = hvctl_svm_injected_get(vmcb, 24);
    bool instruction = event.type == HVCTL_SVM_EVENT_SOFTWARE_INTERRUPT
                    || (event.type == HVCTL_SVM_EVENT_EXCEPTION && (event.vector == 3 || event.vector == 4));
    bool ours = instruction && ((injected ^ vmcb->control.exitintinfo) & UINT64_C(0xffffdfff)) == 0;

    if (hvctl_svm_exit_invalid(vmcb->control.exitcode))
        return HVCTL_OK;
    if (!event.valid || (instruction && !ours)) {
        hvctl_svm_injected_put(vmcb, 0, 0);
        return HVCTL_OK;
    }
    if (hvctl_svm_event_invalid(&event)) {
        hvctl_svm_injected_put(vmcb, 0, 0);
        return HVCTL_E_RANGE;
    }
    hvctl_vmcb_set_eventinj(vmcb, vmcb->control.exitintinfo);
    hvctl_vmcb_set_eventinjdata(vmcb, vmcb->control.exitintdata);
    if (ours && nrip != 0)
        hvctl_vmcb_set_nrip(vmcb, nrip);
    hvctl_svm_injected_put(vmcb, vmcb->control.eventinj, ours ? nrip : 0);
    return HVCTL_OK;
}

/*
 * As hvctl_vmx_inject_nested, for a VMCB: event and errors as in hvctl_vmcb_inject.
 * HVCTL_E_SHUTDOWN: nothing was injected, because the guest ends in a triple fault.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_svm_inject_nested(struct hvctl_vmcb *vmcb,
                                                                        struct hvctl_svm_event event)
{
    struct hvctl_svm_event first = hvctl_svm_event_decode(vmcb->control.exitintinfo);

    if (first.valid && !hvctl_svm_exit_invalid(vmcb->control.exitcode) && first.type == HVCTL_SVM_EVENT_EXCEPTION
        && event.type == HVCTL_SVM_EVENT_EXCEPTION) {
        switch (hvctl_exception_combine(first.vector, event.vector)) {
        case HVCTL_COMBINED_TRIPLE_FAULT: return HVCTL_E_SHUTDOWN;
        case HVCTL_COMBINED_DOUBLE_FAULT:
            event = hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, HVCTL_VECTOR_DOUBLE_FAULT, 0);
            break;
        case HVCTL_COMBINED_SECOND: break;
        }
    }
    return hvctl_vmcb_inject(vmcb, event);
}

#endif
