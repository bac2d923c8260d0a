/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any CPU at all, as its capability MSRs and CPUID say, asked for any controls. The solver ends; its words
 * are such that VM entry could take them, by rules written down here and not there; a refusal has a true reason.
 *
 * Input: a byte of choices, then numbers of 8 bytes: MSRs as they are read, CPUID, required and wanted words.
 */
#include "../unit/hvpt/support/check.h"

#include <hvctl/svm/caps.h>
#include <hvctl/vmx/guest.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static unsigned choices;

static uint64_t next(void)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8 && at < end; i++)
        value |= (uint64_t)*at++ << (8 * i);
    return value;
}

/*
 * A control MSR of a CPU that may exist: what must be 1 may be 1, and a TRUE MSR only lets more be 0. Bit 0 of the
 * choices: any number instead. SDM vol. 3, "VMX Capability Reporting Facility".
 */
static bool rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    static uint64_t plain[4];

    (void)ctx;
    *value = next();
    if (choices & 1)
        return (*value & 0xff) != 0xff;
    if (msr == 0x48b)
        *value |= *value << 32;
    if (msr >= 0x481 && msr <= 0x484)
        plain[msr - 0x481] = *value |= *value << 32;
    if (msr >= 0x48d && msr <= 0x490)
        *value = plain[msr - 0x48d] & (*value | ~UINT64_C(0) << 32);
    return true;
}

static struct hvctl_cpuid cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    uint64_t low = next(), high = next();
    struct hvctl_cpuid id = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};

    (void)ctx, (void)subleaf;
    if (leaf == 0)
        id.eax = 7 + (id.eax & 31);
    if (leaf == UINT32_C(0x80000000))
        id.eax = leaf + (id.eax & 63);
    return id;
}

/* SDM vol. 3, "Checks on VMX Controls": group and bit of a control, and of what it needs, or must not go with. */
enum { PIN, PRIMARY, SECONDARY, TERTIARY, EXIT, EXIT2, ENTRY, VMFUNC };
static const struct {
    uint8_t group, bit, other_group, other_bit, excludes;
} rules[] = {
    {PIN, 5, PIN, 3, 0},
    {PRIMARY, 22, PIN, 5, 0},
    {SECONDARY, 4, PRIMARY, 21, 0},
    {SECONDARY, 8, PRIMARY, 21, 0},
    {SECONDARY, 9, PRIMARY, 21, 0},
    {SECONDARY, 4, SECONDARY, 0, 1},
    {SECONDARY, 9, PIN, 0, 0},
    {PIN, 7, SECONDARY, 9, 0},
    {PIN, 7, EXIT, 15, 0},
    {SECONDARY, 17, SECONDARY, 1, 0},
    {SECONDARY, 7, SECONDARY, 1, 0},
    {SECONDARY, 22, SECONDARY, 1, 0},
    {SECONDARY, 23, SECONDARY, 1, 0},
    {SECONDARY, 24, SECONDARY, 1, 0},
    {VMFUNC, 0, SECONDARY, 1, 0},
    {EXIT, 22, PIN, 6, 0},
    {ENTRY, 10, ENTRY, 11, 1},
    {ENTRY, 9, EXIT, 9, 0},
    {TERTIARY, 1, SECONDARY, 1, 0},
    {TERTIARY, 2, SECONDARY, 1, 0},
    {TERTIARY, 3, SECONDARY, 1, 0},
    {TERTIARY, 4, PRIMARY, 21, 0},
};
/* The control that makes the CPU look at a word at all. */
static const struct {
    uint8_t group, other_group, other_bit;
} switches[] = {{SECONDARY, PRIMARY, 31}, {TERTIARY, PRIMARY, 17}, {EXIT2, EXIT, 31}, {VMFUNC, SECONDARY, 13}};

static bool has(const struct hvctl_vmx_controls *set, unsigned group, unsigned bit)
{
    return (set->word[group] >> bit & 1) != 0;
}

static void check_words(const struct hvctl_vmx_controls *words, const struct hvctl_vmx_caps *caps)
{
    const uint64_t controls[] = {caps->pin, caps->primary, caps->secondary, 0, caps->exit, 0, caps->entry, 0};
    const uint64_t true_controls[] = {
        caps->true_pin, caps->true_primary, caps->secondary, 0, caps->true_exit, 0, caps->true_entry, 0};
    bool has_true = (caps->basic >> 55 & 1) != 0;

    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++) {
        uint64_t msr = has_true ? true_controls[group] : controls[group], allowed1 = msr >> 32;

        if (group == TERTIARY || group == EXIT2 || group == VMFUNC)
            allowed1 = group == TERTIARY ? caps->tertiary : group == EXIT2 ? caps->exit2 : caps->vmfunc;
        else
            CHECK_EQ(~words->word[group] & msr & UINT32_C(0xffffffff), 0, "bits that must be 1");
        CHECK_EQ(words->word[group] & ~allowed1, 0, "bits that must be 0");
    }
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (has(words, rules[i].group, rules[i].bit))
            CHECK(has(words, rules[i].other_group, rules[i].other_bit) == !rules[i].excludes, "rule %u is broken", i);
    for (unsigned i = 0; i < 4; i++)
        CHECK(words->word[switches[i].group] == 0 || has(words, switches[i].other_group, switches[i].other_bit),
              "word %u is not switched on", switches[i].group);
}

