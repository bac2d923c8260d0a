/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The VMCS dumps of KVM and Xen, value by value: tokens, not lines, since mail wraps lines anywhere.
 */
#include "read.h"

/* A field's value. One that the field has no room for is no value, and the first one counts: what comes later is not of the dump. */
void read_field(struct dump *dump, unsigned slot, const struct number *number)
{
    enum hvctl_vmcs_width width = hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).width;

    if (hvctl_vmcs_width_bits(width) < 64 && number->value >> hvctl_vmcs_width_bits(width))
        return;
    if (hvctl_vmcs_set_has(&dump->image.known, slot))
        return;
    dump->fields++;
    dump->image.value[slot] = number->value;
    dump->place[slot] = number->place;
    hvctl_vmcs_set_add(&dump->image.known, slot);
}

/* The four parts of a segment, by "sel=..." or in columns. Returns where reading goes on. */
size_t read_segment(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned segment)
{
    static const char *const names[] = {"sel", "attr", "limit", "base"};
    const bool table = segment >= 8; /* GDTR and IDTR have neither selector nor rights */
    const unsigned slot[4] = {HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR + segment, HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS + segment,
                              HVCTL_VMCS_SLOT_GUEST_ES_LIMIT + segment, HVCTL_VMCS_SLOT_GUEST_ES_BASE + segment};
    static const unsigned digits[4] = {4, 5, 8, 16};
    struct number number;
    unsigned i, found = 0;

    for (i = table ? 2 : 0; i < 4; i++) {
        size_t name = scan_skip(text, at, end), value;

        if (name < end && text->bytes[name] == ',')
            name = scan_skip(text, name + 1, end);
        value = scan_match(text, name, end, names[i]);
        if (!value || !scan_value(text, value, end, digits[i], &number)) {
            if (found)
                return at;
            continue;
        }
        read_field(dump, slot[i], &number);
        at = number.behind;
        found++;
    }
    if (found)
        return at;
    for (i = table ? 2 : 0; i < 4; i++) {
        if (!scan_number(text, at, end, 16, digits[i], &number) || number.digits != digits[i])
            break;
        read_field(dump, slot[i], &number);
        at = number.behind;
    }
    return at;
}

/* "CR0: actual=, shadow=, gh_mask=". */
static size_t read_cr(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned cr)
{
    const unsigned slot[3] = {cr ? HVCTL_VMCS_SLOT_GUEST_CR4 : HVCTL_VMCS_SLOT_GUEST_CR0,
                              cr ? HVCTL_VMCS_SLOT_CR4_READ_SHADOW : HVCTL_VMCS_SLOT_CR0_READ_SHADOW,
                              cr ? HVCTL_VMCS_SLOT_CR4_GUEST_HOST_MASK : HVCTL_VMCS_SLOT_CR0_GUEST_HOST_MASK};
    static const char *const names[3] = {"", ", shadow", ", gh_mask"};
    struct number number;
    unsigned i;

    for (i = 0; i < 3; i++) {
        size_t value = scan_match(text, scan_skip(text, at, end), end, names[i]);

        if (i && !value)
            break;
        if (!scan_value(text, i ? value : at, end, 16, &number))
            break;
        read_field(dump, slot[i], &number);
        at = number.behind;
    }
    return at;
}

