/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* As common/memory.c, by string instructions: an emulator runs one of them as fast as any other single instruction. */
#include "memory.h"

void *memset(void *at, int value, size_t size)
{
    void *to = at;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return at;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *result = to;
    size_t words = size / 8;

    /* An emulator takes as long for a byte as for eight */
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    size %= 8;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t size)
{
    char *t = to;
    const char *f = from;

    if (t <= f || t >= f + size)
        return memcpy(to, from, size);
    for (volatile char *v = t; size > 0; size--) /* volatile: or the compiler makes this a call of memmove */
        v[size - 1] = f[size - 1];
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
