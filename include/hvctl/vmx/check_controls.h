/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on the VMX controls, without event injection. A violation makes VM entry end with VMfail 7. SDM vol.
 * 3, "Checks on VMX Controls".
 */
#ifndef HVCTL_VMX_CHECK_CONTROLS_H
#define HVCTL_VMX_CHECK_CONTROLS_H

#include "check_rule.h"

/* A control word against the capability MSR of its group, which mask names. */
static inline enum hvctl_rule_result hvctl_vmx_rule_allowed(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    enum hvctl_vmx_group group = (enum hvctl_vmx_group)rule->mask;

    return hvctl_demand_bits(finding, hvctl_vmx_must_be_one(view->caps, group),
                             ~hvctl_vmx_may_be_one(view->caps, group));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cr3_targets(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_at_most(finding, hvctl_vmx_cr3_targets(view->caps));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_tpr_threshold(const struct hvctl_vmx_view *view,
                                                                  const struct hvctl_vmx_rule *rule,
                                                                  struct hvctl_finding *finding)
{
    if (hvctl_vmx_view_on(view, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

/* With Intel PT on guest-physical addresses, VM entry must load IA32_RTIT_CTL and VM exit must clear it. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pt_uses_gpa(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    (void)rule;
    if (!hvctl_vmx_view_on(view, HVCTL_ENTRY_LOAD_IA32_RTIT_CTL)) {
        finding->demand = HVCTL_DEMAND_BITS;
        finding->ones = hvctl_vmx_control_mask(HVCTL_ENTRY_LOAD_IA32_RTIT_CTL);
        return HVCTL_RULE_BROKEN;
    }
    return hvctl_demand_words(hvctl_vmx_view_on(view, HVCTL_EXIT_CLEAR_IA32_RTIT_CTL));
}

/* The last entry of the PID-pointer table. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pid_last(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    uint64_t last = finding->actual + 8 * hvctl_vmx_rule_value(view, rule, 1);

    return hvctl_demand_words(last >= finding->actual && !(last & view->beyond));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_eptp_memtype(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    uint64_t type = finding->actual & 7u;

    (void)rule;
    return hvctl_demand_words((type == 0 && (view->caps->ept_vpid_cap & HVCTL_EPT_CAP_MEMORY_TYPE_UC))
                              || (type == 6 && (view->caps->ept_vpid_cap & HVCTL_EPT_CAP_MEMORY_TYPE_WB)));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_eptp_levels(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    uint64_t length = finding->actual >> 3 & 7u;

    (void)rule;
    return hvctl_demand_words((length == 3 && (view->caps->ept_vpid_cap & HVCTL_EPT_CAP_PAGE_WALK_LENGTH_4))
                              || (length == 4 && (view->caps->ept_vpid_cap & HVCTL_EPT_CAP_PAGE_WALK_LENGTH_5)));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_eptp_ad(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "no accessed and dirty flags in IA32_VMX_EPT_VPID_CAP";
    return hvctl_demand_bits(finding, 0, view->caps->ept_vpid_cap & HVCTL_EPT_CAP_ACCESSED_DIRTY ? 0u : 0x40u);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_eptp_sss(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "no supervisor shadow-stack control in IA32_VMX_EPT_VPID_CAP";
    return hvctl_demand_bits(finding, 0, view->caps->ept_vpid_cap & HVCTL_EPT_CAP_SUPERVISOR_SHADOW_STACK ? 0u : 0x80u);
}

/* Only the address bits are checked: the low ones have other meanings. */
static inline enum hvctl_rule_result hvctl_vmx_rule_beyond(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_bits(finding, 0, view->beyond);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_tracing(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "IA32_RTIT_CTL.TraceEn is 1";
    return view->around->tracing ? hvctl_demand_bits(finding, 0, rule->mask) : HVCTL_RULE_KEPT;
}

/* The address of an MSR area that has entries: slot 0 is the address, slot 1 the count. */
static inline enum hvctl_rule_result hvctl_vmx_rule_msr_area(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    finding->because = "the count is not 0";
    if (!hvctl_vmx_rule_value(view, rule, 1))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask | view->beyond);
}

/* The area's last byte. An area that begins too high breaks the rule above. */
static inline enum hvctl_rule_result hvctl_vmx_rule_msr_area_end(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    uint64_t count = hvctl_vmx_rule_value(view, rule, 1);

    if (!count || (finding->actual & view->beyond))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(!((finding->actual + 16 * count - 1) & view->beyond));
}

/* SMM: both controls belong to the dual-monitor treatment. */
static inline enum hvctl_rule_result hvctl_vmx_rule_smm(const struct hvctl_vmx_view *view,
                                                        const struct hvctl_vmx_rule *rule,
                                                        struct hvctl_finding *finding)
{
    finding->because = "the CPU is not in SMM";
    return view->around->in_smm ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_seam_ept(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    finding->because = "the CPU is in SEAM";
    return view->around->in_seam ? hvctl_vmx_rule_needs(view, rule, finding) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_seam_eptp(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    finding->because = "the CPU is in SEAM";
    return view->around->in_seam ? hvctl_demand_bits(finding, 0, rule->mask | hvctl_beyond(view->caps->cpu.maxphyaddr))
                                 : HVCTL_RULE_IDLE;
}

/* How many upper bits of a linear address choose HLAT paging. */
static inline enum hvctl_rule_result hvctl_vmx_rule_hlat_prefix(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_at_most(finding, hvctl_vmx_hlat_prefix_max(view->caps));
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_control_rule_at(size_t number)
{
#define HVCTL_X_PIN           PIN_BASED_VM_EXECUTION_CONTROLS
#define HVCTL_X_PRIMARY       PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS
#define HVCTL_X_SECONDARY     SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS
#define HVCTL_X_TERTIARY      TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS
#define HVCTL_X_SLOTS_1(a)    HVCTL_RULE_1(a)
#define HVCTL_X_SLOTS_2(a, b) HVCTL_RULE_2(a, b)
#define HVCTL_X_ALLOWED(id, section, group, when, field)          \
    {id,                                                          \
     HVCTL_VMX_SECTION_##section,                                 \
     "must have no bit but those that its capability MSR allows", \
     hvctl_vmx_rule_allowed,                                      \
     HVCTL_##when,                                                \
     HVCTL_X_SLOTS_1(field),                                      \
     HVCTL_GROUP_##group}
#define HVCTL_X_ADDRESS(id, field, bits, when)                \
    {id,                                                      \
     HVCTL_VMX_SECTION_EXECUTION,                             \
     "must be aligned and within the physical-address width", \
     hvctl_vmx_rule_address,                                  \
     HVCTL_##when,                                            \
     HVCTL_RULE_1(field),                                     \
     bits}
/* when is in field_b or elsewhere; the control at fault is in field_a. */
#define HVCTL_X_NEEDS(id, section, when, other, field_a, field_b)                                   \
    {id,           HVCTL_VMX_SECTION_##section,       #when " needs " #other, hvctl_vmx_rule_needs, \
     HVCTL_##when, HVCTL_X_SLOTS_2(field_a, field_b), HVCTL_##other}
#define HVCTL_X_EXCLUDES(id, section, when, other, field_a, field_b) \
    {id,                                                             \
     HVCTL_VMX_SECTION_##section,                                    \
     #when " excludes " #other,                                      \
     hvctl_vmx_rule_excludes,                                        \
     HVCTL_##when,                                                   \
     HVCTL_X_SLOTS_2(field_a, field_b),                              \
     HVCTL_##other}
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X_ALLOWED("CTRL.PIN.RESERVED", EXECUTION, PIN, ALWAYS, HVCTL_X_PIN),
        HVCTL_X_ALLOWED("CTRL.PRIMARY.RESERVED", EXECUTION, PRIMARY, ALWAYS, HVCTL_X_PRIMARY),
        HVCTL_X_ALLOWED("CTRL.SECONDARY.RESERVED", EXECUTION, SECONDARY, PRIMARY_ACTIVATE_SECONDARY_CONTROLS,
                        HVCTL_X_SECONDARY),
        HVCTL_X_ALLOWED("CTRL.TERTIARY.RESERVED", EXECUTION, TERTIARY, PRIMARY_ACTIVATE_TERTIARY_CONTROLS,
                        HVCTL_X_TERTIARY),
        {"CTRL.CR3_TARGET_COUNT", HVCTL_VMX_SECTION_EXECUTION, "must not exceed IA32_VMX_MISC[24:16]",
         hvctl_vmx_rule_cr3_targets, HVCTL_ALWAYS, HVCTL_RULE_1(CR3_TARGET_COUNT), 0},
        HVCTL_X_ADDRESS("CTRL.IO_BITMAP_A", ADDRESS_OF_IO_BITMAP_A, 0xfff, PRIMARY_USE_IO_BITMAPS),
        HVCTL_X_ADDRESS("CTRL.IO_BITMAP_B", ADDRESS_OF_IO_BITMAP_B, 0xfff, PRIMARY_USE_IO_BITMAPS),
        HVCTL_X_ADDRESS("CTRL.MSR_BITMAP", ADDRESS_OF_MSR_BITMAPS, 0xfff, PRIMARY_USE_MSR_BITMAPS),
        HVCTL_X_ADDRESS("CTRL.VIRTUAL_APIC", VIRTUAL_APIC_ADDRESS, 0xfff, PRIMARY_USE_TPR_SHADOW),
        HVCTL_X_ADDRESS("CTRL.APIC_ACCESS", APIC_ACCESS_ADDRESS, 0xfff, SECONDARY_VIRTUALIZE_APIC_ACCESSES),
        HVCTL_X_ADDRESS("CTRL.PML.ADDRESS", PML_ADDRESS, 0xfff, SECONDARY_ENABLE_PML),
        HVCTL_X_ADDRESS("CTRL.SPPTP", SUB_PAGE_PERMISSION_TABLE_POINTER, 0xfff,
                        SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT),
        HVCTL_X_ADDRESS("CTRL.EPTP_LIST", EPTP_LIST_ADDRESS, 0xfff, VMFUNC_EPTP_SWITCHING),
        HVCTL_X_ADDRESS("CTRL.VMREAD_BITMAP", VMREAD_BITMAP_ADDRESS, 0xfff, SECONDARY_VMCS_SHADOWING),
        HVCTL_X_ADDRESS("CTRL.VMWRITE_BITMAP", VMWRITE_BITMAP_ADDRESS, 0xfff, SECONDARY_VMCS_SHADOWING),
        HVCTL_X_ADDRESS("CTRL.VE_INFO", VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, 0xfff,
                        SECONDARY_EPT_VIOLATION_VE),
        HVCTL_X_ADDRESS("CTRL.PASID.LOW", LOW_PASID_DIRECTORY_ADDRESS, 0xfff, SECONDARY_PASID_TRANSLATION),
        HVCTL_X_ADDRESS("CTRL.PASID.HIGH", HIGH_PASID_DIRECTORY_ADDRESS, 0xfff, SECONDARY_PASID_TRANSLATION),
        {"CTRL.TPR_THRESHOLD.RESERVED", HVCTL_VMX_SECTION_EXECUTION,
         "must have bits 31:4 clear without virtual-interrupt delivery", hvctl_vmx_rule_tpr_threshold,
         HVCTL_PRIMARY_USE_TPR_SHADOW, HVCTL_RULE_1(TPR_THRESHOLD), 0xfffffff0},
        HVCTL_X_NEEDS("CTRL.VIRTUAL_NMI", EXECUTION, PIN_VIRTUAL_NMIS, PIN_NMI_EXITING, HVCTL_X_PIN, HVCTL_X_PIN),
        HVCTL_X_NEEDS("CTRL.NMI_WINDOW", EXECUTION, PRIMARY_NMI_WINDOW_EXITING, PIN_VIRTUAL_NMIS, HVCTL_X_PIN,
                      HVCTL_X_PRIMARY),
        HVCTL_X_NEEDS("CTRL.TPR.X2APIC", EXECUTION, SECONDARY_VIRTUALIZE_X2APIC_MODE, PRIMARY_USE_TPR_SHADOW,
                      HVCTL_X_PRIMARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.TPR.APIC_REGISTER", EXECUTION, SECONDARY_APIC_REGISTER_VIRTUALIZATION,
                      PRIMARY_USE_TPR_SHADOW, HVCTL_X_PRIMARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.TPR.VID", EXECUTION, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, PRIMARY_USE_TPR_SHADOW,
                      HVCTL_X_PRIMARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.TPR.IPI", EXECUTION, TERTIARY_IPI_VIRTUALIZATION, PRIMARY_USE_TPR_SHADOW, HVCTL_X_PRIMARY,
                      HVCTL_X_TERTIARY),
        HVCTL_X_EXCLUDES("CTRL.X2APIC.APIC_ACCESS", EXECUTION, SECONDARY_VIRTUALIZE_X2APIC_MODE,
                         SECONDARY_VIRTUALIZE_APIC_ACCESSES, HVCTL_X_SECONDARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.VID.EXTINT", EXECUTION, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY,
                      PIN_EXTERNAL_INTERRUPT_EXITING, HVCTL_X_PIN, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.POSTED.VID", EXECUTION, PIN_PROCESS_POSTED_INTERRUPTS, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY,
                      HVCTL_X_SECONDARY, HVCTL_X_PIN),
        HVCTL_X_NEEDS("CTRL.POSTED.ACK", EXECUTION, PIN_PROCESS_POSTED_INTERRUPTS, EXIT_ACKNOWLEDGE_INTERRUPT_ON_EXIT,
                      PRIMARY_VM_EXIT_CONTROLS, HVCTL_X_PIN),
        {"CTRL.POSTED.VECTOR", HVCTL_VMX_SECTION_EXECUTION, "must have bits 15:8 clear", hvctl_vmx_rule_zeros,
         HVCTL_PIN_PROCESS_POSTED_INTERRUPTS, HVCTL_RULE_1(POSTED_INTERRUPT_NOTIFICATION_VECTOR), 0xff00},
        {"CTRL.POSTED.ALIGN", HVCTL_VMX_SECTION_EXECUTION, "must have bits 5:0 clear", hvctl_vmx_rule_zeros,
         HVCTL_PIN_PROCESS_POSTED_INTERRUPTS, HVCTL_RULE_1(POSTED_INTERRUPT_DESCRIPTOR_ADDRESS), 0x3f},
        {"CTRL.POSTED.ADDRESS", HVCTL_VMX_SECTION_EXECUTION, "must be within the physical-address width",
         hvctl_vmx_rule_beyond, HVCTL_PIN_PROCESS_POSTED_INTERRUPTS, HVCTL_RULE_1(POSTED_INTERRUPT_DESCRIPTOR_ADDRESS),
         0},
        {"CTRL.IPIV.ALIGN", HVCTL_VMX_SECTION_EXECUTION, "must have bits 2:0 clear", hvctl_vmx_rule_zeros,
         HVCTL_TERTIARY_IPI_VIRTUALIZATION, HVCTL_RULE_1(PID_POINTER_TABLE_ADDRESS), 7},
        {"CTRL.IPIV.ADDRESS", HVCTL_VMX_SECTION_EXECUTION, "must be within the physical-address width",
         hvctl_vmx_rule_beyond, HVCTL_TERTIARY_IPI_VIRTUALIZATION, HVCTL_RULE_1(PID_POINTER_TABLE_ADDRESS), 0},
        {"CTRL.IPIV.LAST", HVCTL_VMX_SECTION_EXECUTION,
         "must leave the table's last entry, 8 * LAST_PID_POINTER_INDEX further, within the physical-address width",
         hvctl_vmx_rule_pid_last, HVCTL_TERTIARY_IPI_VIRTUALIZATION,
         HVCTL_RULE_2(PID_POINTER_TABLE_ADDRESS, LAST_PID_POINTER_INDEX), 0},
        {"CTRL.VPID", HVCTL_VMX_SECTION_EXECUTION, "must not be 0", hvctl_vmx_rule_not, HVCTL_SECONDARY_ENABLE_VPID,
         HVCTL_RULE_1(VIRTUAL_PROCESSOR_IDENTIFIER), 0},
        {"CTRL.EPTP.MEMTYPE", HVCTL_VMX_SECTION_EXECUTION,
         "must have in bits 2:0 a memory type, 0 or 6, that IA32_VMX_EPT_VPID_CAP offers", hvctl_vmx_rule_eptp_memtype,
         HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0},
        {"CTRL.EPTP.WALK_LENGTH", HVCTL_VMX_SECTION_EXECUTION,
         "must have in bits 5:3 a page-walk length less 1, 3 or 4, that IA32_VMX_EPT_VPID_CAP offers",
         hvctl_vmx_rule_eptp_levels, HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0},
        {"CTRL.EPTP.AD", HVCTL_VMX_SECTION_EXECUTION, "must have bit 6 clear where the CPU has no EPT A/D flags",
         hvctl_vmx_rule_eptp_ad, HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0},
        {"CTRL.EPTP.SSS", HVCTL_VMX_SECTION_EXECUTION,
         "must have bit 7 clear where the CPU has no EPT control of supervisor shadow stacks", hvctl_vmx_rule_eptp_sss,
         HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0},
        {"CTRL.EPTP.RESERVED", HVCTL_VMX_SECTION_EXECUTION, "must have bits 11:8 clear", hvctl_vmx_rule_zeros,
         HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0xf00},
        {"CTRL.EPTP.ADDRESS", HVCTL_VMX_SECTION_EXECUTION, "must be within the physical-address width",
         hvctl_vmx_rule_beyond, HVCTL_SECONDARY_ENABLE_EPT, HVCTL_RULE_1(EPT_POINTER), 0},
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.ENABLE_PML", EXECUTION, SECONDARY_ENABLE_PML, SECONDARY_ENABLE_EPT,
                      HVCTL_X_SECONDARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.UNRESTRICTED_GUEST", EXECUTION, SECONDARY_UNRESTRICTED_GUEST,
                      SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY, HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.MODE_BASED_EXECUTE_CONTROL_FOR_EPT", EXECUTION,
                      SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT, SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY,
                      HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT", EXECUTION,
                      SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY,
                      HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.PT_USES_GUEST_PHYSICAL_ADDRESSES", EXECUTION,
                      SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES, SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY,
                      HVCTL_X_SECONDARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.PEBS_USES_GUEST_PHYSICAL_ADDRESSES", EXECUTION,
                      TERTIARY_PEBS_USES_GUEST_PHYSICAL_ADDRESSES, SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY,
                      HVCTL_X_TERTIARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.ENABLE_HLAT", EXECUTION, TERTIARY_ENABLE_HLAT, SECONDARY_ENABLE_EPT,
                      HVCTL_X_SECONDARY, HVCTL_X_TERTIARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.EPT_PAGING_WRITE_CONTROL", EXECUTION, TERTIARY_EPT_PAGING_WRITE_CONTROL,
                      SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY, HVCTL_X_TERTIARY),
        HVCTL_X_NEEDS("CTRL.EPT_REQUIRED.GUEST_PAGING_VERIFICATION", EXECUTION, TERTIARY_GUEST_PAGING_VERIFICATION,
                      SECONDARY_ENABLE_EPT, HVCTL_X_SECONDARY, HVCTL_X_TERTIARY),
        {"CTRL.SEAM.EPT", HVCTL_VMX_SECTION_EXECUTION, "must have EPT enabled in SEAM", hvctl_vmx_rule_seam_ept,
         HVCTL_ALWAYS, HVCTL_X_SLOTS_1(HVCTL_X_SECONDARY), HVCTL_SECONDARY_ENABLE_EPT},
        {"CTRL.SEAM.SHARED_EPTP", HVCTL_VMX_SECTION_EXECUTION,
         "must have bits 11:0 clear and be within MAXPHYADDR in SEAM", hvctl_vmx_rule_seam_eptp, HVCTL_ALWAYS,
         HVCTL_RULE_1(SHARED_EPT_POINTER), 0xfff},
        HVCTL_X_ALLOWED("CTRL.VMFUNC.RESERVED", EXECUTION, VMFUNC, SECONDARY_ENABLE_VM_FUNCTIONS, VM_FUNCTION_CONTROLS),
        HVCTL_X_NEEDS("CTRL.VMFUNC.EPTP_SWITCHING", EXECUTION, VMFUNC_EPTP_SWITCHING, SECONDARY_ENABLE_EPT,
                      HVCTL_X_SECONDARY, VM_FUNCTION_CONTROLS),
        {"CTRL.PT.TRACE_EN", HVCTL_VMX_SECTION_EXECUTION, "must not load IA32_RTIT_CTL while Intel PT traces the host",
         hvctl_vmx_rule_tracing, HVCTL_ENTRY_LOAD_IA32_RTIT_CTL, HVCTL_RULE_1(VM_ENTRY_CONTROLS), 1u << 18},
        {"CTRL.PT.GPA", HVCTL_VMX_SECTION_EXECUTION,
         "must load IA32_RTIT_CTL on VM entry and clear it on VM exit when Intel PT uses guest-physical addresses",
         hvctl_vmx_rule_pt_uses_gpa, HVCTL_SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES,
         HVCTL_RULE_3(VM_ENTRY_CONTROLS, PRIMARY_VM_EXIT_CONTROLS, SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS), 0},
        {"CTRL.TSC_MULTIPLIER", HVCTL_VMX_SECTION_EXECUTION, "must not be 0", hvctl_vmx_rule_not,
         HVCTL_SECONDARY_USE_TSC_SCALING, HVCTL_RULE_1(TSC_MULTIPLIER), 0},
        {"CTRL.HLATP.RESERVED", HVCTL_VMX_SECTION_EXECUTION, "must have bits 2:0 and 11:5 clear", hvctl_vmx_rule_zeros,
         HVCTL_TERTIARY_ENABLE_HLAT, HVCTL_RULE_1(HLAT_POINTER), 0xfe7},
        {"CTRL.HLATP.ADDRESS", HVCTL_VMX_SECTION_EXECUTION, "must be within the physical-address width",
         hvctl_vmx_rule_beyond, HVCTL_TERTIARY_ENABLE_HLAT, HVCTL_RULE_1(HLAT_POINTER), 0},
        {"CTRL.HLAT_PREFIX_SIZE", HVCTL_VMX_SECTION_EXECUTION, "must not exceed IA32_VMX_EPT_VPID_CAP[53:48]",
         hvctl_vmx_rule_hlat_prefix, HVCTL_TERTIARY_ENABLE_HLAT, HVCTL_RULE_1(HLAT_PREFIX_SIZE), 0},
        HVCTL_X_NEEDS("CTRL.APIC_TIMER.VID", EXECUTION, TERTIARY_APIC_TIMER_VIRTUALIZATION,
                      SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, HVCTL_X_SECONDARY, HVCTL_X_TERTIARY),
        HVCTL_X_EXCLUDES("CTRL.APIC_TIMER.RDTSC", EXECUTION, TERTIARY_APIC_TIMER_VIRTUALIZATION, PRIMARY_RDTSC_EXITING,
                         HVCTL_X_PRIMARY, HVCTL_X_TERTIARY),
        {"CTRL.APIC_TIMER.VECTOR", HVCTL_VMX_SECTION_EXECUTION, "must have bits 15:8 clear", hvctl_vmx_rule_zeros,
         HVCTL_TERTIARY_APIC_TIMER_VIRTUALIZATION, HVCTL_RULE_1(VIRTUAL_TIMER_VECTOR), 0xff00},
        HVCTL_X_ALLOWED("CTRL.EXIT.RESERVED", EXIT, EXIT, ALWAYS, PRIMARY_VM_EXIT_CONTROLS),
        HVCTL_X_ALLOWED("CTRL.EXIT2.RESERVED", EXIT, EXIT2, EXIT_ACTIVATE_SECONDARY_CONTROLS,
                        SECONDARY_VM_EXIT_CONTROLS),
        HVCTL_X_NEEDS("CTRL.EXIT.PREEMPTION_TIMER", EXIT, EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE,
                      PIN_ACTIVATE_VMX_PREEMPTION_TIMER, HVCTL_X_PIN, PRIMARY_VM_EXIT_CONTROLS),
        {"CTRL.EXIT.MSR_STORE.ALIGN", HVCTL_VMX_SECTION_EXIT,
         "must be 16-byte aligned and within the physical-address width if the count is not 0", hvctl_vmx_rule_msr_area,
         HVCTL_ALWAYS, HVCTL_RULE_2(VM_EXIT_MSR_STORE_ADDRESS, VM_EXIT_MSR_STORE_COUNT), 15},
        {"CTRL.EXIT.MSR_STORE.END", HVCTL_VMX_SECTION_EXIT,
         "must leave the area's last byte, 16 * VM_EXIT_MSR_STORE_COUNT - 1 further, within the physical-address width",
         hvctl_vmx_rule_msr_area_end, HVCTL_ALWAYS, HVCTL_RULE_2(VM_EXIT_MSR_STORE_ADDRESS, VM_EXIT_MSR_STORE_COUNT),
         0},
        {"CTRL.EXIT.MSR_LOAD.ALIGN", HVCTL_VMX_SECTION_EXIT,
         "must be 16-byte aligned and within the physical-address width if the count is not 0", hvctl_vmx_rule_msr_area,
         HVCTL_ALWAYS, HVCTL_RULE_2(VM_EXIT_MSR_LOAD_ADDRESS, VM_EXIT_MSR_LOAD_COUNT), 15},
        {"CTRL.EXIT.MSR_LOAD.END", HVCTL_VMX_SECTION_EXIT,
         "must leave the area's last byte, 16 * VM_EXIT_MSR_LOAD_COUNT - 1 further, within the physical-address width",
         hvctl_vmx_rule_msr_area_end, HVCTL_ALWAYS, HVCTL_RULE_2(VM_EXIT_MSR_LOAD_ADDRESS, VM_EXIT_MSR_LOAD_COUNT), 0},
        HVCTL_X_ALLOWED("CTRL.ENTRY.RESERVED", ENTRY, ENTRY, ALWAYS, VM_ENTRY_CONTROLS),
        {"CTRL.ENTRY.MSR_LOAD.ALIGN", HVCTL_VMX_SECTION_ENTRY,
         "must be 16-byte aligned and within the physical-address width if the count is not 0", hvctl_vmx_rule_msr_area,
         HVCTL_ALWAYS, HVCTL_RULE_2(VM_ENTRY_MSR_LOAD_ADDRESS, VM_ENTRY_MSR_LOAD_COUNT), 15},
        {"CTRL.ENTRY.MSR_LOAD.END", HVCTL_VMX_SECTION_ENTRY,
         "must leave the area's last byte, 16 * VM_ENTRY_MSR_LOAD_COUNT - 1 further, within the physical-address width",
         hvctl_vmx_rule_msr_area_end, HVCTL_ALWAYS, HVCTL_RULE_2(VM_ENTRY_MSR_LOAD_ADDRESS, VM_ENTRY_MSR_LOAD_COUNT),
         0},
        {"CTRL.ENTRY.SMM", HVCTL_VMX_SECTION_ENTRY,
         "must have ENTRY_TO_SMM and DEACTIVATE_DUAL_MONITOR_TREATMENT clear outside SMM", hvctl_vmx_rule_smm,
         HVCTL_ALWAYS, HVCTL_RULE_1(VM_ENTRY_CONTROLS), 0xc00},
        HVCTL_X_EXCLUDES("CTRL.ENTRY.SMM_BOTH", ENTRY, ENTRY_ENTRY_TO_SMM, ENTRY_DEACTIVATE_DUAL_MONITOR_TREATMENT,
                         VM_ENTRY_CONTROLS, VM_ENTRY_CONTROLS),
    };
#undef HVCTL_X_PIN
#undef HVCTL_X_PRIMARY
#undef HVCTL_X_SECONDARY
#undef HVCTL_X_TERTIARY
#undef HVCTL_X_SLOTS_1
#undef HVCTL_X_SLOTS_2
#undef HVCTL_X_ALLOWED
#undef HVCTL_X_ADDRESS
#undef HVCTL_X_NEEDS
#undef HVCTL_X_EXCLUDES

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
