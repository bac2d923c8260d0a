/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * How a job is measured: the roofline and all implementations in one process, one after another in each round, so that
 * whatever else the machine does falls on all of them alike. What counts is the ratio within a round, and its median.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "bare.h"
#include "face.h"

#define BENCH_MAX_ROUNDS 64
#define BENCH_MAX_SIDES  16

struct bench_job;

/* One contestant in one job. face is NULL for the roofline, and bare for the others. */
struct bench_work {
    const struct bench_job *job;
    const struct bench_face *face;
    void *mapper;
    struct bare *bare;
    const uint64_t *gpa; /* the pages of the job, in its order */
    uint64_t count;
    uint64_t size; /* bytes that the job is about */
    uint64_t result;
    bool ok;
};

/*
 * ready brings a side to where the clock starts, run is what is timed, check looks at what run left behind. Each is
 * called for the roofline too (work->face is NULL then).
 */
struct bench_job {
    const char *name;
    const char *unit; /* what one of it is: "4K page" */
    uint64_t size;
    uint64_t max_page;
    uint64_t units; /* of work in one run */
    unsigned rounds;
    double goal_linear; /* of the ratio; 0: none is set */
    double goal_called;
    double goal_inline;
    const uint64_t *(*order)(uint64_t size, uint64_t *count); /* the pages, for jobs that go page by page */
    bool (*fits)(const struct bench_face *face);
    void (*ready)(struct bench_work *work);
    void (*run)(struct bench_work *work);
    void (*against)(struct bench_work *work); /* what a side's time is a ratio to, on that side; NULL: the roofline */
    bool (*check)(struct bench_work *work);
};

/* Measure one job over the roofline and the faces that have it, and print a line of JSON for each. */
void bench_measure(const struct bench_job *job, const struct bench_face *const *faces, unsigned count);

/* Seconds since some moment, as a number of nanoseconds. */
uint64_t bench_now(void);

double bench_median(double *values, unsigned count);

/* One result; ratio and goal as far as they are above zero. */
void bench_print(const char *job, const char *unit, const char *name, double ns, double ratio, double goal);

/* A job that found a wrong result: told, and the program will end with 1. */
void bench_wrong(const char *job, const char *name, const char *what);
extern bool bench_failed;

/* At most this many rounds (0: as the job says). */
extern unsigned bench_round_limit;

#endif
