/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The EPTP list and the #VE page: validity by the table of the EPTP's fields (tests/reference/hvpt/ept_fields.csv; SDM
 * vol. 3, "Extended-Page-Table Pointer (EPTP)"), and the layout of "Virtualization-Exception Information Area".
 */
#include "../hvpt/support/check.h"
#include "../hvpt/support/reference.h"

#include <hvpt/intel/eptp_list.h>
#include <hvpt/intel/ve_page.h>

#include <criterion/criterion.h>
#include <string.h>

static struct reference fields;

static uint64_t field(const char *name, unsigned maxphyaddr)
{
    return reference_field(&fields, "EPTP", name, maxphyaddr);
}

static uint64_t value_in(uint64_t mask, uint64_t eptp)
{
    return (eptp & mask) / (mask & -mask);
}

/* The fields of the table, one by one, with the capability that each names. */
static enum hvpt_eptp_problem judge(uint64_t eptp, uint64_t cap, unsigned m)
{
    const uint64_t memtype = value_in(field("MEMORY_TYPE", m), eptp);
    const uint64_t levels = value_in(field("PAGE_WALK_LENGTH_MINUS_1", m), eptp);
    /* 11:8 and 63:M both are "RESERVED"; the second is the address's */
    const uint64_t high = m == 64 ? 0 : ~((UINT64_C(1) << m) - 1);

    if (!(memtype == 0 && cap >> 8 & 1) && !(memtype == 6 && cap >> 14 & 1))
        return HVPT_EPTP_BAD_MEMTYPE;
    if (!(levels == 3 && cap >> 6 & 1) && !(levels == 4 && cap >> 7 & 1))
        return HVPT_EPTP_BAD_LEVELS;
    if ((eptp & field("ENABLE_ACCESSED_DIRTY", m)) && !(cap >> 21 & 1))
        return HVPT_EPTP_NO_ACCESSED_DIRTY;
    if ((eptp & field("ENABLE_SUPERVISOR_SHADOW_STACK", m)) && !(cap >> 23 & 1))
        return HVPT_EPTP_NO_SHADOW_STACK;
    if (eptp & field("RESERVED", m) & ~high)
        return HVPT_EPTP_RESERVED;
    return eptp & field("RESERVED", m) ? HVPT_EPTP_BAD_ADDRESS : HVPT_EPTP_VALID;
}

Test(eptp, valid_is_what_the_manuals_table_allows)
{
    static const uint64_t bits[] = {6, 7, 8, 14, 21, 23};
    static const unsigned widths[] = {36, 46, 52}, highest[] = {12, 35, 36, 45, 46, 51, 52, 63};
    unsigned valid = 0;

    reference_load(&fields, "hvpt/ept_fields.csv");
    for (unsigned caps = 0; caps < 64; caps++) {
        uint64_t cap = 0;

        for (unsigned i = 0; i < 6; i++)
            cap |= caps >> i & 1 ? UINT64_C(1) << bits[i] : 0;
        for (unsigned w = 0; w < 3; w++) {
            for (uint64_t low = 0; low < 4096; low += caps % 8 == 7 ? 1 : 5) {
                for (unsigned high = 0; high < sizeof(highest) / sizeof(highest[0]); high++) {
                    uint64_t eptp = low | UINT64_C(1) << highest[high];
                    enum hvpt_eptp_problem wanted = judge(eptp, cap, widths[w]);

                    CHECK_EQ(hvpt_eptp_check(eptp, cap, widths[w]), wanted, "EPTP");
                    valid += wanted == HVPT_EPTP_VALID;
                }
            }
        }
    }
    CHECK(valid > 300, "only %u valid ones were tried", valid);
    reference_free(&fields);
}

Test(eptp, every_problem_has_words)
{
    for (int problem = HVPT_EPTP_VALID; problem <= HVPT_EPTP_BAD_ADDRESS; problem++) {
        const char *text = hvpt_eptp_problem_text((enum hvpt_eptp_problem)problem);

        CHECK(strcmp(text, "unknown problem") != 0, "problem %d", problem);
        for (int other = HVPT_EPTP_VALID; other < problem; other++)
            CHECK(strcmp(text, hvpt_eptp_problem_text((enum hvpt_eptp_problem)other)) != 0, "twice the same words");
    }
    cr_expect_str_eq(hvpt_eptp_problem_text((enum hvpt_eptp_problem)99), "unknown problem");
}

