/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on event injection, which apply if the event is valid. A violation makes VM entry end with VMfail 7.
 * SDM vol. 3, "Checks on VMX Controls", "VM-Entry Control Fields".
 */
#ifndef HVCTL_VMX_CHECK_INJECTION_H
#define HVCTL_VMX_CHECK_INJECTION_H

#include "check_rule.h"
#include "event.h"

static inline unsigned hvctl_vmx_view_event_type(const struct hvctl_vmx_view *view)
{
    return view->event >> 8 & 7u;
}

static inline unsigned hvctl_vmx_view_event_vector(const struct hvctl_vmx_view *view)
{
    return view->event & 0xffu;
}

/* Is an event of this type to be injected? */
static inline bool hvctl_vmx_view_injects(const struct hvctl_vmx_view *view, enum hvctl_event_type type)
{
    return view->event != 0 && hvctl_vmx_view_event_type(view) == (unsigned)type;
}

/*
 * Does a hardware exception with this vector have an error code, by the rule? #CP, which came later, is not among them.
 */
static inline bool hvctl_vmx_vector_has_error_code(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_reserved_type(const struct hvctl_vmx_view *view,
                                                                        const struct hvctl_vmx_rule *rule,
                                                                        struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    if (!view->event)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(!hvctl_vmx_view_injects(view, HVCTL_EVENT_RESERVED));
}

static inline bool hvctl_vmx_view_has_mtf(const struct hvctl_vmx_view *view)
{
    return hvctl_vmx_can(view->caps, HVCTL_PRIMARY_MONITOR_TRAP_FLAG);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_other_type(const struct hvctl_vmx_view *view,
                                                                     const struct hvctl_vmx_rule *rule,
                                                                     struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_OTHER))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_vmx_view_has_mtf(view) || view->caps->cpu.fred);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_nmi(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_NMI))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_vmx_view_event_vector(view) == 2);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_exception(const struct hvctl_vmx_view *view,
                                                                    const struct hvctl_vmx_rule *rule,
                                                                    struct hvctl_finding *finding)
{
    (void)rule;
    (void)finding;
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_vmx_view_event_vector(view) <= 31);
}

/* Type 7, where it may be used at all: vector 0 is a pending MTF exit, 1 and 2 are FRED's SYSCALL and SYSENTER. */
static inline enum hvctl_rule_result hvctl_vmx_rule_event_other_vector(const struct hvctl_vmx_view *view,
                                                                       const struct hvctl_vmx_rule *rule,
                                                                       struct hvctl_finding *finding)
{
    unsigned vector = hvctl_vmx_view_event_vector(view);
    bool fred = (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_CR4_FRED) != 0;

    (void)finding;
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_OTHER) || !(hvctl_vmx_view_has_mtf(view) || view->caps->cpu.fred))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words((vector == 0 && hvctl_vmx_view_has_mtf(view)) || (fred && (vector == 1 || vector == 2)));
}

/* Does the CPU accept every hardware exception with or without an error code? */
static inline bool hvctl_vmx_any_error_code(const struct hvctl_vmx_view *view)
{
    return (view->caps->basic & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE) != 0;
}

static inline bool hvctl_vmx_view_real_mode(const struct hvctl_vmx_view *view)
{
    return view->unrestricted && !(view->value[HVCTL_VMCS_SLOT_GUEST_CR0] & HVCTL_CR0_PE);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_error_code_required(const struct hvctl_vmx_view *view,
                                                                        const struct hvctl_vmx_rule *rule,
                                                                        struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "this exception has an error code in protected mode";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION) || hvctl_vmx_view_real_mode(view)
        || hvctl_vmx_any_error_code(view) || !hvctl_vmx_vector_has_error_code(hvctl_vmx_view_event_vector(view)))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_EVENT_INFO_ERROR_CODE, 0);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_error_code_type(const struct hvctl_vmx_view *view,
                                                                    const struct hvctl_vmx_rule *rule,
                                                                    struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "only hardware exceptions have an error code";
    if (!view->event || hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_EVENT_INFO_ERROR_CODE);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_error_code_real(const struct hvctl_vmx_view *view,
                                                                    const struct hvctl_vmx_rule *rule,
                                                                    struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "no error code in real mode";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION) || !hvctl_vmx_view_real_mode(view))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_EVENT_INFO_ERROR_CODE);
}

/* The rule above covers real mode. */
static inline enum hvctl_rule_result hvctl_vmx_rule_error_code_vector(const struct hvctl_vmx_view *view,
                                                                      const struct hvctl_vmx_rule *rule,
                                                                      struct hvctl_finding *finding)
{
    unsigned vector = hvctl_vmx_view_event_vector(view);

    (void)rule;
    finding->because = "this exception has no error code";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION) || hvctl_vmx_view_real_mode(view)
        || hvctl_vmx_any_error_code(view) || vector > 31 || hvctl_vmx_vector_has_error_code(vector))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_EVENT_INFO_ERROR_CODE);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_nested(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)rule;
    if (!view->event)
        return HVCTL_RULE_IDLE;
    if ((view->caps->basic & HVCTL_VMX_BASIC_NESTED_EXCEPTION)
        && hvctl_vmx_view_injects(view, HVCTL_EVENT_HARDWARE_EXCEPTION))
        return HVCTL_RULE_KEPT;
    return hvctl_demand_bits(finding, 0, HVCTL_EVENT_INFO_NESTED);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_reserved(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    return view->event ? hvctl_demand_bits(finding, 0, rule->mask) : HVCTL_RULE_IDLE;
}

