/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any text as a dump of a VMCS. What is understood makes an image whose own dump makes the same image;
 * what is not names its line, and no field has a bit that it cannot have.
 *
 * Input: a byte that chooses the CPU and the room for the text, then the dump.
 */
#include "../unit/hvpt/support/check.h"

#include <hvctl/vmx/vmcs_dump.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hvctl_vmcs_image image, again;
static struct hvctl_vmx_caps caps;
static char text_bytes[32768];

static void make_caps(unsigned choice)
{
    memset(&caps, 0, sizeof(caps));
    caps.pin = caps.primary = caps.exit = caps.entry = caps.secondary = choice & 1 ? ~UINT64_C(0) << 32 : 0;
    caps.tertiary = choice & 2 ? ~UINT64_C(0) : 0;
    caps.misc = choice & 4 ? HVCTL_VMX_MISC_VMWRITE_ANY_FIELD | UINT64_C(4) << 16 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text;
    unsigned line = 0, lines = 1;
    enum hvctl_status status;

    if (size == 0)
        return 0;
    make_caps(data[0]);
    hvctl_vmcs_image_init(&image, data[0] & 8 ? &caps : NULL);
    status = hvctl_vmcs_restore(&image, (const char *)data + 1, size - 1, &line);
    for (size_t i = 1; i < size; i++)
        lines += data[i] == '\n';
    CHECK(status == HVCTL_OK || status == HVCTL_E_SYNTAX || status == HVCTL_E_FIELD || status == HVCTL_E_ABSENT
              || status == HVCTL_E_WIDTH,
          "status \"%s\"", hvctl_status_text(status));
    CHECK(status == HVCTL_OK || (line >= 1 && line <= lines), "line %u of %u", line, lines);

    for (unsigned slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++) {
        unsigned bits = hvctl_vmcs_width_bits(hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).width);

        CHECK(bits == 64 || image.value[slot] >> bits == 0, "%s is too wide", hvctl_vmcs_slot_info(slot)->name);
        CHECK(hvctl_vmcs_set_has(&image.exists, slot)
                  || (image.value[slot] == 0 && !hvctl_vmcs_set_has(&image.dirty, slot)),
              "%s is not there and has a value", hvctl_vmcs_slot_info(slot)->name);
    }

    text = hvpt_text_into(&buffer, text_bytes, sizeof(text_bytes));
    hvctl_vmcs_dump(&image, &text);
    CHECK(buffer.needed < sizeof(text_bytes), "a dump of %zu bytes", buffer.needed);
    CHECK_EQ(strlen(text_bytes), buffer.needed, "length of the dump");
    hvctl_vmcs_image_init(&again, data[0] & 8 ? &caps : NULL);
    CHECK_EQ(hvctl_vmcs_restore(&again, text_bytes, buffer.needed, NULL), HVCTL_OK, "the image's own dump");
    CHECK_EQ(hvctl_vmcs_diff(&image, &again, NULL, NULL), 0, "fields that a dump loses");

    text = hvpt_text_into(&buffer, text_bytes, data[0] * 16u);
    hvctl_vmcs_dump(&image, &text);
    CHECK(data[0] == 0 || memchr(text_bytes, 0, data[0] * 16u) != NULL, "a dump that does not end");
    return 0;
}
