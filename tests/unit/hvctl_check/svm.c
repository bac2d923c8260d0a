/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Every rule of VMRUN that a VMCB can break, broken alone and kept at its edge. APM vol. 2, "VMRUN Instruction". */
#include <hvctl/svm/check.h>
#include <hvctl/svm/guest.h>

#include "cases.h"

struct setup {
    struct hvctl_svm_caps caps;
    struct hvctl_svm_surroundings around;
    struct hvctl_vmcb vmcb;
};

static uint64_t pdpe;

static bool read_memory(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 0, size);
    if (physical == 0x1000)
        memcpy(bytes, &pdpe, size);
    return true;
}

static void begin(struct setup *setup)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x1000, 0x2000);

    memset(setup, 0, sizeof(*setup));
    setup->caps.edx = 0xffffffff;
    setup->caps.sev_asids = 100;
    setup->caps.sev_min_asid = 10;
    setup->caps.sev_eax = 1u << 1 | 1u << 3 | 1u << 11; /* SEV, SEV-ES, for hosts in 64-bit mode only */
    setup->caps.cpu.maxphyaddr = 40;
    setup->caps.cpu.linear_bits = 48;
    setup->caps.cpu.long_mode = setup->caps.cpu.nx = setup->caps.cpu.cet_ss = true;
    setup->around.read = read_memory;
    setup->around.sev_on = true;
    hvctl_svm_guest_write(&setup->vmcb, &state);
    setup->vmcb.control.intercept_vector_4 = 1;
    setup->vmcb.control.guest_asid = 1;
    hvctl_vmcb_set_nested_paging(&setup->vmcb, 0x3000, HVCTL_PAT_RESET);
}

struct change {
    const char *rule;
    bool kept;
    size_t offset;
    unsigned size;
    uint64_t xor_with;
};

#define C(member, value) \
    offsetof(struct hvctl_vmcb, control.member), sizeof(((struct hvctl_vmcb *)0)->control.member), value
#define S(member, value) offsetof(struct hvctl_vmcb, save.member), sizeof(((struct hvctl_vmcb *)0)->save.member), value
#define BIT(n)           (UINT64_C(1) << (n))

