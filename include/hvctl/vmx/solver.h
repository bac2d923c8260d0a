/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Turns the controls that a hypervisor wants into control words that a CPU accepts, by its capabilities and by what
 * controls demand of each other. SDM vol. 3, "Checks on VMX Controls" and "Algorithms for Determining VMX
 * Capabilities".
 */
#ifndef HVCTL_VMX_SOLVER_H
#define HVCTL_VMX_SOLVER_H

#include "../common/linkage.h"
#include "../../hvpt/text.h"
#include "vmcs.h"

/* The eight control words, by group. Zero it, add controls, and hand it to hvctl_vmx_solve. */
struct hvctl_vmx_controls {
    uint64_t word[HVCTL_GROUP_COUNT];
};

/* Set a control. A condition that is not a control is ignored. */
static inline void hvctl_vmx_controls_add(struct hvctl_vmx_controls *set, enum hvctl_vmx_control control)
{
    if (hvctl_vmx_control_group(control) != HVCTL_GROUP_OTHER)
        set->word[hvctl_vmx_control_group(control)] |= hvctl_vmx_control_mask(control);
}

/* Clear a control. */
static inline void hvctl_vmx_controls_remove(struct hvctl_vmx_controls *set, enum hvctl_vmx_control control)
{
    if (hvctl_vmx_control_group(control) != HVCTL_GROUP_OTHER)
        set->word[hvctl_vmx_control_group(control)] &= ~hvctl_vmx_control_mask(control);
}

/* Is a control set? */
static inline bool hvctl_vmx_controls_has(const struct hvctl_vmx_controls *set, enum hvctl_vmx_control control)
{
    return hvctl_vmx_control_group(control) != HVCTL_GROUP_OTHER
        && (set->word[hvctl_vmx_control_group(control)] & hvctl_vmx_control_mask(control)) != 0;
}

/* What the 1-setting of one control demands of another. */
enum hvctl_vmx_relation {
    HVCTL_NEEDS,   /* other must be 1 */
    HVCTL_EXCLUDES /* other must be 0 */
};

struct hvctl_vmx_dependency {
    enum hvctl_vmx_control control;
    enum hvctl_vmx_relation relation;
    enum hvctl_vmx_control other;
};

/*
 * The row with this number in the table of dependencies; NULL after the last. A word's activating control is not in it:
 * see hvctl_vmx_group_switch. SDM vol. 3, "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control
 * Fields" and "Checks Related to Address-Space Size", under VM entries.
 */
