/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Two passes: what a byte was before it was encoded (quoted-printable, HTML, JSON, terminals), then what a line was before it was prefixed
 * (quotes, levels, time stamps, loggers).
 */
#include "clean.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Does [at, end) begin with word? Its length, 0 if not. */
static size_t begins(const char *at, const char *end, const char *word)
{
    size_t i;

    for (i = 0; word[i]; i++)
        if (at + i == end || at[i] != word[i])
            return 0;
    return i;
}

static bool contains(const char *bytes, size_t length, const char *word)
{
    size_t i;

    for (i = 0; i < length; i++)
        if (bytes[i] == word[0] && begins(bytes + i, bytes + length, word))
            return true;
    return false;
}

/* Quoted-printable has "=3D" for each "=", and breaks lines behind the 75th character with one. */
static bool is_quoted_printable(const char *bytes, size_t length)
{
    size_t i, begin = 0;

    if (contains(bytes, length, "=3D"))
        return true;
    for (i = 0; i < length; i++) {
        size_t stop = i > 0 && bytes[i - 1] == '\r' ? i - 1 : i;

        if (bytes[i] != '\n')
            continue;
        if (stop - begin >= 75 && stop - begin <= 77 && bytes[stop - 1] == '=')
            return true;
        begin = i + 1;
    }
    return false;
}

/* ---- the first pass ---- */

struct decoder {
    const char *bytes, *end;
    bool quoted_printable, json;
};

/* An entity of HTML: what it stands for, and its length in *used; 0 if there is none. */
static char entity(const char *at, const char *end, size_t *used)
{
    static const struct {
        const char *name;
        char is;
    } list[] = {{"&gt;", '>'}, {"&lt;", '<'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&nbsp;", ' '}, {"&apos;", '\''}};
    size_t i;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        *used = begins(at, end, list[i].name);
        if (*used)
            return list[i].is;
    }
    if (begins(at, end, "&#")) {
        bool hex = end - at > 2 && (at[2] == 'x' || at[2] == 'X');
        unsigned value = 0;

        for (i = hex ? 3 : 2; at + i < end && i < 10 && hex_digit(at[i]) >= 0; i++)
            value = value * (hex ? 16u : 10u) + (unsigned)hex_digit(at[i]);
        if (at + i < end && at[i] == ';' && value < 256) {
            *used = i + 1;
            return value == 160 ? ' ' : (char)value;
        }
    }
    return 0;
}

/* One character of the text at at; 0: nothing. How many bytes it took is in *used. */
static char decode(const struct decoder *decoder, const char *at, size_t *used)
{
    const char *end = decoder->end;
    char is;

    *used = 1;
    if (decoder->quoted_printable && *at == '=') {
        const char *p = at + 1;

        while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
            p++;
        if (p < end && *p == '\n') { /* a soft break */
            *used = (size_t)(p + 1 - at);
            return 0;
        }
        if (end - at >= 3 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            unsigned value = (unsigned)(hex_digit(at[1]) * 16 + hex_digit(at[2]));

            *used = 3;
            if (value == 0xc2 && begins(at + 3, end, "=A0")) {
                *used = 6;
                return ' ';
            }
            return value == 0 ? ' ' : (char)value;
        }
    }
    if (*at == '&' && (is = entity(at, end, used)) != 0)
        return is;
    if (*at == '&')
        *used = 1;
    if (*at == '<' && (*used = begins(at, end, "<br")) != 0) {
        while (at + *used < end && at[*used] != '>' && *used < 8)
            ++*used;
        if (at + *used < end && at[*used] == '>')
            ++*used;
        return '\n';
    }
    *used = 1;
    if (decoder->json && *at == '\\' && end - at >= 2) {
        *used = 2;
        if (at[1] == 'n')
            return '\n';
        if (at[1] == 't' || at[1] == 'r')
            return ' ';
        if (at[1] == 'u' && end - at >= 6 && at[2] == '0' && at[3] == '0' && hex_digit(at[4]) >= 0
            && hex_digit(at[5]) >= 0) {
            *used = 6;
            return (char)(hex_digit(at[4]) * 16 + hex_digit(at[5]));
        }
        *used = 1;
    }
    if (*at == '\033' && end - at >= 2 && at[1] == '[') { /* colours */
        size_t i = 2;

        while (at + i < end && i < 16 && !is_letter(at[i]))
            i++;
        *used = at + i < end ? i + 1 : i;
        return 0;
    }
    if (*at == '\r') {
        *used = end - at >= 2 && at[1] == '\n' ? 2 : 1;
        return '\n';
    }
    if ((unsigned char)*at == 0xc2 && end - at >= 2 && (unsigned char)at[1] == 0xa0) { /* a blank that does not break */
        *used = 2;
        return ' ';
    }
    if ((unsigned char)*at == 0xef && end - at >= 3 && (unsigned char)at[1] == 0xbb && (unsigned char)at[2] == 0xbf) {
        *used = 3;
        return 0;
    }
    return *at == '\t' || *at == '\f' || *at == '\v' || *at == 0 ? ' ' : *at;
}

/* ---- the second pass ---- */

/* Digits with separators among them, as times, dates and numbers of processes are written: how many bytes. */
static size_t stamp(const char *at, const char *end)
{
    size_t i = 0;
    bool separated = false;

    if (at == end || !is_digit(*at))
        return 0;
    while (at + i < end
           && (is_digit(at[i]) || at[i] == ':' || at[i] == '.' || at[i] == ',' || at[i] == '-' || at[i] == '/'
               || ((at[i] == 'T' || at[i] == 'Z' || at[i] == '+') && i > 3))) {
        separated = separated || at[i] == ':' || at[i] == '-' || at[i] == '/' || (at[i] == '.' && i < 9);
        i++;
    }
    /* "12:00:01", "2024-03-07", "1709810400.123"; but no bare number, which may be a value that was wrapped */
    return separated && i >= 5 && (at + i == end || at[i] == ' ' || at[i] == ']' || at[i] == '|') ? i : 0;
}

static size_t word(const char *at, const char *end)
{
    size_t i = 0;

    while (at + i < end && at[i] != ' ' && at[i] != '\n')
        i++;
    return i;
}

static bool month(const char *at, const char *end)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    size_t i;

    for (i = 0; end - at >= 4 && names[i]; i += 3)
        if (at[0] == names[i] && at[1] == names[i + 1] && at[2] == names[i + 2] && at[3] == ' ')
            return true;
    return false;
}

