/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor and the guest are told, by hand: values seen on emulated processors, and the manuals' rules on
 * which fault comes first. SDM vol. 3, "Exit Qualification for EPT Violations", "Prioritization of EPT
 * Misconfigurations and EPT Violations"; APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering".
 */
#include "agree.h"

#include <string.h>

#define LINEAR UINT64_C(0x0000123456789abc)
#define DATA   frame(300)
#define USER   HVPT_X86_USER

/* A 4-level guest with one user page, whose entries have accessed and dirty set already. */
static struct oracle start(struct world *world)
{
    struct oracle cpu = oracle_of(world);

    cpu.mode = ORACLE_4;
    cpu.nxe = cpu.wp = true;
    build(world, &cpu, LINEAR, DATA, 0x67, 0);
    return cpu;
}

static void set_low_bits(struct world *world, uint64_t gpa, uint64_t bits)
{
    uint64_t *slot = world_slot(world, gpa, 0);

    *slot = (*slot & ~UINT64_C(7)) | bits;
}

static void expect_exit(const struct world *world, const struct oracle *cpu, uint32_t access, uint64_t information,
                        uint64_t gpa)
{
    struct hvpt_guest_walk walk =
        walk_to(world, cpu, LINEAR, access, cpu->amd ? HVPT_GUEST_NESTED_PAGE_FAULT : HVPT_GUEST_EPT_VIOLATION);

    EXPECT(walk.exit_information, information);
    EXPECT(walk.fault_gpa.value, gpa);
    EXPECT(walk.linear, LINEAR);
    EXPECT(walk.on_table, gpa >> 12 != DATA >> 12);
    EXPECT(walk.hpa.value, 0);
    EXPECT(walk.perm, 0);
    EXPECT(walk.error_code, 0);
}

/* The bits of the qualification and of EXITINFO1 are where the manuals' tables have them. */
static unsigned bit_of(const char *file, const char *field)
{
    char path[512], line[256], name[200];
    unsigned low, high;
    FILE *table;

    (void)snprintf(path, sizeof(path), "%s/hvpt/%s", HVPT_TEST_DATA, file);
    table = fopen(path, "r");
    cr_assert_not_null(table, "cannot read %s", path);
    while (fgets(line, sizeof(line), table) != NULL) {
        if (sscanf(line, "%u,%u,%199s", &low, &high, name) == 3 && strcmp(name, field) == 0) {
            (void)fclose(table);
            EXPECT(low, high);
            return low;
        }
    }
    cr_assert_fail("%s has no %s", file, field);
    return 0;
}

Test(guest_walk_exits, named_bits_are_where_the_manuals_have_them)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } ept[] = {{"DATA_READ", HVPT_EPT_VIOLATION_READ},
               {"DATA_WRITE", HVPT_EPT_VIOLATION_WRITE},
               {"INSTRUCTION_FETCH", HVPT_EPT_VIOLATION_FETCH},
               {"EPT_READABLE", HVPT_EPT_VIOLATION_READABLE},
               {"EPT_WRITABLE", HVPT_EPT_VIOLATION_WRITABLE},
               {"EPT_EXECUTABLE", HVPT_EPT_VIOLATION_EXECUTABLE},
               {"EPT_USER_EXECUTABLE", HVPT_EPT_VIOLATION_USER_EXECUTABLE},
               {"GUEST_LINEAR_ADDRESS_VALID", HVPT_EPT_VIOLATION_LINEAR_VALID},
               {"FINAL_TRANSLATION", HVPT_EPT_VIOLATION_FINAL},
               {"USER_MODE_LINEAR_ADDRESS", HVPT_EPT_VIOLATION_USER_LINEAR},
               {"READ_WRITE_PAGE", HVPT_EPT_VIOLATION_LINEAR_WRITABLE},
               {"EXECUTE_DISABLE_PAGE", HVPT_EPT_VIOLATION_LINEAR_NX},
               {"GUEST_PAGING_VERIFICATION", HVPT_EPT_VIOLATION_GUEST_PAGING}},
      npf[] = {{"P", HVPT_NPF_PRESENT},
               {"RW", HVPT_NPF_WRITE},
               {"US", HVPT_NPF_USER},
               {"RSV", HVPT_NPF_RESERVED},
               {"ID", HVPT_NPF_FETCH},
               {"GUEST_FINAL", HVPT_NPF_FINAL},
               {"GUEST_PAGE_TABLE", HVPT_NPF_GUEST_TABLE}};

    for (size_t i = 0; i < sizeof(ept) / sizeof(ept[0]); i++)
        EXPECT(ept[i].bit, UINT64_C(1) << bit_of("ept_violation_qualification.csv", ept[i].name));
    for (size_t i = 0; i < sizeof(npf) / sizeof(npf[0]); i++)
        EXPECT(npf[i].bit, UINT64_C(1) << bit_of("npf_exitinfo1.csv", npf[i].name));
}

