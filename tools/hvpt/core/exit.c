/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One exit in words, from numbers given by name: VMX, SVM, Arm, RISC-V. Which of them it is follows from the names. The
 * decoders are the headers'; this file reads the numbers and says what was not given.
 */
#include "exit.h"

#include <hvctl/svm/exit.h>
#include <hvctl/vmx/insn.h>
#include <hvpt/fault/ept.h>

/* The numbers that an exit may come with. */
enum {
    EXIT_REASON,
    EXIT_QUALIFICATION,
    EXIT_INSTRUCTION,
    EXIT_GUEST_PHYSICAL,
    EXIT_GUEST_LINEAR,
    EXIT_INTERRUPTION,
    EXIT_INTERRUPTION_ERROR,
    EXIT_VECTORING,
    EXIT_VECTORING_ERROR,
    EXIT_INSTRUCTION_ERROR,
    EXIT_SVM_CODE,
    EXIT_INFO1,
    EXIT_INFO2,
    EXIT_INT_INFO,
    EXIT_INT_INFO_ERROR,
    EXIT_INFO_1, /* as KVM's trace names them for both vendors */
    EXIT_INFO_2,
    EXIT_TRACE_INTERRUPTION,
    EXIT_TRACE_ERROR,
    EXIT_ESR,
    EXIT_FAR,
    EXIT_HPFAR,
    EXIT_SCAUSE,
    EXIT_STVAL,
    EXIT_HTVAL,
    EXIT_HTINST,
    EXIT_MODE_BASED_EXECUTE,
    EXIT_ADVANCED,
    EXIT_SHADOW_STACK,
    EXIT_PAGING_VERIFICATION,
    EXIT_DECODE_ASSISTS,
    EXIT_COUNT
};

/* The names under which each is read, and the architectures that have it. */
enum { VMX = 1, SVM = 2, ARM = 4, RISCV = 8 };

static const struct exit_name {
    const char *names;
    unsigned architectures;
} exit_names[EXIT_COUNT] = {
    {"reason exit_reason", VMX},
    {"qualification qual exit_qualification", VMX},
    {"insn insn_info instruction_information vm_exit_instruction_information vmx_instruction_info", VMX},
    {"gpa guest_physical guest_physical_address", VMX},
    {"linear gla gva guest_linear guest_linear_address", VMX},
    {"intr exit_intr_info interruption interruption_information vm_exit_interruption_information", VMX},
    {"errcode interruption_error vm_exit_interruption_error_code", VMX},
    {"idt idt_vectoring vectoring idt_vectoring_info idt_vectoring_information idt_vectoring_information_field", VMX},
    {"idt_error vectoring_error idt_vectoring_error_code", VMX},
    {"instruction_error vm_instruction_error", VMX},
    {"code exitcode exit_code", SVM},
    {"exitinfo1 exit_info1 exit_info_1", SVM},
    {"exitinfo2 exit_info2 exit_info_2", SVM},
    {"exitintinfo exit_int_info", SVM},
    {"exit_int_info_err", SVM},
    {"info1", VMX | SVM},
    {"info2", VMX | SVM},
    {"intr_info", VMX | SVM},
    {"error_code", VMX | SVM},
    {"esr esr_el2", ARM},
    {"far far_el2", ARM},
    {"hpfar hpfar_el2", ARM},
    {"scause cause", RISCV},
    {"stval", RISCV},
    {"htval", RISCV},
    {"htinst", RISCV},
    {"mode_based_execute mbec", VMX},
    {"advanced advanced_information", VMX},
    {"supervisor_shadow_stack sss", VMX},
    {"guest_paging_verification gpv", VMX},
    {"decode_assists", SVM},
};

/* Everything that was said. */
struct exit_input {
    uint64_t value[EXIT_COUNT];
    bool given[EXIT_COUNT];
    size_t at[EXIT_COUNT];
    unsigned architectures; /* that the names and numbers allow */
};

/* ---- reading ---- */

