/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What is done before there is a hypervisor: Linux to where it wants to be. Its Documentation/arch/arm64/booting.rst.
 */
#include "aarch64.h"
#include "device_tree.h"
#include "machine.h"
#include "memory.h"

const struct image *arch_image(void)
{
    return image_at(IMAGE) ? (const struct image *)(uintptr_t)IMAGE : NULL;
}

void arch_load_linux(struct start *start)
{
    const uint8_t *kernel = (const uint8_t *)(uintptr_t)(IMAGE + image->kernel);
    uint64_t offset;

    memcpy(&offset, kernel + 8, 8);
    if (memcmp(kernel + 0x38, "ARMd", 4) != 0 || offset != 0)
        panic("this is not a kernel's Image");
    memcpy((void *)(uintptr_t)KERNEL, kernel, image->kernel_size);
    device_tree_copy((const void *)(uintptr_t)RAM_START, (void *)(uintptr_t)DEVICE_TREE, image, NULL);
    arch_code_written(KERNEL, image->kernel_size); /* it begins with its caches off */
    arch_code_written(DEVICE_TREE, UINT64_C(0x200000));
    *start = (struct start) {KERNEL, {DEVICE_TREE, 0}};
}

_Noreturn void arch_jump(const struct start *start)
{
    arm_jump(start->pc, start->arguments[0]);
}
