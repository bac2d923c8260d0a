/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT's bits and rules against the manual's tables, as recorded in tests/reference/hvpt/ept_*.csv
 * (SDM vol. 3, "EPT Translation Mechanism", "EPT Misconfigurations", "Extended-Page-Table Pointer (EPTP)").
 */
#include "support/reference.h"
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOST UINT64_C(0x100000000)

static const char *const table_name[] = {"", "PDE_TABLE", "PDPTE_TABLE", "PML4E", "PML5E"};
static const char *const leaf_name[] = {"PTE", "PDE_2M", "PDPTE_1G"};
static const uint64_t page_size[] = {HVPT_4K, HVPT_2M, HVPT_1G};

static struct reference fields;

static void load(void)
{
    reference_load(&fields, "hvpt/ept_fields.csv");
}

static void unload(void)
{
    reference_free(&fields);
}

TestSuite(ept, .init = load, .fini = unload);

static uint64_t field(const char *entry, const char *name)
{
    return reference_field(&fields, entry, name, 52);
}

/* The lowest bit of a mask times value: value in that field. */
static uint64_t put(uint64_t mask, uint64_t value)
{
    return (mask & -mask) * value;
}

/* ---- names ---- */

static void check_bit(const char *entry, const char *name, uint64_t bit)
{
    uint64_t wanted = field(entry, name);

    CHECK(wanted == 0 || wanted == bit, "%s.%s is %#llx, should be %#llx", entry, name, (unsigned long long)bit,
          (unsigned long long)wanted);
}

Test(ept, every_named_bit_is_where_the_manual_has_it)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } names[] = {
        {"READ", HVPT_EPT_BIT_READ},
        {"WRITE", HVPT_EPT_BIT_WRITE},
        {"EXECUTE", HVPT_EPT_BIT_EXEC},
        {"MEMORY_TYPE", HVPT_EPT_MEMTYPE_BITS},
        {"IGNORE_PAT", HVPT_EPT_BIT_IGNORE_PAT},
        {"LARGE_PAGE", HVPT_EPT_BIT_LARGE},
        {"ACCESSED", HVPT_EPT_BIT_ACCESSED},
        {"DIRTY", HVPT_EPT_BIT_DIRTY},
        {"USER_EXECUTE", HVPT_EPT_BIT_USER_EXEC},
        {"VERIFY_GUEST_PAGING", HVPT_EPT_BIT_VERIFY_GUEST_PAGING},
        {"PAGING_WRITE_ACCESS", HVPT_EPT_BIT_PAGING_WRITE},
        {"SUPERVISOR_SHADOW_STACK", HVPT_EPT_BIT_SHADOW_STACK},
        {"SUB_PAGE_WRITE", HVPT_EPT_BIT_SUB_PAGE_WRITE},
        {"SUPPRESS_VE", HVPT_EPT_BIT_SUPPRESS_VE},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool known = false;

        for (size_t row = 1; row < fields.rows; row++)
            known = known || strcmp(fields.cell[row][reference_column(&fields, "field")], names[i].name) == 0;
        CHECK(known, "the manual has no field %s", names[i].name);
        for (unsigned level = 0; level < 3; level++)
            check_bit(leaf_name[level], names[i].name, names[i].bit);
        for (unsigned level = 1; level < 5; level++)
            check_bit(table_name[level], names[i].name, names[i].bit);
    }
    CHECK_EQ(HVPT_EPT_ADDRESS_BITS, field("PTE", "PAGE_ADDRESS"), "address bits");
    CHECK_EQ(HVPT_EPT_TABLE_RESERVED, field("PML4E", "RESERVED"), "reserved bits of a table entry");
    CHECK_EQ(HVPT_EPTP_ACCESSED_DIRTY, field("EPTP", "ENABLE_ACCESSED_DIRTY"), "EPTP.A/D");
    CHECK_EQ(HVPT_EPTP_SHADOW_STACK, field("EPTP", "ENABLE_SUPERVISOR_SHADOW_STACK"), "EPTP.SSS");
}

/* ---- entries ---- */

static const struct setup everything = {
    .name = "EPT with everything",
    .adapter = &ept_adapter,
    .config = {.levels = 5, .ept_vpid_cap = UINT64_MAX, .features = HVPT_EPT_USE_ALL},
    .cpu = {.kind = CPU_EPT,
            .levels = 5,
            .maxphyaddr = 52,
            .page_2m = true,
            .page_1g = true,
            .execute_only = true,
            .mode_based_execute = true,
            .accessed_dirty = true,
            .paging_write = true},
    .two_exec = true,
};

