/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The jobs, by what they are about. Each prints its results as it goes. */
#ifndef BENCH_JOBS_H
#define BENCH_JOBS_H

#include "harness.h"

/* One guest, each operation by itself, against the roofline. */
void bench_jobs(const struct bench_face *const *faces, unsigned count, const char *only);

/* Whole machines, dirty harvests, growth from 1 MiB to 1 TiB. largest: bytes mapped by 4K pages at most. */
void bench_whole(const struct bench_face *face, uint64_t largest);

/* Two threads that fault pages in, against one thread, and against a lock: around the same mapper, and around plain. */
void bench_threads(const struct bench_face *face, const struct bench_face *plain);

/* VMCS and VMCB: what storing and encoding cost. */
void bench_control(void);

#endif
