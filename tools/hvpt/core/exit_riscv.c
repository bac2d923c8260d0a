/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A trap taken in HS-mode in words. Guest-page faults are taken apart by hvpt/fault/gstage.h; other causes are named
 * here. RISC-V Privileged Architecture, "Supervisor Cause (scause) Register", and the hypervisor extension's additions.
 */
#include "exit.h"

#include <hvpt/fault/gstage.h>

static const char *const exit_exceptions[] = {
    "instruction address misaligned",
    "instruction access fault",
    "illegal instruction",
    "breakpoint",
    "load address misaligned",
    "load access fault",
    "store or AMO address misaligned",
    "store or AMO access fault",
    "environment call from U-mode or VU-mode",
    "environment call from HS-mode",
    "environment call from VS-mode",
    "environment call from M-mode",
    "instruction page fault",
    "load page fault",
    NULL,
    "store or AMO page fault",
    "double trap",
    NULL,
    "software check",
    "hardware error",
    "instruction guest-page fault",
    "load guest-page fault",
    "virtual instruction",
    "store or AMO guest-page fault",
};

static const char *const exit_interrupts[] = {
    NULL,
    "supervisor software interrupt",
    "virtual supervisor software interrupt",
    "machine software interrupt",
    NULL,
    "supervisor timer interrupt",
    "virtual supervisor timer interrupt",
    "machine timer interrupt",
    NULL,
    "supervisor external interrupt",
    "virtual supervisor external interrupt",
    "machine external interrupt",
    "supervisor guest external interrupt",
    "counter overflow interrupt",
};

/* The text of a fault, without the guest-virtual address at its end where stval was not given. */
static void exit_fault_words(struct report *report, const struct hvpt_gstage_fault *fault, bool has_linear)
{
    static const char mark[] = ", guest-virtual ";
    const struct hvpt_text words = report_words(report);
    size_t i, k;

    hvpt_gstage_fault_text(fault, &words);
    for (i = 0; !has_linear && report->words[i]; i++) {
        for (k = 0; k < sizeof(mark) - 1 && report->words[i + k] == mark[k]; k++)
            continue;
        if (k == sizeof(mark) - 1)
            report->words[i] = 0;
    }
}

enum core_status exit_explain_riscv(const struct core_request *request, const struct exit_riscv *riscv,
                                    const struct hvpt_text *out)
{
    static struct report report;
    struct hvpt_gstage_fault fault;
    const bool interrupt = riscv->scause >> 63 != 0;
    const uint64_t number = riscv->scause & (UINT64_MAX >> 1);
    const size_t known = interrupt ? sizeof(exit_interrupts) / sizeof(exit_interrupts[0])
                                   : sizeof(exit_exceptions) / sizeof(exit_exceptions[0]);
    const char *name = number < known ? (interrupt ? exit_interrupts[number] : exit_exceptions[number]) : NULL;
    const bool custom = !interrupt && ((number >= 24 && number <= 31) || (number >= 48 && number <= 63));
    const bool is_fault = hvpt_gstage_decode_fault(riscv->scause, riscv->stval, riscv->htval, riscv->htinst, &fault);
    struct hvpt_text words;

    report_begin(&report, out, request->json, "riscv-exit");
    words = report_words(&report);
    hvpt_text_string(&words, interrupt ? "interrupt " : "exception ");
    hvpt_text_decimal(&words, number);
    hvpt_text_string(&words, ": ");
    hvpt_text_string(&words, name ? name : custom ? "left to the implementation" : "reserved");
    report_summary(&report);
    report.words[0] = 0;
    if (is_fault)
        exit_fault_words(&report, &fault, riscv->has_stval);
    report_value(&report, "scause", riscv->scause);
    if (riscv->has_stval) {
        words = report_words(&report);
        hvpt_text_string_if(&words, is_fault, "the guest's virtual address");
        report_value(&report, "stval", riscv->stval);
    }
    if (riscv->has_htval) {
        words = report_words(&report);
        if (is_fault && fault.gpa_valid) {
            hvpt_text_string(&words, "guest-physical ");
            hvpt_text_hex(&words, fault.gpa.value);
        } else if (is_fault) {
            hvpt_text_string(&words, "hardware tells no address, or one below 4");
        }
        report_value(&report, "htval", riscv->htval);
    }
    if (riscv->has_htinst) {
        words = report_words(&report);
        hvpt_text_string(&words, riscv->htinst == 0 ? "nothing about the instruction"
                                 : !is_fault        ? ""
                                 : fault.on_table   ? "a pseudoinstruction: the walk of the guest's own tables"
                                                    : hvpt_gstage_operation_text(fault.instruction.operation));
        if (is_fault && fault.instruction.offset != 0) {
            hvpt_text_string(&words, ", ");
            hvpt_text_decimal(&words, fault.instruction.offset);
            hvpt_text_string(&words, " bytes into a misaligned access");
        }
        report_value(&report, "htinst", riscv->htinst);
    }
    if (is_fault && !riscv->has_htval)
        report_note(&report, "htval was not given: htval=NUMBER tells the guest-physical address");
    if (is_fault && !riscv->has_htinst)
        report_note(&report, "htinst was not given: htinst=NUMBER tells whether a table of the guest was meant");
    report_note(&report, is_fault ? "RISC-V Privileged Architecture, \"Hypervisor Extension\", \"Traps\""
                                  : "RISC-V Privileged Architecture, \"Supervisor Cause (scause) Register\"");
    return report_end(&report, !name && !custom);
}
