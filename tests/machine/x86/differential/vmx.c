/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The judge of hvctl_vmx_check: cases are checked and entered, and both must say the same. */
#include "differential.h"

#include "check.h"
#include "console.h"
#include "machine.h"
#include "memory.h"
#include "vmx_deviations.h"
#include "vmx_mutate.h"

/* How many kinds of images have each field changed alone; there are 7, the first ones being of a kind each. */
#ifndef DIFFERENTIAL_FIELD_IMAGES
#define DIFFERENTIAL_FIELD_IMAGES 1u
#endif

static struct world world;
static struct vmx_case the_case;
static struct hvctl_report report;
static struct hvctl_violation violation[RULES_MAX]; /* all that the case has, not just those that a report lists */
static unsigned violations;
static struct rule_count count[RULES_MAX];
static const struct hvctl_vmx_rule *rule_list[RULES_MAX];
static unsigned rules, memory_rules; /* from this one on they look into memory */
static struct hvctl_vmx_view view;

/* What was seen. */
static bool one_field; /* is changed at a time: what is kept is not counted, there is too much of it */
static unsigned cases, entered, mismatches, unchecked, many, unnamed, wrong_failure;
static unsigned failed[HVCTL_FAILURE_UNSPECIFIED + 1];
static unsigned guest_qualification[5], msr_qualification[5];

/* Does this CPU have the rule's field and control? */
static bool reach(const struct hvctl_vmx_rule *rule)
{
    return hvctl_vmx_can(vmx_caps(), (enum hvctl_vmx_control)rule->when)
        && hvctl_vmcs_set_has(&world.image[0].exists, rule->slot[0]);
}

/*
 * Does a VM exit write the field? SDM vol. 3, "Saving Guest State" and "Recording VM-Exit Information and Updating VM-
 * Entry Control Fields".
 */
static bool exit_writes(unsigned slot)
{
    switch (slot) {
    case HVCTL_VMCS_SLOT_VM_ENTRY_CONTROLS:
    case HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD: return true;
    default: return hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).type == HVCTL_TYPE_GUEST;
    }
}

/*
 * Writes the fields that the VMCS does not have as image has them: what the last case changed, this one, and an exit.
 */
static void load(struct hvctl_vmcs_image *image, const struct hvctl_vmcs_image *before, bool after_exit)
{
    static bool written[HVCTL_VMCS_SLOT_COUNT]; /* by an exit */
    static bool first = true;
    const struct hvctl_cpu_ops *ops = vmx_ops();
    uint32_t refused = 0;

    for (unsigned slot = 0; first && slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        written[slot] = exit_writes(slot);
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&image->exists, slot)
            && (first || image->value[slot] != before->value[slot] || (after_exit && written[slot])))
            hvctl_vmcs_set_add(&image->dirty, slot);
        else
            hvctl_vmcs_set_remove(&image->dirty, slot);
    first = false;
    hvctl_vmcs_set_remove(&image->dirty, HVCTL_VMCS_SLOT_HOST_RSP);
    for (unsigned slot = HVCTL_VMCS_SLOT_VM_INSTRUCTION_ERROR; slot < HVCTL_VMCS_SLOT_GUEST_ES_LIMIT; slot++)
        hvctl_vmcs_set_remove(&image->dirty, slot);
    if (hvctl_vmcs_store(image, ops->vmwrite, ops->ctx, &refused) != HVCTL_OK)
        panic("VMWRITE of %s", hvctl_vmcs_field_name(refused));
}

static void print_case(const struct world_result *result)
{
    char words[1024];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    print("# the CPU: error %u, reason %x, qualification %lx; the rules:\n", result->error, result->reason,
          result->qualification);
    for (unsigned i = 0; i < violations; i++) {
        text = hvpt_text_into(&buffer, words, sizeof(words));
        hvctl_violation_text(&violation[i], &text);
        print("#     %s\n", words);
    }
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&the_case.changed, slot))
            print("#     changed: %s = %lx\n", hvctl_vmcs_slot_info(slot)->name, the_case.image.value[slot]);
}

