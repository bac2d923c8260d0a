/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The access flag and the dirty state: kept by hardware where VTCR_EL2.HA and HD are set, else by faults that the
 * host answers
 * with touch. Arm ARM, "The Access flag", "Hardware management of the dirty state".
 */
#include "suite.h"

#include "console.h"

#define BASE (4 * HVPT_1G)
#define AF   (UINT64_C(1) << 10)
#define S2W  (UINT64_C(1) << 7) /* S2AP[1] */
#define DBM  (UINT64_C(1) << 51)

#define PAGES 8u

static uint64_t entry_bits(const struct vm *vm, uint64_t gpa)
{
    return paging_walk(&vm->paging, gpa).value & (AF | S2W | DBM);
}

/* Which of the pages from BASE on. */
static uint64_t harvest(struct vm *vm, bool dirty)
{
    uint64_t bitmap = 0, size = PAGES << vm->paging.config.granule_shift;
    enum hvpt_status status = dirty ? hvpt_space_dirty(&vm->paging.s2, hvpt_make_gpa(BASE), size, &bitmap, NULL)
                                    : hvpt_space_age(&vm->paging.s2, hvpt_make_gpa(BASE), size, &bitmap, NULL);

    check_equal(status, HVPT_OK, dirty ? "dirty" : "age");
    return bitmap;
}

/* No help from hardware: every first access after age or dirty faults. */
static void check_by_faults(struct frames *frames, unsigned granule_shift)
{
    struct paging_options options = {granule_shift, 0, 0, 0, 0, 0};
    uint64_t page = UINT64_C(1) << granule_shift;
    unsigned touched = 0;
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, &options);
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, PAGES * page, paging_attr(RWX)), HVPT_OK, "map");
    check_reads(&vm, BASE, VM_MEMORY, "a page can be used as soon as it is mapped");
    harvest(&vm, false);
    check_equal(harvest(&vm, false), 0, "a second time nothing was used");
    check_equal(entry_bits(&vm, BASE + page) & AF, 0, "aged: the access flag is clear");
    for (enum access access = ACCESS_READ; access <= ACCESS_FETCH; access++) {
        uint64_t gpa = BASE + (access + 1) * page;
        char name[48];

        print_to(name, sizeof(name), "%s of an aged page", access_name(access));
        vm_tag(VM_MEMORY + (access + 1) * page);
        exit = access_do(&vm, access, gpa, NULL);
        check_fault(&vm, &exit, access, FAULT_ACCESS_FLAG, 3, gpa, name);
        check_equal(hvpt_space_touch(&vm.paging.s2, hvpt_make_gpa(gpa),
                                  access == ACCESS_READ    ? HVPT_READ
                                  : access == ACCESS_WRITE ? HVPT_WRITE
                                                           : HVPT_EXEC),
                    HVPT_OK, "%s: touch", name);
        exit = vm_run(&vm); /* Arm keeps no entry with the access flag clear: no flush is needed */
        check_true(access_passed(access, &exit), "%s: goes on", name);
    }
    check_equal(harvest(&vm, false), 0xe, "the pages that were used");

    /* Dirty: whatever may be written counts, once; then each write faults once */
    harvest(&vm, true);
    check_equal(harvest(&vm, true), 0, "a second time nothing was written");
    for (unsigned i = 0; i < PAGES; i++)
        touched += hvpt_space_touch(&vm.paging.s2, hvpt_make_gpa(BASE + i * page), HVPT_READ) == HVPT_OK;
    check_equal(touched, PAGES, "touch of every page");
    check_reads(&vm, BASE + 5 * page, VM_MEMORY + 5 * page, "a clean page can be read");
    exit = vm_write(&vm, BASE + 5 * page, 5);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, BASE + 5 * page, "write to a clean page");
    check_equal(hvpt_space_touch(&vm.paging.s2, hvpt_make_gpa(BASE + 5 * page), HVPT_WRITE), HVPT_OK,
                "write to a clean page: touch");
    exit = vm_run(&vm);
    check_equal(exit.kind, VM_EXIT_CALL, "write to a clean page: goes on");
    check_equal(harvest(&vm, true), 1 << 5, "the page that was written");

    /* Logging by write_protect, which keeps reading at full speed */
    check_equal(hvpt_space_write_protect(&vm.paging.s2, hvpt_make_gpa(BASE), PAGES * page, NULL), HVPT_OK,
                "write_protect");
    exit = vm_write(&vm, BASE + 2 * page, 5);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, BASE + 2 * page, "write to a logged page");
    finish(&vm, "by faults");
}

