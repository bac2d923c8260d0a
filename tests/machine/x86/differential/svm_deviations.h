/* Where Bochs 2.7 and QEMU 7.2 do not do what the APM says about VMRUN, and what they cannot show. */
#ifndef DIFFERENTIAL_SVM_DEVIATIONS_H
#define DIFFERENTIAL_SVM_DEVIATIONS_H

#include <hvctl/svm_check.h>

#include "differential.h"

/* Is this QEMU? Else it is Bochs. */
bool svm_on_qemu(void);

/* Does the emulator not keep to this rule, in this case? */
bool svm_deviation_ignored(const struct hvctl_svm_view *view, const struct hvctl_violation *violation);

/* Note that it did not. */
void svm_deviation_seen(const char *rule);

/* Does the emulator fail where the manual does not say so? */
bool svm_deviation_otherwise(const struct hvctl_svm_view *view, bool invalid);

void svm_deviations_print(void);

extern const struct unreachable svm_unreachable[];
extern const unsigned svm_unreachable_count;

#endif
