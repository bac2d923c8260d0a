/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on the guest's non-register state: activity, interruptibility, pending debug exceptions. A violation
 * makes VM entry fail with exit reason 33. SDM vol. 3, "Checks on Guest Non-Register State".
 */
#ifndef HVCTL_VMX_CHECK_STATE_H
#define HVCTL_VMX_CHECK_STATE_H

#include "../common/guest_state.h"
#include "check_segments.h"

static inline uint64_t hvctl_vmx_view_activity(const struct hvctl_vmx_view *view)
{
    return view->value[HVCTL_VMCS_SLOT_GUEST_ACTIVITY_STATE];
}

static inline uint64_t hvctl_vmx_view_blocking(const struct hvctl_vmx_view *view)
{
    return view->value[HVCTL_VMCS_SLOT_GUEST_INTERRUPTIBILITY_STATE];
}

static inline enum hvctl_rule_result hvctl_vmx_rule_activity_range(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    (void)rule;
    switch (finding->actual) {
    case HVCTL_ACTIVITY_ACTIVE: return HVCTL_RULE_KEPT;
    case HVCTL_ACTIVITY_HLT: return hvctl_demand_words((view->caps->misc & HVCTL_VMX_MISC_ACTIVITY_HLT) != 0);
    case HVCTL_ACTIVITY_SHUTDOWN: return hvctl_demand_words((view->caps->misc & HVCTL_VMX_MISC_ACTIVITY_SHUTDOWN) != 0);
    case HVCTL_ACTIVITY_WAIT_FOR_SIPI:
        return hvctl_demand_words((view->caps->misc & HVCTL_VMX_MISC_ACTIVITY_WAIT_FOR_SIPI) != 0);
    default: return hvctl_demand_at_most(finding, 3);
    }
}

static inline enum hvctl_rule_result hvctl_vmx_rule_hlt_dpl(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "SS.DPL is not 0";
    if (hvctl_rights_dpl(hvctl_vmx_view_ss(view)) == 0)
        return finding->actual == HVCTL_ACTIVITY_HLT ? HVCTL_RULE_KEPT : HVCTL_RULE_IDLE;
    return hvctl_demand_not_equal(finding, HVCTL_ACTIVITY_HLT);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_activity_blocking(const struct hvctl_vmx_view *view,
                                                                      const struct hvctl_vmx_rule *rule,
                                                                      struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "blocking by STI or by MOV SS";
    if (!(hvctl_vmx_view_blocking(view) & (HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS)))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_equal(finding, HVCTL_ACTIVITY_ACTIVE);
}

/* Only an event that would end the halt may be injected into a halted guest. */
static inline enum hvctl_rule_result hvctl_vmx_rule_hlt_event(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    unsigned type = hvctl_vmx_view_event_type(view), vector = hvctl_vmx_view_event_vector(view);

    (void)rule;
    finding->because = "activity state HLT";
    if (!view->event || hvctl_vmx_view_activity(view) != HVCTL_ACTIVITY_HLT)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(type == HVCTL_EVENT_EXTERNAL_INTERRUPT || type == HVCTL_EVENT_NMI
                              || (type == HVCTL_EVENT_HARDWARE_EXCEPTION && (vector == 1 || vector == 18))
                              || (type == HVCTL_EVENT_OTHER && vector == 0));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_shutdown_event(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    unsigned type = hvctl_vmx_view_event_type(view), vector = hvctl_vmx_view_event_vector(view);

    (void)rule;
    finding->because = "activity state shutdown";
    if (!view->event || hvctl_vmx_view_activity(view) != HVCTL_ACTIVITY_SHUTDOWN)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(type == HVCTL_EVENT_NMI || (type == HVCTL_EVENT_HARDWARE_EXCEPTION && vector == 18));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_sipi_event(const struct hvctl_vmx_view *view,
                                                               const struct hvctl_vmx_rule *rule,
                                                               struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "activity state wait-for-SIPI";
    if (hvctl_vmx_view_activity(view) != HVCTL_ACTIVITY_WAIT_FOR_SIPI)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_EVENT_INFO_VALID);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_smm_sipi(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    return hvctl_demand_not_equal(finding, HVCTL_ACTIVITY_WAIT_FOR_SIPI);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_sti_and_mov_ss(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    if (!(finding->actual & HVCTL_BLOCKING_STI))
        return HVCTL_RULE_IDLE;
    finding->because = "blocking by STI is set";
    return hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_MOV_SS);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_sti_if(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    finding->because = "RFLAGS.IF is 0";
    if (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_RFLAGS_IF)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_STI);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_blocking_interrupt(const struct hvctl_vmx_view *view,
                                                                       const struct hvctl_vmx_rule *rule,
                                                                       struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "an external interrupt is injected";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_EXTERNAL_INTERRUPT))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS);
}

/* Bits (mask) that must be 0 when an NMI is injected; blocking by STI fails with a qualification of its own. */
static inline enum hvctl_rule_result hvctl_vmx_rule_blocking_nmi(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    finding->because = "an NMI is injected";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_NMI))
        return HVCTL_RULE_IDLE;
    finding->qualification = rule->mask == HVCTL_BLOCKING_STI ? 3 : 0;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_blocking_virtual_nmi(const struct hvctl_vmx_view *view,
                                                                         const struct hvctl_vmx_rule *rule,
                                                                         struct hvctl_finding *finding)
{
    finding->because = "an NMI is injected with virtual NMIs";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_NMI))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_blocking_smi(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "the CPU is not in SMM";
    return view->around->in_smm ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_SMI);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_blocking_smi_entry(const struct hvctl_vmx_view *view,
                                                                       const struct hvctl_vmx_rule *rule,
                                                                       struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    return hvctl_demand_bits(finding, HVCTL_BLOCKING_SMI, 0);
}

