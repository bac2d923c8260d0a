/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The field table and the image. SDM vol. 3, "Field Encoding in VMCS", as recorded in vmcs_fields.csv. */
#include <hvctl/vmx/vmcs.h>

#include "support/models.h"

static struct table fields;

static void load(void)
{
    table_load(&fields, "vmcs_fields.csv");
}

TestSuite(vmcs, .init = load);

static uint32_t encoding_of(const struct row *row)
{
    return (uint32_t)row_number(row, 0);
}

/*
 * "secondary.enable_ept" in the table is SECONDARY_ENABLE_EPT in the headers; the few other conditions have a name
 * each.
 */
static enum hvctl_vmx_control control_called(const char *condition, const char *field)
{
    char name[80] = "";

    if (!*condition)
        return HVCTL_NEVER;
    if (!strcmp(condition, "vmx_misc.cr3_target_count"))
        return (enum hvctl_vmx_control)(HVCTL_CR3_TARGETS_1 + (field[strlen(field) - 1] - '0'));
    if (!strcmp(condition, "cpuid.fred"))
        return HVCTL_CPUID_FRED;
    if (!strcmp(condition, "cpuid.apx_f"))
        return HVCTL_CPUID_APX;
    if (!strncmp(condition, "vm_function.", 12)) {
        strcpy(name, "VMFUNC_");
        condition += 12;
    }
    for (size_t at = strlen(name); *condition; condition++)
        name[at++] = *condition == '.' ? '_' : (char)(*condition >= 'a' ? *condition - 32 : *condition);
    for (size_t i = 0;; i++) {
        const struct hvctl_vmx_control_info *info = hvctl_vmx_control_at(i);

        cr_assert(info, "no control %s", name);
        if (!strcmp(info->name, name))
            return info->control;
    }
}

Test(vmcs, every_record_of_the_table_is_a_field_with_its_name_width_type_and_index)
{
    for (unsigned i = 0; i < fields.rows; i++) {
        const struct row *row = &fields.row[i];
        struct hvctl_vmcs_encoding part = hvctl_vmcs_decode(encoding_of(row));
        const char *name = hvctl_vmcs_field_name(encoding_of(row));
        static const char *const type[] = {"control", "exit_info", "guest", "host"};
        static const char *const width[] = {"16", "64", "32", "natural"};

        cr_assert(name, "%s has no name", row->cell[1]);
        cr_expect_str_eq(name, row->cell[1]);
        cr_expect_eq(hvctl_vmcs_field_by_name(row->cell[1], strlen(row->cell[1])), encoding_of(row), "%s", name);
        cr_expect(part.well_formed && !part.high);
        cr_expect_str_eq(width[part.width], row->cell[2]);
        cr_expect_str_eq(type[part.type], row->cell[3]);
        cr_expect_eq(part.index, row_number(row, 4));
        cr_expect_eq(hvctl_vmcs_encode(part.width, part.type, part.index), encoding_of(row));
    }
}

Test(vmcs, the_list_has_no_field_that_the_table_does_not_have)
{
    unsigned named = 0;

    for (uint32_t encoding = 0; encoding < 0x10000; encoding++)
        if (hvctl_vmcs_field_name(encoding) && !(encoding & 1))
            named++;
    cr_expect_eq(named, fields.rows, "%u", named);
}

Test(vmcs, gaps_are_no_fields)
{
    static struct table gaps;

    table_load(&gaps, "vmcs_gaps.csv");
    for (unsigned i = 0; i < gaps.rows; i++)
        cr_expect_null(hvctl_vmcs_field_name((uint32_t)row_number(&gaps.row[i], 0)));
}

