/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The judge of hvctl_svm_check: mutations of good VMCBs are checked and run, and both must say the same. */
#include <hvctl/svm/check.h>

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "differential.h"
#include "machine.h"
#include "memory.h"
#include "svm_deviations.h"
#include "vm/svm.h"

#define IMAGES 7u

/*
 * Nothing is mapped for a guest: its own tables and the nested ones are empty. With both off it runs at CODE, where
 * there are HLTs. Its IDT has no entry, so that an injected event ends in an exception, which exits.
 */
static uint8_t zero[4096] __attribute__((aligned(4096)));
static uint8_t nested[4096] __attribute__((aligned(4096)));
static uint8_t host[4096] __attribute__((aligned(4096)));
static uint8_t maps[12288] __attribute__((aligned(4096)));
static struct hvctl_vmcb good[IMAGES] __attribute__((aligned(4096)));
static struct hvctl_vmcb vmcb __attribute__((aligned(4096)));
static struct hvctl_vmcb before __attribute__((aligned(4096)));
static struct hvctl_report report;
static struct hvctl_svm_surroundings around;
static struct rule_count count[RULES_MAX];
static const struct hvctl_svm_rule *rule_list[RULES_MAX];
static unsigned rules, mismatches;
static uint64_t low[4]; /* PDPEs of the case, at zero */
static const struct hvctl_vmcb *base;

#define CODE UINT64_C(0x5000)

static bool read_memory(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    (void)ctx;
    if (physical < UINT64_C(0x80000000))
        memcpy(bytes, (const void *)(uintptr_t)physical, size);
    else
        memset(bytes, 0xff, size);
    return true;
}

static struct hvctl_cpuid ask_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r = cpu_cpuid(leaf, subleaf);
    struct hvctl_cpuid id = {r.eax, r.ebx, r.ecx, r.edx};

    (void)ctx;
    return id;
}

static void make(struct hvctl_vmcb *out, unsigned kind)
{
    struct hvctl_guest_state state;

    switch (kind) {
    case 0:
    case 1: state = hvctl_guest_real_mode(0, (uint16_t)CODE); break;
    case 2: state = hvctl_guest_flat32((uint32_t)CODE, 0x7000); break;
    default: state = hvctl_guest_long64((uintptr_t)zero, CODE, 0x7000); break;
    }
    if (kind == 4 || kind == 6) { /* PAE paging */
        state.efer = 0;
        state.cs.rights = 0xc09b;
    }
    if (kind == 5)
        state.cs.rights = 0xc09b; /* compatibility mode */
    state.cr3 = (uintptr_t)zero;
    state.idtr.limit = 0;
    hvctl_vmcb_zero(out);
    hvctl_svm_guest_write(out, &state);
    out->control.intercept_exception = 0xffffffff;
    out->control.intercept_vector_3 = 0xffffffff & ~(1u << 29);
    out->control.intercept_vector_4 = 0x7;
    out->control.msrpm_base_pa = out->control.iopm_base_pa = (uintptr_t)maps;
    out->control.guest_asid = 1;
    out->control.tlb_control = HVCTL_TLB_ALL;
    out->save.g_pat = HVCTL_PAT_RESET;
    if (kind % 2 == 0)
        out->save.dr6 = 0; /* so that bit 31 can be set */
    if (kind != 1 && kind != 6) {
        out->control.nested_control = HVCTL_NESTED_NP_ENABLE;
        out->control.n_cr3 = (uintptr_t)nested;
    }
}

#define PICK(random, ...) \
    random_pick(random, (const uint64_t[]) {__VA_ARGS__}, sizeof((const uint64_t[]) {__VA_ARGS__}) / sizeof(uint64_t))

static uint64_t flip(struct random *random, uint64_t value, unsigned bits)
{
    return value ^ UINT64_C(1) << random_below(random, bits);
}

/* As in vmx_mutate.c: the low bits, and those near and beyond the width. */
static uint64_t address(struct random *random, uint64_t value, unsigned low_bits)
{
    unsigned width = svm_caps()->cpu.maxphyaddr;

    switch (random_below(random, 4)) {
    case 0: return value ^ UINT64_C(1) << random_below(random, low_bits);
    case 1: return value | UINT64_C(1) << (width - 1);
    case 2: return value | UINT64_C(1) << width;
    default: return value | UINT64_C(1) << (width + random_below(random, 64 - width));
    }
}