/* "VMEntry: intr_info= errcode= ilen= event_data=" and its like. */
static size_t read_group(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned group)
{
    static const char *const names[4] = {"intr_info", "errcode", "ilen", "event_data"};
    static const unsigned slot[3][4] = {
        {HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, HVCTL_VMCS_SLOT_VM_ENTRY_EXCEPTION_ERROR_CODE,
         HVCTL_VMCS_SLOT_VM_ENTRY_INSTRUCTION_LENGTH, HVCTL_VMCS_SLOT_INJECTED_EVENT_DATA},
        {HVCTL_VMCS_SLOT_VM_EXIT_INTERRUPTION_INFORMATION, HVCTL_VMCS_SLOT_VM_EXIT_INTERRUPTION_ERROR_CODE,
         HVCTL_VMCS_SLOT_VM_EXIT_INSTRUCTION_LENGTH, HVCTL_VMCS_SLOT_COUNT},
        {HVCTL_VMCS_SLOT_IDT_VECTORING_INFORMATION_FIELD, HVCTL_VMCS_SLOT_IDT_VECTORING_ERROR_CODE,
         HVCTL_VMCS_SLOT_COUNT, HVCTL_VMCS_SLOT_ORIGINAL_EVENT_DATA},
    };
    struct number number;
    unsigned i;

    for (i = 0; i < 4; i++) {
        size_t value = scan_match(text, scan_skip(text, at, end), end, i == 0 && group == 2 ? "info" : names[i]);

        if (!value)
            continue;
        if (!scan_value(text, value, end, i == 3 ? 16 : 8, &number))
            break;
        if (slot[group][i] < HVCTL_VMCS_SLOT_COUNT)
            read_field(dump, slot[group][i], &number);
        at = number.behind;
    }
    return at;
}

/* What stands behind the EFER says whether it is the field. */
static bool efer_is_field(const struct clean *text, size_t at, size_t end)
{
    size_t note = scan_skip(text, at, end);

    return !scan_match(text, note, end, "(effective)") && !scan_match(text, note, end, "(autoload)")
        && !scan_match(text, note, end, "(MSR");
}

/* A label of this section at at: read what follows. Returns where reading goes on; 0 if there is none. */
static size_t read_label(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned section)
{
    const struct label *label;
    struct number number, second;
    size_t i, value, next;

    for (i = 0; (label = label_vmx(i)) != NULL; i++) {
        if (!(label->sections & section) || label->text[0] != text->bytes[at])
            continue;
        value = scan_match(text, at, end, label->text);
        if (!value)
            continue;
        switch ((enum label_kind)label->kind) {
        case LABEL_SEGMENT:
            next = read_segment(text, value, end, dump, label->slot);
            if (next > value)
                return next;
            break;
        case LABEL_CR:
            next = read_cr(text, value, end, dump, label->slot);
            if (next > value)
                return next;
            break;
        case LABEL_GROUP:
            next = read_group(text, value, end, dump, label->slot);
            if (next > value)
                return next;
            break;
        case LABEL_IGNORE:
            if (!scan_value(text, value, end, label->digits, &number))
                break;
            dump->effective_efer = dump->effective_efer || label->slot == 1;
            return number.behind;
        case LABEL_CS_EIP:
            value = scan_skip(text, value, end);
            if (value >= end || text->bytes[value] != '=')
                break;
            value = scan_skip(text, value + 1, end);
            /* the colon behind the first number is its separator */
            for (next = value; next < end && scan_hex_digit(text->bytes[next]) >= 0; next++)
                continue;
            if (next == value || next >= end || text->bytes[next] != ':'
                || !scan_number(text, next + 1, end, 16, 16, &second) || !scan_number(text, value, next, 16, 1, &number))
                break;
            read_field(dump, label->slot, &number);
            read_field(dump,
                       label->slot == HVCTL_VMCS_SLOT_GUEST_IA32_SYSENTER_CS ? HVCTL_VMCS_SLOT_GUEST_IA32_SYSENTER_EIP
                                                                             : HVCTL_VMCS_SLOT_HOST_IA32_SYSENTER_EIP,
                       &second);
            return second.behind;
        case LABEL_PAIR: {
            size_t bar;

            value = scan_skip(text, value, end);
            if (value >= end || text->bytes[value] != '=')
                break;
            value = scan_skip(text, value + 1, end);
            bar = value;
            while (bar < end && scan_hex_digit(text->bytes[bar]) >= 0)
                bar++;
            if (bar == value || bar >= end || text->bytes[bar] != '|' || !scan_number(text, value, bar, 16, 1, &number)
                || !scan_number(text, bar + 1, end, 16, 2, &second) || number.value > 0xff || second.value > 0xff)
                break;
            number.value = number.value << 8 | second.value;
            if (!hvctl_vmcs_set_has(&dump->image.known, label->slot))
                read_field(dump, label->slot, &number);
            return second.behind;
        }
        case LABEL_EFER:
            if (!scan_value(text, value, end, label->digits, &number))
                break;
            if (efer_is_field(text, number.behind, end))
                read_field(dump, label->slot, &number);
            else
                dump->effective_efer = true;
            return number.behind;
        case LABEL_REASON:
        case LABEL_QUALIFICATION:
        case LABEL_FIELD:
            if (!scan_value(text, value, end, label->digits, &number))
                break;
            read_field(dump, label->slot, &number);
            if (label->slot == HVCTL_VMCS_SLOT_TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS)
                dump->tertiary_layout = true;
            return number.behind;
        }
    }
    return 0;
}

