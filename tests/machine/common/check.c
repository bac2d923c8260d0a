/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Checks, one line each. */
#include "check.h"

#include "console.h"

static const char *group = "";
static unsigned count, failed;

static void print_head(const char *result, const char *name, va_list args)
{
    count++;
    print("%s %s: ", result, group);
    print_arguments(name, args);
}

void check_group(const char *name)
{
    group = name;
}

bool check_equal(uint64_t got, uint64_t expected, const char *name, ...)
{
    bool holds = got == expected;
    va_list args;

    va_start(args, name);
    print_head(holds ? "ok" : "not ok", name, args);
    va_end(args);
    if (!holds) {
        failed++;
        print(" | expected %lx, got %lx", expected, got);
    }
    print("\n");
    return holds;
}

bool check_true(bool holds, const char *name, ...)
{
    va_list args;

    va_start(args, name);
    print_head(holds ? "ok" : "not ok", name, args);
    va_end(args);
    if (!holds) {
        failed++;
        print(" | does not hold");
    }
    print("\n");
    return holds;
}

bool check_text(const char *got, const char *expected, const char *name, ...)
{
    bool holds = false;
    va_list args;

    if (got != NULL) {
        const char *a = got, *b = expected;

        for (; *a != '\0' && *a == *b; a++, b++)
            ;
        holds = *a == *b;
    }
    va_start(args, name);
    print_head(holds ? "ok" : "not ok", name, args);
    va_end(args);
    if (!holds) {
        failed++;
        print(" | expected %s, got %s", expected, got);
    }
    print("\n");
    return holds;
}

void check_skip(const char *why, const char *name, ...)
{
    va_list args;

    va_start(args, name);
    print_head("skip", name, args);
    va_end(args);
    print(" | %s\n", why);
}

void check_summary(void)
{
    print("checks: %u, failed: %u\n", count, failed);
}
