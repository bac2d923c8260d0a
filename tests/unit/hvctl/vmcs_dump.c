/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Dump and restore of an image, and typed access. The text's form is what the header promises. */
#include <hvctl/vmx/vmcs_dump.h>
#include <hvctl/vmx/vmcs_typed.h>

#include "support/models.h"

static struct hvctl_vmcs_image image, other;
static char bytes[20000];
static struct hvpt_text_buffer buffer;
static struct table fields;

static void load(void)
{
    table_load(&fields, "vmcs_fields.csv");
}

TestSuite(vmcs_dump, .init = load);

static void fill(void)
{
    for (unsigned i = 0; i < fields.rows; i++) {
        uint32_t encoding = (uint32_t)row_number(&fields.row[i], 0);
        uint64_t value = (encoding + 1) * UINT64_C(0x9e3779b97f4a7c15);
        unsigned bits = !strcmp(fields.row[i].cell[2], "16") ? 16 : !strcmp(fields.row[i].cell[2], "32") ? 32 : 64;

        if (hvctl_vmcs_has(&image, encoding))
            cr_assert_eq(hvctl_vmcs_write(&image, encoding, bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1)),
                         HVCTL_OK);
    }
}

Test(vmcs_dump, a_dump_restores_to_the_same_image)
{
    for (unsigned m = 0; m <= MODELS; m++) {
        struct hvctl_vmx_caps caps;
        struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
        unsigned line = 0;

        if (m < MODELS)
            model_caps(model_name[m], &caps);
        hvctl_vmcs_image_init(&image, m < MODELS ? &caps : NULL);
        hvctl_vmcs_image_init(&other, m < MODELS ? &caps : NULL);
        fill();
        hvctl_vmcs_dump(&image, &text);
        cr_assert_lt(buffer.needed, buffer.size);
        cr_assert_eq(hvctl_vmcs_restore(&other, bytes, buffer.needed, &line), HVCTL_OK, "line %u", line);
        cr_expect_eq(hvctl_vmcs_diff(&image, &other, NULL, NULL), 0);
    }
}

Test(vmcs_dump, every_field_that_exists_has_its_line_and_no_other)
{
    struct hvctl_vmx_caps caps;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    model_caps("haswell_4770", &caps);
    hvctl_vmcs_image_init(&image, &caps);
    hvctl_vmcs_dump(&image, &text);
    for (unsigned i = 0; i < fields.rows; i++) {
        char line[100];

        snprintf(line, sizeof(line), "\n%s = 0x0", fields.row[i].cell[1]);
        cr_expect_eq(strstr(bytes, line) != NULL, hvctl_vmcs_has(&image, (uint32_t)row_number(&fields.row[i], 0)), "%s",
                     line);
    }
}

Test(vmcs_dump, control_words_come_with_their_bits_in_words)
{
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 0x3f), HVCTL_OK);
    hvctl_vmcs_dump_field(&image, HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, &text);
    cr_expect_str_eq(bytes, "PIN_BASED_VM_EXECUTION_CONTROLS = 0x3f # PIN_EXTERNAL_INTERRUPT_EXITING, PIN_NMI_EXITING, "
                            "PIN_VIRTUAL_NMIS\n");
    text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
    hvctl_vmcs_dump_field(&image, HVCTL_VMCS_VM_FUNCTION_CONTROLS, &text);
    hvctl_vmcs_dump_field(&image, 0x2046, &text);
    cr_expect_str_eq(bytes, "VM_FUNCTION_CONTROLS = 0x0 # none that has a name\n");
}

static enum hvctl_status restore(const char *text, unsigned *line)
{
    return hvctl_vmcs_restore(&image, text, strlen(text), line);
}

Test(vmcs_dump, lines_may_have_blanks_and_comments)
{
    unsigned line = 0;

    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(restore("\n  # nothing\r\n\tGUEST_CR3=0xAbC # a comment\r\nGUEST_RIP   =   0x10", &line), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_GUEST_CR3), 0xabc);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_GUEST_RIP), 0x10);
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_RIP));
}

