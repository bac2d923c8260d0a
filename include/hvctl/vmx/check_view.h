/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Evaluates one VM-entry rule: makes the view of an image that all rules get, and completes what a check finds. */
#ifndef HVCTL_VMX_CHECK_VIEW_H
#define HVCTL_VMX_CHECK_VIEW_H

#include "../../hvpt/engine/attributes.h"
#include "check_rule.h"
#include "event.h"
#include "check_guest.h"

/* Make the view of an image; the other three must outlive it. */
static inline void hvctl_vmx_view_make(struct hvctl_vmx_view *view, const struct hvctl_vmcs_image *image,
                                       const struct hvctl_vmx_caps *caps, const struct hvctl_vmx_surroundings *around)
{
    uint64_t event = image->value[HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD];

    view->value = image->value;
    view->caps = caps;
    view->around = around;
    view->cpu = around->cpu.known ? around->cpu : hvctl_vmx_cpu_facts_of(caps);
    view->on = hvctl_vmx_controls_effective(image);
    view->beyond = hvctl_beyond(hvctl_vmx_physaddr_bits(caps));
    /* Where CPUID was not asked, the CPU is taken to have Intel 64 and the wider linear addresses. */
    view->linear_bits = caps->cpu.linear_bits ? caps->cpu.linear_bits : 57;
    view->intel64 = caps->cpu.long_mode || !caps->cpu.linear_bits;
    view->unrestricted = hvctl_vmx_view_on(view, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    view->ept = hvctl_vmx_view_on(view, HVCTL_SECONDARY_ENABLE_EPT);
    view->ia32e_guest = hvctl_vmx_view_on(view, HVCTL_ENTRY_IA32E_MODE_GUEST);
    view->host64 = hvctl_vmx_view_on(view, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    view->v86 = (image->value[HVCTL_VMCS_SLOT_GUEST_RFLAGS] & HVCTL_RFLAGS_VM) != 0;
    view->event = event & HVCTL_EVENT_INFO_VALID ? (uint32_t)event : 0;
}

/* hvctl_vmx_rule_ask, inlined into the loop over all rules. */
HVPT_INLINE enum hvctl_rule_result hvctl_vmx_rule_ask_here(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    enum hvctl_rule_result result;

    if (rule->when != HVCTL_ALWAYS && !hvctl_vmx_view_on(view, (enum hvctl_vmx_control)rule->when))
        return HVCTL_RULE_IDLE;
    finding->field = NULL;
    finding->because = NULL;
    finding->control = false;
    finding->demand = HVCTL_DEMAND_WORDS;
    finding->names = HVCTL_BITS_UNNAMED;
    finding->actual = view->value[rule->slot[0]];
    finding->ones = finding->zeros = finding->required = 0;
    finding->qualification = 0;
    result = (rule->check)(view, rule, finding);
    if (result == HVCTL_RULE_BROKEN) {
        if (!finding->field)
            finding->field = hvctl_vmcs_slot_info(rule->slot[0])->name;
        if (finding->names == HVCTL_BITS_UNNAMED)
            finding->names = hvctl_vmx_bit_names(rule->slot[0]);
        if (!finding->because && rule->when != HVCTL_ALWAYS) {
            finding->because = hvctl_vmx_control_name((enum hvctl_vmx_control)rule->when);
            finding->control = true;
        }
    }
    return result;
}

/* Evaluate one rule. *finding is filled in if the result is HVCTL_RULE_BROKEN. */
static inline enum hvctl_rule_result hvctl_vmx_rule_ask(const struct hvctl_vmx_view *view,
                                                        const struct hvctl_vmx_rule *rule,
                                                        struct hvctl_finding *finding)
{
    return hvctl_vmx_rule_ask_here(view, rule, finding);
}

#endif
