/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * From the text of a log to what its dumps say: for each what happened, what is broken, what on some CPUs, what cannot be told.
 */
#include <hvctl/svm/exit.h>

#include "json.h"
#include "judge.h"
#include "vbox.h"

#define DUMPS_MOST 64u /* that are judged; a log with more is asked with a number */

static const char *format_name(const struct dump *dump)
{
    switch (dump->format) {
    case DUMP_KVM_VMX: return dump->tertiary_layout ? "KVM, 5.18 or later" : "KVM";
    case DUMP_XEN_VMX: return "Xen";
    case DUMP_XMHF: return "XMHF";
    case DUMP_HVCTL: return "hvctl";
    case DUMP_NAMED: return "fields by name";
    case DUMP_BHYVE: return "bhyve";
    case DUMP_QEMU: return "QEMU's registers";
    case DUMP_VBOX: return "VirtualBox's registers";
    case DUMP_KVM_SVM: return "KVM, VMCB";
    case DUMP_XEN_SVM: return "Xen, VMCB";
    case DUMP_NONE: break;
    }
    return "unknown";
}

static void line_and_column(const struct core_request *request, size_t at, unsigned *line, unsigned *column)
{
    size_t i;

    *line = *column = 1;
    for (i = 0; i < at && i < request->length; i++) {
        ++*column;
        if (request->bytes[i] == '\n') {
            ++*line;
            *column = 1;
        }
    }
}

/* ---- what happened ---- */

static void say_vmx(const struct judge *judge, const struct dump *dump, const struct hvpt_text *out)
{
    const char *words;

    switch (dump->failure) {
    case DUMP_INSTRUCTION_ERROR:
        words = hvctl_vmx_instruction_error_text((uint32_t)dump->code);
        hvpt_text_string(out, "VMfail: VM-instruction error ");
        hvpt_text_decimal(out, dump->code);
        hvpt_text_string(out, ", ");
        hvpt_text_string(out, words ? words : "which is none");
        if (dump->stale && hvctl_vmcs_known(&dump->image, HVCTL_VMCS_EXIT_REASON))
            hvpt_text_string(out, "; the exit's fields are those of an exit before");
        return;
    case DUMP_EXIT_REASON:
        if (dump->nested_error) {
            hvpt_text_string(out, "KVM reports an entry failure with exit reason ");
            hvpt_text_hex(out, dump->code);
            hvpt_text_string(out, ", which is that of a normal exit: an error of the hypervisor's own");
            return;
        }
        if (dump->code >> 31) {
            words = hvctl_vmx_exit_reason_words((uint32_t)dump->code & 0xffffu);
            hvpt_text_string(out, words ? words : "VM-entry failure of unknown kind");
            hvpt_text_string(out, " (exit reason ");
            hvpt_text_hex(out, dump->code);
            if (dump->qualified) {
                hvpt_text_string(out, ", qualification ");
                hvpt_text_decimal(out, dump->qualification);
            }
            hvpt_text_string(out, ")");
            if (judge->said == HVCTL_FAILURE_MSR_LOADING && dump->qualified) {
                hvpt_text_string(out, ": entry ");
                hvpt_text_decimal(out, dump->qualification);
                hvpt_text_string(out, " of the VM-entry MSR-load area, counted from 1");
            }
            return;
        }
        hvpt_text_string(out, "VM exit: ");
        if (hvctl_vmcs_known(&dump->image, HVCTL_VMCS_EXIT_REASON)) {
            bool advanced = judge->cpus > 0;
            unsigned i;
            const struct hvctl_vmx_caps *caps = NULL;

            for (i = 0; i < judge->cpus; i++)
                if (judge->fit >> i & 1u) {
                    advanced = advanced && (judge->caps[i].ept_vpid_cap & HVCTL_EPT_CAP_ADVANCED_VM_EXIT_INFORMATION);
                    caps = &judge->caps[i];
                }
            hvctl_vmx_exit_text(&dump->image, advanced ? caps : NULL, out);
        } else {
            words = hvctl_vmx_exit_reason_words((uint32_t)dump->code & 0xffffu);
            hvpt_text_string(out, words ? words : "unknown reason");
        }
        hvpt_text_string(out, " (exit reason ");
        hvpt_text_decimal(out, dump->code & 0xffffu);
        hvpt_text_string(out, ")");
        return;
    case DUMP_EXITCODE:
        hvpt_text_string(out, "VMEXIT_INVALID (EXITCODE -1): VMRUN refused the VMCB");
        return;
    case DUMP_SAYS_NOTHING: break;
    }
    hvpt_text_string(out, "how it ended is not in the text");
}