/* Where CPUID was not asked, a CPU without VMX's control for ENCLS is taken to have no SGX. */
static inline enum hvctl_rule_result hvctl_vmx_rule_enclave(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    bool sgx = view->cpu.known ? view->cpu.sgx
                                       : hvctl_vmx_can(view->caps, HVCTL_SECONDARY_ENABLE_ENCLS_EXITING);

    (void)rule;
    if (!(finding->actual & HVCTL_ENCLAVE_INTERRUPTION))
        return HVCTL_RULE_KEPT;
    finding->because = sgx ? "enclave interruption is set" : "the CPU has no SGX";
    return sgx ? hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_MOV_SS)
               : hvctl_demand_bits(finding, 0, HVCTL_ENCLAVE_INTERRUPTION);
}

/*
 * Bit 11 reports a bus lock on CPUs that detect them; the manual's check and its table of the field disagree about it.
 */
static inline enum hvctl_rule_result hvctl_vmx_rule_pending_reserved(const struct hvctl_vmx_view *view,
                                                                     const struct hvctl_vmx_rule *rule,
                                                                     struct hvctl_finding *finding)
{
    bool bus_lock = view->cpu.known ? view->cpu.bus_lock_detect
                                            : hvctl_vmx_can(view->caps, HVCTL_SECONDARY_VMM_BUS_LOCK_DETECTION);

    return hvctl_demand_bits(finding, 0, rule->mask | (bus_lock ? 0 : HVCTL_PENDING_BLD));
}

/* Is a single-step trap held back? Only then does BS depend on TF. */
static inline bool hvctl_vmx_view_held_back(const struct hvctl_vmx_view *view)
{
    return (hvctl_vmx_view_blocking(view) & (HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS))
        || hvctl_vmx_view_activity(view) == HVCTL_ACTIVITY_HLT;
}

static inline bool hvctl_vmx_view_single_step(const struct hvctl_vmx_view *view)
{
    return (view->value[HVCTL_VMCS_SLOT_GUEST_RFLAGS] & HVCTL_RFLAGS_TF)
        && !(view->value[HVCTL_VMCS_SLOT_GUEST_IA32_DEBUGCTL] & 2u);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_pending_bs_set(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "TF is set, BTF is not, and the trap is held back";
    if (!hvctl_vmx_view_held_back(view) || !hvctl_vmx_view_single_step(view))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_PENDING_BS, 0);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_pending_bs_clear(const struct hvctl_vmx_view *view,
                                                                     const struct hvctl_vmx_rule *rule,
                                                                     struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "nothing single-steps";
    if (!hvctl_vmx_view_held_back(view) || hvctl_vmx_view_single_step(view))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_PENDING_BS);
}

