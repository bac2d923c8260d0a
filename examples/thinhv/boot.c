/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Boot image, options, lines: see boot.h. */
#include "boot.h"

#include <stdarg.h>

#include "console.h"
#include "memory.h"

void say(const char *format, ...)
{
    static bool busy;
    va_list args;

    while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE))
        ;
    va_start(args, format);
    print_arguments(format, args);
    va_end(args);
    print("\n");
    __atomic_clear(&busy, __ATOMIC_RELEASE);
}

bool image_at(uint64_t address)
{
    return memcmp((const void *)(uintptr_t)address, "THINHV01", 8) == 0;
}

bool option(const struct image *image, const char *word, uint64_t *value)
{
    for (const char *p = image->options; *p != '\0'; p++) {
        const char *w = word, *q = p;

        if (p != image->options && p[-1] != ' ')
            continue;
        while (*w != '\0' && *w == *q)
            w++, q++;
        if (*w != '\0' || (*q != '\0' && *q != ' ' && *q != '='))
            continue;
        if (value != NULL && *q == '=')
            for (*value = 0; *++q >= '0' && *q <= '9';)
                *value = *value * 10 + (uint64_t)(*q - '0');
        return true;
    }
    return false;
}