static void say_svm(const struct dump *dump, const struct hvpt_text *out)
{
    if (dump->failure != DUMP_EXITCODE) {
        hvpt_text_string(out, "how it ended is not in the text");
        return;
    }
    if (hvctl_svm_exit_invalid(dump->code))
        hvpt_text_string(out, "VMEXIT_INVALID (EXITCODE -1): VMRUN refused the VMCB");
    else
        hvctl_svm_exit_text(&dump->vmcb, false, out);
}

static void say(const struct judge *judge, const struct dump *dump, const struct hvpt_text *out)
{
    if (dump->svm)
        say_svm(dump, out);
    else
        say_vmx(judge, dump, out);
}

/* ---- controls and guest ---- */

static const char *const group_names[HVCTL_GROUP_COUNT] = {"pin",  "primary",        "secondary", "tertiary",
                                                           "exit", "secondary exit", "entry",     "VM functions"};

/* The word of a group as it counts: false if it is not known. */
static bool control_word(const struct dump *dump, unsigned group, uint64_t *word)
{
    enum hvctl_vmx_control on = hvctl_vmx_group_switch((enum hvctl_vmx_group)group);
    uint64_t above;

    if (on != HVCTL_ALWAYS) {
        if (!control_word(dump, (unsigned)hvctl_vmx_control_group(on), &above))
            return false;
        if (!(above & hvctl_vmx_control_mask(on))) {
            *word = 0;
            return true;
        }
    }
    *word = dump->image.value[hvctl_vmx_group_slot(group)];
    return hvctl_vmcs_set_has(&dump->image.known, hvctl_vmx_group_slot(group));
}

/* A control's name without its group's. */
static const char *control_name(unsigned group, unsigned bit)
{
    const char *name = hvctl_bit_name((enum hvctl_bit_names)group, bit);

    while (name && *name && *name != '_')
        name++;
    return name && *name ? name + 1 : name;
}

/* Names; bits without one as numbers. */
static void control_names(unsigned group, uint64_t word, struct hvpt_text_list *list)
{
    unsigned bit;

    for (bit = 0; bit < 64; bit++) {
        const char *name = word >> bit & 1u ? control_name(group, bit) : NULL;

        if (!name)
            continue;
        hvpt_text_item(list, name);
        word &= ~((uint64_t)1 << bit);
    }
    if (word) {
        hvpt_text_item(list, "");
        hvctl_bits_text(HVCTL_BITS_UNNAMED, word, list->text);
    }
}

static bool guest_known(const struct dump *dump, uint32_t field, uint64_t *value)
{
    *value = hvctl_vmcs_get(&dump->image, field);
    return hvctl_vmcs_known(&dump->image, field);
}

static void say_guest(const struct dump *dump, const struct hvpt_text *out)
{
    struct hvpt_text_list list = {out, ", ", false};
    uint64_t cr0, cs, ss, rflags, event, blocking, activity, entry;
    bool long_known = control_word(dump, HVCTL_GROUP_ENTRY, &entry);
    bool long_mode = long_known && (entry & hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST));

    if (guest_known(dump, HVCTL_VMCS_GUEST_CR0, &cr0)) {
        if (!(cr0 & HVCTL_CR0_PE))
            hvpt_text_item(&list, "real mode");
        else if (guest_known(dump, HVCTL_VMCS_GUEST_RFLAGS, &rflags) && (rflags & HVCTL_RFLAGS_VM))
            hvpt_text_item(&list, "virtual-8086 mode");
        else if (long_mode && guest_known(dump, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, &cs))
            hvpt_text_item(&list, cs & HVCTL_RIGHTS_LONG ? "64-bit mode" : "compatibility mode");
        else if (long_known)
            hvpt_text_item(&list, cr0 & HVCTL_CR0_PG ? "protected mode with paging" : "protected mode without paging");
    }
    if (guest_known(dump, HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS, &ss)) {
        hvpt_text_item(&list, "CPL ");
        hvpt_text_decimal(out, ss >> 5 & 3u);
    }
    if (guest_known(dump, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, &event)) {
        if (event & HVCTL_EVENT_INFO_VALID) {
            struct hvctl_vmx_event decoded = hvctl_vmx_event_decode((uint32_t)event, 0);

            decoded.has_error_code = false;
            hvpt_text_item(&list, "injects ");
            hvctl_vmx_event_text(&decoded, out);
        } else {
            hvpt_text_item(&list, "no event injected");
        }
    }
    if (guest_known(dump, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, &blocking)) {
        if (blocking & 0x1f)
            hvpt_text_item(&list, "");
        if (blocking & 0x1f)
            hvctl_bits_text(HVCTL_BITS_INTERRUPTIBILITY, blocking & 0x1f, out);
        else
            hvpt_text_item(&list, "no blocking");
    }
    if (guest_known(dump, HVCTL_VMCS_GUEST_ACTIVITY_STATE, &activity) && activity >= 1 && activity <= 3)
        hvpt_text_item(&list, activity == 1 ? "halted" : activity == 2 ? "in shutdown" : "waits for SIPI");
    if (!list.begun)
        hvpt_text_string(out, "not in the text");
}

