/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What start.S calls: the kernel's own main between the two lines that tell its output from the emulator's. */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "machine.h"

void runtime_start(uint64_t misa, const void *device_tree);

void runtime_start(uint64_t misa, const void *device_tree)
{
    cpu_init(misa, device_tree);
    print("\n---- kernel begins ----\n");
    kernel_main();
    print("---- kernel ends ----\n");
    machine_end();
}
