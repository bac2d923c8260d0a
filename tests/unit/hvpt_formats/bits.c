/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every record of the tables of bits (tests/reference/hvpt/ept_fields.csv, npt_fields.csv) is reachable through
 * attributes or the config, does what its name says, and is refused and read over where its condition does not hold.
 * A record that no row below knows fails: the tables and the headers cannot part unnoticed.
 */
#include "../hvpt/support/reference.h"
#include "../hvpt/support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define GPA UINT64_C(0x7f8040201000)
#define HPA UINT64_C(0x12340000000)

static struct reference fields;

/* One record: what it is about, and its bits for this MAXPHYADDR. */
struct record {
    const char *entry, *field, *condition;
    uint64_t mask;
    unsigned level; /* of the entry */
    bool leaf;
};

/* A row of the tables that the headers answer for: by a flag or permission of a leaf, or by what a look shows. */
struct meaning {
    const char *field;
    uint32_t flag, perm;
};

static const struct level_name {
    const char *name;
    unsigned level;
    bool leaf;
} level_names[] = {
    {"PTE", 0, true},         {"PDE_2M", 1, true},     {"PDPTE_1G", 2, true},
    {"PDPE_1G", 2, true},     {"PDE_TABLE", 1, false}, {"PDPTE_TABLE", 2, false},
    {"PDPE_TABLE", 2, false}, {"PML4E", 3, false},     {"PML5E", 4, false},
};

static struct record record_of(size_t row, unsigned maxphyaddr)
{
    char *const *cell = fields.cell[row];
    struct record record = {cell[0], cell[3], cell[4], 0, 0, false};
    bool known = false;

    record.mask = bits_mask(reference_bit(cell[1], maxphyaddr), reference_bit(cell[2], maxphyaddr));
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(level_names[i].name, record.entry) == 0) {
            record.level = level_names[i].level;
            record.leaf = level_names[i].leaf;
            known = true;
        }
    }
    CHECK(known, "no such entry: %s", record.entry);
    check_context("%s %s", record.entry, record.field);
    return record;
}

/* A space with one page, so that the entry of the record is on its way. */
static void open_at(struct rig *rig, const struct setup *setup, const struct record *record, struct hvpt_attr attr)
{
    const char *entry = record->entry, *field = record->field;

    rig_open(rig, setup);
    check_context("%s %s (%s)", entry, field, setup->name);
    CHECK_STATUS(rig->adapter->map(&rig->space, GPA & ~(record->leaf ? (HVPT_4K << (9 * record->level)) - 1 : 0), HPA,
                                   record->leaf ? HVPT_4K << (9 * record->level) : HVPT_4K, attr, NULL),
                 HVPT_OK, "map");
}

static struct cpu_translation look(struct rig *rig)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, GPA, CPU_PROBE, &now);
    return now;
}

static uint64_t entry_at(struct rig *rig, unsigned level)
{
    struct cpu_translation now = look(rig);

    CHECK(now.table[level] != NULL, "no table at level %u", level);
    return now.table[level]->virt[now.index[level]];
}

/* What the library reads with the entry changed like this, which is changed back. */
static enum hvpt_status read_with(struct rig *rig, unsigned level, uint64_t flip, struct hvpt_mapping *mapping)
{
    struct cpu_translation now = look(rig);
    uint64_t whole = now.table[level]->virt[now.index[level]];
    enum hvpt_status status;

    memset(mapping, 0, sizeof(*mapping));
    memory_poke(now.table[level], now.index[level], whole ^ flip);
    rig->memory.lenient = true;
    status = rig->adapter->translate(&rig->space, GPA, mapping);
    rig->memory.lenient = false;
    memory_poke(now.table[level], now.index[level], whole);
    return status;
}

static bool same(const struct hvpt_mapping *a, const struct hvpt_mapping *b)
{
    return a->hpa.value == b->hpa.value && a->attr.perm == b->attr.perm && a->attr.memtype == b->attr.memtype
        && a->page_size == b->page_size;
}

