/* Known deviations of VMRUN on Bochs 2.7 and QEMU 7.2, each as narrow as it can be told. */
#include "svm_deviations.h"

#include "cpu.h"
#include "memory.h"

/* Which of the two: QEMU says so in the hypervisor leaf, Bochs has none. */
bool svm_on_qemu(void)
{
    struct cpuid_result r = cpu_cpuid(0x40000000, 0);

    return r.ebx == 0x54474354; /* "TCGT" */
}

struct row {
    struct deviation seen;
    bool on_qemu;
    bool (*applies)(const struct hvctl_svm_view *view, const struct hvctl_violation *violation); /* NULL: always */
};

#define BOCHS  "Bochs 2.7"
#define QEMU   "QEMU 7.2"
#define VMRUN  "APM vol. 2, VMRUN Instruction, Canonicalization and Consistency Checks"
#define NESTED "APM vol. 2, Nested Paging and VMRUN/#VMEXIT"

static bool high_cr3_in_legacy_mode(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !view->long_mode && (view->vmcb->save.cr3 & view->beyond);
}

/* The maps may end where physical addresses end; bits 11:0 of the address do not count. */
static bool map_at_the_end(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    uint64_t top = ~view->beyond + 1;

    (void)violation;
    return view->vmcb->control.msrpm_base_pa + 0x2000 >= top || view->vmcb->control.iopm_base_pa + 0x3000 >= top;
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

static struct row ignored[] = {
    {{"SVM.CR4.MBZ", QEMU, "VME to OSXMMEXCPT and PCIDE are taken whatever CPUID says, and PKS, which AMD has not",
      VMRUN, 0},
     true,
     old_cr4_bits},
    {{"SVM.EFER.MBZ", QEMU, "FFXSR is taken whatever CPUID says", VMRUN, 0}, true, ffxsr_only},
    {{"SVM.INJ.MODE", QEMU, "not checked", "APM vol. 2, Event Injection", 0}, true, NULL},
    {{"SVM.INJ.MODE", BOCHS, "not checked", "APM vol. 2, Event Injection", 0}, false, NULL},
    {{"SVM.CR3.MBZ", BOCHS, "not checked", VMRUN, 0}, false, NULL},
    {{"SVM.CTRL.IOPM", BOCHS, "only where the map begins is checked", VMRUN, 0}, false, map_begins_below},
    {{"SVM.CTRL.MSRPM", BOCHS, "only where the map begins is checked", VMRUN, 0}, false, map_begins_below},
    {{"SVM.NP.NCR3", QEMU, "not checked", NESTED, 0}, true, NULL},
    {{"SVM.NP.G_PAT", QEMU, "not checked", NESTED, 0}, true, NULL},
    {{"SVM.NP.PDPE", QEMU, "not checked", VMRUN, 0}, true, NULL},
};

static struct row more[] = {
    {{"SVM.INJ.VECTOR", QEMU, "exception 31 is refused", "APM vol. 2, Event Injection", 0}, true, event_31},
    {{"SVM.EFER.MBZ", QEMU, "LMSLE is refused, which CPUID does not say is missing", VMRUN, 0}, true, lmsle},
    {{"SVM.EFER.MBZ", BOCHS, "LMSLE and TCE are refused, though CPUID says they are there", VMRUN, 0},
     false,
     lmsle_or_tce},
    {{"SVM.EFER.LME_CS", BOCHS, "CS with L and D is refused in every mode", VMRUN, 0}, false, long_and_default_cs},
    {{"SVM.CR3.MBZ", QEMU, "checked outside long mode, too", VMRUN, 0}, true, high_cr3_in_legacy_mode},
    {{"SVM.CTRL.MSRPM", QEMU, "a map that ends with the last physical address is refused", VMRUN, 0},
     true,
     map_at_the_end},
};

#define IGNORED (sizeof(ignored) / sizeof(ignored[0]))
#define MORE    (sizeof(more) / sizeof(more[0]))

bool svm_deviation_ignored(const struct hvctl_svm_view *view, const struct hvctl_violation *violation)
{
    for (unsigned i = 0; i < IGNORED; i++)
        if (ignored[i].on_qemu == svm_on_qemu() && same(ignored[i].seen.rule, violation->rule)
            && (ignored[i].applies == NULL || ignored[i].applies(view, violation)))
            return true;
    return false;
}

void svm_deviation_seen(const char *rule)
{
    for (unsigned i = 0; i < IGNORED; i++)
        if (ignored[i].on_qemu == svm_on_qemu() && same(ignored[i].seen.rule, rule))
            ignored[i].seen.seen++;
}

bool svm_deviation_otherwise(const struct hvctl_svm_view *view, bool invalid)
{
    for (unsigned i = 0; invalid && i < MORE; i++)
        if (more[i].on_qemu == svm_on_qemu() && more[i].applies(view, NULL)) {
            more[i].seen.seen++;
            return true;
        }
    return false;
}

void svm_deviations_print(void)
{
    for (unsigned i = 0; i < IGNORED; i++)
        deviations_print(&ignored[i].seen, 1);
    for (unsigned i = 0; i < MORE; i++)
        deviations_print(&more[i].seen, 1);
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
    {"SVM.AVIC.BACKING_PAGE", true, true, AVIC, NULL},
    {"SVM.AVIC.LOGICAL_TABLE", true, true, AVIC, NULL},
    {"SVM.AVIC.PHYSICAL_TABLE", true, true, AVIC, NULL},
    {"SVM.AVIC.APIC_BAR", true, true, AVIC, NULL},
    {"SVM.EFER.LME_PE", true, false, "Bochs panics", NULL},
    {"SVM.EFER.LM", true, true, "the CPU has long mode", NULL},
    {"SVM.CR4.CET_WP", true, true, "the CPU has no CET", has_no_cet},
    {"SVM.CET.S_CET", true, true, "the CPU has no CET", has_no_cet},
};
const unsigned svm_unreachable_count = sizeof(svm_unreachable) / sizeof(svm_unreachable[0]);
