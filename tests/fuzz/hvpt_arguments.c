/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Any words as the command's arguments: it ends, with a status that it has, and reads nothing that is not there.
 * Input: the words, a line each, the subcommand first; behind a zero byte what the file "@" holds, and standard input;
 * for walk and map, which look at memory, again and again until it is 16 KiB.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "../unit/hvpt/support/check.h"

#include "../../tools/hvpt/command.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the cores take is given back when the command ends, which it does not here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

enum { WORDS = 24, BYTES = 2048 };

/* The words, with "@" as the file's name. A name with a slash could be one of this machine's files. */
static int take_words(const char *text, size_t length, char *file, char *bytes, char **words)
{
    int count = 0;

    if (length >= BYTES)
        length = BYTES - 1;
    memcpy(bytes, text, length);
    bytes[length] = 0;
    for (char *at = bytes; *at != 0 && count < WORDS;) {
        char *end = at + strcspn(at, "\n");

        for (char *slash = at; slash < end; slash++)
            if (*slash == '/')
                *slash = '_';
        words[count] = at;
        at = *end == 0 ? end : end + 1;
        *end = 0;
        if (strcmp(words[count], "@") == 0)
            words[count] = file;
        count++;
    }
    words[count] = NULL;
    return count;
}

static int run(int argc, char **argv)
{
    static const struct command commands[] = {
        {"vmcs", "", command_vmcs}, {"exit", "", command_exit}, {"entry", "", command_entry},
        {"caps", "", command_caps}, {"walk", "", command_walk}, {"map", "", command_map},
    };

    for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return CORE_NOT_READABLE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    FILE *const streams[3] = {stdin, stdout, stderr};
    const uint8_t *zero = memchr(data, 0, size);
    const size_t length = zero != NULL ? (size_t)(zero - data) : size;
    const size_t held = zero != NULL ? size - length - 1 : 0;
    const int file = memfd_create("arguments", 0);
    char name[64], bytes[BYTES], *words[WORDS + 1];
    int status;
    const bool memory = size >= 4 && (memcmp(data, "walk", 4) == 0 || memcmp(data, "map\n", 4) == 0);

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    CHECK(file >= 0 && nowhere != NULL, "no file");
    for (size_t at = 0; held != 0 && at < (memory ? 16384 : 1); at += held)
        CHECK(write(file, zero + 1, held) == (ssize_t)held, "the file cannot be written");
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
    stdin = fopen(name, "rb");
    if (stdin != NULL) {
        stdout = stderr = nowhere;
        status = run(take_words((const char *)data, length, name, bytes, words), words);
        (void)fclose(stdin);
        stdout = streams[1];
        stderr = streams[2];
        CHECK(status == CORE_SOUND || status == CORE_BROKEN || status == CORE_NOT_READABLE, "status %d", status);
    }
    stdin = streams[0];
    (void)close(file);
    return 0;
}
