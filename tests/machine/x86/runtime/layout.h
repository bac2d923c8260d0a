/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Where table frames lie: in the middle of the machine's 256 MiB, above the kernel. Memory outside it is free for guests. */
#ifndef RUNTIME_LAYOUT_H
#define RUNTIME_LAYOUT_H

#include <stdint.h>

#define FRAMES_BASE  UINT64_C(0x01000000)
#define FRAMES_COUNT 4096u

#endif
