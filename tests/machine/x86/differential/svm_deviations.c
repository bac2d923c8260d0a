/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Known deviations of VMRUN on Bochs 2.7 and QEMU 7.2, each as narrow as it can be told: rules that an emulator does
 * not keep to, and where it fails though the manual does not say so. Versions and the manual's sections are in
 * tests/machine/deviations.py.
 */
#include "svm_deviations.h"

#include "cpu.h"
#include "memory.h"

/* Which of the two: QEMU says so in the hypervisor leaf, Bochs has none. */
bool svm_on_qemu(void)
{
    static int known; /* CPUID exits to the emulator: ask once */

    if (known == 0)
        known = cpu_cpuid(0x40000000, 0).ebx == 0x54474354 ? 1 : 2; /* "TCGT" */
    return known == 1;
}

struct row {
    struct deviation seen;
    const char *rule; /* that the emulator does not keep to; NULL: it fails where applies says */
    bool on_qemu;
    bool (*applies)(const struct hvctl_svm_view *view, const struct hvctl_violation *violation); /* NULL: always */
};

#define QEMU  true
#define BOCHS false

static bool high_cr3_in_legacy_mode(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !view->long_mode && (view->vmcb->save.cr3 & view->beyond);
}

/* The last byte of the map is the last one that has an address; bits 11:0 of the address do not count. */
static bool msr_map_at_the_end(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return (view->vmcb->control.msrpm_base_pa & ~UINT64_C(0xfff)) + 0x2000 == ~view->beyond + 1;
}

static bool event_31(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return (view->vmcb->control.eventinj & UINT64_C(0x800007ff)) == UINT64_C(0x8000031f);
}

/* VME to OSXMMEXCPT and PCIDE are never reserved there, whatever CPUID says. */
static bool old_cr4_bits(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return (violation->finding.zeros & ~UINT64_C(0x10207ff)) == 0;
}

static bool ffxsr_only(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return violation->finding.zeros == 1u << 14;
}

static bool lmsle(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return (view->vmcb->save.efer >> 13 & 1) != 0;
}

static bool lmsle_or_tce(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return (view->vmcb->save.efer & UINT64_C(0xa000)) != 0;
}

static bool long_and_default_cs(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !view->long_mode && (view->vmcb->save.cs.attrib & 0x600) == 0x600;
}

/* Where the map begins is what counts. */
static bool map_begins_below(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    return (violation->finding.actual & view->beyond) == 0;
}

