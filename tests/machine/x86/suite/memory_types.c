/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Memory types: each leaf says what it should, read by the manual's figure, and the guest reaches memory through it. */
#include "suite.h"

#include "console.h"
#include "cpu.h"

#define IA32_PAT 0x277

/* SDM vol. 3, "Memory Types That Can Be Encoded With PAT" */
static const unsigned type_codes[] = {[HVPT_MEM_UC] = 0, [HVPT_MEM_WC] = 1, [HVPT_MEM_WT] = 4,
                                      [HVPT_MEM_WP] = 5, [HVPT_MEM_WB] = 6};

/* The memory type that a leaf selects. EPT: bits 5:3. NPT: through the host's PAT, by PWT, PCD and the PAT bit. */
static unsigned leaf_type(const struct vm *vm, uint64_t entry, unsigned level)
{
    uint64_t pat = 0;
    unsigned index;

    if (!vm->svm)
        return (unsigned)(entry >> 3 & 7);
    cpu_rdmsr(IA32_PAT, &pat);
    index = (unsigned)(entry >> 3 & 3) | (unsigned)(entry >> (level > 0 ? 12 : 7) & 1) << 2;
    return (unsigned)(pat >> (8 * index) & 7);
}

/* A PAT with every type, WC and WP only where the PAT bit selects them. */
#define PAT_ALL   UINT64_C(0x0007050100070406)
#define PAT_RESET UINT64_C(0x0007040600070406)

static void check_type(struct vm *vm, unsigned level, enum hvpt_memtype type)
{
    uint64_t size = HVPT_4K << (9 * level), gpa = HVPT_512G, hpa = vm_backing(size);
    struct hvpt_attr attr = paging_attr(RWX);
    struct hvpt_mapping mapping;
    char name[48];
    uint64_t *entry;

    attr.memtype = type;
    check_equal(paging_map(&vm->paging, gpa, hpa, size, attr), HVPT_OK, "%s page, %s: map", size_name(size),
                hvpt_memtype_text(type));
    entry = paging_entry(&vm->paging, gpa, level);
    check_equal(entry != NULL ? leaf_type(vm, *entry, level) : ~0u, type_codes[type], "%s page, %s: the leaf's type",
                size_name(size), hvpt_memtype_text(type));
    check_equal(paging_translate(&vm->paging, gpa, &mapping), HVPT_OK, "%s page, %s: translate", size_name(size),
                hvpt_memtype_text(type));
    check_equal(mapping.attr.memtype, type, "%s page, %s: translate says so", size_name(size), hvpt_memtype_text(type));
    print_to(name, sizeof(name), "%s page, %s: the guest reads through it", size_name(size), hvpt_memtype_text(type));
    check_reads(vm, gpa + size - 8, hpa + size - 8, name);
    paging_unmap(&vm->paging, gpa, size);
}

void suite_memory_types(struct frames *frames)
{
    struct vm vm;

    check_group("memory types");
    if (cpu_vendor() == CPU_AMD) {
        struct hvpt_attr attr = paging_attr(RWX);

        vm_create(&vm, frames, NULL);
        attr.memtype = HVPT_MEM_WC;
        check_equal(paging_map(&vm.paging, HVPT_512G, VM_MEMORY, HVPT_4K, attr), HVPT_E_ATTR,
                    "WC is refused while the host's PAT has none");
        attr.memtype = HVPT_MEM_WP;
        check_equal(paging_map(&vm.paging, HVPT_512G, VM_MEMORY, HVPT_4K, attr), HVPT_E_ATTR,
                    "WP is refused while the host's PAT has none");
        vm_destroy(&vm);
        check_true(cpu_wrmsr(IA32_PAT, PAT_ALL), "the host's PAT takes all types");
    }
    vm_create(&vm, frames, NULL);
    for (unsigned level = 0; level < 3; level++)
        for (unsigned type = HVPT_MEM_WB;
             type <= HVPT_MEM_UC && HVPT_4K << (9 * level) <= paging_largest_page(&vm.paging); type++)
            check_type(&vm, level, (enum hvpt_memtype)type);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
    if (cpu_vendor() == CPU_AMD)
        cpu_wrmsr(IA32_PAT, PAT_RESET);
}