/* KVM's names for SVM's exits in its trace, where they are no manual's: bits of include/uapi/asm/svm.h, by code. */
static const struct exit_trace_name {
    const char *name;
    uint32_t code;
} exit_trace_names[] = {
    {"interrupt", 0x60},
    {"nmi", 0x61},
    {"smi", 0x62},
    {"init", 0x63},
    {"vintr", 0x64},
    {"cr0_sel_write", 0x65},
    {"read_idtr", 0x66},
    {"read_gdtr", 0x67},
    {"read_ldtr", 0x68},
    {"read_tr", 0x69},
    {"write_idtr", 0x6a},
    {"write_gdtr", 0x6b},
    {"write_ldtr", 0x6c},
    {"write_tr", 0x6d},
    {"rdtsc", 0x6e},
    {"rdpmc", 0x6f},
    {"pushf", 0x70},
    {"popf", 0x71},
    {"cpuid", 0x72},
    {"rsm", 0x73},
    {"iret", 0x74},
    {"swint", 0x75},
    {"invd", 0x76},
    {"pause", 0x77},
    {"hlt", 0x78},
    {"invlpg", 0x79},
    {"invlpga", 0x7a},
    {"io", 0x7b},
    {"msr", 0x7c},
    {"task_switch", 0x7d},
    {"ferr_freeze", 0x7e},
    {"shutdown", 0x7f},
    {"vmrun", 0x80},
    {"hypercall", 0x81},
    {"vmload", 0x82},
    {"vmsave", 0x83},
    {"stgi", 0x84},
    {"clgi", 0x85},
    {"skinit", 0x86},
    {"wbinvd", 0x89},
    {"monitor", 0x8a},
    {"mwait", 0x8b},
    {"xsetbv", 0x8d},
    {"npf", 0x400},
    {"avic_incomplete_ipi", 0x401},
    {"avic_unaccelerated_access", 0x402},
    {"vmgexit", 0x403},
};

/* KVM's names of VMX exit reasons that are not the manual's words. */
static const struct exit_trace_name exit_vmx_names[] = {
    {"EXCEPTION_NMI", 0},
    {"PENDING_INTERRUPT", 7},
    {"INTERRUPT_WINDOW", 7},
    {"MSR_READ", 31},
    {"MSR_WRITE", 32},
    {"INVALID_STATE", 33},
    {"MSR_LOAD_FAIL", 34},
    {"MWAIT_INSTRUCTION", 36},
    {"MONITOR_TRAP_FLAG", 37},
    {"MONITOR_INSTRUCTION", 39},
    {"PAUSE_INSTRUCTION", 40},
    {"MCE_DURING_VMENTRY", 41},
    {"EOI_INDUCED", 45},
    {"GDTR_IDTR", 46},
    {"LDTR_TR", 47},
    {"EPT_MISCONFIG", 49},
    {"PREEMPTION_TIMER", 52},
    {"WBINVD", 54},
    {"PML_FULL", 62},
    {"VMOFF", 26},
    {"VMON", 27},
    {"DR_ACCESS", 29},
    {"APIC_ACCESS", 44},
    {"BUS_LOCK", 74},
    {"NOTIFY", 75},
};

/* The basic exit reason of that name; false: there is none. */
static bool exit_reason_of(const struct words *words, struct word word, uint64_t *reason)
{
    size_t i;

    for (i = 0; i < sizeof(exit_vmx_names) / sizeof(exit_vmx_names[0]); i++) {
        if (words_is(words, word, exit_vmx_names[i].name)) {
            *reason = exit_vmx_names[i].code;
            return true;
        }
    }
    for (i = 0; i < 128; i++) {
        const char *name = hvctl_vmx_exit_reason_name((uint32_t)i);

        if (name && words_is(words, word, name)) {
            *reason = i;
            return true;
        }
    }
    return false;
}

