/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A failed check is a failed Criterion test. */
#include "check.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdlib.h>

void check_end_test(const char *text)
{
    cr_assert_fail("%s", text);
    abort();
}
