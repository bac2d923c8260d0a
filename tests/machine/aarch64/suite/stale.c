/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What CPUs keep after a change: without the flush the old translation is still used (so these machines can judge
 * flushes), with
 * it the new one; and the engine's obligations cover what changed.
 */
#include "suite.h"

#define BASE HVPT_1G
/*
 * Where staleness is looked for: an emulated TLB has one place for all pages of the same number modulo 64 or more, so
 * this is one that the guest's own code and stack do not share.
 */
#define PAGE (HVPT_1G + 0x3d * HVPT_4K)

/* The flush is put off: the change happens in memory, and nobody tells the CPU. */
static void check_missing(struct frames *frames)
{
    struct hvpt_flush flush = {0};
    struct vm vm;
    struct vm_exit exit;
    uint64_t value, tag = vm_tag(VM_MEMORY);
    const struct hvpt_flush late = {.kind = HVPT_FLUSH_TLBI, .gpa = {PAGE}, .size = HVPT_4K};
    void (*hook)(void *ctx, const struct hvpt_flush *flush);

    create(&vm, frames, NULL);
    hook = vm.paging.hooks.flush;
    paging_map(&vm.paging, PAGE, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    check_reads(&vm, PAGE, VM_MEMORY, "before unmap");
    vm.paging.hooks.flush = NULL; /* unmap flushes by itself, for break-before-make: here it reaches nobody */
    check_equal(hvpt_space_unmap(&vm.paging.s2, hvpt_make_gpa(PAGE), HVPT_4K, &flush), HVPT_OK, "unmap");
    vm.paging.hooks.flush = hook;
    check_true(!hvpt_flush_needed(&flush), "unmap leaves no flush to the caller");
    check_true(!paging_walk(&vm.paging, PAGE).valid, "unmap: the entry is empty");
    exit = vm_read(&vm, PAGE, &value);
    check_true(exit.kind == VM_EXIT_CALL && value == tag, "without the flush, the guest still reads the page");
    hook(&vm.paging, &late);
    exit = vm_read(&vm, PAGE, NULL);
    check_equal(exit.kind, VM_EXIT_FAULT, "after the flush, the guest faults");
    check_fault(&vm, &exit, ACCESS_READ, FAULT_TRANSLATION, paging_walk(&vm.paging, PAGE).level, PAGE,
                "after the flush");

    paging_map(&vm.paging, PAGE, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    check_equal(vm_write(&vm, PAGE, tag).kind, VM_EXIT_CALL, "before protect");
    check_equal(hvpt_space_protect(&vm.paging.s2, hvpt_make_gpa(PAGE), HVPT_4K, paging_attr(HVPT_READ), HVPT_WRITE,
                                &flush),
                HVPT_OK, "protect");
    check_equal(vm_write(&vm, PAGE, tag).kind, VM_EXIT_CALL, "without the flush, the guest still writes");
    hvpt_space_flush(&vm.paging.s2, &flush);
    exit = vm_write(&vm, PAGE, tag);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, PAGE, "write after the flush");
    finish(&vm, "missing flush");
}

/*
 * Before the flush the guest finds the old memory or the new, and never nothing: Arm ARM, "Support levels for changing
 * table or block size", level 2. Only then has the flush not happened yet.
 */
static void check_between(struct vm *vm, bool level2, uint64_t gpa, uint64_t old, uint64_t new, const char *name)
{
    uint64_t value = 0, before, after;
    struct vm_exit exit;

    if (!level2)
        return;
    before = vm_tag(old);
    after = old == new ? before : vm_tag(new);
    exit = vm_read(vm, gpa, &value);
    check_true(exit.kind == VM_EXIT_CALL && (value == before || value == after), "%s: the guest reads on, unflushed",
               name);
}

/*
 * What an operation asks to flush covers the page that changed, in every operation. Where the CPU needs no
 * break-before-make for a change of size (FEAT_BBM level 2) and the space was told so, no entry on the way is ever empty
 * when a block is split or a table collapsed.
 */
static void check_cover(struct frames *frames, unsigned granule_shift, bool level2)
{
    uint64_t page = UINT64_C(1) << granule_shift, block = page_size_at(granule_shift, 2), hpa = vm_backing(block);
    uint64_t gpa = 8 * HVPT_1G, at = gpa + 5 * page;
    struct paging_options options = {granule_shift, 0, 0, 0, level2 ? HVPT_S2_USE_BBM2 : 0, 0};
    struct hvpt_flush flush = {0};
    const char *not = level2 ? ": not so" : "";
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, &options);
    paging_map(&vm.paging, gpa, hpa, block, paging_attr(RWX));
    check_reads(&vm, at, hpa + 5 * page, "one block");

    /* A protected part: a split, then a change */
    paging_watch(&vm.paging, at);
    check_equal(hvpt_space_protect(&vm.paging.s2, hvpt_make_gpa(at), page, paging_attr(HVPT_READ), HVPT_WRITE, &flush),
                HVPT_OK, "protect a page of a block");
    check_between(&vm, level2, at, hpa + 5 * page, hpa + 5 * page, "protect");
    hvpt_space_flush(&vm.paging.s2, &flush);
    check_true(vm.paging.low <= at && vm.paging.high >= at + page, "protect: the flushes cover the page");
    if (!level2)
        check_true(vm.paging.low <= gpa && vm.paging.high >= gpa + block, "protect: and the block, which was broken");
    check_true((vm.paging.seen_empty == 0) == level2, "protect: the block was broken before the table was made%s", not);
    exit = vm_write(&vm, at, 1);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, at, "write to the protected page");
    check_equal(vm_write(&vm, at + page, 1).kind, VM_EXIT_CALL, "write beside it");

    /* Elsewhere */
    paging_watch(&vm.paging, at);
    check_equal(hvpt_space_replace(&vm.paging.s2, hvpt_make_gpa(at), hvpt_make_hpa(VM_GIANT), page, paging_attr(RWX),
                                &flush),
                HVPT_OK, "replace a page");
    hvpt_space_flush(&vm.paging.s2, &flush);
    check_true(vm.paging.low <= at && vm.paging.high >= at + page, "replace: the flushes cover the page");
    check_true(vm.paging.seen_empty != 0, "replace: the page was broken before it was made again");
    check_reads(&vm, at, VM_GIANT, "the page is elsewhere");
    check_reads(&vm, at - 8, hpa + 5 * page - 8, "the one before it is not");

    /* Back, and one block again */
    check_equal(hvpt_space_replace(&vm.paging.s2, hvpt_make_gpa(at), hvpt_make_hpa(hpa + 5 * page), page, paging_attr(RWX),
                                NULL),
                HVPT_OK, "replace back");
    paging_watch(&vm.paging, at);
    check_equal(hvpt_space_collapse(&vm.paging.s2, hvpt_make_gpa(gpa), block, &flush, NULL), HVPT_OK, "collapse");
    check_between(&vm, level2, at, hpa + 5 * page, hpa + 5 * page, "collapse");
    hvpt_space_flush(&vm.paging.s2, &flush);
    check_equal((uint64_t)paging_walk(&vm.paging, at).level, 2, "collapse: one block again");
    check_true(vm.paging.low <= gpa && vm.paging.high >= gpa + block, "collapse: the flushes cover the block");
    check_true((vm.paging.seen_empty == 0) == level2, "collapse: the table was broken before the block was made%s", not);
    check_reads(&vm, at, hpa + 5 * page, "after the collapse");

    /* Gone */
    paging_watch(&vm.paging, at);
    check_equal(paging_unmap(&vm.paging, gpa, block), HVPT_OK, "unmap the block");
    check_true(vm.paging.low <= gpa && vm.paging.high >= gpa + block, "unmap: the flushes cover the block");
    exit = vm_read(&vm, at, NULL);
    check_equal(exit.kind, VM_EXIT_FAULT, "after unmap, the guest faults");
    finish(&vm, "flushes");
}

