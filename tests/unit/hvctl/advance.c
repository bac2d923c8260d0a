/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor does before the guest goes on: past an instruction, an event again, CPUID's answer, CR0. SDM vol.
 * 3, "Information for VM Exits Due to Instruction Execution", "Information for VM Exits That Occur During Event
 * Delivery"; APM vol. 2, "State Saved on Exit", "EXITINTINFO Pseudo-Code"; the opcodes of SDM vol. 2 and APM vol. 3.
 */
#include <hvctl/svm/advance.h>
#include <hvctl/vmx/advance.h>
#include <hvctl/common/guest_cpuid.h>
#include <hvctl/vmx/guest.h>

#include "support/models.h"

static struct hvctl_vmcs_image image;
static struct hvctl_vmx_caps caps;
static struct hvctl_vmcb vmcb;

static void put(uint32_t encoding, uint64_t value)
{
    image.exit_info_writable = true; /* what a CPU left there */
    cr_assert_eq(hvctl_vmcs_write(&image, encoding, value), HVCTL_OK);
}

static uint64_t field(uint32_t encoding)
{
    return hvctl_vmcs_get(&image, encoding);
}

static void begin(bool unrestricted)
{
    struct hvctl_vmx_controls required = {{0}};
    static struct hvctl_vmx_solution solution;

    model_caps("tigerlake", &caps);
    hvctl_vmcs_image_init(&image, &caps);
    hvctl_vmx_controls_add(&required, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    if (unrestricted)
        hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &solution.controls), HVCTL_OK);
}

static void exit_at(uint64_t rip, unsigned length, uint32_t blocking, bool code64)
{
    begin(true);
    put(HVCTL_VMCS_GUEST_RIP, rip);
    put(HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH, length);
    put(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking);
    put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, code64 ? 0xa09b : 0xc09b);
    if (code64)
        put(HVCTL_VMCS_VM_ENTRY_CONTROLS, field(HVCTL_VMCS_VM_ENTRY_CONTROLS) | 0x200);
}

Test(advance, vmx_goes_on_by_the_length_that_the_exit_tells)
{
    exit_at(0xffffffff81000000, 3, 0, true);
    cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0xffffffff81000003);
    cr_expect(hvctl_vmcs_dirty(&image, HVCTL_VMCS_GUEST_RIP));
    exit_at(0xfffffffe, 2, 0, false);
    cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0, "32 bits wrap");
    exit_at(0xfffffffe, 2, 0, true);
    cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0x100000000);
}

/* L of CS means something in IA-32e mode only: SDM vol. 3, "Code Segment Descriptor in 64-bit Mode". */
Test(advance, vmx_knows_64_bit_mode_by_more_than_l)
{
    exit_at(0xfffffffe, 2, 0, false);
    put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0, "L outside IA-32e mode");
    exit_at(0xfffffffe, 2, 0, false);
    put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    put(HVCTL_VMCS_GUEST_IA32_EFER, 0x500);
    cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0x100000000, "LMA");
}

/* STI and MOV SS block for one instruction; SMI and NMI go on blocking. SDM vol. 3, "Interruptibility State". */
Test(advance, vmx_ends_what_blocks_for_one_instruction)
{
    for (uint32_t blocking = 0; blocking < 16; blocking++) {
        exit_at(0x1000, 2, blocking, true);
        cr_assert_eq(hvctl_vmx_advance(&image), HVCTL_OK);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE), blocking & 12);
    }
}

Test(advance, vmx_refuses_an_exit_of_no_instruction)
{
    static const unsigned lengths[] = {0, 16, 0xffffffff};

    for (unsigned i = 0; i < 3; i++) {
        exit_at(0x1000, lengths[i], 1, true);
        cr_expect_eq(hvctl_vmx_advance(&image), HVCTL_E_RANGE);
        cr_expect(field(HVCTL_VMCS_GUEST_RIP) == 0x1000 && field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE) == 1);
    }
}

