/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A VMCS in plain memory: fields read and written by encoding in constant time, loaded from and stored to a CPU through
 * two callbacks. SDM vol. 3, "Virtual Machine Control Structures".
 */
#ifndef HVCTL_VMX_VMCS_H
#define HVCTL_VMX_VMCS_H

#include "../common/status.h"
#include "vmcs_fields.h"
#include "caps.h"

#define HVCTL_VMCS_SET_WORDS (((unsigned)HVCTL_VMCS_SLOT_COUNT + 63u) / 64u)

/* A set of slots. */
struct hvctl_vmcs_set {
    uint64_t word[HVCTL_VMCS_SET_WORDS];
};

static inline bool hvctl_vmcs_set_has(const struct hvctl_vmcs_set *set, unsigned slot)
{
    return (set->word[slot / 64u] >> (slot % 64u) & 1u) != 0;
}

static inline void hvctl_vmcs_set_add(struct hvctl_vmcs_set *set, unsigned slot)
{
    set->word[slot / 64u] |= (uint64_t)1 << (slot % 64u);
}

static inline void hvctl_vmcs_set_remove(struct hvctl_vmcs_set *set, unsigned slot)
{
    set->word[slot / 64u] &= ~((uint64_t)1 << (slot % 64u));
}

static inline void hvctl_vmcs_set_clear(struct hvctl_vmcs_set *set)
{
    unsigned i;

    for (i = 0; i < HVCTL_VMCS_SET_WORDS; i++)
        set->word[i] = 0;
}

/*
 * The fields of one VMCS. Copy it by assignment; it holds no pointers. Calls do not lock it: one that changes an image
 * needs it alone. Its members may be read; write through the calls below, which maintain dirty and refuse what a CPU
 * would refuse. It takes about 1.8 KiB, too much for a small stack.
 */
struct hvctl_vmcs_image {
    uint64_t value
        [HVCTL_VMCS_SLOT_COUNT]; /* by slot; a field's unused high bits are 0, and so is a field that is not there */
    struct hvctl_vmcs_set dirty;           /* written since the last load or store */
    struct hvctl_vmcs_set exists;          /* there on this CPU */
    struct hvctl_vmcs_set known;           /* value says what the VMCS holds; all of them but in an image from a text */
    bool exit_info_writable;               /* IA32_VMX_MISC[29] */
};

/*
 * Does the field with this encoding, full or high, exist on a CPU with these capabilities? caps NULL: does any CPU have
 * it?
 */
static inline bool hvctl_vmcs_field_exists(uint32_t encoding, const struct hvctl_vmx_caps *caps)
{
    const struct hvctl_vmcs_field_row *field = hvctl_vmcs_field_info(encoding);

    return field && (!caps || hvctl_vmx_can(caps, field->when) || hvctl_vmx_can(caps, field->or_when));
}

/*
 * Make image empty: all fields are 0 and known, and none is dirty. It will have the fields that a CPU with these
 * capabilities has; with caps NULL every field of the list, all writable. It takes one pass over the list, and needs no
 * CPU.
 */
static inline void hvctl_vmcs_image_init(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps)
{
    unsigned slot;

    hvctl_vmcs_set_clear(&image->dirty);
    hvctl_vmcs_set_clear(&image->exists);
    hvctl_vmcs_set_clear(&image->known);
    image->exit_info_writable = !caps || (caps->misc & HVCTL_VMX_MISC_VMWRITE_ANY_FIELD);
    for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++) {
        image->value[slot] = 0;
        hvctl_vmcs_set_add(&image->known, slot);
        if (hvctl_vmcs_field_exists(hvctl_vmcs_slot_info(slot)->encoding, caps))
            hvctl_vmcs_set_add(&image->exists, slot);
    }
}

/*
 * The same, but no field is known: for an image that is filled in from a dump, which may leave fields out. Writing or
 * loading a field makes it known. The checks answer HVCTL_RULE_UNKNOWN if an unknown field could change the verdict.
 */
static inline void hvctl_vmcs_image_init_unknown(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps)
{
    hvctl_vmcs_image_init(image, caps);
    hvctl_vmcs_set_clear(&image->known);
}

/* Is every field of the image known? */
static inline bool hvctl_vmcs_whole(const struct hvctl_vmcs_image *image)
{
    uint64_t missing = 0;
    unsigned i;

    for (i = 0; i < HVCTL_VMCS_SET_WORDS; i++)
        missing |= image->exists.word[i] & ~image->known.word[i];
    return missing == 0;
}

/* Is the field with this encoding known? */
static inline bool hvctl_vmcs_known(const struct hvctl_vmcs_image *image, uint32_t encoding)
{
    unsigned slot = (unsigned)hvctl_vmcs_slot(encoding);

    return slot < (unsigned)HVCTL_VMCS_SLOT_COUNT && hvctl_vmcs_set_has(&image->known, slot);
}

