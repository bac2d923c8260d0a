/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The Redox kernel module on bare metal: starts integration/redox/machine, a Rust library. */
#include "lend.h"

#include "check.h"
#include "kernel.h"

/* Physical memory above the kernel, aligned to 4 MiB: frames of the stand-in kernel. */
#define MEMORY UINT64_C(0x04000000)
#define FRAMES 8192u

void redox_machine_main(uintptr_t memory, size_t frames);

void kernel_main(void)
{
    lend_begin();
    check_group("redox");
    redox_machine_main(MEMORY, FRAMES);
    check_summary();
}
