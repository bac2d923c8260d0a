/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Text to where the emulator prints it. print() understands %s %c %d %u %x with l, ll and z, width, 0, - and %%. */
#ifndef RUNTIME_CONSOLE_H
#define RUNTIME_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Like snprintf, but returns the length that is in the buffer. size must not be 0. */
size_t print_to(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* words and a newline, broken between words at column width; further lines begin indent columns to the right. */
void print_wrapped(const char *words, unsigned indent, unsigned width);

void print_arguments(const char *format, va_list args);

#endif
