/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * ESR_EL2, FAR_EL2 and HPFAR_EL2 taken apart, against s2_fault_status.csv (Arm ARM, "ISS encoding for an exception from
 * a Data Abort", the fault status codes), s2_fault_syndrome.csv (the fields there) and values seen on an emulated CPU.
 */
#include <hvpt/fault/stage2.h>

#include <criterion/criterion.h>
#include <string.h>

#include "table.h"

#define DATA  (UINT64_C(0x24) << 26 | UINT64_C(1) << 25)
#define FETCH (UINT64_C(0x20) << 26 | UINT64_C(1) << 25)

static struct hvpt_s2_fault decode(uint64_t esr, uint64_t far_el2, uint64_t hpfar)
{
    struct hvpt_s2_fault fault;

    memset(&fault, 0xa5, sizeof(fault));
    cr_assert(hvpt_s2_decode_fault(esr, far_el2, hpfar, &fault), "%#llx is an abort", (unsigned long long)esr);
    return fault;
}

static const char *said(const struct hvpt_s2_fault *fault)
{
    static char bytes[300];
    static struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvpt_s2_fault_text(fault, &text);
    cr_assert(buffer.needed < buffer.size);
    return bytes;
}

/* The manual's words for the kinds, as the table has them. */
static enum hvpt_s2_fault_kind kind_named(const char *name)
{
    static const struct {
        const char *name;
        enum hvpt_s2_fault_kind kind;
    } kinds[] = {
        {"address size", HVPT_S2_FAULT_ADDRESS_SIZE},
        {"translation", HVPT_S2_FAULT_TRANSLATION},
        {"access flag", HVPT_S2_FAULT_ACCESS_FLAG},
        {"permission", HVPT_S2_FAULT_PERMISSION},
        {"external", HVPT_S2_FAULT_EXTERNAL},
        {"external on walk", HVPT_S2_FAULT_EXTERNAL_ON_WALK},
        {"tag check", HVPT_S2_FAULT_TAG_CHECK},
        {"parity", HVPT_S2_FAULT_PARITY},
        {"parity on walk", HVPT_S2_FAULT_PARITY_ON_WALK},
        {"alignment", HVPT_S2_FAULT_ALIGNMENT},
        {"protection", HVPT_S2_FAULT_PROTECTION},
        {"protection on walk", HVPT_S2_FAULT_PROTECTION_ON_WALK},
        {"TLB conflict", HVPT_S2_FAULT_TLB_CONFLICT},
        {"atomic update", HVPT_S2_FAULT_ATOMIC_UPDATE},
        {"lockdown", HVPT_S2_FAULT_LOCKDOWN},
        {"exclusive", HVPT_S2_FAULT_EXCLUSIVE},
        {"reserved", HVPT_S2_FAULT_RESERVED},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].kind;
    }
    cr_assert_fail("no kind is called %s", name);
    return HVPT_S2_FAULT_NONE;
}

/*
 * Arm ARM, "HPFAR_EL2": for these faults it is written, the permission fault only on a walk of stage 1, a granule
 * protection fault only for a table of stage 2.
 */
static bool has_address(const char *kind, bool on_table)
{
    return strcmp(kind, "translation") == 0 || strcmp(kind, "access flag") == 0 || strcmp(kind, "address size") == 0
        || ((strcmp(kind, "permission") == 0 || strcmp(kind, "protection on walk") == 0) && on_table);
}

/* Arm ARM, WnR of a data abort: UNKNOWN for DFSC 110001B and 110101B. */
static uint32_t access_of(uint64_t status, bool fetch)
{
    return fetch ? HVPT_EXEC : status == 0x31 || status == 0x35 ? 0 : HVPT_READ;
}

