/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every rule of VM entry, broken alone and kept at its edge, as tests/reference/hvctl_check lists the cases; on a CPU
 * that has every feature, so that no rule is out of reach.
 */
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/guest.h>

#include "cases.h"

struct setup {
    struct hvctl_vmx_caps caps;
    struct hvctl_vmx_surroundings around;
    struct hvctl_vmcs_image image;
};

/*
 * Physical memory by page: 2000H a VMCS, 3000H a shadow, 4000H another CPU's, 6000H MSR areas, 7000H PDPTEs, 8000H a
 * TPR.
 */
static bool read_memory(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    static uint64_t page[8][512];
    static const uint64_t msrs[13][2] = {
        {0x174, 0}, {0xc0000100, 0}, {0x808, 0}, {0x9b, 0}, {0x79, 0}, {UINT64_C(0x100000174), 0}, {0x277, 2},
        {0xc0000080, 0}, {0xc0000080, 0x501}, /* EFER without LME, and with */
        {0x680, UINT64_C(0x1fff800000102e60)}, /* a last branch above the middle, as a CPU with RTM writes it */
        {0x6c0, UINT64_C(0x0000800000000000)}, {0x1dd, UINT64_C(0xffff800000102e60)}, {0x1de, UINT64_C(0x0010000000000000)},
    };
    static const uint64_t sysenter_cs[2] = {0x174, 0};

    (void)ctx;
    page[1][2] = 0x174; /* an MSR area of one */
    page[2][0] = 0x2b;
    page[3][0] = 0x8000002b;
    page[4][0] = 0x2c;
    page[5][0] = 0x2b;
    for (unsigned i = 0; i < 13; i++) { /* a good entry, then the one in question */
        page[6][32 * i] = 0x174;
        page[6][32 * i + 2] = msrs[i][0];
        page[6][32 * i + 3] = msrs[i][1];
    }
    page[7][1] = UINT64_C(0xfffffff001);
    page[7][4 + 3] = UINT64_C(0x10000000001);
    if (physical == 0x8080) {
        memset(bytes, 0x50, size);
        return true;
    }
    if (physical >= 0x10000) { /* as long an area as anybody likes */
        memcpy(bytes, &sysenter_cs[physical >> 3 & 1], size);
        return true;
    }
    if (physical >= 0x8000) {
        memset(bytes, 0, size);
        return true;
    }
    memcpy(bytes, (const char *)page[physical >> 12] + (physical & 0xfff), size);
    return true;
}

static void put(struct setup *setup, uint32_t field, uint64_t value)
{
    cr_assert_eq(hvctl_vmcs_write(&setup->image, field, value), HVCTL_OK, "%s", hvctl_vmcs_field_name(field));
}

