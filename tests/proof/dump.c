/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Restore of a dump is the identity: an image with a value in every field, and in each field in turn every value with one
 * digit that is not 0, or one that is not F, is the same after its dump was read into an image that knows nothing.
 * What a number may be besides is number.c's.
 */
#include "enumerate.h"

#include <string.h>

#include <hvctl/vmx/vmcs_dump.h>

static struct hvctl_vmcs_image image, read_back;
static char bytes[32768];

static unsigned bits_of(unsigned slot)
{
    return hvctl_vmcs_width_bits(hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).width);
}

static uint64_t cut(unsigned slot, uint64_t value)
{
    return bits_of(slot) == 64 ? value : value & ((UINT64_C(1) << bits_of(slot)) - 1);
}

static void run(void)
{
    const unsigned slot = choose(HVCTL_VMCS_SLOT_COUNT);
    const unsigned digit = choose(bits_of(slot) / 4);
    const uint64_t value = (uint64_t)choose(16) << (4 * digit);
    const bool inverse = choose(2), writable = choose(2);
    struct hvpt_text_buffer buffer;
    struct hvpt_text text;
    unsigned i, line = 0;

    assume(hvctl_vmcs_slot_info(slot)->name != NULL);
    hvctl_vmcs_image_init(&image, NULL);
    for (i = 0; i < HVCTL_VMCS_SLOT_COUNT; i++)
        if (hvctl_vmcs_set_has(&image.exists, i))
            image.value[i] = cut(i, UINT64_C(0x9e3779b97f4a7c15) * (i + 1));
    image.value[slot] = cut(slot, inverse ? ~value : value);
    image.exit_info_writable = writable;
    text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
    hvctl_vmcs_dump(&image, &text);
    must(buffer.needed < sizeof(bytes), "a dump has room");

    hvctl_vmcs_image_init_unknown(&read_back, NULL);
    read_back.exit_info_writable = writable;
    must(hvctl_vmcs_restore(&read_back, bytes, buffer.needed, &line) == HVCTL_OK, "it is read to its end");
    must(memcmp(image.value, read_back.value, sizeof(image.value)) == 0, "every field has its value again");
    must(memcmp(&image.exists, &read_back.known, sizeof(image.exists)) == 0, "and is known");
}

int main(void)
{
    enumerate(run);
    return 0;
}
