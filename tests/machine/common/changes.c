/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Changes under a living guest: what was unmapped faults, what was moved is seen where it is now, splits lose nothing. For
 * x86 and RISC-V; suite/suite.h is the architecture's own.
 */
#include "suite/suite.h"

#define BASE HVPT_1G

static void check_unmap(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    check_reads(&vm, BASE, VM_MEMORY, "before unmap");
    check_equal(paging_unmap(&vm.paging, BASE, HVPT_4K), HVPT_OK, "unmap");
    exit = vm_read(&vm, BASE, NULL);
    check_refused(&vm, &exit, ACCESS_READ, 0, BASE, "read after unmap");

    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(RWX)), HVPT_OK, "map elsewhere");
    check_reads(&vm, BASE, VM_MEMORY + HVPT_4K, "the guest sees the new page");
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RWX)), HVPT_E_EXISTS,
                "mapping over it is refused");
    check_reads(&vm, BASE, VM_MEMORY + HVPT_4K, "the guest still sees the new page");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "unmap: every frame came back");
}

static void check_protect(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ | HVPT_WRITE));
    check_equal(exit_kind(vm_write(&vm, BASE, 1)), EXIT_CALL, "write before protect");
    check_equal(paging_protect(&vm.paging, BASE, HVPT_4K, HVPT_READ), HVPT_OK, "protect");
    exit = vm_write(&vm, BASE, 2);
    check_refused(&vm, &exit, ACCESS_WRITE, HVPT_READ, BASE, "write after protect");
    check_equal(*vm_host_word(VM_MEMORY), 1, "the refused write left no trace");
    check_equal(paging_protect(&vm.paging, BASE, HVPT_4K, HVPT_READ | HVPT_WRITE), HVPT_OK, "protect back");
    check_equal(exit_kind(vm_run(&vm)), EXIT_CALL, "the write goes on");
    check_equal(*vm_host_word(VM_MEMORY), 2, "the write arrived");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "protect: every frame came back");
}

/* A large page that is split keeps the rest of itself. size is the large page's, part the piece that is taken out of it. */
static void check_split(struct frames *frames, uint64_t size, uint64_t part, const char *name)
{
    uint64_t hpa = vm_backing(size), hole = 200 * part, gpa = 2 * HVPT_1G;
    struct vm vm;
    struct vm_exit exit;
    struct hvpt_mapping mapping;

    vm_create(&vm, frames, NULL);
    if (!suite_has_page(&vm, size)) {
        vm_destroy(&vm);
        check_skip("the CPU has no pages of this size", "%s", name);
        return;
    }
    paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX));
    check_equal(paging_protect(&vm.paging, gpa + hole, part, HVPT_READ), HVPT_OK, "%s: protect a part", name);
    paging_translate(&vm.paging, gpa + hole, &mapping);
    check_equal(mapping.page_size, part, "%s: the part is a page of its own", name);
    exit = vm_write(&vm, gpa + hole, 0);
    check_refused(&vm, &exit, ACCESS_WRITE, HVPT_READ, gpa + hole, "write to the protected part");
    check_reads(&vm, gpa + hole, hpa + hole, "reading the protected part");
    check_equal(exit_kind(vm_write(&vm, gpa + hole - 8, 7)), EXIT_CALL, "%s: write just before it", name);
    check_equal(exit_kind(vm_write(&vm, gpa + hole + part, 7)), EXIT_CALL, "%s: write just after it", name);

    check_equal(paging_unmap(&vm.paging, gpa + hole, part), HVPT_OK, "%s: unmap the part", name);
    exit = vm_read(&vm, gpa + hole + part - 8, NULL);
    check_refused(&vm, &exit, ACCESS_READ, 0, gpa + hole + part - 8, "read in the hole");
    check_reads(&vm, gpa + hole - 8, hpa + hole - 8, "just before the hole");
    check_reads(&vm, gpa + hole + part, hpa + hole + part, "just after the hole");
    check_reads(&vm, gpa + size - 8, hpa + size - 8, "at the end of what was the large page");
    check_equal(exit_kind(vm_fetch(&vm, gpa + hole + part)), EXIT_CALL, "%s: fetch beside the hole", name);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "%s: every frame came back", name);
}

/* The guest walks through a large page and calls after each small page of it; the host splits it on the way, and mends it. */
static void check_split_under_way(struct frames *frames)
{
    uint64_t sum = 0, faults = 0, calls = 0;
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    for (uint64_t i = 0; i < 512; i++) {
        *vm_host_word(VM_MEMORY + i * HVPT_4K) = 3 * i;
        sum += 3 * i + 1;
    }
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(HVPT_READ | HVPT_WRITE));
    sweep_prepare(&vm, BASE, 512);
    exit = vm_do(&vm, PIECE_SWEEP);
    while (sweep_left(&vm) != 0 && calls < 1000 && (exit_kind(exit) == EXIT_CALL || exit_is_fault(&exit))) {
        if (exit_is_fault(&exit)) {
            faults++;
            check_equal(exit_gpa(&exit), BASE + 300 * HVPT_4K, "split on the way: the fault is where it was protected");
            paging_protect(&vm.paging, BASE + 300 * HVPT_4K, HVPT_4K, HVPT_READ | HVPT_WRITE);
        } else {
            calls++;
            if (calls == 100)
                check_equal(paging_protect(&vm.paging, BASE + 300 * HVPT_4K, HVPT_4K, HVPT_READ), HVPT_OK,
                            "split on the way: protect after page 100");
            suite_skip(&vm, &exit);
        }
        exit = vm_run(&vm);
    }
    check_equal(faults, 1, "split on the way: one fault");
    check_equal(calls, 512, "split on the way: a call for each page");
    check_equal(sweep_sum(&vm), sum, "split on the way: the guest's sum");
    sum = 0;
    for (uint64_t i = 0; i < 512; i++)
        sum += *vm_host_word(VM_MEMORY + i * HVPT_4K) == 3 * i + 1;
    check_equal(sum, 512, "split on the way: every page was written once");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "split on the way: every frame came back");
}

/* An operation that finds no frame changes nothing that the guest could see. */
static void check_out_of_frames(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RWX));
    frames->refuse_after = 0;
    check_equal(paging_protect(&vm.paging, BASE, HVPT_4K, HVPT_READ), HVPT_E_NOMEM,
                "out of frames: a split is refused");
    check_equal(paging_map(&vm.paging, HVPT_512G, VM_MEMORY, HVPT_4K, paging_attr(RWX)), HVPT_E_NOMEM,
                "out of frames: new tables are refused");
    frames->refuse_after = FRAMES_NO_LIMIT;
    check_equal(exit_kind(vm_write(&vm, BASE, 7)), EXIT_CALL, "out of frames: the large page is what it was");
    exit = vm_read(&vm, HVPT_512G, NULL);
    check_refused(&vm, &exit, ACCESS_READ, 0, HVPT_512G, "out of frames: nothing new is mapped");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "out of frames: every frame came back");
}

void suite_changes(struct frames *frames)
{
    check_group(STAGE "changes");
    check_unmap(frames);
    check_protect(frames);
    check_group(STAGE "changes, 4K out of 2M");
    check_split(frames, HVPT_2M, HVPT_4K, "split");
    check_group(STAGE "changes, 2M out of 1G");
    check_split(frames, HVPT_1G, HVPT_2M, "split");
    check_group(STAGE "changes, 4K out of 1G");
    check_split(frames, HVPT_1G, HVPT_4K, "split");
    check_group(STAGE "changes");
    check_split_under_way(frames);
    check_out_of_frames(frames);
}
