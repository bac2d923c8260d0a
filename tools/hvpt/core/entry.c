/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One table entry in words: its bits by name, what it maps, which rule it breaks, and which facts of the CPU that hangs
 * on. Facts that nobody gave are tried in all their values: only what holds for every one of them is called certain.
 */
#include "entry.h"

#include "entry_bits.h"
#include "report.h"
#include "words.h"

#include <hvpt/types.h>

/* ---- the formats and the facts by name ---- */

static const struct entry_format_row {
    const char *names;
    const char *title;
    unsigned facts; /* bits 1 << FACT_... that matter */
    const char *levels[5];
} entry_formats[ENTRY_FORMATS] = {
    {"ept",
     "EPT",
     1u << FACT_MAXPHYADDR | 1u << FACT_EXECUTE_ONLY | 1u << FACT_2M | 1u << FACT_1G | 1u << FACT_MBEC
         | 1u << FACT_PAGING_WRITE,
     {"pte", "pde", "pdpte", "pml4e", "pml5e"}},
    {"npt", "NPT", 1u << FACT_MAXPHYADDR | 1u << FACT_NXE | 1u << FACT_GMET, {"pte", "pde", "pdpe", "pml4e", "pml5e"}},
    {"stage2 s2 arm",
     "stage 2",
     1u << FACT_MAXPHYADDR | 1u << FACT_LPA2 | 1u << FACT_XNX,
     {"l3", "l2", "l1", "l0", "l_1"}},
    {"gstage riscv",
     "G-stage",
     1u << FACT_MAXPHYADDR | 1u << FACT_SVPBMT | 1u << FACT_SVNAPOT | 1u << FACT_SVADU,
     {"", "", "", "", ""}},
    {"x86",
     "x86",
     1u << FACT_MAXPHYADDR | 1u << FACT_NXE | 1u << FACT_1G | 1u << FACT_AMD,
     {"pte", "pde", "pdpte", "pml4e", "pml5e"}},
};

static const struct entry_fact_row {
    const char *names;
    const char *one; /* "with 1-GByte pages", for a fact of two values */
    const char *zero;
} entry_facts_by_name[FACT_COUNT] = {
    {"maxphyaddr pa_bits", NULL, NULL},
    {"execute_only", "with execute-only pages", "without execute-only pages"},
    {"2m pages_2m", "with 2-MByte pages", "without 2-MByte pages"},
    {"1g pages_1g", "with 1-GByte pages", "without 1-GByte pages"},
    {"mbec mode_based_execute", "with mode-based execute control", "without mode-based execute control"},
    {"paging_write", "with EPT paging-write control", "without EPT paging-write control"},
    {"nxe nx", "with EFER.NXE = 1", "with EFER.NXE = 0"},
    {"gmet", "with GMET", "without GMET"},
    {"lpa2", "with LPA2", "without LPA2"},
    {"xnx", "with FEAT_XNX", "without FEAT_XNX"},
    {"svpbmt", "with Svpbmt", "without Svpbmt"},
    {"svnapot", "with Svnapot", "without Svnapot"},
    {"svadu", "with Svadu", "without Svadu"},
    {"amd", "by AMD's rules", "by Intel's rules"},
};

static const char *entry_width_name(enum entry_format format)
{
    return format == ENTRY_STAGE2 ? "a physical address size of" : "MAXPHYADDR";
}

/* ---- reading ---- */

/* The values that a fact can have: low to high. */
static void entry_fact_range(const struct entry_facts *facts, unsigned fact, unsigned *low, unsigned *high)
{
    *low = fact == FACT_MAXPHYADDR ? 32 : 0;
    *high = fact != FACT_MAXPHYADDR ? 1 : facts->format == ENTRY_GSTAGE ? 56 : 52;
    if (facts->given[fact])
        *low = *high = facts->value[fact];
    else if (!(entry_formats[facts->format].facts >> fact & 1))
        *high = *low;
}

