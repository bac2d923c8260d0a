/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * explain: over random tables it says "allowed" exactly where the processor's walk allows, and names the level and the
 * entry that decide; every rule of the manuals, broken alone, is named.
 */
#include "support/reference.h"
#include "support/rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define PAGE HVPT_4K
#define HOST UINT64_C(0x100000000)

static void must(enum hvpt_status status)
{
    CHECK_STATUS(status, HVPT_OK, "a step of the case");
}

/* ---- what was said ---- */

struct said {
    enum hvpt_status status;
    char words[HVPT_EXPLAIN_SIZE];
};

static struct said ask(const struct rig *rig, uint64_t gpa, uint32_t access)
{
    static char words[HVPT_EXPLAIN_SIZE];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct said said;

    said.status = rig->adapter->explain(&rig->space, gpa, access, &text);
    CHECK(buffer.needed < sizeof(words), "%zu bytes are more than HVPT_EXPLAIN_SIZE", buffer.needed);
    CHECK_EQ(strlen(words), buffer.needed, "length");
    memcpy(said.words, words, sizeof(words));
    return said;
}

/* The last line. */
static const char *verdict(const struct said *said)
{
    const char *line = strrchr(said->words, '\n');

    return line == NULL ? said->words : line + 1;
}

static void says(const struct said *said, const char *wanted)
{
    CHECK(strstr(said->words, wanted) != NULL, "\"%s\" is not in:\n%s", wanted, said->words);
}

static void concludes(const struct said *said, const char *wanted)
{
    CHECK(strstr(verdict(said), wanted) != NULL, "\"%s\" is not in the last line of:\n%s", wanted, said->words);
}

/* The line that names an entry, and the level as the verdict names it. */
static void names_entry(const struct said *said, const struct cpu_translation *way, unsigned level, bool decides)
{
    char line[160];

    (void)snprintf(line, sizeof(line), ": entry %u of the table at %#llx is %#llx", way->index[level],
                   (unsigned long long)way->table[level]->pa,
                   (unsigned long long)way->table[level]->virt[way->index[level]]);
    says(said, line);
    (void)snprintf(line, sizeof(line), "level %u (", level);
    says(said, line);
    if (decides)
        concludes(said, line);
}

/* ---- against the processor ---- */

/* The highest level whose entry alone denies access; only EPT's and NPT's tables deny. */
static unsigned first_to_deny(const struct rig *rig, const struct cpu_translation *way, uint32_t access)
{
    const struct cpu_features *on = &rig->cpu.features;

    if (on->kind != CPU_EPT && on->kind != CPU_NPT)
        return way->level;
    for (unsigned level = on->levels - 1; level > way->level; level--) {
        const struct cpu_entry *masks = &rig->cpu.table[level];
        uint64_t entry = way->table[level]->virt[way->index[level]];
        bool read = entry & masks->read, write = entry & masks->write, exec, exec_user;

        if (on->kind == CPU_NPT) {
            exec = exec_user = !(entry & masks->exec);
            if (!(entry & masks->user))
                read = write = exec = exec_user = false;
        } else {
            exec = entry & masks->exec;
            exec_user = on->mode_based_execute ? entry & masks->exec_user : exec;
        }
        if (((access & HVPT_READ) && !read) || ((access & HVPT_WRITE) && !write) || ((access & HVPT_EXEC) && !exec)
            || ((access & HVPT_EXEC_USER) && !exec_user))
            return level;
    }
    return way->level;
}

static void compare(const struct rig *rig, uint64_t gpa, unsigned *seen)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, gpa, CPU_PROBE, &now);
    for (uint32_t access = 0; access <= HVPT_PERM_ALL; access++) {
        uint32_t perm = now.perm;
        struct said said = ask(rig, gpa, access);
        struct hvpt_diagnosis found;

        if (!rig->setup->two_exec)
            perm = (perm & ~(uint32_t)HVPT_EXEC_USER) | (perm & HVPT_EXEC ? (uint32_t)HVPT_EXEC_USER : 0);
        switch (now.outcome) {
        case CPU_ABSENT:
            /* In what hardware takes for empty, bit 62 is the library's own mark of an aged page. */
            if (rig->setup->cpu.kind == CPU_EPT && (now.entry >> 62 & 1))
                break;
            CHECK_STATUS(said.status, HVPT_E_ABSENT, said.words);
            names_entry(&said, &now, now.level, true);
            seen[0]++;
            break;
        case CPU_MISCONFIGURED:
            CHECK_STATUS(said.status, HVPT_E_CORRUPT, said.words);
            names_entry(&said, &now, now.level, true);
            if (rig->setup->cpu.kind == CPU_EPT)
                concludes(&said, now.rule);
            seen[1]++;
            break;
        case CPU_LOST:
            CHECK_STATUS(said.status, HVPT_E_CORRUPT, said.words);
            concludes(&said, "cannot be reached");
            CHECK_STATUS(hvpt_space_diagnose(&rig->space, hvpt_make_gpa(gpa), access, &found), HVPT_E_CORRUPT,
                         "diagnose");
            CHECK(found.number == 0 && found.bits == 0, "no rule of the format's is broken");
            seen[2]++;
            break;
        case CPU_MAPPED:
        case CPU_DENIED:
            if (access & ~perm) {
                CHECK_STATUS(said.status, HVPT_E_ATTR, said.words);
                names_entry(&said, &now, first_to_deny(rig, &now, access), true);
                concludes(&said, "denied by ");
                seen[3]++;
            } else {
                char where[40];

                CHECK_STATUS(said.status, HVPT_OK, said.words);
                (void)snprintf(where, sizeof(where), "allowed: host-physical 0x%llx", (unsigned long long)now.hpa);
                CHECK(strcmp(verdict(&said), where) == 0, "\"%s\" is not the last line of:\n%s", where, said.words);
                seen[4]++;
            }
            break;
        }
    }
}