/* Does the image have this field? */
static inline bool hvctl_vmcs_has(const struct hvctl_vmcs_image *image, uint32_t encoding)
{
    unsigned slot = (unsigned)hvctl_vmcs_slot(encoding);

    return slot < (unsigned)HVCTL_VMCS_SLOT_COUNT && hvctl_vmcs_set_has(&image->exists, slot);
}

/*
 * The slot that an access to encoding reaches.
 * HVCTL_E_FIELD: there is no such field.
 * HVCTL_E_ABSENT: not on this CPU; the controls that it depends on are hvctl_vmcs_field_info(encoding)->when and
 * or_when.
 */
static inline enum hvctl_status hvctl_vmcs_find(const struct hvctl_vmcs_image *image, uint32_t encoding, unsigned *slot)
{
    *slot = (unsigned)hvctl_vmcs_slot(encoding);
    if (*slot >= (unsigned)HVCTL_VMCS_SLOT_COUNT)
        return HVCTL_E_FIELD;
    if (hvctl_vmcs_set_has(&image->exists, *slot))
        return HVCTL_OK;
    return hvctl_vmcs_slot_info(*slot)->name ? HVCTL_E_ABSENT : HVCTL_E_FIELD;
}

/*
 * Read a field, or with an odd encoding the high half of a 64-bit one. *value is 0 after an error.
 * HVCTL_E_FIELD, HVCTL_E_ABSENT as in hvctl_vmcs_find.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_read(const struct hvctl_vmcs_image *image, uint32_t encoding,
                                                                uint64_t *value)
{
    unsigned slot;
    enum hvctl_status status = hvctl_vmcs_find(image, encoding, &slot);

    *value = 0;
    if (status == HVCTL_OK)
        *value = encoding & 1u ? image->value[slot] >> 32 : image->value[slot];
    return status;
}

/* Read a field for which 0 is as good as absent: a control word that this CPU does not have enables nothing. */
static inline uint64_t hvctl_vmcs_get(const struct hvctl_vmcs_image *image, uint32_t encoding)
{
    uint64_t value;

    return hvctl_vmcs_read(image, encoding, &value) == HVCTL_OK ? value : 0;
}

/*
 * Write a field, or with an odd encoding the high half of a 64-bit one, and mark it dirty.
 * After an error nothing has changed.
 * HVCTL_E_FIELD, HVCTL_E_ABSENT as in hvctl_vmcs_find.
 * HVCTL_E_WIDTH: value has bits that the field does not have.
 * HVCTL_E_READONLY: VM-exit information, on a CPU that does not accept VMWRITE to it.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_write(struct hvctl_vmcs_image *image, uint32_t encoding,
                                                                 uint64_t value)
{
    struct hvctl_vmcs_encoding part = hvctl_vmcs_decode(encoding);
    unsigned slot;
    enum hvctl_status status = hvctl_vmcs_find(image, encoding, &slot);

    if (status != HVCTL_OK)
        return status;
    if (part.type == HVCTL_TYPE_EXIT_INFO && !image->exit_info_writable)
        return HVCTL_E_READONLY;
    if (part.high) {
        if (value >> 32)
            return HVCTL_E_WIDTH;
        value = (image->value[slot] & UINT32_C(0xffffffff)) | value << 32;
    } else if (hvctl_vmcs_width_bits(part.width) < 64 && value >> hvctl_vmcs_width_bits(part.width)) {
        return HVCTL_E_WIDTH;
    }
    image->value[slot] = value;
    hvctl_vmcs_set_add(&image->dirty, slot);
    hvctl_vmcs_set_add(&image->known, slot);
    return HVCTL_OK;
}

/*
 * Write several fields in a row and check once: each call does nothing if *status already is an error.
 * Begin with *status = HVCTL_OK.
 */
static inline void hvctl_vmcs_put(struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t value,
                                  enum hvctl_status *status)
{
    if (*status == HVCTL_OK)
        *status = hvctl_vmcs_write(image, encoding, value);
}

/* Is the field dirty, that is, would the next store write it? */
static inline bool hvctl_vmcs_dirty(const struct hvctl_vmcs_image *image, uint32_t encoding)
{
    unsigned slot = (unsigned)hvctl_vmcs_slot(encoding);

    return slot < (unsigned)HVCTL_VMCS_SLOT_COUNT && hvctl_vmcs_set_has(&image->dirty, slot);
}

/* Make every field dirty that a store may write: for a VMCS that was just cleared, or one of another CPU. */
static inline void hvctl_vmcs_touch_all(struct hvctl_vmcs_image *image)
{
    unsigned slot;

    for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&image->exists, slot) &&
            (image->exit_info_writable ||
             hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).type != HVCTL_TYPE_EXIT_INFO))
            hvctl_vmcs_set_add(&image->dirty, slot);
}

/* VMREAD and VMWRITE of the current VMCS, or a substitute; false: the CPU refused. */
typedef bool (*hvctl_vmread_fn)(void *ctx, uint32_t encoding, uint64_t *value);
typedef bool (*hvctl_vmwrite_fn)(void *ctx, uint32_t encoding, uint64_t value);

