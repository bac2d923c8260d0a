/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A name is taken apart into words; words that all names of a field agree on are kept, in one spelling. Two names are the
 * same field if they have the same words in any order.
 */
#include "names.h"

#include <hvctl/vmx/vmcs.h>

#define WORDS_MAX  16u
#define LETTERS    20u /* of a word; none that counts is longer */
#define NAME_BYTES 80u

struct words {
    char text[WORDS_MAX][LETTERS];
    unsigned count, raw; /* raw: before any was dropped */
    bool control;        /* one was CONTROLS */
};

/* The spelling that counts. "": the word says nothing. Two words stand for one that joins them. */
static const char *const spelling[][3] = {
    {"VMCS", "", ""}, {"VMX", "", ""}, {"VM", "", ""}, {"VMS", "", ""}, {"K", "", ""}, {"IA", "", ""}, {"BIT", "", ""},
    {"BITS", "", ""}, {"16", "", ""}, {"32", "", ""}, {"64", "", ""}, {"FIELD", "", ""}, {"FULL", "", ""}, {"OF", "", ""},
    {"BASED", "", ""}, {"EXEC", "", ""}, {"EXECUTION", "", ""}, {"VMEXEC", "", ""}, {"INFO", "", ""}, {"INFORMATION", "", ""},
    {"ADDR", "", ""}, {"ADDRESS", "", ""}, {"PTR", "", ""}, {"POINTER", "", ""}, {"PAGE", "", ""}, {"VALUE", "", ""},
    {"VAL", "", ""}, {"STATE", "", ""}, {"CODE", "", ""}, {"BYTES", "", ""}, {"PRIMARY", "", ""}, {"PRI", "", ""},
    {"GLOBAL", "", ""}, {"THE", "", ""}, {"AND", "", ""}, {"REGISTER", "", ""},
    {"PINBASED", "PIN", ""}, {"PROCBASED", "PROCESSOR", ""}, {"PROC", "PROCESSOR", ""}, {"CPU", "PROCESSOR", ""},
    {"SEC", "SECONDARY", ""}, {"SEL", "SELECTOR", ""}, {"AR", "RIGHTS", ""}, {"RIGHT", "RIGHTS", ""}, {"ATTR", "RIGHTS", ""},
    {"ATTRIB", "RIGHTS", ""}, {"ATTRIBUTES", "RIGHTS", ""}, {"LEN", "LENGTH", ""}, {"INSTR", "INSTRUCTION", ""},
    {"INST", "INSTRUCTION", ""}, {"INTR", "INTERRUPT", ""}, {"INT", "INTERRUPT", ""}, {"INTERRUPTION", "INTERRUPT", ""},
    {"ERR", "ERROR", ""}, {"ERRCODE", "ERROR", ""}, {"EC", "ERROR", ""}, {"VMEXIT", "EXIT", ""}, {"EXITING", "EXIT", ""},
    {"VMENTRY", "ENTRY", ""}, {"BITMAPS", "BITMAP", ""}, {"DBG", "DEBUG", ""}, {"DEBUGCTL", "DEBUG", ""},
    {"DBE", "DEBUG", "EXCEPTION"}, {"EXCEPTIONS", "EXCEPTION", ""}, {"EXCEPT", "EXCEPTION", ""}, {"CNT", "COUNT", ""},
    {"PDPTR", "PDPTE", ""}, {"VMFUNC", "FUNCTION", ""}, {"FUNC", "FUNCTION", ""}, {"IDENTIFIER", "ID", ""},
    {"PF", "FAULT", ""}, {"PAGEFAULT", "FAULT", ""}, {"SUBPAGE", "SUB", ""}, {"PERM", "PERMISSION", ""},
    {"EPTP", "EPT", ""}, {"EPTPTR", "EPT", ""}, {"VIRT", "VIRTUAL", ""}, {"VIRTUALIZATION", "VIRTUAL", ""},
    {"VE", "VIRTUAL", "EXCEPTION"}, {"VAPIC", "VIRTUAL", "APIC"}, {"PI", "POSTED", "INTERRUPT"}, {"DESC", "DESCRIPTOR", ""},
    {"DESCRIPTION", "DESCRIPTOR", ""}, {"VEC", "VECTORING", ""}, {"PREEMTION", "PREEMPTION", ""}, {"LO", "LOW", ""},
    {"STKLVLS", "STACK", "LEVELS"}, {"SPPTP", "SUB", "TABLE"}, {"VPID", "VIRTUAL", "ID"}, {"PTRS", "", ""},
    {"CTRLS", "CONTROLS", ""}, {"CTLS", "CONTROLS", ""}, {"CTRL", "CONTROLS", ""}, {"CTL", "CONTROLS", ""},
    {"CONTROL", "CONTROLS", ""}, {"CONTROLS", "CONTROLS", ""}, {"HI", "HIGH", ""}, {"SEAM", "", ""}, {"VIR", "VIRTUAL", ""},
    {"PIR", "POSTED", "INTERRUPT"}, {"NV", "NOTIFICATION", "VECTOR"},
};

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool has(const struct words *words, const char *word)
{
    unsigned i;

    for (i = 0; i < words->count; i++)
        if (equal(words->text[i], word))
            return true;
    return false;
}

