/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/vmx/vmcs_fields.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_VMCS_FIELDS_H
#define HVCTL_FORMER_VMCS_FIELDS_H

#include "vmx/vmcs_fields.h"

#endif
