/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the environment provides: frames for tables, a view of physical memory, invalidation.
 * The library calls nothing else; a kernel, a host test and a fuzzer differ in this struct alone.
 */
#ifndef HVPT_HOOKS_H
#define HVPT_HOOKS_H

#include "types.h"

struct hvpt_flush;

/*
 * The callbacks, set once and unchanged while a space uses them.
 *
 * They are called with whatever lock the caller of the operation holds, and must not call back into the same space.
 * alloc_frame is called from many CPUs at once if fault_map is.
 */
struct hvpt_hooks {
    /* Handed back to every callback. */
    void *ctx;

    /*
     * A frame of 4 KiB << order, aligned to its size, its contents undefined.  false: none left.
     * order is 0 for x86 and RISC-V tables, 2 or 4 for Arm's larger granules, more for concatenated root tables.
     */
    bool (*alloc_frame)(void *ctx, unsigned order, hvpt_hpa *out);

    /* Gives back a frame got from alloc_frame, with the same order. Never before the flush that covers it. */
    void (*free_frame)(void *ctx, hvpt_hpa frame, unsigned order);

    /*
     * Where this code sees the frame. NULL as the callback: at linear_map + address, always, and no call is made.
     * NULL as the answer: the frame cannot be a table; the operation ends with HVPT_E_CORRUPT (or HVPT_E_NOMEM for a
     * fresh one). An answer holds for as long as the frame is a table: the space keeps that of the root, and of the
     * table it worked in last.
     */
    void *(*phys_to_virt)(void *ctx, hvpt_hpa frame);

    /*
     * The virtual address of physical address 0, for kernels that see all memory at a fixed offset; NULL: they see it
     * where it is. On a 32-bit machine memory from 4 GiB up is then out of reach.
     */
    void *linear_map;

    /*
     * Make what flush describes so on every CPU before returning: after it no CPU translates through anything stale.
     * NULL: no CPU uses the tables (host tests, tables under construction).
     */
    void (*flush)(void *ctx, const struct hvpt_flush *flush);
};

/*
 * Hooks that are known at compile time are inlined, where those filled in at run time cost an indirect call a table:
 *
 *     #include <hvpt/hooks.h>
 *     static const struct hvpt_hooks my_hooks = { ... };
 *     #define HVPT_STATIC_HOOKS my_hooks
 *     #include <hvpt/ept.h>
 *
 * Then every space of the translation unit uses my_hooks; init refuses other hooks with HVPT_E_HOOK.
 */

#endif
