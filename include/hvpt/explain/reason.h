/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What a format says, in words, of one entry that an access meets. */
#ifndef HVPT_EXPLAIN_REASON_H
#define HVPT_EXPLAIN_REASON_H

#include "../engine/rules.h"

/*
 * status: HVPT_OK: nothing against it. HVPT_E_ABSENT: the entry is empty. HVPT_E_ATTR: it denies the access.
 * HVPT_E_CORRUPT: it breaks the rule of that number, and faults whatever the access.
 * bits: the bits of the entry that decide. rule: what they say, in words. section: that of the manual, by title.
 */
struct hvpt_reason {
    enum hvpt_status status;
    unsigned number;
    uint64_t bits;
    const char *rule;
    const char *section;
};

/* access: 0, or permissions that are all wanted. HVPT_OK and HVPT_E_ATTR only of a well-formed table or leaf. */
typedef struct hvpt_reason hvpt_reason_of(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                          uint32_t access);

/* A format's words: its reasons, and what its manual calls the entries of each level. */
struct hvpt_words {
    hvpt_reason_of *reason;
    const char *levels[HVPT_MAX_LEVELS];
};

static inline struct hvpt_reason hvpt_make_reason(enum hvpt_status status, unsigned number, uint64_t bits,
                                                  const char *rule, const char *section)
{
    struct hvpt_reason reason;

    reason.status = status;
    reason.number = number;
    reason.bits = bits;
    reason.rule = rule;
    reason.section = section;
    return reason;
}

static inline struct hvpt_reason hvpt_no_reason(void)
{
    return hvpt_make_reason(HVPT_OK, 0, 0, "", "");
}

#endif
