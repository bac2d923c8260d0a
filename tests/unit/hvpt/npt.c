/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT's bits and rules against the manual's tables, as recorded in tests/reference/hvpt/npt_*.csv
 * (APM vol. 2, "Nested Paging", "Long-Mode Page Translation", "Page-Attribute Table Mechanism").
 */
#include "support/reference.h"
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOST UINT64_C(0x100000000)

static const char *const table_name[] = {"", "PDE_TABLE", "PDPE_TABLE", "PML4E", "PML5E"};
static const char *const leaf_name[] = {"PTE", "PDE_2M", "PDPE_1G"};
static const uint64_t page_size[] = {HVPT_4K, HVPT_2M, HVPT_1G};

static struct reference fields;

static void load(void)
{
    reference_load(&fields, "hvpt/npt_fields.csv");
}

static void unload(void)
{
    reference_free(&fields);
}

TestSuite(npt, .init = load, .fini = unload);

static uint64_t field(const char *entry, const char *name)
{
    return reference_field(&fields, entry, name, 52);
}

static void check_bit(const char *entry, const char *name, uint64_t bit)
{
    uint64_t wanted = field(entry, name);

    CHECK(wanted == 0 || wanted == bit, "%s.%s is %#llx, should be %#llx", entry, name, (unsigned long long)bit,
          (unsigned long long)wanted);
}

Test(npt, every_named_bit_is_where_the_manual_has_it)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } names[] = {
        {"P", HVPT_NPT_BIT_PRESENT}, {"RW", HVPT_NPT_BIT_WRITE}, {"US", HVPT_NPT_BIT_USER},
        {"PWT", HVPT_NPT_BIT_PWT},   {"PCD", HVPT_NPT_BIT_PCD},  {"A", HVPT_NPT_BIT_ACCESSED},
        {"D", HVPT_NPT_BIT_DIRTY},   {"PS", HVPT_NPT_BIT_LARGE}, {"NX", HVPT_NPT_BIT_NX},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (unsigned level = 0; level < 3; level++)
            check_bit(leaf_name[level], names[i].name, names[i].bit);
        for (unsigned level = 1; level < 5; level++)
            check_bit(table_name[level], names[i].name, names[i].bit);
    }
    check_bit("PTE", "PAT", HVPT_NPT_BIT_PAT);
    check_bit("PDE_2M", "PAT", HVPT_NPT_BIT_PAT_LARGE);
    check_bit("PDPE_1G", "PAT", HVPT_NPT_BIT_PAT_LARGE);
    CHECK_EQ(HVPT_NPT_ADDRESS_BITS, field("PTE", "PAGE_ADDRESS"), "address bits");
}

static struct setup with_pat(uint64_t pat)
{
    struct setup setup = *setup_named("NPT, all defaults");

    setup.config.pat = pat;
    setup.cpu.pat = pat;
    return setup;
}

static uint64_t raw_leaf(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    CHECK(now.outcome == CPU_MAPPED, "hardware finds no leaf (%d)", (int)now.outcome);
    return now.entry;
}

static uint64_t ignored(const char *entry)
{
    return field(entry, "AVL") | field(entry, "IGNORED") | field(entry, "G") | field(entry, "MPK");
}

/* The leaf that the manual's table makes of attr, but for the memory type's three bits. */
static uint64_t leaf_of(const char *entry, uint64_t hpa, struct hvpt_attr attr)
{
    return hpa | field(entry, "P") | field(entry, "US") | field(entry, "PS")
         | (attr.perm & HVPT_WRITE ? field(entry, "RW") : 0) | (attr.perm & HVPT_EXEC ? 0 : field(entry, "NX"))
         | (attr.flags & HVPT_ACCESSED ? field(entry, "A") : 0) | (attr.flags & HVPT_DIRTY ? field(entry, "D") : 0);
}

/* Every memory type at every PAT index, at each level. */
Test(npt, every_leaf_is_what_the_manuals_table_makes_of_its_attributes)
{
    static const uint64_t perms[] = {HVPT_READ, HVPT_READ | HVPT_WRITE, HVPT_READ | HVPT_EXEC,
                                     HVPT_READ | HVPT_WRITE | HVPT_EXEC};

    for (unsigned index = 0; index < 8; index++) {
        for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
            /* A PAT full of another type, with the wanted one at index alone. */
            enum hvpt_memtype other = type == HVPT_MEM_WB ? HVPT_MEM_UC : HVPT_MEM_WB;
            uint64_t pat = x86_memtype(other) * UINT64_C(0x0101010101010101);
            struct setup setup;
            struct rig rig;

            pat &= ~(UINT64_C(255) << (8 * index));
            pat |= (uint64_t)x86_memtype((enum hvpt_memtype)type) << (8 * index);
            setup = with_pat(pat);
            rig_open(&rig, &setup);
            for (unsigned level = 0; level < 3; level++) {
                const char *name = leaf_name[level];
                uint64_t hpa = UINT64_C(0xfedcb) << 32 | UINT64_C(0x40000000);

                for (unsigned i = 0; i < 16; i++) {
                    struct hvpt_attr attr = attr_of((uint32_t)perms[i % 4], (enum hvpt_memtype)type);
                    uint64_t wanted;

                    attr.flags = i / 4;
                    wanted = leaf_of(name, hpa, attr) | (index & 1 ? field(name, "PWT") : 0)
                           | (index & 2 ? field(name, "PCD") : 0) | (index & 4 ? field(name, "PAT") : 0);
                    CHECK_STATUS(rig_map(&rig, HVPT_1G, hpa, page_size[level], attr), HVPT_OK, "map");
                    CHECK_EQ(raw_leaf(&rig, HVPT_1G), wanted, name);
                    rig_compare(&rig, HVPT_1G);
                    CHECK_STATUS(rig_unmap(&rig, HVPT_1G, page_size[level]), HVPT_OK, "unmap");
                }
            }
            rig_close(&rig);
        }
    }
}