static void begin(struct setup *setup, const char *base)
{
    const struct hvctl_vmx_controls none = {{0}};
    struct hvctl_guest_state state;
    bool legacy_host = strcmp(base, "host32") == 0;
    struct hvctl_vmx_controls on = none;

    memset(setup, 0, sizeof(*setup));
    setup->caps.basic = UINT64_C(0x00da10000000002b) & ~HVCTL_VMX_BASIC_TRUE_CONTROLS;
    setup->caps.pin = UINT64_C(0x7fffffff00000002);
    setup->caps.primary = UINT64_C(0xfffffffe00000000);
    setup->caps.secondary = UINT64_C(0xdfffffff00000000);
    setup->caps.tertiary = setup->caps.exit2 = UINT64_C(0x7fffffffffffffff);
    setup->caps.exit = UINT64_C(0xfffffffe00000000);
    setup->caps.entry = UINT64_C(0x7fffffff00000000);
    setup->caps.vmfunc = 1;
    setup->caps.misc = 0x000401c0;
    setup->caps.cr0_fixed0 = 0x80000021;
    setup->caps.cr0_fixed1 = 0xffffffff;
    setup->caps.cr4_fixed0 = 0x2000;
    setup->caps.cr4_fixed1 = UINT64_C(0x101ff7fff);
    setup->caps.ept_vpid_cap = HVCTL_EPT_CAP_PAGE_WALK_LENGTH_4 | HVCTL_EPT_CAP_PAGE_WALK_LENGTH_5
                             | HVCTL_EPT_CAP_MEMORY_TYPE_UC | HVCTL_EPT_CAP_MEMORY_TYPE_WB
                             | HVCTL_EPT_CAP_ACCESSED_DIRTY | HVCTL_EPT_CAP_SUPERVISOR_SHADOW_STACK;
    setup->caps.cpu.maxphyaddr = 40;
    setup->caps.cpu.linear_bits = 48;
    setup->caps.cpu.long_mode = setup->caps.cpu.nx = setup->caps.cpu.fred = true;
    setup->around.read = read_memory;
    setup->around.current_vmcs = 0x5000;
    setup->around.host_legacy = legacy_host;
    hvctl_vmcs_image_init(&setup->image, &setup->caps);

    hvctl_vmx_controls_add(&on, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS);
    on.word[HVCTL_GROUP_PIN] |= 2;
    hvctl_vmx_controls_add(&on, HVCTL_SECONDARY_ENABLE_EPT);
    hvctl_vmx_controls_add(&on, HVCTL_ENTRY_LOAD_IA32_EFER);
    hvctl_vmx_controls_add(&on, HVCTL_EXIT_LOAD_IA32_EFER);
    if (!legacy_host)
        hvctl_vmx_controls_add(&on, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    if (strcmp(base, "real") == 0 || strcmp(base, "flat") == 0)
        hvctl_vmx_controls_add(&on, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    cr_assert_eq(hvctl_vmx_controls_write(&setup->image, &on), HVCTL_OK);

    state = hvctl_guest_long64(0x1000, 0x1000, 0x2000);
    if (strcmp(base, "real") == 0)
        state = hvctl_guest_real_mode(0, 0x7c00);
    else if (strcmp(base, "flat") == 0)
        state = hvctl_guest_flat32(0x1000, 0x2000);
    else if (strcmp(base, "long") != 0) {
        state.efer = 0;
        state.cs.rights = 0xc09b;
    }
    if (strcmp(base, "v86") == 0) {
        state.rflags |= UINT64_C(1) << 17;
        state.cs = state.ss = state.ds = state.es = state.fs = state.gs = hvctl_segment_make(0, 0, 0xffff, 0xf3);
    }
    cr_assert_eq(hvctl_vmx_guest_write(&setup->image, &setup->caps, &state), HVCTL_OK, "%s", base);
    put(setup, HVCTL_VMCS_GUEST_RFLAGS, state.rflags);
    put(setup, HVCTL_VMCS_VMCS_LINK_POINTER, ~UINT64_C(0));
    put(setup, HVCTL_VMCS_EPT_POINTER, 0x101e);
    put(setup, HVCTL_VMCS_VIRTUAL_APIC_ADDRESS, 0x8000);
    put(setup, HVCTL_VMCS_HOST_CR0, 0x80010031);
    put(setup, HVCTL_VMCS_HOST_CR4, 0x2020);
    put(setup, HVCTL_VMCS_HOST_CR3, 0x1000);
    put(setup, HVCTL_VMCS_HOST_IA32_EFER, legacy_host ? 0 : 0x500);
    put(setup, HVCTL_VMCS_HOST_CS_SELECTOR, 8);
    put(setup, HVCTL_VMCS_HOST_SS_SELECTOR, 0x10);
    put(setup, HVCTL_VMCS_HOST_TR_SELECTOR, 0x18);
    put(setup, HVCTL_VMCS_GUEST_IA32_PAT, HVCTL_PAT_RESET);
    put(setup, HVCTL_VMCS_HOST_IA32_PAT, HVCTL_PAT_RESET);
}

static uint64_t *special(struct setup *setup, const char *name)
{
    if (strcmp(name, "@basic") == 0)
        return &setup->caps.basic;
    if (strcmp(name, "@ept") == 0)
        return &setup->caps.ept_vpid_cap;
    if (strcmp(name, "@misc") == 0)
        return &setup->caps.misc;
    return strcmp(name, "@primary") == 0 ? &setup->caps.primary : NULL;
}

static bool *flag(struct setup *setup, const char *name)
{
    if (strcmp(name, "@smm") == 0)
        return &setup->around.in_smm;
    if (strcmp(name, "@seam") == 0)
        return &setup->around.in_seam;
    if (strcmp(name, "@tracing") == 0)
        return &setup->around.tracing;
    if (strcmp(name, "@legacy") == 0)
        return &setup->around.host_legacy;
    if (strcmp(name, "@fred") == 0)
        return &setup->caps.cpu.fred;
    if (strcmp(name, "@known") == 0)
        return &setup->around.cpu.known;
    return strcmp(name, "@rtm") == 0 ? &setup->around.cpu.rtm : NULL;
}

/* "+CONTROL", "-CONTROL", "FIELD:=VALUE", "FIELD^=VALUE". */
static void apply(struct setup *setup, char *change)
{
    char *op = change + strcspn(change, ":^");
    uint64_t value, *word;
    uint32_t field;
    char kind = *op;

    if (*change == '+' || *change == '-') {
        const struct hvctl_vmx_control_info *row;
        size_t number = 0;

        while ((row = hvctl_vmx_control_at(number++)) != NULL && strcmp(row->name, change + 1) != 0)
            ;
        cr_assert(row, "no control %s", change);
        field = hvctl_vmx_group_field(hvctl_vmx_control_group(row->control));
        value = hvctl_vmcs_get(&setup->image, field) & ~hvctl_vmx_control_mask(row->control);
        put(setup, field, *change == '+' ? value | hvctl_vmx_control_mask(row->control) : value);
        return;
    }
    cr_assert(*op, "not a change: %s", change);
    *op = 0;
    value = strtoull(op + 2, NULL, 0);
    if (*change == '@' && flag(setup, change) != NULL) {
        *flag(setup, change) = value != 0;
        return;
    }
    word = special(setup, change);
    if (word != NULL) {
        *word = kind == '^' ? *word ^ value : value;
        return;
    }
    field = hvctl_vmcs_field_by_name(change, strlen(change));
    cr_assert_neq(field, (uint32_t)HVCTL_VMCS_NO_FIELD, "no field %s", change);
    put(setup, field, kind == '^' ? hvctl_vmcs_get(&setup->image, field) ^ value : value);
}

/* What tests/reference says of a rule. */
static struct {
    char id[64], failure[16], qualification[8];
} manual[400];
static unsigned manuals;

static void remember(char **cell)
{
    snprintf(manual[manuals].id, sizeof(manual[0].id), "%s", cell[0]);
    snprintf(manual[manuals].failure, sizeof(manual[0].failure), "%s", cell[1]);
    snprintf(manual[manuals].qualification, sizeof(manual[0].qualification), "%s", cell[2]);
    manuals++;
}

/* The failure, and the qualification of its VM exit: that of the manual's table, or the MSR's number in read_memory. */
static void expect_failure(const char *rule, const struct hvctl_report *report)
{
    const struct hvctl_violation *violation = hvctl_report_find(report, rule);
    uint32_t expected = 0, qualification;
    unsigned i = 0;

    while (i < manuals && strcmp(manual[i].id, rule) != 0)
        i++;
    cr_assert(i < manuals, "%s is not in the reference", rule);
    cr_expect_str_eq(hvctl_failure_text(violation->failure), manual[i].failure, "%s", rule);
    if (manual[i].qualification[0])
        expected = (uint32_t)strtoul(manual[i].qualification, NULL, 0);
    else if (strcmp(manual[i].failure, "exit 34") == 0)
        expected = strcmp(rule, "MSR.COUNT") == 0 ? 513 : 2;
    cr_expect_eq(violation->finding.qualification, expected, "%s: qualification %u, not %u", rule,
                 violation->finding.qualification, expected);
    if (report->broken == 1) {
        cr_expect_eq(hvctl_report_failure(report, &qualification), violation->failure, "%s", rule);
        cr_expect_eq(qualification, expected, "%s", rule);
    }
}

static unsigned unchecked_rule(const struct hvctl_report *report, const char *rule)
{
    unsigned i, found = 0;

    for (i = 0; i < report->unchecked && i < HVCTL_REPORT_UNCHECKED; i++)
        found += strcmp(report->not_checked[i], rule) == 0;
    return found;
}

static void one_case(char **cell)
{
    static struct setup setup;
    static struct hvctl_report report;
    char changes[256], words[512] = "";
    unsigned may_lack = 0;
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    begin(&setup, cell[2]);
    snprintf(changes, sizeof(changes), "%s", cell[3]);
    for (char *change = strtok(changes, " "); change; change = strtok(NULL, " "))
        apply(&setup, change);
    hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
    hvctl_report_text(&report, &text);
    /* A good value for an MSR that this CPU may lack is not called good. */
    if (strcmp(cell[1], "MSR.VALUE") == 0)
        may_lack = unchecked_rule(&report, "MSR.VALUE");
    cr_expect_eq(report.unchecked, may_lack, "%s %s: left unchecked: %s", cell[1], cell[3], words);
    if (strcmp(cell[0], "kept") == 0) {
        struct hvctl_vmx_view view;
        struct hvctl_finding finding;
        size_t number = 0;

        cr_expect_eq(report.broken, 0, "%s is to be kept by %s: %s", cell[1], cell[3], words);
        while (hvctl_vmx_rule_at(number) && strcmp(hvctl_vmx_rule_at(number)->id, cell[1]) != 0)
            number++;
        cr_assert(hvctl_vmx_rule_at(number), "no rule %s", cell[1]);
        hvctl_vmx_view_make(&view, &setup.image, &setup.caps, &setup.around);
        cr_expect_neq(hvctl_vmx_rule_ask(&view, hvctl_vmx_rule_at(number), &finding), HVCTL_RULE_BROKEN);
        return;
    }
    cr_expect(hvctl_report_find(&report, cell[1]), "%s is to be broken by %s: %s", cell[1], cell[3], words);
    if (strcmp(cell[0], "alone") == 0)
        cr_expect_eq(report.broken, 1, "%s alone is to be broken by %s: %s", cell[1], cell[3], words);
    if (hvctl_report_find(&report, cell[1]))
        expect_failure(cell[1], &report);
}

Test(hvctl_vmx_check, each_rule_is_broken_alone_and_kept_at_its_edge)
{
    cases_read("vm_entry_rules.csv", 3, remember);
    cr_expect(cases_read("vmx_cases.csv", 4, one_case) > 800);
}

static unsigned listed;

/* The failure and qualification that the manual gives the rule. */
static void one_rule(char **cell)
{
    const struct hvctl_vmx_rule *rule;
    size_t number = 0;

    listed++;
    while ((rule = hvctl_vmx_rule_at(number++)) != NULL && strcmp(rule->id, cell[0]) != 0)
        ;
    cr_assert(rule, "there is no rule %s", cell[0]);
    cr_expect_str_eq(hvctl_failure_text(hvctl_vmx_section_failure(rule->section)), cell[1], "%s", cell[0]);
}

Test(hvctl_vmx_check, every_rule_of_the_manual_is_there_with_its_failure)
{
    unsigned rules = 0;

    cases_read("vm_entry_rules.csv", 3, one_rule);
    while (hvctl_vmx_rule_at(rules))
        rules++;
    cr_expect_eq(rules, listed, "%u rules, %u in the manual", rules, listed);
}

Test(hvctl_vmx_check, without_memory_what_needs_it_is_said_not_to_be_checked)
{
    static struct setup setup;
    static struct hvctl_report report;

    begin(&setup, "long");
    hvctl_vmx_check(&setup.image, &setup.caps, &report);
    cr_expect_eq(report.unchecked, 0);
    put(&setup, HVCTL_VMCS_VMCS_LINK_POINTER, 0x2000);
    hvctl_vmx_check(&setup.image, &setup.caps, &report);
    cr_expect_eq(report.broken, 0);
    cr_expect_eq(report.unchecked, 3);
    cr_expect_str_eq(report.not_checked[0], "GUEST.LINK.REVISION");
}

Test(hvctl_vmx_check, the_failure_is_explained)
{
    static struct setup setup;
    static struct hvctl_report report;

    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_GUEST_CR0, 0x20);
    put(&setup, HVCTL_VMCS_VMCS_LINK_POINTER, 1);
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 0x80000021, 4, &report), HVCTL_EXPLAINED);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.LINK.ADDRESS");
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 0x80000021, 0, &report), HVCTL_EXPLAINED);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.CR0.FIXED");
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 7, 0, &report), HVCTL_EXPLAINED_OTHERWISE);
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 5, 0, &report), HVCTL_NOT_OF_THE_FIELDS);
    begin(&setup, "long");
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 8, 0, &report), HVCTL_UNEXPLAINED);
}

