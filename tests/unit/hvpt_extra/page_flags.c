/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt/x86/page_flags.h against the fields of a leaf as the manuals have them (tests/reference/hvpt/page_fields.csv;
 * SDM vol. 3, formats of entries that map a page; the same in APM vol. 2).
 */
#include "../hvpt/support/check.h"
#include "../hvpt/support/observed.h"
#include "../hvpt/support/reference.h"

#include <hvpt/x86/page_flags.h>

#include <criterion/criterion.h>
#include <string.h>

/* WB, WC, WP, WT, UC-, UC, then UC- twice: each type that counts once, and two indices with the PAT bit. */
#define PAT UINT64_C(0x0707000704050106)

/* The leaf of each level, and where its parts are. */
struct leaf {
    uint64_t present, write, user, no_execute, accessed, dirty, large, global, key;
    uint64_t pwt, pcd, pat;
    uint64_t software_low, software_high;
    uint64_t address;
};

static struct leaf leaf[3];

static void load(void)
{
    static const char *const names[] = {"PTE", "PDE_2M", "PDPTE_1G"};
    struct reference fields;

    reference_load(&fields, "hvpt/page_fields.csv");
    for (unsigned level = 0; level < 3; level++) {
        struct leaf *at = &leaf[level];

        at->present = reference_field(&fields, names[level], "P", 52);
        at->write = reference_field(&fields, names[level], "RW", 52);
        at->user = reference_field(&fields, names[level], "US", 52);
        at->no_execute = reference_field(&fields, names[level], "XD", 52);
        at->accessed = reference_field(&fields, names[level], "A", 52);
        at->dirty = reference_field(&fields, names[level], "D", 52);
        at->large = reference_field(&fields, names[level], "PS", 52);
        at->global = reference_field(&fields, names[level], "G", 52);
        at->key = reference_field(&fields, names[level], "KEY", 52);
        at->pwt = reference_field(&fields, names[level], "PWT", 52);
        at->pcd = reference_field(&fields, names[level], "PCD", 52);
        at->pat = reference_field(&fields, names[level], "PAT", 52);
        at->software_low = reference_field(&fields, names[level], "IGNORED_LOW", 52);
        at->software_high = reference_field(&fields, names[level], "IGNORED_HIGH", 52);
        at->address = reference_field(&fields, names[level], "ADDRESS", 52);
        CHECK(at->present && at->pat && at->address && (at->large != 0) == (level != 0), "%s", names[level]);
    }
    reference_free(&fields);
}

TestSuite(page_flags, .init = load);

static uint64_t pat_bits(unsigned level, unsigned index)
{
    return (index & 1 ? leaf[level].pwt : 0) | (index & 2 ? leaf[level].pcd : 0) | (index & 4 ? leaf[level].pat : 0);
}

/* The shortest leaf: readable, executable, PAT index 0. */
static uint64_t plain(unsigned level)
{
    return leaf[level].present | leaf[level].large;
}

static struct hvpt_attr convert(uint64_t entry, unsigned level, uint64_t pat)
{
    struct hvpt_attr attr;

    memset(&attr, 0xa5, sizeof(attr));
    CHECK_STATUS(hvpt_page_flags_to_attr(entry, level, pat, 0, &attr), HVPT_OK, "to attr");
    return attr;
}

Test(page_flags, a_pat_index_is_three_bits_and_no_other)
{
    for (unsigned level = 0; level < 3; level++)
        for (unsigned index = 0; index < 8; index++)
            CHECK_EQ(hvpt_page_pat_bits(index, level), pat_bits(level, index), "the bits of an index");
}