/* The SVM exit code of that name, the manual's or the trace's; false: there is none. */
static bool exit_code_of(const struct words *words, struct word word, uint64_t *code)
{
    size_t i;

    if (word.length > 7 && words_is(words, (struct word) {word.at, 7, false}, "VMEXIT_")) {
        word.at += 7;
        word.length -= 7;
    }
    for (i = 0; i < sizeof(exit_trace_names) / sizeof(exit_trace_names[0]); i++) {
        if (words_is(words, word, exit_trace_names[i].name)) {
            *code = exit_trace_names[i].code;
            return true;
        }
    }
    for (i = 0; i < 0x500; i++) {
        const char *name = hvctl_svm_exit_name(i);

        if (name && words_is(words, word, name)) {
            *code = i;
            return true;
        }
    }
    if (words_is(words, word, "INVALID") || words_is(words, word, "err")) {
        *code = HVCTL_SVM_EXIT_INVALID;
        return true;
    }
    return false;
}

/* The value of EXIT_REASON or EXIT_SVM_CODE may be a name. */
static bool exit_read_value(struct words *words, struct exit_input *input, unsigned which, struct core_error *error)
{
    struct words ahead = *words;
    struct word word = words_next(&ahead);

    input->at[which] = word.at;
    if (words_number(words, word, &input->value[which]) == WORDS_NO_NUMBER && word.length) {
        if (which == EXIT_REASON && exit_reason_of(words, word, &input->value[which])) {
            *words = ahead;
            return true;
        }
        if (which == EXIT_SVM_CODE && exit_code_of(words, word, &input->value[which])) {
            *words = ahead;
            return true;
        }
        /* KVM's trace says "reason" for both vendors. */
        if (which == EXIT_REASON && exit_code_of(words, word, &input->value[EXIT_SVM_CODE])) {
            *words = ahead;
            input->given[EXIT_SVM_CODE] = true;
            input->architectures &= SVM;
            return true;
        }
        if (which == EXIT_REASON || which == EXIT_SVM_CODE) {
            core_fail_at(error, words->request, word.at, "no exit of this name, and no number");
            return false;
        }
    }
    return words_value(words, &input->value[which], error);
}

/* A trace line: what stands before "kvm_exit:", and names in it that say nothing here. */
static size_t exit_trace_start(const struct core_request *request)
{
    static const char marker[] = "kvm_exit:";
    size_t i, k;

    for (i = 0; i + sizeof(marker) - 1 <= request->length; i++) {
        for (k = 0; k < sizeof(marker) - 1 && request->bytes[i + k] == marker[k]; k++)
            continue;
        if (k == sizeof(marker) - 1)
            return i + k;
    }
    return 0;
}

static bool exit_read(const struct core_request *request, struct exit_input *input, struct core_error *error)
{
    const size_t start = exit_trace_start(request);
    struct words words = {request, start};
    unsigned i;

    for (i = 0; i < EXIT_COUNT; i++) {
        input->given[i] = false;
        input->value[i] = 0;
        input->at[i] = 0;
    }
    input->architectures = VMX | SVM | ARM | RISCV;
    for (;;) {
        const struct word word = words_next(&words);
        uint64_t unused;

        if (!word.length)
            break;
        if (words_is_one_of(&words, word, "vmx svm arm riscv")) {
            input->architectures &= words_is(&words, word, "vmx") ? VMX
                                  : words_is(&words, word, "svm") ? SVM
                                  : words_is(&words, word, "arm") ? ARM
                                                                  : RISCV;
            continue;
        }
        for (i = 0; i < EXIT_COUNT && !words_is_one_of(&words, word, exit_names[i].names); i++)
            continue;
        if (i == EXIT_COUNT && start != 0) {
            /* of a trace: "vcpu 0", "rip 0x...", "requests ..." */
            struct words ahead = words;

            if (words_number(&words, words_next(&ahead), &unused) == WORDS_NUMBER)
                words = ahead;
            continue;
        }
        if (i == EXIT_COUNT) {
            core_fail_at(error, request, word.at, "no such name; hvpt exit --help lists them");
            return false;
        }
        if (input->given[i]) {
            core_fail_at(error, request, word.at, "given twice");
            return false;
        }
        if (!exit_read_value(&words, input, i, error))
            return false;
        if (i == EXIT_REASON && input->given[EXIT_SVM_CODE] && !(input->architectures & VMX))
            continue;
        input->given[i] = true;
        input->architectures &= exit_names[i].architectures;
        if (!input->architectures) {
            core_fail_at(error, request, word.at, "this and what stands before it are of different architectures");
            return false;
        }
    }
    return true;
}

