/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM exits and events of VMX. SDM vol. 3, "VMX Basic Exit Reasons", "VM Instruction Error Numbers", "Basic VM-Exit
 * Information", as recorded in vmx_exit_reasons.csv and vmx_instruction_errors.csv.
 */
#include <hvctl/vmx/exit.h>

#include "support/models.h"

static struct table table;
static struct hvctl_vmcs_image image;
static char bytes[400];
static struct hvpt_text_buffer buffer;
static const struct hvpt_ept_violation_form plain = {false, false, false, false};

Test(vmx_exit, every_basic_reason_has_the_name_of_the_table_and_no_other_number_has_one)
{
    table_load(&table, "vmx_exit_reasons.csv");
    for (uint32_t reason = 0; reason < 70000; reason++) {
        const char *expected = NULL;
        const char *name = hvctl_vmx_exit_reason_name(reason);

        for (unsigned i = 0; i < table.rows; i++)
            if (row_number(&table.row[i], 0) == reason && *table.row[i].cell[1])
                expected = table.row[i].cell[1];
        cr_expect_eq(name == NULL, expected == NULL, "%u", reason);
        cr_expect_eq(hvctl_vmx_exit_reason_words(reason) == NULL, expected == NULL, "%u", reason);
        if (name && expected)
            cr_expect_str_eq(name, expected);
    }
}

Test(vmx_exit, every_instruction_error_has_the_meaning_of_the_table)
{
    unsigned known = 0;

    table_load(&table, "vmx_instruction_errors.csv");
    for (uint32_t number = 0; number < 1000; number++)
        known += hvctl_vmx_instruction_error_text(number) != NULL;
    cr_expect_eq(known, table.rows);
    for (unsigned i = 0; i < table.rows; i++) {
        const char *text = hvctl_vmx_instruction_error_text((uint32_t)row_number(&table.row[i], 0));

        cr_assert(text, "%s", table.row[i].cell[0]);
        cr_expect_eq(strncmp(text, table.row[i].cell[1], 20), 0, "%s", text);
    }
}

Test(vmx_exit, an_exit_reason_comes_apart_into_its_bits)
{
    struct hvctl_vmx_reason reason = hvctl_vmx_reason_decode(0x80000021);

    cr_expect(reason.basic == 33 && reason.entry_failure && !reason.enclave && !reason.bus_lock);
    for (unsigned bit = 16; bit < 32; bit++) {
        reason = hvctl_vmx_reason_decode(UINT32_C(1) << bit);
        cr_expect_eq(reason.basic, 0);
        cr_expect_eq(reason.busy_shadow_stack, bit == 25);
        cr_expect_eq(reason.bus_lock, bit == 26);
        cr_expect_eq(reason.enclave, bit == 27);
        cr_expect_eq(reason.pending_mtf, bit == 28);
        cr_expect_eq(reason.from_root, bit == 29);
        cr_expect_eq(reason.entry_failure, bit == 31);
    }
}

Test(vmx_exit, the_form_of_a_violation_follows_the_controls)
{
    static struct hvctl_vmx_caps caps;
    struct hvpt_ept_violation_form form;
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmcs_image_init(&image, NULL);
    hvctl_vmcs_put(&image, HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, UINT32_C(1) << 22, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 8, &status);
    form = hvctl_ept_violation_form_of(&image, NULL);
    cr_expect(!form.mode_based_execute && !form.advanced_information && !form.paging_verification);
    hvctl_vmcs_put(&image, HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, UINT32_C(1) << 31 | 1 << 17,
                   &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_EPT_POINTER, 0x80, &status);
    caps.ept_vpid_cap = 1 << 22;
    form = hvctl_ept_violation_form_of(&image, &caps);
    cr_expect(form.mode_based_execute && form.advanced_information && form.paging_verification);
    cr_expect(form.supervisor_shadow_stack && status == HVCTL_OK);
}