Test(page_flags, names_are_where_the_manual_has_them)
{
    CHECK_EQ(HVPT_PAGE_USER, leaf[0].user, "USER");
    CHECK_EQ(HVPT_PAGE_GLOBAL, leaf[0].global, "GLOBAL");
    CHECK_EQ(HVPT_PAGE_PROTECTION_KEY, leaf[0].key, "PROTECTION_KEY");
    CHECK_EQ(HVPT_PAGE_PAT, leaf[0].pat, "PAT");
    CHECK_EQ(HVPT_PAGE_PAT_LARGE, leaf[1].pat, "PAT_LARGE");
    CHECK_EQ(HVPT_PAGE_PAT_LARGE, leaf[2].pat, "PAT_LARGE");
}

Test(page_flags, each_permission_is_carried_by_itself)
{
    for (unsigned level = 0; level < 3; level++) {
        CHECK_EQ(convert(plain(level), level, PAT).perm, HVPT_READ | HVPT_EXEC, "no bit");
        CHECK_EQ(convert(plain(level) | leaf[level].write, level, PAT).perm, HVPT_READ | HVPT_WRITE | HVPT_EXEC, "RW");
        CHECK_EQ(convert(plain(level) | leaf[level].no_execute, level, PAT).perm, HVPT_READ, "XD");
        CHECK_EQ(convert(plain(level) | leaf[level].user, level, PAT).perm, HVPT_READ | HVPT_EXEC, "US is no right");
        CHECK_EQ(convert(plain(level), level, PAT).flags, 0, "flags");
        CHECK_EQ(convert(plain(level) | leaf[level].accessed, level, PAT).flags, HVPT_ACCESSED, "A");
        CHECK_EQ(convert(plain(level) | leaf[level].dirty, level, PAT).flags, HVPT_DIRTY, "D");
    }
}

/* SDM vol. 3, "Selecting a Memory Type from the PAT"; write-back is index 0, which EPT would read as UC. */
Test(page_flags, the_memory_type_is_what_the_pat_says_at_the_index)
{
    static const uint64_t codes[] = {0, 1, 4, 5, 6, 7};
    static const enum hvpt_memtype types[] = {HVPT_MEM_UC, HVPT_MEM_WC, HVPT_MEM_WT,
                                              HVPT_MEM_WP, HVPT_MEM_WB, HVPT_MEM_UC};

    for (unsigned level = 0; level < 3; level++) {
        for (unsigned index = 0; index < 8; index++) {
            for (size_t i = 0; i < 6; i++) {
                uint64_t other = (i == 4 ? UINT64_C(0x0404040404040404) : UINT64_C(0x0606060606060606));
                uint64_t pat = (other & ~(UINT64_C(0xff) << (8 * index))) | codes[i] << (8 * index);
                struct hvpt_attr attr = convert(plain(level) | pat_bits(level, index), level, pat);
                uint64_t entry;

                CHECK_EQ(attr.memtype, types[i], "memory type");
                CHECK_STATUS(hvpt_page_flags_from_attr(attr, level, pat, 0, &entry), HVPT_OK, "from attr");
                CHECK_EQ(entry, plain(level) | pat_bits(level, index), "back again");
            }
        }
    }
}

Test(page_flags, software_bits_are_one_number_both_ways)
{
    for (unsigned level = 0; level < 3; level++) {
        for (uint32_t software = 0; software <= 1023; software++) {
            /* The low three bits of the number lie in bits 11:9, the others in 58:52. */
            uint64_t wanted = plain(level) | (uint64_t)(software & 7) << 9 | (uint64_t)(software >> 3) << 52;
            struct hvpt_attr attr = {HVPT_READ | HVPT_EXEC, HVPT_MEM_WB, 0, software};
            uint64_t entry;

            CHECK(!((wanted ^ plain(level)) & ~(leaf[level].software_low | leaf[level].software_high)), "not ignored");
            CHECK_STATUS(hvpt_page_flags_from_attr(attr, level, PAT, 0, &entry), HVPT_OK, "from attr");
            CHECK_EQ(entry, wanted, "entry");
            CHECK_EQ(convert(wanted, level, PAT).software, software, "software");
        }
    }
}

