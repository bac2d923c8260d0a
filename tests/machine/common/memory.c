/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The four functions that a freestanding compiler may call on its own. x86 has its own, of string instructions. */
#include "memory.h"

#include <stdint.h>

/*
 * Whole words first: tables of 64 KiB and roots of 1 MiB are filled by this. volatile: or the compiler makes the loops
 * calls of the functions that they are.
 */
void *memset(void *at, int value, size_t size)
{
    volatile unsigned char *to = at;
    uint64_t word = (unsigned char)value * UINT64_C(0x0101010101010101);

    for (; size > 0 && ((uintptr_t)to & 7) != 0; size--)
        *to++ = (unsigned char)value;
    for (; size >= 8; size -= 8, to += 8)
        *(volatile uint64_t *)(uintptr_t)to = word;
    for (; size > 0; size--)
        *to++ = (unsigned char)value;
    return at;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    volatile unsigned char *t = to;
    const unsigned char *f = from;

    for (; size > 0; size--)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    volatile unsigned char *t = to;
    const unsigned char *f = from;

    if ((uintptr_t)to <= (uintptr_t)from)
        for (size_t i = 0; i < size; i++)
            t[i] = f[i];
    else
        for (; size > 0; size--)
            t[size - 1] = f[size - 1];
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (; size > 0; size--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}
