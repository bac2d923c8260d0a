/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* QEMU's virt machine: a 16550 that takes a byte at any time, and the test device, which ends the run. */
#include "machine.h"

#include <stdint.h>

#define SERIAL      ((volatile uint8_t *)(uintptr_t)0x10000000)
#define TEST_DEVICE ((volatile uint32_t *)(uintptr_t)0x100000)
#define TEST_PASS   0x5555u

void machine_put(char c)
{
    *SERIAL = (uint8_t)c;
}

_Noreturn void machine_end(void)
{
    *TEST_DEVICE = TEST_PASS;
    for (;;)
        __asm__ volatile("wfi");
}
