/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the runtime needs, and the fault-safe forms of those that may raise an exception.
 * A safe form names its own instruction and its way out in the .fixups section; see exceptions.c.
 */
#ifndef RUNTIME_CPU_H
#define RUNTIME_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline void cpu_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void cpu_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t cpu_read_cr2(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t cpu_read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cpu_write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* false: the MSR does not exist (#GP); *value is then 0. */
static inline bool cpu_rdmsr(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    bool ok = false;

    __asm__ volatile("1: rdmsr\n\t"
                     "movb $1, %0\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : "+q"(ok), "+a"(low), "+d"(high)
                     : "c"(msr));
    *value = ok ? (uint64_t)high << 32 | low : 0;
    return ok;
}

/* false: #GP; the MSR is what it was. */
static inline bool cpu_wrmsr(uint32_t msr, uint64_t value)
{
    bool ok = false;

    __asm__ volatile("1: wrmsr\n\t"
                     "movb $1, %0\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : "+q"(ok)
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return ok;
}

/* false: #GP or #UD; the register is what it was. */
static inline bool cpu_xsetbv(uint32_t number, uint32_t low, uint32_t high)
{
    bool ok = false;

    __asm__ volatile("1: xsetbv\n\t"
                     "movb $1, %0\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : "+q"(ok)
                     : "c"(number), "a"(low), "d"(high)
                     : "memory");
    return ok;
}

enum cpu_vendor { CPU_INTEL, CPU_AMD, CPU_OTHER };

enum cpu_vendor cpu_vendor(void);

/* The processor's brand string without the blanks around it, or its vendor string where it has none. Never freed. */
const char *cpu_brand(void);

/* MAXPHYADDR. */
unsigned cpu_physical_address_bits(void);

#endif
