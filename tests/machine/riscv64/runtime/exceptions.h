/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Exceptions of the kernel itself: a fixup if the instruction has one, else the end of the run. */
#ifndef RUNTIME_EXCEPTIONS_H
#define RUNTIME_EXCEPTIONS_H

#include <stdint.h>

/*
 * What the CSRs said: privileged manual, "Supervisor Cause (scause) Register", "Hypervisor Trap Value (htval)
 * Register".
 */
struct exception {
    uint64_t cause, stval, htval, htinst, hstatus;
    uint32_t instruction; /* the one that trapped */
};

/* The last exception that a fixup caught. */
struct exception exceptions_last(void);

/* From switch.S: returns where to go on. */
uint64_t exceptions_entry(void);

/* From machine mode: a trap that nobody has asked for. */
_Noreturn void exceptions_unexpected(uint64_t cause, uint64_t pc, uint64_t value);

#endif
