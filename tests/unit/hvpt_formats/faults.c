/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Exit qualifications of EPT violations and EXITINFO1 of nested page faults, taken apart: every record of
 * tests/reference/hvpt/ept_violation_qualification.csv and npf_exitinfo1.csv is one member and no other.
 */
#include "../hvpt/support/check.h"
#include "../hvpt/support/reference.h"

#include <hvpt/fault/ept.h>
#include <hvpt/fault/npt.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct hvpt_ept_violation_form oldest = {false, false, false, false}, full = {true, true, true, true};

struct member {
    const char *field;
    bool value;
};

static bool member_value(const struct member *members, size_t count, const char *field)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].field, field) == 0)
            return members[i].value;
    CHECK(false, "no member for %s", field);
}

static bool violation_member(const struct hvpt_ept_violation *v, const char *field)
{
    const struct member members[] = {
        {"DATA_READ", v->read},
        {"DATA_WRITE", v->write},
        {"INSTRUCTION_FETCH", v->fetch},
        {"EPT_READABLE", v->readable},
        {"EPT_WRITABLE", v->writable},
        {"EPT_EXECUTABLE", v->executable},
        {"EPT_USER_EXECUTABLE", v->user_executable},
        {"GUEST_LINEAR_ADDRESS_VALID", v->linear_valid},
        {"FINAL_TRANSLATION", v->final_translation},
        {"USER_MODE_LINEAR_ADDRESS", v->user_linear},
        {"READ_WRITE_PAGE", v->writable_linear},
        {"EXECUTE_DISABLE_PAGE", v->nx_linear},
        {"NMI_UNBLOCKING_DUE_TO_IRET", v->nmi_unblocking},
        {"SHADOW_STACK_ACCESS", v->shadow_stack},
        {"SUPERVISOR_SHADOW_STACK_BIT", v->supervisor_shadow_stack},
        {"GUEST_PAGING_VERIFICATION", v->paging_verification},
        {"ASYNCHRONOUS_TO_INSTRUCTION", v->asynchronous},
    };

    return member_value(members, sizeof(members) / sizeof(members[0]), field);
}

static bool fault_member(const struct hvpt_npt_fault *f, const char *field)
{
    const struct member members[] = {
        {"P", f->present},
        {"RW", f->write},
        {"US", f->user},
        {"RSV", f->reserved},
        {"ID", f->fetch},
        {"SS", f->shadow_stack},
        {"RMP", f->rmp},
        {"GUEST_FINAL", f->final},
        {"GUEST_PAGE_TABLE", f->guest_table},
        {"ENC", f->encrypted},
        {"SIZEM", f->size_mismatch},
        {"VMPL", f->vmpl},
        {"SSS", f->supervisor_shadow_stack},
        {"NOT_RESTARTABLE", f->not_restartable},
    };

    return member_value(members, sizeof(members) / sizeof(members[0]), field);
}

static bool has_meaning(const struct reference *bits, size_t row)
{
    const char *field = bits->cell[row][2];

    return strcmp(field, "RESERVED") != 0 && strcmp(field, "UNDEFINED") != 0;
}

Test(faults, each_bit_of_an_ept_violation_is_its_own_member)
{
    struct reference bits;
    unsigned seen = 0;

    reference_load(&bits, "hvpt/ept_violation_qualification.csv");
    for (size_t row = 1; row < bits.rows; row++) {
        unsigned bit = (unsigned)atoi(bits.cell[row][0]);
        /* bit 8 counts with bit 7 only, 9 to 11 with 7 and 8 */
        uint64_t with = bit == 8 ? 0x80 : bit >= 9 && bit <= 11 ? 0x180 : 0;
        struct hvpt_ept_violation v = hvpt_ept_decode_violation_as(UINT64_C(1) << bit | with, full);
        struct hvpt_ept_violation same = hvpt_ept_decode_violation(UINT64_C(1) << bit | with);

        CHECK(memcmp(&v, &same, sizeof(v)) == 0, "a CPU with everything");
        if (!has_meaning(&bits, row)) { /* says nothing, in any of its bits */
            struct hvpt_ept_violation none = hvpt_ept_decode_violation(0);

            v = hvpt_ept_decode_violation(bits_mask(bit, (unsigned)atoi(bits.cell[row][1])));
            CHECK(memcmp(&v, &none, sizeof(v)) == 0, "%s is told", bits.cell[row][2]);
            continue;
        }
        seen++;
        for (size_t other = 1; other < bits.rows; other++)
            if (has_meaning(&bits, other))
                CHECK(violation_member(&v, bits.cell[other][2])
                          == (other == row || (with >> atoi(bits.cell[other][0]) & 1)),
                      "%s, by bit %u", bits.cell[other][2], bit);
    }
    CHECK_EQ(seen, 17, "records");
    reference_free(&bits);
}

