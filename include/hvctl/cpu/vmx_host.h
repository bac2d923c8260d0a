/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fills the host-state area of a VMCS from the CPU that runs this, so that a VM exit returns to the host's present
 * state.
 * SDM vol. 3, "Host-State Area", "Checks on Host Control Registers, MSRs, and SSP", "Loading Host State".
 */
#ifndef HVCTL_CPU_VMX_HOST_H
#define HVCTL_CPU_VMX_HOST_H

#include "../common/segment.h"
#include "../vmx/solver.h"
#include "cpu.h"

/* Read an MSR into a host field, unless *status is an error already; a fault is HVCTL_E_MSR. */
static inline void hvctl_vmx_host_msr(const struct hvctl_cpu_ops *ops, struct hvctl_vmcs_image *image, uint32_t msr,
                                      uint32_t field, enum hvctl_status *status)
{
    uint64_t value;

    if (*status != HVCTL_OK)
        return;
    if (!(ops->rdmsr)(ops->ctx, msr, &value))
        *status = HVCTL_E_MSR;
    else
        hvctl_vmcs_put(image, field, hvctl_vmcs_decode(field).width == HVCTL_WIDTH_32 ? (uint32_t)value : value,
                       status);
}

/*
 * Fill the host-state area of an image whose control words are set: CR0, CR3, CR4, selectors, bases, descriptor tables,
 * SYSENTER MSRs, and EFER, PAT, PERF_GLOBAL_CTRL, PKRS and CET state where the VM-exit controls load them. The world
 * switch writes HOST_RSP and HOST_RIP; the caller writes HOST_SSP, since only it knows where its shadow stack will be.
 * Call it in 64-bit mode on the CPU that will run the guest, and again whenever one of these changes (a kernel that
 * switches address spaces keeps HOST_CR3 up to date) and on migration.
 *
 * Selectors lose their RPL and table indicator, which VM entry requires to be 0; DS, ES, FS and GS become null if they
 * refer to an LDT. The base of TR is read from the GDT, which must be mapped.
 *
 * HVCTL_E_MODE: CS or TR is null, or TR's descriptor lies beyond the GDT: load a task register first.
 * HVCTL_E_MSR: an MSR faulted. Also the errors of hvctl_vmcs_write.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_host_capture(const struct hvctl_cpu_ops *ops,
                                                                       struct hvctl_vmcs_image *image)
{
    struct hvctl_vmx_controls on = hvctl_vmx_controls_effective(image);
    enum hvctl_status status = HVCTL_OK;
    struct hvctl_table_register gdtr, idtr;
    struct hvctl_selectors selectors;
    const volatile uint64_t *descriptor;
    struct hvctl_segment tr;

    (ops->read_selectors)(ops->ctx, &selectors);
    (ops->read_gdtr)(ops->ctx, &gdtr);
    (ops->read_idtr)(ops->ctx, &idtr);
    if (!(selectors.cs & 0xfffcu) || !(selectors.tr & 0xfffcu) || (selectors.tr | 7u) + 8u > gdtr.limit)
        return HVCTL_E_MODE;
    descriptor = (const volatile uint64_t *)(uintptr_t)(gdtr.base + (selectors.tr & 0xfff8u));
    tr = hvctl_segment_from_descriptor(selectors.tr, descriptor[0], descriptor[1]);

    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR0, (ops->read_cr0)(ops->ctx), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR3, (ops->read_cr3)(ops->ctx), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR4, (ops->read_cr4)(ops->ctx), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_ES_SELECTOR, selectors.es & 4u ? 0 : selectors.es & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CS_SELECTOR, selectors.cs & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_SS_SELECTOR, selectors.ss & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_DS_SELECTOR, selectors.ds & 4u ? 0 : selectors.ds & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_FS_SELECTOR, selectors.fs & 4u ? 0 : selectors.fs & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_GS_SELECTOR, selectors.gs & 4u ? 0 : selectors.gs & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_TR_SELECTOR, selectors.tr & 0xfff8u, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_TR_BASE, tr.base, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_GDTR_BASE, gdtr.base, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_IDTR_BASE, idtr.base, &status);
    hvctl_vmx_host_msr(ops, image, HVCTL_MSR_FS_BASE, HVCTL_VMCS_HOST_FS_BASE, &status);
    hvctl_vmx_host_msr(ops, image, HVCTL_MSR_GS_BASE, HVCTL_VMCS_HOST_GS_BASE, &status);
    hvctl_vmx_host_msr(ops, image, HVCTL_MSR_SYSENTER_CS, HVCTL_VMCS_HOST_IA32_SYSENTER_CS, &status);
    hvctl_vmx_host_msr(ops, image, HVCTL_MSR_SYSENTER_ESP, HVCTL_VMCS_HOST_IA32_SYSENTER_ESP, &status);
    hvctl_vmx_host_msr(ops, image, HVCTL_MSR_SYSENTER_EIP, HVCTL_VMCS_HOST_IA32_SYSENTER_EIP, &status);
    if (hvctl_vmx_controls_has(&on, HVCTL_EXIT_LOAD_IA32_PAT))
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_PAT, HVCTL_VMCS_HOST_IA32_PAT, &status);
    if (hvctl_vmx_controls_has(&on, HVCTL_EXIT_LOAD_IA32_EFER))
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_EFER, HVCTL_VMCS_HOST_IA32_EFER, &status);
    if (hvctl_vmx_controls_has(&on, HVCTL_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL))
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_PERF_GLOBAL_CTRL, HVCTL_VMCS_HOST_IA32_PERF_GLOBAL_CTRL, &status);
    if (hvctl_vmx_controls_has(&on, HVCTL_EXIT_LOAD_PKRS))
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_PKRS, HVCTL_VMCS_HOST_IA32_PKRS, &status);
    if (hvctl_vmx_controls_has(&on, HVCTL_EXIT_LOAD_CET_STATE)) {
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_S_CET, HVCTL_VMCS_HOST_IA32_S_CET, &status);
        hvctl_vmx_host_msr(ops, image, HVCTL_MSR_INTERRUPT_SSP_TABLE_ADDR,
                           HVCTL_VMCS_HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, &status);
    }
    return status;
}

#endif
