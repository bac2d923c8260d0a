/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Dumps that give fields by name, as most hypervisors print them that are not KVM or Xen: hvctl's own, and whatever else says
 * NAME = VALUE, NAME: VALUE, ENCODING NAME: VALUE or "NAME": "VALUE", with the names of names.c.
 */
#include "names.h"
#include "read.h"

#define LABEL_WORDS 8u  /* of a label with blanks in it */
#define SILENT      20u /* lines without a field that end a dump */
#define ENOUGH      3u  /* fields that make a dump of what else might be prose */

struct named {
    unsigned slot;
    bool high;
    bool prefixed, certain_hex; /* "0x", or digits that no decimal number has */
    bool encoded;               /* the label's encoding stands before it */
    struct number number;
};

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind a remark in brackets, a closing quote and blanks. */
static size_t skip_remark(const struct clean *text, size_t at, size_t stop)
{
    for (;;) {
        char c = at < stop ? text->bytes[at] : '\0';

        if (c == ' ' || c == '"' || c == '\'' || c == ')' || c == ']') {
            at++;
        } else if (c == '(' || c == '[') {
            size_t close = at + 1;

            while (close < stop && close - at < 24 && text->bytes[close] != (c == '(' ? ')' : ']'))
                close++;
            if (close >= stop || text->bytes[close] != (c == '(' ? ')' : ']'))
                return at;
            at = close + 1;
        } else {
            return at;
        }
    }
}

/* A value behind the label that ends at at; 0: none. Behind blanks alone only a number with "0x" is one. */
static size_t value_behind(const struct clean *text, size_t at, size_t stop, bool encoded, struct named *named)
{
    size_t sign = skip_remark(text, at, stop), i;
    bool separated = false;

    while (sign < stop && (text->bytes[sign] == '=' || text->bytes[sign] == ':' || text->bytes[sign] == '>'
                           || (text->bytes[sign] == '-' && sign + 1 < stop && text->bytes[sign + 1] == '>'))) {
        sign++;
        separated = true;
    }
    while (sign < stop && (text->bytes[sign] == ' ' || text->bytes[sign] == '"' || text->bytes[sign] == '\''
                           || text->bytes[sign] == '['))
        sign++;
    if (sign == at || sign >= stop || !scan_number(text, sign, stop, 16, 1, &named->number))
        return 0;
    named->prefixed = named->number.behind - sign > 2 && (text->bytes[sign + 1] == 'x' || text->bytes[sign + 1] == 'X');
    if (!separated && !named->prefixed)
        return 0;
    named->certain_hex = named->prefixed || encoded || named->number.digits >= 8;
    for (i = sign; i < named->number.behind && !named->certain_hex; i++)
        named->certain_hex = letter(text->bytes[i]) || (i == sign && text->bytes[i] == '0' && named->number.digits > 1);
    return named->number.behind;
}

/*
 * The next field with a value on the line, from *at on; *at moves behind it. A label is the longest run of words before the
 * value that names a field.
 */
static bool next_field(const struct clean *text, size_t *at, size_t stop, struct named *named)
{
    size_t begin[LABEL_WORDS], end = 0, i = *at;
    unsigned words = 0, first;

    named->encoded = false;
    while (i < stop) {
        char c = text->bytes[i];

        bool joined = words && i == end + 1 && text->bytes[end] == ' '; /* one blank joins the words of a label */

        if (!letter(c) && c != '_' && !(joined && c >= '0' && c <= '9' && (i + 1 == stop || !scan_word(text->bytes[i + 1])))) {
            size_t digits = i;

            if (c == ' ' && i + 1 < stop && words && i == end && text->bytes[i + 1] != ' ') {
                i++;
                continue;
            }
            while (digits < stop && scan_hex_digit(text->bytes[digits]) >= 0)
                digits++;
            if (i != end + (end && words ? 1u : 0u) || digits == i)
                words = 0;
            named->encoded = digits - i == 4 && digits < stop && text->bytes[digits] == ' ';
            i = digits > i ? digits : i + 1;
            continue;
        }
        if (words == LABEL_WORDS) {
            for (first = 1; first < LABEL_WORDS; first++)
                begin[first - 1] = begin[first];
            words--;
        }
        if (c < '0' || c > '9')
            begin[words++] = i; /* a label may end in a number; it does not begin with one */
        while (i < stop && (scan_word(text->bytes[i]) || text->bytes[i] == '.'
                            || (text->bytes[i] == ':' && i + 2 < stop && text->bytes[i + 1] == ':' && letter(text->bytes[i + 2]) && i++)))
            i++;
        end = i;
        if (!value_behind(text, end, stop, named->encoded, named))
            continue;
        for (first = 0; first < words; first++) {
            named->slot = names_slot(text->bytes + begin[first], end - begin[first], &named->high);
            if (named->slot != NAMES_NO_SLOT) {
                *at = named->number.behind;
                return true;
            }
        }
        words = 0;
    }
    *at = stop;
    return false;
}

