/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a CPU's capability MSRs and CPUID say about virtualization, in words. Read from "0x480 = 0x...",
 * "IA32_VMX_BASIC: ...", a VirtualBox log's lines, or the output of cpuid -r; a line a value, in any order.
 */
#include "report.h"
#include "words.h"

#include <hvctl/svm/caps.h>
#include <hvctl/vmx/solver.h>

/* ---- the MSRs by name ---- */

enum { CAPS_FIRST = 0x480, CAPS_MSRS = 0x493 - 0x480 + 1, CAPS_LEAVES = 128 };

static const char *const caps_names[CAPS_MSRS] = {
    "VMX_BASIC",           "VMX_PINBASED_CTLS",      "VMX_PROCBASED_CTLS",
    "VMX_EXIT_CTLS",       "VMX_ENTRY_CTLS",         "VMX_MISC",
    "VMX_CR0_FIXED0",      "VMX_CR0_FIXED1",         "VMX_CR4_FIXED0",
    "VMX_CR4_FIXED1",      "VMX_VMCS_ENUM",          "VMX_PROCBASED_CTLS2",
    "VMX_EPT_VPID_CAP",    "VMX_TRUE_PINBASED_CTLS", "VMX_TRUE_PROCBASED_CTLS",
    "VMX_TRUE_EXIT_CTLS",  "VMX_TRUE_ENTRY_CTLS",    "VMX_VMFUNC",
    "VMX_PROCBASED_CTLS3", "VMX_EXIT_CTLS2",
};

struct caps_leaf {
    uint32_t leaf, subleaf;
    struct hvctl_cpuid id;
};

/* All that was read. feature_control is MSR 3AH. */
struct caps_input {
    uint64_t msr[CAPS_MSRS];
    bool has_msr[CAPS_MSRS];
    uint64_t feature_control;
    bool has_feature_control;
    struct caps_leaf leaf[CAPS_LEAVES];
    unsigned leaves;
    unsigned others; /* MSRs that say nothing about virtualization, and lines that are no value */
    size_t other_at; /* the first of them */
    unsigned values;
};

/* ---- reading ---- */

static bool caps_begins(const struct words *words, struct word word, const char *prefix)
{
    size_t i;

    for (i = 0; prefix[i]; i++)
        if (i >= word.length || words_lower(words->request->bytes[word.at + i]) != words_lower(prefix[i]))
            return false;
    return true;
}

/* The number of the MSR with this name, with or without MSR_ and IA32_ before it; 0: none. */
static uint32_t caps_msr_named(const struct words *words, struct word word)
{
    static const char *const prefixes[] = {"HM_", "MSR_", "IA32_"};
    unsigned i;

    for (i = 0; i < 3; i++) {
        if (caps_begins(words, word, prefixes[i])) {
            const size_t length = i == 0 ? 3 : i == 1 ? 4 : 5;

            word.at += length;
            word.length -= length;
        }
    }
    for (i = 0; i < CAPS_MSRS; i++)
        if (words_is(words, word, caps_names[i]))
            return CAPS_FIRST + i;
    return words_is(words, word, "FEATURE_CONTROL") || words_is(words, word, "FEAT_CTL") ? HVCTL_MSR_FEATURE_CONTROL
                                                                                         : 0;
}

static void caps_take_msr(struct caps_input *input, uint64_t msr, uint64_t value, size_t at)
{
    if (msr == HVCTL_MSR_FEATURE_CONTROL) {
        input->feature_control = value;
        input->has_feature_control = true;
    } else if (msr >= CAPS_FIRST && msr < CAPS_FIRST + CAPS_MSRS) {
        input->msr[msr - CAPS_FIRST] = value;
        input->has_msr[msr - CAPS_FIRST] = true;
    } else {
        if (!input->others++)
            input->other_at = at;
        return;
    }
    input->values++;
}

