/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT entries broken by hand: reserved bits (APM vol. 2, "Nested Paging", and the page-table figures of long mode), the user
 * bit, which every nested access needs, and what the CPU ignores. EXITINFO1 as in APM vol. 2, "Nested Table Walk".
 */
#include "suite.h"

#include "console.h"
#include "cpu.h"

#define FINAL (UINT64_C(1) << 32)
#define WALK  (UINT64_C(1) << 33)
#define P     UINT64_C(1)
#define RW    UINT64_C(2)
#define US    UINT64_C(4)
#define RSV   UINT64_C(8)
#define ID    UINT64_C(16)
#define NX    (UINT64_C(1) << 63)
#define EFER  0xc0000080u
#define NXE   (UINT64_C(1) << 11)

struct breakage {
    unsigned level;
    uint64_t clear, set, info;
    const char *name;
};

/* The one PML5 entry in use serves the guest's own page tables, too, and they are reached first: a write by the walk. */
#define TOP_INFO (WALK | US | RW | RSV | P)

static const struct breakage small_page[] = {
    {0, US, 0, FINAL | US | P, "leaf: supervisor only"},
    {1, US, 0, FINAL | US | P, "directory entry: supervisor only"},
    {2, US, 0, FINAL | US | P, "directory-pointer entry: supervisor only"},
    {3, US, 0, FINAL | US | P, "PML4 entry: supervisor only"},
    {0, P, 0, FINAL | US, "leaf: not present"},
    {1, P, 0, FINAL | US, "directory entry: not present"},
    {2, P, 0, FINAL | US, "directory-pointer entry: not present"},
    {3, P, 0, FINAL | US, "PML4 entry: not present"},
    {3, 0, 1 << 7, FINAL | US | RSV | P, "PML4 entry: bit 7"},
};
static const struct breakage large_page[] = {
    {1, 0, 1 << 13, FINAL | US | RSV | P, "leaf: bit 13"},
    {1, 0, 1 << 20, FINAL | US | RSV | P, "leaf: bit 20"},
};
static const struct breakage giant_page[] = {
    {2, 0, 1 << 13, FINAL | US | RSV | P, "leaf: bit 13"},
    {2, 0, 1 << 29, FINAL | US | RSV | P, "leaf: bit 29"},
};
static const struct breakage ignored[] = {
    {0, 0, UINT64_C(7) << 9, 0, "leaf: bits 11:9"},
    {0, 0, UINT64_C(0x07f0000000000000), 0, "leaf: bits 58:52"},
    {0, 0, 1 << 8, 0, "leaf: the global bit"},
    {1, 0, UINT64_C(0x07f0000000000000), 0, "directory entry: bits 58:52"},
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
    if (!check_equal(exit.reason, 0x400, "%s, %s: nested page fault", page, what->name))
        return;
    /* Whether P goes with RSV is a question of its own, see suite_svm */
    check_equal(what->info & RSV ? exit.info | P : exit.info, what->info, "%s, %s: EXITINFO1", page, what->name);
    check_equal(exit.gpa, what->info & WALK ? GUEST_PML4 : at, "%s, %s: guest-physical address", page, what->name);
    check_equal(vm_run(vm).kind, VM_EXIT_CALL, "%s, %s: goes on once it is mended", page, what->name);
}

static void check_address_bits(struct vm *vm, uint64_t gpa, uint64_t at, unsigned leaf, const char *page)
{
    unsigned first = cpu_physical_address_bits();
    char name[64];

    for (unsigned level = leaf; level < vm->paging.levels; level++) {
        for (unsigned bit = first; bit < 52; bit += 51 - first) {
            struct breakage what = {level, 0, UINT64_C(1) << bit, level == 4 ? TOP_INFO : FINAL | US | RSV | P, name};

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

/* The host's EFER.NXE decides what bit 63 means in its nested tables. */
static void check_nxe(struct vm *vm, uint64_t gpa)
{
    uint64_t *entry = paging_entry(&vm->paging, gpa, 0), good = *entry, efer;
    struct vm_exit exit;

    *entry |= NX;
    paging_flush_all(&vm->paging);
    exit = vm_fetch(vm, gpa);
    check_equal(exit.info, FINAL | ID | US | P, "NX leaf, host's NXE on: fetch, EXITINFO1");
    check_reads(vm, gpa, VM_MEMORY, "NX leaf, host's NXE on: read");
    cpu_rdmsr(EFER, &efer);
    if (check_true(cpu_wrmsr(EFER, efer & ~NXE), "the host's NXE can be turned off")) {
        paging_flush_all(&vm->paging);
        exit = vm_read(vm, gpa, NULL);
        check_equal(exit.reason, 0x400, "NX leaf, host's NXE off: read, nested page fault");
        check_equal(exit.info | P, FINAL | US | RSV | P, "NX leaf, host's NXE off: read, EXITINFO1");
        cpu_wrmsr(EFER, efer);
    }
    *entry = good;
    paging_flush_all(&vm->paging);
}

/* The entry was present, and P says so: APM vol. 2, "Page-Fault Error Code", RSV is for a fault on a present entry. */
static void check_reserved_is_present(struct vm *vm, uint64_t gpa)
{
    uint64_t *entry = paging_entry(&vm->paging, gpa, 0), good = *entry;

    *entry |= UINT64_C(1) << 51;
    paging_flush_all(&vm->paging);
    check_equal(vm_read(vm, gpa, NULL).info & P, P, "a reserved bit in a present entry: P is set");
    *entry = good;
    paging_flush_all(&vm->paging);
}

void suite_svm(struct frames *frames)
{
    uint64_t gpa = 3 * HVPT_512G / 2;
    struct vm vm;

    check_group("NPT");
    vm_create(&vm, frames, NULL);
    check_equal(vm.paging.levels, cpu_read_cr4() >> 12 & 1 ? 5 : 4, "as many levels as the host's paging");
    paging_map(&vm.paging, gpa, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    vm_tag(VM_MEMORY);
    for (unsigned i = 0; i < sizeof(small_page) / sizeof(small_page[0]); i++)
        check_breakage(&vm, gpa, gpa, &small_page[i], "4K page");
    if (vm.paging.levels == 5) {
        static const struct breakage top = {4, 0, 1 << 7, TOP_INFO, "PML5 entry: bit 7"};

        check_breakage(&vm, gpa, gpa, &top, "4K page");
    }
    check_address_bits(&vm, gpa, gpa, 0, "4K page");
    check_ignored(&vm, gpa);
    check_reserved_is_present(&vm, gpa);
    check_nxe(&vm, gpa);
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