static void vmexit(uint64_t code, uint64_t rip, uint64_t nrip)
{
    hvctl_vmcb_zero(&vmcb);
    hvctl_vmcb_set_exitcode(&vmcb, code);
    hvctl_vmcb_set_rip(&vmcb, rip);
    hvctl_vmcb_set_nrip(&vmcb, nrip);
    hvctl_vmcb_set_efer(&vmcb, HVCTL_EFER_LME | HVCTL_EFER_LMA);
    hvctl_vmcb_set_interrupt_state(&vmcb, 3);
    vmcb.save.cs.attrib = 0x29b;
}

/*
 * Opcodes, without prefixes: HLT F4; INVD 0F 08; WBINVD 0F 09; RDTSC 0F 31; ...; all of group 0F 01 with a ModRM byte.
 */
Test(advance, svm_knows_the_lengths_of_instructions)
{
    static const struct {
        uint64_t code;
        unsigned length;
    } cases[] = {
        {0x78, 1}, {0x88, 1}, {0x77, 2},                                  /* HLT, INT1, PAUSE: F4, F1, F3 90 */
        {0x6e, 2}, {0x6f, 2}, {0x72, 2}, {0x73, 2}, {0x76, 2}, {0x7c, 2}, /* RDTSC RDPMC CPUID RSM INVD MSR */
        {0x89, 2},                                                        /* WBINVD */
        {0x7a, 3}, {0x80, 3}, {0x81, 3}, {0x82, 3}, {0x83, 3}, {0x84, 3}, /* INVLPGA VMRUN VMMCALL VMLOAD VMSAVE STGI */
        {0x85, 3}, {0x86, 3}, {0x87, 3}, {0x8a, 3}, {0x8b, 3}, {0x8d, 3}, /* CLGI SKINIT RDTSCP MONITOR MWAIT XSETBV */
    };
    static const uint64_t unknown[] = {0, 0x10, 0x40, 0x4d, 0x60, 0x61, 0x79, 0x7f, 0x400, UINT64_MAX};
    struct hvctl_svm_caps none;
    unsigned known = 0;

    memset(&none, 0, sizeof(none));
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vmexit(cases[i].code, 0x7fff00001000, 0);
        cr_expect_eq(hvctl_svm_advance(&vmcb, &none), HVCTL_OK, "%llx", (unsigned long long)cases[i].code);
        cr_expect_eq(vmcb.save.rip, 0x7fff00001000 + cases[i].length, "%llx", (unsigned long long)cases[i].code);
        cr_expect_eq(vmcb.control.interrupt_state, 2, "the shadow ends, the guest interrupt mask stays");
    }
    for (uint64_t code = 0; code < 0x500; code++)
        known += hvctl_svm_known_length(code) != 0;
    cr_expect_eq(known, sizeof(cases) / sizeof(cases[0]));
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        vmexit(unknown[i], 0x1000, 0);
        cr_expect_eq(hvctl_svm_advance(&vmcb, &none), HVCTL_E_RANGE);
        cr_expect(vmcb.save.rip == 0x1000 && vmcb.control.interrupt_state == 3);
    }
}

Test(advance, svm_believes_the_cpu_where_it_tells)
{
    struct hvctl_svm_caps with, none;

    memset(&with, 0, sizeof(with));
    memset(&none, 0, sizeof(none));
    with.edx = 1u << HVCTL_SVM_NRIPS;
    vmexit(HVCTL_SVM_EXIT_CPUID, 0x1000, 0x1004); /* two prefixes */
    cr_assert_eq(hvctl_svm_advance(&vmcb, &with), HVCTL_OK);
    cr_expect_eq(vmcb.save.rip, 0x1004);
    vmexit(HVCTL_SVM_EXIT_CPUID, 0x1000, 0x9999);
    cr_assert_eq(hvctl_svm_advance(&vmcb, &none), HVCTL_OK);
    cr_expect_eq(vmcb.save.rip, 0x1002, "NRIP means nothing on a CPU without it");
    vmexit(HVCTL_SVM_EXIT_INVLPG, 0x1000, 0);
    cr_expect_eq(hvctl_svm_advance(&vmcb, &with), HVCTL_E_RANGE, "0: this exit does not save it");
    vmexit(HVCTL_SVM_EXIT_IOIO, 0x1000, 0);
    hvctl_vmcb_set_exitinfo2(&vmcb, 0x1003);
    cr_assert_eq(hvctl_svm_advance(&vmcb, &none), HVCTL_OK);
    cr_expect_eq(vmcb.save.rip, 0x1003, "EXITINFO2 of IOIO is the next instruction's address");
    vmexit(HVCTL_SVM_EXIT_CPUID, 0xfffffffe, 0);
    vmcb.save.cs.attrib = 0xc9b;
    cr_assert_eq(hvctl_svm_advance(&vmcb, &none), HVCTL_OK);
    cr_expect_eq(vmcb.save.rip, 0, "outside of 64-bit mode 32 bits wrap");
}

