/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a CPU's VMX can do, read once through an rdmsr callback and plain data after that, so that a host can ask the
 * same questions. SDM vol. 3, appendix "VMX Capability Reporting Facility".
 */
#ifndef HVCTL_VMX_CAPS_H
#define HVCTL_VMX_CAPS_H

#include "../common/msr.h"
#include "../common/status.h"
#include "control_list.h"

/* IA32_VMX_BASIC. */
#define HVCTL_VMX_BASIC_PHYSADDR_32BIT (UINT64_C(1) << 48)
#define HVCTL_VMX_BASIC_DUAL_MONITOR (UINT64_C(1) << 49)
#define HVCTL_VMX_BASIC_INS_OUTS_INFO (UINT64_C(1) << 54)
#define HVCTL_VMX_BASIC_TRUE_CONTROLS (UINT64_C(1) << 55)
#define HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE (UINT64_C(1) << 56)
#define HVCTL_VMX_BASIC_NESTED_EXCEPTION (UINT64_C(1) << 58)
#define HVCTL_VMX_BASIC_SEAMRET_KEEPS_VMCS \
    (UINT64_C(1) << 60) /* 0: a SEAMRET may leave no current VMCS: VMPTRLD again */

/* IA32_VMX_MISC. */
#define HVCTL_VMX_MISC_STORE_EFER_LMA (UINT64_C(1) << 5)
#define HVCTL_VMX_MISC_ACTIVITY_HLT (UINT64_C(1) << 6)
#define HVCTL_VMX_MISC_ACTIVITY_SHUTDOWN (UINT64_C(1) << 7)
#define HVCTL_VMX_MISC_ACTIVITY_WAIT_FOR_SIPI (UINT64_C(1) << 8)
#define HVCTL_VMX_MISC_PT_IN_VMX (UINT64_C(1) << 14)
#define HVCTL_VMX_MISC_RDMSR_SMBASE_IN_SMM (UINT64_C(1) << 15)
#define HVCTL_VMX_MISC_SMM_MONITOR_CTL_BIT2 (UINT64_C(1) << 28)
#define HVCTL_VMX_MISC_VMWRITE_ANY_FIELD (UINT64_C(1) << 29)
#define HVCTL_VMX_MISC_ZERO_LENGTH_INJECTION (UINT64_C(1) << 30)

/* IA32_VMX_EPT_VPID_CAP. */
#define HVCTL_EPT_CAP_EXECUTE_ONLY (UINT64_C(1) << 0)
#define HVCTL_EPT_CAP_PAGE_WALK_LENGTH_4 (UINT64_C(1) << 6)
#define HVCTL_EPT_CAP_PAGE_WALK_LENGTH_5 (UINT64_C(1) << 7)
#define HVCTL_EPT_CAP_MEMORY_TYPE_UC (UINT64_C(1) << 8)
#define HVCTL_EPT_CAP_MEMORY_TYPE_WB (UINT64_C(1) << 14)
#define HVCTL_EPT_CAP_PDE_2M (UINT64_C(1) << 16)
#define HVCTL_EPT_CAP_PDPTE_1G (UINT64_C(1) << 17)
#define HVCTL_EPT_CAP_INVEPT (UINT64_C(1) << 20)
#define HVCTL_EPT_CAP_ACCESSED_DIRTY (UINT64_C(1) << 21)
#define HVCTL_EPT_CAP_ADVANCED_VM_EXIT_INFORMATION (UINT64_C(1) << 22)
#define HVCTL_EPT_CAP_SUPERVISOR_SHADOW_STACK (UINT64_C(1) << 23)
#define HVCTL_EPT_CAP_INVEPT_SINGLE_CONTEXT (UINT64_C(1) << 25)
#define HVCTL_EPT_CAP_INVEPT_ALL_CONTEXT (UINT64_C(1) << 26)
#define HVCTL_EPT_CAP_INVVPID (UINT64_C(1) << 32)
#define HVCTL_EPT_CAP_INVVPID_INDIVIDUAL_ADDRESS (UINT64_C(1) << 40)
#define HVCTL_EPT_CAP_INVVPID_SINGLE_CONTEXT (UINT64_C(1) << 41)
#define HVCTL_EPT_CAP_INVVPID_ALL_CONTEXT (UINT64_C(1) << 42)
#define HVCTL_EPT_CAP_INVVPID_RETAINING_GLOBALS (UINT64_C(1) << 43)
#define HVCTL_EPT_CAP_HLAT_PREFIX_SIZE_SHIFT 48 /* 6 bits: the largest HLAT_PREFIX_SIZE */