Test(hvctl_vmx_check, what_explains_comes_first_even_among_more_than_are_listed)
{
    static struct setup setup;
    static struct hvctl_report report;
    static const uint32_t segment[] = {HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS,
                                       HVCTL_VMCS_GUEST_DS_ACCESS_RIGHTS, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS,
                                       HVCTL_VMCS_GUEST_FS_ACCESS_RIGHTS, HVCTL_VMCS_GUEST_GS_ACCESS_RIGHTS,
                                       HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS};
    uint32_t qualification;

    begin(&setup, "long");
    for (unsigned i = 0; i < sizeof(segment) / sizeof(segment[0]); i++)
        put(&setup, segment[i], 0xfffe0f00); /* not present, no type, reserved bits */
    put(&setup, HVCTL_VMCS_GUEST_RFLAGS, 0);
    put(&setup, HVCTL_VMCS_GUEST_CR0, 0);
    put(&setup, HVCTL_VMCS_VMCS_LINK_POINTER, 1);
    hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
    cr_assert_gt(report.broken, HVCTL_REPORT_VIOLATIONS);
    cr_expect_null(hvctl_report_find(&report, "GUEST.LINK.ADDRESS"), "it is to be beyond what is listed");
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 0x80000021, 4, &report), HVCTL_EXPLAINED);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.LINK.ADDRESS");
    /* A control rule is the last of the table, and VMfail comes before exit 33 all the same */
    setup.image.value[HVCTL_VMCS_SLOT_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS] |=
        hvctl_vmx_control_mask(HVCTL_PRIMARY_USE_TPR_SHADOW);
    put(&setup, HVCTL_VMCS_TPR_THRESHOLD, 6);
    hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
    cr_expect_null(hvctl_report_find(&report, "CTRL.TPR_THRESHOLD.VTPR"));
    cr_expect_eq(hvctl_report_failure(&report, &qualification), HVCTL_FAILURE_VMFAIL_CONTROLS);
}

