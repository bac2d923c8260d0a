/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The suites of checks, and the expectations they share: values from the manual's tables, computed here and nowhere
 * else.
 */
#ifndef SUITE_SUITE_H
#define SUITE_SUITE_H

#include "check.h"
#include "vm/vm.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_AMO, ACCESS_FETCH, ACCESS_HLV, ACCESS_HLVX, ACCESS_HSV, ACCESS_COUNT };

#define RW  (HVPT_READ | HVPT_WRITE)
#define RX  (HVPT_READ | HVPT_EXEC)
#define RWX (HVPT_READ | HVPT_WRITE | HVPT_EXEC)

/* Entries: privileged manual, "Sv39: Page-Based 39-bit Virtual-Memory System"; U must be set in the G-stage. */
#define PTE_V UINT64_C(0x01)
#define PTE_R UINT64_C(0x02)
#define PTE_W UINT64_C(0x04)
#define PTE_X UINT64_C(0x08)
#define PTE_U UINT64_C(0x10)
#define PTE_G UINT64_C(0x20)
#define PTE_A UINT64_C(0x40)
#define PTE_D UINT64_C(0x80)
#define PTE_N (UINT64_C(1) << 63)

/* What the processor is found to have. */
struct machine {
    bool pbmt, napot;
    bool software_bits; /* Svrsw60t59b: bits 60:59 of entries are software's */
    bool svvptc;        /* an entry that becomes valid is seen soon, without a fence */
    bool can_adue;      /* menvcfg.ADUE can be set and cleared */
    bool hardware_bits; /* entries get A and D from hardware, with ADUE set where there is one */
    bool top_by_alias;  /* a known deviation: addresses with their top bit set are reached sign-extended only */
};
extern struct machine machine;

/* Fills machine; prints what it found. */
void suite_detect(struct frames *frames);

/* menvcfg with what there is, ADUE as told. */
void suite_set_adue(bool on);

/* The address by which the guest means gpa: gpa itself, but for the known deviation. */
uint64_t suite_reach(unsigned mode, uint64_t gpa);

const char *mode_name(unsigned mode);
const char *access_name(enum access access);
const char *perm_name(uint32_t perm);
const char *size_name(uint64_t size);
bool access_allowed(enum access access, uint32_t perm);

/* Makes the guest, or HLV and its like, do it. */
struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa);
bool access_through(enum access access, const struct vm_exit *exit);

/* The exit is the guest-page fault of this access, with every value that hardware reports. */
void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, uint64_t gpa, const char *name);

/*
 * What the suites of ../common, which x86 has, too, ask of an architecture. STAGE stands before the names of groups.
 * suite_keeps_bits: are the accessed and dirty bits of these tables kept by anybody? sweep: PIECE_SWEEP's registers.
 */
#define STAGE     "G-stage, "
#define EXIT_CALL CAUSE_CALL_VS

/* No fault here tells what the page's rights are. */
static inline void check_refused(const struct vm *vm, const struct vm_exit *exit, enum access access, uint32_t perm,
                                 uint64_t gpa, const char *name)
{
    (void)perm;
    check_fault(vm, exit, access, gpa, name);
}

static inline uint64_t exit_kind(struct vm_exit exit)
{
    return exit.cause;
}

static inline bool exit_is_fault(const struct vm_exit *exit)
{
    return exit->cause == CAUSE_FETCH_GUEST || exit->cause == CAUSE_LOAD_GUEST || exit->cause == CAUSE_STORE_GUEST;
}

static inline uint64_t exit_gpa(const struct vm_exit *exit)
{
    return exit->htval << 2;
}

static inline bool suite_has_page(const struct vm *vm, uint64_t size)
{
    (void)vm;
    return size <= HVPT_1G;
}

static inline bool suite_hardware_bits(void)
{
    return machine.hardware_bits;
}

static inline struct paging_options suite_options(bool hardware_bits)
{
    return (struct paging_options){.features = hardware_bits ? HVPT_GSTAGE_USE_SVADU : 0};
}

static inline bool suite_keeps_bits(const struct vm *vm, bool hardware_bits)
{
    (void)vm, (void)hardware_bits;
    return true;
}

static inline uint64_t suite_read_result(const struct vm *vm)
{
    return vm->regs.x[REG_A1];
}

static inline void suite_skip(struct vm *vm, const struct vm_exit *exit)
{
    (void)exit;
    vm_skip(vm);
}

static inline void sweep_prepare(struct vm *vm, uint64_t gpa, uint64_t pages)
{
    vm->regs.x[REG_A0] = gpa;
    vm->regs.x[REG_A1] = pages;
}

static inline uint64_t sweep_left(const struct vm *vm)
{
    return vm->regs.x[REG_A1];
}

static inline uint64_t sweep_sum(const struct vm *vm)
{
    return vm->regs.x[REG_A2];
}

/* The guest reads the tag of hpa at gpa. */
void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name);

/* HLV finds the tag of hpa at gpa, by whatever address the machine wants. */
void check_hlv(const struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name);

/* Each takes no frames in the end, and checks that. */
void suite_exits(struct frames *frames);
void suite_geometry(struct frames *frames);
void suite_leaves(struct frames *frames);
void suite_permissions(struct frames *frames);
void suite_entries(struct frames *frames);
void suite_memory_types(struct frames *frames);
void suite_napot(struct frames *frames);
void suite_accessed_dirty(struct frames *frames);
void suite_tracking(struct frames *frames);
void suite_flushes(struct frames *frames);
void suite_changes(struct frames *frames);
void suite_operations(struct frames *frames);
void suite_guest_walk(struct frames *frames);

#endif
