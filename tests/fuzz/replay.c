/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target without a fuzzer: every file of a corpus, and inputs made from them by a fixed random stream. Speaks
 * TAP. Arguments: the corpus directory, and how many made inputs.
 */
#include "../unit/hvpt/support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 4096
#define FILES   512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    uint8_t bytes[LARGEST];
    size_t size;
} inputs[FILES];

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static unsigned load(const char *directory)
{
    static char *names[FILES];
    DIR *dir = opendir(directory);
    unsigned count = 0;

    CHECK(dir != NULL, "cannot open %s", directory);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL && count < FILES;)
        if (entry->d_name[0] != '.') {
            names[count] = malloc(strlen(directory) + strlen(entry->d_name) + 2);
            CHECK(names[count] != NULL, "out of memory");
            (void)sprintf(names[count++], "%s/%s", directory, entry->d_name);
        }
    (void)closedir(dir);
    qsort(names, count, sizeof(names[0]), by_name);
    for (unsigned i = 0; i < count; i++) {
        FILE *file = fopen(names[i], "rb");

        CHECK(file != NULL, "cannot open %s", names[i]);
        inputs[i].size = fread(inputs[i].bytes, 1, LARGEST, file);
        (void)fclose(file);
        free(names[i]);
    }
    return count;
}

int main(int argc, char **argv)
{
    struct random_stream random = {1};
    unsigned count, made = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 0;

    CHECK(argc > 1, "a corpus directory is wanted");
    count = load(argv[1]);
    CHECK(count != 0, "the corpus is empty");
    for (unsigned i = 0; i < count; i++)
        (void)LLVMFuzzerTestOneInput(inputs[i].bytes, inputs[i].size);
    printf("TAP version 13\n1..2\nok 1 - %u inputs of the corpus find nothing\n", count);
    (void)fflush(stdout);
    for (unsigned i = 0; i < made; i++) {
        static uint8_t input[LARGEST];
        unsigned from = (unsigned)random_below(&random, count);
        size_t size = inputs[from].size;

        memcpy(input, inputs[from].bytes, size);
        for (unsigned changes = 1 + (unsigned)random_below(&random, 12); size != 0 && changes > 0; changes--)
            input[random_below(&random, size)] = (uint8_t)random_next(&random);
        (void)LLVMFuzzerTestOneInput(input, size);
    }
    printf("ok 2 - %u inputs made from them find nothing\n", made);
    return 0;
}