/* ---- findings ---- */

static void say_finding(const struct outcome *outcome, const struct hvpt_text *out)
{
    struct hvctl_violation violation;

    violation.rule = outcome->rule;
    violation.section = outcome->section;
    violation.text = outcome->text;
    violation.failure = outcome->failure;
    violation.finding = outcome->finding;
    hvctl_violation_text(&violation, out);
}

/* On which CPUs: what they lack, and some of their names. */
static void say_cpus(const struct judge *judge, const struct outcome *outcome, const struct hvpt_text *out)
{
    const struct hvctl_finding *finding = &outcome->finding;
    struct hvpt_text_list list = {out, ", ", false};
    unsigned i, named = 0, left = 0;

    hvpt_text_string(out, "only on a CPU ");
    if (finding->demand == HVCTL_DEMAND_CANONICAL) {
        hvpt_text_string(out, "with ");
        hvpt_text_decimal(out, finding->required);
        hvpt_text_string(out, " linear-address bits");
    } else if (finding->demand == HVCTL_DEMAND_BITS && finding->zeros && finding->names != HVCTL_BITS_UNNAMED) {
        hvpt_text_string(out, "without ");
        hvctl_bits_text(finding->names, finding->zeros, out);
    } else if (finding->demand == HVCTL_DEMAND_BITS && finding->zeros >> 32) {
        unsigned lowest = 0;

        while (!(finding->zeros >> lowest & 1u))
            lowest++;
        hvpt_text_string(out, lowest >= 32 ? "with at most " : "without what these bits mean; fewer than ");
        hvpt_text_decimal(out, lowest);
        hvpt_text_string(out, " physical-address bits");
    } else if (outcome->failure == HVCTL_FAILURE_MSR_LOADING) {
        hvpt_text_string(out, "without RTM, or with RTM switched off by microcode");
    } else {
        hvpt_text_string(out, "of some models");
    }
    hvpt_text_string(out, " (");
    for (i = judge->cpus; i-- > 0;) {
        if (!(outcome->cpus >> i & 1u))
            continue;
        if (named++ < 4)
            hvpt_text_item(&list, judge->cpu[i]);
        else
            left++;
    }
    if (left) {
        hvpt_text_string(out, " and ");
        hvpt_text_decimal(out, left);
        hvpt_text_string(out, " older");
    }
    hvpt_text_string(out, ")");
}

/* Is any field of this type in the text? */
static bool known_of_type(const struct dump *dump, enum hvctl_vmcs_type type)
{
    unsigned slot;

    for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&dump->image.known, slot)
            && hvctl_vmcs_decode(hvctl_vmcs_slot_info(slot)->encoding).type == type)
            return true;
    return false;
}