Test(hvctl_vmx_check, another_qualification_is_nearer_than_another_failure)
{
    static struct setup setup;
    static struct hvctl_report report;

    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_HOST_TR_SELECTOR, 0);
    put(&setup, HVCTL_VMCS_GUEST_RFLAGS, 0);
    cr_expect_eq(hvctl_vmx_explain_failure(&setup.image, &setup.caps, 0x80000021, 3, &report),
                 HVCTL_EXPLAINED_OTHERWISE);
    cr_expect_eq(report.broken, 2);
    cr_expect_str_eq(report.violation[0].rule, "GUEST.RFLAGS.RESERVED");
    cr_expect_str_eq(report.violation[1].rule, "HOST.TR.NULL");
}

Test(hvctl_vmx_check, an_explanation_in_words)
{
    static struct setup setup;
    static struct hvctl_report report;
    char words[1024];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    enum hvctl_explanation explanation;

    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_GUEST_RFLAGS, 0);
    put(&setup, HVCTL_VMCS_HOST_TR_SELECTOR, 0);
    explanation = hvctl_vmx_explain_failure_in(&setup.image, &setup.caps, &setup.around, 8, 0, &report);
    hvctl_vmx_explanation_text(explanation, 8, 0, &report, &text);
    cr_expect_str_eq(
        words,
        "VM-instruction error 8 (VM entry with invalid host-state fields): this is why\n"
        "HOST.TR.NULL: HOST_TR_SELECTOR = 0x0, must not be 0x0: VMfail 8; SDM vol. 3, Checks on Host Segment and "
        "Descriptor-Table Registers\n"
        "besides, for the next attempt:\n"
        "GUEST.RFLAGS.RESERVED: GUEST_RFLAGS = 0x0, must have bit 1 set: exit 33; SDM vol. 3, Checks on Guest RIP, "
        "RFLAGS, and SSP\n");
    /* An MSR, with the number of its entry */
    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, 0x6100);
    put(&setup, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, 2);
    explanation = hvctl_vmx_explain_failure_in(&setup.image, &setup.caps, &setup.around, 0x80000022, 2, &report);
    text = hvpt_text_into(&buffer, words, sizeof(words));
    hvctl_vmx_explanation_text(explanation, 0x80000022, 2, &report, &text);
    cr_expect_eq(explanation, HVCTL_EXPLAINED);
    cr_expect(strstr(words, "MSR.FS_GS_BASE: VM-entry MSR-load entry 2 = 0xc0000100, must not be"), "%s", words);
}

