/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One entry put where the library can look at it: in a tree of a table a level, whose other entries are sound. What the
 * library then explains is what it has to say of the entry. No rule is written here.
 */
#include "entry.h"
#include "readonly.h"

#include <hvpt/guest/walk.h>
#include <hvpt/space.h>

/* A table a level, 64 KiB each, the size of Arm's largest; and one for the guest's second level. */
enum { JUDGE_TABLES = HVPT_MAX_LEVELS + 3, JUDGE_WORDS = 8192 };

static hvpt_entry judge_memory[JUDGE_TABLES][JUDGE_WORDS];

/* Table number n lies at (n + 1) MiB, which every format and every width of addresses allows. */
static uint64_t judge_address(unsigned number)
{
    return (uint64_t)(number + 1) << 20;
}

static void *judge_phys_to_virt(void *ctx, hvpt_hpa frame)
{
    const uint64_t number = (frame.value >> 20) - 1;

    (void)ctx;
    if (frame.value < (UINT64_C(1) << 20) || number >= JUDGE_TABLES || (frame.value & 0xfffff) >= HVPT_64K)
        return NULL;
    return (char *)judge_memory[number] + (frame.value & 0xfffff);
}

static void judge_clear(void *object, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        ((unsigned char *)object)[i] = 0;
}

/* An entry that refers to a table and allows everything. */
static uint64_t judge_table_entry(const struct entry_facts *facts, uint64_t address)
{
    switch (facts->format) {
    case ENTRY_EPT: return address | 7 | (facts->value[FACT_MBEC] ? UINT64_C(1) << 10 : 0);
    case ENTRY_STAGE2: return address | 3;
    case ENTRY_GSTAGE: return address >> 2 | 1;
    default: return address | 7 | (facts->c_bit && facts->format == ENTRY_NPT ? UINT64_C(1) << facts->c_bit : 0);
    }
}