/* What a rule that could not be judged is about: a few words for many rules. */
static const char *topic(const struct dump *dump, const struct outcome *outcome)
{
    static const struct {
        const char *begin, *words;
    } list[] = {
        {"CTRL.IO_BITMAP", "I/O bitmaps"},
        {"CTRL.MSR_BITMAP", "MSR bitmap"},
        {"CTRL.CR3_TARGET", "CR3-target count"},
        {"CTRL.VIRTUAL_APIC", "APIC pages"},
        {"CTRL.APIC_ACCESS", "APIC pages"},
        {"CTRL.TPR_THRESHOLD.VTPR", "virtual TPR in memory"},
        {"CTRL.POSTED", "posted-interrupt descriptor"},
        {"CTRL.PML", "PML address"},
        {"CTRL.EPTP_LIST", "EPTP list"},
        {"CTRL.VMFUNC", "VM functions"},
        {"CTRL.VMREAD", "VMREAD and VMWRITE bitmaps"},
        {"CTRL.VMWRITE", "VMREAD and VMWRITE bitmaps"},
        {"CTRL.VE_INFO", "virtualization-exception page"},
        {"CTRL.EXIT.MSR", "MSR areas"},
        {"CTRL.ENTRY.MSR", "MSR areas"},
        {"MSR.", "MSR areas"},
        {"GUEST.LINK", "VMCS link pointer"},
        {"GUEST.PDPTE.MEMORY", "PDPTEs in memory"},
        {"CTRL.INJECT", "event injection"},
        {"CTRL.IPIV", "PID-pointer table"},
        {"CTRL.HLATP", "HLAT pointer"},
        {"CTRL.SEAM", "SEAM"},
        {"CTRL.", "controls"},
        {"HOST.", "host state"},
        {"SVM.CTRL", "intercepts, maps and ASID"},
        {"SVM.INJ", "event injection"},
        {"SVM.NP", "nested paging"},
        {"SVM.SEV", "SEV"},
        {"SVM.AVIC", "AVIC"},
        {"SVM.CET", "S_CET"},
        {"SVM.", "save area"},
    };
    size_t i, k;

    /* A text without controls, or without host state, is said to lack them, not all that hangs on them. */
    if (dump->vmx && !known_of_type(dump, HVCTL_TYPE_CONTROL) && (outcome->rule[0] == 'C' || outcome->rule[0] == 'M'))
        return "controls";
    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        for (k = 0; list[i].begin[k] && list[i].begin[k] == outcome->rule[k]; k++)
            continue;
        if (!list[i].begin[k])
            return list[i].words;
    }
    if (outcome->section == hvctl_vmx_section_title(HVCTL_VMX_SECTION_GUEST_REGISTERS))
        return "guest control registers and MSRs";
    if (outcome->section == hvctl_vmx_section_title(HVCTL_VMX_SECTION_GUEST_SEGMENTS))
        return "guest segments";
    if (outcome->section == hvctl_vmx_section_title(HVCTL_VMX_SECTION_GUEST_TABLES))
        return "guest GDTR and IDTR";
    if (outcome->section == hvctl_vmx_section_title(HVCTL_VMX_SECTION_GUEST_RIP))
        return "guest RIP, RFLAGS, SSP";
    if (outcome->section == hvctl_vmx_section_title(HVCTL_VMX_SECTION_GUEST_PDPTES))
        return "guest PDPTEs";
    return "guest activity and interruptibility";
}

/* Would the rule apply? Where its control is known to be off it is quiet; where the word is not known it may. */
static bool open_counts(const struct outcome *outcome)
{
    return outcome->kind == OUTCOME_OPEN || outcome->kind == OUTCOME_UNCHECKED;
}

/* Each topic once. */
static bool next_topic(const struct judge *judge, const struct dump *dump, unsigned *at, const char **words)
{
    for (; *at < judge->rules; ++*at) {
        unsigned k;

        if (!open_counts(&judge->outcome[*at]))
            continue;
        *words = topic(dump, &judge->outcome[*at]);
        for (k = 0; k < *at; k++)
            if (open_counts(&judge->outcome[k]) && topic(dump, &judge->outcome[k]) == *words)
                break;
        if (k == *at) {
            ++*at;
            return true;
        }
    }
    return false;
}

/* ---- hints ---- */

static bool explained(const struct judge *judge)
{
    unsigned r;

    for (r = 0; r < judge->rules; r++)
        if ((judge->outcome[r].kind == OUTCOME_BROKEN || judge->outcome[r].kind == OUTCOME_SOME)
            && judge->outcome[r].fit == HVCTL_VMX_FIT_EXACTLY)
            return true;
    return false;
}

