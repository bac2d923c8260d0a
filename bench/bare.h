/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The roofline: the least that a processor must do for each job, with nothing around it. Bare tables of 512 entries on
 * the same frames, filled, cleared and walked by loops that any compiler turns into plain loads and stores.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdint.h>

struct bare;

/* Tables for [0, size) in pages of 4 KiB << (9 * level), linked down to the tables that hold those, all empty. */
struct bare *bare_create(uint64_t size, unsigned level);
void bare_destroy(struct bare *bare);

/* Every leaf table filled from end to end, unrolled by eight; and the same after a look that it was empty. */
void bare_fill(struct bare *bare);
void bare_fill_checked(struct bare *bare);
/* Every leaf read and emptied; returns how many were there. */
uint64_t bare_clear(struct bare *bare);
/* Every leaf read, dirty bits looked for; returns how many had one. */
uint64_t bare_scan(struct bare *bare);
/*
 * Every leaf table found through the entry that links it and pushed on a list of free frames, each holding the address
 * of the next.
 */
void bare_drop(struct bare *bare);

/* A walk of four loads, and one store into the slot that it ends at: an entry that maps gpa, or an empty one. */
void bare_map_pages(struct bare *bare, const uint64_t *gpa, uint64_t count);
void bare_unmap_pages(struct bare *bare, const uint64_t *gpa, uint64_t count);
/* The same walk, a compare-exchange and a count kept with an atomic addition; returns how many slots were empty. */
uint64_t bare_fault_pages(struct bare *bare, const uint64_t *gpa, uint64_t count, uint64_t *counter);
uint64_t bare_translate(struct bare *bare, const uint64_t *gpa, uint64_t count);
uint64_t bare_translate_chain(struct bare *bare, const uint64_t *gpa, uint64_t count);

#endif
