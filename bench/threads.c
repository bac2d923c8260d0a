/*
 * Two CPUs whose guests fault on pages at random: fault_map without a lock, against map under a test-and-set lock as it is
 * written first, and against one CPU alone.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "arena.h"
#include "jobs.h"

#define PAGE   UINT64_C(4096)
#define SIZE   (UINT64_C(1) << 30)
#define PAGES  (SIZE / PAGE)
#define OFFSET (UINT64_C(1) << 40)
#define ROUNDS 15

struct fault_cpu {
    const struct bench_face *face;
    void *mapper;
    struct bench_arena *arena;
    const uint64_t *gpa;
    uint64_t count;
    uint64_t done;
    char *lock; /* NULL: fault_map, which needs none */
    pthread_barrier_t *start;
};

static void *fault(void *ptr)
{
    struct fault_cpu *cpu = ptr;
    uint64_t i;

    if (cpu->start != NULL)
        (void)pthread_barrier_wait(cpu->start);
    if (cpu->lock == NULL) {
        cpu->done = cpu->face->fault_pages(cpu->mapper, cpu->arena, cpu->gpa, cpu->count, OFFSET);
        return NULL;
    }
    for (i = 0; i < cpu->count; i++) {
        while (__atomic_test_and_set(cpu->lock, __ATOMIC_ACQUIRE)) {
        }
        cpu->done += cpu->face->map_pages(cpu->mapper, &cpu->gpa[i], 1, OFFSET);
        __atomic_clear(cpu->lock, __ATOMIC_RELEASE);
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

/* All pages faulted in by so many CPUs. Returns ns for one page. */
static double faults(const struct bench_face *face, const uint64_t *gpa, unsigned cpus, char *lock,
                     struct bench_arena *arenas)
{
    struct fault_cpu cpu[2] = {{0}};
    pthread_barrier_t start;
    pthread_t thread;
    void *mapper = face->create(PAGE);
    uint64_t before, after, i;

    for (i = 0; i < cpus; i++) {
        struct fault_cpu each = {face, mapper, &arenas[i], gpa + i * (PAGES / cpus), PAGES / cpus, 0, lock, NULL};

        cpu[i] = each;
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
    /* The tables go back to the frames that all share. */
    face->destroy(mapper);
    return (double)(after - before) / (double)PAGES;
}

void bench_threads(const struct bench_face *face)
{
    const char *job = "fault in random pages";
    double one[ROUNDS], two[ROUNDS], locked[ROUNDS], against_lock[ROUNDS], against_one[ROUNDS];
    uint64_t *gpa = random_pages();
    struct bench_arena arenas[2];
    unsigned round, rounds = bench_round_limit != 0 && bench_round_limit < ROUNDS ? bench_round_limit : ROUNDS;
    char lock = 0;

    for (round = 0; round <= rounds; round++) {
        double alone, both, under_lock;

        /* One CPU may make all tables, in each of the two runs without a lock, and what it took does not come back here. */
        bench_arena_fork(&arenas[0], 3 * PAGES / 512);
        bench_arena_fork(&arenas[1], 3 * PAGES / 512);
        alone = faults(face, gpa, 1, NULL, arenas);
        both = faults(face, gpa, 2, NULL, arenas);
        under_lock = faults(face, gpa, 2, &lock, arenas);
        bench_arena_join(&arenas[0]);
        bench_arena_join(&arenas[1]);
        if (round == 0)
            continue;
        one[round - 1] = alone;
        two[round - 1] = both;
        locked[round - 1] = under_lock;
        against_lock[round - 1] = under_lock / both;
        against_one[round - 1] = alone / both;
    }
    bench_print(job, "4K page", "fault_map, one CPU", bench_median(one, rounds), 0, 0);
    bench_print(job, "4K page", "fault_map, two CPUs", bench_median(two, rounds), 0, 0);
    bench_print(job, "4K page", "map under a lock, two CPUs", bench_median(locked, rounds), 0, 0);
    bench_print("two CPUs, times as fast as under a lock", "", face->name, 0, bench_median(against_lock, rounds), 5);
    bench_print("two CPUs, times as fast as one", "", face->name, 0, bench_median(against_one, rounds), 1.5);
    free(gpa);
}
