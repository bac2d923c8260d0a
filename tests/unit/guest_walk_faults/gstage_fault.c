/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * scause, stval, htval and htinst taken apart, against gstage_instructions.csv: what an assembler makes of each
 * instruction, and the Privileged Architecture's rules for transforming it ("Transformed Instruction or
 * Pseudoinstruction for mtinst or htinst").
 */
#include <hvpt/fault/gstage.h>

#include <criterion/criterion.h>
#include <string.h>

#include "table.h"

static struct hvpt_gstage_fault decode(uint64_t cause, uint64_t stval, uint64_t htval, uint64_t htinst)
{
    struct hvpt_gstage_fault fault;

    memset(&fault, 0xa5, sizeof(fault));
    cr_assert(hvpt_gstage_decode_fault(cause, stval, htval, htinst, &fault));
    return fault;
}

static const char *said(const struct hvpt_gstage_fault *fault)
{
    static char bytes[300];
    static struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvpt_gstage_fault_text(fault, &text);
    cr_assert(buffer.needed < buffer.size);
    return bytes;
}

static enum hvpt_gstage_operation operation_named(const char *name)
{
    static const struct {
        const char *name;
        enum hvpt_gstage_operation operation;
    } operations[] = {
        {"load", HVPT_GSTAGE_OP_LOAD},
        {"store", HVPT_GSTAGE_OP_STORE},
        {"float load", HVPT_GSTAGE_OP_FLOAT_LOAD},
        {"float store", HVPT_GSTAGE_OP_FLOAT_STORE},
        {"load-reserved", HVPT_GSTAGE_OP_LOAD_RESERVED},
        {"store-conditional", HVPT_GSTAGE_OP_STORE_CONDITIONAL},
        {"atomic", HVPT_GSTAGE_OP_ATOMIC},
        {"hypervisor load", HVPT_GSTAGE_OP_HYPERVISOR_LOAD},
        {"hypervisor store", HVPT_GSTAGE_OP_HYPERVISOR_STORE},
        {"cache block", HVPT_GSTAGE_OP_CACHE_BLOCK},
        {"custom", HVPT_GSTAGE_OP_CUSTOM},
    };

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(name, operations[i].name) == 0)
            return operations[i].operation;
    }
    cr_assert_fail("no operation is called %s", name);
    return HVPT_GSTAGE_OP_UNKNOWN;
}

/* The manual's figures: rs1 becomes the address offset; immediates become 0; bit 1 is clear if it was compressed. */
static uint64_t transform(uint32_t encoding, unsigned offset, bool compressed)
{
    uint32_t opcode = encoding & 0x7f, changed = encoding & ~(UINT32_C(31) << 15);

    if (opcode == 0x03 || opcode == 0x07)
        changed &= ~(UINT32_C(0xfff) << 20);
    if (opcode == 0x23 || opcode == 0x27)
        changed &= ~(UINT32_C(0x7f) << 25 | UINT32_C(31) << 7);
    return (changed | offset << 15) & ~(compressed ? UINT32_C(2) : 0);
}

Test(gstage_fault, every_transformed_instruction)
{
    struct table table;
    unsigned rows = 0;

    table_open(&table, "gstage_instructions.csv");
    while (table_next(&table, 9)) {
        const char *name = table.cell[0];
        const uint32_t encoding = (uint32_t)table_number(table.cell[1], 16);
        const enum hvpt_gstage_operation operation = operation_named(table.cell[2]);
        const bool custom = operation == HVPT_GSTAGE_OP_CUSTOM;

        for (unsigned offset = 0; offset < 16; offset++) {
            for (unsigned compressed = 0; compressed < 2; compressed++) {
                uint64_t htinst = custom ? encoding : transform(encoding, offset, compressed);
                struct hvpt_gstage_fault fault = decode(21, 0x1003, 0x400, htinst);
                const struct hvpt_gstage_instruction *instruction = &fault.instruction;

                same(fault.on_table, false, name, "on_table");
                same(instruction->operation, operation, name, "operation");
                same(instruction->size, table_number(table.cell[3], 10), name, "size");
                same(instruction->sign_extend, table_number(table.cell[4], 10), name, "sign_extend");
                same(instruction->destination, table_number(table.cell[5], 10), name, "destination");
                same(instruction->source, table_number(table.cell[6], 10), name, "source");
                same(instruction->function, strcmp(table.cell[7], "-") == 0 ? 0 : table_number(table.cell[7], 10), name,
                     "function");
                same(instruction->execute, table_number(table.cell[8], 10), name, "execute");
                same(instruction->acquire, strstr(name, ".aqrl") != NULL, name, "acquire");
                same(instruction->release, strstr(name, ".aqrl") != NULL, name, "release");
                cr_assert(strlen(said(&fault)) > 0);
                if (custom)
                    continue;
                same(instruction->offset, offset, name, "offset");
                same(instruction->length, compressed ? 2 : 4, name, "length");
            }
        }
        rows++;
    }
    cr_assert(rows > 55);
}

/* funct3 values that no load, store or AMO has. */
Test(gstage_fault, encodings_of_nothing_are_custom)
{
    static const uint32_t none[] = {
        0x00007003, 0x00005007, 0x00004023, 0x00007023, 0x00000027, 0x0000502f,
        0x00007073, 0x70004073, 0x0000000f, 0x0000007f, 0x12345672, 0x00002002,
    };

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct hvpt_gstage_fault fault = decode(23, 8, 2, none[i]);

        same(fault.instruction.operation, HVPT_GSTAGE_OP_CUSTOM, "custom", "operation");
        same(fault.instruction.size, 0, "custom", "size");
        same(fault.on_table, false, "custom", "on_table");
    }
}

/* "Special pseudoinstruction values for guest-page faults". */
Test(gstage_fault, pseudoinstructions)
{
    static const struct {
        uint64_t htinst;
        bool write;
        unsigned size;
    } pseudo[] = {{0x2000, false, 4}, {0x2020, true, 4}, {0x3000, false, 8}, {0x3020, true, 8}};
    static const struct {
        uint64_t cause;
        uint32_t access;
    } causes[] = {{20, HVPT_EXEC}, {21, HVPT_READ}, {23, HVPT_WRITE}};

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 3; j++) {
            struct hvpt_gstage_fault fault = decode(causes[j].cause, 0xabcdef3, 0x12346, pseudo[i].htinst);

            same(fault.on_table, true, "pseudo", "on_table");
            same(fault.table_write, pseudo[i].write, "pseudo", "table_write");
            same(fault.table_entry_size, pseudo[i].size, "pseudo", "table_entry_size");
            same(fault.access, causes[j].access, "pseudo", "access");
            same(hvpt_gstage_fault_wants(&fault), pseudo[i].write ? HVPT_WRITE : HVPT_READ, "pseudo", "wants");
            same(fault.gpa.value, 0x48d18, "pseudo", "gpa: entries are aligned");
            same(fault.linear, 0xabcdef3, "pseudo", "linear");
            same(fault.instruction.operation, HVPT_GSTAGE_OP_UNKNOWN, "pseudo", "operation");
        }
    }
}

/* Without a pseudoinstruction the fault is of the guest's own access, as far as anybody tells. */
Test(gstage_fault, an_access_wants_what_it_does)
{
    for (uint64_t cause = 20; cause <= 23; cause += cause == 21 ? 2 : 1) {
        struct hvpt_gstage_fault fault = decode(cause, 0x1000, 0x400, 0);

        same(hvpt_gstage_fault_wants(&fault), cause == 20 ? HVPT_EXEC : cause == 21 ? HVPT_READ : HVPT_WRITE, "cause",
             "wants");
    }
}

/* "Hypervisor Virtual-Machine Load and Store Instructions": HLVX.HU 64304573H, HLVX.WU 68304573H, HLV.WU 68104573H. */
Test(gstage_fault, hlvx_wants_the_permission_to_execute)
{
    same(hvpt_gstage_fault_wants(&(struct hvpt_gstage_fault){0}), 0, "nothing", "wants");
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t htinst[] = {0x64304573, 0x68304573, 0x68104573};
        struct hvpt_gstage_fault fault = decode(21, 0x1000, 0x400, htinst[i]);

        same(fault.instruction.operation, HVPT_GSTAGE_OP_HYPERVISOR_LOAD, "HLV", "operation");
        same(fault.access, HVPT_READ, "HLV", "access");
        same(hvpt_gstage_fault_wants(&fault), i == 2 ? HVPT_READ : HVPT_EXEC, "HLV", "wants");
    }
}

/* htval and stval together; htval 0 tells nothing. */
Test(gstage_fault, addresses)
{
    for (uint64_t low = 0; low < 4; low++) {
        struct hvpt_gstage_fault fault = decode(21, 0x5550 | low, UINT64_C(0x3ffffffffffff8), 0);

        same(fault.gpa_valid, true, "address", "gpa_valid");
        same(fault.gpa.value, UINT64_C(0xffffffffffffe0) | low, "address", "gpa");
        fault = decode(21, 0x5550 | low, 0, 0);
        same(fault.gpa_valid, false, "address", "gpa_valid");
        same(fault.gpa.value, 0, "address", "gpa");
    }
}

Test(gstage_fault, other_traps_are_no_faults)
{
    for (uint64_t cause = 0; cause < 64; cause++) {
        for (unsigned interrupt = 0; interrupt < 2; interrupt++) {
            const uint64_t scause = cause | (uint64_t)interrupt << 63;
            const bool mine = !interrupt && (cause == 20 || cause == 21 || cause == 23);
            struct hvpt_gstage_fault fault;

            memset(&fault, 0xa5, sizeof(fault));
            same(hvpt_gstage_decode_fault(scause, 1, 2, 0x3000, &fault), mine, "cause", "decoded");
            same(fault.cause, scause, "cause", "cause");
            if (!mine)
                same(fault.access || fault.gpa_valid || fault.on_table || fault.linear, 0, "cause", "anything");
        }
    }
}

Test(gstage_fault, texts)
{
    static const struct {
        uint64_t cause, stval, htval, htinst;
        const char *text;
    } cases[] = {
        {21, 0x40000128, 0x1000004a, 0, "load guest-page fault, guest-physical 0x40000128, guest-virtual 0x40000128"},
        {23, 0x40000128, 0x1000004a, 0x00b03023,
         "store guest-page fault, store of 8 bytes from register 11, "
         "guest-physical 0x40000128, guest-virtual 0x40000128"},
        {21, 0x40000129, 0x1000004a, 0x00000581 /* compressed lb a1 */,
         "load guest-page fault, compressed load of 1 byte to register 11, guest-physical 0x40000129, guest-virtual "
         "0x40000129"},
        {20, 0x40000128, 0, 0, "instruction guest-page fault, guest-virtual 0x40000128"},
        {23, 0x128, 0x1000, 0x3020,
         "store guest-page fault, setting accessed or dirty in a table of the guest, "
         "guest-physical 0x4000, guest-virtual 0x128"},
        {20, 0x128, 0x1000, 0x3000,
         "instruction guest-page fault, reading a table of the guest, guest-physical 0x4000, guest-virtual 0x128"},
    };
    struct hvpt_gstage_fault fault;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fault = decode(cases[i].cause, cases[i].stval, cases[i].htval, cases[i].htinst);
        same_text(said(&fault), cases[i].text, "text");
    }
    cr_assert(!hvpt_gstage_decode_fault(13, 0, 0, 0, &fault));
    same_text(said(&fault), "load page fault", "text");
    cr_assert(!hvpt_gstage_decode_fault(12, 0, 0, 0, &fault));
    same_text(said(&fault), "instruction page fault", "text");
    cr_assert(!hvpt_gstage_decode_fault(15, 0, 0, 0, &fault));
    same_text(said(&fault), "store page fault", "text");
    cr_assert(!hvpt_gstage_decode_fault(10, 0, 0, 0, &fault));
    same_text(said(&fault), "no page fault", "text");
    for (int i = 0; i <= HVPT_GSTAGE_OP_CUSTOM; i++) {
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(hvpt_gstage_operation_text((enum hvpt_gstage_operation)i),
                              hvpt_gstage_operation_text((enum hvpt_gstage_operation)j));
    }
    cr_assert_not_null(hvpt_gstage_operation_text((enum hvpt_gstage_operation)99));
}

/* RISC-V Unprivileged Architecture, "Load and Store Instructions". */
Test(gstage_fault, loaded_values)
{
    static const struct {
        unsigned size;
        bool sign;
        uint64_t data, value;
    } loads[] = {
        {1, false, UINT64_C(0x1122334455667788), 0x88},
        {1, true, UINT64_C(0x1122334455667788), UINT64_C(0xffffffffffffff88)},
        {1, true, UINT64_C(0x1122334455667778), 0x78},
        {2, false, UINT64_C(0x112233445566f788), 0xf788},
        {2, true, UINT64_C(0x112233445566f788), UINT64_C(0xfffffffffffff788)},
        {4, false, UINT64_C(0x1122334485667788), 0x85667788},
        {4, true, UINT64_C(0x1122334485667788), UINT64_C(0xffffffff85667788)},
        {8, true, UINT64_C(0x9122334485667788), UINT64_C(0x9122334485667788)},
        {0, true, UINT64_C(0x9122334485667788), UINT64_C(0x9122334485667788)},
    };

    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        struct hvpt_gstage_instruction instruction;

        memset(&instruction, 0, sizeof(instruction));
        instruction.size = loads[i].size;
        instruction.sign_extend = loads[i].sign;
        same(hvpt_gstage_load_value(&instruction, loads[i].data), loads[i].value, "load", "value");
    }
}
