/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt/x86/pat.h and hvpt/x86/npt_memtype.h against the manuals' tables: SDM vol. 3, "Page Attribute Table (PAT)" and "Selecting
 * Memory Types for Pentium III and More Recent Processor Families"; APM vol. 2, "Combining Memory Types, MTRRs".
 */
#include "../hvpt/support/check.h"
#include "../hvpt/support/observed.h"
#include "../hvpt/support/reference.h"

#include <hvpt/x86/npt_memtype.h>
#include <hvpt/x86/pat.h>

#include <criterion/criterion.h>
#include <string.h>

/* SDM vol. 3, table "Memory Types That Can Be Encoded With PAT"; the columns are the same in all tables of types. */
static const struct {
    const char *name;
    uint64_t code;
    enum hvpt_pat_type pat;
    enum hvpt_memtype memtype;
    enum hvpt_npt_memtype npt;
} types[] = {
    {"UC", 0, HVPT_PAT_UC, HVPT_MEM_UC, HVPT_NPT_UC},
    {"WC", 1, HVPT_PAT_WC, HVPT_MEM_WC, HVPT_NPT_WC},
    {"WT", 4, HVPT_PAT_WT, HVPT_MEM_WT, HVPT_NPT_WT},
    {"WP", 5, HVPT_PAT_WP, HVPT_MEM_WP, HVPT_NPT_WP},
    {"WB", 6, HVPT_PAT_WB, HVPT_MEM_WB, HVPT_NPT_WB},
    {"UC-", 7, HVPT_PAT_UC_MINUS, HVPT_MEM_UC, HVPT_NPT_UC_MINUS},
    /* of combinations only */
    {"WC+", 0, HVPT_PAT_RESERVED, HVPT_MEM_UC, HVPT_NPT_WC_PLUS},
    {"CD", 0, HVPT_PAT_RESERVED, HVPT_MEM_UC, HVPT_NPT_CD},
};

#define PAT_TYPES 6

static size_t named(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0)
            return i;
    CHECK(false, "no type %s", name);
}

Test(pat, every_byte_at_every_index_decodes_as_the_table_says)
{
    for (unsigned index = 0; index < 8; index++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t others = UINT64_C(0x0606060606060606) & ~(UINT64_C(0xff) << (8 * index));
            uint64_t pat = others | (uint64_t)byte << (8 * index);
            enum hvpt_pat_type wanted = HVPT_PAT_RESERVED;
            enum hvpt_memtype memtype = HVPT_MEM_UC;
            enum hvpt_npt_memtype npt = HVPT_NPT_UC;

            for (size_t i = 0; i < PAT_TYPES; i++) {
                if (types[i].code == byte) {
                    wanted = types[i].pat;
                    memtype = types[i].memtype;
                    npt = types[i].npt;
                }
            }
            CHECK_EQ(hvpt_pat_get(pat, index), wanted, "type");
            CHECK_EQ(hvpt_pat_memtype(hvpt_pat_get(pat, index)), memtype, "memory type");
            CHECK_EQ(hvpt_npt_memtype_of_pat(pat, index), npt, "type in the terms of nested paging");
            CHECK_EQ(hvpt_pat_is_valid(pat), wanted != HVPT_PAT_RESERVED, "valid");
        }
    }
}

Test(pat, an_entry_is_set_alone)
{
    for (unsigned index = 0; index < 8; index++) {
        for (size_t i = 0; i < PAT_TYPES; i++) {
            uint64_t pat = hvpt_pat_set(UINT64_C(0x8182838485868788), index, types[i].pat);

            for (unsigned byte = 0; byte < 8; byte++)
                CHECK_EQ((pat >> (8 * byte)) & 0xff, byte == index ? types[i].code : 0x88 - byte, "byte");
        }
    }
}

Test(pat, the_lowest_index_of_a_type_is_found)
{
    uint64_t pat = UINT64_C(0x0706050401000606);

    CHECK_EQ(hvpt_pat_find(pat, HVPT_PAT_WB), 0, "WB");
    CHECK_EQ(hvpt_pat_find(pat, HVPT_PAT_UC), 2, "UC");
    CHECK_EQ(hvpt_pat_find(pat, HVPT_PAT_UC_MINUS), 7, "UC-");
    CHECK_EQ(hvpt_pat_find(UINT64_C(0x0707070707070707), HVPT_PAT_UC), HVPT_PAT_NO_INDEX, "UC where only UC- is");
}

