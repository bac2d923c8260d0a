/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Hooks for spaces that are only looked at: frames come from a function of the caller's, and none is ever allocated.
 */
#ifndef HVPT_TOOLS_READONLY_H
#define HVPT_TOOLS_READONLY_H

#include <hvpt/hooks.h>

static inline bool readonly_alloc(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    (void)order;
    (void)out;
    return false;
}

static inline void readonly_free(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    (void)frame;
    (void)order;
}

static inline struct hvpt_hooks readonly_hooks(void *(*phys_to_virt)(void *ctx, hvpt_hpa frame), void *ctx)
{
    struct hvpt_hooks hooks;

    hooks.ctx = ctx;
    hooks.alloc_frame = readonly_alloc;
    hooks.free_frame = readonly_free;
    hooks.phys_to_virt = phys_to_virt;
    hooks.linear_map = NULL;
    hooks.flush = NULL;
    return hooks;
}

#endif