Test(vmx_exit, qualifications_come_apart)
{
    struct hvctl_vmx_cr_access cr = hvctl_vmx_cr_access_decode(0x00010d33);
    struct hvctl_vmx_dr_access dr = hvctl_vmx_dr_access_decode(0xf17);
    struct hvctl_vmx_io io = hvctl_vmx_io_decode(0x03f8007b);
    struct hvctl_vmx_task_switch task = hvctl_vmx_task_switch_decode(UINT64_C(0xc0000028));
    struct hvctl_vmx_apic_access apic = hvctl_vmx_apic_access_decode(0x110b0);

    cr_expect(cr.cr == 3 && cr.type == HVCTL_CR_LMSW && cr.gpr == 13 && cr.lmsw_source == 1 && !cr.lmsw_memory);
    cr_expect(hvctl_vmx_cr_access_decode(0x40).lmsw_memory);
    cr_expect(dr.dr == 7 && dr.from_dr && dr.gpr == 15);
    cr_expect(io.size == 4 && io.in && io.string && io.rep && io.immediate && io.port == 0x3f8);
    cr_expect_eq(hvctl_vmx_io_decode(0).size, 1);
    cr_expect_eq(hvctl_vmx_io_decode(1).size, 2);
    cr_expect_eq(hvctl_vmx_io_decode(2).size, 0);
    cr_expect(task.selector == 0x28 && task.source == HVCTL_TASK_GATE);
    cr_expect(apic.offset == 0xb0 && apic.type == 1 && apic.asynchronous);
    for (unsigned type = 0; type < 16; type++)
        cr_expect_eq(hvctl_vmx_apic_access_type_name(type) != NULL, type <= 4 || type == 10 || type == 11 || type == 15,
                     "%u", type);
}

static const char *qualification(uint32_t reason, uint64_t value)
{
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvctl_vmx_qualification_text(reason, value, plain, &text);
    return bytes;
}

Test(vmx_exit, qualifications_in_words)
{
    cr_expect_str_eq(qualification(4, 0x9f), "vector 0x9f");
    cr_expect_str_eq(qualification(5, 0xb20000), "OUT of 1 byte, port 0xb2 (DX)");
    cr_expect_str_eq(qualification(9, 0x40000028), "to TSS 0x28 by IRET");
    cr_expect_str_eq(qualification(14, 0x1000), "linear address 0x1000");
    cr_expect_str_eq(qualification(19, 0x10), "displacement 0x10");
    cr_expect_str_eq(qualification(28, 0x0), "MOV to CR0 from RAX");
    cr_expect_str_eq(qualification(28, 0x313), "MOV from CR3 to RBX");
    cr_expect_str_eq(qualification(28, 0x20), "CLTS");
    cr_expect_str_eq(qualification(28, 0x10030), "LMSW of 0x1 from a register");
    cr_expect_str_eq(qualification(28, 0x10070), "LMSW of 0x1 from memory");
    cr_expect_str_eq(qualification(29, 0x217), "MOV from DR7 to RDX");
    cr_expect_str_eq(qualification(29, 0x7), "MOV to DR7 from RAX");
    cr_expect_str_eq(qualification(30, 0x800040), "OUT of 1 byte, port 0x80 (immediate)");
    cr_expect_str_eq(qualification(30, 0x1f00039), "REP INS of 2 bytes, port 0x1f0");
    cr_expect_str_eq(qualification(32, 1), "WRMSRNS");
    cr_expect_str_eq(qualification(33, 0), "a check of the guest-state area failed");
    cr_expect_str_eq(qualification(33, 2), "loading the PDPTEs failed");
    cr_expect_str_eq(qualification(33, 3), "NMI injected while events are blocked by STI");
    cr_expect_str_eq(qualification(33, 4), "bad VMCS link pointer");
    cr_expect_str_eq(qualification(34, 3), "entry 3 (counted from 1) of the VM-entry MSR-load area");
    cr_expect_str_eq(qualification(36, 1), "monitor armed");
    cr_expect_str_eq(qualification(36, 0), "monitor not armed");
    cr_expect_str_eq(qualification(44, 0x10b0), "linear data write at offset 0xb0");
    cr_expect_str_eq(qualification(44, 0x5000), "access of a reserved type");
    cr_expect_str_eq(qualification(44, 0x1b000), "guest-physical access asynchronous to instruction execution, "
                                                 "asynchronous to instruction execution");
    cr_expect_str_eq(qualification(45, 0x31), "vector 0x31");
    cr_expect_str_eq(qualification(48, 0x181), "data read; EPT allows nothing; by the translation of a linear address");
    cr_expect_str_eq(qualification(48, 0x18a), "data write; EPT allows read; by the translation of a linear address");
    cr_expect_str_eq(qualification(48, 0x19c),
                     "instruction fetch; EPT allows read, write; by the translation of a linear address");
    cr_expect_str_eq(qualification(48, 0x83),
                     "data read and data write; EPT allows nothing; on the walk of the guest's own "
                     "page tables");
    cr_expect_str_eq(qualification(48, 0), "access of unknown kind; EPT allows nothing; no linear address");
    cr_expect_str_eq(qualification(48, 0x13181),
                     "data read of a shadow stack; EPT allows nothing; by the translation of a "
                     "linear address; NMIs unblocked by IRET; asynchronous to instruction execution");
    cr_expect_str_eq(qualification(54, 1), "WBNOINVD");
    cr_expect_str_eq(qualification(56, 0x300), "offset 0x300");
    cr_expect_str_eq(qualification(62, 1 << 16), "asynchronous to instruction execution");
    cr_expect_str_eq(qualification(66, 0x800), "SPP miss");
    cr_expect_str_eq(qualification(66, 0), "SPP misconfiguration");
    cr_expect_str_eq(qualification(66, 0x11800),
                     "SPP miss, NMIs unblocked by IRET, asynchronous to instruction execution");
    cr_expect_str_eq(qualification(62, 0x11000), "NMIs unblocked by IRET, asynchronous to instruction execution");
    cr_expect_str_eq(qualification(75, 0x1001), "the guest's context is lost, NMIs unblocked by IRET");
    cr_expect(hvctl_vmx_log_full_decode(0x1000).nmi_unblocking && !hvctl_vmx_log_full_decode(0x1000).asynchronous);
    cr_expect(hvctl_vmx_log_full_decode(0x10000).asynchronous && !hvctl_vmx_log_full_decode(0xeeff).nmi_unblocking);
    cr_expect(hvctl_vmx_timeout_decode(0x1001).nmi_unblocking && hvctl_vmx_timeout_decode(1).context_lost);
    cr_expect_str_eq(qualification(28, 0x1003), "MOV to CR3 from R16"); /* APX: bits 12:8 */
    cr_expect_str_eq(qualification(29, 0x1f17), "MOV from DR7 to R31");
    cr_expect_str_eq(qualification(72, 0xfff12345), "PASID 0x12345");
    cr_expect_str_eq(qualification(73, UINT64_C(0x100000005)), "source 0x5");
    cr_expect_str_eq(qualification(75, 1), "the guest's context is lost");
    cr_expect_str_eq(qualification(84, 0x10), "MSR 0x10");
    cr_expect_str_eq(qualification(10, 0x55), "");
}

