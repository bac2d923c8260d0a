/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The end of a run: the test device of QEMU's virt machine. */
#include "machine.h"

#include <stdarg.h>
#include <stdint.h>

#include "console.h"

#define TEST_DEVICE UINT64_C(0x100000)
#define TEST_PASS   0x5555u

_Noreturn void machine_end(void)
{
    *(volatile uint32_t *)(uintptr_t)TEST_DEVICE = TEST_PASS;
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