/* Hint number of them for this dump; NULL: no more. */
static const char *hint(const struct judge *judge, const struct dump *dump, unsigned number)
{
    const char *list[12];
    unsigned count = 0, i;
    uint64_t value, entry;
    bool failed = judge->said != HVCTL_FAILURE_NONE, why = explained(judge);

    if (judge->shifted)
        list[count++] = "more than eight rules of unrelated kinds are broken: these values look shifted, misread or cut";
    if (dump->format == DUMP_QEMU || dump->format == DUMP_VBOX)
        list[count++] = "these are the guest's registers, not the VMCS: only segments, descriptor tables and RFLAGS are judged";
    if (dump->format == DUMP_VBOX && vbox_words(dump->vbox_error)) {
        list[count++] = "VirtualBox looked for the cause itself (HM error):";
        list[count++] = vbox_words(dump->vbox_error);
    }
    if (dump->real_mode_registers)
        list[count++] = "the guest is in real mode, where a hypervisor may keep other segments in the VMCS than these";
    if (dump->format == DUMP_QEMU && failed)
        list[count++] = "with kvm_intel.dump_invalid_vmcs=1 or kvm_amd.dump_invalid_vmcb=1 the kernel log has all fields";
    if (dump->vmx && failed && !why && !vbox_words(dump->vbox_error) && judge->said == HVCTL_FAILURE_GUEST_STATE) {
        if (guest_known(dump, HVCTL_VMCS_GUEST_SSP, &value) && value >> 32
            && control_word(dump, HVCTL_GROUP_ENTRY, &entry)
            && (entry & hvctl_vmx_control_mask(HVCTL_ENTRY_LOAD_CET_STATE))
            && (!(entry & hvctl_vmx_control_mask(HVCTL_ENTRY_IA32E_MODE_GUEST))
                || (guest_known(dump, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, &value) && !(value & HVCTL_RIGHTS_LONG))))
            list[count++] = "GUEST_SSP has bits above 31 outside 64-bit mode: older CPUs ask for SSP bits 63:32 = 0 there";
        if (guest_known(dump, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, &value) && (value & 1)
            && guest_known(dump, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, &entry) && (entry >> 8 & 7) == 2)
            list[count++] = "some CPUs refuse an NMI with blocking by STI, some do not";
        list[count++] = "no rule that could be checked explains it: look at what was not checked and at what hangs on the CPU; "
                        "a hypervisor below this one may check more";
    }
    if (dump->vmx && failed && !why && judge->said == HVCTL_FAILURE_MSR_LOADING)
        list[count++] = dump->msrs ? "WRMSR of this value would fault; no rule of ours says why"
                                   : "the entry of the MSR-load area is not in the text: print its MSR and value";
    if (dump->vmx && failed && !why && judge->said <= HVCTL_FAILURE_VMFAIL_HOST && dump->format != DUMP_QEMU)
        list[count++] = "no rule that could be checked explains it: give the CPU's capabilities with --caps or --cpu";
    if (dump->svm && failed && !why)
        list[count++] = "no rule that could be checked explains it: what is left is the VMSA, the maps' contents, and VM_HSAVE_PA";
    if (dump->effective_efer)
        list[count++] = "an EFER marked effective, autoload or MSR is not the VMCS's field";
    for (i = 0; i < count; i++)
        if (i == number)
            return list[i];
    return NULL;
}

/* ---- text ---- */

static void text_outcomes(const struct judge *judge, enum outcome_kind kind, unsigned fit, const char *head,
                          const struct hvpt_text *out)
{
    unsigned r;
    bool begun = false;

    for (r = 0; r < judge->rules; r++) {
        const struct outcome *outcome = &judge->outcome[r];

        if (outcome->kind != kind || (unsigned)outcome->fit != fit)
            continue;
        if (!begun) {
            hvpt_text_string(out, "  ");
            hvpt_text_string(out, head);
            hvpt_text_string(out, "\n");
        }
        begun = true;
        hvpt_text_string(out, "    ");
        say_finding(outcome, out);
        if (kind == OUTCOME_SOME) {
            hvpt_text_string(out, ": ");
            say_cpus(judge, outcome, out);
        }
        hvpt_text_string(out, ": ");
        hvpt_text_string(out, hvctl_failure_text(outcome->failure));
        hvpt_text_string(out, outcome->failure == HVCTL_FAILURE_VMEXIT_INVALID || outcome->failure == HVCTL_FAILURE_UNSPECIFIED
                                  ? "; APM vol. 2, "
                                  : "; SDM vol. 3, ");
        hvpt_text_string(out, outcome->section);
        hvpt_text_string(out, "\n");
    }
}

static void text_cpu(const struct judge *judge, const struct hvpt_text *out)
{
    struct hvpt_text_list list = {out, ", ", false};
    unsigned i, models = judge->cpus;

    hvpt_text_string(out, "  CPU: ");
    if (judge->given) {
        for (i = 0; i < judge->cpus; i++)
            hvpt_text_item(&list, judge->cpu[i]);
        hvpt_text_string(out, "\n");
        return;
    }
    hvpt_text_string(out, "guessed from the dump: ");
    hvpt_text_decimal(out, judge->fits);
    hvpt_text_string(out, " of ");
    hvpt_text_decimal(out, models);
    hvpt_text_string(out, " models fit");
    if (judge->fits <= 6) {
        hvpt_text_string(out, " (");
        for (i = 0; i < judge->cpus; i++)
            if (judge->fit >> i & 1u)
                hvpt_text_item(&list, judge->cpu[i]);
        hvpt_text_string(out, ")");
    }
    hvpt_text_string(out, "; --caps or --cpu makes it certain\n");
}

