/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The checkers against the CPU: the same pseudo-random mutations of good control structures are checked and entered. An
 * entry must succeed if and only if no rule is broken, and fail as the broken rule says.
 */
#ifndef DIFFERENTIAL_DIFFERENTIAL_H
#define DIFFERENTIAL_DIFFERENTIAL_H

#include <hvctl/common/check.h>

#include "random.h"

#ifndef DIFFERENTIAL_VMCS_CASES
#define DIFFERENTIAL_VMCS_CASES 20000u /* on each of four models, besides some 6000 that change a field alone */
#endif
#ifndef DIFFERENTIAL_VMCB_CASES
#define DIFFERENTIAL_VMCB_CASES 300000u /* on QEMU; a sixth of them on Bochs, which is slower */
#endif

#define RULES_MAX 400u

#ifndef DIFFERENTIAL_EDGES
#define DIFFERENTIAL_EDGES 25u /* where the count of a rule's edges stops: to look for one takes time */
#endif

/* How often a rule must have been broken alone, and kept at its edge, where the machine can do it. */
#define COUNT_MIN 3u

/* What was seen of a rule. */
struct rule_count {
    const char *id;
    unsigned alone;    /* it was the only one broken, and the CPU failed as it says */
    unsigned deviated; /* it was the only one broken, and the emulator is known not to keep to it */
    unsigned kept;     /* a field of it was changed, it applied and was kept, and the CPU entered */
    unsigned edge;   /* of these, up to DIFFERENTIAL_EDGES: a value next to the one that it had would have broken it */
    unsigned looked; /* how often its edge was looked for */
    bool reachable;  /* this CPU has its field and its control */
};

/* A rule that this machine cannot break alone, or keep at its edge, and why. */
struct unreachable {
    const char *id;
    bool alone, edge; /* which of the two cannot be */
    const char *why;
    bool (*here)(const void *world); /* on this machine? NULL: on each */
};

/*
 * Where the emulator differs from the manual: a rule that it does not keep to, or keeps to where it does not apply. The
 * check of this name fails if it does; tests/machine/deviations.py says for which versions that is known.
 */
struct deviation {
    const char *name;  /* "RULE: what the emulator does" */
    unsigned differed; /* cases in which this alone told the emulator from the manual */
    unsigned agreed;   /* cases in which it might have, and the emulator did as the manual says */
};

/* Is a kept rule's edge to be looked for? Not when it was seen often enough, and rarely if it does not show. */
static inline bool count_looks_for_edge(struct rule_count *count)
{
    if (count->edge >= DIFFERENTIAL_EDGES || (count->looked > 300 * (count->edge + 1) && count->kept % 16 != 0))
        return false;
    count->looked++;
    return true;
}

/* Was this rule, which is not listed as out of reach, seen too rarely as yet? */
bool count_is_wanting(const struct rule_count *count, const struct unreachable *unreachable, unsigned unreachables,
                      const void *world);

/* Prints the counts, and checks those that must not be 0 and those that must be. */
void counts_check(const struct rule_count *count, unsigned rules, const struct unreachable *unreachable,
                  unsigned unreachables, const void *world);

/* One check that the emulator does as the manual says, one that the deviation's condition is exact. */
void deviation_check(const struct deviation *deviation);

/*
 * Is value at the edge of a rule: would a value next to it break the rule? Next to it are, for a rule of bits that must
 * be 0, a value that is not the good one, with one of its bits moved by one place or two; for others, the value 1 more
 * or less, or with one bit changed. conditional: the rule applies only because of something else that the case changed;
 * then any bit that must be 0 is near. ask says what the rule makes of the field with another value.
 */
typedef enum hvctl_rule_result (*edge_ask_fn)(void *ctx, uint64_t value, struct hvctl_finding *finding);
bool edge_is_near(uint64_t value, uint64_t good, unsigned bits, bool conditional, edge_ask_fn ask, void *ctx);

bool same(const char *a, const char *b);

/* Is id pattern, or does it begin as pattern does up to its star? */
bool fits(const char *pattern, const char *id);

/* A mismatch, in words; only the first few are printed. */
bool mismatch_begin(unsigned number);

void differential_vmx(void);
void differential_svm(void);

#endif