static bool entry_give(struct entry_facts *facts, unsigned fact, uint64_t value)
{
    unsigned low, high;

    facts->given[fact] = false;
    entry_fact_range(facts, fact, &low, &high);
    if (fact != FACT_MAXPHYADDR)
        low = 0, high = 1;
    if (value < low || value > high)
        return false;
    facts->given[fact] = true;
    facts->value[fact] = (uint8_t)value;
    return true;
}

static bool entry_set_level(struct entry_facts *facts, const struct words *words, struct word word)
{
    unsigned level;

    for (level = 0; level < 5; level++) {
        if (word.length && words_is(words, word, entry_formats[facts->format].levels[level])) {
            facts->level = level;
            return true;
        }
    }
    return false;
}

static bool entry_read(const struct core_request *request, struct entry_facts *facts, uint64_t *entry,
                       struct core_error *error)
{
    struct words words = {request, 0};
    bool has_format = false, has_level = false, has_entry = false;
    uint64_t value;
    unsigned i;

    for (i = 0; i < sizeof(*facts); i++)
        ((unsigned char *)facts)[i] = 0;
    facts->granule = 12;
    for (;;) {
        const struct word word = words_next(&words);
        struct words behind = words;

        if (!word.length)
            break;
        for (i = 0; i < ENTRY_FORMATS && !words_is_one_of(&words, word, entry_formats[i].names); i++)
            continue;
        if (i < ENTRY_FORMATS) {
            if (has_format)
                return core_fail_at(error, request, word.at, "a second format"), false;
            facts->format = (enum entry_format)i;
            has_format = true;
            continue;
        }
        if (!has_format)
            return core_fail_at(error, request, word.at, "the format comes first: ept, npt, stage2, gstage or x86"),
                   false;
        if (entry_set_level(facts, &words, word)) {
            has_level = true;
            continue;
        }
        for (i = 0; i < FACT_COUNT && !words_is_one_of(&words, word, entry_facts_by_name[i].names); i++)
            continue;
        if (i < FACT_COUNT) {
            if (!(entry_formats[facts->format].facts >> i & 1))
                return core_fail_at(error, request, word.at, "no entry of this format hangs on that"), false;
            if (!words_value(&words, &value, error))
                return false;
            if (!entry_give(facts, i, value))
                return core_fail_at(error, request, word.at,
                                    i == FACT_MAXPHYADDR ? "a width between 32 and 52 (RISC-V: 56)" : "either 0 or 1"),
                       false;
            continue;
        }
        if (words_is(&words, word, "level") || words_is(&words, word, "granule") || words_is(&words, word, "c_bit")
            || words_is_one_of(&words, word, "cap ept_vpid_cap") || words_is(&words, word, "entry")) {
            if (!words_value(&behind, &value, error)) {
                /* level=pde */
                struct words again = words;

                if (!words_is(&words, word, "level") || !entry_set_level(facts, &words, words_next(&again)))
                    return false;
                words = again;
                has_level = true;
                continue;
            }
            if (words_is(&words, word, "level")) {
                if (value > 4)
                    return core_fail_at(error, request, word.at, "levels are 0, the smallest pages, to 4"), false;
                facts->level = (unsigned)value;
                has_level = true;
            } else if (words_is(&words, word, "granule")) {
                facts->granule = value == 4 || value == 12  ? 12
                               : value == 16 || value == 14 ? 14
                               : value == 64                ? 16
                                                            : 0;
                if (!facts->granule)
                    return core_fail_at(error, request, word.at, "granules are 4, 16 and 64 (KiB)"), false;
            } else if (words_is(&words, word, "c_bit")) {
                if (value < 32 || value > 51 || facts->format != ENTRY_NPT)
                    return core_fail_at(error, request, word.at, "the C-bit is one of bits 32 to 51, of NPT"), false;
                facts->c_bit = (unsigned)value;
            } else if (words_is(&words, word, "entry")) {
                if (has_entry)
                    return core_fail_at(error, request, word.at, "a second entry"), false;
                *entry = value;
                has_entry = true;
            } else {
                if (facts->format != ENTRY_EPT)
                    return core_fail_at(error, request, word.at, "IA32_VMX_EPT_VPID_CAP is EPT's"), false;
                entry_give(facts, FACT_EXECUTE_ONLY, value & 1);
                entry_give(facts, FACT_2M, value >> 16 & 1);
                entry_give(facts, FACT_1G, value >> 17 & 1);
            }
            words = behind;
            continue;
        }
        switch (words_number(&words, word, &value)) {
        case WORDS_NUMBER: break;
        case WORDS_TOO_LARGE: return core_fail_at(error, request, word.at, "a number of more than 64 bits"), false;
        default: return core_fail_at(error, request, word.at, "no such name; hvpt entry --help lists them"), false;
        }
        if (has_entry)
            return core_fail_at(error, request, word.at, "a second entry"), false;
        *entry = value;
        has_entry = true;
    }
    if (!has_format)
        return core_fail(error, 0, 0, "the format is missing: ept, npt, stage2, gstage or x86"), false;
    if (!has_entry)
        return core_fail(error, 0, 0, "the entry is missing"), false;
    if (!has_level)
        return core_fail(error, 0, 0, "the level is missing: level=0 (the smallest pages) to 4, or its manual's name"),
               false;
    return true;
}

