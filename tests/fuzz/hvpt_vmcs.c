/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Any text as a log for hvpt vmcs: the reader must end, stay inside, answer with a status, and give JSON whose strings are closed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/hvpt/core/dump.h"

static void *blocks[8];
static unsigned used;

void *core_memory(size_t size)
{
    void *block = calloc(1, size ? size : 1);

    if (used == 8 || !block)
        abort();
    blocks[used++] = block;
    return block;
}

struct watch {
    bool in_string, escaped;
    int depth;
    size_t length;
};

/* Follows JSON's strings and brackets. */
static void watch_put(void *ctx, const char *bytes, size_t length)
{
    struct watch *watch = ctx;

    watch->length += length;
    for (size_t i = 0; i < length; i++) {
        if (watch->escaped)
            watch->escaped = false;
        else if (watch->in_string && bytes[i] == '\\')
            watch->escaped = true;
        else if (bytes[i] == '"')
            watch->in_string = !watch->in_string;
        else if (!watch->in_string && (bytes[i] == '{' || bytes[i] == '['))
            watch->depth++;
        else if (!watch->in_string && (bytes[i] == '}' || bytes[i] == ']'))
            watch->depth--;
        if ((unsigned char)bytes[i] < 0x20 && watch->in_string)
            abort();
    }
}

static void release(void)
{
    while (used)
        free(blocks[--used]);
}

/* The reader alone, as it is fast: it must move on, and every value's place must be in the text. */
static void read_only(const uint8_t *data, size_t size)
{
    static struct dump dump;
    struct clean clean;
    struct reader reader;
    size_t before = 0;

    if (!clean_text(&clean, (const char *)data, size) || clean.length > size)
        abort();
    reader_begin(&reader, &clean);
    while (reader_next(&reader, &dump)) {
        if (dump.begin < before || reader.at <= dump.begin || reader.at > clean.length)
            abort();
        before = dump.begin;
        for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
            if (hvctl_vmcs_set_has(&dump.image.known, slot)
                && (dump.place[slot].length == 0 || (size_t)dump.place[slot].at + dump.place[slot].length > size))
                abort();
    }
    release();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_only(data, size);
    if (size % 32 != 0)
        return 0;
    for (int json = 0; json < 2; json++) {
        struct core_request request = {(const char *)data, size, json != 0, NULL, NULL, 0, 0, false};
        struct core_error error = {0, 0, NULL};
        struct watch watch = {false, false, 0, 0};
        struct hvpt_text out = {watch_put, &watch};
        enum core_status status;

        request.rules = json == 0;
        if (size % 64 != 0) /* judging on all CPUs takes long */
            request.cpu = "Skylake-SP";
        status = core_vmcs(&request, &out, &error);
        if (status != CORE_SOUND && status != CORE_BROKEN && status != CORE_NOT_READABLE)
            abort();
        if (status == CORE_NOT_READABLE && !error.message)
            abort();
        if (json && (watch.in_string || watch.depth))
            abort();
        release();
    }
    return 0;
}