/* hvctl's own: a field's exact name at the start of the line. */
static bool own_name(const struct clean *text, size_t at, size_t stop)
{
    size_t behind = at;
    struct number number;

    while (behind < stop && scan_word(text->bytes[behind]))
        behind++;
    return behind - at >= 6 && scan_match(text, behind, stop, " = 0x") && scan_value(text, behind, stop, 1, &number)
        && hvctl_vmcs_field_by_name(text->bytes + at, behind - at) != (uint32_t)HVCTL_VMCS_NO_FIELD;
}

enum dump_format read_named_begins(const struct clean *text, size_t at, size_t end)
{
    struct hvctl_vmcs_set seen = {{0}};
    unsigned fields = 0, silent = 0;
    bool outcome = false;
    struct named named;

    if (own_name(text, at, scan_line_end(text, at, end)))
        return DUMP_HVCTL;
    while (at < end && silent < SILENT) {
        size_t stop = scan_line_end(text, at, end);

        for (silent++; next_field(text, &at, stop, &named); silent = 0) {
            if (hvctl_vmcs_set_has(&seen, named.slot))
                continue;
            hvctl_vmcs_set_add(&seen, named.slot);
            outcome = outcome || named.slot == HVCTL_VMCS_SLOT_EXIT_REASON || named.slot == HVCTL_VMCS_SLOT_VM_INSTRUCTION_ERROR;
            if (++fields + outcome >= ENOUGH)
                return DUMP_NAMED;
        }
        if (fields == 0)
            break;
    }
    return DUMP_NONE;
}

/* Are numbers without "0x" hexadecimal here? Where nothing shows it, they could be decimal and are no values. */
static bool hexadecimal(const struct clean *text, size_t at, size_t end)
{
    unsigned lines;
    struct named named;

    for (lines = 0; at < end && lines < 400; lines++) {
        size_t stop = scan_line_end(text, at, end);

        while (next_field(text, &at, stop, &named))
            if (!named.prefixed && named.certain_hex)
                return true;
    }
    return false;
}

/* The upper half joins a lower half of 32 bits; a field that was read whole has its upper half already. */
static void join(struct dump *dump, const struct named *named)
{
    uint64_t *value = &dump->image.value[named->slot];

    if (hvctl_vmcs_set_has(&dump->image.known, named->slot) && *value >> 32 == 0 && named->number.value >> 32 == 0)
        *value |= named->number.value << 32;
}

size_t read_named(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    const bool hex = hexadecimal(text, at, end);
    unsigned silent = 0;
    struct named named;

    while (at < end && silent < SILENT) {
        size_t line = at, stop = scan_line_end(text, at, end);
        bool own = own_name(text, at, stop);

        if (dump->fields && read_begins(text, at, end))
            return line;
        for (silent++; next_field(text, &at, stop, &named); silent = 0) {
            if (!named.prefixed && !hex)
                continue;
            if (named.high) {
                join(dump, &named);
            } else if (hvctl_vmcs_set_has(&dump->image.known, named.slot)) {
                /* The same field once more: the next dump, unless a name is one of two that this dump has for it. */
                if (own || named.slot == HVCTL_VMCS_SLOT_GUEST_RIP || named.slot == HVCTL_VMCS_SLOT_GUEST_CR0)
                    return line;
            } else {
                read_field(dump, named.slot, &named.number);
            }
        }
    }
    return at;
}
