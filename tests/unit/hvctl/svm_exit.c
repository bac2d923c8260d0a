/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * SVM's exits, events and capabilities. APM vol. 2, "SVM Intercept Exit Codes", "Event Injection", as recorded in
 * svm_exit_codes.csv and svm_features.csv.
 */
#include <hvctl/svm/caps.h>
#include <hvctl/svm/exit.h>

#include "support/table.h"

static struct table table;
static struct hvctl_vmcb vmcb;
static char bytes[400];

Test(svm_exit, every_record_of_the_table_has_its_name)
{
    unsigned named = 0;

    table_load(&table, "svm_exit_codes.csv");
    for (unsigned i = 0; i < table.rows; i++) {
        const char *name = hvctl_svm_exit_name(row_number(&table.row[i], 0));

        cr_assert(name, "%s", table.row[i].cell[1]);
        cr_expect_str_eq(name, table.row[i].cell[1]);
        named += row_number(&table.row[i], 0) < 0x10000;
    }
    for (uint64_t code = 0; code < 0x10000; code++)
        named -= hvctl_svm_exit_name(code) != NULL;
    cr_expect_eq(named, 0, "a code has a name that the table does not have");
    cr_expect_null(hvctl_svm_exit_name(UINT64_C(0x100000000)));
    cr_expect_null(hvctl_svm_exit_name(UINT64_C(0xffffffff)));
}

Test(svm_exit, a_refused_vmcb_is_told_by_all_ones)
{
    cr_expect(hvctl_svm_exit_invalid(UINT64_MAX));
    cr_expect(hvctl_svm_exit_invalid(UINT32_MAX));
    cr_expect_not(hvctl_svm_exit_invalid(UINT64_MAX - 1));
    cr_expect_not(hvctl_svm_exit_invalid(0x400));
}

static const char *exit_text(uint64_t code, uint64_t info1, uint64_t info2, bool assists)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    vmcb.control.exitcode = code;
    vmcb.control.exitinfo1 = info1;
    vmcb.control.exitinfo2 = info2;
    hvctl_svm_exit_text(&vmcb, assists, &text);
    return bytes;
}

Test(svm_exit, exits_in_words)
{
    cr_expect_str_eq(exit_text(0x72, 0, 0, true), "CPUID");
    cr_expect_str_eq(exit_text(0x400, UINT64_C(0x100000006), 0x5000, false),
                     "NPF: data write; no nested page is present; at the guest's final physical address, "
                     "guest-physical 0x5000");
    cr_expect_str_eq(
        exit_text(0x400, UINT64_C(0x100000015), 0x5000, false),
        "NPF: instruction fetch; the nested page does not allow it; at the guest's final physical address, "
        "guest-physical 0x5000");
    cr_expect_str_eq(
        exit_text(0x400, UINT64_C(0x20000000c), 0, false),
        "NPF: data read; a reserved bit is set in a nested entry; on the walk of the guest's own page tables, "
        "guest-physical 0x0");
    cr_expect_str_eq(exit_text(0x7b, UINT64_C(0x01f00211), 0, false), "IOIO: IN of 1 byte, port 0x1f0");
    cr_expect_str_eq(exit_text(0x7b, UINT64_C(0x0080006c), 0, false), "IOIO: REP OUTS of 0 bytes, port 0x80");
    cr_expect_str_eq(exit_text(0x7c, 1, 0, false), "MSR: WRMSR");
    cr_expect_str_eq(exit_text(0x7c, 0, 0, false), "MSR: RDMSR");
    cr_expect_str_eq(exit_text(0x10, UINT64_C(0x8000000000000003), 0, true), "CR0_WRITE: MOV with RBX");
    cr_expect_str_eq(exit_text(0x10, 0, 0, true), "CR0_WRITE: CLTS or LMSW");
    cr_expect_str_eq(exit_text(0x10, 0, 0, false), "CR0_WRITE");
    cr_expect_str_eq(exit_text(0x27, 0xf, 0, true), "DR7_READ: MOV with R15");
    cr_expect_str_eq(exit_text(0x4e, 2, 0x1234, false), "EXCP_PF: error code 0x2, linear 0x1234");
    cr_expect_str_eq(exit_text(0x4d, 0x18, 0, false), "EXCP_GP: error code 0x18");
    cr_expect_str_eq(exit_text(0x48, 0, 0, false), "EXCP_DF");
    cr_expect_str_eq(exit_text(0x79, 0x8000, 0, true), "INVLPG: linear 0x8000");
    cr_expect_str_eq(exit_text(0x75, 0x80, 0, true), "SWINT: vector 0x80");
    cr_expect_str_eq(exit_text(0x90, 0x80000011, 0, false), "CR0_WRITE_TRAP: new value 0x80000011");
    cr_expect_str_eq(exit_text(0x7d, 0x28, UINT64_C(1) << 36, false), "TASK_SWITCH: to TSS 0x28 by IRET");
    cr_expect_str_eq(exit_text(0x7d, 0x28, UINT64_C(1) << 38, false), "TASK_SWITCH: to TSS 0x28 by a far jump");
    cr_expect_str_eq(exit_text(0x401, 0, UINT64_C(0x100000005), false), "AVIC_INCOMPLETE_IPI: reason 1, index 5");
    cr_expect_str_eq(exit_text(0x402, UINT64_C(0x1000000b0), 0, false), "AVIC_NOACCEL: write of register 0xb0");
    cr_expect_str_eq(exit_text(0x62, 1, 0, false), "SMI: external");
    cr_expect_str_eq(exit_text(0x62, UINT64_C(0x00b2001200000000), 0, false),
                     "SMI: internal, OUT of 1 byte, port 0xb2");
    cr_expect_str_eq(exit_text(UINT64_MAX, 0, 0, false), "INVALID");
    cr_expect_str_eq(exit_text(UINT32_MAX, 0, 0, false), "INVALID");
    cr_expect_str_eq(exit_text(0x500, 0, 0, false), "unknown exit code 0x500");
    vmcb.control.exitintinfo = UINT64_C(0x0000000280000b0e);
    cr_expect_str_eq(exit_text(0x72, 0, 0, false), "CPUID, while delivering exception #PF, error code 0x2");
}

