/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * How exit, entry and caps read what they are given: words, "name=value", "name: value" or "name value", and numbers as
 * manuals, logs and debuggers write them.
 */
#ifndef HVPT_TOOLS_WORDS_H
#define HVPT_TOOLS_WORDS_H

#include "core.h"

/* A piece of the input. length 0: none. */
struct word {
    size_t at;
    size_t length;
    bool assigned; /* "=" or ":" follows */
};

/* Where reading stands. */
struct words {
    const struct core_request *request;
    size_t at;
};

static inline bool words_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == ',' || byte == ';' || byte == '\0';
}

/* The next word, without the "=" or ":" behind it, which is consumed. */
static inline struct word words_next(struct words *words)
{
    const char *bytes = words->request->bytes;
    const size_t length = words->request->length;
    struct word word = {0, 0, false};
    size_t at = words->at;

    while (at < length && (words_is_blank(bytes[at]) || bytes[at] == '=' || bytes[at] == ':'))
        at++;
    word.at = at;
    while (at < length && !words_is_blank(bytes[at]) && bytes[at] != '=' && bytes[at] != ':')
        at++;
    word.length = at - word.at;
    words->at = at;
    while (at < length && (bytes[at] == ' ' || bytes[at] == '\t'))
        at++;
    if (at < length && (bytes[at] == '=' || bytes[at] == ':')) {
        word.assigned = true;
        words->at = at + 1;
    }
    return word;
}

static inline char words_lower(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte - 'A' + 'a');
    return byte == '-' ? '_' : byte;
}

/* Is the word this name? Upper and lower case, "-" and "_" count as the same. */
static inline bool words_is(const struct words *words, struct word word, const char *name)
{
    size_t i;

    for (i = 0; i < word.length && name[i]; i++)
        if (words_lower(words->request->bytes[word.at + i]) != words_lower(name[i]))
            return false;
    return i == word.length && !name[i];
}

/* Is the word one of these names, written with blanks between them: "qualification qual exit_qualification"? */
static inline bool words_is_one_of(const struct words *words, struct word word, const char *names)
{
    while (*names) {
        size_t i = 0;

        while (i < word.length && names[i] && names[i] != ' '
               && words_lower(words->request->bytes[word.at + i]) == words_lower(names[i]))
            i++;
        if (i == word.length && (names[i] == ' ' || !names[i]))
            return true;
        while (*names && *names != ' ')
            names++;
        while (*names == ' ')
            names++;
    }
    return false;
}

/* The value of a hexadecimal digit; -1: it is none. */
static inline int words_digit(char byte)
{
    return byte >= '0' && byte <= '9' ? byte - '0'
         : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
         : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                      : -1;
}

/* What a word is as a number. */
enum words_number { WORDS_NUMBER, WORDS_NO_NUMBER, WORDS_TOO_LARGE };

/*
 * 0x1f, 1FH and 1f are hexadecimal. Digits alone are decimal, unless there are exactly 8 or 16 of them, as logs print
 * fields of 32 and 64 bits. "_" and "'" may stand between digits. radix: 16 to read digits alone as hexadecimal.
 */
static inline enum words_number words_number_at(const struct words *words, struct word word, unsigned radix,
                                                uint64_t *value)
{
    const char *digit = words->request->bytes + word.at;
    size_t length = word.length, digits = 0, i;
    bool hexadecimal = radix == 16;

    if (length > 2 && digit[0] == '0' && (digit[1] == 'x' || digit[1] == 'X')) {
        digit += 2;
        length -= 2;
        hexadecimal = true;
    } else if (length > 1 && (digit[length - 1] == 'h' || digit[length - 1] == 'H')) {
        length--;
        hexadecimal = true;
    }
    for (i = 0; i < length; i++) {
        if (digit[i] == '_' || digit[i] == '\'')
            continue;
        if (words_digit(digit[i]) < 0)
            return WORDS_NO_NUMBER;
        if (words_digit(digit[i]) > 9)
            hexadecimal = true;
        digits++;
    }
    if (digits == 0)
        return WORDS_NO_NUMBER;
    if (digits == 8 || digits == 16)
        hexadecimal = true;
    *value = 0;
    for (i = 0; i < length; i++) {
        const unsigned base = hexadecimal ? 16 : 10;
        unsigned one;

        if (digit[i] == '_' || digit[i] == '\'')
            continue;
        one = (unsigned)words_digit(digit[i]);
        if (*value > (UINT64_MAX - one) / base)
            return WORDS_TOO_LARGE;
        *value = *value * base + one;
    }
    return WORDS_NUMBER;
}

/* The same for the usual radix. */
static inline enum words_number words_number(const struct words *words, struct word word, uint64_t *value)
{
    return words_number_at(words, word, 10, value);
}

/* The number that must follow. false: *error says where and why there is none. */
static inline bool words_value(struct words *words, uint64_t *value, struct core_error *error)
{
    struct word word = words_next(words);

    switch (words_number(words, word, value)) {
    case WORDS_NUMBER: return true;
    case WORDS_TOO_LARGE: core_fail_at(error, words->request, word.at, "a number of more than 64 bits"); return false;
    case WORDS_NO_NUMBER: break;
    }
    core_fail_at(error, words->request, word.at, word.length ? "not a number" : "a number is missing at the end");
    return false;
}

#endif
