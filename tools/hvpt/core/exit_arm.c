/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * An exception taken to EL2 in words. Aborts are taken apart by hvpt/fault/stage2.h; the other classes are named here.
 * Arm ARM, "ESR_EL2, Exception Syndrome Register (EL2)".
 */
#include "exit.h"

#include <hvpt/fault/stage2.h>

/* Exception classes by number. */
static const struct exit_class {
    uint8_t number;
    const char *name;
} exit_classes[] = {
    {0x00, "unknown reason: an undefined instruction or access, or an illegal one"},
    {0x01, "trapped WFI, WFE, WFIT or WFET"},
    {0x03, "trapped MCR or MRC, coproc 1111"},
    {0x04, "trapped MCRR or MRRC, coproc 1111"},
    {0x05, "trapped MCR or MRC, coproc 1110"},
    {0x06, "trapped LDC or STC"},
    {0x07, "trapped access to SVE, Advanced SIMD or floating point"},
    {0x08, "trapped VMRS"},
    {0x09, "trapped pointer authentication instruction"},
    {0x0a, "trapped 64-byte load or store"},
    {0x0c, "trapped MRRC, coproc 1110"},
    {0x0d, "branch target exception"},
    {0x0e, "illegal execution state"},
    {0x11, "SVC of AArch32"},
    {0x12, "HVC of AArch32"},
    {0x13, "trapped SMC of AArch32"},
    {0x14, "trapped MSRR, MRRS or 128-bit system instruction"},
    {0x15, "SVC"},
    {0x16, "HVC"},
    {0x17, "trapped SMC"},
    {0x18, "trapped MSR, MRS or system instruction"},
    {0x19, "trapped access to SVE"},
    {0x1a, "trapped ERET, ERETAA or ERETAB"},
    {0x1c, "failed pointer authentication"},
    {0x1d, "trapped access to SME"},
    {0x20, "instruction abort from a lower exception level"},
    {0x21, "instruction abort from EL2 itself"},
    {0x22, "misaligned program counter"},
    {0x24, "data abort from a lower exception level"},
    {0x25, "data abort from EL2 itself"},
    {0x26, "misaligned stack pointer"},
    {0x27, "memory operation exception (MOPS)"},
    {0x28, "trapped floating-point exception of AArch32"},
    {0x2c, "trapped floating-point exception"},
    {0x2d, "guarded control stack exception"},
    {0x2f, "SError"},
    {0x30, "breakpoint, from a lower exception level"},
    {0x31, "breakpoint, from EL2 itself"},
    {0x32, "software step, from a lower exception level"},
    {0x33, "software step, from EL2 itself"},
    {0x34, "watchpoint, from a lower exception level"},
    {0x35, "watchpoint, from EL2 itself"},
    {0x38, "BKPT of AArch32"},
    {0x3a, "vector catch of AArch32"},
    {0x3c, "BRK"},
    {0x3d, "profiling exception"},
};

static const char *exit_class_name(uint64_t number)
{
    size_t i;

    for (i = 0; i < sizeof(exit_classes) / sizeof(exit_classes[0]); i++)
        if (exit_classes[i].number == number)
            return exit_classes[i].name;
    return NULL;
}

static void exit_number(const struct hvpt_text *words, const char *name, uint64_t value)
{
    hvpt_text_string(words, name);
    hvpt_text_decimal(words, value);
}

/* MSR and MRS: "write of S3_0_C1_C0_0 from x3". */
static void exit_system_register(uint64_t syndrome, const struct hvpt_text *words)
{
    const bool read = (syndrome & 1) != 0;
    const unsigned reg = (unsigned)(syndrome >> 5) & 31;

    exit_number(words, read ? "read of S" : "write of S", syndrome >> 20 & 3);
    exit_number(words, "_", syndrome >> 14 & 7);
    exit_number(words, "_C", syndrome >> 10 & 15);
    exit_number(words, "_C", syndrome >> 1 & 15);
    exit_number(words, "_", syndrome >> 17 & 7);
    if (reg == 31)
        hvpt_text_string(words, read ? " to xzr" : " from xzr");
    else
        exit_number(words, read ? " to x" : " from x", reg);
}

