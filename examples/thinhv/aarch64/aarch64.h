/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the Arm files share. */
#ifndef AARCH64_H
#define AARCH64_H

#include <hvpt/fault/stage2.h>
#include <hvpt/stage2.h>

#include "cpu.h"
#include "thinhv.h"

/* Registers by their encodings, since not every assembler knows all names. */
#define REGISTER_READ(register)                                            \
    __extension__({                                                        \
        uint64_t value_;                                                   \
        __asm__ volatile("mrs %0, " register : "=r"(value_) : : "memory"); \
        value_;                                                            \
    })
#define REGISTER_WRITE(register, value) __asm__ volatile("msr " register ", %0" : : "r"((uint64_t)(value)) : "memory")

/* Reasons of exits, for the profile: exception classes of ESR_EL2, then the rest. */
enum {
    CLASS_HVC = 0x16,
    CLASS_SMC = 0x17,
    CLASS_FETCH = 0x20,
    CLASS_DATA = 0x24,
    REASON_PSCI = 64, /* and the row of psci.c's table */
    REASON_CALL = 90
};

/* traps.c: what EL1 may do without an exit. */
void traps_set(void);

/* psci.c: the firmware below, and what the guest asks of it through here. */
struct exit psci_answer_guest(struct vcpu *vcpu);
const char *psci_name(unsigned row);
_Noreturn void psci_power_off(void);

/* aarch64.c */
void arm_exception(struct vcpu *vcpu, uint64_t syndrome, uint64_t address); /* to the guest's EL1 */

/* vectors.S, start.S */
void vm_enter(struct arch_vcpu *vcpu);
_Noreturn void arm_jump(uint64_t pc, uint64_t x0);
uint64_t semihosting(uint64_t operation, const void *argument);
extern const char second_start[];

#endif
