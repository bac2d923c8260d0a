/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the RISC-V files share. */
#ifndef RISCV64_H
#define RISCV64_H

#include <hvpt/fault/gstage.h>
#include <hvpt/gstage.h>

#include "cpu.h"
#include "thinhv.h"

/* More CSRs. Privileged manual, "Control and Status Registers (CSRs)". */
enum {
    CSR_SIE = 0x104,
    CSR_SIP = 0x144,
    CSR_VSEPC = 0x241,
    CSR_VSCAUSE = 0x242,
    CSR_VSTVAL = 0x243,
    CSR_VSTIMECMP = 0x24d,
    CSR_HTIMEDELTA = 0x605,
    CSR_HCOUNTEREN = 0x606,
    CSR_HSTATEEN0 = 0x60c,
    CSR_HVIP = 0x645
};

/* Interrupts, by their numbers in scause, hvip, sie; those of VS-mode are one further. */
enum { SOFTWARE = 1, TIMER = 5, EXTERNAL = 9 };

#define SSTATUS_SIE  (UINT64_C(1) << 1)
#define SSTATUS_SPIE (UINT64_C(1) << 5)
#define SSTATUS_SPP  (UINT64_C(1) << 8)

enum { RA0 = 10, RA1, RA2, RA3, RA4, RA5, RA6, RA7 };

/* Reasons of exits, for the profile: exceptions by their codes, then the rest. */
enum {
    REASON_INTERRUPT = 64, /* and its number */
    REASON_SBI = 128,      /* and the row of sbi.c's table */
    REASON_CALL = 156,
    REASON_CONTROLLER /* the interrupt controller's registers */
};

struct sbi_answer {
    int64_t error;
    uint64_t value;
};

/* Interrupts that the guest is to see as pending. */
static inline void guest_pending(unsigned interrupt, bool on)
{
    if (on)
        __asm__ volatile("csrs 0x645, %0" : : "r"(UINT64_C(2) << interrupt) : "memory");
    else
        __asm__ volatile("csrc 0x645, %0" : : "r"(UINT64_C(2) << interrupt) : "memory");
}

/* Interrupts that make the guest exit. */
static inline void host_enable(unsigned interrupt, bool on)
{
    if (on)
        __asm__ volatile("csrs sie, %0" : : "r"(UINT64_C(1) << interrupt) : "memory");
    else
        __asm__ volatile("csrc sie, %0" : : "r"(UINT64_C(1) << interrupt) : "memory");
}

/* sbi.c: the firmware below, and what the guest asks of it through here. */
struct sbi_answer sbi(uint64_t extension, uint64_t function, const uint64_t arguments[5]);
struct exit sbi_answer_guest(struct vcpu *vcpu);
const char *sbi_name(unsigned row);
void sbi_fence_gvma(uint64_t gpa, uint64_t size); /* on every hart; size UINT64_MAX: all */
void sbi_fence_i(void);
_Noreturn void sbi_power_off(void);

/* plic.c: external interrupts. */
bool plic_has(uint64_t gpa);
void plic_access(struct vcpu *vcpu, const struct hvpt_gstage_fault *fault);
void plic_interrupt(void);

/* riscv64.c */
extern const void *machine_tree;                                         /* the machine's device tree */
struct vcpu *vcpu_of_hart(uint64_t hart);                                /* NULL: there is none */
void riscv_exception(struct vcpu *vcpu, uint64_t cause, uint64_t value); /* to the guest */

/* start.S, switch.S */
void guest_enter(struct arch_vcpu *vcpu);
_Noreturn void riscv_jump(uint64_t pc, uint64_t a0, uint64_t a1);
uint64_t semihosting(uint64_t operation, const void *argument);
extern const char second_start[];

#endif
