/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Where things lie in the machine's RAM, 0x40000000 to 0xc0000000. The first 16 MiB hold the device tree and the
 * kernel.
 */
#ifndef RUNTIME_LAYOUT_H
#define RUNTIME_LAYOUT_H

#include <stdint.h>

#define RAM_BASE UINT64_C(0x40000000)
#define RAM_END  UINT64_C(0xc0000000)

/* Table frames. */
#define FRAMES_BASE  UINT64_C(0x42000000)
#define FRAMES_COUNT 8192u

/* Guests' homes, one each 128 KiB; then memory to map into guests, aligned for pages of up to 32M, 512M and 1G. */
#define VM_HOME   UINT64_C(0x44000000)
#define VM_MEMORY UINT64_C(0x48000000) /* 128 MiB */
#define VM_LARGE  UINT64_C(0x60000000) /* 512 MiB */
#define VM_GIANT  UINT64_C(0x80000000) /* 1 GiB */

#endif
