/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the suites expect, from the manual's tables. */
#include "suite.h"

#include <hvpt/explain.h>

#include "console.h"

struct machine machine;

void suite_set_adue(bool on)
{
    cpu_set_menvcfg((machine.pbmt ? MENVCFG_PBMTE : 0) | (on && machine.can_adue ? MENVCFG_ADUE : 0));
}

void suite_detect(struct frames *frames)
{
    struct paging_options options = {.mode = MODE_SV39X4};
    uint64_t top = UINT64_C(1) << 40, *entry;
    struct vm vm;

    machine.can_adue = (cpu_set_menvcfg(MENVCFG_ADUE) & MENVCFG_ADUE) != 0;
    machine.napot = cpu_has("svnapot");
    machine.software_bits = cpu_has("svrsw60t59b");
    machine.svvptc = cpu_has("svvptc");
    machine.pbmt = cpu_has("svpbmt") && (cpu_set_menvcfg(MENVCFG_PBMTE) & MENVCFG_PBMTE) != 0;
    suite_set_adue(true);
    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, top, VM_MEMORY, HVPT_4K, paging_attr(RW));
    machine.top_by_alias =
        vm_hlv(top, NULL).cause != 0 && vm_hlv(top | ~(paging_limit(MODE_SV39X4) - 1), NULL).cause == 0;
    paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(RW));
    entry = paging_entry(&vm.paging, HVPT_1G, 0);
    *entry &= ~(PTE_A | PTE_D);
    cpu_hfence_gvma_all();
    machine.hardware_bits = vm_hsv(HVPT_1G, 0).cause == 0 && (*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D);
    vm_destroy(&vm);
    print("Svpbmt: %s; Svnapot: %s; accessed and dirty bits: set by %s%s\n", machine.pbmt ? "yes" : "no",
          machine.napot ? "yes" : "no", machine.hardware_bits ? "hardware" : "software",
          machine.can_adue ? " or not, as menvcfg.ADUE says" : "");
}

uint64_t suite_reach(unsigned mode, uint64_t gpa)
{
    uint64_t limit = paging_limit(mode);

    return machine.top_by_alias && (gpa & limit >> 1) != 0 ? gpa | ~(limit - 1) : gpa;
}

const char *mode_name(unsigned mode)
{
    return mode == MODE_SV39X4 ? "Sv39x4" : mode == MODE_SV48X4 ? "Sv48x4" : "Sv57x4";
}

const char *access_name(enum access access)
{
    static const char *const names[] = {"read", "write", "amo", "fetch", "HLV", "HLVX", "HSV"};

    return names[access];
}

const char *perm_name(uint32_t perm)
{
    static const char *const names[8] = {"none", "r", "w", "rw", "x", "rx", "wx", "rwx"};

    return names[perm & 7];
}

const char *size_name(uint64_t size)
{
    return size == HVPT_4K   ? "4K"
         : size == HVPT_64K  ? "64K"
         : size == HVPT_2M   ? "2M"
         : size == HVPT_1G   ? "1G"
         : size == HVPT_512G ? "512G"
                             : "256T";
}

/* Read, write or execute: HLVX reads what may be executed, an AMO writes as well as it reads. */
static uint32_t wanted(enum access access)
{
    switch (access) {
    case ACCESS_READ:
    case ACCESS_HLV: return HVPT_READ;
    case ACCESS_FETCH:
    case ACCESS_HLVX: return HVPT_EXEC;
    default: return HVPT_WRITE;
    }
}

bool access_allowed(enum access access, uint32_t perm)
{
    return (perm & wanted(access)) != 0;
}

struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa)
{
    const uint64_t value = UINT64_C(0x1122334400008067); /* a return, too */

    switch (access) {
    case ACCESS_READ: return vm_read(vm, gpa, NULL);
    case ACCESS_WRITE: return vm_write(vm, gpa, value);
    case ACCESS_AMO: return vm_amo(vm, gpa, 0);
    case ACCESS_FETCH: return vm_fetch(vm, gpa);
    case ACCESS_HLV: return vm_hlv(gpa, NULL);
    case ACCESS_HLVX: return vm_hlvx(gpa, NULL);
    default: return vm_hsv(gpa, value);
    }
}

bool access_through(enum access access, const struct vm_exit *exit)
{
    return exit->cause == (access >= ACCESS_HLV ? 0u : (unsigned)CAUSE_CALL_VS);
}

/* Exception codes 20, 21 and 23. HLVX is a load that needs another right; an AMO is a store. */
static uint64_t fault_cause(enum access access)
{
    return access == ACCESS_FETCH                                                 ? CAUSE_FETCH_GUEST
         : access == ACCESS_READ || access == ACCESS_HLV || access == ACCESS_HLVX ? CAUSE_LOAD_GUEST
                                                                                  : CAUSE_STORE_GUEST;
}

