/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: bytes as operations on a space, with the model and the processor of the unit tests watching each step.
 * The first byte chooses the configuration.
 */
#include "../unit/hvpt/support/script.h"

/* Enough for operations to meet each other, few enough for thousands of runs a second. */
#define STEPS 48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    struct script script = {.data = data, .size = size, .at = 1, .check_every = 8};

    if (size < 2)
        return 0;
    rig_open_with(&rig, &setups[data[0] % setup_count], 9);
    while (!script_ended(&script) && script.steps < STEPS)
        script_step(&script, &rig);
    rig_flush(&rig);
    rig_check(&rig);
    rig_check_walk(&rig);
    rig_close(&rig);
    return 0;
}
