/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Rules of VM entry that Bochs' models cannot show broken alone, or kept at their edge, and why not. The run fails if
 * one that is not here is missed, or one that is here is met. A name may end in a star.
 */
#include "vmx_deviations.h"

static bool has_any_error_code(const void *world)
{
    (void)world;
    return (vmx_caps()->basic & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE) != 0;
}

static bool has_sss(const void *world)
{
    (void)world;
    return (vmx_caps()->ept_vpid_cap & HVCTL_EPT_CAP_SUPERVISOR_SHADOW_STACK) != 0;
}

static bool has_cet(const void *world)
{
    (void)world;
    return (vmx_caps()->cr4_fixed1 & HVCTL_CR4_CET) != 0;
}

static bool has_no_cet(const void *world)
{
    return !has_cet(world);
}

static bool has_no_mtf(const void *world)
{
    (void)world;
    return !hvctl_vmx_can(vmx_caps(), HVCTL_PRIMARY_MONITOR_TRAP_FLAG);
}

static bool lacks(enum hvctl_vmx_control control)
{
    return !hvctl_vmx_can(vmx_caps(), control);
}

static bool has_no_pml(const void *world)
{
    (void)world;
    return lacks(HVCTL_SECONDARY_ENABLE_PML);
}

static bool has_no_tsc_scaling(const void *world)
{
    (void)world;
    return lacks(HVCTL_SECONDARY_USE_TSC_SCALING);
}

static bool has_no_spp(const void *world)
{
    (void)world;
    return lacks(HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT);
}

static bool has_no_mbec(const void *world)
{
    (void)world;
    return lacks(HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT);
}

static bool has_no_posted(const void *world)
{
    (void)world;
    return lacks(HVCTL_PIN_PROCESS_POSTED_INTERRUPTS);
}

static bool has_no_exit2(const void *world)
{
    (void)world;
    return lacks(HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS);
}

static bool has_no_uinv(const void *world)
{
    (void)world;
    return lacks(HVCTL_ENTRY_LOAD_UINV);
}

static bool has_no_pks(const void *world)
{
    (void)world;
    return lacks(HVCTL_ENTRY_LOAD_PKRS);
}

static bool has_no_spec_ctrl(const void *world)
{
    (void)world;
    return lacks(HVCTL_ENTRY_LOAD_GUEST_IA32_SPEC_CTRL);
}

static bool has_no_host_spec_ctrl(const void *world)
{
    uint64_t value;

    (void)world;
    return lacks(HVCTL_EXIT2_LOAD_HOST_IA32_SPEC_CTRL) /* or has the control, as Bochs 2.8, and not its field */
        || !vmx_ops()->vmread(vmx_ops()->ctx, HVCTL_VMCS_HOST_IA32_SPEC_CTRL, &value);
}

static bool wants_pages(const void *world)
{
    (void)world;
    return vmx_deviation_wants_pages();
}

#define LEGACY "the host is in IA-32e mode"
#define FRED   "the CPU has no FRED"
#define CET    "the CPU has no CET"
#define SMM    "the CPU is not in SMM"
#define RTM    "the CPU has no RTM"

