/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Another walker of both stages, written from the Privileged Architecture as lists of what denies, and recursion,
 * knowing nothing of the headers: what a test compares the walk with.
 */
#ifndef GUEST_WALK_RISCV_ORACLE_H
#define GUEST_WALK_RISCV_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum oracle_end { ORACLE_OK, ORACLE_PAGE_FAULT, ORACLE_GUEST_PAGE_FAULT, ORACLE_NOWHERE };

/* What a stage knows of entries. */
struct oracle_stage {
    bool adue, pbmte, napot;
    bool software; /* Svrsw60t59b: bits 60:59 are software's */
};

struct oracle {
    void *(*at)(const void *ctx, uint64_t hpa);
    const void *ctx;
    uint64_t hgatp, vsatp;
    struct oracle_stage host, guest;
    bool sum, mxr, host_mxr;
};

struct oracle_access {
    bool read, write, fetch, user, hlvx;
};

struct oracle_answer {
    enum oracle_end end;
    unsigned cause;
    uint64_t fault_gpa, htinst;
    uint64_t gpa, hpa, guest_page, page;
    unsigned level, host_level;
    uint64_t entry[5], entry_gpa[5], update[5];
    bool may_read, may_write, may_fetch;
};

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t linear, struct oracle_access access);

#endif