/* Which fields a load reads. */
enum hvctl_vmcs_load_set {
    HVCTL_VMCS_LOAD_CONTROL = 1 << HVCTL_TYPE_CONTROL,
    HVCTL_VMCS_LOAD_EXIT_INFO = 1 << HVCTL_TYPE_EXIT_INFO,
    HVCTL_VMCS_LOAD_GUEST = 1 << HVCTL_TYPE_GUEST,
    HVCTL_VMCS_LOAD_HOST = 1 << HVCTL_TYPE_HOST,
    HVCTL_VMCS_LOAD_ALL = 15
};

/* Read the field of a slot that exists; false: vmread refused, and the field keeps its value. */
static inline bool hvctl_vmcs_load_slot(struct hvctl_vmcs_image *image, unsigned slot, hvctl_vmread_fn vmread,
                                        void *ctx)
{
    uint64_t value;

    if (!(vmread)(ctx, hvctl_vmcs_slot_info(slot)->encoding, &value))
        return false;
    image->value[slot] = value;
    hvctl_vmcs_set_remove(&image->dirty, slot);
    hvctl_vmcs_set_add(&image->known, slot);
    return true;
}

/*
 * Read one field from the CPU into the image; it is not dirty then.
 * HVCTL_E_FIELD, HVCTL_E_ABSENT as in hvctl_vmcs_find.
 * HVCTL_E_CPU: vmread refused, and the field keeps its value.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_load_field(struct hvctl_vmcs_image *image, uint32_t encoding,
                                                                      hvctl_vmread_fn vmread, void *ctx)
{
    unsigned slot;
    enum hvctl_status status = hvctl_vmcs_find(image, encoding & ~UINT32_C(1), &slot);

    if (status == HVCTL_OK && !hvctl_vmcs_load_slot(image, slot, vmread, ctx))
        status = HVCTL_E_CPU;
    return status;
}

/*
 * Read the fields of these types (HVCTL_VMCS_LOAD_*) that exist from the CPU. What was dirty among them is lost.
 * HVCTL_E_CPU: vmread refused a field; its encoding is in *failed (may be NULL). The fields before it are loaded.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_load(struct hvctl_vmcs_image *image, unsigned types,
                                                                hvctl_vmread_fn vmread, void *ctx, uint32_t *failed)
{
    unsigned part, slot;

    for (part = 0; part < 16; part++) {
        if (!(types >> (part & 3u) & 1u)) /* every exit loads: no look at fields of other types */
            continue;
        for (slot = hvctl_vmcs_part_start(part); slot < hvctl_vmcs_part_start(part + 1); slot++) {
            if (!hvctl_vmcs_set_has(&image->exists, slot) || hvctl_vmcs_load_slot(image, slot, vmread, ctx))
                continue;
            if (failed)
                *failed = hvctl_vmcs_slot_info(slot)->encoding;
            return HVCTL_E_CPU;
        }
    }
    return HVCTL_OK;
}

/*
 * Write the dirty fields to the CPU; each that the CPU accepts is then clean.
 * HVCTL_E_CPU: vmwrite refused a field; its encoding is in *failed (may be NULL). It and those after it stay dirty.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcs_store(struct hvctl_vmcs_image *image,
                                                                 hvctl_vmwrite_fn vmwrite, void *ctx, uint32_t *failed)
{
    unsigned word;

    for (word = 0; word < HVCTL_VMCS_SET_WORDS; word++) {
        uint64_t left = image->dirty.word[word];
        unsigned slot;

        for (slot = word * 64u; left != 0; slot++, left >>= 1) {
            uint32_t encoding;

            for (; (left & 0xffu) == 0; left >>= 8) /* few are dirty: eight at a time */
                slot += 8;
            if ((left & 1u) == 0)
                continue;
            encoding = hvctl_vmcs_slot_info(slot)->encoding;
            if (!(vmwrite)(ctx, encoding, image->value[slot])) {
                if (failed)
                    *failed = encoding;
                return HVCTL_E_CPU;
            }
            hvctl_vmcs_set_remove(&image->dirty, slot);
        }
    }
    return HVCTL_OK;
}

/* A difference between two images: called in the order of the field list; false ends the comparison. */
typedef bool (*hvctl_vmcs_diff_fn)(void *ctx, uint32_t encoding, uint64_t before, uint64_t after);

/*
 * Compare two images field by field and return in how many they differ. A field that only one of them has counts, with
 * 0 for the other. each may be NULL. Dirty marks are not compared.
 */
static inline unsigned hvctl_vmcs_diff(const struct hvctl_vmcs_image *before, const struct hvctl_vmcs_image *after,
                                       hvctl_vmcs_diff_fn each, void *ctx)
{
    unsigned slot, count = 0;

    for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++) {
        if (before->value[slot] == after->value[slot] &&
            hvctl_vmcs_set_has(&before->exists, slot) == hvctl_vmcs_set_has(&after->exists, slot))
            continue;
        count++;
        if (each && !(each)(ctx, hvctl_vmcs_slot_info(slot)->encoding, before->value[slot], after->value[slot]))
            break;
    }
    return count;
}

#endif
