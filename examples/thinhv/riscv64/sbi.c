/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * SBI, both ways: what the guest asks for is answered here, or by OpenSBI in the machine's own firmware. RISC-V
 * Supervisor Binary Interface Specification, a chapter for each extension.
 */
#include "machine.h"
#include "riscv64.h"

enum { SUCCESS = 0, FAILED = -1, NOT_SUPPORTED = -2, INVALID_PARAMETER = -3, ALREADY_AVAILABLE = -6 };

enum {
    BASE = 0x10,
    TIME = 0x54494d45,
    IPI = 0x735049,
    RFENCE = 0x52464e43,
    HSM = 0x48534d,
    RESET = 0x53525354,
    CONSOLE = 0x4442434e
};

#define ALL_HARTS UINT64_MAX /* as the base of a hart mask */

struct sbi_answer sbi(uint64_t extension, uint64_t function, const uint64_t arguments[5])
{
    register uint64_t a0 __asm__("a0") = arguments[0];
    register uint64_t a1 __asm__("a1") = arguments[1];
    register uint64_t a2 __asm__("a2") = arguments[2];
    register uint64_t a3 __asm__("a3") = arguments[3];
    register uint64_t a4 __asm__("a4") = arguments[4];
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_answer) {(int64_t)a0, a1};
}

_Noreturn void sbi_power_off(void)
{
    sbi(RESET, 0, (const uint64_t[5]) {0});
    for (;;)
        __asm__ volatile("wfi");
}

void sbi_fence_gvma(uint64_t gpa, uint64_t size)
{
    const uint64_t everywhere[5] = {0, ALL_HARTS, size == UINT64_MAX ? 0 : gpa, size, 0};

    if (sbi(RFENCE, 4, everywhere).error != SUCCESS)
        panic("the firmware cannot fence the G-stage");
}

void sbi_fence_i(void)
{
    if (sbi(RFENCE, 0, (const uint64_t[5]) {0, ALL_HARTS, 0, 0, 0}).error != SUCCESS)
        panic("the firmware cannot fence fetches");
}

/* ---- what the guest asks for ---- */

typedef struct sbi_answer (*answerer)(struct vcpu *vcpu, uint64_t function, const uint64_t *a);

static const struct sbi_answer done = {SUCCESS, 0}, refused = {NOT_SUPPORTED, 0};

static bool known(uint64_t extension);

static struct sbi_answer base(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    (void)vcpu;
    switch (function) {
    case 0: return (struct sbi_answer) {SUCCESS, 2 << 24}; /* version 2.0 */
    case 1:
    case 2: return done; /* an implementation without a number */
    case 3: return (struct sbi_answer) {SUCCESS, known(a[0])};
    default: return sbi(BASE, function, a); /* the machine's identification */
    }
}

static struct sbi_answer set_timer(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    (void)vcpu;
    if (function != 0)
        return refused;
    cpu_write(CSR_VSTIMECMP, a[0]); /* Sstc: the interrupt is VS-mode's own, and goes away with this write */
    return done;
}

static bool in_mask(uint64_t hart, const uint64_t *a)
{
    return a[1] == ALL_HARTS || (hart >= a[1] && hart - a[1] < 64 && (a[0] >> (hart - a[1]) & 1) != 0);
}

/* hvip is each hart's own: another one is asked to exit, and sets it there (riscv64.c). */
static struct sbi_answer send_ipi(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    if (function != 0)
        return refused;
    for (unsigned i = 0; i < cpus; i++) {
        struct vcpu *other = &vcpus[i];
        const uint64_t mask[5] = {1, other->arch.hart, 0, 0, 0};

        if (!in_mask(other->arch.hart, a))
            continue;
        __atomic_store_n(&other->arch.software, 1, __ATOMIC_SEQ_CST);
        if (other != vcpu)
            (void)sbi(IPI, 0, mask); /* fails for a hart that is stopped: it hears of nothing */
    }
    return done;
}

