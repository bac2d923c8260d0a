/*
 * The checkers against the CPU: the same pseudo-random mutations of good control structures are checked and entered. An
 * entry must succeed if and only if no rule is broken, and fail as the broken rule says.
 */
#ifndef DIFFERENTIAL_DIFFERENTIAL_H
#define DIFFERENTIAL_DIFFERENTIAL_H

#include <hvctl/check.h>

#include "random.h"

#ifndef DIFFERENTIAL_VMCS_CASES
#define DIFFERENTIAL_VMCS_CASES 26000u /* on each of four models */
#endif
#ifndef DIFFERENTIAL_VMCB_CASES
#define DIFFERENTIAL_VMCB_CASES 270000u /* on QEMU; a sixth of them on Bochs, which is slower */
#endif

#define RULES_MAX 400u

/* What was seen of a rule. */
struct rule_count {
    const char *id;
    unsigned alone; /* it was the only one broken, and the CPU failed as it says, or deviates here and is known to */
    unsigned kept;  /* a field of it was changed, it applied and was kept, and the CPU entered */
    bool reachable; /* on this machine; if not, why says why not */
    const char *why;
};

/* A rule that this machine cannot break alone, or keep, and why. */
struct unreachable {
    const char *id;
    bool alone, kept; /* which of the two cannot be */
    const char *why;
    bool (*here)(const void *world); /* on this machine? NULL: on each */
};

/* Where the emulator differs from the manual. Either answer is accepted where a deviation applies. */
struct deviation {
    const char *rule;
    const char *emulator; /* and its version */
    const char *what;
    const char *manual;
    unsigned seen;
};

/* Prints the counts, and checks that none is 0 that could be more. */
void counts_check(const struct rule_count *count, unsigned rules, const struct unreachable *unreachable,
                  unsigned unreachables, const void *world);

/* Prints the deviations that applied, and how often the emulator differed. */
void deviations_print(const struct deviation *deviation, unsigned count);

bool same(const char *a, const char *b);

/* A mismatch, in words; only the first few are printed. */
bool mismatch_begin(unsigned number);

void differential_vmx(void);
void differential_svm(void);

#endif
