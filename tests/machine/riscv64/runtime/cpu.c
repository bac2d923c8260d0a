/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the processor has: misa, and the names in the device tree, since many extensions show nowhere else. */
#include "cpu.h"

#include <stddef.h>

static uint64_t misa_value;
static const unsigned char *tree;

void cpu_init(uint64_t misa, const void *device_tree)
{
    misa_value = misa;
    tree = device_tree;
}

bool cpu_has_hypervisor(void)
{
    return (misa_value >> ('h' - 'a') & 1) != 0;
}

static bool letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The names that are asked for occur in a device tree only as extensions: a search of its bytes will do. */
bool cpu_has(const char *extension)
{
    size_t size, length = 0;

    if (tree == NULL || tree[0] != 0xd0 || tree[1] != 0x0d || tree[2] != 0xfe || tree[3] != 0xed)
        return false;
    size = (size_t)tree[4] << 24 | (size_t)tree[5] << 16 | (size_t)tree[6] << 8 | tree[7];
    while (extension[length] != '\0')
        length++;
    for (size_t at = 0; at + length < size; at++) {
        size_t same = 0;

        while (same < length && tree[at + same] == (unsigned char)extension[same])
            same++;
        if (same == length && !letter(tree[at + length]))
            return true;
    }
    return false;
}