/* Seen on an emulated Intel processor. */
Test(guest_walk_exits, ept_violations_seen_on_the_final_address)
{
    static const struct {
        uint32_t access;
        unsigned rights;
        uint64_t qualification;
    } seen[] = {{HVPT_READ, 0, 0x181}, {HVPT_WRITE, 0, 0x182}, {HVPT_EXEC, 0, 0x184}, {HVPT_WRITE, 1, 0x18a},
                {HVPT_EXEC, 1, 0x18c}, {HVPT_EXEC, 3, 0x19c},  {HVPT_READ, 4, 0x1a1}, {HVPT_WRITE, 5, 0x1aa}};
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        set_low_bits(&world, DATA, seen[i].rights);
        expect_exit(&world, &cpu, seen[i].access, seen[i].qualification, DATA + 0xabc);
        expect_exit(&world, &cpu, seen[i].access | USER, seen[i].qualification, DATA + 0xabc);
    }
    set_low_bits(&world, DATA, 1); /* an instruction that reads and writes */
    expect_exit(&world, &cpu, HVPT_READ | HVPT_WRITE, 0x18b, DATA + 0xabc);
    world_close(&world);
}

/*
 * On the guest's own tables a read is a read, whatever the access (seen: 81), and with EPT's accessed and dirty bits a
 * read and a write (SDM vol. 3, "Accessed and Dirty Flags for EPT").
 */
Test(guest_walk_exits, ept_violations_on_the_guests_tables)
{
    for (unsigned level = 0; level < 4; level++) {
        struct world world;
        struct oracle cpu;
        uint64_t entry;

        world_open_ept(&world, 0);
        cpu = start(&world);
        cpu.advanced = true; /* bits 11:9 are for the final address alone */
        entry = entry_at(&cpu, LINEAR, level);
        set_low_bits(&world, entry, 0);
        expect_exit(&world, &cpu, HVPT_READ, 0x81, entry);
        expect_exit(&world, &cpu, HVPT_WRITE | USER, 0x81, entry);
        expect_exit(&world, &cpu, HVPT_EXEC, 0x81, entry);
        set_low_bits(&world, entry, 4);
        expect_exit(&world, &cpu, HVPT_EXEC, 0xa1, entry);
        set_low_bits(&world, entry, 1); /* nothing is to be set in the entries: reading is enough */
        (void)walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_OK);
        world_close(&world);

        world_open_ept(&world, HVPT_EPT_USE_ACCESSED_DIRTY);
        cpu = start(&world);
        set_low_bits(&world, entry, 0);
        expect_exit(&world, &cpu, HVPT_READ, 0x83, entry);
        expect_exit(&world, &cpu, HVPT_EXEC, 0x83, entry);
        set_low_bits(&world, entry, 1);
        expect_exit(&world, &cpu, HVPT_READ, 0x8b, entry);
        set_low_bits(&world, entry, 5);
        expect_exit(&world, &cpu, HVPT_READ, 0xab, entry);
        world_close(&world);
    }
}

