/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What is done before there is a hypervisor: the firmware's part, and Linux to where it wants to be. */
#include "machine.h"
#include "x86.h"

const struct image *arch_image(void)
{
    const struct image *found = firmware_image();

    if (found != NULL)
        firmware_cpu(found);
    return found;
}

void arch_load_linux(struct start *start)
{
    if (!firmware_load_linux(image, cpus, start))
        panic("this is not a kernel with a 64-bit entry");
}

_Noreturn void arch_jump(const struct start *start)
{
    firmware_jump(start);
}