/* SDM vol. 3, "Exit Reason": bits 15:0 are the reason; others tell of a pending MTF exit, an enclave, a bus lock. */
Test(hvctl_vmx_check, a_failure_is_known_whatever_else_the_exit_reason_says)
{
    static const uint32_t others[] = {0, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 0x7fff0000};

    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_expect_eq(hvctl_vmx_failure_of(UINT32_C(0x80000021) | others[i]), HVCTL_FAILURE_GUEST_STATE);
        cr_expect_eq(hvctl_vmx_failure_of(UINT32_C(0x80000022) | others[i]), HVCTL_FAILURE_MSR_LOADING);
        cr_expect_eq(hvctl_vmx_failure_of(UINT32_C(0x80000029) | others[i]), HVCTL_FAILURE_NONE, "a machine check");
    }
    cr_expect_eq(hvctl_vmx_failure_of(7), HVCTL_FAILURE_VMFAIL_CONTROLS);
    cr_expect_eq(hvctl_vmx_failure_of(0x10007), HVCTL_FAILURE_NONE, "an error has no such bits");
}

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static bool is_control_word(unsigned slot)
{
    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_field((enum hvctl_vmx_group)group) == hvctl_vmcs_slot_info(slot)->encoding)
            return true;
    return false;
}

static bool reads(const struct hvctl_vmx_rule *rule, unsigned slot)
{
    for (unsigned i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++)
        if (rule->slot[i] == slot)
            return true;
    return false;
}

static const char *const bases[] = {"long", "real", "flat", "pae", "v86", "host32"};

