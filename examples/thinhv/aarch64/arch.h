/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Arm: where memory lies, and what a virtual CPU has. */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stdint.h>

/* The machine's memory. QEMU puts its device tree at the start of RAM. */
#define RAM_START        UINT64_C(0x40000000)
#define KERNEL           UINT64_C(0x40200000)
#define DEVICE_TREE      UINT64_C(0x4f000000)
#define IMAGE            UINT64_C(0x50000000)
#define HYPERVISOR_START UINT64_C(0x7e000000)
#define HYPERVISOR_END   UINT64_C(0x80000000)

/* A load from this page, of the hypervisor's and never used, is a call: x0, x1 and x2 are its words. */
#define DOOR (HYPERVISOR_END - 4096)

#define ARCH_REASONS 96u /* exception classes, then calls of PSCI and others: aarch64.h */

struct arch_vcpu {
    uint64_t x[31]; /* from here to pstate: vectors.S */
    uint64_t pc, pstate;
    uint64_t esr, far, hpfar; /* of the last exit */
};

static inline void arch_pause(void)
{
    __asm__ volatile("yield" : : : "memory");
}

#endif
