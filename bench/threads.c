/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Two CPUs whose guests fault on pages at random: fault_map without a lock, against map and against a plain walker under
 * a test-and-set lock as it is written first, against one CPU alone, and against the least that one CPU and two need: a
 * bare walk, a compare-exchange, a count.
 *
 * What a second CPU brings is the machine's: both write to the same cache lines of entries, which cost next to nothing
 * between neighbours and several times a fault between cores that are far apart, where two are slower than one. (A
 * virtual machine may have either, and be moved from one to the other.) The goals are judged where the bare loop gains
 * enough for them to be within reach.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "arena.h"
#include "bare.h"
#include "jobs.h"

#define PAGE   UINT64_C(4096)
#define SIZE   (UINT64_C(1) << 30)
#define PAGES  (SIZE / PAGE)
#define OFFSET (UINT64_C(1) << 40)
#define ROUNDS 31
#define GAIN   1.5 /* the goal of two CPUs against one, and what the bare loop must gain for a goal to be judged */

enum way { FAULT_MAP, UNDER_LOCK, BARE };

struct fault_cpu {
    int processor;
    enum way way;
    const struct bench_face *face;
    void *mapper; /* a struct bare, for BARE */
    struct bench_arena *arena;
    const uint64_t *gpa;
    uint64_t count;
    uint64_t done;
    char *lock;
    pthread_barrier_t *start; /* NULL: alone */
    uint64_t counter;
    char unused[64]; /* no line of one CPU's is the other's */
};

/* The calling thread runs there and nowhere else: a round is over before a scheduler has moved one of two away. */
static void stay_on(int processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static uint64_t map_under_lock(struct fault_cpu *cpu)
{
    uint64_t done = 0, i;

    for (i = 0; i < cpu->count; i++) {
        while (__atomic_test_and_set(cpu->lock, __ATOMIC_ACQUIRE)) {
        }
        done += cpu->face->map_pages(cpu->mapper, &cpu->gpa[i], 1, OFFSET);
        __atomic_clear(cpu->lock, __ATOMIC_RELEASE);
    }
    return done;
}

static void *fault(void *ptr)
{
    struct fault_cpu *cpu = ptr;

    stay_on(cpu->processor);
    if (cpu->start != NULL)
        (void)pthread_barrier_wait(cpu->start);
    switch (cpu->way) {
    case FAULT_MAP: cpu->done = cpu->face->fault_pages(cpu->mapper, cpu->arena, cpu->gpa, cpu->count, OFFSET); break;
    case UNDER_LOCK: cpu->done = map_under_lock(cpu); break;
    case BARE: cpu->done = bare_fault_pages(cpu->mapper, cpu->gpa, cpu->count, &cpu->counter); break;
    }
    return NULL;
}

/* Pages of a guest of 1 GiB, all of them, in random order. */
static uint64_t *random_pages(void)
{
    uint64_t *list = malloc(PAGES * sizeof *list), state = 3, i;

    for (i = 0; i < PAGES; i++)
        list[i] = i * PAGE;
    for (i = PAGES; i-- > 1;) {
        uint64_t j, swap = list[i];

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        j = (state >> 33) % (i + 1);
        list[i] = list[j];
        list[j] = swap;
    }
    return list;
}

/* What every round has in common. */
struct faults {
    struct bare *bare;
    const uint64_t *gpa;
    int processor[2];
    struct bench_arena arenas[2];
};

/* All pages faulted in by so many CPUs. Returns ns for one page. */
static double run_faults(struct faults *faults, const struct bench_face *face, enum way way, unsigned cpus)
{
    struct fault_cpu cpu[2] = {{0}};
    pthread_barrier_t start;
    pthread_t thread;
    void *mapper = way == BARE ? (void *)faults->bare : face->create(PAGE);
    uint64_t before, after, i;
    char lock = 0;

    for (i = 0; i < cpus; i++) {
        cpu[i].processor = faults->processor[i];
        cpu[i].way = way;
        cpu[i].face = face;
        cpu[i].mapper = mapper;
        cpu[i].arena = &faults->arenas[i];
        cpu[i].gpa = faults->gpa + i * (PAGES / cpus);
        cpu[i].count = PAGES / cpus;
        cpu[i].lock = &lock;
    }
    if (cpus == 2) {
        pthread_barrier_init(&start, NULL, 2);
        cpu[0].start = cpu[1].start = &start;
        pthread_create(&thread, NULL, fault, &cpu[1]);
    }
    before = bench_now();
    (void)fault(&cpu[0]);
    if (cpus == 2) {
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&start);
    }
    after = bench_now();
    if (cpu[0].done + cpu[1].done != PAGES)
        bench_wrong("fault in pages", face->name, "a page is missing");
    if (way == BARE)
        (void)bare_clear(faults->bare);
    else
        face->destroy(mapper); /* the tables go back to the frames that all share */
    return (double)(after - before) / (double)PAGES;
}

