/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the solver makes of control bits, judged by VM entry: every control that the CPU offers, alone and with others,
 * must be accepted with what the solver adds to it; what the solver refuses, the CPU must refuse, too (SDM vol. 3,
 * "Checks on VMX Controls").
 */
#include "hvctl_lab.h"

#include "console.h"
#include "cpu.h"
#include "memory.h"

static struct lab lab;
static struct hvctl_vmx_solution solution, second;
static uint64_t memory[8][512] __attribute__((aligned(4096))); /* what controls bring into use; zeros will do */

/* The group that a name begins with, the bit and the name of each control, from the list that the manual's tables test.
 */
static const struct control {
    enum hvctl_vmx_control id;
    const char *name;
} controls[] = {
#define X(group, name, bit, text) {HVCTL_##group##_##name, #group "." #name},
    HVCTL_VMX_CONTROLS(X)
#undef X
};
#define CONTROLS (sizeof(controls) / sizeof(controls[0]))

/* Not for an entry outside SMM, and for a CPU in SEAM: SDM vol. 3, "VM-Entry Control Fields". */
static bool elsewhere(enum hvctl_vmx_control id)
{
    return id == HVCTL_ENTRY_ENTRY_TO_SMM || id == HVCTL_ENTRY_DEACTIVATE_DUAL_MONITOR_TREATMENT
        || id == HVCTL_ENTRY_ALLOW_SEAM_GUEST_TELEMETRY || id == HVCTL_TERTIARY_SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH;
}

/* A field, where this CPU has it. */
static void give(uint32_t field, uint64_t value)
{
    struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;

    if (hvctl_vmcs_has(image, field))
        lab_put(&lab, field, value);
}

/* Memory and values for whatever a control may bring into use: what a hypervisor would have to provide. */
static void provide(void)
{
    give(HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_A, (uintptr_t)memory[0]);
    give(HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_B, (uintptr_t)memory[1]);
    give(HVCTL_VMCS_ADDRESS_OF_MSR_BITMAPS, (uintptr_t)memory[2]);
    give(HVCTL_VMCS_VIRTUAL_APIC_ADDRESS, (uintptr_t)memory[3]);
    give(HVCTL_VMCS_APIC_ACCESS_ADDRESS, (uintptr_t)memory[4]);
    give(HVCTL_VMCS_VMREAD_BITMAP_ADDRESS, (uintptr_t)memory[0]);
    give(HVCTL_VMCS_VMWRITE_BITMAP_ADDRESS, (uintptr_t)memory[1]);
    give(HVCTL_VMCS_EPTP_LIST_ADDRESS, (uintptr_t)memory[5]);
    give(HVCTL_VMCS_PML_ADDRESS, (uintptr_t)memory[6]);
    give(HVCTL_VMCS_PML_INDEX, 511);
    give(HVCTL_VMCS_VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, (uintptr_t)memory[7]);
    give(HVCTL_VMCS_SUB_PAGE_PERMISSION_TABLE_POINTER, (uintptr_t)memory[0]);
    give(HVCTL_VMCS_VIRTUAL_PROCESSOR_IDENTIFIER, 1);
    give(HVCTL_VMCS_TSC_MULTIPLIER, UINT64_C(1) << 48);
    give(HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE, 0xffffffff);
    give(HVCTL_VMCS_EPT_POINTER, paging_root(&lab.vm.paging));
}

#define CR4_LA57 (UINT64_C(1) << 12)

/* Bochs offers to load IA32_PERF_GLOBAL_CTRL and does not have the MSR. Any value goes: 0. */
static bool lenient_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    return cpu_rdmsr(msr, value) || msr == HVCTL_MSR_PERF_GLOBAL_CTRL;
}

/*
 * One entry with these words: in a guest behind EPT, or, where the words have none, on the host's own tables. The guest
 * does nothing but call.
 */
static struct vm_exit enter(const struct hvctl_vmx_controls *words, bool *taken)
{
    bool ept = hvctl_vmx_controls_has(words, HVCTL_SECONDARY_ENABLE_EPT);
    uint64_t home = ept ? 0 : VM_HOME;
    struct hvctl_guest_state state = hvctl_guest_long64(GUEST_PML4, 0, 0);
    struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;
    struct hvctl_vmx_controls adjusted = *words;
    struct hvctl_cpu_ops ops = *vmx_ops();
    struct vm_exit exit;

    ops.rdmsr = lenient_rdmsr;
    lab_reset(&lab);
    memset(&exit, 0, sizeof(exit));
    *taken = hvctl_vmx_controls_write(image, words) == HVCTL_OK;
    if (!*taken)
        return exit;
    provide();
    if (!ept) {
        state.cr3 = vmx_ops()->read_cr3(NULL);
        state.cr4 |= cpu_read_cr4() & CR4_LA57; /* the tables have as many levels as the host walks */
    }
    lab_state(&lab, &state);
    /* The guest's mode is the guest's; all other words are the solver's, to the bit */
    hvctl_vmx_controls_add(&adjusted, HVCTL_ENTRY_IA32E_MODE_GUEST);
    *taken = hvctl_vmx_controls_write(image, &adjusted) == HVCTL_OK
          && hvctl_vmx_host_capture(&ops, image) == HVCTL_OK; /* what the exit controls load */
    if (!*taken)
        return exit;
    lab.vm.regs.rip = home + guest_entry(&lab.vm.guest, PIECE_CALL);
    lab.vm.regs.rsp = home + LAB_TOP;
    return lab_go_on(&lab);
}

