/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* RISC-V: where memory lies, and what a virtual hart has. */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stdint.h>

/* The machine's memory. The machine's own firmware, OpenSBI, has the first 2 MiB of RAM. */
#define RAM_START        UINT64_C(0x80000000)
#define KERNEL           UINT64_C(0x80200000)
#define DEVICE_TREE      UINT64_C(0x8f000000)
#define IMAGE            UINT64_C(0x90000000)
#define HYPERVISOR_START UINT64_C(0xbe000000)
#define HYPERVISOR_END   UINT64_C(0xc0000000)

/* A load from this page, of the hypervisor's and never used, is a call: a0, a1 and a2 are its words. */
#define DOOR (HYPERVISOR_END - 4096)

#define ARCH_REASONS 160u /* exceptions, then interrupts, then calls of SBI and others: riscv64.h */

struct arch_vcpu {
    uint64_t x[32]; /* from here to host_sp: switch.S */
    uint64_t pc, sstatus, hstatus;
    uint64_t cause, stval, htval, htinst; /* of the last trap */
    uint64_t host_sp;
    uint64_t hart;
    uint32_t software; /* another hart has sent an interrupt that hvip has not got yet */
};

static inline void arch_pause(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif
