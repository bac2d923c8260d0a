/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Exit information taken apart twice: by the decoders, and by a reader of exit_fields.csv that knows of bits only what
 * the manuals' tables say. Every value of every part with all other bits clear and set, and any bits at all.
 */
#include <hvctl/svm/exit.h>
#include <hvctl/vmx/exit.h>

#include "chance.h"
#include "support/table.h"

/* X(decoder, member, call): a is the first word, b the second. */
#define PARTS(X)                                                                   \
    X(vmx_reason, basic, hvctl_vmx_reason_decode((uint32_t)a))                     \
    X(vmx_reason, busy_shadow_stack, hvctl_vmx_reason_decode((uint32_t)a))         \
    X(vmx_reason, bus_lock, hvctl_vmx_reason_decode((uint32_t)a))                  \
    X(vmx_reason, enclave, hvctl_vmx_reason_decode((uint32_t)a))                   \
    X(vmx_reason, pending_mtf, hvctl_vmx_reason_decode((uint32_t)a))               \
    X(vmx_reason, from_root, hvctl_vmx_reason_decode((uint32_t)a))                 \
    X(vmx_reason, entry_failure, hvctl_vmx_reason_decode((uint32_t)a))             \
    X(vmx_cr_access, cr, hvctl_vmx_cr_access_decode(a))                            \
    X(vmx_cr_access, type, hvctl_vmx_cr_access_decode(a))                          \
    X(vmx_cr_access, lmsw_memory, hvctl_vmx_cr_access_decode(a))                   \
    X(vmx_cr_access, gpr, hvctl_vmx_cr_access_decode(a))                           \
    X(vmx_cr_access, lmsw_source, hvctl_vmx_cr_access_decode(a))                   \
    X(vmx_dr_access, dr, hvctl_vmx_dr_access_decode(a))                            \
    X(vmx_dr_access, from_dr, hvctl_vmx_dr_access_decode(a))                       \
    X(vmx_dr_access, gpr, hvctl_vmx_dr_access_decode(a))                           \
    X(vmx_io, size, hvctl_vmx_io_decode(a))                                        \
    X(vmx_io, in, hvctl_vmx_io_decode(a))                                          \
    X(vmx_io, string, hvctl_vmx_io_decode(a))                                      \
    X(vmx_io, rep, hvctl_vmx_io_decode(a))                                         \
    X(vmx_io, immediate, hvctl_vmx_io_decode(a))                                   \
    X(vmx_io, port, hvctl_vmx_io_decode(a))                                        \
    X(vmx_task_switch, selector, hvctl_vmx_task_switch_decode(a))                  \
    X(vmx_task_switch, source, hvctl_vmx_task_switch_decode(a))                    \
    X(vmx_apic_access, offset, hvctl_vmx_apic_access_decode(a))                    \
    X(vmx_apic_access, type, hvctl_vmx_apic_access_decode(a))                      \
    X(vmx_apic_access, asynchronous, hvctl_vmx_apic_access_decode(a))              \
    X(vmx_log_full, nmi_unblocking, hvctl_vmx_log_full_decode(a))                  \
    X(vmx_log_full, asynchronous, hvctl_vmx_log_full_decode(a))                    \
    X(vmx_timeout, context_lost, hvctl_vmx_timeout_decode(a))                      \
    X(vmx_timeout, nmi_unblocking, hvctl_vmx_timeout_decode(a))                    \
    X(svm_io, in, hvctl_svm_io_decode(a))                                          \
    X(svm_io, string, hvctl_svm_io_decode(a))                                      \
    X(svm_io, rep, hvctl_svm_io_decode(a))                                         \
    X(svm_io, size, hvctl_svm_io_decode(a))                                        \
    X(svm_io, address_size, hvctl_svm_io_decode(a))                                \
    X(svm_io, segment, hvctl_svm_io_decode(a))                                     \
    X(svm_io, port, hvctl_svm_io_decode(a))                                        \
    X(svm_cr_access, mov, hvctl_svm_cr_access_decode(a))                           \
    X(svm_cr_access, gpr, hvctl_svm_cr_access_decode(a))                           \
    X(svm_task_switch, selector, hvctl_svm_task_switch_decode(a, b))               \
    X(svm_task_switch, error_code, hvctl_svm_task_switch_decode(a, b))             \
    X(svm_task_switch, iret, hvctl_svm_task_switch_decode(a, b))                   \
    X(svm_task_switch, jump, hvctl_svm_task_switch_decode(a, b))                   \
    X(svm_task_switch, has_error_code, hvctl_svm_task_switch_decode(a, b))         \
    X(svm_task_switch, resume_flag, hvctl_svm_task_switch_decode(a, b))            \
    X(svm_incomplete_ipi, icr_low, hvctl_svm_incomplete_ipi_decode(a, b))          \
    X(svm_incomplete_ipi, icr_high, hvctl_svm_incomplete_ipi_decode(a, b))         \
    X(svm_incomplete_ipi, index, hvctl_svm_incomplete_ipi_decode(a, b))            \
    X(svm_incomplete_ipi, reason, hvctl_svm_incomplete_ipi_decode(a, b))           \
    X(svm_noaccel, write, hvctl_svm_noaccel_decode(a, b))                          \
    X(svm_noaccel, vector, hvctl_svm_noaccel_decode(a, b))                         \
    X(svm_smi, external, hvctl_svm_smi_decode(a))                                  \
    X(svm_smi, machine_check_redirected, hvctl_svm_smi_decode(a))                  \
    X(svm_smi, io_valid, hvctl_svm_smi_decode(a))                                  \
    X(svm_smi, io.in, hvctl_svm_smi_decode(a))                                     \
    X(svm_smi, io.string, hvctl_svm_smi_decode(a))                                 \
    X(svm_smi, io.rep, hvctl_svm_smi_decode(a))                                    \
    X(svm_smi, io.size, hvctl_svm_smi_decode(a))                                   \
    X(svm_smi, io.address_size, hvctl_svm_smi_decode(a))                           \
    X(svm_smi, io.segment, hvctl_svm_smi_decode(a))                                \
    X(svm_smi, io.port, hvctl_svm_smi_decode(a))

/* What the decoder says of one part; ~0 where there is none of this name. */
static uint64_t decoded(const char *decoder, const char *part, uint64_t a, uint64_t b)
{
#define X(name, member, call)                                           \
    if (strcmp(decoder, #name) == 0 && strcmp(part, #member) == 0)      \
        return (uint64_t)(call).member;
    PARTS(X)
#undef X
    return ~UINT64_C(0);
}

/* The bits high..low of a word, without a shift: digits of a number written down in base 2. */
static uint64_t digits(uint64_t word, unsigned high, unsigned low)
{
    uint64_t value = 0;

    for (unsigned i = 0; i <= high; i++, word /= 2)
        if (i >= low && word % 2 != 0)
            value += UINT64_C(1) << (i - low);
    return value;
}

/* What the table says. */
static uint64_t tabled(const struct row *row, uint64_t a, uint64_t b)
{
    const uint64_t word = row_number(row, 2) == 0 ? a : b;
    const uint64_t raw = digits(word, (unsigned)row_number(row, 3), (unsigned)row_number(row, 4));
    const char *at = row->cell[5];

    if (row->cell[6][0] != 0 && digits(word, (unsigned)row_number(row, 6), (unsigned)row_number(row, 6)) == 0)
        return 0;
    if (*at == 0)
        return raw;
    while (*at != 0) {
        char *end;
        const bool this_one = strtoull(at, &end, 10) == raw;
        const uint64_t meaning = strtoull(end + 1, &end, 10);

        if (this_one)
            return meaning;
        at = *end == ' ' ? end + 1 : end;
    }
    return 0;
}

static void same(const struct row *row, uint64_t a, uint64_t b)
{
    const uint64_t is = decoded(row->cell[0], row->cell[1], a, b), should = tabled(row, a, b);

    cr_assert_eq(is, should, "%s of %s is %#llx in %#llx %#llx, not %#llx", row->cell[1], row->cell[0],
                 (unsigned long long)is, (unsigned long long)a, (unsigned long long)b, (unsigned long long)should);
}

Test(decoders, every_part_says_what_the_table_says)
{
    static struct table table;

    table_load(&table, "exit_fields.csv");
    for (unsigned i = 0; i < table.rows; i++) {
        const struct row *row = &table.row[i];
        const unsigned high = (unsigned)row_number(row, 3), low = (unsigned)row_number(row, 4);
        const uint64_t all = high - low == 63 ? ~UINT64_C(0) : ((UINT64_C(1) << (high - low + 1)) - 1) << low;

        cr_assert_neq(decoded(row->cell[0], row->cell[1], 0, 0), ~UINT64_C(0), "no part %s of %s", row->cell[1],
                      row->cell[0]);
        for (uint64_t value = 0; value < (high - low < 16 ? UINT64_C(1) << (high - low + 1) : 65536); value++) {
            same(row, value << low, value << low);
            same(row, ~all | (value << low & all), ~all | (value << low & all));
        }
        for (unsigned k = 0; k < 20000; k++)
            same(row, chance(), chance());
    }
}

/* And none was forgotten: each part that is decoded has a row. */
Test(decoders, every_part_is_in_the_table)
{
    static const char *const parts[][2] = {
#define X(name, member, call) {#name, #member},
        PARTS(X)
#undef X
    };
    static struct table table;

    table_load(&table, "exit_fields.csv");
    cr_expect_eq(table.rows, sizeof(parts) / sizeof(parts[0]));
    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
        unsigned found = 0;

        for (unsigned i = 0; i < table.rows; i++)
            found += strcmp(table.row[i].cell[0], parts[k][0]) == 0 && strcmp(table.row[i].cell[1], parts[k][1]) == 0;
        cr_expect_eq(found, 1, "%s of %s", parts[k][1], parts[k][0]);
    }
}

/* The one part that keeps its place: an APIC register's offset is a multiple of 16. APM vol. 2, "AVIC". */
Test(decoders, an_apic_register_s_offset_keeps_its_place)
{
    for (unsigned k = 0; k < 20000; k++) {
        const uint64_t a = chance(), b = chance();

        cr_assert_eq(hvctl_svm_noaccel_decode(a, b).offset, digits(a, 11, 4) * 16);
    }
}
