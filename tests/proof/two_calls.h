/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Two calls on one small space, of which one runs at a time, and the frames that they are given. A proof includes this
 * after it has made the engine's atomic accesses its own, and calls yield() in those after which the other call may go on.
 */
#ifndef PROOF_TWO_CALLS_H
#define PROOF_TWO_CALLS_H

#include "enumerate.h"

#include <string.h>
#include <ucontext.h>

#include "small_format.h"

enum { ENTRIES = 1 << INDEX_BITS, PAGE = 1 << HVPT_FRAME_SHIFT };

/* ---- frames: each is handed out once ---- */

static hvpt_entry memory[FRAMES][ENTRIES];
static bool held[FRAMES];
static unsigned next_spare, failures;
static struct hvpt_space space;

static uint64_t address_of(unsigned frame)
{
    return (uint64_t)(frame + 1) * 4096;
}

static unsigned frame_at(uint64_t address)
{
    return (unsigned)(address / 4096) - 1;
}

/* What is in a frame when it comes. */
static void used_before(hvpt_entry *frame);

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    if (choose(2)) {
        failures++;
        return false;
    }
    must(next_spare < FRAMES, "no more frames than the calls can need");
    used_before(memory[next_spare]);
    held[next_spare] = true;
    *out = hvpt_make_hpa(address_of(next_spare++));
    return true;
}

/* An empty space, whose root is frame 0; the first of the others to be handed out is spare. */
static inline void open_space(const struct hvpt_hooks *hooks, unsigned kind, unsigned root, unsigned spare)
{
    memset(memory, 0, sizeof(memory));
    memset(held, 0, sizeof(held));
    failures = 0;
    small_space(&space, hooks, kind, HVPT_FRAME_SHIFT, root);
    held[0] = true;
    space.root_table = memory[0];
    space.root_frame = address_of(0);
    space.root_register = address_of(0);
    space.frames = space.tables[1] = 1;
    next_spare = spare;
}

/* ---- threads ---- */

static ucontext_t scheduler, thread[2];
static char stack[2][64 * 1024];
static unsigned running;
static bool threads_run, begun[2], done[2], apart;
static void (*body_of[2])(void);

/* Let the other call go on, or this one. */
static void yield(void)
{
    swapcontext(&thread[running], &scheduler);
}

static void call_in_thread(void)
{
    (body_of[running])();
    done[running] = true;
    yield();
}

/* Run both under the interleaving that choose answers. apart: the first ended before the second began. */
static inline void run_both(void (*first)(void), void (*second)(void))
{
    unsigned i;

    body_of[0] = first;
    body_of[1] = second;
    for (i = 0; i < 2; i++) {
        begun[i] = done[i] = false;
        getcontext(&thread[i]);
        thread[i].uc_stack.ss_sp = stack[i];
        thread[i].uc_stack.ss_size = sizeof(stack[i]);
        thread[i].uc_link = NULL;
        makecontext(&thread[i], call_in_thread, 0);
    }
    apart = threads_run = true;
    while (!done[0] || !done[1]) {
        running = done[0] ? 1 : done[1] ? 0 : choose(2);
        begun[running] = true;
        apart = apart && (!begun[!running] || done[!running]);
        swapcontext(&scheduler, &thread[running]);
    }
    threads_run = false;
}

#endif
