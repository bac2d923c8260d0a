/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A failed check stops the program: what a fuzzer and a plain program want. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

void check_end_test(const char *text)
{
    (void)fprintf(stderr, "check failed: %s\n", text);
    abort();
}