/* Hardware sets the access flag. */
static void check_hardware_af(struct frames *frames, unsigned granule_shift)
{
    struct paging_options options = {granule_shift, 0, 0, 0, HVPT_S2_USE_HARDWARE_AF, 0};
    uint64_t page = UINT64_C(1) << granule_shift;
    struct vm vm;
    struct hvpt_mapping mapping;

    create(&vm, frames, &options);
    check_equal(hvpt_s2_vtcr(&vm.paging.s2) >> 21 & 3, 1, "VTCR_EL2.HA without HD");
    paging_map(&vm.paging, BASE, VM_MEMORY, PAGES * page, paging_attr(RWX));
    check_equal(entry_bits(&vm, BASE + page), S2W, "mapped: not accessed");
    check_reads(&vm, BASE + page, VM_MEMORY + page, "an untouched page can be read");
    check_equal(entry_bits(&vm, BASE + page), S2W | AF, "read: accessed");
    paging_translate(&vm.paging, BASE + page, &mapping);
    check_true((mapping.attr.flags & HVPT_ACCESSED) != 0, "read: accessed, as translate tells");
    check_equal(vm_write(&vm, BASE + 3 * page, 3).kind, VM_EXIT_CALL, "an untouched page can be written");
    vm_tag(VM_MEMORY + 4 * page);
    check_equal(vm_fetch(&vm, BASE + 4 * page).kind, VM_EXIT_CALL, "an untouched page can be executed");
    check_equal(harvest(&vm, false), 0x1a, "the pages that were used");
    check_equal(harvest(&vm, false), 0, "a second time nothing was used");
    check_reads(&vm, BASE + page, VM_MEMORY + page, "an aged page can be read");
    check_equal(harvest(&vm, false), 1 << 1, "the page that was used");
    finish(&vm, "hardware access flag");
}

