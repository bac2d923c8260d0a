/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Capabilities and the control solver: names and bits from the manual's tables, capability MSRs as five emulated CPUs
 * have them. SDM vol. 3, "VMX Capability Reporting Facility", "Checks on VMX Controls".
 */
#include <hvctl/vmx/solver.h>

#include "support/models.h"

static const char *const group_name[] = {"pin",  "primary", "secondary", "tertiary",
                                         "exit", "exit2",   "entry",     "vm_function"};
static const char *const group_prefix[] = {"PIN_",  "PRIMARY_", "SECONDARY_", "TERTIARY_",
                                           "EXIT_", "EXIT2_",   "ENTRY_",     "VMFUNC_"};

static struct table table;

Test(vmx_controls, every_record_of_the_table_is_a_control_at_its_bit)
{
    size_t listed = 0;

    table_load(&table, "vmx_controls.csv");
    while (hvctl_vmx_control_at(listed))
        listed++;
    cr_expect_eq(listed, table.rows);
    for (unsigned i = 0; i < table.rows; i++) {
        const struct row *row = &table.row[i];
        unsigned group = 0;
        enum hvctl_vmx_control control;
        char name[80];

        while (strcmp(group_name[group], row->cell[0]))
            group++;
        control = hvctl_vmx_control_of(group, (unsigned)row_number(row, 1));
        snprintf(name, sizeof(name), "%s%s", group_prefix[group], row->cell[2]);
        cr_assert(hvctl_vmx_control_name(control), "%s", name);
        cr_expect_str_eq(hvctl_vmx_control_name(control), name);
        cr_expect_eq(hvctl_vmx_control_group(control), group);
        cr_expect_eq(hvctl_vmx_control_mask(control), UINT64_C(1) << row_number(row, 1));
    }
}

Test(vmx_controls, a_bit_without_a_name_is_described_by_group_and_number)
{
    char bytes[100];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    cr_expect_null(hvctl_vmx_control_name(hvctl_vmx_control_of(HVCTL_GROUP_PRIMARY, 18)));
    hvctl_vmx_control_text(hvctl_vmx_control_of(HVCTL_GROUP_PRIMARY, 18), &text);
    cr_expect_str_eq(bytes, "bit 18 of the primary processor-based VM-execution controls");
}

Test(vmx_controls, conditions_that_are_no_controls_have_words_and_no_bit)
{
    for (int id = HVCTL_ALWAYS; id <= HVCTL_CPUID_APX; id++) {
        cr_expect(hvctl_vmx_control_name((enum hvctl_vmx_control)id));
        cr_expect_eq(hvctl_vmx_control_group((enum hvctl_vmx_control)id), HVCTL_GROUP_OTHER);
        cr_expect_eq(hvctl_vmx_control_mask((enum hvctl_vmx_control)id), 0);
    }
    for (int group = 0; group <= HVCTL_GROUP_COUNT; group++)
        cr_expect(hvctl_vmx_group_name((enum hvctl_vmx_group)group));
    cr_expect_eq(hvctl_vmx_group_field(HVCTL_GROUP_OTHER), HVCTL_VMCS_NO_FIELD);
}

static uint64_t caps_bit(const char *reg, const char *name)
{
    static struct table bits;

    if (!bits.rows)
        table_load(&bits, "vmx_caps_bits.csv");
    for (unsigned i = 0; i < bits.rows; i++)
        if (!strcmp(bits.row[i].cell[0], reg) && !strcmp(bits.row[i].cell[2], name))
            return UINT64_C(1) << row_number(&bits.row[i], 1);
    cr_assert(false, "no %s %s", reg, name);
    return 0;
}