Test(s2_fault, every_status_code_has_the_kind_and_level_of_the_manual)
{
    struct table table;
    unsigned rows = 0;

    table_open(&table, "s2_fault_status.csv");
    while (table_next(&table, 3)) {
        const uint64_t status = table_number(table.cell[0], 2);
        const char *kind = table.cell[1];
        const bool has_level = strcmp(table.cell[2], "-") != 0;

        for (unsigned on_table = 0; on_table < 2; on_table++) {
            for (unsigned fetch = 0; fetch < 2; fetch++) {
                struct hvpt_s2_fault fault = decode((fetch ? FETCH : DATA) | status | (on_table ? 1u << 7 : 0),
                                                    UINT64_C(0xffff800012345678), UINT64_C(0x8000123456789ab0));

                same(fault.kind, kind_named(kind), table.cell[0], "kind");
                same(fault.has_level, has_level, table.cell[0], "has_level");
                if (has_level)
                    same(fault.level, (unsigned long long)(3 - strtol(table.cell[2], NULL, 10)), table.cell[0],
                         "level");
                same(fault.on_table, on_table, table.cell[0], "on_table");
                same(fault.access, access_of(status, fetch), table.cell[0], "access");
                same(fault.gpa_valid, has_address(kind, on_table), table.cell[0], "gpa_valid");
                /* without ISV a data abort may be a memory copy's, whose FAR_EL2 is somewhere in the granule */
                same(fault.gpa_exact, fault.gpa_valid && !on_table && fetch, table.cell[0], "gpa_exact");
                same(fault.gpa.value,
                     !fault.gpa_valid  ? 0
                     : fault.gpa_exact ? UINT64_C(0x123456789ab678)
                                       : UINT64_C(0x123456789ab000),
                     table.cell[0], "gpa");
                same(fault.non_secure, fault.gpa_valid, table.cell[0], "non_secure");
                same(fault.linear, UINT64_C(0xffff800012345678), table.cell[0], "linear");
                same(fault.instruction.valid, false, table.cell[0], "ISV");
                cr_assert(strlen(said(&fault)) > 0);
            }
        }
        same(status, rows++, table.cell[0], "order");
    }
    same(rows, 64, "s2_fault_status.csv", "rows");
}

/* The four faults of a walk have codes that count; the composer knows them at every level that hvpt has. */
Test(s2_fault, composed_codes_are_the_tables)
{
    static const enum hvpt_s2_fault_kind kinds[] = {HVPT_S2_FAULT_ADDRESS_SIZE, HVPT_S2_FAULT_TRANSLATION,
                                                    HVPT_S2_FAULT_ACCESS_FLAG, HVPT_S2_FAULT_PERMISSION};
    struct table table;
    unsigned composed = 0;

    table_open(&table, "s2_fault_status.csv");
    while (table_next(&table, 3)) {
        for (unsigned i = 0; i < 4; i++) {
            const long level = strcmp(table.cell[2], "-") == 0 ? -9 : 3 - strtol(table.cell[2], NULL, 10);

            if (kind_named(table.cell[1]) != kinds[i] || level > 4)
                continue;
            same(hvpt_s2_fault_status(kinds[i], (unsigned)level), table_number(table.cell[0], 2), table.cell[0],
                 "composed");
            composed++;
        }
    }
    same(composed, 18, "s2_fault_status.csv", "codes that a walk can give");
}

/* What a field of that name is in the decoded fault. data: the abort is one of data. */
static unsigned long long field_of(const struct hvpt_s2_fault *fault, const char *name)
{
    const struct hvpt_s2_instruction *instruction = &fault->instruction;

    return strcmp(name, "IL") == 0          ? fault->length == 4
         : strcmp(name, "ISV") == 0         ? instruction->valid
         : strcmp(name, "SAS") == 0         ? (unsigned)__builtin_ctz(instruction->size)
         : strcmp(name, "SSE") == 0         ? instruction->sign_extend
         : strcmp(name, "SRT") == 0         ? instruction->reg
         : strcmp(name, "SF") == 0          ? instruction->wide
         : strcmp(name, "AR") == 0          ? instruction->ordered
         : strcmp(name, "FnV") == 0         ? !fault->linear_valid
         : strcmp(name, "EA") == 0          ? fault->external
         : strcmp(name, "CM") == 0          ? fault->cache
         : strcmp(name, "S1PTW") == 0       ? fault->on_table
         : strcmp(name, "WnR") == 0         ? fault->access == HVPT_WRITE
         : strcmp(name, "DirtyBit") == 0    ? fault->dirty_state
         : strcmp(name, "Overlay") == 0     ? fault->overlay
         : strcmp(name, "AssuredOnly") == 0 ? fault->assured_only
                                            : 99u;
}