/* "eax=0x.. ebx=0x.. ecx=0x.. edx=0x.." behind a leaf. */
static bool caps_take_leaf(struct caps_input *input, struct words *words, uint64_t leaf, uint64_t subleaf,
                           struct core_error *error)
{
    static const char *const names[4] = {"eax", "ebx", "ecx", "edx"};
    uint64_t value[4] = {0, 0, 0, 0};
    struct caps_leaf *row;
    unsigned i;

    for (i = 0; i < 4; i++) {
        const struct word word = words_next(words);
        struct word number;

        if (!words_is(words, word, names[i]))
            return core_fail_at(error, words->request, word.at, "eax, ebx, ecx and edx are expected, in this order"),
                   false;
        number = words_next(words);
        if (words_number_at(words, number, 16, &value[i]) != WORDS_NUMBER || value[i] >> 32)
            return core_fail_at(error, words->request, number.at, "a number of 32 bits is expected"), false;
    }
    if (input->leaves == CAPS_LEAVES || leaf >> 32 || subleaf >> 32)
        return true; /* none that matters here lies beyond */
    row = &input->leaf[input->leaves++];
    row->leaf = (uint32_t)leaf;
    row->subleaf = (uint32_t)subleaf;
    row->id.eax = (uint32_t)value[0];
    row->id.ebx = (uint32_t)value[1];
    row->id.ecx = (uint32_t)value[2];
    row->id.edx = (uint32_t)value[3];
    input->values++;
    return true;
}

/* The values of one line; several may stand on it. */
static bool caps_read_line(struct caps_input *input, struct words *words, struct core_error *error)
{
    struct words ahead = *words;
    struct word word;
    size_t start = words->at;

    /* Logs put a time and other words before a name. */
    for (word = words_next(&ahead); word.length; word = words_next(&ahead)) {
        if (caps_msr_named(words, word)) {
            start = word.at;
            break;
        }
    }
    words->at = start;
    for (;;) {
        uint64_t first, second;
        uint32_t msr;
        struct word value;

        word = words_next(words);
        if (!word.length || words->request->bytes[word.at] == '#')
            return true;
        if (words_is_one_of(words, word, "cpu msr")) {
            /* "CPU 0:" and "MSR 0x480: 0x..." */
            ahead = *words;
            value = words_next(&ahead);
            if (words_is(words, word, "cpu") && words_number(words, value, &first) == WORDS_NUMBER)
                *words = ahead;
            continue;
        }
        msr = caps_msr_named(words, word);
        if (!msr) {
            if (words_number_at(words, word, 16, &first) != WORDS_NUMBER) {
                if (!input->others++)
                    input->other_at = word.at;
                return true;
            }
            ahead = *words;
            value = words_next(&ahead);
            if (words_is(words, value, "eax")) {
                if (!caps_take_leaf(input, words, first, 0, error))
                    return false;
                continue;
            }
            if (words_number_at(words, value, 16, &second) == WORDS_NUMBER) {
                struct words behind = ahead;

                if (words_is(words, words_next(&behind), "eax")) {
                    *words = ahead;
                    if (!caps_take_leaf(input, words, first, second, error))
                        return false;
                    continue;
                }
            }
        }
        value = words_next(words);
        switch (words_number_at(words, value, 16, &second)) {
        case WORDS_NUMBER: caps_take_msr(input, msr ? msr : first, second, word.at); break;
        case WORDS_TOO_LARGE:
            return core_fail_at(error, words->request, value.at, "a number of more than 64 bits"), false;
        case WORDS_NO_NUMBER:
            return core_fail_at(error, words->request, value.at, "the MSR's value is expected"), false;
        }
    }
}

static bool caps_read(const struct core_request *request, struct caps_input *input, struct core_error *error)
{
    size_t begin, end, i;

    for (i = 0; i < sizeof(*input); i++)
        ((unsigned char *)input)[i] = 0;
    for (begin = 0; begin < request->length; begin = end + 1) {
        struct core_request line = *request;
        struct words words;

        for (end = begin; end < request->length && request->bytes[end] != '\n'; end++)
            continue;
        line.length = end;
        words.request = &line;
        words.at = begin;
        if (!caps_read_line(input, &words, error))
            return false;
    }
    if (input->values)
        return true;
    core_fail_at(error, request, input->other_at, "no capability MSR and no CPUID leaf is here");
    return false;
}

