/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What it is for a value to be at the edge of a rule. */
#include "differential.h"

static bool breaks(uint64_t value, bool also_zeros, edge_ask_fn ask, void *ctx)
{
    struct hvctl_finding finding;

    if (ask(ctx, value, &finding) != HVCTL_RULE_BROKEN)
        return false;
    return also_zeros || finding.demand != HVCTL_DEMAND_BITS || finding.ones != 0;
}

bool edge_is_near(uint64_t value, uint64_t good, unsigned bits, bool conditional, edge_ask_fn ask, void *ctx)
{
    uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : ~UINT64_C(0), set = value != good ? value : 0;

    if (breaks((value + 1) & mask, false, ask, ctx) || breaks((value - 1) & mask, false, ask, ctx))
        return true;
    for (unsigned bit = 0; bit < bits; bit++) {
        uint64_t one = UINT64_C(1) << bit;

        for (unsigned far = 1; (set & one) && far <= 2; far++)
            if ((bit + far < bits && breaks((value & ~one) | one << far, true, ask, ctx))
                || (bit >= far && breaks((value & ~one) | one >> far, true, ask, ctx)))
                return true;
        if (breaks(value ^ one, conditional, ask, ctx))
            return true;
    }
    return false;
}