/* The first two processors that this program may use. false: there is only one, and nothing to compare. */
static bool find_processors(const cpu_set_t *allowed, int *processor)
{
    int at, found = 0;

    for (at = 0; at < CPU_SETSIZE && found < 2; at++) {
        if (CPU_ISSET(at, allowed))
            processor[found++] = at;
    }
    return found == 2;
}

void bench_threads(const struct bench_face *face, const struct bench_face *plain)
{
    const char *job = "fault in random pages";
    static double one[ROUNDS], two[ROUNDS], locked[ROUNDS], plain_locked[ROUNDS], least[ROUNDS];
    static double against_lock[ROUNDS], against_one[ROUNDS], against_least[ROUNDS], bare_one[ROUNDS], gain[ROUNDS];
    unsigned round, rounds = bench_round_limit != 0 && bench_round_limit < ROUNDS ? bench_round_limit : ROUNDS;
    struct faults faults = {0};
    uint64_t *gpa;
    cpu_set_t allowed;
    bool near;

    (void)sched_getaffinity(0, sizeof allowed, &allowed);
    if (!find_processors(&allowed, faults.processor))
        return;
    gpa = random_pages();
    faults.gpa = gpa;
    faults.bare = bare_create(SIZE, 0);
    for (round = 0; round <= rounds; round++) {
        double alone, both, under_lock, plainly, bare, bare_alone;

        /* One CPU may make all tables, in each of the two runs without a lock, and what it took does not come back here. */
        bench_arena_fork(&faults.arenas[0], 3 * PAGES / 512);
        bench_arena_fork(&faults.arenas[1], 3 * PAGES / 512);
        alone = run_faults(&faults, face, FAULT_MAP, 1);
        both = run_faults(&faults, face, FAULT_MAP, 2);
        under_lock = run_faults(&faults, face, UNDER_LOCK, 2);
        plainly = run_faults(&faults, plain, UNDER_LOCK, 2);
        bare_alone = run_faults(&faults, face, BARE, 1);
        bare = run_faults(&faults, face, BARE, 2);
        bench_arena_join(&faults.arenas[0]);
        bench_arena_join(&faults.arenas[1]);
        if (round == 0)
            continue;
        one[round - 1] = alone;
        two[round - 1] = both;
        locked[round - 1] = under_lock;
        plain_locked[round - 1] = plainly;
        least[round - 1] = bare;
        bare_one[round - 1] = bare_alone;
        gain[round - 1] = bare_alone / bare;
        against_lock[round - 1] = under_lock / both;
        against_one[round - 1] = alone / both;
        against_least[round - 1] = both / bare;
    }
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
    bench_print(job, "4K page", "fault_map, one CPU", bench_median(one, rounds), 0, 0);
    bench_print(job, "4K page", "fault_map, two CPUs", bench_median(two, rounds), bench_median(against_least, rounds),
                0);
    bench_print(job, "4K page", "map under a lock, two CPUs", bench_median(locked, rounds), 0, 0);
    bench_print(job, "4K page", "plain walker under a lock", bench_median(plain_locked, rounds), 0, 0);
    bench_print(job, "4K page", "at least, one CPU", bench_median(bare_one, rounds), 0, 0);
    bench_print(job, "4K page", "at least, two CPUs", bench_median(least, rounds), 0, 0);
    near = bench_median(gain, rounds) >= GAIN;
    bench_print("two CPUs, times as fast as under a lock", "", face->name, 0, bench_median(against_lock, rounds),
                near ? 5 : 0);
    bench_print("two CPUs, times as fast as one", "", "bare", 0, bench_median(gain, rounds), 0);
    bench_print("two CPUs, times as fast as one", "", face->name, 0, bench_median(against_one, rounds), near ? GAIN : 0);
    bare_destroy(faults.bare);
    free(gpa);
}
