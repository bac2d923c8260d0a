/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM exits as structs and in words: basic reasons, exit qualifications, VM-instruction errors.
 * SDM vol. 3, "VM-Exit Information Fields", "Basic VM-Exit Information", appendix "VMX Basic Exit Reasons".
 */
#ifndef HVCTL_VMX_EXIT_H
#define HVCTL_VMX_EXIT_H

#include "../common/linkage.h"
#include "../../hvpt/fault/ept.h"
#include "../common/regs.h"
#include "../../hvpt/text.h"
#include "vmcs.h"
#include "event.h"

/* X(name, number, in words). 80 and 81 are known from one emulator only; 35, 42 and 71 from the TDX module only. */
#define HVCTL_VMX_EXIT_REASONS(X)                                                 \
    X(EXCEPTION_OR_NMI, 0, "exception or NMI")                                    \
    X(EXTERNAL_INTERRUPT, 1, "external interrupt")                                \
    X(TRIPLE_FAULT, 2, "triple fault")                                            \
    X(INIT_SIGNAL, 3, "INIT signal")                                              \
    X(SIPI, 4, "start-up IPI")                                                    \
    X(IO_SMI, 5, "I/O system-management interrupt")                               \
    X(OTHER_SMI, 6, "other system-management interrupt")                          \
    X(INTERRUPT_WINDOW, 7, "interrupt window")                                    \
    X(NMI_WINDOW, 8, "NMI window")                                                \
    X(TASK_SWITCH, 9, "task switch")                                              \
    X(CPUID, 10, "CPUID")                                                         \
    X(GETSEC, 11, "GETSEC")                                                       \
    X(HLT, 12, "HLT")                                                             \
    X(INVD, 13, "INVD")                                                           \
    X(INVLPG, 14, "INVLPG")                                                       \
    X(RDPMC, 15, "RDPMC")                                                         \
    X(RDTSC, 16, "RDTSC")                                                         \
    X(RSM, 17, "RSM")                                                             \
    X(VMCALL, 18, "VMCALL")                                                       \
    X(VMCLEAR, 19, "VMCLEAR")                                                     \
    X(VMLAUNCH, 20, "VMLAUNCH")                                                   \
    X(VMPTRLD, 21, "VMPTRLD")                                                     \
    X(VMPTRST, 22, "VMPTRST")                                                     \
    X(VMREAD, 23, "VMREAD")                                                       \
    X(VMRESUME, 24, "VMRESUME")                                                   \
    X(VMWRITE, 25, "VMWRITE")                                                     \
    X(VMXOFF, 26, "VMXOFF")                                                       \
    X(VMXON, 27, "VMXON")                                                         \
    X(CR_ACCESS, 28, "control-register access")                                   \
    X(DR_ACCESS, 29, "debug-register access")                                     \
    X(IO_INSTRUCTION, 30, "I/O instruction")                                      \
    X(RDMSR, 31, "RDMSR")                                                         \
    X(WRMSR, 32, "WRMSR")                                                         \
    X(ENTRY_FAILURE_GUEST_STATE, 33, "VM-entry failure: invalid guest state")     \
    X(ENTRY_FAILURE_MSR_LOADING, 34, "VM-entry failure: MSR loading")             \
    X(VMEXIT_FAILURE, 35, "VM-exit failure")                                      \
    X(MWAIT, 36, "MWAIT")                                                         \
    X(MONITOR_TRAP_FLAG, 37, "monitor trap flag")                                 \
    X(MONITOR, 39, "MONITOR")                                                     \
    X(PAUSE, 40, "PAUSE")                                                         \
    X(ENTRY_FAILURE_MACHINE_CHECK, 41, "VM-entry failure: machine check")         \
    X(C_STATE_SMI, 42, "SMI in a C-state")                                        \
    X(TPR_BELOW_THRESHOLD, 43, "TPR below threshold")                             \
    X(APIC_ACCESS, 44, "APIC access")                                             \
    X(VIRTUALIZED_EOI, 45, "virtualized EOI")                                     \
    X(GDTR_OR_IDTR_ACCESS, 46, "access to GDTR or IDTR")                          \
    X(LDTR_OR_TR_ACCESS, 47, "access to LDTR or TR")                              \
    X(EPT_VIOLATION, 48, "EPT violation")                                         \
    X(EPT_MISCONFIGURATION, 49, "EPT misconfiguration")                           \
    X(INVEPT, 50, "INVEPT")                                                       \
    X(RDTSCP, 51, "RDTSCP")                                                       \
    X(VMX_PREEMPTION_TIMER_EXPIRED, 52, "VMX-preemption timer expired")           \
    X(INVVPID, 53, "INVVPID")                                                     \
    X(WBINVD_OR_WBNOINVD, 54, "WBINVD or WBNOINVD")                               \
    X(XSETBV, 55, "XSETBV")                                                       \
    X(APIC_WRITE, 56, "APIC write")                                               \
    X(RDRAND, 57, "RDRAND")                                                       \
    X(INVPCID, 58, "INVPCID")                                                     \
    X(VMFUNC, 59, "VMFUNC")                                                       \
    X(ENCLS, 60, "ENCLS")                                                         \
    X(RDSEED, 61, "RDSEED")                                                       \
    X(PAGE_MODIFICATION_LOG_FULL, 62, "page-modification log full")               \
    X(XSAVES, 63, "XSAVES")                                                       \
    X(XRSTORS, 64, "XRSTORS")                                                     \
    X(PCONFIG, 65, "PCONFIG")                                                     \
    X(SPP_RELATED_EVENT, 66, "SPP-related event")                                 \
    X(UMWAIT, 67, "UMWAIT")                                                       \
    X(TPAUSE, 68, "TPAUSE")                                                       \
    X(LOADIWKEY, 69, "LOADIWKEY")                                                 \
    X(ENCLV, 70, "ENCLV")                                                         \
    X(SGX_CONFLICT, 71, "SGX conflict")                                           \
    X(ENQCMD_PASID_TRANSLATION_FAILURE, 72, "ENQCMD PASID translation failure")   \
    X(ENQCMDS_PASID_TRANSLATION_FAILURE, 73, "ENQCMDS PASID translation failure") \
    X(BUS_LOCK, 74, "bus lock")                                                   \
    X(INSTRUCTION_TIMEOUT, 75, "instruction timeout")                             \
    X(SEAMCALL, 76, "SEAMCALL")                                                   \
    X(TDCALL, 77, "TDCALL")                                                       \
    X(RDMSRLIST, 78, "RDMSRLIST")                                                 \
    X(WRMSRLIST, 79, "WRMSRLIST")                                                 \
    X(URDMSR, 80, "URDMSR")                                                       \
    X(UWRMSR, 81, "UWRMSR")                                                       \
    X(RDMSR_IMMEDIATE, 84, "RDMSR, immediate form")                               \
    X(WRMSRNS_IMMEDIATE, 85, "WRMSRNS, immediate form")

