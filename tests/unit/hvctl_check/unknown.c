/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Images of which not everything is known: the verdict against what any filling of the unknown fields gives, and the lists
 * of what a rule looks at against rules that are watched.
 */
#include <hvctl/svm/known.h>
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/models.h>
#include <hvctl/vmx/vmcs_dump.h>

#include "../hvctl/chance.h"
#include "cases.h"
#include "fields.h"

/* Values that matter to some rule are likelier than chance has them. */
static uint64_t any_value(void)
{
    static const uint64_t some[] = {0, 1, 2, 3, 0x10, 0x20, 0x80000021, 0x80050033, 0x2000, 0x202, 0x20202, 0x302, 0x93, 0x9b, 0xa09b,
                                    0xc093, 0xf3, 0x8b, 0x10000, 0x82, 0xffff, 0xfffff, 0xffffffff, 0x500, 0xd01, 0x80000051,
                                    0x80000202, 0x80000b0e, 0x80000306, ~UINT64_C(0), 0x1000, 0x101e, UINT64_C(1) << 32};
    uint64_t value = some[chance() % (sizeof(some) / sizeof(some[0]))];

    switch (chance() % 4) {
    case 0: return value ^ UINT64_C(1) << chance() % 64;
    case 1: return chance();
    default: return value;
    }
}

static void fill(struct hvctl_vmcs_image *image, const struct hvctl_vmcs_set *keep)
{
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (!hvctl_vmcs_set_has(keep, slot))
            image->value[slot] = cut(slot, any_value());
}

/*
 * Certain means whatever the unknown fields hold. For many images, many sets of known fields and many
 * fillings of the rest: what is called broken is broken in each; what is called kept or idle is broken in none.
 */
Test(hvctl_unknown, a_verdict_holds_for_every_filling_of_the_rest)
{
    static struct hvctl_vmcs_image whole, part, filled;
    struct hvctl_vmx_caps caps;
    unsigned certain = 0, quiet = 0, open = 0;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(hvctl_vmx_models() - 1), &caps);
    for (unsigned round = 0; round < 250; round++) {
        const struct hvctl_vmcs_set nothing = {{0}};
        const struct hvctl_vmx_rule *rule;
        unsigned percent = (unsigned)(chance() % 100);

        hvctl_vmcs_image_init(&whole, NULL);
        fill(&whole, &nothing);
        part = whole;
        hvctl_vmcs_set_clear(&part.known);
        for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
            if (chance() % 100 < percent)
                hvctl_vmcs_set_add(&part.known, slot);
            else
                part.value[slot] = 0;
        }
        for (size_t i = 0; (rule = hvctl_vmx_rule_at(i)) != NULL; i++) {
            struct hvctl_finding finding, other;
            struct hvctl_vmx_view view;
            enum hvctl_rule_result result =
                hvctl_vmx_rule_ask_unknown(&part, &caps, hvctl_vmx_surroundings_usual(), rule, &finding);

            certain += result == HVCTL_RULE_BROKEN;
            quiet += result == HVCTL_RULE_KEPT || result == HVCTL_RULE_IDLE;
            open += result == HVCTL_RULE_UNKNOWN;
            if (result == HVCTL_RULE_BROKEN)
                cr_assert(finding.because == NULL || finding.because[0], "%s", rule->id);
            for (unsigned k = 0; k < 12; k++) {
                enum hvctl_rule_result now;

                filled = whole;
                if (k)
                    fill(&filled, &part.known);
                hvctl_vmx_view_make(&view, &filled, &caps, hvctl_vmx_surroundings_usual());
                now = hvctl_vmx_rule_ask(&view, rule, &other);
                if (result == HVCTL_RULE_BROKEN)
                    cr_assert_eq(now, HVCTL_RULE_BROKEN, "%s is called broken, and is not for a filling", rule->id);
                if (result == HVCTL_RULE_KEPT || result == HVCTL_RULE_IDLE)
                    cr_assert_neq(now, HVCTL_RULE_BROKEN, "%s is called %s, and is broken for a filling", rule->id,
                                  result == HVCTL_RULE_KEPT ? "kept" : "idle");
                if (result == HVCTL_RULE_IDLE)
                    cr_assert_eq(now, HVCTL_RULE_IDLE, "%s is called idle, and is not for a filling", rule->id);
            }
        }
    }
    cr_expect_gt(certain, 300);
    cr_expect_gt(quiet, 3000);
    cr_expect_gt(open, 3000);
}

