/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules evaluated on an image with unknown fields. A rule looks at few bits of the fields that it does not
 * judge, so all their possible values are tried: a verdict counts only if it is the same for all.
 */
#ifndef HVCTL_VMX_CHECK_UNKNOWN_H
#define HVCTL_VMX_CHECK_UNKNOWN_H

#include "../../hvpt/engine/attributes.h"
#include "check_controls.h"
#include "check_guest.h"
#include "check_host.h"
#include "check_injection.h"
#include "check_memory.h"
#include "check_rule.h"
#include "check_segments.h"
#include "check_state.h"
#include "check_view.h"

/* The most controls that a check looks at besides the rule's when. */
#define HVCTL_VMX_LOOKS_MAX 3

/*
 * The controls that rule's check looks at itself, in looks; HVCTL_ALWAYS after the last. A check that looks at a
 * control must be in this list: the tests flip each control that is not, and see that no verdict changes.
 */
static inline void hvctl_vmx_rule_looks(const struct hvctl_vmx_rule *rule, enum hvctl_vmx_control *looks)
{
    unsigned i, count = 0;

    for (i = 0; i < HVCTL_VMX_LOOKS_MAX; i++)
        looks[i] = HVCTL_ALWAYS;
    if (rule->check == hvctl_vmx_rule_needs || rule->check == hvctl_vmx_rule_excludes
        || rule->check == hvctl_vmx_rule_seam_ept)
        looks[count++] = (enum hvctl_vmx_control)rule->mask;
    if (rule->check == hvctl_vmx_rule_ss_rpl || rule->check == hvctl_vmx_rule_cs_type
        || rule->check == hvctl_vmx_rule_cs_type_unrestricted || rule->check == hvctl_vmx_rule_cs_dpl_data
        || rule->check == hvctl_vmx_rule_ss_dpl_rpl || rule->check == hvctl_vmx_rule_dpl_rpl
        || rule->check == hvctl_vmx_rule_error_code_required || rule->check == hvctl_vmx_rule_error_code_real
        || rule->check == hvctl_vmx_rule_error_code_vector || (rule->check == hvctl_vmx_rule_cr0_fixed && rule->mask))
        looks[count++] = HVCTL_SECONDARY_UNRESTRICTED_GUEST;
    if (rule->check == hvctl_vmx_rule_zeros_legacy || rule->check == hvctl_vmx_rule_guest_efer_lma
        || rule->check == hvctl_vmx_rule_rip_high || rule->check == hvctl_vmx_rule_rip_width
        || rule->check == hvctl_vmx_rule_rflags_vm || rule->check == hvctl_vmx_rule_tr_type
        || rule->check == hvctl_vmx_rule_tr_type_64 || rule->check == hvctl_vmx_rule_cs_db
        || rule->check == hvctl_vmx_rule_pdpte || rule->check == hvctl_vmx_rule_pdptes_memory
        || rule->check == hvctl_vmx_rule_msr_entries)
        looks[count++] = HVCTL_ENTRY_IA32E_MODE_GUEST;
    if (rule->check == hvctl_vmx_rule_pdptes_memory)
        looks[count++] = HVCTL_SECONDARY_ENABLE_EPT;
    if (rule->check == hvctl_vmx_rule_host_efer_mode || rule->check == hvctl_vmx_rule_not_null_32
        || rule->check == hvctl_vmx_rule_zeros_32 || rule->check == hvctl_vmx_rule_cet_32
        || rule->check == hvctl_vmx_rule_ones_64 || rule->check == hvctl_vmx_rule_host_rip
        || rule->check == hvctl_vmx_rule_cet_64)
        looks[count++] = HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE;
    if (rule->check == hvctl_vmx_rule_tpr_threshold || rule->check == hvctl_vmx_rule_tpr_threshold_memory)
        looks[count++] = HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY;
    if (rule->check == hvctl_vmx_rule_tpr_threshold_memory)
        looks[count++] = HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES;
    if (rule->check == hvctl_vmx_rule_pt_uses_gpa) {
        looks[count++] = HVCTL_ENTRY_LOAD_IA32_RTIT_CTL;
        looks[count++] = HVCTL_EXIT_CLEAR_IA32_RTIT_CTL;
    }
    if (rule->check == hvctl_vmx_rule_link_shadow)
        looks[count++] = HVCTL_SECONDARY_VMCS_SHADOWING;
    if (rule->check == hvctl_vmx_rule_link_current || rule->check == hvctl_vmx_rule_link_executive)
        looks[count++] = HVCTL_ENTRY_ENTRY_TO_SMM;
}

