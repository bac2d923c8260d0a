/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Prints the table of rules as a page of documentation: rules vmx COUNTS | rules svm COUNTS. COUNTS is counts.py's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvctl/svm/check.h>
#include <hvctl/vmx/check.h>

struct count {
    char rule[64], alone[16], deviated[16], edge[16], why[160];
};

static struct count counts[400];
static unsigned counted;
static char runs[512];

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

/* "# RUNS", a header, "rule,alone,deviated,kept,edge,why not". */
static bool read_counts(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");

    if (!file)
        return false;
    while (fgets(line, sizeof(line), file) && counted < sizeof(counts) / sizeof(counts[0])) {
        struct count *next = &counts[counted];

        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#')
            copy(runs, sizeof(runs), line + 2);
        if (line[0] == '#' || strncmp(line, "rule,", 5) == 0)
            continue;
        copy(next->rule, sizeof(next->rule), strtok(line, ","));
        copy(next->alone, sizeof(next->alone), strtok(NULL, ","));
        copy(next->deviated, sizeof(next->deviated), strtok(NULL, ","));
        strtok(NULL, ",");
        copy(next->edge, sizeof(next->edge), strtok(NULL, ","));
        copy(next->why, sizeof(next->why), strtok(NULL, ","));
        counted++;
    }
    fclose(file);
    return counted > 0;
}

/* The last columns. A rule that was not met has its reason there. */
static void print_count(const char *rule)
{
    for (unsigned i = 0; i < counted; i++)
        if (strcmp(counts[i].rule, rule) == 0) {
            printf(" %s | %s | %s |\n", counts[i].alone, counts[i].deviated,
                   strcmp(counts[i].edge, "0") == 0 && counts[i].why[0] ? counts[i].why : counts[i].edge);
            return;
        }
    printf(" | | not counted |\n");
}

static void print_about_counts(void)
{
    printf("\nThe last columns are what emulators were seen to do (tests/machine/x86/differential; cases on %s): "
           "how often the rule was the\nonly one broken and the CPU failed as it says, or is known to deviate "
           "(tests/machine/deviations.py); and how often it was kept and the\nCPU entered with a value that is "
           "next to one that breaks it (counted up to a limit), or why it cannot be shown there.\n",
           runs);
}

static void print_vmx(void)
{
    const struct hvctl_vmx_rule *rule;
    const char *section = "";

    puts("# The rules of VM entry\n\nWhat `hvctl_vmx_check` asks, in the manual's order (SDM vol. 3, \"VM Entries\"). "
         "Generated from the rule tables in `include/hvctl/vmx/check_*.h` by `hvctl-rules vmx`.\n"
         "A rule applies while its control is on; all of a rule's fields, the judged one first, are named.");
    print_about_counts();
    for (size_t i = 0; (rule = hvctl_vmx_rule_at(i)) != NULL; i++) {
        const char *title = hvctl_vmx_section_title(rule->section);

        if (strcmp(section, title) != 0)
            printf("\n## %s\n\n| rule | fields | it | while | broken | alone | deviating | kept at its edge |\n"
                   "|---|---|---|---|---|---|---|---|\n",
                   title);
        section = title;
        printf("| `%s` | ", rule->id);
        for (unsigned k = 0; k < HVCTL_VMX_RULE_FIELDS && rule->slot[k] != HVCTL_VMX_NO_SLOT; k++)
            if (k == 0 || rule->slot[k] != rule->slot[0])
                printf("%s%s", k > 0 ? ", " : "", hvctl_vmcs_slot_info(rule->slot[k])->name);
        printf(" | %s | %s | %s |", rule->text,
               rule->when == HVCTL_ALWAYS ? "" : hvctl_vmx_control_name((enum hvctl_vmx_control)rule->when),
               hvctl_failure_text(hvctl_vmx_section_failure(rule->section)));
        print_count(rule->id);
    }
}

static void print_svm(void)
{
    const struct hvctl_svm_rule *rule;

    puts("# The rules of VMRUN\n\nWhat `hvctl_svm_check` asks, with the sections of APM vol. 2 by title. "
         "Generated from the rule tables in `include/hvctl/svm/check_*.h` by `hvctl-rules svm`.");
    print_about_counts();
    puts("\n| rule | field | it | section | broken | alone | deviating | kept at its edge |\n"
         "|---|---|---|---|---|---|---|---|");
    for (size_t i = 0; (rule = hvctl_svm_rule_at(i)) != NULL; i++) {
        printf("| `%s` | %s | %s | %s | %s |", rule->id, rule->field, rule->text, rule->section,
               hvctl_failure_text(rule->failure));
        print_count(rule->id);
    }
}

int main(int count, char **argument)
{
    if (count != 3 || !read_counts(argument[2]))
        return 2;
    if (strcmp(argument[1], "vmx") == 0)
        print_vmx();
    else if (strcmp(argument[1], "svm") == 0)
        print_svm();
    else
        return 2;
    return 0;
}