/* HVCTL_VMX_REASON_CPUID and so on: bits 15:0 of the exit reason. */
enum hvctl_vmx_exit_reason {
#define HVCTL_X(name, number, text) HVCTL_VMX_REASON_##name = (number),
    HVCTL_VMX_EXIT_REASONS(HVCTL_X)
#undef HVCTL_X
        HVCTL_VMX_REASON_NONE = 0xffff
};

/* "EPT_VIOLATION"; NULL for a number that is not a basic exit reason. */
HVCTL_API const char *hvctl_vmx_exit_reason_name(uint32_t basic_reason);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_vmx_exit_reason_name(uint32_t basic_reason)
{
    switch (basic_reason) {
#define HVCTL_X(name, number, text) \
    case number: return #name;
        HVCTL_VMX_EXIT_REASONS(HVCTL_X)
#undef HVCTL_X
    default: return NULL;
    }
}
#endif

/* "EPT violation"; NULL for a number that is not a basic exit reason. */
HVCTL_API const char *hvctl_vmx_exit_reason_words(uint32_t basic_reason);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_vmx_exit_reason_words(uint32_t basic_reason)
{
    switch (basic_reason) {
#define HVCTL_X(name, number, text) \
    case number: return text;
        HVCTL_VMX_EXIT_REASONS(HVCTL_X)
#undef HVCTL_X
    default: return NULL;
    }
}
#endif

/* X(number, meaning). SDM vol. 3, "VM Instruction Error Numbers". */
#define HVCTL_VMX_INSTRUCTION_ERRORS(X)                             \
    X(1, "VMCALL in VMX root operation")                            \
    X(2, "VMCLEAR with invalid physical address")                   \
    X(3, "VMCLEAR with VMXON pointer")                              \
    X(4, "VMLAUNCH with non-clear VMCS")                            \
    X(5, "VMRESUME with non-launched VMCS")                         \
    X(6, "VMRESUME after VMXOFF")                                   \
    X(7, "VM entry with invalid control fields")                    \
    X(8, "VM entry with invalid host-state fields")                 \
    X(9, "VMPTRLD with invalid physical address")                   \
    X(10, "VMPTRLD with VMXON pointer")                             \
    X(11, "VMPTRLD with incorrect VMCS revision identifier")        \
    X(12, "VMREAD/VMWRITE unsupported component")                   \
    X(13, "VMWRITE to read-only component")                         \
    X(15, "VMXON in VMX root operation")                            \
    X(16, "VM entry with invalid executive-VMCS pointer")           \
    X(17, "VM entry with non-launched executive VMCS")              \
    X(18, "VM entry with executive-VMCS pointer not VMXON pointer") \
    X(19, "VMCALL with non-clear VMCS")                             \
    X(20, "VMCALL with invalid VM-exit control fields")             \
    X(22, "VMCALL with incorrect MSEG revision identifier")         \
    X(23, "VMXOFF under dual-monitor treatment")                    \
    X(24, "VMCALL with invalid SMM-monitor features")               \
    X(25, "VM entry with invalid controls in executive VMCS")       \
    X(26, "VM entry with events blocked by MOV SS")                 \
    X(28, "invalid operand to INVEPT/INVVPID")

