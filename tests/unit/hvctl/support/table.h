/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Reads a table of tests/reference/hvctl: comma-separated, a header line, no quoting. */
#ifndef TABLE_H
#define TABLE_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_COLUMNS 8

struct row {
    char line[256];
    const char *cell[TABLE_COLUMNS];
};

struct table {
    struct row row[512];
    unsigned rows;
};

/* Aborts the test if the file is not there, is empty, or does not fit. */
static inline void table_load(struct table *table, const char *file)
{
    char path[1024];
    FILE *stream;

    snprintf(path, sizeof(path), "%s/hvctl/%s", HVPT_TEST_DATA, file);
    stream = fopen(path, "r");
    cr_assert(stream, "cannot open %s", path);
    table->rows = 0;
    cr_assert(fgets(table->row[0].line, sizeof(table->row[0].line), stream), "%s is empty", path);
    while (table->rows < 512 && fgets(table->row[table->rows].line, sizeof(table->row[0].line), stream)) {
        struct row *row = &table->row[table->rows++];
        char *at = row->line;

        at[strcspn(at, "\n")] = 0;
        for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
            row->cell[i] = at ? at : "";
            if (at && (at = strchr(at, ',')) != NULL)
                *at++ = 0;
        }
    }
    fclose(stream);
    cr_assert(table->rows > 0 && table->rows < 512, "%s has no rows, or too many", path);
}

static inline uint64_t row_number(const struct row *row, unsigned column)
{
    return strtoull(row->cell[column], NULL, 0);
}

#endif
