/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What is done before there is a hypervisor: Linux to where it wants to be. Its Documentation/arch/riscv/boot.rst. */
#include "device_tree.h"
#include "machine.h"
#include "memory.h"
#include "riscv64.h"

const struct image *arch_image(void)
{
    return image_at(IMAGE) ? (const struct image *)(uintptr_t)IMAGE : NULL;
}

/*
 * The guest gets no H: its letter leaves riscv,isa, "rv64imafdch_...", and the list of extensions. Without Sstc in it
 * Linux asks SBI for its timer.
 */
static uint32_t hide(const char *name, char *value, uint32_t length)
{
    static const char isa[] = "riscv,isa", list[] = "riscv,isa-extensions", sstc[] = "_sstc";
    uint32_t at = 4;

    if (memcmp(name, isa, sizeof(isa)) == 0) {
        while (at < length && value[at] != 'h' && value[at] != '_' && value[at] != '\0')
            at++;
        if (at < length && value[at] == 'h') {
            memmove(value + at, value + at + 1, length - at - 1);
            length--;
        }
        for (at = 0; option(image, "sbi-timer", NULL) && at + 5 < length; at++)
            if (memcmp(value + at, sstc, 5) == 0)
                memset(value + at + 1, 'x', 4); /* the name of no extension */
    }
    for (at = 0; memcmp(name, list, sizeof(list)) == 0 && at < length;) {
        uint32_t size = 0;

        while (value[at + size++] != '\0')
            ;
        if (memcmp(value + at, "h", 2) == 0
            || (option(image, "sbi-timer", NULL) && memcmp(value + at, "sstc", 5) == 0)) {
            memmove(value + at, value + at + size, length - at - size);
            length -= size;
        } else {
            at += size;
        }
    }
    return length;
}

void arch_load_linux(struct start *start)
{
    const uint8_t *kernel = (const uint8_t *)(uintptr_t)(IMAGE + image->kernel);

    if (memcmp(kernel + 0x38, "RSC\5", 4) != 0)
        panic("this is not a kernel's Image");
    memcpy((void *)(uintptr_t)KERNEL, kernel, image->kernel_size);
    device_tree_copy(machine_tree, (void *)(uintptr_t)DEVICE_TREE, image, option(image, "bare", NULL) ? NULL : hide);
    sbi_fence_i();
    *start = (struct start) {KERNEL, {vcpus[0].arch.hart, DEVICE_TREE}};
}

_Noreturn void arch_jump(const struct start *start)
{
    riscv_jump(start->pc, start->arguments[0], start->arguments[1]);
}