Test(page_flags, the_address_is_nobodys_business)
{
    for (unsigned level = 0; level < 3; level++) {
        struct hvpt_attr bare = convert(plain(level), level, PAT);
        struct hvpt_attr full = convert(plain(level) | leaf[level].address, level, PAT);

        CHECK(memcmp(&bare, &full, sizeof(bare)) == 0, "the address changed the attributes at level %u", level);
    }
}

Test(page_flags, what_is_not_a_leaf_is_refused)
{
    struct hvpt_attr attr = {1, HVPT_MEM_WP, 2, 3}, before = attr;

    for (unsigned level = 0; level < 8; level++) {
        CHECK_STATUS(hvpt_page_flags_to_attr(0, level, PAT, 0, &attr), HVPT_E_ATTR, "empty");
        CHECK_STATUS(hvpt_page_flags_to_attr(~UINT64_C(1), level, PAT, 0, &attr), HVPT_E_ATTR, "not present");
        if (level > 0)
            CHECK_STATUS(hvpt_page_flags_to_attr(leaf[0].present, level, PAT, 0, &attr), HVPT_E_ATTR, "a table");
        if (level > 2)
            CHECK_STATUS(hvpt_page_flags_to_attr(plain(1), level, PAT, 0, &attr), HVPT_E_ATTR, "too high");
    }
    CHECK(memcmp(&attr, &before, sizeof(attr)) == 0, "attr was written");
}

Test(page_flags, a_reserved_type_in_the_pat_is_refused_where_it_is_selected)
{
    static const uint64_t reserved[] = {2, 3, 8, 0x16, 0xff};
    struct hvpt_attr attr;

    for (unsigned level = 0; level < 3; level++) {
        for (unsigned index = 0; index < 8; index++) {
            for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
                uint64_t pat = (PAT & ~(UINT64_C(0xff) << (8 * index))) | reserved[i] << (8 * index);

                for (unsigned selected = 0; selected < 8; selected++)
                    CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | pat_bits(level, selected), level, pat, 0,
                                                         &attr),
                                 selected == index ? HVPT_E_ATTR : HVPT_OK, "to attr");
            }
        }
    }
}

Test(page_flags, what_cannot_be_carried_is_dropped_unless_the_caller_insists)
{
    struct hvpt_attr attr;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t all = HVPT_PAGE_NOT_CARRIED;

        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | leaf[level].user, level, PAT, all, &attr), HVPT_OK,
                     "a user page says nothing that would be lost");
        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level), level, PAT, leaf[level].user, &attr), HVPT_E_ATTR,
                     "for the supervisor alone");
        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | leaf[level].global, level, PAT, 0, &attr), HVPT_OK,
                     "global, dropped");
        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | leaf[level].global, level, PAT, leaf[level].global, &attr),
                     HVPT_E_ATTR, "global, insisted on");
        for (unsigned bit = 59; bit < 63; bit++) {
            uint64_t key = UINT64_C(1) << bit;

            CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | key, level, PAT, 0, &attr), HVPT_OK, "key, dropped");
            CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | key, level, PAT, leaf[level].key, &attr), HVPT_E_ATTR,
                         "key, insisted on");
        }
        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level), level, PAT, leaf[level].key | leaf[level].global, &attr),
                     HVPT_OK, "nothing to lose");
        /* Bits that are carried need no insisting. */
        CHECK_STATUS(hvpt_page_flags_to_attr(plain(level) | leaf[level].write, level, PAT, ~all, &attr), HVPT_OK,
                     "other bits");
    }
}