/* Bit by bit: what is ignored changes no translation, what is reserved spoils it. */
static void check_reserved(struct rig *rig, const struct record *record, bool reserved)
{
    struct hvpt_mapping whole, mapping;

    CHECK_STATUS(rig->adapter->translate(&rig->space, GPA, &whole), HVPT_OK, "translate");
    for (unsigned bit = 0; bit < 64; bit++) {
        enum hvpt_status status;

        if (!(record->mask >> bit & 1))
            continue;
        status = read_with(rig, record->level, UINT64_C(1) << bit, &mapping);
        if (reserved)
            CHECK(status == HVPT_E_CORRUPT || status == HVPT_E_ABSENT, "bit %u: %s", bit, hvpt_status_text(status));
        else
            CHECK(status == HVPT_OK && same(&mapping, &whole), "bit %u changes something", bit);
    }
}

/* All of the address's bits arrive in the entry, and are read back out of it. */
static void check_address(struct rig *rig, const struct record *record)
{
    for (unsigned bit = 0; record->leaf && bit < 64; bit++) {
        const uint64_t hpa = UINT64_C(1) << bit, size = HVPT_4K << (9 * record->level), gpa = GPA & ~(size - 1);
        struct hvpt_mapping mapping;

        if (!(record->mask >> bit & 1))
            continue;
        CHECK_STATUS(rig->adapter->unmap(&rig->space, gpa, size, NULL), HVPT_OK, "unmap");
        CHECK_STATUS(rig->adapter->map(&rig->space, gpa, hpa, size, attr_rwx(), NULL), HVPT_OK, "map");
        CHECK_EQ(entry_at(rig, record->level) & record->mask, hpa, "address in the entry");
        CHECK_STATUS(rig->adapter->translate(&rig->space, GPA, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.hpa.value, hpa | (GPA & (size - 1)), "address as translated");
    }
    if (!record->leaf) { /* where the tables are is the memory's choice, in the upper half of what can be addressed */
        struct cpu_translation now = look(rig);

        CHECK_EQ(entry_at(rig, record->level) & record->mask, now.table[record->level - 1]->pa, "table's address");
    }
}

/* One bit that a flag or permission stands for: in the entry with it, not there without it, and read back. */
static void check_attribute(const struct setup *setup, const struct record *record, const struct meaning *meaning)
{
    struct hvpt_attr with = attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB), without = with;
    struct hvpt_mapping mapping;
    struct rig rig;
    uint64_t entry;

    with.flags |= meaning->flag;
    with.perm |= meaning->perm;
    without.perm &= ~meaning->perm;
    open_at(&rig, setup, record, with);
    entry = entry_at(&rig, record->level);
    CHECK_EQ(entry & record->mask, record->mask, "the bit, where asked for");
    CHECK_STATUS(rig.adapter->translate(&rig.space, GPA, &mapping), HVPT_OK, "translate");
    CHECK((mapping.attr.flags & meaning->flag) == meaning->flag && (mapping.attr.perm & meaning->perm) == meaning->perm,
          "not read back");
    CHECK_STATUS(read_with(&rig, record->level, record->mask, &mapping), HVPT_OK, "translate without");
    CHECK(!(mapping.attr.flags & meaning->flag) && !(mapping.attr.perm & meaning->perm), "read back although clear");
    rig_close(&rig);
    open_at(&rig, setup, record, without);
    CHECK_EQ(entry_at(&rig, record->level) ^ entry, record->mask, "that bit and no other");
    rig_close(&rig);
}

/* The same bit where its condition does not hold: refused in attributes, and in an entry it says nothing. */
static void check_gated(const struct setup *setup, const struct record *record, const struct meaning *meaning)
{
    struct hvpt_attr with = attr_of(HVPT_READ | HVPT_WRITE | (meaning->perm ? 0 : HVPT_EXEC), HVPT_MEM_WB);
    struct hvpt_mapping whole, mapping;
    struct rig rig;

    open_at(&rig, setup, record, attr_rwx());
    CHECK(!(entry_at(&rig, record->level) & record->mask), "the bit is set all the same");
    CHECK_STATUS(rig.adapter->translate(&rig.space, GPA, &whole), HVPT_OK, "translate");
    CHECK_STATUS(read_with(&rig, record->level, record->mask, &mapping), HVPT_OK, "translate, bit set");
    CHECK(same(&mapping, &whole) && mapping.attr.flags == whole.attr.flags, "the bit says something");
    with.flags |= meaning->flag;
    with.perm |= meaning->perm;
    CHECK_STATUS(rig.adapter->map(&rig.space, 0, HPA, HVPT_4K, with, NULL), HVPT_E_ATTR, "map with it");
    rig_close(&rig);
}