static const struct {
    uint32_t flag;
    const char *field;
    uint64_t feature; /* without it the flag is refused; 0: always there */
    uint64_t cap;     /* and without this capability the feature is */
} flags[] = {
    {HVPT_ACCESSED, "ACCESSED", HVPT_EPT_USE_ACCESSED_DIRTY, UINT64_C(1) << 21},
    {HVPT_DIRTY, "DIRTY", HVPT_EPT_USE_ACCESSED_DIRTY, UINT64_C(1) << 21},
    {HVPT_EPT_IGNORE_PAT, "IGNORE_PAT", 0, 0},
    {HVPT_EPT_SUPPRESS_VE, "SUPPRESS_VE", HVPT_EPT_USE_VIOLATION_VE, 0},
    {HVPT_EPT_VERIFY_GUEST_PAGING, "VERIFY_GUEST_PAGING", HVPT_EPT_USE_VERIFY_GUEST_PAGING, 0},
    {HVPT_EPT_PAGING_WRITE, "PAGING_WRITE_ACCESS", HVPT_EPT_USE_PAGING_WRITE, 0},
    {HVPT_EPT_SHADOW_STACK, "SUPERVISOR_SHADOW_STACK", HVPT_EPT_USE_SHADOW_STACK, UINT64_C(1) << 23},
    {HVPT_EPT_SUB_PAGE_WRITE, "SUB_PAGE_WRITE", HVPT_EPT_USE_SUB_PAGE_WRITE, 0},
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

/* The leaf that the manual's table makes of attr. */
static uint64_t leaf_of(const char *entry, uint64_t hpa, struct hvpt_attr attr)
{
    uint64_t leaf = hpa | put(field(entry, "READ"), (attr.perm & HVPT_READ) != 0)
                  | put(field(entry, "WRITE"), (attr.perm & HVPT_WRITE) != 0)
                  | put(field(entry, "EXECUTE"), (attr.perm & HVPT_EXEC) != 0)
                  | put(field(entry, "USER_EXECUTE"), (attr.perm & HVPT_EXEC_USER) != 0)
                  | put(field(entry, "MEMORY_TYPE"), x86_memtype(attr.memtype)) | field(entry, "LARGE_PAGE");

    for (size_t i = 0; i < FLAGS; i++)
        leaf |= attr.flags & flags[i].flag ? field(entry, flags[i].field) : 0;
    return leaf;
}

static uint64_t raw_leaf(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    CHECK(now.outcome == CPU_MAPPED, "hardware finds no leaf (%d)", (int)now.outcome);
    return now.entry;
}

/* Every permission with every memory type, and each flag alone and all together, at each level. */
Test(ept, every_leaf_is_what_the_manuals_table_makes_of_its_attributes)
{
    struct rig rig;

    rig_open(&rig, &everything);
    for (unsigned level = 0; level < 3; level++) {
        for (uint32_t perm = 1; perm <= HVPT_PERM_ALL; perm++) {
            for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
                for (size_t f = 0; f <= FLAGS + 1; f++) {
                    struct hvpt_attr attr = attr_of(perm, (enum hvpt_memtype)type);
                    struct hvpt_mapping mapping;
                    uint64_t hpa = UINT64_C(0xfedcb) << 32 | UINT64_C(0x40000000);

                    for (size_t i = 0; i < FLAGS; i++)
                        attr.flags |=
                            (f == i + 1 || f == FLAGS + 1) && (level == 0 || flags[i].flag != HVPT_EPT_SUB_PAGE_WRITE)
                                ? flags[i].flag
                                : 0;
                    if (((perm & HVPT_WRITE) && !(perm & HVPT_READ))
                        || (!(perm & HVPT_READ) && (attr.flags & HVPT_EPT_PAGING_WRITE)))
                        continue;
                    CHECK_STATUS(ept_adapter.map(&rig.space, HVPT_1G, hpa, page_size[level], attr, NULL), HVPT_OK,
                                 "map");
                    CHECK_EQ(raw_leaf(&rig, HVPT_1G), leaf_of(leaf_name[level], hpa, attr), leaf_name[level]);
                    CHECK_STATUS(ept_adapter.translate(&rig.space, HVPT_1G, &mapping), HVPT_OK, "translate");
                    CHECK_EQ(mapping.attr.flags, attr.flags, "flags as translated");
                    CHECK_EQ(mapping.attr.perm, attr.perm, "permissions as translated");
                    CHECK_EQ(mapping.attr.memtype, attr.memtype, "memory type as translated");
                    CHECK_STATUS(ept_adapter.unmap(&rig.space, HVPT_1G, page_size[level], NULL), HVPT_OK, "unmap");
                }
            }
        }
    }
    rig_close(&rig);
}

