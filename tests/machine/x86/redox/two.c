/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The Redox kernel module on two CPUs: starts the second one, and integration/redox/machine/src/two.rs on both. */
#include "host.h"
#include "lend.h"

#include "check.h"
#include "cpu.h"
#include "exceptions.h"
#include "kernel.h"
#include "machine.h"
#include "memory.h"

#define MEMORY     UINT64_C(0x04000000)
#define FRAMES     8192u
#define TRAMPOLINE UINT64_C(0x9c000) /* as firmware/cpus.S of examples/thinhv has it */
#define VECTOR     0x40u

extern const char firmware_trampoline[], firmware_trampoline_end[];
extern uint32_t second_cr3, second_cr4;

void redox_two_main(uintptr_t memory, size_t frames);
void redox_second_main(void);
void redox_two_interrupt_other(void);
_Noreturn void second_cpu(void);

static volatile uint32_t *lapic(unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(0xfee00000u + offset);
}

static void acknowledge(void)
{
    *lapic(0xb0) = 0;
}

_Noreturn void second_cpu(void)
{
    exceptions_init();
    *lapic(0xf0) = 0x1ff;
    lend_begin();
    redox_second_main();
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

/* A while, without a timer. */
static void a_while(void)
{
    for (unsigned i = 0; i < 20000; i++)
        (void)*lapic(0x20);
}

static void start_second(void)
{
    uint64_t cr3;

    memcpy((void *)(uintptr_t)TRAMPOLINE, firmware_trampoline, (size_t)(firmware_trampoline_end - firmware_trampoline));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    second_cr3 = (uint32_t)cr3;
    second_cr4 = (uint32_t)cpu_read_cr4() & ~UINT32_C(0x2000);
    *lapic(0x310) = UINT32_C(1) << 24;
    *lapic(0x300) = 0x4500; /* INIT */
    a_while();
    *lapic(0x310) = UINT32_C(1) << 24;
    *lapic(0x300) = 0x4600 | (uint32_t)(TRAMPOLINE >> 12); /* start-up */
}

/* All but this one. */
void redox_two_interrupt_other(void)
{
    *lapic(0x300) = 0xc4000 | VECTOR;
    while (*lapic(0x300) >> 12 & 1u)
        ;
}

void kernel_main(void)
{
    lend_begin();
    check_group("redox two");
    *lapic(0xf0) = 0x1ff;
    exceptions_handle(VECTOR, acknowledge);
    exceptions_handle(0xff, acknowledge);
    start_second();
    redox_two_main(MEMORY, FRAMES);
    check_summary();
}
