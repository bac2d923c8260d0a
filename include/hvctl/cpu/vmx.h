/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Entering and leaving VMX operation on one CPU, with every precondition checked and named; making a VMCS current.
 * Calls that take ops act on the CPU that makes them, at CPL 0; all but hvctl_vmx_enable need it to be in VMX
 * operation.
 * SDM vol. 3, "Enabling and Entering VMX Operation" and "Restrictions on VMX Operation".
 */
#ifndef HVCTL_CPU_VMX_H
#define HVCTL_CPU_VMX_H

#include "../vmx/vmcs.h"
#include "../vmx/caps.h"
#include "../vmx/exit.h"
#include "cpu.h"

/*
 * A page that the CPU uses, a VMXON region or a VMCS: 4 KiB, aligned to its size, of the memory type that
 * IA32_VMX_BASIC reports.
 */
struct hvctl_vmx_region {
    void *memory;      /* where the caller can write it */
    uint64_t physical; /* where the CPU finds it */
};

/* What prevents VMX operation, in the order of the checks. */
enum hvctl_vmx_enable_status {
    HVCTL_VMX_ENABLED,
    HVCTL_VMX_NO_CPUID,            /* CPUID.1:ECX[5] is 0: no VMX, or hidden by a hypervisor below */
    HVCTL_VMX_ALREADY_ON,          /* CR4.VMXE is 1: other software on this CPU uses VMX */
    HVCTL_VMX_FEATURE_CONTROL_MSR, /* IA32_FEATURE_CONTROL faults */
    HVCTL_VMX_LOCKED_OFF,          /* the firmware locked IA32_FEATURE_CONTROL with VMX outside SMX off */
    HVCTL_VMX_LOCK_FAILED,         /* IA32_FEATURE_CONTROL is unlocked, and writing it fails */
    HVCTL_VMX_CAPABILITY_MSR,      /* one of the capability MSRs faults: caps->failed_msr */
    HVCTL_VMX_REGION_ALIGN,        /* the VMXON region is not 4 KiB aligned */
    HVCTL_VMX_REGION_RANGE,        /* it is beyond the physical addresses that VMX structures may have */
    HVCTL_VMX_CR0_PAGING,          /* paging or protection is off */
    HVCTL_VMX_CR0_WRITE,           /* CR0 does not take the value that VMX operation needs */
    HVCTL_VMX_CR4_WRITE,           /* CR4 does not take the value that VMX operation needs */
    HVCTL_VMX_VMXON_FAULT,         /* VMXON raised a fault that the platform caught */
    HVCTL_VMX_VMXON_FAILED         /* VMXON: VMfailInvalid; wrong revision or address */
};

/* A sentence for the user, without a full stop; never NULL. */
static inline const char *hvctl_vmx_enable_text(enum hvctl_vmx_enable_status status)
{
    switch (status) {
    case HVCTL_VMX_ENABLED: return "VMX operation is on";
    case HVCTL_VMX_NO_CPUID: return "CPUID does not report VMX";
    case HVCTL_VMX_ALREADY_ON: return "CR4.VMXE is set already: another hypervisor uses VMX on this CPU";
    case HVCTL_VMX_FEATURE_CONTROL_MSR: return "IA32_FEATURE_CONTROL cannot be read";
    case HVCTL_VMX_LOCKED_OFF: return "the firmware has locked VMX off in IA32_FEATURE_CONTROL";
    case HVCTL_VMX_LOCK_FAILED: return "IA32_FEATURE_CONTROL does not take the value that enables VMX";
    case HVCTL_VMX_CAPABILITY_MSR: return "a VMX capability MSR cannot be read";
    case HVCTL_VMX_REGION_ALIGN: return "the VMXON region is not aligned to 4 KiB";
    case HVCTL_VMX_REGION_RANGE: return "the VMXON region lies beyond the addresses that VMX structures may have";
    case HVCTL_VMX_CR0_PAGING: return "protected mode or paging is off";
    case HVCTL_VMX_CR0_WRITE: return "CR0 does not take the bits that VMX operation fixes";
    case HVCTL_VMX_CR4_WRITE: return "CR4 does not take the bits that VMX operation fixes";
    case HVCTL_VMX_VMXON_FAULT: return "VMXON raised a fault";
    case HVCTL_VMX_VMXON_FAILED: return "VMXON failed: the region's address or revision is not accepted";
    }
    return "unknown status";
}

/* What hvctl_vmx_enable changed and hvctl_vmx_disable restores. */
struct hvctl_vmx_cpu {
    uint64_t saved_cr0, saved_cr4;
    bool on;
};

