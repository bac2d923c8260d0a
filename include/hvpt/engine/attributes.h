/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The one place that knows compilers: attributes of functions, linkage, and hints.
 * gcc and clang (all targets, the MSVC ABI included) in C11 and later and in C++17 and later.
 */
#ifndef HVPT_ENGINE_ATTRIBUTES_H
#define HVPT_ENGINE_ATTRIBUTES_H

#if !defined(__GNUC__) && !defined(__clang__)
#error "hvpt needs the __atomic builtins and always_inline of gcc or clang"
#endif

/*
 * How the calls of hvpt.h are linked. By default each unit that includes a header has its own static copy of what it
 * uses. With HVPT_EXTERN defined a unit sees prototypes only, and one unit of the program, which defines HVPT_IMPLEMENT
 * as well, holds the code: hvpt/unit.c is such a unit.
 */
#ifdef __cplusplus
#define HVPT_EXTERNAL extern "C"
#else
#define HVPT_EXTERNAL extern
#endif
#if defined(HVPT_IMPLEMENT) && !defined(HVPT_EXTERN)
#define HVPT_EXTERN
#endif
#ifdef HVPT_EXTERN
#define HVPT_API HVPT_EXTERNAL
#else
#define HVPT_API static inline __attribute__((__unused__))
#endif

/* Always inlined, even at -Os: functions smaller than a call, and the fast paths that callers ask for by name. */
#define HVPT_INLINE static inline __attribute__((__always_inline__, __unused__))

/*
 * A function of the engine that is never inlined, because it runs once a table or would swell the fast path of its
 * callers. Without optimisation it is declared inline instead: nothing inlines it then, and gcc leaves it out of units
 * that do not use it.
 */
#ifdef __OPTIMIZE__
#define HVPT_FUNCTION static __attribute__((__noinline__, __unused__))
#else
#define HVPT_FUNCTION static inline __attribute__((__unused__))
#endif

/* COLD optimises for size and moves the function away from hot code; HOT is for the loops over entries. */
#define HVPT_COLD __attribute__((__cold__))
#define HVPT_HOT  __attribute__((__hot__))

#define HVPT_NODISCARD __attribute__((__warn_unused_result__))

/* An assertion at compile time, in C and in C++; it is a declaration. */
#ifdef __cplusplus
#define HVPT_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define HVPT_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

HVPT_STATIC_ASSERT(sizeof(unsigned char) == 1, "the unit of sizes");

#define HVPT_LIKELY(x)   __builtin_expect(!!(x), 1)
#define HVPT_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