static void mutate_field(struct random *random)
{
    struct hvctl_vmcb_control *control = &vmcb.control;
    struct hvctl_vmcb_save *save = &vmcb.save;
    uint64_t top = UINT64_C(1) << svm_caps()->cpu.maxphyaddr;

    switch (random_below(random, 18)) {
    case 0:
        save->efer = random_one_in(random, 2) ? flip(random, save->efer, 64)
                                              : save->efer ^ PICK(random, 1, 0x100, 0x400, 0x500, 0x800, 0x1000);
        break;
    case 1:
        save->cr0 = random_one_in(random, 2)
                      ? flip(random, save->cr0, 64)
                      : save->cr0 ^ PICK(random, 1, 0x20000000, 0x40000000, 0x60000000, 0x80000000, 0x10000);
        break;
    case 2:
        save->cr4 = random_one_in(random, 2) ? flip(random, save->cr4, 64)
                                             : save->cr4 ^ PICK(random, 0x20, 0x800000, 0x10, 0x80);
        break;
    case 3: save->cr3 = address(random, save->cr3, 5); break;
    case 4: save->dr6 = flip(random, save->dr6, 64); break;
    case 5: save->dr7 = flip(random, save->dr7, 64); break;
    case 6: save->cs.attrib = (uint16_t)(save->cs.attrib ^ PICK(random, 0x200, 0x400, 0x600)); break;
    case 7: control->intercept_vector_4 ^= (uint32_t)PICK(random, 1, 2, 4); break;
    case 8:
        control->msrpm_base_pa = random_one_in(random, 2) ? top - PICK(random, 0x1000, 0x2000, 0x1fff, 0x3000)
                                                          : address(random, control->msrpm_base_pa, 12);
        break;
    case 9:
        control->iopm_base_pa = random_one_in(random, 2) ? top - PICK(random, 0x1000, 0x2000, 0x2fff, 0x3000, 0x4000)
                                                         : address(random, control->iopm_base_pa, 12);
        break;
    case 10: control->guest_asid = (uint32_t)PICK(random, 0, 0, 1, 2, 7); break;
    case 11:
    case 12: {
        uint64_t vector = random_one_in(random, 2) ? random_below(random, 34) : PICK(random, 2, 3, 4, 5, 31, 32, 255);

        control->eventinj = UINT64_C(0x80000000) | vector | (uint64_t)random_below(random, 8) << 8
                          | (random_one_in(random, 4) ? 0x800 : 0);
        break;
    }
    case 13: control->n_cr3 = address(random, control->n_cr3, 12); break;
    case 14: {
        unsigned shift = 8 * random_below(random, 8);

        save->g_pat = (save->g_pat & ~(UINT64_C(0xff) << shift))
                    | (uint64_t)PICK(random, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x80) << shift;
        break;
    }
    case 15: control->tlb_control = (uint8_t)PICK(random, 0, 1, 2, 3, 4, 5, 7); break;
    case 16: save->s_cet = flip(random, save->s_cet, 12); break;
    default: {
        unsigned which = random_below(random, 4);

        /* not what would make it lead to another page of memory */
        low[which] = ((uintptr_t)nested | 1)
                   ^ UINT64_C(1) << PICK(random, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 39, 40, 41, 51, 52, 62, 63);
        memcpy(zero, low, sizeof(low));
        break;
    }
    }
}

/* Would it not be survived? */
static bool dangerous(void)
{
    const struct hvctl_vmcb_save *save = &vmcb.save;
    bool long_mode = (save->efer & HVCTL_EFER_LME) && (save->cr0 & HVCTL_CR0_PG);

    if (svm_on_qemu()) /* 7.2 does not give the host its CR0.PG back after LME with neither paging nor PAE */
        return (save->efer & HVCTL_EFER_LME) && !(save->cr0 & HVCTL_CR0_PG) && !(save->cr4 & HVCTL_CR4_PAE);
    /* Bochs 2.7 panics on long mode without protection, or without paging */
    if ((save->efer & HVCTL_EFER_LME) && !(save->cr0 & HVCTL_CR0_PE))
        return true;
    if ((save->efer & HVCTL_EFER_LMA) && (save->cr0 & (HVCTL_CR0_PE | HVCTL_CR0_PG)) != (HVCTL_CR0_PE | HVCTL_CR0_PG))
        return true;
    /*
     * It does not check CR3, and reads the guest's tables there: beyond the physical-address width that is outside of
     * the array in which it looks up who answers, which ends the emulator with a segmentation fault sooner or later.
     */
    return long_mode && !(vmcb.control.nested_control & HVCTL_NESTED_NP_ENABLE)
        && (save->cr3 & hvctl_beyond(svm_caps()->cpu.maxphyaddr));
}

