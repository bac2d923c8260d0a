/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/svm/vmcb.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_VMCB_H
#define HVCTL_FORMER_VMCB_H

#include "svm/vmcb.h"

#endif
