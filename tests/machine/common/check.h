/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Checks, one line each: "ok NAME", "not ok NAME: expected E, got G", "skip NAME: WHY". The runner turns them into TAP.
 * A name is "group: what holds"; it is unique in a kernel, since known deviations are listed by it.
 */
#ifndef RUNTIME_CHECK_H
#define RUNTIME_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* The group that the following checks belong to. */
void check_group(const char *name);

/* Both return whether it held. Values are printed in hexadecimal. */
bool check_equal(uint64_t got, uint64_t expected, const char *name, ...) __attribute__((format(printf, 3, 4)));
bool check_true(bool holds, const char *name, ...) __attribute__((format(printf, 2, 3)));

/* got in words, for what has a name; equal as strings. */
bool check_text(const char *got, const char *expected, const char *name, ...) __attribute__((format(printf, 3, 4)));

void check_skip(const char *why, const char *name, ...) __attribute__((format(printf, 2, 3)));

/* The line that lets the runner see that none is missing. Called once, at the end. */
void check_summary(void);

#endif
