/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What start.S calls: the kernel's own main between the two lines that tell its output from the emulator's. */
#include "console.h"
#include "exceptions.h"
#include "kernel.h"
#include "machine.h"

void runtime_start(void);

void runtime_start(void)
{
    exceptions_init();
    print("\n---- kernel begins ----\n");
    kernel_main();
    print("---- kernel ends ----\n");
    machine_end();
}
