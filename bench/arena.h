/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The benchmark's physical memory: one huge anonymous mapping, in which an address is an offset.
 * Frames come from a list of free ones, last in first out, as a kernel's page allocator gives them.
 */
#ifndef BENCH_ARENA_H
#define BENCH_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One for the program, and one for each thread that allocates beside others, as kernels have one for each CPU. */
struct bench_arena {
    char *base;
    uint64_t next;  /* first byte never given out */
    uint64_t size;  /* bytes mapped */
    uint64_t held;  /* frames given out and not yet back */
    uint64_t *free; /* frames of 4 KiB that came back */
    uint64_t free_count;
};

extern struct bench_arena bench_arena;

/* Map size bytes, in huge pages where the system has them, and touch the first warm of them. Ends the program if not. */
void bench_arena_open(uint64_t size, uint64_t warm);

/* Free frames in the order in which an allocator has them that was not used yet: the lowest comes first. */
void bench_arena_tidy(void);

/* Frames set aside for one thread, out of the arena and back into it. */
void bench_arena_fork(struct bench_arena *own, uint64_t frames);
void bench_arena_join(struct bench_arena *own);

static inline bool bench_frame_get(struct bench_arena *arena, unsigned order, uint64_t *out)
{
    if (order == 0 && arena->free_count != 0) {
        *out = arena->free[--arena->free_count];
    } else {
        uint64_t bytes = UINT64_C(4096) << order;
        uint64_t at = (arena->next + bytes - 1) & ~(bytes - 1);

        if (at + bytes > arena->size)
            return false;
        arena->next = at + bytes;
        *out = at;
    }
    arena->held += UINT64_C(1) << order;
    return true;
}

static inline void bench_frame_put(struct bench_arena *arena, uint64_t frame, unsigned order)
{
    uint64_t i;

    arena->held -= UINT64_C(1) << order;
    for (i = 0; i < UINT64_C(1) << order; i++)
        arena->free[arena->free_count++] = frame + i * 4096;
}

static inline uint64_t *bench_at(uint64_t frame)
{
    return (uint64_t *)(void *)(bench_arena.base + frame);
}

#endif
