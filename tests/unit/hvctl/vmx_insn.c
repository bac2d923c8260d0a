/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* VM-exit instruction information. SDM vol. 3, "VM-Exit Instruction Information", as recorded in vmx_insn_info.csv. */
#include <hvctl/vmx/insn.h>

#include "support/table.h"

static const struct {
    const char *instruction;
    uint32_t reason;
} exits[] = {
    {"INS", 30},    {"OUTS", 30},      {"INVEPT", 50},  {"INVPCID", 58}, {"INVVPID", 53}, {"LIDT", 46},
    {"LGDT", 46},   {"SIDT", 46},      {"SGDT", 46},    {"LLDT", 47},    {"LTR", 47},     {"SLDT", 47},
    {"STR", 47},    {"VMCLEAR", 19},   {"VMPTRLD", 21}, {"VMPTRST", 22}, {"VMXON", 27},   {"XRSTORS", 64},
    {"XSAVES", 63}, {"VMREAD", 23},    {"VMWRITE", 25}, {"RDRAND", 57},  {"RDSEED", 61},  {"TPAUSE", 68},
    {"UMWAIT", 67}, {"LOADIWKEY", 69},
};

/* The member that a part of the field goes to; *counts says whether the decoder claims that it means something. */
static unsigned member(const struct hvctl_vmx_insn *insn, const char *name, bool *counts)
{
    *counts = true;
    if (!strcmp(name, "SCALE"))
        return (unsigned)__builtin_ctz(insn->scale);
    if (!strcmp(name, "ADDRESS_SIZE"))
        return insn->address_size ? (unsigned)__builtin_ctz(insn->address_size) - 4 : 9;
    if (!strcmp(name, "SEGMENT"))
        return insn->segment;
    if (!strcmp(name, "INDEX_REG"))
        return insn->index;
    if (!strcmp(name, "INDEX_INVALID"))
        return !insn->has_index;
    if (!strcmp(name, "BASE_REG"))
        return insn->base;
    if (!strcmp(name, "BASE_INVALID"))
        return !insn->has_base;
    if (!strcmp(name, "REG2") || !strcmp(name, "XMM2")) {
        *counts = insn->has_reg2;
        return insn->reg2;
    }
    if (!strcmp(name, "REG1") || !strcmp(name, "DEST_REG") || !strcmp(name, "SOURCE_REG") || !strcmp(name, "XMM1")) {
        *counts = insn->has_reg1;
        return insn->reg1;
    }
    if (!strcmp(name, "INSTRUCTION"))
        return insn->which;
    if (!strcmp(name, "OPERAND_SIZE"))
        return (unsigned)__builtin_ctz(insn->operand_size) - 4;
    cr_assert(false, "unknown part %s", name);
    return 0;
}

Test(vmx_insn, each_part_is_where_the_table_has_it)
{
    static struct table table;

    table_load(&table, "vmx_insn_info.csv");
    for (unsigned i = 0; i < table.rows; i++) {
        const struct row *row = &table.row[i];
        unsigned high = (unsigned)row_number(row, 1), low = (unsigned)row_number(row, 2), k = 0;
        uint64_t most = (UINT64_C(1) << (high - low + 1)) - 1;

        while (strcmp(exits[k].instruction, row->cell[0]))
            cr_assert_lt(++k, sizeof(exits) / sizeof(exits[0]), "%s", row->cell[0]);
        if (!strcmp(row->cell[3], "ADDRESS_SIZE") || (!strcmp(row->cell[3], "OPERAND_SIZE") && high > low))
            most = 2;
        for (uint64_t value = 0; value <= most; value++)
            for (unsigned others = 0; others < 2; others++) {
                /* the bits around the part are all 0, then all 1; bit 10 chooses the operand */
                uint32_t mask = (uint32_t)((((UINT64_C(1) << (high - low + 1)) - 1)) << low);
                uint32_t info = (others ? ~mask : 0) | (uint32_t)(value << low);
                bool counts;

                info = strcmp(row->cell[3], "REG1") ? info & ~(UINT32_C(1) << 10) : info | UINT32_C(1) << 10;
                struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode(exits[k].reason, info);

                cr_expect_eq(member(&insn, row->cell[3], &counts), value, "%s %s", row->cell[0], row->cell[3]);
                cr_expect(counts, "%s %s", row->cell[0], row->cell[3]);
            }
    }
}

Test(vmx_insn, other_exits_have_no_instruction_information)
{
    for (uint32_t reason = 0; reason < 100; reason++) {
        bool listed = false;
        struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode(reason, 0xffffffff);

        for (unsigned k = 0; k < sizeof(exits) / sizeof(exits[0]); k++)
            listed |= exits[k].reason == reason;
        listed |= reason == 84 || reason == 85;
        cr_expect_eq(insn.form != HVCTL_INSN_NONE, listed, "%u", reason);
        if (!listed)
            cr_expect(!insn.has_memory && !insn.has_reg1 && !insn.has_reg2);
    }
}

