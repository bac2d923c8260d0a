/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the environment provides: frames for tables, a view of physical memory, invalidation.
 * The library calls nothing else, so a kernel, a host test and a fuzzer differ in this struct alone.
 */
#ifndef HVPT_HOOKS_H
#define HVPT_HOOKS_H

#include "types.h"

struct hvpt_flush;

/*
 * The callbacks, set once and unchanged while a space uses them.
 *
 * They are called with whatever lock the caller of the operation holds, and must not call back into the same space.
 * Many CPUs may be in them at once: in phys_to_virt with readers; in alloc_frame and free_frame with fault_map, which
 * gives back what it did not need; in flush with fault_map (RISC-V without Svvptc) and touch (Arm and RISC-V).
 */
struct hvpt_hooks {
    /* Handed back to every callback. */
    void *ctx;

    /*
     * Allocates a frame of 4 KiB << order, aligned to its size, with undefined contents. false: there is none left.
     * order is 0 for x86 and RISC-V tables, 2 or 4 for Arm's larger granules, more for concatenated root tables.
     */
    bool (*alloc_frame)(void *ctx, unsigned order, hvpt_hpa *out);

    /* Gives back a frame got from alloc_frame, with the same order. Never before the flush that covers it. */
    void (*free_frame)(void *ctx, hvpt_hpa frame, unsigned order);

    /*
     * Returns where this code sees the frame. If the callback is NULL, that is linear_map + frame, and no call is made.
     * If it returns NULL, the frame cannot be a table, and the operation ends with HVPT_E_CORRUPT (HVPT_E_NOMEM for a
     * fresh one). An answer holds for as long as the frame is a table: the space keeps that of the root, and of the
     * table it worked in last.
     */
    void *(*phys_to_virt)(void *ctx, hvpt_hpa frame);

    /*
     * The virtual address of physical address 0, for kernels that see all memory at a fixed offset; NULL where memory
     * is mapped one to one. A 32-bit machine cannot reach memory from 4 GiB up this way.
     */
    void *linear_map;

    /*
     * Carries out the invalidation that flush describes on every CPU before it returns: afterwards no CPU translates
     * through anything stale. NULL: no CPU uses the tables (host tests, tables under construction).
     */
    void (*flush)(void *ctx, const struct hvpt_flush *flush);
};

/*
 * Hooks that are known at compile time are inlined; those filled in at run time cost an indirect call for each table:
 *
 *     #include <hvpt/hooks.h>
 *     static const struct hvpt_hooks my_hooks = { ... };
 *     #define HVPT_STATIC_HOOKS my_hooks
 *     #include <hvpt/ept.h>
 *
 * Then every space of the translation unit uses my_hooks; init refuses other hooks with HVPT_E_HOOK.
 */

#endif
