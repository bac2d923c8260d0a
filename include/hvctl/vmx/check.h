/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Why would, or did, this VM entry fail? Every rule of SDM vol. 3, "VM Entries", that a VMCS can break on a CPU with
 * given capabilities is evaluated. No instruction, no allocation, fixed stack: it can be called right after a failed
 * entry.
 */
#ifndef HVCTL_VMX_CHECK_H
#define HVCTL_VMX_CHECK_H

#include "../common/linkage.h"
#include "../../hvpt/engine/attributes.h"
#include "check_controls.h"
#include "check_guest.h"
#include "check_host.h"
#include "check_injection.h"
#include "check_memory.h"
#include "check_rule.h"
#include "check_segments.h"
#include "check_state.h"
#include "check_unknown.h"
#include "check_view.h"
#include "exit.h"

/*
 * Not checked, because no field decides it: that the CPU is in VMX root operation at CPL 0 outside compatibility mode,
 * that there is a current VMCS which is no shadow, MOV SS before the instruction, and the launch state (VM-instruction
 * errors 4, 5 and 26).
 */

/* A row of a table of rules, which are numbered 0 to 6 in the order of the manual's kinds; NULL after the last row. */
HVPT_INLINE const struct hvctl_vmx_rule *hvctl_vmx_rule_in(unsigned table, size_t number)
{
    switch (table) {
    case 0: return hvctl_vmx_control_rule_at(number);
    case 1: return hvctl_vmx_injection_rule_at(number);
    case 2: return hvctl_vmx_host_rule_at(number);
    case 3: return hvctl_vmx_guest_rule_at(number);
    case 4: return hvctl_vmx_segment_rule_at(number);
    case 5: return hvctl_vmx_state_rule_at(number);
    case 6: return hvctl_vmx_memory_rule_at(number);
    default: return NULL;
    }
}

#define HVCTL_VMX_RULE_TABLES 7u

/*
 * The rule with this number, counted from 0 through all tables; NULL after the last. It takes time in proportion to
 * number.
 */
HVCTL_API const struct hvctl_vmx_rule *hvctl_vmx_rule_at(size_t number);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const struct hvctl_vmx_rule *hvctl_vmx_rule_at(size_t number)
{
    unsigned table;

    for (table = 0; table < HVCTL_VMX_RULE_TABLES; table++) {
        size_t row;

        for (row = 0; hvctl_vmx_rule_in(table, row); row++)
            if (number-- == 0)
                return hvctl_vmx_rule_in(table, row);
    }
    return NULL;
}
#endif

/*
 * The encoding of the field whose value a violation is about; HVCTL_VMCS_NO_FIELD: that value is in memory, a PDPTE or
 * an entry of the MSR-load area. Takes time in proportion to the list of fields.
 */
static inline uint32_t hvctl_vmx_violation_encoding(const struct hvctl_violation *violation)
{
    size_t length = 0;

    while (violation->finding.field[length])
        length++;
    return hvctl_vmcs_field_by_name(violation->finding.field, length);
}

/* The failure that the CPU reported. code: a VM-instruction error (below 80000000H), or EXIT_REASON with bit 31. */
static inline enum hvctl_failure hvctl_vmx_failure_of(uint32_t code)
{
    switch (code >> 31 ? code & UINT32_C(0x8000ffff) : code) { /* bits 30:16 are about the exit, not its reason */
    case 7: return HVCTL_FAILURE_VMFAIL_CONTROLS;
    case 8: return HVCTL_FAILURE_VMFAIL_HOST;
    case UINT32_C(0x80000021): return HVCTL_FAILURE_GUEST_STATE;
    case UINT32_C(0x80000022): return HVCTL_FAILURE_MSR_LOADING;
    default: return HVCTL_FAILURE_NONE;
    }
}

/* How well a violation matches what the CPU reported. */
enum hvctl_vmx_fit {
    HVCTL_VMX_FIT_NOT,
    HVCTL_VMX_FIT_FAILURE, /* the failure is the same; the qualification of the VM exit is not */
    HVCTL_VMX_FIT_EXACTLY
};

static inline enum hvctl_vmx_fit hvctl_vmx_fit_of(enum hvctl_failure failure, uint32_t qualification,
                                                  enum hvctl_failure said, uint64_t said_qualification)
{
    if (failure != said)
        return HVCTL_VMX_FIT_NOT;
    if (said >= HVCTL_FAILURE_GUEST_STATE && qualification != said_qualification)
        return HVCTL_VMX_FIT_FAILURE;
    return HVCTL_VMX_FIT_EXACTLY;
}

