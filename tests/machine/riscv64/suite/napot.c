/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Svnapot: sixteen entries that are one page of 64 KiB. Made where they fit, unmade when a part changes, and the guest
 * sees no difference. Manual, "Svnapot" Standard Extension for NAPOT Translation Contiguity: N set, low page-number
 * bits 1000.
 */
#include "suite.h"

#define BASE  (4 * HVPT_1G)
#define PAGES 16u

static unsigned count_napot(const struct vm *vm, uint64_t gpa, uint64_t hpa)
{
    uint64_t figure = (hpa >> 12 | 8) << 10 | PTE_N;
    unsigned count = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t *entry = paging_entry(&vm->paging, gpa + i * HVPT_4K, 0);

        count += entry != NULL && (*entry & ~UINT64_C(0x3ff)) == figure;
    }
    return count;
}

static unsigned count_plain(const struct vm *vm, uint64_t gpa, uint64_t hpa)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t *entry = paging_entry(&vm->paging, gpa + i * HVPT_4K, 0);

        count += entry != NULL && (*entry & ~UINT64_C(0x3ff)) == ((hpa >> 12) + i) << 10;
    }
    return count;
}

static void check_all_pages(struct vm *vm, uint64_t gpa, uint64_t hpa, unsigned but, const char *name)
{
    unsigned right = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t value = 0, tag = vm_tag(hpa + i * HVPT_4K + 0x308);

        right += i != but && vm_read(vm, gpa + i * HVPT_4K + 0x308, &value).cause == CAUSE_CALL_VS && value == tag;
    }
    check_equal(right, but < PAGES ? PAGES - 1 : PAGES, "%s: the guest reads all pages", name);
}

static void check_runs(struct frames *frames)
{
    struct paging_options options = {.features = HVPT_GSTAGE_USE_SVNAPOT};
    struct hvpt_mapping mapping;
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, &options);
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_64K, paging_attr(RW)), HVPT_OK, "map");
    check_equal(count_napot(&vm, BASE, VM_MEMORY), PAGES, "sixteen entries of a run");
    check_all_pages(&vm, BASE, VM_MEMORY, PAGES, "run");
    paging_translate(&vm.paging, BASE + 0x7654, &mapping);
    check_equal(mapping.hpa.value, VM_MEMORY + 0x7654, "translate: an address inside the run");
    check_true((mapping.attr.flags & HVPT_JOINED) != 0, "translate: says that it is one");

    check_equal(paging_map(&vm.paging, BASE + 3 * HVPT_64K - HVPT_4K, VM_MEMORY + 3 * HVPT_64K - HVPT_4K,
                           HVPT_64K + 2 * HVPT_4K, paging_attr(RW)),
                HVPT_OK, "map with ends that stick out");
    check_equal(count_napot(&vm, BASE + 3 * HVPT_64K, VM_MEMORY + 3 * HVPT_64K), PAGES, "the middle is a run");
    check_reads(&vm, BASE + 3 * HVPT_64K - HVPT_4K, VM_MEMORY + 3 * HVPT_64K - HVPT_4K, "the page before it");
    check_reads(&vm, BASE + 4 * HVPT_64K, VM_MEMORY + 4 * HVPT_64K, "the page after it");

    check_equal(paging_map(&vm.paging, BASE + 8 * HVPT_64K, VM_MEMORY + 8 * HVPT_64K + HVPT_4K, HVPT_64K,
                           paging_attr(RW)),
                HVPT_OK, "map what is not aligned alike");
    check_equal(count_napot(&vm, BASE + 8 * HVPT_64K, VM_MEMORY + 8 * HVPT_64K), 0, "not aligned alike: no run");
    check_reads(&vm, BASE + 8 * HVPT_64K + 0x4000, VM_MEMORY + 8 * HVPT_64K + 0x5000, "not aligned alike: read");

    /* A part changes: the run is unmade, the others stay */
    check_equal(paging_protect(&vm.paging, BASE + 5 * HVPT_4K, HVPT_4K, HVPT_READ), HVPT_OK, "protect one page");
    check_equal(count_napot(&vm, BASE, VM_MEMORY), 0, "protect one page: no entry of a run is left");
    check_equal(count_plain(&vm, BASE, VM_MEMORY), PAGES, "protect one page: sixteen pages with their own addresses");
    exit = vm_write(&vm, BASE + 5 * HVPT_4K, 1);
    check_fault(&vm, &exit, ACCESS_WRITE, BASE + 5 * HVPT_4K, "protect one page: write to it");
    check_equal(vm_write(&vm, BASE + 6 * HVPT_4K, 1).cause, CAUSE_CALL_VS, "protect one page: write to the next");
    check_all_pages(&vm, BASE, VM_MEMORY, PAGES, "protect one page");

    check_equal(paging_unmap(&vm.paging, BASE + 3 * HVPT_64K + 9 * HVPT_4K, HVPT_4K), HVPT_OK, "unmap one page");
    exit = vm_read(&vm, BASE + 3 * HVPT_64K + 9 * HVPT_4K, NULL);
    check_fault(&vm, &exit, ACCESS_READ, BASE + 3 * HVPT_64K + 9 * HVPT_4K, "unmap one page: read of it");
    check_all_pages(&vm, BASE + 3 * HVPT_64K, VM_MEMORY + 3 * HVPT_64K, 9, "unmap one page");
    check_equal(count_napot(&vm, BASE + 3 * HVPT_64K, VM_MEMORY + 3 * HVPT_64K), 0,
                "unmap one page: no entry of a run is left");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

