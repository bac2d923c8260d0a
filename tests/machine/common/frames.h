/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A frame allocator behind struct hvpt_hooks that keeps books: who holds what, and every way to give back wrongly.
 * A frame that is given back is poisoned at once: whoever still walks through it after the flush falls over it.
 */
#ifndef RUNTIME_FRAMES_H
#define RUNTIME_FRAMES_H

#include <hvpt/hooks.h>

#include "layout.h"

enum frame_state { FRAME_FREE, FRAME_HELD, FRAME_TAIL /* of a frame of higher order */ };

struct frames {
    uint8_t state[FRAMES_COUNT];
    uint8_t order[FRAMES_COUNT];
    unsigned held, peak;
    unsigned long allocated, given_back; /* ever, in frames of 4 KiB */
    unsigned double_free, foreign_free;  /* mistakes seen; 0 in a good run */
    unsigned refuse_after;               /* allocations that still succeed; FRAMES_NO_LIMIT: all */
};

#define FRAMES_NO_LIMIT (~0u)

void frames_init(struct frames *frames);

/* The callbacks of struct hvpt_hooks; ctx is the struct frames. */
bool frames_alloc(void *ctx, unsigned order, hvpt_hpa *out);
void frames_free(void *ctx, hvpt_hpa frame, unsigned order);

/* For the kernel's own pages (VMCS, bitmaps, guest memory): zeroed, and the end of the run if there is none. */
void *frames_page(struct frames *frames);
void frames_give_page(struct frames *frames, void *page);

#endif