Test(svm_exit, the_parts_of_exitinfo_are_where_the_manual_has_them)
{
    struct hvctl_svm_io io =
        hvctl_svm_io_decode(UINT64_C(0x03f8) << 16 | 3 << 10 | 1 << 9 | 1 << 6 | 1 << 3 | 1 << 2 | 1);
    struct hvctl_svm_task_switch task =
        hvctl_svm_task_switch_decode(0x30, UINT64_C(1) << 48 | UINT64_C(1) << 44 | 0x55);
    struct hvctl_svm_smi smi =
        hvctl_svm_smi_decode(UINT64_C(0x1234) << 48 | UINT64_C(2) << 39 | UINT64_C(4) << 36 | UINT64_C(1) << 35
                             | UINT64_C(1) << 34 | UINT64_C(1) << 33 | UINT64_C(1) << 32 | 5 << 10 | 2);
    struct hvctl_svm_incomplete_ipi ipi =
        hvctl_svm_incomplete_ipi_decode(UINT64_C(0x0500000000004041), UINT64_C(0x300000007));
    struct hvctl_svm_noaccel apic = hvctl_svm_noaccel_decode(UINT64_C(0x1000000b0), 0x41);

    cr_expect(io.in && io.string && io.rep && io.size == 4 && io.address_size == 64 && io.segment == 3
              && io.port == 0x3f8);
    cr_expect(task.selector == 0x30 && !task.iret && !task.jump && task.has_error_code && task.error_code == 0x55);
    cr_expect(task.resume_flag);
    cr_expect(!smi.external && smi.machine_check_redirected && smi.io_valid && smi.io.in && smi.io.string
              && smi.io.rep);
    cr_expect(smi.io.size == 4 && smi.io.address_size == 32 && smi.io.segment == 5 && smi.io.port == 0x1234);
    cr_expect(ipi.icr_low == 0x4041 && ipi.icr_high == 0x05000000 && ipi.index == 7 && ipi.reason == 3);
    cr_expect(apic.offset == 0xb0 && apic.write && apic.vector == 0x41);
}

Test(svm_event, encoding_and_decoding_are_inverse_and_total)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 100000; i++, value += UINT64_C(0x9e3779b97f4a7c15)) {
        struct hvctl_svm_event event = hvctl_svm_event_decode(value);
        uint64_t expected = value & UINT64_C(0xffffffff80002fff);

        if (!(value & 0x800))
            expected &= 0xffffffff;
        cr_assert_eq(hvctl_svm_event_encode(&event), expected);
        cr_assert_eq(event.reserved, value & 0x7fffd000);
        cr_assert_eq(event.nested, value >> 13 & 1);
    }
}