/* "Nov  2 09:14:50", "Wed Mar  6 10:00:00 2024" from its month on. */
static size_t month_stamp(const char *at, const char *end)
{
    size_t i = 4, time;

    while (at + i < end && at[i] == ' ')
        i++;
    while (at + i < end && is_digit(at[i]))
        i++;
    while (at + i < end && at[i] == ' ')
        i++;
    time = stamp(at + i, end);
    return time ? i + time : 0;
}

/* Behind a time stamp: "host kernel: ", "host kernel[12]: ". */
static size_t host_and_program(const char *at, const char *end)
{
    static const char *const programs[] = {"kernel:", "kernel[", "xen:", "xen[", "hypervisor:"};
    size_t skip = 0, i;
    unsigned words;

    for (words = 0; words < 3; words++) {
        size_t length = word(at + skip, end);

        if (!length)
            return 0;
        for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
            if (begins(at + skip, end, programs[i]))
                return skip + length;
        skip += length;
        while (at + skip < end && at[skip] == ' ')
            skip++;
    }
    return 0;
}

/* A bracketed group: "[  123.456789]", "[T123]", "[2024-03-07 11:20:00.113]"; not one with a value's sign in it. */
static size_t bracketed(const char *at, const char *end)
{
    size_t i;

    for (i = 1; at + i < end && i < 48 && at[i] != '\n' && at[i] != '='; i++)
        if (at[i] == ']')
            return i + 1;
    return 0;
}