static void vectoring(uint32_t info, uint32_t error_code, uint32_t length)
{
    begin(true);
    put(HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, info);
    put(HVCTL_VMCS_IDT_VECTORING_ERROR_CODE, error_code);
    put(HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH, length);
    put(HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0x77);
    put(HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH, 0x7);
    cr_assert_eq(hvctl_vmx_redeliver(&image), HVCTL_OK);
}

Test(advance, vmx_delivers_an_interrupted_event_again)
{
    vectoring(0x00000030, 0, 0);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0, "not valid: nothing");
    vectoring(0x80000030, 0, 5); /* an interrupt */
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000030);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), 0x77, "no error code: as it was");
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH), 7);
    vectoring(0x80001b0e, 6, 5); /* #PF; bit 12 is undefined there, and reserved at entry */
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000b0e);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), 6);
    vectoring(0x80000480, 0, 2); /* INT 80H */
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000480);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH), 2);
    vectoring(0x80000603, 0, 1); /* INT3 */
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH), 1);
}

/* Everything that IDT-vectoring information says, by type: what is kept, and what the delivery had begun or ended. */
Test(advance, vmx_redelivers_every_type_into_a_guest_that_takes_it)
{
    static const struct {
        uint32_t info, expected, blocking, left;
        bool length;
    } cases[] = {
        {0x80000031, 0x80000031, 0, 0, false},          {0x80000031, 0x80000031, 1, 0, false},
        {0x80000202, 0x80000202, 8, 0, false},          {0x80000202, 0x80000202, 9, 0, false},
        {0x80000202, 0x80000202, 10, 0, false},         {0x80000b0e, 0x80000b0e, 8, 8, false},
        {0x80000b0e, 0x80000b0e, 2, 2, false},          {0x80002b0e, 0x80002b0e, 0, 0, false}, /* nested, with FRED */
        {0x80000306, 0x80000306, 1, 1, false},          {0x80000480, 0x80000480, 0, 0, true},
        {0x80000501, 0x80000501, 0, 0, true},           {0x80000603, 0x80000603, 8, 8, true},
        {0x80000604, 0x80000604, 0, 0, true},           {0x80000701, 0x80000701, 0, 0, true},
        {0xffffff02 & ~0xd00u, 0x80002202, 12, 4, false}, /* reserved bits and bit 12 go */
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(true);
        put(HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, cases[i].info);
        put(HVCTL_VMCS_IDT_VECTORING_ERROR_CODE, 0x15);
        put(HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH, 3);
        put(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, cases[i].blocking);
        put(HVCTL_VMCS_GUEST_ACTIVITY_STATE, 1);
        cr_assert_eq(hvctl_vmx_redeliver(&image), HVCTL_OK);
        cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), cases[i].expected, "case %u: %llx", i,
                     (unsigned long long)field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD));
        cr_expect_eq(field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE), cases[i].left, "case %u", i);
        cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH), cases[i].length ? 3 : 0, "case %u", i);
        cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), cases[i].expected & 0x800 ? 0x15 : 0, "case %u",
                     i);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_ACTIVITY_STATE), 0, "an event ends a halt");
    }
}

/*
 * A failed entry writes the exit reason and the qualification alone: what IDT-vectoring information has is of an exit
 * before, and what was to be injected still is. SDM vol. 3, "VM-Entry Failures During or After Loading Guest State"; APM
 * vol. 2, "VMRUN Instruction".
 */
