/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest on this machine: stage 2 tables, registers, entry and exit. */
#ifndef VM_VM_H
#define VM_VM_H

#include <hvpt/fault/stage2.h>

#include "guest/guest.h"
#include "layout.h"
#include "paging.h"

enum vm_exit_kind { VM_EXIT_CALL, VM_EXIT_FAULT, VM_EXIT_WFI, VM_EXIT_OTHER };

struct vm_exit {
    enum vm_exit_kind kind;
    unsigned call; /* HVC's number */
    uint64_t esr, far, hpfar;
    bool stage2; /* an abort, by the headers' decoder; */
    struct hvpt_s2_fault fault;
};

/* As vectors.S has it. */
struct vm_registers {
    uint64_t x[31], pc, pstate;
};

struct vm {
    struct paging paging;
    struct vm_registers regs;
    void *home;
    unsigned long exits;
    bool stage1; /* the guest's own translation is on, with mair; off: linear is guest-physical, memory is write-back */
    uint64_t mair;
    /* Further bits of HCR_EL2 and SCTLR_EL1; and registers that only a CPU with the feature has, where not 0. */
    uint64_t hcr, sctlr, hcrx, tcr2, pir;
};

/* A guest with its home mapped at guest-physical 0 and nothing else. options NULL: the usual. Not HVPT_OK: no guest. */
enum hvpt_status vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options);
void vm_destroy(struct vm *vm);

/* Makes it the guest of this CPU; vm_run() does. */
void vm_load(struct vm *vm);

/* Enters until the next exit. */
struct vm_exit vm_run(struct vm *vm);

/* A piece from its start, at EL1 or EL0; x0 and what else it takes is set by the caller. */
struct vm_exit vm_do(struct vm *vm, const char *piece, bool user);

/* The accesses; VM_EXIT_CALL: it went through, and *value is what was read. */
struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value);
struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value);
struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa);

/* A word to recognize memory at hpa by, put there; its first four bytes are a RET, so that it may also be called. */
uint64_t vm_tag(uint64_t hpa);

static inline volatile uint64_t *vm_host_word(uint64_t hpa)
{
    return (volatile uint64_t *)(uintptr_t)hpa;
}

/*
 * Where a page of this size can be in memory, and where in it there is memory: pages larger than RAM begin at
 * address 0 and
 * have it in the middle.
 */
uint64_t vm_backing(uint64_t size);
uint64_t vm_backing_offset(uint64_t size);

#endif