/* What differs from a good VMCB of a 64-bit guest with nested paging: EFER 1D00H, CR0 80010031H, CR4 20H, ASID 1. */
static const struct change changes[] = {
    {"SVM.EFER.SVME", false, S(efer, 0x1000)},
    {"SVM.EFER.MBZ", false, S(efer, BIT(1))},
    {"SVM.EFER.MBZ", false, S(efer, BIT(16))},
    {"SVM.EFER.MBZ", false, S(efer, BIT(63))},
    {"SVM.EFER.MBZ", true, S(efer, 1)},
    {"SVM.EFER.LME_PAE", false, S(cr4, 0x20)},
    {"SVM.EFER.LME_PAE", true, S(cr4, 0x80)},
    {"SVM.EFER.LME_PE", false, S(cr0, 1)},
    {"SVM.EFER.LME_PE", true, S(cr0, 2)},
    {"SVM.EFER.LME_CS", false, S(cs.attrib, 0x400)},
    {"SVM.EFER.LME_CS", true, S(cs.attrib, 0x600)},
    {"SVM.CR0.CD_NW", false, S(cr0, 0x20000000)},
    {"SVM.CR0.CD_NW", true, S(cr0, 0x60000000)},
    {"SVM.CR0.CD_NW", true, S(cr0, 0x40000000)},
    {"SVM.CR0.HIGH", false, S(cr0, BIT(32))},
    {"SVM.CR0.HIGH", false, S(cr0, BIT(63))},
    {"SVM.CR0.HIGH", true, S(cr0, BIT(18))},
    {"SVM.CR3.MBZ", false, S(cr3, BIT(40))},
    {"SVM.CR3.MBZ", false, S(cr3, BIT(63))},
    {"SVM.CR3.MBZ", true, S(cr3, BIT(39))},
    {"SVM.CR4.MBZ", false, S(cr4, BIT(13))},
    {"SVM.CR4.MBZ", false, S(cr4, BIT(15))},
    {"SVM.CR4.MBZ", false, S(cr4, BIT(24))},
    {"SVM.CR4.MBZ", true, S(cr4, BIT(32))}, /* FRED, on a CPU of which CPUID was not asked */
    {"SVM.CR4.MBZ", false, S(cr4, BIT(33))},
    {"SVM.CR4.MBZ", true, S(cr4, BIT(22))},
    {"SVM.CET.S_CET", false, S(s_cet, 0x40)},
    {"SVM.CET.S_CET", true, S(s_cet, 0x3f)},
    {"SVM.DR6.HIGH", false, S(dr6, BIT(32))},
    {"SVM.DR6.HIGH", true, S(dr6, BIT(31))},
    {"SVM.DR7.HIGH", false, S(dr7, BIT(63))},
    {"SVM.DR7.HIGH", true, S(dr7, BIT(31))},
    {"SVM.CTRL.VMRUN", false, C(intercept_vector_4, 1)},
    {"SVM.CTRL.VMRUN", true, C(intercept_vector_4, 2)},
    {"SVM.CTRL.MSRPM", false, C(msrpm_base_pa, BIT(40) - 0x1000)},
    {"SVM.CTRL.MSRPM", true, C(msrpm_base_pa, BIT(40) - 0x2000)},
    {"SVM.CTRL.MSRPM", true, C(msrpm_base_pa, BIT(40) - 0x1001)},
    {"SVM.CTRL.IOPM", false, C(iopm_base_pa, BIT(40) - 0x2000)},
    {"SVM.CTRL.IOPM", true, C(iopm_base_pa, BIT(40) - 0x3000)},
    {"SVM.CTRL.ASID", false, C(guest_asid, 1)},
    {"SVM.CTRL.ASID", true, C(guest_asid, 3)},
    {"SVM.CTRL.TLB", false, C(tlb_control, 2)},
    {"SVM.CTRL.TLB", false, C(tlb_control, 5)},
    {"SVM.CTRL.TLB", true, C(tlb_control, 7)},
    {"SVM.INJ.TYPE", false, C(eventinj, 0x80000103)},
    {"SVM.INJ.TYPE", false, C(eventinj, 0x80000503)},
    {"SVM.INJ.TYPE", true, C(eventinj, 0x80000403)},
    {"SVM.INJ.TYPE", true, C(eventinj, 0x00000503)},
    {"SVM.INJ.VECTOR", false, C(eventinj, 0x80000302)},
    {"SVM.INJ.VECTOR", false, C(eventinj, 0x80000320)},
    {"SVM.INJ.VECTOR", true, C(eventinj, 0x8000031e)},
    {"SVM.INJ.MODE", false, C(eventinj, 0x80000304)},
    {"SVM.INJ.MODE", false, C(eventinj, 0x80000305)},
    {"SVM.INJ.MODE", true, C(eventinj, 0x80000303)},
    {"SVM.VNMI.INTERCEPT", false, C(virtual_interrupt_control, BIT(26))},
    {"SVM.NP.NCR3", false, C(n_cr3, BIT(40))},
    {"SVM.NP.NCR3", true, C(n_cr3, BIT(39))},
    {"SVM.NP.G_PAT", false, S(g_pat, 4)}, /* 6 becomes 2 */
    {"SVM.NP.G_PAT", true, S(g_pat, 3)},
    {"SVM.SSS.NP", false, C(nested_control, 0x11)},
    {"SVM.SSS.NP", true, C(nested_control, 0x10)},
    {"SVM.AVIC.APIC_BAR", false, C(avic_apic_bar, BIT(40))},
    {"SVM.AVIC.BACKING_PAGE", false, C(avic_backing_page, BIT(40))},
    {"SVM.AVIC.LOGICAL_TABLE", false, C(avic_logical_table, BIT(40))},
    {"SVM.AVIC.PHYSICAL_TABLE", false, C(avic_physical_table, BIT(51))},
};

static void apply(struct setup *setup, const struct change *change)
{
    unsigned char *at = (unsigned char *)&setup->vmcb + change->offset;

    for (unsigned i = 0; i < change->size; i++)
        at[i] = (unsigned char)(at[i] ^ (change->xor_with >> (8 * i)));
}

static void expect(const struct setup *setup, const char *rule, bool kept)
{
    static struct hvctl_report report;
    char words[512] = "";
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    hvctl_svm_check_in(&setup->vmcb, &setup->caps, &setup->around, &report);
    hvctl_report_text(&report, &text);
    cr_expect_eq(report.broken, kept ? 0u : 1u, "%s: %s", rule, words);
    cr_expect_eq(hvctl_report_find(&report, rule) == NULL, kept, "%s: %s", rule, words);
    cr_expect_eq(report.unchecked, 0);
}

Test(hvctl_svm_check, each_rule_is_broken_alone_and_kept_at_its_edge)
{
    static struct setup setup;

    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        begin(&setup);
        if (strncmp(changes[i].rule, "SVM.AVIC", 8) == 0)
            setup.vmcb.control.virtual_interrupt_control = BIT(31);
        apply(&setup, &changes[i]);
        expect(&setup, changes[i].rule, changes[i].kept);
    }
}