/* Lists all broken rules: the report's, or if there are more than it holds, all of them asked once more. */
static void list_violations(void)
{
    violations = hvctl_report_listed(&report);
    memcpy(violation, report.violation, violations * sizeof(violation[0]));
    if (report.broken == violations)
        return;
    many++;
    violations = 0;
    for (unsigned i = 0; i < rules; i++) {
        struct hvctl_violation *next = &violation[violations];

        if (hvctl_vmx_rule_ask(&view, rule_list[i], &next->finding) != HVCTL_RULE_BROKEN)
            continue;
        next->rule = rule_list[i]->id;
        next->text = rule_list[i]->text;
        next->failure = hvctl_vmx_section_failure(rule_list[i]->section);
        violations++;
    }
    if (violations != report.broken)
        panic("%u rules are broken, the report counts %u", violations, report.broken);
}

/* Does what the CPU did follow from these violations, taking those that are dropped as not there? */
static bool follows(const struct world_result *result, struct deviation *const *dropped)
{
    bool any = false, control_or_host = false;
    uint32_t first_msr = ~0u;

    for (unsigned i = 0; i < violations; i++) {
        if (dropped != NULL && dropped[i] != NULL)
            continue;
        any = true;
        control_or_host |= violation[i].failure <= HVCTL_FAILURE_VMFAIL_HOST;
        if (violation[i].failure == HVCTL_FAILURE_MSR_LOADING && violation[i].finding.qualification < first_msr)
            first_msr = violation[i].finding.qualification;
    }
    if (!any)
        return result->error == 0 && result->reason >> 31 == 0;
    for (unsigned i = 0; i < violations; i++) {
        if ((dropped != NULL && dropped[i] != NULL) || violation[i].failure != result->failure)
            continue;
        switch (result->failure) {
        case HVCTL_FAILURE_VMFAIL_CONTROLS:
        case HVCTL_FAILURE_VMFAIL_HOST: return true;
        case HVCTL_FAILURE_GUEST_STATE:
            if (!control_or_host && violation[i].finding.qualification == result->qualification)
                return true;
            break;
        default: return !control_or_host && result->qualification == first_msr;
        }
    }
    return false;
}

/*
 * Is it the first of the failures that the report foretells?  VMfail 7 and 8 may come in either order. What this emulator
 * is known not to look at may be passed over on the way to the next.
 */
static bool foretold(const struct world_result *result)
{
    enum hvctl_failure failure = hvctl_report_failure(&report, NULL), seen = HVCTL_FAILURE_UNSPECIFIED;

    for (unsigned i = 0; i < violations; i++)
        if (violation[i].failure < seen && vmx_deviation_ignored(&view, &violation[i]) == NULL)
            seen = violation[i].failure;
    return failure == result->failure || seen == result->failure
        || (failure <= HVCTL_FAILURE_VMFAIL_HOST && result->failure <= HVCTL_FAILURE_VMFAIL_HOST);
}

/* The number of the rule that is the only one broken; rules if it is not so. */
static unsigned only_one(void)
{
    unsigned i = 0;

    if (violations != 1)
        return rules;
    while (i < rules && rule_list[i]->id != violation[0].rule)
        i++;
    return i;
}

struct neighbour {
    const struct hvctl_vmx_rule *rule;
    unsigned slot;
};

static bool changes_view(unsigned slot)
{
    if (slot == HVCTL_VMCS_SLOT_GUEST_RFLAGS || slot == HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD)
        return true;
    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_field((enum hvctl_vmx_group)group) == hvctl_vmcs_slot_info(slot)->encoding)
            return true;
    return false;
}

/* The rule's verdict on the case with another value in a field. */
static enum hvctl_rule_result ask_field(void *ctx, uint64_t value, struct hvctl_finding *finding)
{
    const struct neighbour *of = ctx;
    uint64_t *at = &the_case.image.value[of->slot], old = *at;
    enum hvctl_rule_result result;
    struct hvctl_vmx_view other;

    *at = value;
    if (changes_view(of->slot)) {
        hvctl_vmx_view_make(&other, &the_case.image, vmx_caps(), &world.around);
        result = hvctl_vmx_rule_ask(&other, of->rule, finding);
    } else {
        result = hvctl_vmx_rule_ask(&view, of->rule, finding);
    }
    *at = old;
    return result;
}

/* The same with another value in memory. */
static enum hvctl_rule_result ask_memory(void *ctx, uint64_t value, struct hvctl_finding *finding)
{
    const struct neighbour *of = ctx;
    uint64_t old = mutate_word(&the_case);
    enum hvctl_rule_result result;

