/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/svm/caps.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_SVM_CAPS_H
#define HVCTL_FORMER_SVM_CAPS_H

#include "svm/caps.h"

#endif
