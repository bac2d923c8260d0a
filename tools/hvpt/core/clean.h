/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A log as its writer meant it: without what mail, loggers, terminals and browsers put around each line, and with a map back to where each byte
 * came from.
 */
#ifndef HVPT_TOOLS_CLEAN_H
#define HVPT_TOOLS_CLEAN_H

#include "core.h"

/* Memory for a core's work, zeroed, until the answer is out; NULL: there is none. Each program that holds cores has one. */
void *core_memory(size_t size);

struct clean {
    char *bytes; /* lines end with '\n' */
    uint32_t *from; /* where bytes[i] stood in the input */
    size_t length;
};

/* Clean a whole input. false: no memory. */
bool clean_text(struct clean *clean, const char *bytes, size_t length);

#endif
