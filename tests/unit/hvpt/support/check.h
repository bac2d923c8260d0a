/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Checks that the support code and the cases make. One failed check ends the test; a passed one costs a compare, where
 * Criterion's own would send a message: the model makes millions of them.
 */
#ifndef HVPT_TEST_CHECK_H
#define HVPT_TEST_CHECK_H

#include <stdint.h>

/* Printed with every failure: which configuration, which seed, which step. */
void check_context(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *check_context_text(void);

/* Ends the test. How is up to the program: Criterion's failure, or an abort that a fuzzer catches. */
_Noreturn void check_failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void check_end_test(const char *text);

#define CHECK(condition, ...)                              \
    do {                                                   \
        if (!(condition))                                  \
            check_failed(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#define CHECK_STATUS(got, wanted, what)                                                                         \
    do {                                                                                                        \
        enum hvpt_status check_got = (got);                                                                     \
        enum hvpt_status check_wanted = (wanted);                                                               \
        CHECK(check_got == check_wanted, "%s: status \"%s\", wanted \"%s\"", what, hvpt_status_text(check_got), \
              hvpt_status_text(check_wanted));                                                                  \
    } while (0)

#define CHECK_EQ(got, wanted, what)                                                                      \
    do {                                                                                                 \
        uint64_t check_got = (uint64_t)(got);                                                            \
        uint64_t check_wanted = (uint64_t)(wanted);                                                      \
        CHECK(check_got == check_wanted, "%s: %#llx, wanted %#llx", what, (unsigned long long)check_got, \
              (unsigned long long)check_wanted);                                                         \
    } while (0)

/* A reproducible stream of numbers (splitmix64): good enough, and the same everywhere. */
struct random_stream {
    uint64_t state;
};

static inline uint64_t random_next(struct random_stream *stream)
{
    uint64_t z = stream->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t random_below(struct random_stream *stream, uint64_t limit)
{
    return random_next(stream) % limit;
}

#endif
