/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Why an access to a guest-physical address is allowed, denied or misconfigured: which level, which bit and which rule
 * decide, in words with the section of the manual, or in a struct. For anyone who wants to know why a guest faulted.
 */
#ifndef HVPT_EXPLAIN_H
#define HVPT_EXPLAIN_H

#include "engine/space.h"
#include "text.h"

/* Room for any explanation, with its terminating zero. */
#define HVPT_EXPLAIN_SIZE 1536

/**
 * What decides about an access.
 * status: as hvpt_space_explain answers. level, entry: those of the entry that decides (of the leaf if all allow it).
 * bits: the bits of the entry that decide; 0 with HVPT_OK. number: the rule of a misconfiguration, as the format's
 * header in format/ numbers them (HVPT_EPT_RULE_MEMTYPE, ...); else 0. rule, section: the rule in words, and the
 * section of the manual by title; "" with HVPT_OK. hpa: where the access would go, with HVPT_OK.
 */
struct hvpt_diagnosis {
    enum hvpt_status status;
    unsigned level;
    uint64_t entry;
    uint64_t bits;
    unsigned number;
    const char *rule;
    const char *section;
    hvpt_hpa hpa;
};

/**
 * Would hardware let the guest access gpa, and what decides?  Puts one line for each entry on the way to text, and a
 * last one with the verdict: the first level that denies, or the entry that ends the walk before there is anything to
 * deny. No newline at the end.
 * It judges the second level alone. A read that sets bits in the guest's own tables is a write there, and what further
 * tables say (sub-page permissions) is not looked up.
 * @param access HVPT_READ, HVPT_WRITE, HVPT_EXEC (in supervisor mode, at EL1), HVPT_EXEC_USER (in user mode, at EL0),
 *               or several that are all wanted; 0: does any page lie there?
 * @retval HVPT_OK        allowed
 * @retval HVPT_E_ATTR    denied, even where a touch would give the permission back; or access has an unknown bit
 * @retval HVPT_E_ABSENT  not mapped
 * @retval HVPT_E_RANGE   gpa is beyond the space
 * @retval HVPT_E_CORRUPT misconfigured, or a table cannot be reached
 * Reader; it writes nothing and trusts no entry.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                            uint32_t access, const struct hvpt_text *text);

/** The same in a struct. Returns out->status. */
HVPT_API enum hvpt_status hvpt_space_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                              struct hvpt_diagnosis *out);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
#include "explain/ept.h"
#include "explain/gstage.h"
#include "explain/npt.h"
#include "explain/stage2.h"

/* "read, write"; "nothing". */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_rights(const struct hvpt_text *text, uint32_t rights)
{
    struct hvpt_text_list list = {text, ", ", false};

    hvpt_text_item_if(&list, (rights & HVPT_READ) != 0, "read");
    hvpt_text_item_if(&list, (rights & HVPT_WRITE) != 0, "write");
    hvpt_text_item_if(&list, (rights & HVPT_EXEC) != 0, "execute");
    hvpt_text_item_if(&list, (rights & HVPT_EXEC_USER) != 0, "user execute");
    hvpt_text_item_if(&list, !list.begun, "nothing");
}

/* "bit 1 = 0, bits 5:3 = 0x2": every run of bits, from the lowest, with what entry holds there. */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_bits(const struct hvpt_text *text, uint64_t bits, uint64_t entry)
{
    struct hvpt_text_list list = {text, ", ", false};
    unsigned low, count;

    /* By places: where bits are shifted out until one is set, gcc 14 calls __ctzdi2 of its library on i386. */
    for (low = 0; low < 64; low += count + 1) {
        count = 0;
        while (low + count < 64 && ((bits >> (low + count)) & 1))
            count++;
        if (count == 0)
            continue;
        hvpt_text_item_if(&list, true, count == 1 ? "bit " : "bits ");
        hvpt_text_decimal(text, low + count - 1);
        if (count == 1) {
            hvpt_text_string(text, (entry >> low) & 1 ? " = 1" : " = 0");
        } else {
            hvpt_text_string(text, ":");
            hvpt_text_decimal(text, low);
            hvpt_text_string(text, " = ");
            hvpt_text_hex(text, (entry >> low) & (~UINT64_C(0) >> (64 - count)));
        }
    }
}

