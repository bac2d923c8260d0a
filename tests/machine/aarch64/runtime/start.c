/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What start.S calls: EL2's own translation, then the kernel. */
#include <stdint.h>

#include "cpu.h"
#include "kernel.h"
#include "machine.h"

void runtime_start(void);
void exception_entry(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far);

static uint64_t table[512] __attribute__((aligned(4096)));

/*
 * One to one, in blocks of 1 GiB: devices in the first, write-back memory in the next three. Without it EL2's
 * accesses would be to Device memory, on which atomics need not work, and not coherent with the guests'.
 */
static void translation_init(void)
{
    const uint64_t block = 1, af = 1 << 10, inner_shareable = 3 << 8, ap = 1 << 6, xn = UINT64_C(1) << 54;

    table[0] = block | af | ap | xn;
    for (uint64_t i = 1; i < 4; i++)
        table[i] = i << 30 | block | af | inner_shareable | ap | 1 << 2;
    cpu_write_mair_el2(0xff00); /* 0: Device-nGnRnE, 1: write-back */
    cpu_write_tcr_el2(1u << 31 | 1u << 23 | 2u << 16 | 3u << 12 | 1u << 10 | 1u << 8 | 25); /* 39 bits, 4K */
    cpu_write_ttbr0_el2((uintptr_t)table);
    cpu_barrier();
    __asm__ volatile("tlbi alle2\n\tdsb sy\n\tisb" : : : "memory");
    cpu_write_sctlr_el2(0x30c50830 | 1u << 12 | 1u << 2 | 1);
    cpu_barrier();
}

void runtime_start(void)
{
    translation_init();
    runtime_run();
}

void exception_entry(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far)
{
    panic("exception, vector %lu, esr %lx, at %lx, far %lx", vector, esr, elr, far);
}
