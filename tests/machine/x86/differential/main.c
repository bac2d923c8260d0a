/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The kernel of differential tests, and what both vendors' share. */
#include "differential.h"

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "vm/vm.h"

bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

bool mismatch_begin(unsigned number)
{
    if (number == 20)
        print("# and more\n");
    return number < 20;
}

bool fits(const char *pattern, const char *id)
{
    while (*pattern != '\0' && *pattern != '*' && *pattern == *id)
        pattern++, id++;
    return *pattern == '*' || *pattern == *id;
}

static const struct unreachable *find(const struct unreachable *list, unsigned count, const char *id, const void *world)
{
    for (unsigned i = 0; i < count; i++)
        if (fits(list[i].id, id) && (list[i].here == NULL || list[i].here(world)))
            return &list[i];
    return NULL;
}

bool count_is_wanting(const struct rule_count *count, const struct unreachable *unreachable, unsigned unreachables,
                      const void *world)
{
    const struct unreachable *known = find(unreachable, unreachables, count->id, world);

    return count->reachable
        && ((!(known != NULL && known->alone) && count->alone + count->deviated < COUNT_MIN)
            || (!(known != NULL && known->edge) && count->edge < COUNT_MIN));
}

void counts_check(const struct rule_count *count, unsigned rules, const struct unreachable *unreachable,
                  unsigned unreachables, const void *world)
{
    unsigned absent = 0;

    for (unsigned i = 0; i < rules; i++) {
        const struct unreachable *known = find(unreachable, unreachables, count[i].id, world);
        unsigned broken = count[i].alone + count[i].deviated;
        bool no_alone = known != NULL && known->alone, no_edge = known != NULL && known->edge;

        print("# rule %s: broken alone %u, deviated %u, kept %u, at its edge %u%s%s\n", count[i].id, count[i].alone,
              count[i].deviated, count[i].kept, count[i].edge, known != NULL ? "; " : "",
              known != NULL ? known->why : "");
        if (!count[i].reachable) {
            absent++;
            check_true(no_alone && no_edge, "%s is listed as one that this CPU does not have", count[i].id);
            continue;
        }
        if (no_alone)
            check_equal(broken, 0, "%s cannot be broken alone, as is listed", count[i].id);
        else
            check_true(broken >= COUNT_MIN, "%s was broken alone", count[i].id);
        if (no_edge)
            check_equal(count[i].edge, 0, "%s cannot be kept at its edge, as is listed", count[i].id);
        else
            check_true(count[i].edge >= COUNT_MIN, "%s was kept at its edge", count[i].id);
    }
    print("# %u rules, %u of them cannot apply on this machine\n", rules, absent);
}

void deviation_check(const struct deviation *deviation)
{
    if (deviation->differed + deviation->agreed == 0)
        return; /* this CPU has nothing that it is about */
    print("# deviation %s: differed %u, agreed %u\n", deviation->name, deviation->differed, deviation->agreed);
    check_true(deviation->differed == 0, "as the manual says: %s", deviation->name);
    if (deviation->differed > 0)
        check_equal(deviation->agreed, 0, "the condition is exact: %s", deviation->name);
}

void kernel_main(void)
{
    const char *missing;

    check_group("differential");
    missing = vm_enable();
    if (check_true(missing == NULL, "the extension can be turned on")) {
        if (cpu_vendor() == CPU_INTEL)
            differential_vmx();
        else
            differential_svm();
    } else {
        print("%s\n", missing);
    }
    check_summary();
}
