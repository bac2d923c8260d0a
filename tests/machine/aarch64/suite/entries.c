/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Entries broken by hand: what the manual reserves must fault, at the level that it says, and the engine must call it
 * corrupt. Arm ARM, "VMSAv8-64 translation table format descriptors" and "MMU fault types".
 */
#include "suite.h"

#include "console.h"

#define BASE (12 * HVPT_1G)

struct rule {
    const char *name;
    int level; /* of the entry that is broken, Arm's number */
    uint64_t set, clear;
    enum fault fault;
    bool absent; /* not reserved: nothing is mapped then, and the engine says so */
};

/* The entry at rule->level on the way to gpa is broken, and mended again. */
static void check_rule(struct vm *vm, uint64_t gpa, const struct rule *rule)
{
    struct walk walk = walk_to(hvpt_space_root(&vm->paging.s2), hvpt_s2_vtcr(&vm->paging.s2), gpa, rule->level);
    struct hvpt_flush flush = {.kind = HVPT_FLUSH_TLBI, .gpa = {gpa}, .size = HVPT_4K, .tables = true};
    struct hvpt_mapping mapping;
    struct vm_exit exit;
    uint64_t at = gpa + 0x128;

    if (!check_equal((uint64_t)walk.level, (uint64_t)rule->level, "%s: there is such an entry", rule->name))
        return;
    *walk.entry = (walk.value | rule->set) & ~rule->clear;
    vm->paging.hooks.flush(&vm->paging, &flush);
    exit = vm_read(vm, at, NULL);
    check_fault(vm, &exit, ACCESS_READ, rule->fault, rule->level, at, rule->name);
    check_equal(hvpt_space_translate(&vm->paging.s2, hvpt_make_gpa(gpa), &mapping),
                rule->absent ? HVPT_E_ABSENT : HVPT_E_CORRUPT, "%s: translate", rule->name);
    *walk.entry = walk.value;
    vm->paging.hooks.flush(&vm->paging, &flush);
}

/* A page of the granule, so that the entries of all levels above it are tables. */
static void open(struct vm *vm, struct frames *frames, const struct paging_options *options, uint64_t gpa)
{
    uint64_t page = UINT64_C(1) << options->granule_shift;

    create(vm, frames, options);
    check_equal(paging_map(&vm->paging, gpa, VM_MEMORY, page, paging_attr(RWX)), HVPT_OK, "map");
}

static void check_valid(struct frames *frames, unsigned granule_shift)
{
    static const struct rule rules[] = {
        {"bit 0 clear in a page", 3, 0, 1, FAULT_TRANSLATION, true},
        {"bit 0 clear in a table entry", 2, 0, 1, FAULT_TRANSLATION, true},
        {"bit 1 clear in a page", 3, 0, 2, FAULT_TRANSLATION, false},
    };
    const struct paging_options options = {granule_shift, 0, 0, 0, 0, 0};
    struct vm vm;

    open(&vm, frames, &options, BASE);
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        check_rule(&vm, BASE, &rules[i]);
    check_reads(&vm, BASE, VM_MEMORY, "read when all is mended");
    finish(&vm, "valid");
}

/* A block above the highest level that has them: an entry whose bit 1 is clear there is not valid. */
static void check_blocks(struct frames *frames, unsigned granule_shift)
{
    int level = first_leaf_level(granule_shift, false) - 1;
    struct rule rule = {"a block where there are none", level, 0, 2, FAULT_TRANSLATION, false};
    unsigned span = granule_shift + (unsigned)(3 - level) * (granule_shift - 3);
    unsigned bits = paging_physical_bits() < 48 ? paging_physical_bits() : 48;
    const struct paging_options options = {granule_shift, bits, (unsigned)(4 - level), 0, 0, 0};
    uint64_t gpa = (UINT64_C(1) << span) + BASE; /* behind another entry than the guest's home */
    struct vm vm;

    /* Arm ARM, "VTCR_EL2", SL0: a CPU of few physical bits cannot begin so high */
    if (level < 0 || span >= bits || bits <= (granule_shift == 14 ? 40 : 42)) {
        check_skip("no table of this CPU lies so high", "%s", rule.name);
        return;
    }
    open(&vm, frames, &options, gpa);
    check_rule(&vm, gpa, &rule);
    finish(&vm, "blocks");
}

/* Addresses beyond VTCR_EL2.PS, in a page, a block's and a table's entry. */
static void check_addresses(struct frames *frames, unsigned granule_shift)
{
    const struct paging_options options = {granule_shift, 0, 0, 0, 0, 0};
    unsigned bits = paging_physical_bits();
    struct vm vm;

    if (bits >= 48) {
        check_skip("an entry has no more address bits than the CPU", "addresses that are too large");
        return;
    }
    open(&vm, frames, &options, BASE);
    for (int level = 3; level >= 2; level--)
        for (unsigned bit = bits; bit < 48; bit++) {
            char name[64];
            struct rule rule = {name, level, UINT64_C(1) << bit, 0, FAULT_ADDRESS_SIZE, false};

            print_to(name, sizeof(name), "address bit %u in a %s", bit, level == 3 ? "page" : "table entry");
            check_rule(&vm, BASE, &rule);
        }
    finish(&vm, "addresses");
}

void suite_entries(struct frames *frames)
{
    static const char *const groups[] = {"entries, 4K granule", "entries, 16K granule", "entries, 64K granule"};

    for (unsigned i = 0; i < 3; i++) {
        check_group(groups[i]);
        if (!paging_has_granule(12 + 2 * i)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        check_valid(frames, 12 + 2 * i);
        check_blocks(frames, 12 + 2 * i);
        check_addresses(frames, 12 + 2 * i);
    }
}
