/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A verdict on a VMCS of which not everything is known is certain: for each VM-entry rule, each set of known fields
 * of those that it looks at, and each value of the known ones, what is called broken is broken whatever the others
 * hold, and what is called kept or idle is broken for none.
 *
 * The values of a field: all bits clear, all set, and one bit that is different from the others, fewer where a rule
 * looks at more fields; and every kind of event and of segment (values_of). Control words have every setting of the
 * bits that the rule looks at; all that it should not look at is clear, or set.
 */
#include "enumerate.h"

#include <hvctl/vmx/check.h>
#include <hvctl/vmx/models.h>

enum { FIELDS_MAX = 12, VALUES_MAX = 160 };

struct field {
    unsigned slot, count;
    uint64_t value[VALUES_MAX];
};

static struct hvctl_vmx_caps caps;
static struct hvctl_vmcs_image part, filled;
static struct field fields[FIELDS_MAX];
static unsigned field_count, at[FIELDS_MAX];

static uint64_t cut(unsigned slot, uint64_t value)
{
    const unsigned bits = hvctl_vmcs_width_bits(hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).width);

    return bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static void add_value(struct field *field, uint64_t value)
{
    unsigned i;

    value = cut(field->slot, value);
    for (i = 0; i < field->count; i++)
        if (field->value[i] == value)
            return;
    if (field->count < VALUES_MAX)
        field->value[field->count++] = value;
}

/* Of a field that is no control word; among is how many of these the rule has. */
static void values_of(struct field *field, unsigned among)
{
    /* The bits that any rule about four fields or five can tell apart, and one that none does. */
    static const uint8_t few[] = {0, 1, 3, 5, 8, 9, 14, 16, 31}, vectors[8] = {0, 1, 2, 3, 8, 13, 21, 32};
    unsigned bit;

    add_value(field, 0);
    add_value(field, ~UINT64_C(0));
    add_value(field, 3);
    if (field->slot == HVCTL_VMCS_SLOT_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD)
        for (bit = 0; bit < 8 * sizeof(vectors); bit++) /* every type of event, with vectors that mean something */
            add_value(field, UINT64_C(1) << 31 | bit / 8 << 8 | vectors[bit % 8]);
    if (field->slot >= HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS && field->slot <= HVCTL_VMCS_SLOT_GUEST_TR_ACCESS_RIGHTS)
        for (bit = 0; bit < 64; bit++) /* every type of segment, of level 0 or 3, usable or not */
            add_value(field, (bit & 15) | (bit & 16 ? 0x60 : 0) | (bit & 32 ? UINT64_C(1) << 16 : 0));
    if (among > 3) {
        for (bit = 0; bit < sizeof(few); bit++)
            add_value(field, UINT64_C(1) << few[bit]);
        return;
    }
    for (bit = 0; bit < 64; bit++)
        if (among < 3 || bit < 18 || bit == 23 || bit == 32 || bit > 61)
            add_value(field, UINT64_C(1) << bit);
    for (bit = 0; among == 1 && bit < 64; bit++)
        add_value(field, ~(UINT64_C(1) << bit));
}

static int group_of(unsigned slot)
{
    unsigned group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_slot(group) == slot)
            return (int)group;
    return -1;
}

static void fields_of(const struct hvctl_vmx_rule *rule, bool rest)
{
    enum hvctl_vmx_control looks[HVCTL_VMX_LOOKS_MAX];
    struct hvctl_vmx_controls words = {{0, 0, 0, 0, 0, 0, 0, 0}};
    unsigned i, group, among = 0;

    hvctl_vmx_words_need(&words, (enum hvctl_vmx_control)rule->when);
    hvctl_vmx_rule_looks(rule, looks);
    for (i = 0; i < HVCTL_VMX_LOOKS_MAX; i++)
        hvctl_vmx_words_need(&words, looks[i]);
    for (i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++)
        among += group_of(rule->slot[i]) < 0;

    field_count = 0;
    for (i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++) {
        if (group_of(rule->slot[i]) >= 0)
            continue;
        fields[field_count].slot = rule->slot[i];
        fields[field_count].count = 0;
        values_of(&fields[field_count++], among);
    }
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        struct field *field = &fields[field_count];
        const uint64_t bits = words.word[group];
        uint64_t setting = 0;
        bool judged = rule->slot[0] == hvctl_vmx_group_slot(group);

        if (bits == 0 && !judged)
            continue;
        field->slot = hvctl_vmx_group_slot(group);
        field->count = 0;
        do {
            add_value(field, setting | (rest ? ~bits : 0));
            for (i = 0; judged && i < 64; i++)
                add_value(field, (setting | (rest ? ~bits : 0)) ^ (UINT64_C(1) << i & ~bits));
            setting = (setting - bits) & bits;
        } while (setting != 0);
        field_count++;
    }
}

