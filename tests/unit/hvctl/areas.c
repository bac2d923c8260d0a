/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Permission maps, MSR areas, tags. SDM vol. 3, "MSR-Bitmap Address", "I/O-Bitmap Addresses", "Loading
 * MSRs"; APM vol. 2, "MSR Intercepts", "I/O Intercepts". The maps are compared byte for byte with what the manual's
 * text says of each access.
 */
#include <hvctl/common/bitmaps.h>
#include <hvctl/vmx/msr_area.h>
#include <hvctl/svm/asids.h>

#include "support/table.h"

static struct hvctl_vmx_msr_bitmap vmx_msr;
static struct hvctl_vmx_io_bitmap vmx_io;
static struct hvctl_svm_msr_map svm_msr;
static struct hvctl_svm_io_map svm_io;

/* Is byte the only one that is not 0, and is it mask? */
static bool only(const uint8_t *map, size_t size, size_t byte, uint8_t mask)
{
    for (size_t i = 0; i < size; i++)
        if (map[i] != (i == byte ? mask : 0))
            return false;
    return true;
}

/* SDM: read bitmap for low MSRs at 0, high at 1024, write low at 2048, write high at 3072; a bit an MSR. */
Test(bitmaps, vmx_msr_bits_are_where_the_cpu_looks)
{
    static const uint32_t msrs[] = {0, 0x10, 0x277, 0x1fff, 0xc0000000, 0xc0000080, 0xc0001fff};

    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        size_t byte = (msrs[i] & 0x1fff) / 8 + (msrs[i] >= 0xc0000000 ? 1024 : 0);
        uint8_t mask = (uint8_t)(1 << msrs[i] % 8);

        hvctl_vmx_msr_fill(&vmx_msr, false);
        cr_expect_eq(hvctl_vmx_msr_exit(&vmx_msr, msrs[i], HVCTL_ACCESS_READ, true), HVCTL_OK);
        cr_expect(only(vmx_msr.byte, sizeof(vmx_msr.byte), byte, mask), "%x", msrs[i]);
        cr_expect(hvctl_vmx_msr_exits(&vmx_msr, msrs[i], false) && !hvctl_vmx_msr_exits(&vmx_msr, msrs[i], true));
        hvctl_vmx_msr_fill(&vmx_msr, false);
        cr_expect_eq(hvctl_vmx_msr_exit(&vmx_msr, msrs[i], HVCTL_ACCESS_WRITE, true), HVCTL_OK);
        cr_expect(only(vmx_msr.byte, sizeof(vmx_msr.byte), byte + 2048, mask), "%x", msrs[i]);
        cr_expect(!hvctl_vmx_msr_exits(&vmx_msr, msrs[i], false) && hvctl_vmx_msr_exits(&vmx_msr, msrs[i], true));
        hvctl_vmx_msr_fill(&vmx_msr, true);
        cr_expect_eq(hvctl_vmx_msr_exit(&vmx_msr, msrs[i], HVCTL_ACCESS_READ | HVCTL_ACCESS_WRITE, false), HVCTL_OK);
        cr_expect(!hvctl_vmx_msr_exits(&vmx_msr, msrs[i], false) && !hvctl_vmx_msr_exits(&vmx_msr, msrs[i], true));
        cr_expect_eq(vmx_msr.byte[byte], (uint8_t)~mask);
    }
}

Test(bitmaps, vmx_msrs_without_a_bit_always_exit)
{
    static const uint32_t msrs[] = {0x2000, 0xbfffffff, 0xc0002000, 0xc0010000, 0x40000000, 0xffffffff};

    hvctl_vmx_msr_fill(&vmx_msr, false);
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        cr_expect_eq(hvctl_vmx_msr_exit(&vmx_msr, msrs[i], HVCTL_ACCESS_READ, true), HVCTL_E_RANGE);
        cr_expect(hvctl_vmx_msr_exits(&vmx_msr, msrs[i], false) && hvctl_vmx_msr_exits(&vmx_msr, msrs[i], true));
    }
    cr_expect(only(vmx_msr.byte, sizeof(vmx_msr.byte), 0, 0));
}

