/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest on this machine: second-level tables, registers, entry and exit; and its accesses made from here by HLV and
 * HSV.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <hvpt/fault/gstage.h>

#include "cpu.h"
#include "guest/guest.h"
#include "paging.h"

/* Registers by their numbers in struct vm_context. */
enum { REG_RA = 1, REG_SP = 2, REG_S0 = 8, REG_S1 = 9, REG_A0 = 10, REG_A1 = 11, REG_A2 = 12, REG_S2 = 18 };

/* What switch.S reads and writes; x[0] is unused. */
struct vm_context {
    uint64_t x[32];
    uint64_t pc;
    uint64_t cause, stval, htval, htinst, hstatus; /* of the last trap */
    uint64_t host_sp;
};

/*
 * Exception codes: privileged manual, "Supervisor Cause (scause) Register" with the hypervisor extension's additions.
 */
enum {
    CAUSE_ILLEGAL_INSTRUCTION = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_CALL_VS = 10,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
    CAUSE_FETCH_GUEST = 20,
    CAUSE_LOAD_GUEST = 21,
    CAUSE_VIRTUAL_INSTRUCTION = 22,
    CAUSE_STORE_GUEST = 23
};

struct vm_exit {
    uint64_t cause, stval, htval, htinst, hstatus;
    uint32_t instruction; /* that trapped; 0 where it could not be read */
    bool guest_fault;     /* a guest-page fault, by the headers' decoder; */
    struct hvpt_gstage_fault fault;
};

struct vm {
    struct frames *frames;
    struct paging paging;
    struct vm_context regs;
    unsigned long exits;
};

/*
 * A guest with its home mapped at guest-physical 0 and nothing else, translation of its own off. options NULL: the
 * usual.
 */
void vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options);
void vm_destroy(struct vm *vm);

/* Makes vm the one that vm_run, HLV and HSV mean. vm_create does it. */
void vm_load(const struct vm *vm);

/* Enters until the next trap. vm->regs are the guest's before and after. */
struct vm_exit vm_run(struct vm *vm);

/* Past the ecall or other four-byte instruction that trapped. */
void vm_skip(struct vm *vm);

/* One piece from its start; the registers it takes are set by the caller. */
struct vm_exit vm_do(struct vm *vm, enum guest_piece piece);

/* Accesses by the guest; cause CAUSE_CALL_VS: it went through, and *value, which may be NULL, is what was read. */
struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value);
struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value);
struct vm_exit vm_amo(struct vm *vm, uint64_t gpa, uint64_t value);
struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa);

/* The same accesses from here, without an entry; cause 0: it went through. */
struct vm_exit vm_hlv(uint64_t gpa, uint64_t *value);
struct vm_exit vm_hlvx(uint64_t gpa, uint32_t *value);
struct vm_exit vm_hsv(uint64_t gpa, uint64_t value);

/*
 * Memory of the machine that neither the kernel nor the frame pool uses, to map into guests, and a word to recognize
 * each address by: its low half is a return, so that the page may also be called.
 */
#define VM_HOME   UINT64_C(0x83000000) /* the guest's home */
#define VM_MEMORY UINT64_C(0x84000000) /* for small and large pages: 128 MiB */
#define VM_GIANT  UINT64_C(0xc0000000) /* for one page of 1 GiB */
#define VM_END    UINT64_C(0x100000000)
uint64_t vm_tag(uint64_t hpa);

/* Memory that a page of this size can map: beyond 1 GiB, all that the machine has. */
static inline uint64_t vm_backing(uint64_t size)
{
    return size > HVPT_1G ? 0 : size == HVPT_1G ? VM_GIANT : VM_MEMORY;
}

static inline uint64_t *vm_host_word(uint64_t hpa)
{
    return (uint64_t *)(uintptr_t)hpa;
}

#endif
