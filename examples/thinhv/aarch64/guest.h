/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What /init knows of Arm. */
#ifndef GUEST_H
#define GUEST_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HYPERVISOR UINT64_C(0x7e000000) /* and 32 MiB from there, which the device tree does not call memory */
#define OTHER_PAGE UINT64_C(0x04000000) /* flash memory */
#define REFUSAL    SIGBUS               /* what comes of an external abort */

/* Can Linux stop a CPU and start it again? */
static const bool guest_stops_cpus = true;

static const char *const guest_cpuinfo[] = {"processor", "CPU part", NULL};

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
    register uint64_t x0 __asm__("x0") = number;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register volatile uint64_t *x3 __asm__("x3") = guest_door;

    __asm__ volatile("ldr x0, [x3]" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

/* A function that returns 0x123, and the word in it that makes it return value, which is below 0x10000. */
#define GUEST_RETURNS_123 "mov w0, #0x123\n\tret\n"

static uint32_t guest_word(uint32_t value)
{
    return 0x52800000 | value << 5; /* MOVZ W0, value */
}

#define GUEST_WORD_AT 0

#endif