Test(eptp, the_list_has_512_slots_of_8_bytes)
{
    static struct hvpt_eptp_list list;
    const uint64_t cap = UINT64_C(1) << 6 | UINT64_C(1) << 14;
    enum hvpt_eptp_problem problem = HVPT_EPTP_VALID;
    const uint64_t *raw = list.eptp;

    CHECK_EQ(sizeof(list), 4096, "one page");
    memset(&list, 0xff, sizeof(list));
    hvpt_eptp_list_init(&list);
    for (unsigned slot = 0; slot < 512; slot++) {
        CHECK_EQ(raw[slot], 0, "no EPTP");
        CHECK(hvpt_eptp_check(0, UINT64_MAX, 52) != HVPT_EPTP_VALID, "0 is none on any CPU");
    }
    for (unsigned slot = 0; slot < 512; slot++)
        CHECK_STATUS(hvpt_eptp_list_set(&list, slot, (uint64_t)slot << 12 | 0x1e, cap, 46, NULL), HVPT_OK, "set");
    for (unsigned slot = 0; slot < 512; slot++) {
        CHECK_EQ(raw[slot], (uint64_t)slot << 12 | 0x1e, "in its place");
        CHECK_EQ(hvpt_eptp_list_get(&list, slot), raw[slot], "get");
    }
    CHECK_STATUS(hvpt_eptp_list_set(&list, 512, 0x1e, cap, 46, NULL), HVPT_E_RANGE, "slot 512");
    CHECK_STATUS(hvpt_eptp_list_set(&list, 7, 0x5e, cap, 46, &problem), HVPT_E_ATTR, "A/D that the CPU lacks");
    CHECK(problem == HVPT_EPTP_NO_ACCESSED_DIRTY && raw[7] == 0x701e, "told why, and as it was");
    CHECK_STATUS(hvpt_eptp_list_set(&list, 7, 0x901e, cap, 46, &problem), HVPT_OK, "replace");
    CHECK(problem == HVPT_EPTP_VALID && raw[7] == 0x901e, "replaced");
    CHECK_STATUS(hvpt_eptp_list_clear(&list, 7), HVPT_OK, "clear");
    CHECK(raw[7] == 0 && raw[6] != 0 && raw[8] != 0, "that one alone");
    CHECK_STATUS(hvpt_eptp_list_clear(&list, 512), HVPT_E_RANGE, "slot 512");
    CHECK_EQ(hvpt_eptp_list_get(&list, 512), 0, "slot 512");
}

/* What a space computes as its root is an EPTP that this CPU takes, whatever its features. */
static bool give_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)order;
    *out = hvpt_make_hpa((uint64_t)(uintptr_t)ctx);
    return true;
}

static void take_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

Test(eptp, a_spaces_own_root_is_valid)
{
    static uint64_t frame[512] __attribute__((aligned(4096)));
    struct hvpt_hooks hooks = {.ctx = frame, .alloc_frame = give_frame, .free_frame = take_frame};
    static const uint64_t caps[] = {UINT64_C(1) << 6 | UINT64_C(1) << 8, UINT64_C(1) << 7 | UINT64_C(1) << 14,
                                    UINT64_MAX};

    for (size_t i = 0; i < 3; i++) {
        for (uint32_t features = 0; features <= HVPT_EPT_USE_ALL; features++) {
            for (unsigned levels = 4; levels <= 5; levels++) {
                struct hvpt_ept_config config = {.levels = levels, .ept_vpid_cap = caps[i], .features = features};
                struct hvpt_space ept;

                if (hvpt_ept_init(&ept, &hooks, &config) != HVPT_OK)
                    continue;
                CHECK_EQ(hvpt_eptp_check(hvpt_space_root(&ept), caps[i], 52), HVPT_EPTP_VALID, "root");
                hvpt_space_destroy(&ept);
            }
        }
    }
}

/* ---- #VE ---- */

Test(ve, the_page_is_laid_out_as_the_manual_says)
{
    static union {
        uint8_t bytes[4096];
        struct hvpt_ve_page page;
    } area;
    struct hvpt_ve_information found;
    const uint32_t reason = 48, busy = 0xffffffff;
    const uint64_t qualification = 0x18a, linear = 0x1122334455667788, gpa = 0x99aabbccdd000;
    const uint16_t index = 0x1fe;

    memset(&area, 0xee, sizeof(area));
    hvpt_ve_page_init(&area.page);
    CHECK(!hvpt_ve_page_is_busy(&area.page) && !hvpt_ve_page_read(&area.page, &found), "nothing in it");
    for (unsigned i = 0; i < 34; i++)
        CHECK_EQ(area.bytes[i], 0, "cleared");
    /* the processor: SDM vol. 3, "Virtualization-Exception Information" */
    memcpy(&area.bytes[0], &reason, 4);
    memcpy(&area.bytes[4], &busy, 4);
    memcpy(&area.bytes[8], &qualification, 8);
    memcpy(&area.bytes[16], &linear, 8);
    memcpy(&area.bytes[24], &gpa, 8);
    memcpy(&area.bytes[32], &index, 2);
    CHECK(hvpt_ve_page_is_busy(&area.page) && area.page.busy == HVPT_VE_BUSY, "busy");
    CHECK(hvpt_ve_page_read(&area.page, &found), "something in it");
    CHECK_EQ(found.exit_reason, reason, "exit reason");
    CHECK_EQ(found.qualification, qualification, "qualification");
    CHECK_EQ(found.guest_linear_address, linear, "linear address");
    CHECK_EQ(found.guest_physical_address.value, gpa, "guest-physical address");
    CHECK_EQ(found.eptp_index, index, "EPTP index");
    hvpt_ve_page_clear(&area.page);
    CHECK(!hvpt_ve_page_is_busy(&area.page), "dealt with");
    for (unsigned i = 4; i < 8; i++)
        CHECK_EQ(area.bytes[i], 0, "bytes 7:4");
    CHECK(area.bytes[0] == 48 && area.bytes[34] == 0xee, "nothing else is written");
    CHECK_EQ(HVPT_VE_VECTOR, 20, "vector");
}
