/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a CPU lacks it ignores: no rule looks at a field whose control it does not offer, nor at a bit of the VMCB whose
 * feature CPUID does not name. SDM vol. 3, "Virtual Machine Control Structures"; APM vol. 3, "Function 8000_000Ah".
 */
#include <hvctl/svm/check.h>
#include <hvctl/svm/guest.h>
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/guest.h>
#include <hvctl/vmx/models.h>

#include "../hvctl/chance.h"
#include "cases.h"
#include "fields.h"

/* A 64-bit guest that enters, in an image that has every field there is. */
static void begin(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps)
{
    struct hvctl_guest_state guest = hvctl_guest_long64(0x1000, 0x1000, 0x2000);
    struct hvctl_vmx_controls required = {{0}};
    struct hvctl_vmx_solution solution;

    hvctl_vmcs_image_init(image, NULL);
    hvctl_vmx_controls_add(&required, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, caps, &solution), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_controls_write(image, &solution.controls), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_guest_write(image, caps, &guest), HVCTL_OK);
    put(image, HVCTL_VMCS_HOST_CR0, 0x80010031);
    put(image, HVCTL_VMCS_HOST_CR4, 0x2020);
    put(image, HVCTL_VMCS_HOST_CR3, 0x1000);
    put(image, HVCTL_VMCS_HOST_CS_SELECTOR, 8);
    put(image, HVCTL_VMCS_HOST_TR_SELECTOR, 0x18);
}

static uint64_t any(unsigned slot)
{
    static const uint64_t some[] = {~UINT64_C(0), 1, 0x8000000000000000, 0xfff, 0x7fffffffffffffff, 0x10000};

    return cut(slot, chance() % 2 ? chance() : some[chance() % 6]);
}

/* Each of them alone, and all at once, on every model. */
Test(hvctl_lacking, fields_that_a_cpu_lacks_may_hold_anything)
{
    static struct hvctl_vmcs_image good, image;
    static struct hvctl_report report;
    unsigned lacking = 0;

    for (unsigned n = 0; n < hvctl_vmx_models(); n++) {
        const struct hvctl_vmx_model *model = hvctl_vmx_model_at(n);
        struct hvctl_vmx_caps caps;

        hvctl_vmx_model_caps(model, &caps);
        begin(&good, &caps);
        hvctl_vmx_check(&good, &caps, &report);
        cr_assert_eq(report.broken, 0, "%s: %s", model->name, report.violation[0].rule);
        for (unsigned round = 0; round < 20; round++) {
            struct hvctl_vmcs_image all = good;

            for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
                const struct hvctl_vmcs_field_row *field = hvctl_vmcs_slot_info(slot);

                if (!field->name || hvctl_vmcs_field_exists(field->encoding, &caps))
                    continue;
                image = good;
                image.value[slot] = all.value[slot] = any(slot);
                hvctl_vmx_check(&image, &caps, &report);
                cr_assert_eq(report.broken, 0, "%s has no %s, but %s", model->name, field->name,
                             report.violation[0].rule);
                lacking++;
            }
            hvctl_vmx_check(&all, &caps, &report);
            cr_assert_eq(report.broken, 0, "%s: %s", model->name, report.violation[0].rule);
        }
    }
    cr_expect_gt(lacking, 10000);
}

struct machine {
    struct hvctl_svm_caps caps;
    struct hvctl_svm_surroundings around;
    struct hvctl_vmcb vmcb;
};

/* Its save area is of a guest that VMRUN takes; of CPUID it has widths and long mode alone. */
static void begin_svm(struct machine *machine)
{
    struct hvctl_guest_state guest = hvctl_guest_long64(0x1000, 0x1000, 0x2000);

    memset(machine, 0, sizeof(*machine));
    machine->caps.cpu.maxphyaddr = 40;
    machine->caps.cpu.linear_bits = 48;
    machine->caps.cpu.long_mode = machine->caps.cpu.nx = true;
    machine->caps.sev_asids = 100;
    machine->around.sev_on = true;
    hvctl_svm_guest_write(&machine->vmcb, &guest);
    machine->vmcb.control.intercept_vector_4 = 1;
    machine->vmcb.control.guest_asid = 1;
}

/* What breaks a rule on a CPU with the feature and is nothing on one without. */
enum lacked { NP, VNMI, AVIC, SSS, SEV, SEV_ES, ALLOWED, CET };

static void give(struct machine *machine, enum lacked feature)
{
    switch (feature) {
    case NP: machine->caps.edx |= 1u << HVCTL_SVM_NP; break;
    case VNMI: machine->caps.edx |= 1u << HVCTL_SVM_VNMI; break;
    case AVIC: machine->caps.edx |= 1u << HVCTL_SVM_AVIC; break;
    case SSS: machine->caps.edx |= 1u << HVCTL_SVM_SSS_CHECK; break;
    case SEV: machine->caps.sev_eax |= 1u << 1; break;
    case SEV_ES: machine->caps.sev_eax |= 1u << 3; break;
    case ALLOWED: machine->caps.sev_eax |= 1u << 27; break;
    case CET: machine->caps.cpu.cet_ss = true; break;
    }
}