/* ---- EPT ---- */

static const struct setup ept_everything = {
    .name = "EPT with everything",
    .adapter = &ept_adapter,
    .config = {.levels = 5, .maxphyaddr = 46, .ept_vpid_cap = UINT64_MAX, .features = HVPT_EPT_USE_ALL},
    .cpu = {.kind = CPU_EPT,
            .levels = 5,
            .maxphyaddr = 46,
            .page_2m = true,
            .page_1g = true,
            .execute_only = true,
            .mode_based_execute = true,
            .accessed_dirty = true,
            .paging_write = true},
    .two_exec = true,
};

/* A record's condition as what the config says of it. */
static const struct gate {
    const char *condition;
    uint32_t feature;
    uint64_t cap;
} gates[] = {
    {"eptp[6]", HVPT_EPT_USE_ACCESSED_DIRTY, UINT64_C(1) << 21},
    {"eptp[7]", HVPT_EPT_USE_SHADOW_STACK, UINT64_C(1) << 23},
    {"secondary.mode_based_execute_control_for_ept", HVPT_EPT_USE_MODE_BASED_EXECUTE, 0},
    {"secondary.ept_violation_ve", HVPT_EPT_USE_VIOLATION_VE, 0},
    {"secondary.sub_page_write_permissions_for_ept", HVPT_EPT_USE_SUB_PAGE_WRITE, 0},
    {"tertiary.guest_paging_verification", HVPT_EPT_USE_VERIFY_GUEST_PAGING, 0},
    {"tertiary.ept_paging_write_control", HVPT_EPT_USE_PAGING_WRITE, 0},
};

static const struct meaning ept_meanings[] = {
    {"WRITE", 0, HVPT_WRITE},
    {"EXECUTE", 0, HVPT_EXEC},
    {"USER_EXECUTE", 0, HVPT_EXEC_USER},
    {"IGNORE_PAT", HVPT_EPT_IGNORE_PAT, 0},
    {"ACCESSED", HVPT_ACCESSED, 0},
    {"DIRTY", HVPT_DIRTY, 0},
    {"VERIFY_GUEST_PAGING", HVPT_EPT_VERIFY_GUEST_PAGING, 0},
    {"PAGING_WRITE_ACCESS", HVPT_EPT_PAGING_WRITE, 0},
    {"SUPERVISOR_SHADOW_STACK", HVPT_EPT_SHADOW_STACK, 0},
    {"SUB_PAGE_WRITE", HVPT_EPT_SUB_PAGE_WRITE, 0},
    {"SUPPRESS_VE", HVPT_EPT_SUPPRESS_VE, 0},
};

static const struct meaning *find_meaning(const struct meaning *meanings, size_t count, const char *field)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(meanings[i].field, field) == 0)
            return &meanings[i];
    return NULL;
}

static struct setup ept_without(const struct gate *gate)
{
    struct setup setup = ept_everything;