Test(faults, each_bit_of_a_nested_page_fault_is_its_own_member)
{
    struct reference bits;
    unsigned seen = 0;

    reference_load(&bits, "hvpt/npf_exitinfo1.csv");
    for (size_t row = 1; row < bits.rows; row++) {
        struct hvpt_npt_fault f = hvpt_npt_decode_fault(UINT64_C(1) << atoi(bits.cell[row][0]), 0x123456789abc);

        CHECK_EQ(f.gpa.value, 0x123456789abc, "EXITINFO2");
        seen += has_meaning(&bits, row);
        for (size_t other = 1; other < bits.rows; other++)
            if (has_meaning(&bits, other))
                CHECK(fault_member(&f, bits.cell[other][2]) == (other == row), "%s, by %s", bits.cell[other][2],
                      bits.cell[row][2]);
    }
    CHECK_EQ(seen, 14, "records");
    reference_free(&bits);
}

Test(faults, bits_that_the_cpu_does_not_define_are_not_reported)
{
    /* SDM vol. 3, "Exit Qualification for EPT Violations": which bit hangs on what. */
    static const struct {
        struct hvpt_ept_violation_form form;
        uint64_t defined;
    } cases[] = {
        {{true, false, false, false}, UINT64_C(0x131ff)},
        {{false, true, false, false}, UINT64_C(0x13fbf)},
        {{false, false, true, false}, UINT64_C(0x171bf)},
        {{false, false, false, true}, UINT64_C(0x1b1bf)},
    };

    CHECK_EQ(hvpt_ept_violation_defined(UINT64_MAX, oldest), UINT64_C(0x131bf), "the oldest CPU");
    CHECK_EQ(hvpt_ept_violation_defined(UINT64_MAX, full), UINT64_C(0x1ffff), "a CPU with everything");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_EQ(hvpt_ept_violation_defined(UINT64_MAX, cases[i].form), cases[i].defined, "one feature alone");
    /* no linear address: no bit says anything about one; no final translation: nothing about its rights */
    CHECK_EQ(hvpt_ept_violation_defined(~UINT64_C(0x80), full), UINT64_C(0x1f0ff), "without bit 7");
    CHECK_EQ(hvpt_ept_violation_defined(~UINT64_C(0x100), full), UINT64_C(0x1f1ff), "without bit 8");
}

/* Values that Bochs and QEMU gave, as tests/machine sees them. */
Test(faults, the_wanted_right_is_told)
{
    static const struct {
        uint64_t info;
        uint32_t wanted;
    } ept[] = {{0x181, HVPT_READ}, {0x182, HVPT_WRITE}, {0x184, HVPT_EXEC}, {0x18a, HVPT_WRITE},
               {0x19c, HVPT_EXEC}, {0x1a1, HVPT_READ},  {0x83, HVPT_WRITE}, {0x180, 0}},
      npt[] = {{UINT64_C(0x100000004), HVPT_READ}, {UINT64_C(0x100000006), HVPT_WRITE},
               {UINT64_C(0x100000014), HVPT_EXEC}, {UINT64_C(0x100000007), HVPT_WRITE},
               {UINT64_C(0x100000015), HVPT_EXEC}, {UINT64_C(0x200000006), HVPT_WRITE}};

    for (size_t i = 0; i < sizeof(ept) / sizeof(ept[0]); i++) {
        struct hvpt_ept_violation v = hvpt_ept_decode_violation(ept[i].info);

        CHECK_EQ(hvpt_ept_violation_wants(&v, false), ept[i].wanted, "EPT");
        CHECK_EQ(hvpt_ept_violation_wants(&v, true), ept[i].wanted == HVPT_EXEC ? HVPT_EXEC_USER : ept[i].wanted,
                 "EPT, a user page");
    }
    for (size_t i = 0; i < sizeof(npt) / sizeof(npt[0]); i++) {
        struct hvpt_npt_fault f = hvpt_npt_decode_fault(npt[i].info, 0);

        CHECK_EQ(hvpt_npt_fault_wants(&f, false), npt[i].wanted, "NPT");
        CHECK_EQ(hvpt_npt_fault_wants(&f, true), npt[i].wanted == HVPT_EXEC ? HVPT_EXEC_USER : npt[i].wanted,
                 "NPT, GMET, by the user");
        f = hvpt_npt_decode_fault(npt[i].info & ~UINT64_C(4), 0);
        CHECK_EQ(hvpt_npt_fault_wants(&f, true), npt[i].wanted, "NPT, GMET, by the supervisor");
    }
}