static void drop(struct words *words, const char *word)
{
    unsigned i, kept = 0, k;

    for (i = 0; i < words->count; i++) {
        if (equal(words->text[i], word))
            continue;
        for (k = 0; kept != i && k < LETTERS; k++)
            words->text[kept][k] = words->text[i][k];
        kept++;
    }
    words->count = kept;
}

static bool add(struct words *words, const char *word)
{
    unsigned i;

    if (!*word)
        return true;
    if (words->count == WORDS_MAX)
        return false;
    for (i = 0; word[i] && i + 1 < LETTERS; i++)
        words->text[words->count][i] = word[i];
    words->text[words->count++][i] = '\0';
    return !word[i];
}

static bool add_spelt(struct words *words, const char *word)
{
    size_t i;

    words->raw++;
    for (i = 0; i < sizeof(spelling) / sizeof(spelling[0]); i++)
        if (equal(word, spelling[i][0])) {
            if (equal(spelling[i][1], "CONTROLS")) {
                words->control = true;
                return true;
            }
            return add(words, spelling[i][1]) && add(words, spelling[i][2]);
        }
    return add(words, word);
}

static bool upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool lower(char c) { return c >= 'a' && c <= 'z'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Words end at what is no letter or digit, where a capital begins the next, and between letters and digits. */
static bool take_apart(const char *name, size_t length, struct words *words, bool *high)
{
    size_t at = 0, i;
    char word[NAME_BYTES];

    words->count = words->raw = 0;
    words->control = *high = false;
    while (at < length) {
        if (!upper(name[at]) && !lower(name[at]) && !digit(name[at])) {
            at++;
            continue;
        }
        for (i = 0; at < length && i + 1 < sizeof(word); at++) {
            char c = name[at], before = i ? name[at - 1] : c;

            if (!upper(c) && !lower(c) && !digit(c))
                break;
            if (i && (digit(c) != digit(before) || (upper(c) && lower(before))))
                break;
            if (i && upper(c) && upper(before) && at + 1 < length && lower(name[at + 1]))
                break; /* "BitmapAHigh": A, High */
            word[i++] = lower(c) ? (char)(c - 'a' + 'A') : c;
        }
        word[i] = '\0';
        *high = words->raw > 0 && (equal(word, "HIGH") || equal(word, "HI"));
        if (*high) {
            for (i = at; i < length; i++)
                *high = *high && !upper(name[i]) && !lower(name[i]) && !digit(name[i]);
            if (*high) {
                words->raw++;
                break;
            }
        }
        if (!add_spelt(words, word))
            return false;
    }
    return words->count > 0;
}

/* What some names of a field say twice or leave out. */
static void agree(struct words *words)
{
    if (has(words, "RIGHTS"))
        drop(words, "ACCESS");
    if (has(words, "CR") && has(words, "MASK")) {
        drop(words, "GUEST");
        drop(words, "HOST");
    }
    if (has(words, "SHADOW"))
        drop(words, "READ");
    if (has(words, "SYSENTER"))
        drop(words, "MSR");
    if (has(words, "EOI"))
        drop(words, "BITMAP");
    if (has(words, "TIMER") || has(words, "PML") || has(words, "LINK"))
        drop(words, "GUEST");
    if (has(words, "LINEAR") || has(words, "PHYSICAL") || has(words, "IO") || has(words, "IDT"))
        drop(words, "EXIT");
    if (has(words, "EXIT") && has(words, "EXCEPTION") && has(words, "ERROR")) {
        drop(words, "EXCEPTION");
        add(words, "INTERRUPT");
    }
    if (has(words, "VIRTUAL") && has(words, "EXCEPTION")) {
        drop(words, "EXCEPTION");
        add(words, "EXCEPTION");
    }
    if (has(words, "SUB"))
        drop(words, "PERMISSION");
    if (has(words, "VIRTUAL") && has(words, "ID"))
        drop(words, "PROCESSOR");
    if (has(words, "PROCESSOR") && has(words, "2")) {
        drop(words, "2");
        add(words, "SECONDARY");
    } else if (has(words, "PROCESSOR") && has(words, "3")) {
        drop(words, "3");
        add(words, "TERTIARY");
    }
    if (has(words, "SECONDARY") || has(words, "TERTIARY"))
        drop(words, "PROCESSOR");
    if (has(words, "PAUSE") && has(words, "LOOP")) {
        drop(words, "PAUSE");
        drop(words, "LOOP");
        drop(words, "EXIT");
        add(words, "PLE");
    }
    if (has(words, "EXIT") && has(words, "INSTRUCTION") && has(words, "ERROR"))
        drop(words, "EXIT");
    if (words->count == 1 && has(words, "INSTRUCTION"))
        add(words, "EXIT");
    if (words->count == 1 && has(words, "TIMER"))
        add(words, "PREEMPTION");
}

/* The same for the same words in any order. */
static uint64_t key_of(const struct words *words)
{
    uint64_t sum = 0;
    unsigned i, k;

    for (i = 0; i < words->count; i++) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

        for (k = 0; words->text[i][k]; k++)
            hash = (hash ^ (unsigned char)words->text[i][k]) * UINT64_C(0x100000001b3);
        sum += hash * (hash | 1);
    }
    /* "Exit" and "entry" alone are no fields: their controls are. */
    return words->count == 1 && (has(words, "EXIT") || has(words, "ENTRY")) ? sum + words->control : sum;
}

