/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What start.S calls. */
#include "exceptions.h"
#include "kernel.h"

void runtime_start(void);

void runtime_start(void)
{
    exceptions_init();
    runtime_run();
}
