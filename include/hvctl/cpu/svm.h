/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Turning SVM on and off on one CPU, with every precondition checked and named. Calls that take ops act on the CPU that
 * makes them, at CPL 0. APM vol. 2, "Enabling SVM".
 */
#ifndef HVCTL_CPU_SVM_H
#define HVCTL_CPU_SVM_H

#include "../svm/caps.h"
#include "../svm/vmcb.h"
#include "cpu.h"

/* What prevents SVM from being enabled, in the order of the checks. */
enum hvctl_svm_enable_status {
    HVCTL_SVM_ENABLED,
    HVCTL_SVM_NO_CPUID,      /* CPUID 80000001H ECX[2] is 0, or leaf 8000000AH is missing */
    HVCTL_SVM_ALREADY_ON,    /* EFER.SVME is 1: other software on this CPU uses SVM */
    HVCTL_SVM_VM_CR_MSR,     /* VM_CR faults */
    HVCTL_SVM_LOCKED_OFF,    /* the firmware set VM_CR.SVMDIS and locked it */
    HVCTL_SVM_LOCKED_BY_KEY, /* the same, but CPUID.SVML says that a key in SVM_KEY unlocks it */
    HVCTL_SVM_VM_CR_WRITE,   /* VM_CR.SVMDIS is not locked, but does not clear */
    HVCTL_SVM_REGION_ALIGN,  /* the host save area is not 4 KiB aligned */
    HVCTL_SVM_REGION_RANGE,  /* it is address 0 or lies beyond MAXPHYADDR */
    HVCTL_SVM_EFER_MSR,      /* EFER cannot be read */
    HVCTL_SVM_EFER_WRITE,    /* EFER.SVME does not stick */
    HVCTL_SVM_HSAVE_WRITE    /* VM_HSAVE_PA does not take the address */
};

/* A sentence for the user, without a full stop; never NULL. */
static inline const char *hvctl_svm_enable_text(enum hvctl_svm_enable_status status)
{
    switch (status) {
    case HVCTL_SVM_ENABLED: return "SVM is on";
    case HVCTL_SVM_NO_CPUID: return "CPUID does not report SVM";
    case HVCTL_SVM_ALREADY_ON: return "EFER.SVME is set already: another hypervisor uses SVM on this CPU";
    case HVCTL_SVM_VM_CR_MSR: return "VM_CR cannot be read";
    case HVCTL_SVM_LOCKED_OFF: return "the firmware has locked SVM off in VM_CR";
    case HVCTL_SVM_LOCKED_BY_KEY: return "the firmware has locked SVM off in VM_CR, and a key unlocks it";
    case HVCTL_SVM_VM_CR_WRITE: return "VM_CR.SVMDIS does not clear";
    case HVCTL_SVM_REGION_ALIGN: return "the host save area is not aligned to 4 KiB";
    case HVCTL_SVM_REGION_RANGE: return "the host save area lies at 0 or beyond the physical addresses of this CPU";
    case HVCTL_SVM_EFER_MSR: return "EFER cannot be read";
    case HVCTL_SVM_EFER_WRITE: return "EFER.SVME does not stick";
    case HVCTL_SVM_HSAVE_WRITE: return "VM_HSAVE_PA does not take the address";
    }
    return "unknown status";
}

/* What hvctl_svm_enable changed and hvctl_svm_disable restores. */
struct hvctl_svm_cpu {
    uint64_t saved_efer, saved_vm_cr;
    bool on, vm_cr_changed;
};

/*
 * Turn SVM on for the CPU that calls this and read its capabilities into caps. host_save is the physical address of a
 * page for this CPU alone, 4 KiB aligned and zeroed; only the CPU may access it until hvctl_svm_disable. The first
 * VMRUN must flush (HVCTL_TLB_ALL), because turning SVM on does not, and earlier software may have left entries under
 * any ASID.
 *
 * After anything but HVCTL_SVM_ENABLED, EFER and VM_CR are what they were.
 */
HVCTL_NODISCARD static inline enum hvctl_svm_enable_status hvctl_svm_enable(const struct hvctl_cpu_ops *ops,
                                                                            struct hvctl_svm_cpu *cpu,
                                                                            uint64_t host_save,
                                                                            struct hvctl_svm_caps *caps)
{
    enum hvctl_svm_enable_status failure = HVCTL_SVM_ENABLED;
    uint64_t value;

