/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * PSCI, both ways: the guest's SMCs come here; some are answered by the machine's firmware, which is QEMU itself. Arm
 * Power State Coordination Interface.
 */
#include "aarch64.h"
#include "machine.h"

enum { SUCCESS = 0, NOT_SUPPORTED = -1, INVALID_PARAMETERS = -2, ALREADY_ON = -4 };

#define VERSION      UINT32_C(0x84000000)
#define CPU_OFF      UINT32_C(0x84000002)
#define CPU_ON_32    UINT32_C(0x84000003)
#define INFO_32      UINT32_C(0x84000004)
#define MIGRATE_TYPE UINT32_C(0x84000006)
#define SYSTEM_OFF   UINT32_C(0x84000008)
#define SYSTEM_RESET UINT32_C(0x84000009)
#define FEATURES     UINT32_C(0x8400000a)
#define CPU_ON       UINT32_C(0xc4000003)
#define INFO         UINT32_C(0xc4000004)

static uint64_t firmware(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return x0;
}

_Noreturn void psci_power_off(void)
{
    firmware(SYSTEM_OFF, 0, 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}

static uint64_t pass_on(const uint64_t *x)
{
    return firmware(x[0], x[1], x[2], x[3]);
}

/* The CPU begins here, and then where the guest wants it (aarch64.c). */
static uint64_t cpu_on(const uint64_t *x)
{
    struct start where = {x[2], {x[3], 0}};

    if (x[1] >= cpus)
        return (uint64_t)INVALID_PARAMETERS;
    if (firmware(INFO, x[1], 0, 0) == 0) /* it runs */
        return (uint64_t)ALREADY_ON;
    arch_prepare(&vcpus[x[1]], &where);
    cpu_barrier();
    return firmware(CPU_ON, x[1], (uintptr_t)second_start, x[1]);
}

static uint64_t features(const uint64_t *x);

static const struct {
    uint32_t function;
    uint64_t (*answer)(const uint64_t *x); /* NULL: the end */
    const char *name;
} table[] = {
    {VERSION, pass_on, "PSCI: version"},
    {FEATURES, features, "PSCI: features"},
    {MIGRATE_TYPE, pass_on, "PSCI: migration"},
    {INFO, pass_on, "PSCI: affinity information"},
    {INFO_32, pass_on, "PSCI: affinity information, 32 bits"},
    {CPU_ON, cpu_on, "PSCI: CPU on"},
    {CPU_ON_32, cpu_on, "PSCI: CPU on, 32 bits"},
    {CPU_OFF, pass_on, "PSCI: CPU off"},
    {SYSTEM_OFF, NULL, "PSCI: system off"},
    {SYSTEM_RESET, NULL, "PSCI: system reset"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

static unsigned row_of(uint32_t function)
{
    unsigned row = 0;

    while (row < ROWS && table[row].function != function)
        row++;
    return row;
}

static uint64_t features(const uint64_t *x)
{
    return row_of((uint32_t)x[1]) < ROWS ? SUCCESS : (uint64_t)NOT_SUPPORTED;
}

const char *psci_name(unsigned row)
{
    return row < ROWS ? table[row].name : "SMC: a function that is not there";
}

struct exit psci_answer_guest(struct vcpu *vcpu)
{
    unsigned row = row_of((uint32_t)vcpu->arch.x[0]);
    struct exit exit = {EXIT_SETTLED, REASON_PSCI + row, 0, 0};

    if (row < ROWS && table[row].answer == NULL) {
        exit.kind = EXIT_DEAD;
        return exit;
    }
    vcpu->arch.x[0] = row < ROWS ? table[row].answer(vcpu->arch.x) : (uint64_t)NOT_SUPPORTED;
    vcpu->arch.pc += 4; /* a trapped SMC has not been executed */
    return exit;
}
