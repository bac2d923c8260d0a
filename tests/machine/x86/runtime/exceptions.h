/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Exceptions of the kernel itself: a fixup if the instruction has one, else the end of the run. */
#ifndef RUNTIME_EXCEPTIONS_H
#define RUNTIME_EXCEPTIONS_H

#include <stdint.h>

/* As exceptions.S leaves it on the stack, lowest address first. */
struct exception_frame {
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Loads the IDT. Called once, before kernel_main(). */
void exceptions_init(void);

/* From now on an NMI does nothing: whoever sends them wants a guest to exit, and this CPU may have left it already. */
void exceptions_ignore_nmi(void);

/* From now on an interrupt or an NMI with this vector calls handler, which keeps to general registers; NULL: no more. */
void exceptions_handle(unsigned vector, void (*handler)(void));

void exception_entry(struct exception_frame *frame);

/* Vector of the last exception that a fixup caught. */
unsigned exceptions_last_vector(void);

#endif
