/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What to do before the guest goes on: skip the instruction that exited, and deliver again an event that the exit
 * interrupted. SDM vol. 3, "Information for VM Exits Due to Instruction Execution", "Guest Non-Register State".
 */
#ifndef HVCTL_VMX_ADVANCE_H
#define HVCTL_VMX_ADVANCE_H

#include "../common/exceptions.h"
#include "event.h"
#include "exit.h"
#include "solver.h"
#include "vmcs.h"

/*
 * Is the guest in 64-bit mode? CS.L alone does not tell, because it has no meaning outside IA-32e mode. "IA-32e mode
 * guest" and EFER.LMA are the same after a VM exit; an image holds at least one of them.
 */
static inline bool hvctl_vmx_guest_code64(const struct hvctl_vmcs_image *image)
{
    return (hvctl_vmx_control_on(image, HVCTL_ENTRY_IA32E_MODE_GUEST)
            || (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_IA32_EFER) & HVCTL_EFER_LMA))
        && (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) & (UINT32_C(1) << 13));
}

/*
 * The exit was caused by an instruction that the hypervisor has carried out: move GUEST_RIP past it and end blocking by
 * STI and by MOV SS, as the instruction itself would have. The image holds the exit's information fields, GUEST_RIP,
 * GUEST_INTERRUPTIBILITY_STATE, GUEST_CS_ACCESS_RIGHTS and, for a guest in IA-32e mode, the VM-entry controls or
 * GUEST_IA32_EFER as the exit left them. Outside of 64-bit mode RIP wraps at 32 bits.
 *
 * A trap that TF would have caused (a pending debug exception) is left to the caller.
 *
 * HVCTL_E_RANGE: VM_EXIT_INSTRUCTION_LENGTH is not 1 to 15, so no instruction caused this exit; nothing changed.
 * Otherwise errors of hvctl_vmcs_write.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_advance(struct hvctl_vmcs_image *image)
{
    uint64_t length = hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH);
    uint64_t blocking = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE);
    uint64_t before = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_RIP), rip = before + length;
    enum hvctl_status status = HVCTL_OK;

    if (length < 1 || length > 15)
        return HVCTL_E_RANGE;
    if (before >> 32 == 0 && !hvctl_vmx_guest_code64(image))
        rip &= UINT32_C(0xffffffff);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RIP, rip, &status);
    if (blocking & 3u)
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking & ~UINT64_C(3), &status);
    return status;
}

/* IDT-vectoring information; 0 after a failed VM entry, which leaves that of an earlier exit. */
static inline uint32_t hvctl_vmx_interrupted(const struct hvctl_vmcs_image *image)
{
    return hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_REASON) >> 31 & 1u
             ? 0
             : (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD);
}

/*
 * An exit that came while the CPU delivered an event to the guest (above all, a fault of the second level on the
 * guest's stack or IDT) has lost the event: hand it to the next VM entry again. The image holds the exit's information
 * fields and GUEST_INTERRUPTIBILITY_STATE and GUEST_ACTIVITY_STATE as the exit left them, with nothing to be injected
 * yet. If the exit's own instruction has been carried out, or the exit is answered with an exception, nothing must be
 * delivered again: call hvctl_vmx_inject_nested, or inject after this call and so overwrite its event.
 *
 * An NMI can be injected only while NMIs are not blocked, but its delivery had blocked them: this call ends the
 * blocking, and the injection blocks them again. It also ends what the delivery would have ended, a halt and, for
 * interrupts and NMIs, blocking by STI and by MOV SS, because VM entry demands it.
 *
 * HVCTL_OK: also where there was no event, or where VM entry failed; then the event to be injected stays as it was.
 * Otherwise errors of hvctl_vmcs_write.
 * SDM vol. 3, "Information for VM Exits That Occur During Event Delivery", "Checks on Guest Non-Register State",
 * "Resuming Guest Software after Handling an Exception", "VM-Entry Failures During or After Loading Guest State".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_redeliver(struct hvctl_vmcs_image *image)
{
    uint64_t info = hvctl_vmx_interrupted(image);
    uint64_t blocking = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE), ended = 0;
    enum hvctl_status status = HVCTL_OK;
    unsigned type = (unsigned)(info >> 8 & 7u);

    if (!(info >> 31 & 1u))
        return HVCTL_OK;
    /*
     * Bit 12 is undefined in IDT-vectoring information and reserved at entry; bit 13, nested, means the same in both.
     */
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, info & ~UINT64_C(0x7fffd000), &status);
    if (info & HVCTL_EVENT_INFO_ERROR_CODE)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE,
                       hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE), &status);
    if (type >= HVCTL_EVENT_SOFTWARE_INTERRUPT)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH,
                       hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH), &status);
    if (hvctl_vmcs_has(image, HVCTL_VMCS_INJECTED_EVENT_DATA) && hvctl_vmcs_has(image, HVCTL_VMCS_ORIGINAL_EVENT_DATA))
        hvctl_vmcs_put(image, HVCTL_VMCS_INJECTED_EVENT_DATA,
                       hvctl_vmcs_get(image, HVCTL_VMCS_ORIGINAL_EVENT_DATA), &status);
    if (type == HVCTL_EVENT_EXTERNAL_INTERRUPT || type == HVCTL_EVENT_NMI)
        ended = 3; /* by STI, by MOV SS */
    if (type == HVCTL_EVENT_NMI)
        ended |= 8;
    if (blocking & ended)
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking & ~ended, &status);
    if (hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE) == 1) /* halted */
        hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE, 0, &status);
    return status;
}