static void random_tables(const struct setup *setup)
{
    const uint64_t page = UINT64_C(1) << cpu_shift(&setup->cpu, 0), large = UINT64_C(1) << cpu_shift(&setup->cpu, 1);
    const uint64_t gpa[] = {0, 32 * large + 5 * page, 64 * large + large / 2};
    unsigned seen[5] = {0};
    uint64_t stores;
    struct rig rig;

    rig_open(&rig, setup);
    must(rig_map(&rig, 0, HOST, page, rig_data(&rig)));
    must(rig_map(&rig, 32 * large, HOST, large - page, attr_rwx()));
    must(rig_map(&rig, 64 * large, HOST, 2 * large, rig_data(&rig)));
    rig.memory.lenient = true;
    stores = rig.memory.stores;
    for (unsigned i = 0; i < 1200; i++) {
        uint64_t at = gpa[i % 3] + (random_next(&rig.random) & 0xfff);
        struct cpu_translation way;
        struct frame *table[2];
        unsigned index[2];
        uint64_t old[2];

        cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, at, CPU_PROBE, &way);
        /* One entry of the way, or two, so that one may deny and another be broken. */
        for (unsigned n = 0; n < 2; n++) {
            unsigned level = way.level + (unsigned)random_below(&rig.random, setup->cpu.levels - way.level);
            uint64_t entry;

            table[n] = way.table[level];
            index[n] = way.index[level];
            entry = old[n] = table[n]->virt[index[n]];
            for (uint64_t bits = random_below(&rig.random, 3 - n); bits-- > 0;)
                entry ^= UINT64_C(1) << (random_next(&rig.random) & 1 ? random_below(&rig.random, 11)
                                                                      : random_below(&rig.random, 64));
            memory_poke(table[n], index[n], entry);
        }
        compare(&rig, at, seen);
        for (unsigned n = 2; n-- > 0;)
            memory_poke(table[n], index[n], old[n]);
    }
    rig.memory.lenient = false;
    CHECK_EQ(rig.memory.stores, stores, "stores");
    CHECK(seen[0] && seen[1] && (setup->linear || seen[2]) && seen[3] && seen[4],
          "the entries were too tame: %u absent, %u misconfigured, %u lost, %u denied, %u allowed", seen[0], seen[1],
          seen[2], seen[3], seen[4]);
    rig_close(&rig);
}

/* With a linear map every address is as good as a table: those setups are left to the fuzzer's frames. */
Test(explain, says_of_any_entry_what_the_processor_does, .timeout = 600)
{
    for (size_t i = 0; i < setup_count; i++)
        if (!setups[i].linear)
            random_tables(&setups[i]);
    for (size_t i = 0; i < granule_count; i++)
        random_tables(&granules[i]);
}

/* Every permission that a page can have, at every size, for every access. */
Test(explain, says_of_every_permission_what_the_processor_does)
{
    for (size_t i = 0; i < setup_count; i++) {
        unsigned seen[5] = {0};
        struct rig rig;

        rig_open(&rig, &setups[i]);
        for (uint64_t size = PAGE; size <= setup_max_page(&setups[i]); size *= 512) {
            for (uint32_t perm = 1; perm <= HVPT_PERM_ALL; perm++) {
                struct hvpt_attr attr = attr_of(perm, HVPT_MEM_WB);

                if (!setup_expresses(&setups[i], attr))
                    continue;
                must(rig_map(&rig, HVPT_1G, HOST, size, attr));
                compare(&rig, HVPT_1G + size / 2 + 1, seen);
                must(rig_unmap(&rig, HVPT_1G, size));
                compare(&rig, HVPT_1G + size / 2 + 1, seen);
            }
        }
        CHECK(seen[0] && seen[4], "nothing was allowed, or nothing denied");
        rig_close(&rig);
    }
}

