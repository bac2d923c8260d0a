/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt/x86/mtrr.h against the manual's tables, dumps of machines with the ranges that belong to them, and a model that
 * looks at every page. SDM vol. 3, "Memory Type Range Registers (MTRRs)".
 */
#include "mtrr_model.h"

#include "../hvpt/support/observed.h"
#include "../hvpt/support/reference.h"

#include <hvpt/x86/mtrr.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

static const unsigned code_of[] = {[HVPT_MEM_UC] = TYPE_UC, [HVPT_MEM_WC] = TYPE_WC, [HVPT_MEM_WT] = TYPE_WT,
                                  [HVPT_MEM_WP] = TYPE_WP, [HVPT_MEM_WB] = TYPE_WB};

static void take(struct hvpt_mtrr *mtrr, struct machine *machine)
{
    memset(mtrr, 0xa5, sizeof(*mtrr));
    CHECK_STATUS(hvpt_mtrr_read(mtrr, machine_rdmsr, machine, machine->maxphyaddr, machine->amd ? HVPT_MTRR_AMD : 0),
                 HVPT_OK, "read");
}

static unsigned type_at(const struct hvpt_mtrr *mtrr, uint64_t address)
{
    return code_of[hvpt_mtrr_type(mtrr, hvpt_make_hpa(address))];
}

/* ---- the manual's tables ---- */

Test(mtrr, each_byte_of_the_fixed_registers_is_one_range)
{
    struct reference ranges;

    reference_load(&ranges, "hvpt/mtrr_fixed_ranges.csv");
    CHECK_EQ(ranges.rows, 1 + 88, "ranges");
    for (size_t row = 1; row < ranges.rows; row++) {
        unsigned byte = (unsigned)strtoul(ranges.cell[row][1], NULL, 0);
        uint64_t start = strtoull(ranges.cell[row][2], NULL, 0), end = strtoull(ranges.cell[row][3], NULL, 0);
        struct hvpt_memtype_range range = {0};
        struct machine machine;
        struct hvpt_mtrr mtrr;

        machine_init(&machine, 36, 0);
        machine_set(&machine, 0xfe, 0x100);
        machine_set(&machine, 0x2ff, 0xc06);
        for (uint32_t msr = 0x250; msr < 0x270; msr++)
            machine_set(&machine, msr, UINT64_C(0x0606060606060606));
        machine_set(&machine, (uint32_t)strtoul(ranges.cell[row][0], NULL, 0),
                    UINT64_C(0x0606060606060606) ^ (UINT64_C(3) << (8 * byte)));
        take(&mtrr, &machine);
        CHECK_EQ(type_at(&mtrr, start), TYPE_WP, "first byte");
        CHECK_EQ(type_at(&mtrr, end - 1), TYPE_WP, "last byte");
        if (start != 0) {
            CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
            CHECK_EQ(range.end, start, "what comes before");
        }
        CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
        CHECK_EQ(range.start, start, "start");
        CHECK_EQ(range.end, end, "end");
        CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
        CHECK_EQ(range.end, UINT64_C(1) << 36, "what comes after");
        CHECK(!hvpt_mtrr_next(&mtrr, &range), "a range beyond MAXPHYADDR");
    }
    reference_free(&ranges);
}

/* APM vol. 2, "Extended Fixed-Range MTRR Type-Field Encodings": bits 4:3 are RdMem and WrMem. */
Test(mtrr, rdmem_and_wrmem_are_no_part_of_a_fixed_type)
{
    struct machine machine;
    struct hvpt_mtrr mtrr;

    machine_init(&machine, 48, 0);
    machine_set(&machine, 0xfe, 0x100);
    machine_set(&machine, 0x2ff, 0xc00);
    for (uint32_t msr = 0x250; msr < 0x270; msr++)
        machine_set(&machine, msr, UINT64_C(0x1e1e1e1e1e1e1e1e));
    machine_set(&machine, 0x250, UINT64_C(0x1e1c191815101e00));
    take(&mtrr, &machine);
    for (unsigned byte = 0; byte < 8; byte++) {
        static const unsigned wanted[] = {TYPE_UC, TYPE_WB, TYPE_UC, TYPE_WP, TYPE_UC, TYPE_WC, TYPE_WT, TYPE_WB};

        CHECK_EQ(type_at(&mtrr, byte * UINT64_C(0x10000)), wanted[byte], "type");
    }
}

