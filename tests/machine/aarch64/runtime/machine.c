/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The end of a run: PSCI's SYSTEM_OFF, which QEMU answers itself where there is no EL3. */
#include "machine.h"

#include <stdarg.h>
#include <stdint.h>

#include "console.h"

_Noreturn void machine_end(void)
{
    register uint64_t function __asm__("x0") = 0x84000008;

    __asm__ volatile("smc #0" : "+r"(function) : : "memory");
    for (;;)
        __asm__ volatile("wfi");
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
