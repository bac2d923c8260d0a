/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The memory model: the few accesses to entries and counters that must be single and ordered.
 * Hardware walks the tables at any time, and other CPUs may read them or set bits in them.
 */
#ifndef HVPT_ENGINE_ATOMIC_H
#define HVPT_ENGINE_ATOMIC_H

#include "../std.h"

#include "attributes.h"

/* Tests define this before the first include to see every store into a table, in order, after it was made. */
#ifndef HVPT_ON_STORE
#define HVPT_ON_STORE(slot, value) ((void)0)
#endif

/*
 * An entry of a table. It is 8-byte aligned even where the ABI aligns uint64_t to 4 (i386), so that every access is a
 * single one.
 */
typedef uint64_t hvpt_entry __attribute__((__aligned__(8)));

/* A number that is read while another CPU may write it; aligned for the same reason. */
typedef uint64_t hvpt_counter __attribute__((__aligned__(8)));

/*
 * The accesses that all others are made of: the compiler's own, which are single instructions on 64-bit machines.
 * On i386 the compiler would use the FPU or SSE, whose state is not a kernel's to change, or call a library; there each
 * is a CMPXCHG8B, of the Pentium and later. A load by it stores back what it finds, so the memory must be writable.
 */
#if defined(__i386__)
/* Out of line, because it takes four of the seven registers. false: *expected is what is there. */
HVPT_FUNCTION bool hvpt_atomic_replace(uint64_t *at, uint64_t *expected, uint64_t value)
{
    uint64_t seen = *expected;

    __asm__ volatile("lock cmpxchg8b %1"
                     : "+A"(seen), "+m"(*at)
                     : "b"((uint32_t)value), "c"((uint32_t)(value >> 32))
                     : "cc", "memory");
    if (seen == *expected)
        return true;
    *expected = seen;
    return false;
}

HVPT_FUNCTION uint64_t hvpt_atomic_load(const uint64_t *at)
{
    uint64_t seen = 0;

    (void)hvpt_atomic_replace((uint64_t *)(uintptr_t)at, &seen, 0);
    return seen;
}

HVPT_FUNCTION uint64_t hvpt_atomic_exchange(uint64_t *at, uint64_t value)
{
    uint64_t seen = 0;

    while (!hvpt_atomic_replace(at, &seen, value)) {
    }
    return seen;
}

HVPT_INLINE uint64_t hvpt_atomic_load_relaxed(const uint64_t *at)
{
    return hvpt_atomic_load(at);
}

HVPT_INLINE void hvpt_atomic_store(uint64_t *at, uint64_t value)
{
    (void)hvpt_atomic_exchange(at, value);
}

HVPT_INLINE void hvpt_atomic_store_relaxed(uint64_t *at, uint64_t value)
{
    (void)hvpt_atomic_exchange(at, value);
}

HVPT_FUNCTION uint64_t hvpt_atomic_or(uint64_t *at, uint64_t bits)
{
    uint64_t seen = 0;

    while (!hvpt_atomic_replace(at, &seen, seen | bits)) {
    }
    return seen;
}

