/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Flush obligations, where they show: HLV goes on through a translation that is no longer in the tables until the
 * fence, and not after it. A machine may drop a translation at any time, so "still seen" is asked only of one that
 * kept another.
 */
#include "suite.h"

#define BASE HVPT_1G

/* Does this machine keep a translation that was broken behind its back? */
static bool keeps_stale(struct vm *vm)
{
    uint64_t *entry, saved;
    bool stale;

    paging_map(&vm->paging, 9 * HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(RW));
    entry = paging_entry(&vm->paging, 9 * HVPT_1G, 0);
    saved = *entry;
    vm_hlv(9 * HVPT_1G, NULL);
    *entry = 0;
    stale = vm_hlv(9 * HVPT_1G, NULL).cause == 0;
    *entry = saved;
    paging_unmap(&vm->paging, 9 * HVPT_1G, HVPT_4K);
    return stale;
}

/* What a flush of a change to [gpa, gpa + size) must say. */
static void check_obligation(const struct hvpt_flush *flush, uint64_t gpa, uint64_t size, const char *name)
{
    check_true(hvpt_flush_needed(flush), "%s: asks for a flush", name);
    check_equal(flush->kind, HVPT_FLUSH_HFENCE, "%s: by HFENCE.GVMA", name);
    check_true(flush->gpa.value <= gpa && flush->gpa.value + flush->size >= gpa + size, "%s: of the whole range", name);
}

static void check_unmap(struct vm *vm, bool stale)
{
    struct hvpt_flush flush = {0};
    unsigned held;
    uint64_t value = 0, tag = vm_tag(VM_MEMORY);

    paging_map(&vm->paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    vm_hlv(BASE, NULL);
    held = vm->frames->held;
    check_equal(hvpt_space_unmap(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_4K, &flush), HVPT_OK, "unmap");
    if (stale)
        check_true(vm_hlv(BASE, &value).cause == 0 && value == tag, "unmap: without the flush the page is still there");
    check_obligation(&flush, BASE, HVPT_4K, "unmap");
    check_true(flush.tables, "unmap: of tables too, since the last page went");
    check_equal(vm->frames->held, held, "unmap: no frame comes back before the flush");
    hvpt_space_flush(&vm->paging.space, &flush);
    check_equal(vm_hlv(BASE, NULL).cause, CAUSE_LOAD_GUEST, "unmap: the flush is enough");
    check_true(vm->frames->held < held, "unmap: the tables' frames come back after it");
    check_true(!hvpt_flush_needed(&flush), "unmap: nothing is owed then");
}

static void check_protect(struct vm *vm, bool stale)
{
    struct hvpt_flush flush = {0};

    paging_map(&vm->paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    paging_map(&vm->paging, BASE + HVPT_4K, VM_MEMORY, HVPT_4K, paging_attr(RW));
    vm_hsv(BASE, 1);
    check_equal(hvpt_space_protect(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_4K, paging_attr(HVPT_READ), RWX,
                                    &flush),
                HVPT_OK, "protect");
    if (stale)
        check_equal(vm_hsv(BASE, 2).cause, 0, "protect: without the flush the page can still be written");
    check_obligation(&flush, BASE, HVPT_4K, "protect");
    check_true(!flush.tables, "protect: of leaves alone");
    hvpt_space_flush(&vm->paging.space, &flush);
    check_equal(vm_hsv(BASE, 3).cause, CAUSE_STORE_GUEST, "protect: the flush is enough");
    check_equal(vm_hlv(BASE, NULL).cause, 0, "protect: it can still be read");

    /*
     * Rights that grow: a processor that remembers the lesser ones goes on faulting (no fault flushes here, unlike
     * x86)
     */
    check_equal(hvpt_space_protect(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_4K, paging_attr(RW), RWX, &flush),
                HVPT_OK, "protect, more rights");
    check_obligation(&flush, BASE, HVPT_4K, "protect, more rights");
    hvpt_space_flush(&vm->paging.space, &flush);
    check_equal(vm_hsv(BASE, 4).cause, 0, "protect, more rights: the flush is enough");
    paging_unmap(&vm->paging, BASE, HVPT_2M);
}

static void check_replace(struct vm *vm, bool stale)
{
    struct hvpt_flush flush = {0};
    uint64_t value = 0, old = vm_tag(VM_MEMORY + HVPT_2M), new = vm_tag(VM_MEMORY + 2 * HVPT_2M);

    paging_map(&vm->paging, BASE, VM_MEMORY + HVPT_2M, HVPT_2M, paging_attr(RW));
    vm_hlv(BASE, NULL);
    check_equal(hvpt_space_replace(&vm->paging.space, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY + 2 * HVPT_2M),
                                    HVPT_2M, paging_attr(RW), &flush),
                HVPT_OK, "replace");
    if (stale)
        check_true(vm_hlv(BASE, &value).cause == 0 && value == old, "replace: without the flush the old page is seen");
    check_obligation(&flush, BASE, HVPT_2M, "replace");
    hvpt_space_flush(&vm->paging.space, &flush);
    vm_hlv(BASE, &value);
    check_equal(value, new, "replace: the flush is enough");
    paging_unmap(&vm->paging, BASE, HVPT_2M);
}

/*
 * A split changes no translation, so what a processor remembers stays right: nothing need be owed, but what is then
 * done to a part must reach a processor that remembers the whole.
 */
static void check_split(struct vm *vm)
{
    struct hvpt_flush flush = {0};

    paging_map(&vm->paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RW));
    vm_hsv(BASE, 1);
    vm_hsv(BASE + 0x1000, 1);
    check_equal(hvpt_space_split(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_2M, HVPT_4K, &flush), HVPT_OK, "split");
    check_hlv(vm, BASE + 0x1000, VM_MEMORY + 0x1000, "split: nothing moved");
    hvpt_space_flush(&vm->paging.space, &flush);
    check_hlv(vm, BASE + 0x1000, VM_MEMORY + 0x1000, "split: nothing moved by the flush");
    check_equal(paging_protect(&vm->paging, BASE + 0x1000, HVPT_4K, HVPT_READ), HVPT_OK, "split: protect a part");
    check_equal(vm_hsv(BASE + 0x1000, 2).cause, CAUSE_STORE_GUEST, "split: the part is protected");
    check_equal(vm_hsv(BASE, 2).cause, 0, "split: the rest is not");
    paging_unmap(&vm->paging, BASE, HVPT_2M);
}

