/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the subcommands share and the page has no use for: files, arguments, and messages on standard error.
 */
#ifndef HVPT_TOOLS_COMMAND_H
#define HVPT_TOOLS_COMMAND_H

#include "core/core.h"

/* A row of main.c's table. run gets what follows the subcommand's name and returns the exit status, enum core_status. */
struct command {
    const char *name;
    const char *summary; /* one line, for hvpt --help */
    int (*run)(int argc, char **argv);
};

int command_vmcs(int argc, char **argv);
int command_exit(int argc, char **argv);
int command_entry(int argc, char **argv);
int command_caps(int argc, char **argv);
int command_walk(int argc, char **argv);
int command_map(int argc, char **argv);

#define COMMAND_INPUT_MOST ((size_t)64 << 20) /* bytes of a text input; a log that is longer is cut by its user */

/* "hvpt: message" on standard error; the arguments are printf's. Returns CORE_NOT_READABLE. */
int command_error(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* "hvpt: file:line:column: message"; line 0: without position. Returns CORE_NOT_READABLE. */
int command_error_at(const char *file, const struct core_error *error);

/* A file read whole; "-" is standard input. false: a message was printed. Free bytes with free. */
struct command_input {
    const char *name;
    char *bytes;
    size_t length;
};
bool command_read(const char *name, size_t most, struct command_input *input);

/* Join arguments with blanks into one text, as if they had been pasted: what exit, entry and caps give their cores. */
bool command_join(int argc, char **argv, struct command_input *input);

/* A text sink that is standard output, and whether everything arrived there: look once, at the end. */
struct hvpt_text command_out(void);
bool command_flush(void);

typedef enum core_status (*core_fn)(const struct core_request *request, const struct hvpt_text *out,
                                    struct core_error *error);

/* Run a core over an input and print its answer or its error. Returns the exit status. */
int command_run_core(core_fn core, const struct command_input *input, bool json);

/* The same with all of a request given. name is that of the input. */
int command_run_request(core_fn core, const struct core_request *request, const char *name);

/*
 * For exit, entry and caps: [--json] WORDS..., or a file by -f FILE, or "-". Prints usage for --help. Returns the exit
 * status.
 */
int command_words(core_fn core, const char *usage, int argc, char **argv);

#endif