/* The meaning of VM_INSTRUCTION_ERROR after a VMfailValid; NULL for a number without a meaning. */
HVCTL_API const char *hvctl_vmx_instruction_error_text(uint32_t number);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_vmx_instruction_error_text(uint32_t number)
{
    switch (number) {
#define HVCTL_X(number, text) \
    case number: return text;
        HVCTL_VMX_INSTRUCTION_ERRORS(HVCTL_X)
#undef HVCTL_X
    default: return NULL;
    }
}
#endif

/* EXIT_REASON taken apart. */
struct hvctl_vmx_reason {
    uint16_t basic;
    bool busy_shadow_stack; /* bit 25: the exit left a shadow stack prematurely busy */
    bool bus_lock;          /* bit 26: a bus lock was asserted before the exit */
    bool enclave;           /* bit 27 */
    bool pending_mtf;       /* bit 28: SMM VM exits */
    bool from_root;         /* bit 29: SMM VM exits */
    bool entry_failure;     /* bit 31: the guest did not run */
};

static inline struct hvctl_vmx_reason hvctl_vmx_reason_decode(uint32_t exit_reason)
{
    struct hvctl_vmx_reason reason;

    reason.basic = (uint16_t)(exit_reason & 0xffffu);
    reason.busy_shadow_stack = (exit_reason >> 25 & 1u) != 0;
    reason.bus_lock = (exit_reason >> 26 & 1u) != 0;
    reason.enclave = (exit_reason >> 27 & 1u) != 0;
    reason.pending_mtf = (exit_reason >> 28 & 1u) != 0;
    reason.from_root = (exit_reason >> 29 & 1u) != 0;
    reason.entry_failure = (exit_reason >> 31 & 1u) != 0;
    return reason;
}

/* MOV CR, CLTS, LMSW. */
enum hvctl_cr_access_type { HVCTL_CR_MOV_TO, HVCTL_CR_MOV_FROM, HVCTL_CR_CLTS, HVCTL_CR_LMSW };

struct hvctl_vmx_cr_access {
    unsigned cr;
    enum hvctl_cr_access_type type;
    bool lmsw_memory;     /* LMSW's operand was in memory; its linear address is in GUEST_LINEAR_ADDRESS */
    unsigned gpr;         /* MOV CR: number of the general register, up to 31 with APX */
    uint16_t lmsw_source; /* LMSW: what it loads */
};

static inline struct hvctl_vmx_cr_access hvctl_vmx_cr_access_decode(uint64_t qualification)
{
    struct hvctl_vmx_cr_access out;

    out.cr = (unsigned)(qualification & 15u);
    out.type = (enum hvctl_cr_access_type)(qualification >> 4 & 3u);
    out.lmsw_memory = (qualification >> 6 & 1u) != 0;
    out.gpr = (unsigned)(qualification >> 8 & 31u);
    out.lmsw_source = (uint16_t)(qualification >> 16);
    return out;
}

/* MOV DR. */
struct hvctl_vmx_dr_access {
    unsigned dr;
    bool from_dr; /* the general register is written */
    unsigned gpr; /* up to 31 with APX */
};

static inline struct hvctl_vmx_dr_access hvctl_vmx_dr_access_decode(uint64_t qualification)
{
    struct hvctl_vmx_dr_access out;

    out.dr = (unsigned)(qualification & 7u);
    out.from_dr = (qualification >> 4 & 1u) != 0;
    out.gpr = (unsigned)(qualification >> 8 & 31u);
    return out;
}

/* IN, OUT, INS, OUTS; also I/O SMI. */
struct hvctl_vmx_io {
    unsigned size; /* bytes: 1, 2, 4; 0 if the value is reserved */
    bool in, string, rep, immediate;
    uint16_t port;
};

static inline struct hvctl_vmx_io hvctl_vmx_io_decode(uint64_t qualification)
{
    struct hvctl_vmx_io out;
    unsigned size = (unsigned)(qualification & 7u);

    out.size = size == 0 || size == 1 || size == 3 ? size + 1 : 0;
    out.in = (qualification >> 3 & 1u) != 0;
    out.string = (qualification >> 4 & 1u) != 0;
    out.rep = (qualification >> 5 & 1u) != 0;
    out.immediate = (qualification >> 6 & 1u) != 0;
    out.port = (uint16_t)(qualification >> 16);
    return out;
}

