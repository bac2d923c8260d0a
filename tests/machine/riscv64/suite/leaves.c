/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Leaves of every size in every mode, as hardware translates them: at their first byte, inside, at their last word. */
#include "suite.h"

#include "console.h"

/* Privileged manual, the figures of "Sv39: Page-Based 39-bit Virtual-Memory System"; A and D as they were preset. */
static uint64_t leaf_figure(uint64_t hpa)
{
    return hpa >> 12 << 10 | PTE_U | PTE_X | PTE_W | PTE_R | PTE_V;
}

static void check_place(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t at, const char *name)
{
    char text[80];
    uint64_t value = UINT64_C(0xfeed000000000000) + at, there = suite_reach(vm->paging.mode, gpa + at);

    print_to(text, sizeof(text), "%s: read at offset %lx", name, at);
    check_reads(vm, gpa + at, hpa + at, text);
    print_to(text, sizeof(text), "%s: HLV at offset %lx", name, at);
    check_hlv(vm, gpa + at, hpa + at, text);
    vm_write(vm, there, value);
    check_equal(*vm_host_word(hpa + at), value, "%s: write at offset %lx", name, at);
    vm_tag(hpa + at);
    check_equal(vm_fetch(vm, there).cause, CAUSE_CALL_VS, "%s: fetch at offset %lx", name, at);
}

static void check_leaf(struct frames *frames, unsigned mode, uint64_t gpa, unsigned level, const char *place)
{
    struct paging_options options = {.mode = mode};
    struct vm vm;
    struct hvpt_mapping mapping;
    char name[64];
    uint64_t size = HVPT_4K << (9 * level), hpa = vm_backing(size), *entry;

    vm_create(&vm, frames, &options);
    print_to(name, sizeof(name), "%s page %s", size_name(size), place);
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "%s: map", name);
    check_equal(paging_translate(&vm.paging, gpa + size - 1, &mapping), HVPT_OK, "%s: translate", name);
    check_equal(mapping.page_size, size, "%s: page size", name);
    check_equal(mapping.level, level, "%s: level", name);
    check_equal(mapping.hpa.value, hpa + size - 1, "%s: address", name);
    entry = paging_entry(&vm.paging, gpa, level);
    if (check_true(entry != NULL, "%s: a walk finds the leaf", name))
        check_equal(*entry & ~(PTE_A | PTE_D), leaf_figure(hpa), "%s: the leaf is as in the manual's figure", name);
    if (size <= HVPT_1G) {
        check_place(&vm, gpa, hpa, 0, name);
        check_place(&vm, gpa, hpa, size / 2 + 0x238, name);
        check_place(&vm, gpa, hpa, size - 8, name);
    } else { /* of so large a page, the part where the machine has memory */
        check_place(&vm, gpa, hpa, VM_MEMORY, name);
        check_place(&vm, gpa, hpa, VM_MEMORY + 0x1238, name);
        check_place(&vm, gpa, hpa, VM_END - 8, name);
    }
    if (gpa + size < paging_limit(mode)) {
        uint64_t beyond = suite_reach(mode, gpa + size);
        struct vm_exit exit = vm_read(&vm, beyond, NULL);

        print_to(name, sizeof(name), "%s page %s: just beyond", size_name(size), place);
        check_fault(&vm, &exit, ACCESS_READ, beyond, name);
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
    check_equal(vm_read(&vm, gpa - HVPT_4K, NULL).cause, CAUSE_LOAD_GUEST, "4K + 2M + 4K: nothing before");
    check_equal(vm_read(&vm, gpa + size, NULL).cause, CAUSE_LOAD_GUEST, "4K + 2M + 4K: nothing after");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "4K + 2M + 4K: every frame came back");
}

/* Several large pages side by side: each leads to its own piece of memory. */
static void check_row(struct frames *frames)
{
    struct vm vm;
    char name[48];

    vm_create(&vm, frames, NULL);
    check_equal(paging_map(&vm.paging, HVPT_1G, VM_MEMORY, 8 * HVPT_2M, paging_attr(RWX)), HVPT_OK, "8 x 2M: map");
    check_equal(paging_map(&vm.paging, 4 * HVPT_1G, 0, 4 * HVPT_1G, paging_attr(HVPT_READ)), HVPT_OK, "4 x 1G: map");
    for (uint64_t i = 0; i < 8; i++) {
        print_to(name, sizeof(name), "8 x 2M: page %lu", i);
        check_reads(&vm, HVPT_1G + i * HVPT_2M + 0x1230, VM_MEMORY + i * HVPT_2M + 0x1230, name);
    }
    check_reads(&vm, 4 * HVPT_1G + VM_MEMORY, VM_MEMORY, "4 x 1G: third page");
    check_reads(&vm, 4 * HVPT_1G + VM_GIANT, VM_GIANT, "4 x 1G: fourth page");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "rows of large pages: every frame came back");
}

void suite_leaves(struct frames *frames)
{
    static const char *const groups[] = {"G-stage, leaves of Sv39x4", "G-stage, leaves of Sv48x4",
                                         "G-stage, leaves of Sv57x4"};

    for (unsigned mode = MODE_SV39X4; mode <= MODE_SV57X4; mode++) {
        check_group(groups[mode - MODE_SV39X4]);
        for (unsigned level = 0; level < mode - 5; level++) {
            uint64_t size = HVPT_4K << (9 * level), low = size < HVPT_1G ? HVPT_1G : size;

            check_leaf(frames, mode, low, level, "low");
            check_leaf(frames, mode, paging_limit(mode) / 2 - size, level, "in the middle");
            check_leaf(frames, mode, paging_limit(mode) - size, level, "at the top");
        }
    }
    check_group("G-stage, leaves");
    check_mixed(frames);
    check_row(frames);
}
