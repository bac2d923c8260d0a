/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Everything for Intel VMX but the instructions, which are in hvctl/cpu/. */
#ifndef HVCTL_VMX_H
#define HVCTL_VMX_H

#include "vmx/advance.h"
#include "vmx/caps.h"
#include "vmx/check.h"
#include "vmx/control_list.h"
#include "vmx/event.h"
#include "vmx/exit.h"
#include "vmx/guest.h"
#include "vmx/insn.h"
#include "vmx/msr_area.h"
#include "vmx/solver.h"
#include "vmx/vmcs.h"
#include "vmx/vmcs_dump.h"
#include "vmx/vmcs_fields.h"
#include "vmx/vmcs_typed.h"

#endif
