/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 199309L
#include "harness.h"

#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_flushes;
volatile uint64_t bench_never;
bool bench_failed;
unsigned bench_round_limit;

uint64_t bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_print(const char *job, const char *unit, const char *name, double ns, double ratio, double goal)
{
    printf("{\"job\": \"%s\", \"unit\": \"%s\", \"name\": \"%s\", \"ns\": %.4f", job, unit, name, ns);
    if (ratio > 0)
        printf(", \"ratio\": %.3f", ratio);
    if (goal > 0)
        printf(", \"goal\": %.2f", goal);
    printf("}\n");
    fflush(stdout);
}

void bench_wrong(const char *job, const char *name, const char *what)
{
    fprintf(stderr, "WRONG: %s, %s: %s\n", job, name, what);
    bench_failed = true;
}

static double goal_of(const struct bench_job *job, const char *name)
{
    if (strcmp(name, "ept linear") == 0)
        return job->goal_linear;
    if (strcmp(name, "ept called") == 0)
        return job->goal_called;
    return strcmp(name, "ept inline") == 0 ? job->goal_inline : 0;
}

/* Runs it. Returns ns for one unit of the job. */
static double timed(struct bench_work *work, void (*run)(struct bench_work *work))
{
    uint64_t before = bench_now();

    run(work);
    return (double)(bench_now() - before) / (double)work->job->units;
}

/* Each of the two that are timed leaves its own result behind. */
static void check(struct bench_work *work)
{
    if (work->ok && !work->job->check(work)) {
        bench_wrong(work->job->name, work->face == NULL ? "roofline" : work->face->name, "result");
        work->ok = false;
    }
}

void bench_measure(const struct bench_job *job, const struct bench_face *const *faces, unsigned count)
{
    static double ns[BENCH_MAX_SIDES][BENCH_MAX_ROUNDS], against[BENCH_MAX_SIDES][BENCH_MAX_ROUNDS];
    static double ratio[BENCH_MAX_ROUNDS];
    struct bench_work side[BENCH_MAX_SIDES];
    unsigned rounds = bench_round_limit != 0 && bench_round_limit < job->rounds ? bench_round_limit : job->rounds;
    unsigned sides = 0, round, i;

    memset(side, 0, sizeof side);
    bench_arena_tidy();
    for (i = 0; i <= count && sides < BENCH_MAX_SIDES; i++) {
        struct bench_work *work = &side[sides];

        work->job = job;
        work->size = job->size;
        work->ok = true;
        if (job->order != NULL)
            work->gpa = job->order(job->size, &work->count);
        if (i == 0) {
            work->bare = bare_create(job->size, job->max_page == 4096 ? 0 : 1);
        } else {
            if (!job->fits(faces[i - 1]))
                continue;
            work->face = faces[i - 1];
            work->mapper = work->face->create(job->max_page);
            if (work->mapper == NULL)
                continue;
        }
        sides++;
    }
    /* Round 0 is not counted: it brings the memory in. */
    for (round = 0; round <= rounds; round++) {
        for (i = 0; i < sides; i++) {
            struct bench_work *work = &side[i];
            double took;

            job->ready(work);
            took = timed(work, job->run);
            check(work);
            if (round != 0)
                ns[i][round - 1] = took;
            if (job->against != NULL) {
                took = timed(work, job->against);
                check(work);
            }
            if (round != 0)
                against[i][round - 1] = job->against != NULL ? took : ns[0][round - 1];
        }
    }
    for (i = 0; i < sides; i++) {
        const char *name = i == 0 ? "roofline" : side[i].face->name;

        for (round = 0; round < rounds; round++)
            ratio[round] = ns[i][round] / against[i][round];
        if (i != 0) {
            double middle = bench_median(ratio, rounds);

            bench_print(job->name, job->unit, name, bench_median(ns[i], rounds), middle, goal_of(job, name));
            side[i].face->destroy(side[i].mapper);
        }
    }
    bench_print(job->name, job->unit, "roofline", bench_median(ns[0], rounds), 1, 0);
    bare_destroy(side[0].bare);
}
