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
 * An entry of a table. It is 8-byte aligned even where the ABI aligns uint64_t to 4 (i386), so that one access is one
 * access.
 */
typedef uint64_t hvpt_entry __attribute__((__aligned__(8)));

/* A number that is read while another CPU may write it; aligned for the same reason. */
typedef uint64_t hvpt_counter __attribute__((__aligned__(8)));

/* Acquire load: if the value links a table, that table's contents are visible. */
HVPT_INLINE uint64_t hvpt_load(const hvpt_entry *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* Relaxed store: the table is not linked yet, or neither the old nor the new value references memory. */
HVPT_INLINE void hvpt_store_relaxed(hvpt_entry *slot, uint64_t value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELAXED);
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
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    HVPT_ON_STORE(slot, value);
}

/* Replaces expected by value where hardware or another CPU may write too. false: *expected is what is there now. */
HVPT_INLINE bool hvpt_compare_exchange(hvpt_entry *slot, uint64_t *expected, uint64_t value)
{
    bool done = __atomic_compare_exchange_n(slot, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (done)
        HVPT_ON_STORE(slot, value);
    return done;
}

/* Replaces whatever is there, and returns it with the bits that hardware set until this very moment. */
HVPT_INLINE uint64_t hvpt_exchange(hvpt_entry *slot, uint64_t value)
{
    uint64_t old = __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL);
    HVPT_ON_STORE(slot, value);
    return old;
}

/* Sets bits where hardware may set others meanwhile. */
HVPT_INLINE void hvpt_fetch_or(hvpt_entry *slot, uint64_t bits)
{
    uint64_t old = __atomic_fetch_or(slot, bits, __ATOMIC_ACQ_REL);
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
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* Adds to a counter that many CPUs keep at once. */
HVPT_INLINE void hvpt_count_add_shared(hvpt_counter *counter, uint64_t n)
{
    (void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

HVPT_INLINE uint64_t hvpt_count_read(const hvpt_counter *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* A mark that any CPU may read or overwrite at any time, for nothing but speed hangs on it. */
HVPT_INLINE uint32_t hvpt_mark_read(const uint32_t *mark)
{
    return __atomic_load_n(mark, __ATOMIC_RELAXED);
}

HVPT_INLINE void hvpt_mark_write(uint32_t *mark, uint32_t value)
{
    __atomic_store_n(mark, value, __ATOMIC_RELAXED);
}

/* Lowers a bound that many CPUs may lower at once. */
HVPT_INLINE void hvpt_bound_lower(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = __atomic_load_n(bound, __ATOMIC_RELAXED);

    while (value < old && !__atomic_compare_exchange_n(bound, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* Raises a bound that many CPUs may raise at once. */
HVPT_INLINE void hvpt_bound_raise(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = __atomic_load_n(bound, __ATOMIC_RELAXED);

    while (value > old && !__atomic_compare_exchange_n(bound, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

#endif
