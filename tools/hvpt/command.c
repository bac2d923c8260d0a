/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Files, arguments and messages: see command.h. Nothing here knows what the subcommands do.
 */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clean.h"

/* The cores' memory is given back when the command ends. */
void *core_memory(size_t size)
{
    return calloc(1, size ? size : 1);
}

int command_error(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("hvpt: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return CORE_NOT_READABLE;
}

int command_error_at(const char *file, const struct core_error *error)
{
    if (error->line)
        return command_error("%s:%u:%u: %s", file, error->line, error->column, error->message);
    return command_error("%s: %s", file, error->message);
}

/* Read a stream to its end into memory that grows by doubling. */
static bool read_stream(FILE *stream, size_t most, struct command_input *input)
{
    size_t size = 0;

    for (;;) {
        size_t got;

        if (input->length == size) {
            char *bytes;

            size = size ? size * 2 : 65536;
            bytes = (char *)realloc(input->bytes, size);
            if (!bytes) {
                command_error("%s: no memory", input->name);
                return false;
            }
            input->bytes = bytes;
        }
        got = fread(input->bytes + input->length, 1, size - input->length, stream);
        input->length += got;
        if (input->length > most) {
            command_error("%s: longer than %zu MiB; cut it down to the part that matters", input->name, most >> 20);
            return false;
        }
        if (got == 0)
            break;
    }
    if (ferror(stream)) {
        command_error("%s: %s", input->name, strerror(errno));
        return false;
    }
    return true;
}

bool command_read(const char *name, size_t most, struct command_input *input)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *stream = standard ? stdin : fopen(name, "rb");
    bool fine;

    input->name = standard ? "standard input" : name;
    input->bytes = NULL;
    input->length = 0;
    if (!stream) {
        command_error("%s: %s", name, strerror(errno));
        return false;
    }
    fine = read_stream(stream, most, input);
    if (!standard)
        fclose(stream);
    if (!fine) {
        free(input->bytes);
        input->bytes = NULL;
    }
    return fine;
}

bool command_join(int argc, char **argv, struct command_input *input)
{
    size_t size = 1;
    int i;

    for (i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    input->name = "arguments";
    input->length = 0;
    input->bytes = (char *)malloc(size);
    if (!input->bytes) {
        command_error("no memory");
        return false;
    }
    for (i = 0; i < argc; i++) {
        size_t length = strlen(argv[i]);

        if (i)
            input->bytes[input->length++] = ' ';
        memcpy(input->bytes + input->length, argv[i], length);
        input->length += length;
    }
    return true;
}

static void put_stdout(void *ctx, const char *bytes, size_t length)
{
    (void)ctx;
    fwrite(bytes, 1, length, stdout);
}

struct hvpt_text command_out(void)
{
    struct hvpt_text out = {put_stdout, NULL};

    return out;
}

bool command_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    command_error("the answer could not be written: %s", strerror(errno));
    return false;
}

int command_run_core(core_fn core, const struct command_input *input, bool json)
{
    struct core_request request = {input->bytes, input->length, json, NULL, NULL, 0, 0, false};

    return command_run_request(core, &request, input->name);
}

int command_run_request(core_fn core, const struct core_request *request, const char *name)
{
    struct core_error error = {0, 0, "not readable"};
    struct hvpt_text out = command_out();
    enum core_status status = core(request, &out, &error);

    if (!command_flush())
        return CORE_NOT_READABLE;
    if (status == CORE_NOT_READABLE)
        return command_error_at(name, &error);
    return (int)status;
}

int command_words(core_fn core, const char *usage, int argc, char **argv)
{
    struct command_input input;
    bool json = false;
    int status;

    for (; argc > 0 && argv[0][0] == '-' && argv[0][1]; argc--, argv++) {
        if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
            fputs(usage, stdout);
            return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
        }
        if (strcmp(argv[0], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[0], "-f") == 0 && argc == 2) {
            break;
        } else if (strcmp(argv[0], "--") == 0) {
            argc--, argv++;
            break;
        } else {
            return command_error("no option %s here; --help lists them", argv[0]);
        }
    }
    if (argc == 0) {
        fputs(usage, stderr);
        return CORE_NOT_READABLE;
    }
    if (argc == 2 && strcmp(argv[0], "-f") == 0) {
        if (!command_read(argv[1], COMMAND_INPUT_MOST, &input))
            return CORE_NOT_READABLE;
    } else if (argc == 1 && strcmp(argv[0], "-") == 0) {
        if (!command_read("-", COMMAND_INPUT_MOST, &input))
            return CORE_NOT_READABLE;
    } else if (!command_join(argc, argv, &input)) {
        return CORE_NOT_READABLE;
    }
    status = command_run_core(core, &input, json);
    free(input.bytes);
    return status;
}