/* Editions of the manual before 2020 say bits 31:15. */
static inline enum hvctl_rule_result hvctl_vmx_rule_error_code_high(const struct hvctl_vmx_view *view,
                                                                    const struct hvctl_vmx_rule *rule,
                                                                    struct hvctl_finding *finding)
{
    if (!(view->event & HVCTL_EVENT_INFO_ERROR_CODE))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_event_length(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    unsigned type = hvctl_vmx_view_event_type(view), vector = hvctl_vmx_view_event_vector(view);
    bool software = (type >= 4 && type <= 6) || (type == 7 && (vector == 1 || vector == 2));

    (void)rule;
    if (!view->event || !software)
        return HVCTL_RULE_IDLE;
    finding->because = "a software event has an instruction's length";
    if (finding->actual == 0 && !(view->caps->misc & HVCTL_VMX_MISC_ZERO_LENGTH_INJECTION))
        return hvctl_demand_not_equal(finding, 0);
    return hvctl_demand_at_most(finding, 15);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_injection_rule_at(size_t number)
{
#define HVCTL_X_EVENT(id, text, check, mask)                                                                         \
    {id,  HVCTL_VMX_SECTION_ENTRY, text, check, HVCTL_ALWAYS, HVCTL_RULE_1(VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), \
     mask}
#define HVCTL_X_EVENT_CR0(id, text, check)                             \
    {id,                                                               \
     HVCTL_VMX_SECTION_ENTRY,                                          \
     text,                                                             \
     check,                                                            \
     HVCTL_ALWAYS,                                                     \
     HVCTL_RULE_2(VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, GUEST_CR0), \
     0}
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X_EVENT("CTRL.INJECT.TYPE_RESERVED", "must not have event type 1", hvctl_vmx_rule_event_reserved_type, 0),
        HVCTL_X_EVENT("CTRL.INJECT.TYPE_OTHER", "must not have event type 7 where the CPU has no monitor trap flag",
                      hvctl_vmx_rule_event_other_type, 0),
        HVCTL_X_EVENT("CTRL.INJECT.NMI_VECTOR", "must have vector 2 for an NMI", hvctl_vmx_rule_event_nmi, 0),
        HVCTL_X_EVENT("CTRL.INJECT.EXCEPTION_VECTOR", "must have a vector up to 31 for a hardware exception",
                      hvctl_vmx_rule_event_exception, 0),
        {"CTRL.INJECT.OTHER_VECTOR", HVCTL_VMX_SECTION_ENTRY,
         "must have vector 0 for event type 7, or 1 or 2 with CR4.FRED", hvctl_vmx_rule_event_other_vector,
         HVCTL_ALWAYS, HVCTL_RULE_2(VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, GUEST_CR4), 0},
        HVCTL_X_EVENT_CR0("CTRL.INJECT.ERROR_CODE_REQUIRED",
                          "must deliver an error code with #DF, #TS, #NP, #SS, #GP, #PF or #AC in protected mode",
                          hvctl_vmx_rule_error_code_required),
        HVCTL_X_EVENT("CTRL.INJECT.ERROR_CODE_TYPE", "must not deliver an error code but with a hardware exception",
                      hvctl_vmx_rule_error_code_type, 0),
        HVCTL_X_EVENT_CR0("CTRL.INJECT.ERROR_CODE_REAL", "must not deliver an error code in real mode",
                          hvctl_vmx_rule_error_code_real),
        HVCTL_X_EVENT_CR0("CTRL.INJECT.ERROR_CODE_VECTOR",
                          "must not deliver an error code with an exception that has none",
                          hvctl_vmx_rule_error_code_vector),
        HVCTL_X_EVENT("CTRL.INJECT.NESTED",
                      "must have bit 13 clear but for a hardware exception where IA32_VMX_BASIC[58] is 1",
                      hvctl_vmx_rule_event_nested, 0),
        HVCTL_X_EVENT("CTRL.INJECT.RESERVED", "must have bits 30:14 and 12 clear", hvctl_vmx_rule_event_reserved,
                      0x7fffd000),
        {"CTRL.INJECT.ERROR_CODE_HIGH", HVCTL_VMX_SECTION_ENTRY, "must have bits 31:16 clear",
         hvctl_vmx_rule_error_code_high, HVCTL_ALWAYS,
         HVCTL_RULE_2(VM_ENTRY_EXCEPTION_ERROR_CODE, VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0xffff0000},
        {"CTRL.INJECT.LENGTH", HVCTL_VMX_SECTION_ENTRY,
         "must be 1 to 15 for a software event, or 0 where IA32_VMX_MISC[30] is 1", hvctl_vmx_rule_event_length,
         HVCTL_ALWAYS, HVCTL_RULE_2(VM_ENTRY_INSTRUCTION_LENGTH, VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0},
    };
#undef HVCTL_X_EVENT
#undef HVCTL_X_EVENT_CR0

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
