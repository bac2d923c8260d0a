/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What start.S calls. */
#include "cpu.h"
#include "kernel.h"

void runtime_start(uint64_t misa, const void *device_tree);

void runtime_start(uint64_t misa, const void *device_tree)
{
    cpu_init(misa, device_tree);
    runtime_run();
}
