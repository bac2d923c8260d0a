/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The suites of checks, and the expectations they share: values from the manuals' tables, computed here and nowhere else. */
#ifndef SUITE_SUITE_H
#define SUITE_SUITE_H

#include "check.h"
#include "vm/vm.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_COUNT };

#define RWX (HVPT_READ | HVPT_WRITE | HVPT_EXEC)

const char *access_name(enum access access);
const char *perm_name(uint32_t perm);
const char *size_name(uint64_t size);
bool access_allowed(enum access access, uint32_t perm);

/* Makes the guest do it; a read that goes through puts what it found into *value (which may be NULL). */
struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa, uint64_t *value);

/*
 * Bits 11:9 of an EPT violation's qualification, on a CPU that reports them (SDM vol. 3, "Exit Qualification for EPT
 * Violations"): what the guest's own tables say, which is supervisor's page, writable, executable; without paging, user's.
 */
uint64_t advanced_information(const struct vm *vm);

/*
 * The exit qualification (SDM vol. 3, "Exit Qualification for EPT Violations") or EXITINFO1 (APM vol. 2, "Nested Table Walk")
 * of this access by the guest's supervisor to a page that all levels together give perm; 0: not mapped.
 */
uint64_t fault_info(const struct vm *vm, enum access access, uint32_t perm);

/* The exit is the fault of this access, with every value that hardware reports. */
void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, uint32_t perm, uint64_t gpa,
                 const char *name);

/*
 * What the suites of ../common, which RISC-V has, too, ask of an architecture. STAGE stands before the names of groups.
 * suite_keeps_bits: are the accessed and dirty bits of these tables kept by anybody? sweep: PIECE_SWEEP's registers.
 */
#define STAGE     ""
#define EXIT_CALL VM_EXIT_CALL

#define check_refused check_fault

static inline unsigned exit_kind(struct vm_exit exit)
{
    return exit.kind;
}

static inline bool exit_is_fault(const struct vm_exit *exit)
{
    return exit->kind == VM_EXIT_FAULT;
}

static inline uint64_t exit_gpa(const struct vm_exit *exit)
{
    return exit->gpa;
}

static inline bool suite_has_page(const struct vm *vm, uint64_t size)
{
    return size <= paging_largest_page(&vm->paging);
}

static inline bool suite_hardware_bits(void)
{
    return true;
}

static inline struct paging_options suite_options(bool hardware_bits)
{
    return (struct paging_options){.accessed_dirty = hardware_bits};
}

static inline bool suite_keeps_bits(const struct vm *vm, bool hardware_bits)
{
    return vm->svm || hardware_bits;
}

static inline uint64_t suite_read_result(const struct vm *vm)
{
    return vm->regs.rax;
}

static inline void suite_skip(struct vm *vm, const struct vm_exit *exit)
{
    vm_skip(vm, exit);
}

static inline void sweep_prepare(struct vm *vm, uint64_t gpa, uint64_t pages)
{
    vm->regs.rdi = gpa;
    vm->regs.rcx = pages;
}

static inline uint64_t sweep_left(const struct vm *vm)
{
    return vm->regs.rcx;
}

static inline uint64_t sweep_sum(const struct vm *vm)
{
    return vm->regs.rax;
}

/* The guest reads the tag of hpa at gpa. */
void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name);

/* Each takes no frames in the end, and checks that. */
void suite_leaves(struct frames *frames);
void suite_permissions(struct frames *frames);
void suite_changes(struct frames *frames);
void suite_memory_types(struct frames *frames);
void suite_accessed_dirty(struct frames *frames);
void suite_operations(struct frames *frames);
void suite_tracking(struct frames *frames);
void suite_guest_walk(struct frames *frames);
void suite_exits(struct frames *frames);
void suite_switch(struct frames *frames);
void suite_vmx(struct frames *frames);
void suite_vmx_features(struct frames *frames);
void suite_vmx_rights(struct frames *frames);
void suite_vmx_entry(struct frames *frames);
void suite_svm(struct frames *frames);
void suite_svm_entry(struct frames *frames);
void suite_hvctl_fields(struct frames *frames);
void suite_hvctl_readme(struct frames *frames);
void suite_hvctl_solver(struct frames *frames);
void suite_hvctl_events(struct frames *frames);
void suite_hvctl_areas(struct frames *frames);
void suite_hvctl_state(struct frames *frames);
void suite_hvctl_svm_exits(struct frames *frames);
void suite_hvctl_vmx_exits(struct frames *frames); /* the last that enters a guest: see there */

#endif