/* A reason says that its qualification counts exactly where there are words for one. */
Test(vmx_exit, words_exist_for_the_qualifications_that_count)
{
    for (uint32_t reason = 1; reason < 100; reason++)
        cr_expect_eq(*qualification(reason, UINT64_C(0x10000)) != 0, hvctl_vmx_qualification_counts(reason, 0x10000),
                     "%u", reason);
    cr_expect_not(hvctl_vmx_qualification_counts(62, 0x2000));
    cr_expect(hvctl_vmx_qualification_counts(62, 0x1000));
}

static const char *exit_text(uint32_t reason, uint64_t qualification_value, uint32_t info, uint32_t error_code)
{
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmcs_put(&image, HVCTL_VMCS_EXIT_REASON, reason, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_EXIT_QUALIFICATION, qualification_value, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION, info, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE, error_code, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS, 0x5008, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_LINEAR_ADDRESS, 0x8008, &status);
    cr_assert_eq(status, HVCTL_OK);
    hvctl_vmx_exit_text(&image, NULL, &text);
    return bytes;
}

Test(vmx_exit, whole_exits_in_words)
{
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmcs_image_init(&image, NULL);
    cr_expect_str_eq(exit_text(10, 0, 0, 0), "CPUID");
    cr_expect_str_eq(exit_text(48, 0x181, 0, 0),
                     "EPT violation: data read; EPT allows nothing; by the translation of a linear "
                     "address, guest-physical 0x5008, linear 0x8008");
    cr_expect_str_eq(exit_text(49, 0, 0, 0), "EPT misconfiguration, guest-physical 0x5008");
    cr_expect_str_eq(exit_text(0, 0x1234, 0x80000b0e, 2),
                     "exception or NMI: hardware exception #PF, error code 0x2 at linear 0x1234");
    cr_expect_str_eq(exit_text(0, 0x4001, 0x80000301, 0),
                     "exception or NMI: hardware exception #DB: breakpoint 0, single step");
    cr_expect_str_eq(exit_text(0, 0, 0x80000202, 0), "exception or NMI: NMI");
    cr_expect_str_eq(exit_text(1, 0, 0x80000021, 0), "external interrupt: external interrupt, vector 33");
    cr_expect_str_eq(exit_text(1, 0, 0, 0), "external interrupt");
    cr_expect_str_eq(exit_text(0x80000021, 4, 0, 0), "VM-entry failure: invalid guest state: bad VMCS link pointer");
    cr_expect_str_eq(exit_text(35, 0, 0, 0), "VM-exit failure");
    cr_expect_str_eq(exit_text(38, 0, 0, 0), "unknown exit reason 38");
    cr_expect_str_eq(exit_text(62, 0x1000, 0, 0), "page-modification log full: NMIs unblocked by IRET");
    cr_expect_str_eq(exit_text(0, 5, 0x80000202, 0), "exception or NMI: NMI, sources 0x5");
    cr_expect_str_eq(exit_text(0x0e00000a, 0, 0, 0),
                     "CPUID, in an enclave, after a bus lock, a shadow stack is prematurely busy");
    hvctl_vmcs_put(&image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, 0x80001b0d, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE, 0x10, &status);
    cr_expect_str_eq(exit_text(12, 0, 0, 0), "HLT, while delivering hardware exception #GP, error code 0x10");
}

