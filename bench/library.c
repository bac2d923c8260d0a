/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The library as the jobs see it. Compiled once for each format and each kind of hooks, with
 *   FORMAT         ept, npt, s2 or gstage; CONFIGURE, what its config wants beside the page size
 *   HOOKS_INLINE   hooks that the compiler knows; HOOKS_CALLED: filled in at run time, phys_to_virt is a function;
 *   HOOKS_LINEAR   filled in at run time, all memory at a fixed offset
 *   HOOKS_NAME     what it is called in the results, where that is not the kind of hooks
 */
#include <stdlib.h>

#include <hvpt/hooks.h>

#include "arena.h"
#include "face.h"

#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c)  PASTE_(a, b, c)
#define TEXT_(x)        #x
#define TEXT(x)         TEXT_(x)
#define HVPT(operation) PASTE(hvpt_, FORMAT, operation)

/* The calls of hvpt.h, whose format is known at run time; with known hooks, the inline calls of the format. */
#ifdef HOOKS_INLINE
#define CALL(operation) PASTE(hvpt_, FORMAT, operation)
#else
#define CALL(operation) PASTE(hvpt_, space, operation)
#endif

/* Each thread of the fault job has frames of its own, as each CPU of a kernel has. */
static _Thread_local struct bench_arena *frames_of_thread;

static bool get(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    return bench_frame_get(frames_of_thread != NULL ? frames_of_thread : &bench_arena, order, &out->value);
}

static void put(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    bench_frame_put(frames_of_thread != NULL ? frames_of_thread : &bench_arena, frame.value, order);
}

static void flushed(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx, (void)flush;
    bench_flushes++;
}

#ifndef HOOKS_LINEAR
static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    return bench_at(frame.value);
}
#endif

#if defined(HOOKS_INLINE)
static const struct hvpt_hooks bench_hooks = {NULL, get, put, see, NULL, flushed};
#define HVPT_STATIC_HOOKS bench_hooks
#endif

#ifdef HOOKS_NAME
#elif defined(HOOKS_INLINE)
#define HOOKS_NAME "inline"
#elif defined(HOOKS_CALLED)
#define HOOKS_NAME "called"
#else
#define HOOKS_NAME "linear"
#endif

#include <hvpt/ept.h>
#include <hvpt/gstage.h>
#include <hvpt/npt.h>
#include <hvpt/stage2.h>

struct mapper {
    struct hvpt_space space;
    struct hvpt_hooks hooks;
};

static const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

static void *create(uint64_t max_page)
{
    struct mapper *mapper = calloc(1, sizeof *mapper);
    struct HVPT(_config) config = {0};

    config.max_page_size = max_page;
    CONFIGURE;
#if defined(HOOKS_INLINE)
    if (HVPT(_init)(&mapper->space, &bench_hooks, &config) == HVPT_OK)
        return mapper;
#else
    mapper->hooks.alloc_frame = get;
    mapper->hooks.free_frame = put;
    mapper->hooks.flush = flushed;
#if defined(HOOKS_CALLED)
    mapper->hooks.phys_to_virt = see;
#else
    mapper->hooks.linear_map = bench_arena.base;
#endif
    if (HVPT(_init)(&mapper->space, &mapper->hooks, &config) == HVPT_OK)
        return mapper;
#endif
    free(mapper);
    return NULL;
}

static void destroy(void *ptr)
{
    struct mapper *mapper = ptr;

    hvpt_space_destroy(&mapper->space);
    free(mapper);
}

