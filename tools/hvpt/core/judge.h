/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A dump against every rule, on every CPU that it may be from: what is broken for certain, what on some CPUs only, and what cannot be told.
 */
#ifndef HVPT_TOOLS_JUDGE_H
#define HVPT_TOOLS_JUDGE_H

#include <hvctl/vmx/models.h>

#include "dump.h"

#define JUDGE_CPUS  40u
#define JUDGE_RULES 400u

/* What became of a rule over all CPUs that fit. */
enum outcome_kind {
    OUTCOME_QUIET,     /* kept or idle on all */
    OUTCOME_BROKEN,    /* broken on each of them */
    OUTCOME_SOME,      /* broken on some of them */
    OUTCOME_OPEN,      /* hangs on fields that the text does not have */
    OUTCOME_UNCHECKED  /* hangs on memory */
};

struct outcome {
    const char *rule, *section, *text;
    enum hvctl_failure failure;
    enum outcome_kind kind;
    uint64_t cpus; /* on which it is broken, a bit each */
    struct hvctl_finding finding;
    struct dump_place place; /* of the judged value, length 0: not in the text */
    uint16_t when;           /* enum hvctl_vmx_control; HVCTL_ALWAYS with SVM */
    enum hvctl_vmx_fit fit;
};

struct judge {
    unsigned cpus;          /* that were asked */
    const char *cpu[JUDGE_CPUS];
    struct hvctl_vmx_caps caps[JUDGE_CPUS];
    struct hvctl_vmx_cpu_facts facts[JUDGE_CPUS];
    uint64_t fit;           /* CPUs that the dump does not disprove */
    unsigned fits;
    bool given;             /* the CPU was given, not guessed */
    bool passed_host, passed_guest; /* checks that came to a good end before what happened */
    enum hvctl_failure said;
    unsigned rules;
    struct outcome outcome[JUDGE_RULES];
    unsigned broken, some;
    bool shifted; /* so much is wrong that the values are none */
};

/* Ask all rules. */
void judge_dump(struct judge *judge, const struct core_request *request, const struct clean *text, struct dump *dump);

/* Is part, whatever its case, in a model's name? */
bool judge_is_model(const char *name, const char *part);

/* Capability MSRs in a text, as rdmsr, VirtualBox and CPU-Z write them. false: not all that VMX needs. */
bool judge_read_caps(const char *bytes, size_t length, struct hvctl_vmx_caps *caps);

#endif
