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
