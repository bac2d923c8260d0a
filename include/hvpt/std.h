/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The one place that touches the environment: what the headers need of <stdint.h>, <stdbool.h> and <stddef.h>.
 *
 * A kernel without these three defines HVPT_STD_HEADER as the header that stands for them, in quotes or brackets
 * (-DHVPT_STD_HEADER='<mykernel/types.h>'). It brings bool, size_t, NULL, uint8_t to uint64_t, int8_t to int64_t,
 * uintptr_t, UINT32_MAX, UINT64_MAX, UINTPTR_MAX, UINT32_C and UINT64_C; uint64_t is unsigned long or unsigned long
 * long, whichever UINT64_C makes. For the kernels of Linux and FreeBSD this is done.
 *
 * No function of a C library is called by name. Compilers call memcpy, memset, memmove and memcmp on their own for
 * copies and initialisers; every kernel has them.
 */
#ifndef HVPT_STD_H
#define HVPT_STD_H

#include "version.h"

#if defined(HVPT_STD_HEADER)
#include HVPT_STD_HEADER
#elif defined(__KERNEL__) && defined(__linux__)
#include <linux/types.h>
#include <linux/stddef.h>
#include <linux/limits.h>
#ifndef UINT32_C
#define UINT32_C(x) x##U
#endif
#ifndef UINT64_C
#define UINT64_C(x) x##ULL
#endif
#ifndef UINT32_MAX
#define UINT32_MAX UINT32_C(0xffffffff)
#endif
#ifndef UINT64_MAX
#define UINT64_MAX UINT64_C(0xffffffffffffffff) /* usable in #if, too */
#endif
#ifndef UINTPTR_MAX
#define UINTPTR_MAX ULONG_MAX
#endif
#elif defined(_KERNEL) && defined(__FreeBSD__)
#include <sys/types.h> /* bool and size_t, too */

#include <sys/_null.h>
#include <sys/stdint.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#endif