Test(npt, what_is_kept_for_software_lies_in_ignored_bits)
{
    const struct setup *setup = setup_named("NPT, all defaults");
    struct hvpt_mapping mapping;
    struct rig rig;

    rig_open(&rig, setup);
    for (unsigned level = 0; level < 3; level++) {
        for (uint32_t software = 0; software <= HVPT_NPT_SOFTWARE_MAX; software++) {
            struct hvpt_attr attr = attr_rwx();
            uint64_t extra;

            attr.software = software;
            attr.flags = software & 1 ? HVPT_LOGGED : 0;
            CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, page_size[level], attr), HVPT_OK, "map");
            extra = raw_leaf(&rig, HVPT_1G) ^ leaf_of(leaf_name[level], HOST, attr);
            CHECK((extra & ~ignored(leaf_name[level])) == 0, "%s: %#llx is more than ignored bits", leaf_name[level],
                  (unsigned long long)extra);
            CHECK_STATUS(npt_adapter.translate(&rig.space, HVPT_1G, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.attr.software, software, "what comes back");
            CHECK_STATUS(rig_unmap(&rig, HVPT_1G, page_size[level]), HVPT_OK, "unmap");
        }
    }
    rig_close(&rig);
}

Test(npt, table_entries_allow_everything_and_use_no_reserved_bit)
{
    const struct setup *setup = setup_named("NPT, 5 levels, every memory type, linear map");
    struct rig rig;
    unsigned seen = 0;

    rig_open(&rig, setup);
    CHECK_STATUS(rig_map(&rig, 0, HOST, HVPT_2M - HVPT_4K, attr_rwx()), HVPT_OK, "map");
    CHECK_STATUS(rig_map(&rig, HVPT_512G, HOST + HVPT_4K, HVPT_1G, attr_rwx()), HVPT_OK, "map");
    for (uint32_t slot = 0; slot < rig.memory.slot_count; slot++) {
        const struct frame *frame = &rig.memory.frames[slot];

        for (unsigned i = 0; frame->state == FRAME_LINKED && frame->level > 0 && i < 512; i++) {
            const char *name = table_name[frame->level];
            uint64_t entry = frame->virt[i];

            if (!(entry & 1))
                continue;
            seen++;
            CHECK_EQ(entry & ~ignored(name) & ~field(name, "TABLE_ADDRESS"),
                     field(name, "P") | field(name, "RW") | field(name, "US"), name);
        }
    }
    CHECK(seen > 500, "only %u table entries", seen);
    rig_close(&rig);
}

Test(npt, the_root_register_is_the_roots_address_and_the_c_bit_alone)
{
    for (size_t i = 0; i < setup_count; i++) {
        const uint64_t c_bit = setups[i].cpu.c_bit != 0 ? UINT64_C(1) << setups[i].cpu.c_bit : 0;
        struct rig rig;
        uint64_t root;

        if (setups[i].adapter != &npt_adapter)
            continue;
        rig_open(&rig, &setups[i]);
        root = npt_adapter.root(&rig.space);
        CHECK_EQ(root & c_bit, c_bit, "the C-bit");
        root &= ~c_bit;
        CHECK(memory_frame(&rig.memory, root) != NULL && memory_frame(&rig.memory, root)->state == FRAME_LINKED,
              "nCR3 %#llx refers to no frame", (unsigned long long)root);
        rig_close(&rig);
    }
}

