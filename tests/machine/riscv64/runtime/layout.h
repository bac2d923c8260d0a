/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Where table frames lie: above the kernel. Memory beyond it is free for guests. */
#ifndef RUNTIME_LAYOUT_H
#define RUNTIME_LAYOUT_H

#include <stdint.h>

#define FRAMES_BASE  UINT64_C(0x81000000)
#define FRAMES_COUNT 4096u

#endif