    setup.name = "EPT with everything but one";
    setup.config.features &= ~(uint64_t)gate->feature;
    setup.config.ept_vpid_cap &= ~gate->cap;
    setup.cpu.accessed_dirty = (setup.config.features & HVPT_EPT_USE_ACCESSED_DIRTY) != 0;
    setup.cpu.mode_based_execute = (setup.config.features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;
    setup.cpu.paging_write = (setup.config.features & HVPT_EPT_USE_PAGING_WRITE) != 0;
    setup.two_exec = setup.cpu.mode_based_execute;
    return setup;
}

/* The condition is one of the gates: what is behind it is shut without the feature, and that without the capability. */
static void check_ept_gate(const struct record *record, const struct meaning *meaning)
{
    const struct gate *gate = NULL;
    struct hvpt_ept_config config = {.levels = 5};
    struct hvpt_hooks hooks = {0};
    struct hvpt_space ept;
    struct setup setup;
    struct rig rig;

    for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
        if (strcmp(gates[i].condition, record->condition) == 0)
            gate = &gates[i];
    CHECK(gate != NULL, "unknown condition %s", record->condition);
    setup = ept_without(gate);
    if (record->leaf) {
        check_gated(&setup, record, meaning);
    } else {
        open_at(&rig, &setup, record, attr_rwx());
        CHECK(!(entry_at(&rig, record->level) & record->mask), "the bit is set all the same");
        check_reserved(&rig, record, false);
        rig_close(&rig);
    }
    if (gate->cap != 0) {
        rig_open(&rig, &ept_everything);
        hooks = rig.memory.hooks;
        config.features = gate->feature;
        config.ept_vpid_cap = UINT64_MAX & ~gate->cap;
        CHECK_STATUS(hvpt_ept_init(&ept, &hooks, &config), HVPT_E_ATTR, "the feature without its capability");
        rig_close(&rig);
    }
}

static void check_memory_types(struct rig *rig, const struct record *record)
{
    static const unsigned codes[] = {[HVPT_MEM_UC] = 0, [HVPT_MEM_WC] = 1, [HVPT_MEM_WT] = 4,
                                     [HVPT_MEM_WP] = 5, [HVPT_MEM_WB] = 6};
    const uint64_t size = HVPT_4K << (9 * record->level), low = record->mask & -record->mask;

    for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
        struct hvpt_mapping mapping;

        CHECK_STATUS(rig->adapter->unmap(&rig->space, GPA & ~(size - 1), size, NULL), HVPT_OK, "unmap");
        CHECK_STATUS(rig->adapter->map(&rig->space, GPA & ~(size - 1), HPA, size,
                                       attr_of(HVPT_READ, (enum hvpt_memtype)type), NULL),
                     HVPT_OK, "map");
        CHECK_EQ((entry_at(rig, record->level) & record->mask) / low, codes[type], "memory type in the entry");
        CHECK_STATUS(rig->adapter->translate(&rig->space, GPA, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.attr.memtype, type, "memory type as translated");
    }
}

/* Bit 7 says page or table, and pages only of a size that the CPU has. */
static void check_large(const struct record *record)
{
    struct setup setup = ept_everything;
    struct hvpt_mapping mapping;
    struct rig rig;

    open_at(&rig, &setup, record, attr_rwx());
    CHECK_EQ(entry_at(&rig, record->level) & record->mask, record->leaf ? record->mask : 0, "the bit");
    CHECK_STATUS(rig.adapter->translate(&rig.space, GPA, &mapping), HVPT_OK, "translate");
    CHECK_EQ(mapping.page_size, record->leaf ? HVPT_4K << (9 * record->level) : HVPT_4K, "page size");
    rig_close(&rig);
    if (!record->leaf)
        return;
    CHECK(strcmp(record->condition, record->level == 1 ? "ept_vpid_cap[16]" : "ept_vpid_cap[17]") == 0, "condition");
    setup.config.ept_vpid_cap &= ~(UINT64_C(1) << (record->level == 1 ? 16 : 17));
    setup.cpu.page_1g = record->level != 2;
    setup.cpu.page_2m = record->level != 1;
    rig_open(&rig, &setup);
    CHECK_STATUS(rig.adapter->map(&rig.space, 0, 0, HVPT_1G, attr_rwx(), NULL), HVPT_OK, "map");
    CHECK_STATUS(rig.adapter->translate(&rig.space, 0, &mapping), HVPT_OK, "translate");
    CHECK(mapping.page_size != HVPT_4K << (9 * record->level), "a page size that this CPU has not");
    rig_close(&rig);
}

Test(bits, every_record_of_ept_is_named_reachable_and_gated)
{
    unsigned records = 0;

    reference_load(&fields, "hvpt/ept_fields.csv");
    for (size_t row = 1; row < fields.rows; row++) {
        const struct meaning *meaning;
        struct record record;
        struct rig rig;

        if (strcmp(fields.cell[row][0], "EPTP") == 0)
            continue; /* hvpt-vmx: which are valid; ept.c: which a space computes */
        record = record_of(row, 46);
        records++;
        meaning = find_meaning(ept_meanings, sizeof(ept_meanings) / sizeof(ept_meanings[0]), record.field);
        if (meaning != NULL && record.leaf) {
            check_attribute(&ept_everything, &record, meaning);
            if (*record.condition != '\0')
                check_ept_gate(&record, meaning);
            continue;
        }
        if (strcmp(record.field, "LARGE_PAGE") == 0) {
            check_large(&record);
            continue;
        }
        open_at(&rig, &ept_everything, &record,
                attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER, HVPT_MEM_WB));
        if (strcmp(record.field, "RESERVED") == 0 || strcmp(record.field, "IGNORED") == 0) {
            check_reserved(&rig, &record, record.field[0] == 'R');
        } else if (strcmp(record.field, "PAGE_ADDRESS") == 0 || strcmp(record.field, "TABLE_ADDRESS") == 0) {
            check_address(&rig, &record);
        } else if (strcmp(record.field, "MEMORY_TYPE") == 0) {
            check_memory_types(&rig, &record);
        } else if (strcmp(record.field, "ACCESSED") == 0) { /* of a table entry: hardware's alone */
            check_reserved(&rig, &record, false);
            check_ept_gate(&record, meaning);
        } else { /* the rights of a table entry, and READ of a leaf, without which there is no writing */
            struct hvpt_mapping mapping;

            CHECK(strcmp(record.field, "READ") == 0 || meaning != NULL, "no test knows this field");
            CHECK_EQ(entry_at(&rig, record.level) & record.mask, record.mask, "tables allow everything");
            if (strcmp(record.field, "READ") == 0) {
                CHECK_STATUS(read_with(&rig, record.level, record.mask, &mapping), HVPT_E_CORRUPT,
                             "write without read");
            } else {
                CHECK_STATUS(read_with(&rig, record.level, record.mask, &mapping), HVPT_OK, "translate");
                CHECK_EQ(mapping.attr.perm, HVPT_PERM_ALL & ~meaning->perm, "what the table takes");
                if (*record.condition != '\0')
                    check_ept_gate(&record, meaning);
            }
        }
        rig_close(&rig);
    }
    CHECK_EQ(records, 105, "records");
    reference_free(&fields);
}