/* ---- words ---- */

static const char *const caps_sections = "SDM vol. 3, appendix \"VMX Capability Reporting Facility\"";

/* The names of a control word's bits; a bit without a name as a number. */
static void caps_controls(const struct hvpt_text *words, enum hvctl_vmx_group group, uint64_t bits)
{
    struct hvpt_text_list list = {words, ", ", false};
    unsigned bit;

    for (bit = 0; bit < 64; bit++) {
        const char *name = hvctl_vmx_control_name(hvctl_vmx_control_of((unsigned)group, bit));

        if (!(bits >> bit & 1))
            continue;
        if (name) {
            while (*name && *name != '_') /* the group, which the MSR's own name says */
                name++;
            hvpt_text_item(&list, name[0] == '_' ? name + 1 : name);
        } else {
            hvpt_text_item(&list, "bit ");
            hvpt_text_decimal(words, bit);
        }
    }
    hvpt_text_string_if(words, !list.begun, "none");
}

/* A control MSR with a half for what must be and one for what may be; true: a bit must be 1 and may not. */
static bool caps_split(struct report *report, const struct hvpt_text *words, enum hvctl_vmx_group group, uint64_t value)
{
    const uint64_t must = value & UINT32_C(0xffffffff), may = value >> 32;

    (void)report;
    hvpt_text_string(words, "may be 1: ");
    caps_controls(words, group, may & ~must);
    hvpt_text_string(words, "; must be 1: ");
    caps_controls(words, group, must);
    if (must & ~may) {
        hvpt_text_string(words, "; BROKEN, must be 1 and may not: ");
        caps_controls(words, group, must & ~may);
    }
    return (must & ~may) != 0;
}

/* A bit and its words. */
struct caps_bit {
    uint8_t bit;
    const char *name;
};

static void caps_bits(const struct hvpt_text *words, const struct caps_bit *bits, size_t count, uint64_t value)
{
    struct hvpt_text_list list = {words, ", ", false};
    uint64_t named = 0;
    size_t i;
    unsigned bit;

    for (i = 0; i < count; i++) {
        named |= UINT64_C(1) << bits[i].bit;
        hvpt_text_item_if(&list, (value >> bits[i].bit & 1) != 0, bits[i].name);
    }
    for (bit = 0; bit < 64; bit++) {
        if ((value & ~named) >> bit & 1) {
            hvpt_text_item(&list, "bit ");
            hvpt_text_decimal(words, bit);
        }
    }
    hvpt_text_string_if(words, !list.begun, "none");
}

#define CAPS_COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct caps_bit caps_ept_bits[] = {
    {0, "execute-only pages"},
    {6, "4 levels"},
    {7, "5 levels"},
    {8, "tables in UC memory"},
    {14, "tables in WB memory"},
    {16, "2-MByte pages"},
    {17, "1-GByte pages"},
    {20, "INVEPT"},
    {21, "accessed and dirty flags"},
    {22, "advanced information of EPT violations"},
    {23, "supervisor shadow stack"},
    {25, "INVEPT of a single context"},
    {26, "INVEPT of all contexts"},
    {32, "INVVPID"},
    {40, "INVVPID of an address"},
    {41, "INVVPID of a single context"},
    {42, "INVVPID of all contexts"},
    {43, "INVVPID of a single context but for global translations"},
};

static const struct caps_bit caps_cr0_bits[] = {
    {0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},  {4, "ET"},  {5, "NE"},
    {16, "WP"}, {18, "AM"}, {29, "NW"}, {30, "CD"}, {31, "PG"},
};

