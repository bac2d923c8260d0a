/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Another walker of both stages, written from the manuals' rules as tables and recursion, knowing nothing of the
 * headers: what a test compares the walk with.
 */
#ifndef GUEST_WALK_ORACLE_H
#define GUEST_WALK_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum oracle_mode { ORACLE_NONE, ORACLE_32, ORACLE_PAE, ORACLE_4, ORACLE_5 };
enum oracle_end { ORACLE_OK, ORACLE_GP, ORACLE_PF, ORACLE_VIOLATION, ORACLE_MISCONFIGURED, ORACLE_NPF, ORACLE_NOWHERE };

struct oracle {
    void *(*at)(const void *ctx, uint64_t hpa);
    const void *ctx;

    /* Second level. */
    bool amd;
    unsigned host_levels;
    uint64_t root;
    unsigned host_maxphyaddr;
    bool execute_only, mbec, ept_ad, host_nx, host_smep;
    bool advanced;

    /* Guest. */
    enum oracle_mode mode;
    bool wp, pse, smep, smap, pke, pks, nxe, ac;
    uint64_t cr3;
    uint64_t pdpte[4];
    uint32_t pkru, pkrs;
    unsigned maxphyaddr;
    bool no_1g;
};

/* What is done, and by whom. */
struct oracle_access {
    bool read, write, fetch, user, implicit;
};

struct oracle_answer {
    enum oracle_end end;
    unsigned error_code;
    uint64_t information;
    uint64_t fault_gpa;
    uint64_t gpa, hpa;
    uint64_t guest_page, page; /* sizes: of the guest's page, of the smaller of both stages' */
    unsigned level;            /* the guest's level that the walk ended at */
    unsigned host_level;
    uint64_t entry_gpa[5], entry[5], update[5];
    bool may_read, may_write, may_fetch; /* both stages */
};

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t linear, struct oracle_access access);

#endif
