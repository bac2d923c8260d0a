/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/vmx/caps.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_VMX_CAPS_H
#define HVCTL_FORMER_VMX_CAPS_H

#include "vmx/caps.h"

#endif