HVPT_FUNCTION void hvpt_atomic_add(uint64_t *at, uint64_t n)
{
    uint64_t seen = 0;

    while (!hvpt_atomic_replace(at, &seen, seen + n)) {
    }
}
#elif __SIZEOF_POINTER__ < 8 && __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "hvpt needs accesses of 8 bytes that are single: a 64-bit machine, or i386"
#else
HVPT_INLINE bool hvpt_atomic_replace(uint64_t *at, uint64_t *expected, uint64_t value)
{
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

HVPT_INLINE uint64_t hvpt_atomic_load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

HVPT_INLINE uint64_t hvpt_atomic_exchange(uint64_t *at, uint64_t value)
{
    return __atomic_exchange_n(at, value, __ATOMIC_ACQ_REL);
}

HVPT_INLINE uint64_t hvpt_atomic_load_relaxed(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

HVPT_INLINE void hvpt_atomic_store(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

HVPT_INLINE void hvpt_atomic_store_relaxed(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
}

HVPT_INLINE uint64_t hvpt_atomic_or(uint64_t *at, uint64_t bits)
{
    return __atomic_fetch_or(at, bits, __ATOMIC_ACQ_REL);
}

HVPT_INLINE void hvpt_atomic_add(uint64_t *at, uint64_t n)
{
    (void)__atomic_fetch_add(at, n, __ATOMIC_RELAXED);
}
#endif

/* Acquire load: if the value links a table, that table's contents are visible. */
HVPT_INLINE uint64_t hvpt_load(const hvpt_entry *slot)
{
    return hvpt_atomic_load(slot);
}

/* Relaxed store: nothing need be visible before it, or a fence has ordered that already. */
HVPT_INLINE void hvpt_store_relaxed(hvpt_entry *slot, uint64_t value)
{
    hvpt_atomic_store_relaxed(slot, value);
    HVPT_ON_STORE(slot, value);
}

/* Orders what was stored before it ahead of a run of relaxed stores into a visible table. */
HVPT_INLINE void hvpt_fence_release(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Release store: what was stored before it is visible to CPUs and hardware walkers that see this value. */
HVPT_INLINE void hvpt_store_release(hvpt_entry *slot, uint64_t value)
{
    hvpt_atomic_store(slot, value);
    HVPT_ON_STORE(slot, value);
}

/* Replaces expected by value where hardware or another CPU may write too. false: *expected is what is there now. */
HVPT_INLINE bool hvpt_compare_exchange(hvpt_entry *slot, uint64_t *expected, uint64_t value)
{
    bool done = hvpt_atomic_replace(slot, expected, value);
    if (done)
        HVPT_ON_STORE(slot, value);
    return done;
}

/* Replaces whatever is there, and returns it, with all bits that hardware has set up to that moment. */
HVPT_INLINE uint64_t hvpt_exchange(hvpt_entry *slot, uint64_t value)
{
    uint64_t old = hvpt_atomic_exchange(slot, value);
    HVPT_ON_STORE(slot, value);
    return old;
}

/* Sets bits where hardware may set others meanwhile. */
HVPT_INLINE void hvpt_fetch_or(hvpt_entry *slot, uint64_t bits)
{
    uint64_t old = hvpt_atomic_or(slot, bits);
    HVPT_ON_STORE(slot, old | bits);
    (void)old;
}

/*
 * Hides how the address of a table was computed. Otherwise gcc adds the index to the part of it that is known first,
 * which costs one more instruction a level than the processor's own base and index (a tenth of a walk).
 */
HVPT_INLINE void *hvpt_opaque(void *value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* The entry will be read soon. */
HVPT_INLINE void hvpt_prefetch(const hvpt_entry *slot)
{
    __builtin_prefetch(slot);
}

/* Adds to a counter that one writer keeps and others read. */
HVPT_INLINE void hvpt_count_add(hvpt_counter *counter, uint64_t n)
{
    hvpt_atomic_store_relaxed(counter, hvpt_atomic_load_relaxed(counter) + n);
}

/* Adds to a counter that many CPUs keep at once. */
HVPT_INLINE void hvpt_count_add_shared(hvpt_counter *counter, uint64_t n)
{
    hvpt_atomic_add(counter, n);
}

HVPT_INLINE uint64_t hvpt_count_read(const hvpt_counter *counter)
{
    return hvpt_atomic_load_relaxed(counter);
}

/* The same, ordered before everything that the caller reads next. */
HVPT_INLINE uint64_t hvpt_count_read_acquire(const hvpt_counter *counter)
{
    return hvpt_atomic_load(counter);
}

/* A mark that any CPU may read or overwrite at any time, because only speed depends on it. */
HVPT_INLINE uint32_t hvpt_mark_read(const uint32_t *mark)
{
    return __atomic_load_n(mark, __ATOMIC_RELAXED);
}

HVPT_INLINE void hvpt_mark_write(uint32_t *mark, uint32_t value)
{
    __atomic_store_n(mark, value, __ATOMIC_RELAXED);
}

/*
 * A sequence number: its writer steps it after a change, and before using what the change set free. A reader that finds
 * the same number before and after has read nothing that was already in use for something else.
 */
HVPT_INLINE uint32_t hvpt_sequence_read(const uint32_t *sequence)
{
    return __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
}

HVPT_INLINE void hvpt_sequence_step(uint32_t *sequence)
{
    hvpt_fence_release();
    __atomic_store_n(sequence, __atomic_load_n(sequence, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    hvpt_fence_release();
}

/* Lowers a bound that many CPUs may lower at once. */
HVPT_INLINE void hvpt_bound_lower(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = hvpt_atomic_load_relaxed(bound);

    while (value < old && !hvpt_atomic_replace(bound, &old, value)) {
    }
}

/* Raises a bound that many CPUs may raise at once. */
HVPT_INLINE void hvpt_bound_raise(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = hvpt_atomic_load_relaxed(bound);

    while (value > old && !hvpt_atomic_replace(bound, &old, value)) {
    }
}

#endif
