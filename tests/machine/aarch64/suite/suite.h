/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The suites of checks, and the expectations they share: values from the Arm ARM's tables, computed here and nowhere
 * else.
 */
#ifndef SUITE_SUITE_H
#define SUITE_SUITE_H

#include "check.h"
#include "vm/vm.h"

enum access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_FETCH,
    ACCESS_USER_READ,
    ACCESS_USER_WRITE,
    ACCESS_USER_FETCH,
    ACCESS_COUNT
};

#define RW   (HVPT_READ | HVPT_WRITE)
#define RWX  (HVPT_READ | HVPT_WRITE | HVPT_EXEC)
#define RWXU (HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER)

/* Arm ARM, "ESR_EL2", fault status codes; the level, 0 to 3 or -1, is added by fault_status(). */
enum fault { FAULT_ADDRESS_SIZE = 0x00, FAULT_TRANSLATION = 0x04, FAULT_ACCESS_FLAG = 0x08, FAULT_PERMISSION = 0x0c };

unsigned fault_status(enum fault fault, int level);

const char *access_name(enum access access);
const char *perm_name(uint32_t perm);
const char *size_name(uint64_t size);

/* Bytes of the page that an entry at Arm's level maps, and the other way round. */
uint64_t page_size_at(unsigned granule_shift, int level);

/* The next smaller page size: the granule's pages when there is none. */
uint64_t smaller_page(unsigned granule_shift, uint64_t size);

/* The levels at which a leaf of this granule may be, by the CPU: from first (Arm's number) to 3. */
int first_leaf_level(unsigned granule_shift, bool lpa2);

/* Stage 2 as the Arm ARM has it: S2AP[0], S2AP[1], XN with or without FEAT_XNX. */
bool access_allowed(enum access access, uint32_t perm, bool xnx);

/* Makes the guest do it; a read that goes through puts what it found into *value (which may be NULL). */
struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa, uint64_t *value);
bool access_passed(enum access access, const struct vm_exit *exit);

/* ESR_EL2 of this access by one of the guest's pieces. */
uint64_t fault_syndrome(enum access access, unsigned status);

/* The exit is the fault of this access, with every value that hardware reports and the headers' reading of them. */
void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, enum fault fault, int level,
                 uint64_t gpa, const char *name);

/* The guest reads the tag of hpa at gpa. */
void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name);

/* vm_create() that must succeed. */
void create(struct vm *vm, struct frames *frames, const struct paging_options *options);

/* Destroys it and checks that nothing is left. */
void finish(struct vm *vm, const char *name);

/* Each takes no frames in the end, and checks that. */
void suite_exits(struct frames *frames);
void suite_permissions(struct frames *frames);
void suite_leaves(struct frames *frames);
void suite_geometry(struct frames *frames);
void suite_stale(struct frames *frames);
void suite_operations(struct frames *frames);
void suite_contiguous(struct frames *frames);
void suite_accessed_dirty(struct frames *frames);
void suite_memory_types(struct frames *frames);
void suite_entries(struct frames *frames);
void suite_copies(struct frames *frames);
void suite_indirect(struct frames *frames);
void suite_tags(struct frames *frames);
void suite_guest_walk(struct frames *frames);

#endif