Test(hvctl_svm_check, rules_on_encrypted_guests)
{
    static struct setup setup;

    begin(&setup);
    setup.vmcb.control.nested_control = HVCTL_NESTED_SEV;
    setup.vmcb.control.guest_asid = 10;
    expect(&setup, "SVM.SEV.NP", false);
    setup.vmcb.control.nested_control |= HVCTL_NESTED_NP_ENABLE;
    expect(&setup, "SVM.SEV.NP", true);
    setup.vmcb.control.guest_asid = 9;
    expect(&setup, "SVM.SEV.ASID_MIN", false);
    setup.vmcb.control.guest_asid = 101;
    expect(&setup, "SVM.SEV.ASID", false);
    setup.vmcb.control.guest_asid = 100;
    expect(&setup, "SVM.SEV.ASID", true);
    setup.around.smm_unlocked = true;
    expect(&setup, "SVM.SEV.SMMLOCK", false);
    setup.around.smm_unlocked = false;
    setup.around.host_legacy = true;
    expect(&setup, "SVM.SEV.HOST64", false);
    setup.around.host_legacy = false;
    setup.vmcb.control.nested_control |= HVCTL_NESTED_SEV_ES;
    expect(&setup, "SVM.SEVES.LBR", false);
    setup.vmcb.control.virtualization_control = HVCTL_VIRT_LBR;
    expect(&setup, "SVM.SEVES.LBR", true);
    setup.caps.sev_eax |= 1u << 27;
    setup.around.sev_features_known = true; /* SNP active and debug virtualization, of which the second is not allowed */
    setup.around.sev_features = 0x21;
    setup.vmcb.control.allowed_sev_features = BIT(63) | 1;
    expect(&setup, "SVM.SNP.ALLOWED", false);
    setup.vmcb.control.allowed_sev_features = 1;
    expect(&setup, "SVM.SNP.ALLOWED", true);
    setup.vmcb.control.allowed_sev_features = BIT(63) | 0x21;
    expect(&setup, "SVM.SNP.ALLOWED", true);
    setup.vmcb.control.eventinj = 0x80000403;
    expect(&setup, "SVM.INJ.SEV_ES", false);
    setup.vmcb.control.eventinj = 0x8000030d;
    expect(&setup, "SVM.INJ.SEV_ES", true);
    setup.vmcb.control.nested_control &= ~HVCTL_NESTED_SEV;
    setup.vmcb.control.eventinj = 0;
    expect(&setup, "SVM.SEVES.SEV", false);
}

Test(hvctl_svm_check, rules_on_what_is_around_the_vmcb)
{
    static struct setup setup;

    begin(&setup);
    setup.around.host_no_paging = true;
    expect(&setup, "SVM.NP.HOST_PG", false);
    begin(&setup);
    setup.caps.cpu.long_mode = false;
    expect(&setup, "SVM.EFER.LM", false);
    begin(&setup);
    setup.vmcb.save.cr4 |= HVCTL_CR4_CET;
    expect(&setup, "SVM.CR4.CET_WP", true);
    setup.vmcb.save.cr0 &= ~HVCTL_CR0_WP;
    expect(&setup, "SVM.CR4.CET_WP", false);
    begin(&setup);
    setup.vmcb.control.virtual_interrupt_control = HVCTL_VINTR_NMI_ENABLE;
    setup.vmcb.control.intercept_vector_3 = 2;
    expect(&setup, "SVM.VNMI.INTERCEPT", true);
    begin(&setup); /* PAE paging without nested paging */
    setup.vmcb.save.efer = HVCTL_EFER_SVME;
    setup.vmcb.control.nested_control = 0;
    pdpe = UINT64_C(0xfffffffe19);
    expect(&setup, "SVM.NP.PDPE", true);
    pdpe = 3;
    expect(&setup, "SVM.NP.PDPE", false);
    pdpe = UINT64_C(0x10000000001);
    expect(&setup, "SVM.NP.PDPE", false);
    pdpe = 0;
}

/* The manual's rule, or its parts: the same in what comes of them. */
static bool known(const char *id, const char *failure)
{
    const struct hvctl_svm_rule *rule;
    bool found = false;

    for (size_t i = 0; (rule = hvctl_svm_rule_at(i)) != NULL; i++)
        if (strncmp(rule->id, id, strlen(id)) == 0) {
            cr_expect_str_eq(hvctl_failure_text(rule->failure), failure, "%s", rule->id);
            found = true;
        }
    return found;
}