/* Zero a region's page and write the revision identifier into its first four bytes. */
static inline void hvctl_vmx_region_format(const struct hvctl_vmx_region *region, const struct hvctl_vmx_caps *caps)
{
    volatile uint32_t *word = (volatile uint32_t *)region->memory;
    unsigned i;

    for (i = 0; i < 1024; i++)
        word[i] = 0;
    word[0] = hvctl_vmx_revision(caps);
}

/* Can a VMX structure have this physical address? HVCTL_E_ALIGN, HVCTL_E_RANGE. */
static inline enum hvctl_status hvctl_vmx_region_check(uint64_t physical, const struct hvctl_vmx_caps *caps)
{
    if (physical & 0xfffu)
        return HVCTL_E_ALIGN;
    return hvctl_vmx_physaddr_bits(caps) < 64 && physical >> hvctl_vmx_physaddr_bits(caps) ? HVCTL_E_RANGE : HVCTL_OK;
}

/*
 * Put the CPU that calls this into VMX root operation, and read its capabilities into caps. region is a page for this
 * CPU alone until hvctl_vmx_disable; this call formats it. If the firmware did not lock IA32_FEATURE_CONTROL, it is set
 * to allow VMX outside SMX and locked until the next reset. The caller holds off interrupts and migration, and calls
 * hvctl_vmx_flush_all before the first guest.
 *
 * After anything but HVCTL_VMX_ENABLED, CR0 and CR4 are what they were.
 */
HVCTL_NODISCARD static inline enum hvctl_vmx_enable_status hvctl_vmx_enable(const struct hvctl_cpu_ops *ops,
                                                                            struct hvctl_vmx_cpu *cpu,
                                                                            const struct hvctl_vmx_region *region,
                                                                            struct hvctl_vmx_caps *caps)
{
    uint64_t feature_control, cr0, cr4;
    enum hvctl_vmx_result result;

    cpu->on = false;
    caps->failed_msr = 0;
    if ((ops->cpuid)(ops->ctx, 0, 0).eax < 1 || !((ops->cpuid)(ops->ctx, 1, 0).ecx >> 5 & 1u))
        return HVCTL_VMX_NO_CPUID;
    cpu->saved_cr0 = (ops->read_cr0)(ops->ctx);
    cpu->saved_cr4 = (ops->read_cr4)(ops->ctx);
    if (cpu->saved_cr4 & HVCTL_CR4_VMXE)
        return HVCTL_VMX_ALREADY_ON;

    if (!(ops->rdmsr)(ops->ctx, HVCTL_MSR_FEATURE_CONTROL, &feature_control))
        return HVCTL_VMX_FEATURE_CONTROL_MSR;
    if (feature_control & HVCTL_FEATURE_CONTROL_LOCK) {
        if (!(feature_control & HVCTL_FEATURE_CONTROL_VMX_OUTSIDE_SMX))
            return HVCTL_VMX_LOCKED_OFF;
    } else {
        feature_control |= HVCTL_FEATURE_CONTROL_LOCK | HVCTL_FEATURE_CONTROL_VMX_OUTSIDE_SMX;
        if (!(ops->wrmsr)(ops->ctx, HVCTL_MSR_FEATURE_CONTROL, feature_control))
            return HVCTL_VMX_LOCK_FAILED;
    }

    if (hvctl_vmx_caps_read(caps, ops->rdmsr, ops->cpuid, ops->ctx) != HVCTL_OK)
        return HVCTL_VMX_CAPABILITY_MSR;
    switch (hvctl_vmx_region_check(region->physical, caps)) {
    case HVCTL_OK: break;
    case HVCTL_E_ALIGN: return HVCTL_VMX_REGION_ALIGN;
    default: return HVCTL_VMX_REGION_RANGE;
    }

    if ((cpu->saved_cr0 & (HVCTL_CR0_PE | HVCTL_CR0_PG)) != (HVCTL_CR0_PE | HVCTL_CR0_PG))
        return HVCTL_VMX_CR0_PAGING;
    cr0 = (cpu->saved_cr0 | caps->cr0_fixed0) & caps->cr0_fixed1;
    cr4 = hvctl_vmx_adjust_cr4(caps, cpu->saved_cr4 | HVCTL_CR4_VMXE);
    if (cr0 != cpu->saved_cr0 && (!(ops->write_cr0)(ops->ctx, cr0) || (ops->read_cr0)(ops->ctx) != cr0)) {
        (void)(ops->write_cr0)(ops->ctx, cpu->saved_cr0);
        return HVCTL_VMX_CR0_WRITE;
    }
    if (!(ops->write_cr4)(ops->ctx, cr4) || (ops->read_cr4)(ops->ctx) != cr4) {
        (void)(ops->write_cr4)(ops->ctx, cpu->saved_cr4);
        (void)(ops->write_cr0)(ops->ctx, cpu->saved_cr0);
        return HVCTL_VMX_CR4_WRITE;
    }