/*
 * Privileged manual, "Transformed Instruction or Pseudoinstruction for mtinst or htinst": 0, or the instruction with
 * rs1 replaced by the address offset (0 for what is aligned) and a load's or store's immediate by 0. Nothing for a
 * fetch.
 */
static uint64_t transformed(enum access access, uint32_t instruction)
{
    uint32_t kept = instruction & ~(UINT32_C(31) << 15);

    if (access == ACCESS_FETCH)
        return 0;
    if (access == ACCESS_READ)
        return kept & ~(UINT32_C(0xfff) << 20);
    if (access == ACCESS_WRITE)
        return kept & ~(UINT32_C(0x7f) << 25 | UINT32_C(31) << 7);
    return kept;
}

/*
 * The headers' reading of the four registers. The instruction is known only where htinst tells it; the pieces' access
 * 8 bytes, HLVX 4.
 */
static void check_decoded(const struct vm_exit *exit, enum access access, uint64_t gpa, const char *name)
{
    static const enum hvpt_gstage_operation operations[] = {
        HVPT_GSTAGE_OP_LOAD,
        HVPT_GSTAGE_OP_STORE,
        HVPT_GSTAGE_OP_ATOMIC,
        HVPT_GSTAGE_OP_UNKNOWN,
        HVPT_GSTAGE_OP_HYPERVISOR_LOAD,
        HVPT_GSTAGE_OP_HYPERVISOR_LOAD,
        HVPT_GSTAGE_OP_HYPERVISOR_STORE,
    };
    const uint64_t cause = fault_cause(access);
    const struct hvpt_gstage_fault *fault = &exit->fault;
    bool right = exit->guest_fault && fault->gpa_valid && fault->gpa.value == gpa && fault->linear == exit->stval;

    if (exit->cause != cause) /* said already */
        return;
    right = right && !fault->on_table
         && fault->access
                == (cause == CAUSE_FETCH_GUEST  ? (uint32_t)HVPT_EXEC
                    : cause == CAUSE_LOAD_GUEST ? (uint32_t)HVPT_READ
                                                : (uint32_t)HVPT_WRITE);
    if (exit->htinst != 0)
        right = right && fault->instruction.operation == operations[access]
             && fault->instruction.size == (access == ACCESS_HLVX ? 4u : 8u);
    check_true(right, "%s: as the headers take it apart", name);
}

/* What the headers make of the tables, without having seen the fault: the tests' own walk ends at the same entry. */
static void check_explained(const struct vm *vm, enum access access, uint64_t gpa, const char *name)
{
    struct hvpt_diagnosis found;
    enum hvpt_status status = hvpt_space_diagnose(&vm->paging.space, hvpt_make_gpa(gpa), wanted(access), &found);
    const uint64_t *entry = NULL;
    unsigned level = 0;

    if (gpa >= paging_limit(vm->paging.mode)) /* no address of the guest's, see suite_reach */
        return;
    while ((entry = paging_entry(&vm->paging, gpa, level)) == NULL)
        level++;
    check_true(status == (*entry & PTE_V ? HVPT_E_ATTR : HVPT_E_ABSENT) && found.level == level && found.bits != 0,
               "%s: as the headers explain it", name);
}

void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, uint64_t gpa, const char *name)
{
    check_equal(exit->cause, fault_cause(access), "%s: scause", name);
    check_equal(exit->stval, gpa, "%s: stval", name);
    check_equal(exit->htval, gpa >> 2, "%s: htval", name);
    check_true(exit->htinst == 0 || exit->htinst == transformed(access, exit->instruction), "%s: htinst", name);
    check_true((exit->hstatus & HSTATUS_GVA) != 0, "%s: hstatus.GVA", name);
    check_decoded(exit, access, gpa, name);
    check_explained(vm, access, gpa, name);
}

void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name)
{
    uint64_t value = 0, tag = vm_tag(hpa);
    struct vm_exit exit = vm_read(vm, suite_reach(vm->paging.mode, gpa), &value);

    if (exit.cause != CAUSE_CALL_VS)
        check_equal(exit.cause, CAUSE_CALL_VS, "%s: scause", name);
    else
        check_equal(value, tag, "%s", name);
}

void check_hlv(const struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name)
{
    uint64_t value = 0, tag = vm_tag(hpa);
    struct vm_exit exit = vm_hlv(suite_reach(vm->paging.mode, gpa), &value);

    if (exit.cause != 0)
        check_equal(exit.cause, 0, "%s: scause", name);
    else
        check_equal(value, tag, "%s", name);
}