/* Add rule's result to report if it has this fit; a rule that cannot be judged counts as no fit. */
static inline void hvctl_vmx_report_fitting(const struct hvctl_vmx_rule *rule, enum hvctl_rule_result result,
                                            const struct hvctl_finding *finding, enum hvctl_failure said,
                                            uint64_t qualification, enum hvctl_vmx_fit fit, struct hvctl_report *report)
{
    enum hvctl_failure failure = hvctl_vmx_section_failure(rule->section);
    enum hvctl_vmx_fit this_fit = HVCTL_VMX_FIT_NOT;

    if (result == HVCTL_RULE_BROKEN)
        this_fit = hvctl_vmx_fit_of(failure, finding->qualification, said, qualification);
    if (this_fit == fit
        && (result == HVCTL_RULE_BROKEN || result == HVCTL_RULE_UNCHECKED || result == HVCTL_RULE_UNKNOWN))
        hvctl_report_add(report, result, rule->id, hvctl_vmx_section_title(rule->section), rule->text, failure,
                         finding);
}

/*
 * Evaluate every rule, and add to report the violations of this fit. A caller that wants all of them calls it for each
 * fit, the most important first, because the report keeps only the first ones.
 */
static inline void hvctl_vmx_check_fitting(const struct hvctl_vmx_view *view, enum hvctl_failure said,
                                           uint64_t qualification, enum hvctl_vmx_fit fit, struct hvctl_report *report)
{
    unsigned table;

    for (table = 0; table < HVCTL_VMX_RULE_TABLES; table++) {
        const struct hvctl_vmx_rule *rule;
        size_t row = 0;

        while ((rule = hvctl_vmx_rule_in(table, row++)) != NULL) {
            struct hvctl_finding finding;
            enum hvctl_rule_result result = hvctl_vmx_rule_ask_here(view, rule, &finding);

            if (result >= HVCTL_RULE_BROKEN)
                hvctl_vmx_report_fitting(rule, result, &finding, said, qualification, fit, report);
        }
    }
}

/*
 * The same for an image with unknown fields. It is a function of its own because it needs a copy of the image on the
 * stack, for which other callers should not pay.
 */
HVPT_FUNCTION void hvctl_vmx_check_unknown_fitting(const struct hvctl_vmcs_image *image,
                                                          const struct hvctl_vmx_caps *caps,
                                                          const struct hvctl_vmx_surroundings *around,
                                                          enum hvctl_failure said, uint64_t qualification,
                                                          enum hvctl_vmx_fit fit, struct hvctl_report *report)
{
    struct hvctl_vmcs_image work = *image;
    unsigned table;

    for (table = 0; table < HVCTL_VMX_RULE_TABLES; table++) {
        const struct hvctl_vmx_rule *rule;
        size_t row = 0;

        while ((rule = hvctl_vmx_rule_in(table, row++)) != NULL) {
            struct hvctl_finding finding;
            enum hvctl_rule_result result = hvctl_vmx_rule_ask_unknown(&work, caps, around, rule, &finding);

            hvctl_vmx_report_fitting(rule, result, &finding, said, qualification, fit, report);
        }
    }
}

/* The environment of a hypervisor in IA-32e mode outside SMM, without access to memory. */
static inline const struct hvctl_vmx_surroundings *hvctl_vmx_surroundings_usual(void)
{
    static const struct hvctl_vmx_surroundings usual = {NULL,  NULL,  false, false,
                                                        false, false, 0,     {false, false, false, false, false, 0}};

    return &usual;
}

/*
 * Evaluate every rule, and list in report those that image breaks on a CPU with these capabilities. around NULL: as a
 * zeroed struct hvctl_vmx_surroundings; rules that need memory are then listed as not checked. caps must be those of
 * the CPU that enters, and image must hold what its VMCS holds. Fields that this CPU lacks are ignored, as the CPU
 * would ignore them. It may be called anywhere.
 *
 * For an image with unknown fields (hvctl_vmcs_image_init_unknown), violations are listed only if they hold whatever
 * those fields are; report->unknown counts the rules that depend on them. That takes 2 KiB of stack.
 */
