/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the solver of VMX controls answers passes the checker: whatever the capability MSRs say and whatever is required,
 * the words go into an image of that CPU, and no rule about control bits is broken there.
 */
#include "proof.h"

#include "controls.h"

int main(void)
{
    struct hvctl_vmx_caps caps;         /* not initialised: any */
    struct hvctl_vmx_controls required; /* likewise */
    struct hvctl_vmx_solution solution;
    unsigned group;

    if (hvctl_vmx_solve(&required, NULL, &caps, &solution) != HVCTL_OK)
        return 0;
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        must(!(required.word[group] & ~solution.controls.word[group]), "what is required is there");
        must(solution.dropped.word[group] == 0, "and nothing else was asked for");
    }
    controls_pass(&solution.controls, &caps);
    return 0;
}
