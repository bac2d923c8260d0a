/*
 * Every rule of VM entry, broken alone and kept at its edge, as tests/reference/hvctl_check lists the cases; on a CPU that
 * has every feature, so that no rule is out of reach.
 */
#include <hvctl/vmx_check.h>
#include <hvctl/vmx_guest.h>

#include "cases.h"

struct setup {
    struct hvctl_vmx_caps caps;
    struct hvctl_vmx_surroundings around;
    struct hvctl_vmcs_image image;
};

/* Physical memory by page: 2000H a VMCS, 3000H a shadow, 4000H another CPU's, 6000H MSR areas, 7000H PDPTEs, 8000H a TPR. */
static bool read_memory(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    static uint64_t page[8][512];
    static const uint64_t msrs[7][2] = {
        {0x174, 0}, {0xc0000100, 0}, {0x808, 0}, {0x9b, 0}, {0x79, 0}, {UINT64_C(0x100000174), 0}, {0x277, 2},
    };

    (void)ctx;
    page[2][0] = 0x2b;
    page[3][0] = 0x8000002b;
    page[4][0] = 0x2c;
    page[5][0] = 0x2b;
    for (unsigned i = 0; i < 7; i++) { /* a good entry, then the one in question */
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

static void one_case(char **cell)
{
    static struct setup setup;
    static struct hvctl_report report;
    char changes[256], words[512] = "";
    struct hvctl_text_buffer buffer;
    struct hvctl_text text = hvctl_text_into(&buffer, words, sizeof(words));

    begin(&setup, cell[2]);
    snprintf(changes, sizeof(changes), "%s", cell[3]);
    for (char *change = strtok(changes, " "); change; change = strtok(NULL, " "))
        apply(&setup, change);
    hvctl_vmx_check_in(&setup.image, &setup.caps, &setup.around, &report);
    hvctl_report_text(&report, &text);
    cr_expect_eq(report.unchecked, 0, "%s %s: left unchecked: %s", cell[1], cell[3], words);
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
}

Test(hvctl_vmx_check, each_rule_is_broken_alone_and_kept_at_its_edge)
{
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

Test(hvctl_vmx_check, the_words_of_a_violation)
{
    static struct setup setup;
    static struct hvctl_report report;
    char words[256];
    struct hvctl_text_buffer buffer;
    struct hvctl_text text = hvctl_text_into(&buffer, words, sizeof(words));

    begin(&setup, "long");
    put(&setup, HVCTL_VMCS_GUEST_CR0, 0x20);
    hvctl_vmx_check(&setup.image, &setup.caps, &report);
    cr_assert(hvctl_report_find(&report, "GUEST.CR0.FIXED"));
    hvctl_violation_text(hvctl_report_find(&report, "GUEST.CR0.FIXED"), &text);
    cr_expect_str_eq(words, "GUEST.CR0.FIXED: GUEST_CR0 = 0x20, must have PE, PG set (unrestricted guest is off)");
}