    mutate_set_word(&the_case, value);
    result = hvctl_vmx_rule_ask(&view, of->rule, finding);
    mutate_set_word(&the_case, old);
    return result;
}

static bool changed(unsigned slot)
{
    return hvctl_vmcs_set_has(&the_case.changed, slot);
}

/* Only one value keeps these, which the good images have. */
static bool has_one_value(const struct hvctl_vmx_rule *rule)
{
    return rule->check == hvctl_vmx_rule_v86_equal || rule->check == hvctl_vmx_rule_long_host;
}

/* Does the judged field itself say whether the rule applies? */
static bool applies_by_own_field(const struct hvctl_vmx_rule *rule)
{
    return rule->slot[0] == HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD
        || rule->check == hvctl_vmx_rule_sti_and_mov_ss || rule->check == hvctl_vmx_rule_cs_dpl_data;
}

static bool at_edge(unsigned number)
{
    struct neighbour of = {rule_list[number], 0};
    unsigned fields = 0, changes = 0;

    if (has_one_value(of.rule) || of.rule->check == hvctl_vmx_rule_needs || of.rule->check == hvctl_vmx_rule_excludes)
        return true; /* where the rule applies, one value of the control keeps it */
    if (number >= memory_rules && the_case.word != NULL
        && edge_is_near(mutate_word(&the_case), the_case.word_good, the_case.word_bits, true, ask_memory, &of))
        return true;
    if (of.rule->check == hvctl_vmx_rule_msr_entries)
        return false; /* another address leads to other memory, which is no neighbour */
    while (fields < HVCTL_VMX_RULE_FIELDS && of.rule->slot[fields] != HVCTL_VMX_NO_SLOT)
        changes += changed(of.rule->slot[fields++]);
    for (unsigned i = 0; i < fields; i++) {
        of.slot = of.rule->slot[i];
        if (i > 0 && !changed(of.slot))
            continue;
        if (edge_is_near(the_case.image.value[of.slot], the_case.good->value[of.slot],
                         hvctl_vmcs_width_bits(hvctl_vmcs_decode(hvctl_vmcs_slot_info(of.slot)->encoding).width),
                         changes > changed(of.slot) || applies_by_own_field(of.rule), ask_field, &of))
            return true;
    }
    return false;
}

static bool concerned(unsigned number)
{
    const uint16_t *slot = rule_list[number]->slot;

    if (number >= memory_rules && the_case.word != NULL)
        return true;
    for (unsigned k = 0; k < HVCTL_VMX_RULE_FIELDS && slot[k] != HVCTL_VMX_NO_SLOT; k++)
        if (changed(slot[k]))
            return true;
    return has_one_value(rule_list[number]);
}

/* No rule is broken, and the CPU entered: which were kept, although a field of theirs was changed? */
static void count_kept(void)
{
    for (unsigned i = 0; i < rules; i++) {
        struct hvctl_finding finding;

        if (!concerned(i) || hvctl_vmx_rule_ask(&view, rule_list[i], &finding) != HVCTL_RULE_KEPT)
            continue;
        count[i].kept++;
        if (count_looks_for_edge(&count[i]))
            count[i].edge += at_edge(i);
    }
}

/* As no rule says. Is it as a known deviation says? */
static bool deviates(const struct world_result *result)
{
    static struct deviation *dropped[RULES_MAX];
    struct deviation *extra;
    unsigned drops = 0;

    for (unsigned i = 0; i < violations; i++)
        drops += (dropped[i] = vmx_deviation_ignored(&view, &violation[i])) != NULL;
    if (drops > 0 && follows(result, dropped)) {
        for (unsigned i = 0; i < violations; i++) {
            struct deviation *one = dropped[i];

            dropped[i] = NULL; /* it counts only if it takes this one, too */
            if (one != NULL && !follows(result, dropped)) {
                dropped[i] = one;
                one->differed++;
            }
        }
        return true;
    }
    if (result->failure == HVCTL_FAILURE_NONE
        || (result->failure == HVCTL_FAILURE_GUEST_STATE && result->qualification != 0))
        return false;
    extra = vmx_deviation_extra(&view, violation, violations, result->failure);
    if (extra == NULL)
        return false;
    for (unsigned i = 0; i < violations && result->failure == HVCTL_FAILURE_GUEST_STATE; i++)
        if (violation[i].failure <= HVCTL_FAILURE_VMFAIL_HOST && dropped[i] == NULL)
            return false; /* VMfail comes first */
    extra->differed++;
    return true;
}