/* One obligation for several operations, and a flush only where something can be stale. */
static void check_shared(struct vm *vm)
{
    struct hvpt_flush flush = {0};
    unsigned flushes = vm->paging.flushes;

    check_equal(hvpt_space_unmap(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_2M, &flush), HVPT_OK,
                "unmap of nothing");
    check_true(!hvpt_flush_needed(&flush), "unmap of nothing: owes nothing");
    paging_map(&vm->paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    paging_map(&vm->paging, 2 * BASE, VM_MEMORY, HVPT_4K, paging_attr(RW));
    flushes = vm->paging.flushes;
    vm_hlv(BASE, NULL);
    vm_hlv(2 * BASE, NULL);
    check_equal(hvpt_space_unmap(&vm->paging.space, hvpt_make_gpa(BASE), HVPT_4K, &flush), HVPT_OK,
                "two unmaps: the first");
    check_equal(hvpt_space_unmap(&vm->paging.space, hvpt_make_gpa(2 * BASE), HVPT_4K, &flush), HVPT_OK,
                "two unmaps: the second");
    check_equal(vm->paging.flushes, flushes, "two unmaps: not flushed yet");
    hvpt_space_flush(&vm->paging.space, &flush);
    check_equal(vm->paging.flushes, flushes + 1, "two unmaps: one flush");
    check_equal(vm_hlv(BASE, NULL).cause, CAUSE_LOAD_GUEST, "two unmaps: the first page is gone");
    check_equal(vm_hlv(2 * BASE, NULL).cause, CAUSE_LOAD_GUEST, "two unmaps: the second page is gone");
    check_true(vm->paging.last.gpa.value <= BASE && vm->paging.last.gpa.value + vm->paging.last.size > 2 * BASE,
               "two unmaps: the range covers both");
}

/*
 * Svvptc: an entry that becomes valid is seen within a bounded time, without a fence. So map owes none, and the guest
 * that faulted goes on, at once or after a few more faults.
 */
static void check_svvptc(struct frames *frames)
{
    struct paging_options options = {.features = machine.svvptc ? HVPT_GSTAGE_USE_SVVPTC : 0};
    struct hvpt_flush flush = {0};
    uint64_t tag = vm_tag(VM_MEMORY);
    struct vm_exit exit;
    struct vm vm;

    vm_create(&vm, frames, &options);
    exit = vm_read(&vm, BASE, NULL);
    check_equal(exit.cause, CAUSE_LOAD_GUEST, "map: nothing is there");
    check_equal(hvpt_space_map(&vm.paging.space, hvpt_make_gpa(BASE), hvpt_make_hpa(VM_MEMORY), HVPT_4K,
                               paging_attr(RW), &flush),
                HVPT_OK, "map");
    check_true(hvpt_flush_needed(&flush) == !machine.svvptc, "map: owes a flush where there is no Svvptc");
    if (machine.svvptc) {
        for (unsigned i = 0; i < 1000 && exit.cause == CAUSE_LOAD_GUEST; i++)
            exit = vm_run(&vm);
        check_true(exit.cause == CAUSE_CALL_VS && vm.regs.x[REG_A1] == tag, "map: the guest goes on without a fence");
    } else {
        check_skip("the machine has not Svvptc", "map: the guest goes on without a fence");
    }
    hvpt_space_flush(&vm.paging.space, &flush);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "map: every frame came back");
}

void suite_flushes(struct frames *frames)
{
    struct vm vm;
    bool stale;

    check_group("G-stage, flushes");
    vm_create(&vm, frames, NULL);
    stale = keeps_stale(&vm);
    if (!stale)
        check_skip("this machine keeps no stale translation", "without the flush, the old is seen");
    check_unmap(&vm, stale);
    check_protect(&vm, stale);
    check_replace(&vm, stale);
    check_split(&vm);
    check_shared(&vm);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
    check_svvptc(frames);
}
