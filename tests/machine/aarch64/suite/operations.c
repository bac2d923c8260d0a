/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Changes under a living guest: unmap, protect, split, collapse, replace, fault_map, reserve; in every granule. */
#include "suite.h"

#define BASE (4 * HVPT_1G)

static void check_unmap(struct frames *frames, const struct paging_options *options)
{
    uint64_t page = UINT64_C(1) << options->granule_shift;
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, options);
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, 2 * page, paging_attr(RWX)), HVPT_OK, "map two pages");
    check_reads(&vm, BASE, VM_MEMORY, "before unmap");
    check_equal(paging_unmap(&vm.paging, BASE, page), HVPT_OK, "unmap");
    exit = vm_read(&vm, BASE, NULL);
    check_fault(&vm, &exit, ACCESS_READ, FAULT_TRANSLATION, 3, BASE, "read after unmap");
    check_reads(&vm, BASE + page, VM_MEMORY + page, "the page beside it is still there");
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY + page * 4, page, paging_attr(RWX)), HVPT_OK, "map elsewhere");
    check_reads(&vm, BASE, VM_MEMORY + page * 4, "the guest sees the new page");
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, page, paging_attr(RWX)), HVPT_E_EXISTS,
                "mapping over it is refused");
    check_reads(&vm, BASE, VM_MEMORY + page * 4, "the guest still sees the new page");
    finish(&vm, "unmap");
}

/* A block that loses a part keeps the rest; at each level that has blocks. */
static void check_split(struct frames *frames, const struct paging_options *options)
{
    unsigned granule_shift = options->granule_shift;

    for (int level = 2; level >= first_leaf_level(granule_shift, false); level--) {
        uint64_t size = page_size_at(granule_shift, level), part = page_size_at(granule_shift, level + 1);
        uint64_t hpa = vm_backing(size), hole = 200 * part;
        struct hvpt_mapping mapping;
        struct vm_exit exit;
        struct vm vm;

        if (size > HVPT_1G)
            continue;
        create(&vm, frames, options);
        paging_map(&vm.paging, BASE, hpa, size, paging_attr(RWX));
        check_equal(paging_protect(&vm.paging, BASE + hole, part, HVPT_READ), HVPT_OK, "%s block: protect a part",
                    size_name(size));
        paging_translate(&vm.paging, BASE + hole, &mapping);
        check_equal(mapping.page_size, part, "%s block: the part is a page of its own", size_name(size));
        exit = vm_write(&vm, BASE + hole, 0);
        check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, level + 1, BASE + hole, "write to the protected part");
        check_reads(&vm, BASE + hole, hpa + hole, "reading the protected part");
        check_equal(vm_write(&vm, BASE + hole - 8, 7).kind, VM_EXIT_CALL, "%s block: write just before it",
                    size_name(size));
        check_equal(vm_write(&vm, BASE + hole + part, 7).kind, VM_EXIT_CALL, "%s block: write just after it",
                    size_name(size));
        check_equal(paging_unmap(&vm.paging, BASE + hole, part), HVPT_OK, "%s block: unmap the part", size_name(size));
        exit = vm_read(&vm, BASE + hole + part - 8, NULL);
        check_fault(&vm, &exit, ACCESS_READ, FAULT_TRANSLATION, level + 1, BASE + hole + part - 8, "read in the hole");
        check_reads(&vm, BASE + hole - 8, hpa + hole - 8, "just before the hole");
        check_reads(&vm, BASE + hole + part, hpa + hole + part, "just after the hole");
        check_reads(&vm, BASE + size - 8, hpa + size - 8, "at the end of what was the block");
        check_reads(&vm, BASE, hpa, "at its beginning");
        vm_tag(hpa + hole + part);
        check_equal(vm_fetch(&vm, BASE + hole + part).kind, VM_EXIT_CALL, "%s block: fetch beside the hole",
                    size_name(size));
        finish(&vm, "split");
    }
}