static inline const struct hvctl_vmx_dependency *hvctl_vmx_dependency_at(size_t number)
{
    static const struct hvctl_vmx_dependency list[] = {
        {HVCTL_PIN_VIRTUAL_NMIS, HVCTL_NEEDS, HVCTL_PIN_NMI_EXITING},
        {HVCTL_PRIMARY_NMI_WINDOW_EXITING, HVCTL_NEEDS, HVCTL_PIN_VIRTUAL_NMIS},
        {HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE, HVCTL_NEEDS, HVCTL_PRIMARY_USE_TPR_SHADOW},
        {HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION, HVCTL_NEEDS, HVCTL_PRIMARY_USE_TPR_SHADOW},
        {HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, HVCTL_NEEDS, HVCTL_PRIMARY_USE_TPR_SHADOW},
        {HVCTL_TERTIARY_IPI_VIRTUALIZATION, HVCTL_NEEDS, HVCTL_PRIMARY_USE_TPR_SHADOW},
        {HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE, HVCTL_EXCLUDES, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES},
        {HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, HVCTL_NEEDS, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING},
        {HVCTL_PIN_PROCESS_POSTED_INTERRUPTS, HVCTL_NEEDS, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY},
        {HVCTL_PIN_PROCESS_POSTED_INTERRUPTS, HVCTL_NEEDS, HVCTL_EXIT_ACKNOWLEDGE_INTERRUPT_ON_EXIT},
        {HVCTL_SECONDARY_ENABLE_PML, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_SECONDARY_UNRESTRICTED_GUEST, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES, HVCTL_NEEDS, HVCTL_ENTRY_LOAD_IA32_RTIT_CTL},
        {HVCTL_SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES, HVCTL_NEEDS, HVCTL_EXIT_CLEAR_IA32_RTIT_CTL},
        {HVCTL_TERTIARY_PEBS_USES_GUEST_PHYSICAL_ADDRESSES, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_TERTIARY_ENABLE_HLAT, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_TERTIARY_EPT_PAGING_WRITE_CONTROL, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_TERTIARY_GUEST_PAGING_VERIFICATION, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_VMFUNC_EPTP_SWITCHING, HVCTL_NEEDS, HVCTL_SECONDARY_ENABLE_EPT},
        {HVCTL_TERTIARY_APIC_TIMER_VIRTUALIZATION, HVCTL_NEEDS, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY},
        {HVCTL_TERTIARY_APIC_TIMER_VIRTUALIZATION, HVCTL_EXCLUDES, HVCTL_PRIMARY_RDTSC_EXITING},
        {HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE, HVCTL_NEEDS, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER},
        {HVCTL_ENTRY_ENTRY_TO_SMM, HVCTL_EXCLUDES, HVCTL_ENTRY_DEACTIVATE_DUAL_MONITOR_TREATMENT},
        {HVCTL_ENTRY_IA32E_MODE_GUEST, HVCTL_NEEDS, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE},
    };

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

/* The control without which the CPU ignores a group's word; HVCTL_ALWAYS if there is none. */
static inline enum hvctl_vmx_control hvctl_vmx_group_switch(enum hvctl_vmx_group group)
{
    switch (group) {
    case HVCTL_GROUP_SECONDARY: return HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS;
    case HVCTL_GROUP_TERTIARY: return HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS;
    case HVCTL_GROUP_EXIT2: return HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS;
    case HVCTL_GROUP_VMFUNC: return HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS;
    default: return HVCTL_ALWAYS;
    }
}

/* The control that is bit of group; bits 0 to 63. */
static inline enum hvctl_vmx_control hvctl_vmx_control_of(unsigned group, unsigned bit)
{
    return (enum hvctl_vmx_control)(group * 64u + bit);
}

/* Why a control is not available. */
enum hvctl_vmx_obstacle {
    HVCTL_OBSTACLE_CPU,     /* the CPU does not let control be 1 */
    HVCTL_OBSTACLE_NEEDS,   /* control needs other, which the CPU does not let be 1 */
    HVCTL_OBSTACLE_EXCLUDES /* control demands that other be 0, but other is required, too, or fixed to 1 by the CPU */
};

struct hvctl_vmx_problem {
    enum hvctl_vmx_control control;
    enum hvctl_vmx_obstacle obstacle;
    enum hvctl_vmx_control other;
};

#define HVCTL_VMX_PROBLEMS_MAX 16

/* What hvctl_vmx_solve found. */
struct hvctl_vmx_solution {
    struct hvctl_vmx_controls controls; /* the words for the VMCS; valid after HVCTL_OK */
    struct hvctl_vmx_controls dropped;  /* wanted controls that are not available */
    unsigned problem_count;             /* may exceed HVCTL_VMX_PROBLEMS_MAX: the first ones are listed */
    struct hvctl_vmx_problem problems[HVCTL_VMX_PROBLEMS_MAX];
};

/* Add all that the controls in set need, directly or through others. It ends because the set only grows. */
static inline void hvctl_vmx_controls_close(struct hvctl_vmx_controls *set)
{
    bool grew = true;

    while (grew) {
        const struct hvctl_vmx_dependency *rule;
        unsigned group;
        size_t number = 0;

        grew = false;
        for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
            enum hvctl_vmx_control activate = hvctl_vmx_group_switch((enum hvctl_vmx_group)group);

            if (set->word[group] && activate != HVCTL_ALWAYS && !hvctl_vmx_controls_has(set, activate)) {
                hvctl_vmx_controls_add(set, activate);
                grew = true;
            }
        }
        while ((rule = hvctl_vmx_dependency_at(number++)) != NULL)
            if (rule->relation == HVCTL_NEEDS && hvctl_vmx_controls_has(set, rule->control)
                && !hvctl_vmx_controls_has(set, rule->other)) {
                hvctl_vmx_controls_add(set, rule->other);
                grew = true;
            }
    }
}

