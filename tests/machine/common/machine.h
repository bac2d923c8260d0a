/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What an architecture provides: a character's way out and the end of a run. The last line printed tells whoever started
 * the emulator whether the run was good or bad.
 */
#ifndef RUNTIME_MACHINE_H
#define RUNTIME_MACHINE_H

void machine_put(char c);

/* Switches the emulator off. */
_Noreturn void machine_end(void);

/* Prints "panic: ..." and ends. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