/*
 * Answer the exit with an exception in the guest: inject it or, if the exit came while another exception was being
 * delivered, what the two combine to, such as #DF with error code 0. An interrupted event that is no exception gives
 * way to it, as on a CPU without a hypervisor. Image, caps, event and errors as in hvctl_vmx_inject; the image holds
 * IDT-vectoring information, too.
 * HVCTL_E_SHUTDOWN: nothing was injected, because the guest ends in a triple fault.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_inject_nested(struct hvctl_vmcs_image *image,
                                                                        const struct hvctl_vmx_caps *caps,
                                                                        struct hvctl_vmx_event event)
{
    struct hvctl_vmx_event first = hvctl_vmx_event_decode(hvctl_vmx_interrupted(image), 0);

    if (first.valid && first.type == HVCTL_EVENT_HARDWARE_EXCEPTION && event.type == HVCTL_EVENT_HARDWARE_EXCEPTION) {
        switch (hvctl_exception_combine(first.vector, event.vector)) {
        case HVCTL_COMBINED_TRIPLE_FAULT: return HVCTL_E_SHUTDOWN;
        case HVCTL_COMBINED_DOUBLE_FAULT:
            event = hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_VECTOR_DOUBLE_FAULT, 0, 0);
            break;
        case HVCTL_COMBINED_SECOND: break;
        }
    }
    return hvctl_vmx_inject(image, caps, event);
}

/*
 * Had an IRET unblocked NMIs just before this exit? It faulted and will be executed again, so NMIs must be blocked
 * until then. Bit 12 of the interruption information or of the qualification says so, where it is defined: not for #DF,
 * not while another event was being delivered, and not with "NMI exiting" alone, when IRET does not touch blocking. SDM
 * vol. 3, "Information for VM Exits Due to Vectored Events", "Exit Qualification".
 */
static inline bool hvctl_vmx_nmi_unblocked(const struct hvctl_vmcs_image *image)
{
    uint32_t reason = (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_REASON);
    struct hvctl_vmx_event event =
        hvctl_vmx_event_decode((uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION), 0);

    if (reason >> 31 || (hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD) >> 31 & 1u)
        || (hvctl_vmx_control_on(image, HVCTL_PIN_NMI_EXITING) && !hvctl_vmx_control_on(image, HVCTL_PIN_VIRTUAL_NMIS)))
        return false;
    if ((reason & 0xffffu) == HVCTL_VMX_REASON_EXCEPTION_OR_NMI)
        return event.valid && event.nmi_unblocking && event.type != HVCTL_EVENT_NMI
            && !(event.type == HVCTL_EVENT_HARDWARE_EXCEPTION && event.vector == HVCTL_VECTOR_DOUBLE_FAULT);
    return hvctl_vmx_qualification_nmi_unblocked(reason & 0xffffu,
                                                 hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION));
}

/*
 * Before the guest goes on at the instruction that exited: block NMIs again if that was an IRET
 * (hvctl_vmx_nmi_unblocked). Do not call it if the guest gets an exception instead, because the IRET has then had its
 * effect. The image holds the exit's information fields, the pin-based controls and GUEST_INTERRUPTIBILITY_STATE.
 * Errors of hvctl_vmcs_write.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_reblock_nmis(struct hvctl_vmcs_image *image)
{
    uint64_t blocking = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE);

    return hvctl_vmx_nmi_unblocked(image) && !(blocking & 8u)
             ? hvctl_vmcs_write(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking | 8u)
             : HVCTL_OK;
}

#endif
