/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Writes a VMCS image as text, grouped, with one field a line and the bits of control words named; and reads such text
 * back.
 */
#ifndef HVCTL_VMX_VMCS_DUMP_H
#define HVCTL_VMX_VMCS_DUMP_H

#include "../common/linkage.h"
#include "../../hvpt/text.h"
#include "solver.h"

/* Put the names of the control bits that are set in a word, as a comment after its value. */
static inline void hvctl_vmcs_dump_controls(enum hvctl_vmx_group group, uint64_t word, const struct hvpt_text *text)
{
    struct hvpt_text_list list = {text, ", ", false};
    unsigned bit;

    hvpt_text_string(text, " # ");
    for (bit = 0; bit < 64; bit++) {
        const char *name = hvctl_vmx_control_name(hvctl_vmx_control_of((unsigned)group, bit));

        if (word >> bit & 1u && name)
            hvpt_text_item(&list, name);
    }
    hvpt_text_item_if(&list, !list.begun, "none that has a name");
}

/* Put one field: "GUEST_CR3 = 0x5000" and a newline. Nothing if the image does not have it. */
static inline void hvctl_vmcs_dump_field(const struct hvctl_vmcs_image *image, uint32_t encoding,
                                         const struct hvpt_text *text)
{
    unsigned group;

    if (!hvctl_vmcs_has(image, encoding))
        return;
    hvpt_text_string(text, hvctl_vmcs_field_name(encoding));
    hvpt_text_string(text, " = ");
    hvpt_text_hex(text, hvctl_vmcs_get(image, encoding & ~UINT32_C(1)));
    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_field((enum hvctl_vmx_group)group) == encoding)
            hvctl_vmcs_dump_controls((enum hvctl_vmx_group)group, hvctl_vmcs_get(image, encoding), text);
    hvpt_text_string(text, "\n");
}

/* Put the whole image: controls, guest state, host state, exit information, each under a comment line. */
HVCTL_API void hvctl_vmcs_dump(const struct hvctl_vmcs_image *image, const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmcs_dump(const struct hvctl_vmcs_image *image, const struct hvpt_text *text)
{
    static const enum hvctl_vmcs_type order[4] = {HVCTL_TYPE_CONTROL, HVCTL_TYPE_GUEST, HVCTL_TYPE_HOST,
                                                  HVCTL_TYPE_EXIT_INFO};
    static const char *const title[4] = {"# controls\n", "# guest state\n", "# host state\n",
                                         "# VM-exit information\n"};
    unsigned type, slot;

    for (type = 0; type < 4; type++) {
        hvpt_text_string(text, title[type]);
        for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++) {
            uint32_t encoding = hvctl_vmcs_slot_info(slot)->encoding;

            if (hvctl_vmcs_decode(encoding).type == order[type])
                hvctl_vmcs_dump_field(image, encoding, text);
        }
    }
}
#endif

static inline bool hvctl_vmcs_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* A number in hexadecimal with 0x in front; false if that is not what [at, end) is. */
static inline bool hvctl_vmcs_parse_hex(const char *at, const char *end, uint64_t *value)
{
    if (end - at < 3 || end - at > 18 || at[0] != '0' || at[1] != 'x')
        return false;
    *value = 0;
    for (at += 2; at < end; at++) {
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0')
                       : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10u
                       : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A') + 10u
                                                  : 16u;

        if (digit > 15)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

/* Read one line of a dump into the image; an empty line and one that is all comment do nothing. */
static inline enum hvctl_status hvctl_vmcs_restore_line(struct hvctl_vmcs_image *image, const char *at, const char *end)
{
    const char *name, *name_end, *comment;
    uint32_t encoding;
    uint64_t value;
    unsigned slot;
    enum hvctl_status status;

    for (comment = at; comment < end && *comment != '#'; comment++)
        continue;
    end = comment;
    while (at < end && hvctl_vmcs_blank(*at))
        at++;
    while (end > at && hvctl_vmcs_blank(end[-1]))
        end--;
    if (at == end)
        return HVCTL_OK;

    name = at;
    while (at < end && *at != '=' && !hvctl_vmcs_blank(*at))
        at++;
    name_end = at;
    while (at < end && hvctl_vmcs_blank(*at))
        at++;
    if (at == end || *at++ != '=')
        return HVCTL_E_SYNTAX;
    while (at < end && hvctl_vmcs_blank(*at))
        at++;
    if (!hvctl_vmcs_parse_hex(at, end, &value))
        return HVCTL_E_SYNTAX;

    encoding = hvctl_vmcs_field_by_name(name, (size_t)(name_end - name));
    status = hvctl_vmcs_find(image, encoding, &slot);
    if (status != HVCTL_OK)
        return status;
    if (hvctl_vmcs_decode(encoding).type == HVCTL_TYPE_EXIT_INFO && !image->exit_info_writable) {
        /* What a VM exit left is part of a dump, but not for VMWRITE: keep the value, do not mark it for a store. */
        if (hvctl_vmcs_width_bits(hvctl_vmcs_decode(encoding).width) == 32 && value >> 32)
            return HVCTL_E_WIDTH;
        image->value[slot] = value;
        hvctl_vmcs_set_add(&image->known, slot);
        return HVCTL_OK;
    }
    return hvctl_vmcs_write(image, encoding, value);
}

/*
 * Read a dump of length bytes into an image that hvctl_vmcs_image_init or _init_unknown has made; what is read becomes
 * known and dirty, except for read-only exit information, which only becomes known. Fields that the text does not have
 * stay as they are.
 *
 * After an error *line (line may be NULL) is the number of the line at fault, from 1. The first three end the reading:
 * the lines before that one are in the image.
 * HVCTL_E_SYNTAX: a line is not "NAME = 0x...", with or without a comment that # begins.
 * HVCTL_E_FIELD: no field has the name.
 * HVCTL_E_WIDTH: the value does not fit into the field.
 * HVCTL_E_ABSENT: this image lacks fields of the text, of which *line is the first; all other lines were read.
 */
HVCTL_API HVCTL_NODISCARD enum hvctl_status hvctl_vmcs_restore(struct hvctl_vmcs_image *image, const char *bytes,
                                                               size_t length, unsigned *line);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API enum hvctl_status hvctl_vmcs_restore(struct hvctl_vmcs_image *image, const char *bytes, size_t length,
                                               unsigned *line)
{
    const char *at = bytes, *end = bytes + length;
    enum hvctl_status outcome = HVCTL_OK;
    unsigned number = 1;

    for (; at < end; number++) {
        const char *stop = at;
        enum hvctl_status status;

        while (stop < end && *stop != '\n')
            stop++;
        status = hvctl_vmcs_restore_line(image, at, stop);
        if (line && status != HVCTL_OK && (status != HVCTL_E_ABSENT || outcome == HVCTL_OK))
            *line = number;
        if (status == HVCTL_E_ABSENT)
            outcome = status;
        else if (status != HVCTL_OK)
            return status;
        at = stop < end ? stop + 1 : end;
    }
    return outcome;
}
#endif

#endif