/* Record a problem; the first HVCTL_VMX_PROBLEMS_MAX are kept, all are counted. */
static inline void hvctl_vmx_add_problem(struct hvctl_vmx_solution *solution, enum hvctl_vmx_control control,
                                         enum hvctl_vmx_obstacle obstacle, enum hvctl_vmx_control other)
{
    if (solution->problem_count < HVCTL_VMX_PROBLEMS_MAX) {
        solution->problems[solution->problem_count].control = control;
        solution->problems[solution->problem_count].obstacle = obstacle;
        solution->problems[solution->problem_count].other = other;
    }
    solution->problem_count++;
}

/*
 * Record a member of set that cannot be 1, under the name of each control that needs it, and under its own if it was
 * asked for.
 */
static inline void hvctl_vmx_blame(struct hvctl_vmx_solution *solution, const struct hvctl_vmx_controls *set,
                                   const struct hvctl_vmx_controls *asked, enum hvctl_vmx_control missing)
{
    const struct hvctl_vmx_dependency *rule;
    size_t number = 0;
    unsigned group, bit;

    if (hvctl_vmx_controls_has(asked, missing))
        hvctl_vmx_add_problem(solution, missing, HVCTL_OBSTACLE_CPU, missing);
    while ((rule = hvctl_vmx_dependency_at(number++)) != NULL)
        if (rule->relation == HVCTL_NEEDS && rule->other == missing && hvctl_vmx_controls_has(set, rule->control))
            hvctl_vmx_add_problem(solution, rule->control, HVCTL_OBSTACLE_NEEDS, missing);
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        if (hvctl_vmx_group_switch((enum hvctl_vmx_group)group) != missing)
            continue;
        for (bit = 0; bit < 64; bit++)
            if (set->word[group] >> bit & 1u)
                hvctl_vmx_add_problem(solution, hvctl_vmx_control_of(group, bit), HVCTL_OBSTACLE_NEEDS, missing);
    }
}

/*
 * Record all that prevents set, which is closed, on this CPU; true if nothing does. solution NULL: record nothing.
 * asked: the controls of set that were asked for themselves.
 */
static inline bool hvctl_vmx_controls_possible(const struct hvctl_vmx_controls *set,
                                               const struct hvctl_vmx_controls *asked,
                                               const struct hvctl_vmx_caps *caps, struct hvctl_vmx_solution *solution)
{
    const struct hvctl_vmx_dependency *rule;
    size_t number = 0;
    bool possible = true;
    unsigned group, bit;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        uint64_t missing = set->word[group] & ~hvctl_vmx_may_be_one(caps, (enum hvctl_vmx_group)group);

        if (missing)
            possible = false;
        for (bit = 0; solution && missing; bit++, missing >>= 1)
            if (missing & 1u)
                hvctl_vmx_blame(solution, set, asked, hvctl_vmx_control_of(group, bit));
    }
    while ((rule = hvctl_vmx_dependency_at(number++)) != NULL)
        if (rule->relation == HVCTL_EXCLUDES && hvctl_vmx_controls_has(set, rule->control)
            && hvctl_vmx_controls_has(set, rule->other)) {
            possible = false;
            if (solution)
                hvctl_vmx_add_problem(solution, rule->control, HVCTL_OBSTACLE_EXCLUDES, rule->other);
        }
    return possible;
}

