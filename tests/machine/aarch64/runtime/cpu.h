/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* System registers and barriers, one function each. Registers that only newer assemblers know go by their encoding. */
#ifndef RUNTIME_CPU_H
#define RUNTIME_CPU_H

#include <stdint.h>

#define CPU_REGISTER(name, register)                                        \
    static inline uint64_t cpu_read_##name(void)                            \
    {                                                                       \
        uint64_t value;                                                     \
        __asm__ volatile("mrs %0, " register : "=r"(value) : : "memory");   \
        return value;                                                       \
    }                                                                       \
    static inline void cpu_write_##name(uint64_t value)                     \
    {                                                                       \
        __asm__ volatile("msr " register ", %0" : : "r"(value) : "memory"); \
    }

CPU_REGISTER(hcr_el2, "hcr_el2")
CPU_REGISTER(vtcr_el2, "vtcr_el2")
CPU_REGISTER(vttbr_el2, "vttbr_el2")
CPU_REGISTER(esr_el2, "esr_el2")
CPU_REGISTER(far_el2, "far_el2")
CPU_REGISTER(hpfar_el2, "hpfar_el2")
CPU_REGISTER(tcr_el2, "tcr_el2")
CPU_REGISTER(mair_el2, "mair_el2")
CPU_REGISTER(ttbr0_el2, "ttbr0_el2")
CPU_REGISTER(sctlr_el2, "sctlr_el2")
CPU_REGISTER(sctlr_el1, "sctlr_el1")
CPU_REGISTER(tcr_el1, "tcr_el1")
CPU_REGISTER(mair_el1, "mair_el1")
CPU_REGISTER(ttbr0_el1, "ttbr0_el1")
CPU_REGISTER(ttbr1_el1, "ttbr1_el1")
CPU_REGISTER(vbar_el1, "vbar_el1")
CPU_REGISTER(esr_el1, "esr_el1")
CPU_REGISTER(far_el1, "far_el1")
CPU_REGISTER(par_el1, "par_el1")
CPU_REGISTER(hcrx_el2, "s3_4_c1_c2_2")
CPU_REGISTER(tcr2_el1, "s3_0_c2_c0_3")
CPU_REGISTER(pire0_el1, "s3_0_c10_c2_2")
CPU_REGISTER(pir_el1, "s3_0_c10_c2_3")
CPU_REGISTER(s2pir_el2, "s3_4_c10_c2_5")
#undef CPU_REGISTER

#define CPU_IDENTIFICATION(name, register)                   \
    static inline uint64_t cpu_read_##name(void)             \
    {                                                        \
        uint64_t value;                                      \
        __asm__ volatile("mrs %0, " register : "=r"(value)); \
        return value;                                        \
    }

CPU_IDENTIFICATION(mmfr0, "s3_0_c0_c7_0") /* ID_AA64MMFR0_EL1 */
CPU_IDENTIFICATION(mmfr1, "s3_0_c0_c7_1") /* ID_AA64MMFR1_EL1 */
CPU_IDENTIFICATION(mmfr2, "s3_0_c0_c7_2") /* ID_AA64MMFR2_EL1 */
CPU_IDENTIFICATION(mmfr3, "s3_0_c0_c7_3") /* ID_AA64MMFR3_EL1 */
CPU_IDENTIFICATION(pfr1, "s3_0_c0_c4_1")  /* ID_AA64PFR1_EL1 */
CPU_IDENTIFICATION(pfr2, "s3_0_c0_c4_2")  /* ID_AA64PFR2_EL1 */
CPU_IDENTIFICATION(isar2, "s3_0_c0_c6_2") /* ID_AA64ISAR2_EL1 */
CPU_IDENTIFICATION(midr, "midr_el1")
CPU_IDENTIFICATION(current_el, "currentel")
#undef CPU_IDENTIFICATION

/* One of ID_AA64*_EL1's fields of four bits. */
static inline unsigned cpu_field(uint64_t identification, unsigned shift)
{
    return (unsigned)(identification >> shift) & 15;
}

/* All stores before this are seen by table walks after it. */
static inline void cpu_barrier(void)
{
    __asm__ volatile("dsb ish\n\tisb" : : : "memory");
}

/* One page's translation out of the caches of stage 2. IPA[51:12] is the operand. */
static inline void cpu_tlbi_ipas2e1is(uint64_t ipa)
{
    __asm__ volatile("tlbi ipas2e1is, %0" : : "r"(ipa >> 12) : "memory");
}

/* All of stage 1 (and both together) of the current VMID. */
static inline void cpu_tlbi_vmalle1is(void)
{
    __asm__ volatile("tlbi vmalle1is" : : : "memory");
}

/* Both stages of the current VMID. */
static inline void cpu_tlbi_vmalls12e1is(void)
{
    __asm__ volatile("tlbi vmalls12e1is" : : : "memory");
}

/* Every EL1&0 translation of every VMID. */
static inline void cpu_tlbi_alle1is(void)
{
    __asm__ volatile("tlbi alle1is" : : : "memory");
}

/* Translate as the guest's EL1 would read or write it; the answer, or the fault, is PAR_EL1. */
static inline uint64_t cpu_at_s12e1r(uint64_t address)
{
    __asm__ volatile("at s12e1r, %0\n\tisb" : : "r"(address) : "memory");
    return cpu_read_par_el1();
}

static inline uint64_t cpu_at_s12e1w(uint64_t address)
{
    __asm__ volatile("at s12e1w, %0\n\tisb" : : "r"(address) : "memory");
    return cpu_read_par_el1();
}

#endif
