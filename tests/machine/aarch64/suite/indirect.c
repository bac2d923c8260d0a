/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Indirect permissions. A guest that has them at stage 1 (FEAT_S1PIE) takes stage 2's faults as any other, and its own go
 * to its EL1. Stage 2's own (FEAT_S2PIE), which the headers do not make but whose faults they take apart: a write that
 * fails only because the page's dirty state is clean says so. Arm ARM, "Stage 1 Indirect permissions", "Stage 2 Indirect
 * permissions", and "ISS2 encoding for an exception from a Data Abort": DirtyBit.
 */
#include "suite.h"

#include "cpu.h"

#define HCRX_TCR2EN (UINT64_C(1) << 14)
#define TCR2_PIE    (UINT64_C(1) << 1)
#define VTCR_S2PIE  (UINT64_C(1) << 36)
#define ESR_DIRTY   (UINT64_C(1) << 37)
#define BASE        HVPT_1G

/* Permissions of PIR_EL1 and of S2PIR_EL2. */
#define PIR_R   UINT64_C(1)
#define PIR_RWX UINT64_C(7)
#define S2_RO   UINT64_C(8)
#define S2_RWX  UINT64_C(15)

static void check_stage1(struct frames *frames)
{
    uint64_t linear = guest_linear(BASE + 0x38, 5), tag = vm_tag(VM_MEMORY + 0x38), value = 0;
    struct vm_exit exit;
    struct vm vm;

    create(&vm, frames, NULL);
    vm.stage1 = true;
    vm.mair = UINT64_C(0xffffffffffffffff);
    vm.hcrx = HCRX_TCR2EN;
    vm.tcr2 = TCR2_PIE;
    vm.pir = PIR_RWX; /* of index 0, which all of the guest's entries have */
    exit = vm_read(&vm, linear, NULL);
    check_equal(exit.esr, fault_syndrome(ACCESS_READ, 0x05), "read of nothing: ESR_EL2");
    check_equal(exit.far, linear, "read of nothing: FAR_EL2");
    check_true(exit.stage2 && exit.fault.gpa_valid && exit.fault.gpa.value == BASE + 0x38, "read of nothing: decoded");
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    exit = vm_read(&vm, linear, &value);
    check_true(exit.kind == VM_EXIT_CALL && value == tag, "the guest reads the page");
    exit = vm_write(&vm, linear, 1);
    check_equal(exit.esr, fault_syndrome(ACCESS_WRITE, 0x0f), "write to a page that stage 2 keeps from it: ESR_EL2");
    check_true(exit.stage2 && exit.fault.kind == HVPT_S2_FAULT_PERMISSION && !exit.fault.dirty_state
                   && !exit.fault.overlay,
               "write to a page that stage 2 keeps from it: decoded");
    finish(&vm, "stage 1");

    create(&vm, frames, NULL);
    vm.stage1 = true;
    vm.mair = UINT64_C(0xffffffffffffffff);
    vm.hcrx = HCRX_TCR2EN;
    vm.tcr2 = TCR2_PIE;
    vm.pir = UINT64_C(3); /* R and X: the guest's code still runs */
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    exit = vm_write(&vm, linear, 1);
    check_true(exit.kind == VM_EXIT_CALL && exit.call == 0x104 && !exit.stage2,
               "a write that PIR_EL1 forbids goes to the guest's EL1");
    check_equal(cpu_read_esr_el1() & 0x3f, 0x0d, "a write that PIR_EL1 forbids: permission fault at its level");
    finish(&vm, "stage 1's own fault");
}

static void check_stage2(struct frames *frames)
{
    struct vm_exit exit;
    struct vm vm;

    create(&vm, frames, NULL);
    /* The entries' bits 54:53, 51 and 6 are the index: 1 for what may be executed, 9 for what may not */
    vm.paging.vtcr = VTCR_S2PIE;
    vm.paging.s2pir = S2_RWX << 4 | S2_RO << 36;
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ | HVPT_EXEC));
    paging_map(&vm.paging, BASE + HVPT_4K, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(RWX));
    paging_map(&vm.paging, BASE + 2 * HVPT_4K, VM_MEMORY + 2 * HVPT_4K, HVPT_4K, paging_attr(RW));
    exit = vm_write(&vm, BASE, 1);
    check_equal(exit.esr, fault_syndrome(ACCESS_WRITE, 0x0f) | ESR_DIRTY, "write to a clean page: ESR_EL2");
    check_true(exit.stage2 && exit.fault.kind == HVPT_S2_FAULT_PERMISSION && exit.fault.dirty_state,
               "write to a clean page: decoded");
    check_reads(&vm, BASE, VM_MEMORY, "the guest reads a clean page");
    check_equal(vm_write(&vm, BASE, 1).kind, VM_EXIT_FAULT, "write to a clean page that was read: a fault again");
    check_equal(vm_write(&vm, BASE + HVPT_4K, 1).call, 1, "write to a dirty page");
    exit = vm_write(&vm, BASE + 2 * HVPT_4K, 1);
    check_equal(exit.esr, fault_syndrome(ACCESS_WRITE, 0x0f), "write to a page without the right: ESR_EL2");
    check_true(exit.stage2 && exit.fault.kind == HVPT_S2_FAULT_PERMISSION && !exit.fault.dirty_state,
               "write to a page without the right: decoded");
    finish(&vm, "stage 2");
}

void suite_indirect(struct frames *frames)
{
    check_group("indirect permissions, stage 1");
    if (cpu_field(cpu_read_mmfr3(), 8) != 0)
        check_stage1(frames);
    else
        check_skip("the CPU has not FEAT_S1PIE", "all of it");
    check_group("indirect permissions, stage 2");
    if (cpu_field(cpu_read_mmfr3(), 12) != 0)
        check_stage2(frames);
    else
        check_skip("the CPU has not FEAT_S2PIE", "all of it");
}