/* The width, type and condition columns of the list are for readers; they must say what the encoding says. */
Test(vmcs, the_columns_of_the_list_agree_with_the_encodings)
{
    enum { WIDTH_16 = 0, WIDTH_64 = 1, WIDTH_32 = 2, WIDTH_NATURAL = 3 };
    enum { TYPE_CONTROL = 0, TYPE_EXIT_INFO = 1, TYPE_GUEST = 2, TYPE_HOST = 3 };
    static const struct {
        unsigned encoding, width, type, slot;
    } list[] = {
#define X(name, encoding, width, type, when, or_when) {encoding, WIDTH_##width, TYPE_##type, HVCTL_VMCS_SLOT_##name},
        HVCTL_VMCS_FIELDS(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        cr_expect_eq(list[i].encoding >> 13, list[i].width, "%x", list[i].encoding);
        cr_expect_eq(list[i].encoding >> 10 & 3, list[i].type, "%x", list[i].encoding);
        cr_expect_eq(hvctl_vmcs_slot(list[i].encoding), list[i].slot, "%x", list[i].encoding);
    }
}

Test(vmcs, conditions_are_those_of_the_table)
{
    for (unsigned i = 0; i < fields.rows; i++) {
        const struct row *row = &fields.row[i];
        const struct hvctl_vmcs_field_row *field = hvctl_vmcs_field_info(encoding_of(row));
        enum hvctl_vmx_control when = *row->cell[5] ? control_called(row->cell[5], row->cell[1]) : HVCTL_ALWAYS;

        cr_expect_eq(field->when, when, "%s", row->cell[1]);
        cr_expect_eq(field->or_when, control_called(row->cell[6], row->cell[1]), "%s", row->cell[1]);
    }
}

Test(vmcs, slots_are_distinct_and_decoding_is_total)
{
    static bool seen[HVCTL_VMCS_SLOT_COUNT];
    uint32_t step = 0x9e3779b1u, encoding = 0;

    for (unsigned i = 0; i < fields.rows; i++) {
        unsigned slot = hvctl_vmcs_slot(encoding_of(&fields.row[i]));

        cr_assert_lt(slot, HVCTL_VMCS_SLOT_COUNT);
        cr_expect_not(seen[slot], "%s", fields.row[i].cell[1]);
        seen[slot] = true;
    }
    for (unsigned i = 0; i < 2000000; i++, encoding += step) {
        unsigned slot = hvctl_vmcs_slot(encoding);

        if (slot < HVCTL_VMCS_SLOT_COUNT)
            cr_assert_eq(hvctl_vmcs_slot_info(slot)->encoding, encoding & ~1u);
        if (encoding > 0x7fff)
            cr_assert(slot == HVCTL_VMCS_SLOT_COUNT && !hvctl_vmcs_field_name(encoding));
    }
}

Test(vmcs, a_high_half_exists_for_64_bit_fields_only)
{
    for (unsigned i = 0; i < fields.rows; i++) {
        const char *high = hvctl_vmcs_field_name(encoding_of(&fields.row[i]) | 1);

        if (strcmp(fields.row[i].cell[2], "64"))
            cr_expect_null(high, "%s", fields.row[i].cell[1]);
        else
            cr_expect_str_eq(high, fields.row[i].cell[1]);
    }
}

Test(vmcs, a_name_is_found_in_full_only)
{
    cr_expect_eq(hvctl_vmcs_field_by_name("GUEST_CR3x", 9), 0x6802);
    cr_expect_eq(hvctl_vmcs_field_by_name("GUEST_CR", 8), HVCTL_VMCS_NO_FIELD);
    cr_expect_eq(hvctl_vmcs_field_by_name("GUEST_CR33", 10), HVCTL_VMCS_NO_FIELD);
    cr_expect_eq(hvctl_vmcs_field_by_name("", 0), HVCTL_VMCS_NO_FIELD);
    cr_expect_null(hvctl_vmcs_field_name(HVCTL_VMCS_NO_FIELD));
}

/* What VMREAD accepts on five emulated CPUs, counted there. */
Test(vmcs, the_fields_that_exist_on_emulated_cpus_are_as_many_as_vmread_accepts)
{
    for (unsigned m = 0; m < MODELS; m++) {
        static struct model model;
        struct hvctl_vmx_caps caps;
        unsigned exist = 0;

        model_load(&model, model_name[m]);
        model_caps(model_name[m], &caps);
        for (unsigned i = 0; i < fields.rows; i++)
            exist += hvctl_vmcs_field_exists(encoding_of(&fields.row[i]), &caps);
        cr_expect_eq(exist, model.fields, "%s: %u instead of %u", model_name[m], exist, model.fields);
    }
}

Test(vmcs, each_condition_brings_its_fields_and_no_others)
{
    static struct hvctl_vmx_caps nothing;

    for (unsigned i = 0; i < fields.rows; i++) {
        const struct row *row = &fields.row[i];
        bool always = !*row->cell[5];

        cr_expect_eq(hvctl_vmcs_field_exists(encoding_of(row), &nothing), always, "%s", row->cell[1]);
        cr_expect(hvctl_vmcs_field_exists(encoding_of(row), NULL));
    }
    cr_expect_not(hvctl_vmcs_field_exists(0x2046, NULL));
}

static struct hvctl_vmcs_image image;

/* A pattern that fits each width, and differs from field to field. */
static uint64_t pattern(const struct row *row)
{
    uint64_t value = (encoding_of(row) + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return strcmp(row->cell[2], "16") == 0 ? value & 0xffff
         : strcmp(row->cell[2], "32") == 0 ? value & 0xffffffff
                                           : value;
}

Test(vmcs, each_field_keeps_its_own_value)
{
    hvctl_vmcs_image_init(&image, NULL);
    for (unsigned i = 0; i < fields.rows; i++) {
        cr_expect_not(hvctl_vmcs_dirty(&image, encoding_of(&fields.row[i])));
        cr_assert_eq(hvctl_vmcs_write(&image, encoding_of(&fields.row[i]), pattern(&fields.row[i])), HVCTL_OK);
        cr_expect(hvctl_vmcs_dirty(&image, encoding_of(&fields.row[i])));
    }
    for (unsigned i = 0; i < fields.rows; i++) {
        uint64_t value;

        cr_assert_eq(hvctl_vmcs_read(&image, encoding_of(&fields.row[i]), &value), HVCTL_OK);
        cr_expect_eq(value, pattern(&fields.row[i]), "%s", fields.row[i].cell[1]);
        cr_expect_eq(hvctl_vmcs_get(&image, encoding_of(&fields.row[i])), value);
    }
}

Test(vmcs, a_value_wider_than_its_field_is_refused_and_changes_nothing)
{
    hvctl_vmcs_image_init(&image, NULL);
    for (unsigned i = 0; i < fields.rows; i++) {
        const struct row *row = &fields.row[i];
        unsigned bits = !strcmp(row->cell[2], "16") ? 16 : !strcmp(row->cell[2], "32") ? 32 : 64;

        if (bits == 64)
            continue;
        cr_expect_eq(hvctl_vmcs_write(&image, encoding_of(row), UINT64_C(1) << bits), HVCTL_E_WIDTH, "%s",
                     row->cell[1]);
        cr_expect_eq(hvctl_vmcs_write(&image, encoding_of(row), (UINT64_C(1) << bits) - 1), HVCTL_OK, "%s",
                     row->cell[1]);
    }
    cr_expect_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_EPT_POINTER + 1, UINT64_C(1) << 32), HVCTL_E_WIDTH);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_EPT_POINTER), 0);
    cr_expect_not(hvctl_vmcs_dirty(&image, HVCTL_VMCS_EPT_POINTER));
}