/* APM: three vectors of 2 KiB, two bits an MSR: read, then write. */
Test(bitmaps, svm_msr_bits_are_where_the_cpu_looks)
{
    static const struct {
        uint32_t msr;
        size_t vector;
    } msrs[] = {{0, 0}, {0x10, 0}, {0x1fff, 0}, {0xc0000000, 0x800}, {0xc0000080, 0x800}, {0xc0001fff, 0x800},
                {0xc0010000, 0x1000}, {0xc0010117, 0x1000}, {0xc0011fff, 0x1000}};

    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        uint32_t msr = msrs[i].msr;
        size_t byte = msrs[i].vector + (msr & 0x1fff) / 4;

        hvctl_svm_msr_fill(&svm_msr, false);
        cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, msr, HVCTL_ACCESS_READ, true), HVCTL_OK);
        cr_expect(only(svm_msr.byte, sizeof(svm_msr.byte), byte, (uint8_t)(1 << msr % 4 * 2)), "%x", msr);
        cr_expect(hvctl_svm_msr_exits(&svm_msr, msr, false) && !hvctl_svm_msr_exits(&svm_msr, msr, true));
        cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, msr, HVCTL_ACCESS_READ, false), HVCTL_OK);
        cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, msr, HVCTL_ACCESS_WRITE, true), HVCTL_OK);
        cr_expect(only(svm_msr.byte, sizeof(svm_msr.byte), byte, (uint8_t)(2 << msr % 4 * 2)), "%x", msr);
        cr_expect(!hvctl_svm_msr_exits(&svm_msr, msr, false) && hvctl_svm_msr_exits(&svm_msr, msr, true));
    }
    cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, 0x2000, HVCTL_ACCESS_READ, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, 0xc0002000, HVCTL_ACCESS_READ, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_svm_msr_exit(&svm_msr, 0xc0012000, HVCTL_ACCESS_READ, true), HVCTL_E_RANGE);
    cr_expect(hvctl_svm_msr_exits(&svm_msr, 0xc0012000, false));
}

Test(bitmaps, an_io_access_exits_if_any_of_its_ports_does)
{
    hvctl_vmx_io_fill(&vmx_io, false);
    hvctl_svm_io_fill(&svm_io, false);
    cr_expect_eq(hvctl_vmx_io_exit(&vmx_io, 0x8001, 1, true), HVCTL_OK);
    cr_expect_eq(hvctl_svm_io_exit(&svm_io, 0x8001, 1, true), HVCTL_OK);
    cr_expect(only(vmx_io.byte, sizeof(vmx_io.byte), 4096, 2));
    cr_expect(only(svm_io.byte, sizeof(svm_io.byte), 4096, 2));
    for (unsigned port = 0x7ffc; port < 0x8004; port++)
        for (unsigned size = 1; size <= 4; size *= 2) {
            bool expected = port <= 0x8001 && port + size > 0x8001;

            cr_expect_eq(hvctl_vmx_io_exits(&vmx_io, (uint16_t)port, size), expected);
            cr_expect_eq(hvctl_svm_io_exits(&svm_io, (uint16_t)port, size), expected);
        }
}