/* ---- EPT: every record of ept_misconfigurations.csv ---- */

static const char *const table_name[] = {"", "PDE_TABLE", "PDPTE_TABLE", "PML4E", "PML5E"};
static const char *const leaf_name[] = {"PTE", "PDE_2M", "PDPTE_1G", "", ""};
static const char *const level_name[] = {"level 0 (PTE)", "level 1 (PDE)", "level 2 (PDPTE)", "level 3 (PML4E)",
                                         "level 4 (PML5E)"};

/* How many of the processor's rules does entry break? */
static unsigned broken(const struct cpu *cpu, unsigned level, uint64_t entry)
{
    bool leaf = cpu_is_leaf(cpu, level, entry);
    unsigned count = 0;

    for (unsigned i = 0; i < cpu->rule_count; i++) {
        const struct cpu_rule *rule = &cpu->rules[i];
        uint64_t value = rule->field == 0 ? 0 : (entry & rule->field) / (rule->field & -rule->field);

        if (rule->applies[level][leaf] && !(entry & rule->clear)
            && ((entry & rule->set) || (rule->field != 0 && (rule->values >> value & 1))))
            count++;
    }
    return count;
}

/* The rule id broken alone by a change of the entry at level on the way to 0; how often that was found and told. */
static unsigned break_alone(struct rig *rig, unsigned level, const char *id, const char *entry_name)
{
    struct cpu_translation way;
    unsigned told = 0;
    uint64_t old;

    cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, 0, CPU_PROBE, &way);
    old = way.table[level]->virt[way.index[level]];
    for (unsigned rights = 0; rights < 16; rights++) {
        for (unsigned bit = 0; bit < 72; bit++) {
            /* bits 2:0 and 10 are the rights; a bit, or the memory type, beside them */
            uint64_t entry = (old & ~UINT64_C(0x407)) | (rights & 7) | (uint64_t)(rights & 8) << 7;

            entry = bit < 64 ? entry | UINT64_C(1) << bit : (entry & ~UINT64_C(0x38)) | (uint64_t)(bit - 64) << 3;
            if (level > 0 && level < 3 && strstr(entry_name, "_1G") == NULL && strstr(entry_name, "_2M") == NULL)
                entry &= ~(UINT64_C(1) << 7);
            if (!cpu_present(&rig->cpu, entry) || broken(&rig->cpu, level, entry) != 1
                || strcmp(cpu_misconfigured(&rig->cpu, level, entry), id) != 0
                || strcmp(cpu_is_leaf(&rig->cpu, level, entry) ? leaf_name[level] : table_name[level], entry_name) != 0)
                continue;
            memory_poke(way.table[level], way.index[level], entry);
            for (uint32_t access = 0; access <= HVPT_EXEC_USER; access = access * 2 + (access == 0)) {
                struct said said = ask(rig, 0, access);

                CHECK_STATUS(said.status, HVPT_E_CORRUPT, said.words);
                concludes(&said, id);
                concludes(&said, level_name[level]);
                concludes(&said, "SDM vol. 3, \"EPT Misconfigurations\"");
                names_entry(&said, &way, level, true);
            }
            memory_poke(way.table[level], way.index[level], old);
            told++;
        }
    }
    return told;
}

/* A page whose way has the entry at level: of 4K for tables, of that size for leaves. */
static unsigned break_in_setup(const struct setup *setup, const char *id, const char *entry_name)
{
    unsigned told = 0;

    for (unsigned level = 0; level < 5; level++) {
        bool leaf = strcmp(entry_name, leaf_name[level]) == 0;
        struct rig rig;

        if (!leaf && strcmp(entry_name, table_name[level]) != 0)
            continue;
        rig_open_with(&rig, setup, 5);
        if (leaf && level > 0 && setup_max_page(setup) < PAGE << (9 * level)) {
            /* A large page where there are none: what the library would not make. */
            struct cpu_translation way;
            uint64_t old;

            must(rig_map(&rig, 0, HOST, PAGE, attr_rwx()));
            cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, 0, CPU_PROBE, &way);
            old = way.table[level]->virt[way.index[level]];
            memory_poke(way.table[level], way.index[level], HOST | 6 << 3 | 7 | 1 << 7);
            told += break_alone(&rig, level, id, entry_name);
            memory_poke(way.table[level], way.index[level], old);
        } else {
            must(rig_map(&rig, 0, HOST, leaf ? PAGE << (9 * level) : PAGE, attr_rwx()));
            told += break_alone(&rig, level, id, entry_name);
        }
        rig_close(&rig);
    }
    return told;
}