/* Setting the guest's accessed and dirty bits is a read and a write, and made only for what is clear. */
Test(guest_walk_exits, ept_violations_of_setting_accessed_and_dirty)
{
    for (unsigned level = 0; level < 4; level++) {
        struct world world;
        struct oracle cpu;
        struct hvpt_guest_walk walk;
        uint64_t entry, value;

        world_open_ept(&world, 0);
        cpu = start(&world);
        entry = entry_at(&cpu, LINEAR, level);
        value = world_get(&world, entry);

        world_put(&world, entry, value & ~UINT64_C(0x20));
        walk = walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK);
        for (unsigned i = 0; i < 4; i++)
            EXPECT(walk.step[i].update, i == level ? 0x20 : 0);
        set_low_bits(&world, entry, 1);
        expect_exit(&world, &cpu, HVPT_READ, 0x8b, entry);
        set_low_bits(&world, entry, 5);
        expect_exit(&world, &cpu, HVPT_EXEC, 0xab, entry);

        world_put(&world, entry, value & ~UINT64_C(0x40)); /* dirty counts in the last entry alone */
        (void)walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK);
        if (level == 0) {
            expect_exit(&world, &cpu, HVPT_WRITE, 0xab, entry);
            set_low_bits(&world, entry, 7);
        }
        walk = walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_OK);
        EXPECT(walk.step[level].update, level == 0 ? 0x40 : 0);
        world_close(&world);
    }
}

/* Seen on emulated AMD processors; a reserved bit has P set, as the manual says. The walk counts as a user's write. */
Test(guest_walk_exits, nested_page_faults_seen)
{
    static const struct {
        uint32_t access;
        uint64_t low, high, information;
    } seen[] = {{HVPT_READ, 0, 0, 0x100000004},  {HVPT_WRITE, 0, 0, 0x100000006}, {HVPT_EXEC, 0, 0, 0x100000014},
                {HVPT_WRITE, 5, 0, 0x100000007}, {HVPT_READ, 3, 0, 0x100000005},  {HVPT_EXEC, 7, 1, 0x100000015}};
    struct world world;
    struct oracle cpu;
    uint64_t *slot;

    world_open_npt(&world);
    cpu = start(&world);
    slot = world_slot(&world, DATA, 0);
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        *slot = (*slot & UINT64_C(0x7ffffffffffffff8)) | seen[i].low | seen[i].high << 63;
        expect_exit(&world, &cpu, seen[i].access, seen[i].information, DATA + 0xabc);
        expect_exit(&world, &cpu, seen[i].access | USER, seen[i].information, DATA + 0xabc);
    }
    slot = world_slot(&world, DATA, 3);
    *slot |= 0x100; /* reserved in the highest tables */
    expect_exit(&world, &cpu, HVPT_READ, 0x20000000f, entry_at(&cpu, LINEAR, 3));
    *slot &= ~UINT64_C(0x100);
    for (unsigned level = 0; level < 4; level++) {
        uint64_t entry = entry_at(&cpu, LINEAR, level);

        set_low_bits(&world, entry, 0);
        expect_exit(&world, &cpu, HVPT_READ, 0x200000006, entry);
        expect_exit(&world, &cpu, HVPT_EXEC | USER, 0x200000006, entry);
        set_low_bits(&world, entry, 5); /* read-only is not enough, even with all accessed bits set */
        expect_exit(&world, &cpu, HVPT_READ, 0x200000007, entry);
        set_low_bits(&world, entry, 7);
    }
    world_close(&world);
}

/*
 * A fetch is told where the host could refuse one: with its EFER.NXE, or with its CR4.SMEP. NX in an entry is a
 * reserved bit without NXE. APM vol. 2, "Page-Fault Error Code", bit I/D.
 */
Test(guest_walk_exits, the_host_s_smep_makes_fetches_known)
{
    struct hvpt_space_config config;
    struct world world;
    struct oracle cpu;

    memset(&config, 0, sizeof(config));
    config.kind = HVPT_KIND_NPT;
    config.npt.features = HVPT_NPT_NO_NX;
    world_open(&world, &config, HVPT_4K);
    cpu = start(&world);
    *world_slot(&world, DATA, 0) |= UINT64_C(1) << 63;
    expect_exit(&world, &cpu, HVPT_EXEC, 0x10000000d, DATA + 0xabc);
    cpu.host_smep = true;
    expect_exit(&world, &cpu, HVPT_EXEC, 0x10000001d, DATA + 0xabc);
    expect_exit(&world, &cpu, HVPT_READ, 0x10000000d, DATA + 0xabc);
    world_close(&world);
}