/* Configure a read-only space whose way to level goes through tables 0, 1, ...; *root_level is where it begins. */
static enum hvpt_status judge_adopt(const struct entry_facts *facts, struct hvpt_space *space,
                                    const struct hvpt_hooks *hooks, unsigned *root_level)
{
    static const uint8_t widths[7] = {32, 36, 40, 42, 44, 48, 52};
    struct hvpt_space_config config;
    const unsigned bits = facts->value[FACT_MAXPHYADDR];
    uint64_t root = judge_address(0);
    unsigned code;

    judge_clear(&config, sizeof(config));
    *root_level = facts->level > 3 ? 4 : 3;
    switch (facts->format) {
    case ENTRY_EPT:
        config.kind = HVPT_KIND_EPT;
        config.ept.maxphyaddr = bits;
        config.ept.ept_vpid_cap = ~UINT64_C(0) & ~(HVPT_EPT_CAP_EXECUTE_ONLY | HVPT_EPT_CAP_2M | HVPT_EPT_CAP_1G);
        config.ept.ept_vpid_cap |= (facts->value[FACT_EXECUTE_ONLY] ? HVPT_EPT_CAP_EXECUTE_ONLY : 0)
                                 | (facts->value[FACT_2M] ? HVPT_EPT_CAP_2M : 0)
                                 | (facts->value[FACT_1G] ? HVPT_EPT_CAP_1G : 0);
        config.ept.features = (facts->value[FACT_MBEC] ? (uint32_t)HVPT_EPT_USE_MODE_BASED_EXECUTE : 0u)
                            | (facts->value[FACT_PAGING_WRITE] ? (uint32_t)HVPT_EPT_USE_PAGING_WRITE : 0u);
        root |= HVPT_EPTP_MEMTYPE_WB | (uint64_t)*root_level << HVPT_EPTP_LEVELS_SHIFT;
        break;
    case ENTRY_NPT:
        config.kind = HVPT_KIND_NPT;
        config.npt.levels = *root_level + 1;
        config.npt.maxphyaddr = bits;
        config.npt.c_bit = facts->c_bit;
        config.npt.features = (facts->value[FACT_NXE] ? 0u : (uint32_t)HVPT_NPT_NO_NX)
                            | (facts->value[FACT_GMET] ? (uint32_t)HVPT_NPT_USE_GMET : 0u);
        root |= facts->c_bit ? UINT64_C(1) << facts->c_bit : 0;
        break;
    case ENTRY_STAGE2:
        for (code = 0; code < 7 && widths[code] != bits; code++)
            continue;
        if (code == 7)
            return HVPT_E_ATTR;
        config.kind = HVPT_KIND_S2;
        config.s2.granule_shift = facts->granule;
        config.s2.ipa_bits = bits;
        config.s2.mmfr0 = code | (UINT64_C(1) << 63) | (facts->value[FACT_LPA2] ? UINT64_C(1) << 28 : 0)
                        | (facts->value[FACT_LPA2] ? UINT64_C(2) : UINT64_C(1)) << 20;
        config.s2.mmfr1 = 2 | UINT64_C(2) << 4 | UINT64_C(1) << 28;
        config.s2.mmfr2 = UINT64_C(1) << 40;
        config.s2.features = (facts->value[FACT_LPA2] ? (uint32_t)HVPT_S2_USE_LPA2 : 0u)
                           | (facts->value[FACT_XNX] ? (uint32_t)HVPT_S2_USE_XNX : 0u);
        /* The least depth that has the level: deeper ones do not exist everywhere. */
        for (*root_level = facts->level; *root_level < HVPT_MAX_LEVELS; ++*root_level) {
            enum hvpt_status status;

            config.s2.levels = *root_level + 1;
            status = hvpt_space_adopt(space, hooks, &config, root, true);
            if (status == HVPT_OK)
                return status;
        }
        return HVPT_E_ATTR;
    case ENTRY_GSTAGE:
        config.kind = HVPT_KIND_GSTAGE;
        config.gstage.maxphyaddr = bits;
        config.gstage.features = (facts->value[FACT_SVPBMT] ? (uint32_t)HVPT_GSTAGE_USE_SVPBMT : 0u)
                               | (facts->value[FACT_SVNAPOT] ? (uint32_t)HVPT_GSTAGE_USE_SVNAPOT : 0u)
                               | (facts->value[FACT_SVADU] ? (uint32_t)HVPT_GSTAGE_USE_SVADU : 0u);
        root = root >> 12 | (uint64_t)(*root_level + 6) << 60;
        break;
    default: return HVPT_E_ATTR;
    }
    return hvpt_space_adopt(space, hooks, &config, root, true);
}

/* Does text go on with these words at its beginning? */
static bool judge_begins(const char *text, const char *words)
{
    while (*words)
        if (*text++ != *words++)
            return false;
    return true;
}

/* Is the explanation's line about this level? Its words are "level N (name)" behind the prefix. */
static bool judge_line_is(const char *line, const char *prefix, unsigned level)
{
    size_t length = 0;

    if (!judge_begins(line, prefix))
        return false;
    while (prefix[length])
        length++;
    return judge_begins(line + length, "level ") && line[length + 6] == (char)('0' + level);
}

/* Copy what a verdict's line says behind the level's name. */
static void judge_copy_why(struct entry_verdict *verdict, const char *line)
{
    size_t length = 0;

    while (*line && *line != '\n' && *line != ')')
        line++;
    while (*line == ')' || *line == ',' || *line == ' ')
        line++;
    while (line[length] && line[length] != '\n' && length + 1 < sizeof(verdict->why)) {
        verdict->why[length] = line[length];
        length++;
    }
    verdict->why[length] = 0;
}

/* Explain an access to address 0, and find the line of this level that begins with prefix; NULL: there is none. */
static const char *judge_explain(const struct hvpt_space *space, uint32_t access, const char *prefix, unsigned level)
{
    static char explanation[HVPT_EXPLAIN_SIZE * 2];
    struct hvpt_text_buffer buffer;
    const struct hvpt_text text = hvpt_text_into(&buffer, explanation, sizeof(explanation));
    const char *line = explanation;

    if (hvpt_space_explain(space, hvpt_make_gpa(0), access, &text) == HVPT_E_READONLY)
        return NULL; /* it never is: the words count, not the status */
    while (*line) {
        if (judge_line_is(line, prefix, level))
            return line;
        while (*line && *line != '\n')
            line++;
        if (*line)
            line++;
    }
    return NULL;
}