/* A permission fault at level 3 with a valid syndrome, each field in all its values, all others clear and all set. */
Test(s2_fault, every_field_is_where_the_manual_has_it)
{
    struct table table;
    unsigned fields = 0;

    table_open(&table, "s2_fault_syndrome.csv");
    while (table_next(&table, 4)) {
        const unsigned low = (unsigned)table_number(table.cell[1], 10),
                       high = (unsigned)table_number(table.cell[2], 10);
        const bool data_only = strcmp(table.cell[3], "data") == 0;

        if (strcmp(table.cell[0], "EC") == 0 || strcmp(table.cell[0], "FSC") == 0)
            continue;
        for (unsigned others = 0; others < 2; others++) {
            const uint64_t mask = ((UINT64_C(2) << (high - low)) - 1) << low;
            uint64_t rest = UINT64_C(0x24) << 26 | UINT64_C(1) << 24 | 0x0f;

            if (others) /* but LST, which makes another instruction of it */
                rest |= ~UINT64_C(0) & ~(UINT64_C(0x3f) << 26) & ~UINT64_C(0x183f);
            for (uint64_t value = 0; value <= mask >> low; value++) {
                struct hvpt_s2_fault fault = decode((rest & ~mask) | value << low, 0, 0);
                uint64_t fetch = ((rest & ~mask) | value << low) & ~(UINT64_C(4) << 26);

                same(field_of(&fault, table.cell[0]), value, table.cell[0], "the field of a data abort");
                fault = decode(fetch, 0, 0);
                if (!data_only)
                    same(field_of(&fault, table.cell[0]), value, table.cell[0], "the field of an instruction abort");
                else
                    cr_assert(!fault.instruction.valid && !fault.cache && fault.access == HVPT_EXEC);
            }
        }
        fields++;
    }
    same(fields, 15, "s2_fault_syndrome.csv", "fields");
}

Test(s2_fault, other_exceptions_are_no_faults)
{
    for (uint64_t class = 0; class < 64; class ++) {
        struct hvpt_s2_fault fault;

        memset(&fault, 0xa5, sizeof(fault));
        same(hvpt_s2_decode_fault(class << 26 | 7, 1, 2, &fault), class == 0x20 || class == 0x24, "class", "decoded");
        if (class == 0x20 || class == 0x24)
            continue;
        same(fault.kind, HVPT_S2_FAULT_NONE, "class", "kind");
        same(fault.gpa_valid || fault.linear_valid || fault.access, 0, "class", "anything");
        same_text(said(&fault), "not an abort of the guest's", "class");
    }
}

/* Without ISV the bits below it hold nothing; HPFAR_EL2 is what names the page of a table, not FAR_EL2. */
Test(s2_fault, what_is_not_told_is_not_invented)
{
    struct hvpt_s2_fault fault = decode(DATA | UINT64_C(0x00ffc000) | 7, 0x1234, 0x4000);

    same(fault.instruction.valid, false, "no ISV", "valid");
    same(fault.instruction.size + fault.instruction.reg, 0, "no ISV", "size, reg");
    same(fault.instruction.sign_extend || fault.instruction.wide || fault.instruction.ordered, 0, "no ISV", "the rest");
    fault = decode(DATA | 1u << 7 | 0x07, 0xabc, 0x4000);
    same(fault.gpa.value, 0x400000, "table", "gpa");
    same(fault.linear, 0xabc, "table", "linear");
    fault = decode(DATA | 1u << 10 | 0x10, 0xabc, 0x4000);
    same(fault.linear_valid, false, "FnV", "linear_valid");
    same(fault.linear, 0, "FnV", "linear");
    /* ISS2 speaks of permission faults alone */
    fault = decode(DATA | UINT64_C(7) << 37 | 0x07, 0, 0);
    same(fault.dirty_state || fault.overlay || fault.assured_only, 0, "ISS2", "anything");
}