Test(explain, names_every_misconfiguration_rule_broken_alone, .timeout = 600)
{
    static const char *const kinds[] = {"PML5E", "PML4E", "PDPTE_TABLE", "PDPTE_1G", "PDE_TABLE", "PDE_2M", "PTE"};
    struct reference rules;

    reference_load(&rules, "hvpt/ept_misconfigurations.csv");
    for (size_t row = 1; row < rules.rows; row++) {
        const char *id = rules.cell[row][reference_column(&rules, "id")];
        const char *entries = rules.cell[row][reference_column(&rules, "entries")];

        for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
            unsigned told = 0;

            if (!reference_listed(entries, kinds[kind]))
                continue;
            /* Which of these the rule needs, and which it must not have, is told by its being broken or not. */
            for (unsigned on = 0; on < 32; on++) {
                struct setup setup = {.name = "EPT, some capabilities",
                                      .adapter = &ept_adapter,
                                      .config = {.levels = 5, .maxphyaddr = 40},
                                      .cpu = {.kind = CPU_EPT, .levels = 5, .maxphyaddr = 40}};

                setup.config.ept_vpid_cap = UINT64_C(1) << 7 | UINT64_C(1) << 14;
                setup.config.ept_vpid_cap |= on & 1 ? 1 : 0;
                setup.config.ept_vpid_cap |= on & 2 ? UINT64_C(1) << 16 : 0;
                setup.config.ept_vpid_cap |= on & 4 ? UINT64_C(1) << 17 : 0;
                setup.config.features |= on & 8 ? HVPT_EPT_USE_MODE_BASED_EXECUTE : 0;
                setup.config.features |= on & 16 ? HVPT_EPT_USE_PAGING_WRITE : 0;
                setup.cpu.execute_only = on & 1;
                setup.cpu.page_2m = on & 2;
                setup.cpu.page_1g = (on & 4) && (on & 2);
                setup.cpu.mode_based_execute = setup.two_exec = on & 8;
                setup.cpu.paging_write = on & 16;
                if ((on & 4) && !(on & 2))
                    continue; /* no such processor */
                told += break_in_setup(&setup, id, kinds[kind]);
            }
            CHECK(told != 0, "%s was never broken alone in a %s", id, kinds[kind]);
        }
    }
    reference_free(&rules);
}

/* ---- the other formats' rules, one by one, from the manuals ---- */