static void judge(const struct world_result *result)
{
    unsigned one;

    hvctl_vmx_view_make(&view, &the_case.image, vmx_caps(), &world.around);
    list_violations();
    one = only_one();
    if (!follows(result, NULL)) {
        if (deviates(result)) {
            if (one < rules)
                count[one].deviated++;
        } else if (mismatch_begin(mismatches++)) {
            print("# MISMATCH %u\n", mismatches);
            print_case(result);
        }
        return;
    }
    if (!foretold(result) && mismatch_begin(wrong_failure++)) {
        print("# NOT FORETOLD %u\n", wrong_failure);
        print_case(result);
    }
    if (one < rules) {
        struct deviation *known = vmx_deviation_ignored(&view, &violation[0]);

        count[one].alone++;
        if (vmx_deviation_extra(&view, violation, 0, HVCTL_FAILURE_NONE) != NULL)
            known = NULL; /* that may be why it failed */
        else if (known == NULL)
            known = vmx_deviation_extra(&view, violation, 1, HVCTL_FAILURE_NONE);
        if (known != NULL)
            known->agreed++;
    }
    if (result->failure == HVCTL_FAILURE_GUEST_STATE && result->qualification < 5)
        guest_qualification[result->qualification]++;
    if (result->failure == HVCTL_FAILURE_MSR_LOADING && result->qualification < 5)
        msr_qualification[result->qualification]++;
    if (violations == 0) {
        struct deviation *extra = vmx_deviation_extra(&view, violation, 0, HVCTL_FAILURE_NONE);

        if (extra != NULL)
            extra->agreed++;
        if (!one_field)
            count_kept();
    }
}

/* Checks the case, enters it, judges. */
static struct world_result run(void)
{
    static struct hvctl_vmcs_image last;
    static bool guest_ran = true;
    struct world_result result;

    hvctl_vmx_check_in(&the_case.image, vmx_caps(), &world.around, &report);
    load(&the_case.image, &last, guest_ran);
    result = world_enter(&world);
    guest_ran = result.error == 0; /* an exit, even of a failed entry, wrote fields */
    last = the_case.image;
    cases++;
    unchecked += report.unchecked;
    entered += result.error == 0 && result.reason >> 31 == 0;
    failed[result.failure]++;
    judge(&result);
    return result;
}

/* Entry failed although one field was changed: does a rule that leads to this failure name the field? */
static bool names(const struct world_result *result, unsigned slot)
{
    uint32_t field = hvctl_vmcs_slot_info(slot)->encoding;

    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_field((enum hvctl_vmx_group)group) == field)
            return violations > 0; /* a control brings rules on other fields into force */
    for (unsigned i = 0; i < violations; i++)
        for (unsigned r = 0; r < rules; r++)
            for (unsigned k = 0; rule_list[r]->id == violation[i].rule && k < HVCTL_VMX_RULE_FIELDS; k++)
                if (rule_list[r]->slot[k] == slot && violation[i].failure == result->failure)
                    return true;
    return false;
}

/* Each field of a good image, changed alone. */
static void one_field_at_a_time(const struct hvctl_vmcs_image *good, struct random *random)
{
    for (unsigned number = 0; mutate_one_field(&the_case, good, number, random); number++) {
        struct world_result result;
        unsigned slot = number / 64;

        if (!changed(slot))
            continue;
        result = run();
        if ((result.error != 0 || result.reason >> 31 != 0) && !names(&result, slot)
            && vmx_deviation_extra(&view, violation, violations, HVCTL_FAILURE_NONE) == NULL) {
            if (mismatch_begin(unnamed++))
                print_case(&result);
        }
    }
}

static void check_good_images(void)
{
    static const struct world_result none;

    for (unsigned i = 0; i < WORLD_IMAGES; i++) {
        struct world_result result;

        the_case.image = world.image[i];
        the_case.good = &world.image[i];
        the_case.word = NULL;
        hvctl_vmcs_set_clear(&the_case.changed);
        hvctl_vmx_check_in(&the_case.image, vmx_caps(), &world.around, &report);
        if (!check_equal(report.broken, 0, "good image %u: no rule is broken", i)) {
            list_violations();
            print_case(&none);
            continue;
        }
        result = run();
        if (!check_true(result.failure == HVCTL_FAILURE_NONE && result.error == 0, "good image %u: it enters", i))
            print_case(&result);
    }
}