/* Exit reason 49 tells an address and nothing else. SDM vol. 3, "EPT Misconfigurations"; seen on an emulated processor. */
Test(guest_walk_exits, ept_misconfigurations)
{
    static const struct {
        unsigned level;
        uint64_t clear, set;
    } wrong[] = {{0, 7, 2},    {0, 7, 6},    {0, 0x38, 0x10}, {0, 0x38, 0x38}, {0, 0, UINT64_C(1) << 40},
                 {1, 0, 0x08}, {2, 0, 0x10}, {3, 0, 0x40},    {3, 0, 0x80},    {2, 0, UINT64_C(1) << 51}};
    struct hvpt_space_config config = {.kind = HVPT_KIND_EPT};
    struct world world;
    struct oracle cpu;

    config.ept.maxphyaddr = 40;
    world_open(&world, &config, HVPT_4K);
    cpu = start(&world);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t *slot = world_slot(&world, DATA, wrong[i].level), plain = *slot;
        struct hvpt_guest_walk walk;

        *slot = (plain & ~wrong[i].clear) | wrong[i].set;
        walk = walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_EPT_MISCONFIGURATION);
        EXPECT(walk.exit_information, 0);
        EXPECT(walk.fault_gpa.value, wrong[i].level == 0 ? DATA + 0xabc : entry_at(&cpu, LINEAR, 3));
        EXPECT(walk.second.level, wrong[i].level);
        EXPECT(walk.second.entry, *slot);
        EXPECT(walk.convertible, 0);
        *slot = plain;
    }
    world_close(&world);
}

/* ept_vpid_cap[22]: bits 11:9 of the qualification, for the final address alone. */
Test(guest_walk_exits, advanced_information)
{
    static const struct {
        uint64_t clear, set, bits;
    } pages[] = {
        {0, 0, 0x600}, {4, 0, 0x400}, {2, 0, 0x200}, {0, UINT64_C(1) << 63, 0xe00}, {6, UINT64_C(1) << 63, 0x800}};
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    cpu.advanced = true;
    set_low_bits(&world, DATA, 0);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        world_put(&world, entry_at(&cpu, LINEAR, 0), ((DATA | 0x67) & ~pages[i].clear) | pages[i].set);
        expect_exit(&world, &cpu, HVPT_READ, 0x181 | pages[i].bits, DATA + 0xabc);
    }
    cpu.mode = ORACLE_NONE; /* user, writable, executable */
    EXPECT(walk_to(&world, &cpu, DATA, HVPT_READ, HVPT_GUEST_EPT_VIOLATION).exit_information, 0x781);
    world_close(&world);
}

/* Mode-based execute control: bit 2 for supervisor pages, bit 10 for user pages, whatever the CPL. */
Test(guest_walk_exits, mode_based_execute_goes_by_the_page)
{
    struct world world;
    struct oracle cpu;
    uint64_t *slot;

    world_open_ept(&world, HVPT_EPT_USE_MODE_BASED_EXECUTE);
    cpu = start(&world);
    slot = world_slot(&world, DATA, 0);
    *slot = (*slot & ~UINT64_C(0x407)) | 5;
    expect_exit(&world, &cpu, HVPT_EXEC, 0x1ac, DATA + 0xabc); /* CPL 0, user page: bit 10 is asked */
    expect_exit(&world, &cpu, HVPT_EXEC | USER, 0x1ac, DATA + 0xabc);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK).perm, HVPT_READ);
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 0x63);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_EXEC, HVPT_GUEST_OK).perm, HVPT_READ | HVPT_EXEC);
    *slot = (*slot & ~UINT64_C(0x407)) | 0x401;
    expect_exit(&world, &cpu, HVPT_EXEC, 0x1cc, DATA + 0xabc);
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 0x67);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_EXEC, HVPT_GUEST_OK).perm, HVPT_READ | HVPT_EXEC);
    /* Without paging every page is a user page. */
    cpu.mode = ORACLE_NONE;
    EXPECT(walk_to(&world, &cpu, DATA, HVPT_EXEC, HVPT_GUEST_OK).perm, HVPT_READ | HVPT_EXEC);
    *slot = (*slot & ~UINT64_C(0x407)) | 5;
    EXPECT(walk_to(&world, &cpu, DATA, HVPT_EXEC, HVPT_GUEST_EPT_VIOLATION).exit_information, 0x1ac);
    world_close(&world);
}

