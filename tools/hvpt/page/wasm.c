/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The cores as a WebAssembly module: text in, JSON and text out. No libc: what a compiler may call without being asked is below.
 */
#include "../core/clean.h"

#define EXPORT(name) __attribute__((export_name(name)))

extern unsigned char __heap_base;

static size_t used;

/* Memory grows and is given back as a whole, when the next question begins. */
void *core_memory(size_t size)
{
    size_t at = ((size_t)&__heap_base + used + 15) & ~(size_t)15, end = at + size;
    size_t pages = __builtin_wasm_memory_size(0), i;

    if (end < at)
        return NULL;
    if (end > pages * 65536 && __builtin_wasm_memory_grow(0, (end - pages * 65536 + 65535) / 65536) == (size_t)-1)
        return NULL;
    used = end - (size_t)&__heap_base;
    for (i = at; i < end; i++)
        *(volatile unsigned char *)i = 0;
    return (void *)at;
}

void *memcpy(void *to, const void *from, size_t size);
void *memcpy(void *to, const void *from, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size)
{
    size_t i;

    if (to < from)
        return memcpy(to, from, size);
    for (i = size; i-- > 0;)
        ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t size);
void *memset(void *to, int byte, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        ((volatile unsigned char *)to)[i] = (unsigned char)byte;
    return to;
}

static char *answer;
static size_t answer_length, answer_size;
static struct core_error error;

static void put(void *ctx, const char *bytes, size_t length)
{
    (void)ctx;
    if (answer_length + length > answer_size) {
        size_t size = answer_size ? answer_size * 2 : 65536;
        char *larger;

        while (size < answer_length + length)
            size *= 2;
        larger = (char *)core_memory(size);
        if (!larger)
            return;
        memcpy(larger, answer, answer_length);
        answer = larger;
        answer_size = size;
    }
    memcpy(answer + answer_length, bytes, length);
    answer_length += length;
}

/* Room for an input of this many bytes; the question before is forgotten. */
EXPORT("room") char *room(size_t length)
{
    used = 0;
    answer = NULL;
    answer_length = answer_size = 0;
    return (char *)core_memory(length + 1);
}

/* Ask core 0 vmcs, 1 exit, 2 entry, 3 caps. Returns the status; the answer is at answer_at. */
EXPORT("ask") int ask(unsigned core, const char *bytes, size_t length, int json)
{
    static enum core_status (*const cores[])(const struct core_request *, const struct hvpt_text *, struct core_error *) = {
        core_vmcs, core_exit, core_entry, core_caps};
    struct core_request request = {bytes, length, json != 0, NULL, NULL, 0, 0, false};
    struct hvpt_text out = {put, NULL};

    answer_length = 0;
    error.line = error.column = 0;
    error.message = "";
    return core < sizeof(cores) / sizeof(cores[0]) ? (int)cores[core](&request, &out, &error) : (int)CORE_NOT_READABLE;
}

EXPORT("answer_at") const char *answer_at(void)
{
    return answer;
}

EXPORT("answer_length") size_t answer_bytes(void)
{
    return answer_length;
}

EXPORT("error_message") const char *error_message(void)
{
    return error.message;
}

EXPORT("error_line") unsigned error_line(void)
{
    return error.line;
}

EXPORT("error_column") unsigned error_column(void)
{
    return error.column;
}
