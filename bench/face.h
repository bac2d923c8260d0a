/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a mapper is asked to do, as whole jobs: the loop is inside, compiled together with the mapper, as it is in a
 * program that uses it. The library (each format, each kind of hooks), the peers and the plain walker all fill in one.
 * A job that an implementation does not have is NULL.
 */
#ifndef BENCH_FACE_H
#define BENCH_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Flushes that hooks were asked for, since the program began. */
extern uint64_t bench_flushes;

/* Zero, which no compiler knows: an address that is masked with it hangs on the answer before. */
extern volatile uint64_t bench_never;

struct bench_face {
    const char *name;

    /* A mapper without mappings, its largest page max_page bytes. NULL: not possible here. */
    void *(*create)(uint64_t max_page);
    void (*destroy)(void *mapper);

    /* One call for a range. false: refused. */
    bool (*map)(void *mapper, uint64_t gpa, uint64_t hpa, uint64_t size);
    bool (*unmap)(void *mapper, uint64_t gpa, uint64_t size);

    /* One call a page: page i of count is at gpa[i], and goes to hpa = gpa[i] + offset. Returns how many went well. */
    uint64_t (*map_pages)(void *mapper, const uint64_t *gpa, uint64_t count, uint64_t offset);
    uint64_t (*unmap_pages)(void *mapper, const uint64_t *gpa, uint64_t count);

    /* Every piece of `piece` bytes, leaving out the first page of each. */
    bool (*unmap_pieces)(void *mapper, uint64_t gpa, uint64_t size, uint64_t piece);

    /*
     * The sum of where they lead: throughput; the next address hangs on the last answer: latency; one call for 32; 32 calls
     * that leave behind what that one does.
     */
    uint64_t (*translate)(void *mapper, const uint64_t *gpa, uint64_t count);
    uint64_t (*translate_chain)(void *mapper, const uint64_t *gpa, uint64_t count);
    uint64_t (*translate_batch)(void *mapper, const uint64_t *gpa, uint64_t count);
    uint64_t (*translate_singly)(void *mapper, const uint64_t *gpa, uint64_t count);

    /* A page from a fault handler; frames from the allocator that arena (struct bench_arena) is. */
    uint64_t (*fault_pages)(void *mapper, void *arena, const uint64_t *gpa, uint64_t count, uint64_t offset);

    /* Dirty pages of the range into bitmap, and marked clean. */
    bool (*dirty)(void *mapper, uint64_t gpa, uint64_t size, uint64_t *bitmap);
    bool (*protect)(void *mapper, uint64_t gpa, uint64_t size, bool writable);
    /* A page as if the guest had written to it. */
    bool (*soil)(void *mapper, uint64_t gpa);

    uint64_t (*frames)(void *mapper);
};

#endif