/* A rule of which every field and control is known answers as it does of a whole image, whatever else is missing. */
Test(hvctl_unknown, what_a_rule_looks_at_is_all_that_counts)
{
    static struct hvctl_vmcs_image image, part;
    const struct hvctl_vmcs_set nothing = {{0}};
    struct hvctl_vmx_caps caps;
    const struct hvctl_vmx_rule *rule;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(hvctl_vmx_models() - 1), &caps);
    for (unsigned round = 0; round < 400; round++) {
        hvctl_vmcs_image_init(&image, NULL);
        fill(&image, &nothing);
        for (size_t i = 0; (rule = hvctl_vmx_rule_at(i)) != NULL; i++) {
            struct hvctl_finding of_whole, of_part;
            struct hvctl_vmx_view view;
            enum hvctl_rule_result result;

            part = image;
            hvctl_vmcs_set_clear(&part.known);
            for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
                hvctl_vmcs_set_add(&part.known, hvctl_vmx_group_slot(group));
            for (unsigned k = 0; k < HVCTL_VMX_RULE_FIELDS && rule->slot[k] != HVCTL_VMX_NO_SLOT; k++)
                hvctl_vmcs_set_add(&part.known, rule->slot[k]);
            fill(&part, &part.known);
            hvctl_vmx_view_make(&view, &image, &caps, hvctl_vmx_surroundings_usual());
            result = hvctl_vmx_rule_ask(&view, rule, &of_whole);
            cr_assert_eq(hvctl_vmx_rule_ask_unknown(&part, &caps, hvctl_vmx_surroundings_usual(), rule, &of_part), result,
                         "%s looks at a field that is not in its row", rule->id);
            if (result == HVCTL_RULE_BROKEN) {
                cr_assert_str_eq(of_whole.field, of_part.field, "%s", rule->id);
                cr_assert_eq(of_whole.ones, of_part.ones, "%s", rule->id);
                cr_assert_eq(of_whole.zeros, of_part.zeros, "%s", rule->id);
            }
        }
    }
}

/* The controls that hvctl_vmx_rule_looks does not name change nothing. */
Test(hvctl_unknown, a_rule_looks_at_no_control_that_is_not_named)
{
    static struct hvctl_vmcs_image image, turned;
    const struct hvctl_vmcs_set nothing = {{0}};
    struct hvctl_vmx_caps caps;
    const struct hvctl_vmx_rule *rule;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(hvctl_vmx_models() - 1), &caps);
    for (unsigned round = 0; round < 300; round++) {
        hvctl_vmcs_image_init(&image, NULL);
        fill(&image, &nothing);
        for (size_t i = 0; (rule = hvctl_vmx_rule_at(i)) != NULL; i++) {
            enum hvctl_vmx_control looks[HVCTL_VMX_LOOKS_MAX];
            struct hvctl_vmx_controls words = {{0}};
            struct hvctl_vmx_view before, after;
            struct hvctl_finding finding;

            hvctl_vmx_words_need(&words, (enum hvctl_vmx_control)rule->when);
            hvctl_vmx_rule_looks(rule, looks);
            for (unsigned k = 0; k < HVCTL_VMX_LOOKS_MAX; k++)
                hvctl_vmx_words_need(&words, looks[k]);
            turned = image;
            for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++) {
                unsigned slot = hvctl_vmx_group_slot(group);

                if (slot != rule->slot[0]) /* which it judges as a whole */
                    turned.value[slot] ^= cut(slot, chance() & ~words.word[group]);
            }
            hvctl_vmx_view_make(&before, &image, &caps, hvctl_vmx_surroundings_usual());
            hvctl_vmx_view_make(&after, &turned, &caps, hvctl_vmx_surroundings_usual());
            cr_assert_eq(hvctl_vmx_rule_ask(&before, rule, &finding), hvctl_vmx_rule_ask(&after, rule, &finding),
                         "%s looks at a control that hvctl_vmx_rule_looks does not name", rule->id);
        }
    }
}