static void one_rule(char **cell)
{
    /* no field of the VMCB breaks these, or only what the VMSA and the reverse map table hold */
    static const char *const not_stated[] = {"SVM.PRE.",      "SVM.CR0.PG_PE", "SVM.CET.U_CET",      "SVM.INJ.SOFT",
                                             "SVM.SSS.HOST",  "SVM.SSS.VMPL",  "SVM.SEVES.CHECKSUM", "SVM.SEVES.IBS",
                                             "SVM.SEVES.PMC", "SVM.SNP.",      "SVM.SAVIC.",         "SVM.CANON",
                                             "SVM.RIP",       "SVM.AVIC.PTR"};

    for (unsigned i = 0; i < sizeof(not_stated) / sizeof(not_stated[0]); i++)
        if (strncmp(cell[0], not_stated[i], strlen(not_stated[i])) == 0)
            return;
    cr_expect(known(cell[0], cell[1]), "there is no rule %s", cell[0]);
}

Test(hvctl_svm_check, every_rule_of_the_manual_is_there)
{
    cases_read("vmrun_rules.csv", 2, one_rule);
}

/* APM vol. 2, "Allowed SEV Features": bit 63 turns the check on; SEV_FEATURES is in the VMSA, which nobody can read. */
Test(hvctl_svm_check, allowed_sev_features_bound_those_of_the_vmsa)
{
    static const struct {
        uint64_t allowed, features;
        bool known, has, broken, unchecked;
    } cases[] = {
        {BIT(63) | 1, 1, true, true, false, false},  {BIT(63) | 1, 3, true, true, true, false},
        {1, 3, true, true, false, false},            {BIT(63) | 1, 3, true, false, false, false},
        {BIT(63) | 1, 3, false, true, false, true},  {BIT(63) | 1, BIT(63) | BIT(62) | 1, true, true, false, false},
        {BIT(63) | BIT(61), BIT(61), true, true, false, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct setup setup;
        static struct hvctl_report report;

        begin(&setup);
        setup.caps.sev_eax |= cases[i].has ? 1u << 27 : 0;
        setup.around.sev_features_known = cases[i].known;
        setup.around.sev_features = cases[i].features;
        setup.vmcb.control.guest_asid = 10;
        setup.vmcb.control.nested_control |= HVCTL_NESTED_SEV | HVCTL_NESTED_SEV_ES;
        setup.vmcb.control.virtualization_control |= HVCTL_VIRT_LBR;
        setup.vmcb.control.allowed_sev_features = cases[i].allowed;
        hvctl_svm_check_in(&setup.vmcb, &setup.caps, &setup.around, &report);
        cr_expect_eq(hvctl_report_find(&report, "SVM.SNP.ALLOWED") != NULL, cases[i].broken, "case %u", i);
        cr_expect_eq(report.broken, cases[i].broken, "case %u", i);
        cr_expect_eq(report.unchecked, cases[i].unchecked, "case %u", i);
    }
}

static struct hvctl_cpuid fred_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = {0, 0, 0, 0};

    if (leaf == 0)
        id.eax = 7;
    if (leaf == 7 && subleaf == 0)
        id.eax = 1;
    if (leaf == 7 && subleaf == 1)
        id.eax = *(const bool *)ctx ? 1u << 17 : 0;
    return id;
}

/* CR4.FRED: CPUID 7.1 EAX[17], where it was asked. */
Test(hvctl_svm_check, fred_is_what_cpuid_says)
{
    for (unsigned fred = 0; fred < 2; fred++) {
        struct hvctl_svm_surroundings around;
        bool has = fred;

        memset(&around, 0, sizeof(around));
        hvctl_svm_surroundings_cpuid(&around, fred_cpuid, &has);
        cr_expect_eq(around.cpu.cr4 >> 32, fred);
    }
}

Test(hvctl_svm_check, a_violation_leads_to_its_member)
{
    static struct setup setup;
    static struct hvctl_report report;
    unsigned size;

    begin(&setup);
    setup.vmcb.save.cr0 |= BIT(32);
    hvctl_svm_check_in(&setup.vmcb, &setup.caps, &setup.around, &report);
    cr_assert_eq(report.broken, 1);
    cr_expect_eq(hvctl_svm_violation_offset(&report.violation[0], &size), 0x558);
    cr_expect_eq(size, 8);
    setup.vmcb.save.cr0 ^= BIT(32);
    setup.vmcb.control.guest_asid = 0;
    hvctl_svm_check_in(&setup.vmcb, &setup.caps, &setup.around, &report);
    cr_assert_eq(report.broken, 1);
    cr_expect_eq(hvctl_svm_violation_offset(&report.violation[0], &size), 0x58);
    cr_expect_eq(size, 4);
}