    cpu->on = cpu->vm_cr_changed = false;
    if (hvctl_svm_caps_read(caps, ops->cpuid, ops->ctx) != HVCTL_OK)
        return HVCTL_SVM_NO_CPUID;
    if (!(ops->rdmsr)(ops->ctx, HVCTL_MSR_EFER, &cpu->saved_efer))
        return HVCTL_SVM_EFER_MSR;
    if (cpu->saved_efer & HVCTL_EFER_SVME)
        return HVCTL_SVM_ALREADY_ON;
    if (host_save & 0xfffu)
        return HVCTL_SVM_REGION_ALIGN;
    if (host_save == 0 || (caps->cpu.maxphyaddr < 64 && host_save >> caps->cpu.maxphyaddr))
        return HVCTL_SVM_REGION_RANGE;

    if (!(ops->rdmsr)(ops->ctx, HVCTL_MSR_VM_CR, &cpu->saved_vm_cr))
        return HVCTL_SVM_VM_CR_MSR;
    if (cpu->saved_vm_cr & HVCTL_VM_CR_SVMDIS) {
        if (cpu->saved_vm_cr & HVCTL_VM_CR_LOCK)
            return hvctl_svm_can(caps, HVCTL_SVM_SVML) ? HVCTL_SVM_LOCKED_BY_KEY : HVCTL_SVM_LOCKED_OFF;
        if (!(ops->wrmsr)(ops->ctx, HVCTL_MSR_VM_CR, cpu->saved_vm_cr & ~HVCTL_VM_CR_SVMDIS) ||
            !(ops->rdmsr)(ops->ctx, HVCTL_MSR_VM_CR, &value) || (value & HVCTL_VM_CR_SVMDIS))
            return HVCTL_SVM_VM_CR_WRITE;
        cpu->vm_cr_changed = true;
    }

    if (!(ops->wrmsr)(ops->ctx, HVCTL_MSR_EFER, cpu->saved_efer | HVCTL_EFER_SVME) ||
        !(ops->rdmsr)(ops->ctx, HVCTL_MSR_EFER, &value) || !(value & HVCTL_EFER_SVME))
        failure = HVCTL_SVM_EFER_WRITE;
    else if (!(ops->wrmsr)(ops->ctx, HVCTL_MSR_VM_HSAVE_PA, host_save))
        failure = HVCTL_SVM_HSAVE_WRITE;
    if (failure != HVCTL_SVM_ENABLED) {
        (void)(ops->wrmsr)(ops->ctx, HVCTL_MSR_EFER, cpu->saved_efer);
        if (cpu->vm_cr_changed)
            (void)(ops->wrmsr)(ops->ctx, HVCTL_MSR_VM_CR, cpu->saved_vm_cr);
        return failure;
    }
    cpu->on = true;
    return HVCTL_SVM_ENABLED;
}

/*
 * Turn SVM off: set the global interrupt flag, clear VM_HSAVE_PA, restore EFER and VM_CR. No guest may be running.
 * HVCTL_E_MODE: SVM was not on.
 * HVCTL_E_CPU: EFER cannot be written.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_svm_disable(const struct hvctl_cpu_ops *ops,
                                                                  struct hvctl_svm_cpu *cpu)
{
    if (!cpu->on)
        return HVCTL_E_MODE;
    (ops->stgi)(ops->ctx); /* with the flag clear, clearing SVME would hold interrupts off for good */
    (void)(ops->wrmsr)(ops->ctx, HVCTL_MSR_VM_HSAVE_PA, 0);
    if (!(ops->wrmsr)(ops->ctx, HVCTL_MSR_EFER, cpu->saved_efer))
        return HVCTL_E_CPU;
    if (cpu->vm_cr_changed)
        (void)(ops->wrmsr)(ops->ctx, HVCTL_MSR_VM_CR, cpu->saved_vm_cr);
    cpu->on = false;
    return HVCTL_OK;
}

/* Does VMRUN accept a VMCB at this physical address? HVCTL_E_ALIGN, HVCTL_E_RANGE: it would raise #GP. */
static inline enum hvctl_status hvctl_svm_vmcb_check(uint64_t physical, const struct hvctl_svm_caps *caps)
{
    if (physical & 0xfffu)
        return HVCTL_E_ALIGN;
    return caps->cpu.maxphyaddr < 64 && physical >> caps->cpu.maxphyaddr ? HVCTL_E_RANGE : HVCTL_OK;
}

/*
 * Invalidate what this CPU has cached of one page under an ASID, for translations from guest-linear to host-physical
 * only. Those from guest-physical addresses are flushed by the VMCB's tlb_control at the next VMRUN.
 */
static inline void hvctl_svm_invlpga(const struct hvctl_cpu_ops *ops, uint64_t linear, uint32_t asid)
{
    (ops->invlpga)(ops->ctx, linear, asid);
}

#endif
