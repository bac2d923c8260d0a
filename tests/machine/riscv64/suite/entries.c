/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Entries broken by hand: what the manual reserves must fault, and the engine must call it corrupt. Leaves that the
 * engine makes are held against the same rules by every other suite.
 */
#include "suite.h"

#define GPA   (3 * HVPT_1G)
#define FLAGS (PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D)

struct rule {
    const char *name;
    unsigned level; /* of the entry that is broken */
    uint64_t set, clear;
    bool absent;   /* not reserved: nothing is mapped then, and the engine says so */
    bool no_right; /* not reserved: a page that no guest may use */
};

/*
 * Privileged manual, "Virtual Address Translation Process" (steps 3 to 5) with "Guest Physical Address Translation"
 * (U), and the figures of Sv39: reserved bits 60:54; Svpbmt and Svnapot for bits 63:61.
 */
static const struct rule rules[] = {
    {"V clear", 0, 0, PTE_V, true, false},
    {"V clear in a table entry", 1, 0, PTE_V, true, false},
    {"W without R", 0, 0, PTE_R, false, false},
    {"W alone", 0, 0, PTE_R | PTE_X, false, false},
    {"no right in the last level", 0, 0, PTE_R | PTE_W | PTE_X, false, false},
    {"U clear", 0, 0, PTE_U, false, true},
    {"bit 54", 0, UINT64_C(1) << 54, 0, false, false},
    {"bit 55", 0, UINT64_C(1) << 55, 0, false, false},
    {"bit 56", 0, UINT64_C(1) << 56, 0, false, false},
    {"bit 57", 0, UINT64_C(1) << 57, 0, false, false},
    {"bit 58", 0, UINT64_C(1) << 58, 0, false, false},
    {"PBMT 3", 0, UINT64_C(3) << 61, 0, false, false},
    {"N with the page number of no run", 0, PTE_N | UINT64_C(4) << 10, 0, false, false},
    {"A in a table entry", 1, PTE_A, 0, false, false},
    {"D in a table entry", 1, PTE_D, 0, false, false},
    {"U in a table entry", 1, PTE_U, 0, false, false},
    {"bit 54 in a table entry", 1, UINT64_C(1) << 54, 0, false, false},
    {"PBMT 1 in a table entry", 1, UINT64_C(1) << 61, 0, false, false},
    {"N in a table entry", 1, PTE_N, 0, false, false},
};

static void check_rule(struct vm *vm, const struct rule *rule)
{
    uint64_t *entry = paging_entry(&vm->paging, GPA, rule->level), saved = *entry;
    struct vm_exit guest, host;
    struct hvpt_mapping mapping = {0};
    enum hvpt_status status;

    *entry = (saved | rule->set) & ~rule->clear;
    cpu_hfence_gvma_all();
    guest = vm_read(vm, GPA + 0x40, NULL);
    host = vm_hlv(GPA + 0x40, NULL);
    status = paging_translate(&vm->paging, GPA, &mapping);
    *entry = saved;
    cpu_hfence_gvma_all();
    check_equal(guest.cause, CAUSE_LOAD_GUEST, "%s: guest, scause", rule->name);
    check_equal(host.cause, CAUSE_LOAD_GUEST, "%s: HLV, scause", rule->name);
    if (host.cause == CAUSE_LOAD_GUEST)
        check_equal(host.htval, (GPA + 0x40) >> 2, "%s: HLV, htval", rule->name);
    if (rule->no_right)
        check_true(status == HVPT_OK && mapping.attr.perm == 0, "%s: translate tells of no right", rule->name);
    else
        check_equal(status, rule->absent ? HVPT_E_ABSENT : HVPT_E_CORRUPT, "%s: translate", rule->name);
}

