/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every call with external linkage, for programs that link hvpt instead of compiling it into each unit: their units
 * define HVPT_EXTERN before they include a header, and so do bindings for other languages.
 */
#ifndef HVPT_EXTERN
#define HVPT_EXTERN
#endif
#define HVPT_IMPLEMENT
#include "arm/hdbss.h"
#include "ept.h"
#include "gstage.h"
#include "intel/pml.h"
#include "npt.h"
#include "stage2.h"
#include "x86/map_by_mtrr.h"