Test(vmx_event, encoding_and_decoding_are_inverse_and_total)
{
    uint32_t info = 0;

    for (unsigned i = 0; i < 100000; i++, info += 0x9e3779b1u) {
        struct hvctl_vmx_event event = hvctl_vmx_event_decode(info, 0x1234);

        cr_assert_eq(hvctl_vmx_event_encode(&event), info & 0x80002fff);
        cr_assert_eq(event.reserved, info & 0x7fffc000);
        cr_assert_eq(event.nmi_unblocking, info >> 12 & 1);
        cr_assert_eq(event.error_code, info & 0x800 ? 0x1234u : 0u);
    }
}

/* SDM vol. 3, "Exceptions and Interrupts": #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP. */
Test(vmx_event, error_codes_belong_to_the_exceptions_that_have_them)
{
    for (unsigned vector = 0; vector < 256; vector++) {
        bool has = vector == 8 || vector == 10 || vector == 11 || vector == 12 || vector == 13 || vector == 14
                || vector == 17 || vector == 21;

        cr_expect_eq(hvctl_exception_has_error_code((uint8_t)vector), has, "%u", vector);
    }
    cr_expect_str_eq(hvctl_exception_name(14), "#PF");
    cr_expect_str_eq(hvctl_exception_name(0), "#DE");
    cr_expect_null(hvctl_exception_name(15));
    cr_expect_null(hvctl_exception_name(32));
}

static void expect_injected(struct hvctl_vmx_event event, uint32_t info, uint32_t error_code, uint32_t length)
{
    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_GUEST_CR0, 1), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_inject(&image, NULL, event), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), info);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), error_code);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH), length);
}

Test(vmx_event, events_are_injected_as_vm_entry_takes_them)
{
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 14, 6, 0), 0x80000b0e, 6, 0);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 6, 6, 0), 0x80000306, 0, 0);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_EXTERNAL_INTERRUPT, 0x31, 0, 0), 0x80000031, 0, 0);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_NMI, 2, 0, 0), 0x80000202, 0, 0);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_SOFTWARE_INTERRUPT, 0x80, 0, 2), 0x80000480, 0, 2);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_SOFTWARE_EXCEPTION, 3, 0, 1), 0x80000603, 0, 1);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_OTHER, 0, 0, 0), 0x80000700, 0, 0);
    expect_injected(hvctl_vmx_event_make(HVCTL_EVENT_OTHER, 1, 0, 2), 0x80000701, 0, 2);
    hvctl_vmcs_image_init(&image, NULL); /* real mode: no error code */
    cr_expect_eq(hvctl_vmx_inject(&image, NULL, hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 13, 6, 0)),
                 HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x8000030d);
}

Test(vmx_event, what_vm_entry_would_refuse_is_refused)
{
    static struct hvctl_vmx_caps caps; /* IA32_VMX_MISC[30] is 0: no injection with length 0 */
    static const struct {
        enum hvctl_event_type type;
        uint8_t vector;
        uint32_t error_code, length;
    } bad[] = {
        {HVCTL_EVENT_RESERVED, 0, 0, 0},
        {HVCTL_EVENT_NMI, 3, 0, 0},
        {HVCTL_EVENT_HARDWARE_EXCEPTION, 32, 0, 0},
        {HVCTL_EVENT_OTHER, 3, 0, 0},
        {HVCTL_EVENT_SOFTWARE_INTERRUPT, 3, 0, 16},
        {HVCTL_EVENT_SOFTWARE_EXCEPTION, 3, 0, 0},
        {HVCTL_EVENT_HARDWARE_EXCEPTION, 14, 0x10000, 0},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hvctl_vmcs_image_init(&image, NULL);
        cr_expect_eq(hvctl_vmx_inject(&image, &caps,
                                      hvctl_vmx_event_make(bad[i].type, bad[i].vector, bad[i].error_code,
                                                           bad[i].length)),
                     HVCTL_E_RANGE, "%u", i);
        cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0);
    }
    caps.misc = 1 << 30;
    cr_expect_eq(hvctl_vmx_inject(&image, &caps, hvctl_vmx_event_make(HVCTL_EVENT_SOFTWARE_EXCEPTION, 3, 0, 0)),
                 HVCTL_OK);
}

