/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Any text as an exit, an entry or capabilities: no crash, no read outside, and an answer that is text or JSON. The first
 * byte says which core, and whether JSON is wanted.
 */
#include "../../tools/hvpt/core/core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reading of dumps, which is linked by scripts/fuzz and not tried here, wants memory. */
void *core_memory(size_t size);

void *core_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void put(void *ctx, const char *bytes, size_t length)
{
    volatile char last = 0;
    size_t *total = ctx;

    for (size_t i = 0; i < length; i++)
        last = bytes[i];
    (void)last;
    *total += length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static enum core_status (*const cores[])(const struct core_request *, const struct hvpt_text *,
                                             struct core_error *) = {core_exit, core_entry, core_caps};
    struct core_error error = {0, 0, NULL};
    struct core_request request;
    size_t total = 0;
    struct hvpt_text out = {put, &total};
    enum core_status status;
    char *copy;

    if (size == 0)
        return 0;
    /* exactly as long as it is, so that a read behind the end is seen */
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size - 1);
    request.bytes = copy;
    request.length = size - 1;
    request.json = (data[0] & 4) != 0;
    status = cores[(data[0] & 3) % 3](&request, &out, &error);
    if (status == CORE_NOT_READABLE ? error.message == NULL : total == 0)
        abort();
    free(copy);
    return 0;
}
