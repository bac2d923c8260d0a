/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS image with their widths in the types: hvctl_vmcs_set_16(image, hvctl_vmcs_GUEST_ES_SELECTOR(),
 * 8) takes a uint16_t, and a field of another width does not compile.
 */
#ifndef HVCTL_VMX_VMCS_TYPED_H
#define HVCTL_VMX_VMCS_TYPED_H

#include "vmcs.h"

/* One type for each width, because distinct structs do not convert into each other. */
struct hvctl_vmcs_field_16 {
    uint16_t encoding;
};
struct hvctl_vmcs_field_32 {
    uint16_t encoding;
};
struct hvctl_vmcs_field_64 {
    uint16_t encoding;
};
struct hvctl_vmcs_field_natural {
    uint16_t encoding;
};

/*
 * hvctl_vmcs_GUEST_CR3() and so on: the field as its width's type. A constant in all but name, which C and C++ both
 * fold.
 */
#define HVCTL_VMCS_TYPE_16 struct hvctl_vmcs_field_16
#define HVCTL_VMCS_TYPE_32 struct hvctl_vmcs_field_32
#define HVCTL_VMCS_TYPE_64 struct hvctl_vmcs_field_64
#define HVCTL_VMCS_TYPE_NATURAL struct hvctl_vmcs_field_natural
#define HVCTL_X(name, number, width, type, when, or_when)                                                             \
    static inline HVCTL_VMCS_TYPE_##width hvctl_vmcs_##name(void)                                                     \
    {                                                                                                                 \
        HVCTL_VMCS_TYPE_##width field = {number};                                                                     \
        return field;                                                                                                 \
    }
HVCTL_VMCS_FIELDS(HVCTL_X)
#undef HVCTL_X

/* Read a field that may be absent: 0 then, as hvctl_vmcs_get. */
static inline uint16_t hvctl_vmcs_get_16(const struct hvctl_vmcs_image *image, struct hvctl_vmcs_field_16 field)
{
    return (uint16_t)hvctl_vmcs_get(image, field.encoding);
}

static inline uint32_t hvctl_vmcs_get_32(const struct hvctl_vmcs_image *image, struct hvctl_vmcs_field_32 field)
{
    return (uint32_t)hvctl_vmcs_get(image, field.encoding);
}

static inline uint64_t hvctl_vmcs_get_64(const struct hvctl_vmcs_image *image, struct hvctl_vmcs_field_64 field)
{
    return hvctl_vmcs_get(image, field.encoding);
}

static inline uint64_t hvctl_vmcs_get_natural(const struct hvctl_vmcs_image *image,
                                              struct hvctl_vmcs_field_natural field)
{
    return hvctl_vmcs_get(image, field.encoding);
}

/* Write a field. Errors as hvctl_vmcs_write, except for HVCTL_E_WIDTH, which cannot happen. */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_set_16(struct hvctl_vmcs_image *image,
                                                                  struct hvctl_vmcs_field_16 field, uint16_t value)
{
    return hvctl_vmcs_write(image, field.encoding, value);
}

HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_set_32(struct hvctl_vmcs_image *image,
                                                                  struct hvctl_vmcs_field_32 field, uint32_t value)
{
    return hvctl_vmcs_write(image, field.encoding, value);
}

HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_set_64(struct hvctl_vmcs_image *image,
                                                                  struct hvctl_vmcs_field_64 field, uint64_t value)
{
    return hvctl_vmcs_write(image, field.encoding, value);
}

HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_set_natural(struct hvctl_vmcs_image *image,
                                                                       struct hvctl_vmcs_field_natural field,
                                                                       uint64_t value)
{
    return hvctl_vmcs_write(image, field.encoding, value);
}

#endif