Test(ept, what_is_kept_for_software_lies_in_ignored_bits)
{
    struct rig rig;

    rig_open(&rig, &everything);
    for (unsigned level = 0; level < 3; level++) {
        for (uint32_t software = 0; software <= HVPT_EPT_SOFTWARE_MAX; software++) {
            struct hvpt_attr attr = attr_rwx();
            uint64_t extra;

            attr.software = software;
            attr.flags = software & 1 ? HVPT_LOGGED : 0;
            CHECK_STATUS(ept_adapter.map(&rig.space, HVPT_1G, HOST, page_size[level], attr, NULL), HVPT_OK, "map");
            extra = raw_leaf(&rig, HVPT_1G) ^ leaf_of(leaf_name[level], HOST, attr);
            CHECK((extra & ~field(leaf_name[level], "IGNORED")) == 0, "%s: %#llx is more than ignored bits",
                  leaf_name[level], (unsigned long long)extra);
            CHECK_STATUS(ept_adapter.unmap(&rig.space, HVPT_1G, page_size[level], NULL), HVPT_OK, "unmap");
        }
    }
    rig_close(&rig);
}

Test(ept, table_entries_allow_everything_and_use_no_reserved_bit)
{
    struct rig rig;
    unsigned seen = 0;

    rig_open(&rig, &everything);
    CHECK_STATUS(ept_adapter.map(&rig.space, 0, HOST, HVPT_2M - HVPT_4K, attr_rwx(), NULL), HVPT_OK, "map");
    CHECK_STATUS(ept_adapter.map(&rig.space, HVPT_512G, HOST + HVPT_4K, HVPT_1G, attr_rwx(), NULL), HVPT_OK, "map");
    for (uint32_t slot = 0; slot < rig.memory.slot_count; slot++) {
        const struct frame *frame = &rig.memory.frames[slot];

        for (unsigned i = 0; frame->state == FRAME_LINKED && frame->level > 0 && i < 512; i++) {
            const char *name = table_name[frame->level];
            uint64_t entry = frame->virt[i];
            uint64_t rest = entry & ~field(name, "IGNORED") & ~field(name, "TABLE_ADDRESS");

            if ((entry & 7) == 0)
                continue;
            seen++;
            CHECK_EQ(rest,
                     field(name, "READ") | field(name, "WRITE") | field(name, "EXECUTE") | field(name, "USER_EXECUTE"),
                     name);
        }
    }
    CHECK(seen > 500, "only %u table entries", seen);
    rig_close(&rig);
}

/* SDM vol. 3, "Virtualization Exceptions": an empty entry with bit 63 clear would turn the violation into a #VE. */
Test(ept, empty_entries_suppress_the_exception_where_it_is_enabled)
{
    const struct setup *setup = setup_named("EPT, #VE and execution on 4K pages only");
    struct rig rig;

    rig_open(&rig, setup);
    CHECK_STATUS(rig_map(&rig, HVPT_1G - HVPT_4K, HOST, HVPT_2M, rig_data(&rig)), HVPT_OK, "map");
    CHECK_STATUS(rig_map(&rig, 4 * HVPT_1G, HOST, HVPT_1G, rig_data(&rig)), HVPT_OK, "map");
    CHECK_STATUS(rig_unmap(&rig, 4 * HVPT_1G + HVPT_2M, HVPT_2M + HVPT_4K), HVPT_OK, "unmap");
    CHECK_STATUS(rig_unmap(&rig, HVPT_1G, HVPT_4K), HVPT_OK, "unmap");
    for (uint32_t slot = 0; slot < rig.memory.slot_count; slot++) {
        const struct frame *frame = &rig.memory.frames[slot];

        for (unsigned i = 0; frame->state == FRAME_LINKED && i < 512; i++)
            if ((frame->virt[i] & 7) == 0)
                CHECK(frame->virt[i] & field("PTE", "SUPPRESS_VE"), "entry %u of the table at level %u would raise #VE",
                      i, frame->level);
    }
    rig_close(&rig);
}

