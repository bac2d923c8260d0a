/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMRUN's rules on the control area. A violation makes VMRUN end with VMEXIT_INVALID, where the manual says what
 * happens. APM vol. 2, "VMRUN Instruction", "Event Injection", "Nested Paging", and the chapters on SEV.
 */
#ifndef HVCTL_SVM_CHECK_CONTROL_H
#define HVCTL_SVM_CHECK_CONTROL_H

#include "check_rule.h"

/* The address of a permission map of mask + 1 bytes; its bits 11:0 are ignored. */
static inline enum hvctl_rule_result hvctl_svm_rule_map(const struct hvctl_svm_view *view,
                                                        const struct hvctl_svm_rule *rule,
                                                        struct hvctl_finding *finding)
{
    uint64_t base = finding->actual & ~UINT64_C(0xfff), end = base + rule->mask;

    return hvctl_svm_demand_words(end >= base && !(end & view->beyond));
}

static inline enum hvctl_rule_result hvctl_svm_rule_asid(const struct hvctl_svm_view *view,
                                                         const struct hvctl_svm_rule *rule,
                                                         struct hvctl_finding *finding)
{
    (void)view;
    finding->demand = HVCTL_DEMAND_NOT_EQUAL;
    finding->required = rule->mask;
    return hvctl_svm_demand_words(finding->actual != rule->mask);
}

static inline enum hvctl_rule_result hvctl_svm_rule_tlb(const struct hvctl_svm_view *view,
                                                        const struct hvctl_svm_rule *rule,
                                                        struct hvctl_finding *finding)
{
    bool by_asid = hvctl_svm_can(view->caps, HVCTL_SVM_FLUSH_BY_ASID);

    (void)rule;
    return hvctl_svm_demand_words(
        finding->actual <= HVCTL_TLB_ALL
        || (by_asid && (finding->actual == HVCTL_TLB_GUEST || finding->actual == HVCTL_TLB_GUEST_NON_GLOBAL)));
}

#define HVCTL_SVM_INJECT_VALID UINT64_C(0x80000000)

static inline unsigned hvctl_svm_inject_type(uint64_t event)
{
    return (unsigned)(event >> 8 & 7u);
}

static inline enum hvctl_rule_result hvctl_svm_rule_inject_type(const struct hvctl_svm_view *view,
                                                                const struct hvctl_svm_rule *rule,
                                                                struct hvctl_finding *finding)
{
    unsigned type = hvctl_svm_inject_type(finding->actual);

    (void)view;
    (void)rule;
    if (!(finding->actual & HVCTL_SVM_INJECT_VALID))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(type == 0 || (type >= 2 && type <= 4));
}

static inline enum hvctl_rule_result hvctl_svm_rule_inject_vector(const struct hvctl_svm_view *view,
                                                                  const struct hvctl_svm_rule *rule,
                                                                  struct hvctl_finding *finding)
{
    unsigned vector = (unsigned)(finding->actual & 0xffu);

    (void)view;
    (void)rule;
    if (!(finding->actual & HVCTL_SVM_INJECT_VALID) || hvctl_svm_inject_type(finding->actual) != 3)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(vector != 2 && vector < 32);
}

/* INTO and BOUND, which raise #OF and #BR, do not exist in 64-bit mode. */
static inline enum hvctl_rule_result hvctl_svm_rule_inject_mode(const struct hvctl_svm_view *view,
                                                                const struct hvctl_svm_rule *rule,
                                                                struct hvctl_finding *finding)
{
    unsigned vector = (unsigned)(finding->actual & 0xffu);

    (void)rule;
    finding->because = "the guest is in 64-bit mode";
    if (!(finding->actual & HVCTL_SVM_INJECT_VALID) || hvctl_svm_inject_type(finding->actual) != 3 || !view->code64
        || view->sev_es)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(vector != 4 && vector != 5);
}

static inline enum hvctl_rule_result hvctl_svm_rule_inject_encrypted(const struct hvctl_svm_view *view,
                                                                     const struct hvctl_svm_rule *rule,
                                                                     struct hvctl_finding *finding)
{
    unsigned type = hvctl_svm_inject_type(finding->actual), vector = (unsigned)(finding->actual & 0xffu);

    (void)rule;
    finding->because = "SEV-ES";
    if (!view->sev_es || !(finding->actual & HVCTL_SVM_INJECT_VALID))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(type != 4 && !(type == 3 && (vector == 3 || vector == 4)));
}