static const struct {
    const char *setup;
    unsigned level;
    uint64_t set, clear;
    uint32_t access;
    enum hvpt_status status;
    const char *bits, *rule;
} cases[] = {
    {"NPT, all defaults", 0, 0, 1, HVPT_READ, HVPT_E_ABSENT, "bit 0 = 0", "not present"},
    {"NPT, all defaults", 2, 0, 1, HVPT_READ, HVPT_E_ABSENT, "level 2 (PDPE), bit 0 = 0", "not present"},
    {"NPT, all defaults", 3, 1 << 8, 0, 0, HVPT_E_CORRUPT, "bit 8 = 1", "reserved in PML4E and PML5E"},
    {"NPT, all defaults", 3, 1 << 7, 0, 0, HVPT_E_CORRUPT, "level 3 (PML4E), bit 7 = 1", "no pages of this size"},
    {"NPT, all defaults", 1, 1 << 7 | 1 << 20, 0, 0, HVPT_E_CORRUPT, "bits 20:13 = 0x", "2-MByte"},
    {"NPT, all defaults", 2, 1 << 7 | 1 << 29, 0, 0, HVPT_E_CORRUPT, "bits 29:13 = 0x", "1-GByte"},
    {"NPT, pages up to 2M, 40-bit addresses", 0, UINT64_C(1) << 40, 0, 0, HVPT_E_CORRUPT, "bits 51:40 = 0x1",
     "physical address size"},
    {"NPT, no NX, 36-bit addresses", 0, UINT64_C(1) << 63, 0, 0, HVPT_E_CORRUPT, "bit 63 = 1", "EFER.NXE"},
    {"NPT, all defaults", 0, 0, 1 << 2, HVPT_READ, HVPT_E_ATTR, "bit 2 = 0", "supervisor page"},
    {"NPT, all defaults", 3, 0, 1 << 2, HVPT_EXEC, HVPT_E_ATTR, "level 3 (PML4E), bit 2 = 0", "supervisor page"},
    {"NPT, all defaults", 0, 0, 1 << 1, HVPT_WRITE, HVPT_E_ATTR, "bit 1 = 0", "no right to write"},
    {"NPT, all defaults", 1, 0, 1 << 1, HVPT_WRITE, HVPT_E_ATTR, "level 1 (PDE), bit 1 = 0", "no right to write"},
    {"NPT, all defaults", 0, UINT64_C(1) << 63, 0, HVPT_EXEC_USER, HVPT_E_ATTR, "bit 63 = 1", "no-execute"},

    {"stage 2, 4K, all defaults", 0, 0, 1, HVPT_READ, HVPT_E_ABSENT, "level 0 (Arm's level 3), bit 0 = 0", "not valid"},
    {"stage 2, 4K, all defaults", 0, 0, 2, HVPT_READ, HVPT_E_CORRUPT, "bits 1:0 = 0x1", "block at the level of pages"},
    {"stage 2, 4K, LPA2, 52 bits, 5 levels, guarded tables", 4, 0, 2, 0, HVPT_E_CORRUPT,
     "level 4 (Arm's level -1), bits 1:0 = 0x1", "no blocks at this level"},
    {"stage 2, 4K, all defaults", 1, 1 << 13, 2, 0, HVPT_E_CORRUPT, "bits 20:12 = 0x", "not aligned"},
    {"stage 2, 4K, contiguous runs, 40-bit addresses, execution on 4K pages only", 0, UINT64_C(1) << 41, 0, 0,
     HVPT_E_CORRUPT, "bits 47:12 = 0x2", "address size fault. Arm ARM, \"MMU fault types\""},
    {"stage 2, 4K, LPA2, 52 bits, 5 levels, guarded tables", 0, 0, 1 << 10, HVPT_READ, HVPT_E_ATTR, "bit 10 = 0",
     "Access flag fault"},
    {"stage 2, 4K, all defaults", 0, 0, 1 << 6, HVPT_READ, HVPT_E_ATTR, "bit 6 = 0", "no right to read"},
    {"stage 2, 4K, all defaults", 0, 0, 1 << 7, HVPT_WRITE, HVPT_E_ATTR, "bit 7 = 0", "no right to write"},
    {"stage 2, 4K, 48 bits, XNX, hardware access flag and dirty state", 0, 0, UINT64_C(1) << 51 | 1 << 7, HVPT_WRITE,
     HVPT_E_ATTR, "bit 7 = 0, bit 51 = 0", "no right to write"},
    {"stage 2, 4K, all defaults", 0, UINT64_C(1) << 54, 0, HVPT_EXEC, HVPT_E_ATTR, "bit 54 = 1", "execute-never (XN)"},
    {"stage 2, 4K, 48 bits, XNX, hardware access flag and dirty state", 0, UINT64_C(1) << 53, UINT64_C(1) << 54,
     HVPT_EXEC, HVPT_E_ATTR, "bits 54:53 = 0x1", "execute-never at EL1"},
    {"stage 2, 4K, 48 bits, XNX, hardware access flag and dirty state", 0, UINT64_C(3) << 53, 0, HVPT_EXEC_USER,
     HVPT_E_ATTR, "bits 54:53 = 0x3", "execute-never at EL0"},

    {"G-stage, Sv39x4, no extensions", 0, 0, 1, HVPT_READ, HVPT_E_ABSENT, "bit 0 = 0", "not valid"},
    {"G-stage, Sv39x4, no extensions", 0, 1 << 2, 1 << 1, 0, HVPT_E_CORRUPT, "bits 2:1 = 0x2", "not readable"},
    {"G-stage, Sv39x4, no extensions", 0, UINT64_C(1) << 54, 0, 0, HVPT_E_CORRUPT, "bits 60:54 = 0x1", "reserved"},
    {"G-stage, Sv39x4, no extensions", 0, UINT64_C(1) << 61, 0, 0, HVPT_E_CORRUPT, "bits 62:61 = 0x1",
     "without Svpbmt"},
    {"G-stage, Sv48x4, Svpbmt, Svnapot, Svadu", 0, UINT64_C(3) << 61, 0, 0, HVPT_E_CORRUPT, "bits 62:61 = 0x3",
     "reserved memory type"},
    {"G-stage, Sv39x4, no extensions", 0, UINT64_C(1) << 63, 0, 0, HVPT_E_CORRUPT, "bit 63 = 1", "without Svnapot"},
    {"G-stage, Sv48x4, Svpbmt, Svnapot, Svadu", 0, UINT64_C(1) << 63, 0, 0, HVPT_E_CORRUPT, "bits 13:10 = 0x0",
     "NAPOT size"},
    {"G-stage, Sv39x4, Svadu, 4K pages only, guarded tables", 0, UINT64_C(1) << 38, 0, 0, HVPT_E_CORRUPT,
     "bits 53:38 = 0x1", "beyond the physical addresses"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 0xe, 0, HVPT_E_CORRUPT, "bits 3:1 = 0x0", "level of the smallest pages"},
    {"G-stage, Sv39x4, no extensions", 1, 1 << 4, 0, 0, HVPT_E_CORRUPT, "bit 4 = 1", "reference to a table"},
    {"G-stage, Sv39x4, no extensions", 1, 0xde | 1 << 10, 0, 0, HVPT_E_CORRUPT, "bits 18:10 = 0x", "not aligned"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 1 << 4, HVPT_READ, HVPT_E_ATTR, "bit 4 = 0", "U is clear"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 0x6, HVPT_READ, HVPT_E_ATTR, "bit 1 = 0", "no right to read"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 1 << 2, HVPT_WRITE, HVPT_E_ATTR, "bit 2 = 0", "no right to write"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 1 << 3, HVPT_EXEC_USER, HVPT_E_ATTR, "bit 3 = 0", "no right to execute"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 1 << 6, HVPT_READ, HVPT_E_ATTR, "bit 6 = 0", "not accessed yet"},
    {"G-stage, Sv39x4, no extensions", 0, 0, 1 << 7, HVPT_WRITE, HVPT_E_ATTR, "bit 7 = 0", "not dirty yet"},

    {"EPT, all defaults", 0, 0, 7, HVPT_READ, HVPT_E_ABSENT, "bits 2:0 = 0x0", "not present"},
    {"EPT, all defaults", 0, 0, 2, HVPT_WRITE, HVPT_E_ATTR, "level 0 (PTE), bit 1 = 0", "no right to write"},
    {"EPT, all defaults", 3, 0, 2, HVPT_WRITE, HVPT_E_ATTR, "level 3 (PML4E), bit 1 = 0", "no right to write"},
    {"EPT, all defaults", 0, 0, 4, HVPT_EXEC_USER, HVPT_E_ATTR, "bit 2 = 0", "no right to execute"},
};

