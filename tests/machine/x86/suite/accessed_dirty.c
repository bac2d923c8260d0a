/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Accessed and dirty bits that the emulated hardware sets, read back through the library and past it. */
#include "suite.h"

#include "console.h"

/* SDM vol. 3, "Accessed and Dirty Flags for EPT": bits 8 and 9. APM vol. 2, page-table entries: bits 5 and 6. */
static uint64_t accessed_bit(const struct vm *vm)
{
    return UINT64_C(1) << (vm->svm ? 5 : 8);
}

static uint64_t dirty_bit(const struct vm *vm)
{
    return UINT64_C(1) << (vm->svm ? 6 : 9);
}

static void check_flags(struct vm *vm, uint64_t gpa, unsigned level, bool accessed, bool dirty, const char *name)
{
    uint64_t *entry = paging_entry(&vm->paging, gpa, level);
    struct hvpt_mapping mapping;

    if (!check_true(entry != NULL, "%s: a walk finds the leaf", name))
        return;
    check_equal((*entry & accessed_bit(vm)) != 0, accessed, "%s: accessed in the leaf", name);
    check_equal((*entry & dirty_bit(vm)) != 0, dirty, "%s: dirty in the leaf", name);
    check_equal(paging_translate(&vm->paging, gpa, &mapping), HVPT_OK, "%s: translate", name);
    check_equal(mapping.attr.flags & (HVPT_ACCESSED | HVPT_DIRTY),
                (accessed ? (unsigned)HVPT_ACCESSED : 0) | (dirty ? (unsigned)HVPT_DIRTY : 0), "%s: as translate tells",
                name);
}

void suite_accessed_dirty(struct frames *frames)
{
    struct paging_options options = {0, true, 0};
    struct vm vm;
    char name[48];

    check_group("accessed and dirty");
    vm_create(&vm, frames, &options);
    for (unsigned level = 0; level < 3; level++) {
        uint64_t size = HVPT_4K << (9 * level), gpa = 64 * HVPT_1G, at = gpa + size / 2;

        if (size > paging_largest_page(&vm.paging))
            continue;
        paging_map(&vm.paging, gpa, vm_backing(size), size, paging_attr(RWX));
        print_to(name, sizeof(name), "%s page, untouched", size_name(size));
        check_flags(&vm, gpa, level, false, false, name);
        vm_read(&vm, at, NULL);
        print_to(name, sizeof(name), "%s page, read", size_name(size));
        check_flags(&vm, gpa, level, true, false, name);
        vm_write(&vm, at, 1);
        print_to(name, sizeof(name), "%s page, written", size_name(size));
        check_flags(&vm, gpa, level, true, true, name);
        if (level > 0) { /* a split keeps them in every part */
            uint64_t part = size >> 9;

            paging_protect(&vm.paging, gpa + part, part, HVPT_READ);
            print_to(name, sizeof(name), "%s page, written, split", size_name(size));
            check_flags(&vm, gpa, level - 1, true, true, name);
            check_flags(&vm, gpa + 5 * part, level - 1, true, true, name);
        }
        paging_unmap(&vm.paging, gpa, size);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