/* ---- trying every choice of the facts that were not given ---- */

#define ENTRY_GROUPS 12

/* Choices of facts with one verdict, and the box around them. */
struct entry_group {
    struct entry_verdict verdict;
    unsigned low[FACT_COUNT], high[FACT_COUNT];
    unsigned count;
};

struct entry_groups {
    struct entry_group group[ENTRY_GROUPS];
    unsigned used;
    unsigned tried; /* choices that a CPU can have */
    bool cut;       /* more verdicts than groups */
};

/* What stands behind "bits 51:32 = 0x40: ". */
static const char *entry_rule(const char *why)
{
    const char *at = why;

    while (*at && !(at[0] == ':' && at[1] == ' '))
        at++;
    return *at ? at : why;
}

static bool entry_same(const struct entry_verdict *a, const struct entry_verdict *b)
{
    const char *a_why = a->why, *b_why = b->why;
    size_t i;

    if (a->kind != b->kind || a->perm != b->perm || a->address != b->address || a->size != b->size
        || a->memtype != b->memtype)
        return false;
    /* Of a broken rule the bits before its words vary with the width of an address. */
    if (a->kind == ENTRY_BROKEN) {
        a_why = entry_rule(a_why);
        b_why = entry_rule(b_why);
    }
    for (i = 0; a_why[i] && a_why[i] == b_why[i]; i++)
        continue;
    return a_why[i] == b_why[i];
}

static void entry_add(struct entry_groups *groups, const struct entry_facts *facts, const struct entry_verdict *verdict)
{
    struct entry_group *group;
    unsigned i, fact;

    groups->tried++;
    for (i = 0; i < groups->used && !entry_same(&groups->group[i].verdict, verdict); i++)
        continue;
    if (i == ENTRY_GROUPS) {
        groups->cut = true;
        return;
    }
    group = &groups->group[i];
    if (i == groups->used) {
        groups->used++;
        group->verdict = *verdict;
        group->count = 0;
        for (fact = 0; fact < FACT_COUNT; fact++)
            group->low[fact] = group->high[fact] = facts->value[fact];
    }
    group->count++;
    for (fact = 0; fact < FACT_COUNT; fact++) {
        if (facts->value[fact] < group->low[fact])
            group->low[fact] = facts->value[fact];
        if (facts->value[fact] > group->high[fact])
            group->high[fact] = facts->value[fact];
    }
}

