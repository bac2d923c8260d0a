/*
 * Before the guest goes on: past the instruction that exited, and an event that the exit interrupted delivered again.
 * APM vol. 2, "State Saved on Exit", "EXITINTINFO Pseudo-Code".
 */
#ifndef HVCTL_SVM_ADVANCE_H
#define HVCTL_SVM_ADVANCE_H

#include "caps.h"
#include "exit.h"

/*
 * Length of the instruction behind this exit code, encoded as the manual lists it, without prefixes. 0: the code does
 * not tell one instruction of one length. APM vol. 3, "General-Purpose and System Instruction Reference".
 */
static inline unsigned hvctl_svm_known_length(uint64_t exit_code)
{
    switch (exit_code) {
    case HVCTL_SVM_EXIT_HLT: return 1;
    case HVCTL_SVM_EXIT_CPUID:
    case HVCTL_SVM_EXIT_INVD:
    case HVCTL_SVM_EXIT_MSR:
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
 * As hvctl_vmx_advance, for a VMCB: RIP becomes NRIP where the CPU saves it (HVCTL_SVM_NRIPS), or goes on by the
 * instruction's known length where not; for I/O instructions the CPU always tells, in EXITINFO2. The interrupt shadow
 * ends. Without NRIP a prefix that the guest put before the instruction, as no compiler does, is taken for its
 * beginning.
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
 * As hvctl_vmx_redeliver, for a VMCB: EXITINTINFO, where it is valid, becomes EVENTINJ. What INT n, INT3 and INTO raise
 * is left out: RIP is still at the instruction, which the guest executes again. APM vol. 2, "Interrupt Intercepts",
 * "EXITINTINFO Pseudo-Code".
 */
static inline void hvctl_svm_redeliver(struct hvctl_vmcb *vmcb)
{
    struct hvctl_svm_event event = hvctl_svm_event_decode(vmcb->control.exitintinfo);

    bool instruction = event.type == HVCTL_SVM_EVENT_SOFTWARE_INTERRUPT
                    || (event.type == HVCTL_SVM_EVENT_EXCEPTION && (event.vector == 3 || event.vector == 4));

    if (event.valid && !instruction)
        hvctl_vmcb_set_eventinj(vmcb, vmcb->control.exitintinfo);
}

#endif
