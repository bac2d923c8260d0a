/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The end of a run: both emulators' ways to be switched off. */
#include "machine.h"

#include <stdarg.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"

_Noreturn void machine_end(void)
{
    for (const char *c = "Shutdown"; *c != '\0'; c++) /* Bochs */
        cpu_out8(0x8900, (uint8_t)*c);
    cpu_out32(0xf4, 0); /* QEMU's isa-debug-exit */
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print("\npanic: ");
    print_arguments(format, args);
    print("\n");
    va_end(args);
    machine_end();
}