/* Bits that are always reserved are left to the first rule. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pending_rtm_bits(const struct hvctl_vmx_view *view,
                                                                     const struct hvctl_vmx_rule *rule,
                                                                     struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    finding->because = "RTM, bit 16, is set";
    if (!(finding->actual & HVCTL_PENDING_RTM))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_PENDING_ENABLED, HVCTL_PENDING_BS | HVCTL_PENDING_BLD | 0xf);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_pending_rtm_cpuid(const struct hvctl_vmx_view *view,
                                                                      const struct hvctl_vmx_rule *rule,
                                                                      struct hvctl_finding *finding)
{
    (void)rule;
    if (!(finding->actual & HVCTL_PENDING_RTM))
        return HVCTL_RULE_IDLE;
    if (!view->cpu.known)
        return HVCTL_RULE_UNCHECKED;
    finding->because = "the CPU has no RTM";
    return hvctl_demand_bits(finding, 0, view->cpu.rtm ? 0 : HVCTL_PENDING_RTM);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_pending_rtm_mov_ss(const struct hvctl_vmx_view *view,
                                                                       const struct hvctl_vmx_rule *rule,
                                                                       struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "RTM, bit 16 of the pending debug exceptions, is set";
    if (!(view->value[HVCTL_VMCS_SLOT_GUEST_PENDING_DEBUG_EXCEPTIONS] & HVCTL_PENDING_RTM))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_BLOCKING_MOV_SS);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_state_rule_at(size_t number)
{
#define HVCTL_X(id, text, check, when, slots, mask) \
    {id, HVCTL_VMX_SECTION_GUEST_OTHER, text, check, HVCTL_##when, slots, mask}
#define HVCTL_X_EVENT(id, text, check)                                            \
    {id,                                                                          \
     HVCTL_VMX_SECTION_GUEST_OTHER,                                               \
     text,                                                                        \
     check,                                                                       \
     HVCTL_ALWAYS,                                                                \
     HVCTL_RULE_2(VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, GUEST_ACTIVITY_STATE), \
     0}
#define HVCTL_X_BLOCKING(id, text, check, when, mask)                                                   \
    {id,           HVCTL_VMX_SECTION_GUEST_OTHER,                                                       \
     text,         check,                                                                               \
     HVCTL_##when, HVCTL_RULE_2(GUEST_INTERRUPTIBILITY_STATE, VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), \
     mask}
#define HVCTL_X_PENDING(id, text, check)                                                                           \
    {id,                                                                                                           \
     HVCTL_VMX_SECTION_GUEST_OTHER,                                                                                \
     text,                                                                                                         \
     check,                                                                                                        \
     HVCTL_ALWAYS,                                                                                                 \
     HVCTL_RULE_5(GUEST_PENDING_DEBUG_EXCEPTIONS, GUEST_RFLAGS, GUEST_IA32_DEBUGCTL, GUEST_INTERRUPTIBILITY_STATE, \
                  GUEST_ACTIVITY_STATE),                                                                           \
     0}
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X("GUEST.ACTIVITY.RANGE", "must be an activity state that IA32_VMX_MISC[8:6] offers",
                hvctl_vmx_rule_activity_range, ALWAYS, HVCTL_RULE_1(GUEST_ACTIVITY_STATE), 0),
        {"GUEST.ACTIVITY.HLT_DPL", HVCTL_VMX_SECTION_GUEST_OTHER, "must not be HLT unless SS.DPL is 0",
         hvctl_vmx_rule_hlt_dpl, HVCTL_ALWAYS, HVCTL_RULE_2(GUEST_ACTIVITY_STATE, GUEST_SS_ACCESS_RIGHTS), 0},
        {"GUEST.ACTIVITY.BLOCKING", HVCTL_VMX_SECTION_GUEST_OTHER, "must be active with blocking by STI or by MOV SS",
         hvctl_vmx_rule_activity_blocking, HVCTL_ALWAYS,
         HVCTL_RULE_2(GUEST_ACTIVITY_STATE, GUEST_INTERRUPTIBILITY_STATE), 0},
        HVCTL_X_EVENT("GUEST.ACTIVITY.HLT_EVENT",
                      "must not inject into HLT but an external interrupt, an NMI, #DB, #MC or a pending MTF exit",
                      hvctl_vmx_rule_hlt_event),
        HVCTL_X_EVENT("GUEST.ACTIVITY.SHUTDOWN_EVENT", "must not inject into shutdown but an NMI or #MC",
                      hvctl_vmx_rule_shutdown_event),
        HVCTL_X_EVENT("GUEST.ACTIVITY.SIPI_EVENT", "must not inject into wait-for-SIPI", hvctl_vmx_rule_sipi_event),
        HVCTL_X("GUEST.ACTIVITY.SMM_SIPI", "must not be wait-for-SIPI on an entry to SMM", hvctl_vmx_rule_smm_sipi,
                ENTRY_ENTRY_TO_SMM, HVCTL_RULE_1(GUEST_ACTIVITY_STATE), 0),
        HVCTL_X("GUEST.INTERRUPTIBILITY.RESERVED", "must have bits 31:5 clear", hvctl_vmx_rule_zeros, ALWAYS,
                HVCTL_RULE_1(GUEST_INTERRUPTIBILITY_STATE), 0xffffffe0),
        HVCTL_X("GUEST.INTERRUPTIBILITY.STI_MOVSS", "must not have blocking by STI and by MOV SS at once",
                hvctl_vmx_rule_sti_and_mov_ss, ALWAYS, HVCTL_RULE_1(GUEST_INTERRUPTIBILITY_STATE), 0),
        {"GUEST.INTERRUPTIBILITY.STI_IF", HVCTL_VMX_SECTION_GUEST_OTHER,
         "must not have blocking by STI while RFLAGS.IF is 0", hvctl_vmx_rule_sti_if, HVCTL_ALWAYS,
         HVCTL_RULE_2(GUEST_INTERRUPTIBILITY_STATE, GUEST_RFLAGS), 0},
        HVCTL_X_BLOCKING("GUEST.INTERRUPTIBILITY.EXTINT",
                         "must not have blocking by STI or MOV SS when an external interrupt is injected",
                         hvctl_vmx_rule_blocking_interrupt, ALWAYS, 0),
        HVCTL_X_BLOCKING("GUEST.INTERRUPTIBILITY.NMI_MOVSS", "must not have blocking by MOV SS when an NMI is injected",
                         hvctl_vmx_rule_blocking_nmi, ALWAYS, 2),
        HVCTL_X_BLOCKING("GUEST.INTERRUPTIBILITY.NMI_STI",
                         "must not have blocking by STI when an NMI is injected, which some CPUs let pass",
                         hvctl_vmx_rule_blocking_nmi, ALWAYS, 1),
        HVCTL_X("GUEST.INTERRUPTIBILITY.SMI", "must not have blocking by SMI outside SMM", hvctl_vmx_rule_blocking_smi,
                ALWAYS, HVCTL_RULE_1(GUEST_INTERRUPTIBILITY_STATE), 0),
        HVCTL_X("GUEST.INTERRUPTIBILITY.SMI_ENTRY", "must have blocking by SMI on an entry to SMM",
                hvctl_vmx_rule_blocking_smi_entry, ENTRY_ENTRY_TO_SMM, HVCTL_RULE_1(GUEST_INTERRUPTIBILITY_STATE), 0),
        HVCTL_X_BLOCKING("GUEST.INTERRUPTIBILITY.VNMI",
                         "must not have blocking by NMI when an NMI is injected with virtual NMIs",
                         hvctl_vmx_rule_blocking_virtual_nmi, PIN_VIRTUAL_NMIS, 8),
        HVCTL_X("GUEST.INTERRUPTIBILITY.ENCLAVE",
                "must not have enclave interruption with blocking by MOV SS, nor without SGX", hvctl_vmx_rule_enclave,
                ALWAYS, HVCTL_RULE_1(GUEST_INTERRUPTIBILITY_STATE), 0),
        HVCTL_X("GUEST.PENDING_DEBUG.RESERVED",
                "must have bits 10:4, 13, 15, 63:17 clear, and 11 without bus-lock detection",
                hvctl_vmx_rule_pending_reserved, ALWAYS, HVCTL_RULE_1(GUEST_PENDING_DEBUG_EXCEPTIONS),
                UINT64_C(0xfffffffffffea7f0)),
        HVCTL_X_PENDING("GUEST.PENDING_DEBUG.BS_SET", "must have BS, bit 14, set while a single-step trap is held back",
                        hvctl_vmx_rule_pending_bs_set),
        HVCTL_X_PENDING("GUEST.PENDING_DEBUG.BS_CLEAR",
                        "must have BS, bit 14, clear while traps are held back and nothing single-steps",
                        hvctl_vmx_rule_pending_bs_clear),
        HVCTL_X("GUEST.PENDING_DEBUG.RTM_BITS", "must have bit 12 set and 3:0, 11, 14 clear with RTM",
                hvctl_vmx_rule_pending_rtm_bits, ALWAYS, HVCTL_RULE_1(GUEST_PENDING_DEBUG_EXCEPTIONS), 0),
        HVCTL_X("GUEST.PENDING_DEBUG.RTM_CPUID", "must have RTM, bit 16, clear on a CPU without RTM",
                hvctl_vmx_rule_pending_rtm_cpuid, ALWAYS, HVCTL_RULE_1(GUEST_PENDING_DEBUG_EXCEPTIONS), 0),
        {"GUEST.PENDING_DEBUG.RTM_MOVSS", HVCTL_VMX_SECTION_GUEST_OTHER,
         "must not have blocking by MOV SS with RTM pending", hvctl_vmx_rule_pending_rtm_mov_ss, HVCTL_ALWAYS,
         HVCTL_RULE_2(GUEST_INTERRUPTIBILITY_STATE, GUEST_PENDING_DEBUG_EXCEPTIONS), 0},
    };
#undef HVCTL_X
#undef HVCTL_X_EVENT
#undef HVCTL_X_BLOCKING
#undef HVCTL_X_PENDING

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
