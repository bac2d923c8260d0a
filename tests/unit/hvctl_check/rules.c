/* Prints the table of rules as a page of documentation: rules vmx | rules svm. */
#include <stdio.h>
#include <string.h>

#include <hvctl/svm_check.h>
#include <hvctl/vmx_check.h>

static void print_vmx(void)
{
    const struct hvctl_vmx_rule *rule;
    const char *section = "";

    puts(
        "# The rules of VM entry\n\nWhat `hvctl_vmx_check` asks, in the manual's order (SDM vol. 3, \"VM Entries\"). Generated "
        "from the rule tables in `include/hvctl/vmx_check_*.h` by `hvctl-rules vmx`.\nA rule applies while its control is on; "
        "all of a rule's fields, the judged one first, are named.\n");
    for (size_t i = 0; (rule = hvctl_vmx_rule_at(i)) != NULL; i++) {
        const char *title = hvctl_vmx_section_title(rule->section);

        if (strcmp(section, title) != 0)
            printf("\n## %s\n\n| rule | fields | it | while | broken |\n|---|---|---|---|---|\n", title);
        section = title;
        printf("| `%s` | ", rule->id);
        for (unsigned k = 0; k < HVCTL_VMX_RULE_FIELDS && rule->slot[k] != HVCTL_VMX_NO_SLOT; k++)
            printf("%s%s", k > 0 ? ", " : "", hvctl_vmcs_slot_info(rule->slot[k])->name);
        printf(" | %s | %s | %s |\n", rule->text,
               rule->when == HVCTL_ALWAYS ? "" : hvctl_vmx_control_name((enum hvctl_vmx_control)rule->when),
               hvctl_failure_text(hvctl_vmx_section_failure(rule->section)));
    }
}

static void print_svm(void)
{
    const struct hvctl_svm_rule *rule;

    puts(
        "# The rules of VMRUN\n\nWhat `hvctl_svm_check` asks, with the sections of APM vol. 2 by title. Generated from the rule "
        "tables in `include/hvctl/svm_check_*.h` by `hvctl-rules svm`.\n\n| rule | field | it | section | broken |\n"
        "|---|---|---|---|---|");
    for (size_t i = 0; (rule = hvctl_svm_rule_at(i)) != NULL; i++)
        printf("| `%s` | %s | %s | %s | %s |\n", rule->id, rule->field, rule->text, rule->section,
               hvctl_failure_text(rule->failure));
}

int main(int count, char **argument)
{
    if (count == 2 && strcmp(argument[1], "vmx") == 0)
        print_vmx();
    else if (count == 2 && strcmp(argument[1], "svm") == 0)
        print_svm();
    else
        return 2;
    return 0;
}