Test(vmx_caps, bits_of_basic_misc_and_ept_vpid_cap_are_where_the_manual_has_them)
{
#define BASIC(name) cr_expect_eq(HVCTL_VMX_BASIC_##name, caps_bit("vmx_basic", #name), #name)
#define MISC(name)  cr_expect_eq(HVCTL_VMX_MISC_##name, caps_bit("vmx_misc", #name), #name)
#define EPT(name)   cr_expect_eq(HVCTL_EPT_CAP_##name, caps_bit("ept_vpid_cap", #name), #name)
    BASIC(PHYSADDR_32BIT);
    BASIC(DUAL_MONITOR);
    BASIC(INS_OUTS_INFO);
    BASIC(TRUE_CONTROLS);
    BASIC(HW_EXCEPTION_ANY_ERROR_CODE);
    BASIC(NESTED_EXCEPTION);
    MISC(STORE_EFER_LMA);
    MISC(ACTIVITY_HLT);
    MISC(ACTIVITY_SHUTDOWN);
    MISC(ACTIVITY_WAIT_FOR_SIPI);
    MISC(PT_IN_VMX);
    MISC(RDMSR_SMBASE_IN_SMM);
    MISC(SMM_MONITOR_CTL_BIT2);
    MISC(VMWRITE_ANY_FIELD);
    MISC(ZERO_LENGTH_INJECTION);
    EPT(EXECUTE_ONLY);
    EPT(PAGE_WALK_LENGTH_4);
    EPT(PAGE_WALK_LENGTH_5);
    EPT(MEMORY_TYPE_UC);
    EPT(MEMORY_TYPE_WB);
    EPT(PDE_2M);
    EPT(PDPTE_1G);
    EPT(INVEPT);
    EPT(ACCESSED_DIRTY);
    EPT(ADVANCED_VM_EXIT_INFORMATION);
    EPT(SUPERVISOR_SHADOW_STACK);
    EPT(INVEPT_SINGLE_CONTEXT);
    EPT(INVEPT_ALL_CONTEXT);
    EPT(INVVPID);
    EPT(INVVPID_INDIVIDUAL_ADDRESS);
    EPT(INVVPID_SINGLE_CONTEXT);
    EPT(INVVPID_ALL_CONTEXT);
    cr_expect_eq(HVCTL_EPT_CAP_INVVPID_RETAINING_GLOBALS,
                 caps_bit("ept_vpid_cap", "INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS"));
#undef BASIC
#undef MISC
#undef EPT
}

Test(vmx_caps, msr_numbers_are_the_manuals)
{
    static const struct {
        const char *name;
        uint32_t msr;
    } used[] = {
        {"IA32_FEATURE_CONTROL", HVCTL_MSR_FEATURE_CONTROL},
        {"IA32_SMM_MONITOR_CTL", HVCTL_MSR_SMM_MONITOR_CTL},
        {"IA32_VMX_BASIC", HVCTL_MSR_VMX_BASIC},
        {"IA32_VMX_PINBASED_CTLS", HVCTL_MSR_VMX_PINBASED_CTLS},
        {"IA32_VMX_PROCBASED_CTLS", HVCTL_MSR_VMX_PROCBASED_CTLS},
        {"IA32_VMX_EXIT_CTLS", HVCTL_MSR_VMX_EXIT_CTLS},
        {"IA32_VMX_ENTRY_CTLS", HVCTL_MSR_VMX_ENTRY_CTLS},
        {"IA32_VMX_MISC", HVCTL_MSR_VMX_MISC},
        {"IA32_VMX_CR0_FIXED0", HVCTL_MSR_VMX_CR0_FIXED0},
        {"IA32_VMX_CR0_FIXED1", HVCTL_MSR_VMX_CR0_FIXED1},
        {"IA32_VMX_CR4_FIXED0", HVCTL_MSR_VMX_CR4_FIXED0},
        {"IA32_VMX_CR4_FIXED1", HVCTL_MSR_VMX_CR4_FIXED1},
        {"IA32_VMX_VMCS_ENUM", HVCTL_MSR_VMX_VMCS_ENUM},
        {"IA32_VMX_PROCBASED_CTLS2", HVCTL_MSR_VMX_PROCBASED_CTLS2},
        {"IA32_VMX_EPT_VPID_CAP", HVCTL_MSR_VMX_EPT_VPID_CAP},
        {"IA32_VMX_TRUE_PINBASED_CTLS", HVCTL_MSR_VMX_TRUE_PINBASED_CTLS},
        {"IA32_VMX_TRUE_PROCBASED_CTLS", HVCTL_MSR_VMX_TRUE_PROCBASED_CTLS},
        {"IA32_VMX_TRUE_EXIT_CTLS", HVCTL_MSR_VMX_TRUE_EXIT_CTLS},
        {"IA32_VMX_TRUE_ENTRY_CTLS", HVCTL_MSR_VMX_TRUE_ENTRY_CTLS},
        {"IA32_VMX_VMFUNC", HVCTL_MSR_VMX_VMFUNC},
        {"IA32_VMX_PROCBASED_CTLS3", HVCTL_MSR_VMX_PROCBASED_CTLS3},
        {"IA32_VMX_EXIT_CTLS2", HVCTL_MSR_VMX_EXIT_CTLS2},
    };

    table_load(&table, "vmx_msrs.csv");
    cr_expect_eq(table.rows, sizeof(used) / sizeof(used[0]));
    for (unsigned i = 0; i < table.rows; i++) {
        unsigned k = 0;

        while (k < sizeof(used) / sizeof(used[0]) && strcmp(used[k].name, table.row[i].cell[1]))
            k++;
        cr_assert_lt(k, sizeof(used) / sizeof(used[0]), "%s", table.row[i].cell[1]);
        cr_expect_eq(used[k].msr, row_number(&table.row[i], 0), "%s", used[k].name);
    }
}

