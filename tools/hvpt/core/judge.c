/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every rule on every CPU that a dump may be from.
 */
#include "judge.h"

#include <hvctl/svm/exit.h>

bool judge_is_model(const char *name, const char *part)
{
    size_t i, k;

    for (i = 0; name[i]; i++) {
        for (k = 0; part[k]; k++) {
            char a = name[i + k], b = part[k];

            if (a >= 'A' && a <= 'Z')
                a = (char)(a + 32);
            if (b >= 'A' && b <= 'Z')
                b = (char)(b + 32);
            if (b == '_' || b == '-')
                b = ' ';
            if (a == '-')
                a = ' ';
            if (!name[i + k] || a != b)
                break;
        }
        if (!part[k])
            return true;
    }
    return false;
}

/* ---- capabilities from a text ---- */

struct caps_reader {
    uint64_t value[0x20]; /* of MSR 480H and up */
    uint32_t have;
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t caps_word(const char *at, const char *end, const char *word)
{
    size_t i;

    for (i = 0; word[i]; i++)
        if (at + i >= end || at[i] != word[i])
            return 0;
    return i;
}

/* The value behind a name or number: [blanks and signs] 0x... or groups of four digits. */
static bool caps_value(const char *at, const char *end, uint64_t *value)
{
    unsigned digits = 0;

    while (at < end && (*at == ' ' || *at == '=' || *at == ':' || *at == '\t' || *at == ']' || *at == ')'))
        at++;
    if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
        at += 2;
    *value = 0;
    for (; at < end && (hex(*at) >= 0 || ((*at == '-' || *at == '`' || *at == '_') && digits)) && digits < 17; at++)
        if (hex(*at) >= 0) {
            *value = *value << 4 | (unsigned)hex(*at);
            digits++;
        }
    return digits > 0 && digits <= 16;
}

bool judge_read_caps(const char *bytes, size_t length, struct hvctl_vmx_caps *caps)
{
    static const struct {
        const char *name;
        unsigned msr;
    } names[] = {
        {"VMX_BASIC", 0x480}, {"VMX_TRUE_PINBASED_CTLS", 0x48d}, {"VMX_TRUE_PROCBASED_CTLS", 0x48e},
        {"VMX_TRUE_EXIT_CTLS", 0x48f}, {"VMX_TRUE_ENTRY_CTLS", 0x490}, {"VMX_PINBASED_CTLS", 0x481},
        {"VMX_PROCBASED_CTLS2", 0x48b}, {"VMX_PROCBASED_CTLS3", 0x492}, {"VMX_PROCBASED_CTLS", 0x482},
        {"VMX_EXIT_CTLS2", 0x493}, {"VMX_EXIT_CTLS", 0x483}, {"VMX_ENTRY_CTLS", 0x484}, {"VMX_MISC", 0x485},
        {"VMX_CR0_FIXED0", 0x486}, {"VMX_CR0_FIXED1", 0x487}, {"VMX_CR4_FIXED0", 0x488}, {"VMX_CR4_FIXED1", 0x489},
        {"VMX_VMCS_ENUM", 0x48a}, {"VMX_EPT_VPID_CAP", 0x48c}, {"VMX_VMFUNC", 0x491},
    };
    static const struct hvctl_vmx_caps none;
    struct caps_reader reader = {{0}, 0};
    const char *at = bytes, *end = bytes + length;
    size_t i;

    while (at < end) {
        const char *stop = at;

        while (stop < end && *stop != '\n')
            stop++;
        for (; at < stop; at++) {
            unsigned msr = 0;
            const char *behind = at;
            uint64_t value;

            if (*at == 'V') {
                for (i = 0; i < sizeof(names) / sizeof(names[0]) && !msr; i++) {
                    size_t used = caps_word(at, stop, names[i].name);

                    if (used && (at + used == stop || (hex(at[used]) < 0 && at[used] != '_'))) {
                        msr = names[i].msr;
                        behind = at + used;
                    }
                }
            } else if (*at == '4' && stop - at > 3 && (at[1] == '8' || at[1] == '9') && hex(at[2]) >= 0 && hex(at[3]) < 0
                       && (at == bytes || at[-1] == '0' || at[-1] == 'x' || at[-1] == ' ' || at[-1] == '\n' || at[-1] == '(')) {
                msr = 0x400u + (unsigned)hex(at[1]) * 16u + (unsigned)hex(at[2]);
                behind = at + 3;
            }
            if (msr >= 0x480 && msr < 0x4a0 && caps_value(behind, stop, &value)) {
                if (!(reader.have >> (msr - 0x480) & 1u))
                    reader.value[msr - 0x480] = value;
                reader.have |= 1u << (msr - 0x480);
                break;
            }
        }
        at = stop < end ? stop + 1 : end;
    }
    /* BASIC, the four control MSRs, MISC and the fixed bits are on every CPU */
    if ((reader.have & 0x3ff) != 0x3ff)
        return false;
    *caps = none;
    caps->basic = reader.value[0];
    caps->pin = reader.value[1];
    caps->primary = reader.value[2];
    caps->exit = reader.value[3];
    caps->entry = reader.value[4];
    caps->misc = reader.value[5];
    caps->cr0_fixed0 = reader.value[6];
    caps->cr0_fixed1 = reader.value[7];
    caps->cr4_fixed0 = reader.value[8];
    caps->cr4_fixed1 = reader.value[9];
    caps->vmcs_enum = reader.value[0xa];
    caps->secondary = reader.value[0xb];
    caps->ept_vpid_cap = reader.value[0xc];
    caps->true_pin = reader.value[0xd];
    caps->true_primary = reader.value[0xe];
    caps->true_exit = reader.value[0xf];
    caps->true_entry = reader.value[0x10];
    caps->vmfunc = reader.value[0x11];
    caps->tertiary = reader.value[0x12];
    caps->exit2 = reader.value[0x13];
    if ((reader.have >> 0xd & 0xfu) != 0xfu)
        caps->basic &= ~HVCTL_VMX_BASIC_TRUE_CONTROLS;
    /* What the text leaves out is let pass. */
    if (!(reader.have >> 0xb & 1u) && hvctl_vmx_can(caps, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS))
        caps->secondary = UINT64_C(0xffffffff00000000);
    if (!(reader.have >> 0xc & 1u))
        caps->ept_vpid_cap = ~UINT64_C(0);
    if (!(reader.have >> 0x12 & 1u) && hvctl_vmx_can(caps, HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS))
        caps->tertiary = hvctl_vmx_named(HVCTL_GROUP_TERTIARY);
    if (!(reader.have >> 0x13 & 1u) && hvctl_vmx_can(caps, HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS))
        caps->exit2 = hvctl_vmx_named(HVCTL_GROUP_EXIT2);
    if (!(reader.have >> 0x11 & 1u) && hvctl_vmx_can(caps, HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS))
        caps->vmfunc = 1;
    caps->cpu.maxphyaddr = 52;
    caps->cpu.fred = (caps->cr4_fixed1 & HVCTL_CR4_FRED) != 0;
    return true;
}

/* ---- which CPUs ---- */

static void choose_cpus(struct judge *judge, const struct core_request *request, const struct clean *text,
                        const struct dump *dump)
{
    const struct hvctl_vmx_model *model;
    unsigned i;

    judge->cpus = 0;
    judge->given = false;
    if ((request->caps && judge_read_caps(request->caps, request->caps_length, &judge->caps[0]))
        || (!request->cpu && judge_read_caps(text->bytes, text->length, &judge->caps[0]))) {
        static const struct hvctl_vmx_cpu_facts none;

        judge->cpu[0] = request->caps ? "the given capabilities" : "the capabilities in the log";
        judge->facts[0] = none;
        judge->cpus = 1;
        judge->given = true;
        return;
    }
    for (i = 0; (model = hvctl_vmx_model_at(i)) != NULL && judge->cpus < JUDGE_CPUS; i++) {
        if (request->cpu && !judge_is_model(model->name, request->cpu))
            continue;
        judge->cpu[judge->cpus] = model->name;
        hvctl_vmx_model_caps(model, &judge->caps[judge->cpus]);
        hvctl_vmx_model_facts(model, &judge->facts[judge->cpus]);
        judge->cpus++;
    }
    judge->given = request->cpu && judge->cpus > 0;
    /* The log may say which CPU it is: the signature without its stepping. */
    for (i = 0; !judge->given && dump->signature && (model = hvctl_vmx_model_at(i)) != NULL; i++)
        if (model->signature >> 4 == dump->signature >> 4) {
            judge->cpu[0] = model->name;
            hvctl_vmx_model_caps(model, &judge->caps[0]);
            hvctl_vmx_model_facts(model, &judge->facts[0]);
            judge->cpus = 1;
            judge->given = true;
        }
}

/* ---- memory: the entries of the MSR-load area that the text has ---- */

#define MADE_UP_AREA UINT64_C(0x1000)

static bool read_msrs(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    const struct dump *dump = (const struct dump *)ctx;
    unsigned i, kept = dump->msrs < DUMP_MSRS ? dump->msrs : DUMP_MSRS;
    size_t k;

    for (i = 0; i < kept; i++) {
        uint64_t at = MADE_UP_AREA + 16 * (uint64_t)(dump->msr[i].number - 1);
        uint64_t word;

        if (physical != at && physical != at + 8)
            continue;
        word = physical == at ? dump->msr[i].index | (uint64_t)dump->msr[i].reserved << 32 : dump->msr[i].value;
        for (k = 0; k < size && k < 8; k++)
            ((uint8_t *)bytes)[k] = (uint8_t)(word >> (8 * k));
        return true;
    }
    return false;
}

static bool read_nothing(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    (void)ctx;
    (void)physical;
    (void)bytes;
    (void)size;
    return false;
}

/* ---- the rules ---- */

static bool same_name(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static struct dump_place place_of_field(const struct dump *dump, const char *field, unsigned judged)
{
    struct dump_place none = {0, 0};
    size_t length = 0;
    uint32_t encoding;

    while (field && field[length])
        length++;
    encoding = field ? hvctl_vmcs_field_by_name(field, length) : (uint32_t)HVCTL_VMCS_NO_FIELD;
    if (encoding != (uint32_t)HVCTL_VMCS_NO_FIELD)
        judged = (unsigned)hvctl_vmcs_slot(encoding);
    return hvctl_vmcs_set_has(&dump->image.known, judged) ? dump->place[judged] : none;
}

static unsigned bits_in(uint64_t set)
{
    unsigned count = 0;

    for (; set; set &= set - 1)
        count++;
    return count;
}

static enum outcome_kind kind_of(const struct judge *judge, const uint8_t *result)
{
    bool open = false, unchecked = false;
    unsigned i, broken = 0;

    for (i = 0; i < judge->cpus; i++) {
        if (!(judge->fit >> i & 1u))
            continue;
        broken += result[i] == HVCTL_RULE_BROKEN;
        open = open || result[i] == HVCTL_RULE_UNKNOWN;
        unchecked = unchecked || result[i] == HVCTL_RULE_UNCHECKED;
    }
    if (broken)
        return broken == judge->fits ? OUTCOME_BROKEN : OUTCOME_SOME;
    return open ? OUTCOME_OPEN : unchecked ? OUTCOME_UNCHECKED : OUTCOME_QUIET;
}

/* Is a rule broken on every CPU that leads to just what was reported? */
static bool explained_anyway(const struct judge *judge, const struct dump *dump,
                             uint8_t result[JUDGE_RULES][JUDGE_CPUS], struct hvctl_finding finding[JUDGE_RULES][JUDGE_CPUS])
{
    unsigned i, r;

    for (r = 0; r < judge->rules && judge->said != HVCTL_FAILURE_NONE; r++) {
        const struct hvctl_finding *first = &finding[r][0];

        for (i = 0; i < judge->cpus && result[r][i] == HVCTL_RULE_BROKEN; i++)
            continue;
        if (i == judge->cpus
            && hvctl_vmx_fit_of(judge->outcome[r].failure, first->qualification, judge->said,
                                dump->qualified ? dump->qualification : first->qualification)
                   == HVCTL_VMX_FIT_EXACTLY)
            return true;
    }
    return false;
}

/*
 * Drop the CPUs that the dump disproves. A CPU on which a check breaks that evidently came to a good end is not the one,
 * nor is one with more broken than another where what was reported is explained without. If neither is known, one on which
 * two more rules break than on another is none, for one wrong setting breaks a rule, and a wrong CPU many.
 */
static void drop_cpus(struct judge *judge, const struct dump *dump, uint8_t result[JUDGE_RULES][JUDGE_CPUS],
                      struct hvctl_finding finding[JUDGE_RULES][JUDGE_CPUS])
{
    unsigned i, r, most = judge->cpus - 1, breaks[JUDGE_CPUS];
    bool evidence = judge->passed_host || judge->passed_guest;
    bool anyway = explained_anyway(judge, dump, result, finding);

    judge->fit = judge->cpus >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << judge->cpus) - 1;
    for (i = 0; i < judge->cpus; i++)
        breaks[i] = 0;
    for (r = 0; !judge->given && r < judge->rules; r++) {
        enum hvctl_failure failure = judge->outcome[r].failure;
        bool passed = failure <= HVCTL_FAILURE_VMFAIL_HOST   ? judge->passed_host
                    : failure == HVCTL_FAILURE_MSR_LOADING ? judge->passed_guest && judge->said == HVCTL_FAILURE_NONE
                                                           : judge->passed_guest;

        if (result[r][most] == HVCTL_RULE_BROKEN || (evidence && !anyway && !passed))
            continue;
        for (i = 0; i < judge->cpus; i++)
            breaks[i] += result[r][i] == HVCTL_RULE_BROKEN;
    }
    for (i = 0; i < judge->cpus; i++)
        if (breaks[i] > (evidence || anyway ? 0u : 1u))
            judge->fit &= ~(UINT64_C(1) << i);
    judge->fits = bits_in(judge->fit);
}

static void count_outcomes(struct judge *judge)
{
    unsigned sections = 0, r, k;

    judge->broken = judge->some = 0;
    for (r = 0; r < judge->rules; r++) {
        judge->broken += judge->outcome[r].kind == OUTCOME_BROKEN;
        judge->some += judge->outcome[r].kind == OUTCOME_SOME;
        if (judge->outcome[r].kind != OUTCOME_BROKEN)
            continue;
        for (k = 0; k < r; k++)
            if (judge->outcome[k].kind == OUTCOME_BROKEN && same_name(judge->outcome[k].section, judge->outcome[r].section))
                break;
        sections += k == r;
    }
    judge->shifted = judge->broken > 8 && sections >= 3;
}

static bool any_known(const struct dump *dump, const struct hvctl_vmx_rule *rule)
{
    unsigned i;

    for (i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++)
        if (hvctl_vmcs_set_has(&dump->image.known, rule->slot[i]))
            return true;
    return false;
}

static void judge_vmx(struct judge *judge, const struct core_request *request, const struct clean *text, struct dump *dump)
{
    static uint8_t result[JUDGE_RULES][JUDGE_CPUS];
    static struct hvctl_finding finding[JUDGE_RULES][JUDGE_CPUS];
    static struct hvctl_vmcs_image work, with_msrs;
    struct hvctl_vmx_surroundings around = *hvctl_vmx_surroundings_usual();
    const struct hvctl_vmx_rule *rule;
    unsigned i, r;

    choose_cpus(judge, request, text, dump);
    judge->passed_host = judge->passed_guest = false;
    judge->said = HVCTL_FAILURE_NONE;
    if (dump->failure == DUMP_EXIT_REASON && !dump->nested_error) {
        judge->passed_host = true;
        judge->passed_guest = dump->code != UINT64_C(0x80000021);
        if (dump->code >> 31)
            judge->said = hvctl_vmx_failure_of((uint32_t)dump->code);
    } else if (dump->failure == DUMP_INSTRUCTION_ERROR) {
        judge->said = hvctl_vmx_failure_of((uint32_t)dump->code);
    }
    work = dump->image;
    with_msrs = dump->image;
    if (dump->msrs) {
        unsigned count = dump->msrs_whole ? dump->msrs : dump->msr[0].number;

        with_msrs.value[HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_ADDRESS] = MADE_UP_AREA;
        with_msrs.value[HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_COUNT] = count;
        hvctl_vmcs_set_add(&with_msrs.known, HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_ADDRESS);
        hvctl_vmcs_set_add(&with_msrs.known, HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_COUNT);
    }
    for (r = 0; r < JUDGE_RULES && (rule = hvctl_vmx_rule_at(r)) != NULL; r++) {
        struct outcome *outcome = &judge->outcome[r];
        bool msrs = rule->section == HVCTL_VMX_SECTION_MSRS;

        outcome->rule = rule->id;
        outcome->section = hvctl_vmx_section_title(rule->section);
        outcome->text = rule->text;
        outcome->failure = hvctl_vmx_section_failure(rule->section);
        outcome->when = rule->when;
        around.read = msrs ? read_msrs : read_nothing;
        around.ctx = dump;
        for (i = judge->cpus; i-- > 0;) {
            /* Where nothing that the rule looks at is in the text, one CPU is as good as another. */
            if (i + 1 < judge->cpus && result[r][i + 1] == HVCTL_RULE_UNKNOWN && !any_known(dump, rule)) {
                result[r][i] = HVCTL_RULE_UNKNOWN;
                continue;
            }
            around.cpu = judge->facts[i];
            result[r][i] = (uint8_t)hvctl_vmx_rule_ask_unknown(msrs ? &with_msrs : &work, &judge->caps[i], &around, rule,
                                                               &finding[r][i]);
        }
    }
    judge->rules = r;
    drop_cpus(judge, dump, result, finding);
    for (r = 0; r < judge->rules; r++) {
        struct outcome *outcome = &judge->outcome[r];
        bool first = true;

        outcome->kind = kind_of(judge, result[r]);
        outcome->cpus = 0;
        for (i = 0; i < judge->cpus; i++) {
            if (!(judge->fit >> i & 1u) || result[r][i] != HVCTL_RULE_BROKEN)
                continue;
            outcome->cpus |= UINT64_C(1) << i;
            if (first)
                outcome->finding = finding[r][i];
            else
                hvctl_vmx_finding_common(&outcome->finding, &finding[r][i]);
            first = false;
        }
        if (first)
            continue;
        outcome->place = place_of_field(dump, outcome->finding.field, hvctl_vmx_rule_at(r)->slot[0]);
        for (i = 0; outcome->failure == HVCTL_FAILURE_MSR_LOADING && i < dump->msrs && i < DUMP_MSRS; i++)
            if (dump->msr[i].number == outcome->finding.qualification)
                outcome->place = dump->msr[i].place;
        outcome->fit = judge->said == HVCTL_FAILURE_NONE
                         ? HVCTL_VMX_FIT_NOT
                         : hvctl_vmx_fit_of(outcome->failure, outcome->finding.qualification, judge->said,
                                            dump->qualified ? dump->qualification : outcome->finding.qualification);
    }
    count_outcomes(judge);
}

static void judge_svm(struct judge *judge, struct dump *dump)
{
    static const struct hvctl_svm_caps none;
    struct hvctl_svm_caps caps = none;
    struct hvctl_svm_surroundings around = *hvctl_svm_surroundings_usual();
    const struct hvctl_svm_rule *rule;
    static struct hvctl_vmcb work;
    unsigned r;

    /* Which CPU it is the text does not say: one that has everything. */
    caps.revision = 1;
    caps.asids = 0x8000;
    caps.edx = UINT32_C(0xffffffff);
    caps.sev_eax = UINT32_C(0xffffffff);
    caps.sev_asids = UINT32_C(0xffffffff);
    caps.cpu.maxphyaddr = 52;
    caps.cpu.linear_bits = 57;
    caps.cpu.long_mode = caps.cpu.nx = caps.cpu.svm = true;
    caps.cpu.cet_ss = caps.cpu.cet_ibt = true;
    around.read = read_nothing;
    around.sev_on = true; /* or the bits would not be set */
    if (hvctl_vmcb_known_has(&dump->known, (unsigned)offsetof(struct hvctl_vmcb, control.guest_sev_features), 8)) {
        around.sev_features_known = true;
        around.sev_features = dump->vmcb.control.guest_sev_features;
    }
    judge->cpus = judge->fits = 1;
    judge->fit = 1;
    judge->given = false;
    judge->cpu[0] = "any";
    judge->passed_host = judge->passed_guest = dump->failure == DUMP_EXITCODE && !hvctl_svm_exit_invalid(dump->code);
    judge->said = dump->failure == DUMP_EXITCODE && hvctl_svm_exit_invalid(dump->code) ? HVCTL_FAILURE_VMEXIT_INVALID
                                                                                       : HVCTL_FAILURE_NONE;
    work = dump->vmcb;
    for (r = 0; r < JUDGE_RULES && (rule = hvctl_svm_rule_at(r)) != NULL; r++) {
        struct outcome *outcome = &judge->outcome[r];
        enum hvctl_rule_result result = hvctl_svm_rule_ask_known(&work, &dump->known, &caps, &around, rule, &outcome->finding);

        outcome->rule = rule->id;
        outcome->section = rule->section;
        outcome->text = rule->text;
        outcome->failure = rule->failure;
        outcome->when = HVCTL_ALWAYS;
        outcome->cpus = result == HVCTL_RULE_BROKEN;
        outcome->kind = result == HVCTL_RULE_BROKEN    ? OUTCOME_BROKEN
                      : result == HVCTL_RULE_UNKNOWN   ? OUTCOME_OPEN
                      : result == HVCTL_RULE_UNCHECKED ? OUTCOME_UNCHECKED
                                                       : OUTCOME_QUIET;
        outcome->place.at = outcome->place.length = 0;
        if (rule->offset / 2 < sizeof(dump->vmcb_place) / sizeof(dump->vmcb_place[0]))
            outcome->place = dump->vmcb_place[rule->offset / 2];
        outcome->fit = judge->said != HVCTL_FAILURE_NONE && rule->failure == judge->said ? HVCTL_VMX_FIT_EXACTLY
                                                                                         : HVCTL_VMX_FIT_NOT;
    }
    judge->rules = r;
    count_outcomes(judge);
}

void judge_dump(struct judge *judge, const struct core_request *request, const struct clean *text, struct dump *dump)
{
    judge->rules = judge->broken = judge->some = 0;
    judge->cpus = judge->fits = 0;
    judge->shifted = false;
    if (dump->svm)
        judge_svm(judge, dump);
    else if (dump->vmx)
        judge_vmx(judge, request, text, dump);
}
