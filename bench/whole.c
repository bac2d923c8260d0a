/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What depends on size: whole machines mapped and destroyed, the dirty pages of a large guest collected, and how the cost
 * of a page grows with the space. In ns a page, with the flushes that were asked for and the memory that tables take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "jobs.h"

#define MI     (UINT64_C(1) << 20)
#define GI     (UINT64_C(1) << 30)
#define TI     (UINT64_C(1) << 40)
#define PAGE   UINT64_C(4096)
#define OFFSET (UINT64_C(1) << 40)

static void one(const char *job, const char *unit, const char *name, uint64_t before, uint64_t after, uint64_t units)
{
    bench_print(job, unit, name, (double)(after - before) / (double)units, 0, 0);
}

/* Map size by pages of this size, look that it is there, destroy; what the tables take for a GiB mapped. */
static void whole_machine(const struct bench_face *face, uint64_t size, uint64_t page, const char *pages)
{
    char job[64];
    void *mapper = face->create(page);
    uint64_t start, mapped, gpa = size - 8, flushes = bench_flushes;
    double per_gib;

    start = bench_now();
    if (!face->map(mapper, 0, OFFSET, size))
        bench_wrong("whole machine", face->name, "not mapped");
    mapped = bench_now();
    if (face->translate(mapper, &gpa, 1) != gpa + OFFSET)
        bench_wrong("whole machine", face->name, "last byte");
    per_gib = (double)(face->frames(mapper) * PAGE) / ((double)size / (double)GI);
    (void)snprintf(job, sizeof job, "map %u GiB by %s", (unsigned)(size / GI), pages);
    one(job, "page", face->name, start, mapped, size / page);
    (void)snprintf(job, sizeof job, "destroy %u GiB by %s", (unsigned)(size / GI), pages);
    start = bench_now();
    face->destroy(mapper);
    one(job, "page", face->name, start, bench_now(), size / page);
    (void)snprintf(job, sizeof job, "tables of %u GiB by %s", (unsigned)(size / GI), pages);
    bench_print(job, "bytes a GiB", face->name, per_gib, 0, 0);
    if (bench_flushes != flushes)
        bench_wrong("whole machine", face->name, "a flush, though nothing was there before");
}

/* One page in every `every` written to, then all of them asked for. */
static void harvest(const struct bench_face *face, uint64_t size, uint64_t every, const char *share)
{
    char job[64];
    void *mapper = face->create(PAGE);
    uint64_t *bitmap = calloc(size / PAGE / 64, sizeof *bitmap);
    uint64_t at, start, ended, flushes, found = 0, expected = 0;

    if (!face->map(mapper, 0, OFFSET, size) || !face->dirty(mapper, 0, size, bitmap))
        bench_wrong("dirty", face->name, "setting up");
    memset(bitmap, 0, size / PAGE / 8);
    for (at = 0; at < size; at += every * PAGE, expected++) {
        if (!face->soil(mapper, at))
            bench_wrong("dirty", face->name, "writing");
    }
    flushes = bench_flushes;
    start = bench_now();
    if (!face->dirty(mapper, 0, size, bitmap))
        bench_wrong("dirty", face->name, "refused");
    ended = bench_now();
    for (at = 0; at < size / PAGE / 64; at++)
        found += (uint64_t)__builtin_popcountll(bitmap[at]);
    if (found != expected)
        bench_wrong("dirty", face->name, "number of pages");
    (void)snprintf(job, sizeof job, "dirty pages of %u GiB, %s dirty", (unsigned)(size / GI), share);
    one(job, "4K page", face->name, start, ended, size / PAGE);
    (void)snprintf(job, sizeof job, "flushes of that, %s dirty", share);
    bench_print(job, "flushes", face->name, (double)(bench_flushes - flushes), 0, 0);
    face->destroy(mapper);
    free(bitmap);
}

/* Map, look at random places, unmap, for sizes that grow by four. Small sizes many times over. */
static void grow(const struct bench_face *face, uint64_t largest)
{
    static uint64_t gpa[1 << 16];
    const uint64_t count = sizeof gpa / sizeof *gpa;
    uint64_t size, state = 5, i;

    for (size = MI; size <= largest; size *= 4) {
        uint64_t times = size < 256 * MI ? 256 * MI / size : 1, pages = size / PAGE, time, map = 0, look = 0, unmap = 0;
        void *mapper = face->create(PAGE);
        char job[64];

        for (i = 0; i < count; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            gpa[i] = (state >> 20) % size;
        }
        /* Once beforehand, so that the memory is there. */
        if (!face->map(mapper, 0, OFFSET, size) || !face->unmap(mapper, 0, size))
            bench_wrong("grow", face->name, "setting up");
        for (i = 0; i < times; i++) {
            bool done;

            time = bench_now();
            done = face->map(mapper, 0, OFFSET, size);
            map += bench_now() - time;
            if (i == 0) {
                time = bench_now();
                done &= face->translate(mapper, gpa, count) != 0;
                look = bench_now() - time;
            }
            time = bench_now();
            done &= face->unmap(mapper, 0, size);
            unmap += bench_now() - time;
            if (!done)
                bench_wrong("grow", face->name, "map, translate or unmap");
        }
        (void)snprintf(job, sizeof job, "grow: map %llu MiB", (unsigned long long)(size / MI));
        one(job, "4K page", face->name, 0, map, times * pages);
        (void)snprintf(job, sizeof job, "grow: unmap %llu MiB", (unsigned long long)(size / MI));
        one(job, "4K page", face->name, 0, unmap, times * pages);
        (void)snprintf(job, sizeof job, "grow: translate in %llu MiB", (unsigned long long)(size / MI));
        one(job, "address", face->name, 0, look, count);
        face->destroy(mapper);
    }
}

void bench_whole(const struct bench_face *face, uint64_t largest)
{
    whole_machine(face, TI, GI, "1G");
    whole_machine(face, TI, 2 * MI, "2M");
    whole_machine(face, largest, PAGE, "4K");
    harvest(face, 64 * GI, 1000, "0.1 %");
    harvest(face, 64 * GI, 100, "1 %");
    harvest(face, 64 * GI, 1, "100 %");
    grow(face, largest);
}
