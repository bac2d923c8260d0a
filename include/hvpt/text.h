/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Where hvpt and hvctl write text: a callback that takes pieces of text, and a sink that collects them in a buffer. No
 * printf.
 */
#ifndef HVPT_TEXT_H
#define HVPT_TEXT_H

#include "std.h"

#include "engine/attributes.h"

/* A sink. put gets length bytes that are not terminated by a zero, in the order in which they are to be read. */
struct hvpt_text {
    void (*put)(void *ctx, const char *bytes, size_t length);
    void *ctx;
};

/* Put a string. */
static inline void hvpt_text_string(const struct hvpt_text *text, const char *string)
{
    size_t length = 0;

    while (string[length])
        length++;
    (text->put)(text->ctx, string, length);
}

/* Put the string, if condition holds. */
static inline void hvpt_text_string_if(const struct hvpt_text *text, bool condition, const char *string)
{
    if (condition)
        hvpt_text_string(text, string);
}

/* Put an unsigned number in decimal. */
static inline void hvpt_text_decimal(const struct hvpt_text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        uint64_t quotient = 0;
        uint32_t rest = 0;
        unsigned shift = 64;

        /* Divide in digits of 16 bits, because a 32-bit machine would call a library to divide 64 bits. */
        while (shift != 0) {
            shift -= 16;
            rest = rest << 16 | ((uint32_t)(value >> shift) & 0xffff);
            quotient |= (uint64_t)(rest / 10) << shift;
            rest %= 10;
        }
        digits[--at] = (char)('0' + (int)rest);
        value = quotient;
    } while (value);
    (text->put)(text->ctx, digits + at, sizeof(digits) - at);
}

/* Put an unsigned number as 0x and lower-case hexadecimal digits without leading zeros. */
static inline void hvpt_text_hex(const struct hvpt_text *text, uint64_t value)
{
    char digits[18];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    digits[--at] = 'x';
    digits[--at] = '0';
    (text->put)(text->ctx, digits + at, sizeof(digits) - at);
}

/*
 * A list of words with separators between them; it remembers whether a separator is due. Begin with {text, ", ",
 * false}.
 */
struct hvpt_text_list {
    const struct hvpt_text *text;
    const char *separator;
    bool begun;
};

/* Put one more word of the list. */
static inline void hvpt_text_item(struct hvpt_text_list *list, const char *word)
{
    hvpt_text_string_if(list->text, list->begun, list->separator);
    list->begun = true;
    hvpt_text_string(list->text, word);
}

/* Put the word, if condition holds. */
static inline void hvpt_text_item_if(struct hvpt_text_list *list, bool condition, const char *word)
{
    if (condition)
        hvpt_text_item(list, word);
}

/* A sink that fills bytes, keeps a terminating zero, and drops what does not fit. needed counts everything. */
struct hvpt_text_buffer {
    char *bytes;
    size_t size;   /* of bytes, the zero included; 0 is allowed */
    size_t needed; /* length of the whole text: the buffer holds all of it if this is less than size */
};

/* The put function of a buffer: ctx is the struct hvpt_text_buffer. */
static inline void hvpt_text_buffer_put(void *ctx, const char *bytes, size_t length)
{
    struct hvpt_text_buffer *buffer = (struct hvpt_text_buffer *)ctx;
    size_t i;

    for (i = 0; i < length; i++, buffer->needed++)
        if (buffer->needed + 1 < buffer->size)
            buffer->bytes[buffer->needed] = bytes[i];
    if (buffer->size)
        buffer->bytes[buffer->needed < buffer->size ? buffer->needed : buffer->size - 1] = 0;
}

/** Make buffer empty over bytes of this size, and return the sink that fills it. Both must outlive the sink. */
HVPT_API struct hvpt_text hvpt_text_into(struct hvpt_text_buffer *buffer, char *bytes, size_t size);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
HVPT_API struct hvpt_text hvpt_text_into(struct hvpt_text_buffer *buffer, char *bytes, size_t size)
{
    struct hvpt_text text;

    buffer->bytes = bytes;
    buffer->size = size;
    buffer->needed = 0;
    if (size)
        bytes[0] = 0;
    text.put = hvpt_text_buffer_put;
    text.ctx = buffer;
    return text;
}
#endif

#endif