Test(vmcs, halves_of_a_64_bit_field_are_two_accesses_to_one_value)
{
    uint64_t value;

    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_TSC_OFFSET, UINT64_C(0x1122334455667788)), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_read(&image, HVCTL_VMCS_TSC_OFFSET + 1, &value), HVCTL_OK);
    cr_expect_eq(value, 0x11223344);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_TSC_OFFSET + 1, 0xaabbccdd), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_TSC_OFFSET), UINT64_C(0xaabbccdd55667788));
    cr_expect_eq(hvctl_vmcs_read(&image, HVCTL_VMCS_GUEST_CR3 + 1, &value), HVCTL_E_FIELD);
}

Test(vmcs, what_a_cpu_lacks_is_refused_and_named)
{
    struct hvctl_vmx_caps caps;
    uint64_t value = 1;

    model_caps("haswell_4770", &caps);
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(hvctl_vmcs_read(&image, HVCTL_VMCS_PML_ADDRESS, &value), HVCTL_E_ABSENT);
    cr_expect_eq(value, 0);
    cr_expect_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_PML_ADDRESS, 0x1000), HVCTL_E_ABSENT);
    cr_expect_eq(hvctl_vmcs_field_info(HVCTL_VMCS_PML_ADDRESS)->when, HVCTL_SECONDARY_ENABLE_PML);
    cr_expect_not(hvctl_vmcs_has(&image, HVCTL_VMCS_PML_ADDRESS));
    cr_expect(hvctl_vmcs_has(&image, HVCTL_VMCS_EPT_POINTER));
    cr_expect_eq(hvctl_vmcs_read(&image, 0x2046, &value), HVCTL_E_FIELD);
    cr_expect_eq(hvctl_vmcs_write(&image, 0x12345678, 0), HVCTL_E_FIELD);
    cr_expect_not(hvctl_vmcs_has(&image, 0xffffffff));
    cr_expect_not(hvctl_vmcs_dirty(&image, 0xffffffff));
}

