/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMIDs of Arm and RISC-V. A model of the machine's TLBs says which guest last ran under each number since the last
 * flush of all: no guest may meet another's translations. Arm ARM, "VMID"; RISC-V Privileged Architecture, "hgatp".
 */
#include <hvpt/vmid.h>

#include <criterion/criterion.h>
#include <string.h>

Test(vmid, no_guest_runs_under_a_number_that_another_left_unflushed)
{
    struct hvpt_vmid_pool pool;
    struct hvpt_vmid vmid[40];
    int owner[16];
    uint32_t random = 1;
    unsigned rollovers = 0;

    memset(vmid, 0, sizeof(vmid));
    memset(owner, 0xff, sizeof(owner));
    cr_assert_eq(hvpt_vmid_pool_init(&pool, 4), HVPT_OK);
    for (unsigned step = 0; step < 200000; step++) {
        unsigned guest;
        bool current;
        enum hvpt_vmid_use use;

        random = random * 1664525u + 1013904223u;
        guest = (random >> 16) % (step < 100000 ? 40 : 15);
        if ((random >> 8) % 61 == 0)
            hvpt_vmid_drop(&vmid[guest]);
        current = hvpt_vmid_is_current(&pool, &vmid[guest]);
        use = hvpt_vmid_take(&pool, &vmid[guest]);
        cr_assert_eq(use == HVPT_VMID_KEPT, current);
        cr_assert(hvpt_vmid_is_current(&pool, &vmid[guest]));
        cr_assert(vmid[guest].value >= 1 && vmid[guest].value <= 15);
        if (use == HVPT_VMID_ROLLOVER) {
            memset(owner, 0xff, sizeof(owner));
            rollovers++;
        }
        cr_assert_eq(owner[vmid[guest].value], use == HVPT_VMID_KEPT ? (int)guest : -1, "step %u", step);
        owner[vmid[guest].value] = (int)guest;
    }
    cr_expect(rollovers > 1000);
}

Test(vmid, a_pool_begins_with_a_flush_and_knows_its_own)
{
    struct hvpt_vmid_pool one, two;
    struct hvpt_vmid vmid = {0, 0, NULL};

    cr_assert_eq(hvpt_vmid_pool_init(&one, 8), HVPT_OK);
    cr_assert_eq(hvpt_vmid_pool_init(&two, 8), HVPT_OK);
    cr_expect_not(hvpt_vmid_is_current(&one, &vmid));
    cr_expect_eq(hvpt_vmid_take(&one, &vmid), HVPT_VMID_ROLLOVER);
    cr_expect_eq(hvpt_vmid_take(&one, &vmid), HVPT_VMID_KEPT);
    cr_expect_not(hvpt_vmid_is_current(&two, &vmid));
    cr_expect_eq(hvpt_vmid_take(&two, &vmid), HVPT_VMID_ROLLOVER);
    cr_expect_eq(hvpt_vmid_take(&one, &vmid), HVPT_VMID_NEW);
    cr_expect_eq(vmid.value, 2);
}

/* Whatever lay there: the memory of a pool need not be zeroed. */
Test(vmid, a_pool_may_be_made_in_any_memory)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        struct hvpt_vmid vmid = {0, 0, NULL};
        struct hvpt_vmid_pool pool;

        memset(&pool, (int)byte, sizeof(pool));
        cr_assert_eq(hvpt_vmid_pool_init(&pool, 8), HVPT_OK);
        cr_assert_not(hvpt_vmid_is_current(&pool, &vmid));
        cr_assert_eq(hvpt_vmid_take(&pool, &vmid), HVPT_VMID_ROLLOVER);
        cr_assert_eq(hvpt_vmid_take(&pool, &vmid), HVPT_VMID_KEPT, "memory full of %#x", byte);
    }
}

Test(vmid, widths_are_those_of_the_architectures)
{
    struct hvpt_vmid_pool pool;
    struct hvpt_vmid vmid = {0, 0, NULL};

    cr_expect_eq(hvpt_vmid_pool_init(&pool, 0), HVPT_E_RANGE); /* RISC-V: VMIDLEN 0 */
    cr_expect_eq(hvpt_vmid_pool_init(&pool, 17), HVPT_E_RANGE);
    cr_expect_eq(hvpt_vmid_pool_init(&pool, 64), HVPT_E_RANGE);
    for (unsigned bits = 1; bits <= 16; bits++) {
        cr_assert_eq(hvpt_vmid_pool_init(&pool, bits), HVPT_OK);
        for (uint32_t i = 1; i < UINT32_C(1) << bits; i++) {
            hvpt_vmid_drop(&vmid);
            cr_assert_eq(hvpt_vmid_take(&pool, &vmid), i == 1 ? HVPT_VMID_ROLLOVER : HVPT_VMID_NEW);
            cr_assert_eq(vmid.value, i);
        }
        hvpt_vmid_drop(&vmid);
        cr_expect_eq(hvpt_vmid_take(&pool, &vmid), HVPT_VMID_ROLLOVER, "%u bits", bits);
    }
}