Test(explain, names_every_rule_of_every_format)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct setup *setup = setup_named(cases[i].setup);
        unsigned level = cases[i].level;
        struct cpu_translation way;
        struct said said;
        struct rig rig;
        uint64_t old;

        rig_open(&rig, setup);
        check_context("row %zu, %s", i, cases[i].setup);
        must(rig_map(&rig, 0, HOST, PAGE, attr_rwx()));
        cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, 0, CPU_PROBE, &way);
        old = way.table[level]->virt[way.index[level]];
        memory_poke(way.table[level], way.index[level], (old & ~cases[i].clear) | cases[i].set);
        rig.memory.lenient = true;
        said = ask(&rig, 0, cases[i].access);
        CHECK_STATUS(said.status, cases[i].status, said.words);
        concludes(&said, cases[i].bits);
        concludes(&said, cases[i].rule);
        memory_poke(way.table[level], way.index[level], old);
        rig.memory.lenient = false;
        rig_close(&rig);
    }
}

/* ---- what the library took, and what is no question ---- */

Test(explain, tells_what_a_touch_would_give_back)
{
    for (size_t i = 0; i < setup_count; i++) {
        struct said said;
        struct rig rig;

        rig_open(&rig, &setups[i]);
        must(rig_map(&rig, 0, HOST, PAGE, rig_data(&rig)));
        must(rig_write_protect(&rig, 0, PAGE));
        said = ask(&rig, 0, HVPT_WRITE);
        CHECK_STATUS(said.status, HVPT_E_ATTR, said.words);
        concludes(&said, "was taken by write_protect");
        must(rig_fault(&rig, 0, HVPT_WRITE));
        must(ask(&rig, 0, HVPT_WRITE).status);
        must(rig_age(&rig, 0, PAGE));
        said = ask(&rig, 0, HVPT_READ);
        if (setup_software_accessed(&setups[i]) || !setup_keeps_accessed(&setups[i])) {
            CHECK_STATUS(said.status, HVPT_E_ATTR, said.words);
            concludes(&said, "touch ");
            must(ask(&rig, 0, 0).status);
            must(rig_fault(&rig, 0, HVPT_READ));
            said = ask(&rig, 0, HVPT_READ);
        }
        must(said.status);
        rig_close(&rig);
    }
}

