/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The table of instructions that may trap: each with the place where to go on when it did. */
#include "exceptions.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"

struct fixup {
    uint64_t instruction, go_on;
};

extern const struct fixup __fixups_start[], __fixups_end[];

static struct exception last;

uint64_t exceptions_entry(void)
{
    uint64_t pc = cpu_read(CSR_SEPC);

    for (const struct fixup *f = __fixups_start; f < __fixups_end; f++) {
        if (f->instruction != pc)
            continue;
        last.cause = cpu_read(CSR_SCAUSE);
        last.stval = cpu_read(CSR_STVAL);
        last.htval = cpu_read(CSR_HTVAL);
        last.htinst = cpu_read(CSR_HTINST);
        last.hstatus = cpu_read(CSR_HSTATUS);
        memcpy(&last.instruction, (const void *)(uintptr_t)pc, sizeof(last.instruction)); /* aligned to 2 only */
        return f->go_on;
    }
    exceptions_unexpected(cpu_read(CSR_SCAUSE), pc, cpu_read(CSR_STVAL));
}

struct exception exceptions_last(void)
{
    return last;
}

_Noreturn void exceptions_unexpected(uint64_t cause, uint64_t pc, uint64_t value)
{
    panic("exception %lu at %lx, trap value %lx", cause, pc, value);
}