/* SDM vol. 3, "MTRR Precedences". */
Test(mtrr, two_ranges_that_overlap_follow_the_table)
{
    struct reference pairs;

    reference_load(&pairs, "hvpt/mtrr_overlaps.csv");
    CHECK_EQ(pairs.rows, 1 + 25, "pairs");
    for (size_t row = 1; row < pairs.rows; row++) {
        bool defined = strcmp(pairs.cell[row][2], "undefined") != 0;
        struct hvpt_memtype_range range = {0};
        struct machine machine;
        struct hvpt_mtrr mtrr;

        check_context("%s over %s", pairs.cell[row][0], pairs.cell[row][1]);
        machine_init(&machine, 36, 2);
        machine_set(&machine, 0x2ff, 0x800 | TYPE_WB);
        machine_set(&machine, 0x200, UINT64_C(0x40000000) | type_named(pairs.cell[row][0]));
        machine_set(&machine, 0x201, UINT64_C(0xfffff0800));
        machine_set(&machine, 0x202, UINT64_C(0x40000000) | type_named(pairs.cell[row][1]));
        machine_set(&machine, 0x203, UINT64_C(0xfffff0800));
        take(&mtrr, &machine);
        range.end = 0x40000000;
        CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
        CHECK_EQ(code_of[range.type], defined ? type_named(pairs.cell[row][2]) : TYPE_UC, "type");
        CHECK(!defined || strcmp(hvpt_memtype_text(range.type), pairs.cell[row][2]) == 0, "its name");
        CHECK_EQ(range.undefined, !defined, "undefined");
    }
    reference_free(&pairs);
}

Test(mtrr, a_reserved_type_is_uc_and_said_to_be_undefined)
{
    static const unsigned reserved[] = {2, 3, 7, 8, 0x16, 0x80, 0xff};

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        struct hvpt_memtype_range range = {0};
        struct machine machine;
        struct hvpt_mtrr mtrr;

        machine_init(&machine, 36, 1);
        machine_set(&machine, 0x2ff, 0x800 | reserved[i]);
        take(&mtrr, &machine);
        CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
        CHECK_EQ(range.type, HVPT_MEM_UC, "default type");
        CHECK(range.undefined, "a reserved default type");

        machine_set(&machine, 0x2ff, 0x800 | TYPE_WB);
        machine_set(&machine, 0x200, reserved[i]);
        machine_set(&machine, 0x201, 0x800);
        take(&mtrr, &machine);
        memset(&range, 0, sizeof(range));
        CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
        CHECK_EQ(range.type, HVPT_MEM_UC, "type of a variable range");
        CHECK(range.undefined, "a reserved type of a variable range");
        CHECK_EQ(range.end, UINT64_C(1) << 36, "a mask of no bits holds every address");
    }
}

Test(mtrr, a_range_is_undefined_if_any_part_of_it_is)
{
    struct hvpt_memtype_range range = {0};
    struct machine machine;
    struct hvpt_mtrr mtrr;

    machine_init(&machine, 36, 2);
    for (uint32_t pair = 0; pair < 2; pair++) {
        machine_set(&machine, 0x200 + 2 * pair, UINT64_C(0x40000000) | (pair == 0 ? TYPE_WC : TYPE_WP));
        machine_set(&machine, 0x201 + 2 * pair, UINT64_C(0xfc0000800));
    }
    take(&mtrr, &machine);
    CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
    CHECK_EQ(range.end, UINT64_C(1) << 36, "all of it is UC");
    CHECK(range.undefined, "the second GiB is WC and WP at once");
    memset(&range, 0, sizeof(range));
    range.end = 0x80000000;
    CHECK(hvpt_mtrr_next(&mtrr, &range), "no range");
    CHECK(!range.undefined, "nothing is open from 2 GiB up");
}

Test(mtrr, a_count_of_registers_that_cannot_be_is_not_followed)
{
    struct hvpt_mtrr mtrr;

    memset(&mtrr, 0, sizeof(mtrr));
    mtrr.maxphyaddr = 36;
    mtrr.cap = 0xff;
    mtrr.def_type = 0x806;
    mtrr.mask[39] = 0x800;
    CHECK_EQ(type_at(&mtrr, 0), TYPE_UC, "the last pair counts");
    mtrr.mask[39] = 0;
    CHECK_EQ(type_at(&mtrr, 0), TYPE_WB, "and what follows it in memory does not");
}

/* ---- machines ---- */

