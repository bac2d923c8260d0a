/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One of each operation, in situations that make it do all it can: split, build, reclaim. Shared by the tests that
 * interrupt operations half-way: by looking at the tables after each store, and by failing each allocation.
 */
#ifndef HVPT_TEST_SITUATIONS_H
#define HVPT_TEST_SITUATIONS_H

#include "rig.h"

/* Where everything happens. */
#define SITUATION_BASE (4 * HVPT_1G)

/*
 * One operation in one situation. before brings the situation about, during is watched.
 * keeps: whatever hardware marks dirty meanwhile, in pages that stay, is dirty afterwards.
 */
struct scenario {
    const char *name;
    void (*before)(struct rig *rig);
    enum hvpt_status (*during)(struct rig *rig);
    bool keeps;
    bool no_guest; /* the guest must hold still: the operation reads what hardware marks */
};

/* Operations that change what is translated, and those that only change how. */
extern const struct scenario scenarios[];
extern const size_t scenario_count;
extern const struct scenario shapes[];
extern const size_t shape_count;

#endif
