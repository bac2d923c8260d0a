/*
 * The one place that knows compilers: attributes, and the few memory accesses that must be single and ordered.
 * gcc and clang (all targets, the MSVC ABI included) in C11 and later and in C++17 and later.
 */
#ifndef HVPT_CORE_COMPILER_H
#define HVPT_CORE_COMPILER_H

#include <stdbool.h>
#include <stdint.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "hvpt needs the __atomic builtins and always_inline of gcc or clang"
#endif

/*
 * Engine functions take a constant format and dissolve into it: left to itself, gcc -O2 keeps them apart (bench: 5x).
 * Where size was asked for (-Os) they stay functions, and the compiler folds the format away as far as it finds one.
 */
#ifdef __OPTIMIZE_SIZE__
#define HVPT_ENGINE static inline __attribute__((unused))
#else
#define HVPT_ENGINE static inline __attribute__((always_inline))
#endif

/*
 * Dissolves with -Os, too: for what is smaller than a call, and for operations by whose format pointer, were they functions,
 * the linker would keep all that a format refers to (explain: 18 KB for 3).
 */
#define HVPT_DISSOLVE static inline __attribute__((always_inline, unused))

/* For what is big: kept out of the callers' fast paths. */
#define HVPT_NOINLINE __attribute__((noinline, unused))

/*
 * For what runs seldom, or once a table and not once a page: compiled for size. gcc thinks the same of all that only such
 * functions call; OFTEN says of a loop over entries that it is not so.
 */
#define HVPT_SELDOM __attribute__((cold))
#define HVPT_OFTEN  __attribute__((hot))

#define HVPT_NODISCARD __attribute__((warn_unused_result))

/* Checked by the compiler, in both languages; a declaration. */
#ifdef __cplusplus
#define HVPT_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define HVPT_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define HVPT_LIKELY(x)   __builtin_expect(!!(x), 1)
#define HVPT_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Tests define this before the first include to see every store into a table, in order, after it was made. */
#ifndef HVPT_ON_STORE
#define HVPT_ON_STORE(slot, value) ((void)0)
#endif

/*
 * An entry of a table. 8-byte aligned even where the ABI aligns uint64_t to 4 (i386), so that one access is one access.
 */
typedef uint64_t hvpt_entry __attribute__((aligned(8)));

/* A number that is read while another CPU may write it; aligned for the same reason. */
typedef uint64_t hvpt_counter __attribute__((aligned(8)));

/* An entry that others may change, to be looked through: what its writer stored before linking it is visible after. */
HVPT_ENGINE uint64_t hvpt_load(const hvpt_entry *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* An entry that nobody can see yet, or whose old and new value lead nowhere. */
HVPT_ENGINE void hvpt_store_relaxed(hvpt_entry *slot, uint64_t value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELAXED);
    HVPT_ON_STORE(slot, value);
}

/*
 * What was stored before is visible before what is stored after: once for a run of relaxed stores into a visible table.
 */
HVPT_ENGINE void hvpt_fence_release(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* An entry that makes what was stored before it visible to other CPUs and to hardware walkers. */
HVPT_ENGINE void hvpt_store_release(hvpt_entry *slot, uint64_t value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    HVPT_ON_STORE(slot, value);
}

/* Replace expected by value where hardware or another CPU may write too. false: *expected holds what is there now. */
HVPT_ENGINE bool hvpt_compare_exchange(hvpt_entry *slot, uint64_t *expected, uint64_t value)
{
    bool done = __atomic_compare_exchange_n(slot, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (done)
        HVPT_ON_STORE(slot, value);
    return done;
}

/* Replace whatever is there. Returns it, with the bits that hardware set until this very moment. */
HVPT_ENGINE uint64_t hvpt_exchange(hvpt_entry *slot, uint64_t value)
{
    uint64_t old = __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL);
    HVPT_ON_STORE(slot, value);
    return old;
}

/* Set bits where hardware may set others meanwhile. */
HVPT_ENGINE void hvpt_fetch_or(hvpt_entry *slot, uint64_t bits)
{
    uint64_t old = __atomic_fetch_or(slot, bits, __ATOMIC_ACQ_REL);
    HVPT_ON_STORE(slot, old | bits);
    (void)old;
}

/*
 * The address of a table, as a whole: gcc would add the index to the part of it that is known first, and need one
 * instruction more a level than with the processor's own base and index (bench: a tenth of a walk).
 */
HVPT_ENGINE void *hvpt_opaque(void *value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* An entry will be read soon. */
HVPT_ENGINE void hvpt_prefetch(const hvpt_entry *slot)
{
    __builtin_prefetch(slot);
}

/* A counter that one writer keeps and others read. */
HVPT_ENGINE void hvpt_count_add(hvpt_counter *counter, uint64_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* A counter that many CPUs keep at once. */
HVPT_ENGINE void hvpt_count_add_shared(hvpt_counter *counter, uint64_t n)
{
    (void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* A bound that many CPUs may push down, or up, at once. */
HVPT_ENGINE void hvpt_bound_lower(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = __atomic_load_n(bound, __ATOMIC_RELAXED);

    while (value < old && !__atomic_compare_exchange_n(bound, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

HVPT_ENGINE void hvpt_bound_raise(hvpt_counter *bound, uint64_t value)
{
    uint64_t old = __atomic_load_n(bound, __ATOMIC_RELAXED);

    while (value > old && !__atomic_compare_exchange_n(bound, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

HVPT_ENGINE uint64_t hvpt_count_read(const hvpt_counter *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
