/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Where Bochs 2.7 and QEMU 7.2 do not do what the APM says about VMRUN, and what they cannot show. */
#ifndef DIFFERENTIAL_SVM_DEVIATIONS_H
#define DIFFERENTIAL_SVM_DEVIATIONS_H

#include <hvctl/svm/check.h>

#include "differential.h"

/* Is this QEMU? Else it is Bochs. */
bool svm_on_qemu(void);

/* The record that says that the emulator does not keep to this rule, in this case; or NULL. */
struct deviation *svm_deviation_ignored(const struct hvctl_svm_view *view, const struct hvctl_violation *violation);

/* The record that says that the emulator fails here where the manual does not; or NULL. */
struct deviation *svm_deviation_extra(const struct hvctl_svm_view *view);

void svm_deviations_check(void);

extern const struct unreachable svm_unreachable[];
extern const unsigned svm_unreachable_count;

#endif