/* The slot of a group's control word. */
static inline unsigned hvctl_vmx_group_slot(unsigned group)
{
    return (unsigned)hvctl_vmcs_slot(hvctl_vmx_group_field((enum hvctl_vmx_group)group));
}

/* Add to words what decides whether control is on: its bit, and the bits that switch its word on. */
static inline void hvctl_vmx_words_need(struct hvctl_vmx_controls *words, enum hvctl_vmx_control control)
{
    while (hvctl_vmx_control_group(control) != HVCTL_GROUP_OTHER) {
        hvctl_vmx_controls_add(words, control);
        control = hvctl_vmx_group_switch(hvctl_vmx_control_group(control));
    }
}

/* The values to try for a field that a rule looks at: all settings of the bits in mask, or a short list. */
struct hvctl_vmx_trial {
    unsigned slot;
    unsigned count;  /* how many values there are */
    uint64_t mask;   /* 0: the list is used */
    uint64_t value[5];
};

static inline void hvctl_vmx_trial_bits(struct hvctl_vmx_trial *trial, uint64_t mask)
{
    uint64_t left = mask;

    trial->mask = mask;
    trial->count = 1;
    for (; left; left &= left - 1)
        trial->count *= 2;
}

static inline void hvctl_vmx_trial_list(struct hvctl_vmx_trial *trial, unsigned count, uint64_t a, uint64_t b,
                                        uint64_t c, uint64_t d)
{
    trial->mask = 0;
    trial->count = count;
    trial->value[0] = a;
    trial->value[1] = b;
    trial->value[2] = c;
    trial->value[3] = d;
}

/*
 * Choose the values to try for a field: at least one of each kind that any rule distinguishes. judged is the value of
 * the field that the rule judges, with which some rules compare it.
 */
static inline void hvctl_vmx_trial_make(struct hvctl_vmx_trial *trial, unsigned slot, uint64_t judged)
{
    trial->slot = slot;
    switch (slot) {
    case HVCTL_VMCS_SLOT_GUEST_CR0: hvctl_vmx_trial_bits(trial, HVCTL_CR0_PE | HVCTL_CR0_PG); return;
    case HVCTL_VMCS_SLOT_GUEST_CR4:
        hvctl_vmx_trial_bits(trial, HVCTL_CR4_PAE | HVCTL_CR4_FRED | HVCTL_CR4_CET);
        return;
    case HVCTL_VMCS_SLOT_HOST_CR4: hvctl_vmx_trial_bits(trial, HVCTL_CR4_CET | HVCTL_CR4_LA57); return;
    case HVCTL_VMCS_SLOT_GUEST_RFLAGS:
        hvctl_vmx_trial_bits(trial, HVCTL_RFLAGS_VM | HVCTL_RFLAGS_IF | HVCTL_RFLAGS_TF);
        return;
    case HVCTL_VMCS_SLOT_GUEST_IA32_DEBUGCTL: hvctl_vmx_trial_bits(trial, 2); return;
    case HVCTL_VMCS_SLOT_GUEST_INTERRUPTIBILITY_STATE:
        hvctl_vmx_trial_bits(trial, HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS);
        return;
    case HVCTL_VMCS_SLOT_GUEST_PENDING_DEBUG_EXCEPTIONS: hvctl_vmx_trial_bits(trial, HVCTL_PENDING_RTM); return;
    case HVCTL_VMCS_SLOT_GUEST_ACTIVITY_STATE: hvctl_vmx_trial_bits(trial, 3); return;
    case HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD:
        hvctl_vmx_trial_bits(trial, HVCTL_EVENT_INFO_VALID | HVCTL_EVENT_INFO_ERROR_CODE | 0x70b);
        return;
    case HVCTL_VMCS_SLOT_VMCS_LINK_POINTER: hvctl_vmx_trial_list(trial, 2, ~(uint64_t)0, 0, 0, 0); return;
    case HVCTL_VMCS_SLOT_EXECUTIVE_VMCS_POINTER: hvctl_vmx_trial_list(trial, 2, judged, ~judged, 0, 0); return;
    case HVCTL_VMCS_SLOT_HOST_SSP: hvctl_vmx_trial_list(trial, 2, 0, (uint64_t)1 << 63, 0, 0); return;
    case HVCTL_VMCS_SLOT_VIRTUAL_APIC_ADDRESS: hvctl_vmx_trial_list(trial, 2, 0, 0xfff, 0, 0); return;
    case HVCTL_VMCS_SLOT_LAST_PID_POINTER_INDEX: hvctl_vmx_trial_list(trial, 2, 0, 0xffff, 0, 0); return;
    case HVCTL_VMCS_SLOT_VM_EXIT_MSR_STORE_COUNT:
    case HVCTL_VMCS_SLOT_VM_EXIT_MSR_LOAD_COUNT:
    case HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_COUNT:
        hvctl_vmx_trial_list(trial, 3, 0, 1, UINT32_C(0xffffffff), 0);
        return;
    default: break;
    }
    if (slot >= HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS && slot <= HVCTL_VMCS_SLOT_GUEST_TR_ACCESS_RIGHTS) {
        hvctl_vmx_trial_bits(trial, HVCTL_RIGHTS_UNUSABLE | HVCTL_RIGHTS_LONG | 0x60 | HVCTL_RIGHTS_TYPE_MASK);
    } else if (slot >= HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR && slot <= HVCTL_VMCS_SLOT_GUEST_TR_SELECTOR) {
        hvctl_vmx_trial_list(trial, 5, 0, 1, 2, 3);
        trial->value[4] = judged >> 4 & 0xffffu; /* the selector that matches a base in virtual-8086 mode */
    } else if (slot >= HVCTL_VMCS_SLOT_GUEST_ES_LIMIT && slot <= HVCTL_VMCS_SLOT_GUEST_TR_LIMIT) {
        /* bits 11:0 all 1 or not, bits 31:20 all 0 or not */
        hvctl_vmx_trial_list(trial, 4, 0xfff, 0, UINT32_C(0xffffffff), UINT32_C(0xfff00000));
    } else {
        hvctl_vmx_trial_list(trial, 2, 0, ~(uint64_t)0, 0, 0);
    }
}