/* "level 3 (PML4E)". names: what the manual calls the entries of each level. */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_level(const struct hvpt_text *text, const struct hvpt_words *words,
                                                unsigned level)
{
    hvpt_text_string(text, "level ");
    hvpt_text_decimal(text, level);
    hvpt_text_string(text, " (");
    hvpt_text_string(text, words->levels[level]);
    hvpt_text_string(text, ")");
}

/* A line on one entry of the way: where it is and what it holds. */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_entry(const struct hvpt_text *text, const struct hvpt_words *words,
                                                unsigned level, uint64_t frame, unsigned index, uint64_t entry)
{
    hvpt_text_string(text, "\n");
    hvpt_explain_level(text, words, level);
    hvpt_text_string(text, ": entry ");
    hvpt_text_decimal(text, index);
    hvpt_text_string(text, " of the table at ");
    hvpt_text_hex(text, frame);
    hvpt_text_string(text, " is ");
    hvpt_text_hex(text, entry);
}

/* What the entry means: size 0 is a table. The permissions are those that hardware would grant as the entry stands. */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_meaning(const struct hvpt_text *text, const struct hvpt_space *space,
                                                  const struct hvpt_words *words, uint64_t entry, unsigned level,
                                                  uint64_t address, uint64_t size)
{
    uint32_t right, rights = 0;

    for (right = HVPT_READ; right <= HVPT_EXEC_USER; right <<= 1)
        if ((words->reason)(space, entry, level, right).status == HVPT_OK)
            rights |= right;
    hvpt_text_string(text, ": ");
    if (size == 0) {
        hvpt_text_string(text, "table");
    } else {
        hvpt_text_hex(text, size);
        hvpt_text_string(text, " bytes");
    }
    hvpt_text_string(text, " at ");
    hvpt_text_hex(text, address);
    hvpt_text_string(text, "; allows ");
    hvpt_explain_rights(text, rights);
}

/* The last line: "denied by level 0 (PTE), bit 1 = 0: no right to write. SDM vol. 3, ...". */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_verdict(const struct hvpt_text *text, const struct hvpt_words *words,
                                                  const struct hvpt_diagnosis *found)
{
    if (found->status == HVPT_OK) {
        hvpt_text_string(text, "\nallowed: host-physical ");
        hvpt_text_hex(text, found->hpa.value);
        return;
    }
    if (found->bits == 0) { /* no entry decides */
        hvpt_text_string(text, "\n");
        hvpt_text_string(text, found->rule);
        return;
    }
    hvpt_text_string(text, found->status == HVPT_E_ABSENT ? "\nnot mapped at "
                           : found->status == HVPT_E_ATTR ? "\ndenied by "
                                                          : "\nmisconfigured at ");
    hvpt_explain_level(text, words, found->level);
    hvpt_text_string(text, ", ");
    hvpt_explain_bits(text, found->bits, found->entry);
    hvpt_text_string(text, ": ");
    hvpt_text_string(text, found->rule);
    hvpt_text_string(text, ". ");
    hvpt_text_string(text, found->section);
}

static inline void hvpt_diagnose_by(struct hvpt_diagnosis *out, const struct hvpt_reason *reason, uint64_t entry,
                                    unsigned level)
{
    out->status = reason->status;
    out->level = level;
    out->entry = entry;
    out->bits = reason->bits;
    out->number = reason->number;
    out->rule = reason->rule;
    out->section = reason->section;
}