    hvctl_vmx_region_format(region, caps);
    result = (ops->vmxon)(ops->ctx, region->physical);
    if (result != HVCTL_VMX_SUCCEED) {
        (void)(ops->write_cr4)(ops->ctx, cpu->saved_cr4);
        (void)(ops->write_cr0)(ops->ctx, cpu->saved_cr0);
        return result == HVCTL_VMX_FAULT ? HVCTL_VMX_VMXON_FAULT : HVCTL_VMX_VMXON_FAILED;
    }
    cpu->on = true;
    return HVCTL_VMX_ENABLED;
}

/*
 * Leave VMX operation and restore CR4 and CR0. Every VMCS that was active on this CPU must have been cleared
 * (hvctl_vmx_clear).
 * HVCTL_E_MODE: VMX was not on.
 * HVCTL_E_CPU: VMXOFF failed, as under dual-monitor treatment of SMIs.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_disable(const struct hvctl_cpu_ops *ops,
                                                                  struct hvctl_vmx_cpu *cpu)
{
    if (!cpu->on)
        return HVCTL_E_MODE;
    if ((ops->vmxoff)(ops->ctx) != HVCTL_VMX_SUCCEED)
        return HVCTL_E_CPU;
    cpu->on = false;
    (void)(ops->write_cr4)(ops->ctx, cpu->saved_cr4);
    (void)(ops->write_cr0)(ops->ctx, cpu->saved_cr0);
    return HVCTL_OK;
}

/*
 * VMCLEAR: the VMCS is written back to memory, not active and not launched. Needed before the first use of a page,
 * before another CPU loads the VMCS, and before its memory is used for something else.
 */
HVCTL_NODISCARD static inline enum hvctl_vmx_result hvctl_vmx_clear(const struct hvctl_cpu_ops *ops, uint64_t vmcs)
{
    return (ops->vmclear)(ops->ctx, vmcs);
}

/* VMPTRLD: make the VMCS active and current on this CPU. It must not be active on another one. */
HVCTL_NODISCARD static inline enum hvctl_vmx_result hvctl_vmx_load(const struct hvctl_cpu_ops *ops, uint64_t vmcs)
{
    return (ops->vmptrld)(ops->ctx, vmcs);
}

/*
 * Make a fresh VMCS of a page and current on this CPU: format, VMCLEAR, VMPTRLD. Its fields are undefined until a
 * store; begin with an image on which hvctl_vmcs_touch_all was called, so that every field is written once.
 */
HVCTL_NODISCARD static inline enum hvctl_vmx_result hvctl_vmx_create(const struct hvctl_cpu_ops *ops,
                                                                     const struct hvctl_vmx_region *region,
                                                                     const struct hvctl_vmx_caps *caps)
{
    enum hvctl_vmx_result result;

    hvctl_vmx_region_format(region, caps);
    result = (ops->vmclear)(ops->ctx, region->physical);
    return result == HVCTL_VMX_SUCCEED ? (ops->vmptrld)(ops->ctx, region->physical) : result;
}

/* The number of the last VMfailValid; 0 if there is no current VMCS to read it from. */
static inline uint32_t hvctl_vmx_instruction_error(const struct hvctl_cpu_ops *ops)
{
    uint64_t number;

    return (ops->vmread)(ops->ctx, HVCTL_VMCS_VM_INSTRUCTION_ERROR, &number) ? (uint32_t)number : 0;
}