/* What is composed comes apart as it was: the composer plays the processor for guest_walk. */
Test(faults, composed_and_taken_apart_again)
{
    for (uint32_t access = 0; access <= HVPT_PERM_ALL; access++) {
        for (uint32_t perm = 0; perm <= HVPT_PERM_ALL; perm++) {
            struct hvpt_ept_violation v = hvpt_ept_decode_violation(hvpt_ept_violation_access(access, perm));

            CHECK(v.read == ((access & HVPT_READ) != 0) && v.write == ((access & HVPT_WRITE) != 0), "data");
            CHECK(v.fetch == ((access & (HVPT_EXEC | HVPT_EXEC_USER)) != 0), "fetch");
            CHECK(v.readable == ((perm & HVPT_READ) != 0) && v.writable == ((perm & HVPT_WRITE) != 0), "rights");
            CHECK(v.executable == ((perm & HVPT_EXEC) != 0), "execute");
            CHECK(v.user_executable == ((perm & HVPT_EXEC_USER) != 0), "user-mode execute");
        }
        for (unsigned i = 0; i < 16; i++) {
            uint64_t info = hvpt_npf_access(access, i & 1, i & 2, i & 4, i & 8);
            struct hvpt_npt_fault f = hvpt_npt_decode_fault(info, 0);

            CHECK(f.user == (i & 1) && f.present == ((i & 4) != 0) && f.reserved == ((i & 8) != 0), "NPT");
            CHECK(f.write == ((access & HVPT_WRITE) != 0), "NPT, write");
            CHECK(f.fetch == ((i & 2) && (access & (HVPT_EXEC | HVPT_EXEC_USER))), "NPT, fetch");
            CHECK_EQ(info & ~UINT64_C(0x1f), 0, "NPT, other bits");
        }
    }
}

/* SDM vol. 3, "Exit Qualification for SPP-Related Events": 11 type, 12 NMI unblocking, the rest reserved. */
Test(faults, an_event_of_sub_page_permissions_is_a_miss_or_a_misconfiguration)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        struct hvpt_spp_event event = hvpt_spp_decode_event(UINT64_C(1) << bit);

        CHECK(event.miss == (bit == 11) && event.nmi_unblocking == (bit == 12), "bit %u", bit);
    }
    CHECK_EQ(HVPT_SPP_EVENT_REASON, 66, "exit reason");
}

static char words[512];

static const char *violation_words(uint64_t qualification, struct hvpt_ept_violation_form form)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct hvpt_ept_violation v = hvpt_ept_decode_violation_as(qualification, form);

    hvpt_ept_violation_text(&v, &text);
    return words;
}

static const char *fault_words(uint64_t exitinfo1)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct hvpt_npt_fault f = hvpt_npt_decode_fault(exitinfo1, 0);

    hvpt_npt_fault_text(&f, &text);
    return words;
}

Test(faults, in_words)
{
    cr_expect_str_eq(violation_words(0x18a, oldest),
                     "data write; EPT allows read; by the translation of a linear address");
    cr_expect_str_eq(violation_words(0x83, oldest),
                     "data read and data write; EPT allows nothing; on the walk of the guest's own page tables");
    cr_expect_str_eq(violation_words(0x100, full), "access of unknown kind; EPT allows nothing; no linear address");
    cr_expect_str_eq(violation_words(0x1f1fc, full),
                     "instruction fetch of a shadow stack; EPT allows read, write, fetch, user-mode fetch, supervisor "
                     "shadow stack; by the translation of a linear address; guest-paging verification; NMIs unblocked "
                     "by IRET; asynchronous to instruction execution");
    cr_expect_str_eq(fault_words(UINT64_C(0x100000006)),
                     "data write; no nested page is present; at the guest's final physical address");
    cr_expect_str_eq(fault_words(UINT64_C(0x200000007)),
                     "data write; the nested page does not allow it; on the walk of the guest's own page tables");
    cr_expect_str_eq(fault_words(UINT64_C(0x8000003900000055)),
                     "instruction fetch of a shadow stack; the nested page does not allow it; at the guest's final "
                     "physical address; page size differs from the RMP's; VMPL permission; supervisor shadow-stack "
                     "page; the guest cannot be restarted");
    cr_expect_str_eq(fault_words(UINT64_C(0x480000001)),
                     "data read by the supervisor; the RMP does not allow it; encrypted");
    cr_expect_str_eq(fault_words(UINT64_C(0xd)), "data read; a reserved bit is set in a nested entry");
}

/* A buffer too small keeps its zero and tells how much was needed. */
Test(faults, words_that_do_not_fit_are_cut)
{
    struct hvpt_text_buffer buffer;
    char small[8], none = 'x';
    struct hvpt_text text = hvpt_text_into(&buffer, small, sizeof(small));
    struct hvpt_text nowhere;

    hvpt_text_string(&text, "0123");
    hvpt_text_hex(&text, 0xfedcba9876543210);
    cr_expect_str_eq(small, "01230xf");
    cr_expect_eq(buffer.needed, 22);
    text = hvpt_text_into(&buffer, small, sizeof(small));
    hvpt_text_decimal(&text, 1200);
    cr_expect_str_eq(small, "1200");
    nowhere = hvpt_text_into(&buffer, &none, 0);
    hvpt_text_string(&nowhere, "abc");
    cr_expect_eq(none, 'x');
    cr_expect_eq(buffer.needed, 3);
}