/* Everything that can be carried, in all combinations, there and back. */
Test(page_flags, a_round_trip_keeps_every_carried_bit)
{
    for (unsigned level = 0; level < 3; level++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            for (unsigned index = 0; index < 6; index++) {
                uint64_t add = bits & 16 ? leaf[level].user | leaf[level].global : bits & 32 ? leaf[level].key : 0;
                uint64_t wanted = plain(level) | pat_bits(level, index) | add | (bits & 1 ? leaf[level].write : 0)
                                | (bits & 2 ? leaf[level].no_execute : 0) | (bits & 4 ? leaf[level].accessed : 0)
                                | (bits & 8 ? leaf[level].dirty : 0);
                uint64_t entry;

                if (index == 4) /* UC-, which becomes UC where there is one */
                    continue;
                CHECK_STATUS(hvpt_page_flags_from_attr(convert(wanted, level, PAT), level, PAT, add, &entry), HVPT_OK,
                             "from attr");
                CHECK_EQ(entry, wanted, "entry");
            }
        }
    }
}

Test(page_flags, uc_is_the_stronger_of_two_where_there_is_a_choice)
{
    struct hvpt_attr attr = {HVPT_READ | HVPT_EXEC, HVPT_MEM_UC, 0, 0};
    uint64_t entry;

    CHECK_STATUS(hvpt_page_flags_from_attr(attr, 0, PAT, 0, &entry), HVPT_OK, "both");
    CHECK_EQ(entry, plain(0) | pat_bits(0, 5), "UC has index 5 there");
    CHECK_STATUS(hvpt_page_flags_from_attr(attr, 0, UINT64_C(0x0707060606060606), 0, &entry), HVPT_OK, "UC- alone");
    CHECK_EQ(entry, plain(0) | pat_bits(0, 6), "the first UC- has index 6 there");
}

Test(page_flags, attributes_that_stage_one_lacks_are_refused)
{
    static const struct hvpt_attr bad[] = {
        {0, HVPT_MEM_WB, 0, 0},
        {HVPT_EXEC, HVPT_MEM_WB, 0, 0},
        {HVPT_WRITE, HVPT_MEM_WB, 0, 0},
        {HVPT_READ | HVPT_EXEC_USER, HVPT_MEM_WB, 0, 0},
        {HVPT_READ | 16, HVPT_MEM_WB, 0, 0},
        {HVPT_READ, HVPT_MEM_WB, HVPT_LOGGED, 0},
        {HVPT_READ, HVPT_MEM_WB, 1 << 8, 0},
        {HVPT_READ, HVPT_MEM_WB, UINT32_C(1) << 31, 0},
        {HVPT_READ, HVPT_MEM_WB, 0, 1024},
        {HVPT_READ, HVPT_MEM_WB, 0, UINT32_MAX},
        {HVPT_READ, (enum hvpt_memtype)5, 0, 0},
    };
    struct hvpt_attr good = {HVPT_READ | HVPT_EXEC | HVPT_EXEC_USER, HVPT_MEM_WB, 0, 0};
    uint64_t entry = 7;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_context("attributes %zu", i);
        CHECK_STATUS(hvpt_page_flags_from_attr(bad[i], 0, PAT, 0, &entry), HVPT_E_ATTR, "from attr");
    }
    CHECK_STATUS(hvpt_page_flags_from_attr(good, 3, PAT, 0, &entry), HVPT_E_ATTR, "a level without leaves");
    CHECK_STATUS(hvpt_page_flags_from_attr(good, 0, PAT, leaf[0].write, &entry), HVPT_E_ATTR, "add what attr tells");
    for (unsigned type = HVPT_MEM_WB; type <= HVPT_MEM_UC; type++) {
        uint64_t only = type == HVPT_MEM_WB ? UINT64_C(0x0404040404040404) : UINT64_C(0x0606060606060606);

        good.memtype = (enum hvpt_memtype)type;
        CHECK_STATUS(hvpt_page_flags_from_attr(good, 0, only, 0, &entry), HVPT_E_ATTR, "a type that the PAT lacks");
    }
    CHECK_EQ(entry, 7, "entry was written");
    good.memtype = HVPT_MEM_WB;
    CHECK_STATUS(hvpt_page_flags_from_attr(good, 0, PAT, 0, &entry), HVPT_OK, "both modes execute");
    CHECK_EQ(entry, plain(0), "entry");
}
