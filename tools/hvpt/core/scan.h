/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Steps over a cleaned text: labels, numbers, and their places in the input. All of them stay inside [at, end).
 */
#ifndef HVPT_TOOLS_SCAN_H
#define HVPT_TOOLS_SCAN_H

#include "dump.h"

static inline bool scan_blank(char c)
{
    return c == ' ' || c == '\n';
}

static inline int scan_hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static inline bool scan_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline size_t scan_skip(const struct clean *text, size_t at, size_t end)
{
    while (at < end && scan_blank(text->bytes[at]))
        at++;
    return at;
}

/* Behind the words at at, in which a blank stands for any run of blanks and line ends; 0 if they are not there. */
static inline size_t scan_match(const struct clean *text, size_t at, size_t end, const char *words)
{
    for (; *words; words++) {
        if (*words == ' ') {
            at = scan_skip(text, at, end);
        } else {
            if (at >= end || text->bytes[at] != *words)
                return 0;
            at++;
        }
    }
    return at;
}

/* The end of the line that at is on: behind its '\n', or end. */
static inline size_t scan_line_end(const struct clean *text, size_t at, size_t end)
{
    while (at < end && text->bytes[at] != '\n')
        at++;
    return at < end ? at + 1 : end;
}

/* Where words stand on the line that begins at at; end of text if not there. Words may go on on the next line. */
static inline size_t scan_find(const struct clean *text, size_t at, size_t end, const char *words)
{
    size_t stop = scan_line_end(text, at, end);

    for (; at < stop; at++)
        if (text->bytes[at] == words[0] && scan_match(text, at, end, words))
            return at;
    return end;
}

/* May a label begin at at? Not inside of a word, nor behind the "::" of a pointer that was hashed. */
static inline bool scan_begins(const struct clean *text, size_t at)
{
    return at == 0
        || (!scan_word(text->bytes[at - 1]) && text->bytes[at - 1] != '.'
            && !(text->bytes[at - 1] == ':' && at > 1 && text->bytes[at - 2] == ':'));
}

/* A number that was read, and where it stands. */
struct number {
    uint64_t value;
    unsigned digits;
    size_t behind;
    struct dump_place place;
};

/*
 * A number at at. least: how many digits it has where it is whole, 0 if any; one that may have been cut is none. A number
 * on the next line is one only if it has that many.
 */
static inline bool scan_number(const struct clean *text, size_t at, size_t end, unsigned base, unsigned least,
                               struct number *number)
{
    size_t begin = scan_skip(text, at, end), i;
    bool wrapped = false, prefixed;

    for (i = at; i < begin; i++)
        wrapped = wrapped || text->bytes[i] == '\n';
    at = begin;
    prefixed = base == 16 && end - at > 2 && text->bytes[at] == '0' && (text->bytes[at + 1] == 'x' || text->bytes[at + 1] == 'X');
    if (prefixed)
        at += 2;
    number->value = 0;
    number->digits = 0;
    for (; at < end && scan_hex_digit(text->bytes[at]) >= 0 && scan_hex_digit(text->bytes[at]) < (int)base; at++) {
        if (++number->digits > (base == 16 ? 16u : 19u))
            return false;
        number->value = number->value * base + (unsigned)scan_hex_digit(text->bytes[at]);
    }
    if (number->digits == 0 || (wrapped && !prefixed && number->digits < (least ? least : 1)))
        return false;
    if (at < end) {
        char next = text->bytes[at];

        /* "0x1: NP" is a number with words behind it; "0000:1234" is not one number */
        if (next == ':' && (at + 2 >= end || text->bytes[at + 1] != ' ' || text->bytes[at + 2] < 'A'))
            return false;
        if (scan_word(next) || ((next == '.' || next == '=') && number->digits < least) || (unsigned char)next >= 0x80)
            return false;
    } else if (number->digits < least || least == 0) {
        return false;
    }
    number->behind = at;
    number->place.at = text->from[begin];
    number->place.length = text->from[at - 1] + 1 - text->from[begin];
    return true;
}

/* The same behind "=" or ":". */
static inline bool scan_value(const struct clean *text, size_t at, size_t end, unsigned least, struct number *number)
{
    at = scan_skip(text, at, end);
    if (at >= end || (text->bytes[at] != '=' && text->bytes[at] != ':'))
        return false;
    return scan_number(text, at + 1, end, 16, least, number);
}

#endif
