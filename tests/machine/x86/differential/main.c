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

static const struct unreachable *find(const struct unreachable *list, unsigned count, const char *id, const void *world)
{
    for (unsigned i = 0; i < count; i++)
        if (same(list[i].id, id) && (list[i].here == NULL || list[i].here(world)))
            return &list[i];
    return NULL;
}

void counts_check(const struct rule_count *count, unsigned rules, const struct unreachable *unreachable,
                  unsigned unreachables, const void *world)
{
    unsigned absent = 0;

    for (unsigned i = 0; i < rules; i++) {
        const struct unreachable *known = find(unreachable, unreachables, count[i].id, world);

        print("# rule %s: broken alone %u, kept %u%s%s\n", count[i].id, count[i].alone, count[i].kept,
              count[i].reachable && known == NULL ? "" : "; ",
              !count[i].reachable ? count[i].why
              : known != NULL     ? known->why
                                  : "");
        if (!count[i].reachable) {
            absent++;
            continue;
        }
        if (known == NULL || !known->alone)
            check_true(count[i].alone > 0, "%s was broken alone", count[i].id);
        if (known == NULL || !known->kept)
            check_true(count[i].kept > 0, "%s was kept with a changed field", count[i].id);
    }
    print("# %u rules, %u of them cannot apply on this machine\n", rules, absent);
}

void deviations_print(const struct deviation *deviation, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (deviation[i].seen > 0)
            print("# deviation: %s, %s: %s (%u times); manual: %s\n", deviation[i].rule, deviation[i].emulator,
                  deviation[i].what, deviation[i].seen, deviation[i].manual);
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