/* ---- what is refused ---- */

Test(ept, a_flag_without_its_feature_is_refused)
{
    for (size_t i = 0; i < FLAGS; i++) {
        struct setup setup = everything;
        struct hvpt_attr attr = attr_rwx();
        struct rig rig;

        setup.config.features &= ~flags[i].feature;
        setup.cpu.mode_based_execute = (setup.config.features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;
        setup.cpu.accessed_dirty = (setup.config.features & HVPT_EPT_USE_ACCESSED_DIRTY) != 0;
        attr.flags = flags[i].flag;
        rig_open(&rig, &setup);
        CHECK_STATUS(ept_adapter.map(&rig.space, 0, HOST, HVPT_4K, attr, NULL),
                     flags[i].feature ? HVPT_E_ATTR : HVPT_OK, flags[i].field);
        rig_close(&rig);
    }
}

Test(ept, a_feature_without_its_capability_is_refused)
{
    struct memory_options options = {.slots_log2 = 4, .phys_base = 1 << 24};
    struct memory memory;
    struct hvpt_space space;

    memory_open(&memory, &options);
    for (size_t i = 0; i < FLAGS; i++) {
        struct any_config config = {.ept_vpid_cap = UINT64_MAX & ~flags[i].cap, .features = flags[i].feature};

        if (flags[i].cap != 0)
            CHECK_STATUS(ept_adapter.init(&space, &memory.hooks, &config), HVPT_E_ATTR, flags[i].field);
    }
    memory_close(&memory);
}

Test(ept, sub_page_write_makes_small_pages)
{
    struct hvpt_attr attr = attr_of(HVPT_READ, HVPT_MEM_WB);
    struct rig rig;

    attr.flags = HVPT_EPT_SUB_PAGE_WRITE;
    rig_open(&rig, &everything);
    CHECK_STATUS(ept_adapter.map(&rig.space, HVPT_1G, HOST, HVPT_2M, attr, NULL), HVPT_OK, "map");
    CHECK_EQ(rig_page_size(&rig, HVPT_1G), HVPT_4K, "page size");
    rig_close(&rig);
}

/* A large page cannot have them: protect does not split for a flag. */
Test(ept, sub_page_write_is_refused_to_a_large_page)
{
    struct hvpt_attr attr = attr_of(HVPT_READ, HVPT_MEM_WB);
    struct rig rig;

    rig_open(&rig, &everything);
    CHECK_STATUS(rig_map(&rig, HVPT_1G, HOST, HVPT_2M, attr), HVPT_OK, "map");
    attr.flags = HVPT_EPT_SUB_PAGE_WRITE;
    CHECK_STATUS(ept_adapter.protect(&rig.space, HVPT_1G, HVPT_2M, attr, HVPT_CHANGE_FLAGS, NULL), HVPT_E_ATTR,
                 "protect of a large page");
    rig_check(&rig);
    rig_close(&rig);
}

/* EPTM.04, in what others put into the tables: the library makes no such page. */
Test(ept, paging_write_without_read_is_a_misconfiguration)
{
    struct hvpt_mapping mapping;
    struct cpu_translation way;
    struct rig rig;

    rig_open(&rig, &everything);
    CHECK_STATUS(rig_map(&rig, 0, HOST, HVPT_4K, attr_of(HVPT_EXEC, HVPT_MEM_WB)), HVPT_OK, "map");
    cpu_walk(&rig.cpu, &rig.memory, rig.tlb.root, 0, CPU_PROBE, &way);
    memory_poke(way.table[0], way.index[0], way.entry | field("PTE", "PAGING_WRITE_ACCESS"));
    CHECK_STATUS(ept_adapter.translate(&rig.space, 0, &mapping), HVPT_E_CORRUPT, "translate");
    memory_poke(way.table[0], way.index[0], way.entry);
    rig_close(&rig);
}

/*
 * SDM vol. 3, "Guidelines for Use of the INVEPT Instruction": what is cached must go where a bit of the permissions
 * went from 1 to 0. A permission that comes needs nothing, since the EPT violation drops what is cached.
 */
Test(ept, protect_owes_a_flush_where_a_permission_goes_and_only_there)
{
    struct rig rig;

    rig_open(&rig, &everything);
    for (uint32_t before = 1; before <= HVPT_PERM_ALL; before++) {
        for (uint32_t after = 1; after <= HVPT_PERM_ALL; after++) {
            const struct hvpt_attr old = attr_of(before, HVPT_MEM_WB), attr = attr_of(after, HVPT_MEM_WB);
            struct hvpt_flush flush = {0};

            if (!setup_expresses(&everything, old) || !setup_expresses(&everything, attr))
                continue;
            CHECK_STATUS(ept_adapter.map(&rig.space, 0, HOST, HVPT_4K, old, NULL), HVPT_OK, "map");
            CHECK_STATUS(ept_adapter.protect(&rig.space, 0, HVPT_4K, attr, HVPT_PERM_ALL, &flush), HVPT_OK, "protect");
            CHECK(hvpt_flush_needed(&flush) == ((before & ~after) != 0), "permissions %#x become %#x", before, after);
            ept_adapter.flush(&rig.space, &flush);
            CHECK_STATUS(ept_adapter.unmap(&rig.space, 0, HVPT_4K, NULL), HVPT_OK, "unmap");
        }
    }
    rig_close(&rig);
}

/* hvpt.h, collapse: where hardware sets no accessed and dirty bits, nothing is flushed on the way. */
Test(ept, collapse_without_hardware_bits_leaves_the_flush_to_the_caller)
{
    struct hvpt_collapse_report report;
    struct hvpt_flush flush = {0};
    struct rig rig;
    uint64_t flushes;

    rig_open(&rig, setup_named("EPT, all defaults"));
    for (unsigned page = 0; page < 512; page++)
        CHECK_STATUS(rig_map(&rig, page * HVPT_4K, HOST + page * HVPT_4K, HVPT_4K, rig_data(&rig)), HVPT_OK, "map");
    flushes = rig.memory.flushes;
    CHECK_STATUS(rig.adapter->collapse(&rig.space, 0, HVPT_2M, &flush, &report), HVPT_OK, "collapse");
    CHECK_EQ(report.collapsed, 1, "tables");
    CHECK_EQ(rig.memory.flushes, flushes, "flushes");
    CHECK(hvpt_flush_needed(&flush) && flush.dead_count == 1, "the old table waits");
    rig.adapter->flush(&rig.space, &flush);
    CHECK_EQ(rig_page_size(&rig, 0), HVPT_2M, "the page");
    rig_check(&rig);
    rig_close(&rig);
}

/* hvpt.h, collapse: where hardware sets them, the call flushes on the way, but not for each table. */
Test(ept, collapse_with_hardware_bits_flushes_for_many_tables_at_once)
{
    struct hvpt_collapse_report report;
    struct hvpt_flush flush = {0};
    uint64_t flushes;
    struct rig rig;

    rig_open(&rig, &everything);
    for (unsigned page = 0; page < 4 * 512; page++)
        CHECK_STATUS(rig.adapter->map(&rig.space, page * HVPT_4K, HOST + page * HVPT_4K, HVPT_4K, rig_data(&rig), NULL),
                     HVPT_OK, "map");
    flushes = rig.memory.flushes;
    CHECK_STATUS(rig.adapter->collapse(&rig.space, 0, 4 * HVPT_2M, &flush, &report), HVPT_OK, "collapse");
    CHECK_EQ(report.collapsed, 4, "tables");
    CHECK_EQ(rig.memory.flushes, flushes + 1, "flushes");
    rig.adapter->flush(&rig.space, &flush);
    CHECK_STATUS(rig.adapter->unmap(&rig.space, 0, 4 * HVPT_2M, NULL), HVPT_OK, "unmap");
    rig_close(&rig);
}

/* ---- EPTP ---- */

Test(ept, an_eptp_that_is_none_is_refused)
{
    struct memory_options options = {.slots_log2 = 4, .phys_base = 1 << 24};
    const struct any_config config = {.ept_vpid_cap = UINT64_MAX};
    struct memory memory;
    struct hvpt_space space;

    memory_open(&memory, &options);
    CHECK_STATUS(ept_adapter.adopt(&space, &memory.hooks, &config, put(field("EPTP", "PAGE_WALK_LENGTH_MINUS_1"), 2),
                                   true),
                 HVPT_E_ATTR, "three levels");
    CHECK_STATUS(ept_adapter.adopt(&space, &memory.hooks, &config,
                                   put(field("EPTP", "PAGE_WALK_LENGTH_MINUS_1"), 3) | 1 << 11, true),
                 HVPT_E_ATTR, "a reserved bit");
    memory_close(&memory);
}

Test(ept, the_eptp_says_what_was_configured)
{
    static const uint64_t walk_cap[] = {UINT64_C(1) << 6, UINT64_C(1) << 7};
    const uint64_t uc = UINT64_C(1) << 8, wb = UINT64_C(1) << 14, ad = UINT64_C(1) << 21, sss = UINT64_C(1) << 23;

    for (unsigned bits = 0; bits < 64; bits++) {
        struct memory_options options = {.slots_log2 = 6, .phys_base = UINT64_C(1) << 51};
        struct any_config config = {0};
        bool use_ad = bits & 1, use_sss = bits & 2, has_wb = bits & 4, has_uc = bits & 8, five = bits & 16,
             has_walk = bits & 32;
        struct memory memory;
        struct hvpt_space space;
        enum hvpt_status status;
        uint64_t eptp, wanted;

        memory_open(&memory, &options);
        config.levels = five ? 5 : 4;
        config.features =
            (use_ad ? (unsigned)HVPT_EPT_USE_ACCESSED_DIRTY : 0) | (use_sss ? (unsigned)HVPT_EPT_USE_SHADOW_STACK : 0);
        config.ept_vpid_cap = walk_cap[five ^ !has_walk] | (has_wb ? wb : 0) | (has_uc ? uc : 0) | ad | sss;
        status = ept_adapter.init(&space, &memory.hooks, &config);
        if (!has_walk || (!has_wb && !has_uc)) {
            CHECK_STATUS(status, HVPT_E_ATTR, "init");
        } else {
            CHECK_STATUS(status, HVPT_OK, "init");
            eptp = ept_adapter.root(&space);
            wanted = put(field("EPTP", "MEMORY_TYPE"), has_wb ? 6 : 0)
                   | put(field("EPTP", "PAGE_WALK_LENGTH_MINUS_1"), five ? 4 : 3)
                   | (use_ad ? field("EPTP", "ENABLE_ACCESSED_DIRTY") : 0)
                   | (use_sss ? field("EPTP", "ENABLE_SUPERVISOR_SHADOW_STACK") : 0);
            CHECK_EQ(eptp & ~field("EPTP", "ROOT_TABLE_ADDRESS"), wanted, "EPTP");
            CHECK(memory_frame(&memory, eptp & field("EPTP", "ROOT_TABLE_ADDRESS")) != NULL
                      && memory_frame(&memory, eptp & field("EPTP", "ROOT_TABLE_ADDRESS"))->state == FRAME_NEW,
                  "EPTP %#llx refers to no frame", (unsigned long long)eptp);
            ept_adapter.destroy(&space);
        }
        memory_close(&memory);
    }
}

/* ---- the records and the walker that interprets them ---- */

Test(ept, every_misconfiguration_rule_can_be_broken_and_is_found_by_the_walker)
{
    struct reference rules;

    reference_load(&rules, "hvpt/ept_misconfigurations.csv");
    for (size_t row = 1; row < rules.rows; row++) {
        const char *id = rules.cell[row][reference_column(&rules, "id")];
        struct random_stream random = {row};
        bool found = false;

        for (unsigned on = 0; on < 32 && !found; on++) {
            struct cpu_features features = {.kind = CPU_EPT, .levels = 5, .maxphyaddr = 40};
            struct cpu cpu;

            features.execute_only = on & 1;
            features.page_2m = on & 2;
            features.page_1g = on & 4;
            features.mode_based_execute = on & 8;
            features.paging_write = on & 16;
            cpu_init(&cpu, &features);
            for (unsigned i = 0; i < 20000 && !found; i++) {
                uint64_t entry = random_next(&random) & random_next(&random) & random_next(&random);
                const char *rule = cpu_misconfigured(&cpu, (unsigned)random_below(&random, 5), entry);

                found = cpu_present(&cpu, entry) && rule != NULL && strcmp(rule, id) == 0;
            }
        }
        CHECK(found, "%s was never broken by a random entry", id);
    }
    reference_free(&rules);
}
