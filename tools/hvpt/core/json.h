/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer over a text sink: it puts the commas and escapes what strings may not hold. Numbers of 64 bits are written as strings
 * ("0x80000021"), since JSON readers keep only 53 bits of a number.
 */
#ifndef HVPT_TOOLS_JSON_H
#define HVPT_TOOLS_JSON_H

#include <hvpt/text.h>

/* Begin with {out, false}; first is kept by the calls. */
struct json {
    const struct hvpt_text *out;
    bool comma; /* something stands before the next value on this level */
};

/* Bytes of a string between quotes. What is not UTF-8 is passed on as if it were Latin-1, so that the output is JSON whatever the input was. */
static inline void json_bytes(const struct hvpt_text *out, const char *bytes, size_t length)
{
    size_t i = 0;

    hvpt_text_string(out, "\"");
    while (i < length) {
        unsigned char byte = (unsigned char)bytes[i];
        size_t more = byte >= 0xc2 && byte < 0xe0 ? 1 : byte >= 0xe0 && byte < 0xf0 ? 2 : byte >= 0xf0 && byte < 0xf5 ? 3 : 0;
        size_t k;
        char escape[7] = "\\u0000";

        for (k = 1; k <= more && i + k < length && ((unsigned char)bytes[i + k] & 0xc0) == 0x80; k++)
            continue;
        /* overlong forms, surrogates and code points above 10FFFFH are no UTF-8 either */
        if (more && k == more + 1 && !(byte == 0xe0 && (unsigned char)bytes[i + 1] < 0xa0)
            && !(byte == 0xed && (unsigned char)bytes[i + 1] > 0x9f) && !(byte == 0xf0 && (unsigned char)bytes[i + 1] < 0x90)
            && !(byte == 0xf4 && (unsigned char)bytes[i + 1] > 0x8f)) {
            out->put(out->ctx, bytes + i, more + 1);
            i += more + 1;
            continue;
        }
        if (byte == '"' || byte == '\\') {
            hvpt_text_string(out, "\\");
            out->put(out->ctx, bytes + i, 1);
        } else if (byte < 0x20 || byte >= 0x7f) {
            escape[4] = "0123456789abcdef"[byte >> 4];
            escape[5] = "0123456789abcdef"[byte & 15];
            hvpt_text_string(out, escape);
        } else {
            out->put(out->ctx, bytes + i, 1);
        }
        i++;
    }
    hvpt_text_string(out, "\"");
}

static inline size_t json_length(const char *string)
{
    size_t length = 0;

    while (string[length])
        length++;
    return length;
}

/* A comma if one is due, and "key": if key is not NULL: inside an object every value has a key, inside an array none. */
static inline void json_key(struct json *json, const char *key)
{
    if (json->comma)
        hvpt_text_string(json->out, ",");
    json->comma = true;
    if (key) {
        json_bytes(json->out, key, json_length(key));
        hvpt_text_string(json->out, ":");
    }
}

static inline void json_string_n(struct json *json, const char *key, const char *bytes, size_t length)
{
    json_key(json, key);
    json_bytes(json->out, bytes, length);
}

/* A string, null for NULL. */
static inline void json_string(struct json *json, const char *key, const char *string)
{
    json_key(json, key);
    if (string)
        json_bytes(json->out, string, json_length(string));
    else
        hvpt_text_string(json->out, "null");
}

/* "0x...": for values, addresses and masks. */
static inline void json_hex(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    hvpt_text_string(json->out, "\"");
    hvpt_text_hex(json->out, value);
    hvpt_text_string(json->out, "\"");
}

/* A plain number: for counts, lines and sizes below 2^53. */
static inline void json_number(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    hvpt_text_decimal(json->out, value);
}

static inline void json_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    hvpt_text_string(json->out, value ? "true" : "false");
}

/* open is "{" or "[". */
static inline void json_open(struct json *json, const char *key, const char *open)
{
    json_key(json, key);
    hvpt_text_string(json->out, open);
    json->comma = false;
}

/* close is "}" or "]". */
static inline void json_close(struct json *json, const char *close)
{
    hvpt_text_string(json->out, close);
    json->comma = true;
}

#endif
