/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory copy and set instructions (FEAT_MOPS) that meet a page that is not there: the syndrome tells no register and
 * no size, only which half failed, and the page; the instruction goes on where it was once the page is mapped.
 * Arm ARM, "Memory Copy and Memory Set instructions", and "ISS encoding for an exception from a Data Abort".
 */
#include "suite.h"

#include "cpu.h"

#define HCRX_MSCEN (UINT64_C(1) << 11)
#define FROM       HVPT_1G
#define TO         (2 * HVPT_1G)
#define BEGIN      UINT64_C(0xe40) /* in the first page, */
#define SIZE       UINT64_C(0x900) /* into the second */
#define NO_DETAILS UINT64_C(0x01df8000) /* ISV, SAS, SSE, SRT, FnP: no register's access, and FAR_EL2 is precise */

/* A fault of kind access in the page at gpa. FAR_EL2 is somewhere in what the instruction had left to do there. */
static void check_page_missing(struct vm *vm, const struct vm_exit *exit, uint32_t access, uint64_t gpa, uint64_t begin,
                               uint64_t end, const char *name)
{
    const struct hvpt_s2_fault *fault = &exit->fault;

    (void)vm;
    check_equal(exit->esr >> 26 & 63, 0x24, "%s: a data abort", name);
    check_equal(exit->esr & NO_DETAILS, 0, "%s: no details of an instruction", name);
    check_equal(exit->esr & 0x3c, FAULT_TRANSLATION, "%s: a translation fault", name);
    check_equal(exit->hpfar, gpa >> 12 << 4, "%s: HPFAR_EL2", name);
    check_true(exit->far >= begin && exit->far < end, "%s: FAR_EL2 lies in what is left to do", name);
    check_true(exit->stage2 && fault->access == access && !fault->instruction.valid && !fault->on_table && !fault->cache
                   && fault->gpa_valid && !fault->gpa_exact && fault->gpa.value == gpa && fault->linear_valid
                   && fault->linear == exit->far,
               "%s: as the headers take it apart", name);
}

/* Page by page, as they are missed. */
static void check_set(struct vm *vm)
{
    volatile unsigned char *bytes = (volatile unsigned char *)vm_host_word(VM_MEMORY);
    struct vm_exit exit;
    bool good = true;

    for (unsigned i = 0; i < 2 * HVPT_4K; i++)
        bytes[i] = 0x11;
    vm->regs.x[0] = TO + BEGIN;
    vm->regs.x[1] = SIZE;
    vm->regs.x[2] = 0x5a;
    exit = vm_do(vm, guest_set_memory, false);
    check_page_missing(vm, &exit, HVPT_WRITE, TO, TO + BEGIN, TO + HVPT_4K, "set, first page");
    paging_map(&vm->paging, TO, VM_MEMORY, HVPT_4K, paging_attr(RW));
    exit = vm_run(vm);
    check_page_missing(vm, &exit, HVPT_WRITE, TO + HVPT_4K, TO + HVPT_4K, TO + BEGIN + SIZE, "set, second page");
    paging_map(&vm->paging, TO + HVPT_4K, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(RW));
    exit = vm_run(vm);
    check_equal(exit.call, 1, "set: goes on, and comes to its end");
    for (unsigned i = 0; i < 2 * HVPT_4K; i++)
        good = good && bytes[i] == (i >= BEGIN && i < BEGIN + SIZE ? 0x5a : 0x11);
    check_true(good, "set: these bytes and no others");
    check_equal(paging_unmap(&vm->paging, TO, 2 * HVPT_4K), HVPT_OK, "set: unmap");
}

static void check_copy(struct vm *vm)
{
    volatile unsigned char *from = (volatile unsigned char *)vm_host_word(VM_MEMORY + 2 * HVPT_4K);
    volatile unsigned char *to = (volatile unsigned char *)vm_host_word(VM_MEMORY + 4 * HVPT_4K);
    bool good = true;
    unsigned exits = 0, reads = 0, writes = 0;
    struct vm_exit exit;

    for (unsigned i = 0; i < 2 * HVPT_4K; i++) {
        from[i] = (unsigned char)(i * 7 + (i >> 8));
        to[i] = 0x11;
    }
    vm->regs.x[0] = TO + BEGIN;
    vm->regs.x[1] = FROM + BEGIN;
    vm->regs.x[2] = SIZE;
    exit = vm_do(vm, guest_copy_memory, false);
    for (; exit.kind == VM_EXIT_FAULT && exits < 4; exits++, exit = vm_run(vm)) {
        uint64_t page = exit.hpfar >> 4 << 12, base = page >= TO ? TO : FROM;
        uint64_t begin = page == base ? page + BEGIN : page, end = page == base ? page + HVPT_4K : base + BEGIN + SIZE;
        bool write = base == TO; /* what is copied to is written, what is copied from is read */

        check_page_missing(vm, &exit, write ? HVPT_WRITE : HVPT_READ, page, begin, end, write ? "copy to" : "copy from");
        writes += write;
        reads += !write;
        paging_map(&vm->paging, page, VM_MEMORY + (write ? 4 : 2) * HVPT_4K + (page - base), HVPT_4K,
                   paging_attr(write ? RW : (uint32_t)HVPT_READ));
    }
    check_equal(exit.call, 1, "copy: comes to its end");
    check_equal(reads, 2, "copy: a fault for each page that it reads");
    check_equal(writes, 2, "copy: a fault for each page that it writes");
    for (unsigned i = 0; i < 2 * HVPT_4K; i++)
        good = good && to[i] == (i >= BEGIN && i < BEGIN + SIZE ? from[i] : 0x11);
    check_true(good, "copy: these bytes and no others");
}

void suite_copies(struct frames *frames)
{
    struct vm vm;

    check_group("copies");
    if (cpu_field(cpu_read_isar2(), 16) == 0) {
        check_skip("the CPU has not FEAT_MOPS", "all of it");
        return;
    }
    create(&vm, frames, NULL);
    vm.hcrx = HCRX_MSCEN;
    check_set(&vm);
    check_copy(&vm);
    finish(&vm, "copies");
}
