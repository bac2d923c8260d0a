/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the guest touched: write_protect, dirty and age against a guest that reads and writes known pages. */
#include "suite.h"

#define BASE  HVPT_1G
#define PAGES 64u
#define SIZE  (PAGES * HVPT_4K)

/* The guest touches pages 3 and 17 for writing, 5 for reading. A fault that the tracking itself caused is given back. */
static unsigned use_pages(struct vm *vm)
{
    static const struct {
        unsigned page;
        enum access access;
    } uses[] = {{3, ACCESS_WRITE}, {17, ACCESS_WRITE}, {5, ACCESS_READ}};
    unsigned faults = 0;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t gpa = BASE + uses[i].page * HVPT_4K + 0x40;
        struct vm_exit exit = access_do(vm, uses[i].access, gpa, NULL);

        if (exit.kind == VM_EXIT_FAULT) {
            faults++;
            check_equal(exit.gpa, gpa, "the fault is where the guest was (page %u)", uses[i].page);
            check_equal(hvpt_space_touch(&vm->paging.space, hvpt_make_gpa(gpa),
                                         uses[i].access == ACCESS_READ ? HVPT_READ : HVPT_WRITE),
                        HVPT_OK, "touch gives the right back (page %u)", uses[i].page);
            exit = vm_run(vm);
        }
        check_equal(exit.kind, VM_EXIT_CALL, "the guest goes on (page %u)", uses[i].page);
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

static void check_tracking(struct frames *frames, bool hardware_bits)
{
    const uint64_t written = UINT64_C(1) << 3 | UINT64_C(1) << 17, used = written | UINT64_C(1) << 5;
    struct paging_options options = {HVPT_4K, hardware_bits, 0};
    struct vm vm;
    bool bits;
    unsigned faults;

    vm_create(&vm, frames, &options);
    bits = vm.svm || hardware_bits;
    paging_map(&vm.paging, BASE, VM_MEMORY, SIZE, paging_attr(HVPT_READ | HVPT_WRITE));
    dirty(&vm); /* a beginning: without hardware's bits, pages that may be written count as written */
    faults = use_pages(&vm);
    check_equal(faults, bits ? 0 : 2, "as many faults for dirty as the hardware needs");
    check_equal(dirty(&vm), written, "dirty: the pages that the guest wrote");
    check_equal(dirty(&vm), 0, "dirty: none since");
    use_pages(&vm);
    check_equal(dirty(&vm), written, "dirty: seen again after they were cleared");

    age(&vm);
    faults = use_pages(&vm);
    check_true(bits ? faults == 0 : faults >= 3, "as many faults for age as the hardware needs");
    check_equal(age(&vm), used, "age: the pages that the guest used");
    check_equal(age(&vm), 0, "age: none since");
    vm_destroy(&vm);
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
    check_fault(&vm, &exit, ACCESS_WRITE, HVPT_READ | HVPT_EXEC, BASE + 0x5008, "write to a protected page");
    check_equal(hvpt_space_touch(&vm.paging.space, hvpt_make_gpa(BASE + 0x5008), HVPT_WRITE), HVPT_OK, "touch");
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "the guest goes on");
    check_equal(*vm_host_word(VM_MEMORY + 0x5008), 5, "the write arrived");
    check_equal(vm_write(&vm, BASE + 0x3ff8, 3).kind, VM_EXIT_CALL, "just before the range: not protected");
    check_equal(vm_write(&vm, BASE + 0x6000, 6).kind, VM_EXIT_CALL, "just after the range: not protected");
    check_equal(vm_write(&vm, BASE + 0x4000, 4).kind, VM_EXIT_FAULT, "the other page still is");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

void suite_tracking(struct frames *frames)
{
    check_group("tracking, with accessed and dirty bits");
    check_tracking(frames, true);
    check_group("tracking, without EPT accessed and dirty bits");
    check_tracking(frames, false);
    check_group("tracking, write_protect");
    check_write_protect(frames);
}