/* ---- VMX ---- */

/* A word of 32 bits; a greater value is no exit's. */
static bool exit_is_word(const struct core_request *request, const struct exit_input *input, unsigned which,
                         struct core_error *error)
{
    if (!input->given[which] || input->value[which] >> 32 == 0)
        return true;
    core_fail_at(error, request, input->at[which], "a field of 32 bits, and the number has more");
    return false;
}

/* An interruption-information field, and its error code where that was given. */
static void exit_event(struct report *report, const struct exit_input *input, unsigned which, unsigned error_code,
                       const char *name)
{
    struct hvpt_text words = report_words(report);
    struct hvctl_vmx_event event =
        hvctl_vmx_event_decode((uint32_t)input->value[which], (uint32_t)input->value[error_code]);

    if (which == EXIT_VECTORING)
        event.nmi_unblocking = false; /* undefined there */
    if (event.valid && event.has_error_code && !input->given[error_code]) {
        event.has_error_code = false;
        hvctl_vmx_event_text(&event, &words);
        hvpt_text_string(&words, ", with an error code that was not given");
    } else {
        hvctl_vmx_event_text(&event, &words);
    }
    report_value(report, name, input->value[which]);
}

/* The bits of an EPT violation that mean something only on some CPUs or under some control, where none was told. */
static void exit_violation_unknown(struct report *report, const struct exit_input *input, uint64_t qualification)
{
    const uint64_t advanced =
        HVPT_EPT_VIOLATION_USER_LINEAR | HVPT_EPT_VIOLATION_LINEAR_WRITABLE | HVPT_EPT_VIOLATION_LINEAR_NX;
    const uint64_t final = HVPT_EPT_VIOLATION_LINEAR_VALID | HVPT_EPT_VIOLATION_FINAL;

    if (!input->given[EXIT_MODE_BASED_EXECUTE] && (qualification & HVPT_EPT_VIOLATION_USER_EXECUTABLE))
        report_note(report, "bit 6 = 1: EPT allows user-mode fetches, if mode-based execute control is on (mbec=1); "
                            "undefined otherwise");
    if (!input->given[EXIT_ADVANCED] && (qualification & final) == final) {
        report_note(report,
                    qualification & advanced
                        ? "bits 11:9 count if IA32_VMX_EPT_VPID_CAP[22] is 1 (advanced=1): by the guest's tables,"
                        : "bits 11:9 are 0; they count if IA32_VMX_EPT_VPID_CAP[22] is 1 (advanced=1)");
        if (qualification & advanced)
            report_note(
                report,
                (qualification & HVPT_EPT_VIOLATION_USER_LINEAR)
                    ? ((qualification & HVPT_EPT_VIOLATION_LINEAR_WRITABLE)
                           ? ((qualification & HVPT_EPT_VIOLATION_LINEAR_NX) ? "a user page, writable, execute-disable"
                                                                             : "a user page, writable, executable")
                           : ((qualification & HVPT_EPT_VIOLATION_LINEAR_NX) ? "a user page, read-only, execute-disable"
                                                                             : "a user page, read-only, executable"))
                    : ((qualification & HVPT_EPT_VIOLATION_LINEAR_WRITABLE)
                           ? ((qualification & HVPT_EPT_VIOLATION_LINEAR_NX)
                                  ? "a supervisor page, writable, execute-disable"
                                  : "a supervisor page, writable, executable")
                           : ((qualification & HVPT_EPT_VIOLATION_LINEAR_NX)
                                  ? "a supervisor page, read-only, execute-disable"
                                  : "a supervisor page, read-only, executable")));
    }
    if (!input->given[EXIT_SHADOW_STACK] && (qualification & HVPT_EPT_VIOLATION_SHADOW_PAGE))
        report_note(report, "bit 14 = 1: a supervisor shadow-stack page, if EPTP[7] is 1 (sss=1); undefined otherwise");
    if (!input->given[EXIT_PAGING_VERIFICATION] && (qualification & HVPT_EPT_VIOLATION_GUEST_PAGING))
        report_note(report,
                    "bit 15 = 1: guest-paging verification failed, if that control is on (gpv=1); undefined otherwise");
}

