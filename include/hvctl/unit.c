/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The larger calls with external linkage, for programs that link hvctl instead of compiling it into each unit: their
 * units define HVCTL_EXTERN before they include a header, and so do bindings for other languages. The instructions of
 * cpu/ are inline everywhere.
 */
#ifndef HVCTL_EXTERN
#define HVCTL_EXTERN
#endif
#define HVCTL_IMPLEMENT
#include "svm.h"
#include "vmx.h"
