/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Leaves of every size, as hardware translates them: at their first byte, inside, at their last word; in every place. */
#include "suite.h"

#include "console.h"
#include "cpu.h"

/* What the manuals' figures say a leaf with all permissions and write-back memory looks like. */
static uint64_t leaf_figure(const struct vm *vm, uint64_t hpa, unsigned level)
{
    uint64_t large = level > 0 ? UINT64_C(1) << 7 : 0;

    if (vm->svm)
        return hpa | large | 1 << 2 | 1 << 1
             | 1;                    /* APM vol. 2, "Nested Paging": user, writable, present; PAT entry 0 */
    return hpa | large | 6 << 3 | 7; /* SDM vol. 3, "Format of an EPT Page-Table Entry ...": WB, execute, write, read */
}

static void check_page(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t at, const char *name)
{
    char text[80];
    uint64_t value = UINT64_C(0xfeed0000) + at;

    print_to(text, sizeof(text), "%s: read at offset %lx", name, at);
    check_reads(vm, gpa + at, hpa + at, text);
    vm_write(vm, gpa + at, value);
    check_equal(*vm_host_word(hpa + at), value, "%s: write at offset %lx", name, at);
    vm_tag(hpa + at);
    check_equal(vm_fetch(vm, gpa + at).kind, VM_EXIT_CALL, "%s: fetch at offset %lx", name, at);
}

static void check_leaf(struct frames *frames, uint64_t gpa, uint64_t size, unsigned level, const char *place)
{
    struct vm vm;
    struct hvpt_mapping mapping;
    char name[64];
    uint64_t hpa = vm_backing(size), *entry;

    vm_create(&vm, frames, NULL);
    print_to(name, sizeof(name), "%s page %s", size_name(size), place);
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "%s: map", name);
    check_equal(paging_translate(&vm.paging, gpa + size - 1, &mapping), HVPT_OK, "%s: translate", name);
    check_equal(mapping.page_size, size, "%s: page size", name);
    check_equal(mapping.level, level, "%s: level", name);
    entry = paging_entry(&vm.paging, gpa, level);
    if (check_true(entry != NULL, "%s: a walk finds the leaf", name))
        check_equal(*entry, leaf_figure(&vm, hpa, level), "%s: the leaf is as in the manual's figure", name);
    check_page(&vm, gpa, hpa, 0, name);
    check_page(&vm, gpa, hpa, size / 2 + 0x238, name);
    check_page(&vm, gpa, hpa, size - 8, name);
    if (gpa + size < UINT64_C(1) << cpu_physical_address_bits()) {
        struct vm_exit exit = vm_read(&vm, gpa + size, NULL);

        print_to(name, sizeof(name), "%s page %s: just beyond", size_name(size), place);
        check_fault(&vm, &exit, ACCESS_READ, 0, gpa + size, name);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "%s page %s: every frame came back", size_name(size), place);
}

/* A range that no single page size fits is made of the largest that do. */
static void check_mixed(struct frames *frames)
{
    uint64_t gpa = 2 * HVPT_2M - 2 * HVPT_4K, hpa = VM_MEMORY + HVPT_2M - 2 * HVPT_4K, size = HVPT_2M + 3 * HVPT_4K;
    struct vm vm;
    struct hvpt_mapping mapping;

    vm_create(&vm, frames, NULL);
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "4K + 2M + 4K: map");
    paging_translate(&vm.paging, gpa + HVPT_4K, &mapping);
    check_equal(mapping.page_size, HVPT_4K, "4K + 2M + 4K: the head is small pages");
    paging_translate(&vm.paging, 2 * HVPT_2M, &mapping);
    check_equal(mapping.page_size, HVPT_2M, "4K + 2M + 4K: the middle is one large page");
    check_reads(&vm, gpa, hpa, "4K + 2M + 4K: first word");
    check_reads(&vm, 2 * HVPT_2M - 8, VM_MEMORY + HVPT_2M - 8, "4K + 2M + 4K: last word of the head");
    check_reads(&vm, 2 * HVPT_2M, VM_MEMORY + HVPT_2M, "4K + 2M + 4K: first word of the large page");
    check_reads(&vm, 3 * HVPT_2M - 8, VM_MEMORY + 2 * HVPT_2M - 8, "4K + 2M + 4K: last word of the large page");
    check_reads(&vm, gpa + size - 8, hpa + size - 8, "4K + 2M + 4K: last word");
    check_equal(vm_read(&vm, gpa - HVPT_4K, NULL).kind, VM_EXIT_FAULT, "4K + 2M + 4K: nothing before");
    check_equal(vm_read(&vm, gpa + size, NULL).kind, VM_EXIT_FAULT, "4K + 2M + 4K: nothing after");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "4K + 2M + 4K: every frame came back");
}

void suite_leaves(struct frames *frames)
{
    struct vm vm;
    uint64_t top = UINT64_C(1) << cpu_physical_address_bits();
    uint64_t largest;

    check_group("leaves");
    vm_create(&vm, frames, NULL);
    largest = paging_largest_page(&vm.paging);
    vm_destroy(&vm);
    for (unsigned level = 0; level < 3; level++) {
        uint64_t size = HVPT_4K << (9 * level);

        if (size > largest) {
            check_skip("the CPU has no pages of this size", "%s page", size_name(size));
            continue;
        }
        check_leaf(frames, HVPT_1G, size, level, "at 1 GiB");
        check_leaf(frames, HVPT_512G, size, level, "at 512 GiB");
        check_leaf(frames, 7 * HVPT_1G + 5 * size, size, level, "in between");
        check_leaf(frames, top - size, size, level, "at the top");
    }
    check_mixed(frames);
}
