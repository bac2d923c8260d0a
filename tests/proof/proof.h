/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What all proofs share. CBMC reads them: a nondet_ function, which has no body, answers anything, so that one run stands for every
 * input. Nothing here is ever compiled into a program.
 */
#ifndef PROOF_H
#define PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool nondet_bool(void);
uint8_t nondet_u8(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
unsigned nondet_unsigned(void);

/* Only inputs for which condition holds are looked at from here on. */
#define assume(condition) __CPROVER_assume(condition)
/* condition holds for all of them. */
#define must(condition, text) __CPROVER_assert(condition, text)

#endif