/* Judge every choice, counting through them like an odometer. */
static void entry_try_all(const struct entry_facts *given, uint64_t entry, struct entry_groups *groups)
{
    static struct entry_verdict verdict;
    struct entry_facts facts = *given;
    unsigned low[FACT_COUNT], high[FACT_COUNT], fact;

    groups->used = groups->tried = 0;
    groups->cut = false;
    for (fact = 0; fact < FACT_COUNT; fact++) {
        entry_fact_range(given, fact, &low[fact], &high[fact]);
        facts.value[fact] = (uint8_t)low[fact];
    }
    for (;;) {
        entry_judge(&facts, entry, &verdict);
        if (verdict.kind != ENTRY_IMPOSSIBLE)
            entry_add(groups, &facts, &verdict);
        for (fact = 0; fact < FACT_COUNT; fact++) {
            if (facts.value[fact] < high[fact]) {
                facts.value[fact]++;
                break;
            }
            facts.value[fact] = (uint8_t)low[fact];
        }
        if (fact == FACT_COUNT)
            return;
    }
}

/* The least and most that any choice tried had of each fact: choices that no CPU can have are left out. */
static void entry_span(const struct entry_groups *groups, unsigned fact, unsigned *low, unsigned *high)
{
    unsigned i;

    *low = groups->group[0].low[fact];
    *high = groups->group[0].high[fact];
    for (i = 1; i < groups->used; i++) {
        if (groups->group[i].low[fact] < *low)
            *low = groups->group[i].low[fact];
        if (groups->group[i].high[fact] > *high)
            *high = groups->group[i].high[fact];
    }
}

/* Do the boxes of this group and another one overlap? Then the box says when the verdict can be, not that it is. */
static bool entry_overlaps(const struct entry_groups *groups, unsigned which)
{
    unsigned i, fact;

    for (i = 0; i < groups->used; i++) {
        for (fact = 0; fact < FACT_COUNT; fact++)
            if (groups->group[i].low[fact] > groups->group[which].high[fact]
                || groups->group[i].high[fact] < groups->group[which].low[fact])
                break;
        if (i != which && fact == FACT_COUNT)
            return true;
    }
    return false;
}

/* " with MAXPHYADDR up to 39 and without 1-GByte pages". */
static void entry_conditions(const struct hvpt_text *text, const struct entry_facts *facts,
                             const struct entry_groups *groups, unsigned which)
{
    const struct entry_group *group = &groups->group[which];
    struct hvpt_text_list list = {text, " and ", false};
    unsigned fact;

    for (fact = 0; fact < FACT_COUNT; fact++) {
        unsigned low, high;

        entry_span(groups, fact, &low, &high);
        if (group->low[fact] == low && group->high[fact] == high)
            continue;
        hvpt_text_item(&list, "");
        if (fact != FACT_MAXPHYADDR) {
            hvpt_text_string(text, group->low[fact] ? entry_facts_by_name[fact].one : entry_facts_by_name[fact].zero);
            continue;
        }
        hvpt_text_string(text, "with ");
        hvpt_text_string(text, entry_width_name(facts->format));
        if (group->low[fact] == group->high[fact]) {
            hvpt_text_string(text, " ");
            hvpt_text_decimal(text, group->low[fact]);
        } else if (group->low[fact] == low) {
            hvpt_text_string(text, " up to ");
            hvpt_text_decimal(text, group->high[fact]);
        } else if (group->high[fact] == high) {
            hvpt_text_string(text, " of ");
            hvpt_text_decimal(text, group->low[fact]);
            hvpt_text_string(text, " and more");
        } else {
            hvpt_text_string(text, " ");
            hvpt_text_decimal(text, group->low[fact]);
            hvpt_text_string(text, " to ");
            hvpt_text_decimal(text, group->high[fact]);
        }
    }
}

/* ---- printing ---- */

static void entry_size(const struct hvpt_text *text, uint64_t size)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    unsigned unit = 0;

    while (size >= 1024 && size % 1024 == 0 && unit < 6) {
        size /= 1024;
        unit++;
    }
    hvpt_text_decimal(text, size);
    hvpt_text_string(text, units[unit]);
}