Test(hvctl_lacking, bits_of_the_vmcb_that_a_cpu_lacks_mean_nothing)
{
    static const struct {
        const char *rule;
        enum lacked needs[4]; /* the last one is the one that is missing */
        unsigned needed;
        size_t offset;
        uint64_t value;
        size_t other_offset;
        uint64_t other;
    } cases[] = {
        {"SVM.NP.NCR3", {NP}, 1, 0x90, 1, 0xb0, UINT64_C(1) << 41},
        {"SVM.NP.G_PAT", {NP}, 1, 0x90, 1, 0x668, 2},
        {"SVM.VNMI.INTERCEPT", {VNMI}, 1, 0x60, UINT64_C(1) << 26, 0, 0},
        {"SVM.AVIC.BACKING_PAGE", {AVIC}, 1, 0x60, UINT64_C(1) << 31, 0xe0, UINT64_C(1) << 41},
        {"SVM.SSS.NP", {NP, SSS}, 2, 0x90, 1 << 4, 0, 0},
        {"SVM.SEV.NP", {NP, SEV}, 2, 0x90, 1 << 1, 0, 0},
        {"SVM.SEVES.SEV", {NP, SEV, SEV_ES}, 3, 0x90, 1 << 2, 0, 0},
        {"SVM.SEVES.LBR", {NP, SEV, SEV_ES}, 3, 0x90, 7, 0, 0},
        {"SVM.SNP.ALLOWED", {NP, SEV, SEV_ES, ALLOWED}, 4, 0x90, 7, 0x138, UINT64_C(1) << 63},
        {"SVM.CET.S_CET", {CET}, 1, 0x5e0, 1 << 6, 0, 0},
    };
    static struct machine machine;
    static struct hvctl_report report;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned missing = 0; missing < 2; missing++) {
            begin_svm(&machine);
            for (unsigned n = 0; n + missing < cases[i].needed; n++)
                give(&machine, cases[i].needs[n]);
            machine.around.sev_features_known = true;
            machine.around.sev_features = 1;
            machine.vmcb.control.virtualization_control = strcmp(cases[i].rule, "SVM.SNP.ALLOWED") == 0;
            memcpy((char *)&machine.vmcb + cases[i].offset, &cases[i].value, 8);
            if (cases[i].other_offset)
                memcpy((char *)&machine.vmcb + cases[i].other_offset, &cases[i].other, 8);
            hvctl_svm_check_in(&machine.vmcb, &machine.caps, &machine.around, &report);
            cr_expect_eq(hvctl_report_find(&report, cases[i].rule) != NULL, !missing, "%s, %s", cases[i].rule,
                         missing ? "without" : "with");
            cr_expect_eq(report.broken, !missing, "%s, %s: %s", cases[i].rule, missing ? "without" : "with",
                         report.broken ? report.violation[0].rule : "");
        }
}

/* The first CPUs with SVM looked at these alone; all else of the control area may hold anything there. */
static bool looked_at(unsigned offset)
{
    return (offset >= 0x10 && offset < 0x14)     /* intercepts: VMRUN's */
        || (offset >= 0x40 && offset < 0x50)     /* permission maps */
        || (offset >= 0x58 && offset < 0x5d)     /* ASID, TLB control */
        || (offset >= 0xa8 && offset < 0xb0)     /* event injection */
        || (offset >= 0x400 && offset < 0x5e0)   /* the save area, */
        || (offset >= 0x600 && offset < 0x648)   /* but for shadow stacks, PAT, LBR, SPEC_CTRL and FRED */
        || (offset >= 0x5f8 && offset < 0x600);
}

Test(hvctl_lacking, the_first_cpus_with_svm_ignore_all_that_came_later)
{
    static struct machine machine;
    static struct hvctl_report report;

    for (unsigned round = 0; round < 20000; round++) {
        unsigned char *byte = (unsigned char *)&machine.vmcb;

        begin_svm(&machine);
        for (unsigned offset = 0; offset < sizeof(machine.vmcb); offset++)
            if (!looked_at(offset))
                byte[offset] = (unsigned char)(round ? chance() : 0xff);
        hvctl_svm_check_in(&machine.vmcb, &machine.caps, &machine.around, &report);
        cr_assert_eq(report.broken, 0, "%s", report.violation[0].rule);
        cr_assert_eq(report.unchecked, 0, "%s", report.not_checked[0]);
    }
}