Test(mtrr, machines_have_the_ranges_that_belong_to_them)
{
    struct machine_range wanted[64];
    struct machine machine;
    const char *name;
    size_t number = 0;

    for (; machine_load(&machine, number, &name); number++) {
        size_t count = machine_load_ranges(name, wanted, 64);
        struct hvpt_memtype_range range = {0};
        struct hvpt_mtrr mtrr;

        check_context("%s", name);
        take(&mtrr, &machine);
        for (size_t i = 0; i < count; i++) {
            CHECK(hvpt_mtrr_next(&mtrr, &range), "range %zu is missing", i);
            CHECK_EQ(range.start, wanted[i].start, "start");
            CHECK_EQ(range.end, wanted[i].end, "end");
            CHECK_EQ(code_of[range.type], wanted[i].type, "type");
            CHECK(!range.undefined, "undefined");
            CHECK_EQ(type_at(&mtrr, range.start), wanted[i].type, "type of the first byte");
            CHECK_EQ(type_at(&mtrr, range.end - 1), wanted[i].type, "type of the last byte");
        }
        CHECK(!hvpt_mtrr_next(&mtrr, &range), "one range too many");
    }
    CHECK_EQ(number, 7, "machines");
}

Test(mtrr, beyond_maxphyaddr_everything_is_uc)
{
    struct hvpt_mtrr mtrr;

    memset(&mtrr, 0, sizeof(mtrr));
    mtrr.maxphyaddr = 36;
    mtrr.def_type = 0x806;
    CHECK_EQ(type_at(&mtrr, (UINT64_C(1) << 36) - 1), TYPE_WB, "the last byte");
    CHECK_EQ(type_at(&mtrr, UINT64_C(1) << 36), TYPE_UC, "the next");
    CHECK_EQ(type_at(&mtrr, UINT64_MAX), TYPE_UC, "the last of all");
    mtrr.maxphyaddr = 255;
    CHECK_EQ(hvpt_mtrr_limit(&mtrr), UINT64_C(1) << 52, "no address is longer");
}

/* SDM vol. 3, "IA32_MTRRCAP Register", VCNT: what a snapshot made by hand has beyond its count is no register. */
Test(mtrr, pairs_beyond_the_count_decide_nothing)
{
    struct hvpt_mtrr mtrr;

    memset(&mtrr, 0, sizeof(mtrr));
    mtrr.maxphyaddr = 36;
    mtrr.cap = 1;
    mtrr.def_type = 0x800 | TYPE_WB;
    for (unsigned i = 0; i < HVPT_MTRR_VARIABLE_MAX; i++) {
        mtrr.base[i] = UINT64_C(0x40000000) * i | TYPE_WC;
        mtrr.mask[i] = UINT64_C(0xfc0000800);
    }
    CHECK_EQ(type_at(&mtrr, 0), TYPE_WC, "the first pair");
    for (unsigned i = 1; i < HVPT_MTRR_VARIABLE_MAX; i++)
        CHECK_EQ(type_at(&mtrr, UINT64_C(0x40000000) * i), TYPE_WB, "a pair beyond the count");
}

/* ---- taking the snapshot ---- */

/* SDM vol. 3, "IA32_MTRR_DEF_TYPE MSR": with E clear everything is UC. */
static bool all_uc(const struct hvpt_mtrr *mtrr)
{
    for (uint64_t address = 0; address < UINT64_C(1) << 40; address = address == 0 ? HVPT_4K : 2 * address)
        if (hvpt_mtrr_type(mtrr, hvpt_make_hpa(address)) != HVPT_MEM_UC)
            return false;
    return true;
}

Test(mtrr, a_failing_rdmsr_is_reported_whichever_it_is)
{
    struct machine machine;
    const char *name;
    unsigned cached = 0;

    for (size_t number = 0; machine_load(&machine, number, &name); number++) {
        struct hvpt_mtrr mtrr;
        unsigned reads;

        take(&mtrr, &machine);
        cached += !all_uc(&mtrr);
        reads = machine.reads;
        for (unsigned left = 0; left < reads; left++) {
            machine.rdmsr_left = left;
            CHECK_STATUS(hvpt_mtrr_read(&mtrr, machine_rdmsr, &machine, machine.maxphyaddr,
                                        machine.amd ? HVPT_MTRR_AMD : 0),
                         HVPT_E_ATTR, name);
            CHECK(all_uc(&mtrr), "%s: half a snapshot has types", name);
        }
    }
    CHECK(cached > 0, "no machine has a cached address");
}

Test(mtrr, only_registers_that_the_cpu_has_are_read)
{
    struct machine machine;
    struct hvpt_mtrr mtrr;

    /* The machine knows no MSR but these, so anything else would fail. */
    machine_init(&machine, 39, 3);
    take(&mtrr, &machine);
    CHECK_EQ(machine.reads, 2 + 6, "reads");
    for (unsigned i = 3; i < HVPT_MTRR_VARIABLE_MAX; i++)
        CHECK(mtrr.base[i] == 0 && mtrr.mask[i] == 0, "pair %u, which is none", i);
}

