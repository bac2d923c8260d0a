/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Pages whose allocation tags the guest may not touch (FEAT_MTE_PERM): data goes through, LDG and STG fault at stage 2,
 * and the syndrome says that it was the tag. Arm ARM, "Stage 2 memory region type and cacheability attributes":
 * NoTagAccess; "ISS2 encoding for an exception from a Data Abort": TagAccess.
 */
#include "suite.h"

#include "cpu.h"

#define HCR_ATA        (UINT64_C(1) << 56)
#define HCR_DCT        (UINT64_C(1) << 57) /* memory is tagged without a stage 1 */
#define SCTLR_ATA      (UINT64_C(1) << 43)
#define ESR_TAG_ACCESS (UINT64_C(1) << 41)
#define BASE           HVPT_1G
#define MEMATTR        (UINT64_C(15) << 2)

/* MemAttr of write-back memory without tag access: with FEAT_S2FWB, and without. */
static uint64_t no_tag_access(bool fwb)
{
    return fwb ? 14 : 4;
}

static void check_no_access(struct frames *frames, bool fwb)
{
    struct paging_options options = {12, 0, 0, 0, fwb ? HVPT_S2_USE_FWB : 0, 0};
    struct hvpt_flush flush = {.kind = HVPT_FLUSH_TLBI, .gpa = {BASE}, .size = HVPT_4K};
    const char *const pieces[] = {guest_load_tag, guest_store_tag};
    struct hvpt_mapping mapping;
    struct vm_exit exit;
    struct walk walk;
    struct vm vm;

    create(&vm, frames, &options);
    vm.hcr = HCR_ATA | HCR_DCT;
    vm.sctlr = SCTLR_ATA;
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    vm.regs.x[0] = BASE;
    vm.regs.x[1] = UINT64_C(3) << 56;
    check_equal(vm_do(&vm, guest_store_tag, false).call, 1, "STG in a usual page");
    vm.regs.x[0] = BASE;
    vm.regs.x[1] = 0;
    check_equal(vm_do(&vm, guest_load_tag, false).call, 1, "LDG in a usual page");
    check_equal(vm.regs.x[1], UINT64_C(3) << 56, "LDG finds what STG wrote");

    walk = paging_walk(&vm.paging, BASE);
    *walk.entry = (walk.value & ~MEMATTR) | no_tag_access(fwb) << 2;
    vm.paging.hooks.flush(&vm.paging, &flush);
    check_reads(&vm, BASE, VM_MEMORY, "data is read");
    check_equal(vm_write(&vm, BASE, 1).call, 1, "data is written");
    paging_translate(&vm.paging, BASE, &mapping);
    check_equal(mapping.attr.memtype, HVPT_MEM_WB, "translate: the type is write-back");
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i == 0 ? "LDG" : "STG";
        const struct hvpt_s2_fault *fault = &exit.fault;

        vm.regs.x[0] = BASE;
        exit = vm_do(&vm, pieces[i], false);
        check_equal(exit.esr & ~UINT64_C(0x7f), UINT64_C(0x92000000) | ESR_TAG_ACCESS, "%s: ESR_EL2", name);
        check_equal(exit.esr & 0x3f, 0x0f, "%s: status", name);
        check_equal(exit.esr >> 6 & 1, i, "%s: WnR", name);
        check_true(exit.stage2 && fault->tag_access && fault->linear_valid && fault->linear == BASE
                       && !fault->instruction.valid && fault->access == (i == 0 ? (uint32_t)HVPT_READ : (uint32_t)HVPT_WRITE),
                   "%s: as the headers take it apart", name);
        check_equal(fault->kind, HVPT_S2_FAULT_PERMISSION, "%s: kind of fault", name);
    }
    *walk.entry = walk.value;
    vm.paging.hooks.flush(&vm.paging, &flush);
    check_equal(vm_run(&vm).call, 1, "the guest goes on once it may");
    finish(&vm, "tags");
}

void suite_tags(struct frames *frames)
{
    check_group("tags");
    if (cpu_field(cpu_read_pfr2(), 0) == 0 || cpu_field(cpu_read_pfr1(), 8) < 2) {
        check_skip("the machine has not FEAT_MTE_PERM and memory for tags", "all of it");
        return;
    }
    check_no_access(frames, false);
    check_group("tags, FWB");
    check_no_access(frames, true);
}
