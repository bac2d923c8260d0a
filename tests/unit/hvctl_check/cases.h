/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Reads tests/reference/hvctl_check: comma-separated lines after a header. */
#ifndef CASES_H
#define CASES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls each(cells) for every line; how many there were. */
static inline unsigned cases_read(const char *file, unsigned cells, void (*each)(char **cell))
{
    char path[1024], line[512];
    FILE *stream;
    unsigned count = 0;

    snprintf(path, sizeof(path), "%s/hvctl_check/%s", HVPT_TEST_DATA, file);
    stream = fopen(path, "r");
    cr_assert(stream, "cannot open %s", path);
    cr_assert(fgets(line, sizeof(line), stream), "%s is empty", path);
    while (fgets(line, sizeof(line), stream)) {
        char *cell[8] = {0}, *at = line;

        line[strcspn(line, "\n")] = 0;
        for (unsigned i = 0; i < cells; i++) {
            cell[i] = at;
            at += strcspn(at, i + 1 < cells ? "," : "");
            if (*at)
                *at++ = 0;
        }
        each(cell);
        count++;
    }
    fclose(stream);
    cr_assert(count > 0, "%s has no lines", path);
    return count;
}

#endif
