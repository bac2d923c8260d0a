/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * External interrupts. The guest owns the interrupt controller (SiFive's PLIC) but for the page of each hart by which
 * an interrupt is claimed and completed: the controller tells HS-mode, HS-mode tells VS-mode, and when the guest claims
 * the interrupt both are even again.
 */
#include "machine.h"
#include "riscv64.h"

#define CONTEXTS UINT64_C(0x0c200000) /* a page each: machine mode's of hart 0, then HS-mode's, then those of hart 1 */
#define CLAIM    4u

bool plic_has(uint64_t gpa)
{
    return gpa >= CONTEXTS && gpa < CONTEXTS + UINT64_C(2) * MAX_CPUS * HVPT_4K;
}

void plic_interrupt(void)
{
    guest_pending(EXTERNAL, true);
    host_enable(EXTERNAL, false); /* it stays pending here until the guest has claimed it */
}

/* A half of the instruction, with the guest's right to execute it: HLVX.HU. */
static uint32_t half_of_instruction(uint64_t pc)
{
    uint64_t half;

    __asm__ volatile(".insn r 0x73, 4, 0x32, %0, %1, x3" : "=r"(half) : "r"(pc) : "memory");
    return (uint32_t)half;
}

/*
 * Where htinst tells nothing (QEMU 7.2 keeps silent about compressed instructions): the instruction as htinst would
 * have it, if it is LW, SW, C.LW or C.SW. Privileged manual, "Transformed Instruction or Pseudoinstruction for mtinst
 * or htinst".
 */
static uint64_t transformed(uint64_t pc)
{
    uint32_t instruction = half_of_instruction(pc), small = 8 + (instruction >> 2 & 7);

    if ((instruction & 3) == 3)
        instruction |= half_of_instruction(pc + 2) << 16;
    switch (instruction & 3) {
    case 0:
        if (instruction >> 13 == 2)
            return 0x2001 | small << 7;
        return instruction >> 13 == 6 ? 0x2021 | small << 20 : 0;
    case 3:
        if ((instruction & 0x7f) == 0x03)
            return instruction & 0x7fff;
        return (instruction & 0x7f) == 0x23 ? instruction & 0x01f0707f : 0;
    default: return 0;
    }
}

void plic_access(struct vcpu *vcpu, const struct hvpt_gstage_fault *fault)
{
    struct hvpt_gstage_instruction instruction = fault->instruction;
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)fault->gpa.value;

    if (vcpu->arch.htinst == 0)
        hvpt_gstage_decode_transformed(transformed(vcpu->arch.pc), &instruction);
    if (instruction.size != 4 || (fault->gpa.value & 3) != 0) {
        struct words words;

        panic("an access to the interrupt controller that nobody foresaw: %s", exit_words(&words, vcpu));
    }
    if (instruction.operation == HVPT_GSTAGE_OP_STORE) {
        *word = (uint32_t)vcpu->arch.x[instruction.source];
    } else {
        uint64_t value = hvpt_gstage_load_value(&instruction, *word);

        if (instruction.destination != 0)
            vcpu->arch.x[instruction.destination] = value;
        if ((fault->gpa.value & (HVPT_4K - 1)) == CLAIM) {
            guest_pending(EXTERNAL, false);
            host_enable(EXTERNAL, true); /* at once pending again if there is another one */
        }
    }
    vcpu->arch.pc += instruction.length;
}
