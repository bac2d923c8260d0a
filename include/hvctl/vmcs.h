/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/vmx/vmcs.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_VMCS_H
#define HVCTL_FORMER_VMCS_H

#include "vmx/vmcs.h"

#endif