Test(vmx_caps, only_msrs_that_others_announce_are_read)
{
    static struct model model;
    struct hvctl_vmx_caps caps;

    /* The models fault on 492H and 493H; so does a CPU without secondary controls on 48BH, 48CH and 491H. */
    for (unsigned m = 0; m < MODELS; m++) {
        model_load(&model, model_name[m]);
        cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, model_cpuid, &model), HVCTL_OK, "%s", model_name[m]);
        cr_expect_eq(caps.secondary, model.msr[0x48b]);
        cr_expect_eq(caps.vmfunc, model.msr[0x491]);
        cr_expect_eq(caps.ept_vpid_cap, model.msr[0x48c]);
        cr_expect(caps.tertiary == 0 && caps.exit2 == 0);
        cr_expect_eq(caps.cpu.maxphyaddr, 40);
    }
    model.msr[0x482] &= ~(UINT64_C(1) << 63);
    model.msr[0x48e] &= ~(UINT64_C(1) << 63);
    model.there[0x48b] = model.there[0x48c] = model.there[0x491] = false;
    cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, NULL, &model), HVCTL_OK);
    cr_expect(caps.secondary == 0 && caps.ept_vpid_cap == 0 && caps.vmfunc == 0);
    cr_expect_eq(caps.cpu.maxphyaddr, 52);
    model.msr[0x480] &= ~(UINT64_C(1) << 55);
    model.there[0x48d] = model.there[0x48e] = model.there[0x48f] = model.there[0x490] = false;
    cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, NULL, &model), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_must_be_one(&caps, HVCTL_GROUP_PRIMARY), model.msr[0x482] & 0xffffffff);
    cr_expect_eq(hvctl_vmx_must_be_one(&caps, HVCTL_GROUP_EXIT), model.msr[0x483] & 0xffffffff);
}

Test(vmx_caps, each_msr_that_faults_is_named)
{
    static struct model model;
    struct hvctl_vmx_caps caps;
    static const uint32_t needed[] = {0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488,
                                      0x489, 0x48a, 0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491};

    for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        model_load(&model, "tigerlake");
        model.there[needed[i]] = false;
        cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, model_cpuid, &model), HVCTL_E_MSR, "%x", needed[i]);
        cr_expect_eq(caps.failed_msr, needed[i]);
    }
    model_load(&model, "tigerlake");
    model.msr[0x48e] |= UINT64_C(1) << (32 + 17); /* tertiary controls announced, 492H missing */
    cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, model_cpuid, &model), HVCTL_E_MSR);
    cr_expect_eq(caps.failed_msr, 0x492);
    model_load(&model, "tigerlake");
    model.msr[0x48f] |= UINT64_C(1) << 63; /* secondary exit controls */
    cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, model_cpuid, &model), HVCTL_E_MSR);
    cr_expect_eq(caps.failed_msr, 0x493);
    model.msr[0x493] = 0xf;
    model.there[0x493] = true;
    cr_expect_eq(hvctl_vmx_caps_read(&caps, model_rdmsr, model_cpuid, &model), HVCTL_OK);
    cr_expect(hvctl_vmx_can(&caps, HVCTL_EXIT2_LOAD_HOST_FRED));
}