/* A large page's address has low bits, which must be 0. */
static void check_misaligned(struct frames *frames, unsigned level)
{
    struct paging_options options = {.mode = MODE_SV57X4};
    uint64_t size = HVPT_4K << (9 * level), *entry;
    struct hvpt_mapping mapping;
    struct vm vm;

    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, size, vm_backing(size), size, paging_attr(RWX));
    entry = paging_entry(&vm.paging, size, level);
    for (unsigned bit = 10; bit < 10 + 9 * level; bit += 3) {
        *entry |= UINT64_C(1) << bit;
        cpu_hfence_gvma_all();
        check_equal(vm_hlv(size + VM_MEMORY % size, NULL).cause, CAUSE_LOAD_GUEST, "page of %s, bit %u: HLV, scause",
                    size_name(size), bit);
        check_equal(paging_translate(&vm.paging, size, &mapping), HVPT_E_CORRUPT, "page of %s, bit %u: translate",
                    size_name(size), bit);
        *entry &= ~(UINT64_C(1) << bit);
    }
    cpu_hfence_gvma_all();
    vm_destroy(&vm);
    check_equal(frames->held, 0, "page of %s: every frame came back", size_name(size));
}

/* Without its extension, any value but 0 in bits 63:61 is reserved. */
static void check_absent_extensions(struct vm *vm)
{
    static const struct rule pbmt = {"PBMT 1 without Svpbmt", 0, UINT64_C(1) << 61, 0, false, false};
    static const struct rule napot = {"N without Svnapot", 0, PTE_N | UINT64_C(8) << 10, 0, false, false};

    if (machine.pbmt)
        check_skip("the machine has Svpbmt", "%s", pbmt.name);
    else
        check_rule(vm, &pbmt);
    if (machine.napot)
        check_skip("the machine has Svnapot", "%s", napot.name);
    else
        check_rule(vm, &napot);
}

/* Bits 60:59: reserved, or software's with Svrsw60t59b, which a space has to be told. */
static void check_software_bits(struct frames *frames)
{
    static const struct rule both[] = {
        {"bit 59", 0, UINT64_C(1) << 59, 0, false, false},
        {"bit 60", 0, UINT64_C(1) << 60, 0, false, false},
        {"bits 60:59 in a table entry", 1, UINT64_C(3) << 59, 0, false, false},
    };
    const struct paging_options options = {.features = HVPT_GSTAGE_USE_SVRSW60T59B};
    struct hvpt_mapping mapping;
    struct vm vm;

    vm_create(&vm, frames, machine.software_bits ? &options : NULL);
    paging_map(&vm.paging, GPA, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    for (unsigned i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        uint64_t *entry = paging_entry(&vm.paging, GPA, both[i].level);

        if (!machine.software_bits) {
            check_rule(&vm, &both[i]);
            check_skip("the machine has not Svrsw60t59b", "%s: is software's", both[i].name);
            continue;
        }
        *entry |= both[i].set;
        cpu_hfence_gvma_all();
        check_reads(&vm, GPA, VM_MEMORY, both[i].name);
        check_hlv(&vm, GPA, VM_MEMORY, both[i].name);
        check_true(paging_translate(&vm.paging, GPA, &mapping) == HVPT_OK && mapping.hpa.value == VM_MEMORY
                       && mapping.attr.perm == RWX,
                   "%s: translate", both[i].name);
        check_equal(paging_protect(&vm.paging, GPA, HVPT_4K, HVPT_READ), HVPT_OK, "%s: protect", both[i].name);
        check_equal(vm_write(&vm, GPA, 1).cause, CAUSE_STORE_GUEST, "%s: the guest no longer writes", both[i].name);
        check_equal(paging_protect(&vm.paging, GPA, HVPT_4K, RWX), HVPT_OK, "%s: protect back", both[i].name);
        check_equal(*entry & both[i].set, both[i].set, "%s: is kept", both[i].name);
        *entry &= ~both[i].set;
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "bits 60:59: every frame came back");
}

void suite_entries(struct frames *frames)
{
    struct vm vm;

    check_group("G-stage, entries");
    vm_create(&vm, frames, NULL);
    paging_map(&vm.paging, GPA, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    check_equal(*paging_entry(&vm.paging, GPA, 0) | PTE_A | PTE_D, VM_MEMORY >> 12 << 10 | FLAGS, "the leaf, unbroken");
    check_equal(*paging_entry(&vm.paging, GPA, 1) & 0x3ff & ~UINT64_C(0x300), PTE_V, "the table entry, unbroken");
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        check_rule(&vm, &rules[i]);
    check_absent_extensions(&vm);
    check_reads(&vm, GPA, VM_MEMORY, "read when all is mended");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
    check_software_bits(frames);
    check_group("G-stage, misaligned");
    for (unsigned level = 1; level < 5; level++)
        check_misaligned(frames, level);
}