static const struct caps_bit caps_cr4_bits[] = {
    {0, "VME"},   {1, "PVI"},       {2, "TSD"},    {3, "DE"},          {4, "PSE"},   {5, "PAE"},      {6, "MCE"},
    {7, "PGE"},   {8, "PCE"},       {9, "OSFXSR"}, {10, "OSXMMEXCPT"}, {11, "UMIP"}, {12, "LA57"},    {13, "VMXE"},
    {14, "SMXE"}, {16, "FSGSBASE"}, {17, "PCIDE"}, {18, "OSXSAVE"},    {19, "KL"},   {20, "SMEP"},    {21, "SMAP"},
    {22, "PKE"},  {23, "CET"},      {24, "PKS"},   {25, "UINTR"},      {27, "LASS"}, {28, "LAM_SUP"}, {32, "FRED"},
};

static void caps_basic(const struct hvpt_text *words, uint64_t value)
{
    static const char *const types[] = {"UC", NULL, NULL, NULL, NULL, NULL, "WB"};
    const unsigned type = (unsigned)(value >> 50 & 15);

    hvpt_text_string(words, "VMCS revision ");
    hvpt_text_hex(words, value & 0x7fffffff);
    hvpt_text_string(words, ", region of ");
    hvpt_text_decimal(words, value >> 32 & 0x1fff);
    hvpt_text_string(words, " bytes, memory type ");
    hvpt_text_string(words, type <= 6 && types[type] ? types[type] : "reserved");
    hvpt_text_string_if(words, (value & HVCTL_VMX_BASIC_PHYSADDR_32BIT) != 0, ", addresses below 4 GiB only");
    hvpt_text_string_if(words, (value & HVCTL_VMX_BASIC_DUAL_MONITOR) != 0, ", dual-monitor treatment of SMM");
    hvpt_text_string_if(words, (value & HVCTL_VMX_BASIC_INS_OUTS_INFO) != 0,
                        ", instruction information for INS and OUTS");
    hvpt_text_string(words, value & HVCTL_VMX_BASIC_TRUE_CONTROLS ? ", TRUE control MSRs" : ", no TRUE control MSRs");
    hvpt_text_string_if(words, (value & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE) != 0,
                        ", any exception injected with or without error code");
    hvpt_text_string_if(words, (value & HVCTL_VMX_BASIC_NESTED_EXCEPTION) != 0, ", nested exceptions (FRED)");
}

static void caps_misc(const struct hvpt_text *words, uint64_t value)
{
    hvpt_text_string(words, "preemption timer counts bit ");
    hvpt_text_decimal(words, value & 31);
    hvpt_text_string(words, " of the TSC, ");
    hvpt_text_decimal(words, value >> 16 & 0x1ff);
    hvpt_text_string(words, " CR3-target values, MSR lists of up to ");
    hvpt_text_decimal(words, 512 * ((value >> 25 & 7) + 1));
    hvpt_text_string(words, ", activity states active");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_ACTIVITY_HLT) != 0, ", HLT");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_ACTIVITY_SHUTDOWN) != 0, ", shutdown");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_ACTIVITY_WAIT_FOR_SIPI) != 0, ", wait-for-SIPI");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_STORE_EFER_LMA) != 0, "; exits store EFER.LMA");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_PT_IN_VMX) != 0, "; processor trace in VMX operation");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_RDMSR_SMBASE_IN_SMM) != 0, "; RDMSR of SMBASE in SMM");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_SMM_MONITOR_CTL_BIT2) != 0, "; IA32_SMM_MONITOR_CTL[2]");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_VMWRITE_ANY_FIELD) != 0, "; VMWRITE to exit information");
    hvpt_text_string_if(words, (value & HVCTL_VMX_MISC_ZERO_LENGTH_INJECTION) != 0,
                        "; injection with instruction length 0");
}