Test(svm_event, exceptions_are_injected_with_the_error_code_that_they_have)
{
    hvctl_vmcb_zero(&vmcb);
    vmcb.save.cr0 = 1;
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 14, 7)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x0000000780000b0e));
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 6, 7)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x80000306));
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_INTR, 0x21, 0)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x80000021));
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_NMI, 2, 0)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x80000202));
    vmcb.save.cr0 = 0;
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 13, 7)), HVCTL_OK);
    cr_expect_eq(vmcb.control.eventinj, UINT64_C(0x8000030d));
}

Test(svm_event, what_vmrun_would_refuse_is_refused)
{
    struct hvctl_svm_event event = hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 6, 0);

    hvctl_vmcb_zero(&vmcb);
    for (unsigned type = 0; type < 8; type++) {
        event.type = type;
        cr_expect_eq(hvctl_vmcb_inject(&vmcb, event) == HVCTL_OK, type == 0 || (type >= 2 && type <= 4), "%u", type);
    }
    vmcb.control.eventinj = 0;
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 2, 0)), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 32, 0)), HVCTL_E_RANGE);
    vmcb.save.efer = 0x500;
    vmcb.save.cs.attrib = 0x29b;
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 4, 0)), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 5, 0)), HVCTL_E_RANGE);
    cr_expect_eq(vmcb.control.eventinj, 0);
    vmcb.save.cs.attrib = 0xc9b;
    cr_expect_eq(hvctl_vmcb_inject(&vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, 4, 0)), HVCTL_OK);
}

Test(svm_event, events_in_words)
{
    static const struct {
        uint64_t value;
        const char *words;
    } event[] = {
        {0, "no event"},
        {0x80000202, "NMI"},
        {0x80000021, "interrupt, vector 33"},
        {0x80000480, "software interrupt, vector 128"},
        {0x80000306, "exception #UD"},
        {0x80000309, "exception, vector 9"},
        {0x80000121, "reserved event type, vector 33"},
    };

    for (unsigned i = 0; i < sizeof(event) / sizeof(event[0]); i++) {
        struct hvpt_text_buffer buffer;
        struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
        struct hvctl_svm_event decoded = hvctl_svm_event_decode(event[i].value);

        hvctl_svm_event_text(&decoded, &text);
        cr_expect_str_eq(bytes, event[i].words);
    }
}

/* CPUID of an AMD CPU: the leaves that matter, and SVM in 80000001H or not. */
struct machine {
    bool svm;
    uint32_t top;
    uint32_t ecx, edx;
};

static struct hvctl_cpuid cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    const struct machine *machine = ctx;
    struct hvctl_cpuid id = {0, 0, 0, 0};

    (void)subleaf;
    cr_expect(leaf < 0x80000000 || leaf <= machine->top, "leaf %x is not there", leaf);
    switch (leaf) {
    case 0x80000000: id.eax = machine->top; break;
    case 0x80000001: id.ecx = machine->svm ? 4 : 0; break;
    case 0x80000008: id.eax = 48; break;
    case 0x8000000a:
        id.eax = 1;
        id.ebx = 32768;
        id.ecx = machine->ecx;
        id.edx = machine->edx;
        break;
    case 0x8000001f:
        id.eax = 0x1f;
        id.ebx = 51 | 5 << 6;
        id.ecx = 509;
        id.edx = 100;
        break;
    default: break;
    }
    return id;
}