/* A guest of any kind, with fields, controls and an event that make many rules apply. */
static void begin_random(struct setup *setup)
{
    uint64_t *value = setup->image.value;

    begin(setup, bases[next() % 6]);
    setup->around.cpu.known = setup->around.cpu.rtm = setup->around.cpu.sgx = next() % 2 != 0;
    setup->around.in_smm = next() % 8 == 0;
    for (unsigned i = 0; i < 4; i++) {
        enum hvctl_vmx_group group = (enum hvctl_vmx_group)(next() % HVCTL_GROUP_COUNT);

        value[hvctl_vmcs_slot(hvctl_vmx_group_field(group))] |= UINT64_C(1) << next() % 32;
        value[next() % HVCTL_VMCS_SLOT_COUNT] ^= UINT64_C(1) << next() % 32;
    }
    if (next() % 2)
        value[HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD] =
            0x80000000 | (next() % 8) << 8 | next() % 33 | (next() % 2) << 11;
    if (next() % 3 == 0)
        value[HVCTL_VMCS_SLOT_GUEST_CR4] |= HVCTL_CR4_FRED;
    if (next() % 3 == 0)
        value[HVCTL_VMCS_SLOT_GUEST_ACTIVITY_STATE] = next() % 4;
    if (next() % 3 == 0)
        value[HVCTL_VMCS_SLOT_GUEST_INTERRUPTIBILITY_STATE] = next() % 32;
    if (next() % 3 == 0)
        value[HVCTL_VMCS_SLOT_VMCS_LINK_POINTER] = 0x1000 * (2 + next() % 4);
}

/* Else a report would not name the field that is at fault. */
Test(hvctl_vmx_check, a_rule_reads_no_field_but_those_it_lists)
{
    static struct setup setup;
    static enum hvctl_rule_result before[400];
    struct hvctl_vmx_view view;
    struct hvctl_finding finding;
    const struct hvctl_vmx_rule *rule[400];
    unsigned rules = 0;

    while (hvctl_vmx_rule_at(rules)) {
        rule[rules] = hvctl_vmx_rule_at(rules);
        rules++;
    }
    for (unsigned round = 0; round < 300; round++) {
        begin_random(&setup);
        hvctl_vmx_view_make(&view, &setup.image, &setup.caps, &setup.around);
        for (unsigned i = 0; i < rules; i++)
            before[i] = hvctl_vmx_rule_ask(&view, rule[i], &finding);
        for (unsigned n = 0; n < 120; n++) {
            unsigned slot = (unsigned)(next() % HVCTL_VMCS_SLOT_COUNT);
            uint64_t old = setup.image.value[slot];

            if (is_control_word(slot))
                continue;
            setup.image.value[slot] = next() % 4 ? old ^ UINT64_C(1) << next() % 33 : next() % 20;
            hvctl_vmx_view_make(&view, &setup.image, &setup.caps, &setup.around);
            for (unsigned i = 0; i < rules; i++)
                cr_assert(reads(rule[i], slot) || hvctl_vmx_rule_ask(&view, rule[i], &finding) == before[i],
                          "%s reads %s", rule[i]->id, hvctl_vmcs_slot_info(slot)->name);
            setup.image.value[slot] = old;
        }
    }
}

/* Every field of a good VMCS, each bit of it and some values: whatever is broken is said of that field. */
Test(hvctl_vmx_check, whoever_breaks_one_field_is_told_which)
{
    static struct setup setup;
    static struct hvctl_report report;
    unsigned broken = 0;

    for (unsigned base = 0; base < 2; base++) {
        begin(&setup, bases[base]);
        for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
            uint64_t old = setup.image.value[slot];

            if (!hvctl_vmcs_set_has(&setup.image.exists, slot) || is_control_word(slot))
                continue;
            for (unsigned n = 0; n < 66; n++) {
                setup.image.value[slot] = n < 64 ? old ^ UINT64_C(1) << n : n == 64 ? 0 : ~UINT64_C(0);
                hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
                for (unsigned i = 0; i < hvctl_report_listed(&report); i++) {
                    unsigned number = 0;

                    while (strcmp(hvctl_vmx_rule_at(number)->id, report.violation[i].rule) != 0)
                        number++;
                    cr_assert(reads(hvctl_vmx_rule_at(number), slot), "%s = %#llx: %s",
                              hvctl_vmcs_slot_info(slot)->name, (unsigned long long)setup.image.value[slot],
                              report.violation[i].rule);
                    broken++;
                }
            }
            setup.image.value[slot] = old;
        }
    }
    cr_expect_gt(broken, 3000);
}

Test(hvctl_vmx_check, the_words_of_a_violation)
{
    static struct setup setup;
    static struct hvctl_report report;
    char words[256];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_GUEST_CR0, 0x20);
    hvctl_vmx_check(&setup.image, &setup.caps, &report);
    cr_assert(hvctl_report_find(&report, "GUEST.CR0.FIXED"));
    hvctl_violation_text(hvctl_report_find(&report, "GUEST.CR0.FIXED"), &text);
    cr_expect_str_eq(words, "GUEST.CR0.FIXED: GUEST_CR0 = 0x20, must have PE, PG set (unrestricted guest is off)");
}

