/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at the n-th allocation, for every n, in every operation: it answers HVPT_E_NOMEM, everything is what
 * it was, no frame is held that was not before; and with memory back the same call succeeds.
 */
#include "support/situations.h"

#include <criterion/criterion.h>

static unsigned failures;

static void run(const struct setup *setup, const struct scenario *scenario, bool forever)
{
    for (unsigned n = 1;; n++) {
        struct rig rig;
        enum hvpt_status status;
        uint64_t live, stores;
        bool failed;

        rig_open(&rig, setup);
        scenario->before(&rig);
        check_context("%s, %s, allocation %u%s", setup->name, scenario->name, n, forever ? " and all later ones" : "");
        live = rig.memory.live;
        stores = rig.memory.stores;
        rig.memory.fail_at = n;
        rig.memory.fail_forever = forever;
        status = scenario->during(&rig);
        failed = rig.memory.failures != 0;
        rig.memory.fail_at = 0;
        if (failed) {
            failures++;
            CHECK_STATUS(status, HVPT_E_NOMEM, scenario->name);
            CHECK_EQ(rig.memory.live, live, "frames held");
            CHECK_EQ(rig.memory.stores, stores, "stores");
        } else {
            CHECK_STATUS(status, HVPT_OK, scenario->name);
        }
        rig_check(&rig);
        rig_check_walk(&rig);
        if (failed)
            CHECK_STATUS(scenario->during(&rig), HVPT_OK, "the same call with memory back");
        rig_check(&rig);
        rig_close(&rig);
        if (!failed)
            return;
    }
}

static void run_all(bool forever)
{
    for (size_t i = 0; i < setup_count + granule_count; i++) {
        const struct setup *setup = i < setup_count ? &setups[i] : &granules[i - setup_count];

        for (size_t j = 0; j < scenario_count; j++)
            run(setup, &scenarios[j], forever);
        for (size_t j = 0; j < shape_count; j++)
            run(setup, &shapes[j], forever);
    }
    CHECK(failures > 100, "only %u allocations failed", failures);
}

Test(nomem, one_failed_allocation_changes_nothing, .timeout = 600)
{
    run_all(false);
}

Test(nomem, no_memory_from_some_point_on_changes_nothing, .timeout = 600)
{
    run_all(true);
}

/* What is in reserve is taken first, so an operation that needs no more cannot fail. */
Test(nomem, with_enough_in_reserve_nothing_fails, .timeout = 600)
{
    for (size_t i = 0; i < setup_count; i++) {
        for (size_t j = 0; j < scenario_count; j++) {
            struct rig rig;
            struct hvpt_stats stats;
            uint64_t taken;

            rig_open(&rig, &setups[i]);
            check_context("%s, %s, to learn", setups[i].name, scenarios[j].name);
            scenarios[j].before(&rig);
            taken = rig.memory.allocations;
            CHECK_STATUS(scenarios[j].during(&rig), HVPT_OK, scenarios[j].name);
            taken = rig.memory.allocations - taken;
            rig_close(&rig);

            rig_open(&rig, &setups[i]);
            check_context("%s, %s, with %llu in reserve", setups[i].name, scenarios[j].name, (unsigned long long)taken);
            scenarios[j].before(&rig);
            CHECK_STATUS(rig_reserve(&rig, taken), HVPT_OK, "reserve");
            rig.memory.fail_at = 1;
            rig.memory.fail_forever = true;
            /* fault_map takes nothing from the reserve. */
            if (rig.adapter->fault_map != NULL && scenarios[j].name[0] == 'f' && taken != 0) {
                CHECK_STATUS(scenarios[j].during(&rig), HVPT_E_NOMEM, scenarios[j].name);
            } else {
                CHECK_STATUS(scenarios[j].during(&rig), HVPT_OK, scenarios[j].name);
                rig.adapter->stats(&rig.space, &stats);
                CHECK_EQ(stats.reserved, 0, "left in reserve");
            }
            rig_check(&rig);
            rig_close(&rig);
        }
    }
}

Test(nomem, a_reserve_that_cannot_be_had_is_not_taken_in_part)
{
    for (size_t i = 0; i < setup_count; i++) {
        struct rig rig;
        struct hvpt_stats stats;

        rig_open(&rig, &setups[i]);
        CHECK_STATUS(rig_reserve(&rig, 3), HVPT_OK, "reserve");
        rig.memory.fail_at = 4;
        CHECK_STATUS(rig_reserve(&rig, 9), HVPT_E_NOMEM, "reserve of more than there is");
        rig.adapter->stats(&rig.space, &stats);
        CHECK_EQ(stats.reserved, 3, "in reserve");
        CHECK_EQ(rig.memory.live, 4, "frames held");
        CHECK_STATUS(rig_reserve(&rig, 2), HVPT_OK, "reserve of less than there is");
        CHECK_STATUS(rig_reserve(&rig, 0), HVPT_OK, "giving the reserve back");
        CHECK_EQ(rig.memory.live, 1, "frames held");
        rig_close(&rig);
    }
}