Test(vmx_caps, numbers_are_taken_out_of_their_fields)
{
    static struct hvctl_vmx_caps caps;

    caps.basic = UINT64_C(0x00d9040080001234) | UINT64_C(1) << 31;
    caps.misc = (UINT64_C(256) << 16) | 5 << 25 | 19;
    caps.cpu.maxphyaddr = 46;
    cr_expect_eq(hvctl_vmx_revision(&caps), 0x1234);
    cr_expect_eq(hvctl_vmx_region_size(&caps), 1024);
    cr_expect_eq(hvctl_vmx_physaddr_bits(&caps), 32);
    cr_expect_eq(hvctl_vmx_cr3_targets(&caps), 256);
    cr_expect_eq(hvctl_vmx_msr_list_max(&caps), 3072);
    cr_expect_eq(hvctl_vmx_preemption_timer_shift(&caps), 19);
    caps.basic &= ~(UINT64_C(1) << 48);
    cr_expect_eq(hvctl_vmx_physaddr_bits(&caps), 46);
    for (unsigned n = 0; n <= 4; n++) {
        caps.misc = (uint64_t)n << 16;
        for (unsigned k = 0; k < 4; k++)
            cr_expect_eq(hvctl_vmx_can(&caps, (enum hvctl_vmx_control)(HVCTL_CR3_TARGETS_1 + k)), n > k);
    }
    cr_expect_not(hvctl_vmx_can(&caps, HVCTL_CPUID_FRED));
    cr_expect_not(hvctl_vmx_can(&caps, HVCTL_CPUID_APX));
    caps.cpu.fred = caps.cpu.apx = true;
    cr_expect(hvctl_vmx_can(&caps, HVCTL_CPUID_FRED) && hvctl_vmx_can(&caps, HVCTL_CPUID_APX));
    cr_expect(hvctl_vmx_can(&caps, HVCTL_ALWAYS) && !hvctl_vmx_can(&caps, HVCTL_NEVER));
}

/* SDM vol. 3, "Restrictions on VMX Operation": PE, NE, PG fixed to 1 in CR0, VMXE in CR4; real CPUs' fixed MSRs. */
Test(vmx_caps, fixed_bits_know_the_unrestricted_guest)
{
    struct hvctl_vmx_caps caps;

    model_caps("skylake_x", &caps);
    caps.cr4_fixed1 = 0x3727ff;
    cr_expect_eq(hvctl_vmx_adjust_cr0(&caps, 0x10, false), 0x80000031);
    cr_expect_eq(hvctl_vmx_adjust_cr0(&caps, 0x10, true), 0x30);
    cr_expect_eq(hvctl_vmx_adjust_cr0(&caps, 0x60000010, true), 0x60000030);
    cr_expect_eq(hvctl_vmx_adjust_cr0(&caps, UINT64_C(0x100000011), true), 0x31);
    cr_expect_eq(hvctl_vmx_adjust_cr4(&caps, 0x20), 0x2020);
    cr_expect_eq(hvctl_vmx_adjust_cr4(&caps, 0x800020), 0x2020);
    caps.cr0_fixed1 = 0x9fffffff; /* NW and CD are not checked for a guest, whatever the MSR says */
    cr_expect_eq(hvctl_vmx_adjust_cr0(&caps, 0x60000010, true), 0x60000030);
}

static struct hvctl_vmx_controls required, wanted;
static struct hvctl_vmx_solution solution;

static bool has(enum hvctl_vmx_control control)
{
    return hvctl_vmx_controls_has(&solution.controls, control);
}

/* The words are allowed, as the manual says it: no must-be-one bit 0, no must-be-zero bit 1. */
static void expect_allowed(const struct hvctl_vmx_controls *set, const struct model *model)
{
    static const struct {
        unsigned group, msr;
    } true_msr[] = {{HVCTL_GROUP_PIN, 0x48d},
                    {HVCTL_GROUP_PRIMARY, 0x48e},
                    {HVCTL_GROUP_EXIT, 0x48f},
                    {HVCTL_GROUP_ENTRY, 0x490},
                    {HVCTL_GROUP_SECONDARY, 0x48b}};

    for (unsigned i = 0; i < 5; i++) {
        uint64_t word = set->word[true_msr[i].group], msr = model->msr[true_msr[i].msr];

        cr_expect_eq(word & (uint32_t)msr, (uint32_t)msr);
        cr_expect_eq(word & ~(msr >> 32), 0);
    }
    cr_expect(set->word[HVCTL_GROUP_TERTIARY] == 0 && set->word[HVCTL_GROUP_EXIT2] == 0);
    cr_expect_eq(set->word[HVCTL_GROUP_VMFUNC] & ~model->msr[0x491], 0);
}