/* The rights in "...; allows read, write, execute, user execute" at the end of the entry's line. */
static unsigned judge_rights(const char *line)
{
    unsigned rights = 0;

    while (*line && *line != '\n' && !judge_begins(line, "; allows "))
        line++;
    for (; *line && *line != '\n'; line++) {
        if (judge_begins(line, " read"))
            rights |= HVPT_READ;
        else if (judge_begins(line, " write"))
            rights |= HVPT_WRITE;
        else if (judge_begins(line, " user execute"))
            rights |= HVPT_EXEC_USER, line += 5;
        else if (judge_begins(line, " execute"))
            rights |= HVPT_EXEC;
    }
    return rights;
}

static void judge_second_level(const struct entry_facts *facts, uint64_t entry, struct entry_verdict *verdict)
{
    struct hvpt_hooks hooks;
    struct hvpt_space space;
    struct hvpt_mapping mapping;
    unsigned root_level, level;
    const char *line;

    hooks = readonly_hooks(judge_phys_to_virt, NULL);
    if (judge_adopt(facts, &space, &hooks, &root_level) != HVPT_OK || root_level < facts->level) {
        verdict->kind = ENTRY_IMPOSSIBLE;
        return;
    }
    for (level = root_level; level > facts->level; level--)
        judge_memory[root_level - level][0] = judge_table_entry(facts, judge_address(root_level - level + 1));
    judge_memory[root_level - facts->level][0] = entry;

    line = judge_explain(&space, 0, "misconfigured at ", facts->level);
    if (line) {
        verdict->kind = ENTRY_BROKEN;
        judge_copy_why(verdict, line);
        return;
    }
    line = judge_explain(&space, 0, "not mapped at ", facts->level);
    if (line) {
        verdict->kind = ENTRY_ABSENT;
        judge_copy_why(verdict, line);
        return;
    }
    line = judge_explain(&space, 0, "", facts->level);
    verdict->perm = line ? judge_rights(line) : 0;
    verdict->kind = ENTRY_TABLE;
    /* A leaf is what a translation ends at; of a table it goes on, or fails further down. */
    if (hvpt_space_translate(&space, hvpt_make_gpa(0), &mapping) == HVPT_OK && mapping.level == facts->level) {
        verdict->kind = ENTRY_LEAF;
        verdict->address = mapping.hpa.value;
        verdict->size = mapping.page_size;
        verdict->memtype = (unsigned)mapping.attr.memtype;
    }
}

/* ---- an x86 guest's or kernel's own entry ---- */