/* With UC- the guest's PAT could make WC of it; UC is the stronger, and is chosen where the PAT has it. */
Test(npt, uncached_means_the_stronger_of_two_entries)
{
    static const struct {
        uint64_t pat;
        unsigned wanted;
    } cases[] = {
        {UINT64_C(0x0606060606060007), 0}, {UINT64_C(0x0606060606060700), 0}, {UINT64_C(0x0007060606060606), 0},
        {UINT64_C(0x0700060606060606), 0}, {UINT64_C(0x0706060606060606), 7}, {UINT64_C(0x0006060606060606), 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct setup setup = with_pat(cases[i].pat);
        struct cpu_translation now;
        struct hvpt_mapping mapping;
        struct rig rig;

        rig_open(&rig, &setup);
        CHECK_STATUS(npt_adapter.map(&rig.space, 0, HOST, HVPT_4K, attr_of(HVPT_READ, HVPT_MEM_UC), NULL), HVPT_OK,
                     "map");
        cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 0, CPU_PROBE, &now);
        CHECK_EQ(now.memtype, cases[i].wanted, "the type that the PAT gives");
        CHECK_STATUS(npt_adapter.translate(&rig.space, 0, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.attr.memtype, HVPT_MEM_UC, "memory type as translated");
        rig_close(&rig);
    }
}

/* PAT bit 12 of a large page becomes bit 7 of a small one, and the rest must not become PAT bits. */
Test(npt, memory_types_survive_a_cut_whatever_their_pat_index)
{
    for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
        for (unsigned index = 0; index < 8; index++) {
            uint64_t pat = x86_memtype(type == HVPT_MEM_WB ? HVPT_MEM_WT : HVPT_MEM_WB) * UINT64_C(0x0101010101010101);
            struct setup setup;
            struct rig rig;

            pat &= ~(UINT64_C(255) << (8 * index));
            pat |= (uint64_t)x86_memtype((enum hvpt_memtype)type) << (8 * index);
            setup = with_pat(pat);
            rig_open(&rig, &setup);
            CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, HVPT_1G, attr_of(HVPT_READ, (enum hvpt_memtype)type)), HVPT_OK,
                         "map");
            CHECK_STATUS(rig_unmap(&rig, HVPT_1G + HVPT_2M + HVPT_4K, HVPT_4K), HVPT_OK, "unmap");
            rig_check(&rig);
            rig_check_walk(&rig);
            rig_close(&rig);
        }
    }
}

Test(npt, a_memory_type_that_the_pat_lacks_is_refused)
{
    for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
        uint64_t pat = x86_memtype(type == HVPT_MEM_WB ? HVPT_MEM_WT : HVPT_MEM_WB) * UINT64_C(0x0101010101010101);
        struct setup setup = with_pat(pat);
        struct rig rig;

        rig_open(&rig, &setup);
        CHECK_STATUS(rig_map(&rig, 0, HOST, HVPT_4K, attr_of(HVPT_READ, (enum hvpt_memtype)type)), HVPT_E_ATTR, "map");
        rig_close(&rig);
    }
}

Test(npt, a_depth_that_there_is_not_is_not_adopted)
{
    struct memory_options options = {.slots_log2 = 4, .phys_base = 1 << 24};
    const struct any_config config = {.levels = 3};
    struct memory memory;
    struct hvpt_space space;

    memory_open(&memory, &options);
    CHECK_STATUS(npt_adapter.adopt(&space, &memory.hooks, &config, 0, true), HVPT_E_CONFIG, "adopt");
    memory_close(&memory);
}

/* APM vol. 2, "PAT Register": the codes are 0, 1 and 4 to 7; the other bits of each byte must be 0. */
Test(npt, a_pat_that_no_cpu_takes_is_refused)
{
    struct memory_options options = {.slots_log2 = 4, .phys_base = 1 << 24};
    struct memory memory;

    memory_open(&memory, &options);
    for (unsigned at = 0; at < 64; at += 8) {
        for (unsigned code = 0; code < 256; code++) {
            const uint64_t pat = (UINT64_C(0x0606060606060606) & ~(UINT64_C(0xff) << at)) | (uint64_t)code << at;
            const struct any_config config = {.pat = pat};
            const bool taken = code <= 1 || (code >= 4 && code <= 7);
            struct hvpt_space space;

            check_context("PAT %#llx", (unsigned long long)pat);
            CHECK_STATUS(npt_adapter.init(&space, &memory.hooks, &config), taken ? HVPT_OK : HVPT_E_CONFIG, "init");
            npt_adapter.destroy(&space);
        }
    }
    memory_close(&memory);
}

/* APM vol. 2, "CR3 Register" in long mode: bits 63:52 are reserved; of the low ones PWT and PCD mean something. */
Test(npt, an_ncr3_with_bits_above_the_address_is_refused)
{
    struct rig rig;

    rig_open(&rig, setup_named("NPT, all defaults"));
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t ncr3 = npt_adapter.root(&rig.space) | UINT64_C(1) << bit;
        struct hvpt_space space;

        if (bit < 12 || bit > 51)
            CHECK_STATUS(npt_adapter.adopt(&space, &rig.memory.hooks, &rig.setup->config, ncr3, true),
                         bit < 12 ? HVPT_OK : HVPT_E_RANGE, "adopt");
    }
    rig_close(&rig);
}
