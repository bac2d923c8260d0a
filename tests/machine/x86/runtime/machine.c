/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The ports that Bochs and QEMU both listen to: 0xE9 is their standard output, two others switch them off. */
#include "machine.h"

#include <stdint.h>

#include "cpu.h"

void machine_put(char c)
{
    cpu_out8(0xe9, (uint8_t)c);
}

_Noreturn void machine_end(void)
{
    for (const char *c = "Shutdown"; *c != '\0'; c++) /* Bochs */
        cpu_out8(0x8900, (uint8_t)*c);
    cpu_out32(0xf4, 0); /* QEMU's isa-debug-exit */
    for (;;)
        __asm__ volatile("cli; hlt");
}
