/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A reader for the plain CSV of tests/reference: no quotes, no empty lines. */
#include "reference.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef REFERENCE_LINKED
/* A fuzzer runs where the tree is not: scripts/fuzz links the files into it. */
const char *reference_linked(const char *name);

static char *contents(const char *name)
{
    const char *linked = reference_linked(name);
    char *text;

    CHECK(linked != NULL, "%s is not linked", name);
    text = malloc(strlen(linked) + 1);
    CHECK(text != NULL, "out of memory");
    return strcpy(text, linked);
}
#else
static char *contents(const char *name)
{
    char path[512], *text;
    FILE *file;
    long size;

    (void)snprintf(path, sizeof(path), "%s/%s", HVPT_TEST_DATA, name);
    file = fopen(path, "rb");
    CHECK(file != NULL, "cannot open %s", path);
    CHECK(fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0, "%s", path);
    text = malloc((size_t)size + 1);
    CHECK(text != NULL && fread(text, 1, (size_t)size, file) == (size_t)size, "reading %s", path);
    text[size] = '\0';
    (void)fclose(file);
    return text;
}
#endif

void reference_load(struct reference *reference, const char *name)
{
    size_t columns = 0;

    reference->text = contents(name);
    reference->cell = NULL;
    reference->rows = 0;
    for (char *line = reference->text; *line != '\0';) {
        char *end = strchr(line, '\n');
        size_t column = 0;

        CHECK(end != NULL, "%s: no newline at the end", name);
        *end = '\0';
        reference->cell = realloc(reference->cell, (reference->rows + 1) * sizeof(*reference->cell));
        CHECK(reference->cell != NULL, "out of memory");
        for (char *cell = line; cell != NULL; column++) {
            char *comma = strchr(cell, ',');

            CHECK(column < REFERENCE_COLUMNS, "%s: too many columns", name);
            if (comma != NULL)
                *comma++ = '\0';
            reference->cell[reference->rows][column] = cell;
            cell = comma;
        }
        CHECK(columns == 0 || columns == column, "%s: row %zu has %zu columns", name, reference->rows, column);
        columns = column;
        while (column < REFERENCE_COLUMNS)
            reference->cell[reference->rows][column++] = end;
        reference->rows++;
        line = end + 1;
    }
}

void reference_free(struct reference *reference)
{
    free(reference->cell);
    free(reference->text);
}

size_t reference_column(const struct reference *reference, const char *heading)
{
    for (size_t column = 0; column < REFERENCE_COLUMNS; column++)
        if (strcmp(reference->cell[0][column], heading) == 0)
            return column;
    CHECK(false, "no column %s", heading);
}

uint64_t bits_mask(unsigned low, unsigned high)
{
    if (low > high)
        return 0;
    return (UINT64_MAX >> (63 - high)) & (UINT64_MAX << low);
}

unsigned reference_bit(const char *text, unsigned maxphyaddr)
{
    if (strcmp(text, "M") == 0)
        return maxphyaddr;
    if (strcmp(text, "M-1") == 0)
        return maxphyaddr - 1;
    return (unsigned)strtoul(text, NULL, 10);
}

uint64_t reference_field(const struct reference *fields, const char *entry, const char *field, unsigned maxphyaddr)
{
    size_t entry_column = reference_column(fields, "entry");
    size_t low = reference_column(fields, "low");
    size_t high = reference_column(fields, "high");
    size_t field_column = reference_column(fields, "field");
    uint64_t mask = 0;

    for (size_t row = 1; row < fields->rows; row++)
        if (strcmp(fields->cell[row][entry_column], entry) == 0 && strcmp(fields->cell[row][field_column], field) == 0)
            mask |= bits_mask(reference_bit(fields->cell[row][low], maxphyaddr),
                              reference_bit(fields->cell[row][high], maxphyaddr));
    return mask;
}

bool reference_listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return true;
    return false;
}