/* SDM vol. 3, "Page-Fault Exceptions": the error code. */
Test(guest_walk_exits, error_codes_of_the_guests_page_faults)
{
    static const struct {
        uint32_t access;
        uint64_t entry; /* the last one, besides the address */
        bool nxe, smep;
        uint32_t code;
    } faults[] = {
        {HVPT_READ, 0, true, true, 0x0},
        {HVPT_WRITE, 0, true, true, 0x2},
        {HVPT_EXEC, 0, true, false, 0x10},
        {HVPT_EXEC, 0, false, true, 0x10},
        {HVPT_EXEC, 0, false, false, 0x0},
        {HVPT_READ | USER, 0, true, true, 0x4},
        {HVPT_WRITE | USER, 0, true, true, 0x6},
        {HVPT_EXEC | USER, 0, true, true, 0x14},
        {HVPT_READ | USER, 1, true, true, 0x5},
        {HVPT_WRITE | USER, 5, true, true, 0x7},
        {HVPT_READ | HVPT_WRITE | USER, 5, true, true, 0x7},
        {HVPT_WRITE, 5, true, true, 0x3},
        {HVPT_EXEC, 5, true, true, 0x11},
        {HVPT_EXEC | USER, 5 | UINT64_C(1) << 63, true, true, 0x15},
        {HVPT_READ, 7 | UINT64_C(1) << 63, false, false, 0x9},
        {HVPT_WRITE | USER, 7 | UINT64_C(1) << 63, false, false, 0xf},
        {HVPT_READ | USER | HVPT_X86_IMPLICIT, 0, true, true, 0x0},
    };
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct hvpt_guest_walk walk;

        cpu.nxe = faults[i].nxe;
        cpu.smep = faults[i].smep;
        world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | faults[i].entry);
        walk = walk_to(&world, &cpu, LINEAR, faults[i].access, HVPT_GUEST_PAGE_FAULT);
        EXPECT(walk.error_code, faults[i].code);
        EXPECT(walk.linear, LINEAR);
        EXPECT(walk.level, 0);
        EXPECT(walk.exit_information, 0);
    }
    world_close(&world);
}

/* SMAP: a supervisor's data access to a user page needs AC, and an implicit one fails even so. */
Test(guest_walk_exits, smap_and_implicit_accesses)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    cpu.smap = true;
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_PAGE_FAULT).error_code, 1);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_EXEC, HVPT_GUEST_OK).perm, HVPT_EXEC);
    cpu.ac = true;
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK).perm, 7);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE | HVPT_X86_IMPLICIT, HVPT_GUEST_PAGE_FAULT).error_code, 3);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | USER | HVPT_X86_IMPLICIT, HVPT_GUEST_PAGE_FAULT).error_code, 1);
    world_close(&world);
}

/* Protection keys: the bit in the error code, and only for data. */
Test(guest_walk_exits, protection_keys)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    cpu.pke = true;
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 0x67 | UINT64_C(5) << 59);
    cpu.pkru = 1u << 10;
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | USER, HVPT_GUEST_PAGE_FAULT).error_code, 0x25);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_PAGE_FAULT).error_code, 0x21);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_EXEC | USER, HVPT_GUEST_OK).key, 5);
    cpu.pkru = 2u << 10;
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE | USER, HVPT_GUEST_PAGE_FAULT).error_code, 0x27);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | USER, HVPT_GUEST_OK).perm, HVPT_READ | HVPT_EXEC);
    cpu.wp = false;
    (void)walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_OK);
    world_close(&world);
}

