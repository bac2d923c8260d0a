/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What /init knows of RISC-V. */
#ifndef GUEST_H
#define GUEST_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HYPERVISOR UINT64_C(0xbe000000) /* and 32 MiB from there, which the device tree does not call memory */
#define OTHER_PAGE UINT64_C(0x20000000) /* flash memory */
#define REFUSAL    SIGSEGV              /* what comes of an access fault */

/* Can Linux stop a CPU and start it again? */
static const bool guest_stops_cpus = true;

static const char *const guest_cpuinfo[] = {"hart", "isa", NULL};

/* User space cannot call a hypervisor, but it can load from a page that the hypervisor knows: arch.h, DOOR. */
static volatile uint64_t *guest_door;

static bool guest_open_door(void)
{
    int file = open("/dev/mem", O_RDWR);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, (off_t)(HYPERVISOR + 0x2000000 - 4096));

    close(file);
    guest_door = page;
    return page != MAP_FAILED;
}

static uint64_t guest_call(uint64_t number, uint64_t a, uint64_t b)
{
    register uint64_t a0 __asm__("a0") = number;
    register uint64_t a1 __asm__("a1") = a;
    register uint64_t a2 __asm__("a2") = b;
    register volatile uint64_t *a3 __asm__("a3") = guest_door;

    __asm__ volatile(".option push\n\t.option norvc\n\tld a0, 0(a3)\n\t.option pop"
                     : "+r"(a0)
                     : "r"(a1), "r"(a2), "r"(a3)
                     : "memory");
    return a0;
}

/* A function that returns 0x123, and the word in it that makes it return value, which is below 0x800. */
#define GUEST_RETURNS_123 ".option push\n\t.option norvc\n\tli a0, 0x123\n\tret\n\t.option pop\n"

static uint32_t guest_word(uint32_t value)
{
    return value << 20 | 0x513; /* ADDI a0, zero, value */
}

#define GUEST_WORD_AT 0

#endif