Test(vmx_insn, the_operand_s_address_is_base_index_and_displacement)
{
    struct hvctl_guest_regs regs = {{0}, 0};
    struct hvctl_vmx_insn insn =
        hvctl_vmx_insn_decode(50, 2u << 7 | 2u /* *4 */ | 1u << 18 /* RCX */ | 3u << 23 /* RBX */);

    regs.gpr[HVCTL_RCX] = 0x10;
    regs.gpr[HVCTL_RBX] = UINT64_C(0x100000000);
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0, 8), UINT64_C(0x100000048));
    insn.address_size = 32;
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0, 8), 0x48);
    insn.address_size = 16;
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0, 0xffff), 0x3f);
    insn = hvctl_vmx_insn_decode(50, 2u << 7 | 1u << 22 | 4u << 23);
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0x7000, UINT64_C(0xfffffffffffffff8)), 0x6ff8);
    insn = hvctl_vmx_insn_decode(50, 2u << 7 | 4u << 18 | 1u << 27);
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0x7000, 0), 0x7000);
    insn = hvctl_vmx_insn_decode(57, 0);
    cr_expect_eq(hvctl_vmx_insn_address(&insn, &regs, 0x7000, 5), 0);
}

static const char *words(uint32_t reason, uint32_t info)
{
    static char bytes[200];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));
    struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode(reason, info);

    hvctl_vmx_insn_text(&insn, &text);
    return bytes;
}

Test(vmx_insn, operands_in_words)
{
    cr_expect_str_eq(words(46, 3u << 28 | 3u << 15 | 2u | 3u << 18), "LIDT, memory DS:[RAX + RBX*4 + displacement]");
    cr_expect_str_eq(words(47, 2u << 28 | 1u << 10 | 8u << 3), "LLDT, register R8");
    cr_expect_str_eq(words(23, 15u << 28 | 1u << 10 | 1u << 3), "register RCX, register R15");
    cr_expect_str_eq(words(19, 2u << 15 | 1u << 22 | 1u << 27), "memory SS:[displacement]");
    cr_expect_str_eq(words(30, 0), "memory ES");
    cr_expect_str_eq(words(69, 5u << 28 | 4u << 3), "XMM4, XMM5");
    cr_expect_str_eq(words(10, 5), "");
}

/*
 * SDM vol. 3, "Format of the VM-Exit Instruction-Information Field" for RDMSR and WRMSRNS with an immediate: bits 6:3.
 */
Test(vmx_insn, immediate_msr_accesses_name_their_register)
{
    for (uint32_t reason = 84; reason <= 85; reason++)
        for (unsigned reg = 0; reg < 16; reg++) {
            struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode(reason, reg << 3 | 0xffffff87);

            cr_expect(insn.form == HVCTL_INSN_MSR_IMMEDIATE && insn.has_reg1 && !insn.has_reg2 && !insn.has_memory);
            cr_expect_eq(insn.reg1, reg);
        }
}

/*
 * APX's field, 64 bits: scale 1:0, address size 3:2, register 4, operand size 6:5, segment 9:7, no index 10, no base
 * 11, reg1 20:16, index 28:24, base 36:32, reg2 44:40.
 */
Test(vmx_insn, extended_information_names_registers_up_to_31)
{
    const uint64_t memory = 2 | UINT64_C(2) << 2 | UINT64_C(3) << 7 | UINT64_C(17) << 24 | UINT64_C(18) << 32
                          | UINT64_C(31) << 40 | UINT64_C(30) << 16;
    struct hvctl_vmx_insn insn = hvctl_vmx_insn_decode_extended(50, memory, 0); /* INVEPT */

    cr_expect(insn.has_memory && insn.has_reg2 && !insn.has_reg1 && insn.has_index && insn.has_base);
    cr_expect(insn.scale == 4 && insn.address_size == 64 && insn.segment == 3);
    cr_expect(insn.index == 17 && insn.base == 18 && insn.reg2 == 31);
    insn = hvctl_vmx_insn_decode_extended(23, memory | 16, 0); /* VMREAD into a register */
    cr_expect(!insn.has_memory && insn.has_reg1 && insn.reg1 == 30 && insn.reg2 == 31 && !insn.has_base);
    insn = hvctl_vmx_insn_decode_extended(50, memory | 0xc00, 0);
    cr_expect(!insn.has_index && !insn.has_base);
    insn = hvctl_vmx_insn_decode_extended(46, memory | UINT64_C(2) << 5, 3u << 28); /* LIDT */
    cr_expect(insn.which == 3 && insn.operand_size == 64 && insn.has_memory);
    insn = hvctl_vmx_insn_decode_extended(84, UINT64_C(25) << 16, 0);
    cr_expect(insn.form == HVCTL_INSN_MSR_IMMEDIATE && insn.reg1 == 25);
    cr_expect_eq(hvctl_vmx_insn_decode_extended(10, ~UINT64_C(0), 0).form, HVCTL_INSN_NONE);
}