/* A map where nothing was needs none: Arm keeps no translation that faults with a translation fault. */
static void check_map(struct frames *frames)
{
    struct hvpt_flush flush = {0};
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, NULL);
    exit = vm_read(&vm, BASE, NULL);
    check_equal(exit.kind, VM_EXIT_FAULT, "nothing is mapped");
    check_equal(hvpt_space_map(&vm.paging.s2, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                            paging_attr(HVPT_READ), &flush),
                HVPT_OK, "map");
    check_true(!hvpt_flush_needed(&flush), "map asks for no flush");
    check_reads(&vm, BASE, VM_MEMORY, "the guest reads what was mapped");
    exit = vm_write(&vm, BASE, 1);
    check_fault(&vm, &exit, ACCESS_WRITE, FAULT_PERMISSION, 3, BASE, "write to a read-only page");
    check_equal(hvpt_space_protect(&vm.paging.s2, hvpt_make_gpa(BASE), HVPT_4K, paging_attr(RW), HVPT_WRITE, &flush),
                HVPT_OK, "protect");
    check_true(hvpt_flush_needed(&flush), "more rights ask for one: a CPU may keep the old entry, and fault again");
    hvpt_space_flush(&vm.paging.s2, &flush);
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "the write goes on");
    finish(&vm, "map");
}

/* Two guests in turn, at the same guest-physical addresses: neither's flush, nor its translations, are the other's. */
static void check_two(struct frames *frames)
{
    struct vm one, two;
    uint64_t value = 0;

    create(&one, frames, NULL);
    create(&two, frames, NULL);
    paging_map(&one.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    paging_map(&two.paging, BASE, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(RWX));
    for (unsigned i = 0; i < 3; i++) {
        check_reads(&one, BASE, VM_MEMORY, "the first guest reads its page");
        check_reads(&two, BASE, VM_MEMORY + HVPT_4K, "the second guest reads its page");
    }
    check_equal(paging_unmap(&one.paging, BASE, HVPT_4K), HVPT_OK, "unmap the first one's");
    check_equal(vm_read(&two, BASE, &value).kind, VM_EXIT_CALL, "the second guest still reads");
    check_equal(vm_read(&one, BASE, &value).kind, VM_EXIT_FAULT, "the first guest faults");
    vm_destroy(&two);
    finish(&one, "two guests");
}

void suite_stale(struct frames *frames)
{
    static const char *const groups[][2] = {{"flushes, 4K granule", "flushes, 4K granule, no break-before-make"},
                                            {"flushes, 16K granule", "flushes, 16K granule, no break-before-make"},
                                            {"flushes, 64K granule", "flushes, 64K granule, no break-before-make"}};

    check_group("flushes");
    check_missing(frames);
    check_map(frames);
    check_two(frames);
    for (unsigned i = 0; i < 3; i++) {
        check_group(groups[i][0]);
        if (!paging_has_granule(12 + 2 * i)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        check_cover(frames, 12 + 2 * i, false);
        check_group(groups[i][1]);
        if (paging_has(HVPT_S2_USE_BBM2))
            check_cover(frames, 12 + 2 * i, true);
        else
            check_skip("the CPU has not FEAT_BBM of level 2", "all of it");
    }
}
