/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Another walker of both stages, written from the Arm ARM's tables and lists of what denies, knowing nothing of the
 * headers: what a test compares the walk with. Levels are Arm's own here: 3 holds the smallest pages.
 */
#ifndef GUEST_WALK_ARM_ORACLE_H
#define GUEST_WALK_ARM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum oracle_end { ORACLE_OK, ORACLE_EL1, ORACLE_EL2, ORACLE_NOWHERE, ORACLE_NONE };

struct oracle {
    void *(*at)(const void *ctx, uint64_t hpa);
    const void *ctx;

    /* Stage 2. */
    uint64_t vtcr, vttbr;
    unsigned pa_bits;
    bool xnx, fwb, ptw;

    /* Stage 1. What the CPU has; and the registers, taken apart. */
    bool has_hpds, has_ttst, has_lva, has_lpa, has_lpa2, has_e0pd, has_pan3;
    unsigned has_hafdbs;
    bool m, wxn, ee, epan, pan, uao;
    uint64_t tcr, ttbr0, ttbr1;
};

struct oracle_access {
    bool read, write, fetch, el0, unprivileged;
};

struct oracle_answer {
    enum oracle_end end;
    uint64_t esr, hpfar, fault_ipa;
    bool hpfar_known;
    uint64_t ipa, hpa, page1, page;
    int level, level2;
    uint64_t entry[5], update[5]; /* by Arm's level + 1 */
    bool may_read, may_write, may_fetch;
};

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t va, struct oracle_access access);

#endif