/* VMCALL exits at once; but what a pending NMI window or MTF does comes first. SDM vol. 3, "Other Causes of VM Exits".
 */
static uint64_t expected_reason(const struct hvctl_vmx_controls *words)
{
    return hvctl_vmx_controls_has(words, HVCTL_PRIMARY_NMI_WINDOW_EXITING) ? 8 : 18;
}

static bool enters(const struct hvctl_vmx_controls *words, const char *what)
{
    bool taken;
    struct vm_exit exit = enter(words, &taken);

    if (taken && exit.fail == 0 && exit.reason == expected_reason(words))
        return true;
    print("%s: taken %u, VMfail %u, exit reason %lx, qualification %lx\n", what, taken, exit.fail, exit.reason,
          exit.info);
    return false;
}

static struct hvctl_vmx_controls base(bool ept)
{
    struct hvctl_vmx_controls set;

    memset(&set, 0, sizeof(set));
    hvctl_vmx_controls_add(&set, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    if (ept)
        hvctl_vmx_controls_add(&set, HVCTL_SECONDARY_ENABLE_EPT);
    return set;
}

static bool same_words(const struct hvctl_vmx_controls *a, const struct hvctl_vmx_controls *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Each control alone, without and with EPT, as wanted and as required. */
static void check_each(bool ept)
{
    struct hvctl_vmx_controls need = base(ept);
    const char *with = ept ? "with EPT" : "without EPT";

    for (unsigned i = 0; i < CONTROLS; i++) {
        struct hvctl_vmx_controls required = need, wanted, forced;
        const struct control *c = &controls[i];
        bool offered, taken;
        struct vm_exit exit;

        if (elsewhere(c->id))
            continue;
        memset(&wanted, 0, sizeof(wanted));
        hvctl_vmx_controls_add(&wanted, c->id);
        hvctl_vmx_controls_add(&required, c->id);
        offered = hvctl_vmx_solve(&required, NULL, vmx_caps(), &solution) == HVCTL_OK;
        check_equal(hvctl_vmx_solve(&need, &wanted, vmx_caps(), &second), HVCTL_OK, "%s, %s: wanted, solved", c->name,
                    with);
        if (offered) {
            check_true(hvctl_vmx_controls_has(&solution.controls, c->id), "%s, %s: required, in the words", c->name,
                       with);
            check_true(same_words(&solution.controls, &second.controls)
                           && !hvctl_vmx_controls_has(&second.dropped, c->id),
                       "%s, %s: wanted, the same words", c->name, with);
            check_true(enters(&solution.controls, c->name), "%s, %s: VM entry accepts it", c->name, with);
            continue;
        }
        check_true(solution.problem_count > 0
                       && (solution.problems[0].control == c->id || solution.problems[0].other == c->id),
                   "%s, %s: refused, and named", c->name, with);
        check_true(hvctl_vmx_controls_has(&second.dropped, c->id), "%s, %s: wanted, dropped", c->name, with);
        check_true(enters(&second.controls, c->name), "%s, %s: VM entry accepts the words without it", c->name, with);
        /* And the CPU agrees: with the bit set all the same there is no entry */
        forced = second.controls;
        hvctl_vmx_controls_add(&forced, c->id);
        if (hvctl_vmx_group_switch(hvctl_vmx_control_group(c->id)) != HVCTL_ALWAYS)
            hvctl_vmx_controls_add(&forced, hvctl_vmx_group_switch(hvctl_vmx_control_group(c->id)));
        exit = enter(&forced, &taken);
        check_true(!taken || exit.fail == 7, "%s, %s: forced, VMfail 7 or no such field", c->name, with);
    }
}

/*
 * What one control demands of another, by the manual: SDM vol. 3, "Checks on VMX Controls", rule by rule. The solver
 * keeps them, and the CPU refuses what breaks them.
 */
static const struct rule {
    enum hvctl_vmx_control control, other;
    bool excludes;
    const char *name;
} rules[] = {
    {HVCTL_PIN_VIRTUAL_NMIS, HVCTL_PIN_NMI_EXITING, false, "virtual NMIs need NMI exiting"},
    {HVCTL_PRIMARY_NMI_WINDOW_EXITING, HVCTL_PIN_VIRTUAL_NMIS, false, "NMI-window exiting needs virtual NMIs"},
    {HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE, HVCTL_PRIMARY_USE_TPR_SHADOW, false, "x2APIC mode needs the TPR shadow"},
    {HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION, HVCTL_PRIMARY_USE_TPR_SHADOW, false,
     "APIC-register virtualization needs the TPR shadow"},
    {HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, HVCTL_PRIMARY_USE_TPR_SHADOW, false,
     "virtual-interrupt delivery needs the TPR shadow"},
    {HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING, false,
     "virtual-interrupt delivery needs external-interrupt exiting"},
    {HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES, true,
     "x2APIC mode excludes virtualized APIC accesses"},
    {HVCTL_SECONDARY_UNRESTRICTED_GUEST, HVCTL_SECONDARY_ENABLE_EPT, false, "an unrestricted guest needs EPT"},
    {HVCTL_SECONDARY_ENABLE_PML, HVCTL_SECONDARY_ENABLE_EPT, false, "PML needs EPT"},
    {HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, HVCTL_SECONDARY_ENABLE_EPT, false, "SPP needs EPT"},
    {HVCTL_VMFUNC_EPTP_SWITCHING, HVCTL_SECONDARY_ENABLE_EPT, false, "EPTP switching needs EPT"},
    {HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER, false,
     "saving the preemption timer needs the timer"},
};

static void check_rules(void)
{
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        struct hvctl_vmx_controls required = base(false), forced;
        struct vm_exit exit;
        bool taken;

        hvctl_vmx_controls_add(&required, rule->control);
        if (hvctl_vmx_solve(&required, NULL, vmx_caps(), &solution) != HVCTL_OK
            || (rule->excludes && !hvctl_vmx_can(vmx_caps(), rule->other))) {
            check_skip("this CPU does not have the control", "%s", rule->name);
            continue;
        }
        check_equal(hvctl_vmx_controls_has(&solution.controls, rule->other), !rule->excludes, "%s: the solver keeps it",
                    rule->name);
        forced = solution.controls;
        if (rule->excludes) {
            hvctl_vmx_controls_add(&forced, rule->other);
            hvctl_vmx_controls_add(&required, rule->other);
            check_true(hvctl_vmx_solve(&required, NULL, vmx_caps(), &solution) == HVCTL_E_CONTROL
                           && solution.problems[0].obstacle == HVCTL_OBSTACLE_EXCLUDES
                           && solution.problems[0].control == rule->control
                           && solution.problems[0].other == rule->other,
                       "%s: the solver says so", rule->name);
        } else {
            hvctl_vmx_controls_remove(&forced, rule->other);
        }
        exit = enter(&forced, &taken);
        check_true(taken && exit.fail == 7, "%s: broken, VMfail 7", rule->name);
    }
}

/* All pairs of what this CPU offers: each solution enters, each refusal is one of the exclusions above. */
static void check_pairs(void)
{
    unsigned tried = 0, refused = 0, wrong = 0;

    for (unsigned i = 0; i < CONTROLS; i++) {
        for (unsigned j = i + 1; j < CONTROLS; j++) {
            struct hvctl_vmx_controls required = base(false);

            if (elsewhere(controls[i].id) || elsewhere(controls[j].id) || !hvctl_vmx_can(vmx_caps(), controls[i].id)
                || !hvctl_vmx_can(vmx_caps(), controls[j].id))
                continue;
            hvctl_vmx_controls_add(&required, controls[i].id);
            hvctl_vmx_controls_add(&required, controls[j].id);
            tried++;
            if (hvctl_vmx_solve(&required, NULL, vmx_caps(), &solution) == HVCTL_OK) {
                wrong += !enters(&solution.controls, controls[j].name);
            } else {
                refused++;
                wrong += solution.problems[0].obstacle != HVCTL_OBSTACLE_EXCLUDES
                      || solution.problems[0].control != HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE
                      || solution.problems[0].other != HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES;
            }
        }
    }
    print("%u pairs, %u refused\n", tried, refused);
    check_equal(wrong, 0, "pairs: each enters, but for those that exclude each other");
}

static uint64_t random_state = 1;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Any wish at all ends in words that VM entry takes; what is dropped was asked for, and is not in the words. */
static void check_wishes(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < 400; i++) {
        struct hvctl_vmx_controls need = base(i % 2 != 0), wanted;

        for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
            wanted.word[group] = i == 0 ? ~UINT64_C(0) : random_word() & random_word();
        for (unsigned j = 0; j < CONTROLS; j++)
            if (elsewhere(controls[j].id))
                hvctl_vmx_controls_remove(&wanted, controls[j].id);
        /* Default-1 bits and bits without a name are nobody's wish: what they do, nobody knows */
        if (hvctl_vmx_solve(&need, &wanted, vmx_caps(), &solution) != HVCTL_OK) {
            wrong++;
            continue;
        }
        for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
            wrong += (solution.dropped.word[group] & ~wanted.word[group]) != 0
                  || (solution.dropped.word[group] & solution.controls.word[group]) != 0
                  || (wanted.word[group] & ~solution.controls.word[group] & ~solution.dropped.word[group]) != 0;
        wrong += !enters(&solution.controls, "a wish");
    }
    check_equal(wrong, 0, "400 wishes: VM entry accepts what they come to");
}

void suite_hvctl_solver(struct frames *frames)
{
    check_group("VMX controls");
    lab_open(&lab, frames);
    check_each(false);
    check_each(true);
    check_rules();
    check_pairs();
    check_wishes();
    lab_close(&lab);
}