/* The next values of the fields in set; false: all were there. */
static bool next(unsigned set, struct hvctl_vmcs_image *image)
{
    unsigned i;

    for (i = 0; i < field_count; i++) {
        if (!(set >> i & 1))
            continue;
        at[i] = at[i] + 1 < fields[i].count ? at[i] + 1 : 0;
        image->value[fields[i].slot] = fields[i].value[at[i]];
        if (at[i] != 0)
            return true;
    }
    return false;
}

static void first(unsigned set, struct hvctl_vmcs_image *image)
{
    unsigned i;

    for (i = 0; i < field_count; i++) {
        if (set >> i & 1) {
            at[i] = 0;
            image->value[fields[i].slot] = fields[i].value[0];
        }
    }
}

static void ask(const struct hvctl_vmx_rule *rule, unsigned known, bool rest,
                const struct hvctl_vmx_surroundings *around)
{
    const unsigned unknown = ((1u << field_count) - 1) & ~known;
    unsigned i;

    hvctl_vmcs_image_init_unknown(&part, NULL);
    filled = part;
    for (i = 0; i < HVCTL_VMCS_SLOT_COUNT; i++)
        filled.value[i] = rest ? cut(i, ~UINT64_C(0)) : 0;
    for (i = 0; i < field_count; i++)
        if (known >> i & 1)
            hvctl_vmcs_set_add(&part.known, fields[i].slot);
    first(known, &part);
    do {
        struct hvctl_finding finding, other;
        const enum hvctl_rule_result result = hvctl_vmx_rule_ask_unknown(&part, &caps, around, rule, &finding);

        if (result == HVCTL_RULE_UNKNOWN || result == HVCTL_RULE_UNCHECKED)
            continue;
        for (i = 0; i < field_count; i++)
            if (known >> i & 1)
                filled.value[fields[i].slot] = part.value[fields[i].slot];
        first(unknown, &filled);
        do {
            struct hvctl_vmx_view view;
            enum hvctl_rule_result now;

            hvctl_vmx_view_make(&view, &filled, &caps, around);
            now = hvctl_vmx_rule_ask(&view, rule, &other);
            runs++;
            must(result != HVCTL_RULE_BROKEN || now == HVCTL_RULE_BROKEN, rule->id);
            must(result == HVCTL_RULE_BROKEN || now != HVCTL_RULE_BROKEN, rule->id);
            must(result != HVCTL_RULE_IDLE || now == HVCTL_RULE_IDLE, rule->id);
        } while (next(unknown, &filled));
    } while (next(known, &part));
}

int main(void)
{
    static const struct hvctl_vmx_surroundings smm = {.in_smm = true, .current_vmcs = 0x1000};
    const struct hvctl_vmx_rule *rule;
    unsigned table, known, rest;
    size_t row;

    hvctl_vmx_model_caps(hvctl_vmx_model_at(hvctl_vmx_models() - 1), &caps);
    for (table = 0; table < HVCTL_VMX_RULE_TABLES; table++) {
        for (row = 0; (rule = hvctl_vmx_rule_in(table, row)) != NULL; row++) {
            for (rest = 0; rest < 2; rest++) {
                fields_of(rule, rest != 0);
                for (known = 0; known < 1u << field_count; known++) {
                    ask(rule, known, rest != 0, hvctl_vmx_surroundings_usual());
                    ask(rule, known, rest != 0, &smm);
                }
            }
        }
    }
    printf("%llu fillings\n", runs);
    return 0;
}