static void check_refusal(const struct hvctl_vmx_solution *solution, const struct hvctl_vmx_caps *caps)
{
    unsigned count = solution->problem_count;

    CHECK(count > 0 || (choices & 1), "a refusal without a reason");
    for (unsigned i = 0; i < count && i < HVCTL_VMX_PROBLEMS_MAX; i++) {
        const struct hvctl_vmx_problem *problem = &solution->problems[i];
        struct hvpt_text_buffer buffer;
        char bytes[200];
        struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

        if (problem->obstacle == HVCTL_OBSTACLE_CPU)
            CHECK(!hvctl_vmx_can(caps, problem->control), "%s is there", hvctl_vmx_control_name(problem->control));
        else if (problem->obstacle == HVCTL_OBSTACLE_NEEDS)
            CHECK(!hvctl_vmx_can(caps, problem->other), "%s is there", hvctl_vmx_control_name(problem->other));
        else
            CHECK(hvctl_vmx_controls_has(&solution->controls, problem->control)
                      && hvctl_vmx_controls_has(&solution->controls, problem->other),
                  "an exclusion of what nobody wants");
        hvctl_vmx_problem_text(problem, &text);
        CHECK(buffer.needed > 0 && buffer.needed < sizeof(bytes) && strlen(bytes) == buffer.needed, "a problem's text");
    }
}

static void fuzz_image(const struct hvctl_vmx_controls *words, const struct hvctl_vmx_caps *caps)
{
    static struct hvctl_vmcs_image image;
    struct hvctl_guest_state state = hvctl_guest_long64(next(), next(), next()), seen;
    enum hvctl_status status;

    hvctl_vmcs_image_init(&image, caps);
    CHECK_EQ(hvctl_vmx_controls_write(&image, words), HVCTL_OK, "the words go into an image of this CPU");
    if (choices & 2)
        state = hvctl_guest_real_mode((uint32_t)next(), (uint16_t)next());
    else if (choices & 4)
        state = hvctl_guest_flat32((uint32_t)next(), (uint32_t)next());
    status = hvctl_vmx_guest_write(&image, caps, &state);
    if (status != HVCTL_OK) {
        CHECK(status == HVCTL_E_MODE || status == HVCTL_E_CONTROL, "guest state: \"%s\"", hvctl_status_text(status));
        return;
    }
    /* What the guest sees is what it was given, whatever VMX fixes; a CPU that fixes no bit the wrong way changes none
     */
    seen = hvctl_vmx_guest_read(&image);
    CHECK_EQ(seen.rip, state.rip, "RIP");
    CHECK_EQ(seen.cr3, state.cr3, "CR3");
    CHECK_EQ(seen.cs.rights, state.cs.rights, "CS access rights");
    if ((caps->cr0_fixed0 & ~caps->cr0_fixed1) == 0 && (state.cr0 & ~caps->cr0_fixed1) == 0)
        CHECK_EQ(seen.cr0, state.cr0, "CR0");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hvctl_vmx_caps caps;
    static struct hvctl_svm_caps svm;
    static struct hvctl_vmx_solution solution, required_only;
    struct hvctl_vmx_controls required, wanted;

    if (size == 0)
        return 0;
    choices = data[0];
    at = data + 1;
    end = data + size;
    if (choices & 8)
        CHECK(hvctl_svm_caps_read(&svm, cpuid, NULL) == HVCTL_OK || svm.asids + svm.edx == 0,
              "an SVM that is not there");
    if (hvctl_vmx_caps_read(&caps, rdmsr, choices & 16 ? cpuid : NULL, NULL) != HVCTL_OK) {
        CHECK(choices & 1, "capabilities that cannot be read");
        return 0;
    }
    (void)hvctl_vmx_region_size(&caps), (void)hvctl_vmx_msr_list_max(&caps);
    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++) {
        required.word[group] = next();
        wanted.word[group] = next();
        if (choices & 32) /* few, and of those that may be had */
            required.word[group] &= wanted.word[group] & hvctl_vmx_may_be_one(&caps, (enum hvctl_vmx_group)group);
    }
    if (hvctl_vmx_solve(&required, choices & 64 ? NULL : &wanted, &caps, &solution) != HVCTL_OK) {
        check_refusal(&solution, &caps);
        CHECK(hvctl_vmx_solve(&required, NULL, &caps, &required_only) != HVCTL_OK, "less is refused, more is not");
        return 0;
    }
    check_words(&solution.controls, &caps);
    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++) {
        uint64_t asked = choices & 64 ? 0 : wanted.word[group];

        CHECK_EQ(required.word[group] & ~solution.controls.word[group], 0, "required, and not in the words");
        CHECK_EQ(solution.dropped.word[group], asked & ~solution.controls.word[group], "wanted, and dropped");
    }
    fuzz_image(&solution.controls, &caps);
    return 0;
}
