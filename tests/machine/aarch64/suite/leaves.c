/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Leaves of every size: each translates its first, last and some inner word right, and its neighbours not at all. */
#include "suite.h"

#include "console.h"

static void check_leaf(struct frames *frames, unsigned granule_shift, int level, bool lpa2)
{
    uint64_t size = page_size_at(granule_shift, level), hpa = vm_backing(size), middle = vm_backing_offset(size);
    uint64_t gpa = size > HVPT_1G ? size : 6 * HVPT_1G, last;
    struct paging_options options = {granule_shift, 0, 0, 0, lpa2 ? HVPT_S2_USE_LPA2 : 0, 0};
    struct hvpt_mapping mapping;
    struct vm_exit exit;
    struct vm vm;
    char name[48];

    if (size > HVPT_1G)
        options.ipa_bits = 48; /* deep enough that such a page is not above the root */
    print_to(name, sizeof(name), "page of %s", size_name(size));
    create(&vm, frames, &options);
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "%s: map", name);
    paging_translate(&vm.paging, gpa, &mapping);
    check_equal(mapping.page_size, size, "%s: one leaf", name);
    check_equal((uint64_t)paging_walk(&vm.paging, gpa).level, (uint64_t)level, "%s: at its level", name);

    if (middle == 0) {
        check_reads(&vm, gpa, hpa, name);
        print_to(name, sizeof(name), "last word of a page of %s", size_name(size));
        check_reads(&vm, gpa + size - 8, hpa + size - 8, name);
        print_to(name, sizeof(name), "inner word of a page of %s", size_name(size));
        check_reads(&vm, gpa + size / 4 * 3 + 0x18, hpa + size / 4 * 3 + 0x18, name);
        last = hpa + size - 8;
        exit = vm_fetch(&vm, gpa + size - 8);
    } else { /* larger than memory: where there is some */
        check_reads(&vm, gpa + middle, hpa + middle, name);
        last = hpa + middle + 0x7ff8;
        exit = vm_write(&vm, gpa + middle + 0x7ff8, vm_tag(last));
        exit = vm_fetch(&vm, gpa + middle + 0x7ff8);
    }
    check_equal(exit.kind, VM_EXIT_CALL, "page of %s: fetch", size_name(size));
    exit = vm_write(&vm, gpa + (last - hpa), 0x5a5a);
    check_equal(exit.kind, VM_EXIT_CALL, "page of %s: write", size_name(size));
    check_equal(*vm_host_word(last), 0x5a5a, "page of %s: the write arrived", size_name(size));
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = i == 0 ? gpa - 8 : gpa + size;

        exit = vm_read(&vm, at, NULL);
        check_equal(exit.kind, VM_EXIT_FAULT, "page of %s: just %s it: a fault", size_name(size),
                    i == 0 ? "before" : "behind");
        check_equal(exit.hpfar, at >> 12 << 4, "page of %s: just %s it: HPFAR_EL2", size_name(size),
                    i == 0 ? "before" : "behind");
    }
    print_to(name, sizeof(name), "page of %s", size_name(size));
    finish(&vm, name);
}

/* A range that fits no single size takes the largest pages that fit in each part. */
static void check_mixed(struct frames *frames)
{
    /* From 32 MiB - 12 KiB on, 4 MiB and 20 KiB: three small pages, two of 2 MiB, two small ones. */
    uint64_t gpa = 0x2000000 - 3 * HVPT_4K, hpa = VM_MEMORY + HVPT_2M - 3 * HVPT_4K, size = 2 * HVPT_2M + 5 * HVPT_4K;
    struct hvpt_stats before, after;
    struct vm vm;

    create(&vm, frames, NULL);
    hvpt_space_stats(&vm.paging.s2, &before);
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "mixed range: map");
    hvpt_space_stats(&vm.paging.s2, &after);
    check_equal(after.leaves[0] - before.leaves[0], 5, "mixed range: small pages");
    check_equal(after.leaves[1] - before.leaves[1], 2, "mixed range: blocks");
    for (uint64_t offset = 0; offset < size; offset += HVPT_4K * 37) {
        uint64_t at = offset | 0x10;

        check_reads(&vm, gpa + at, hpa + at, "mixed range: a word in it");
    }
    check_reads(&vm, gpa + size - 8, hpa + size - 8, "mixed range: its last word");
    finish(&vm, "mixed range");
}

void suite_leaves(struct frames *frames)
{
    static const char *const groups[] = {"leaves, 4K granule", "leaves, 16K granule", "leaves, 64K granule"};

    for (unsigned i = 0; i < 3; i++) {
        unsigned granule_shift = 12 + 2 * i;
        bool lpa2 = paging_has_lpa2(granule_shift);

        check_group(groups[i]);
        if (!paging_has_granule(granule_shift)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        for (int level = 3; level >= first_leaf_level(granule_shift, lpa2); level--)
            check_leaf(frames, granule_shift, level, lpa2 && level < first_leaf_level(granule_shift, false));
    }
    check_group("leaves");
    check_mixed(frames);
}