Test(bitmaps, accesses_past_the_last_port_are_the_vendors_own)
{
    hvctl_vmx_io_fill(&vmx_io, false);
    hvctl_svm_io_fill(&svm_io, false);
    cr_expect_not(hvctl_vmx_io_exits(&vmx_io, 0xffff, 1));
    cr_expect(hvctl_vmx_io_exits(&vmx_io, 0xffff, 2)); /* wraps: always exits */
    cr_expect_not(hvctl_svm_io_exits(&svm_io, 0xffff, 4));
    cr_expect_eq(hvctl_svm_io_exit(&svm_io, 0xffff, 1, true), HVCTL_OK);
    cr_expect_eq(svm_io.byte[8191], 0x80);
    cr_expect_eq(svm_io.byte[8192], 0x07);
    cr_expect_eq(hvctl_vmx_io_exit(&vmx_io, 0xffff, 2, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_svm_io_exit(&svm_io, 0x10000, 1, true), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmx_io_exit(&vmx_io, 0, 0xffffffff, true), HVCTL_E_RANGE);
    cr_expect(only(vmx_io.byte, sizeof(vmx_io.byte), 0, 0));
    cr_expect_eq(hvctl_vmx_io_exit(&vmx_io, 0, 0x10000, true), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_io_exit(&vmx_io, 0x60, 1, false), HVCTL_OK);
    for (unsigned port = 0; port < 0x10000; port++)
        cr_assert_eq(hvctl_vmx_io_exits(&vmx_io, (uint16_t)port, 1), port != 0x60);
}

Test(msr_area, entries_are_added_changed_and_removed)
{
    struct hvctl_msr_entry entry[3];
    struct hvctl_msr_area area;

    cr_expect_eq(sizeof(entry[0]), 16);
    hvctl_msr_area_init(&area, entry, 3, NULL);
    memset(entry, 0xee, sizeof(entry));
    cr_expect_eq(hvctl_msr_area_set(&area, 0xc0000081, 1), HVCTL_OK);
    cr_expect_eq(hvctl_msr_area_set(&area, 0xc0000082, 2), HVCTL_OK);
    cr_expect_eq(hvctl_msr_area_set(&area, 0xc0000081, 3), HVCTL_OK);
    cr_expect(area.count == 2 && entry[0].value == 3 && entry[0].reserved == 0 && entry[1].msr == 0xc0000082);
    cr_expect_eq(hvctl_msr_area_set(&area, 0xc0000084, 4), HVCTL_OK);
    cr_expect_eq(hvctl_msr_area_set(&area, 0x277, 5), HVCTL_E_FULL);
    cr_expect_eq(hvctl_msr_area_remove(&area, 0xc0000081), HVCTL_OK);
    cr_expect_eq(hvctl_msr_area_remove(&area, 0xc0000081), HVCTL_E_ABSENT);
    cr_expect(area.count == 2 && hvctl_msr_area_find(&area, 0xc0000084)->value == 4);
    cr_expect_null(hvctl_msr_area_find(&area, 0xc0000081));
}

/* SDM vol. 3, "Loading MSRs": FS and GS base, MSRs 800H to 8FFH, and SMM's own cannot be loaded. */
Test(msr_area, msrs_that_vm_entry_refuses_are_refused)
{
    struct hvctl_msr_entry entry[3];
    struct hvctl_msr_area area;
    static const uint32_t bad[] = {0xc0000100, 0xc0000101, 0x800, 0x8ff, 0x9b};

    hvctl_msr_area_init(&area, entry, 3, NULL);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(hvctl_msr_area_set(&area, bad[i], 0), HVCTL_E_RANGE);
    cr_expect_eq(area.count, 0);
    cr_expect(hvctl_msr_loadable(0x7ff) && hvctl_msr_loadable(0x900) && hvctl_msr_loadable(0xc0000102));
}

Test(msr_area, the_cpu_s_recommendation_bounds_the_area)
{
    static struct hvctl_msr_entry entry[600];
    struct hvctl_msr_area area;
    static struct hvctl_vmx_caps caps;

    hvctl_msr_area_init(&area, entry, 600, &caps);
    cr_expect_eq(area.capacity, 512);
    caps.misc = 1 << 25;
    hvctl_msr_area_init(&area, entry, 600, &caps);
    cr_expect_eq(area.capacity, 600);
}

/* A model of a TLB: which guest last ran under each tag since the last flush. No guest may meet another's. */
Test(tags, no_guest_runs_under_a_tag_that_another_left_unflushed)
{
    struct hvctl_tag_pool pool;
    struct hvctl_tag tag[20];
    int owner[8];
    uint32_t random = 1;

    memset(tag, 0, sizeof(tag));
    for (unsigned i = 0; i < 8; i++)
        owner[i] = -1;
    hvctl_tag_pool_init(&pool, 1, 7);
    for (unsigned step = 0; step < 100000; step++) {
        unsigned guest;
        enum hvctl_tag_use use;
        uint32_t before;

        random = random * 1664525u + 1013904223u;
        guest = (random >> 16) % 20;
        if ((random >> 8) % 31 == 0)
            hvctl_tag_drop(&tag[guest]);
        before = tag[guest].value;
        use = hvctl_tag_take(&pool, &tag[guest]);
        cr_assert(tag[guest].value >= 1 && tag[guest].value <= 7);
        if (use == HVCTL_TAG_FLUSH_ALL)
            for (unsigned i = 0; i < 8; i++)
                owner[i] = -1;
        if (use == HVCTL_TAG_KEPT) {
            cr_assert_eq(owner[tag[guest].value], (int)guest);
            cr_assert_eq(tag[guest].value, before);
        } else {
            cr_assert_eq(owner[tag[guest].value], -1, "tag %u in use", tag[guest].value);
        }
        owner[tag[guest].value] = (int)guest;
    }
}

Test(tags, pools_have_the_tags_that_the_cpu_has)
{
    struct hvctl_tag_pool pool;
    struct hvctl_tag tag = {0, 0, NULL};
    static struct hvctl_svm_caps caps;

    hvctl_vpid_pool_init(&pool);
    cr_expect(pool.first == 1 && pool.last == 0xffff);
    cr_expect_eq(hvctl_asid_pool_init(&pool, &caps, false), HVCTL_E_FULL);
    caps.asids = 16;
    caps.sev_asids = 15;
    cr_expect_eq(hvctl_asid_pool_init(&pool, &caps, false), HVCTL_OK);
    cr_expect(pool.first == 1 && pool.last == 15);
    cr_expect_eq(hvctl_asid_pool_init(&pool, &caps, true), HVCTL_E_FULL);
    caps.sev_asids = 10;
    cr_expect_eq(hvctl_asid_pool_init(&pool, &caps, true), HVCTL_OK);
    cr_expect(pool.first == 11 && pool.last == 15);
    cr_expect_eq(hvctl_tag_take(&pool, &tag), HVCTL_TAG_FLUSH_ALL, "somebody may have used the CPU before");
    cr_expect_eq(tag.value, 11);
    hvctl_tag_pool_reset(&pool);
    cr_expect_eq(hvctl_tag_take(&pool, &tag), HVCTL_TAG_FLUSH_ALL);
    cr_expect_eq(tag.value, 11);
}

/* A pool that could not be made gives nobody the host's tag, nor one that a guest may have: VMRUN refuses what it gives. */
Test(tags, a_pool_without_tags_gives_none_that_a_cpu_takes)
{
    static struct hvctl_svm_caps caps; /* no ASIDs */
    struct hvctl_tag_pool pool[3];

    cr_expect_eq(hvctl_asid_pool_init(&pool[0], &caps, false), HVCTL_E_FULL);
    cr_expect_eq(hvctl_tag_pool_init(&pool[1], 0, 5), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_tag_pool_init(&pool[2], 6, 5), HVCTL_E_RANGE);
    for (unsigned i = 0; i < 9; i++) {
        struct hvctl_tag tag = {0, 0, NULL};

        cr_expect_eq(hvctl_tag_take(&pool[i % 3], &tag), HVCTL_TAG_FLUSH_ALL);
        cr_expect_eq(tag.value, 0xffffffff);
    }
}

/* CPUID 8000001FH ECX is 32 bits wide, and so is 8000000AH EBX. */
Test(tags, no_number_of_asids_wraps)
{
    static const struct {
        uint32_t asids, sev_asids;
        enum hvctl_status status;
        uint32_t first;
    } cases[] = {
        {16, 0xffffffff, HVCTL_E_FULL, 0},         {0xffffffff, 0xffffffff, HVCTL_E_FULL, 0},
        {0xffffffff, 0xfffffffe, HVCTL_E_FULL, 0}, {0xffffffff, 0xfffffffd, HVCTL_OK, 0xfffffffe},
        {0, 0xffffffff, HVCTL_E_FULL, 0},          {1, 0, HVCTL_E_FULL, 0},
        {2, 0, HVCTL_OK, 1},                       {2, 1, HVCTL_E_FULL, 0},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct hvctl_svm_caps caps;
        struct hvctl_tag_pool pool;
        struct hvctl_tag tag = {0, 0, NULL};

        caps.asids = cases[i].asids;
        caps.sev_asids = cases[i].sev_asids;
        cr_expect_eq(hvctl_asid_pool_init(&pool, &caps, true), cases[i].status, "case %u", i);
        if (cases[i].status != HVCTL_OK)
            continue;
        cr_expect_eq(hvctl_tag_take(&pool, &tag), HVCTL_TAG_FLUSH_ALL);
        cr_expect_eq(tag.value, cases[i].first, "case %u", i);
    }
}

Test(tags, the_last_number_of_all_is_given_out_once)
{
    struct hvctl_tag_pool pool;
    struct hvctl_tag tag[3];

    memset(tag, 0, sizeof(tag));
    cr_expect_eq(hvctl_tag_pool_init(&pool, 0xfffffffe, 0xffffffff), HVCTL_OK);
    cr_expect_eq(hvctl_tag_take(&pool, &tag[0]), HVCTL_TAG_FLUSH_ALL);
    cr_expect_eq(hvctl_tag_take(&pool, &tag[1]), HVCTL_TAG_NEW);
    cr_expect_eq(tag[1].value, 0xffffffff);
    cr_expect_eq(hvctl_tag_take(&pool, &tag[2]), HVCTL_TAG_FLUSH_ALL);
    cr_expect_eq(tag[2].value, 0xfffffffe);
    cr_expect_eq(hvctl_tag_pool_init(&pool, 0, 5), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_tag_pool_init(&pool, 6, 5), HVCTL_E_RANGE);
}

/* A TLB is one CPU's: a virtual CPU that moves brings nothing with it, however far the pools have come. */
Test(tags, a_tag_of_another_cpu_is_not_kept)
{
    struct hvctl_tag_pool pool[2];
    struct hvctl_tag tag[40];
    int owner[2][8];
    uint32_t random = 7;

    memset(tag, 0, sizeof(tag));
    memset(owner, 0xff, sizeof(owner));
    for (unsigned cpu = 0; cpu < 2; cpu++)
        cr_expect_eq(hvctl_tag_pool_init(&pool[cpu], 1, 7), HVCTL_OK);
    for (unsigned step = 0; step < 100000; step++) {
        unsigned cpu, guest;
        enum hvctl_tag_use use;

        random = random * 1664525u + 1013904223u;
        cpu = random >> 30 & 1;
        guest = (random >> 16) % 20;
        use = hvctl_tag_take(&pool[cpu], &tag[guest]);
        if (use == HVCTL_TAG_FLUSH_ALL)
            memset(owner[cpu], 0xff, sizeof(owner[cpu]));
        cr_assert_eq(owner[cpu][tag[guest].value], use == HVCTL_TAG_KEPT ? (int)guest : -1, "step %u", step);
        owner[cpu][tag[guest].value] = (int)guest;
    }
}
