/* The judge of hvctl_vmx_check: cases are checked and entered, and both must say the same. */
#include "differential.h"

#include "check.h"
#include "console.h"
#include "machine.h"
#include "memory.h"
#include "vmx_deviations.h"
#include "vmx_mutate.h"

static struct world world;
static struct vmx_case the_case;
static struct hvctl_report report;
static struct rule_count count[RULES_MAX];
static const struct hvctl_vmx_rule *rule_list[RULES_MAX];
static unsigned rules, mismatches;

/* Can this CPU break or keep the rule at all? */
static void reach(unsigned number)
{
    const struct hvctl_vmx_rule *rule = rule_list[number];

    count[number].id = rule->id;
    count[number].reachable = hvctl_vmx_can(vmx_caps(), (enum hvctl_vmx_control)rule->when)
                           && hvctl_vmcs_set_has(&world.image[0].exists, rule->slot[0]);
    count[number].why = "this CPU has neither the field nor the control";
}

/* The fields to write again: all, after a guest has run; else what the last case and this one change. */
static void load(struct hvctl_vmcs_image *image, const struct hvctl_vmcs_image *before, bool all)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    uint32_t failed = 0;

    if (all) {
        hvctl_vmcs_touch_all(image);
    } else {
        for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
            if (image->value[slot] != before->value[slot])
                hvctl_vmcs_set_add(&image->dirty, slot);
            else
                hvctl_vmcs_set_remove(&image->dirty, slot);
    }
    hvctl_vmcs_set_remove(&image->dirty, HVCTL_VMCS_SLOT_HOST_RSP);
    for (unsigned slot = HVCTL_VMCS_SLOT_VM_INSTRUCTION_ERROR; slot < HVCTL_VMCS_SLOT_GUEST_ES_LIMIT; slot++)
        hvctl_vmcs_set_remove(&image->dirty, slot);
    if (hvctl_vmcs_store(image, ops->vmwrite, ops->ctx, &failed) != HVCTL_OK)
        panic("VMWRITE of %s", hvctl_vmcs_field_name(failed));
}

static void print_report(const struct world_result *result)
{
    char words[1024];
    struct hvctl_text_buffer buffer;
    struct hvctl_text text = hvctl_text_into(&buffer, words, sizeof(words));

    print("# the CPU: error %u, reason %x, qualification %lx; the rules:\n", result->error, result->reason,
          result->qualification);
    for (unsigned i = 0; i < hvctl_report_listed(&report); i++) {
        text = hvctl_text_into(&buffer, words, sizeof(words));
        hvctl_violation_text(&report.violation[i], &text);
        print("#     %s\n", words);
    }
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&the_case.changed, slot))
            print("#     changed: %s = %lx\n", hvctl_vmcs_slot_info(slot)->name, the_case.image.value[slot]);
}

/* Does what the CPU did follow from these violations, taking those with drop set as not there? */
static bool follows(const struct world_result *result, uint32_t drop)
{
    bool any = false, control_or_host = false;
    uint32_t first_msr = ~0u;

    for (unsigned i = 0; i < hvctl_report_listed(&report); i++) {
        const struct hvctl_violation *violation = &report.violation[i];

        if (drop >> i & 1)
            continue;
        any = true;
        control_or_host |= violation->failure <= HVCTL_FAILURE_VMFAIL_HOST;
        if (violation->failure == HVCTL_FAILURE_MSR_LOADING && violation->finding.qualification < first_msr)
            first_msr = violation->finding.qualification;
    }
    if (!any)
        return result->error == 0 && result->reason >> 31 == 0;
    for (unsigned i = 0; i < hvctl_report_listed(&report); i++) {
        const struct hvctl_violation *violation = &report.violation[i];

        if ((drop >> i & 1) || violation->failure != result->failure)
            continue;
        switch (result->failure) {
        case HVCTL_FAILURE_VMFAIL_CONTROLS:
        case HVCTL_FAILURE_VMFAIL_HOST: return true;
        case HVCTL_FAILURE_GUEST_STATE:
            if (!control_or_host && violation->finding.qualification == result->qualification)
                return true;
            break;
        default: return !control_or_host && result->qualification == first_msr;
        }
    }
    return false;
}

/* The rule that is the only one broken. */
static void count_alone(void)
{
    for (unsigned i = 0; report.broken == 1 && i < rules; i++)
        if (rule_list[i]->id == report.violation[0].rule)
            count[i].alone++;
}