/* Hardware sets the dirty state, too: DBM, and S2AP[1] once written. */
static void check_hardware_dirty(struct frames *frames, unsigned granule_shift)
{
    struct paging_options options = {granule_shift, 0, 0, 0, HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY, 0};
    uint64_t page = UINT64_C(1) << granule_shift, block = page_size_at(granule_shift, 2);
    struct vm vm;
    struct vm_exit exit;
    struct hvpt_mapping mapping;

    create(&vm, frames, &options);
    check_equal(hvpt_s2_vtcr(&vm.paging.s2) >> 21 & 3, 3, "VTCR_EL2.HA and HD");
    paging_map(&vm.paging, BASE, VM_MEMORY, PAGES * page, paging_attr(RWX));
    paging_map(&vm.paging, BASE + PAGES * page, VM_MEMORY + PAGES * page, page, paging_attr(HVPT_READ));
    check_equal(entry_bits(&vm, BASE), DBM, "mapped: neither accessed nor dirty");
    check_reads(&vm, BASE, VM_MEMORY, "an untouched page can be read");
    check_equal(entry_bits(&vm, BASE), DBM | AF, "read: accessed, not dirty");
    check_equal(vm_write(&vm, BASE, 1).kind, VM_EXIT_CALL, "and written");
    check_equal(entry_bits(&vm, BASE), DBM | AF | S2W, "written: accessed and dirty");
    check_equal(vm_write(&vm, BASE + 6 * page, 1).kind, VM_EXIT_CALL, "another is written at once");
    check_equal(entry_bits(&vm, BASE + 6 * page), DBM | AF | S2W, "written at once: accessed and dirty");
    paging_translate(&vm.paging, BASE + 6 * page, &mapping);
    check_equal(mapping.attr.flags & (HVPT_ACCESSED | HVPT_DIRTY), HVPT_ACCESSED | HVPT_DIRTY,
                "written: as translate tells");
    paging_translate(&vm.paging, BASE + 2 * page, &mapping);
    check_equal(mapping.attr.perm, RWX, "clean: may be written, as translate tells");
    exit = vm_write(&vm, BASE + PAGES * page, 1);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, BASE + PAGES * page, "write to a read-only page");
    check_equal(harvest(&vm, true), 0x41, "the pages that were written");
    check_equal(entry_bits(&vm, BASE), DBM | AF, "harvested: clean, still accessed");
    check_equal(harvest(&vm, true), 0, "a second time nothing was written");
    check_equal(vm_write(&vm, BASE, 2).kind, VM_EXIT_CALL, "a clean page can be written");
    check_equal(harvest(&vm, true), 1, "the page that was written");

    /* A block that was written stays so in all its parts when it is split, and when they become a block again */
    paging_unmap(&vm.paging, BASE, (PAGES + 1) * page);
    paging_map(&vm.paging, BASE, vm_backing(block), block, paging_attr(RWX));
    vm_write(&vm, BASE + 5 * page, 1);
    check_equal(entry_bits(&vm, BASE), DBM | AF | S2W, "block, written");
    check_equal(hvpt_space_split(&vm.paging.s2, hvpt_make_gpa(BASE), block, page, NULL), HVPT_OK, "split");
    check_equal(entry_bits(&vm, BASE + 7 * page), DBM | AF | S2W, "split: every part is accessed and dirty");
    harvest(&vm, true);
    check_equal(entry_bits(&vm, BASE + 7 * page), DBM | AF, "split: each can be cleaned");
    vm_write(&vm, BASE + 2 * page, 1);
    check_equal(hvpt_space_collapse(&vm.paging.s2, hvpt_make_gpa(BASE), block, NULL, NULL), HVPT_OK, "collapse");
    check_equal((uint64_t)paging_walk(&vm.paging, BASE).level, 2, "collapse: a block");
    check_equal(entry_bits(&vm, BASE), DBM | AF | S2W, "collapse: dirty, since a part was");

    /* protect takes the right itself, not only the state */
    check_equal(paging_protect(&vm.paging, BASE, block, HVPT_READ), HVPT_OK, "protect");
    exit = vm_write(&vm, BASE, 2);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 2, BASE, "write after protect");
    finish(&vm, "hardware dirty state");
}

/* What the CPU does not have is refused. */
static void check_refused(struct frames *frames, uint32_t features, const char *name)
{
    struct paging_options options = {0, 0, 0, 0, features, 0};
    static struct paging paging;

    if (!check_equal(paging_init(&paging, frames, &options), HVPT_E_ATTR, "%s is refused", name))
        paging_destroy(&paging);
}

void suite_accessed_dirty(struct frames *frames)
{
    static const char *const groups[] = {"accessed and dirty, 4K granule", "accessed and dirty, 16K granule",
                                         "accessed and dirty, 64K granule"};

    for (unsigned i = 0; i < 3; i++) {
        check_group(groups[i]);
        if (!paging_has_granule(12 + 2 * i))
            continue;
        check_by_faults(frames, 12 + 2 * i);
        if (paging_has(HVPT_S2_USE_HARDWARE_AF))
            check_hardware_af(frames, 12 + 2 * i);
        if (paging_has(HVPT_S2_USE_HARDWARE_DIRTY))
            check_hardware_dirty(frames, 12 + 2 * i);
    }
    check_group("accessed and dirty");
    check_refused(frames, HVPT_S2_USE_HARDWARE_DIRTY, "HD without HA");
    if (!paging_has(HVPT_S2_USE_HARDWARE_AF))
        check_refused(frames, HVPT_S2_USE_HARDWARE_AF, "HA, which the CPU lacks,");
    if (!paging_has(HVPT_S2_USE_HARDWARE_DIRTY))
        check_refused(frames, HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY, "HD, which the CPU lacks,");
}