/* Only EPT and only in what others made: the library's own mark where no page can be, or in a page of no kind. */
Test(explain, a_mark_of_age_on_what_is_no_page_is_corrupt)
{
    for (unsigned i = 0; i < 4; i++) {
        struct setup setup = *setup_named("EPT, all defaults");
        const unsigned level = i & 1;
        struct cpu_translation way;
        struct hvpt_mapping mapping;
        struct said said;
        struct rig rig;
        uint64_t old;

        setup.cpu.execute_only = i & 2;
        setup.config.ept_vpid_cap = setup.cpu.execute_only ? UINT64_MAX : 0;
        rig_open(&rig, &setup);
        must(rig_map(&rig, 0, HOST, PAGE, attr_rwx()));
        cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, 0, CPU_PROBE, &way);
        old = way.table[level]->virt[way.index[level]];
        memory_poke(way.table[level], way.index[level],
                    UINT64_C(1) << 62 | (old & ~UINT64_C(7)) | (level == 0 ? 7 << 3 : 0));
        said = ask(&rig, 0, HVPT_READ);
        CHECK_STATUS(said.status, HVPT_E_CORRUPT, said.words);
        concludes(&said, "bit 62 = 1");
        CHECK_STATUS(rig.adapter->translate(&rig.space, 0, &mapping), HVPT_E_CORRUPT, "translate");
        memory_poke(way.table[level], way.index[level], old);
        rig_close(&rig);
    }
}

Test(explain, names_the_flags_that_decide_beside_the_rights)
{
    struct setup setup = *setup_named("EPT, all defaults");
    struct cpu_translation way;
    struct said said;
    struct rig rig;

    setup.config.features = HVPT_EPT_USE_SUB_PAGE_WRITE | HVPT_EPT_USE_MODE_BASED_EXECUTE;
    setup.cpu.mode_based_execute = setup.two_exec = true;
    rig_open(&rig, &setup);
    must(rig_map(&rig, 0, HOST, PAGE, attr_of(HVPT_READ, HVPT_MEM_WB)));
    cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, 0, CPU_PROBE, &way);
    said = ask(&rig, 0, HVPT_WRITE);
    concludes(&said, "bit 1 = 0: no right to write. SDM vol. 3");
    memory_poke(way.table[0], way.index[0], way.entry | HVPT_EPT_BIT_SUB_PAGE_WRITE);
    said = ask(&rig, 0, HVPT_WRITE);
    concludes(&said, "bit 1 = 0, bit 61 = 1: no right to write but where the sub-page permission table gives it");
    said = ask(&rig, 0, HVPT_EXEC);
    concludes(&said, "bit 2 = 0: no right to execute in supervisor mode");
    said = ask(&rig, 0, HVPT_EXEC_USER);
    concludes(&said, "bit 10 = 0: no right to execute in user mode");
    memory_poke(way.table[0], way.index[0], way.entry);
    rig_close(&rig);
}

/*
 * APM vol. 2, "Guest Mode Execute Trap Extension" and "Supervisor Shadow Stacks": the user bit of a page means something
 * else there. A table without it is one that this library does not make.
 */
Test(explain, names_what_the_user_bit_means_in_npts_modes)
{
    static const struct {
        uint64_t features;
        unsigned level;
        uint64_t set, clear;
        uint32_t access;
        enum hvpt_status status;
        const char *words;
    } modes[] = {
        {HVPT_NPT_USE_GMET, 0, 4, 0, HVPT_EXEC, HVPT_E_ATTR, "bit 2 = 1: a user page, which the guest's supervisor"},
        {HVPT_NPT_USE_GMET, 0, 4, 0, HVPT_EXEC_USER, HVPT_OK, "allowed"},
        {HVPT_NPT_USE_GMET, 0, 0, 4, HVPT_EXEC, HVPT_OK, "allowed"},
        {HVPT_NPT_USE_GMET, 0, UINT64_C(1) << 63, 4, HVPT_EXEC, HVPT_E_ATTR, "bit 63 = 1: no-execute"},
        {HVPT_NPT_USE_GMET, 1, 0, 4, HVPT_READ, HVPT_E_CORRUPT,
         "level 1 (PDE), bit 2 = 0: a supervisor table makes all below it the guest supervisor's to execute; not used "
         "here. APM vol. 2, \"Guest Mode Execute Trap Extension\""},
        {HVPT_NPT_USE_SHADOW_STACK, 0, UINT64_C(1) << 63, 4, HVPT_READ, HVPT_OK, "allowed"},
        {HVPT_NPT_USE_SHADOW_STACK, 0, UINT64_C(1) << 63, 4, HVPT_EXEC, HVPT_E_ATTR, "bit 63 = 1: no-execute"},
        {HVPT_NPT_USE_SHADOW_STACK, 0, 0, 4, HVPT_READ, HVPT_E_ATTR, "bit 2 = 0: a supervisor page"},
    };

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct setup setup = *setup_named("NPT, all defaults");
        struct cpu_translation way;
        struct said said;
        struct rig rig;
        uint64_t old;

        setup.config.features = modes[i].features;
        setup.cpu.guest_mode_execute_trap = setup.two_exec = (modes[i].features & HVPT_NPT_USE_GMET) != 0;
        rig_open(&rig, &setup);
        check_context("row %zu", i);
        must(rig_map(&rig, 0, HOST, PAGE, attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER, HVPT_MEM_WB)));
        cpu_walk(&rig.cpu, &rig.memory, rig.memory.flush_root, 0, CPU_PROBE, &way);
        old = way.table[modes[i].level]->virt[way.index[modes[i].level]];
        memory_poke(way.table[modes[i].level], way.index[modes[i].level], (old & ~modes[i].clear) | modes[i].set);
        said = ask(&rig, 0, modes[i].access);
        CHECK_STATUS(said.status, modes[i].status, said.words);
        concludes(&said, modes[i].words);
        memory_poke(way.table[modes[i].level], way.index[modes[i].level], old);
        rig_close(&rig);
    }
}