static void judge(const struct world_result *result)
{
    struct hvctl_vmx_view view;
    uint32_t drop = 0;

    hvctl_vmx_view_make(&view, &the_case.image, vmx_caps(), &world.around);
    if (report.broken > HVCTL_REPORT_VIOLATIONS)
        return; /* more than is listed: no case has that many on purpose */
    if (!follows(result, 0)) {
        /* Known deviations: rules that the emulator does not keep to, one by one */
        for (unsigned i = 0; i < hvctl_report_listed(&report); i++)
            if (vmx_deviation_ignored(&view, &report.violation[i]))
                drop |= UINT32_C(1) << i;
        if (drop != 0 && follows(result, drop)) {
            for (unsigned i = 0; i < hvctl_report_listed(&report); i++)
                if (drop >> i & 1)
                    vmx_deviation_seen(report.violation[i].rule);
            count_alone();
            return;
        }
        if (vmx_deviation_otherwise(&view, &report, result)) {
            count_alone();
            return;
        }
        if (mismatch_begin(mismatches++)) {
            print("# MISMATCH %u\n", mismatches);
            print_report(result);
        }
        return;
    }
    count_alone();
    if (report.broken != 0)
        return;
    for (unsigned i = 0; i < rules; i++) {
        struct hvctl_finding finding;
        bool changed = false;

        for (unsigned k = 0; k < HVCTL_VMX_RULE_FIELDS && rule_list[i]->slot[k] != HVCTL_VMX_NO_SLOT; k++)
            changed |= hvctl_vmcs_set_has(&the_case.changed, rule_list[i]->slot[k]);
        if (changed && hvctl_vmx_rule_ask(&view, rule_list[i], &finding) == HVCTL_RULE_KEPT)
            count[i].kept++;
    }
}

void differential_vmx(void)
{
    static struct hvctl_vmcs_image last;
    struct random random = {UINT64_C(0x9e3779b97f4a7c15)};
    struct world_result result;
    unsigned entered = 0, failed[HVCTL_FAILURE_UNSPECIFIED + 1] = {0}, unchecked = 0;
    bool ran = true;

    world_make(&world, &random);
    mutate_undo();
    while (rules < RULES_MAX && (rule_list[rules] = hvctl_vmx_rule_at(rules)) != NULL)
        rules++;
    for (unsigned i = 0; i < rules; i++)
        reach(i);
    mutate_init(&world);

    for (unsigned i = 0; i < WORLD_IMAGES; i++) {
        the_case.image = world.image[i];
        hvctl_vmcs_set_clear(&the_case.changed);
        hvctl_vmx_check_in(&the_case.image, vmx_caps(), &world.around, &report);
        if (!check_equal(report.broken, 0, "good image %u: no rule is broken", i)) {
            struct world_result none = {HVCTL_FAILURE_NONE, 0, 0, 0};

            print_report(&none);
            continue;
        }
        load(&the_case.image, &last, true);
        result = world_enter(&world);
        if (!check_true(result.failure == HVCTL_FAILURE_NONE && result.error == 0, "good image %u: it enters", i))
            print_report(&result);
    }

    for (unsigned i = 0; i < DIFFERENTIAL_VMCS_CASES; i++) {
        mutate(&the_case, &world, &random);
        hvctl_vmx_check_in(&the_case.image, vmx_caps(), &world.around, &report);
        unchecked += report.unchecked;
        load(&the_case.image, &last, ran);
        result = world_enter(&world);
        ran = result.error == 0; /* an exit, even of a failed entry, wrote fields */
        last = the_case.image;
        entered += result.error == 0 && result.reason >> 31 == 0;
        failed[result.failure]++;
        judge(&result);
    }
    mutate_undo();
    load(&world.image[0], &last, true);
    result = world_enter(&world); /* brings the host's state home */

    print("# %u cases: %u entered; VMfail 7: %u, VMfail 8: %u, exit 33: %u, exit 34: %u\n", DIFFERENTIAL_VMCS_CASES,
          entered, failed[HVCTL_FAILURE_VMFAIL_CONTROLS], failed[HVCTL_FAILURE_VMFAIL_HOST],
          failed[HVCTL_FAILURE_GUEST_STATE], failed[HVCTL_FAILURE_MSR_LOADING]);
    vmx_deviations_print();
    check_true(result.failure == HVCTL_FAILURE_NONE && result.error == 0, "after all that a good image enters");
    check_equal(unchecked, 0, "no rule was left unchecked");
    check_equal(mismatches, 0, "checker and CPU agree in every case but the known deviations");
    counts_check(count, rules, vmx_unreachable, vmx_unreachable_count, &world.around);
}
