/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What /init knows of x86. */
#ifndef GUEST_H
#define GUEST_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

#define HYPERVISOR UINT64_C(0x3e000000) /* and 32 MiB from there: what the e820 map calls reserved */
#define OTHER_PAGE UINT64_C(0xfed40000) /* reserved, too, and the machine's */
#define REFUSAL    SIGSEGV              /* what comes of #GP */

/* Can Linux stop a CPU and start it again? */
static const bool guest_stops_cpus = false;

static const char *const guest_cpuinfo[] = {"vendor_id", "model name", NULL};

static bool guest_open_door(void)
{
    return true;
}

static uint64_t guest_call(uint64_t number, uint64_t a, uint64_t b)
{
    static int amd = -1;

    if (amd < 0) {
        unsigned eax, ebx, ecx, edx;

        __cpuid(0, eax, ebx, ecx, edx);
        amd = ebx == 0x68747541; /* "Auth" */
    }
    if (amd)
        __asm__ volatile("vmmcall" : "+a"(number) : "b"(a), "c"(b) : "memory");
    else
        __asm__ volatile("vmcall" : "+a"(number) : "b"(a), "c"(b) : "memory");
    return number;
}

/* A function that returns 0x123, and the word in it that makes it return value. */
#define GUEST_RETURNS_123 "movl $0x123, %eax\n\tret\n"

static uint32_t guest_word(uint32_t value)
{
    return value;
}

#define GUEST_WORD_AT 1

#endif