/* The guest works its way through a block; the host splits it, collapses it and moves a page of it in between. */
static void check_under_way(struct frames *frames, const struct paging_options *options)
{
    unsigned granule_shift = options->granule_shift;
    uint64_t page = UINT64_C(1) << granule_shift, size = page_size_at(granule_shift, 2), hpa = vm_backing(size);
    uint64_t count = 64, sum = 0, faults = 0, calls = 0, moved = VM_GIANT + 64 * page;
    struct hvpt_collapse_report report;
    struct vm vm;
    struct vm_exit exit;
    bool good = true;

    create(&vm, frames, options);
    for (uint64_t i = 0; i < count; i++) {
        *vm_host_word(hpa + i * page) = 3 * i;
        sum += 3 * i;
    }
    paging_map(&vm.paging, BASE, hpa, size, paging_attr(RW));
    vm.regs.x[0] = BASE;
    vm.regs.x[1] = count;
    vm.regs.x[2] = page;
    vm.regs.x[3] = 0;
    exit = vm_do(&vm, guest_sweep_calling, false);
    for (; calls < 4 * count; exit = vm_run(&vm)) {
        uint64_t at = BASE + (calls + 1) * page;
        enum hvpt_status status = HVPT_OK;

        if (exit.kind == VM_EXIT_FAULT) {
            faults++;
            at = exit.far & ~(page - 1);
            status = paging_walk(&vm.paging, at).valid
                       ? paging_protect(&vm.paging, at, page, RW)
                       : paging_map(&vm.paging, at, hpa + (at - BASE), page, paging_attr(RW));
        } else if (exit.kind != VM_EXIT_CALL || exit.call == 4) {
            break;
        } else if (++calls, calls % 8 == 1) {
            status = hvpt_space_split(&vm.paging.s2, hvpt_make_gpa(BASE), size, page, NULL);
        } else if (calls % 8 == 3) {
            status = paging_protect(&vm.paging, at, page, HVPT_READ);
        } else if (calls % 8 == 4) {
            status = paging_unmap(&vm.paging, at, page);
        } else if (calls % 8 == 6 && calls < count) {
            *vm_host_word(moved) = *vm_host_word(hpa + (at - BASE));
            status =
                hvpt_space_replace(&vm.paging.s2, hvpt_make_gpa(at), hvpt_make_hpa(moved), page, paging_attr(RW), NULL);
        } else if (calls % 8 == 7) {
            *vm_host_word(hpa + (calls - 1) * page) = *vm_host_word(moved);
            status = hvpt_space_replace(&vm.paging.s2, hvpt_make_gpa(BASE + (calls - 1) * page),
                                     hvpt_make_hpa(hpa + (calls - 1) * page), page, paging_attr(RW), NULL);
        } else if (calls % 8 == 0) {
            status = hvpt_space_collapse(&vm.paging.s2, hvpt_make_gpa(BASE), size, NULL, &report);
            good = good && report.collapsed == 1 && paging_walk(&vm.paging, BASE).level == 2;
        }
        if (!check_true(status == HVPT_OK, "under way: step %lu", calls))
            break;
    }
    check_equal(exit.call, 4, "under way: the guest comes to its end");
    check_equal(calls, count, "under way: it called after each page");
    check_equal(faults, 2 * count / 8, "under way: it faulted where rights or pages were missing");
    check_true(good, "under way: every collapse made one block");
    check_equal(vm.regs.x[3], sum, "under way: the guest read what the host had written");
    for (uint64_t i = 0; i < count; i++)
        good = good && *vm_host_word(hpa + i * page) == 3 * i + 1;
    check_true(good, "under way: and the host finds what the guest wrote");
    finish(&vm, "under way");
}

static void check_fault_map(struct frames *frames, const struct paging_options *options)
{
    uint64_t page = UINT64_C(1) << options->granule_shift, tag = vm_tag(VM_MEMORY + 0x10);
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, options);
    exit = vm_read(&vm, BASE + 0x10, NULL);
    check_fault(&vm, &exit, ACCESS_READ, FAULT_TRANSLATION, paging_walk(&vm.paging, BASE).level, BASE + 0x10,
                "fault_map: before");
    check_equal(hvpt_space_fault_map(&vm.paging.s2, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY), page,
                                  paging_attr(HVPT_READ)),
                HVPT_OK, "fault_map");
    exit = vm_run(&vm);
    check_equal(exit.kind, VM_EXIT_CALL, "fault_map: the guest goes on");
    check_equal(vm.regs.x[1], tag, "fault_map: the guest read the page");
    check_equal(hvpt_space_fault_map(&vm.paging.s2, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY), page,
                                  paging_attr(HVPT_READ)),
                HVPT_E_EXISTS, "fault_map: a second time is told so");
    finish(&vm, "fault_map");
}

/* With a reserve, an operation works although the allocator has nothing left. */
static void check_reserve(struct frames *frames, const struct paging_options *options)
{
    uint64_t page = UINT64_C(1) << options->granule_shift, need = 0;
    struct vm vm;

    create(&vm, frames, options);
    check_equal(hvpt_space_frames_needed(&vm.paging.s2, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY), page,
                                      paging_attr(RWX), &need),
                HVPT_OK, "frames_needed");
    check_equal(need, (uint64_t)(3 - paging_walk(&vm.paging, BASE).level),
                "frames_needed: a table for each level that is missing");
    check_equal(hvpt_space_reserve(&vm.paging.s2, need), HVPT_OK, "reserve");
    frames->refuse_after = 0;
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, page, paging_attr(RWX)), HVPT_OK,
                "map from the reserve, with no frame to be had");
    check_equal(paging_map(&vm.paging, BASE + 256 * HVPT_1G, VM_MEMORY, page, paging_attr(RWX)), HVPT_E_NOMEM,
                "map with neither");
    frames->refuse_after = FRAMES_NO_LIMIT;
    check_reads(&vm, BASE, VM_MEMORY, "the guest reads what was mapped from the reserve");
    finish(&vm, "reserve");
}

static void check_all(struct frames *frames, const struct paging_options *options)
{
    check_unmap(frames, options);
    check_split(frames, options);
    check_under_way(frames, options);
    check_fault_map(frames, options);
    check_reserve(frames, options);
}

void suite_operations(struct frames *frames)
{
    static const char *const groups[][2] = {
        {"operations, 4K granule", "operations, 4K granule, no break-before-make"},
        {"operations, 16K granule", "operations, 16K granule, no break-before-make"},
        {"operations, 64K granule", "operations, 64K granule, no break-before-make"},
    };

    for (unsigned i = 0; i < 3; i++) {
        struct paging_options options = {12 + 2 * i, 0, 0, 0, 0, 0};

        check_group(groups[i][0]);
        if (!paging_has_granule(options.granule_shift)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        check_all(frames, &options);
        check_group(groups[i][1]);
        options.features = HVPT_S2_USE_BBM2;
        if (paging_has(HVPT_S2_USE_BBM2))
            check_all(frames, &options);
        else
            check_skip("the CPU has not FEAT_BBM of level 2", "all of it");
    }
}