Test(advance, nothing_comes_again_after_an_entry_that_failed)
{
    struct hvctl_vmx_event page_fault = hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 14, 4, 0);

    begin(true);
    put(HVCTL_VMCS_GUEST_CR0, 0x80000031);
    put(HVCTL_VMCS_EXIT_REASON, 0x80000021);
    put(HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, 0x80000b0e);
    put(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, 0x80000030);
    put(HVCTL_VMCS_GUEST_ACTIVITY_STATE, 1);
    cr_assert_eq(hvctl_vmx_redeliver(&image), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000030);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_ACTIVITY_STATE), 1);
    cr_assert_eq(hvctl_vmx_inject_nested(&image, &caps, page_fault), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), 0x80000b0e, "no #DF of an old #PF");

    vmexit(UINT64_MAX, 0x1000, 0);
    vmcb.save.cr0 = 0x80000031;
    vmcb.control.exitintinfo = UINT64_C(0x80000b0e);
    vmcb.control.eventinj = 0x80000030;
    cr_assert_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, 0x80000030);
    cr_assert_eq(hvctl_svm_inject_nested(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 14, 4)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x480000b0e));
}

/*
 * SDM vol. 3, "Exit Qualification", bit 12 of EPT violations, full logs, SPP events, timeouts; and of the interruption
 * info.
 */
Test(advance, nmis_that_a_faulting_iret_unblocked_are_blocked_again)
{
    static const struct {
        uint32_t reason, info;
        uint64_t qualification;
        uint32_t vectoring, pin;
        bool again;
    } cases[] = {
        {48, 0, 0x1181, 0, 0x2e, true},           {48, 0, 0x181, 0, 0x2e, false},
        {48, 0, 0x1181, 0x80000b0e, 0x2e, false}, {48, 0, 0x1181, 0, 0x0e, false},
        {48, 0, 0x1181, 0, 0x06, true},           {62, 0, 0x1000, 0, 0x2e, true},
        {66, 0, 0x1800, 0, 0x2e, true},           {75, 0, 0x1000, 0, 0x2e, true},
        {75, 0, 1, 0, 0x2e, false},               {49, 0, 0x1000, 0, 0x2e, false},
        {0, 0x80001b0e, 0x1000, 0, 0x2e, true},   {0, 0x80000b0e, 0x1000, 0, 0x2e, false},
        {0, 0x80001b08, 0, 0, 0x2e, false},       {0, 0x80001b0e, 0, 0x80000030, 0x2e, false},
        {28, 0, 0x1000, 0, 0x2e, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(true);
        put(HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, cases[i].pin);
        put(HVCTL_VMCS_EXIT_REASON, cases[i].reason);
        put(HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION, cases[i].info);
        put(HVCTL_VMCS_EXIT_QUALIFICATION, cases[i].qualification);
        put(HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, cases[i].vectoring);
        put(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 4);
        cr_expect_eq(hvctl_vmx_nmi_unblocked(&image), cases[i].again, "case %u", i);
        cr_assert_eq(hvctl_vmx_reblock_nmis(&image), HVCTL_OK);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE), cases[i].again ? 12 : 4, "case %u", i);
    }
}

/*
 * SDM vol. 3, "Interrupt 8 - Double Fault Exception (#DF)", both tables, as a matrix: classes benign, contributory,
 * page fault, and #DF as the first, which makes the third a triple fault. Written out, vector by vector.
 */
Test(exceptions, two_become_what_the_manuals_table_says)
{
    static const char class_of[33] = "cbbbbbbbdbccccpbbbbbpcbbbbbbbccb";

    for (unsigned first = 0; first < 32; first++)
        for (unsigned second = 0; second < 32; second++) {
            char a = class_of[first], b = class_of[second];
            enum hvctl_combined expected = HVCTL_COMBINED_SECOND;

            if (a == 'c' && b == 'c')
                expected = HVCTL_COMBINED_DOUBLE_FAULT;
            if (a == 'p' && (b == 'c' || b == 'p'))
                expected = HVCTL_COMBINED_DOUBLE_FAULT;
            if (a == 'd' && (b == 'c' || b == 'p' || b == 'd'))
                expected = HVCTL_COMBINED_TRIPLE_FAULT;
            cr_expect_eq(hvctl_exception_combine((uint8_t)first, (uint8_t)second), expected, "%u, %u", first, second);
        }
}

