/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Everything for AMD SVM but the instructions, which are in hvctl/cpu/. */
#ifndef HVCTL_SVM_H
#define HVCTL_SVM_H

#include "svm/advance.h"
#include "svm/asids.h"
#include "svm/caps.h"
#include "svm/check.h"
#include "svm/exit.h"
#include "svm/exit_list.h"
#include "svm/guest.h"
#include "svm/vmcb.h"
#include "svm/vmsa.h"

#endif