/* The exit qualification of this reason, and the guest's addresses. */
static void exit_qualification(struct report *report, const struct exit_input *input, uint32_t basic)
{
    const uint64_t qualification = input->value[EXIT_QUALIFICATION];
    struct hvpt_ept_violation_form form;
    struct hvpt_text words = report_words(report);
    struct hvctl_vmx_event event = hvctl_vmx_event_decode((uint32_t)input->value[EXIT_INTERRUPTION], 0);

    form.mode_based_execute = input->value[EXIT_MODE_BASED_EXECUTE] != 0;
    form.advanced_information = input->value[EXIT_ADVANCED] != 0;
    form.supervisor_shadow_stack = input->value[EXIT_SHADOW_STACK] != 0;
    form.paging_verification = input->value[EXIT_PAGING_VERIFICATION] != 0;
    if (!input->given[EXIT_QUALIFICATION])
        return;
    if (basic == HVCTL_VMX_REASON_EXCEPTION_OR_NMI) {
        if (!input->given[EXIT_INTERRUPTION])
            hvpt_text_string(&words, "its meaning hangs on the vector, and no interruption information was given");
        else if (event.valid && event.type == HVCTL_EVENT_HARDWARE_EXCEPTION && event.vector == 14)
            hvpt_text_string(&words, "the linear address of the page fault");
        else if (event.valid && event.vector == 1)
            hvctl_debug_exceptions_text(qualification, &words);
        else
            hvpt_text_string(&words, "means nothing for this vector");
    } else if (!hvctl_vmx_exit_reason_words(basic)) {
        hvpt_text_string(&words, "of an unknown reason");
    } else if (hvctl_vmx_qualification_counts(basic, qualification)) {
        hvctl_vmx_qualification_text(basic, qualification, form, &words);
    } else {
        hvpt_text_string(&words, "means nothing for this reason");
    }
    report_value(report, "exit qualification", qualification);
}

static const char *exit_vmx_section(uint32_t basic)
{
    switch (basic) {
    case HVCTL_VMX_REASON_EPT_VIOLATION: return "SDM vol. 3, \"Exit Qualification for EPT Violations\"";
    case HVCTL_VMX_REASON_EPT_MISCONFIGURATION: return "SDM vol. 3, \"EPT Misconfigurations\"";
    case HVCTL_VMX_REASON_ENTRY_FAILURE_GUEST_STATE: return "SDM vol. 3, \"Checks on the Guest State Area\"";
    case HVCTL_VMX_REASON_ENTRY_FAILURE_MSR_LOADING: return "SDM vol. 3, \"Loading MSRs\"";
    default: return "SDM vol. 3, \"VMX Basic Exit Reasons\" and \"Exit Qualification\"";
    }
}

/* VMLAUNCH or VMRESUME failed before there was an exit. */
static bool exit_vmx_error(struct report *report, const struct exit_input *input)
{
    const uint64_t number = input->value[EXIT_INSTRUCTION_ERROR];
    const char *meaning = hvctl_vmx_instruction_error_text((uint32_t)number);
    struct hvpt_text words = report_words(report);

    hvpt_text_string(&words, "VM-instruction error ");
    hvpt_text_decimal(&words, number);
    hvpt_text_string(&words, ": ");
    hvpt_text_string(&words, meaning && number >> 32 == 0 ? meaning : "the manual has no such number");
    report_summary(report);
    if (input->given[EXIT_REASON] || input->given[EXIT_QUALIFICATION])
        report_note(report, "there was no VM exit: exit reason and qualification, if any, are of an exit before");
    report_note(report, "SDM vol. 3, \"VM Instruction Error Numbers\"");
    return true;
}

