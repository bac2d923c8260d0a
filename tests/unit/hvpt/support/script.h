/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Operations decoded from bytes and done on a rig: random bytes make the model test, a fuzzer's bytes make the fuzzer.
 * Addresses come from a few neighbourhoods, so that operations meet each other.
 */
#ifndef HVPT_TEST_SCRIPT_H
#define HVPT_TEST_SCRIPT_H

#include "rig.h"

/* Where the bytes come from: data, or, where it is NULL, random without end. */
struct script {
    const uint8_t *data;
    size_t size;
    size_t at;
    struct random_stream random;
    uint64_t steps;
    unsigned check_every; /* how many steps between two looks at everything; 0: look after each */
};

bool script_ended(const struct script *script);

/* One operation on rig, checked; in words in check_context. */
void script_step(struct script *script, struct rig *rig);

#endif
