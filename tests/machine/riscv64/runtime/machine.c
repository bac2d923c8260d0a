/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * QEMU's virt machine: a 16550, and the test device, which ends the run. A byte that is written while whoever reads the
 * output is behind would be lost: so the transmitter is asked first.
 */
#include "machine.h"

#include <stdint.h>

#define SERIAL       ((volatile uint8_t *)(uintptr_t)0x10000000)
#define SERIAL_LSR   5
#define SERIAL_EMPTY 0x20 /* the transmitter's holding register */
#define TEST_DEVICE  ((volatile uint32_t *)(uintptr_t)0x100000)
#define TEST_PASS    0x5555u

void machine_put(char c)
{
    while (!(SERIAL[SERIAL_LSR] & SERIAL_EMPTY))
        ;
    *SERIAL = (uint8_t)c;
}

_Noreturn void machine_end(void)
{
    *TEST_DEVICE = TEST_PASS;
    for (;;)
        __asm__ volatile("wfi");
}
