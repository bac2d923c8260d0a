/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The name of hvctl/svm/exit.h before 0.2; it goes in 0.3. */
#ifndef HVCTL_FORMER_SVM_EXIT_H
#define HVCTL_FORMER_SVM_EXIT_H

#include "svm/exit.h"

#endif