Test(explain, refuses_what_is_no_address_or_no_access)
{
    for (size_t i = 0; i < setup_count; i++) {
        struct said said;
        struct rig rig;

        rig_open(&rig, &setups[i]);
        said = ask(&rig, setup_gpa_limit(&setups[i]), HVPT_READ);
        CHECK_STATUS(said.status, HVPT_E_RANGE, said.words);
        concludes(&said, "beyond the space");
        said = ask(&rig, UINT64_MAX, HVPT_READ);
        CHECK_STATUS(said.status, HVPT_E_RANGE, said.words);
        said = ask(&rig, 0, 16);
        CHECK_STATUS(said.status, HVPT_E_ATTR, said.words);
        concludes(&said, "no such access");
        rig_close(&rig);
    }
}

/* ---- the words themselves ---- */

static unsigned char arena[8][HVPT_4K] __attribute__((aligned(4096)));
static unsigned used;

static bool give(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    out->value = HVPT_4K * used++;
    return true;
}

static void take(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

Test(explain, reads_like_this)
{
    const struct hvpt_hooks hooks = {.alloc_frame = give, .free_frame = take, .linear_map = arena};
    const struct hvpt_ept_config config = {0};
    struct hvpt_attr attr = attr_of(HVPT_READ | HVPT_EXEC, HVPT_MEM_WB);
    char words[HVPT_EXPLAIN_SIZE], part[HVPT_EXPLAIN_SIZE];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct hvpt_space ept;

    memory_observe(NULL);
    must(hvpt_ept_init(&ept, &hooks, &config));
    must(hvpt_space_map(&ept, hvpt_make_gpa(0x5000), hvpt_make_hpa(HOST), HVPT_4K, attr, NULL));
    CHECK_STATUS(hvpt_space_explain(&ept, hvpt_make_gpa(0x5010), HVPT_WRITE, &text), HVPT_E_ATTR, words);
    CHECK(strcmp(words, "write at 0x5010\n"
                        "level 3 (PML4E): entry 0 of the table at 0x0 is 0x2007: table at 0x2000;"
                        " allows read, write, execute, user execute\n"
                        "level 2 (PDPTE): entry 0 of the table at 0x2000 is 0x3007: table at 0x3000;"
                        " allows read, write, execute, user execute\n"
                        "level 1 (PDE): entry 0 of the table at 0x3000 is 0x1007: table at 0x1000;"
                        " allows read, write, execute, user execute\n"
                        "level 0 (PTE): entry 5 of the table at 0x1000 is 0x100000035: 0x1000 bytes at 0x100000000;"
                        " allows read, execute, user execute\n"
                        "denied by level 0 (PTE), bit 1 = 0: no right to write. SDM vol. 3, \"EPT Violations\"")
              == 0,
          "it reads:\n%s", words);

    /* However small the buffer: terminated, and nothing beyond it. */
    for (size_t size = 0; size <= buffer.needed + 1; size++) {
        struct hvpt_text_buffer small;
        struct hvpt_text cut = hvpt_text_into(&small, part, size);

        memset(part, 0x7f, sizeof(part));
        CHECK_STATUS(hvpt_space_explain(&ept, hvpt_make_gpa(0x5010), HVPT_WRITE, &cut), HVPT_E_ATTR, "explain");
        CHECK_EQ(small.needed, buffer.needed, "the length it would have");
        CHECK(size == 0 || (strlen(part) == size - 1 && strncmp(part, words, size - 1) == 0), "size %zu: \"%s\"", size,
              part);
        for (size_t i = size; i < sizeof(part); i++)
            CHECK(part[i] == 0x7f, "byte %zu beyond size %zu was written", i, size);
    }
    hvpt_space_destroy(&ept);
}