/* The bits of a group that HVCTL_VMX_CONTROLS names. */
static inline uint64_t hvctl_vmx_named(unsigned group)
{
    uint64_t named[HVCTL_GROUP_COUNT] = {0, 0, 0, 0, 0, 0, 0, 0};

#define HVCTL_X(group_name, name, bit, text) named[HVCTL_GROUP_##group_name] |= (uint64_t)1 << (bit);
    HVCTL_VMX_CONTROLS(HVCTL_X)
#undef HVCTL_X
    return named[group];
}

/*
 * Find control words for this CPU with every control of required, as many of wanted as are compatible with them, and
 * nothing else except what those need, what the CPU fixes to 1, and default-1 bits without a name. Wanted controls are
 * taken in the order of HVCTL_VMX_CONTROLS, each with what it needs or not at all. wanted may be NULL.
 *
 * HVCTL_OK: solution->controls passes VM entry's checks of control bits; solution->dropped has the wanted controls that
 * are not available.
 * HVCTL_E_CONTROL: solution->problems says for each required control that is not available what prevents it.
 * The contents of fields that a control brings into use are not checked.
 */
HVCTL_API HVCTL_NODISCARD enum hvctl_status hvctl_vmx_solve(const struct hvctl_vmx_controls *required,
                                                            const struct hvctl_vmx_controls *wanted,
                                                            const struct hvctl_vmx_caps *caps,
                                                            struct hvctl_vmx_solution *solution);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_status hvctl_vmx_solve(const struct hvctl_vmx_controls *required,
                                            const struct hvctl_vmx_controls *wanted, const struct hvctl_vmx_caps *caps,
                                            struct hvctl_vmx_solution *solution)
{
    struct hvctl_vmx_controls set;
    unsigned group, bit;

    solution->problem_count = 0;
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        enum hvctl_vmx_group id = (enum hvctl_vmx_group)group;

        set.word[group] = required->word[group] | hvctl_vmx_must_be_one(caps, id)
                        | (hvctl_vmx_default_one(caps, id) & ~hvctl_vmx_named(group));
        solution->dropped.word[group] = 0;
    }
    hvctl_vmx_controls_close(&set);
    if (!hvctl_vmx_controls_possible(&set, required, caps, solution)) {
        solution->controls = set;
        return HVCTL_E_CONTROL;
    }

    for (group = 0; wanted && group < HVCTL_GROUP_COUNT; group++) {
        for (bit = 0; bit < 64; bit++) {
            struct hvctl_vmx_controls trial = set;

            if (!(wanted->word[group] >> bit & 1u) || (set.word[group] >> bit & 1u))
                continue;
            trial.word[group] |= (uint64_t)1 << bit;
            hvctl_vmx_controls_close(&trial);
            if (hvctl_vmx_controls_possible(&trial, wanted, caps, NULL))
                set = trial;
            else
                solution->dropped.word[group] |= (uint64_t)1 << bit;
        }
    }
    solution->controls = set;
    return HVCTL_OK;
}
#endif

/* Put a control's name, or its group and bit if it has none. */
static inline void hvctl_vmx_control_text(enum hvctl_vmx_control control, const struct hvpt_text *text)
{
    const char *name = hvctl_vmx_control_name(control);

    if (name) {
        hvpt_text_string(text, name);
        return;
    }
    hvpt_text_string(text, "bit ");
    hvpt_text_decimal(text, (unsigned)control % 64u);
    hvpt_text_string(text, " of the ");
    hvpt_text_string(text, hvctl_vmx_group_name(hvctl_vmx_control_group(control)));
}

/*
 * Put a problem as a sentence without a full stop: "SECONDARY_UNRESTRICTED_GUEST needs SECONDARY_ENABLE_EPT, which
 * ...".
 */