Test(svm_caps, each_feature_is_the_bit_of_the_table)
{
    struct hvctl_svm_caps caps;

    table_load(&table, "svm_features.csv");
    for (unsigned i = 0; i < table.rows; i++) {
        const struct row *row = &table.row[i];
        bool ecx = !strcmp(row->cell[0], "ECX");
        struct machine machine = {true, 0x8000000a, 0, 0};
        unsigned has = 0;

        *(ecx ? &machine.ecx : &machine.edx) = UINT32_C(1) << row_number(row, 1);
        cr_assert_eq(hvctl_svm_caps_read(&caps, cpuid, &machine), HVCTL_OK);
        for (unsigned f = 0; f < 64; f++)
            if (hvctl_svm_can(&caps, (enum hvctl_svm_feature)f)) {
                has++;
                cr_expect_str_eq(hvctl_svm_feature_name((enum hvctl_svm_feature)f), row->cell[2]);
            }
        cr_expect_eq(has, 1);
    }
    cr_expect_null(hvctl_svm_feature_name((enum hvctl_svm_feature)9));
    cr_expect_null(hvctl_svm_feature_name(HVCTL_SVM_NO_FEATURE));
    cr_expect_not(hvctl_svm_can(&caps, HVCTL_SVM_NO_FEATURE));
}

Test(svm_caps, numbers_are_read_from_leaves_that_are_there)
{
    struct machine machine = {true, 0x8000001f, 0, 0x40};
    struct hvctl_svm_caps caps;

    cr_assert_eq(hvctl_svm_caps_read(&caps, cpuid, &machine), HVCTL_OK);
    cr_expect(caps.revision == 1 && caps.asids == 32768 && hvctl_svm_can(&caps, HVCTL_SVM_FLUSH_BY_ASID));
    cr_expect(caps.sev_eax == 0x1f && caps.c_bit == 51 && caps.reduced_bits == 5);
    cr_expect(caps.sev_asids == 509 && caps.sev_min_asid == 100 && caps.cpu.maxphyaddr == 48);
    machine.top = 0x8000000a;
    cr_assert_eq(hvctl_svm_caps_read(&caps, cpuid, &machine), HVCTL_OK);
    cr_expect_eq(caps.sev_eax, 0);
    machine.top = 0x80000008;
    cr_expect_eq(hvctl_svm_caps_read(&caps, cpuid, &machine), HVCTL_E_MODE);
    machine.top = 0x8000001f;
    machine.svm = false;
    cr_expect_eq(hvctl_svm_caps_read(&caps, cpuid, &machine), HVCTL_E_MODE);
    cr_expect_eq(caps.asids, 0);
}

/* APM vol. 3, "Function 8000_001Fh", bits that newer CPUs have, and "Function 8000_0025h". */
static struct hvctl_cpuid rmp_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = {0, 0, 0, 0};

    (void)subleaf;
    if (leaf == 0x80000000u)
        id.eax = 0x80000025u;
    if (leaf == 0x80000001u)
        id.ecx = 4;
    if (leaf == 0x8000001fu)
        id.eax = *(const uint32_t *)ctx;
    if (leaf == 0x80000025u) {
        id.eax = 36 << 6 | 30;
        id.ebx = 1 << 10 | 512;
    }
    return id;
}

Test(svm_caps, memory_encryption_s_newer_parts_are_named)
{
    static const struct {
        unsigned bit;
        const char *name;
    } named[] = {{1, "SEV"}, {3, "SEV_ES"}, {4, "SEV_SNP"}, {20, "PMC_VIRTUALIZATION"}, {22, "GUEST_INTERCEPT_CONTROL"},
                 {23, "SEGMENTED_RMP"}, {26, "SECURE_AVIC"}, {27, "ALLOWED_SEV_FEATURES"}, {31, "IBPB_ON_ENTRY"}};
    static struct hvctl_svm_caps caps;
    uint32_t eax = 1u << 23;

    for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        cr_expect_str_eq(hvctl_sev_feature_name((enum hvctl_sev_feature)named[i].bit), named[i].name);
    cr_expect_null(hvctl_sev_feature_name((enum hvctl_sev_feature)32));
    cr_assert_eq(hvctl_svm_caps_read(&caps, rmp_cpuid, &eax), HVCTL_OK);
    cr_expect(caps.rmp.min_segment_shift == 30 && caps.rmp.max_segment_shift == 36 && caps.rmp.cached_segments == 512
              && caps.rmp.cached_is_limit);
    cr_expect(hvctl_sev_can(&caps, HVCTL_SEV_SEGMENTED_RMP) && !hvctl_sev_can(&caps, HVCTL_SEV_SEV));
    eax = 0;
    cr_assert_eq(hvctl_svm_caps_read(&caps, rmp_cpuid, &eax), HVCTL_OK);
    cr_expect_eq(caps.rmp.cached_segments, 0, "without segments the leaf says nothing");
}
