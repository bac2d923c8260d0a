/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the command's cores have in common. A core turns text into an answer, as text or JSON; it uses no libc and touches no file, because the
 * page runs the same cores as WebAssembly. command.h has what only the command needs.
 */
#ifndef HVPT_TOOLS_CORE_H
#define HVPT_TOOLS_CORE_H

#include <hvpt/text.h>

/* What a core found out. The values are the command's exit statuses. */
enum core_status {
    CORE_SOUND = 0,      /* understood, and nothing is broken */
    CORE_BROKEN = 1,     /* understood, and at least one thing is broken */
    CORE_NOT_READABLE = 2 /* not understood, or nothing there to be judged: the error says why */
};

/* The input, and how the answer is wanted. */
struct core_request {
    const char *bytes; /* not ended by a zero */
    size_t length;
    bool json;
    /* of vmcs alone; all zero: none given */
    const char *cpu;        /* a model's name, or a part of it */
    const char *caps;       /* a text with the capability MSRs of the CPU */
    size_t caps_length;
    unsigned only;          /* the number of one dump; 0: all */
    bool rules;             /* list every rule's verdict */
};

/* Why a core could not read its input. Lines and columns count from 1, columns in bytes; 0: the whole input is meant. */
struct core_error {
    unsigned line, column;
    const char *message; /* static, without a full stop */
};

/* Note an error and return CORE_NOT_READABLE. */
static inline enum core_status core_fail(struct core_error *error, unsigned line, unsigned column, const char *message)
{
    error->line = line;
    error->column = column;
    error->message = message;
    return CORE_NOT_READABLE;
}

/* Note an error at the byte with this offset, and return CORE_NOT_READABLE. */
static inline enum core_status core_fail_at(struct core_error *error, const struct core_request *request, size_t offset,
                                            const char *message)
{
    unsigned line = 1, column = 1;
    size_t i;

    for (i = 0; i < offset && i < request->length; i++) {
        column++;
        if (request->bytes[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return core_fail(error, line, column, message);
}

/*
 * The cores. Each reads request->bytes and writes its answer, complete lines or one JSON object, to out. After
 * CORE_NOT_READABLE *error says why, and out may have got nothing. Not reentrant: a core may keep its work in static memory.
 */
enum core_status core_vmcs(const struct core_request *request, const struct hvpt_text *out, struct core_error *error);
enum core_status core_exit(const struct core_request *request, const struct hvpt_text *out, struct core_error *error);
enum core_status core_entry(const struct core_request *request, const struct hvpt_text *out, struct core_error *error);
enum core_status core_caps(const struct core_request *request, const struct hvpt_text *out, struct core_error *error);

#endif