static void entry_perm(const struct hvpt_text *text, unsigned perm)
{
    struct hvpt_text_list list = {text, ", ", false};

    hvpt_text_item_if(&list, (perm & HVPT_READ) != 0, "read");
    hvpt_text_item_if(&list, (perm & HVPT_WRITE) != 0, "write");
    hvpt_text_item_if(&list, (perm & HVPT_EXEC) && (perm & HVPT_EXEC_USER), "execute");
    hvpt_text_item_if(&list, (perm & HVPT_EXEC) && !(perm & HVPT_EXEC_USER), "execute in supervisor mode (EL1)");
    hvpt_text_item_if(&list, !(perm & HVPT_EXEC) && (perm & HVPT_EXEC_USER), "execute in user mode (EL0)");
    hvpt_text_item_if(&list, !list.begun, "nothing");
}

static void entry_verdict_text(const struct hvpt_text *text, const struct entry_facts *facts,
                               const struct entry_verdict *verdict)
{
    switch (verdict->kind) {
    case ENTRY_ABSENT: hvpt_text_string(text, "maps nothing: "); break;
    case ENTRY_BROKEN: hvpt_text_string(text, "broken: "); break;
    case ENTRY_TABLE:
        hvpt_text_string(text, "refers to a table; allows ");
        entry_perm(text, verdict->perm);
        break;
    case ENTRY_LEAF:
        hvpt_text_string(text, "a page of ");
        entry_size(text, verdict->size);
        hvpt_text_string(text, " at ");
        hvpt_text_hex(text, verdict->address);
        hvpt_text_string(text, "; allows ");
        entry_perm(text, verdict->perm);
        if (facts->format != ENTRY_X86) {
            hvpt_text_string(text, "; memory type ");
            hvpt_text_string(text, hvpt_memtype_text((enum hvpt_memtype)verdict->memtype));
        }
        break;
    case ENTRY_IMPOSSIBLE: break;
    }
    hvpt_text_string(text, verdict->why);
    if (verdict->kind == ENTRY_ABSENT && !verdict->why[0])
        hvpt_text_string(text, "bit 0 = 0: not present");
}

/* The list of bits for this kind of entry. */
static const struct bits_row *entry_rows(const struct entry_facts *facts, uint64_t entry, size_t *count)
{
#define ENTRY_ROWS(rows) (*count = sizeof(rows) / sizeof((rows)[0]), (rows))
    const bool large = facts->level == 0 || (entry >> 7 & 1 && facts->level <= 2);

    switch (facts->format) {
    case ENTRY_EPT: return large ? ENTRY_ROWS(entry_ept_leaf) : ENTRY_ROWS(entry_ept_table);
    case ENTRY_NPT: return large ? ENTRY_ROWS(entry_npt_leaf) : ENTRY_ROWS(entry_npt_table);
    case ENTRY_STAGE2:
        return facts->level == 0 || !(entry & 2) ? ENTRY_ROWS(entry_stage2_leaf) : ENTRY_ROWS(entry_stage2_table);
    case ENTRY_GSTAGE: return ENTRY_ROWS(entry_gstage_any);
    default: return large ? ENTRY_ROWS(entry_x86_leaf) : ENTRY_ROWS(entry_x86_table);
    }
#undef ENTRY_ROWS
}

static void entry_print_bits(const struct hvpt_text *out, struct json *json, const struct entry_facts *facts,
                             uint64_t entry)
{
    size_t count, i;
    const struct bits_row *rows = entry_rows(facts, entry, &count);

    if (json)
        json_open(json, "bits", "[");
    for (i = 0; i < count; i++) {
        struct bits_row row = rows[i];
        const bool always = (row.high & ENTRY_ALWAYS) != 0;

        row.high &= (uint8_t)~ENTRY_ALWAYS;
        if (!always && !bits_of(entry, row.high, row.low))
            continue;
        if (json)
            bits_json(json, &row, entry);
        else
            bits_line(out, &row, entry);
    }
    if (json)
        json_close(json, "]");
}