/* A pair of fixed-bit MSRs: what must be 1 and what may be; only one of them: what it says alone. */
static bool caps_fixed(const struct hvpt_text *words, const struct caps_input *input, unsigned number)
{
    const unsigned pair = number & ~1u; /* FIXED0 */
    const bool cr4 = pair == 8;
    const uint64_t zero = input->msr[pair], one = input->msr[pair + 1];
    const struct caps_bit *bits = cr4 ? caps_cr4_bits : caps_cr0_bits;
    const size_t count = cr4 ? CAPS_COUNT(caps_cr4_bits) : CAPS_COUNT(caps_cr0_bits);
    const bool both = input->has_msr[pair] && input->has_msr[pair + 1];

    if (number == pair) {
        hvpt_text_string(words, "must be 1 in VMX operation: ");
        caps_bits(words, bits, count, zero);
        if (both && (zero & ~one)) {
            hvpt_text_string(words, "; BROKEN, must be 1 and may not: ");
            caps_bits(words, bits, count, zero & ~one);
            return true;
        }
    } else if (cr4) {
        hvpt_text_string(words, "may be 1 in VMX operation: ");
        caps_bits(words, bits, count, one);
    } else {
        hvpt_text_string(words, "must be 0 in VMX operation: ");
        caps_bits(words, bits, count, ~one & UINT32_C(0xffffffff));
    }
    return false;
}

static bool caps_msr_words(struct report *report, const struct hvpt_text *words, const struct caps_input *input,
                           unsigned number)
{
    static const uint8_t groups[CAPS_MSRS] = {
        [1] = HVCTL_GROUP_PIN + 1,      [2] = HVCTL_GROUP_PRIMARY + 1,    [3] = HVCTL_GROUP_EXIT + 1,
        [4] = HVCTL_GROUP_ENTRY + 1,    [11] = HVCTL_GROUP_SECONDARY + 1, [13] = HVCTL_GROUP_PIN + 1,
        [14] = HVCTL_GROUP_PRIMARY + 1, [15] = HVCTL_GROUP_EXIT + 1,      [16] = HVCTL_GROUP_ENTRY + 1,
    };
    const uint64_t value = input->msr[number];

    if (groups[number])
        return caps_split(report, words, (enum hvctl_vmx_group)(groups[number] - 1), value);
    switch (number) {
    case 0: caps_basic(words, value); break;
    case 5: caps_misc(words, value); break;
    case 6:
    case 7:
    case 8:
    case 9: return caps_fixed(words, input, number);
    case 10:
        hvpt_text_string(words, "highest field index ");
        hvpt_text_decimal(words, value >> 1 & 0x1ff);
        break;
    case 12: caps_bits(words, caps_ept_bits, CAPS_COUNT(caps_ept_bits), value); break;
    default:
        hvpt_text_string(words, "may be 1: ");
        caps_controls(words,
                      number == 17   ? HVCTL_GROUP_VMFUNC
                      : number == 18 ? HVCTL_GROUP_TERTIARY
                                     : HVCTL_GROUP_EXIT2,
                      value);
        break;
    }
    return false;
}

static struct hvctl_cpuid caps_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    const struct caps_input *input = (const struct caps_input *)ctx;
    const struct hvctl_cpuid none = {0, 0, 0, 0};
    unsigned i;

    for (i = 0; i < input->leaves; i++)
        if (input->leaf[i].leaf == leaf && input->leaf[i].subleaf == subleaf)
            return input->leaf[i].id;
    return none;
}

static bool caps_has_leaf(const struct caps_input *input, uint32_t leaf)
{
    unsigned i;

    for (i = 0; i < input->leaves; i++)
        if (input->leaf[i].leaf == leaf)
            return true;
    return false;
}