/* ---- NPT ---- */

static const struct setup npt_usual = {
    .name = "NPT, 5 levels",
    .adapter = &npt_adapter,
    .config = {.levels = 5, .maxphyaddr = 46},
    .cpu = {.kind = CPU_NPT,
            .levels = 5,
            .maxphyaddr = 46,
            .page_2m = true,
            .page_1g = true,
            .accessed_dirty = true,
            .no_execute = true,
            .pat = UINT64_C(0x0007040600070406)},
};

/* Execution is what NX takes. */
static void check_nx(const struct record *record)
{
    struct setup setup = npt_usual;
    struct hvpt_mapping mapping;
    struct rig rig;

    CHECK(strcmp(record->condition, "host EFER.NXE=1") == 0, "condition");
    open_at(&rig, &setup, record, attr_rwx());
    CHECK(!(entry_at(&rig, record->level) & record->mask), "clear: executable");
    CHECK_STATUS(read_with(&rig, record->level, record->mask, &mapping), HVPT_OK, "translate");
    CHECK_EQ(mapping.attr.perm, HVPT_READ | HVPT_WRITE, "set: not executable");
    rig_close(&rig);
    if (record->leaf) {
        open_at(&rig, &setup, record, attr_of(HVPT_READ | HVPT_WRITE, HVPT_MEM_WB));
        CHECK_EQ(entry_at(&rig, record->level) & record->mask, record->mask, "set where asked for");
        rig_close(&rig);
    }
    setup.config.features = HVPT_NPT_NO_NX;
    setup.cpu.no_execute = false;
    open_at(&rig, &setup, record, attr_rwx());
    check_reserved(&rig, record, true);
    CHECK_STATUS(rig.adapter->map(&rig.space, 0, HPA, HVPT_4K, attr_of(HVPT_READ, HVPT_MEM_WB), NULL), HVPT_E_ATTR,
                 "map without execution");
    rig_close(&rig);
}

/* The three bits of the PAT index, by a PAT that has a type of its own at that index. */
static void check_pat_bit(const struct record *record, unsigned index)
{
    struct setup setup = npt_usual;
    struct hvpt_mapping mapping;
    struct rig rig;

    setup.config.pat = setup.cpu.pat = UINT64_C(0x0606060606060606) ^ (UINT64_C(2) << (8 * index)); /* 6 becomes 4 */
    open_at(&rig, &setup, record, attr_of(HVPT_READ | HVPT_EXEC, HVPT_MEM_WT));
    CHECK_EQ(entry_at(&rig, record->level) & record->mask, record->mask, "the bit");
    CHECK_STATUS(rig.adapter->translate(&rig.space, GPA, &mapping), HVPT_OK, "translate");
    CHECK_EQ(mapping.attr.memtype, HVPT_MEM_WT, "memory type");
    CHECK_STATUS(read_with(&rig, record->level, record->mask, &mapping), HVPT_OK, "translate without");
    CHECK_EQ(mapping.attr.memtype, HVPT_MEM_WB, "memory type without the bit");
    rig_close(&rig);
}