/* The guest's fences of its own tables are, from here, fences of VS-mode's. */
static struct sbi_answer fence(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    static const uint8_t as[3] = {0 /* FENCE.I */, 6 /* HFENCE.VVMA */, 5 /* HFENCE.VVMA by ASID */};

    (void)vcpu;
    return function < 3 ? sbi(RFENCE, as[function], a) : refused;
}

static struct sbi_answer start_hart(const uint64_t *a)
{
    struct vcpu *other = vcpu_of_hart(a[0]);
    struct start where = {a[1], {a[0], a[2]}};
    uint64_t start[5] = {a[0], (uintptr_t)second_start, 0, 0, 0};

    if (other == NULL)
        return (struct sbi_answer) {INVALID_PARAMETER, 0};
    if (sbi(HSM, 2, a).value == 0) /* as the firmware sees it: it runs */
        return (struct sbi_answer) {ALREADY_AVAILABLE, 0};
    arch_prepare(other, &where);
    start[2] = other->id; /* its stack */
    return sbi(HSM, 0, start);
}

static struct sbi_answer harts(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    (void)vcpu;
    switch (function) {
    case 0: return start_hart(a);
    case 1: return sbi(HSM, 1, a); /* does not return */
    case 2: return vcpu_of_hart(a[0]) != NULL ? sbi(HSM, 2, a) : (struct sbi_answer) {INVALID_PARAMETER, 0};
    default: return refused;
    }
}

static void console_put(uint8_t byte)
{
    *(volatile uint8_t *)(uintptr_t)0x10000000 = byte; /* QEMU's serial port never makes anybody wait */
}

/* Bytes come from the guest's memory: where the second level says it is, if it says so. */
static struct sbi_answer console(struct vcpu *vcpu, uint64_t function, const uint64_t *a)
{
    (void)vcpu;
    if (function == 1)
        return done; /* nothing to read */
    if (function == 2)
        console_put((uint8_t)a[0]);
    if (function != 0)
        return function == 2 ? done : refused;
    for (uint64_t i = 0; i < a[0]; i++) {
        struct hvpt_mapping mapping;
        enum hvpt_status status;

        memory_lock(false);
        status = hvpt_space_translate(&space, hvpt_make_gpa(a[1] + i), &mapping);
        memory_unlock(false);
        if (status != HVPT_OK || !(mapping.attr.perm & HVPT_READ))
            return (struct sbi_answer) {i > 0 ? SUCCESS : INVALID_PARAMETER, i};
        console_put(*(const volatile uint8_t *)(uintptr_t)mapping.hpa.value);
    }
    return (struct sbi_answer) {SUCCESS, a[0]};
}

static const struct {
    uint64_t extension;
    answerer answer; /* NULL: the end */
    const char *name;
} table[] = {
    {BASE, base, "SBI: base"},       {TIME, set_timer, "SBI: timer"},
    {IPI, send_ipi, "SBI: IPI"},     {RFENCE, fence, "SBI: remote fence"},
    {HSM, harts, "SBI: hart state"}, {CONSOLE, console, "SBI: debug console"},
    {RESET, NULL, "SBI: reset"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

static bool known(uint64_t extension)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (table[i].extension == extension)
            return true;
    return false;
}

const char *sbi_name(unsigned row)
{
    return row < ROWS ? table[row].name : "SBI: an extension that is not there";
}

struct exit sbi_answer_guest(struct vcpu *vcpu)
{
    uint64_t *x = vcpu->arch.x;
    struct exit exit = {EXIT_SETTLED, REASON_SBI, 0, 0};
    struct sbi_answer answer = refused;
    unsigned row = 0;

    while (row < ROWS && table[row].extension != x[RA7])
        row++;
    exit.reason += row;
    if (row < ROWS && table[row].answer == NULL) {
        exit.kind = EXIT_DEAD;
        return exit;
    }
    if (row < ROWS)
        answer = table[row].answer(vcpu, x[RA6], &x[RA0]);
    x[RA0] = (uint64_t)answer.error;
    x[RA1] = answer.value;
    vcpu->arch.pc += 4;
    return exit;
}