HVCTL_API void hvctl_vmx_check_in(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                  const struct hvctl_vmx_surroundings *around, struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_check_in(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                  const struct hvctl_vmx_surroundings *around, struct hvctl_report *report)
{
    struct hvctl_vmx_view view;

    hvctl_report_clear(report);
    if (!hvctl_vmcs_whole(image)) {
        hvctl_vmx_check_unknown_fitting(image, caps, around ? around : hvctl_vmx_surroundings_usual(),
                                        HVCTL_FAILURE_NONE, 0, HVCTL_VMX_FIT_NOT, report);
        return;
    }
    hvctl_vmx_view_make(&view, image, caps, around ? around : hvctl_vmx_surroundings_usual());
    hvctl_vmx_check_fitting(&view, HVCTL_FAILURE_NONE, 0, HVCTL_VMX_FIT_NOT, report);
}
#endif

/* hvctl_vmx_check_in with around NULL. If report->broken is 0, nothing prevents VM entry. */
HVCTL_API void hvctl_vmx_check(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                               struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_check(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                               struct hvctl_report *report)
{
    hvctl_vmx_check_in(image, caps, NULL, report);
}
#endif

/* How the broken rules match what the CPU reported. */
enum hvctl_explanation {
    HVCTL_EXPLAINED,           /* a broken rule leads to what the CPU reported */
    HVCTL_EXPLAINED_OTHERWISE, /* rules are broken, but they lead to another failure or qualification */
    HVCTL_UNEXPLAINED,         /* the CPU failed, and no rule is broken */
    HVCTL_NOT_OF_THE_FIELDS, /* what the CPU reported is not about the VMCS's fields: launch state, MOV SS, ... */
    HVCTL_NO_FAILURE         /* code is no failure */
};

/* A sentence without a full stop; never NULL. */
static inline const char *hvctl_explanation_text(enum hvctl_explanation explanation)
{
    switch (explanation) {
    case HVCTL_EXPLAINED: return "this is why";
    case HVCTL_EXPLAINED_OTHERWISE: return "the rules that are broken would lead to another failure or qualification";
    case HVCTL_UNEXPLAINED:
        return "no rule that was checked is broken; is the image what the VMCS holds, and caps of this CPU?";
    case HVCTL_NOT_OF_THE_FIELDS: return "this failure is not about the fields of the VMCS";
    case HVCTL_NO_FAILURE: return "this is no failure of VM entry";
    }
    return "unknown";
}

/* Which of the two numbers a code is; both begin at 0, and 7 and 8 have a meaning in each. */
enum hvctl_vmx_code {
    HVCTL_CODE_EXIT_REASON,      /* EXIT_REASON; bit 31 set: VM entry failed */
    HVCTL_CODE_INSTRUCTION_ERROR /* VM_INSTRUCTION_ERROR, after VMfailValid */
};

/*
 * Explain why a VM entry ended as kind and code say. qualification is EXIT_QUALIFICATION with an exit reason, and
 * ignored with an error. The image holds the VMCS as it was entered. report has all broken rules: first those that lead
 * to what the CPU reported, then those with the same failure and another qualification, then the rest. Otherwise as
 * hvctl_vmx_check_in.
 */
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_in(const struct hvctl_vmcs_image *image,
                                                      const struct hvctl_vmx_caps *caps,
                                                      const struct hvctl_vmx_surroundings *around,
                                                      enum hvctl_vmx_code kind, uint32_t code, uint64_t qualification,
                                                      struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_in(const struct hvctl_vmcs_image *image,
                                                      const struct hvctl_vmx_caps *caps,
                                                      const struct hvctl_vmx_surroundings *around,
                                                      enum hvctl_vmx_code kind, uint32_t code, uint64_t qualification,
                                                      struct hvctl_report *report)
{
    bool failed = kind == HVCTL_CODE_EXIT_REASON ? code >> 31 != 0 : hvctl_vmx_instruction_error_text(code) != NULL;
    enum hvctl_failure said = failed ? hvctl_vmx_failure_of(code) : HVCTL_FAILURE_NONE;
    bool fits = false;
    unsigned fit = HVCTL_VMX_FIT_EXACTLY;

    if (!around)
        around = hvctl_vmx_surroundings_usual();
    hvctl_report_clear(report);
    for (;; fit--) {
        if (hvctl_vmcs_whole(image)) {
            struct hvctl_vmx_view view;

            hvctl_vmx_view_make(&view, image, caps, around);
            hvctl_vmx_check_fitting(&view, said, qualification, (enum hvctl_vmx_fit)fit, report);
        } else {
            hvctl_vmx_check_unknown_fitting(image, caps, around, said, qualification, (enum hvctl_vmx_fit)fit, report);
        }
        if (fit == HVCTL_VMX_FIT_EXACTLY)
            fits = report->broken != 0;
        if (fit == HVCTL_VMX_FIT_NOT)
            break;
    }
    if (said == HVCTL_FAILURE_NONE)
        return failed ? HVCTL_NOT_OF_THE_FIELDS : HVCTL_NO_FAILURE;
    return fits ? HVCTL_EXPLAINED : report->broken ? HVCTL_EXPLAINED_OTHERWISE : HVCTL_UNEXPLAINED;
}
#endif

/*
 * The same for a failure that is known to have happened: a code with bit 31 is EXIT_REASON, one without is
 * VM_INSTRUCTION_ERROR. Do not call it with the reason of a normal exit.
 */
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_failure_in(const struct hvctl_vmcs_image *image,
                                                              const struct hvctl_vmx_caps *caps,
                                                              const struct hvctl_vmx_surroundings *around,
                                                              uint32_t code, uint64_t qualification,
                                                              struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_failure_in(const struct hvctl_vmcs_image *image,
                                                              const struct hvctl_vmx_caps *caps,
                                                              const struct hvctl_vmx_surroundings *around,
                                                              uint32_t code, uint64_t qualification,
                                                              struct hvctl_report *report)
{
    return hvctl_vmx_explain_in(image, caps, around,
                                code >> 31 ? HVCTL_CODE_EXIT_REASON : HVCTL_CODE_INSTRUCTION_ERROR, code, qualification,
                                report);
}
#endif

/* hvctl_vmx_explain_failure_in with around NULL. */
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_failure(const struct hvctl_vmcs_image *image,
                                                           const struct hvctl_vmx_caps *caps, uint32_t code,
                                                           uint64_t qualification, struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_explanation hvctl_vmx_explain_failure(const struct hvctl_vmcs_image *image,
                                                           const struct hvctl_vmx_caps *caps, uint32_t code,
                                                           uint64_t qualification, struct hvctl_report *report)
{
    return hvctl_vmx_explain_failure_in(image, caps, NULL, code, qualification, report);
}
#endif

/*
 * Put what the CPU reported and what the rules say as lines of text: the failure in words, whether the rules explain
 * it, and the report, each violation with its section of the manual. The arguments are those of
 * hvctl_vmx_explain_failure, with what it returned and filled in. Lines are up to about 250 bytes.
 */
HVCTL_API void hvctl_vmx_explanation_text(enum hvctl_explanation explanation, uint32_t code, uint64_t qualification,
                                          const struct hvctl_report *report, const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_explanation_text(enum hvctl_explanation explanation, uint32_t code, uint64_t qualification,
                                          const struct hvctl_report *report, const struct hvpt_text *text)
{
    const char *words =
        code >> 31 ? hvctl_vmx_exit_reason_words(code & 0xffffu) : hvctl_vmx_instruction_error_text(code);
    bool besides = false;
    unsigned i;

    hvpt_text_string(text, code >> 31 ? "exit reason " : "VM-instruction error ");
    if (code >> 31) {
        hvpt_text_hex(text, code);
        hvpt_text_string(text, ", qualification ");
        hvpt_text_decimal(text, qualification);
    } else {
        hvpt_text_decimal(text, code);
    }
    if (words) {
        hvpt_text_string(text, " (");
        hvpt_text_string(text, words);
        hvpt_text_string(text, ")");
    }
    hvpt_text_string(text, ": ");
    hvpt_text_string(text, hvctl_explanation_text(explanation));
    hvpt_text_string(text, "\n");
    for (i = 0; i < hvctl_report_listed(report); i++) {
        const struct hvctl_violation *violation = &report->violation[i];

        if (explanation == HVCTL_EXPLAINED && !besides
            && hvctl_vmx_fit_of(violation->failure, violation->finding.qualification, hvctl_vmx_failure_of(code),
                                qualification)
                   != HVCTL_VMX_FIT_EXACTLY) {
            besides = true;
            hvpt_text_string(text, "besides, for the next attempt:\n");
        }
        hvctl_violation_text(violation, text);
        hvpt_text_string(text, ": ");
        hvpt_text_string(text, hvctl_failure_text(violation->failure));
        hvpt_text_string(text, "; SDM vol. 3, ");
        hvpt_text_string(text, violation->section);
        hvpt_text_string(text, "\n");
    }
    hvctl_report_rest_text(report, text);
}
#endif

#undef HVCTL_RULE_1
#undef HVCTL_RULE_2
#undef HVCTL_RULE_3
#undef HVCTL_RULE_4
#undef HVCTL_RULE_5

#endif