Test(vmcs_dump, bad_lines_are_named_by_their_number)
{
    static const struct {
        const char *text;
        enum hvctl_status status;
        unsigned line;
    } bad[] = {
        {"GUEST_CR3 0x5", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3 =", HVCTL_E_SYNTAX, 1},
        {"\nGUEST_CR3 = 5", HVCTL_E_SYNTAX, 2},
        {"GUEST_CR3 = 0x", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3 = 0x5g", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3 = 0x5 6", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3 = 0x00000000000000005", HVCTL_E_SYNTAX, 1},
        {"GUEST_CR3 = 0x5\nGUEST_CR9 = 0x5", HVCTL_E_FIELD, 2},
        {"= 0x5", HVCTL_E_FIELD, 1},
        {"#\n#\nGUEST_ES_SELECTOR = 0x10000", HVCTL_E_WIDTH, 3},
        {"PML_ADDRESS = 0x1000", HVCTL_E_ABSENT, 1},
        {"EXIT_REASON = 0x100000000", HVCTL_E_WIDTH, 1},
    };
    struct hvctl_vmx_caps caps;

    model_caps("haswell_4770", &caps);
    for (unsigned misc = 0; misc < 2; misc++) {
        caps.misc ^= UINT64_C(1) << 29; /* exit information read-only, and not */
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            unsigned line = 0;

            hvctl_vmcs_image_init(&image, &caps);
            cr_expect_eq(restore(bad[i].text, &line), bad[i].status, "%s", bad[i].text);
            cr_expect_eq(line, bad[i].line, "%s", bad[i].text);
            cr_expect_eq(restore(bad[i].text, NULL), bad[i].status);
        }
    }
}

Test(vmcs_dump, read_only_fields_are_restored_and_never_stored)
{
    struct hvctl_vmx_caps caps;

    model_caps("haswell_4770", &caps);
    caps.misc &= ~(UINT64_C(1) << 29);
    hvctl_vmcs_image_init(&image, &caps);
    cr_expect_eq(restore("EXIT_REASON = 0x30", NULL), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_EXIT_REASON), 0x30);
    cr_expect_not(hvctl_vmcs_dirty(&image, HVCTL_VMCS_EXIT_REASON));
}

Test(vmcs_dump, typed_fields_have_the_encodings_and_widths_of_the_table)
{
    hvctl_vmcs_image_init(&image, NULL);
    cr_expect_eq(hvctl_vmcs_set_16(&image, hvctl_vmcs_GUEST_ES_SELECTOR(), 0xabcd), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_set_32(&image, hvctl_vmcs_EXCEPTION_BITMAP(), 0x12345678), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_set_64(&image, hvctl_vmcs_EPT_POINTER(), UINT64_C(0x123456789abc)), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_set_natural(&image, hvctl_vmcs_GUEST_CR3(), 0x5000), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, 0x800), 0xabcd);
    cr_expect_eq(hvctl_vmcs_get(&image, 0x4004), 0x12345678);
    cr_expect_eq(hvctl_vmcs_get(&image, 0x201a), UINT64_C(0x123456789abc));
    cr_expect_eq(hvctl_vmcs_get(&image, 0x6802), 0x5000);
    cr_expect_eq(hvctl_vmcs_get_16(&image, hvctl_vmcs_GUEST_ES_SELECTOR()), 0xabcd);
    cr_expect_eq(hvctl_vmcs_get_32(&image, hvctl_vmcs_EXCEPTION_BITMAP()), 0x12345678);
    cr_expect_eq(hvctl_vmcs_get_64(&image, hvctl_vmcs_EPT_POINTER()), UINT64_C(0x123456789abc));
    cr_expect_eq(hvctl_vmcs_get_natural(&image, hvctl_vmcs_GUEST_CR3()), 0x5000);
}
