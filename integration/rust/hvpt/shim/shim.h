/*
 * What crosses between the headers and Rust: integers and pointers, no struct by value. A struct of the headers lives in
 * a buffer of Rust's, whose size build.rs passes in (-DHVPT_RS_SIZE_...) and an assertion here compares.
 */
#ifndef HVPT_RS_SHIM_H
#define HVPT_RS_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hvpt/text.h>

/* A buffer of words is large enough for the type, and aligned enough. */
#define HVPT_RS_FITS(type, words)                                                                      \
    _Static_assert(sizeof(type) <= (words) * sizeof(uint64_t) && _Alignof(type) <= _Alignof(uint64_t), \
                   "src/sizes.rs has too little room for " #type)

/* Where words go: Rust's fmt::Formatter is behind ctx. */
typedef void (*hvpt_rs_put)(void *ctx, const char *bytes, size_t length);

static inline struct hvpt_text hvpt_rs_text(hvpt_rs_put put, void *ctx)
{
    struct hvpt_text text;

    text.put = put;
    text.ctx = ctx;
    return text;
}

#endif
