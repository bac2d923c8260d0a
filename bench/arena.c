/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

struct bench_arena bench_arena;

static void *must_map(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return at;
}

void bench_arena_open(uint64_t size, uint64_t warm)
{
    uint64_t at;
    char *base = must_map(size + (UINT64_C(1) << 30));

    /* Aligned to a gigabyte, so that frames lie in huge pages as they do in a kernel's linear map. */
    bench_arena.base = (char *)(((uintptr_t)base + (UINT64_C(1) << 30) - 1) & ~((UINT64_C(1) << 30) - 1));
    bench_arena.size = size;
    bench_arena.next = 4096;
    bench_arena.free = must_map(size / 4096 * sizeof(uint64_t));
    (void)madvise(bench_arena.base, size, MADV_HUGEPAGE);
    for (at = 0; at < warm; at += 4096)
        *(volatile char *)(bench_arena.base + at) = 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

void bench_arena_tidy(void)
{
    qsort(bench_arena.free, bench_arena.free_count, sizeof *bench_arena.free, descending);
}

void bench_arena_fork(struct bench_arena *own, uint64_t frames)
{
    struct bench_arena empty = {0};

    *own = empty;
    own->base = bench_arena.base;
    own->free = must_map(frames * sizeof(uint64_t));
    for (; own->free_count < frames; own->free_count++) {
        if (!bench_frame_get(&bench_arena, 0, &own->free[own->free_count])) {
            fprintf(stderr, "arena: no frames for a thread\n");
            exit(2);
        }
    }
}

void bench_arena_join(struct bench_arena *own)
{
    while (own->free_count != 0)
        bench_frame_put(&bench_arena, own->free[--own->free_count], 0);
}