Test(vmx_solve, nothing_required_gives_the_least_that_the_cpu_allows)
{
    static struct model model;
    struct hvctl_vmx_caps caps;

    table_load(&table, "vmx_default1.csv");
    for (unsigned m = 0; m < MODELS; m++) {
        model_load(&model, model_name[m]);
        model_caps(model_name[m], &caps);
        cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
        expect_allowed(&solution.controls, &model);
        for (unsigned i = 0; i < table.rows; i++) {
            static const unsigned group[] = {HVCTL_GROUP_PIN, HVCTL_GROUP_PRIMARY, HVCTL_GROUP_EXIT, HVCTL_GROUP_ENTRY};
            uint64_t word = solution.controls.word[group[i]];

            /* of the default-1 class, the ones with a name were not asked for: CR3 exiting, debug controls */
            cr_expect_eq(word & ~row_number(&table.row[i], 1), 0);
        }
        cr_expect_not(has(HVCTL_PRIMARY_CR3_LOAD_EXITING));
        cr_expect_not(has(HVCTL_ENTRY_LOAD_DEBUG_CONTROLS));
        cr_expect_eq(solution.controls.word[HVCTL_GROUP_PRIMARY], 0x4006172);
        cr_expect_eq(solution.controls.word[HVCTL_GROUP_SECONDARY], 0);
    }
}

Test(vmx_solve, without_true_msrs_the_default_1_class_stays_on)
{
    struct hvctl_vmx_caps caps;

    model_caps("skylake_x", &caps);
    caps.basic &= ~(UINT64_C(1) << 55);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
    cr_expect(has(HVCTL_PRIMARY_CR3_LOAD_EXITING) && has(HVCTL_EXIT_SAVE_DEBUG_CONTROLS));
    cr_expect_eq(solution.controls.word[HVCTL_GROUP_PRIMARY], 0x401e172);
}

/* SDM: reserved default-1 bits that the TRUE MSR lets be 0 belong to somebody who knows them. */
Test(vmx_solve, unknown_default_1_bits_stay_on_even_where_they_may_be_0)
{
    struct hvctl_vmx_caps caps;

    model_caps("skylake_x", &caps);
    caps.true_primary &= ~UINT64_C(0x2);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
    cr_expect_eq(solution.controls.word[HVCTL_GROUP_PRIMARY] & 2, 2);
}

Test(vmx_solve, a_required_control_brings_what_it_needs)
{
    static struct model model;
    struct hvctl_vmx_caps caps;

    model_load(&model, "tigerlake");
    model_caps("tigerlake", &caps);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    hvctl_vmx_controls_add(&required, HVCTL_VMFUNC_EPTP_SWITCHING);
    hvctl_vmx_controls_add(&required, HVCTL_PRIMARY_NMI_WINDOW_EXITING);
    hvctl_vmx_controls_add(&required, HVCTL_ENTRY_IA32E_MODE_GUEST);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
    expect_allowed(&solution.controls, &model);
    cr_expect(has(HVCTL_SECONDARY_ENABLE_EPT) && has(HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS));
    cr_expect(has(HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS));
    cr_expect(has(HVCTL_PIN_VIRTUAL_NMIS) && has(HVCTL_PIN_NMI_EXITING));
    cr_expect(has(HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE));
    cr_expect(has(HVCTL_PRIMARY_USE_TPR_SHADOW) && has(HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING));
}

