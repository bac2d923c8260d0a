/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One row after another of a file of tests/reference/hvpt, and comparisons that name the case.
 */
#ifndef GUEST_WALK_FAULTS_TABLE_H
#define GUEST_WALK_FAULTS_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS 9

struct table {
    FILE *file;
    char line[256];
    char *cell[TABLE_COLUMNS];
};

/* Opens the file and passes its heading; a missing file fails the test. */
void table_open(struct table *table, const char *name);

/* The next row; every row has so many cells. false: there is none, and the file is closed. */
bool table_next(struct table *table, unsigned cells);

unsigned long long table_number(const char *cell, int base);

void same(unsigned long long got, unsigned long long wanted, const char *name, const char *what);
void same_text(const char *got, const char *wanted, const char *name);

#endif