static uint64_t keys[HVCTL_VMCS_SLOT_COUNT];

static void make_keys(void)
{
    static bool made;
    unsigned slot;

    for (slot = 0; !made && slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
        const char *field = hvctl_vmcs_field_name(hvctl_vmcs_slot_info(slot)->encoding);
        struct words words;
        size_t length = 0;
        bool high;

        while (field && field[length])
            length++;
        if (!field || !take_apart(field, length, &words, &high))
            continue;
        agree(&words);
        keys[slot] = key_of(&words);
    }
    made = true;
}

static unsigned find(const struct words *words)
{
    uint64_t key = key_of(words);
    unsigned slot = 0;

    while (slot < HVCTL_VMCS_SLOT_COUNT && keys[slot] != key)
        slot++;
    return slot < HVCTL_VMCS_SLOT_COUNT ? slot : NAMES_NO_SLOT;
}

unsigned names_slot(const char *name, size_t length, bool *high)
{
    struct words words;
    unsigned slot, host;

    make_keys();
    if (length > NAME_BYTES || !take_apart(name, length, &words, high) || words.raw < 2)
        return NAMES_NO_SLOT;
    agree(&words);
    if (words.count == 0 || words.count + 1 >= WORDS_MAX)
        return NAMES_NO_SLOT;
    slot = find(&words);
    if (slot != NAMES_NO_SLOT)
        return slot;
    /* Whose it is may be left out where only the guest has one: limits, rights. */
    if (has(&words, "GUEST") || has(&words, "HOST"))
        return NAMES_NO_SLOT;
    add(&words, "HOST");
    host = find(&words);
    drop(&words, "HOST");
    add(&words, "GUEST");
    return host == NAMES_NO_SLOT ? find(&words) : NAMES_NO_SLOT;
}
