/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of all operations against a flat model: after each step translation, numbers, frames and caches are
 * what they should be. The seeds are fixed; HVPT_SOAK=1 runs a hundred times longer, from a seed that is printed.
 */
#include "support/script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void run(const struct setup *setup, uint64_t seed, unsigned steps)
{
    struct script script = {.random = {seed}};
    struct rig rig;

    rig_open_with(&rig, setup, 10);
    while (script.steps < steps)
        script_step(&script, &rig);
    rig_flush(&rig);
    rig_check(&rig);
    rig_check_walk(&rig);
    rig_close(&rig);
}

static void run_setups(enum cpu_kind kind)
{
    bool soak = getenv("HVPT_SOAK") != NULL;
    uint64_t seed = soak ? (uint64_t)time(NULL) : 1;
    const char *given = getenv("HVPT_SEED");

    if (given != NULL)
        seed = strtoull(given, NULL, 0);
    for (size_t i = 0; i < setup_count; i++) {
        if (setups[i].cpu.kind != kind)
            continue;
        for (unsigned round = 0; round < (soak ? 100 : 1); round++) {
            if (soak)
                (void)fprintf(stderr, "# %s: HVPT_SEED=%llu\n", setups[i].name, (unsigned long long)(seed + round));
            run(&setups[i], seed + round, 2500);
        }
    }
}

Test(model, ept_follows_the_model_through_any_sequence, .timeout = 100000)
{
    run_setups(CPU_EPT);
}

Test(model, npt_follows_the_model_through_any_sequence, .timeout = 100000)
{
    run_setups(CPU_NPT);
}

Test(model, larger_granules_follow_the_model_through_any_sequence, .timeout = 100000)
{
    for (size_t i = 0; i < granule_count; i++)
        run(&granules[i], 1, 700);
}

Test(model, npt_with_gmet_follows_the_model_through_any_sequence, .timeout = 100000)
{
    for (size_t i = 0; i < exec_for_both_count; i++)
        run(&exec_for_both[i], 1, 2500);
}

Test(model, the_g_stage_follows_the_model_through_any_sequence, .timeout = 100000)
{
    run_setups(CPU_GSTAGE);
}

Test(model, stage_2_follows_the_model_through_any_sequence, .timeout = 100000)
{
    run_setups(CPU_S2);
}
