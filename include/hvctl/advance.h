/*
 * Before the guest goes on: past the instruction that exited, and an event that the exit interrupted delivered again.
 * SDM vol. 3, "Instruction-Interception", "Guest Non-Register State"; APM vol. 2, "State Saved on Exit".
 */
#ifndef HVCTL_ADVANCE_H
#define HVCTL_ADVANCE_H

#include "svm_caps.h"
#include "svm_exit.h"
#include "vmcs.h"
#include "vmx_event.h"

/*
 * The exit was caused by an instruction that the hypervisor has carried out: move GUEST_RIP past it and end blocking by
 * STI and by MOV SS, as the instruction itself would have. The image holds the exit's information fields, GUEST_RIP,
 * GUEST_INTERRUPTIBILITY_STATE and GUEST_CS_ACCESS_RIGHTS as the exit left them. Outside of 64-bit mode RIP wraps at 32
 * bits.
 *
 * A trap that TF would have caused (a pending debug exception) is the caller's.
 *
 * HVCTL_E_RANGE: VM_EXIT_INSTRUCTION_LENGTH is not 1 to 15, so this exit was not an instruction's; nothing changed.
 * Errors of hvctl_vmcs_write else.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_advance(struct hvctl_vmcs_image *image)
{
    uint64_t length = hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH);
    uint64_t blocking = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE);
    uint64_t rip = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_RIP) + length;
    enum hvctl_status status = HVCTL_OK;

    if (length < 1 || length > 15)
        return HVCTL_E_RANGE;
    if (!(hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) & (UINT32_C(1) << 13)))
        rip &= UINT32_C(0xffffffff);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RIP, rip, &status);
    if (blocking & 3u)
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking & ~UINT64_C(3), &status);
    return status;
}

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
 * An exit that came while the CPU delivered an event to the guest (a fault of the second level on the guest's stack or
 * IDT, above all) has lost the event: hand it to the next VM entry again. The image holds the exit's information
 * fields, with nothing to be injected yet. An exit whose own instruction has been carried out, or that is to be
 * answered with an exception, did not interrupt anything that must come again: inject after this call, which it
 * overwrites.
 *
 * HVCTL_OK, also where there was no event; errors of hvctl_vmcs_write. SDM vol. 3, "Information for VM Exits That Occur
 * During Event Delivery".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_redeliver(struct hvctl_vmcs_image *image)
{
    uint64_t info = hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD);
    enum hvctl_status status = HVCTL_OK;
    unsigned type = (unsigned)(info >> 8 & 7u);

    if (!(info >> 31 & 1u))
        return HVCTL_OK;
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, info & ~UINT64_C(0x7ffff000), &status);
    if (info & HVCTL_EVENT_INFO_ERROR_CODE)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE,
                       hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE), &status);
    if (type >= HVCTL_EVENT_SOFTWARE_INTERRUPT)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH,
                       hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH), &status);
    return status;
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
