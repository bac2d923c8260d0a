/* Known deviations of VMRUN on Bochs 2.7 and QEMU 7.2, each as narrow as it can be told. */
#include "svm_deviations.h"

#include "cpu.h"
#include "memory.h"

static struct deviation table[] = {
    {"-", "", "", "", 0},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

bool svm_deviation_ignored(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    for (unsigned i = 0; i < COUNT; i++)
        if (same(table[i].rule, violation->rule))
            return true;
    return false;
}

void svm_deviation_seen(const char *rule)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (same(table[i].rule, rule))
            table[i].seen++;
}

bool svm_deviation_otherwise(const struct hvctl_svm_view *view, bool invalid)
{
    (void)view;
    (void)invalid;
    return false;
}

void svm_deviations_print(void)
{
    deviations_print(table, COUNT);
}

const struct unreachable svm_unreachable[] = {
    {"SVM.SEV.NP", true, true, "SEV is off", NULL},
};
const unsigned svm_unreachable_count = sizeof(svm_unreachable) / sizeof(svm_unreachable[0]);