/* Seen on an emulated CPU. */
Test(s2_fault, values_seen)
{
    static const struct {
        uint64_t esr, far_el2, hpfar;
        enum hvpt_s2_fault_kind kind;
        unsigned level;
        uint32_t access;
        const char *text;
    } seen[] = {
        {0x93c18007, 0x40000128, 0x400000, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_READ,
         "data read of 8 bytes to x1, translation fault at level 3 (Arm's number), guest-physical 0x40000128, "
         "guest-virtual 0x40000128"},
        {0x93c18047, 0x40001128, 0x400010, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_WRITE,
         "data write of 8 bytes from x1, translation fault at level 3 (Arm's number), guest-physical 0x40001128, "
         "guest-virtual 0x40001128"},
        {0x93c1804f, 0x40001128, 0, HVPT_S2_FAULT_PERMISSION, 0, HVPT_WRITE,
         "data write of 8 bytes from x1, permission fault at level 3 (Arm's number), guest-virtual 0x40001128"},
        {0x93c18005, 0x40000128, 0x400000, HVPT_S2_FAULT_TRANSLATION, 2, HVPT_READ,
         "data read of 8 bytes to x1, translation fault at level 1 (Arm's number), guest-physical 0x40000128, "
         "guest-virtual 0x40000128"},
        {0x93c1800b, 0x40000128, 0x400000, HVPT_S2_FAULT_ACCESS_FLAG, 0, HVPT_READ,
         "data read of 8 bytes to x1, access flag fault at level 3 (Arm's number), guest-physical 0x40000128, "
         "guest-virtual 0x40000128"},
        {0x82000007, 0x40002128, 0x400020, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_EXEC,
         "instruction fetch, translation fault at level 3 (Arm's number), guest-physical 0x40002128, guest-virtual "
         "0x40002128"},
        {0x8200000f, 0x40002128, 0, HVPT_S2_FAULT_PERMISSION, 0, HVPT_EXEC,
         "instruction fetch, permission fault at level 3 (Arm's number), guest-virtual 0x40002128"},
        {0x92000087, 0x3000001038, 0x100, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_READ,
         "data read, translation fault at level 3 (Arm's number) for a table of the guest, in guest-physical page 0x10000, "
         "guest-virtual 0x3000001038"},
        {0x9200002b, 0x128, 0, HVPT_S2_FAULT_TRANSLATION, 4, HVPT_READ,
         "data read, translation fault at level -1 (Arm's number), in guest-physical page 0x0, guest-virtual 0x128"},
        {0x91210007 | 1u << 16 | 3u << 17 | 1u << 14, 0x128, 0, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_READ,
         "data read of 1 byte to w7, sign-extended, ordered, translation fault at level 3 (Arm's number), guest-physical "
         "0x128, guest-virtual 0x128"},
        {0x939f0047, 0x128, 0, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_WRITE,
         "data write of 4 bytes from wzr, translation fault at level 3 (Arm's number), guest-physical 0x128, guest-virtual "
         "0x128"},
        {0x92000147, 0x128, 0, HVPT_S2_FAULT_TRANSLATION, 0, HVPT_WRITE,
         "cache maintenance, translation fault at level 3 (Arm's number), guest-physical 0x128, guest-virtual 0x128"},
        {0x92000610, 0x128, 0, HVPT_S2_FAULT_EXTERNAL, 0, HVPT_READ, "data read, external abort"},
    };

    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        struct hvpt_s2_fault fault = decode(seen[i].esr, seen[i].far_el2, seen[i].hpfar);

        same(fault.kind, seen[i].kind, seen[i].text, "kind");
        same(fault.level, seen[i].level, seen[i].text, "level");
        same(fault.access, seen[i].access, seen[i].text, "access");
        same_text(said(&fault), seen[i].text, "text");
    }
}

