/* From a good VMCS to a case: one to three fields, or what they lead to in memory, become something else. */
#ifndef DIFFERENTIAL_VMX_MUTATE_H
#define DIFFERENTIAL_VMX_MUTATE_H

#include "vmx_world.h"

struct vmx_case {
    struct hvctl_vmcs_image image;
    struct hvctl_vmcs_set changed; /* fields */
};

/* The fields that some rule reads and this CPU has. Called once. */
void mutate_init(const struct world *world);

/* Makes a case, and whatever it needs in world_pages. */
void mutate(struct vmx_case *out, const struct world *world, struct random *random);

/* Puts world_pages back. */
void mutate_undo(void);

#endif