HVCTL_API void hvctl_vmx_problem_text(const struct hvctl_vmx_problem *problem, const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_problem_text(const struct hvctl_vmx_problem *problem, const struct hvpt_text *text)
{
    hvctl_vmx_control_text(problem->control, text);
    switch (problem->obstacle) {
    case HVCTL_OBSTACLE_CPU: hvpt_text_string(text, " is not available on this CPU"); break;
    case HVCTL_OBSTACLE_NEEDS:
        hvpt_text_string(text, " needs ");
        hvctl_vmx_control_text(problem->other, text);
        hvpt_text_string(text, ", which is not available on this CPU");
        break;
    case HVCTL_OBSTACLE_EXCLUDES:
        hvpt_text_string(text, " cannot be combined with ");
        hvctl_vmx_control_text(problem->other, text);
        break;
    }
}
#endif

/* The VMCS field that holds a group's word. */
static inline uint32_t hvctl_vmx_group_field(enum hvctl_vmx_group group)
{
    switch (group) {
    case HVCTL_GROUP_PIN: return HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS;
    case HVCTL_GROUP_PRIMARY: return HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
    case HVCTL_GROUP_SECONDARY: return HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
    case HVCTL_GROUP_TERTIARY: return HVCTL_VMCS_TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
    case HVCTL_GROUP_EXIT: return HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS;
    case HVCTL_GROUP_EXIT2: return HVCTL_VMCS_SECONDARY_VM_EXIT_CONTROLS;
    case HVCTL_GROUP_ENTRY: return HVCTL_VMCS_VM_ENTRY_CONTROLS;
    case HVCTL_GROUP_VMFUNC: return HVCTL_VMCS_VM_FUNCTION_CONTROLS;
    case HVCTL_GROUP_OTHER: break;
    }
    return (uint32_t)HVCTL_VMCS_NO_FIELD;
}

/*
 * Write the words into the image, without those that this CPU does not have.
 * HVCTL_E_ABSENT: this CPU does not have a word that is not 0.
 * HVCTL_E_WIDTH: a bit above 31 is set in a 32-bit word.
 */
HVCTL_API HVCTL_NODISCARD enum hvctl_status hvctl_vmx_controls_write(struct hvctl_vmcs_image *image,
                                                                     const struct hvctl_vmx_controls *controls);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_status hvctl_vmx_controls_write(struct hvctl_vmcs_image *image,
                                                     const struct hvctl_vmx_controls *controls)
{
    enum hvctl_status status = HVCTL_OK;
    unsigned group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        uint32_t field = hvctl_vmx_group_field((enum hvctl_vmx_group)group);

        if (controls->word[group] || hvctl_vmcs_has(image, field))
            hvctl_vmcs_put(image, field, controls->word[group], &status);
    }
    return status;
}
#endif

/*
 * The words as the CPU will see them: a word whose activating control is 0 counts as 0, whatever its field holds.
 * Rules about controls apply to these words.
 */
static inline struct hvctl_vmx_controls hvctl_vmx_controls_effective(const struct hvctl_vmcs_image *image)
{
    struct hvctl_vmx_controls set;
    unsigned group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        set.word[group] = hvctl_vmcs_get(image, hvctl_vmx_group_field((enum hvctl_vmx_group)group));
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        enum hvctl_vmx_control activate = hvctl_vmx_group_switch((enum hvctl_vmx_group)group);

        if (activate != HVCTL_ALWAYS && !hvctl_vmx_controls_has(&set, activate))
            set.word[group] = 0;
    }
    return set;
}

/* Is a control in effect in this image? */
static inline bool hvctl_vmx_control_on(const struct hvctl_vmcs_image *image, enum hvctl_vmx_control control)
{
    bool on = false;

    /* Only the words that it depends on are read: an exit's path asks often. */
    while (hvctl_vmx_control_group(control) != HVCTL_GROUP_OTHER) {
        enum hvctl_vmx_group group = hvctl_vmx_control_group(control);

        on = (hvctl_vmcs_get(image, hvctl_vmx_group_field(group)) & hvctl_vmx_control_mask(control)) != 0;
        control = on ? hvctl_vmx_group_switch(group) : HVCTL_NEVER;
    }
    return on;
}

#endif
