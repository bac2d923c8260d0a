/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a check of a VMCS or VMCB found: every rule that is broken, with the value found and the value required, and all
 * of it in words. vmx/check.h and svm/check.h fill it in; it needs no memory but the report itself.
 */
#ifndef HVCTL_COMMON_CHECK_H
#define HVCTL_COMMON_CHECK_H

#include "msr.h"
#include "../../hvpt/text.h"
#include "../vmx/control_list.h"

/* What the CPU does when a rule is broken. */
enum hvctl_failure {
    HVCTL_FAILURE_NONE,
    HVCTL_FAILURE_VMFAIL_CONTROLS, /* VMfailValid, VM-instruction error 7 */
    HVCTL_FAILURE_VMFAIL_HOST,     /* VMfailValid, VM-instruction error 8 */
    HVCTL_FAILURE_GUEST_STATE,     /* VM exit, reason 80000021H, with a qualification */
    HVCTL_FAILURE_MSR_LOADING,     /* VM exit, reason 80000022H, with the number of the entry as qualification */
    HVCTL_FAILURE_VMEXIT_INVALID,  /* #VMEXIT, EXITCODE -1 */
    HVCTL_FAILURE_UNSPECIFIED      /* the manual states the rule, but not what happens if it is broken */
};

/* A short text without a full stop; never NULL. */
static inline const char *hvctl_failure_text(enum hvctl_failure failure)
{
    switch (failure) {
    case HVCTL_FAILURE_NONE: return "no failure";
    case HVCTL_FAILURE_VMFAIL_CONTROLS: return "VMfail 7";
    case HVCTL_FAILURE_VMFAIL_HOST: return "VMfail 8";
    case HVCTL_FAILURE_GUEST_STATE: return "exit 33";
    case HVCTL_FAILURE_MSR_LOADING: return "exit 34";
    case HVCTL_FAILURE_VMEXIT_INVALID: return "VMEXIT_INVALID";
    case HVCTL_FAILURE_UNSPECIFIED: return "unspecified";
    }
    return "unknown failure";
}

/* The result of checking a rule. */
enum hvctl_rule_result {
    HVCTL_RULE_IDLE, /* it does not apply here: a control is off, a segment unusable */
    HVCTL_RULE_KEPT,
    HVCTL_RULE_BROKEN,
    HVCTL_RULE_UNCHECKED, /* it applies, but memory or a fact about the CPU that it needs is not given */
    HVCTL_RULE_UNKNOWN    /* the verdict depends on a field whose value is unknown */
};

/* What a rule demands of a value. */
enum hvctl_demand {
    HVCTL_DEMAND_WORDS,     /* what only the rule's text can say */
    HVCTL_DEMAND_BITS,      /* the bits in ones must be 1, those in zeros 0 */
    HVCTL_DEMAND_EQUAL,     /* value = required */
    HVCTL_DEMAND_NOT_EQUAL, /* value != required */
    HVCTL_DEMAND_AT_MOST,   /* value <= required */
    HVCTL_DEMAND_CANONICAL, /* an address of required bits, sign-extended */
    HVCTL_DEMAND_PAT        /* eight memory types, each 0, 1, 4, 5, 6 or 7 */
};

/* How the bits of a value are named. */
enum hvctl_bit_names {
    HVCTL_BITS_UNNAMED = HVCTL_GROUP_OTHER, /* numbers below this one: the VMX controls of that group */
    HVCTL_BITS_CR0,
    HVCTL_BITS_CR4,
    HVCTL_BITS_EFER,
    HVCTL_BITS_RFLAGS,
    HVCTL_BITS_RIGHTS,
    HVCTL_BITS_INTERRUPTIBILITY
};

/* A rule's verdict on one value. */
struct hvctl_finding {
    const char *field;   /* "GUEST_CR0" */
    const char *because; /* a condition that makes the rule apply, in words, or NULL */
    bool control;        /* because is the name of a control, which is on */
    enum hvctl_demand demand;
    enum hvctl_bit_names names;
    uint64_t actual;
    uint64_t ones, zeros;   /* HVCTL_DEMAND_BITS: only the bits that are wrong */
    uint64_t required;      /* the other demands */
    uint32_t qualification; /* the exit qualification that goes with the failure */
};

/* A broken rule. The strings are the rule table's: static. */
struct hvctl_violation {
    const char *rule;    /* "GUEST.CR0.FIXED" */
    const char *section; /* of the manual, by title */
    const char *text;    /* the rule in words */
    enum hvctl_failure failure;
    struct hvctl_finding finding;
};

#define HVCTL_REPORT_VIOLATIONS 32 /* as many as a report keeps; it counts them all */
#define HVCTL_REPORT_UNCHECKED  8  /* as many names of rules as a report keeps */

