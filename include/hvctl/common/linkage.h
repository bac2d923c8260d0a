/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * How the larger calls are linked: those that check, explain, solve, dump and write text. By default each unit that
 * includes a header has its own static copy of what it uses. With HVCTL_EXTERN defined a unit sees their prototypes
 * only, and one unit of the program, which defines HVCTL_IMPLEMENT as well, holds the code: hvctl/unit.c is such a
 * unit. Small calls are inline either way.
 */
#ifndef HVCTL_COMMON_LINKAGE_H
#define HVCTL_COMMON_LINKAGE_H

#include "../../hvpt/engine/attributes.h"

#if defined(HVCTL_IMPLEMENT) && !defined(HVCTL_EXTERN)
#define HVCTL_EXTERN
#endif
#ifdef HVCTL_EXTERN
#define HVCTL_API HVPT_EXTERNAL
#else
#define HVCTL_API static inline __attribute__((__unused__))
#endif

#endif