Test(exceptions, an_exception_that_answers_an_interrupted_delivery_is_combined_with_it)
{
    static const struct {
        uint32_t vectoring;
        uint8_t vector;
        enum hvctl_status status;
        uint32_t info;
    } cases[] = {
        {0, 14, HVCTL_OK, 0x80000b0e},          {0x80000b0e, 14, HVCTL_OK, 0x80000b08},
        {0x80000b0d, 14, HVCTL_OK, 0x80000b0e}, {0x80000b0d, 13, HVCTL_OK, 0x80000b08},
        {0x80000030, 14, HVCTL_OK, 0x80000b0e}, {0x80000b08, 14, HVCTL_E_SHUTDOWN, 0},
        {0x80000306, 14, HVCTL_OK, 0x80000b0e}, {0x80000b0e, 6, HVCTL_OK, 0x80000306},
        {0x80000480, 13, HVCTL_OK, 0x80000b0d},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvctl_svm_event event;

        begin(true);
        put(HVCTL_VMCS_GUEST_CR0, 0x80000031);
        put(HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, cases[i].vectoring);
        cr_expect_eq(hvctl_vmx_inject_nested(&image, &caps, hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION,
                                                                                cases[i].vector, 4, 0)),
                     cases[i].status, "case %u", i);
        cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD), cases[i].info, "case %u", i);
        if ((cases[i].info & 0xff) == 8)
            cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), 0);

        vmexit(HVCTL_SVM_EXIT_NPF, 0x1000, 0);
        hvctl_vmcb_set_cr0(&vmcb, 0x80000031);
        hvctl_vmcb_set_exitintinfo(&vmcb, cases[i].vectoring);
        event = hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, cases[i].vector, 4);
        cr_expect_eq(hvctl_svm_inject_nested(&vmcb, event), cases[i].status, "case %u", i);
        cr_expect_eq(vmcb.control.eventinj & 0xffffffff, cases[i].info, "case %u", i);
    }
}

/*
 * APM vol. 2, "Event Injection": the guest's own INT n, INT3 and INTO are executed again; the hypervisor's are injected
 * again.
 */
Test(advance, svm_tells_injected_events_from_the_guests_own)
{
    static const struct {
        enum hvctl_svm_event_type type;
        uint8_t vector;
    } events[] = {{HVCTL_SVM_EVENT_EXCEPTION, 3},
                  {HVCTL_SVM_EVENT_EXCEPTION, 4},
                  {HVCTL_SVM_EVENT_SOFTWARE_INTERRUPT, 0x80}};

    for (unsigned i = 0; i < 3; i++) {
        struct hvctl_svm_event event = hvctl_svm_event_make(events[i].type, events[i].vector, 0);
        uint64_t info = hvctl_svm_event_encode(&event);

        vmexit(HVCTL_SVM_EXIT_NPF, 0x1001, 0x1003);
        vmcb.save.cs.attrib = 0xc9b; /* INTO is no 64-bit instruction */
        cr_assert_eq(hvctl_vmcb_inject(&vmcb, event), HVCTL_OK);
        for (unsigned round = 0; round < 3; round++) { /* delivery is cut short three times */
            cr_expect_eq(vmcb.control.eventinj, info, "%u, round %u", i, round);
            cr_expect_eq(vmcb.control.nrip, 0x1003);
            vmcb.control.eventinj = 0; /* what VMEXIT does */
            vmcb.control.nrip = 0;
            vmcb.control.exitintinfo = info;
            cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
        }
        vmcb.control.eventinj = 0;
        vmcb.control.exitintinfo = 0; /* it arrived */
        cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
        cr_expect_eq(vmcb.control.eventinj, 0);
        vmcb.control.exitintinfo = info; /* now the guest executes one of its own */
        cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
        cr_expect_eq(vmcb.control.eventinj, 0, "%u: the guest's own", i);
    }
}