/* A CPUID leaf's line has EAX as its value; the words say the rest. */
static void caps_cpuid_words(struct report *report, struct caps_input *input)
{
    struct hvctl_cpu_features cpu;
    struct hvctl_svm_caps svm;
    struct hvpt_text words;
    unsigned feature;

    if (caps_has_leaf(input, 0) && caps_has_leaf(input, UINT32_C(0x80000000))) {
        struct hvpt_text_list list = {&words, ", ", false};

        hvctl_cpu_features_read(&cpu, caps_cpuid, input);
        words = report_words(report);
        if (caps_has_leaf(input, UINT32_C(0x80000008))) {
            hvpt_text_string(&words, "physical addresses of ");
            hvpt_text_decimal(&words, cpu.maxphyaddr);
            hvpt_text_string(&words, " bits, linear of ");
            hvpt_text_decimal(&words, cpu.linear_bits);
            hvpt_text_string(&words, "; ");
        }
        hvpt_text_item_if(&list, cpu.vmx, "VMX");
        hvpt_text_item_if(&list, cpu.svm, "SVM");
        hvpt_text_item_if(&list, cpu.long_mode, "long mode");
        hvpt_text_item_if(&list, cpu.nx, "NX");
        hvpt_text_item_if(&list, cpu.page1g, "1-GByte pages");
        hvpt_text_item_if(&list, cpu.la57, "5-level paging");
        hvpt_text_item_if(&list, cpu.pcid, "PCID");
        hvpt_text_item_if(&list, cpu.smep, "SMEP");
        hvpt_text_item_if(&list, cpu.smap, "SMAP");
        hvpt_text_item_if(&list, cpu.umip, "UMIP");
        hvpt_text_item_if(&list, cpu.pku, "PKU");
        hvpt_text_item_if(&list, cpu.pks, "PKS");
        hvpt_text_item_if(&list, cpu.cet_ss, "CET shadow stacks");
        hvpt_text_item_if(&list, cpu.cet_ibt, "CET indirect branch tracking");
        hvpt_text_item_if(&list, cpu.fred, "FRED");
        hvpt_text_item_if(&list, cpu.apx, "APX");
        hvpt_text_string_if(&words, !list.begun, "no feature that matters here");
        report_value(report, "CPUID 0H", caps_cpuid(input, 0, 0).eax);
    }
    if (!caps_has_leaf(input, UINT32_C(0x8000000a)))
        return;
    words = report_words(report);
    if (!caps_has_leaf(input, UINT32_C(0x80000000)) || !caps_has_leaf(input, UINT32_C(0x80000001))) {
        hvpt_text_string(&words, "leaves 80000000H and 80000001H, which say whether this one counts, are not here");
    } else if (hvctl_svm_caps_read(&svm, caps_cpuid, input) != HVCTL_OK) {
        hvpt_text_string(&words, "does not count: CPUID 80000001H ECX[2] is 0, there is no SVM");
    } else {
        struct hvpt_text_list list = {&words, ", ", false};

        hvpt_text_string(&words, "SVM revision ");
        hvpt_text_decimal(&words, svm.revision);
        hvpt_text_string(&words, ", ");
        hvpt_text_decimal(&words, svm.asids);
        hvpt_text_string(&words, " ASIDs; ");
        for (feature = 0; feature < 64; feature++) {
            const char *name = hvctl_svm_feature_name((enum hvctl_svm_feature)feature);

            hvpt_text_item_if(&list, name && hvctl_svm_can(&svm, (enum hvctl_svm_feature)feature), name);
        }
    }
    report_value(report, "CPUID 8000000AH", caps_cpuid(input, UINT32_C(0x8000000a), 0).eax);
    if (!caps_has_leaf(input, UINT32_C(0x8000001f)))
        return;
    {
        const struct hvctl_cpuid sev = caps_cpuid(input, UINT32_C(0x8000001f), 0);
        struct hvpt_text_list list = {&words, ", ", false};

        words = report_words(report);
        hvpt_text_item_if(&list, (sev.eax & 1) != 0, "SME");
        hvpt_text_item_if(&list, (sev.eax >> 1 & 1) != 0, "SEV");
        hvpt_text_item_if(&list, (sev.eax >> 3 & 1) != 0, "SEV-ES");
        hvpt_text_item_if(&list, (sev.eax >> 4 & 1) != 0, "SEV-SNP");
        hvpt_text_item_if(&list, (sev.eax >> 5 & 1) != 0, "VMPL");
        hvpt_text_string_if(&words, !list.begun, "no memory encryption");
        hvpt_text_string(&words, "; the C-bit is bit ");
        hvpt_text_decimal(&words, sev.ebx & 63);
        hvpt_text_string(&words, ", and addresses lose ");
        hvpt_text_decimal(&words, sev.ebx >> 6 & 63);
        hvpt_text_string(&words, " bits to it; ");
        hvpt_text_decimal(&words, sev.ecx);
        hvpt_text_string(&words, " encrypted guests, those without SEV-ES from ASID ");
        hvpt_text_decimal(&words, sev.edx);
        report_value(report, "CPUID 8000001FH", sev.eax);
    }
}