static void text_controls(const struct dump *dump, const struct hvpt_text *out)
{
    unsigned group, known = 0;
    uint64_t word;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        known += hvctl_vmcs_set_has(&dump->image.known, hvctl_vmx_group_slot(group));
    hvpt_text_string(out, "  controls:");
    if (!known) {
        hvpt_text_string(out, " not in the text\n");
        return;
    }
    hvpt_text_string(out, "\n");
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        struct hvpt_text_list list = {out, ", ", false};

        if (!control_word(dump, group, &word) || (!word && hvctl_vmx_group_switch((enum hvctl_vmx_group)group) != HVCTL_ALWAYS))
            continue;
        hvpt_text_string(out, "    ");
        hvpt_text_string(out, group_names[group]);
        hvpt_text_string(out, ": ");
        control_names(group, word, &list);
        hvpt_text_item_if(&list, !list.begun, "none");
        hvpt_text_string(out, "\n");
    }
}

static void text_msrs(const struct dump *dump, const struct hvpt_text *out)
{
    unsigned i, kept = dump->msrs < DUMP_MSRS ? dump->msrs : DUMP_MSRS;

    for (i = 0; i < kept; i++) {
        hvpt_text_string(out, "  MSR-load entry ");
        hvpt_text_decimal(out, dump->msr[i].number);
        hvpt_text_string(out, ": MSR ");
        hvpt_text_hex(out, dump->msr[i].index);
        hvpt_text_string(out, " = ");
        hvpt_text_hex(out, dump->msr[i].value);
        hvpt_text_string(out, "\n");
    }
}

static void text_dump(const struct core_request *request, const struct clean *clean, const struct judge *judge,
                      const struct dump *dump, const struct hvpt_text *out)
{
    struct hvpt_text_list open = {out, ", ", false};
    unsigned line, column, i, r;
    const char *words;

    line_and_column(request, dump->begin < clean->length ? clean->from[dump->begin] : 0, &line, &column);
    hvpt_text_string(out, "dump ");
    hvpt_text_decimal(out, dump->number);
    hvpt_text_string(out, " (");
    hvpt_text_string(out, format_name(dump));
    hvpt_text_string(out, "; ");
    hvpt_text_decimal(out, dump->fields);
    hvpt_text_string(out, dump->fields == 1 ? " value), line " : " values), line ");
    hvpt_text_decimal(out, line);
    hvpt_text_string(out, "\n  ");
    say(judge, dump, out);
    hvpt_text_string(out, "\n");
    if (judge->shifted)
        hvpt_text_string(out, "  these values look shifted, misread or cut: see whether the text is whole before you believe the rest\n");
    if (dump->vmx) {
        text_controls(dump, out);
        hvpt_text_string(out, "  guest: ");
        say_guest(dump, out);
        hvpt_text_string(out, "\n");
    }
    text_msrs(dump, out);
    if (judge->broken == 0)
        hvpt_text_string(out, "  broken: nothing that the text shows\n");
    text_outcomes(judge, OUTCOME_BROKEN, HVCTL_VMX_FIT_EXACTLY, "broken, and this is why:", out);
    text_outcomes(judge, OUTCOME_BROKEN, HVCTL_VMX_FIT_FAILURE, "broken, with the same failure and another qualification:", out);
    text_outcomes(judge, OUTCOME_BROKEN, HVCTL_VMX_FIT_NOT, judge->said == HVCTL_FAILURE_NONE ? "broken:" : "besides, broken:", out);
    text_outcomes(judge, OUTCOME_SOME, HVCTL_VMX_FIT_EXACTLY, "broken on some CPUs that fit, and may be why:", out);
    text_outcomes(judge, OUTCOME_SOME, HVCTL_VMX_FIT_FAILURE, "broken on some CPUs that fit, with another qualification:", out);
    text_outcomes(judge, OUTCOME_SOME, HVCTL_VMX_FIT_NOT, "besides, broken on some CPUs that fit:", out);
    if (dump->vmx && judge->passed_host)
        hvpt_text_string(out, judge->passed_guest ? "  passed on the way: controls, host state, guest state\n"
                                                  : "  passed on the way: controls, host state (the failure came after them)\n");
    for (i = 0; next_topic(judge, dump, &i, &words);) {
        if (!open.begun)
            hvpt_text_string(out, "  not checked, not in the text: ");
        hvpt_text_item(&open, words);
    }
    if (open.begun)
        hvpt_text_string(out, "\n");
    if (dump->vmx)
        text_cpu(judge, out);
    for (i = 0; (words = hint(judge, dump, i)) != NULL; i++) {
        hvpt_text_string(out, "  hint: ");
        hvpt_text_string(out, words);
        hvpt_text_string(out, "\n");
    }
    for (r = 0; request->rules && r < judge->rules; r++) {
        static const char *const kinds[] = {"kept or idle", "broken", "broken on some CPUs", "not in the text", "needs memory"};

        hvpt_text_string(out, "  rule ");
        hvpt_text_string(out, judge->outcome[r].rule);
        hvpt_text_string(out, ": ");
        hvpt_text_string(out, kinds[judge->outcome[r].kind]);
        hvpt_text_string(out, "\n");
    }
}