Test(advance, svm_says_what_cannot_come_again)
{
    static const uint64_t bad[] = {0x80000130, 0x80000530, 0x80000302, 0x80000330};

    for (unsigned i = 0; i < 4; i++) {
        vmexit(HVCTL_SVM_EXIT_NPF, 0x1000, 0);
        vmcb.control.exitintinfo = bad[i];
        cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_E_RANGE, "%u", i);
        cr_expect_eq(vmcb.control.eventinj, 0);
    }
    vmexit(HVCTL_SVM_EXIT_NPF, 0x1000, 0); /* FRED's nested bit and data go along */
    vmcb.control.exitintinfo = UINT64_C(0x680002b0e);
    vmcb.control.exitintdata = 0x1234;
    cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
    cr_expect(vmcb.control.eventinj == UINT64_C(0x680002b0e) && vmcb.control.eventinjdata == 0x1234);
}

Test(advance, svm_delivers_an_interrupted_event_again)
{
    static const struct {
        uint64_t info;
        bool again;
    } cases[] = {
        {UINT64_C(0x00000030), false}, {UINT64_C(0x80000030), true},         {UINT64_C(0x80000202), true},
        {UINT64_C(0x80000480), false}, {UINT64_C(0x0000000680000b0e), true}, {UINT64_C(0x80000303), false},
        {UINT64_C(0x80000304), false}, {UINT64_C(0x80000306), true},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vmexit(HVCTL_SVM_EXIT_NPF, 0x1000, 0);
        hvctl_vmcb_set_exitintinfo(&vmcb, cases[i].info);
        cr_expect_eq(hvctl_svm_redeliver(&vmcb), HVCTL_OK);
        cr_expect_eq(vmcb.control.eventinj, cases[i].again ? cases[i].info : 0, "case %u", i);
    }
}

/* SDM vol. 2, CPUID 1 ECX: 5 VMX, 6 SMX, 27 OSXSAVE; 7 ECX: 4 OSPKE; 19H EBX: 0 AESKLE. APM vol. 3: 80000001H ECX: 2, 12. */
Test(guest_cpuid, hides_virtualization_and_reports_the_guests_cr4)
{
    const struct hvctl_cpuid all = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, nothing = {0, 0, 0, 0};
    static const uint32_t unchanged[] = {0, 2, 6, 0xd, 0x40000000, 0x80000000, 0x80000008, 0x8000001e};
    const uint64_t osxsave = 1 << 18, kl = 1 << 19, pke = 1 << 22;
    struct hvctl_cpuid id = hvctl_guest_cpuid(1, 0, all, 0);

    cr_expect(id.ecx == 0xf7ffff9f && id.eax == 0xffffffff && id.ebx == 0xffffffff && id.edx == 0xffffffff);
    cr_expect_eq(hvctl_guest_cpuid(1, 0, all, osxsave).ecx, 0xffffff9f);
    cr_expect_eq(hvctl_guest_cpuid(1, 0, nothing, osxsave | pke).ecx, 1u << 27);
    cr_expect_eq(hvctl_guest_cpuid(7, 0, all, osxsave).ecx, 0xffffffef);
    cr_expect_eq(hvctl_guest_cpuid(7, 0, nothing, pke).ecx, 1u << 4);
    cr_expect_eq(hvctl_guest_cpuid(7, 1, all, 0).ecx, 0xffffffff);
    cr_expect_eq(hvctl_guest_cpuid(0x19, 0, all, ~kl).ebx, 0xfffffffe);
    cr_expect_eq(hvctl_guest_cpuid(0x19, 0, nothing, kl).ebx, 1);
    cr_expect_eq(hvctl_guest_cpuid(0x80000001, 0, all, 0).ecx, 0xffffeffb);
    for (uint32_t leaf = 0x8000000a; leaf <= 0x8000001f; leaf += 0x15) {
        id = hvctl_guest_cpuid(leaf, 0, all, 0);
        cr_expect((id.eax | id.ebx | id.ecx | id.edx) == 0, "%x", leaf);
    }
    for (unsigned i = 0; i < sizeof(unchanged) / sizeof(unchanged[0]); i++) {
        id = hvctl_guest_cpuid(unchanged[i], 0, all, 0);
        cr_expect((id.eax & id.ebx & id.ecx & id.edx) == 0xffffffff, "%x", unchanged[i]);
    }
}