Test(bits, every_record_of_npt_is_named_reachable_and_gated)
{
    static const struct meaning meanings[] = {{"RW", 0, HVPT_WRITE}, {"A", HVPT_ACCESSED, 0}, {"D", HVPT_DIRTY, 0}};
    unsigned records = 0;

    reference_load(&fields, "hvpt/npt_fields.csv");
    for (size_t row = 1; row < fields.rows; row++) {
        struct record record = record_of(row, 46);
        const struct meaning *meaning = find_meaning(meanings, 3, record.field);
        struct hvpt_mapping mapping;
        struct rig rig;

        records++;
        if (strcmp(record.field, "NX") == 0) {
            check_nx(&record);
            continue;
        }
        if (record.leaf && strcmp(record.field, "PWT") == 0) {
            check_pat_bit(&record, 1);
            continue;
        }
        if (record.leaf && strcmp(record.field, "PCD") == 0) {
            check_pat_bit(&record, 2);
            continue;
        }
        if (strcmp(record.field, "PAT") == 0) {
            check_pat_bit(&record, 4);
            continue;
        }
        if (record.leaf && meaning != NULL) {
            check_attribute(&npt_usual, &record, meaning);
            continue;
        }
        open_at(&rig, &npt_usual, &record, attr_rwx());
        if (strcmp(record.field, "RESERVED") == 0 || strcmp(record.field, "PS_CLEAR") == 0) {
            check_reserved(&rig, &record, true);
        } else if (strcmp(record.field, "IGNORED") == 0 || strcmp(record.field, "AVL") == 0
                   || strcmp(record.field, "G") == 0 || strcmp(record.field, "MPK") == 0
                   || strcmp(record.field, "PWT") == 0 || strcmp(record.field, "PCD") == 0
                   || strcmp(record.field, "A") == 0) {
            /* PWT, PCD, A of a table entry: how the table below is read, and hardware's own mark */
            check_reserved(&rig, &record, false);
            CHECK(!(entry_at(&rig, record.level) & record.mask & ~(UINT64_C(15) << 52)),
                  "clear but for the engine's own");
        } else if (strcmp(record.field, "PAGE_ADDRESS") == 0 || strcmp(record.field, "TABLE_ADDRESS") == 0) {
            check_address(&rig, &record);
        } else if (strcmp(record.field, "PS") == 0) {
            CHECK_EQ(entry_at(&rig, record.level) & record.mask, record.mask, "the bit");
            CHECK_STATUS(rig.adapter->translate(&rig.space, GPA, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.page_size, HVPT_4K << (9 * record.level), "page size");
        } else if (strcmp(record.field, "P") == 0) {
            CHECK_EQ(entry_at(&rig, record.level) & record.mask, record.mask, "the bit");
            CHECK_STATUS(read_with(&rig, record.level, record.mask, &mapping), HVPT_E_ABSENT, "not present");
        } else if (strcmp(record.field, "US") == 0) {
            CHECK_EQ(entry_at(&rig, record.level) & record.mask, record.mask, "every guest access is a user's");
            CHECK_STATUS(read_with(&rig, record.level, record.mask, &mapping), HVPT_OK, "a supervisor's page");
            CHECK_EQ(mapping.attr.perm, 0, "is none of the guest's");
        } else if (strcmp(record.field, "RW") == 0) {
            CHECK_EQ(entry_at(&rig, record.level) & record.mask, record.mask, "tables allow everything");
            CHECK_STATUS(read_with(&rig, record.level, record.mask, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.attr.perm, HVPT_READ | HVPT_EXEC, "what the table takes");
        } else {
            CHECK(false, "no test knows this field");
        }
        rig_close(&rig);
    }
    CHECK(records > 90, "only %u records", records);
    reference_free(&fields);
}