/* ---- JSON ---- */

static void json_words(struct json *json, const char *key, void (*words)(const void *what, const struct hvpt_text *text),
                       const void *what)
{
    static char bytes[1024];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    words(what, &text);
    json_string(json, key, bytes);
}

struct both {
    const struct judge *judge;
    const struct dump *dump;
    const struct outcome *outcome;
};

static void words_say(const void *what, const struct hvpt_text *text)
{
    const struct both *both = (const struct both *)what;

    say(both->judge, both->dump, text);
}

static void words_guest(const void *what, const struct hvpt_text *text)
{
    say_guest(((const struct both *)what)->dump, text);
}

static void words_finding(const void *what, const struct hvpt_text *text)
{
    say_finding(((const struct both *)what)->outcome, text);
}

static void words_cpus(const void *what, const struct hvpt_text *text)
{
    const struct both *both = (const struct both *)what;

    say_cpus(both->judge, both->outcome, text);
}

static void json_place(struct json *json, const struct core_request *request, const struct dump_place *place)
{
    unsigned line, column;

    if (!place->length) {
        json_string(json, "place", NULL);
        return;
    }
    line_and_column(request, place->at, &line, &column);
    json_open(json, "place", "{");
    json_number(json, "at", place->at);
    json_number(json, "length", place->length);
    json_number(json, "line", line);
    json_number(json, "column", column);
    json_close(json, "}");
}

static void json_outcomes(struct json *json, const char *key, const struct core_request *request, const struct judge *judge,
                          const struct dump *dump, enum outcome_kind kind)
{
    static const char *const fits[] = {"besides", "other qualification", "why"};
    unsigned r, i, fit;

    json_open(json, key, "[");
    for (fit = 3; fit-- > 0;)
        for (r = 0; r < judge->rules; r++) {
            const struct outcome *outcome = &judge->outcome[r];
            struct both both = {judge, dump, outcome};

            if (outcome->kind != kind || (unsigned)outcome->fit != fit)
                continue;
            json_open(json, NULL, "{");
            json_string(json, "rule", outcome->rule);
            json_string(json, "field", outcome->finding.field);
            json_hex(json, "value", outcome->finding.actual);
            json_words(json, "text", words_finding, &both);
            json_string(json, "because", outcome->finding.because);
            json_string(json, "failure", hvctl_failure_text(outcome->failure));
            json_string(json, "section", outcome->section);
            json_string(json, "fits", fits[fit]);
            if (kind == OUTCOME_SOME) {
                json_words(json, "only", words_cpus, &both);
                json_open(json, "cpus", "[");
                for (i = 0; i < judge->cpus; i++)
                    if (outcome->cpus >> i & 1u)
                        json_string(json, NULL, judge->cpu[i]);
                json_close(json, "]");
            }
            json_place(json, request, &outcome->place);
            json_close(json, "}");
        }
    json_close(json, "]");
}

static void json_controls(struct json *json, const struct dump *dump)
{
    unsigned group, bit;
    uint64_t word;

    json_open(json, "controls", "{");
    for (group = 0; group < HVCTL_GROUP_COUNT; group++) {
        if (!control_word(dump, group, &word))
            continue;
        json_open(json, group_names[group], "[");
        for (bit = 0; bit < 64; bit++) {
            const char *name = control_name(group, bit);

            if (!(word >> bit & 1u))
                continue;
            if (name)
                json_string(json, NULL, name);
            else
                json_number(json, NULL, bit);
        }
        json_close(json, "]");
    }
    json_close(json, "}");
}

