/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The checker's rules on control bits, asked of words that the solver answered. For solver.c and wanted.c. */
#ifndef PROOF_CONTROLS_H
#define PROOF_CONTROLS_H

#include <hvctl/vmx/check.h>

/* Rules that look at nothing but control words and capabilities. */
static bool about_controls(const struct hvctl_vmx_rule *rule)
{
    return rule->check == hvctl_vmx_rule_allowed || rule->check == hvctl_vmx_rule_needs
        || rule->check == hvctl_vmx_rule_excludes || rule->check == hvctl_vmx_rule_pt_uses_gpa
        || (rule->check == hvctl_vmx_rule_zeros_32 && rule->slot[0] == HVCTL_VMCS_SLOT_VM_ENTRY_CONTROLS);
}

/* The rule's verdict. The calls are written out: CBMC would look into every function that fits a pointer. */
static enum hvctl_rule_result verdict(const struct hvctl_vmx_view *view, const struct hvctl_vmx_rule *rule)
{
    struct hvctl_finding finding = hvctl_finding_none();

    if (rule->when != HVCTL_ALWAYS && !hvctl_vmx_view_on(view, (enum hvctl_vmx_control)rule->when))
        return HVCTL_RULE_IDLE;
    finding.actual = view->value[rule->slot[0]];
    if (rule->check == hvctl_vmx_rule_allowed)
        return hvctl_vmx_rule_allowed(view, rule, &finding);
    if (rule->check == hvctl_vmx_rule_needs)
        return hvctl_vmx_rule_needs(view, rule, &finding);
    if (rule->check == hvctl_vmx_rule_excludes)
        return hvctl_vmx_rule_excludes(view, rule, &finding);
    if (rule->check == hvctl_vmx_rule_pt_uses_gpa)
        return hvctl_vmx_rule_pt_uses_gpa(view, rule, &finding);
    return hvctl_vmx_rule_zeros_32(view, rule, &finding);
}

static void controls_pass(const struct hvctl_vmx_controls *words, const struct hvctl_vmx_caps *caps)
{
    static struct hvctl_vmcs_image image;
    const struct hvctl_vmx_rule *rule;
    struct hvctl_vmx_view view;
    unsigned group, asked = 0;
    size_t number;

    hvctl_vmcs_image_init(&image, caps);
    must(hvctl_vmx_controls_write(&image, words) == HVCTL_OK, "the words go into an image of this CPU");
    hvctl_vmx_view_make(&view, &image, caps, hvctl_vmx_surroundings_usual());
    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        must(view.on.word[group] == words->word[group], "and the CPU looks at each that is not 0");
    for (number = 0; (rule = hvctl_vmx_control_rule_at(number)) != NULL; number++) {
        if (!about_controls(rule))
            continue;
        asked++;
        must(verdict(&view, rule) != HVCTL_RULE_BROKEN, "no rule about control bits is broken");
    }
    for (number = 0; (rule = hvctl_vmx_host_rule_at(number)) != NULL; number++) {
        if (!about_controls(rule))
            continue;
        asked++;
        must(verdict(&view, rule) != HVCTL_RULE_BROKEN, "nor one about the width of addresses");
    }
    must(asked > 30, "these are the rules of the tables");
}

#endif
