/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the files of hvpt entry share: what is known of the CPU, and what the library's rules say of one entry.
 */
#ifndef HVPT_TOOLS_ENTRY_H
#define HVPT_TOOLS_ENTRY_H

#include "core.h"

enum entry_format { ENTRY_EPT, ENTRY_NPT, ENTRY_STAGE2, ENTRY_GSTAGE, ENTRY_X86, ENTRY_FORMATS };

/* Facts of the CPU and its registers that rules hang on. Each has a number; most are 0 or 1. */
enum entry_fact {
    FACT_MAXPHYADDR, /* x86, RISC-V: bits of a physical address; Arm: the size that VTCR_EL2.PS allows */
    FACT_EXECUTE_ONLY,
    FACT_2M,
    FACT_1G,
    FACT_MBEC,
    FACT_PAGING_WRITE,
    FACT_NXE,
    FACT_GMET,
    FACT_LPA2,
    FACT_XNX,
    FACT_SVPBMT,
    FACT_SVNAPOT,
    FACT_SVADU,
    FACT_AMD,
    FACT_COUNT
};

/* value: for facts that are given, or the one that is tried. granule: Arm's page shift. c_bit: 0: none. */
struct entry_facts {
    enum entry_format format;
    unsigned level;
    unsigned granule;
    unsigned c_bit;
    uint8_t value[FACT_COUNT];
    bool given[FACT_COUNT];
};

enum entry_verdict_kind {
    ENTRY_IMPOSSIBLE, /* no CPU has these facts together */
    ENTRY_ABSENT,
    ENTRY_TABLE,
    ENTRY_LEAF,
    ENTRY_BROKEN
};

/* What the rules say with one choice of facts. why: which bits break which rule, or what denies; "" for none. */
struct entry_verdict {
    enum entry_verdict_kind kind;
    uint64_t address;
    uint64_t size;
    unsigned perm;    /* HVPT_READ | ... */
    unsigned memtype; /* enum hvpt_memtype, of a leaf */
    char why[320];
};

/* Ask the library's rules about entry, all of whose facts have a value. */
void entry_judge(const struct entry_facts *facts, uint64_t entry, struct entry_verdict *verdict);

#endif
