/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The situations and the operations in them. */
#include "situations.h"

/* The smallest page, and the one above: of 4K in most setups, of 16K or 64K in the others. */
#define PAGE (UINT64_C(1) << cpu_shift(&rig->setup->cpu, 0))
#define TWO  (UINT64_C(1) << cpu_shift(&rig->setup->cpu, 1))
#define HOST UINT64_C(0x100000000)
#define ELSE UINT64_C(0x200000000)
#define BASE SITUATION_BASE

static void must(enum hvpt_status status)
{
    CHECK_STATUS(status, HVPT_OK, "the situation");
}

/* ---- situations ---- */

static struct hvpt_attr readonly(const struct rig *rig)
{
    struct hvpt_attr attr = rig_data(rig);

    attr.perm &= ~(uint32_t)HVPT_WRITE;
    return attr;
}

static void nothing(struct rig *rig)
{
    must(rig_map(rig, 0, HOST, PAGE, rig_data(rig)));
}

static void large(struct rig *rig)
{
    must(rig_map(rig, BASE, HOST, setup_max_page(rig->setup) == PAGE ? 4 * TWO : HVPT_1G, rig_data(rig)));
}

static void two_megabytes(struct rig *rig)
{
    must(rig_map(rig, BASE, HOST, 2 * TWO, rig_data(rig)));
}

static void scattered(struct rig *rig)
{
    for (uint64_t i = 0; i < 6; i++)
        must(rig_map(rig, BASE + i * TWO, HOST + i * TWO + PAGE, (2 + i) * PAGE, rig_data(rig)));
    must(rig_map(rig, BASE + 8 * TWO + HVPT_1G + PAGE, HOST, PAGE, rig_data(rig)));
}

static void small(struct rig *rig)
{
    must(rig_map(rig, BASE, HOST, 2 * TWO, rig_data(rig)));
    must(rig_split(rig, BASE, 2 * TWO, PAGE));
    rig_touch(rig, BASE + 5 * PAGE, CPU_WRITE);
}

static void small_gigabyte(struct rig *rig)
{
    bool big = setup_max_page(rig->setup) == HVPT_1G;

    must(rig_map(rig, BASE, HOST, big ? HVPT_1G : 4 * TWO, rig_data(rig)));
    must(rig_split(rig, BASE, HVPT_1G, TWO));
    must(rig_split(rig, BASE + TWO, 2 * TWO, PAGE));
}

static void logged(struct rig *rig)
{
    two_megabytes(rig);
    must(rig_write_protect(rig, BASE, 2 * TWO));
}

/* ---- operations ---- */

static enum hvpt_status map_one(struct rig *rig)
{
    return rig_map(rig, BASE + 7 * PAGE, HOST, PAGE, rig_data(rig));
}

static enum hvpt_status map_range(struct rig *rig)
{
    return rig_map(rig, BASE - PAGE, HOST - PAGE, TWO + TWO + 2 * PAGE, rig_data(rig));
}

static enum hvpt_status map_gigabyte(struct rig *rig)
{
    bool big = setup_max_page(rig->setup) == HVPT_1G;

    return rig_map(rig, BASE - TWO - PAGE, HOST - TWO - PAGE, (big ? HVPT_1G : TWO) + 2 * (TWO + PAGE), rig_data(rig));
}

static enum hvpt_status map_between(struct rig *rig)
{
    return rig_map(rig, BASE + 10 * PAGE, ELSE + 10 * PAGE, TWO - 10 * PAGE, rig_data(rig));
}

static enum hvpt_status fault_map_one(struct rig *rig)
{
    return rig_fault_map(rig, BASE - 3 * TWO, HOST, PAGE, rig_data(rig));
}

static enum hvpt_status unmap_page(struct rig *rig)
{
    return rig_unmap(rig, BASE + 3 * PAGE, PAGE);
}

static enum hvpt_status unmap_middle(struct rig *rig)
{
    return rig_unmap(rig, BASE + 2 * PAGE, TWO);
}

static enum hvpt_status unmap_all(struct rig *rig)
{
    return rig_unmap(rig, 0, setup_gpa_limit(rig->setup));
}

static enum hvpt_status protect_middle(struct rig *rig)
{
    return rig_protect(rig, BASE + 2 * PAGE, TWO, readonly(rig), HVPT_WRITE);
}

static enum hvpt_status protect_whole(struct rig *rig)
{
    struct hvpt_attr attr = readonly(rig);

    attr.memtype = rig_uncached(rig);
    attr.software = rig_software(rig, 5);
    return rig_protect(rig, BASE, 2 * TWO, attr, HVPT_WRITE | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_SOFTWARE);
}

static enum hvpt_status replace_same(struct rig *rig)
{
    return rig_replace(rig, BASE, ELSE, 2 * TWO, rig_data(rig));
}

static enum hvpt_status replace_smaller(struct rig *rig)
{
    return rig_replace(rig, BASE, ELSE + PAGE, 2 * TWO, readonly(rig));
}

static enum hvpt_status replace_middle(struct rig *rig)
{
    return rig_replace(rig, BASE + 3 * PAGE, ELSE, TWO, rig_data(rig));
}

static enum hvpt_status split_all(struct rig *rig)
{
    return rig_split(rig, BASE, 2 * TWO, PAGE);
}

static enum hvpt_status collapse_all(struct rig *rig)
{
    return rig_collapse(rig, BASE, HVPT_1G);
}

static enum hvpt_status write_protect(struct rig *rig)
{
    return rig_write_protect(rig, BASE + PAGE, TWO);
}

static enum hvpt_status write_again(struct rig *rig)
{
    return rig_fault(rig, BASE, HVPT_WRITE);
}

static enum hvpt_status age(struct rig *rig)
{
    return rig_age(rig, BASE, 2 * TWO);
}

static enum hvpt_status dirty(struct rig *rig)
{
    rig_touch(rig, BASE + 8 * PAGE, CPU_WRITE);
    return rig_dirty(rig, BASE, 2 * TWO);
}

const struct scenario scenarios[] = {
    {"map of one page into nothing", nothing, map_one, true, false},
    {"map of a range into nothing", nothing, map_range, true, false},
    {"map of more than a large page", nothing, map_gigabyte, true, false},
    {"map between pages", scattered, map_between, true, false},
    {"fault_map", large, fault_map_one, true, false},
    {"unmap of a page", small, unmap_page, true, false},
    {"unmap of the middle of large pages", large, unmap_middle, true, false},
    {"unmap of the middle of small pages", small, unmap_middle, true, false},
    {"unmap of everything, scattered", scattered, unmap_all, true, false},
    {"unmap of everything, large", large, unmap_all, true, false},
    {"protect of the middle of large pages", large, protect_middle, true, false},
    {"protect of whole pages", two_megabytes, protect_whole, true, false},
    {"protect of small pages", small, protect_whole, true, false},
    {"replace", two_megabytes, replace_same, false, false},
    {"replace by smaller pages", two_megabytes, replace_smaller, false, false},
    {"replace of the middle of large pages", large, replace_middle, false, false},
    {"replace of small pages", small, replace_middle, false, false},
    {"write_protect of the middle of large pages", large, write_protect, true, false},
    {"touch", logged, write_again, true, true},
    {"age", small, age, false, true},
    {"dirty", small, dirty, false, true},
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

const struct scenario shapes[] = {
    {"split", large, split_all, true, false},
    {"collapse of small pages", small, collapse_all, true, false},
    {"collapse over two levels", small_gigabyte, collapse_all, true, false},
};

const size_t shape_count = sizeof(shapes) / sizeof(shapes[0]);