const struct unreachable vmx_unreachable[] = {
    /* What the models do not have */
    {"CTRL.APIC_TIMER.*", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.HLAT_PREFIX_SIZE", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.TERTIARY.RESERVED", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.TPR.IPI", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.IPIV.*", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.HLATP.*", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.EPT_REQUIRED.ENABLE_HLAT", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.EPT_REQUIRED.EPT_PAGING_WRITE_CONTROL", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.EPT_REQUIRED.GUEST_PAGING_VERIFICATION", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.EPT_REQUIRED.PEBS_USES_GUEST_PHYSICAL_ADDRESSES", true, true, "the CPU has no tertiary controls", NULL},
    {"CTRL.EPT_REQUIRED.MODE_BASED_EXECUTE_CONTROL_FOR_EPT", true, true, "the CPU has no MBEC", has_no_mbec},
    {"CTRL.EPT_REQUIRED.PT_USES_GUEST_PHYSICAL_ADDRESSES", true, true, "the CPU has no Intel PT", NULL},
    {"CTRL.PT.*", true, true, "the CPU has no Intel PT", NULL},
    {"GUEST.RTIT_CTL", true, true, "the CPU has no Intel PT", NULL},
    {"CTRL.PASID.*", true, true, "the CPU has no PASID translation", NULL},
    {"CTRL.POSTED.*", true, true, "the CPU has no posted interrupts", has_no_posted},
    {"CTRL.POSTED.ALIGN", false, true, "Bochs 3.0 wants the descriptor at the beginning of a page", wants_pages},
    {"CTRL.EXIT2.RESERVED", true, true, "the CPU has no secondary exit controls", has_no_exit2},
    {"GUEST.BNDCFGS.*", true, true, "the CPU has no MPX controls", NULL},
    {"GUEST.LBR_CTL", true, true, "the CPU has no architectural LBRs", NULL},
    {"GUEST.UINV", true, true, "the CPU has no user interrupts", has_no_uinv},
    {"GUEST.PKRS", true, true, "the CPU has no PKS", has_no_pks},
    {"HOST.PKRS", true, true, "the CPU has no PKS", has_no_pks},
    {"GUEST.SPEC_CTRL", true, true, "the CPU has no secondary exit controls", has_no_spec_ctrl},
    {"HOST.SPEC_CTRL", true, true, "the CPU has no secondary exit controls", has_no_host_spec_ctrl},
    {"GUEST.FRED_*", true, true, FRED, NULL},
    {"HOST.FRED_*", true, true, FRED, NULL},
    {"GUEST.SS.FRED_*", true, true, FRED, NULL},
    {"GUEST.CR4.FRED", true, false, FRED, NULL},
    {"CTRL.SEAM.*", true, true, "the CPU has no SEAM", NULL},
    /* What some of them do not have */
    {"CTRL.PML.ADDRESS", true, true, "the CPU has no PML", has_no_pml},
    {"CTRL.EPT_REQUIRED.ENABLE_PML", true, true, "the CPU has no PML", has_no_pml},
    {"CTRL.TSC_MULTIPLIER", true, true, "the CPU has no TSC scaling", has_no_tsc_scaling},
    {"CTRL.SPPTP", true, true, "the CPU has no sub-page permissions", has_no_spp},
    {"CTRL.EPT_REQUIRED.SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT", true, true, "the CPU has no sub-page permissions",
     has_no_spp},
    {"GUEST.SSP*", true, true, CET, has_no_cet},
    {"GUEST.S_CET.*", true, true, CET, has_no_cet},
    {"HOST.SSP*", true, true, CET, has_no_cet},
    {"HOST.S_CET.RESERVED", true, true, CET, has_no_cet},
    {"HOST.ASIZE.CET64", true, true, CET, has_no_cet},
    {"HOST.ASIZE.CET32", true, true, CET, has_no_cet},
    {"HOST.CR4.CET_WP", true, true, CET, has_no_cet},
    {"GUEST.CR4.CET_WP", true, true, CET, has_no_cet},
    {"CTRL.EPTP.SSS", true, true, "the CPU has EPT supervisor shadow stacks: no value breaks it", has_sss},
    {"CTRL.INJECT.TYPE_OTHER", true, true, "Bochs panics on type 7 without MTF", has_no_mtf},
    {"CTRL.INJECT.OTHER_VECTOR", true, true, "the CPU has no MTF", has_no_mtf},
    {"GUEST.PENDING_DEBUG.RTM_BITS", true, true, RTM, NULL},
    {"GUEST.PENDING_DEBUG.RTM_MOVSS", true, true, RTM, NULL},
    /* What they have, so that nothing can break the rule */
    {"CTRL.EPTP.AD", true, true, "the CPU has A/D flags for EPT: no value breaks it", NULL},
    {"CTRL.INJECT.TYPE_OTHER", true, true, "the CPU has MTF: no value breaks it", NULL},
    {"CTRL.INJECT.ERROR_CODE_REQUIRED", true, true, "IA32_VMX_BASIC[56] is 1", has_any_error_code},
    {"CTRL.INJECT.ERROR_CODE_VECTOR", true, true, "IA32_VMX_BASIC[56] is 1", has_any_error_code},
    {"GUEST.PENDING_DEBUG.RTM_CPUID", false, true, RTM, NULL}, /* what keeps it is that RTM is clear */
    {"MSR.EFER_LME", true, true, "the areas of this kernel have no IA32_EFER", NULL},
    /* States in which the kernel is not */
    {"CTRL.ENTRY.SMM_BOTH", true, true, SMM, NULL},
    {"GUEST.ACTIVITY.SMM_SIPI", true, true, SMM, NULL},
    {"GUEST.INTERRUPTIBILITY.SMI_ENTRY", true, true, SMM, NULL},
    {"GUEST.LINK.EXECUTIVE", true, true, SMM, NULL},
    {"HOST.SS.NULL", true, true, LEGACY, NULL},
    {"HOST.ASIZE.LEGACY_GUEST", true, true, LEGACY, NULL},
    {"HOST.ASIZE.LEGACY_HOST", true, true, LEGACY, NULL},
    {"HOST.ASIZE.GUEST32", true, true, LEGACY, NULL},
    {"HOST.ASIZE.PCIDE", true, true, LEGACY, NULL},
    {"HOST.ASIZE.FRED", true, true, LEGACY, NULL},
    {"HOST.ASIZE.RIP32", true, true, LEGACY, NULL},
    {"HOST.ASIZE.CET32", true, true, LEGACY, NULL},
    {"CTRL.EXIT.MSR_STORE.END", false, true, "nothing is at the highest addresses: the VM exit would abort", NULL},
    {"CTRL.EXIT.MSR_LOAD.END", false, true, "nothing is at the highest addresses: the VM exit would abort", NULL},
    {"CTRL.ENTRY.MSR_LOAD.END", false, true, "nothing is at the highest addresses: no MSR could be loaded", NULL},
    {"MSR.X2APIC", false, true, "no MSR that can be loaded is next to these", NULL},
    {"MSR.SMM_ONLY", false, true, "no MSR that can be loaded is next to it", NULL},
    {"MSR.MODEL_SPECIFIC", false, true, "no MSR that can be loaded is next to these", NULL},
    {"HOST.CR3", false, true, "the highest physical addresses have no memory for the host's tables", NULL},
    {"GUEST.ACTIVITY.SIPI_EVENT", false, true, "nothing would end the guest's wait", NULL},
};
const unsigned vmx_unreachable_count = sizeof(vmx_unreachable) / sizeof(vmx_unreachable[0]);
