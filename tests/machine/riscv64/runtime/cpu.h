/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the runtime needs: CSRs, the hypervisor's loads, stores and fences, and the fault-safe forms of
 * those that may trap. A safe form names its own instruction and its way out in the .fixups section; see exceptions.c.
 *
 * Hypervisor instructions are written as .insn, so that an assembler without the extension will do.
 */
#ifndef RUNTIME_CPU_H
#define RUNTIME_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* CSR numbers. Privileged manual, "Control and Status Registers (CSRs)". */
enum {
    CSR_SSTATUS = 0x100,
    CSR_VSSTATUS = 0x200,
    CSR_VSTVEC = 0x205,
    CSR_VSATP = 0x280,
    CSR_SATP = 0x180,
    CSR_SCAUSE = 0x142,
    CSR_SEPC = 0x141,
    CSR_STVAL = 0x143,
    CSR_TIME = 0xc01,
    CSR_HSTATUS = 0x600,
    CSR_HEDELEG = 0x602,
    CSR_HIDELEG = 0x603,
    CSR_HENVCFG = 0x60a,
    CSR_HTVAL = 0x643,
    CSR_HTINST = 0x64a,
    CSR_HGATP = 0x680
};

#define HSTATUS_GVA  (UINT64_C(1) << 6)
#define HSTATUS_SPV  (UINT64_C(1) << 7)
#define HSTATUS_SPVP (UINT64_C(1) << 8)
#define HSTATUS_VTW  (UINT64_C(1) << 21)

#define MENVCFG_ADUE  (UINT64_C(1) << 61) /* hardware updates A and D, for the G-stage too (Svadu) */
#define MENVCFG_PBMTE (UINT64_C(1) << 62) /* entries of the G-stage have a PBMT field (Svpbmt) */

static inline __attribute__((always_inline)) uint64_t cpu_read(unsigned csr)
{
    uint64_t value;

    __asm__ volatile("csrr %0, %1" : "=r"(value) : "i"(csr) : "memory");
    return value;
}

static inline __attribute__((always_inline)) void cpu_write(unsigned csr, uint64_t value)
{
    __asm__ volatile("csrw %0, %1" : : "i"(csr), "r"(value) : "memory");
}

/* Asks machine mode to write menvcfg; returns what it reads back. */
static inline uint64_t cpu_set_menvcfg(uint64_t value)
{
    register uint64_t a0 __asm__("a0") = value;

    __asm__ volatile("ecall" : "+r"(a0) : : "memory");
    return a0;
}

/* Of the whole G-stage, all VMIDs. */
static inline void cpu_hfence_gvma_all(void)
{
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" : : : "memory");
}

/* Of one VMID: entries of any level. */
static inline void cpu_hfence_gvma_vmid(uint64_t vmid)
{
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, %0" : : "r"(vmid) : "memory");
}

/* Of one VMID: the leaf that translates gpa. */
static inline void cpu_hfence_gvma(uint64_t gpa, uint64_t vmid)
{
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, %0, %1" : : "r"(gpa >> 2), "r"(vmid) : "memory");
}

/* The guest's own translations, of the VMID in hgatp. */
static inline void cpu_hfence_vvma(void)
{
    __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0" : : : "memory");
}

/*
 * Accesses as the guest would make them, from here. false: it trapped, and exceptions_last() tells how.
 * HLVX reads with the right to execute in place of the right to read. at is a guest-virtual address.
 */
static inline bool cpu_hlv(uint64_t at, uint64_t *value)
{
    uint64_t ok = 0, result = 0;

    __asm__ volatile("1: .insn r 0x73, 4, 0x36, %[result], %[at], x0\n\t"
                     "li %[ok], 1\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : [result] "+&r"(result), [ok] "+&r"(ok)
                     : [at] "r"(at)
                     : "memory");
    *value = result;
    return ok != 0;
}

static inline bool cpu_hlvx(uint64_t at, uint32_t *value)
{
    uint64_t ok = 0, result = 0;

    __asm__ volatile("1: .insn r 0x73, 4, 0x34, %[result], %[at], x3\n\t"
                     "li %[ok], 1\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : [result] "+&r"(result), [ok] "+&r"(ok)
                     : [at] "r"(at)
                     : "memory");
    *value = (uint32_t)result;
    return ok != 0;
}

static inline bool cpu_hsv(uint64_t at, uint64_t value)
{
    uint64_t ok = 0;

    __asm__ volatile("1: .insn r 0x73, 4, 0x37, x0, %[at], %[value]\n\t"
                     "li %[ok], 1\n"
                     "2:\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : [ok] "+&r"(ok)
                     : [at] "r"(at), [value] "r"(value)
                     : "memory");
    return ok != 0;
}

/* What start.S found: misa, and the flattened device tree. */
void cpu_init(uint64_t misa, const void *device_tree);

/* Has the processor the hypervisor extension? */
bool cpu_has_hypervisor(void);

/* Does the device tree's riscv,isa or riscv,isa-extensions name the extension, in small letters ("svnapot")? */
bool cpu_has(const char *extension);

#endif
