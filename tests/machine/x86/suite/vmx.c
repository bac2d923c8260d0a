/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT entries broken by hand, rule by rule (SDM vol. 3, "EPT Misconfigurations"), and what is no misconfiguration. The
 * guest's access must end in an EPT misconfiguration, and go on once the entry is mended.
 */
#include "suite.h"

#include "console.h"
#include "cpu.h"

struct breakage {
    unsigned level; /* of the broken entry */
    uint64_t clear, set;
    const char *name;
};

#define PERMISSIONS UINT64_C(7)
#define MEMTYPE     UINT64_C(0x38)

/* For a space whose leaves at GPA are of this level. Bits from MAXPHYADDR up are tried by check_address_bits. */
static const struct breakage small_page[] = {
    {0, PERMISSIONS, 2, "leaf: writable, not readable"},
    {0, PERMISSIONS, 6, "leaf: writable and executable, not readable"},
    {0, MEMTYPE, 2 << 3, "leaf: memory type 2"},
    {0, MEMTYPE, 3 << 3, "leaf: memory type 3"},
    {0, MEMTYPE, 7 << 3, "leaf: memory type 7"},
    {1, 0, 1 << 3, "directory entry: bit 3"},
    {1, 0, 1 << 4, "directory entry: bit 4"},
    {1, 0, 1 << 5, "directory entry: bit 5"},
    {1, 0, 1 << 6, "directory entry: bit 6"},
    {1, PERMISSIONS, 2, "directory entry: writable, not readable"},
    {2, 0, 1 << 3, "directory-pointer entry: bit 3"},
    {2, 0, 1 << 6, "directory-pointer entry: bit 6"},
    {2, PERMISSIONS, 6, "directory-pointer entry: writable and executable, not readable"},
    {3, 0, 1 << 3, "PML4 entry: bit 3"},
    {3, 0, 1 << 6, "PML4 entry: bit 6"},
    {3, 0, 1 << 7, "PML4 entry: bit 7"},
    {3, PERMISSIONS, 2, "PML4 entry: writable, not readable"},
};
static const struct breakage large_page[] = {
    {1, 0, 1 << 12, "leaf: bit 12"},
    {1, 0, 1 << 13, "leaf: bit 13"},
    {1, 0, 1 << 20, "leaf: bit 20"},
    {1, MEMTYPE, 2 << 3, "leaf: memory type 2"},
    {1, MEMTYPE, 3 << 3, "leaf: memory type 3"},
    {1, MEMTYPE, 7 << 3, "leaf: memory type 7"},
    {1, PERMISSIONS, 2, "leaf: writable, not readable"},
};
static const struct breakage giant_page[] = {
    {2, 0, 1 << 12, "leaf: bit 12"},
    {2, 0, 1 << 21, "leaf: bit 21"},
    {2, 0, 1 << 29, "leaf: bit 29"},
    {2, MEMTYPE, 7 << 3, "leaf: memory type 7"},
};

/* What hardware ignores: not one of these may be noticed. */
static const struct breakage ignored[] = {
    {0, 0, 1 << 7, "leaf: bit 7 of a 4 KiB page"},
    {0, 0, 1 << 11, "leaf: bit 11"},
    {0, 0, UINT64_C(0x00f0000000000000), "leaf: bits 55:52"},
    {0, 0, UINT64_C(1) << 62, "leaf: bit 62"},
    {0, 0, UINT64_C(1) << 63, "leaf: bit 63, without #VE"},
    {1, 0, 1 << 11, "directory entry: bit 11"},
    {1, 0, UINT64_C(0x7ff0000000000000), "directory entry: bits 62:52"},
    {3, 0, UINT64_C(0x7ff0000000000000), "PML4 entry: bits 62:52"},
};

static void check_breakage(struct vm *vm, uint64_t gpa, uint64_t at, const struct breakage *what, const char *page)
{
    uint64_t *entry = paging_entry(&vm->paging, gpa, what->level);
    uint64_t good;
    struct vm_exit exit;

    if (!check_true(entry != NULL, "%s, %s: a walk finds the entry", page, what->name))
        return;
    good = *entry;
    *entry = (good & ~what->clear) | what->set;
    paging_flush_all(&vm->paging);
    exit = vm_read(vm, at, NULL);
    *entry = good;
    paging_flush_all(&vm->paging);
    if (!check_equal(exit.reason, 49, "%s, %s: misconfiguration", page, what->name))
        return;
    check_equal(exit.gpa, at, "%s, %s: guest-physical address", page, what->name);
    check_equal(vm_run(vm).kind, VM_EXIT_CALL, "%s, %s: goes on once it is mended", page, what->name);
}