/* The value to try with this number. */
static inline uint64_t hvctl_vmx_trial_value(const struct hvctl_vmx_trial *trial, unsigned number)
{
    uint64_t left = trial->mask, value = 0;

    if (!trial->mask)
        return trial->value[number];
    for (; left; left &= left - 1, number >>= 1)
        if (number & 1u)
            value |= left & (~left + 1);
    return value;
}

#define HVCTL_VMX_TRIALS ((unsigned)HVCTL_VMX_RULE_FIELDS + HVCTL_GROUP_COUNT)

static inline bool hvctl_vmx_same_words(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Is the field that a finding is about known? A value in memory counts as known if its address is. */
static inline bool hvctl_vmx_finding_known(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_rule *rule,
                                           const struct hvctl_finding *finding)
{
    size_t length = 0;
    uint32_t encoding;

    while (finding->field[length])
        length++;
    encoding = hvctl_vmcs_field_by_name(finding->field, length);
    return encoding == (uint32_t)HVCTL_VMCS_NO_FIELD ? hvctl_vmcs_set_has(&image->known, rule->slot[0])
                                                     : hvctl_vmcs_known(image, encoding);
}

/* Reduce common to what both findings say. */
static inline void hvctl_vmx_finding_common(struct hvctl_finding *common, const struct hvctl_finding *other)
{
    if (!hvctl_vmx_same_words(common->because, other->because)) {
        common->because = NULL;
        common->control = false;
    }
    if (!hvctl_vmx_same_words(common->field, other->field))
        return;
    if (common->demand != other->demand || common->required != other->required) {
        common->demand = HVCTL_DEMAND_WORDS;
    } else if (common->demand == HVCTL_DEMAND_BITS) {
        common->ones &= other->ones;
        common->zeros &= other->zeros;
        if (!(common->ones | common->zeros))
            common->demand = HVCTL_DEMAND_WORDS;
    }
}

/* List the unknown fields that rule looks at, each with the values to try. Returns how many there are. */
static inline unsigned hvctl_vmx_trials_make(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_rule *rule,
                                             struct hvctl_vmx_trial *trial)
{
    enum hvctl_vmx_control looks[HVCTL_VMX_LOOKS_MAX];
    struct hvctl_vmx_controls words;
    unsigned count = 0, i, group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        words.word[group] = 0;
    hvctl_vmx_words_need(&words, (enum hvctl_vmx_control)rule->when);
    hvctl_vmx_rule_looks(rule, looks);
    for (i = 0; i < HVCTL_VMX_LOOKS_MAX; i++)
        hvctl_vmx_words_need(&words, looks[i]);
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        unsigned slot = hvctl_vmx_group_slot(group);

        if (words.word[group] && hvctl_vmcs_set_has(&image->exists, slot)
            && !hvctl_vmcs_set_has(&image->known, slot)) {
            trial[count].slot = slot;
            hvctl_vmx_trial_bits(&trial[count++], words.word[group]);
        }
    }
    for (i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++) {
        bool word = false;

        for (group = 0; group < HVCTL_GROUP_COUNT; group++)
            word = word || hvctl_vmx_group_slot(group) == rule->slot[i];
        if (!word && !hvctl_vmcs_set_has(&image->known, rule->slot[i]))
            hvctl_vmx_trial_make(&trial[count++], rule->slot[i], image->value[rule->slot[0]]);
    }
    return count;
}