/* Which fault comes first. */
Test(guest_walk_exits, faults_come_in_the_manuals_order)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);

    /* The guest's permissions before the second level's, for the final address ... */
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 0x65);
    set_low_bits(&world, DATA, 0);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_PAGE_FAULT).error_code, 3);
    set_low_bits(&world, DATA, 7);
    /* ... and before setting accessed bits. */
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 0x05);
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 1);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_PAGE_FAULT).error_code, 3);
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 7);

    /* A table that cannot be read, before a permission that a higher table denies. */
    world_put(&world, entry_at(&cpu, LINEAR, 3), frame(1) | 0x61);
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 0);
    expect_exit(&world, &cpu, HVPT_READ | USER, 0x81, entry_at(&cpu, LINEAR, 0));
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 7);
    /* Absent below, before denied above. */
    world_put(&world, entry_at(&cpu, LINEAR, 0), 0);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | USER, HVPT_GUEST_PAGE_FAULT).error_code, 4);
    /* Absent above, before anything below. */
    world_put(&world, entry_at(&cpu, LINEAR, 2), 0);
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 0);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | USER, HVPT_GUEST_PAGE_FAULT).level, 2);
    world_close(&world);
}

/* SDM vol. 3, "Convertible EPT Violations": bit 63 of the entry that is absent, or that maps the page. */
Test(guest_walk_exits, violations_that_can_become_an_exception)
{
    struct world world;
    struct oracle cpu;
    uint64_t *slot;

    for (unsigned enabled = 0; enabled < 2; enabled++) {
        world_open_ept(&world, enabled ? (uint32_t)HVPT_EPT_USE_VIOLATION_VE : 0);
        cpu = start(&world);
        slot = world_slot(&world, DATA, 0);
        for (unsigned rights = 0; rights < 2; rights++) {
            set_low_bits(&world, DATA, rights);
            *slot &= ~(UINT64_C(1) << 63);
            EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).convertible, enabled);
            *slot |= UINT64_C(1) << 63;
            EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).convertible, 0);
        }
        cpu.mode = ORACLE_4;
        world_put(&world, entry_at(&cpu, LINEAR, 0), UINT64_C(0xe000000000067)); /* beyond 48 bits: no entry */
        EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_EPT_VIOLATION).convertible, 0);
        world_close(&world);
    }
}

/* A write that the sub-page permission table may still grant: nothing else is missing, and it is the guest's own. */
Test(guest_walk_exits, writes_that_sub_page_permissions_decide)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, HVPT_EPT_USE_SUB_PAGE_WRITE);
    cpu = start(&world);
    set_low_bits(&world, DATA, 1);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).sub_page, 0);
    *world_slot(&world, DATA, 0) |= UINT64_C(1) << 61;
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).sub_page, 1);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_READ | HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).sub_page, 1);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_EXEC, HVPT_GUEST_EPT_VIOLATION).sub_page, 0);
    set_low_bits(&world, DATA, 0);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).sub_page, 0);
    set_low_bits(&world, DATA, 7);
    set_low_bits(&world, entry_at(&cpu, LINEAR, 0), 1);
    *world_slot(&world, entry_at(&cpu, LINEAR, 0), 0) |= UINT64_C(1) << 61;
    world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | 7);
    EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).sub_page, 0);
    world_close(&world);
}

/* "EPT paging-write control": bit 58 opens a read-only page to the walk's writes and not to the guest's. */
Test(guest_walk_exits, paging_write)
{
    static const uint32_t features[] = {HVPT_EPT_USE_PAGING_WRITE,
                                        HVPT_EPT_USE_PAGING_WRITE | HVPT_EPT_USE_ACCESSED_DIRTY};

    for (unsigned i = 0; i < 2; i++) {
        struct world world;
        struct oracle cpu;
        uint64_t entry;

        world_open_ept(&world, features[i]);
        cpu = start(&world);
        entry = entry_at(&cpu, LINEAR, 0);
        world_put(&world, entry, DATA | 7);
        set_low_bits(&world, entry, 1);
        expect_exit(&world, &cpu, HVPT_READ, 0x8b, entry);
        *world_slot(&world, entry, 0) |= UINT64_C(1) << 58;
        EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_OK).step[0].update, 0x60);
        world_put(&world, entry, (entry & ~UINT64_C(0xfff)) | 7); /* the table itself, as data */
        EXPECT(walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_EPT_VIOLATION).exit_information, 0x18a);
        world_close(&world);
    }
}

