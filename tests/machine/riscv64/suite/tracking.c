/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the guest touched: write_protect, dirty and age against a guest that reads and writes known pages. */
#include "suite.h"

#define BASE  HVPT_1G
#define PAGES 64u
#define SIZE  (PAGES * HVPT_4K)

/*
 * The guest touches pages 3 and 17 for writing, 5 for reading. A fault that the tracking itself caused is given back.
 */
static unsigned use_pages(struct vm *vm)
{
    static const struct {
        unsigned page;
        enum access access;
    } uses[] = {{3, ACCESS_WRITE}, {17, ACCESS_WRITE}, {5, ACCESS_READ}};
    unsigned faults = 0;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t gpa = BASE + uses[i].page * HVPT_4K + 0x40;
        struct vm_exit exit = access_do(vm, uses[i].access, gpa);

        while (exit.cause == CAUSE_LOAD_GUEST || exit.cause == CAUSE_STORE_GUEST) {
            if (++faults > 6)
                break;
            check_equal(exit.htval, gpa >> 2, "the fault is where the guest was (page %u)", uses[i].page);
            check_equal(hvpt_space_touch(&vm->paging.space, hvpt_make_gpa(gpa),
                                          uses[i].access == ACCESS_READ ? HVPT_READ : HVPT_WRITE),
                        HVPT_OK, "touch gives the right back (page %u)", uses[i].page);
            exit = vm_run(vm);
        }
        check_equal(exit.cause, CAUSE_CALL_VS, "the guest goes on (page %u)", uses[i].page);
    }
    return faults;
}

static uint64_t dirty(struct vm *vm)
{
    uint64_t bitmap = 0;

    check_equal(hvpt_space_dirty(&vm->paging.space, hvpt_make_gpa(BASE), SIZE, &bitmap, NULL), HVPT_OK, "dirty");
    return bitmap;
}

static uint64_t age(struct vm *vm)
{
    uint64_t bitmap = 0;

    check_equal(hvpt_space_age(&vm->paging.space, hvpt_make_gpa(BASE), SIZE, &bitmap, NULL), HVPT_OK, "age");
    return bitmap;
}

/* napot: a run has one accessed and one dirty state, so that a touched page speaks for its sixteen. */
static uint64_t spread(uint64_t pages, bool napot)
{
    uint64_t result = pages;

    for (unsigned run = 0; napot && run < PAGES / 16; run++)
        if ((pages >> 16 * run & 0xffff) != 0)
            result |= UINT64_C(0xffff) << 16 * run;
    return result;
}

static void check_tracking(struct frames *frames, uint32_t features)
{
    const bool napot = (features & HVPT_GSTAGE_USE_SVNAPOT) != 0;
    const uint64_t written = UINT64_C(1) << 3 | UINT64_C(1) << 17, used = written | UINT64_C(1) << 5;
    struct paging_options options = {.max_page_size = HVPT_4K, .features = features};
    struct vm vm;
    uint64_t seen;
    unsigned faults;

    suite_set_adue((features & HVPT_GSTAGE_USE_SVADU) != 0);
    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, BASE, VM_MEMORY, SIZE, paging_attr(RW));
    dirty(&vm); /* a beginning: without hardware's bits, pages that may be written count as written */
    faults = use_pages(&vm);
    check_true(machine.hardware_bits && (features & HVPT_GSTAGE_USE_SVADU) != 0 ? faults == 0 : faults <= 2,
               "as many faults for dirty as the hardware needs");
    seen = dirty(&vm);
    if (napot)
        check_true((seen & written) == written && (seen & ~spread(written, true)) == 0,
                   "dirty: the runs that the guest wrote");
    else
        check_equal(seen, written, "dirty: the pages that the guest wrote");
    check_equal(dirty(&vm), 0, "dirty: none since");
    use_pages(&vm);
    check_true((dirty(&vm) & written) == written, "dirty: seen again after they were cleared");

    age(&vm);
    use_pages(&vm);
    seen = age(&vm);
    if (napot)
        check_true((seen & used) == used && (seen & ~spread(used, true)) == 0, "age: the runs that the guest used");
    else
        check_equal(seen, used, "age: the pages that the guest used");
    check_equal(age(&vm), 0, "age: none since");
    vm_destroy(&vm);
    suite_set_adue(true);
    check_equal(frames->held, 0, "every frame came back");
}

static void check_write_protect(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_2M, paging_attr(RWX));
    check_equal(hvpt_space_write_protect(&vm.paging.space, hvpt_make_gpa(BASE + 0x4000), 0x2000, NULL), HVPT_OK,
                "write_protect");
    exit = vm_write(&vm, BASE + 0x5008, 5);
    check_fault(&vm, &exit, ACCESS_WRITE, BASE + 0x5008, "write to a protected page");
    check_equal(hvpt_space_touch(&vm.paging.space, hvpt_make_gpa(BASE + 0x5008), HVPT_WRITE), HVPT_OK, "touch");
    check_equal(vm_run(&vm).cause, CAUSE_CALL_VS, "the guest goes on");
    check_equal(*vm_host_word(VM_MEMORY + 0x5008), 5, "the write arrived");
    check_equal(vm_write(&vm, BASE + 0x3ff8, 3).cause, CAUSE_CALL_VS, "just before the range: not protected");
    check_equal(vm_write(&vm, BASE + 0x6000, 6).cause, CAUSE_CALL_VS, "just after the range: not protected");
    check_equal(vm_write(&vm, BASE + 0x4000, 4).cause, CAUSE_STORE_GUEST, "the other page still is");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

void suite_tracking(struct frames *frames)
{
    if (machine.hardware_bits) {
        check_group("G-stage, tracking with Svadu");
        check_tracking(frames, HVPT_GSTAGE_USE_SVADU);
    }
    check_group("G-stage, tracking without Svadu");
    check_tracking(frames, 0);
    if (machine.napot && machine.hardware_bits) {
        check_group("G-stage, tracking with Svadu and Svnapot");
        check_tracking(frames, HVPT_GSTAGE_USE_SVADU | HVPT_GSTAGE_USE_SVNAPOT);
    }
    check_group("G-stage, tracking, write_protect");
    check_write_protect(frames);
}