Test(mtrr, what_no_cpu_can_have_is_refused)
{
    static const unsigned bad[] = {0, 31, 53, 64, 255};
    struct machine machine;
    struct hvpt_mtrr mtrr;

    machine_init(&machine, 39, 40);
    take(&mtrr, &machine);
    machine_set(&machine, 0xfe, 41);
    CHECK_STATUS(hvpt_mtrr_read(&mtrr, machine_rdmsr, &machine, 39, 0), HVPT_E_ATTR, "41 pairs");
    CHECK(all_uc(&mtrr), "41 pairs");
    machine_set(&machine, 0xfe, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_STATUS(hvpt_mtrr_read(&mtrr, machine_rdmsr, &machine, bad[i], 0), HVPT_E_ATTR, "MAXPHYADDR");
    CHECK_STATUS(hvpt_mtrr_read(&mtrr, machine_rdmsr, &machine, 32, 0), HVPT_OK, "32 bits");
    CHECK_STATUS(hvpt_mtrr_read(&mtrr, machine_rdmsr, &machine, 52, 0), HVPT_OK, "52 bits");
}

/* ---- any registers ---- */

static unsigned rounds(unsigned usual)
{
    return getenv("HVPT_SOAK") != NULL ? 100 * usual : usual;
}

/* All pages of a small machine: no range too long, none too short. */
Test(mtrr, the_ranges_are_those_of_a_look_at_every_page)
{
    struct random_stream random = {2};

    for (unsigned round = 0; round < rounds(6); round++) {
        struct hvpt_memtype_range range = {0};
        struct machine machine;
        struct hvpt_mtrr mtrr;
        uint64_t address = 0;

        check_context("round %u", round);
        machine_random(&machine, &random, 32);
        take(&mtrr, &machine);
        while (hvpt_mtrr_next(&mtrr, &range)) {
            bool undefined = false, defined;

            CHECK_EQ(range.start, address, "ranges are seamless");
            CHECK(range.end > range.start, "an empty range");
            if (address != 0)
                CHECK(model_type(&machine, address - PAGE, &defined) != code_of[range.type],
                      "two ranges of one type side by side at %#llx", (unsigned long long)address);
            for (; address < range.end; address += PAGE) {
                CHECK(model_type(&machine, address, &defined) == code_of[range.type],
                      "%#llx is in a range of another type", (unsigned long long)address);
                undefined = undefined || !defined;
            }
            CHECK_EQ(range.undefined, undefined, "undefined");
        }
        CHECK_EQ(address, UINT64_C(1) << 32, "the end");
    }
}

/* Large machines, here and there: the borders of a range and some pages between them. */
Test(mtrr, large_machines_agree_with_the_model_at_every_border)
{
    struct random_stream random = {3};

    for (unsigned round = 0; round < rounds(3000); round++) {
        unsigned maxphyaddr = 33 + (unsigned)random_below(&random, 20);
        uint64_t limit = UINT64_C(1) << maxphyaddr;
        struct hvpt_memtype_range range = {0};
        struct machine machine;
        struct hvpt_mtrr mtrr;

        check_context("round %u", round);
        machine_random(&machine, &random, maxphyaddr);
        take(&mtrr, &machine);
        if (random_below(&random, 2) == 0)
            range.end = random_below(&random, limit); /* not even the start of a page */
        for (unsigned step = 0; step < 20; step++) {
            uint64_t start = range.end;
            bool defined;

            if (!hvpt_mtrr_next(&mtrr, &range)) {
                CHECK_EQ(range.end, limit, "the end");
                break;
            }
            CHECK_EQ(range.start, start, "start");
            CHECK(range.end > start && range.end <= limit && range.end % PAGE == 0, "end %#llx",
                  (unsigned long long)range.end);
            CHECK_EQ(code_of[range.type], model_type(&machine, start, &defined), "type of the first byte");
            CHECK_EQ(code_of[range.type], model_type(&machine, range.end - 1, &defined), "type of the last byte");
            if (range.end < limit)
                CHECK(code_of[range.type] != model_type(&machine, range.end, &defined), "the range goes on");
            for (unsigned i = 0; i < 8; i++) {
                uint64_t address = start + random_below(&random, range.end - start);

                CHECK_EQ(code_of[range.type], model_type(&machine, address, &defined), "type of some byte");
                CHECK_EQ(type_at(&mtrr, address), code_of[range.type], "type, when asked for alone");
            }
        }
    }
}
