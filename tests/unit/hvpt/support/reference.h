/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The records of tests/reference/hvpt, read at run time: which bit of which entry means what, and which are forbidden.
 * Addresses depend on MAXPHYADDR; the records say "M" and it is put in here.
 */
#ifndef HVPT_TEST_REFERENCE_H
#define HVPT_TEST_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFERENCE_COLUMNS 8

/* One CSV file; cell[row][column]. The heading is row 0. */
struct reference {
    char *text;
    size_t rows;
    char *(*cell)[REFERENCE_COLUMNS];
};

/* name: a file below HVPT_TEST_DATA. A missing or malformed file fails the test. */
void reference_load(struct reference *reference, const char *name);
void reference_free(struct reference *reference);
size_t reference_column(const struct reference *reference, const char *heading);

/* Bits low to high inclusive; none if low > high, as happens to "M..51" where M is 52. */
uint64_t bits_mask(unsigned low, unsigned high);

/* A number, "M" or "M-1". */
unsigned reference_bit(const char *text, unsigned maxphyaddr);

/* All bits that the records of entry call field (0 if it has none), in a file of entry, low, high, field, condition. */
uint64_t reference_field(const struct reference *fields, const char *entry, const char *field, unsigned maxphyaddr);

/* Is word one of the blank-separated words of list? */
bool reference_listed(const char *list, const char *word);

#endif
