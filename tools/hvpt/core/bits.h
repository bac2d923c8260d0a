/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Words for the bits of a number: which of them have a name, and what each value of a field means. Tables of rows are
 * written from the manuals; the printing is the same for all.
 */
#ifndef HVPT_TOOLS_BITS_H
#define HVPT_TOOLS_BITS_H

#include "json.h"

/* Bits high:low of a number. value NULL: printed as a number; otherwise the words for 0, 1, ..., separated by "|". */
struct bits_row {
    uint8_t high, low;
    const char *name;
    const char *values;
};

static inline uint64_t bits_of(uint64_t number, unsigned high, unsigned low)
{
    return number >> low & (~UINT64_C(0) >> (63 - (high - low)));
}

/* The words for value among "zero|one|two"; length 0: there are none. */
static inline const char *bits_words(const char *values, uint64_t value, size_t *length)
{
    const char *begin = values;

    *length = 0;
    if (!values)
        return NULL;
    for (; value > 0; value--) {
        while (*begin && *begin != '|')
            begin++;
        if (!*begin)
            return NULL;
        begin++;
    }
    while (begin[*length] && begin[*length] != '|')
        ++*length;
    return begin;
}

/* "  bits 5:3   = 6  memory type: WB". */
static inline void bits_line(const struct hvpt_text *out, const struct bits_row *row, uint64_t number)
{
    const uint64_t value = bits_of(number, row->high, row->low);
    size_t length;
    const char *words = bits_words(row->values, value, &length);

    hvpt_text_string(out, row->high == row->low ? "    bit " : "    bits ");
    hvpt_text_decimal(out, row->high);
    if (row->high != row->low) {
        hvpt_text_string(out, ":");
        hvpt_text_decimal(out, row->low);
    }
    hvpt_text_string(out, " = ");
    if (value > 9)
        hvpt_text_hex(out, value);
    else
        hvpt_text_decimal(out, value);
    hvpt_text_string(out, "  ");
    hvpt_text_string(out, row->name);
    if (length) {
        hvpt_text_string(out, ": ");
        out->put(out->ctx, words, length);
    }
    hvpt_text_string(out, "\n");
}

static inline void bits_json(struct json *json, const struct bits_row *row, uint64_t number)
{
    const uint64_t value = bits_of(number, row->high, row->low);
    size_t length;
    const char *words = bits_words(row->values, value, &length);

    json_open(json, NULL, "{");
    json_number(json, "high", row->high);
    json_number(json, "low", row->low);
    json_hex(json, "value", value);
    json_string(json, "name", row->name);
    if (length)
        json_string_n(json, "meaning", words, length);
    json_close(json, "}");
}

#endif