static bool map(void *ptr, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    bool done = CALL(_map)(&mapper->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, &flush) == HVPT_OK;

    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static bool unmap(void *ptr, uint64_t gpa, uint64_t size)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    bool done = CALL(_unmap)(&mapper->space, hvpt_make_gpa(gpa), size, &flush) == HVPT_OK;

    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static uint64_t map_pages(void *ptr, const uint64_t *gpa, uint64_t count, uint64_t offset)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    uint64_t done = 0, i;

    for (i = 0; i < count; i++)
        done += CALL(_map)(&mapper->space, hvpt_make_gpa(gpa[i]), hvpt_make_hpa(gpa[i] + offset), HVPT_4K, attr, &flush)
             == HVPT_OK;
    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static uint64_t unmap_pages(void *ptr, const uint64_t *gpa, uint64_t count)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    uint64_t done = 0, i;

    for (i = 0; i < count; i++)
        done += CALL(_unmap)(&mapper->space, hvpt_make_gpa(gpa[i]), HVPT_4K, &flush) == HVPT_OK;
    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static bool unmap_pieces(void *ptr, uint64_t gpa, uint64_t size, uint64_t piece)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    uint64_t at;
    bool done = true;

    for (at = gpa; at < gpa + size; at += piece)
        done &= CALL(_unmap)(&mapper->space, hvpt_make_gpa(at + HVPT_4K), piece - HVPT_4K, &flush) == HVPT_OK;
    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static uint64_t translate(void *ptr, const uint64_t *gpa, uint64_t count)
{
    const struct mapper *mapper = ptr;
    uint64_t sum = 0, i;

    for (i = 0; i < count; i++) {
        struct hvpt_mapping found;

        if (CALL(_translate)(&mapper->space, hvpt_make_gpa(gpa[i]), &found) == HVPT_OK)
            sum += found.hpa.value;
    }
    return sum;
}

static uint64_t translate_chain(void *ptr, const uint64_t *gpa, uint64_t count)
{
    const struct mapper *mapper = ptr;
    uint64_t sum = 0, i, hang = 0, never = bench_never;

    for (i = 0; i < count; i++) {
        struct hvpt_mapping found;

        if (CALL(_translate)(&mapper->space, hvpt_make_gpa(gpa[i] ^ hang), &found) != HVPT_OK)
            continue;
        sum += found.hpa.value;
        hang = found.hpa.value & never;
    }
    return sum;
}

/* Everything that was answered is wanted, whatever of it is summed up. */
static uint64_t sum_of(const struct hvpt_mapping *found, const enum hvpt_status *status)
{
    uint64_t sum = 0, i;

    __asm__ volatile("" : : "r"(found), "r"(status) : "memory");
    for (i = 0; i < 32; i++)
        sum += status[i] == HVPT_OK ? found[i].hpa.value : 0;
    return sum;
}

static uint64_t translate_batch(void *ptr, const uint64_t *gpa, uint64_t count)
{
    const struct mapper *mapper = ptr;
    uint64_t sum = 0, i, j;

    for (i = 0; i + 32 <= count; i += 32) {
        hvpt_gpa asked[32];
        struct hvpt_mapping found[32];
        enum hvpt_status status[32];

        for (j = 0; j < 32; j++)
            asked[j] = hvpt_make_gpa(gpa[i + j]);
        hvpt_space_translate_batch(&mapper->space, asked, 32, found, status);
        sum += sum_of(found, status);
    }
    return sum;
}

static uint64_t translate_singly(void *ptr, const uint64_t *gpa, uint64_t count)
{
    const struct mapper *mapper = ptr;
    uint64_t sum = 0, i, j;

    for (i = 0; i + 32 <= count; i += 32) {
        struct hvpt_mapping found[32];
        enum hvpt_status status[32];

        for (j = 0; j < 32; j++)
            status[j] = CALL(_translate)(&mapper->space, hvpt_make_gpa(gpa[i + j]), &found[j]);
        sum += sum_of(found, status);
    }
    return sum;
}

static uint64_t fault_pages(void *ptr, void *arena, const uint64_t *gpa, uint64_t count, uint64_t offset)
{
    struct mapper *mapper = ptr;
    uint64_t done = 0, i;

    frames_of_thread = arena;
    for (i = 0; i < count; i++) {
        enum hvpt_status status =
            CALL(_fault_map)(&mapper->space, hvpt_make_gpa(gpa[i]), hvpt_make_hpa(gpa[i] + offset), HVPT_4K, attr);

        done += status == HVPT_OK;
    }
    frames_of_thread = NULL;
    return done;
}

static bool dirty(void *ptr, uint64_t gpa, uint64_t size, uint64_t *bitmap)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    bool done = hvpt_space_dirty(&mapper->space, hvpt_make_gpa(gpa), size, bitmap, &flush) == HVPT_OK;

    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static bool protect(void *ptr, uint64_t gpa, uint64_t size, bool writable)
{
    struct mapper *mapper = ptr;
    struct hvpt_flush flush = {0};
    struct hvpt_attr wanted = {writable ? (uint32_t)HVPT_WRITE : 0, HVPT_MEM_WB, 0, 0};
    bool done = hvpt_space_protect(&mapper->space, hvpt_make_gpa(gpa), size, wanted, HVPT_WRITE, &flush) == HVPT_OK;

    hvpt_space_flush(&mapper->space, &flush);
    return done;
}

static bool soil(void *ptr, uint64_t gpa)
{
    struct mapper *mapper = ptr;

    return hvpt_space_touch(&mapper->space, hvpt_make_gpa(gpa), HVPT_WRITE) == HVPT_OK;
}

static uint64_t frames(void *ptr)
{
    const struct mapper *mapper = ptr;
    struct hvpt_stats stats;

    hvpt_space_stats(&mapper->space, &stats);
    return stats.frames;
}

const struct bench_face FACE = {
    TEXT(FORMAT) " " HOOKS_NAME,
    create,
    destroy,
    map,
    unmap,
    map_pages,
    unmap_pages,
    unmap_pieces,
    translate,
    translate_chain,
    translate_batch,
    translate_singly,
    fault_pages,
    dirty,
    protect,
    soil,
    frames,
};
