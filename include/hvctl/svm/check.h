/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Why does VMRUN end with VMEXIT_INVALID? Every rule of APM vol. 2 that a VMCB can break on a CPU with given
 * capabilities is evaluated. No instruction, no allocation, fixed stack. Check before VMRUN, or check a copy:
 * VMEXIT_INVALID may overwrite the save area.
 */
#ifndef HVCTL_SVM_CHECK_H
#define HVCTL_SVM_CHECK_H

#include "../common/linkage.h"
#include "check_control.h"
#include "check_rule.h"
#include "check_save.h"

/*
 * Not checked, because no field of the VMCB decides it: the host's EFER.SVME, CPL 0 and the VMCB's own address (#UD,
 * #GP), and what only the VMSA and the reverse map table of an SEV-ES or SEV-SNP guest show.
 */

/* The rule with this number, counted from 0 through both tables; NULL after the last. */
HVCTL_API const struct hvctl_svm_rule *hvctl_svm_rule_at(size_t number);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const struct hvctl_svm_rule *hvctl_svm_rule_at(size_t number)
{
    size_t controls = 0;

    if (hvctl_svm_control_rule_at(number))
        return hvctl_svm_control_rule_at(number);
    while (hvctl_svm_control_rule_at(controls))
        controls++;
    return hvctl_svm_save_rule_at(number - controls);
}
#endif

/*
 * The offset in the VMCB of the value that a violation is about, and its size in *size; 0 and 0 if the violation is of
 * no rule of these tables. For SVM.NP.PDPE it is CR3, which leads to the PDPEs.
 */
static inline unsigned hvctl_svm_violation_offset(const struct hvctl_violation *violation, unsigned *size)
{
    const struct hvctl_svm_rule *rule;
    size_t number;

    for (number = 0; (rule = hvctl_svm_rule_at(number)) != NULL; number++) {
        if (rule->id == violation->rule) { /* the strings are the tables' own */
            *size = rule->size;
            return rule->offset;
        }
    }
    *size = 0;
    return 0;
}

/* Make the view of a VMCB, which refers to all three arguments: they must outlive it. */
static inline void hvctl_svm_view_make(struct hvctl_svm_view *view, const struct hvctl_vmcb *vmcb,
                                       const struct hvctl_svm_caps *caps, const struct hvctl_svm_surroundings *around)
{
    view->vmcb = vmcb;
    view->caps = caps;
    view->around = around;
    view->beyond = hvctl_beyond(caps->cpu.maxphyaddr ? caps->cpu.maxphyaddr : 52);
    view->long_mode = (vmcb->save.efer & HVCTL_EFER_LME) && (vmcb->save.cr0 & HVCTL_CR0_PG);
    view->code64 = view->long_mode && (vmcb->save.cs.attrib & HVCTL_SVM_ATTRIB_L);
    /* A bit has no effect if the CPU lacks the feature. */
    view->np = hvctl_svm_can(caps, HVCTL_SVM_NP) && (vmcb->control.nested_control & HVCTL_NESTED_NP_ENABLE);
    view->can_sev = around->sev_on && hvctl_sev_can(caps, HVCTL_SEV_SEV);
    view->can_sev_es = view->can_sev && hvctl_sev_can(caps, HVCTL_SEV_SEV_ES);
    view->sev = view->can_sev && (vmcb->control.nested_control & HVCTL_NESTED_SEV);
    view->sev_es = view->sev && view->can_sev_es && (vmcb->control.nested_control & HVCTL_NESTED_SEV_ES);
}

/* The environment of a hypervisor in long mode that has not set up SEV, without access to memory. */
static inline const struct hvctl_svm_surroundings *hvctl_svm_surroundings_usual(void)
{
    static const struct hvctl_svm_surroundings usual = {NULL,  NULL,  false,         false, false,
                                                        false, false, {false, 0, 0}, false, 0};

    return &usual;
}

/* Evaluate one rule. *finding is filled in if the result is HVCTL_RULE_BROKEN. */
static inline enum hvctl_rule_result hvctl_svm_rule_ask(const struct hvctl_svm_view *view,
                                                        const struct hvctl_svm_rule *rule,
                                                        struct hvctl_finding *finding)
{
    finding->field = rule->field;
    finding->because = NULL;
    finding->control = false;
    finding->demand = HVCTL_DEMAND_WORDS;
    finding->names = rule->names;
    finding->actual = hvctl_vmcb_value(view->vmcb, rule->offset, rule->size);
    finding->ones = finding->zeros = finding->required = 0;
    finding->qualification = 0;
    return (rule->check)(view, rule, finding);
}

/*
 * Evaluate every rule, and list in report those that vmcb breaks on a CPU with these capabilities. around NULL: as a
 * zeroed struct hvctl_svm_surroundings. Clean bits are ignored: the VMCB is judged as it is in memory.
 */
HVCTL_API void hvctl_svm_check_in(const struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps,
                                  const struct hvctl_svm_surroundings *around, struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_svm_check_in(const struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps,
                                  const struct hvctl_svm_surroundings *around, struct hvctl_report *report)
{
    const struct hvctl_svm_rule *rule;
    struct hvctl_svm_view view;
    size_t table, row;

    hvctl_report_clear(report);
    hvctl_svm_view_make(&view, vmcb, caps, around ? around : hvctl_svm_surroundings_usual());
    for (table = 0; table < 2; table++) {
        row = 0;
        while ((rule = table ? hvctl_svm_save_rule_at(row) : hvctl_svm_control_rule_at(row)) != NULL) {
            struct hvctl_finding finding;
            enum hvctl_rule_result result = hvctl_svm_rule_ask(&view, rule, &finding);

            if (result == HVCTL_RULE_BROKEN || result == HVCTL_RULE_UNCHECKED)
                hvctl_report_add(report, result, rule->id, rule->section, rule->text, rule->failure, &finding);
            row++;
        }
    }
}
#endif

/* hvctl_svm_check_in with around NULL. If report->broken is 0, VMRUN will enter the guest. */
HVCTL_API void hvctl_svm_check(const struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps,
                               struct hvctl_report *report);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_svm_check(const struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps,
                               struct hvctl_report *report)
{
    hvctl_svm_check_in(vmcb, caps, NULL, report);
}
#endif

#endif