/* Task switch. */
enum hvctl_task_switch_source { HVCTL_TASK_CALL, HVCTL_TASK_IRET, HVCTL_TASK_JMP, HVCTL_TASK_GATE };

struct hvctl_vmx_task_switch {
    uint16_t selector; /* of the new TSS */
    enum hvctl_task_switch_source source;
};

static inline struct hvctl_vmx_task_switch hvctl_vmx_task_switch_decode(uint64_t qualification)
{
    struct hvctl_vmx_task_switch out;

    out.selector = (uint16_t)qualification;
    out.source = (enum hvctl_task_switch_source)(qualification >> 30 & 3u);
    return out;
}

/* An access to the APIC-access page. */
struct hvctl_vmx_apic_access {
    unsigned offset;   /* in the page; meaningful for the linear types 0 to 3 */
    unsigned type;     /* bits 15:12, see hvctl_vmx_apic_access_type_name */
    bool asynchronous; /* to instruction execution, and not part of event delivery */
};

static inline struct hvctl_vmx_apic_access hvctl_vmx_apic_access_decode(uint64_t qualification)
{
    struct hvctl_vmx_apic_access out;

    out.offset = (unsigned)(qualification & 0xfffu);
    out.type = (unsigned)(qualification >> 12 & 15u);
    out.asynchronous = (qualification >> 16 & 1u) != 0;
    return out;
}

/* The type of an APIC access in words; NULL for a reserved number. */
static inline const char *hvctl_vmx_apic_access_type_name(unsigned type)
{
    switch (type) {
    case 0: return "linear data read";
    case 1: return "linear data write";
    case 2: return "linear instruction fetch";
    case 3: return "linear access during event delivery";
    case 4: return "linear access asynchronous to instruction execution";
    case 10: return "guest-physical access during event delivery";
    case 11: return "guest-physical access asynchronous to instruction execution";
    case 15: return "guest-physical access for a fetch or during execution";
    default: return NULL;
    }
}

/*
 * The form of the EPT-violation qualifications that a guest run from this image will give, for
 * hvpt_ept_decode_violation_as.
 */