static void mutate(struct random *random)
{
    do {
        unsigned times = random_one_in(random, 4) ? 2 + random_below(random, 2) : 1;

        memset(low, 0, sizeof(low));
        memset(zero, 0, sizeof(low));
        base = &good[random_below(random, IMAGES)];
        memcpy(&vmcb, base, sizeof(vmcb));
        while (times-- > 0)
            mutate_field(random);
    } while (dangerous());
}

static void print_report(uint64_t exit)
{
    static char words[1024];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text;

    print("# EXITCODE %lx; the rules:\n", exit);
    for (unsigned i = 0; i < hvctl_report_listed(&report); i++) {
        text = hvpt_text_into(&buffer, words, sizeof(words));
        hvctl_violation_text(&report.violation[i], &text);
        print("#     %s\n", words);
    }
    print("#     efer %lx cr0 %lx cr3 %lx cr4 %lx cs %x inject %lx nested %lx ncr3 %lx msrpm %lx iopm %lx\n",
          before.save.efer, before.save.cr0, before.save.cr3, before.save.cr4, before.save.cs.attrib,
          before.control.eventinj, before.control.nested_control, before.control.n_cr3, before.control.msrpm_base_pa,
          before.control.iopm_base_pa);
    print("#     dr6 %lx dr7 %lx asid %x tlb %x g_pat %lx s_cet %lx pdpes %lx %lx %lx %lx\n", before.save.dr6,
          before.save.dr7, before.control.guest_asid, before.control.tlb_control, before.save.g_pat, before.save.s_cet,
          low[0], low[1], low[2], low[3]);
}

static uint64_t enter(void)
{
    static struct hvctl_guest_regs regs;

    hvctl_svm_switch(&regs, (uintptr_t)&vmcb, (uintptr_t)host, false);
    return vmcb.control.exitcode;
}

/* INVALID is -1 in 64 bits; QEMU writes 32 of them. */
static bool invalid(uint64_t exit)
{
    return (uint32_t)exit == 0xffffffff;
}

static void count_alone(bool as_it_says)
{
    for (unsigned i = 0; report.broken == 1 && i < rules; i++)
        if (rule_list[i]->id == report.violation[0].rule)
            *(as_it_says ? &count[i].alone : &count[i].deviated) += 1;
}

struct neighbour {
    struct hvctl_svm_view view;
    const struct hvctl_svm_rule *rule;
    uint64_t *word; /* in memory; NULL: the rule's field */
};

/* The rule's verdict on the case with another value in its field, or in memory. */
static enum hvctl_rule_result ask(void *ctx, uint64_t value, struct hvctl_finding *finding)
{
    struct neighbour *of = ctx;
    uint8_t *at = of->word != NULL ? (uint8_t *)of->word : (uint8_t *)&before + of->rule->offset;
    unsigned size = of->word != NULL ? 8 : of->rule->size;
    uint64_t old = 0;
    enum hvctl_rule_result result;

    memcpy(&old, at, size);
    memcpy(at, &value, size);
    hvctl_svm_view_make(&of->view, &before, svm_caps(), &around);
    result = hvctl_svm_rule_ask(&of->view, of->rule, finding);
    memcpy(at, &old, size);
    return result;
}