static void check_address_bits(struct vm *vm, uint64_t gpa, uint64_t at, unsigned leaf, const char *page)
{
    unsigned first = cpu_physical_address_bits();
    char name[64];

    for (unsigned level = leaf; level < 4; level++) {
        for (unsigned bit = first; bit < 52; bit += level == leaf ? 1 : 51 - first) {
            struct breakage what = {level, 0, UINT64_C(1) << bit, name};

            print_to(name, sizeof(name), "level %u: address bit %u", level, bit);
            check_breakage(vm, gpa, at, &what, page);
        }
    }
}

static void check_ignored(struct vm *vm, uint64_t gpa)
{
    for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        uint64_t *entry = paging_entry(&vm->paging, gpa, ignored[i].level), good = *entry;

        *entry |= ignored[i].set;
        paging_flush_all(&vm->paging);
        check_reads(vm, gpa, VM_MEMORY, ignored[i].name);
        *entry = good;
        paging_flush_all(&vm->paging);
    }
}

/* An entry that gives no permission at all is not present, whatever else it says: a violation, not a misconfiguration. */
static void check_not_present(struct vm *vm, uint64_t gpa)
{
    for (unsigned level = 0; level < 4; level++) {
        uint64_t *entry = paging_entry(&vm->paging, gpa, level), good = *entry;
        struct vm_exit exit;

        *entry = ~PERMISSIONS & ~(UINT64_C(1) << 10);
        paging_flush_all(&vm->paging);
        exit = vm_read(vm, gpa, NULL);
        check_equal(exit.reason, 48, "not present at level %u, all other bits set: violation", level);
        check_equal(exit.info, 0x181 | advanced_information(vm),
                    "not present at level %u, all other bits set: qualification", level);
        *entry = good;
        paging_flush_all(&vm->paging);
    }
}

/* The permissions in the qualification are those of all levels together. */
static void check_intersection(struct vm *vm, uint64_t gpa)
{
    for (unsigned level = 1; level < 4; level++) {
        uint64_t *entry = paging_entry(&vm->paging, gpa, level), good = *entry;
        struct vm_exit exit;

        *entry = (good & ~PERMISSIONS) | HVPT_READ;
        paging_flush_all(&vm->paging);
        exit = vm_write(vm, gpa, 1);
        check_equal(exit.info, 0x18a | advanced_information(vm), "read-only by level %u: write, qualification", level);
        exit = vm_fetch(vm, gpa);
        check_equal(exit.info, 0x18c | advanced_information(vm), "read-only by level %u: fetch, qualification", level);
        *entry = good;
        paging_flush_all(&vm->paging);
    }
}

void suite_vmx(struct frames *frames)
{
    uint64_t gpa = 3 * HVPT_512G / 2;
    struct vm vm;

    check_group("EPT");
    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, gpa, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    vm_tag(VM_MEMORY);
    for (unsigned i = 0; i < sizeof(small_page) / sizeof(small_page[0]); i++)
        check_breakage(&vm, gpa, gpa, &small_page[i], "4K page");
    check_address_bits(&vm, gpa, gpa, 0, "4K page");
    check_ignored(&vm, gpa);
    check_not_present(&vm, gpa);
    check_intersection(&vm, gpa);
    paging_unmap(&vm.paging, gpa, HVPT_4K);

    paging_map(&vm.paging, gpa, VM_MEMORY, HVPT_2M, paging_attr(RWX));
    for (unsigned i = 0; i < sizeof(large_page) / sizeof(large_page[0]); i++)
        check_breakage(&vm, gpa, gpa + 0x1000, &large_page[i], "2M page");
    check_address_bits(&vm, gpa, gpa + 0x1000, 1, "2M page");
    paging_unmap(&vm.paging, gpa, HVPT_2M);

    if (paging_largest_page(&vm.paging) == HVPT_1G) {
        paging_map(&vm.paging, gpa, VM_GIANT, HVPT_1G, paging_attr(RWX));
        for (unsigned i = 0; i < sizeof(giant_page) / sizeof(giant_page[0]); i++)
            check_breakage(&vm, gpa, gpa + HVPT_2M, &giant_page[i], "1G page");
        check_address_bits(&vm, gpa, gpa + HVPT_2M, 2, "1G page");
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