/* "Guest-paging verification": a page with bit 57 only through tables that all have bit 58; violation with bit 15. */
Test(guest_walk_exits, guest_paging_verification)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, HVPT_EPT_USE_VERIFY_GUEST_PAGING | HVPT_EPT_USE_PAGING_WRITE);
    cpu = start(&world);
    *world_slot(&world, DATA, 0) |= UINT64_C(1) << 57;
    for (unsigned level = 0; level < 4; level++) {
        expect_exit(&world, &cpu, HVPT_READ, 0x81b9, DATA + 0xabc);
        *world_slot(&world, entry_at(&cpu, LINEAR, level), 0) |= UINT64_C(1) << 58;
    }
    (void)walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK);
    cpu.mode = ORACLE_NONE; /* no tables, nothing to verify */
    (void)walk_to(&world, &cpu, DATA, HVPT_READ, HVPT_GUEST_OK);
    world_close(&world);
}

/* A page whose rights "age" took is absent to hardware: the exit is what touch answers. */
Test(guest_walk_exits, an_aged_page_is_absent)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = start(&world);
    world_age(&world, DATA);
    expect_exit(&world, &cpu, HVPT_READ, 0x181, DATA + 0xabc);
    world_touch(&world, DATA);
    (void)walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_OK);
    world_close(&world);
}

/* Large pages of the second level, five levels, and addresses beyond it. */
Test(guest_walk_exits, shapes_of_the_second_level)
{
    static const uint64_t sizes[] = {HVPT_2M, HVPT_1G};

    for (unsigned i = 0; i < 8; i++) {
        struct hvpt_space_config config = {.kind = i & 1 ? HVPT_KIND_NPT : HVPT_KIND_EPT};
        struct world world;
        struct oracle cpu;
        struct hvpt_guest_walk walk;

        config.ept.levels = config.npt.levels = i & 4 ? 5 : 4;
        world_open(&world, &config, sizes[i >> 1 & 1]);
        cpu = start(&world);
        walk = walk_to(&world, &cpu, LINEAR, HVPT_WRITE, HVPT_GUEST_OK);
        EXPECT(walk.hpa.value, HOST + 0x1000 * 300 + 0xabc);
        EXPECT(walk.page_size, 0x1000);
        EXPECT(walk.second.page_size, sizes[i >> 1 & 1]);
        cpu.mode = ORACLE_NONE;
        EXPECT(walk_to(&world, &cpu, DATA, HVPT_READ, HVPT_GUEST_OK).page_size, sizes[i >> 1 & 1]);
        cpu.mode = ORACLE_4;
        /* Beyond 48 bits: out of reach of four levels, absent with five. */
        world_put(&world, entry_at(&cpu, LINEAR, 0), UINT64_C(0xe000000000067));
        walk =
            walk_to(&world, &cpu, LINEAR, HVPT_READ, cpu.amd ? HVPT_GUEST_NESTED_PAGE_FAULT : HVPT_GUEST_EPT_VIOLATION);
        EXPECT(walk.exit_information, cpu.amd ? 0x100000004 : 0x181);
        EXPECT(walk.fault_gpa.value, UINT64_C(0xe000000000abc));
        EXPECT(walk.second.entry, 0);
        EXPECT(walk.second.level, i & 4 ? 4 : 3);
        for (unsigned access = 0; access < ACCESS_COUNT; access++)
            agree(&world, &cpu, LINEAR, access_number(access));
        world_close(&world);
    }
}

Test(guest_walk_exits, every_end_has_its_words)
{
    for (int i = 0; i <= HVPT_GUEST_BAD_ARGUMENT; i++) {
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(hvpt_guest_end_text((enum hvpt_guest_end)i), hvpt_guest_end_text((enum hvpt_guest_end)j));
        cr_assert_str_neq(hvpt_guest_end_text((enum hvpt_guest_end)i), "unknown end");
    }
    cr_assert_str_eq(hvpt_guest_end_text((enum hvpt_guest_end)99), "unknown end");
}