Test(vmcs, exit_information_is_read_only_unless_the_cpu_says_otherwise)
{
    struct hvctl_vmx_caps caps;

    model_caps("haswell_4770", &caps); /* IA32_VMX_MISC[29] is 1 there: clear it */
    caps.misc &= ~(UINT64_C(1) << 29);
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_EXIT_REASON, 1), HVCTL_E_READONLY);
    hvctl_vmcs_touch_all(&image);
    cr_expect_not(hvctl_vmcs_dirty(&image, HVCTL_VMCS_EXIT_REASON));
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_CR3));
    caps.misc |= UINT64_C(1) << 29;
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_EXIT_REASON, 1), HVCTL_OK);
    hvctl_vmcs_touch_all(&image);
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS));
}

Test(vmcs, a_row_of_writes_stops_at_the_first_error)
{
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmcs_image_init(&image, NULL);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_CR3, 1, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_ES_SELECTOR, 0x10000, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_CR4, 1, &status);
    cr_expect_eq(status, HVCTL_E_WIDTH);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_GUEST_CR3), 1);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_GUEST_CR4), 0);
}

/* A CPU's VMCS: a plain array by encoding, with a log of accesses and one encoding that fails. */
struct fake {
    uint64_t value[0x8000];
    unsigned reads, writes;
    uint32_t refuses;
};

static bool fake_vmread(void *ctx, uint32_t encoding, uint64_t *value)
{
    struct fake *fake = ctx;

    fake->reads++;
    *value = fake->value[encoding];
    return encoding != fake->refuses;
}

static bool fake_vmwrite(void *ctx, uint32_t encoding, uint64_t value)
{
    struct fake *fake = ctx;

    if (encoding == fake->refuses)
        return false;
    fake->writes++;
    fake->value[encoding] = value;
    return true;
}

static struct fake fake;

Test(vmcs, only_what_changed_is_stored)
{
    uint32_t failed = 0;

    fake.refuses = 0xffffffff;
    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_store(&image, fake_vmwrite, &fake, &failed), HVCTL_OK);
    cr_expect_eq(fake.writes, 0);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_GUEST_CR3, 0x5000), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_EPT_POINTER + 1, 7), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_store(&image, fake_vmwrite, &fake, NULL), HVCTL_OK);
    cr_expect_eq(fake.writes, 2);
    cr_expect_eq(fake.value[HVCTL_VMCS_GUEST_CR3], 0x5000);
    cr_expect_eq(fake.value[HVCTL_VMCS_EPT_POINTER], UINT64_C(7) << 32);
    cr_assert_eq(hvctl_vmcs_store(&image, fake_vmwrite, &fake, NULL), HVCTL_OK);
    cr_expect_eq(fake.writes, 2);
}