/* The caller's memory, about 3 KiB. A check begins by emptying it, so it need not be initialised. */
struct hvctl_report {
    unsigned broken;            /* violations in all; the first HVCTL_REPORT_VIOLATIONS of them are listed */
    unsigned unchecked;         /* rules that apply and could not be judged; the first ones are listed */
    enum hvctl_failure failure; /* of all violations, listed or not: see hvctl_report_failure */
    uint32_t qualification;
    struct hvctl_violation violation[HVCTL_REPORT_VIOLATIONS];
    const char *not_checked[HVCTL_REPORT_UNCHECKED];
    unsigned unknown; /* rules whose verdict depends on fields whose values are unknown */
};

/* How many violations are listed. */
static inline unsigned hvctl_report_listed(const struct hvctl_report *report)
{
    return report->broken < HVCTL_REPORT_VIOLATIONS ? report->broken : HVCTL_REPORT_VIOLATIONS;
}

/*
 * Read size bytes (at most 64) of physical memory into *bytes; false if it cannot be read. It is called only while the
 * check to which it was passed runs.
 */
typedef bool (*hvctl_read_memory_fn)(void *ctx, uint64_t physical, void *bytes, size_t size);

static inline void hvctl_report_clear(struct hvctl_report *report)
{
    report->broken = 0;
    report->unchecked = 0;
    report->unknown = 0;
    report->failure = HVCTL_FAILURE_NONE;
    report->qualification = 0;
}

static inline struct hvctl_finding hvctl_finding_none(void)
{
    struct hvctl_finding none;

    none.field = "";
    none.because = NULL;
    none.control = false;
    none.demand = HVCTL_DEMAND_WORDS;
    none.names = HVCTL_BITS_UNNAMED;
    none.actual = none.ones = none.zeros = none.required = 0;
    none.qualification = 0;
    return none;
}

/* For the checkers: record one rule's result. It copies member by member, so that no compiler calls memcpy. */
static inline void hvctl_report_add(struct hvctl_report *report, enum hvctl_rule_result result, const char *rule,
                                    const char *section, const char *text, enum hvctl_failure failure,
                                    const struct hvctl_finding *finding)
{
    if (result == HVCTL_RULE_UNCHECKED) {
        if (report->unchecked < HVCTL_REPORT_UNCHECKED)
            report->not_checked[report->unchecked] = rule;
        report->unchecked++;
    }
    if (result == HVCTL_RULE_UNKNOWN)
        report->unknown++;
    if (result != HVCTL_RULE_BROKEN)
        return;
    /* MSR-load entries are loaded in order, so the lowest number fails first. */
    if (report->failure == HVCTL_FAILURE_NONE || failure < report->failure
        || (failure == HVCTL_FAILURE_MSR_LOADING && report->failure == HVCTL_FAILURE_MSR_LOADING
            && finding->qualification < report->qualification)) {
        report->failure = failure;
        report->qualification = finding->qualification;
    }
    if (report->broken < HVCTL_REPORT_VIOLATIONS) {
        struct hvctl_violation *violation = &report->violation[report->broken];

        violation->rule = rule;
        violation->section = section;
        violation->text = text;
        violation->failure = failure;
        violation->finding = *finding;
    }
    report->broken++;
}

/* Is a rule among the listed violations? The violation, or NULL. */
static inline const struct hvctl_violation *hvctl_report_find(const struct hvctl_report *report, const char *rule)
{
    unsigned i;

    for (i = 0; i < hvctl_report_listed(report); i++) {
        const char *a = report->violation[i].rule, *b = rule;

        while (*a && *a == *b)
            a++, b++;
        if (*a == *b)
            return &report->violation[i];
    }
    return NULL;
}

/*
 * The failure that the CPU will show for these violations, and its qualification in *qualification (may be NULL).
 * Checks of controls and host state come before those of guest state, and these before MSR loading; between controls
 * and host state, and within each kind, the order is the CPU's own (SDM vol. 3, "VM Entries"): so any violation of the
 * first kind found may decide.
 */
static inline enum hvctl_failure hvctl_report_failure(const struct hvctl_report *report, uint32_t *qualification)
{
    if (qualification)
        *qualification = report->qualification;
    return report->failure;
}