/* "kvm_intel: ", "KVM: ", "kvm [1234]: ", "(XEN) ", "<6>", ftrace's names of functions. */
static size_t speaker(const char *at, const char *end)
{
    static const char *const names[] = {"kvm_intel:", "kvm_amd:", "KVM:",  "SVM:",  "kvm:",    "(XEN)",  "kernel:",
                                        "dump_vmcs:", "dump_vmcb:", "vmx_dump_sel:", "vmx_dump_dtsel:", "vmx_dump_msrs:",
                                        "xen:",       "hypervisor:"};
    size_t i, length;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        length = begins(at, end, names[i]);
        /* "KVM: entry failed" is said by QEMU, and is what happened */
        if (length && !begins(at + length, end, " entry failed"))
            return length;
    }
    length = begins(at, end, "kvm [");
    if (length) {
        length = 4 + bracketed(at + 4, end);
        return length > 4 ? length + (at + length < end && at[length] == ':') : 0;
    }
    if (*at == '<') { /* "<6>", "<4>1 2024-..." */
        for (i = 1; at + i < end && i < 5 && is_digit(at[i]); i++)
            continue;
        return i > 1 && at + i < end && at[i] == '>' ? i + 1 : 0;
    }
    if (begins(at, end, "kern") || begins(at, end, "user")) { /* dmesg -x: "kern  :err   : " */
        for (i = 4; at + i < end && at[i] == ' '; i++)
            continue;
        if (at + i < end && at[i] == ':')
            for (i++; at + i < end && i < 20; i++)
                if (at[i] == ':')
                    return i + 1;
        return 0;
    }
    /* vmx_dump_sel.constprop.0: */
    length = begins(at, end, "vmx_dump_");
    if (length) {
        length = word(at, end);
        return at[length - 1] == ':' ? length : 0;
    }
    return 0;
}

/* ftrace: all up to the event's name. */
static size_t traced(const char *at, const char *end)
{
    size_t i;

    for (i = 0; at + i < end && at[i] != '\n' && i < 160; i++) {
        size_t event = begins(at + i, end, " bprint: ");

        if (!event)
            event = begins(at + i, end, " bputs: ");
        if (!event)
            event = begins(at + i, end, " console: ");
        if (event)
            return i + event;
    }
    return 0;
}

/* What does not belong to the line that begins at at. */
static size_t prefix(const char *at, const char *end)
{
    const char *begin = at;
    size_t skip = traced(at, end);

    for (at += skip; at < end && *at != '\n'; at += skip) {
        skip = 0;
        if (*at == ' ' || *at == '>' || *at == '|' || *at == '#' || *at == '`')
            skip = 1;
        else if (*at == '[')
            skip = bracketed(at, end);
        else if ((*at == '+' || *at == '-') && at + 1 < end && (at[1] == ' ' || at[1] == '['))
            skip = 1;
        else if (is_digit(*at))
            skip = stamp(at, end);
        else if (month(at, end))
            skip = month_stamp(at, end);
        if (!skip)
            skip = speaker(at, end);
        if (!skip && at > begin)
            skip = host_and_program(at, end);
        if (!skip && at == begin && (skip = begins(at, end, "{\"log\":\"")) == 0)
            break;
        if (!skip)
            break;
    }
    return (size_t)(at - begin);
}

bool clean_text(struct clean *clean, const char *bytes, size_t length)
{
    struct decoder decoder;
    size_t i = 0, out = 0, read;

    decoder.bytes = bytes;
    decoder.end = bytes + length;
    decoder.quoted_printable = is_quoted_printable(bytes, length);
    decoder.json = contains(bytes, length, "\\n");
    clean->bytes = (char *)core_memory(length + 1);
    clean->from = (uint32_t *)core_memory((length + 1) * sizeof(uint32_t));
    clean->length = 0;
    if (!clean->bytes || !clean->from)
        return false;
    while (i < length) {
        size_t used;
        char is = decode(&decoder, bytes + i, &used);

        if (is) {
            clean->bytes[out] = is;
            clean->from[out++] = (uint32_t)i;
        }
        i += used;
    }
    clean->length = out;
    for (read = 0, out = 0; read < clean->length;) {
        read += prefix(clean->bytes + read, clean->bytes + clean->length);
        for (; read < clean->length; read++) {
            clean->bytes[out] = clean->bytes[read];
            clean->from[out++] = clean->from[read];
            if (clean->bytes[read] == '\n') {
                read++;
                break;
            }
        }
    }
    clean->length = out;
    return true;
}