Test(vmcs, a_load_takes_the_fields_that_exist_of_the_types_asked_for)
{
    struct hvctl_vmx_caps caps;
    static struct model model;
    unsigned exit_info = 0;

    model_load(&model, "tigerlake");
    model_caps("tigerlake", &caps);
    fake.refuses = 0xffffffff;
    for (unsigned i = 0; i < fields.rows; i++) {
        fake.value[encoding_of(&fields.row[i])] = pattern(&fields.row[i]);
        exit_info +=
            !strcmp(fields.row[i].cell[3], "exit_info") && hvctl_vmcs_field_exists(encoding_of(&fields.row[i]), &caps);
    }
    hvctl_vmcs_image_init(&image, &caps);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_GUEST_CR3, 1), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_load(&image, HVCTL_VMCS_LOAD_EXIT_INFO, fake_vmread, &fake, NULL), HVCTL_OK);
    cr_expect_eq(fake.reads, exit_info);
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_CR3));
    fake.reads = 0;
    cr_assert_eq(hvctl_vmcs_load(&image, HVCTL_VMCS_LOAD_ALL, fake_vmread, &fake, NULL), HVCTL_OK);
    cr_expect_eq(fake.reads, model.fields);
    cr_expect_not(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_CR3));
    for (unsigned i = 0; i < fields.rows; i++)
        if (hvctl_vmcs_has(&image, encoding_of(&fields.row[i])))
            cr_expect_eq(hvctl_vmcs_get(&image, encoding_of(&fields.row[i])), pattern(&fields.row[i]));
}

Test(vmcs, an_error_of_the_cpu_names_the_field)
{
    uint32_t failed = 0;
    uint64_t value;

    hvctl_vmcs_image_init(&image, NULL);
    hvctl_vmcs_touch_all(&image);
    fake.refuses = HVCTL_VMCS_GUEST_RIP;
    cr_expect_eq(hvctl_vmcs_store(&image, fake_vmwrite, &fake, &failed), HVCTL_E_CPU);
    cr_expect_eq(failed, HVCTL_VMCS_GUEST_RIP);
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_RIP));
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_HOST_RIP));
    cr_expect_not(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_CR0));
    failed = 0;
    cr_expect_eq(hvctl_vmcs_load(&image, HVCTL_VMCS_LOAD_GUEST, fake_vmread, &fake, &failed), HVCTL_E_CPU);
    cr_expect_eq(failed, HVCTL_VMCS_GUEST_RIP);
    cr_expect_eq(hvctl_vmcs_load(&image, HVCTL_VMCS_LOAD_GUEST, fake_vmread, &fake, NULL), HVCTL_E_CPU);
    cr_expect_eq(hvctl_vmcs_store(&image, fake_vmwrite, &fake, NULL), HVCTL_E_CPU);
    cr_expect_eq(hvctl_vmcs_load_field(&image, HVCTL_VMCS_GUEST_RIP, fake_vmread, &fake), HVCTL_E_CPU);
    cr_expect_eq(hvctl_vmcs_load_field(&image, 0x7ffe, fake_vmread, &fake), HVCTL_E_FIELD);
    fake.value[HVCTL_VMCS_TSC_OFFSET] = UINT64_C(0x123456789);
    cr_expect_eq(hvctl_vmcs_load_field(&image, HVCTL_VMCS_TSC_OFFSET + 1, fake_vmread, &fake), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_read(&image, HVCTL_VMCS_TSC_OFFSET, &value), HVCTL_OK);
    cr_expect_eq(value, UINT64_C(0x123456789));
}

static unsigned calls;
static uint32_t last_difference;

static bool note_difference(void *ctx, uint32_t encoding, uint64_t before, uint64_t after)
{
    calls++;
    last_difference = encoding;
    cr_expect_neq(before, after);
    return *(bool *)ctx;
}

Test(vmcs, differences_are_found_field_by_field)
{
    static struct hvctl_vmcs_image other;
    bool go_on = true;

    hvctl_vmcs_image_init(&image, NULL);
    other = image;
    cr_expect_eq(hvctl_vmcs_diff(&image, &other, note_difference, &go_on), 0);
    cr_assert_eq(hvctl_vmcs_write(&other, HVCTL_VMCS_GUEST_RFLAGS, 2), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&other, HVCTL_VMCS_HOST_RIP, 3), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_diff(&image, &other, note_difference, &go_on), 2);
    cr_expect(calls == 2 && last_difference == HVCTL_VMCS_HOST_RIP);
    go_on = false;
    cr_expect_eq(hvctl_vmcs_diff(&image, &other, note_difference, &go_on), 1);
    cr_expect_eq(last_difference, HVCTL_VMCS_GUEST_RFLAGS);
    cr_expect_eq(hvctl_vmcs_diff(&image, &other, NULL, NULL), 2);
}