/* Runs by way of other operations: a large page that is split, one page replaced, the whole protected at once. */
static void check_operations(struct frames *frames)
{
    struct paging_options options = {.features = HVPT_GSTAGE_USE_SVNAPOT};
    struct hvpt_collapse_report report = {0};
    struct hvpt_mapping mapping;
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RW));
    check_equal(paging_unmap(&vm.paging, BASE + HVPT_2M - HVPT_4K, HVPT_4K), HVPT_OK, "a page out of 2M: unmap");
    check_all_pages(&vm, BASE + HVPT_64K, VM_MEMORY + HVPT_64K, PAGES, "a page out of 2M");
    check_all_pages(&vm, BASE + HVPT_2M - HVPT_64K, VM_MEMORY + HVPT_2M - HVPT_64K, 15,
                    "a page out of 2M, at its place");

    paging_map(&vm.paging, 2 * BASE, VM_MEMORY, HVPT_64K, paging_attr(RW));
    check_equal(hvpt_space_replace(&vm.paging.space, hvpt_make_gpa(2 * BASE + 7 * HVPT_4K),
                                    hvpt_make_hpa(VM_MEMORY + HVPT_2M), HVPT_4K, paging_attr(RW), NULL),
                HVPT_OK, "replace one page");
    check_reads(&vm, 2 * BASE + 7 * HVPT_4K, VM_MEMORY + HVPT_2M, "replace one page: the guest sees the new one");
    check_all_pages(&vm, 2 * BASE, VM_MEMORY, 7, "replace one page");

    paging_map(&vm.paging, 3 * BASE, VM_MEMORY, HVPT_64K, paging_attr(RW));
    check_equal(paging_protect(&vm.paging, 3 * BASE, HVPT_64K, HVPT_READ), HVPT_OK, "protect a whole run");
    for (unsigned i = 0; i < PAGES; i += 5) {
        exit = vm_write(&vm, 3 * BASE + i * HVPT_4K, 1);
        check_equal(exit.cause, CAUSE_STORE_GUEST, "protect a whole run: write to page %u", i);
    }
    check_all_pages(&vm, 3 * BASE, VM_MEMORY, PAGES, "protect a whole run");

    /* Thirty-two runs become one page of 2 MiB */
    for (uint64_t at = 0; at < HVPT_2M; at += HVPT_64K)
        paging_map(&vm.paging, 4 * BASE + at, VM_MEMORY + at, HVPT_64K, paging_attr(RW));
    check_equal(count_napot(&vm, 4 * BASE + HVPT_2M - HVPT_64K, VM_MEMORY + HVPT_2M - HVPT_64K), PAGES,
                "collapse of runs: the last is one");
    check_equal(hvpt_space_collapse(&vm.paging.space, hvpt_make_gpa(4 * BASE), HVPT_2M, NULL, &report), HVPT_OK,
                "collapse of runs");
    check_equal(report.collapsed, 1, "collapse of runs: to one page");
    paging_translate(&vm.paging, 4 * BASE, &mapping);
    check_equal(mapping.page_size, HVPT_2M, "collapse of runs: of 2 MiB");
    check_all_pages(&vm, 4 * BASE + HVPT_64K, VM_MEMORY + HVPT_64K, PAGES, "collapse of runs");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "operations: every frame came back");
}

void suite_napot(struct frames *frames)
{
    struct vm vm;

    check_group("G-stage, runs of 64K");
    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_64K, paging_attr(RW));
    check_equal(count_plain(&vm, BASE, VM_MEMORY), PAGES, "without Svnapot: sixteen plain pages");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "without Svnapot: every frame came back");
    if (!machine.napot) {
        check_skip("the machine has no Svnapot", "with Svnapot");
        return;
    }
    check_runs(frames);
    check_operations(frames);
}
