/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A kernel's life: its own main between two lines that tell its output from the emulator's, or a panic. */
#include <stdarg.h>

#include "console.h"
#include "kernel.h"
#include "machine.h"

_Noreturn void runtime_run(void)
{
    print("\n---- kernel begins ----\n");
    kernel_main();
    print("---- kernel ends ----\n");
    machine_end();
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