/* RFLAGS = 2 and blocking by STI: with nothing else known one rule is broken, and it is listed. SDM vol. 3, "Checks on Guest Non-Register State". */
Test(hvctl_unknown, two_fields_break_one_rule)
{
    static struct hvctl_vmcs_image image;
    static struct hvctl_report report;
    struct hvctl_vmx_caps caps;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(5), &caps);
    hvctl_vmcs_image_init_unknown(&image, &caps);
    put(&image, HVCTL_VMCS_GUEST_RFLAGS, 2);
    put(&image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 9);
    cr_expect_not(hvctl_vmcs_whole(&image));
    hvctl_vmx_check(&image, &caps, &report);
    cr_assert_eq(report.broken, 1);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.INTERRUPTIBILITY.STI_IF");
    cr_expect_gt(report.unknown, 200);
    cr_expect_eq(hvctl_vmx_explain_in(&image, &caps, NULL, HVCTL_CODE_EXIT_REASON, 0x80000021, 0, &report), HVCTL_EXPLAINED);
}

/* 7 is an interrupt window as an exit reason, and invalid controls as an error. */
Test(hvctl_unknown, the_caller_says_which_number_it_is)
{
    static struct hvctl_vmcs_image image;
    static struct hvctl_report report;
    struct hvctl_vmx_caps caps;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(5), &caps);
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(hvctl_vmx_explain_in(&image, &caps, NULL, HVCTL_CODE_EXIT_REASON, 7, 0, &report), HVCTL_NO_FAILURE);
    cr_expect_eq(hvctl_vmx_explain_in(&image, &caps, NULL, HVCTL_CODE_INSTRUCTION_ERROR, 7, 0, &report), HVCTL_EXPLAINED);
    cr_expect_eq(hvctl_vmx_explain_in(&image, &caps, NULL, HVCTL_CODE_INSTRUCTION_ERROR, 33, 0, &report), HVCTL_NO_FAILURE);
}

/* A control that is not known is no reason: CR0 lacks NE whatever "unrestricted guest" is. */
Test(hvctl_unknown, a_reason_that_is_not_known_is_not_given)
{
    static struct hvctl_vmcs_image image;
    static struct hvctl_report report;
    struct hvctl_vmx_caps caps;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(5), &caps);
    hvctl_vmcs_image_init_unknown(&image, &caps);
    put(&image, HVCTL_VMCS_GUEST_CR0, 0x11);
    hvctl_vmx_check(&image, &caps, &report);
    cr_assert_eq(report.broken, 1);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.CR0.FIXED");
    cr_expect_null(report.violation[0].finding.because);
    cr_expect_eq(report.violation[0].finding.ones, HVCTL_CR0_NE);
}

/* A dump from a CPU with more fields than these capabilities have: what they lack is told, the rest is read. */
Test(hvctl_unknown, restore_reads_on_behind_a_field_that_the_cpu_has_not)
{
    static const char dump[] = "GUEST_CR3 = 0x5000\nTSC_MULTIPLIER = 0x1000000000000\nGUEST_RIP = 0x1234\n";
    static struct hvctl_vmcs_image image;
    struct hvctl_vmx_caps caps;
    unsigned line = 0;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(6), &caps); /* Haswell-EP has no TSC scaling */
    hvctl_vmcs_image_init_unknown(&image, &caps);
    cr_expect_eq(hvctl_vmcs_restore(&image, dump, sizeof(dump) - 1, &line), HVCTL_E_ABSENT);
    cr_expect_eq(line, 2);
    cr_expect(hvctl_vmcs_known(&image, HVCTL_VMCS_GUEST_RIP));
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_GUEST_RIP), 0x1234);
    cr_expect_not(hvctl_vmcs_known(&image, HVCTL_VMCS_TSC_MULTIPLIER));
    cr_expect_not(hvctl_vmcs_known(&image, HVCTL_VMCS_GUEST_CR0));
}

