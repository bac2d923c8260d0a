/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The labels that hypervisors print before a value, by section of a dump. A blank in a label stands for any run of blanks and line ends.
 */
#ifndef HVPT_TOOLS_LABELS_H
#define HVPT_TOOLS_LABELS_H

#include "dump.h"

enum section { SECTION_NONE = 0, SECTION_GUEST = 1, SECTION_HOST = 2, SECTION_CONTROL = 4, SECTION_ANY = 7 };

/* What a label is followed by. */
enum label_kind {
    LABEL_FIELD,   /* "= 0x..." of the field in slot */
    LABEL_CS_EIP,  /* "=cs:eip": slot, and the address behind it */
    LABEL_PAIR,    /* "= a|b": two bytes of one field, SVI and RVI */
    LABEL_IGNORE,  /* a value that is no field, so that no other label matches inside */
    LABEL_SEGMENT, /* a segment's name; parts or columns follow */
    LABEL_CR,      /* CR0, CR4: actual, shadow, gh_mask follow */
    LABEL_REASON,
    LABEL_QUALIFICATION,
    LABEL_EFER,    /* a field unless "(effective)" or "(autoload)" is behind it */
    LABEL_GROUP    /* only sets where "intr_info" and the like belong */
};

struct label {
    const char *text;
    uint8_t sections;
    uint8_t kind;
    uint16_t slot; /* or a number of the group */
    uint8_t digits; /* that are printed at least, to know a value that was cut; 0: any number */
};

/* Row number of the table of VMX; NULL behind its end. */
const struct label *label_vmx(size_t number);

/* A label of a VMCB dump. */
enum vmcb_label_kind {
    VMCB_HEX,
    VMCB_DECIMAL,
    VMCB_INTERCEPTS, /* two or three words, or one of 64 bits */
    VMCB_SPLIT,      /* "0x" low half reads, high half writes: offset and offset + 2 */
    VMCB_SEGMENT
};

struct vmcb_label {
    const char *text;
    uint8_t kind;
    uint8_t size;
    uint16_t offset;
    uint8_t digits;
    bool xen;
};

const struct vmcb_label *label_vmcb(size_t number);

#endif