/*
 * The capability MSRs as read, and what CPUID adds. An MSR that this CPU does not have is 0 here, and a high half of 0
 * correctly says that no bit of the control word may be set. hvctl_vmx_caps_read fills it in, or a test does.
 */
struct hvctl_vmx_caps {
    uint64_t basic;
    uint64_t pin, primary, exit, entry;                     /* IA32_VMX_*_CTLS: allowed-0 low, allowed-1 high */
    uint64_t true_pin, true_primary, true_exit, true_entry; /* IA32_VMX_TRUE_*_CTLS, where basic says so */
    uint64_t secondary;                                     /* IA32_VMX_PROCBASED_CTLS2, both halves */
    uint64_t tertiary, exit2, vmfunc;                       /* a bit may be 1 where it is 1 here */
    uint64_t misc;
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    uint64_t vmcs_enum;
    uint64_t ept_vpid_cap;
    uint64_t feature_control; /* IA32_FEATURE_CONTROL, 0 where the CPU does not have it */
    uint32_t failed_msr;      /* set by hvctl_vmx_caps_read when it returns HVCTL_E_MSR */
    struct hvctl_cpu_features cpu;
};

/* The least significant 31 bits of IA32_VMX_BASIC: what the first word of a VMXON region and of a VMCS must hold. */
static inline uint32_t hvctl_vmx_revision(const struct hvctl_vmx_caps *caps)
{
    return (uint32_t)caps->basic & UINT32_C(0x7fffffff);
}

/* Bytes of a VMXON region or VMCS, 1 to 4096. */
static inline unsigned hvctl_vmx_region_size(const struct hvctl_vmx_caps *caps)
{
    return (unsigned)(caps->basic >> 32 & 0x1fffu);
}

/* How many CR3-target values may be used. */
static inline unsigned hvctl_vmx_cr3_targets(const struct hvctl_vmx_caps *caps)
{
    return (unsigned)(caps->misc >> 16 & 0x1ffu);
}

/* The most entries that an MSR-load or MSR-store area should have. */
static inline unsigned hvctl_vmx_msr_list_max(const struct hvctl_vmx_caps *caps)
{
    return 512u * ((unsigned)(caps->misc >> 25 & 7u) + 1u);
}

/* The VMX-preemption timer counts down by one each time this bit of the TSC changes. */
static inline unsigned hvctl_vmx_preemption_timer_shift(const struct hvctl_vmx_caps *caps)
{
    return (unsigned)(caps->misc & 0x1fu);
}

/* Bits of a physical address that VMX structures may use: MAXPHYADDR, or 32 if IA32_VMX_BASIC[48] says so. */
static inline unsigned hvctl_vmx_physaddr_bits(const struct hvctl_vmx_caps *caps)
{
    return caps->basic & HVCTL_VMX_BASIC_PHYSADDR_32BIT ? 32u : caps->cpu.maxphyaddr;
}

/* The largest HLAT_PREFIX_SIZE. SDM vol. 3, "VPID and EPT Capabilities", bits 53:48. */
static inline unsigned hvctl_vmx_hlat_prefix_max(const struct hvctl_vmx_caps *caps)
{
    return (unsigned)(caps->ept_vpid_cap >> HVCTL_EPT_CAP_HLAT_PREFIX_SIZE_SHIFT & 0x3fu);
}