/*
 * Invalidate what this CPU has cached of the translations of one EPTP, or of all EPTPs if it has no single-context
 * INVEPT.
 * HVCTL_E_CONTROL: this CPU has no INVEPT (then only VMX transitions without VPID flush).
 * HVCTL_E_CPU: the CPU refused the instruction.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_invept(const struct hvctl_cpu_ops *ops,
                                                                 const struct hvctl_vmx_caps *caps, uint64_t eptp)
{
    struct hvctl_inv_descriptor what = {0, 0};
    enum hvctl_invept_type type = HVCTL_INVEPT_ALL_CONTEXT;

    if (!(caps->ept_vpid_cap & HVCTL_EPT_CAP_INVEPT))
        return HVCTL_E_CONTROL;
    if (caps->ept_vpid_cap & HVCTL_EPT_CAP_INVEPT_SINGLE_CONTEXT) {
        type = HVCTL_INVEPT_SINGLE_CONTEXT;
        what.low = eptp;
    } else if (!(caps->ept_vpid_cap & HVCTL_EPT_CAP_INVEPT_ALL_CONTEXT)) {
        return HVCTL_E_CONTROL;
    }
    return (ops->invept)(ops->ctx, type, &what) == HVCTL_VMX_SUCCEED ? HVCTL_OK : HVCTL_E_CPU;
}

/* Invalidate what this CPU has cached of the translations of every EPTP. Errors as hvctl_vmx_invept. */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_invept_all(const struct hvctl_cpu_ops *ops,
                                                                     const struct hvctl_vmx_caps *caps)
{
    const struct hvctl_inv_descriptor what = {0, 0};

    if (!(caps->ept_vpid_cap & HVCTL_EPT_CAP_INVEPT) || !(caps->ept_vpid_cap & HVCTL_EPT_CAP_INVEPT_ALL_CONTEXT))
        return HVCTL_E_CONTROL;
    return (ops->invept)(ops->ctx, HVCTL_INVEPT_ALL_CONTEXT, &what) == HVCTL_VMX_SUCCEED ? HVCTL_OK : HVCTL_E_CPU;
}

/*
 * Invalidate what this CPU has cached under a VPID (not 0). If the CPU lacks the type asked for, the next wider one is
 * used: an address alone, then the VPID, then all VPIDs. linear is used for HVCTL_INVVPID_INDIVIDUAL_ADDRESS and must
 * be canonical.
 * HVCTL_E_RANGE: VPID 0.
 * HVCTL_E_CONTROL: the CPU has no INVVPID that is wide enough.
 * HVCTL_E_CPU: the CPU refused the instruction.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_invvpid(const struct hvctl_cpu_ops *ops,
                                                                  const struct hvctl_vmx_caps *caps,
                                                                  enum hvctl_invvpid_type type, uint16_t vpid,
                                                                  uint64_t linear)
{
    struct hvctl_inv_descriptor what = {0, 0};
    uint64_t cap = caps->ept_vpid_cap;

    if (!(cap & HVCTL_EPT_CAP_INVVPID))
        return HVCTL_E_CONTROL;
    if (vpid == 0 && type != HVCTL_INVVPID_ALL_CONTEXT)
        return HVCTL_E_RANGE;
    if (type == HVCTL_INVVPID_INDIVIDUAL_ADDRESS && !(cap & HVCTL_EPT_CAP_INVVPID_INDIVIDUAL_ADDRESS))
        type = HVCTL_INVVPID_SINGLE_CONTEXT;
    if (type == HVCTL_INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS && !(cap & HVCTL_EPT_CAP_INVVPID_RETAINING_GLOBALS))
        type = HVCTL_INVVPID_SINGLE_CONTEXT;
    if (type == HVCTL_INVVPID_SINGLE_CONTEXT && !(cap & HVCTL_EPT_CAP_INVVPID_SINGLE_CONTEXT))
        type = HVCTL_INVVPID_ALL_CONTEXT;
    if (type == HVCTL_INVVPID_ALL_CONTEXT && !(cap & HVCTL_EPT_CAP_INVVPID_ALL_CONTEXT))
        return HVCTL_E_CONTROL;
    if (type != HVCTL_INVVPID_ALL_CONTEXT)
        what.low = vpid;
    if (type == HVCTL_INVVPID_INDIVIDUAL_ADDRESS)
        what.high = linear;
    return (ops->invvpid)(ops->ctx, type, &what) == HVCTL_VMX_SUCCEED ? HVCTL_OK : HVCTL_E_CPU;
}

/*
 * Invalidate all that this CPU has cached for guests, under every VPID and EPTP, by INVEPT and INVVPID for all
 * contexts, as far as it has them (without VPIDs, VM entries and exits invalidate linear addresses themselves).
 * HVCTL_TAG_FLUSH_ALL asks for this, and it must be done before the first guest after hvctl_vmx_enable: VMXON
 * invalidates nothing, and earlier software may have left entries.
 * HVCTL_E_CPU: the CPU refused the instruction.
 * SDM vol. 3, "Guidelines for Use of the INVVPID Instruction", "Guidelines for Use of the INVEPT Instruction".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_flush_all(const struct hvctl_cpu_ops *ops,
                                                                    const struct hvctl_vmx_caps *caps)
{
    enum hvctl_status status = hvctl_vmx_invept_all(ops, caps);

    if (status == HVCTL_OK || status == HVCTL_E_CONTROL)
        status = hvctl_vmx_invvpid(ops, caps, HVCTL_INVVPID_ALL_CONTEXT, 0, 0);
    return status == HVCTL_E_CONTROL ? HVCTL_OK : status;
}

#endif
