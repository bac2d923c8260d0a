/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The memory type that both stages give together, as PAR_EL1 tells it, with and without FEAT_S2FWB.
 * Arm ARM, "Combining stage 1 and stage 2 memory type attributes", "Stage 2 memory type and Cacheability attributes
 * when
 * FEAT_S2FWB is implemented", "PAR_EL1".
 */
#include "suite.h"

#include "cpu.h"
#include "machine.h"

#define BASE (4 * HVPT_1G)

/* Bytes of MAIR_EL1. */
enum { NGNRNE = 0x00, NGNRE = 0x04, NGRE = 0x08, GRE = 0x0c, NC = 0x44, WT = 0xbb, WB = 0xff, WB_NO_ALLOCATE = 0xcc };

static const uint8_t stage1_types[8] = {NGNRNE, NGNRE, NGRE, GRE, NC, WT, WB, WB_NO_ALLOCATE};
static const char *const stage1_names[8] = {"nGnRnE", "nGnRE", "nGRE", "GRE",
                                            "NC",     "WT",    "WB",   "WB without allocation"};

static const struct {
    enum hvpt_memtype memtype;
    const char *name;
} stage2_types[] = {{HVPT_MEM_UC, "UC"}, {HVPT_MEM_WC, "WC"}, {HVPT_MEM_WT, "WT"}, {HVPT_MEM_WB, "WB"}};

/* The manual's combination of a byte of MAIR_EL1 with what the memory types mean at stage 2. */
static unsigned combined(unsigned stage1, enum hvpt_memtype stage2, bool fwb)
{
    bool device = (stage1 & 0xf0) == 0;

    switch (stage2) {
    case HVPT_MEM_UC: return device && stage1 < NGNRE ? stage1 : NGNRE; /* the stronger of the two */
    case HVPT_MEM_WC: return device ? stage1 : NC;
    case HVPT_MEM_WT: return device || stage1 == NC ? stage1 : stage1 & 0xbb;
    case HVPT_MEM_WB:
        if (!fwb)
            return stage1;
        /* Forced, with the hints of stage 1 where it is cacheable */
        return device || stage1 == NC ? WB : stage1 | 0x44;
    default: return 0x100;
    }
}

static void check_types(struct frames *frames, bool fwb)
{
    struct paging_options options = {0, 0, 0, 0, fwb ? HVPT_S2_USE_FWB : 0, 0};
    struct vm vm;

    create(&vm, frames, &options);
    vm.stage1 = true;
    for (unsigned i = 0; i < 8; i++)
        vm.mair |= (uint64_t)stage1_types[i] << (8 * i);
    for (unsigned i = 0; i < sizeof(stage2_types) / sizeof(stage2_types[0]); i++) {
        struct hvpt_attr attr = {RWX, stage2_types[i].memtype, 0, 0};
        uint64_t gpa = BASE + i * HVPT_4K;
        bool possible = !(fwb && attr.memtype == HVPT_MEM_WT);
        struct hvpt_mapping mapping;

        check_equal(paging_map(&vm.paging, gpa, VM_MEMORY, HVPT_4K, attr), possible ? HVPT_OK : HVPT_E_ATTR, "%s: %s",
                    stage2_types[i].name, possible ? "map" : "is refused");
        if (!possible)
            continue;
        paging_translate(&vm.paging, gpa, &mapping);
        check_equal(mapping.attr.memtype, attr.memtype, "%s: as translate tells", stage2_types[i].name);
        for (unsigned j = 0; j < 8; j++) {
            uint64_t par;

            vm_load(&vm);
            cpu_barrier();
            par = cpu_at_s12e1r(guest_linear(gpa, j));
            check_equal(par & 1, 0, "%s with %s at stage 1: is translated", stage2_types[i].name, stage1_names[j]);
            check_equal(par >> 56, combined(stage1_types[j], attr.memtype, fwb), "%s with %s at stage 1: PAR_EL1.ATTR",
                        stage2_types[i].name, stage1_names[j]);
        }
    }

    /* protect changes it, by way of an empty entry: break-before-make is demanded for memory types */
    {
        struct hvpt_attr attr = {RWX, HVPT_MEM_WC, 0, 0};
        uint64_t gpa = BASE + 3 * HVPT_4K;

        paging_watch(&vm.paging, gpa);
        check_equal(hvpt_space_protect(&vm.paging.s2, hvpt_make_gpa(gpa), HVPT_4K, attr, HVPT_CHANGE_MEMTYPE, NULL),
                    HVPT_OK, "protect: the memory type");
        check_true(vm.paging.seen_empty > 0, "protect: the page was broken before it got another type");
        vm_load(&vm);
        check_equal(cpu_at_s12e1r(guest_linear(gpa, 6)) >> 56, combined(WB, HVPT_MEM_WC, fwb), "protect: PAR_EL1.ATTR");
    }
    finish(&vm, "types");
}

/* Shareability: what the two stages say, the wider; stage 1 is off and non-shareable here. */
static void check_shareability(struct frames *frames)
{
    static const struct {
        uint32_t flags;
        unsigned sh;
        const char *name;
    } kinds[] = {{0, 3, "inner shareable"},
                 {HVPT_S2_OUTER_SHAREABLE, 2, "outer shareable"},
                 {HVPT_S2_NON_SHAREABLE, 0, "non-shareable"}};
    struct vm vm;

    create(&vm, frames, NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct hvpt_attr attr = {RWX, HVPT_MEM_WB, kinds[i].flags, 0};

        check_equal(paging_map(&vm.paging, BASE + i * HVPT_4K, VM_MEMORY, HVPT_4K, attr), HVPT_OK, "%s: map",
                    kinds[i].name);
        check_equal(paging_at(&vm.paging, BASE + i * HVPT_4K, false) >> 7 & 3, kinds[i].sh, "%s: PAR_EL1.SH",
                    kinds[i].name);
    }
    finish(&vm, "shareability");
}

void suite_memory_types(struct frames *frames)
{
    static const struct paging_options with_fwb = {0, 0, 0, 0, HVPT_S2_USE_FWB, 0};
    static struct paging paging;

    check_group("memory types");
    check_types(frames, false);
    check_shareability(frames);
    check_group("memory types, FWB");
    if (paging_has(HVPT_S2_USE_FWB))
        check_types(frames, true);
    else if (!check_equal(paging_init(&paging, frames, &with_fwb), HVPT_E_ATTR, "FWB, which the CPU lacks, is refused"))
        paging_destroy(&paging);
}
