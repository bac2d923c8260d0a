/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The context line and the wording of failures; check_end_test is each program's own. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>

static char context[256];

void check_context(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(context, sizeof(context), format, args);
    va_end(args);
}

const char *check_context_text(void)
{
    return context;
}

void check_failed(const char *file, int line, const char *format, ...)
{
    char what[512];
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    (void)snprintf(text, sizeof(text), "%s:%d: %s [%s]", file, line, what, context);
    check_end_test(text);
}