static inline struct hvpt_ept_violation_form hvctl_ept_violation_form_of(const struct hvctl_vmcs_image *image,
                                                                         const struct hvctl_vmx_caps *caps)
{
    struct hvpt_ept_violation_form form;
    uint64_t primary = hvctl_vmcs_get(image, HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
    uint64_t secondary = hvctl_vmcs_get(image, HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
    uint64_t tertiary = hvctl_vmcs_get(image, HVCTL_VMCS_TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);

    form.mode_based_execute = (primary & hvctl_vmx_control_mask(HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS))
                           && (secondary & hvctl_vmx_control_mask(HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT));
    form.advanced_information = caps && (caps->ept_vpid_cap & HVCTL_EPT_CAP_ADVANCED_VM_EXIT_INFORMATION);
    form.supervisor_shadow_stack = (hvctl_vmcs_get(image, HVCTL_VMCS_EPT_POINTER) >> 7 & 1u) != 0;
    form.paging_verification = (primary & hvctl_vmx_control_mask(HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS))
                            && (tertiary & hvctl_vmx_control_mask(HVCTL_TERTIARY_GUEST_PAGING_VERIFICATION));
    return form;
}

/* Put an EPT violation in words, by hvpt's decoder. */
static inline void hvctl_ept_violation_text(uint64_t qualification, struct hvpt_ept_violation_form form,
                                            const struct hvpt_text *text)
{
    struct hvpt_ept_violation violation = hvpt_ept_decode_violation_as(qualification, form);

    hvpt_ept_violation_text(&violation, text);
    if (form.advanced_information && violation.linear_valid && violation.final_translation) {
        hvpt_text_string(text, "; by the guest's tables a ");
        hvpt_text_string(text, violation.user_linear ? "user page" : "supervisor page");
        hvpt_text_string(text, violation.writable_linear ? ", writable" : ", read-only");
        hvpt_text_string_if(text, violation.nx_linear, ", execute-disable");
    }
}

/* Put the name of the general register in a qualification of MOV CR or MOV DR. */
static inline void hvctl_vmx_gpr_text(unsigned gpr, const struct hvpt_text *text)
{
    hvpt_text_string(text, hvctl_gpr_name_apx(gpr));
}

/* A full page-modification log. SDM vol. 3, "Exit Qualification for Page-Modification Log-Full Events". */
struct hvctl_vmx_log_full {
    bool nmi_unblocking; /* an IRET had just unblocked NMIs: see hvctl_vmx_reblock_nmis */
    bool asynchronous;   /* to instruction execution */
};

static inline struct hvctl_vmx_log_full hvctl_vmx_log_full_decode(uint64_t qualification)
{
    struct hvctl_vmx_log_full out;

    out.nmi_unblocking = (qualification >> 12 & 1u) != 0;
    out.asynchronous = (qualification >> 16 & 1u) != 0;
    return out;
}

/* An instruction timeout, which is also called a notify VM exit. */
struct hvctl_vmx_timeout {
    bool context_lost;   /* VM context invalid: the guest cannot go on */
    bool nmi_unblocking; /* as in struct hvctl_vmx_log_full */
};

static inline struct hvctl_vmx_timeout hvctl_vmx_timeout_decode(uint64_t qualification)
{
    struct hvctl_vmx_timeout out;

    out.context_lost = (qualification & 1u) != 0;
    out.nmi_unblocking = (qualification >> 12 & 1u) != 0;
    return out;
}

/*
 * Does the qualification of an exit with this basic reason say that an IRET had unblocked NMIs? It is undefined if an
 * event was being delivered, which hvctl_vmx_nmi_unblocked takes into account.
 */
static inline bool hvctl_vmx_qualification_nmi_unblocked(uint32_t basic_reason, uint64_t qualification)
{
    switch (basic_reason) {
    case HVCTL_VMX_REASON_EPT_VIOLATION:
    case HVCTL_VMX_REASON_PAGE_MODIFICATION_LOG_FULL:
    case HVCTL_VMX_REASON_SPP_RELATED_EVENT:
    case HVCTL_VMX_REASON_INSTRUCTION_TIMEOUT: return (qualification >> 12 & 1u) != 0;
    default: return false;
    }
}

/* Put the bits of DR6 that a #DB qualification and pending debug exceptions share. */
static inline void hvctl_debug_exceptions_text(uint64_t bits, const struct hvpt_text *text)
{
    struct hvpt_text_list list = {text, ", ", false};

    hvpt_text_item_if(&list, (bits & 1u) != 0, "breakpoint 0");
    hvpt_text_item_if(&list, (bits >> 1 & 1u) != 0, "breakpoint 1");
    hvpt_text_item_if(&list, (bits >> 2 & 1u) != 0, "breakpoint 2");
    hvpt_text_item_if(&list, (bits >> 3 & 1u) != 0, "breakpoint 3");
    hvpt_text_item_if(&list, (bits >> 11 & 1u) != 0, "bus lock");
    hvpt_text_item_if(&list, (bits >> 13 & 1u) != 0, "debug-register access");
    hvpt_text_item_if(&list, (bits >> 14 & 1u) != 0, "single step");
    hvpt_text_item_if(&list, (bits >> 16 & 1u) != 0, "RTM");
    hvpt_text_item_if(&list, !list.begun, "none");
}

/*
 * Put an exit qualification in words, as the basic reason defines it; nothing for a reason whose qualification is
 * undefined. form matters for EPT violations only. Reason 0 depends on the vector: see hvctl_vmx_exit_text.
 */
HVCTL_API void hvctl_vmx_qualification_text(uint32_t basic_reason, uint64_t qualification,
                                            struct hvpt_ept_violation_form form, const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_qualification_text(uint32_t basic_reason, uint64_t qualification,
                                            struct hvpt_ept_violation_form form, const struct hvpt_text *text)
{
    switch (basic_reason) {
    case HVCTL_VMX_REASON_SIPI:
    case HVCTL_VMX_REASON_VIRTUALIZED_EOI:
        hvpt_text_string(text, "vector ");
        hvpt_text_hex(text, qualification & 0xffu);
        break;
    case HVCTL_VMX_REASON_IO_SMI:
    case HVCTL_VMX_REASON_IO_INSTRUCTION: {
        struct hvctl_vmx_io io = hvctl_vmx_io_decode(qualification);

        hvpt_text_string(text, io.rep ? "REP " : "");
        hvpt_text_string(text, io.in ? (io.string ? "INS" : "IN") : (io.string ? "OUTS" : "OUT"));
        hvpt_text_string(text, " of ");
        hvpt_text_decimal(text, io.size);
        hvpt_text_string(text, io.size == 1 ? " byte, port " : " bytes, port ");
        hvpt_text_hex(text, io.port);
        hvpt_text_string(text, io.string ? "" : io.immediate ? " (immediate)" : " (DX)");
        break;
    }
    case HVCTL_VMX_REASON_TASK_SWITCH: {
        struct hvctl_vmx_task_switch task = hvctl_vmx_task_switch_decode(qualification);
        static const char *const by[4] = {"CALL", "IRET", "JMP", "a task gate in the IDT"};

        hvpt_text_string(text, "to TSS ");
        hvpt_text_hex(text, task.selector);
        hvpt_text_string(text, " by ");
        hvpt_text_string(text, by[task.source]);
        break;
    }
    case HVCTL_VMX_REASON_INVLPG:
        hvpt_text_string(text, "linear address ");
        hvpt_text_hex(text, qualification);
        break;
    case HVCTL_VMX_REASON_CR_ACCESS: {
        struct hvctl_vmx_cr_access cr = hvctl_vmx_cr_access_decode(qualification);

        if (cr.type == HVCTL_CR_CLTS) {
            hvpt_text_string(text, "CLTS");
        } else if (cr.type == HVCTL_CR_LMSW) {
            hvpt_text_string(text, "LMSW of ");
            hvpt_text_hex(text, cr.lmsw_source);
            hvpt_text_string(text, cr.lmsw_memory ? " from memory" : " from a register");
        } else {
            hvpt_text_string(text, cr.type == HVCTL_CR_MOV_TO ? "MOV to CR" : "MOV from CR");
            hvpt_text_decimal(text, cr.cr);
            hvpt_text_string(text, cr.type == HVCTL_CR_MOV_TO ? " from " : " to ");
            hvctl_vmx_gpr_text(cr.gpr, text);
        }
        break;
    }
    case HVCTL_VMX_REASON_DR_ACCESS: {
        struct hvctl_vmx_dr_access dr = hvctl_vmx_dr_access_decode(qualification);

        hvpt_text_string(text, dr.from_dr ? "MOV from DR" : "MOV to DR");
        hvpt_text_decimal(text, dr.dr);
        hvpt_text_string(text, dr.from_dr ? " to " : " from ");
        hvctl_vmx_gpr_text(dr.gpr, text);
        break;
    }
    case HVCTL_VMX_REASON_ENTRY_FAILURE_GUEST_STATE:
        hvpt_text_string(text, qualification == 2   ? "loading the PDPTEs failed"
                               : qualification == 3 ? "NMI injected while events are blocked by STI"
                               : qualification == 4 ? "bad VMCS link pointer"
                                                    : "a check of the guest-state area failed");
        break;
    case HVCTL_VMX_REASON_ENTRY_FAILURE_MSR_LOADING:
        hvpt_text_string(text, "entry ");
        hvpt_text_decimal(text, qualification);
        hvpt_text_string(text, " (counted from 1) of the VM-entry MSR-load area");
        break;
    case HVCTL_VMX_REASON_MWAIT:
        hvpt_text_string(text, qualification & 1u ? "monitor armed" : "monitor not armed");
        break;
    case HVCTL_VMX_REASON_APIC_ACCESS: {
        struct hvctl_vmx_apic_access access = hvctl_vmx_apic_access_decode(qualification);
        const char *type = hvctl_vmx_apic_access_type_name(access.type);

        hvpt_text_string(text, type ? type : "access of a reserved type");
        if (access.type <= 3) {
            hvpt_text_string(text, " at offset ");
            hvpt_text_hex(text, access.offset);
        }
        if (access.asynchronous)
            hvpt_text_string(text, ", asynchronous to instruction execution");
        break;
    }
    case HVCTL_VMX_REASON_APIC_WRITE:
        hvpt_text_string(text, "offset ");
        hvpt_text_hex(text, qualification & 0xfffu);
        break;
    case HVCTL_VMX_REASON_EPT_VIOLATION: hvctl_ept_violation_text(qualification, form, text); break;
    case HVCTL_VMX_REASON_WRMSR: hvpt_text_string(text, qualification & 1u ? "WRMSRNS" : "WRMSR"); break;
    case HVCTL_VMX_REASON_WBINVD_OR_WBNOINVD: hvpt_text_string(text, qualification & 1u ? "WBNOINVD" : "WBINVD"); break;
    case HVCTL_VMX_REASON_SPP_RELATED_EVENT:
    case HVCTL_VMX_REASON_PAGE_MODIFICATION_LOG_FULL:
    case HVCTL_VMX_REASON_INSTRUCTION_TIMEOUT: {
        struct hvpt_text_list list = {text, ", ", false};
        bool timeout = basic_reason == HVCTL_VMX_REASON_INSTRUCTION_TIMEOUT;

        if (basic_reason == HVCTL_VMX_REASON_SPP_RELATED_EVENT)
            hvpt_text_item(&list, hvpt_spp_decode_event(qualification).miss ? "SPP miss" : "SPP misconfiguration");
        if (timeout)
            hvpt_text_item(&list, hvctl_vmx_timeout_decode(qualification).context_lost ? "the guest's context is lost"
                                                                                       : "the guest can go on");
        hvpt_text_item_if(&list, hvctl_vmx_qualification_nmi_unblocked(basic_reason, qualification),
                          "NMIs unblocked by IRET");
        hvpt_text_item_if(&list, !timeout && (qualification >> 16 & 1u), "asynchronous to instruction execution");
        break;
    }
    case HVCTL_VMX_REASON_ENQCMD_PASID_TRANSLATION_FAILURE:
        hvpt_text_string(text, "PASID ");
        hvpt_text_hex(text, qualification & 0xfffffu);
        break;
    case HVCTL_VMX_REASON_ENQCMDS_PASID_TRANSLATION_FAILURE:
        hvpt_text_string(text, "source ");
        hvpt_text_hex(text, qualification & UINT32_C(0xffffffff));
        break;
    case HVCTL_VMX_REASON_RDMSRLIST:
    case HVCTL_VMX_REASON_WRMSRLIST:
    case HVCTL_VMX_REASON_RDMSR_IMMEDIATE:
    case HVCTL_VMX_REASON_WRMSRNS_IMMEDIATE:
        hvpt_text_string(text, "MSR ");
        hvpt_text_hex(text, qualification & UINT32_C(0xffffffff));
        break;
    case HVCTL_VMX_REASON_VMCLEAR:
    case HVCTL_VMX_REASON_VMPTRLD:
    case HVCTL_VMX_REASON_VMPTRST:
    case HVCTL_VMX_REASON_VMREAD:
    case HVCTL_VMX_REASON_VMWRITE:
    case HVCTL_VMX_REASON_VMXON:
    case HVCTL_VMX_REASON_GDTR_OR_IDTR_ACCESS:
    case HVCTL_VMX_REASON_LDTR_OR_TR_ACCESS:
    case HVCTL_VMX_REASON_INVEPT:
    case HVCTL_VMX_REASON_INVVPID:
    case HVCTL_VMX_REASON_INVPCID:
    case HVCTL_VMX_REASON_XSAVES:
    case HVCTL_VMX_REASON_XRSTORS:
        hvpt_text_string(text, "displacement ");
        hvpt_text_hex(text, qualification);
        break;
    default: break;
    }
}
#endif

/* Does a qualification of this basic reason say anything? */
static inline bool hvctl_vmx_qualification_counts(uint32_t basic_reason, uint64_t qualification)
{
    switch (basic_reason) {
    case HVCTL_VMX_REASON_PAGE_MODIFICATION_LOG_FULL: return (qualification & UINT64_C(0x11000)) != 0;
    case HVCTL_VMX_REASON_SIPI:
    case HVCTL_VMX_REASON_VIRTUALIZED_EOI:
    case HVCTL_VMX_REASON_IO_SMI:
    case HVCTL_VMX_REASON_IO_INSTRUCTION:
    case HVCTL_VMX_REASON_TASK_SWITCH:
    case HVCTL_VMX_REASON_INVLPG:
    case HVCTL_VMX_REASON_CR_ACCESS:
    case HVCTL_VMX_REASON_DR_ACCESS:
    case HVCTL_VMX_REASON_ENTRY_FAILURE_GUEST_STATE:
    case HVCTL_VMX_REASON_ENTRY_FAILURE_MSR_LOADING:
    case HVCTL_VMX_REASON_MWAIT:
    case HVCTL_VMX_REASON_APIC_ACCESS:
    case HVCTL_VMX_REASON_APIC_WRITE:
    case HVCTL_VMX_REASON_EPT_VIOLATION:
    case HVCTL_VMX_REASON_WRMSR:
    case HVCTL_VMX_REASON_WBINVD_OR_WBNOINVD:
    case HVCTL_VMX_REASON_SPP_RELATED_EVENT:
    case HVCTL_VMX_REASON_INSTRUCTION_TIMEOUT:
    case HVCTL_VMX_REASON_ENQCMD_PASID_TRANSLATION_FAILURE:
    case HVCTL_VMX_REASON_ENQCMDS_PASID_TRANSLATION_FAILURE:
    case HVCTL_VMX_REASON_RDMSRLIST:
    case HVCTL_VMX_REASON_WRMSRLIST:
    case HVCTL_VMX_REASON_RDMSR_IMMEDIATE:
    case HVCTL_VMX_REASON_WRMSRNS_IMMEDIATE:
    case HVCTL_VMX_REASON_VMCLEAR:
    case HVCTL_VMX_REASON_VMPTRLD:
    case HVCTL_VMX_REASON_VMPTRST:
    case HVCTL_VMX_REASON_VMREAD:
    case HVCTL_VMX_REASON_VMWRITE:
    case HVCTL_VMX_REASON_VMXON:
    case HVCTL_VMX_REASON_GDTR_OR_IDTR_ACCESS:
    case HVCTL_VMX_REASON_LDTR_OR_TR_ACCESS:
    case HVCTL_VMX_REASON_INVEPT:
    case HVCTL_VMX_REASON_INVVPID:
    case HVCTL_VMX_REASON_INVPCID:
    case HVCTL_VMX_REASON_XSAVES:
    case HVCTL_VMX_REASON_XRSTORS: return true;
    default: return false;
    }
}

/* Put what is known of an exit's event: "hardware exception 14 (#PF), error code 0x2". */
static inline void hvctl_vmx_exit_event_text(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_event *event,
                                             const struct hvpt_text *text)
{
    bool qualified = hvctl_vmcs_known(image, HVCTL_VMCS_EXIT_QUALIFICATION);
    uint64_t qualification = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION);

    hvpt_text_string(text, ": ");
    hvctl_vmx_event_text(event, text);
    if (event->type == HVCTL_EVENT_HARDWARE_EXCEPTION && event->vector == 14 && qualified) {
        hvpt_text_string(text, " at linear ");
        hvpt_text_hex(text, qualification);
    } else if (event->type == HVCTL_EVENT_NMI && qualified && qualification != 0) {
        hvpt_text_string(text, ", sources "); /* a bit each; with NMI-source reporting */
        hvpt_text_hex(text, qualification);
    } else if (event->vector == 1 && qualified) {
        hvpt_text_string(text, ": ");
        hvctl_debug_exceptions_text(qualification, text);
    }
}

/* ", linear 0x5000", if the field is known. */
static inline void hvctl_vmx_exit_address_text(const struct hvctl_vmcs_image *image, uint32_t encoding,
                                               const char *words, const struct hvpt_text *text)
{
    if (!hvctl_vmcs_known(image, encoding))
        return;
    hvpt_text_string(text, words);
    hvpt_text_hex(text, hvctl_vmcs_get(image, encoding));
}

/*
 * Put a whole VM exit in words: "EPT violation: data read; EPT allows nothing; ... at guest-physical 0x5000, linear
 * 0x5000". image holds the exit's information fields (hvctl_vmcs_load with HVCTL_VMCS_LOAD_EXIT_INFO); caps may be
 * NULL. Unknown fields are left out.
 */
HVCTL_API void hvctl_vmx_exit_text(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                   const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_vmx_exit_text(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                   const struct hvpt_text *text)
{
    struct hvctl_vmx_reason reason = hvctl_vmx_reason_decode((uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_REASON));
    uint64_t qualification = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION);
    const char *words = hvctl_vmx_exit_reason_words(reason.basic);
    struct hvctl_vmx_event event;

    if (!hvctl_vmcs_known(image, HVCTL_VMCS_EXIT_REASON)) {
        hvpt_text_string(text, "exit reason not known");
        return;
    }
    if (words) {
        hvpt_text_string(text, words);
    } else {
        hvpt_text_string(text, "unknown exit reason ");
        hvpt_text_decimal(text, reason.basic);
    }
    event = hvctl_vmx_event_decode((uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION),
                                   (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE));
    if (reason.basic == HVCTL_VMX_REASON_EXCEPTION_OR_NMI
        || (reason.basic == HVCTL_VMX_REASON_EXTERNAL_INTERRUPT && event.valid)) {
        if (hvctl_vmcs_known(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION))
            hvctl_vmx_exit_event_text(image, &event, text);
    } else if (hvctl_vmcs_known(image, HVCTL_VMCS_EXIT_QUALIFICATION)
               && hvctl_vmx_qualification_counts(reason.basic, qualification)) {
        hvpt_text_string(text, ": ");
        hvctl_vmx_qualification_text(reason.basic, qualification, hvctl_ept_violation_form_of(image, caps), text);
    }
    if (reason.basic == HVCTL_VMX_REASON_EPT_VIOLATION || reason.basic == HVCTL_VMX_REASON_EPT_MISCONFIGURATION)
        hvctl_vmx_exit_address_text(image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS, ", guest-physical ", text);
    if (reason.basic == HVCTL_VMX_REASON_EPT_VIOLATION && qualification >> 7 & 1u)
        hvctl_vmx_exit_address_text(image, HVCTL_VMCS_GUEST_LINEAR_ADDRESS, ", linear ", text);
    event = hvctl_vmx_event_decode((uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD),
                                   (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE));
    event.nmi_unblocking = false; /* undefined in this field */
    if (event.valid && !reason.entry_failure) {
        hvpt_text_string(text, ", while delivering ");
        hvctl_vmx_event_text(&event, text);
    }
    if (reason.enclave)
        hvpt_text_string(text, ", in an enclave");
    if (reason.bus_lock)
        hvpt_text_string(text, ", after a bus lock");
    if (reason.busy_shadow_stack)
        hvpt_text_string(text, ", a shadow stack is prematurely busy");
}
#endif

#endif