/* The name of a bit; NULL if it has none here. */
static inline const char *hvctl_bit_name(enum hvctl_bit_names names, unsigned bit)
{
    static const char *const cr0[32] = {
        "PE", "MP", "EM", "TS", "ET", "NE", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        "WP", NULL, "AM", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "NW", "CD", "PG",
    };
    static const char *const cr4[33] = {
        "VME",  "PVI",  "TSD",  "DE",    "PSE", "PAE",      "MCE",     "PGE",     "PCE", "OSFXSR", "OSXMMEXCPT",
        "UMIP", "LA57", "VMXE", "SMXE",  NULL,  "FSGSBASE", "PCIDE",   "OSXSAVE", "KL",  "SMEP",   "SMAP",
        "PKE",  "CET",  "PKS",  "UINTR", NULL,  "LASS",     "LAM_SUP", NULL,      NULL,  NULL,     "FRED",
    };
    static const char *const rflags[22] = {
        "CF", NULL, "PF", NULL, "AF", NULL, "ZF", "SF", "TF",  "IF",  "DF",
        "OF", NULL, NULL, "NT", NULL, "RF", "VM", "AC", "VIF", "VIP", "ID",
    };
    static const char *const rights[17] = {
        NULL, NULL, NULL, NULL, "S", NULL, NULL, "P", NULL, NULL, NULL, NULL, "AVL", "L", "D/B", "G", "unusable",
    };
    static const char *const blocking[5] = {
        "blocking by STI", "blocking by MOV SS", "blocking by SMI", "blocking by NMI", "enclave interruption",
    };

    switch (names) {
    case HVCTL_BITS_CR0: return bit < 32 ? cr0[bit] : NULL;
    case HVCTL_BITS_CR4: return bit < 33 ? cr4[bit] : NULL;
    case HVCTL_BITS_EFER:
        switch (bit) {
        case 0: return "SCE";
        case 8: return "LME";
        case 10: return "LMA";
        case 11: return "NXE";
        case 12: return "SVME";
        case 13: return "LMSLE";
        case 14: return "FFXSR";
        case 15: return "TCE";
        case 17: return "MCOMMIT";
        case 18: return "INTWB";
        case 20: return "UAIE";
        case 21: return "AIBRSE";
        default: return NULL;
        }
    case HVCTL_BITS_RFLAGS: return bit < 22 ? rflags[bit] : NULL;
    case HVCTL_BITS_RIGHTS: return bit < 17 ? rights[bit] : NULL;
    case HVCTL_BITS_INTERRUPTIBILITY: return bit < 5 ? blocking[bit] : NULL;
    default: break;
    }
    if ((unsigned)names < HVCTL_GROUP_COUNT)
        return hvctl_vmx_control_name((enum hvctl_vmx_control)((unsigned)names * 64u + bit));
    return NULL;
}

/* Put the bits of a mask: by name, and those without one by number and in ranges: "PE, PG", "bits 63:40, 7". */
static inline void hvctl_bits_text(enum hvctl_bit_names names, uint64_t mask, const struct hvpt_text *text)
{
    bool begun = false, numbered = false;
    int bit;

    for (bit = 0; bit < 64; bit++) {
        const char *name = mask >> bit & 1u ? hvctl_bit_name(names, (unsigned)bit) : NULL;

        if (!name)
            continue;
        if (begun)
            hvpt_text_string(text, ", ");
        hvpt_text_string(text, name);
        begun = true;
        mask &= ~((uint64_t)1 << bit);
    }
    for (bit = 63; bit >= 0; bit--) {
        int top = bit;

        if (!(mask >> bit & 1u))
            continue;
        while (bit > 0 && (mask >> (bit - 1) & 1u))
            bit--;
        if (begun)
            hvpt_text_string(text, ", ");
        if (!numbered)
            hvpt_text_string(text, mask & (mask - 1) ? "bits " : "bit ");
        hvpt_text_decimal(text, (uint64_t)top);
        if (top != bit) {
            hvpt_text_string(text, ":");
            hvpt_text_decimal(text, (uint64_t)bit);
        }
        begun = numbered = true;
    }
}

/* Put what a violation should have been: "must have PE, PG set". */
static inline void hvctl_demand_text(const struct hvctl_violation *violation, const struct hvpt_text *text)
{
    const struct hvctl_finding *finding = &violation->finding;

    switch (finding->demand) {
    case HVCTL_DEMAND_BITS:
        hvpt_text_string(text, "must have ");
        if (finding->ones) {
            hvctl_bits_text(finding->names, finding->ones, text);
            hvpt_text_string(text, finding->zeros ? " set and " : " set");
        }
        if (finding->zeros) {
            hvctl_bits_text(finding->names, finding->zeros, text);
            hvpt_text_string(text, " clear");
        }
        break;
    case HVCTL_DEMAND_EQUAL:
        hvpt_text_string(text, "must be ");
        hvpt_text_hex(text, finding->required);
        break;
    case HVCTL_DEMAND_NOT_EQUAL:
        hvpt_text_string(text, "must not be ");
        hvpt_text_hex(text, finding->required);
        break;
    case HVCTL_DEMAND_AT_MOST:
        hvpt_text_string(text, "must be at most ");
        hvpt_text_hex(text, finding->required);
        break;
    case HVCTL_DEMAND_CANONICAL:
        hvpt_text_string(text, "must be canonical: bits 63:");
        hvpt_text_decimal(text, finding->required - 1);
        hvpt_text_string(text, " all equal");
        break;
    case HVCTL_DEMAND_PAT:
        hvpt_text_string(text, "must have 0, 1, 4, 5, 6 or 7 in each byte, not");
        {
            unsigned byte;

            for (byte = 0; byte < 8; byte++)
                if (finding->zeros >> (8 * byte) & 0xffu) {
                    hvpt_text_string(text, " ");
                    hvpt_text_hex(text, finding->actual >> (8 * byte) & 0xffu);
                    hvpt_text_string(text, " in byte ");
                    hvpt_text_decimal(text, byte);
                    break;
                }
        }
        break;
    case HVCTL_DEMAND_WORDS: hvpt_text_string(text, violation->text); break;
    }
}