static enum core_status exit_vmx(const struct core_request *request, struct exit_input *input,
                                 const struct hvpt_text *out, struct core_error *error)
{
    static struct report report;
    const struct hvctl_vmx_reason reason = hvctl_vmx_reason_decode((uint32_t)input->value[EXIT_REASON]);
    const char *words_of = hvctl_vmx_exit_reason_words(reason.basic);
    const bool misconfigured = reason.basic == HVCTL_VMX_REASON_EPT_MISCONFIGURATION;
    static const uint8_t words32[] = {EXIT_REASON,           EXIT_INSTRUCTION,
                                      EXIT_INTERRUPTION,     EXIT_INTERRUPTION_ERROR,
                                      EXIT_VECTORING,        EXIT_VECTORING_ERROR,
                                      EXIT_INSTRUCTION_ERROR};
    struct hvpt_text words;
    unsigned i;

    for (i = 0; i < sizeof(words32); i++)
        if (!exit_is_word(request, input, words32[i], error))
            return CORE_NOT_READABLE;
    if (!input->given[EXIT_REASON] && !input->given[EXIT_INSTRUCTION_ERROR])
        return core_fail(error, 0, 0, "the exit reason is missing: reason=NUMBER or NAME");
    report_begin(&report, out, request->json, "vmx-exit");
    if (input->given[EXIT_INSTRUCTION_ERROR] && (input->value[EXIT_INSTRUCTION_ERROR] || !input->given[EXIT_REASON]))
        return report_end(&report, exit_vmx_error(&report, input));

    words = report_words(&report);
    hvpt_text_string(&words, reason.entry_failure ? "the guest was not entered, reason " : "VM exit ");
    hvpt_text_decimal(&words, reason.basic);
    hvpt_text_string(&words, ", ");
    hvpt_text_string(&words, words_of ? words_of : "which the manual does not know");
    hvpt_text_string_if(&words, reason.enclave, ", in an enclave");
    hvpt_text_string_if(&words, reason.bus_lock, ", after a bus lock");
    hvpt_text_string_if(&words, reason.busy_shadow_stack, ", a shadow stack is prematurely busy");
    hvpt_text_string_if(&words, reason.pending_mtf, ", with a pending MTF exit");
    hvpt_text_string_if(&words, reason.from_root, ", from VMX root operation");
    report_summary(&report);
    report.words[0] = 0;

    exit_qualification(&report, input, reason.basic);
    if (input->given[EXIT_GUEST_PHYSICAL]) {
        words = report_words(&report);
        hvpt_text_string_if(&words,
                            reason.basic != HVCTL_VMX_REASON_EPT_VIOLATION && !misconfigured
                                && reason.basic != HVCTL_VMX_REASON_SPP_RELATED_EVENT,
                            "undefined for this reason");
        report_value(&report, "guest-physical address", input->value[EXIT_GUEST_PHYSICAL]);
    }
    if (input->given[EXIT_GUEST_LINEAR]) {
        words = report_words(&report);
        hvpt_text_string_if(&words,
                            reason.basic == HVCTL_VMX_REASON_EPT_VIOLATION && input->given[EXIT_QUALIFICATION]
                                && !(input->value[EXIT_QUALIFICATION] & HVPT_EPT_VIOLATION_LINEAR_VALID),
                            "not valid: bit 7 of the qualification is 0");
        report_value(&report, "guest linear address", input->value[EXIT_GUEST_LINEAR]);
    }
    if (input->given[EXIT_INSTRUCTION]) {
        struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode(reason.basic, (uint32_t)input->value[EXIT_INSTRUCTION]);

        words = report_words(&report);
        if (insn.form == HVCTL_INSN_NONE)
            hvpt_text_string(&words, "means nothing for this reason");
        hvctl_vmx_insn_text(&insn, &words);
        report_value(&report, "instruction information", input->value[EXIT_INSTRUCTION]);
    }
    if (input->given[EXIT_INTERRUPTION])
        exit_event(&report, input, EXIT_INTERRUPTION, EXIT_INTERRUPTION_ERROR, "interruption information");
    if (input->given[EXIT_VECTORING])
        exit_event(&report, input, EXIT_VECTORING, EXIT_VECTORING_ERROR,
                   reason.entry_failure ? "IDT-vectoring information" : "while delivering, IDT-vectoring information");
    if (reason.basic == HVCTL_VMX_REASON_EPT_VIOLATION && input->given[EXIT_QUALIFICATION])
        exit_violation_unknown(&report, input, input->value[EXIT_QUALIFICATION]);
    report_note(&report, exit_vmx_section(reason.basic));
    return report_end(&report, reason.entry_failure || misconfigured || !words_of);
}

