/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A bench for one guest instruction at a time: a 64-bit guest with GDT, IDT and TSS of its own, put back to the same
 * state before each run. What a run ends with is taken down, so that a suite can tell at its end which exits nobody has
 * seen.
 */
#ifndef SUITE_HVCTL_LAB_H
#define SUITE_HVCTL_LAB_H

#include "suite.h"

#include "vm/svm.h"
#include "vm/vmx.h"

/* Guest-physical and linear addresses, in the part of the guest's home that nothing else uses. */
enum {
    LAB_CODE = 0x16000,
    LAB_GDT = 0x17000,
    LAB_IDT = 0x18000,   /* 64-bit gates: one a vector, to its stub */
    LAB_IDT32 = 0x19000, /* 32-bit gates: task gates to LAB_TASK */
    LAB_STUBS = 0x1a000, /* 16 bytes a vector: push the vector, hypercall */
    LAB_TSS = 0x1b000,
    LAB_DATA = 0x1c000, /* two pages that snippets read and write; the first KiB begins as zeros */
    LAB_TOP = 0x20000,  /* of the stack */

    LAB_CODE64_SELECTOR = 0x08,
    LAB_DATA_SELECTOR = 0x10,
    LAB_TSS_SELECTOR = 0x18,
    LAB_CODE32_SELECTOR = 0x28,
    LAB_USER_DATA_SELECTOR = 0x33,
    LAB_USER_CODE_SELECTOR = 0x3b,
    LAB_TASK = 0x40,      /* a TSS that is available */
    LAB_TASK_BUSY = 0x48, /* and one that is busy: what IRET goes back to */
    LAB_ABSENT = 0x50     /* a data segment that is not present */
};

enum { LAB_CODES = 0x408 };

struct lab {
    struct vm vm;
    bool svm;
    struct hvctl_vmcs_image image; /* VMX: what lab_reset puts back */
    struct hvctl_vmcb vmcb;        /* SVM */
    bool seen[LAB_CODES];          /* exit reasons or exit codes that came */
    bool seen_invalid;             /* SVM: VMEXIT_INVALID */
};

/* A piece of guest code: its label and the one behind it, made at file scope from text in AT&T syntax. */
#define LAB_SNIPPET(name, text)                                                                  \
    __asm__(".pushsection .rodata\ncode_" #name ": " text "\ncode_" #name "_end:\n.popsection"); \
    extern const uint8_t code_##name[], code_##name##_end[];
#define LAB_CODE_OF(name) code_##name, (size_t)(code_##name##_end - code_##name)

void lab_open(struct lab *lab, struct frames *frames);
void lab_close(struct lab *lab);

/*
 * The state that lab_open left, and these registers: rax 1a, rcx 2, rdx 5678, rbp 77, rdi LAB_DATA + 100, all others
 * LAB_DATA, rsp LAB_TOP. Memory stays as it is, but for the first KiB of LAB_DATA, which is 0.
 */
void lab_reset(struct lab *lab);

/* Copies code to LAB_CODE, with HLT behind it, and runs it; the second form goes on from where the guest is. */
struct vm_exit lab_run(struct lab *lab, const uint8_t *code, size_t size);
struct vm_exit lab_go_on(struct lab *lab);

/* The bytes that the host sees at one of the addresses above. */
static inline uint8_t *lab_at(struct lab *lab, uint64_t gpa)
{
    return lab->vm.guest.memory + gpa;
}

static inline uint64_t *lab_word(struct lab *lab, uint64_t gpa)
{
    return (uint64_t *)(void *)lab_at(lab, gpa);
}

/* VMX: a field of the next entry, and one that the last exit left in the CPU. */
void lab_put(struct lab *lab, uint32_t field, uint64_t value);
uint64_t lab_get(struct lab *lab, uint32_t field);

/* VMX: one control more for the next entries, with what it needs. false: not on this CPU. lab_reset takes it back. */
bool lab_require(struct lab *lab, enum hvctl_vmx_control control);

/* SVM: an intercept more, or less. */
void lab_intercept(struct lab *lab, uint64_t code, bool on);

/* Of both vendors: exceptions that exit; bit n for vector n. */
void lab_exceptions(struct lab *lab, uint32_t vectors);

/* The state to enter with: this one on LAB_GDT, with LAB_IDT or, where it is not in IA-32e mode, LAB_IDT32. */
void lab_state(struct lab *lab, const struct hvctl_guest_state *state);

/* The last exit in words. */
const char *lab_text(struct lab *lab);

/* The exit is the hypercall of a vector's stub: what delivery pushed. False, and a failed check, if it is anything
 * else. */
struct lab_delivery {
    uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};
bool lab_delivered(struct lab *lab, const struct vm_exit *exit, bool with_error_code, struct lab_delivery *out,
                   const char *name);

/* An interrupt from the guest's local APIC, which lab_open maps for it: value is what it writes to the low half of ICR.
 */
struct vm_exit lab_ipi(struct lab *lab, uint32_t icr, uint64_t rflags);

/* The host's side: ends the service of an interrupt, and takes one that is pending with interrupts on for a moment. */
void lab_apic_write(unsigned offset, uint32_t value);
void lab_take_interrupt(void);

#endif