static struct row table[] = {
    {{"SVM.CR4.MBZ: VME to OSXMMEXCPT and PCIDE and PKS are taken whatever CPUID says", 0, 0},
     "SVM.CR4.MBZ",
     QEMU,
     old_cr4_bits},
    {{"SVM.EFER.MBZ: FFXSR is taken whatever CPUID says", 0, 0}, "SVM.EFER.MBZ", QEMU, ffxsr_only},
    {{"SVM.INJ.MODE: not checked", 0, 0}, "SVM.INJ.MODE", QEMU, NULL},
    {{"SVM.NP.NCR3: not checked", 0, 0}, "SVM.NP.NCR3", QEMU, NULL},
    {{"SVM.NP.G_PAT: not checked", 0, 0}, "SVM.NP.G_PAT", QEMU, NULL},
    {{"SVM.NP.PDPE: not checked", 0, 0}, "SVM.NP.PDPE", QEMU, NULL},
    {{"SVM.INJ.VECTOR: exception 31 is refused", 0, 0}, NULL, QEMU, event_31},
    {{"SVM.EFER.MBZ: LMSLE is refused, which CPUID does not say is missing", 0, 0}, NULL, QEMU, lmsle},
    {{"SVM.CR3.MBZ: checked outside long mode", 0, 0}, NULL, QEMU, high_cr3_in_legacy_mode},
    {{"SVM.CTRL.MSRPM: a map that ends with the last physical address is refused", 0, 0},
     NULL,
     QEMU,
     msr_map_at_the_end},
    {{"SVM.INJ.MODE: not checked", 0, 0}, "SVM.INJ.MODE", BOCHS, NULL},
    {{"SVM.CR3.MBZ: not checked", 0, 0}, "SVM.CR3.MBZ", BOCHS, NULL},
    {{"SVM.CTRL.IOPM: only where the map begins is checked", 0, 0}, "SVM.CTRL.IOPM", BOCHS, map_begins_below},
    {{"SVM.CTRL.MSRPM: only where the map begins is checked", 0, 0}, "SVM.CTRL.MSRPM", BOCHS, map_begins_below},
    {{"SVM.EFER.MBZ: LMSLE and TCE are refused, though CPUID says they are there", 0, 0}, NULL, BOCHS, lmsle_or_tce},
    {{"SVM.EFER.LME_CS: CS with L and D is refused in every mode", 0, 0}, NULL, BOCHS, long_and_default_cs},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

struct deviation *svm_deviation_ignored(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (table[i].on_qemu == svm_on_qemu() && table[i].rule != NULL && same(table[i].rule, violation->rule)
            && (table[i].applies == NULL || table[i].applies(view, violation)))
            return &table[i].seen;
    return NULL;
}

struct deviation *svm_deviation_extra(const struct hvctl_svm_view *view)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (table[i].on_qemu == svm_on_qemu() && table[i].rule == NULL && table[i].applies(view, NULL))
            return &table[i].seen;
    return NULL;
}

void svm_deviations_check(void)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (table[i].on_qemu == svm_on_qemu())
            deviation_check(&table[i].seen);
}

static bool on_bochs(const void *world)
{
    (void)world;
    return !svm_on_qemu();
}

static bool has_no_cet(const void *world)
{
    (void)world;
    return (cpu_cpuid(7, 0).ecx >> 7 & 1) == 0;
}

#define SEV  "SEV is off"
#define AVIC "the CPU has no AVIC"

const struct unreachable svm_unreachable[] = {
    {"SVM.INJ.SEV_ES", true, true, SEV, NULL},
    {"SVM.VNMI.INTERCEPT", true, true, "the CPU has no virtual NMIs", NULL},
    {"SVM.NP.HOST_PG", true, true, "the host pages", NULL},
    {"SVM.SSS.NP", true, true, "the CPU has no SSS check", NULL},
    {"SVM.SEV.NP", true, true, SEV, NULL},
    {"SVM.SEV.SMMLOCK", true, true, SEV, NULL},
    {"SVM.SEV.ASID", true, true, SEV, NULL},
    {"SVM.SEV.ASID_MIN", true, true, SEV, NULL},
    {"SVM.SEV.HOST64", true, true, SEV, NULL},
    {"SVM.SEVES.SEV", true, true, SEV, NULL},
    {"SVM.SEVES.LBR", true, true, SEV, NULL},
    {"SVM.SNP.ALLOWED", true, true, SEV, NULL},
    {"SVM.AVIC.BACKING_PAGE", true, true, AVIC, NULL},
    {"SVM.AVIC.LOGICAL_TABLE", true, true, AVIC, NULL},
    {"SVM.AVIC.PHYSICAL_TABLE", true, true, AVIC, NULL},
    {"SVM.AVIC.APIC_BAR", true, true, AVIC, NULL},
    {"SVM.EFER.LME_PE", true, false, "Bochs panics", on_bochs},
    {"SVM.EFER.LM", true, true, "the CPU has long mode", NULL},
    {"SVM.CR4.CET_WP", true, true, "the CPU has no CET", has_no_cet},
    {"SVM.CET.S_CET", true, true, "the CPU has no CET", has_no_cet},
};
const unsigned svm_unreachable_count = sizeof(svm_unreachable) / sizeof(svm_unreachable[0]);