/* ---- facts that CPUID tells ---- */

static struct hvctl_cpuid leaf[0x24][2];

static struct hvctl_cpuid facts_cpuid(void *ctx, uint32_t number, uint32_t subleaf)
{
    const struct hvctl_cpuid none = {0, 0, 0, 0};

    (void)ctx;
    return number < 0x24 && subleaf < 2 ? leaf[number][subleaf] : none;
}

/*
 * SDM vol. 3, "Architectural Performance Monitoring Version 5": a fixed counter exists if ECX says so or EDX[4:0] is
 * above it.
 */
Test(hvctl_vmx_check, fixed_counters_exist_as_leaf_0ah_and_23h_say)
{
    static const struct {
        uint32_t top, eax, ecx, edx, more_general, more_fixed;
        uint64_t expected; /* without bit 48 */
    } cases[] = {
        {10, 0x0805, 0x77, 3, 0, 0, UINT64_C(0x77000000ff)}, {10, 0x0805, 0x70, 3, 0, 0, UINT64_C(0x77000000ff)},
        {10, 0x0402, 0, 3, 0, 0, UINT64_C(0x70000000f)},     {10, 0x0401, 0, 3, 0, 0, 0xf},
        {0x23, 0x0805, 0x7, 3, 0x3ff, 0x177, UINT64_C(0x177000003ff)},
        {0x22, 0x0805, 0x7, 3, 0x3ff, 0x177, UINT64_C(0x7000000ff)},
        {10, 0x2005, 0, 0, 0, 0, 0xffffffff},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct setup setup;
        struct hvctl_report report;

        memset(leaf, 0, sizeof(leaf));
        leaf[0][0].eax = cases[i].top;
        leaf[10][0].eax = cases[i].eax;
        leaf[10][0].ecx = cases[i].ecx;
        leaf[10][0].edx = cases[i].edx;
        leaf[0x23][0].eax = 3;
        leaf[0x23][1].eax = cases[i].more_general;
        leaf[0x23][1].ebx = cases[i].more_fixed;
        begin(&setup, "long");
        hvctl_vmx_surroundings_cpuid(&setup.around, facts_cpuid, NULL);
        cr_expect_eq(setup.around.cpu.perf_global_ctrl & ~(UINT64_C(1) << 48), cases[i].expected, "case %u", i);
        put(&setup, HVCTL_VMCS_VM_ENTRY_CONTROLS, hvctl_vmcs_get(&setup.image, HVCTL_VMCS_VM_ENTRY_CONTROLS) | 1 << 13);
        put(&setup, HVCTL_VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, cases[i].expected);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        cr_expect_eq(hvctl_report_find(&report, "GUEST.PERF_GLOBAL_CTRL"), NULL);
        put(&setup, HVCTL_VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, cases[i].expected | UINT64_C(1) << 47);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        cr_expect_neq(hvctl_report_find(&report, "GUEST.PERF_GLOBAL_CTRL"), NULL);
    }
}

/*
 * CR3's bits 62:61 are LAM's: SDM vol. 3, "Linear-Address Masking". Who does not know whether the CPU has it does not
 * judge.
 */
Test(hvctl_vmx_check, lam_is_judged_only_where_cpuid_was_asked)
{
    for (unsigned known = 0; known < 5; known++) {
        static struct setup setup;
        struct hvctl_report report;
        bool lam = known == 2 || known == 4;

        begin(&setup, "long");
        setup.around.cpu.known = known == 1 || known == 2;
        setup.around.cpu.lam = known == 2;
        setup.caps.cpu.leaf7 = known >= 3;
        setup.caps.cpu.lam = known == 4;
        put(&setup, HVCTL_VMCS_GUEST_CR3, UINT64_C(3) << 61 | 0x1000);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        cr_expect_eq(hvctl_report_find(&report, "GUEST.CR3") == NULL, known == 0 || lam, "%u", known);
        cr_expect_eq(unchecked_rule(&report, "GUEST.CR3"), known == 0, "%u", known);
        put(&setup, HVCTL_VMCS_GUEST_CR3, UINT64_C(1) << 63 | UINT64_C(3) << 61);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        cr_expect_neq(hvctl_report_find(&report, "GUEST.CR3"), NULL, "bit 63 is wrong on every CPU");
    }
}

static uint64_t one_msr[2];