/*
 * Follow the access from table to table; if there is a text, write a line for each entry. The address is in the space.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_explain_way(const struct hvpt_space *space, const struct hvpt_words *words,
                                              uint64_t gpa, uint32_t access, const struct hvpt_text *text,
                                              struct hvpt_diagnosis *out)
{
    const hvpt_entry *table = space->root_table;
    uint64_t frame = space->root_frame, entry;
    unsigned level = space->root_level;
    struct hvpt_reason reason;

    for (;; level--) {
        unsigned index = hvpt_index(space, gpa, level);

        entry = hvpt_load(&table[index]);
        if (text != NULL)
            hvpt_explain_entry(text, words, level, frame, index, entry);
        reason = (words->reason)(space, entry, level, access);
        if (reason.status == HVPT_E_ABSENT || reason.status == HVPT_E_CORRUPT) {
            hvpt_diagnose_by(out, &reason, entry, level);
            return;
        }
        if (reason.status != HVPT_OK && out->status == HVPT_OK)
            hvpt_diagnose_by(out, &reason, entry, level);
        if (!hvpt_is_table(space, entry, level))
            break;
        frame = hvpt_frame_in(space, entry);
        if (text != NULL)
            hvpt_explain_meaning(text, space, words, entry, level, frame, 0);
        table = hvpt_table_at(space, frame);
        if (table == NULL) {
            reason = hvpt_make_reason(HVPT_E_CORRUPT, 0, 0,
                                      "the table cannot be reached: phys_to_virt knows no frame there", "");
            hvpt_diagnose_by(out, &reason, entry, level);
            return;
        }
    }
    frame = hvpt_leaf_address(space, entry, level, gpa);
    if (text != NULL)
        hvpt_explain_meaning(text, space, words, entry, level, frame, hvpt_span(space, level));
    if (out->status != HVPT_OK)
        return;
    hvpt_diagnose_by(out, &reason, entry, level);
    out->hpa = hvpt_make_hpa(frame | (gpa & (hvpt_span(space, level) - 1)));
}

HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_explain_into(const struct hvpt_space *space,
                                                           const struct hvpt_words *words, uint64_t gpa,
                                                           uint32_t access, const struct hvpt_text *text,
                                                           struct hvpt_diagnosis *out)
{
    struct hvpt_reason reason = hvpt_no_reason();

    out->hpa = hvpt_make_hpa(0);
    hvpt_diagnose_by(out, &reason, 0, 0);
    if (access & ~(uint32_t)HVPT_PERM_ALL) {
        reason = hvpt_make_reason(HVPT_E_ATTR, 0, 0, "there is no such access", "");
        hvpt_diagnose_by(out, &reason, 0, 0);
        if (text != NULL)
            hvpt_text_string(text, out->rule);
        return out->status;
    }
    if (text != NULL) {
        if (access == 0)
            hvpt_text_string(text, "any access");
        else
            hvpt_explain_rights(text, access);
        hvpt_text_string(text, " at ");
        hvpt_text_hex(text, gpa);
    }
    if (gpa >= space->gpa_limit) {
        reason = hvpt_make_reason(HVPT_E_RANGE, 0, 0, "beyond the space", "");
        hvpt_diagnose_by(out, &reason, 0, 0);
        if (text != NULL) {
            hvpt_text_string(text, "\nbeyond the space, which ends at ");
            hvpt_text_hex(text, space->gpa_limit);
        }
        return out->status;
    }
    hvpt_explain_way(space, words, gpa, access, text, out);
    if (text != NULL)
        hvpt_explain_verdict(text, words, out);
    return out->status;
}

/* The words of whatever format the space has. */
static inline const struct hvpt_words *hvpt_words_of(const struct hvpt_space *space)
{
    switch (space->kind) {
    case HVPT_KIND_NPT: return hvpt_npt_words();
    case HVPT_KIND_S2: return hvpt_s2_words();
    case HVPT_KIND_GSTAGE: return hvpt_gstage_words();
    default: return hvpt_ept_words();
    }
}

HVPT_API enum hvpt_status hvpt_space_explain(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                             const struct hvpt_text *text)
{
    struct hvpt_diagnosis found;

    return hvpt_explain_into(space, hvpt_words_of(space), gpa.value, access, text, &found);
}

HVPT_API enum hvpt_status hvpt_space_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                              struct hvpt_diagnosis *out)
{
    return hvpt_explain_into(space, hvpt_words_of(space), gpa.value, access, NULL, out);
}
#endif

#endif
