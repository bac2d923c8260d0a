/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * QEMU's virt machine: a PL011, and PSCI, which QEMU answers itself without an EL3. A byte that is written while whoever
 * reads the output is behind would be lost: so the transmitter is asked first.
 */
#include "machine.h"

#include <stdint.h>

#define UART_DATA       ((volatile uint32_t *)(uintptr_t)0x09000000)
#define UART_FLAGS      ((volatile uint32_t *)(uintptr_t)0x09000018)
#define UART_FULL       0x20u /* the transmitter's FIFO */
#define PSCI_SYSTEM_OFF 0x84000008u

void machine_put(char c)
{
    while (*UART_FLAGS & UART_FULL)
        ;
    *UART_DATA = (unsigned char)c;
}

_Noreturn void machine_end(void)
{
    register uint64_t function __asm__("x0") = PSCI_SYSTEM_OFF;

    __asm__ volatile("smc #0" : "+r"(function) : : "memory");
    for (;;)
        __asm__ volatile("wfi");
}