static bool read_one_msr(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    (void)ctx;
    if (physical < 0x9000 || physical >= 0x9010)
        return read_memory(ctx, physical, bytes, size);
    memcpy(bytes, &one_msr[physical >> 3 & 1], size);
    return true;
}

/* What WRMSR takes, as far as SDM vol. 4 says it of every CPU. */
Test(hvctl_vmx_check, an_msr_whose_rules_are_not_known_is_not_judged)
{
    enum { KEPT, BROKEN, UNCHECKED };
    static const struct {
        uint32_t msr;
        uint64_t value;
        int expected;
    } cases[] = {
        {0x174, 5, KEPT}, {0x175, UINT64_C(0x800000000000), BROKEN}, {0xc0000082, UINT64_C(0xffffffff81000000), KEPT},
        {0x1dd, UINT64_C(0x800000000000), BROKEN}, {0x1de, UINT64_C(0x7fff00000000000), BROKEN},
        {0x680, UINT64_C(0x800000000000), BROKEN}, {0x6df, UINT64_C(0x800000000000), BROKEN},
        {0x1500, UINT64_C(0x800000000000), BROKEN}, {0x161f, UINT64_C(0x800000000000), BROKEN},
        {0x1dd, UINT64_C(0xffff800000000000), UNCHECKED}, /* this CPU may not have it */
        {0x1a0, 1, UNCHECKED}, {0x10a, 0, UNCHECKED}, {0xc0000084, UINT64_C(1) << 32, BROKEN},
        {0xc0000103, UINT64_C(1) << 32, BROKEN}, {0xc0000103, 1, UNCHECKED}, {0x48, UINT64_C(1) << 63, BROKEN},
        {0x48, 1, UNCHECKED}, {0x1d9, 8, BROKEN}, {0x1d9, 1, UNCHECKED}, {0xc0000080, UINT64_C(1) << 12, BROKEN},
        {0x38f, UINT64_C(1) << 63, BROKEN}, {0x38f, 1, UNCHECKED}, {0xc0000081, ~UINT64_C(0), KEPT},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct setup setup;
        struct hvctl_report report;

        begin(&setup, "long");
        setup.around.read = read_one_msr;
        one_msr[0] = cases[i].msr;
        one_msr[1] = cases[i].value;
        put(&setup, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, 0x9000);
        put(&setup, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, 1);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        cr_expect_eq(hvctl_report_find(&report, "MSR.VALUE") != NULL, cases[i].expected == BROKEN, "%x", cases[i].msr);
        cr_expect_eq(unchecked_rule(&report, "MSR.VALUE"), cases[i].expected == UNCHECKED, "%x", cases[i].msr);
    }
}

/* APM vol. 2, "EFER"; SDM vol. 3, "Control Registers". */
Test(hvctl_vmx_check, newer_bits_have_names)
{
    cr_expect_str_eq(hvctl_bit_name(HVCTL_BITS_CR4, 27), "LASS");
    cr_expect_str_eq(hvctl_bit_name(HVCTL_BITS_EFER, 17), "MCOMMIT");
    cr_expect_str_eq(hvctl_bit_name(HVCTL_BITS_EFER, 18), "INTWB");
    cr_expect_str_eq(hvctl_bit_name(HVCTL_BITS_EFER, 20), "UAIE");
    cr_expect_str_eq(hvctl_bit_name(HVCTL_BITS_EFER, 21), "AIBRSE");
    cr_expect_null(hvctl_bit_name(HVCTL_BITS_EFER, 19));
}

/* A caller finds the field by number, not by its name alone. */
Test(hvctl_vmx_check, a_violation_leads_to_its_field)
{
    static const struct {
        uint32_t field;
        uint64_t value;
        uint32_t encoding;
        const char *rule;
    } cases[] = {
        {HVCTL_VMCS_GUEST_RFLAGS, 0, HVCTL_VMCS_GUEST_RFLAGS, "GUEST.RFLAGS.RESERVED"},
        {HVCTL_VMCS_GUEST_CR4, 0x2000, HVCTL_VMCS_GUEST_CR4, "GUEST.IA32E.PG_PAE"},
        {HVCTL_VMCS_HOST_CS_SELECTOR, 0, HVCTL_VMCS_HOST_CS_SELECTOR, "HOST.CS.NULL"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct setup setup;
        struct hvctl_report report;
        unsigned found = 0;

        begin(&setup, "long");
        put(&setup, cases[i].field, cases[i].value);
        hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
        for (unsigned k = 0; k < hvctl_report_listed(&report); k++)
            found += hvctl_vmx_violation_encoding(&report.violation[k]) == cases[i].encoding;
        cr_expect(found >= 1, "%s", cases[i].rule);
    }
}