/* "   0: msr=0x... value=0x...": an entry of the MSR area. */
static size_t read_autoload(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    size_t value = scan_match(text, at, end, "msr"), next;
    struct number index, content;

    if (!value || !scan_value(text, value, end, 8, &index))
        return 0;
    next = scan_match(text, scan_skip(text, index.behind, end), end, "value");
    if (!next || !scan_value(text, next, end, 16, &content))
        return 0;
    if (dump->msrs < DUMP_MSRS) {
        struct dump_msr *msr = &dump->msr[dump->msrs];

        msr->number = dump->msrs + 1;
        msr->index = (uint32_t)index.value;
        msr->reserved = 0;
        msr->value = content.value;
        msr->place = content.place;
    }
    dump->msrs++;
    return content.behind;
}

/* Does a section begin at at? Behind it; 0: no. */
size_t read_section(const struct clean *text, size_t at, size_t end, unsigned *section)
{
    static const struct {
        const char *words;
        unsigned section;
    } list[] = {{"*** Guest State ***", SECTION_GUEST},
                {"*** Host State ***", SECTION_HOST},
                {"*** Control State ***", SECTION_CONTROL}};
    size_t i, behind;

    if (text->bytes[at] != '*')
        return 0;
    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        behind = scan_match(text, at, end, list[i].words);
        if (behind) {
            *section = list[i].section;
            return behind;
        }
    }
    return 0;
}

#define SILENT_LINES 30u /* without a value: the dump is over */

size_t read_vmx(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    unsigned section = SECTION_NONE, seen = 0, silent = 0;
    bool autoload = false, last = false;

    while (at < end) {
        unsigned next_section = 0;
        size_t behind;

        if (text->bytes[at] == '\n') {
            if (++silent > (last ? 4u : SILENT_LINES))
                break;
            at++;
            continue;
        }
        if (text->bytes[at] == '*') {
            behind = read_section(text, at, end, &next_section);
            if (behind) {
                if (seen & next_section)
                    break; /* the next dump */
                section = next_section;
                seen |= section;
                silent = 0;
                autoload = false;
                at = behind;
                continue;
            }
            behind = scan_match(text, at, end, "**************************************");
            if (behind && seen)
                return behind;
            while (at < end && text->bytes[at] == '*')
                at++;
            continue;
        }
        if (seen && read_begins(text, at, end))
            break;
        if (section && scan_begins(text, at)) {
            behind = scan_match(text, at, end, "MSR guest autoload:");
            if (behind) {
                autoload = true;
                dump->msrs_whole = true;
                at = behind;
                continue;
            }
            behind = scan_match(text, at, end, "MSR host autoload:");
            if (behind) {
                autoload = false;
                at = behind;
                continue;
            }
            behind = autoload ? read_autoload(text, at, end, dump) : 0;
            if (!behind)
                behind = read_label(text, at, end, dump, section);
            if (behind) {
                last = last || hvctl_vmcs_set_has(&dump->image.known, HVCTL_VMCS_SLOT_VIRTUAL_PROCESSOR_IDENTIFIER);
                silent = 0;
                at = behind;
                continue;
            }
        }
        at++;
    }
    return at;
}
