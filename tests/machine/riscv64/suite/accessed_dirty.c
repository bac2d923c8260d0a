/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Accessed and dirty bits. With Svadu hardware sets them; without, an access that would set one faults, so the engine
 * maps pages with both set. Privileged manual, "Addressing and Memory Protection" (A and D bits); "Svadu" and "Svade".
 */
#include "suite.h"

#include "console.h"

static void check_flags(struct vm *vm, uint64_t gpa, unsigned level, bool accessed, bool dirty, const char *name)
{
    uint64_t *entry = paging_entry(&vm->paging, gpa, level);
    struct hvpt_mapping mapping;

    if (!check_true(entry != NULL, "%s: a walk finds the leaf", name))
        return;
    check_equal((*entry & PTE_A) != 0, accessed, "%s: accessed in the leaf", name);
    check_equal((*entry & PTE_D) != 0, dirty, "%s: dirty in the leaf", name);
    check_equal(paging_translate(&vm->paging, gpa, &mapping), HVPT_OK, "%s: translate", name);
    check_equal(mapping.attr.flags & (HVPT_ACCESSED | HVPT_DIRTY),
                (accessed ? (unsigned)HVPT_ACCESSED : 0) | (dirty ? (unsigned)HVPT_DIRTY : 0), "%s: as translate tells",
                name);
}

static void check_hardware(struct frames *frames)
{
    struct paging_options options = {.mode = MODE_SV57X4, .features = HVPT_GSTAGE_USE_SVADU};
    struct vm vm;
    char name[48];

    suite_set_adue(true);
    vm_create(&vm, frames, &options);
    for (unsigned level = 0; level < 5; level++) {
        uint64_t size = HVPT_4K << (9 * level), gpa = size < HVPT_1G ? 64 * HVPT_1G : size;
        uint64_t at = gpa + (size <= HVPT_1G ? size / 2 : VM_MEMORY);

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
    check_equal(frames->held, 0, "by hardware: every frame came back");
}

/* Without Svadu: as mapped, nothing faults, whatever the guest does; not even after a right is granted later. */
static void check_preset(struct frames *frames)
{
    struct vm vm;
    uint64_t *entry;

    suite_set_adue(false);
    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(RW));
    check_flags(&vm, HVPT_1G, 0, true, true, "preset, rw page");
    check_equal(vm_write(&vm, HVPT_1G, 1).cause, CAUSE_CALL_VS, "preset, rw page: the first write goes through");
    paging_map(&vm.paging, 2 * HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    check_equal(vm_read(&vm, 2 * HVPT_1G, NULL).cause, CAUSE_CALL_VS, "preset, r page: the first read goes through");
    paging_protect(&vm.paging, 2 * HVPT_1G, HVPT_4K, RW);
    entry = paging_entry(&vm.paging, 2 * HVPT_1G, 0);
    check_true((*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D),
               "preset, made writable: dirty too, or the write would fault");
    check_equal(vm_write(&vm, 2 * HVPT_1G, 1).cause, CAUSE_CALL_VS,
                "preset, made writable: the first write goes through");

    /* What age and dirty took faults, and touch gives it back */
    *entry &= ~(PTE_A | PTE_D);
    cpu_hfence_gvma_all();
    if (vm_read(&vm, 2 * HVPT_1G, NULL).cause == CAUSE_CALL_VS) {
        check_skip("this machine's hardware sets them all the same", "A clear: the read faults");
    } else {
        check_equal(vm.regs.cause, CAUSE_LOAD_GUEST, "A clear: the read faults");
        check_equal(vm.regs.htval, 2 * HVPT_1G >> 2, "A clear: htval");
        check_equal(hvpt_space_touch(&vm.paging.space, hvpt_make_gpa(2 * HVPT_1G), HVPT_READ), HVPT_OK,
                    "A clear: touch");
        check_equal(vm_run(&vm).cause, CAUSE_CALL_VS, "A clear: the guest goes on");
        check_flags(&vm, 2 * HVPT_1G, 0, true, false, "A set by touch");
        check_equal(vm_write(&vm, 2 * HVPT_1G, 1).cause, CAUSE_STORE_GUEST, "D clear: the write faults");
        check_equal(hvpt_space_touch(&vm.paging.space, hvpt_make_gpa(2 * HVPT_1G), HVPT_WRITE), HVPT_OK,
                    "D clear: touch");
        check_equal(vm_run(&vm).cause, CAUSE_CALL_VS, "D clear: the guest goes on");
        check_flags(&vm, 2 * HVPT_1G, 0, true, true, "D set by touch");
    }
    vm_destroy(&vm);
    suite_set_adue(true);
    check_equal(frames->held, 0, "preset: every frame came back");
}

void suite_accessed_dirty(struct frames *frames)
{
    check_group("G-stage, accessed and dirty");
    if (machine.hardware_bits)
        check_hardware(frames);
    else
        check_skip("this machine's hardware does not set them", "by hardware");
    check_preset(frames);
}
