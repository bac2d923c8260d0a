/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Where Bochs does not do what the SDM says about VM entry. */
#ifndef DIFFERENTIAL_VMX_DEVIATIONS_H
#define DIFFERENTIAL_VMX_DEVIATIONS_H

#include "differential.h"
#include "vmx_world.h"

/* The record that says that the emulator does not keep to this rule, in this case; or NULL. */
struct deviation *vmx_deviation_ignored(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation);

/*
 * The record that says that the emulator ends this entry, of which these rules are broken, with VMfail 7, or exit 33 and
 * qualification 0, where the manual does not say so; or NULL. failure: which of the two; HVCTL_FAILURE_NONE: any.
 */
struct deviation *vmx_deviation_extra(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation,
                                      unsigned violations, enum hvctl_failure failure);

/* Was a posted-interrupt descriptor refused that is not at the beginning of a page? Then none can be aligned otherwise. */
bool vmx_deviation_wants_pages(void);

void vmx_deviations_check(void);

/* Rules that no case on this machine can break alone, or keep at their edge. */
extern const struct unreachable vmx_unreachable[];
extern const unsigned vmx_unreachable_count;

#endif