/* ---- SVM ---- */

static enum core_status exit_svm(const struct core_request *request, struct exit_input *input,
                                 const struct hvpt_text *out, struct core_error *error)
{
    static struct report report;
    static struct hvctl_vmcb vmcb;
    static char with[REPORT_WORDS];
    const uint64_t info1 = input->value[EXIT_INFO1];
    uint64_t code = input->value[EXIT_SVM_CODE];
    struct hvpt_text_buffer buffer;
    struct hvpt_text words;
    bool same = true, invalid;
    size_t i;

    if (!input->given[EXIT_SVM_CODE])
        return core_fail(error, 0, 0, "the exit code is missing: code=NUMBER or NAME");
    invalid = hvctl_svm_exit_invalid(code);
    for (i = 0; i < sizeof(vmcb); i++)
        ((unsigned char *)&vmcb)[i] = 0;
    vmcb.control.exitcode = code;
    vmcb.control.exitinfo1 = info1;
    vmcb.control.exitinfo2 = input->value[EXIT_INFO2];
    if (input->given[EXIT_INT_INFO_ERROR])
        input->value[EXIT_INT_INFO] |= input->value[EXIT_INT_INFO_ERROR] << 32;
    vmcb.control.exitintinfo = input->value[EXIT_INT_INFO];

    report_begin(&report, out, request->json, "svm-exit");
    words = hvpt_text_into(&buffer, with, sizeof(with));
    hvctl_svm_exit_text(&vmcb, true, &words);
    words = report_words(&report);
    hvpt_text_string(&words, invalid ? "VMRUN failed: " : "#VMEXIT: ");
    if (input->given[EXIT_INFO1]) {
        hvctl_svm_exit_text(&vmcb, input->value[EXIT_DECODE_ASSISTS] != 0, &words);
    } else {
        const char *name = hvctl_svm_exit_name(invalid ? HVCTL_SVM_EXIT_INVALID : code);

        hvpt_text_string(&words, name ? name : "unknown exit code ");
        if (!name)
            hvpt_text_hex(&words, code);
    }
    report_summary(&report);
    if (input->given[EXIT_INFO1] && !input->given[EXIT_DECODE_ASSISTS]) {
        const char *without = report.words + (invalid ? 14 : 9);

        for (i = 0; with[i] || without[i]; i++) {
            if (with[i] != without[i]) {
                same = false;
                break;
            }
        }
    }
    report.words[0] = 0;
    report_value(&report, "exit code", code);
    if (input->given[EXIT_INFO1])
        report_value(&report, "EXITINFO1", info1);
    if (input->given[EXIT_INFO2]) {
        words = report_words(&report);
        hvpt_text_string_if(&words, code == HVCTL_SVM_EXIT_NPF, "the guest-physical address");
        hvpt_text_string_if(&words, code == HVCTL_SVM_EXIT_EXCP_PF, "the linear address");
        report_value(&report, "EXITINFO2", input->value[EXIT_INFO2]);
    }
    if (input->given[EXIT_INT_INFO]) {
        struct hvctl_svm_event event = hvctl_svm_event_decode(input->value[EXIT_INT_INFO]);

        words = report_words(&report);
        hvctl_svm_event_text(&event, &words);
        report_value(&report, "EXITINTINFO", input->value[EXIT_INT_INFO]);
    }
    if (!same) {
        words = report_words(&report);
        hvpt_text_string(&words, "on a CPU with decode assists (decode_assists=1): ");
        hvpt_text_string(&words, with);
        report_note(&report, report.words);
    }
    if (!input->given[EXIT_INFO1])
        report_note(&report, "EXITINFO1 was not given: exitinfo1=NUMBER says more");
    report_note(&report, code == HVCTL_SVM_EXIT_NPF ? "APM vol. 2, \"Nested versus Guest Page Faults, Fault Ordering\""
                         : invalid                  ? "APM vol. 2, \"Canonicalization and Consistency Checks\""
                                                    : "APM vol. 2, appendix \"SVM Intercept Exit Codes\"");
    return report_end(&report, invalid || !hvctl_svm_exit_name(code)
                                   || (code == HVCTL_SVM_EXIT_NPF && (info1 & HVPT_NPF_RESERVED)));
}

