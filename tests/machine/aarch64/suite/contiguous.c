/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Runs of leaves joined by the contiguous bit: made where they fit, taken apart before a part changes, made again. */
#include "suite.h"

#include "console.h"
#include "machine.h"

/* Arm ARM, "The Contiguous bit": how many entries make a run, by granule and Arm's level; and the bit. */
static unsigned run_length(unsigned granule_shift, int level)
{
    if (granule_shift == 12)
        return 16;
    if (granule_shift == 14)
        return level == 3 ? 128 : 32;
    return 32;
}

#define CONTIGUOUS (UINT64_C(1) << 52)

/* How many of the run's entries at gpa are leaves at this level, with the bit and without. */
static void count(const struct vm *vm, uint64_t gpa, int level, unsigned *with, unsigned *without)
{
    unsigned granule_shift = vm->paging.config.granule_shift;

    *with = *without = 0;
    for (unsigned i = 0; i < run_length(granule_shift, level); i++) {
        struct walk walk = paging_walk(&vm->paging, gpa + i * page_size_at(granule_shift, level));

        if (walk.valid && walk.level == level)
            ++*(walk.value & CONTIGUOUS ? with : without);
    }
}

static void check_bits(const struct vm *vm, uint64_t gpa, int level, unsigned with, unsigned without, const char *name)
{
    unsigned seen_with, seen_without;

    count(vm, gpa, level, &seen_with, &seen_without);
    check_equal(seen_with, with, "%s: joined leaves", name);
    check_equal(seen_without, without, "%s: single leaves", name);
}

static void check_run(struct frames *frames, unsigned granule_shift, int level)
{
    struct paging_options options = {granule_shift, 0, 0, 0, HVPT_S2_USE_CONTIGUOUS, 0};
    uint64_t page = page_size_at(granule_shift, level), length = run_length(granule_shift, level), size = length * page;
    uint64_t hpa = size <= UINT64_C(0x8000000) ? VM_MEMORY : 0, gpa = size <= HVPT_1G ? 4 * HVPT_1G : 4 * size;
    uint64_t third = 3 * page, word = hpa != 0 ? 0x18 : VM_MEMORY % page;
    bool reach = hpa != 0; /* there is memory at every page of the run */
    struct hvpt_mapping mapping;
    struct vm_exit exit;
    struct vm vm;
    char name[64];

    if (gpa + 2 * size > UINT64_C(1) << paging_usual_ipa_bits())
        return;
    create(&vm, frames, &options);
    print_to(name, sizeof(name), "%lu pages of %s", length, size_name(page));
    check_equal(paging_map(&vm.paging, gpa, hpa, size, paging_attr(RWX)), HVPT_OK, "%s: map", name);
    check_bits(&vm, gpa, level, (unsigned)length, 0, name);
    paging_translate(&vm.paging, gpa + third, &mapping);
    check_equal(mapping.hpa.value, hpa + third, "%s: translate", name);
    check_true((mapping.attr.flags & HVPT_JOINED) != 0, "%s: joined, as translate tells", name);
    for (unsigned i = 0; i < length; i++) {
        uint64_t par = paging_at(&vm.paging, gpa + i * page, i & 1);

        if ((par & 1) != 0 || (par & UINT64_C(0xffffffffff000)) != hpa + i * page)
            check_equal(par & UINT64_C(0xffffffffff001), hpa + i * page, "%s: page %u of the run", name, i);
        if (reach && i % 5 == 0)
            check_reads(&vm, gpa + i * page + word, hpa + i * page + word, name);
    }

    /* One page of it changes: the run comes apart, by way of empty entries */
    paging_watch(&vm.paging, gpa + 7 * page);
    check_equal(paging_protect(&vm.paging, gpa + third, page, HVPT_READ), HVPT_OK, "%s: protect one", name);
    check_true(vm.paging.seen_empty > 0, "%s: protect one: the run was broken first", name);
    check_true(vm.paging.low <= gpa && vm.paging.high >= gpa + size, "%s: protect one: the flushes cover the run",
               name);
    check_bits(&vm, gpa, level, 0, (unsigned)length, "protect one");
    if (reach) {
        exit = vm_write(&vm, gpa + third + word, 1);
        check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, level, gpa + third + word, "write to the one");
        check_equal(vm_write(&vm, gpa + third - 8, 1).kind, VM_EXIT_CALL, "%s: write before it", name);
        check_equal(vm_write(&vm, gpa + third + page, 1).kind, VM_EXIT_CALL, "%s: write behind it", name);
    }

    /* And back: collapse joins again */
    check_equal(paging_protect(&vm.paging, gpa + third, page, RWX), HVPT_OK, "%s: protect back", name);
    check_equal(hvpt_space_collapse(&vm.paging.s2, hvpt_make_gpa(gpa), size, NULL, NULL), HVPT_OK, "%s: collapse", name);
    check_bits(&vm, gpa, level, (unsigned)length, 0, "collapse");
    if (reach)
        check_reads(&vm, gpa + third + word, hpa + third + word, "a page of the run that was joined again");

    /* One page of it goes */
    check_equal(paging_unmap(&vm.paging, gpa + third, page), HVPT_OK, "%s: unmap one", name);
    check_bits(&vm, gpa, level, 0, (unsigned)length - 1, "unmap one");
    if (reach) {
        exit = vm_read(&vm, gpa + third + word, NULL);
        check_fault(&vm, &exit, ACCESS_READ, FAULT_TRANSLATION, level, gpa + third + word, "read of the one");
        check_reads(&vm, gpa + third - 8, hpa + third - 8, "the page before it");
        check_reads(&vm, gpa + third + page, hpa + third + page, "the page behind it");
    }
    check_equal(paging_unmap(&vm.paging, gpa, size), HVPT_OK, "%s: unmap all", name);

    /* What is not aligned to a run is none */
    check_equal(paging_map(&vm.paging, gpa + page, hpa, size - page, paging_attr(RWX)), HVPT_OK, "%s less one: map",
                name);
    check_bits(&vm, gpa, level, 0, (unsigned)length - 1, "too short for a run");
    finish(&vm, name);
}

void suite_contiguous(struct frames *frames)
{
    static const char *const groups[][3] = {
        {"contiguous, 4K granule, level 1", "contiguous, 4K granule, level 2", "contiguous, 4K granule, level 3"},
        {"", "contiguous, 16K granule, level 2", "contiguous, 16K granule, level 3"},
        {"", "contiguous, 64K granule, level 2", "contiguous, 64K granule, level 3"}};

    for (unsigned i = 0; i < 3; i++) {
        if (!paging_has_granule(12 + 2 * i))
            continue;
        for (int level = 3; level >= first_leaf_level(12 + 2 * i, false) && level >= 1; level--) {
            if (i > 0 && level == 1)
                continue;
            check_group(groups[i][level - 1]);
            check_run(frames, 12 + 2 * i, level);
        }
    }
}
