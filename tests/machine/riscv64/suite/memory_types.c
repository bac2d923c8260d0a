/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Svpbmt: 0 as the platform says, 1 NC, 2 IO. No emulator has caches to tell them by; what shows is that the processor
 * takes the entries, and that without the extension the engine refuses to make them.
 */
#include "suite.h"

static void check_type(struct vm *vm, enum hvpt_memtype memtype, uint64_t code, const char *name)
{
    struct hvpt_attr attr = paging_attr(RWX);
    struct hvpt_mapping mapping;

    attr.memtype = memtype;
    for (unsigned level = 0; level < 3; level++) {
        uint64_t size = HVPT_4K << (9 * level), gpa = 8 * HVPT_1G, hpa = vm_backing(size), *entry;

        check_equal(paging_map(&vm->paging, gpa, hpa, size, attr), HVPT_OK, "%s, page of %s: map", name,
                    size_name(size));
        entry = paging_entry(&vm->paging, gpa, level);
        if (check_true(entry != NULL, "%s, page of %s: a walk finds the leaf", name, size_name(size)))
            check_equal(*entry >> 61 & 3, code, "%s, page of %s: PBMT", name, size_name(size));
        paging_translate(&vm->paging, gpa, &mapping);
        check_equal(mapping.attr.memtype, memtype, "%s, page of %s: as translate tells", name, size_name(size));
        check_reads(vm, gpa + size / 2, hpa + size / 2, name);
        check_equal(vm_write(vm, gpa + 8, code).cause, CAUSE_CALL_VS, "%s, page of %s: write", name, size_name(size));
        paging_unmap(&vm->paging, gpa, size);
    }
}

void suite_memory_types(struct frames *frames)
{
    struct paging_options with = {.features = HVPT_GSTAGE_USE_SVPBMT};
    struct hvpt_attr attr = paging_attr(RWX);
    struct vm vm;

    check_group("G-stage, memory types");
    vm_create(&vm, frames, NULL);
    for (unsigned memtype = HVPT_MEM_WB; memtype <= HVPT_MEM_UC; memtype++) {
        attr.memtype = (enum hvpt_memtype)memtype;
        check_equal(paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, attr),
                    memtype == HVPT_MEM_WB ? HVPT_OK : HVPT_E_ATTR, "without Svpbmt: type %u", memtype);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "without Svpbmt: every frame came back");
    if (!machine.pbmt) {
        check_skip("the machine has no Svpbmt", "with Svpbmt");
        return;
    }
    vm_create(&vm, frames, &with);
    check_type(&vm, HVPT_MEM_WB, 0, "PMA");
    check_type(&vm, HVPT_MEM_WC, 1, "NC");
    check_type(&vm, HVPT_MEM_UC, 2, "IO");
    attr.memtype = HVPT_MEM_WT;
    check_equal(paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, attr), HVPT_E_ATTR, "WT is refused");
    attr.memtype = HVPT_MEM_WP;
    check_equal(paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, attr), HVPT_E_ATTR, "WP is refused");

    /* A split keeps the type, protect changes it */
    attr.memtype = HVPT_MEM_UC;
    paging_map(&vm.paging, HVPT_1G, VM_MEMORY, HVPT_2M, attr);
    paging_protect(&vm.paging, HVPT_1G + 0x5000, HVPT_4K, HVPT_READ);
    check_equal(*paging_entry(&vm.paging, HVPT_1G + 0x5000, 0) >> 61 & 3, 2,
                "split: the part that changed keeps its type");
    check_equal(*paging_entry(&vm.paging, HVPT_1G + 0x9000, 0) >> 61 & 3, 2, "split: so do the others");
    attr.memtype = HVPT_MEM_WC;
    check_equal(hvpt_space_protect(&vm.paging.space, hvpt_make_gpa(HVPT_1G + 0x5000), HVPT_4K, attr,
                                    HVPT_CHANGE_MEMTYPE, NULL),
                HVPT_OK, "protect: another type");
    check_equal(*paging_entry(&vm.paging, HVPT_1G + 0x5000, 0) >> 61 & 3, 1, "protect: PBMT");
    check_reads(&vm, HVPT_1G + 0x5000, VM_MEMORY + 0x5000, "protect: the guest reads through it");
    check_equal(vm_write(&vm, HVPT_1G + 0x5000, 0).cause, CAUSE_STORE_GUEST, "protect: rights stayed");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "with Svpbmt: every frame came back");
}
