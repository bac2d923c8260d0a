/*
 * Before the guest goes on: past the instruction that exited, and an event that the exit interrupted delivered again.
 * SDM vol. 3, "Instruction-Interception", "Guest Non-Register State".
 */
#ifndef HVCTL_VMX_ADVANCE_H
#define HVCTL_VMX_ADVANCE_H

#include "event.h"
#include "vmcs.h"

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

#endif