/* Is there a rule that this CPU has, and was it seen too rarely, though it is not listed as out of reach? */
static bool one_is_wanting(void)
{
    for (unsigned i = 0; i < rules; i++)
        if (count_is_wanting(&count[i], vmx_unreachable, vmx_unreachable_count, &world.around))
            return true;
    return false;
}

void differential_vmx(void)
{
    struct random random = {UINT64_C(0x9e3779b97f4a7c15)};
    struct world_result result;
    unsigned alone;

    world_make(&world, &random);
    mutate_undo();
    while (rules < RULES_MAX && (rule_list[rules] = hvctl_vmx_rule_at(rules)) != NULL)
        rules++;
    for (unsigned i = 0; i < rules; i++) {
        count[i].id = rule_list[i]->id;
        count[i].reachable = reach(rule_list[i]);
        if (rule_list[i] == hvctl_vmx_memory_rule_at(0))
            memory_rules = i;
    }
    mutate_init(&world, count);
    check_good_images();
    one_field = true;
    for (unsigned i = 0; i < DIFFERENTIAL_FIELD_IMAGES; i++)
        one_field_at_a_time(&world.image[i], &random);
    one_field = false;
    alone = cases;
    /* How many cases show each rule often enough depends on what the model has: some more, where one is wanting */
    for (unsigned i = 0; i < 4 * DIFFERENTIAL_VMCS_CASES; i++) {
        if (i >= DIFFERENTIAL_VMCS_CASES && i % 1000 == 0 && !one_is_wanting())
            break;
        mutate(&the_case, &world, &random);
        run();
    }
    mutate_undo();
    the_case.image = world.image[0];
    the_case.good = &world.image[0];
    hvctl_vmcs_set_clear(&the_case.changed);
    result = run(); /* brings the host's state home */

    print("# %u cases, %u of them with one field changed, %u with more than %u rules broken\n", cases, alone, many,
          HVCTL_REPORT_VIOLATIONS);
    print("# %u entered; VMfail 7: %u, VMfail 8: %u, exit 33: %u, exit 34: %u\n", entered,
          failed[HVCTL_FAILURE_VMFAIL_CONTROLS], failed[HVCTL_FAILURE_VMFAIL_HOST], failed[HVCTL_FAILURE_GUEST_STATE],
          failed[HVCTL_FAILURE_MSR_LOADING]);
    print("# exit 33 by qualification: 0: %u, 1: %u, 2: %u, 3: %u, 4: %u; exit 34: 1: %u, 2: %u, 3: %u, 4: %u\n",
          guest_qualification[0], guest_qualification[1], guest_qualification[2], guest_qualification[3],
          guest_qualification[4], msr_qualification[1], msr_qualification[2], msr_qualification[3],
          msr_qualification[4]);
    check_true(result.failure == HVCTL_FAILURE_NONE && result.error == 0, "after all that a good image enters");
    check_equal(unchecked, 0, "no rule was left unchecked");
    check_equal(mismatches, 0, "checker and CPU agree in every case but the known deviations");
    check_equal(wrong_failure, 0, "the failure is the one that the report foretells");
    check_equal(unnamed, 0, "who changes one field and fails is told of this field");
    check_true(many > 0, "there were cases with more rules broken than a report lists");
    check_true(failed[HVCTL_FAILURE_VMFAIL_CONTROLS] > 0 && failed[HVCTL_FAILURE_VMFAIL_HOST] > 0, "VMfail 7 and 8");
    check_true(guest_qualification[0] > 0 && guest_qualification[2] > 0 && guest_qualification[4] > 0,
               "exit 33 with qualifications 0, 2 and 4");
    check_true(msr_qualification[1] > 0 && msr_qualification[2] > 0 && msr_qualification[3] > 0
                   && msr_qualification[4] > 0,
               "exit 34 with entries 1 to 4");
    vmx_deviations_check();
    counts_check(count, rules, vmx_unreachable, vmx_unreachable_count, &world.around);
}