/*
 * Where FAR_EL2 is not the address: Arm ARM, "ISS encoding for an exception from a Data Abort", FnP; "FAR_EL2" of
 * memory copies and sets, which look like any other instruction without ISV.
 */
Test(s2_fault, an_address_is_exact_only_where_the_syndrome_says_so)
{
    static const struct {
        uint64_t esr;
        bool exact;
    } cases[] = {
        {0x93c18007, true},  {0x92008007, false}, {0x92000047, false}, {0x92000007, false}, {0x82000007, true},
        {0x92000147, true},  {0x92008147, false}, {0x93c08007, true},  {0x93c18087, false}, {0x93c18407, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvpt_s2_fault fault = decode(cases[i].esr, 0x12345678, 0x123450);

        cr_assert(fault.gpa_valid, "case %zu", i);
        same(fault.gpa_exact, cases[i].exact, "ESR", "gpa_exact");
        same(fault.gpa.value, cases[i].exact ? 0x12345678 : 0x12345000, "ESR", "gpa");
    }
}

/* Arm ARM, LST of a data abort: LD64B and its like move 64 bytes from or to eight registers. */
Test(s2_fault, sixty_four_bytes_are_no_access_of_one_register)
{
    for (uint64_t lst = 0; lst < 4; lst++) {
        struct hvpt_s2_fault fault = decode((UINT64_C(0x93c89007) & ~UINT64_C(0x1800)) | lst << 11, 0x1000, 0x10);

        same(fault.instruction.block, lst != 0, "LST", "block");
        same(fault.instruction.valid, lst == 0, "LST", "valid");
        same(fault.instruction.size, lst != 0 ? 64 : 8, "LST", "size");
        same(fault.instruction.reg, 8, "LST", "reg");
        same(fault.gpa_exact, true, "LST", "gpa_exact");
    }
    same(decode(0x93c89010, 0, 0).instruction.block, false, "an external abort", "block");
}

/* Arm ARM, "HPFAR_EL2": unknown for granule protection faults but of stage 2's tables. WnR: unknown for two codes. */
Test(s2_fault, what_is_unknown_is_not_taken)
{
    for (uint64_t status = 0x22; status <= 0x28; status++) {
        same(decode(DATA | UINT64_C(0x01c18000) | status, 0x1234, 0x10).gpa_valid, false, "DFSC", "gpa_valid");
        same(decode(DATA | UINT64_C(0x01c18080) | status, 0x1234, 0x10).gpa_valid, status != 0x28, "DFSC", "gpa_valid");
        same(decode(DATA | UINT64_C(0x01c18080) | status, 0x1234, 0x10).gpa_exact, false, "DFSC", "gpa_exact");
    }
    same(decode(DATA | 0x71, 0, 0).access, 0, "DFSC 31H", "access");
    same(decode(DATA | 0x75, 0, 0).access, 0, "DFSC 35H", "access");
    same(decode(FETCH | 0x31, 0, 0).access, HVPT_EXEC, "IFSC 31H", "access");
}

/*
 * The walk of the guest's own tables reads them, and writes access flag and dirty state: Arm ARM, "Hardware
 * management".
 */
Test(s2_fault, a_walk_wants_what_the_walk_does)
{
    static const struct {
        uint64_t esr;
        uint32_t wants;
    } cases[] = {
        {0x9200008f, HVPT_WRITE}, {0x8200008f, HVPT_WRITE}, {0x920000cf, HVPT_WRITE}, {0x9200008d, HVPT_WRITE},
        {0x92000087, HVPT_READ},  {0x82000087, HVPT_READ},  {0x920000c7, HVPT_READ},  {0x8200008b, HVPT_READ},
        {0x9200000f, HVPT_READ},  {0x9200004f, HVPT_WRITE}, {0x8200000f, HVPT_EXEC},  {0x92000071, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvpt_s2_fault fault = decode(cases[i].esr, 0, 0);

        same(hvpt_s2_fault_wants(&fault), cases[i].wants, "ESR", "wants");
    }
}

/* ISS2 of a data abort, and TopLevel, which shares its bit with SSE. */
Test(s2_fault, newer_fields)
{
    same(decode(DATA | 0x0f | UINT64_C(1) << 40, 0, 0).guarded_stack, true, "ISS2", "GCS");
    same(decode(DATA | 0x0f | UINT64_C(1) << 41, 0, 0).tag_access, true, "ISS2", "TagAccess");
    same(decode(DATA | 0x0f | UINT64_C(1) << 43, 0, 0).dirty_log, true, "ISS2", "HDBSSF");
    same(decode(DATA | 0x0f | UINT64_C(1) << 42, 0, 0).dirty_log, false, "ISS2", "HDBSSF");
    same(decode(DATA | 0x0f | 1u << 21, 0, 0).top_level, true, "ISS", "TopLevel");
    same(decode(DATA | 0x0f | 1u << 21 | 1u << 24, 0, 0).top_level, false, "ISS", "TopLevel");
    same(decode(DATA | 0x07 | 1u << 21, 0, 0).top_level, false, "ISS", "TopLevel");
    same(decode(FETCH | 0x0f | UINT64_C(0xb) << 40, 0, 0).guarded_stack, false, "ISS2", "GCS of a fetch");
}

/* What LDRB, LDRSB, LDR Wn and so on leave: Arm ARM, "LDRSB (immediate)" and its like. */
Test(s2_fault, loaded_values)
{
    static const struct {
        unsigned size;
        bool sign, wide;
        uint64_t data, value;
    } loads[] = {
        {1, false, false, UINT64_C(0x1122334455667788), 0x88},
        {1, true, false, UINT64_C(0x1122334455667788), 0xffffff88},
        {1, true, true, UINT64_C(0x1122334455667788), UINT64_C(0xffffffffffffff88)},
        {1, true, true, UINT64_C(0x11223344556677f8) ^ 0x80, 0x78},
        {2, false, false, UINT64_C(0x112233445566f788), 0xf788},
        {2, true, false, UINT64_C(0x112233445566f788), 0xfffff788},
        {2, true, true, UINT64_C(0x112233445566f788), UINT64_C(0xfffffffffffff788)},
        {4, false, false, UINT64_C(0x1122334485667788), 0x85667788},
        {4, true, true, UINT64_C(0x1122334485667788), UINT64_C(0xffffffff85667788)},
        {8, false, true, UINT64_C(0x9122334485667788), UINT64_C(0x9122334485667788)},
    };
    struct hvpt_s2_instruction unknown = {false, 0, false, 0, true, false, false};

    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        struct hvpt_s2_instruction instruction = {true, loads[i].size, loads[i].sign, 1, loads[i].wide, false, false};

        same(hvpt_s2_load_value(&instruction, loads[i].data), loads[i].value, "load", "value");
    }
    same(hvpt_s2_load_value(&unknown, 5), 5, "load of unknown size", "value");
}

Test(s2_fault, every_kind_has_words_of_its_own)
{
    for (int i = 0; i <= HVPT_S2_FAULT_RESERVED; i++) {
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(hvpt_s2_fault_kind_text((enum hvpt_s2_fault_kind)i),
                              hvpt_s2_fault_kind_text((enum hvpt_s2_fault_kind)j));
    }
    cr_assert_not_null(hvpt_s2_fault_kind_text((enum hvpt_s2_fault_kind)99));
}