/* "IA32_VMX_BASIC (480H)". */
static const char *caps_title(unsigned number)
{
    static char title[48];
    struct hvpt_text_buffer buffer;
    const struct hvpt_text text = hvpt_text_into(&buffer, title, sizeof(title));
    const unsigned msr = CAPS_FIRST + number;
    const char digits[6] = {
        "0123456789ABCDEF"[msr >> 8], "0123456789ABCDEF"[msr >> 4 & 15], "0123456789ABCDEF"[msr & 15], 'H', ')', 0};

    hvpt_text_string(&text, "IA32_");
    hvpt_text_string(&text, caps_names[number]);
    hvpt_text_string(&text, " (");
    hvpt_text_string(&text, digits);
    return title;
}

enum core_status core_caps(const struct core_request *request, const struct hvpt_text *out, struct core_error *error)
{
    static struct caps_input input;
    static struct report report;
    struct hvpt_text words;
    bool broken = false, any = false;
    unsigned i;

    if (!caps_read(request, &input, error))
        return CORE_NOT_READABLE;
    report_begin(&report, out, request->json, "capabilities");
    words = report_words(&report);
    hvpt_text_string(&words, "capabilities: ");
    for (i = 0; i < CAPS_MSRS; i++)
        any = any || input.has_msr[i];
    hvpt_text_string(&words, any ? "VMX" : "");
    hvpt_text_string_if(&words, input.leaves != 0, any ? " and CPUID" : "CPUID");
    hvpt_text_string_if(&words, !any && !input.leaves, "IA32_FEATURE_CONTROL");
    report_summary(&report);
    report.words[0] = 0;
    if (input.has_feature_control) {
        words = report_words(&report);
        hvpt_text_string(&words,
                         input.feature_control & HVCTL_FEATURE_CONTROL_LOCK ? "locked" : "not locked: VMXON faults");
        hvpt_text_string(&words, input.feature_control & HVCTL_FEATURE_CONTROL_VMX_OUTSIDE_SMX
                                     ? "; VMX outside SMX"
                                     : "; no VMX outside SMX");
        hvpt_text_string(&words,
                         input.feature_control & HVCTL_FEATURE_CONTROL_VMX_IN_SMX ? "; VMX in SMX" : "; no VMX in SMX");
        report_value(&report, "IA32_FEATURE_CONTROL (3AH)", input.feature_control);
    }
    for (i = 0; i < CAPS_MSRS; i++) {
        if (!input.has_msr[i])
            continue;
        words = report_words(&report);
        broken = caps_msr_words(&report, &words, &input, i) || broken;
        report_value(&report, caps_title(i), input.msr[i]);
    }
    caps_cpuid_words(&report, &input);
    if (input.others) {
        words = report_words(&report);
        hvpt_text_decimal(&words, input.others);
        hvpt_text_string(&words, input.others == 1 ? " line or MSR says" : " lines or MSRs say");
        hvpt_text_string(&words, " nothing about virtualization");
        report_note(&report, report.words);
    }
    if (any)
        report_note(&report, caps_sections);
    if (caps_has_leaf(&input, UINT32_C(0x8000000a)))
        report_note(&report, "APM vol. 3, \"Function 8000_000Ah\"");
    return report_end(&report, broken);
}
