/*
 * explain: which level and which bit allows an access to a guest-physical address, denies it, or is misconfigured; in
 * words, with the section of the manual that says so. For whoever looks at a fault and wants to know why.
 */
#ifndef HVPT_CORE_EXPLAIN_H
#define HVPT_CORE_EXPLAIN_H

#include "state.h"
#include "../text.h"

/* Room for any explanation, with its terminating zero. */
#define HVPT_EXPLAIN_SIZE 1536

/*
 * What a format's rules say of one entry on the way of an access.
 * status: HVPT_OK: nothing against it.  HVPT_E_ABSENT: the entry is empty.  HVPT_E_ATTR: it denies the access.
 * HVPT_E_CORRUPT: it is a misconfiguration, a reserved bit, a fault whatever the access.
 */
struct hvpt_reason {
    enum hvpt_status status;
    uint64_t bits;       /* of the entry: those that decide */
    const char *rule;    /* what they say, in words */
    const char *section; /* of the manual, by title */
};

/*
 * A format's rules for one entry at level, in the order in which the manual has them. access: 0, or rights that are all
 * wanted. HVPT_OK and HVPT_E_ATTR only of a well-formed table or leaf.
 */
typedef struct hvpt_reason hvpt_judge(const struct hvpt_space *space, uint64_t entry, unsigned level, uint32_t access);

static inline struct hvpt_reason hvpt_make_reason(enum hvpt_status status, uint64_t bits, const char *rule,
                                                  const char *section)
{
    struct hvpt_reason reason = {status, bits, rule, section};

    return reason;
}

static inline struct hvpt_reason hvpt_no_reason(void)
{
    return hvpt_make_reason(HVPT_OK, 0, "", "");
}

/* "read, write"; "nothing". */
static HVPT_NOINLINE void hvpt_explain_rights(const struct hvpt_text *text, uint32_t rights)
{
    struct hvpt_text_list list = {text, ", ", false};

    hvpt_text_item_if(&list, (rights & HVPT_READ) != 0, "read");
    hvpt_text_item_if(&list, (rights & HVPT_WRITE) != 0, "write");
    hvpt_text_item_if(&list, (rights & HVPT_EXEC) != 0, "execute");
    hvpt_text_item_if(&list, (rights & HVPT_EXEC_USER) != 0, "user execute");
    hvpt_text_item_if(&list, !list.begun, "nothing");
}

/* "bit 1 = 0, bits 5:3 = 0x2": every run of bits, from the lowest, with what entry holds there. */
static HVPT_NOINLINE void hvpt_explain_bits(const struct hvpt_text *text, uint64_t bits, uint64_t entry)
{
    struct hvpt_text_list list = {text, ", ", false};
    unsigned low = 0;

    while (bits != 0) {
        unsigned count = 0;

        while (!(bits & 1)) {
            bits >>= 1;
            low++;
        }
        while (bits & 1) {
            bits >>= 1;
            count++;
        }
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
        low += count;
    }
}

/* "level 3 (PML4E)". names: what the manual calls the entries of each level. */
static HVPT_NOINLINE void hvpt_explain_level(const struct hvpt_text *text, const char *const *names, unsigned level)
{
    hvpt_text_string(text, "level ");
    hvpt_text_decimal(text, level);
    hvpt_text_string(text, " (");
    hvpt_text_string(text, names[level]);
    hvpt_text_string(text, ")");
}

/* A line on one entry of the way: where it is and what it holds. */
static HVPT_NOINLINE void hvpt_explain_entry(const struct hvpt_text *text, const char *const *names, unsigned level,
                                             uint64_t frame, unsigned index, uint64_t entry)
{
    hvpt_text_string(text, "\n");
    hvpt_explain_level(text, names, level);
    hvpt_text_string(text, ": entry ");
    hvpt_text_decimal(text, index);
    hvpt_text_string(text, " of the table at ");
    hvpt_text_hex(text, frame);
    hvpt_text_string(text, " is ");
    hvpt_text_hex(text, entry);
}

