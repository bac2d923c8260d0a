/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The report: what it keeps, what it counts, how it says it. */
#include <hvctl/common/check.h>

#include "cases.h"

static const char *bits(enum hvctl_bit_names names, uint64_t mask)
{
    static char words[256];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    hvctl_bits_text(names, mask, &text);
    return words;
}

Test(hvctl_report, bits_have_names_and_ranges)
{
    cr_expect_str_eq(bits(HVCTL_BITS_CR0, 0x80000001), "PE, PG");
    cr_expect_str_eq(bits(HVCTL_BITS_UNNAMED, 0xff), "bits 7:0");
    cr_expect_str_eq(bits(HVCTL_BITS_UNNAMED, 0x8000000000000081), "bits 63, 7, 0");
    cr_expect_str_eq(bits(HVCTL_BITS_CR4, 0x8020), "PAE, bit 15");
    cr_expect_str_eq(bits((enum hvctl_bit_names)HVCTL_GROUP_SECONDARY, 2), "SECONDARY_ENABLE_EPT");
    cr_expect_str_eq(bits(HVCTL_BITS_CR0, 0), "");
}

Test(hvctl_report, more_than_it_keeps_is_counted)
{
    static struct hvctl_report report;
    struct hvctl_finding finding = hvctl_finding_none();
    char words[4096];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    hvctl_report_clear(&report);
    finding.field = "F";
    finding.demand = HVCTL_DEMAND_NOT_EQUAL;
    for (unsigned i = 0; i < HVCTL_REPORT_VIOLATIONS + 3; i++)
        hvctl_report_add(&report, HVCTL_RULE_BROKEN, "R", "S", "T", HVCTL_FAILURE_GUEST_STATE, &finding);
    for (unsigned i = 0; i < HVCTL_REPORT_UNCHECKED + 2; i++)
        hvctl_report_add(&report, HVCTL_RULE_UNCHECKED, "U", "S", "T", HVCTL_FAILURE_GUEST_STATE, &finding);
    hvctl_report_add(&report, HVCTL_RULE_KEPT, "K", "S", "T", HVCTL_FAILURE_GUEST_STATE, &finding);
    cr_expect_eq(report.broken, HVCTL_REPORT_VIOLATIONS + 3);
    cr_expect_eq(hvctl_report_listed(&report), HVCTL_REPORT_VIOLATIONS);
    cr_expect(hvctl_report_find(&report, "R") && !hvctl_report_find(&report, "K") && !hvctl_report_find(&report, "RR"));
    hvctl_report_text(&report, &text);
    cr_expect(strstr(words, "R: F = 0x0, must not be 0x0\n") && strstr(words, "and 3 more\n")
              && strstr(words, "U: not checked\n") && strstr(words, "2 more rules not checked\n"));
}

Test(hvctl_report, the_failure_is_the_first_kind_and_the_first_msr)
{
    static struct hvctl_report report;
    struct hvctl_finding finding = hvctl_finding_none();
    uint32_t qualification;

    hvctl_report_clear(&report);
    cr_expect_eq(hvctl_report_failure(&report, NULL), HVCTL_FAILURE_NONE);
    finding.qualification = 7;
    hvctl_report_add(&report, HVCTL_RULE_BROKEN, "A", "", "", HVCTL_FAILURE_MSR_LOADING, &finding);
    finding.qualification = 2;
    hvctl_report_add(&report, HVCTL_RULE_BROKEN, "B", "", "", HVCTL_FAILURE_MSR_LOADING, &finding);
    cr_expect_eq(hvctl_report_failure(&report, &qualification), HVCTL_FAILURE_MSR_LOADING);
    cr_expect_eq(qualification, 2);
    finding.qualification = 4;
    hvctl_report_add(&report, HVCTL_RULE_BROKEN, "C", "", "", HVCTL_FAILURE_GUEST_STATE, &finding);
    cr_expect_eq(hvctl_report_failure(&report, &qualification), HVCTL_FAILURE_GUEST_STATE);
    cr_expect_eq(qualification, 4);
    hvctl_report_add(&report, HVCTL_RULE_BROKEN, "D", "", "", HVCTL_FAILURE_VMFAIL_HOST, &finding);
    cr_expect_eq(hvctl_report_failure(&report, NULL), HVCTL_FAILURE_VMFAIL_HOST);
}

Test(hvctl_report, canonical_addresses_and_memory_types)
{
    uint64_t wrong;

    cr_expect(hvctl_canonical(UINT64_C(0x7fffffffffff), 48) && hvctl_canonical(UINT64_C(0xffff800000000000), 48));
    cr_expect(!hvctl_canonical(UINT64_C(0x800000000000), 48) && !hvctl_canonical(UINT64_C(0xfffe800000000000), 48));
    cr_expect(hvctl_canonical(UINT64_C(0x800000000000), 57) && !hvctl_canonical(UINT64_C(1) << 56, 57));
    cr_expect(hvctl_canonical(UINT64_C(1) << 63, 64));
    cr_expect_eq(hvctl_beyond(40), UINT64_C(0xffffff0000000000));
    cr_expect_eq(hvctl_beyond(64), 0);
    cr_expect(hvctl_pat_valid(UINT64_C(0x0007040600070406), &wrong) && hvctl_pat_valid(UINT64_C(0x05), &wrong));
    cr_expect(!hvctl_pat_valid(UINT64_C(0x0200), &wrong) && wrong == 0xff00);
    cr_expect(!hvctl_pat_valid(UINT64_C(0x0800000000000000), &wrong) && wrong == UINT64_C(0xff00000000000000));
}
