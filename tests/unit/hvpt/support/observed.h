/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The library as the tests include it: every store into a table is reported to the memory that holds the table.
 * Nothing includes hvpt/ but by way of this file.
 */
#ifndef HVPT_TEST_OBSERVED_H
#define HVPT_TEST_OBSERVED_H

#include <stdint.h>

void memory_on_store(const void *slot, uint64_t value);

/* The check of stack frames measures the engine without the tests' eyes. */
#ifndef HVPT_ON_STORE
#define HVPT_ON_STORE(slot, value) memory_on_store((slot), (value))
#endif

#include <hvpt/flush.h>
#include <hvpt/hooks.h>
#include <hvpt/types.h>

#endif
