/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The reader of table.h.
 */
#include "table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void table_open(struct table *table, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/hvpt/%s", HVPT_TEST_DATA, name);
    table->file = fopen(path, "r");
    cr_assert_not_null(table->file, "cannot open %s", path);
    cr_assert_not_null(fgets(table->line, sizeof(table->line), table->file), "%s is empty", path);
}

bool table_next(struct table *table, unsigned cells)
{
    char *at = table->line;
    unsigned count = 0;

    if (fgets(table->line, sizeof(table->line), table->file) == NULL) {
        (void)fclose(table->file);
        return false;
    }
    at[strcspn(at, "\n")] = '\0';
    while (at != NULL && count < TABLE_COLUMNS) {
        table->cell[count++] = at;
        at = strchr(at, ',');
        if (at != NULL)
            *at++ = '\0';
    }
    cr_assert_eq(count, cells, "%s has %u cells", table->line, count);
    return true;
}

unsigned long long table_number(const char *cell, int base)
{
    char *end;
    unsigned long long value = strtoull(cell, &end, base);

    cr_assert(end != cell && *end == '\0', "%s is no number", cell);
    return value;
}

void same(unsigned long long got, unsigned long long wanted, const char *name, const char *what)
{
    if (got != wanted)
        cr_assert_fail("%s: %s is %#llx, should be %#llx", name, what, got, wanted);
}

void same_text(const char *got, const char *wanted, const char *name)
{
    if (strcmp(got, wanted) != 0)
        cr_assert_fail("%s: got \"%s\", should be \"%s\"", name, got, wanted);
}
