/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the kernels of the Redox module lend to the Rust library: see lend.h. */
#include "lend.h"

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "memory.h"

/* A Rust string as C has it, cut where it does not fit. */
static const char *string(char text[128], const char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length && i + 1 < 128; i++)
        text[i] = bytes[i];
    text[i] = '\0';
    return text;
}

void redox_machine_check(uint64_t got, uint64_t expected, const char *name, size_t length)
{
    char text[128];

    check_equal(got, expected, "%s", string(text, name, length));
}

void redox_machine_skip(const char *name, size_t length, const char *why, size_t why_length)
{
    char text[128], reason[128];

    check_skip(string(reason, why, why_length), "%s", string(text, name, length));
}

void redox_machine_print(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        print("%c", bytes[i]);
}

_Noreturn void redox_machine_panic(const char *bytes, size_t length)
{
    print("\n");
    redox_machine_print(bytes, length);
    panic("Rust");
}

bool redox_machine_rdmsr(uint32_t msr, uint64_t *value)
{
    return cpu_rdmsr(msr, value);
}

bool redox_machine_wrmsr(uint32_t msr, uint64_t value)
{
    return cpu_wrmsr(msr, value);
}

/* What Rust compares slices by. */
int bcmp(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size);
}

/* ---- extended state ---- */

/*
 * A kernel's Rust keeps away from SSE while a guest's registers are in the CPU; this one's prebuilt core does not. So
 * what the module loads and saves goes to guest_area, and the registers change with the world itself.
 */
static _Alignas(64) uint8_t host_area[2][4096], guest_area[2][4096];
static uint32_t host_xcr0; /* 0: without XSAVE; the same on both CPUs */
static bool inside[2];

/* This CPU. */
static unsigned me(void)
{
    return *(volatile uint32_t *)(uintptr_t)0xfee00020u >> 24 & 1u;
}

static uint32_t xgetbv(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static void save(uint8_t *area)
{
    if (host_xcr0 != 0)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void load(const uint8_t *area)
{
    if (host_xcr0 != 0)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static size_t area_size(void)
{
    return host_xcr0 != 0 ? cpu_cpuid(0xd, 0).ebx : 512;
}

void redox_machine_state_save(uint8_t *area)
{
    if (inside[me()])
        memcpy(area, guest_area[me()], area_size());
}

void redox_machine_state_load(const uint8_t *area)
{
    if (!inside[me()])
        memcpy(guest_area[me()], area, area_size());
    inside[me()] = !inside[me()];
}

/* Out with one, in with the other; the guest's XCR0 may name less than what is switched. */
static void exchange(uint8_t *out, const uint8_t *in)
{
    uint32_t xcr0 = host_xcr0 != 0 ? xgetbv() : 0;

    if (xcr0 != host_xcr0)
        (void)cpu_xsetbv(0, host_xcr0, 0);
    save(out);
    load(in);
    if (xcr0 != host_xcr0)
        (void)cpu_xsetbv(0, xcr0, 0);
}

uint32_t redox_machine_vmx_switch(uint64_t *regs, bool launched)
{
    uint32_t result;

    exchange(host_area[me()], guest_area[me()]);
    result = hvctl_rs_native_vmx_switch(regs, launched);
    exchange(guest_area[me()], host_area[me()]);
    return result;
}

void redox_machine_svm_switch(uint64_t *regs, uint64_t vmcb, uint64_t host, bool interrupts)
{
    exchange(host_area[me()], guest_area[me()]);
    hvctl_rs_native_svm_switch(regs, vmcb, host, interrupts);
    exchange(guest_area[me()], host_area[me()]);
}

/* Rust's prebuilt libraries refer to these; nobody unwinds here. */
void rust_eh_personality(void)
{
    panic("unwinding");
}

_Noreturn void _Unwind_Resume(void)
{
    panic("unwinding");
}

void lend_begin(void)
{
    struct cpuid_result features = cpu_cpuid(1, 0);

    /* The prebuilt core uses SSE: OSFXSR and OSXMMEXCPT. XSAVE as a kernel has it: x87 to AVX. */
    cpu_write_cr4(cpu_read_cr4() | 0x600);
    if (features.ecx >> 26 & 1u) {
        cpu_write_cr4(cpu_read_cr4() | 1u << 18);
        host_xcr0 = cpu_cpuid(0xd, 0).eax & 7u;
        (void)cpu_xsetbv(0, host_xcr0, 0);
    }
}