/* Every dependency, as the entry checks of the manual state it: control, needs (+) or excludes (-), other. */
Test(vmx_solve, dependencies_are_those_of_the_entry_checks)
{
    static const char *const rule[] = {
        "PIN_VIRTUAL_NMIS+PIN_NMI_EXITING",
        "PRIMARY_NMI_WINDOW_EXITING+PIN_VIRTUAL_NMIS",
        "SECONDARY_VIRTUALIZE_X2APIC_MODE+PRIMARY_USE_TPR_SHADOW",
        "SECONDARY_APIC_REGISTER_VIRTUALIZATION+PRIMARY_USE_TPR_SHADOW",
        "SECONDARY_VIRTUAL_INTERRUPT_DELIVERY+PRIMARY_USE_TPR_SHADOW",
        "TERTIARY_IPI_VIRTUALIZATION+PRIMARY_USE_TPR_SHADOW",
        "SECONDARY_VIRTUALIZE_X2APIC_MODE-SECONDARY_VIRTUALIZE_APIC_ACCESSES",
        "SECONDARY_VIRTUAL_INTERRUPT_DELIVERY+PIN_EXTERNAL_INTERRUPT_EXITING",
        "PIN_PROCESS_POSTED_INTERRUPTS+SECONDARY_VIRTUAL_INTERRUPT_DELIVERY",
        "PIN_PROCESS_POSTED_INTERRUPTS+EXIT_ACKNOWLEDGE_INTERRUPT_ON_EXIT",
        "SECONDARY_ENABLE_PML+SECONDARY_ENABLE_EPT",
        "SECONDARY_UNRESTRICTED_GUEST+SECONDARY_ENABLE_EPT",
        "SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT+SECONDARY_ENABLE_EPT",
        "SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT+SECONDARY_ENABLE_EPT",
        "SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES+SECONDARY_ENABLE_EPT",
        "SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES+ENTRY_LOAD_IA32_RTIT_CTL",
        "SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES+EXIT_CLEAR_IA32_RTIT_CTL",
        "TERTIARY_PEBS_USES_GUEST_PHYSICAL_ADDRESSES+SECONDARY_ENABLE_EPT",
        "TERTIARY_ENABLE_HLAT+SECONDARY_ENABLE_EPT",
        "TERTIARY_EPT_PAGING_WRITE_CONTROL+SECONDARY_ENABLE_EPT",
        "TERTIARY_GUEST_PAGING_VERIFICATION+SECONDARY_ENABLE_EPT",
        "VMFUNC_EPTP_SWITCHING+SECONDARY_ENABLE_EPT",
        "TERTIARY_APIC_TIMER_VIRTUALIZATION+SECONDARY_VIRTUAL_INTERRUPT_DELIVERY",
        "TERTIARY_APIC_TIMER_VIRTUALIZATION-PRIMARY_RDTSC_EXITING",
        "EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE+PIN_ACTIVATE_VMX_PREEMPTION_TIMER",
        "ENTRY_ENTRY_TO_SMM-ENTRY_DEACTIVATE_DUAL_MONITOR_TREATMENT",
        "ENTRY_IA32E_MODE_GUEST+EXIT_HOST_ADDRESS_SPACE_SIZE",
    };
    size_t n = 0;

    for (; hvctl_vmx_dependency_at(n); n++) {
        const struct hvctl_vmx_dependency *have = hvctl_vmx_dependency_at(n);
        char text[200];
        unsigned k = 0;

        snprintf(text, sizeof(text), "%s%c%s", hvctl_vmx_control_name(have->control),
                 have->relation == HVCTL_NEEDS ? '+' : '-', hvctl_vmx_control_name(have->other));
        while (k < sizeof(rule) / sizeof(rule[0]) && strcmp(rule[k], text))
            k++;
        cr_expect_lt(k, sizeof(rule) / sizeof(rule[0]), "%s is not in the manual", text);
    }
    cr_expect_eq(n, sizeof(rule) / sizeof(rule[0]));
}

static const char *problem_text(unsigned number)
{
    static char bytes[300];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvctl_vmx_problem_text(&solution.problems[number], &text);
    return bytes;
}

Test(vmx_solve, a_control_that_cannot_be_had_is_named_with_its_reason)
{
    struct hvctl_vmx_caps caps;

    model_caps("haswell_4770", &caps);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_ENABLE_PML);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_E_CONTROL);
    cr_expect_eq(solution.problem_count, 1);
    cr_expect_str_eq(problem_text(0), "SECONDARY_ENABLE_PML is not available on this CPU");

    hvctl_vmx_controls_remove(&required, HVCTL_SECONDARY_ENABLE_PML);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    caps.secondary &= ~(UINT64_C(2) << 32); /* no EPT */
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_E_CONTROL);
    cr_expect_eq(solution.problem_count, 1);
    cr_expect_str_eq(problem_text(0),
                     "SECONDARY_UNRESTRICTED_GUEST needs SECONDARY_ENABLE_EPT, which is not available on this CPU");

    caps.secondary = 0;
    caps.true_primary &= ~(UINT64_C(1) << 63);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_E_CONTROL);
    cr_expect_geq(solution.problem_count, 2);
}

Test(vmx_solve, controls_that_exclude_each_other_are_named)
{
    struct hvctl_vmx_caps caps;

    model_caps("tigerlake", &caps);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_E_CONTROL);
    cr_expect_str_eq(problem_text(0), "SECONDARY_VIRTUALIZE_X2APIC_MODE cannot be combined with "
                                      "SECONDARY_VIRTUALIZE_APIC_ACCESSES");
}

