/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The VMCB and the VMSA: layout, setters and clean bits, intercepts. APM vol. 2, "Layout of VMCB", "VMCB Clean Bits",
 * as recorded in vmcb_fields.csv, vmcb_clean.csv and svm_intercepts.csv.
 */
#include <hvctl/svm/vmcb.h>
#include <hvctl/svm/vmsa.h>

#include <strings.h>

#include "support/table.h"

/* Members as the compiler lays them out: name, offset and size, not the list's own numbers. */
struct member {
    const char *name;
    size_t offset, size;
};

#define A(member, offset, type, count)                                                                                \
    {#member, offsetof(struct STRUCT, member), sizeof(((struct STRUCT *)0)->member)},
#define X(member, offset, type, clean)                                                                                \
    {#member, offsetof(struct STRUCT, member), sizeof(((struct STRUCT *)0)->member)},
#define STRUCT hvctl_vmcb_control
static const struct member control[] = {HVCTL_VMCB_CONTROL_FIELDS(X, A){NULL, 0, 0}};
#undef STRUCT
#define STRUCT hvctl_vmcb_save
static const struct member save[] = {HVCTL_VMCB_SAVE_FIELDS(X, A){NULL, 0, 0}};
#undef STRUCT
#undef X
#define X(member, offset, type) {#member, offsetof(struct STRUCT, member), sizeof(((struct STRUCT *)0)->member)},
#define STRUCT hvctl_vmsa
static const struct member vmsa[] = {HVCTL_VMSA_FIELDS(X, A){NULL, 0, 0}};
#undef STRUCT
#undef X
#undef A

static struct table fields;

static void load(void)
{
    table_load(&fields, "vmcb_fields.csv");
}

TestSuite(vmcb, .init = load);

static const struct member *members_of(const char *area)
{
    return !strcmp(area, "control") ? control : !strcmp(area, "save") ? save : vmsa;
}

static const struct member *find(const struct member *list, const char *name)
{
    for (; list->name; list++)
        if (!strcasecmp(list->name, name))
            return list;
    return NULL;
}

/* ES_SELECTOR and the like are parts of a segment's struct. */
static bool place(const struct row *row, size_t *offset, size_t *size)
{
    static const struct {
        const char *suffix;
        size_t offset, size;
    } part[] = {{"_SELECTOR", offsetof(struct hvctl_vmcb_segment, selector), 2},
                {"_ATTRIB", offsetof(struct hvctl_vmcb_segment, attrib), 2},
                {"_LIMIT", offsetof(struct hvctl_vmcb_segment, limit), 4},
                {"_BASE", offsetof(struct hvctl_vmcb_segment, base), 8}};
    const struct member *member = find(members_of(row->cell[0]), row->cell[3]);

    if (member) {
        *offset = member->offset;
        *size = member->size;
        return true;
    }
    for (unsigned i = 0; i < 4; i++) {
        size_t length = strlen(row->cell[3]), cut = strlen(part[i].suffix);
        char name[64];

        if (length <= cut || strcmp(row->cell[3] + length - cut, part[i].suffix))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(length - cut), row->cell[3]);
        member = find(members_of(row->cell[0]), name);
        if (member && member->size == sizeof(struct hvctl_vmcb_segment)) {
            *offset = member->offset + part[i].offset;
            *size = part[i].size;
            return true;
        }
    }
    return false;
}

Test(vmcb, every_record_of_the_table_is_a_member_at_its_offset_with_its_size)
{
    for (unsigned i = 0; i < fields.rows; i++) {
        const struct row *row = &fields.row[i];
        size_t offset = 0, size = 0;

        cr_assert(place(row, &offset, &size), "%s %s", row->cell[0], row->cell[3]);
        cr_expect_eq(offset, row_number(row, 1), "%s %s", row->cell[0], row->cell[3]);
        cr_expect_eq(size, row_number(row, 2), "%s %s", row->cell[0], row->cell[3]);
    }
}

Test(vmcb, every_member_is_in_the_table)
{
    static const char *const area[] = {"control", "save", "sev_es_save"};

    for (unsigned a = 0; a < 3; a++)
        for (const struct member *member = members_of(area[a]); member->name; member++) {
            size_t covered = 0;

            for (unsigned i = 0; i < fields.rows; i++) {
                uint64_t at = row_number(&fields.row[i], 1);

                if (!strcmp(fields.row[i].cell[0], area[a]) && at >= member->offset
                    && at < member->offset + member->size)
                    covered += row_number(&fields.row[i], 2);
            }
            cr_expect_eq(covered, member->size, "%s %s", area[a], member->name);
        }
}

Test(vmcb, sizes_are_the_hardware_s)
{
    cr_expect_eq(sizeof(struct hvctl_vmcb), 4096);
    cr_expect_eq(offsetof(struct hvctl_vmcb, save), 0x400);
    cr_expect_eq(sizeof(struct hvctl_vmsa), 4096);
}

/* Calls a setter with a value of the member's size taken from bytes. */
struct setter {
    const char *name;
    void (*set)(struct hvctl_vmcb *vmcb, const void *bytes);
    bool in_save;
};

#define X(member, offset, type, clean)                                                                                \
    static void call_##member(struct hvctl_vmcb *vmcb, const void *bytes)                                             \
    {                                                                                                                 \
        type value;                                                                                                   \
        memcpy(&value, bytes, sizeof(value));                                                                         \
        hvctl_vmcb_set_##member(vmcb, value);                                                                         \
    }
#define A(member, offset, type, count)
HVCTL_VMCB_CONTROL_FIELDS(X, A)
HVCTL_VMCB_SAVE_FIELDS(X, A)
#undef X
static const struct setter setters[] = {
#define X(member, offset, type, clean) {#member, call_##member, false},
    HVCTL_VMCB_CONTROL_FIELDS(X, A)
#undef X
#define X(member, offset, type, clean) {#member, call_##member, true},
    HVCTL_VMCB_SAVE_FIELDS(X, A)
#undef X
};
#undef A
#define SETTERS (sizeof(setters) / sizeof(setters[0]))

static struct hvctl_vmcb vmcb, before;

Test(vmcb, every_setter_writes_its_member_and_clears_the_clean_bit_that_covers_it)
{
    static struct table clean;
    unsigned covered = 0;

    table_load(&clean, "vmcb_clean.csv");
    for (size_t i = 0; i < SETTERS; i++) {
        const struct member *member = find(setters[i].in_save ? save : control, setters[i].name);
        size_t at = member->offset + (setters[i].in_save ? 0x400 : 0);
        unsigned char value[16];
        uint32_t bit = 0;

        for (unsigned k = 0; k < 16; k++)
            value[k] = (unsigned char)(0xa1 + k);
        for (unsigned k = 0; k < clean.rows; k++)
            if (!strcasecmp(clean.row[k].cell[1], setters[i].name)) {
                bit = UINT32_C(1) << row_number(&clean.row[k], 0);
                covered++;
            }
        hvctl_vmcb_zero(&vmcb);
        if (strcmp(setters[i].name, "vmcb_clean"))
            vmcb.control.vmcb_clean = 0xffffffff;
        before = vmcb;
        setters[i].set(&vmcb, value);
        cr_expect_eq(memcmp((char *)&vmcb + at, value, member->size), 0, "%s", setters[i].name);
        if (strcmp(setters[i].name, "vmcb_clean")) {
            cr_expect_eq(vmcb.control.vmcb_clean, ~bit, "%s: %x", setters[i].name, ~vmcb.control.vmcb_clean);
            vmcb.control.vmcb_clean = 0xffffffff;
        }
        memset((char *)&vmcb + at, 0, member->size);
        if (!strcmp(setters[i].name, "vmcb_clean"))
            before.control.vmcb_clean = 0;
        cr_expect_eq(memcmp(&vmcb, &before, sizeof(vmcb)), 0, "%s writes elsewhere", setters[i].name);
    }
    cr_expect_eq(covered, clean.rows, "a covered member has no setter");
}

Test(vmcb, all_clean_bits_are_set_and_cleared_together)
{
    hvctl_vmcb_zero(&vmcb);
    hvctl_vmcb_mark_clean(&vmcb);
    cr_expect_eq(vmcb.control.vmcb_clean, 0x1fff);
    hvctl_vmcb_touch_all(&vmcb);
    cr_expect_eq(vmcb.control.vmcb_clean, 0);
}

Test(vmcb, every_intercept_is_the_bit_of_the_table_and_is_known_by_its_exit_code)
{
    static struct table intercepts;

    table_load(&intercepts, "svm_intercepts.csv");
    cr_expect_eq(intercepts.rows, HVCTL_SVM_INTERCEPT_END);
    for (unsigned i = 0; i < intercepts.rows; i++) {
        const struct row *row = &intercepts.row[i];
        uint64_t code = row_number(row, 4);
        uint32_t word;

        hvctl_vmcb_zero(&vmcb);
        vmcb.control.vmcb_clean = 0xffffffff;
        cr_expect_not(hvctl_vmcb_intercepts(&vmcb, code));
        cr_assert_eq(hvctl_vmcb_intercept(&vmcb, code, true), HVCTL_OK);
        memcpy(&word, (char *)&vmcb + row_number(row, 1), 4);
        cr_expect_eq(word, UINT32_C(1) << row_number(row, 2), "%s", row->cell[3]);
        cr_expect(hvctl_vmcb_intercepts(&vmcb, code));
        cr_expect_eq(vmcb.control.vmcb_clean, 0xfffffffe);
        cr_expect_str_eq(hvctl_svm_exit_name(code), row->cell[3]);
        for (unsigned other = 0; other < intercepts.rows; other++)
            cr_expect(other == i || !hvctl_vmcb_intercepts(&vmcb, row_number(&intercepts.row[other], 4)));
        memset(&vmcb, 0xff, sizeof(vmcb));
        cr_assert_eq(hvctl_vmcb_intercept(&vmcb, code, false), HVCTL_OK);
        memcpy(&word, (char *)&vmcb + row_number(row, 1), 4);
        cr_expect_eq(word, ~(UINT32_C(1) << row_number(row, 2)), "%s", row->cell[3]);
    }
}

Test(vmcb, codes_without_an_intercept_are_refused)
{
    hvctl_vmcb_zero(&vmcb);
    before = vmcb;
    cr_expect_eq(hvctl_vmcb_intercept(&vmcb, HVCTL_SVM_EXIT_NPF, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmcb_intercept(&vmcb, 0xa7, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmcb_intercept(&vmcb, HVCTL_SVM_EXIT_INVALID, true), HVCTL_E_RANGE);
    cr_expect_not(hvctl_vmcb_intercepts(&vmcb, HVCTL_SVM_EXIT_INVALID));
    cr_expect_eq(memcmp(&vmcb, &before, sizeof(vmcb)), 0);
}

Test(vmcb, nested_paging_and_virtual_interrupts_keep_the_bits_around_them)
{
    hvctl_vmcb_zero(&vmcb);
    vmcb.control.nested_control = HVCTL_NESTED_GMET;
    vmcb.control.virtual_interrupt_control = 0xf;
    hvctl_vmcb_mark_clean(&vmcb);
    hvctl_vmcb_set_nested_paging(&vmcb, 0x5000, UINT64_C(0x0007040600070406));
    cr_expect_eq(vmcb.control.nested_control, 0x9);
    cr_expect_eq(vmcb.control.n_cr3, 0x5000);
    cr_expect_eq(vmcb.save.g_pat, UINT64_C(0x0007040600070406));
    cr_expect_eq(vmcb.control.vmcb_clean, 0x1fff & ~0x10);
    hvctl_vmcb_virtual_interrupt(&vmcb, HVCTL_VINTR_MASKING | HVCTL_VINTR_IRQ, 0x3);
    cr_expect_eq(vmcb.control.virtual_interrupt_control, 0x100010c);
    cr_expect_eq(vmcb.control.vmcb_clean, 0x1fff & ~0x18);
}
