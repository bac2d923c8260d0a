/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Checks a VMCB of which some bytes are unknown, such as one read from a text: a verdict counts only if it is the same
 * whatever the unknown bytes hold.
 */
#ifndef HVCTL_SVM_KNOWN_H
#define HVCTL_SVM_KNOWN_H

#include "../../hvpt/engine/attributes.h"
#include "check.h"

/* Which bytes of a VMCB are known, a bit each. All zero: none. It takes 512 bytes. */
struct hvctl_vmcb_known {
    uint64_t word[64];
};

/* Make size bytes at offset known. */
static inline void hvctl_vmcb_known_add(struct hvctl_vmcb_known *known, unsigned offset, unsigned size)
{
    for (; size-- && offset < 4096; offset++)
        known->word[offset / 64] |= (uint64_t)1 << (offset % 64);
}

/* Are size bytes at offset known? */
static inline bool hvctl_vmcb_known_has(const struct hvctl_vmcb_known *known, unsigned offset, unsigned size)
{
    for (; size--; offset++)
        if (offset >= 4096 || !(known->word[offset / 64] >> (offset % 64) & 1u))
            return false;
    return true;
}

/* The bits that rules look at in fields other than the one that they judge. */
struct hvctl_svm_look {
    uint16_t offset;
    uint16_t size;
    uint64_t mask;
};

static inline const struct hvctl_svm_look *hvctl_svm_look_at(unsigned number)
{
    static const struct hvctl_svm_look list[] = {
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, save.efer), 8, HVCTL_EFER_LME},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, save.cr0), 8, HVCTL_CR0_PG | HVCTL_CR0_NW},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, save.cr4), 8, HVCTL_CR4_PAE | HVCTL_CR4_CET},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, save.cs.attrib), 2, HVCTL_SVM_ATTRIB_L},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, control.nested_control), 8,
         HVCTL_NESTED_NP_ENABLE | HVCTL_NESTED_SEV | HVCTL_NESTED_SEV_ES | HVCTL_NESTED_SSS_CHECK},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, control.virtual_interrupt_control), 8,
         HVCTL_VINTR_AVIC_ENABLE | HVCTL_VINTR_NMI_ENABLE},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, control.eventinj), 8, HVCTL_SVM_INJECT_VALID | 0x700},
        {(uint16_t)__builtin_offsetof(struct hvctl_vmcb, control.allowed_sev_features), 8, UINT64_C(1) << 63},
    };

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

/* Set a value of size bytes at offset, which is aligned to it. */
static inline void hvctl_vmcb_value_set(struct hvctl_vmcb *vmcb, unsigned offset, unsigned size, uint64_t value)
{
    unsigned char *at = (unsigned char *)vmcb + offset;

    switch (size) {
    case 1: *at = (unsigned char)value; break;
    case 2: *(uint16_t *)(void *)at = (uint16_t)value; break;
    case 4: *(uint32_t *)(void *)at = (uint32_t)value; break;
    default: *(uint64_t *)(void *)at = value; break;
    }
}

/*
 * Evaluate one rule, trying values for the unknown bytes of work, which are 0 afterwards. The results are those of
 * hvctl_vmx_rule_ask_unknown: HVCTL_RULE_BROKEN only if the judged field is known and no unknown value could make the
 * rule hold.
 */
static inline enum hvctl_rule_result hvctl_svm_rule_ask_known(struct hvctl_vmcb *work,
                                                              const struct hvctl_vmcb_known *known,
                                                              const struct hvctl_svm_caps *caps,
                                                              const struct hvctl_svm_surroundings *around,
                                                              const struct hvctl_svm_rule *rule,
                                                              struct hvctl_finding *finding)
{
    bool judged_known = hvctl_vmcb_known_has(known, rule->offset, rule->size);
    bool idle = false, kept = false, broken = false, unchecked = false, more = true;
    uint64_t tried[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    const struct hvctl_svm_look *look;
    unsigned i;

    *finding = hvctl_finding_none();
    while (more && !(broken && (idle || kept || unchecked)) && !(!judged_known && (kept || unchecked || broken))) {
        struct hvctl_svm_view view;
        struct hvctl_finding this_one;
        enum hvctl_rule_result result;

        for (i = 0; (look = hvctl_svm_look_at(i)) != NULL; i++)
            if (!hvctl_vmcb_known_has(known, look->offset, look->size))
                hvctl_vmcb_value_set(work, look->offset, look->size, tried[i]);
        hvctl_svm_view_make(&view, work, caps, around);
        result = hvctl_svm_rule_ask(&view, rule, &this_one);
        idle = idle || result == HVCTL_RULE_IDLE;
        kept = kept || result == HVCTL_RULE_KEPT;
        unchecked = unchecked || result == HVCTL_RULE_UNCHECKED;
        if (result == HVCTL_RULE_BROKEN) {
            if (!broken)
                *finding = this_one;
            broken = true;
        }
        more = false;
        for (i = 0; (look = hvctl_svm_look_at(i)) != NULL && !more; i++) {
            if (hvctl_vmcb_known_has(known, look->offset, look->size))
                continue;
            tried[i] = (tried[i] - look->mask) & look->mask; /* the next setting of the mask's bits */
            more = tried[i] != 0;
        }
    }
    for (i = 0; (look = hvctl_svm_look_at(i)) != NULL; i++)
        if (!hvctl_vmcb_known_has(known, look->offset, look->size))
            hvctl_vmcb_value_set(work, look->offset, look->size, 0);
    if (!judged_known)
        return kept || broken || unchecked ? HVCTL_RULE_UNKNOWN : HVCTL_RULE_IDLE;
    if (broken)
        return idle || kept || unchecked ? HVCTL_RULE_UNKNOWN : HVCTL_RULE_BROKEN;
    if (!kept && !unchecked)
        return HVCTL_RULE_IDLE;
    return unchecked ? HVCTL_RULE_UNCHECKED : HVCTL_RULE_KEPT;
}

/*
 * hvctl_svm_check_in for a VMCB with unknown bytes. Violations are listed only if they hold whatever those bytes are;
 * report->unknown counts the rules that depend on them. The unknown bytes of vmcb are overwritten while values are
 * tried, and are 0 afterwards.
 */
static inline void hvctl_svm_check_known(struct hvctl_vmcb *vmcb, const struct hvctl_vmcb_known *known,
                                         const struct hvctl_svm_caps *caps, const struct hvctl_svm_surroundings *around,
                                         struct hvctl_report *report)
{
    const struct hvctl_svm_rule *rule;
    size_t number;

    hvctl_report_clear(report);
    for (number = 0; (rule = hvctl_svm_rule_at(number)) != NULL; number++) {
        struct hvctl_finding finding;
        enum hvctl_rule_result result =
            hvctl_svm_rule_ask_known(vmcb, known, caps, around ? around : hvctl_svm_surroundings_usual(), rule,
                                     &finding);

        hvctl_report_add(report, result, rule->id, rule->section, rule->text, rule->failure, &finding);
    }
}

#endif