/*
 * Put a violation in words, without a full stop:
 * "GUEST.CR0.FIXED: GUEST_CR0 = 0x20, must have PE, PG set (unrestricted guest is off)".
 */
static inline void hvctl_violation_text(const struct hvctl_violation *violation, const struct hvpt_text *text)
{
    hvpt_text_string(text, violation->rule);
    hvpt_text_string(text, ": ");
    hvpt_text_string(text, violation->finding.field);
    if (violation->failure == HVCTL_FAILURE_MSR_LOADING && violation->finding.demand == HVCTL_DEMAND_WORDS) {
        hvpt_text_string(text, " ");
        hvpt_text_decimal(text, violation->finding.qualification);
    }
    hvpt_text_string(text, " = ");
    hvpt_text_hex(text, violation->finding.actual);
    hvpt_text_string(text, ", ");
    hvctl_demand_text(violation, text);
    if (violation->finding.because) {
        hvpt_text_string(text, " (");
        hvpt_text_string(text, violation->finding.because);
        hvpt_text_string(text, violation->finding.control ? " is on)" : ")");
    }
}

/*
 * Put what a report does not list, a line each: how many more violations there are, and which rules were not checked.
 */
static inline void hvctl_report_rest_text(const struct hvctl_report *report, const struct hvpt_text *text)
{
    unsigned i;

    if (report->broken > HVCTL_REPORT_VIOLATIONS) {
        hvpt_text_string(text, "and ");
        hvpt_text_decimal(text, report->broken - HVCTL_REPORT_VIOLATIONS);
        hvpt_text_string(text, " more\n");
    }
    for (i = 0; i < report->unchecked && i < HVCTL_REPORT_UNCHECKED; i++) {
        hvpt_text_string(text, report->not_checked[i]);
        hvpt_text_string(text, ": not checked\n");
    }
    if (report->unchecked > HVCTL_REPORT_UNCHECKED) {
        hvpt_text_decimal(text, report->unchecked - HVCTL_REPORT_UNCHECKED);
        hvpt_text_string(text, " more rules not checked\n");
    }
    if (report->unknown) {
        hvpt_text_decimal(text, report->unknown);
        hvpt_text_string(text, report->unknown == 1 ? " rule depends" : " rules depend");
        hvpt_text_string(text, " on fields that are not known\n");
    }
}

/* Put the whole report, a line each, every line ended; nothing at all if nothing is broken or left unchecked. */
static inline void hvctl_report_text(const struct hvctl_report *report, const struct hvpt_text *text)
{
    unsigned i;

    for (i = 0; i < hvctl_report_listed(report); i++) {
        hvctl_violation_text(&report->violation[i], text);
        hvpt_text_string(text, "\n");
    }
    hvctl_report_rest_text(report, text);
}

/* Is address canonical on a CPU, or in a mode, with linear addresses of this many bits (32 to 64)? */
static inline bool hvctl_canonical(uint64_t address, unsigned bits)
{
    uint64_t high = bits >= 64 ? 0 : address >> (bits - 1);

    return high == 0 || high == (~(uint64_t)0 >> (bits - 1));
}

/* The bits of a physical address at and above bit width (0 to 64). */
static inline uint64_t hvctl_beyond(unsigned width)
{
    return width >= 64 ? 0 : ~(uint64_t)0 << width;
}

/* Is each byte of a PAT a memory type? *wrong has FFH where it is not. SDM vol. 3, "IA32_PAT MSR". */
static inline bool hvctl_pat_valid(uint64_t pat, uint64_t *wrong)
{
    unsigned byte;

    *wrong = 0;
    for (byte = 0; byte < 8; byte++) {
        uint64_t type = pat >> (8 * byte) & 0xffu;

        if (type > 7 || type == 2 || type == 3)
            *wrong |= (uint64_t)0xff << (8 * byte);
    }
    return *wrong == 0;
}

#endif
