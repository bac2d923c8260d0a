/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The VMCB dumps of KVM and Xen.
 */
#include "read.h"

static void read_vmcb_value(struct dump *dump, unsigned offset, unsigned size, const struct number *number)
{
    if (size < 8 && number->value >> (8 * size))
        return;
    if (hvctl_vmcb_known_has(&dump->known, offset, 1))
        return;
    dump->fields++;
    hvctl_vmcb_value_set(&dump->vmcb, offset, size, number->value);
    hvctl_vmcb_known_add(&dump->known, offset, size);
    if (offset / 2 < sizeof(dump->vmcb_place) / sizeof(dump->vmcb_place[0]))
        dump->vmcb_place[offset / 2] = number->place;
}

/* "s: 0018 a: 0c93 l: ffffffff b: 0...", "sel=0x.., attr=..", or columns. */
static size_t read_vmcb_segment(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned offset)
{
    static const char *const names[2][4] = {{"s:", "a:", "l:", "b:"}, {"sel=", "attr=", "limit=", "base="}};
    static const unsigned size[4] = {2, 2, 4, 8}, part[4] = {0, 2, 4, 8}, digits[4] = {4, 4, 8, 16};
    struct number number;
    unsigned i, form, found = 0;

    for (form = 0; form < 2 && !found; form++) {
        for (i = 0; i < 4; i++) {
            size_t name = scan_skip(text, at, end), value;

            if (name < end && text->bytes[name] == ',')
                name = scan_skip(text, name + 1, end);
            value = scan_match(text, name, end, names[form][i]);
            if (!value || !scan_number(text, value, end, 16, digits[i], &number))
                break;
            read_vmcb_value(dump, offset + part[i], size[i], &number);
            at = number.behind;
            found++;
        }
    }
    if (found)
        return at;
    for (i = 0; i < 4; i++) {
        if (!scan_number(text, at, end, 16, digits[i], &number) || number.digits != digits[i])
            break;
        read_vmcb_value(dump, offset + part[i], size[i], &number);
        at = number.behind;
    }
    return at;
}

static size_t read_intercepts(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned offset)
{
    struct number number;
    unsigned i;

    for (i = 0; i < 3; i++) {
        size_t stop = scan_line_end(text, at, end);

        if (!scan_number(text, at, stop, 16, 8, &number))
            break;
        at = number.behind;
        if (number.digits > 8) { /* both words in one, which is not aligned in the VMCB */
            struct number half = number;

            half.value = number.value & UINT32_C(0xffffffff);
            read_vmcb_value(dump, offset, 4, &half);
            half.value = number.value >> 32;
            read_vmcb_value(dump, offset + 4, 4, &half);
            break;
        }
        read_vmcb_value(dump, offset + 4 * i, 4, &number);
    }
    return at;
}

static size_t read_vmcb_label(const struct clean *text, size_t at, size_t end, struct dump *dump, bool xen)
{
    const struct vmcb_label *label;
    struct number number;
    size_t i, value;

    for (i = 0; (label = label_vmcb(i)) != NULL; i++) {
        if (label->xen != xen || label->text[0] != text->bytes[at])
            continue;
        value = scan_match(text, at, end, label->text);
        if (!value || (xen && value < end && scan_word(text->bytes[value])))
            continue;
        if (label->kind == VMCB_SEGMENT) {
            size_t behind = read_vmcb_segment(text, value, end, dump, label->offset);

            if (behind > value)
                return behind;
            continue;
        }
        if (xen) {
            size_t sign = scan_skip(text, value, end);

            if (sign < end && text->bytes[sign] == '=')
                value = sign + 1;
            else if (label->offset != offsetof(struct hvctl_vmcb, control.eventinj)) /* which has no sign */
                continue;
        }
        if (label->kind == VMCB_INTERCEPTS) {
            size_t behind = read_intercepts(text, value, end, dump, label->offset);

            if (behind > value)
                return behind;
            continue;
        }
        if (!scan_number(text, value, end, label->kind == VMCB_DECIMAL ? 10 : 16, label->digits, &number))
            continue;
        if (label->kind == VMCB_SPLIT) {
            struct number half = number;

            half.value = number.value & 0xffffu;
            read_vmcb_value(dump, label->offset, 2, &half);
            half.value = number.value >> 16;
            read_vmcb_value(dump, label->offset + 2u, 2, &half);
            return number.behind;
        }
        if (label->offset == offsetof(struct hvctl_vmcb, control.exitcode) && number.digits <= 8
            && number.value >= UINT64_C(0xfffffff0))
            number.value |= UINT64_C(0xffffffff00000000); /* -1 and its kin, printed with 32 bits */
        read_vmcb_value(dump, label->offset, label->size, &number);
        return number.behind;
    }
    return 0;
}

size_t read_svm(const struct clean *text, size_t at, size_t end, struct dump *dump, bool xen)
{
    unsigned silent = 0;
    bool control = false, save = false;

    while (at < end) {
        size_t behind;

        if (text->bytes[at] == '\n') {
            if (++silent > 20)
                break;
            at++;
            continue;
        }
        if (text->bytes[at] == 'V') {
            behind = scan_match(text, at, end, "VMCB Control Area:");
            if (behind) {
                if (control || save)
                    break;
                control = true;
                silent = 0;
                at = behind;
                continue;
            }
            behind = scan_match(text, at, end, "VMCB State Save Area:");
            if (behind) {
                if (save)
                    break;
                save = true;
                silent = 0;
                at = behind;
                continue;
            }
        }
        if (dump->fields && read_begins(text, at, end))
            break;
        if (scan_begins(text, at)) {
            behind = read_vmcb_label(text, at, end, dump, xen);
            if (behind) {
                silent = 0;
                at = behind;
                continue;
            }
        }
        at++;
    }
    return at;
}