/* SDM vol. 3, "Checks on VMX Controls": without IA32_VMX_BASIC[56] #CP must come without an error code. */
Test(vmx_event, control_protection_loses_its_error_code_where_the_cpu_refuses_one)
{
    static struct hvctl_vmx_caps caps;

    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_GUEST_CR0, 1), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_inject(&image, &caps, hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 21, 1, 0)),
                 HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000315);
    caps.basic = UINT64_C(1) << 56;
    cr_expect_eq(hvctl_vmx_inject(&image, &caps, hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 21, 1, 0)),
                 HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000b15);
}

Test(vmx_event, events_in_words)
{
    static const struct {
        uint32_t info;
        const char *words;
    } event[] = {
        {0, "no event"},
        {0x80000700, "other event: pending MTF"},
        {0x80000701, "other event, vector 1"},
        {0x80000501, "privileged software exception #DB"},
        {0x80000603, "software exception #BP"},
        {0x80000480, "software interrupt, vector 128"},
        {0x8000031f, "hardware exception, vector 31"},
        {0x80003302, "hardware exception NMI, NMIs unblocked by IRET, nested"},
        {0x80000121, "reserved event type, vector 33"},
    };

    for (unsigned i = 0; i < sizeof(event) / sizeof(event[0]); i++) {
        struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
        struct hvctl_vmx_event decoded = hvctl_vmx_event_decode(event[i].info, 0);

        hvctl_vmx_event_text(&decoded, &text);
        cr_expect_str_eq(bytes, event[i].words);
    }
}

Test(text, a_buffer_that_is_too_small_is_cut_and_says_what_it_needed)
{
    char small[6];
    struct hvpt_text text = hvpt_text_into(&buffer, small, sizeof(small));

    hvpt_text_string(&text, "ab");
    hvpt_text_decimal(&text, 1234567);
    cr_expect_str_eq(small, "ab123");
    cr_expect_eq(buffer.needed, 9);
    text = hvpt_text_into(&buffer, NULL, 0);
    hvpt_text_hex(&text, UINT64_MAX);
    cr_expect_eq(buffer.needed, 18);
    text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
    hvpt_text_hex(&text, 0);
    hvpt_text_decimal(&text, UINT64_MAX);
    hvpt_text_decimal(&text, 0);
    cr_expect_str_eq(bytes, "0x0184467440737095516150");
}

Test(text, every_status_and_every_result_has_a_text)
{
    for (int status = HVCTL_OK; status <= HVCTL_OWES_INVVPID; status++)
        for (int other = HVCTL_OK; other < status; other++)
            cr_expect_str_neq(hvctl_status_text((enum hvctl_status)status),
                              hvctl_status_text((enum hvctl_status)other));
    cr_expect_str_eq(hvctl_status_text((enum hvctl_status)99), "unknown status");
    cr_expect_str_eq(hvctl_gpr_name(8), "R8");
    cr_expect_str_eq(hvctl_gpr_name(16), "?");
    cr_expect_str_eq(hvctl_gpr_name_apx(15), "R15");
    cr_expect_str_eq(hvctl_gpr_name_apx(16), "R16");
    cr_expect_str_eq(hvctl_gpr_name_apx(31), "R31");
    cr_expect_str_eq(hvctl_gpr_name_apx(32), "?");
}

/* SDM vol. 3, "VM-Entry Controls for Event Injection": data goes with an event where the CPU has the field. */
Test(vmx_event, data_goes_with_an_event)
{
    struct hvctl_vmx_event event = hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 14, 2, 0);

    hvctl_vmcs_image_init(&image, NULL);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_GUEST_CR0, 0x80000031), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_inject_with_data(&image, NULL, event, 0x1234000), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, 0x2052), 0x1234000);
    cr_assert_eq(hvctl_vmcs_write(&image, 0x2404, 0x77), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_original_event_data(&image), 0x77);
    event.type = HVCTL_EVENT_RESERVED;
    cr_expect_eq(hvctl_vmx_inject_with_data(&image, NULL, event, 1), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmcs_get(&image, 0x2052), 0x1234000);
}