/* One verdict as a line or an object. */
static void entry_print_group(struct report *report, const struct entry_facts *facts, const struct entry_groups *groups,
                              unsigned which)
{
    const struct entry_group *group = &groups->group[which];
    static const char *const kinds[] = {"impossible", "absent", "table", "leaf", "broken"};
    struct hvpt_text words = report_words(report);

    entry_verdict_text(&words, facts, &group->verdict);
    if (!report->as_json) {
        hvpt_text_string(report->out, "  ");
        if (groups->used > 1) {
            hvpt_text_string(report->out, entry_overlaps(groups, which) ? "possible, " : "");
            entry_conditions(report->out, facts, groups, which);
            hvpt_text_string(report->out, ": ");
        }
        hvpt_text_string(report->out, report->words);
        hvpt_text_string(report->out, "\n");
        return;
    }
    json_open(&report->json, NULL, "{");
    json_string(&report->json, "verdict", kinds[group->verdict.kind]);
    json_string(&report->json, "text", report->words);
    json_bool(&report->json, "certain", groups->used == 1);
    if (groups->used > 1) {
        words = report_words(report);
        entry_conditions(&words, facts, groups, which);
        json_string(&report->json, "only", report->words);
    }
    if (group->verdict.kind == ENTRY_LEAF) {
        json_hex(&report->json, "address", group->verdict.address);
        json_hex(&report->json, "size", group->verdict.size);
    }
    json_close(&report->json, "}");
}

enum core_status core_entry(const struct core_request *request, const struct hvpt_text *out, struct core_error *error)
{
    static struct entry_facts facts;
    static struct entry_groups groups;
    static struct report report;
    struct hvpt_text words;
    uint64_t entry = 0;
    unsigned i, broken = 0;

    if (!entry_read(request, &facts, &entry, error))
        return CORE_NOT_READABLE;
    entry_try_all(&facts, entry, &groups);
    if (groups.used == 0)
        return core_fail(error, 0, 0, "no CPU with these facts has entries at this level");
    for (i = 0; i < groups.used; i++)
        broken += groups.group[i].verdict.kind == ENTRY_BROKEN;

    report_begin(&report, out, request->json, "entry");
    words = report_words(&report);
    hvpt_text_string(&words, entry_formats[facts.format].title);
    hvpt_text_string(&words, " entry at level ");
    hvpt_text_decimal(&words, facts.level);
    if (facts.format == ENTRY_STAGE2) {
        hvpt_text_string(&words, " (Arm's ");
        hvpt_text_string(&words, facts.level > 3 ? "-1" : "");
        if (facts.level <= 3)
            hvpt_text_decimal(&words, 3 - facts.level);
        hvpt_text_string(&words, facts.granule == 12   ? ", granule 4 KiB)"
                                 : facts.granule == 14 ? ", granule 16 KiB)"
                                                       : ", granule 64 KiB)");
    } else if (entry_formats[facts.format].levels[0][0]) {
        hvpt_text_string(&words, " (");
        hvpt_text_string(&words, entry_formats[facts.format].levels[facts.level]);
        hvpt_text_string(&words, ")");
    }
    hvpt_text_string(&words, ": ");
    hvpt_text_hex(&words, entry);
    report_summary(&report);
    entry_print_bits(out, request->json ? &report.json : NULL, &facts, entry);
    if (request->json)
        json_open(&report.json, "verdicts", "[");
    for (i = 0; i < groups.used; i++)
        entry_print_group(&report, &facts, &groups, i);
    if (request->json)
        json_close(&report.json, "]");
    if (groups.cut)
        report_note(&report, "and more verdicts: give facts of the CPU");
    if (facts.format == ENTRY_NPT && !facts.c_bit && (entry & UINT64_C(0x000f800000000000)))
        report_note(&report, "with memory encryption one of bits 51:47 may be the C-bit: c_bit=NUMBER");
    if (facts.format == ENTRY_STAGE2)
        report_note(&report, "MemAttr is read as without HCR_EL2.FWB");
    return report_end(&report, broken == groups.used);
}
