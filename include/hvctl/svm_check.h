/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/svm/check.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_SVM_CHECK_H
#define HVCTL_FORMER_SVM_CHECK_H

#include "svm/check.h"

#endif