/* What the syndrome of a class other than an abort says, where it says anything. */
static void exit_syndrome(uint64_t number, uint64_t syndrome, const struct hvpt_text *words)
{
    static const char *const waits[4] = {"WFI", "WFE", "WFIT", "WFET"};

    switch (number) {
    case 0x01: hvpt_text_string(words, waits[syndrome & 3]); break;
    case 0x11:
    case 0x12:
    case 0x15:
    case 0x16:
    case 0x17:
    case 0x3c:
        hvpt_text_string(words, "immediate ");
        hvpt_text_hex(words, syndrome & 0xffff);
        break;
    case 0x18: exit_system_register(syndrome, words); break;
    case 0x1a: hvpt_text_string(words, syndrome & 2 ? syndrome & 1 ? "ERETAB" : "ERETAA" : "ERET"); break;
    default: break;
    }
}

/* Kinds that say that a table, not the access, is wrong. */
static bool exit_is_broken(const struct hvpt_s2_fault *fault)
{
    switch (fault->kind) {
    case HVPT_S2_FAULT_ADDRESS_SIZE:
    case HVPT_S2_FAULT_EXTERNAL_ON_WALK:
    case HVPT_S2_FAULT_PARITY:
    case HVPT_S2_FAULT_PARITY_ON_WALK:
    case HVPT_S2_FAULT_TLB_CONFLICT:
    case HVPT_S2_FAULT_ATOMIC_UPDATE:
    case HVPT_S2_FAULT_RESERVED: return true;
    default: return false;
    }
}

enum core_status exit_explain_arm(const struct core_request *request, const struct exit_arm *arm,
                                  const struct hvpt_text *out)
{
    static struct report report;
    struct hvpt_s2_fault fault;
    const uint64_t number = arm->esr >> HVPT_ESR_CLASS_SHIFT & 0x3f;
    const char *name = exit_class_name(number);
    const bool abort = hvpt_s2_decode_fault(arm->esr, arm->fault_address, arm->hpfar, &fault);
    struct hvpt_text words;

    if (!arm->has_hpfar)
        fault.gpa_valid = false;
    if (!arm->has_fault_address) {
        fault.linear_valid = false;
        fault.gpa_exact = false;
        fault.gpa.value &= ~(HVPT_4K - 1);
    }
    report_begin(&report, out, request->json, "arm-exit");
    words = report_words(&report);
    hvpt_text_string(&words, "exception to EL2: ");
    hvpt_text_string(&words, name ? name : "a class that the manual does not know");
    report_summary(&report);

    words = report_words(&report);
    hvpt_text_string(&words, "class ");
    hvpt_text_hex(&words, number);
    hvpt_text_string(&words, ", syndrome ");
    hvpt_text_hex(&words, arm->esr & UINT64_C(0x1ffffff));
    hvpt_text_string(&words, arm->esr & HVPT_ESR_BIT_LENGTH ? ", 32-bit instruction" : ", 16-bit instruction");
    report_value(&report, "ESR_EL2", arm->esr);
    words = report_words(&report);
    if (abort)
        hvpt_s2_fault_text(&fault, &words);
    else
        exit_syndrome(number, arm->esr & UINT64_C(0x1ffffff), &words);
    if (report.words[0])
        report_value(&report, abort ? "status" : "syndrome",
                     abort ? arm->esr & HVPT_ESR_STATUS_BITS : arm->esr & UINT64_C(0x1ffffff));
    if (arm->has_fault_address) {
        words = report_words(&report);
        hvpt_text_string_if(&words, abort && !fault.linear_valid, "not valid: FnV is 1");
        report_value(&report, "FAR_EL2", arm->fault_address);
    }
    if (arm->has_hpfar) {
        words = report_words(&report);
        hvpt_text_string_if(&words, abort && !fault.gpa_valid, "unknown for this kind of abort");
        report_value(&report, "HPFAR_EL2", arm->hpfar);
    }
    if (abort && !arm->has_hpfar)
        report_note(&report, "HPFAR_EL2 was not given: hpfar=NUMBER tells the guest-physical page");
    if (abort && arm->has_hpfar && !fault.gpa_valid)
        report_note(&report, "translate FAR_EL2 by the guest's tables: HPFAR_EL2 does not say where");
    if (abort && fault.dirty_state)
        report_note(&report, "because of the dirty state of an indirect permission");
    if (abort && fault.overlay)
        report_note(&report, "because of a permission overlay");
    if (abort && fault.assured_only)
        report_note(&report, "because of AssuredOnly");
    report_note(&report, "Arm ARM, \"ESR_EL2, Exception Syndrome Register (EL2)\"");
    return report_end(&report, !name || (abort && exit_is_broken(&fault)));
}
