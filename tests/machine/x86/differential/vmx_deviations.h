/* Where Bochs 2.7 does not do what the SDM says about VM entry, and what its models cannot show. */
#ifndef DIFFERENTIAL_VMX_DEVIATIONS_H
#define DIFFERENTIAL_VMX_DEVIATIONS_H

#include "differential.h"
#include "vmx_world.h"

/* Does the emulator not keep to this rule, in this case? */
bool vmx_deviation_ignored(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation);

/* Note that it did not. */
void vmx_deviation_seen(const char *rule);

/* Does the emulator fail, or fail otherwise, where the manual does not say so? */
bool vmx_deviation_otherwise(const struct hvctl_vmx_view *view, const struct hvctl_report *report,
                             const struct world_result *result);

void vmx_deviations_print(void);

extern const struct unreachable vmx_unreachable[];
extern const unsigned vmx_unreachable_count;

#endif
