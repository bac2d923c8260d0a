/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The end of a run, good or bad. The last line printed tells whoever started the emulator which it was. */
#ifndef RUNTIME_MACHINE_H
#define RUNTIME_MACHINE_H

/* Switches the emulator off. */
_Noreturn void machine_end(void);

/* Prints "panic: ..." and ends. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
