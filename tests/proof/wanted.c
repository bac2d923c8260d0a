/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The solver of VMX controls with wanted ones: every named control required, or none, every other one wanted, and each in
 * turn taken from a CPU that has them all. The answer passes the checker, and a wanted control is dropped only where the
 * solver would refuse it if it were required.
 */
#include "enumerate.h"

#include "controls.h"

static unsigned named; /* how many controls there are */

static bool any_control(struct hvctl_vmx_controls *set, bool or_none)
{
    const unsigned number = choose(named + or_none);

    if (number == named)
        return false;
    hvctl_vmx_controls_add(set, hvctl_vmx_control_at(number)->control);
    return true;
}

/* Takes the controls of set from a CPU that lets every named control be 1, and none but the default ones must be. */
static struct hvctl_vmx_caps all_but(const struct hvctl_vmx_controls *set)
{
    static const struct hvctl_vmx_caps none;
    struct hvctl_vmx_caps caps = none;
    uint64_t may[HVCTL_GROUP_COUNT];
    unsigned group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        may[group] = hvctl_vmx_named(group) & ~set->word[group];
    caps.basic = HVCTL_VMX_BASIC_TRUE_CONTROLS;
    caps.pin = UINT64_C(0x16);
    caps.primary = UINT64_C(0x0401e172); /* the default-1 bits of SDM vol. 3, appendix A */
    caps.exit = UINT64_C(0x00036dff);
    caps.entry = UINT64_C(0x000011ff);
    caps.true_pin = UINT64_C(0x1600000016) | may[HVCTL_GROUP_PIN] << 32;
    caps.true_primary = UINT64_C(0x0400617204006172) | may[HVCTL_GROUP_PRIMARY] << 32;
    caps.true_exit = UINT64_C(0x00036dfb00036dfb) | may[HVCTL_GROUP_EXIT] << 32;
    caps.true_entry = UINT64_C(0x000011fb000011fb) | may[HVCTL_GROUP_ENTRY] << 32;
    caps.secondary = may[HVCTL_GROUP_SECONDARY] << 32;
    caps.tertiary = may[HVCTL_GROUP_TERTIARY];
    caps.exit2 = may[HVCTL_GROUP_EXIT2];
    caps.vmfunc = may[HVCTL_GROUP_VMFUNC];
    caps.cpu.maxphyaddr = 46;
    return caps;
}

static void run(void)
{
    struct hvctl_vmx_controls required = {{0}}, wanted = {{0}}, missing = {{0}}, both;
    struct hvctl_vmx_solution solution, strict;
    struct hvctl_vmx_caps caps;
    bool dropped = false;
    unsigned group;

    any_control(&missing, true);
    any_control(&required, true);
    any_control(&wanted, false);
    caps = all_but(&missing);
    if (hvctl_vmx_solve(&required, &wanted, &caps, &solution) != HVCTL_OK) {
        must(solution.problem_count != 0, "a refusal has a reason");
        return;
    }
    both = required;
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        must(!(required.word[group] & ~solution.controls.word[group]), "what is required is there");
        must(solution.dropped.word[group] == (wanted.word[group] & ~solution.controls.word[group]),
             "what is wanted is there, or is called dropped");
        both.word[group] |= wanted.word[group];
        dropped = dropped || solution.dropped.word[group] != 0;
    }
    must(dropped == (hvctl_vmx_solve(&both, NULL, &caps, &strict) != HVCTL_OK), "nothing is dropped that could be had");
    controls_pass(&solution.controls, &caps);
}

int main(void)
{
    while (hvctl_vmx_control_at(named) != NULL)
        named++;
    enumerate(run);
    return 0;
}