/* The capability MSR of a group, the TRUE one where there is one: allowed-0 in bits 31:0, allowed-1 in bits 63:32. */
static inline uint64_t hvctl_vmx_ctls_msr(const struct hvctl_vmx_caps *caps, enum hvctl_vmx_group group)
{
    bool true_ctls = (caps->basic & HVCTL_VMX_BASIC_TRUE_CONTROLS) != 0;

    switch (group) {
    case HVCTL_GROUP_PIN: return true_ctls ? caps->true_pin : caps->pin;
    case HVCTL_GROUP_PRIMARY: return true_ctls ? caps->true_primary : caps->primary;
    case HVCTL_GROUP_EXIT: return true_ctls ? caps->true_exit : caps->exit;
    case HVCTL_GROUP_ENTRY: return true_ctls ? caps->true_entry : caps->entry;
    case HVCTL_GROUP_SECONDARY: return caps->secondary;
    default: return 0;
    }
}

/* The bits of a group's word that this CPU demands to be 1. */
static inline uint64_t hvctl_vmx_must_be_one(const struct hvctl_vmx_caps *caps, enum hvctl_vmx_group group)
{
    return hvctl_vmx_ctls_msr(caps, group) & UINT32_C(0xffffffff);
}

/* The bits of a group's word that may be 1. */
static inline uint64_t hvctl_vmx_may_be_one(const struct hvctl_vmx_caps *caps, enum hvctl_vmx_group group)
{
    switch (group) {
    case HVCTL_GROUP_TERTIARY: return caps->tertiary;
    case HVCTL_GROUP_EXIT2: return caps->exit2;
    case HVCTL_GROUP_VMFUNC: return caps->vmfunc;
    default: return hvctl_vmx_ctls_msr(caps, group) >> 32;
    }
}

/*
 * The bits of a group's word that software leaves at 1 if it does not know them: the default-1 class, whether or not
 * the TRUE MSR lets them be 0. SDM vol. 3, "Algorithms for Determining VMX Capabilities".
 */
static inline uint64_t hvctl_vmx_default_one(const struct hvctl_vmx_caps *caps, enum hvctl_vmx_group group)
{
    switch (group) {
    case HVCTL_GROUP_PIN: return caps->pin & UINT32_C(0xffffffff);
    case HVCTL_GROUP_PRIMARY: return caps->primary & UINT32_C(0xffffffff);
    case HVCTL_GROUP_EXIT: return caps->exit & UINT32_C(0xffffffff);
    case HVCTL_GROUP_ENTRY: return caps->entry & UINT32_C(0xffffffff);
    default: return 0;
    }
}

/* May this control be 1, or does this condition hold? */
static inline bool hvctl_vmx_can(const struct hvctl_vmx_caps *caps, enum hvctl_vmx_control control)
{
    switch (control) {
    case HVCTL_ALWAYS: return true;
    case HVCTL_NEVER: return false;
    case HVCTL_CR3_TARGETS_1: return hvctl_vmx_cr3_targets(caps) >= 1;
    case HVCTL_CR3_TARGETS_2: return hvctl_vmx_cr3_targets(caps) >= 2;
    case HVCTL_CR3_TARGETS_3: return hvctl_vmx_cr3_targets(caps) >= 3;
    case HVCTL_CR3_TARGETS_4: return hvctl_vmx_cr3_targets(caps) >= 4;
    case HVCTL_CPUID_FRED: return caps->cpu.fred;
    case HVCTL_CPUID_APX: return caps->cpu.apx;
    default: break;
    }
    return (hvctl_vmx_may_be_one(caps, hvctl_vmx_control_group(control)) & hvctl_vmx_control_mask(control)) != 0;
}

/* One read of hvctl_vmx_caps_read. */
static inline bool hvctl_vmx_caps_msr(struct hvctl_vmx_caps *caps, hvctl_rdmsr_fn rdmsr, void *ctx, uint32_t msr,
                                      uint64_t *value)
{
    if ((rdmsr)(ctx, msr, value))
        return true;
    *value = 0;
    caps->failed_msr = msr;
    return false;
}

