/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * replace, split, collapse, fault_map and reserve under a living guest. For x86 and RISC-V; suite/suite.h is the
 * architecture's own.
 */
#include "suite/suite.h"

#define BASE HVPT_1G

static void check_replace(struct frames *frames)
{
    struct vm vm;
    struct hvpt_flush flush = {0};
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RWX));
    check_reads(&vm, BASE + 0x5000, VM_MEMORY + 0x5000, "replace: the old page");
    check_equal(hvpt_space_replace(&vm.paging.space, hvpt_make_gpa(BASE + 0x5000), hvpt_make_hpa(VM_MEMORY + HVPT_2M),
                                   HVPT_4K, paging_attr(HVPT_READ), &flush),
                HVPT_OK, "replace: one page in the middle of a large one");
    check_true(hvpt_flush_needed(&flush), "replace: asks for a flush");
    hvpt_space_flush(&vm.paging.space, &flush);
    check_reads(&vm, BASE + 0x5000, VM_MEMORY + HVPT_2M, "replace: the guest sees the new page after the flush");
    exit = vm_write(&vm, BASE + 0x5000, 1);
    check_refused(&vm, &exit, ACCESS_WRITE, HVPT_READ, BASE + 0x5000, "replace: with the new page's rights");
    check_reads(&vm, BASE + 0x4ff8, VM_MEMORY + 0x4ff8, "replace: just before it, the old");
    check_reads(&vm, BASE + 0x6000, VM_MEMORY + 0x6000, "replace: just after it, the old");
    check_equal(hvpt_space_replace(&vm.paging.space, hvpt_make_gpa(BASE + HVPT_2M), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                                   paging_attr(RWX), NULL),
                HVPT_E_ABSENT, "replace: nothing to replace is refused");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "replace: every frame came back");
}

/* Split to the smallest pages and back; the guest works in between and sees no difference. */
static void check_split_collapse(struct frames *frames, bool hardware_bits)
{
    struct paging_options options = suite_options(hardware_bits);
    struct hvpt_collapse_report report;
    struct hvpt_mapping mapping;
    struct vm vm;
    unsigned held;

    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RWX));
    held = frames->held;
    vm_write(&vm, BASE + 0x7000, 0x77);
    check_equal(hvpt_space_split(&vm.paging.space, hvpt_make_gpa(BASE), HVPT_2M, HVPT_4K, NULL), HVPT_OK, "split");
    paging_translate(&vm.paging, BASE + 0x9000, &mapping);
    check_equal(mapping.page_size, HVPT_4K, "split: small pages");
    check_equal(frames->held, held + 1, "split: one more table");
    check_reads(&vm, BASE, VM_MEMORY, "split: the guest reads the first word");
    check_reads(&vm, BASE + HVPT_2M - 8, VM_MEMORY + HVPT_2M - 8, "split: the guest reads the last word");
    check_equal(exit_kind(vm_fetch(&vm, BASE)), EXIT_CALL, "split: the guest may still fetch");
    vm_write(&vm, BASE + 0x8000, 0x88);
    check_equal(hvpt_space_collapse(&vm.paging.space, hvpt_make_gpa(BASE), HVPT_2M, NULL, &report), HVPT_OK,
                "collapse");
    check_equal(report.collapsed, 1, "collapse: one table became a page");
    paging_translate(&vm.paging, BASE + 0x9000, &mapping);
    check_equal(mapping.page_size, HVPT_2M, "collapse: one large page");
    if (suite_keeps_bits(&vm, hardware_bits))
        check_equal(mapping.attr.flags & (HVPT_ACCESSED | HVPT_DIRTY), HVPT_ACCESSED | HVPT_DIRTY,
                    "collapse: accessed and dirty, as its parts were");
    check_equal(frames->held, held, "collapse: the table's frame came back");
    check_reads(&vm, BASE + HVPT_2M - 8, VM_MEMORY + HVPT_2M - 8, "collapse: the guest reads the last word");
    check_equal(exit_kind(vm_write(&vm, BASE + 0x9000, 0x99)), EXIT_CALL, "collapse: the guest may still write");
    check_equal(*vm_host_word(VM_MEMORY + 0x7000) + *vm_host_word(VM_MEMORY + 0x8000)
                    + *vm_host_word(VM_MEMORY + 0x9000),
                0x77 + 0x88 + 0x99, "collapse: all that the guest wrote is there");

    /* A page that differs keeps the table */
    paging_protect(&vm.paging, BASE + 0x3000, HVPT_4K, HVPT_READ);
    check_equal(hvpt_space_collapse(&vm.paging.space, hvpt_make_gpa(BASE), HVPT_2M, NULL, &report), HVPT_OK,
                "collapse: with one page that differs");
    check_equal(report.collapsed, 0, "collapse: with one page that differs, nothing");
    check_equal(report.obstacle, HVPT_OBSTACLE_ATTR, "collapse: with one page that differs, the reason");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "split and collapse: every frame came back");
}

static void check_fault_map(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    uint64_t tag = vm_tag(VM_MEMORY + 0x10);

    vm_create(&vm, frames, NULL);
    exit = vm_read(&vm, HVPT_512G + 0x10, NULL);
    check_refused(&vm, &exit, ACCESS_READ, 0, HVPT_512G + 0x10, "fault_map: before");
    check_equal(hvpt_space_fault_map(&vm.paging.space, hvpt_make_gpa(HVPT_512G), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                                     paging_attr(HVPT_READ)),
                HVPT_OK, "fault_map");
    exit = vm_run(&vm);
    check_equal(exit_kind(exit), EXIT_CALL, "fault_map: the guest goes on");
    check_equal(suite_read_result(&vm), tag, "fault_map: the guest read the page");
    check_equal(hvpt_space_fault_map(&vm.paging.space, hvpt_make_gpa(HVPT_512G), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                                     paging_attr(HVPT_READ)),
                HVPT_E_EXISTS, "fault_map: a second time is told so");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "fault_map: every frame came back");
}

/* With a reserve, an operation works although the allocator has nothing left. */
static void check_reserve(struct frames *frames)
{
    struct vm vm;
    uint64_t need = 0;

    vm_create(&vm, frames, NULL);
    check_equal(hvpt_space_frames_needed(&vm.paging.space, hvpt_make_gpa(HVPT_512G), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                                         paging_attr(RWX), &need),
                HVPT_OK, "frames_needed");
    check_equal(need, 3, "frames_needed: a page far from all others needs three tables");
    check_equal(hvpt_space_reserve(&vm.paging.space, need), HVPT_OK, "reserve");
    frames->refuse_after = 0;
    check_equal(paging_map(&vm.paging, HVPT_512G, VM_MEMORY, HVPT_4K, paging_attr(RWX)), HVPT_OK,
                "map from the reserve, with no frame to be had");
    frames->refuse_after = FRAMES_NO_LIMIT;
    check_reads(&vm, HVPT_512G, VM_MEMORY, "the guest reads what was mapped from the reserve");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "reserve: every frame came back");
}

void suite_operations(struct frames *frames)
{
    check_group(STAGE "operations");
    check_replace(frames);
    check_fault_map(frames);
    check_reserve(frames);
    check_group(STAGE "operations, hardware told to keep no accessed and dirty bits");
    check_split_collapse(frames, false);
    check_group(STAGE "operations, hardware told to keep accessed and dirty bits");
    if (suite_hardware_bits())
        check_split_collapse(frames, true);
    else
        check_skip("this machine's hardware does not set the bits", "split and collapse");
}