static void judge_x86(const struct entry_facts *facts, uint64_t entry, struct entry_verdict *verdict)
{
    const unsigned root_level = facts->level > 3 ? 4 : 3;
    struct hvpt_hooks hooks;
    struct hvpt_space space;
    struct hvpt_space_config config;
    struct hvpt_x86_guest guest;
    struct hvpt_guest_walk walk;
    unsigned level;
    uint64_t linear = 0;

    /* Guest-physical addresses are host-physical ones below 1 GiB, where the tables lie, and 512 GiB beyond. */
    hooks = readonly_hooks(judge_phys_to_virt, NULL);
    judge_clear(&config, sizeof(config));
    config.kind = facts->value[FACT_AMD] ? HVPT_KIND_NPT : HVPT_KIND_EPT;
    judge_memory[6][0] = judge_address(7) | 7;
    for (level = 0; level < 512; level++)
        judge_memory[7][level] = (uint64_t)level << 30 | (facts->value[FACT_AMD] ? 0x87 : 0xb7);
    if (hvpt_space_adopt(&space, &hooks, &config, judge_address(6) | (facts->value[FACT_AMD] ? 0 : 0x1e), true)
        != HVPT_OK) {
        verdict->kind = ENTRY_IMPOSSIBLE;
        return;
    }
    judge_clear(&guest, sizeof(guest));
    guest.cr0 = HVPT_X86_CR0_PE | HVPT_X86_CR0_PG | HVPT_X86_CR0_WP;
    guest.cr3 = judge_address(0);
    guest.cr4 = HVPT_X86_CR4_PAE | (root_level == 4 ? HVPT_X86_CR4_LA57 : 0);
    guest.efer = HVPT_X86_EFER_LMA | (facts->value[FACT_NXE] ? HVPT_X86_EFER_NXE : 0);
    guest.maxphyaddr = facts->value[FACT_MAXPHYADDR];
    guest.features = facts->value[FACT_1G] ? 0 : HVPT_X86_NO_1G;
    for (level = root_level; level > facts->level; level--)
        judge_memory[root_level - level][0] = judge_address(root_level - level + 1) | 0x27;
    judge_memory[root_level - facts->level][0] = entry;

    if (hvpt_guest_walk_x86(&space, &guest, linear, HVPT_READ, &walk) == HVPT_GUEST_PAGE_FAULT
        && walk.level == facts->level && (walk.error_code & HVPT_X86_PF_RESERVED)) {
        struct hvpt_text_buffer buffer;
        struct hvpt_text text = hvpt_text_into(&buffer, verdict->why, sizeof(verdict->why));
        unsigned bit;
        bool begun = false, blame_large;

        judge_memory[root_level - facts->level][0] = 0x21 | (entry & (UINT64_C(1) << 7));
        blame_large = hvpt_guest_walk_x86(&space, &guest, linear, HVPT_READ, &walk) == HVPT_GUEST_PAGE_FAULT
                   && walk.level == facts->level && (walk.error_code & HVPT_X86_PF_RESERVED);
        verdict->kind = ENTRY_BROKEN;
        /* A bit is to blame if its like alone, in an entry that is otherwise sound, faults. */
        for (bit = 1; bit < 64; bit++) {
            const uint64_t large = blame_large ? 0 : entry & (UINT64_C(1) << 7);

            if (!(entry >> bit & 1) || ((0x21 | large) >> bit & 1))
                continue;
            judge_memory[root_level - facts->level][0] = 0x21 | large | UINT64_C(1) << bit;
            if (hvpt_guest_walk_x86(&space, &guest, linear, HVPT_READ, &walk) != HVPT_GUEST_PAGE_FAULT
                || walk.level != facts->level || !(walk.error_code & HVPT_X86_PF_RESERVED))
                continue;
            hvpt_text_string(&text, begun ? ", " : "reserved bits are set: ");
            hvpt_text_decimal(&text, bit);
            begun = true;
        }
        hvpt_text_string(&text, ". SDM vol. 3, \"Page-Fault Exceptions\"; APM vol. 2, \"Page-Fault Error Code\"");
        return;
    }
    if (!(entry & HVPT_X86_PTE_PRESENT)) {
        verdict->kind = ENTRY_ABSENT;
        judge_clear(verdict->why, 1);
        return;
    }
    verdict->perm = HVPT_READ | (entry & HVPT_X86_PTE_WRITE ? (unsigned)HVPT_WRITE : 0u)
                  | (facts->value[FACT_NXE] && (entry & HVPT_X86_PTE_NX) ? 0u : (unsigned)(HVPT_EXEC | HVPT_EXEC_USER));
    verdict->kind = ENTRY_TABLE;
    if (facts->level == 0 || (facts->level <= 2 && (entry & HVPT_X86_PTE_LARGE))) {
        verdict->kind = ENTRY_LEAF;
        verdict->size = HVPT_4K << (9 * facts->level);
        verdict->address = entry & HVPT_X86_ADDRESS_BITS & ~(verdict->size - 1);
    }
}

void entry_judge(const struct entry_facts *facts, uint64_t entry, struct entry_verdict *verdict)
{
    unsigned table;

    judge_clear(verdict, sizeof(*verdict));
    for (table = 0; table < JUDGE_TABLES; table++) /* only word 0 of a table on the way is ever written */
        judge_memory[table][0] = 0;
    if (facts->format == ENTRY_X86)
        judge_x86(facts, entry, verdict);
    else
        judge_second_level(facts, entry, verdict);
}
