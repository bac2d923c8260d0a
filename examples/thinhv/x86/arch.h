/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* x86: where memory lies, and what a virtual CPU has. */
#ifndef ARCH_H
#define ARCH_H

#include <hvctl/common/regs.h>
#include <stdbool.h>

/*
 * The machine's memory. Everything below LOW_END that Linux must leave alone lies from LOW_RESERVED on; the hypervisor
 * sits below 1 GiB, so that the second GiB of RAM is whole.
 */
#define RAM_START        UINT64_C(0)
#define BOOT_PARAMS      UINT64_C(0x10000)
#define COMMAND_LINE     UINT64_C(0x11000)
#define LOW_RESERVED     UINT64_C(0x90000)
#define IDENTITY_MAP     UINT64_C(0x90000) /* six pages: 4 GiB one to one, for the first instructions of each CPU */
#define ACPI_TABLES      UINT64_C(0x98000)
#define MAILBOX          UINT64_C(0x9a000) /* ACPI's multiprocessor wakeup mailbox */
#define PARK             UINT64_C(0x9b000) /* code that waits on it */
#define TRAMPOLINE       UINT64_C(0x9c000) /* where a second CPU starts, in real mode */
#define LOW_END          UINT64_C(0x100000)
#define IMAGE            UINT64_C(0x10000000)
#define HYPERVISOR_START UINT64_C(0x3e000000)
#define HYPERVISOR_END   UINT64_C(0x40000000)

#define ARCH_REASONS 0x410u

struct arch_vcpu {
    struct hvctl_guest_regs regs;
    bool in_guest;    /* may be translating: whoever changes the tables interrupts it */
    uint32_t flushes; /* how many of those that were demanded it has seen */
};

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}

#endif