/* ---- all ---- */

enum core_status core_exit(const struct core_request *request, const struct hvpt_text *out, struct core_error *error)
{
    static struct exit_input input;

    if (!exit_read(request, &input, error))
        return CORE_NOT_READABLE;
    /* KVM's trace has the same names for both vendors. */
    if (input.architectures == VMX || (input.given[EXIT_REASON] && !input.given[EXIT_SVM_CODE])) {
        static const uint8_t pairs[4][2] = {{EXIT_INFO_1, EXIT_QUALIFICATION},
                                            {EXIT_INFO_2, EXIT_VECTORING},
                                            {EXIT_TRACE_INTERRUPTION, EXIT_INTERRUPTION},
                                            {EXIT_TRACE_ERROR, EXIT_INTERRUPTION_ERROR}};
        unsigned i;

        for (i = 0; i < 4; i++) {
            if (input.given[pairs[i][0]] && !input.given[pairs[i][1]]) {
                input.given[pairs[i][1]] = true;
                input.value[pairs[i][1]] = input.value[pairs[i][0]];
                input.at[pairs[i][1]] = input.at[pairs[i][0]];
            }
        }
        return exit_vmx(request, &input, out, error);
    }
    if (input.given[EXIT_SVM_CODE] || input.architectures == SVM) {
        static const uint8_t pairs[4][2] = {{EXIT_INFO_1, EXIT_INFO1},
                                            {EXIT_INFO_2, EXIT_INFO2},
                                            {EXIT_TRACE_INTERRUPTION, EXIT_INT_INFO},
                                            {EXIT_TRACE_ERROR, EXIT_INT_INFO_ERROR}};
        unsigned i;

        for (i = 0; i < 4; i++) {
            if (input.given[pairs[i][0]] && !input.given[pairs[i][1]]) {
                input.given[pairs[i][1]] = true;
                input.value[pairs[i][1]] = input.value[pairs[i][0]];
            }
        }
        return exit_svm(request, &input, out, error);
    }
    if (input.architectures == ARM) {
        struct exit_arm arm = {input.value[EXIT_ESR], input.value[EXIT_FAR], input.value[EXIT_HPFAR],
                               input.given[EXIT_FAR], input.given[EXIT_HPFAR]};

        if (!input.given[EXIT_ESR])
            return core_fail(error, 0, 0, "ESR_EL2 is missing: esr=NUMBER");
        return exit_explain_arm(request, &arm, out);
    }
    if (input.architectures == RISCV) {
        struct exit_riscv riscv = {input.value[EXIT_SCAUSE], input.value[EXIT_STVAL], input.value[EXIT_HTVAL],
                                   input.value[EXIT_HTINST], input.given[EXIT_STVAL], input.given[EXIT_HTVAL],
                                   input.given[EXIT_HTINST]};

        if (!input.given[EXIT_SCAUSE])
            return core_fail(error, 0, 0, "scause is missing: scause=NUMBER");
        return exit_explain_riscv(request, &riscv, out);
    }
    return core_fail(error, 0, 0, "no exit: give reason=, code=, esr= or scause=");
}