Test(vmx_solve, wanted_controls_come_with_what_they_need_or_not_at_all)
{
    static struct model model;
    struct hvctl_vmx_caps caps;

    model_load(&model, "haswell_4770");
    model_caps("haswell_4770", &caps);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES);
    hvctl_vmx_controls_add(&wanted, HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE); /* excluded by the required one */
    hvctl_vmx_controls_add(&wanted, HVCTL_TERTIARY_ENABLE_HLAT);             /* not there, and would bring EPT */
    hvctl_vmx_controls_add(&wanted, HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE);
    hvctl_vmx_controls_add(&wanted, HVCTL_SECONDARY_ENABLE_PML);
    hvctl_vmx_controls_add(&wanted, HVCTL_PIN_PROCESS_POSTED_INTERRUPTS);
    cr_assert_eq(hvctl_vmx_solve(&required, &wanted, &caps, &solution), HVCTL_OK);
    expect_allowed(&solution.controls, &model);
    cr_expect(has(HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER) && has(HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE));
    cr_expect_not(has(HVCTL_SECONDARY_ENABLE_EPT));
    cr_expect_not(has(HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS));
    cr_expect_not(has(HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY));
    cr_expect(hvctl_vmx_controls_has(&solution.dropped, HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE));
    cr_expect(hvctl_vmx_controls_has(&solution.dropped, HVCTL_TERTIARY_ENABLE_HLAT));
    cr_expect(hvctl_vmx_controls_has(&solution.dropped, HVCTL_SECONDARY_ENABLE_PML));
    cr_expect(hvctl_vmx_controls_has(&solution.dropped, HVCTL_PIN_PROCESS_POSTED_INTERRUPTS));
    cr_expect_not(hvctl_vmx_controls_has(&solution.dropped, HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE));
}

/* All that can be wanted, on every model: the result is allowed, closed, and free of exclusions. */
Test(vmx_solve, everything_wanted_gives_words_that_keep_all_rules)
{
    static struct model model;
    struct hvctl_vmx_caps caps;

    for (unsigned m = 0; m < MODELS; m++) {
        model_load(&model, model_name[m]);
        model_caps(model_name[m], &caps);
        memset(&wanted, 0xff, sizeof(wanted));
        cr_assert_eq(hvctl_vmx_solve(&required, &wanted, &caps, &solution), HVCTL_OK);
        expect_allowed(&solution.controls, &model);
        for (size_t i = 0; hvctl_vmx_dependency_at(i); i++) {
            const struct hvctl_vmx_dependency *rule = hvctl_vmx_dependency_at(i);

            if (has(rule->control))
                cr_expect_eq(has(rule->other), rule->relation == HVCTL_NEEDS);
        }
        cr_expect(has(HVCTL_SECONDARY_UNRESTRICTED_GUEST));
        cr_expect_eq(solution.problem_count, 0);
    }
}

Test(vmx_solve, more_problems_than_fit_are_counted)
{
    static struct hvctl_vmx_caps nothing;

    memset(&required, 0xff, sizeof(required));
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &nothing, &solution), HVCTL_E_CONTROL);
    cr_expect_gt(solution.problem_count, HVCTL_VMX_PROBLEMS_MAX);
}

Test(vmx_controls, a_word_without_its_activating_control_has_no_effect)
{
    static struct hvctl_vmcs_image image;

    hvctl_vmcs_image_init(&image, NULL);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_ENABLE_EPT);
    hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS);
    hvctl_vmx_controls_add(&required, HVCTL_VMFUNC_EPTP_SWITCHING);
    hvctl_vmx_controls_add(&required, HVCTL_EXIT2_LOAD_HOST_FRED);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &required), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_FUNCTION_CONTROLS), 1);
    cr_expect_not(hvctl_vmx_control_on(&image, HVCTL_SECONDARY_ENABLE_EPT));
    cr_expect_not(hvctl_vmx_control_on(&image, HVCTL_VMFUNC_EPTP_SWITCHING));
    cr_expect_not(hvctl_vmx_control_on(&image, HVCTL_EXIT2_LOAD_HOST_FRED));
    hvctl_vmx_controls_add(&required, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS);
    hvctl_vmx_controls_add(&required, HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &required), HVCTL_OK);
    cr_expect(hvctl_vmx_control_on(&image, HVCTL_SECONDARY_ENABLE_EPT));
    cr_expect(hvctl_vmx_control_on(&image, HVCTL_VMFUNC_EPTP_SWITCHING));
    cr_expect(hvctl_vmx_control_on(&image, HVCTL_EXIT2_LOAD_HOST_FRED));
}