static inline enum hvctl_rule_result hvctl_svm_rule_virtual_nmi(const struct hvctl_svm_view *view,
                                                                const struct hvctl_svm_rule *rule,
                                                                struct hvctl_finding *finding)
{
    finding->because = "V_NMI_ENABLE is set";
    if (!hvctl_svm_can(view->caps, HVCTL_SVM_VNMI)
        || !(view->vmcb->control.virtual_interrupt_control & HVCTL_VINTR_NMI_ENABLE))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, rule->mask, 0);
}

/* Rules on nested paging do not apply without it. */
static inline enum hvctl_rule_result hvctl_svm_rule_np_host(const struct hvctl_svm_view *view,
                                                            const struct hvctl_svm_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "the host's CR0.PG is 0";
    if (!view->np)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, view->around->host_no_paging ? rule->mask : 0);
}

static inline enum hvctl_rule_result hvctl_svm_rule_n_cr3(const struct hvctl_svm_view *view,
                                                          const struct hvctl_svm_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "NP_ENABLE is set";
    return view->np ? hvctl_svm_demand_bits(finding, 0, view->beyond) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_svm_rule_g_pat(const struct hvctl_svm_view *view,
                                                          const struct hvctl_svm_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)rule;
    if (!view->np || view->sev_es)
        return HVCTL_RULE_IDLE;
    finding->demand = HVCTL_DEMAND_PAT;
    return hvctl_pat_valid(finding->actual, &finding->zeros) ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* A bit of nested_control (in rule->mask[15:0]) demands another one (in the half above). */
static inline enum hvctl_rule_result hvctl_svm_rule_nested_needs(const struct hvctl_svm_view *view,
                                                                 const struct hvctl_svm_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)view;
    if (!(finding->actual & (rule->mask & 0xffffu)))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, rule->mask >> 16, 0);
}