/* SVM: what is called broken is so for every filling. */
Test(hvctl_unknown, a_vmcb_of_which_not_all_is_known)
{
    static struct hvctl_vmcb whole, part, filled;
    struct hvctl_svm_caps caps = {.edx = 0xffffffff, .asids = 16, .sev_eax = 0xffffffff, .sev_asids = 100};
    struct hvctl_svm_surroundings around = *hvctl_svm_surroundings_usual();
    unsigned certain = 0, open = 0;

    caps.cpu.maxphyaddr = 48;
    caps.cpu.linear_bits = 48;
    caps.cpu.long_mode = caps.cpu.nx = caps.cpu.cet_ss = true;
    around.sev_on = true;
    for (unsigned round = 0; round < 400; round++) {
        struct hvctl_vmcb_known known = {{0}};
        const struct hvctl_svm_rule *rule;
        unsigned percent = (unsigned)(chance() % 100);

        for (unsigned at = 0; at < 0x700; at += 8)
            hvctl_vmcb_value_set(&whole, at, 8, any_value());
        part = whole;
        for (unsigned at = 0; at < 0x700; at += 8) {
            if (chance() % 100 < percent)
                hvctl_vmcb_known_add(&known, at, 8);
            else
                hvctl_vmcb_value_set(&part, at, 8, 0);
        }
        for (size_t i = 0; (rule = hvctl_svm_rule_at(i)) != NULL; i++) {
            struct hvctl_finding finding;
            struct hvctl_svm_view view;
            enum hvctl_rule_result result = hvctl_svm_rule_ask_known(&part, &known, &caps, &around, rule, &finding);

            certain += result == HVCTL_RULE_BROKEN;
            open += result == HVCTL_RULE_UNKNOWN;
            for (unsigned k = 0; k < 12; k++) {
                enum hvctl_rule_result now;

                filled = whole;
                for (unsigned at = 0; k && at < 0x700; at += 8)
                    if (!hvctl_vmcb_known_has(&known, at, 8))
                        hvctl_vmcb_value_set(&filled, at, 8, any_value());
                hvctl_svm_view_make(&view, &filled, &caps, &around);
                now = hvctl_svm_rule_ask(&view, rule, &finding);
                if (result == HVCTL_RULE_BROKEN)
                    cr_assert_eq(now, HVCTL_RULE_BROKEN, "%s is called broken, and is not for a filling", rule->id);
                if (result == HVCTL_RULE_KEPT || result == HVCTL_RULE_IDLE)
                    cr_assert_neq(now, HVCTL_RULE_BROKEN, "%s is called kept or idle, and is broken", rule->id);
            }
        }
    }
    cr_expect_gt(certain, 100);
    cr_expect_gt(open, 1000);
}

/* Models: each passes the checks of its own control words, and none has what its time had not. */
Test(hvctl_unknown, every_model_can_be_solved_for)
{
    const struct hvctl_vmx_model *model;

    for (size_t i = 0; (model = hvctl_vmx_model_at(i)) != NULL; i++) {
        struct hvctl_vmx_controls required = {{0}};
        struct hvctl_vmx_solution solution;
        struct hvctl_vmx_caps caps;

        hvctl_vmx_model_caps(model, &caps);
        hvctl_vmx_controls_add(&required, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
        if (i > 0)
            hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_ENABLE_EPT);
        cr_expect_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK, "%s", model->name);
        cr_expect_geq(caps.cpu.maxphyaddr, 36);
        cr_expect((caps.cr4_fixed1 & caps.cr4_fixed0) == caps.cr4_fixed0, "%s", model->name);
        cr_expect_eq(caps.cpu.linear_bits == 57, (caps.cr4_fixed1 & HVCTL_CR4_LA57) != 0, "%s", model->name);
    }
}