Test(pat, pat_and_mtrr_types_combine_as_intel_says)
{
    struct reference table;

    reference_load(&table, "hvpt/pat_mtrr_memtype.csv");
    CHECK_EQ(table.rows, 1 + 30, "records");
    for (size_t row = 1; row < table.rows; row++) {
        size_t mtrr = named(table.cell[row][0]), pat = named(table.cell[row][1]), wanted = named(table.cell[row][2]);

        check_context("PAT %s, MTRR %s", types[pat].name, types[mtrr].name);
        CHECK_EQ(hvpt_pat_combine_mtrr(types[pat].pat, types[mtrr].memtype), types[wanted].memtype, "effective type");
    }
    reference_free(&table);
    CHECK_EQ(hvpt_pat_combine_mtrr(HVPT_PAT_RESERVED, HVPT_MEM_WB), HVPT_MEM_UC, "what no PAT can hold");
}

Test(npt_memtype, guest_and_host_pat_combine_as_amd_says)
{
    struct reference table;

    reference_load(&table, "hvpt/npt_combined_memtype.csv");
    CHECK_EQ(table.rows, 1 + 36, "records");
    for (size_t row = 1; row < table.rows; row++) {
        size_t guest = named(table.cell[row][0]), host = named(table.cell[row][1]), wanted = named(table.cell[row][2]);

        check_context("guest %s, host %s", types[guest].name, types[host].name);
        CHECK_EQ(hvpt_npt_combine_pat(types[guest].npt, types[host].npt), types[wanted].npt, "combined type");
    }
    reference_free(&table);
    for (size_t i = 0; i < PAT_TYPES; i++) {
        CHECK_EQ(hvpt_npt_combine_pat(HVPT_NPT_WC_PLUS, types[i].npt), HVPT_NPT_UC, "what no PAT can hold");
        CHECK_EQ(hvpt_npt_combine_pat(HVPT_NPT_CD, types[i].npt), HVPT_NPT_UC, "what no PAT can hold");
    }
}

Test(npt_memtype, combined_and_mtrr_types_combine_as_amd_says)
{
    struct reference table;

    reference_load(&table, "hvpt/npt_mtrr_memtype.csv");
    CHECK_EQ(table.rows, 1 + 35, "records");
    for (size_t row = 1; row < table.rows; row++) {
        size_t pat = named(table.cell[row][0]), mtrr = named(table.cell[row][1]), wanted = named(table.cell[row][2]);

        check_context("combined %s, MTRR %s", types[pat].name, types[mtrr].name);
        CHECK_EQ(hvpt_npt_combine_mtrr(types[pat].npt, types[mtrr].memtype), types[wanted].npt, "effective type");
    }
    reference_free(&table);
    CHECK_EQ(hvpt_npt_combine_mtrr(HVPT_NPT_CD, HVPT_MEM_WB), HVPT_NPT_CD, "what is not cached stays so");
}

/* Every record of one table with the records of the other that go on from its result. */
Test(npt_memtype, the_effective_type_is_one_table_after_the_other)
{
    struct reference first, second;

    reference_load(&first, "hvpt/npt_combined_memtype.csv");
    reference_load(&second, "hvpt/npt_mtrr_memtype.csv");
    for (size_t i = 1; i < first.rows; i++) {
        unsigned followed = 0;

        for (size_t k = 1; k < second.rows; k++) {
            if (strcmp(first.cell[i][2], second.cell[k][0]) != 0)
                continue;
            CHECK_EQ(hvpt_npt_effective_memtype(types[named(first.cell[i][0])].npt, types[named(first.cell[i][1])].npt,
                                                types[named(second.cell[k][1])].memtype),
                     types[named(second.cell[k][2])].npt, "effective type");
            followed++;
        }
        CHECK_EQ(followed, 5, "MTRR types");
    }
    reference_free(&first);
    reference_free(&second);
}

Test(npt_memtype, names_are_the_manuals)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        CHECK(strcmp(hvpt_npt_memtype_text(types[i].npt), types[i].name) == 0, "%s", types[i].name);
    CHECK(hvpt_npt_memtype_text((enum hvpt_npt_memtype)99) != NULL, "never NULL");
}