Test(vmx_controls, a_word_that_the_cpu_lacks_may_only_be_0)
{
    static struct hvctl_vmcs_image image;
    struct hvctl_vmx_caps caps;

    model_caps("tigerlake", &caps);
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(hvctl_vmx_controls_write(&image, &required), HVCTL_OK);
    hvctl_vmx_controls_add(&required, HVCTL_TERTIARY_ENABLE_HLAT);
    cr_expect_eq(hvctl_vmx_controls_write(&image, &required), HVCTL_E_ABSENT);
    memset(&required, 0, sizeof(required));
    required.word[HVCTL_GROUP_PIN] = UINT64_C(1) << 32;
    cr_expect_eq(hvctl_vmx_controls_write(&image, &required), HVCTL_E_WIDTH);
}

/* SDM vol. 2, CPUID; APM vol. 3, "CPUID Feature Flags". */
static struct hvctl_cpuid all_ones(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

    (void)ctx;
    (void)subleaf;
    if (leaf == 0x80000000)
        id.eax = 0x80000008;
    if (leaf == 0x80000008)
        id.eax = 52 | 57 << 8;
    return id;
}

static struct hvctl_cpuid one_bit(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    const uint32_t *bit = ctx; /* leaf, subleaf, register, bit */
    struct hvctl_cpuid id = {0, 0, 0, 0};

    if (leaf == 0)
        id.eax = 7;
    else if (leaf == 0x80000000)
        id.eax = 0x80000001;
    else if (leaf == 7 && subleaf == 0)
        id.eax = 1;
    if (leaf == bit[0] && subleaf == bit[1])
        *(bit[2] == 0 ? &id.eax : bit[2] == 1 ? &id.ebx : bit[2] == 2 ? &id.ecx : &id.edx) |= 1u << bit[3];
    return id;
}

Test(cpu_features, each_feature_is_read_from_its_bit)
{
    static const struct {
        uint32_t bit[4];
        size_t offset;
    } f[] = {
        {{1, 0, 2, 5}, offsetof(struct hvctl_cpu_features, vmx)},
        {{1, 0, 2, 17}, offsetof(struct hvctl_cpu_features, pcid)},
        {{1, 0, 2, 26}, offsetof(struct hvctl_cpu_features, xsave)},
        {{7, 0, 1, 0}, offsetof(struct hvctl_cpu_features, fsgsbase)},
        {{7, 0, 1, 7}, offsetof(struct hvctl_cpu_features, smep)},
        {{7, 0, 1, 20}, offsetof(struct hvctl_cpu_features, smap)},
        {{7, 0, 2, 2}, offsetof(struct hvctl_cpu_features, umip)},
        {{7, 0, 2, 3}, offsetof(struct hvctl_cpu_features, pku)},
        {{7, 0, 2, 7}, offsetof(struct hvctl_cpu_features, cet_ss)},
        {{7, 0, 2, 16}, offsetof(struct hvctl_cpu_features, la57)},
        {{7, 0, 2, 31}, offsetof(struct hvctl_cpu_features, pks)},
        {{7, 0, 3, 20}, offsetof(struct hvctl_cpu_features, cet_ibt)},
        {{7, 1, 0, 17}, offsetof(struct hvctl_cpu_features, fred)},
        {{7, 1, 3, 21}, offsetof(struct hvctl_cpu_features, apx)},
        {{0x80000001, 0, 2, 2}, offsetof(struct hvctl_cpu_features, svm)},
        {{0x80000001, 0, 3, 20}, offsetof(struct hvctl_cpu_features, nx)},
        {{0x80000001, 0, 3, 26}, offsetof(struct hvctl_cpu_features, page1g)},
        {{0x80000001, 0, 3, 29}, offsetof(struct hvctl_cpu_features, long_mode)},
    };
    struct hvctl_cpu_features features;

    for (unsigned i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
        unsigned set = 0;
        uint32_t bit[4];

        memcpy(bit, f[i].bit, sizeof(bit));
        hvctl_cpu_features_read(&features, one_bit, bit);
        for (unsigned k = 0; k < sizeof(f) / sizeof(f[0]); k++)
            set += *((bool *)&features + f[k].offset);
        cr_expect_eq(set, 1, "%u", i);
        cr_expect(*((bool *)&features + f[i].offset), "%u", i);
        cr_expect_eq(features.maxphyaddr, 36);
        cr_expect_eq(features.linear_bits, features.long_mode ? 48 : 32);
    }
    hvctl_cpu_features_read(&features, all_ones, NULL);
    cr_expect(features.maxphyaddr == 52 && features.linear_bits == 57);
}