/* A rule's verdict so far, over the trials. */
struct hvctl_vmx_verdicts {
    bool idle, kept, broken, unchecked;
    bool certain; /* the finding is about a known field */
};

static inline void hvctl_vmx_verdicts_add(struct hvctl_vmx_verdicts *so_far, enum hvctl_rule_result result,
                                          const struct hvctl_finding *this_one, bool known,
                                          struct hvctl_finding *finding)
{
    so_far->idle = so_far->idle || result == HVCTL_RULE_IDLE;
    so_far->kept = so_far->kept || result == HVCTL_RULE_KEPT;
    so_far->unchecked = so_far->unchecked || result == HVCTL_RULE_UNCHECKED;
    if (result != HVCTL_RULE_BROKEN)
        return;
    if (!so_far->broken || (known && !so_far->certain)) {
        bool first = !so_far->broken;
        struct hvctl_finding before = *finding;

        *finding = *this_one;
        if (!first)
            hvctl_vmx_finding_common(finding, &before);
    } else {
        hvctl_vmx_finding_common(finding, this_one);
    }
    so_far->broken = true;
    so_far->certain = so_far->certain || known;
}

/*
 * Evaluate one rule on an image with unknown fields. They are overwritten in work while values are tried, and are 0
 * afterwards. *finding is filled in if the result is HVCTL_RULE_BROKEN, and says nothing that depends on an unknown
 * field.
 *
 * HVCTL_RULE_BROKEN: the rule is broken whatever the unknown fields hold, and the field at fault is known.
 * HVCTL_RULE_UNKNOWN: the result depends on them. The others as from hvctl_vmx_rule_ask, for all values alike.
 */
static inline enum hvctl_rule_result hvctl_vmx_rule_ask_unknown(struct hvctl_vmcs_image *work,
                                                                const struct hvctl_vmx_caps *caps,
                                                                const struct hvctl_vmx_surroundings *around,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    struct hvctl_vmx_trial trial[HVCTL_VMX_TRIALS];
    unsigned at[HVCTL_VMX_TRIALS], count = hvctl_vmx_trials_make(work, rule, trial), i;
    struct hvctl_vmx_verdicts so_far = {false, false, false, false, false};
    bool judged_known = hvctl_vmcs_set_has(&work->known, rule->slot[0]), more = true;

    *finding = hvctl_finding_none();
    for (i = 0; i < count; i++)
        at[i] = 0;
    while (more && !(so_far.broken && (so_far.idle || so_far.kept || so_far.unchecked))
           && !(!judged_known && (so_far.kept || so_far.unchecked))) {
        struct hvctl_vmx_view view;
        struct hvctl_finding this_one;
        enum hvctl_rule_result result;

        for (i = 0; i < count; i++)
            work->value[trial[i].slot] = hvctl_vmx_trial_value(&trial[i], at[i]);
        hvctl_vmx_view_make(&view, work, caps, around);
        result = hvctl_vmx_rule_ask(&view, rule, &this_one);
        hvctl_vmx_verdicts_add(&so_far, result, &this_one,
                               result == HVCTL_RULE_BROKEN && hvctl_vmx_finding_known(work, rule, &this_one), finding);
        more = false;
        for (i = count; i-- && !more;) { /* like an odometer: the judged field, which comes first, changes last */
            at[i] = at[i] + 1 < trial[i].count ? at[i] + 1 : 0;
            more = at[i] != 0;
        }
    }
    for (i = 0; i < count; i++)
        work->value[trial[i].slot] = 0;
    if (so_far.broken)
        return so_far.certain && !so_far.idle && !so_far.kept && !so_far.unchecked ? HVCTL_RULE_BROKEN
                                                                                     : HVCTL_RULE_UNKNOWN;
    if (!so_far.kept && !so_far.unchecked)
        return HVCTL_RULE_IDLE;
    if (!judged_known)
        return HVCTL_RULE_UNKNOWN;
    return so_far.unchecked ? HVCTL_RULE_UNCHECKED : HVCTL_RULE_KEPT;
}

#endif
