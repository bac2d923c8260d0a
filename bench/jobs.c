/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "jobs.h"

#define KI       UINT64_C(1024)
#define MI       (KI * 1024)
#define GI       (MI * 1024)
#define PAGE     UINT64_C(4096)
#define IN_TABLE UINT64_C(512)

/* Away from the identity, and below every MAXPHYADDR. */
#define OFFSET (UINT64_C(1) << 40)

/* ---- orders of pages; made once for each size, kept until the program ends ---- */

/* Every page but the last that each table of 512 holds: that one keeps the table alive. */
static const uint64_t *ascending(uint64_t size, uint64_t *count)
{
    static uint64_t *list, made_for;
    uint64_t at;

    *count = 0;
    if (made_for != size) {
        free(list);
        list = malloc(size / PAGE * sizeof *list);
        made_for = size;
    }
    for (at = 0; at < size; at += PAGE) {
        if (at / PAGE % IN_TABLE != IN_TABLE - 1)
            list[(*count)++] = at;
    }
    return list;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static const uint64_t *shuffled(uint64_t size, uint64_t *count)
{
    static uint64_t *list, made_for, made;
    uint64_t state = 1, i;

    if (made_for != size) {
        free(list);
        list = malloc(size / PAGE * sizeof *list);
        memcpy(list, ascending(size, &made), size / PAGE * sizeof *list);
        for (i = made; i-- > 1;) {
            uint64_t j = next_random(&state) % (i + 1), swap = list[i];

            list[i] = list[j];
            list[j] = swap;
        }
        made_for = size;
    }
    *count = made;
    return list;
}

/* All pages, the last of each table too. */
static const uint64_t *every(uint64_t size, uint64_t *count)
{
    static uint64_t *list, made_for;
    uint64_t at;

    if (made_for != size) {
        free(list);
        list = malloc(size / PAGE * sizeof *list);
        for (at = 0; at < size / PAGE; at++)
            list[at] = at * PAGE;
        made_for = size;
    }
    *count = size / PAGE;
    return list;
}

/* A million addresses anywhere, not aligned, a multiple of 32 of them. */
static const uint64_t *anywhere(uint64_t size, uint64_t *count)
{
    static uint64_t list[1 << 20];
    uint64_t state = 7, i;

    *count = sizeof list / sizeof *list;
    for (i = 0; i < *count; i++)
        list[i] = (next_random(&state) << 20 ^ next_random(&state)) % size;
    return list;
}

/* ---- states that a job starts from ---- */

static void must(bool done)
{
    if (!done)
        abort();
}

static void ready_empty(struct bench_work *work)
{
    if (work->face != NULL)
        must(work->face->unmap(work->mapper, 0, work->size));
}

/* All tables there, with one page in each. */
static void ready_sparse(struct bench_work *work)
{
    uint64_t at;

    if (work->face == NULL) {
        (void)bare_clear(work->bare);
        return;
    }
    must(work->face->unmap(work->mapper, 0, work->size));
    for (at = (IN_TABLE - 1) * PAGE; at < work->size; at += IN_TABLE * PAGE)
        must(work->face->map_pages(work->mapper, &at, 1, OFFSET) == 1);
}

static void ready_mapped(struct bench_work *work)
{
    if (work->face == NULL) {
        bare_fill(work->bare);
        return;
    }
    must(work->face->unmap(work->mapper, 0, work->size));
    must(work->face->map(work->mapper, 0, OFFSET, work->size));
}

static void ready_mapped_once(struct bench_work *work)
{
    if (work->result == 0)
        ready_mapped(work);
}

/* ---- what is timed ---- */

static void run_map(struct bench_work *work)
{
    if (work->face == NULL)
        bare_fill(work->bare);
    else
        work->ok &= work->face->map(work->mapper, 0, OFFSET, work->size);
}

/* The same in pieces of 2 MiB less a page, which find their tables there. */
static void run_map_into(struct bench_work *work)
{
    uint64_t at;

    if (work->face == NULL) {
        bare_fill_checked(work->bare);
        return;
    }
    for (at = 0; at < work->size; at += IN_TABLE * PAGE)
        work->ok &= work->face->map(work->mapper, at, at + OFFSET, (IN_TABLE - 1) * PAGE);
}

static void run_map_pages(struct bench_work *work)
{
    if (work->face == NULL)
        bare_map_pages(work->bare, work->gpa, work->count);
    else
        work->ok &= work->face->map_pages(work->mapper, work->gpa, work->count, OFFSET) == work->count;
}

static void run_unmap(struct bench_work *work)
{
    if (work->face == NULL)
        bare_drop(work->bare);
    else
        work->ok &= work->face->unmap(work->mapper, 0, work->size);
}

static void run_unmap_pieces(struct bench_work *work)
{
    if (work->face == NULL)
        work->result = bare_clear(work->bare);
    else
        work->ok &= work->face->unmap_pieces(work->mapper, 0, work->size, IN_TABLE * PAGE);
}

static void run_unmap_pages(struct bench_work *work)
{
    if (work->face == NULL)
        bare_unmap_pages(work->bare, work->gpa, work->count);
    else
        work->ok &= work->face->unmap_pages(work->mapper, work->gpa, work->count) == work->count;
}

static void run_translate(struct bench_work *work)
{
    work->result = work->face == NULL ? bare_translate(work->bare, work->gpa, work->count)
                                      : work->face->translate(work->mapper, work->gpa, work->count);
}

static void run_translate_chain(struct bench_work *work)
{
    work->result = work->face == NULL ? bare_translate_chain(work->bare, work->gpa, work->count)
                                      : work->face->translate_chain(work->mapper, work->gpa, work->count);
}

static void run_translate_batch(struct bench_work *work)
{
    work->result = work->face == NULL ? bare_translate(work->bare, work->gpa, work->count)
                                      : work->face->translate_batch(work->mapper, work->gpa, work->count);
}

/* What a batch is held against: as many single ones of the same side. */
static void run_translate_singly(struct bench_work *work)
{
    work->result = work->face == NULL ? bare_translate(work->bare, work->gpa, work->count)
                                      : work->face->translate_singly(work->mapper, work->gpa, work->count);
}

/* ---- was it done? ---- */

/* A hundred addresses spread over the range lead where they should, or nowhere. */
static bool leads(struct bench_work *work, bool mapped, bool with_last)
{
    uint64_t i;

    if (work->face == NULL || work->face->translate == NULL)
        return true;
    for (i = 0; i < 100; i++) {
        uint64_t gpa = (work->size / 100 * i + 5) & ~(PAGE - 1);
        bool last = gpa / PAGE % IN_TABLE == IN_TABLE - 1;
        uint64_t sum;

        if (last && !with_last)
            continue;
        gpa += 5;
        sum = work->face->translate(work->mapper, &gpa, 1);
        if (sum != (mapped ? gpa + OFFSET : 0))
            return false;
    }
    return work->ok;
}

static bool check_mapped(struct bench_work *work)
{
    return leads(work, true, false);
}

static bool check_gone(struct bench_work *work)
{
    return leads(work, false, true)
        && (work->face == NULL || work->face->frames == NULL || work->face->frames(work->mapper) <= 4);
}

/* The first page of each table stays. */
static bool check_pieces_gone(struct bench_work *work)
{
    uint64_t gpa = IN_TABLE * PAGE, next = gpa + PAGE;

    if (work->face == NULL)
        return work->result == work->size / PAGE;
    return work->ok && work->face->translate(work->mapper, &gpa, 1) == gpa + OFFSET
        && work->face->translate(work->mapper, &next, 1) == 0;
}

static bool check_sum(struct bench_work *work)
{
    uint64_t sum = 0, i;

    for (i = 0; i < work->count; i++)
        sum += work->gpa[i] + (work->face == NULL ? 0 : OFFSET);
    return work->result == sum;
}

static bool has_map(const struct bench_face *face)
{
    return face->map != NULL;
}

static bool has_map_pages(const struct bench_face *face)
{
    return face->map_pages != NULL && face->unmap != NULL;
}

static bool has_unmap(const struct bench_face *face)
{
    return face->unmap != NULL && face->map != NULL;
}

static bool has_unmap_pages(const struct bench_face *face)
{
    return face->unmap_pages != NULL && face->map != NULL;
}

static bool has_unmap_pieces(const struct bench_face *face)
{
    return face->unmap_pieces != NULL;
}

static bool has_translate(const struct bench_face *face)
{
    return face->translate != NULL && face->map != NULL;
}

static bool has_translate_chain(const struct bench_face *face)
{
    return face->translate_chain != NULL && face->map != NULL;
}

static bool has_batch(const struct bench_face *face)
{
    return face->translate_batch != NULL;
}

#define PAGES(size)           ((size) / PAGE)
#define BUT_ONE_A_TABLE(size) ((size) / PAGE - (size) / PAGE / IN_TABLE)

static const struct bench_job jobs[] = {
    {"map 1 GiB by 4K, fresh tables", "4K page", GI, PAGE, PAGES(GI), 31, 1.25, 1.25, 1.25, NULL, has_map, ready_empty,
     run_map, NULL, check_mapped},
    {"map 16 GiB by 4K, fresh tables, cold", "4K page", 16 * GI, PAGE, PAGES(16 * GI), 15, 1.3, 1.3, 1.3, NULL, has_map,
     ready_empty, run_map, NULL, check_mapped},
    {"map 512 GiB by 2M, fresh tables", "2M page", 512 * GI, 512 * PAGE, PAGES(GI), 31, 1.25, 1.25, 1.25, NULL, has_map,
     ready_empty, run_map, NULL, check_mapped},
    {"map 1 GiB into existing tables", "4K page", GI, PAGE, BUT_ONE_A_TABLE(GI), 31, 1.4, 1.4, 1.4, NULL, has_map,
     ready_sparse, run_map_into, NULL, check_mapped},
    {"map one page, sequential", "4K page", GI, PAGE, BUT_ONE_A_TABLE(GI), 31, 2.4, 3.6, 2.0, ascending, has_map_pages,
     ready_sparse, run_map_pages, NULL, check_mapped},
    {"map one page, random", "4K page", GI, PAGE, BUT_ONE_A_TABLE(GI), 15, 2.4, 2.8, 2.4, shuffled, has_map_pages,
     ready_sparse, run_map_pages, NULL, check_mapped},
    {"unmap 1 GiB, tables freed", "4K page", GI, PAGE, PAGES(GI), 31, 1.0, 1.0, 1.0, NULL, has_unmap, ready_mapped,
     run_unmap, NULL, check_gone},
    {"unmap 1 GiB, every entry visited", "4K page", GI, PAGE, BUT_ONE_A_TABLE(GI), 31, 1.4, 1.4, 1.4, NULL, has_unmap_pieces,
     ready_mapped, run_unmap_pieces, NULL, check_pieces_gone},
    {"unmap one page, tables freed as they empty", "4K page", GI, PAGE, PAGES(GI), 31, 3.6, 3.6, 2.5, every, has_unmap_pages,
     ready_mapped, run_unmap_pages, NULL, check_gone},
    {"translate, latency, 1 GiB", "address", GI, PAGE, 1 << 20, 31, 1.1, 0, 1.1, anywhere, has_translate_chain,
     ready_mapped_once, run_translate_chain, NULL, check_sum},
    {"translate, throughput, 1 GiB", "address", GI, PAGE, 1 << 20, 15, 0, 0, 0, anywhere, has_translate, ready_mapped_once,
     run_translate, NULL, check_sum},
    {"translate, throughput, 64 GiB, cold", "address", 64 * GI, PAGE, 1 << 20, 15, 1.4, 0, 1.3, anywhere, has_translate,
     ready_mapped_once, run_translate, NULL, check_sum},
    {"translate, 32 at once, against 32 singly, cold", "address", 64 * GI, PAGE, 1 << 20, 15, 0.35, 0.35, 0.35, anywhere,
     has_batch, ready_mapped_once, run_translate_batch, run_translate_singly, check_sum},
};

void bench_jobs(const struct bench_face *const *faces, unsigned count, const char *only)
{
    unsigned i;

    for (i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        if (only == NULL || strstr(jobs[i].name, only) != NULL)
            bench_measure(&jobs[i], faces, count);
    }
}
