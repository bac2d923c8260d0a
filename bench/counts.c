/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The main jobs of EPT, each once and small, for an instruction counter: counts.py runs this under callgrind, which looks
 * only at what happens inside of counted(). Prints a line for each job: its name, a tab, how many units it did.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "face.h"

#define MI       (UINT64_C(1) << 20)
#define GI       (UINT64_C(1) << 30)
#define PAGE     UINT64_C(4096)
#define IN_TABLE UINT64_C(512)
#define OFFSET   (UINT64_C(1) << 40)
#define SIZE     (16 * MI)
#define PAGES    (SIZE / PAGE)

extern const struct bench_face bench_ept_linear;

static const struct bench_face *const face = &bench_ept_linear;
static void *mapper;
static uint64_t gpa[PAGES], count, bitmap[PAGES / 64];

static void must(bool done, const char *what)
{
    if (!done) {
        fprintf(stderr, "%s: wrong result\n", what);
        exit(1);
    }
}

/* ---- states to start from ---- */

static void empty(void)
{
    mapper = face->create(PAGE);
}

static void empty_large(void)
{
    mapper = face->create(IN_TABLE * PAGE);
}

static void mapped(void)
{
    empty();
    must(face->map(mapper, 0, OFFSET, SIZE), "map");
}

static void mapped_clean(void)
{
    uint64_t at;

    mapped();
    must(face->dirty(mapper, 0, SIZE, bitmap), "dirty");
    for (at = 0; at < SIZE; at += 128 * PAGE)
        must(face->soil(mapper, at), "soil");
}

/* All tables there, the last page of each mapped. */
static void sparse(void)
{
    uint64_t at;

    empty();
    for (at = (IN_TABLE - 1) * PAGE; at < SIZE; at += IN_TABLE * PAGE)
        must(face->map(mapper, at, at + OFFSET, PAGE), "map");
}

/* Pages in order; or scattered by a step that shares no factor with their number. */
static void pages(uint64_t step, bool last_of_table)
{
    uint64_t i;

    for (count = 0, i = 0; i < PAGES; i++) {
        uint64_t page = i * step % PAGES;

        if (last_of_table || page % IN_TABLE != IN_TABLE - 1)
            gpa[count++] = page * PAGE;
    }
}

static void sparse_in_order(void)
{
    sparse();
    pages(1, false);
}

static void sparse_scattered(void)
{
    sparse();
    pages(1637, false);
}

static void mapped_in_order(void)
{
    mapped();
    pages(1, true);
}

static void mapped_scattered(void)
{
    mapped();
    pages(1637, true);
}

static void empty_scattered(void)
{
    empty();
    pages(1637, true);
}

/* ---- what is counted: each returns how many units it did ---- */

static uint64_t map(void)
{
    return face->map(mapper, 0, OFFSET, SIZE) ? PAGES : 0;
}

static uint64_t map_large(void)
{
    return face->map(mapper, 0, OFFSET, 8 * GI) ? 8 * GI / PAGE / IN_TABLE : 0;
}

static uint64_t map_into(void)
{
    uint64_t at, done = 0;

    for (at = 0; at < SIZE; at += IN_TABLE * PAGE)
        done += face->map(mapper, at, at + OFFSET, (IN_TABLE - 1) * PAGE) ? IN_TABLE - 1 : 0;
    return done;
}

static uint64_t map_pages(void)
{
    return face->map_pages(mapper, gpa, count, OFFSET);
}

static uint64_t fault_pages(void)
{
    return face->fault_pages(mapper, &bench_arena, gpa, count, OFFSET);
}

static uint64_t unmap(void)
{
    return face->unmap(mapper, 0, SIZE) ? PAGES : 0;
}

static uint64_t unmap_pieces(void)
{
    return face->unmap_pieces(mapper, 0, SIZE, IN_TABLE * PAGE) ? PAGES - PAGES / IN_TABLE : 0;
}

static uint64_t unmap_pages(void)
{
    return face->unmap_pages(mapper, gpa, count);
}

static uint64_t translate(void)
{
    return face->translate(mapper, gpa, count) == count * OFFSET + PAGES * (PAGES - 1) / 2 * PAGE ? count : 0;
}

static uint64_t translate_batch(void)
{
    return face->translate_batch(mapper, gpa, count) == count * OFFSET + PAGES * (PAGES - 1) / 2 * PAGE ? count : 0;
}

static uint64_t protect(void)
{
    return face->protect(mapper, 0, SIZE, false) ? PAGES : 0;
}

static uint64_t dirty(void)
{
    return face->dirty(mapper, 0, SIZE, bitmap) ? PAGES : 0;
}

static uint64_t destroy(void)
{
    face->destroy(mapper);
    mapper = NULL;
    return PAGES;
}

static const struct {
    const char *name;
    void (*ready)(void);
    uint64_t (*run)(void);
} jobs[] = {
    {"map a range by 4K, fresh tables", empty, map},
    {"map a range by 2M, fresh tables", empty_large, map_large},
    {"map ranges into existing tables", sparse, map_into},
    {"map one page, sequential", sparse_in_order, map_pages},
    {"map one page, scattered", sparse_scattered, map_pages},
    {"fault_map one page, scattered", empty_scattered, fault_pages},
    {"unmap a range, tables freed", mapped, unmap},
    {"unmap ranges, every entry visited", mapped, unmap_pieces},
    {"unmap one page, sequential, tables freed", mapped_in_order, unmap_pages},
    {"unmap one page, scattered, tables freed", mapped_scattered, unmap_pages},
    {"translate", mapped_scattered, translate},
    {"translate, 32 at once", mapped_scattered, translate_batch},
    {"protect a range", mapped, protect},
    {"collect dirty pages, 1 of 128", mapped_clean, dirty},
    {"destroy", mapped, destroy},
};

/* The only function that is looked into, with all that it calls. */
__attribute__((noinline)) uint64_t counted(uint64_t (*run)(void));
uint64_t counted(uint64_t (*run)(void))
{
    uint64_t units = run();

    __asm__ volatile("" : "+r"(units));
    return units;
}

int main(void)
{
    unsigned i;

    bench_arena_open(64 * MI, 0);
    for (i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        uint64_t units;

        jobs[i].ready();
        units = counted(jobs[i].run);
        must(units != 0, jobs[i].name);
        printf("%s\t%llu\n", jobs[i].name, (unsigned long long)units);
        if (mapper != NULL)
            face->destroy(mapper);
    }
    must(bench_arena.held == 0, "frames given back");
    return 0;
}
