/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Formatted text, to the machine's way out or to a buffer. */
#include "console.h"

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

struct sink {
    char *buffer; /* NULL: the machine */
    size_t size;
    size_t length;
};

static void put(struct sink *sink, char c)
{
    if (sink->buffer == NULL)
        machine_put(c);
    else if (sink->length + 1 < sink->size)
        sink->buffer[sink->length++] = c;
}

static void put_padded(struct sink *sink, const char *text, size_t length, unsigned width, bool left, char fill)
{
    size_t pad = width > length ? width - length : 0;

    for (; !left && pad > 0; pad--)
        put(sink, fill);
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    for (; pad > 0; pad--)
        put(sink, ' ');
}

static void put_number(struct sink *sink, uint64_t value, bool negative, unsigned base, unsigned width, bool left,
                       char fill)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[--at] = '-';
    put_padded(sink, digits + at, sizeof(digits) - at, width, left, fill);
}

static void format_to(struct sink *sink, const char *format, va_list args)
{
    for (; *format != '\0'; format++) {
        bool left = false, is_long = false;
        char fill = ' ';
        unsigned width = 0;

        if (*format != '%') {
            put(sink, *format);
            continue;
        }
        for (format++; *format == '-' || *format == '0'; format++) {
            if (*format == '-')
                left = true;
            else
                fill = '0';
        }
        if (*format == '*') {
            int given = va_arg(args, int);

            width = given > 0 ? (unsigned)given : 0;
            format++;
        }
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l' || *format == 'z'; format++)
            is_long = true;

        if (*format == 's') {
            const char *text = va_arg(args, const char *);
            size_t length = 0;

            if (text == NULL)
                text = "(none)";
            while (text[length] != '\0')
                length++;
            put_padded(sink, text, length, width, left, ' ');
        } else if (*format == 'c') {
            put(sink, (char)va_arg(args, int));
        } else if (*format == 'd') {
            int64_t value = is_long ? va_arg(args, long) : va_arg(args, int);

            put_number(sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, width, left, fill);
        } else if (*format == 'u' || *format == 'x') {
            uint64_t value = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned);

            put_number(sink, value, false, *format == 'x' ? 16 : 10, width, left, fill);
        } else if (*format == '%') {
            put(sink, '%');
        } else {
            put(sink, '?');
            return;
        }
    }
}

void print_arguments(const char *format, va_list args)
{
    struct sink sink = {NULL, 0, 0};

    format_to(&sink, format, args);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_arguments(format, args);
    va_end(args);
}

size_t print_to(char *buffer, size_t size, const char *format, ...)
{
    struct sink sink = {buffer, size, 0};
    va_list args;

    va_start(args, format);
    format_to(&sink, format, args);
    va_end(args);
    buffer[sink.length] = '\0';
    return sink.length;
}

void print_wrapped(const char *words, unsigned indent, unsigned width)
{
    unsigned column = indent;

    while (*words != '\0') {
        unsigned length = 0;

        while (words[length] != '\0' && words[length] != ' ')
            length++;
        if (column > indent && column + 1 + length > width) {
            print("\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            print(" ");
            column++;
        }
        column += length;
        for (; length > 0; length--)
            print("%c", *words++);
        while (*words == ' ')
            words++;
    }
    print("\n");
}