/* And what it makes of that: size 0 is a table. The rights are those that hardware would grant as the entry stands. */
static HVPT_NOINLINE void hvpt_explain_meaning(const struct hvpt_text *text, const struct hvpt_space *space,
                                               hvpt_judge *judge, uint64_t entry, unsigned level, uint64_t address,
                                               uint64_t size)
{
    uint32_t right, rights = 0;

    for (right = HVPT_READ; right <= HVPT_EXEC_USER; right <<= 1)
        if (judge(space, entry, level, right).status == HVPT_OK)
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
static HVPT_NOINLINE enum hvpt_status hvpt_explain_verdict(const struct hvpt_text *text, const char *const *names,
                                                           const struct hvpt_reason *reason, unsigned level,
                                                           uint64_t entry)
{
    hvpt_text_string(text, reason->status == HVPT_E_ABSENT ? "\nnot mapped at "
                           : reason->status == HVPT_E_ATTR ? "\ndenied by "
                                                           : "\nmisconfigured at ");
    hvpt_explain_level(text, names, level);
    hvpt_text_string(text, ", ");
    hvpt_explain_bits(text, reason->bits, entry);
    hvpt_text_string(text, ": ");
    hvpt_text_string(text, reason->rule);
    hvpt_text_string(text, ". ");
    hvpt_text_string(text, reason->section);
    return reason->status;
}

/*
 * Would hardware let the guest access gpa, and what decides? Puts one line for each entry on the way to text, and a
 * last one with the verdict: the first level that denies, or the entry that ends the walk before there is anything to
 * deny. No newline at the end. access: HVPT_READ, HVPT_WRITE, HVPT_EXEC (in supervisor mode, at EL1), HVPT_EXEC_USER
 * (in user mode, at EL0), or several that are all wanted; 0: does any page lie there?
 *
 * HVPT_OK: allowed.  HVPT_E_ATTR: denied, also where a touch would give the right back; or access is none.
 * HVPT_E_ABSENT: not mapped.  HVPT_E_CORRUPT: misconfigured, or a table cannot be reached.  HVPT_E_RANGE: beyond the
 * space.
 *
 * It judges the second level alone. A read that sets bits in the guest's own tables is a write there, and what further
 * tables say (sub-page permissions) is not looked up.
 *
 * Safe beside map, fault_map and other readers, from any CPU; reads, and writes nothing; trusts no entry.
 */
HVPT_DISSOLVE enum hvpt_status hvpt_explain_access(const struct hvpt_format *format, hvpt_judge *judge,
                                                   const char *const *names, const struct hvpt_space *space,
                                                   hvpt_gpa gpa, uint32_t access, const struct hvpt_text *text)
{
    const hvpt_entry *table = space->root_table;
    uint64_t frame = space->root_frame, entry, denier = 0;
    unsigned level = space->root_level, denier_level = 0;
    struct hvpt_reason denial = hvpt_no_reason();

    if (access & ~(uint32_t)HVPT_PERM_ALL) {
        hvpt_text_string(text, "there is no such access");
        return HVPT_E_ATTR;
    }
    if (access == 0)
        hvpt_text_string(text, "any access");
    else
        hvpt_explain_rights(text, access);
    hvpt_text_string(text, " at ");
    hvpt_text_hex(text, gpa.value);
    if (gpa.value >= space->gpa_limit) {
        hvpt_text_string(text, "\nbeyond the space, which ends at ");
        hvpt_text_hex(text, space->gpa_limit);
        return HVPT_E_RANGE;
    }
    for (;; level--) {
        unsigned index = hvpt_index(format, space, gpa.value, level);
        struct hvpt_reason reason;

        entry = hvpt_load(&table[index]);
        hvpt_explain_entry(text, names, level, frame, index, entry);
        reason = judge(space, entry, level, access);
        if (reason.status == HVPT_E_ABSENT || reason.status == HVPT_E_CORRUPT)
            return hvpt_explain_verdict(text, names, &reason, level, entry);
        if (reason.status != HVPT_OK && denial.status == HVPT_OK) {
            denial = reason;
            denier = entry;
            denier_level = level;
        }
        if (!format->is_table(space, entry, level))
            break;
        frame = format->table_frame(space, entry);
        hvpt_explain_meaning(text, space, judge, entry, level, frame, 0);
        table = hvpt_table_at(space, frame);
        if (table == NULL) {
            hvpt_text_string(text, "\nthe table cannot be reached: phys_to_virt knows no frame there");
            return HVPT_E_CORRUPT;
        }
    }
    hvpt_explain_meaning(text, space, judge, entry, level, format->leaf_address(space, entry, level, gpa.value),
                         hvpt_span(format, level));
    if (denial.status != HVPT_OK)
        return hvpt_explain_verdict(text, names, &denial, denier_level, denier);
    hvpt_text_string(text, "\nallowed: host-physical ");
    hvpt_text_hex(text,
                  format->leaf_address(space, entry, level, gpa.value) | (gpa.value & (hvpt_span(format, level) - 1)));
    return HVPT_OK;
}

#endif