static inline enum hvctl_rule_result hvctl_svm_rule_sss_np(const struct hvctl_svm_view *view,
                                                           const struct hvctl_svm_rule *rule,
                                                           struct hvctl_finding *finding)
{
    finding->because = "SSS_CHECK is set";
    if (!hvctl_svm_can(view->caps, HVCTL_SVM_SSS_CHECK))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_rule_nested_needs(view, rule, finding);
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_np(const struct hvctl_svm_view *view,
                                                           const struct hvctl_svm_rule *rule,
                                                           struct hvctl_finding *finding)
{
    finding->because = "SEV is on";
    return view->can_sev ? hvctl_svm_rule_nested_needs(view, rule, finding) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_es_sev(const struct hvctl_svm_view *view,
                                                               const struct hvctl_svm_rule *rule,
                                                               struct hvctl_finding *finding)
{
    finding->because = "SEV is on";
    return view->can_sev_es ? hvctl_svm_rule_nested_needs(view, rule, finding) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_smm(const struct hvctl_svm_view *view,
                                                            const struct hvctl_svm_rule *rule,
                                                            struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    return view->sev ? hvctl_svm_demand_words(!view->around->smm_unlocked) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_asid(const struct hvctl_svm_view *view,
                                                             const struct hvctl_svm_rule *rule,
                                                             struct hvctl_finding *finding)
{
    (void)rule;
    finding->demand = HVCTL_DEMAND_AT_MOST;
    finding->required = view->caps->sev_asids;
    finding->because = "SEV";
    return view->sev ? hvctl_svm_demand_words(finding->actual <= view->caps->sev_asids) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_asid_min(const struct hvctl_svm_view *view,
                                                                 const struct hvctl_svm_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)rule;
    if (!view->sev || view->sev_es)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(finding->actual >= view->caps->sev_min_asid);
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_host(const struct hvctl_svm_view *view,
                                                             const struct hvctl_svm_rule *rule,
                                                             struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    if (!view->sev || !(view->caps->sev_eax >> 11 & 1u))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words(!view->around->host_legacy);
}

static inline enum hvctl_rule_result hvctl_svm_rule_sev_es_lbr(const struct hvctl_svm_view *view,
                                                               const struct hvctl_svm_rule *rule,
                                                               struct hvctl_finding *finding)
{
    finding->because = "SEV-ES";
    return view->sev_es ? hvctl_svm_demand_bits(finding, rule->mask, 0) : HVCTL_RULE_IDLE;
}

/* All features that the VMSA turns on must be allowed, if bit 63 of the field is set. */
static inline enum hvctl_rule_result hvctl_svm_rule_sev_features(const struct hvctl_svm_view *view,
                                                                 const struct hvctl_svm_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    const struct hvctl_svm_surroundings *around = view->around;

    finding->because = "SEV_FEATURES of the VMSA";
    if (!view->sev_es || !(finding->actual & HVCTL_ALLOWED_SEV_FEATURES_ENABLE)
        || !(view->caps->sev_eax >> HVCTL_SEV_ALLOWED_SEV_FEATURES & 1u))
        return HVCTL_RULE_IDLE;
    if (!around->sev_features_known)
        return HVCTL_RULE_UNCHECKED;
    return hvctl_svm_demand_bits(finding, around->sev_features & rule->mask, 0);
}

/* One of AVIC's addresses. */
static inline enum hvctl_rule_result hvctl_svm_rule_avic(const struct hvctl_svm_view *view,
                                                         const struct hvctl_svm_rule *rule,
                                                         struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "AVIC_ENABLE is set";
    if (!hvctl_svm_can(view->caps, HVCTL_SVM_AVIC)
        || !(view->vmcb->control.virtual_interrupt_control & HVCTL_VINTR_AVIC_ENABLE))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, view->beyond);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_svm_rule *hvctl_svm_control_rule_at(size_t number)
{
#define HVCTL_X(id, section, text, check, field, member, mask)           \
    {id,    section,                                                     \
     text,  HVCTL_FAILURE_VMEXIT_INVALID,                                \
     check, HVCTL_SVM_FIELD(field, control, member, HVCTL_BITS_UNNAMED), \
     mask}
#define HVCTL_X_VMRUN(id, text, check, field, member, mask) \
    HVCTL_X(id, "VMRUN Instruction, Canonicalization and Consistency Checks", text, check, field, member, mask)
#define HVCTL_X_UNSPECIFIED(id, section, text, check, field, member, mask)  \
    {                                                                       \
        id,    section,                                                     \
        text,  HVCTL_FAILURE_UNSPECIFIED,                                   \
        check, HVCTL_SVM_FIELD(field, control, member, HVCTL_BITS_UNNAMED), \
        mask}
    static const struct hvctl_svm_rule list[] = {
        HVCTL_X_VMRUN("SVM.CTRL.VMRUN", "must have the VMRUN intercept, bit 0, set", hvctl_svm_rule_ones,
                      "INTERCEPT_VECTOR_4", intercept_vector_4, 1),
        HVCTL_X_VMRUN("SVM.CTRL.MSRPM", "must leave the 8 KiB of the map within the physical-address width",
                      hvctl_svm_rule_map, "MSRPM_BASE_PA", msrpm_base_pa, 0x1fff),
        HVCTL_X_VMRUN("SVM.CTRL.IOPM", "must leave the 12 KiB of the map within the physical-address width",
                      hvctl_svm_rule_map, "IOPM_BASE_PA", iopm_base_pa, 0x2fff),
        HVCTL_X_VMRUN("SVM.CTRL.ASID", "must not be 0", hvctl_svm_rule_asid, "GUEST_ASID", guest_asid, 0),
        HVCTL_X_UNSPECIFIED("SVM.CTRL.TLB", "TLB Control", "must be 0 or 1, or 3 or 7 with FlushByAsid",
                            hvctl_svm_rule_tlb, "TLB_CONTROL", tlb_control, 0),
        HVCTL_X("SVM.INJ.TYPE", "Event Injection", "must have type 0, 2, 3 or 4", hvctl_svm_rule_inject_type,
                "EVENTINJ", eventinj, 0),
        HVCTL_X("SVM.INJ.VECTOR", "Event Injection", "must have the vector of an exception, below 32 and not 2",
                hvctl_svm_rule_inject_vector, "EVENTINJ", eventinj, 0),
        HVCTL_X("SVM.INJ.MODE", "Event Injection", "must not have #OF or #BR in 64-bit mode",
                hvctl_svm_rule_inject_mode, "EVENTINJ", eventinj, 0),
        HVCTL_X("SVM.INJ.SEV_ES", "Encrypted State (SEV-ES) VMRUN", "must not have type 4, nor #BP or #OF",
                hvctl_svm_rule_inject_encrypted, "EVENTINJ", eventinj, 0),
        HVCTL_X("SVM.VNMI.INTERCEPT", "NMI Virtualization", "must have the NMI intercept, bit 1, set",
                hvctl_svm_rule_virtual_nmi, "INTERCEPT_VECTOR_3", intercept_vector_3, 2),
        HVCTL_X("SVM.NP.HOST_PG", "Enabling Nested Paging", "must have NP_ENABLE clear while the host does not page",
                hvctl_svm_rule_np_host, "NESTED_CONTROL", nested_control, HVCTL_NESTED_NP_ENABLE),
        HVCTL_X("SVM.NP.NCR3", "Nested Paging and VMRUN/#VMEXIT", "must be within the physical-address width",
                hvctl_svm_rule_n_cr3, "N_CR3", n_cr3, 0),
        {"SVM.NP.G_PAT", "Nested Paging and VMRUN/#VMEXIT", "must have 0, 1, 4, 5, 6 or 7 in each byte",
         HVCTL_FAILURE_VMEXIT_INVALID, hvctl_svm_rule_g_pat, HVCTL_SVM_FIELD("G_PAT", save, g_pat, HVCTL_BITS_UNNAMED),
         0},
        HVCTL_X("SVM.SSS.NP", "Supervisor Shadow Stacks", "must have NP_ENABLE, bit 0, set", hvctl_svm_rule_sss_np,
                "NESTED_CONTROL", nested_control, HVCTL_NESTED_NP_ENABLE << 16 | HVCTL_NESTED_SSS_CHECK),
        HVCTL_X("SVM.SEV.NP", "Enabling SEV", "must have NP_ENABLE, bit 0, set", hvctl_svm_rule_sev_np,
                "NESTED_CONTROL", nested_control, HVCTL_NESTED_NP_ENABLE << 16 | HVCTL_NESTED_SEV),
        HVCTL_X("SVM.SEV.SMMLOCK", "Enabling SEV", "must not have SEV set while HWCR.SmmLock is 0",
                hvctl_svm_rule_sev_smm, "NESTED_CONTROL", nested_control, 0),
        HVCTL_X("SVM.SEV.ASID", "Enabling SEV", "must not exceed CPUID 8000001FH ECX", hvctl_svm_rule_sev_asid,
                "GUEST_ASID", guest_asid, 0),
        HVCTL_X("SVM.SEV.ASID_MIN", "Enabling SEV-ES", "must not be below CPUID 8000001FH EDX without SEV-ES",
                hvctl_svm_rule_sev_asid_min, "GUEST_ASID", guest_asid, 0),
        HVCTL_X("SVM.SEV.HOST64", "Enabling SEV", "must not have SEV set while the host is not in 64-bit mode",
                hvctl_svm_rule_sev_host, "NESTED_CONTROL", nested_control, 0),
        HVCTL_X("SVM.SEVES.SEV", "Enabling SEV-ES", "must have SEV, bit 1, set", hvctl_svm_rule_sev_es_sev,
                "NESTED_CONTROL", nested_control, HVCTL_NESTED_SEV << 16 | HVCTL_NESTED_SEV_ES),
        HVCTL_X("SVM.SEVES.LBR", "Enabling SEV-ES", "must have LBR virtualization, bit 0, set",
                hvctl_svm_rule_sev_es_lbr, "VIRTUALIZATION_CONTROL", virtualization_control, HVCTL_VIRT_LBR),
        HVCTL_X("SVM.SNP.ALLOWED", "Allowed SEV Features", "must have the bits set that SEV_FEATURES has",
                hvctl_svm_rule_sev_features, "ALLOWED_SEV_FEATURES", allowed_sev_features,
                UINT64_C(0x3fffffffffffffff)),
        HVCTL_X("SVM.AVIC.BACKING_PAGE", "Advanced Virtual Interrupt Controller",
                "must be within the physical-address width", hvctl_svm_rule_avic, "AVIC_BACKING_PAGE",
                avic_backing_page, 0),
        HVCTL_X("SVM.AVIC.LOGICAL_TABLE", "Advanced Virtual Interrupt Controller",
                "must be within the physical-address width", hvctl_svm_rule_avic, "AVIC_LOGICAL_TABLE",
                avic_logical_table, 0),
        HVCTL_X("SVM.AVIC.PHYSICAL_TABLE", "Advanced Virtual Interrupt Controller",
                "must be within the physical-address width", hvctl_svm_rule_avic, "AVIC_PHYSICAL_TABLE",
                avic_physical_table, 0),
        HVCTL_X("SVM.AVIC.APIC_BAR", "Advanced Virtual Interrupt Controller",
                "must be within the physical-address width", hvctl_svm_rule_avic, "AVIC_APIC_BAR", avic_apic_bar, 0),
    };
#undef HVCTL_X
#undef HVCTL_X_VMRUN
#undef HVCTL_X_UNSPECIFIED

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