/*
 * Leaf 0DH of a CPU with AVX (256 bytes at 576), AVX-512 (64 at 1088, 512 at 1152, 1024 at 1664), PKRU (8 at 2688), CET
 * (16).
 */
static struct hvctl_cpuid xsave_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    static const struct hvctl_cpuid component[13] = {
        [0] = {0x2e7, 832, 2696, 0}, [1] = {0xf, 832, 0x1800, 0}, [2] = {256, 576, 0, 0},
        [5] = {64, 1088, 0, 0},      [6] = {512, 1152, 0, 0},     [7] = {1024, 1664, 0, 0},
        [9] = {8, 2688, 0, 0},       [11] = {16, 0, 1, 0},        [12] = {24, 0, 3, 0},
    };

    (void)ctx;
    cr_assert_eq(leaf, 0xd);
    cr_assert(subleaf < 13);
    return component[subleaf];
}

Test(guest_cpuid, the_xsave_area_is_as_large_as_the_guests_xcr0_makes_it)
{
    static const struct {
        uint64_t xcr0, xss;
        uint32_t standard, compacted;
    } cases[] = {
        {1, 0, 576, 576},
        {3, 0, 576, 576},
        {7, 0, 832, 832},
        {0xe7, 0, 2688, 576 + 256 + 64 + 512 + 1024},
        {0x207, 0, 2696, 840},
        {0x207, 0x800, 2696, 856},
        {7, 0x1800, 832, 832 + 16 + 48 + 24},
        {0x2e7, 0, 2696, 2440},
    };
    const struct hvctl_cpuid none = {0, 0, 0, 0};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvctl_guest_cpuid_facts facts = {0, cases[i].xcr0, cases[i].xss, 0, xsave_cpuid, NULL};
        struct hvctl_cpuid id = hvctl_guest_cpuid_in(0xd, 0, xsave_cpuid(NULL, 0xd, 0), &facts);

        cr_expect(id.ebx == cases[i].standard && id.ecx == 2696 && id.eax == 0x2e7, "case %u: %u", i, id.ebx);
        id = hvctl_guest_cpuid_in(0xd, 1, xsave_cpuid(NULL, 0xd, 1), &facts);
        cr_expect_eq(id.ebx, cases[i].compacted, "case %u: %u", i, id.ebx);
        cr_expect_eq(hvctl_guest_cpuid_in(0xd, 2, xsave_cpuid(NULL, 0xd, 2), &facts).ebx, 576);
        cr_expect_eq(hvctl_guest_cpuid_in(0xd, 0, none, &facts).ebx, 0, "no XSAVE");
    }
}

/* APM vol. 3, 80000008H EAX[23:16]: GuestPhysAddrSize, of guests under nested paging; 0: as EAX[7:0]. */
Test(guest_cpuid, physical_addresses_reach_as_far_as_the_tables)
{
    static const struct {
        uint32_t host;
        unsigned bits;
        uint32_t expected;
    } cases[] = {
        {0x3034, 48, 0x303034}, {0x3034, 57, 0x343034},   {0x3027, 48, 0x273027},
        {0x3034, 0, 0x3034},    {0x2e3034, 48, 0x2e3034},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvctl_guest_cpuid_facts facts = {0, 1, 0, cases[i].bits, NULL, NULL};
        struct hvctl_cpuid host = {cases[i].host, 1, 2, 3};

        cr_expect_eq(hvctl_guest_cpuid_in(0x80000008, 0, host, &facts).eax, cases[i].expected, "case %u", i);
    }
}