static void json_dump(struct json *json, const struct core_request *request, const struct clean *clean,
                      const struct judge *judge, const struct dump *dump)
{
    static const char *const failures[] = {NULL, "exit reason", "VM-instruction error", "EXITCODE"};
    struct both both = {judge, dump, NULL};
    const char *words;
    unsigned line, column, i;

    json_open(json, NULL, "{");
    json_number(json, "number", dump->number);
    json_string(json, "format", format_name(dump));
    line_and_column(request, dump->begin < clean->length ? clean->from[dump->begin] : 0, &line, &column);
    json_number(json, "line", line);
    json_number(json, "values", dump->fields);
    json_words(json, "happened", words_say, &both);
    if (dump->failure == DUMP_SAYS_NOTHING) {
        json_string(json, "code", NULL);
    } else {
        json_open(json, "code", "{");
        json_string(json, "kind", failures[dump->failure]);
        json_hex(json, "value", dump->code);
        if (dump->qualified)
            json_hex(json, "qualification", dump->qualification);
        json_place(json, request, &dump->code_place);
        json_close(json, "}");
    }
    if (dump->vmx) {
        json_controls(json, dump);
        json_words(json, "guest", words_guest, &both);
    }
    json_open(json, "fields", "{");
    for (i = 0; i < (unsigned)HVCTL_VMCS_SLOT_COUNT && !dump->svm; i++)
        if (hvctl_vmcs_set_has(&dump->image.known, i))
            json_hex(json, hvctl_vmcs_slot_info(i)->name, dump->image.value[i]);
    json_close(json, "}");
    json_outcomes(json, "broken", request, judge, dump, OUTCOME_BROKEN);
    json_outcomes(json, "some", request, judge, dump, OUTCOME_SOME);
    json_open(json, "not_checked", "[");
    for (i = 0; next_topic(judge, dump, &i, &words);)
        json_string(json, NULL, words);
    json_close(json, "]");
    json_open(json, "cpu", "{");
    json_bool(json, "given", judge->given);
    json_open(json, "fit", "[");
    for (i = 0; i < judge->cpus; i++)
        if (judge->fit >> i & 1u)
            json_string(json, NULL, judge->cpu[i]);
    json_close(json, "]");
    json_number(json, "models", judge->cpus);
    json_close(json, "}");
    json_open(json, "hints", "[");
    for (i = 0; (words = hint(judge, dump, i)) != NULL; i++)
        json_string(json, NULL, words);
    json_close(json, "]");
    json_close(json, "}");
}

enum core_status core_vmcs(const struct core_request *request, const struct hvpt_text *out, struct core_error *error)
{
    static struct dump dump;
    static struct judge judge;
    struct clean clean;
    struct reader reader;
    struct json json = {out, false};
    unsigned shown = 0, further = 0;
    bool broken = false;

    if (!clean_text(&clean, request->bytes, request->length))
        return core_fail(error, 0, 0, "no memory");
    if (request->caps && !judge_read_caps(request->caps, request->caps_length, &judge.caps[0]))
        return core_fail(error, 0, 0, "--caps: the text has not all of the MSRs 480H to 489H");
    if (request->cpu) {
        unsigned i;
        bool found = false;

        for (i = 0; hvctl_vmx_model_at(i); i++)
            found = found || judge_is_model(hvctl_vmx_model_at(i)->name, request->cpu);
        if (!found)
            return core_fail(error, 0, 0, "--cpu: no model with this name; try --cpu list");
    }
    reader_begin(&reader, &clean);
    if (request->json) {
        json_open(&json, NULL, "{");
        json_open(&json, "dumps", "[");
    }
    while (reader_next(&reader, &dump)) {
        if (request->only && dump.number != request->only)
            continue;
        if (shown == DUMPS_MOST) {
            further++;
            continue;
        }
        judge_dump(&judge, request, &clean, &dump);
        broken = broken || judge.broken != 0;
        if (request->json) {
            json_dump(&json, request, &clean, &judge, &dump);
        } else {
            hvpt_text_string_if(out, shown > 0, "\n");
            text_dump(request, &clean, &judge, &dump, out);
        }
        shown++;
    }
    if (request->json) {
        json_close(&json, "]");
        json_number(&json, "further", further);
        json_bool(&json, "broken", broken);
        json_close(&json, "}");
        hvpt_text_string(out, "\n");
    } else if (further) {
        hvpt_text_string(out, "\n");
        hvpt_text_decimal(out, further);
        hvpt_text_string(out, " more dumps are in the text; --only N shows one\n");
    }
    if (shown)
        return broken ? CORE_BROKEN : CORE_SOUND;
    if (request->only && reader.count)
        return core_fail(error, 0, 0, "no dump with this number in the text");
    if (reader.dump_switched_off)
        return core_fail(error, 0, 0, "no dump in the text: KVM prints one only with kvm_intel.dump_invalid_vmcs=1");
    if (reader.amd_switched_off)
        return core_fail(error, 0, 0, "no dump in the text: KVM prints one only with kvm_amd.dump_invalid_vmcb=1");
    return core_fail(error, 0, 0, "no dump in the text");
}
