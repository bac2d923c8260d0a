/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Fields of an image, written where they must be there, and values that fit into them. */
#ifndef FIELDS_H
#define FIELDS_H

#include <hvctl/vmx/vmcs_dump.h>

#include <criterion/criterion.h>

static inline void put(struct hvctl_vmcs_image *image, uint32_t field, uint64_t value)
{
    cr_assert_eq(hvctl_vmcs_write(image, field, value), HVCTL_OK, "%s", hvctl_vmcs_field_name(field));
}

/* value, as far as the slot's field is wide. */
static inline uint64_t cut(unsigned slot, uint64_t value)
{
    unsigned bits = hvctl_vmcs_width_bits(hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).width);

    return bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value;
}

#endif
