/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The Redox kernel module on bare metal: starts integration/redox/machine, a Rust library, and lends it the runtime's
 * console, checks and fault-safe MSRs.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "machine.h"

/* Physical memory above the kernel, aligned to 4 MiB: frames of the stand-in kernel. */
#define MEMORY UINT64_C(0x04000000)
#define FRAMES 8192u

void redox_machine_main(uintptr_t memory, size_t frames);
void redox_machine_check(uint64_t got, uint64_t expected, const char *name, size_t length);
void redox_machine_skip(const char *name, size_t length, const char *why, size_t why_length);
void redox_machine_print(const char *bytes, size_t length);
_Noreturn void redox_machine_panic(const char *bytes, size_t length);
bool redox_machine_rdmsr(uint32_t msr, uint64_t *value);
bool redox_machine_wrmsr(uint32_t msr, uint64_t value);
void rust_eh_personality(void);
_Noreturn void _Unwind_Resume(void);

/* A Rust string as C has it, cut where it does not fit. */
static const char *string(char text[128], const char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length && i + 1 < 128; i++)
        text[i] = bytes[i];
    text[i] = '\0';
    return text;
}

void redox_machine_check(uint64_t got, uint64_t expected, const char *name, size_t length)
{
    char text[128];

    check_equal(got, expected, "%s", string(text, name, length));
}

void redox_machine_skip(const char *name, size_t length, const char *why, size_t why_length)
{
    char text[128], reason[128];

    check_skip(string(reason, why, why_length), "%s", string(text, name, length));
}

void redox_machine_print(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        print("%c", bytes[i]);
}

_Noreturn void redox_machine_panic(const char *bytes, size_t length)
{
    print("\n");
    redox_machine_print(bytes, length);
    panic("Rust");
}

bool redox_machine_rdmsr(uint32_t msr, uint64_t *value)
{
    return cpu_rdmsr(msr, value);
}

bool redox_machine_wrmsr(uint32_t msr, uint64_t value)
{
    return cpu_wrmsr(msr, value);
}

/* Rust's prebuilt libraries refer to these; nobody unwinds here. */
void rust_eh_personality(void)
{
    panic("unwinding");
}

_Noreturn void _Unwind_Resume(void)
{
    panic("unwinding");
}

void kernel_main(void)
{
    /* The prebuilt core uses SSE: OSFXSR and OSXMMEXCPT. */
    cpu_write_cr4(cpu_read_cr4() | 0x600);
    check_group("redox");
    redox_machine_main(MEMORY, FRAMES);
    check_summary();
}