/*
 * Read the capabilities of the CPU that this runs on. The CPU must have VMX (CPUID.1:ECX[5]); VMX operation is not
 * needed. cpuid may be NULL: caps->cpu is then all zero except for a MAXPHYADDR of 52, and no feature is assumed.
 *
 * Only MSRs that other MSRs report are read: the TRUE ones if IA32_VMX_BASIC[55], each of the secondary, tertiary and
 * secondary exit ones if its activating control may be 1, IA32_VMX_EPT_VPID_CAP if EPT or VPID may be, IA32_VMX_VMFUNC
 * if VM functions may be.
 * HVCTL_E_MSR: one of them faulted all the same; caps->failed_msr says which, and caps must not be used.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_caps_read(struct hvctl_vmx_caps *caps, hvctl_rdmsr_fn rdmsr,
                                                                    hvctl_cpuid_fn cpuid, void *ctx)
{
    static const struct hvctl_vmx_caps none = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                               {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
    bool ok;

    *caps = none;
    if (cpuid)
        hvctl_cpu_features_read(&caps->cpu, cpuid, ctx);
    else
        caps->cpu.maxphyaddr = 52;

    /* Every CPU with VMX has this one, but a nested hypervisor may lack it, and only enabling VMX needs it. */
    if (!(rdmsr)(ctx, HVCTL_MSR_FEATURE_CONTROL, &caps->feature_control))
        caps->feature_control = 0;

    ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_BASIC, &caps->basic) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_PINBASED_CTLS, &caps->pin) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_PROCBASED_CTLS, &caps->primary) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_EXIT_CTLS, &caps->exit) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_ENTRY_CTLS, &caps->entry) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_MISC, &caps->misc) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_CR0_FIXED0, &caps->cr0_fixed0) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_CR0_FIXED1, &caps->cr0_fixed1) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_CR4_FIXED0, &caps->cr4_fixed0) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_CR4_FIXED1, &caps->cr4_fixed1) &&
         hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_VMCS_ENUM, &caps->vmcs_enum);
    if (ok && (caps->basic & HVCTL_VMX_BASIC_TRUE_CONTROLS))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_TRUE_PINBASED_CTLS, &caps->true_pin) &&
             hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_TRUE_PROCBASED_CTLS, &caps->true_primary) &&
             hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_TRUE_EXIT_CTLS, &caps->true_exit) &&
             hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_TRUE_ENTRY_CTLS, &caps->true_entry);
    if (ok && hvctl_vmx_can(caps, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_PROCBASED_CTLS2, &caps->secondary);
    if (ok && hvctl_vmx_can(caps, HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_PROCBASED_CTLS3, &caps->tertiary);
    if (ok && hvctl_vmx_can(caps, HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_EXIT_CTLS2, &caps->exit2);
    if (ok && (hvctl_vmx_can(caps, HVCTL_SECONDARY_ENABLE_EPT) || hvctl_vmx_can(caps, HVCTL_SECONDARY_ENABLE_VPID)))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_EPT_VPID_CAP, &caps->ept_vpid_cap);
    if (ok && hvctl_vmx_can(caps, HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS))
        ok = hvctl_vmx_caps_msr(caps, rdmsr, ctx, HVCTL_MSR_VMX_VMFUNC, &caps->vmfunc);
    return ok ? HVCTL_OK : HVCTL_E_MSR;
}

/* The bits of CR0 that VMX operation fixes to 1. An unrestricted guest may clear PE and PG. */
static inline uint64_t hvctl_vmx_cr0_ones(const struct hvctl_vmx_caps *caps, bool unrestricted_guest)
{
    return caps->cr0_fixed0 & ~(unrestricted_guest ? HVCTL_CR0_PE | HVCTL_CR0_PG : (uint64_t)0);
}

/*
 * cr0 with the bits that VMX operation fixes set and cleared. NW and CD are never checked by VM entry and stay as
 * they are. Pass unrestricted_guest false for the host, too. SDM vol. 3, "Restrictions on VMX Operation".
 */
static inline uint64_t hvctl_vmx_adjust_cr0(const struct hvctl_vmx_caps *caps, uint64_t cr0, bool unrestricted_guest)
{
    uint64_t zeros = ~caps->cr0_fixed1 & ~(HVCTL_CR0_NW | HVCTL_CR0_CD);

    return (cr0 | hvctl_vmx_cr0_ones(caps, unrestricted_guest)) & ~zeros;
}

/* cr4 with the bits that VMX operation fixes set and cleared, for guest and host alike. */
static inline uint64_t hvctl_vmx_adjust_cr4(const struct hvctl_vmx_caps *caps, uint64_t cr4)
{
    return (cr4 | caps->cr4_fixed0) & caps->cr4_fixed1;
}

#endif