/* SDM vol. 3, "Initializing IA-32e Mode": LMA is LME and PG. The model fixes NE (bit 5) to 1 in CR0. */
Test(guest_cr0, a_write_that_exits_is_carried_out)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x5000, 0x1000, 0);

    begin(true);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1, 1);
    put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b); /* compatibility mode */
    cr_assert_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x11), HVCTL_OK); /* PE, ET: paging off, NE off */
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x31);
    cr_expect_eq(field(HVCTL_VMCS_CR0_READ_SHADOW), 0x11);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_IA32_EFER), 0x900);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1, 0);
    cr_assert_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000011), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x80000031);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_IA32_EFER), 0xd00);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1, 1);

    put(HVCTL_VMCS_GUEST_IA32_EFER, 0); /* without LME paging says nothing about long mode */
    put(HVCTL_VMCS_VM_ENTRY_CONTROLS, field(HVCTL_VMCS_VM_ENTRY_CONTROLS) & ~UINT64_C(0x200));
    cr_assert_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000031), HVCTL_OK);
    cr_expect(field(HVCTL_VMCS_GUEST_IA32_EFER) == 0 && !(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1));
}

/* SDM vol. 2, "MOV - Move to/from Control Registers", exceptions. */
Test(guest_cr0, what_the_instruction_refuses_is_a_fault_of_the_guests)
{
    static const struct {
        uint64_t value, cr4, efer;
        uint32_t tr;
        bool faults;
    } cases[] = {
        {0x80000031, 0x2020, 0x100, 0x83, true},  /* IA-32e mode with a 16-bit TSS */
        {0x80000031, 0x2020, 0x100, 0x8b, false}, {0x80000031, 0x2020, 0, 0x83, false},
        {0x80000031, 0x2000, 0x100, 0x8b, true},  /* without PAE */
        {0x80000030, 0x2020, 0, 0x8b, true},      /* PG without PE */
        {0x20000031, 0x2020, 0, 0x8b, true},      /* NW without CD */
        {0x60000031, 0x2020, 0, 0x8b, false},     {UINT64_C(0x100000031), 0x2020, 0, 0x8b, true},
        {0x31, 0x802020, 0, 0x8b, true},          /* CET without WP */
        {0x10031, 0x802020, 0, 0x8b, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvctl_guest_state state = hvctl_guest_flat32(0x1000, 0);

        begin(true);
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        put(HVCTL_VMCS_GUEST_CR4, cases[i].cr4);
        put(HVCTL_VMCS_GUEST_IA32_EFER, cases[i].efer);
        put(HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS, cases[i].tr);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, cases[i].value), cases[i].faults ? HVCTL_E_FAULT : HVCTL_OK,
                     "case %u", i);
        cr_expect_eq(field(HVCTL_VMCS_CR0_READ_SHADOW), cases[i].faults ? state.cr0 : cases[i].value, "case %u", i);
    }
    { /* PG cannot be cleared while PCIDE is set, nor by 64-bit code; CS with L cannot set it for IA-32e mode */
        struct hvctl_guest_state state = hvctl_guest_long64(0x5000, 0x1000, 0);

        begin(true);
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x31), HVCTL_E_FAULT, "64-bit code");
        put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
        put(HVCTL_VMCS_GUEST_CR4, 0x22020);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x31), HVCTL_E_FAULT, "PCIDE");
        put(HVCTL_VMCS_GUEST_CR4, 0x2020);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x31), HVCTL_OK);
        put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000031), HVCTL_E_FAULT, "L");
    }
}

/*
 * SDM vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches": MOV to CR0 that clears PG flushes
 * everything.
 */
Test(guest_cr0, clearing_pg_under_a_vpid_owes_a_flush)
{
    for (unsigned vpid = 0; vpid < 2; vpid++) {
        struct hvctl_guest_state state = hvctl_guest_long64(0x5000, 0x1000, 0);

        begin(true);
        if (vpid)
            put(HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
                field(HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) | 1 << 5);
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        put(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000031), HVCTL_OK, "PG stays");
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x31), vpid ? HVCTL_OWES_INVVPID : HVCTL_OK);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x31, "done all the same");
        cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000031), HVCTL_OK, "setting it flushes nothing");
    }
}

Test(guest_cr0, without_unrestricted_guest_paging_stays)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x5000, 0x1000, 0);

    begin(false);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x31), HVCTL_E_MODE);
    cr_expect_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000030), HVCTL_E_MODE);
    cr_expect_eq(field(HVCTL_VMCS_CR0_READ_SHADOW), state.cr0);
    cr_assert_eq(hvctl_vmx_guest_set_cr0(&image, &caps, 0x80000011), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x80000031);
}