static void count_kept(void)
{
    static struct neighbour of;

    hvctl_svm_view_make(&of.view, &before, svm_caps(), &around);
    for (unsigned i = 0; i < rules; i++) {
        const struct hvctl_svm_rule *rule = rule_list[i];
        uint64_t value = hvctl_vmcb_value(&before, rule->offset, rule->size);
        uint64_t good_value = hvctl_vmcb_value(base, rule->offset, rule->size);
        struct hvctl_finding finding;
        bool memory = rule->check == hvctl_svm_rule_pdptes;

        of.rule = rule;
        of.word = NULL;
        for (unsigned k = 0; memory && k < 4; k++)
            if (low[k] != 0)
                of.word = (uint64_t *)(void *)zero + k;
        if ((value == good_value && of.word == NULL) || hvctl_svm_rule_ask(&of.view, rule, &finding) != HVCTL_RULE_KEPT)
            continue;
        count[i].kept++;
        if (count_looks_for_edge(&count[i]))
            count[i].edge += of.word != NULL ? edge_is_near(*of.word, (uintptr_t)nested | 1, 64, false, ask, &of)
                                             : edge_is_near(value, good_value, 8u * rule->size, false, ask, &of);
    }
}

static void judge(uint64_t exit)
{
    struct hvctl_svm_view view;
    struct deviation *known, *extra;
    unsigned left = 0, dropped = 0;

    hvctl_svm_view_make(&view, &before, svm_caps(), &around);
    extra = svm_deviation_extra(&view);
    if (report.broken > HVCTL_REPORT_VIOLATIONS)
        panic("more rules broken than a report lists");
    for (unsigned i = 0; i < report.broken; i++) {
        if (report.violation[i].failure == HVCTL_FAILURE_UNSPECIFIED)
            continue; /* the manual does not say what comes of it */
        known = svm_deviation_ignored(&view, &report.violation[i]);
        dropped += known != NULL;
        left += known == NULL;
    }
    if (invalid(exit) == (left + dropped != 0)) {
        count_alone(report.violation[0].failure != HVCTL_FAILURE_UNSPECIFIED && (dropped == 0 || extra == NULL));
        if (dropped == 1 && left == 0 && extra == NULL && report.broken == 1)
            svm_deviation_ignored(&view, &report.violation[0])->agreed++;
        if (report.broken != 0)
            return;
        if (extra != NULL)
            extra->agreed++;
        count_kept();
    } else if (!invalid(exit) && left == 0) {
        for (unsigned i = 0; i < report.broken; i++)
            if ((known = svm_deviation_ignored(&view, &report.violation[i])) != NULL)
                known->differed++;
        count_alone(false);
    } else if (invalid(exit) && extra != NULL) {
        extra->differed++;
    } else if (mismatch_begin(mismatches++)) {
        print("# MISMATCH %u\n", mismatches);
        print_report(exit);
    }
}

void differential_svm(void)
{
    struct random random = {UINT64_C(0x9e3779b97f4a7c15)};
    unsigned cases = svm_on_qemu() ? DIFFERENTIAL_VMCB_CASES : DIFFERENTIAL_VMCB_CASES / 6, entered = 0;
    uint64_t exit;

    around.read = read_memory;
    hvctl_svm_surroundings_cpuid(&around, ask_cpuid, NULL);
    memset((void *)(uintptr_t)CODE, 0xf4, 4096);
    memset(maps, 0xff, sizeof(maps));
    while (rules < RULES_MAX && (rule_list[rules] = hvctl_svm_rule_at(rules)) != NULL) {
        count[rules].id = rule_list[rules]->id;
        count[rules].reachable = true;
        rules++;
    }
    for (unsigned i = 0; i < IMAGES; i++) {
        make(&good[i], i);
        memcpy(&vmcb, &good[i], sizeof(vmcb));
        memcpy(&before, &vmcb, sizeof(vmcb));
        hvctl_svm_check_in(&vmcb, svm_caps(), &around, &report);
        exit = enter();
        if (!check_equal(report.broken, 0, "good image %u: no rule is broken", i)
            || !check_true(!invalid(exit), "good image %u: it enters", i))
            print_report(exit);
    }
    for (unsigned i = 0; i < cases; i++) {
        mutate(&random);
        memcpy(&before, &vmcb, sizeof(vmcb));
        hvctl_svm_check_in(&vmcb, svm_caps(), &around, &report);
        exit = enter();
        entered += !invalid(exit);
        judge(exit);
    }
    print("# %u cases\n# %u entered; VMEXIT_INVALID: %u\n", cases, entered, cases - entered);
    check_equal(mismatches, 0, "checker and CPU agree in every case but the known deviations");
    svm_deviations_check();
    counts_check(count, rules, svm_unreachable, svm_unreachable_count, NULL);
}
