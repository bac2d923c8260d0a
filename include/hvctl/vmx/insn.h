/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-exit instruction information: the operands of the instruction that caused the exit.
 * SDM vol. 3, "VM-Exit Instruction Information".
 */
#ifndef HVCTL_VMX_INSN_H
#define HVCTL_VMX_INSN_H

#include "exit.h"

/* Which layout the field has, by the instruction that exited. */
enum hvctl_insn_form {
    HVCTL_INSN_NONE,         /* the field is undefined for this exit reason */
    HVCTL_INSN_STRING_IO,    /* INS, OUTS: only with IA32_VMX_BASIC[54] */
    HVCTL_INSN_INVALIDATE,   /* INVEPT, INVPCID, INVVPID: memory and reg2 */
    HVCTL_INSN_TABLE,        /* LIDT, LGDT, SIDT, SGDT: memory */
    HVCTL_INSN_SELECTOR,     /* LLDT, LTR, SLDT, STR: memory or reg1 */
    HVCTL_INSN_POINTER,      /* VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS, XSAVES: memory */
    HVCTL_INSN_VMREAD_WRITE, /* VMREAD, VMWRITE: memory or reg1, and reg2 */
    HVCTL_INSN_RANDOM,       /* RDRAND, RDSEED: reg1 */
    HVCTL_INSN_WAIT,         /* TPAUSE, UMWAIT: reg1 */
    HVCTL_INSN_LOADIWKEY,    /* LOADIWKEY: reg1 and reg2 are XMM registers */
    HVCTL_INSN_MSR_IMMEDIATE /* RDMSR and WRMSRNS with the MSR's number in the instruction: reg1 */
};

struct hvctl_vmx_insn {
    enum hvctl_insn_form form;
    bool has_memory, has_reg1, has_reg2, has_index, has_base; /* which of the following are valid */
    unsigned reg1, reg2;
    /* The memory operand: segment base + base + index * scale + displacement (the exit qualification). */
    unsigned scale; /* 1, 2, 4, 8 */
    unsigned index, base;
    unsigned address_size; /* bits: 16, 32, 64; 0 for a reserved value */
    unsigned segment;      /* ES, CS, SS, DS, FS, GS from 0; undefined for INS */
    unsigned operand_size; /* TABLE: bits, 16 or 32, undefined in 64-bit mode. RANDOM: bits, 16, 32, 64. Else 0 */
    unsigned which;        /* TABLE: 0 SGDT, 1 SIDT, 2 LGDT, 3 LIDT. SELECTOR: 0 SLDT, 1 STR, 2 LLDT, 3 LTR. Else 0 */
};

/* The layout that the instruction-information field has after this exit. */
static inline enum hvctl_insn_form hvctl_vmx_insn_form(uint32_t basic_reason)
{
    switch (basic_reason) {
    case HVCTL_VMX_REASON_IO_INSTRUCTION: return HVCTL_INSN_STRING_IO;
    case HVCTL_VMX_REASON_INVEPT:
    case HVCTL_VMX_REASON_INVVPID:
    case HVCTL_VMX_REASON_INVPCID: return HVCTL_INSN_INVALIDATE;
    case HVCTL_VMX_REASON_GDTR_OR_IDTR_ACCESS: return HVCTL_INSN_TABLE;
    case HVCTL_VMX_REASON_LDTR_OR_TR_ACCESS: return HVCTL_INSN_SELECTOR;
    case HVCTL_VMX_REASON_VMCLEAR:
    case HVCTL_VMX_REASON_VMPTRLD:
    case HVCTL_VMX_REASON_VMPTRST:
    case HVCTL_VMX_REASON_VMXON:
    case HVCTL_VMX_REASON_XSAVES:
    case HVCTL_VMX_REASON_XRSTORS: return HVCTL_INSN_POINTER;
    case HVCTL_VMX_REASON_VMREAD:
    case HVCTL_VMX_REASON_VMWRITE: return HVCTL_INSN_VMREAD_WRITE;
    case HVCTL_VMX_REASON_RDRAND:
    case HVCTL_VMX_REASON_RDSEED: return HVCTL_INSN_RANDOM;
    case HVCTL_VMX_REASON_UMWAIT:
    case HVCTL_VMX_REASON_TPAUSE: return HVCTL_INSN_WAIT;
    case HVCTL_VMX_REASON_LOADIWKEY: return HVCTL_INSN_LOADIWKEY;
    case HVCTL_VMX_REASON_RDMSR_IMMEDIATE:
    case HVCTL_VMX_REASON_WRMSRNS_IMMEDIATE: return HVCTL_INSN_MSR_IMMEDIATE;
    default: return HVCTL_INSN_NONE;
    }
}

/*
 * Take the field apart for an exit with this basic reason; every value is accepted. For an I/O instruction it is valid
 * for INS and OUTS only.
 */
static inline struct hvctl_vmx_insn hvctl_vmx_insn_decode(uint32_t basic_reason, uint32_t info)
{
    struct hvctl_vmx_insn out = {HVCTL_INSN_NONE, false, false, false, false, false, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    unsigned address = info >> 7 & 7u;
    bool in_register = false;

    out.form = hvctl_vmx_insn_form(basic_reason);
    switch (out.form) {
    case HVCTL_INSN_NONE: return out;
    case HVCTL_INSN_RANDOM:
    case HVCTL_INSN_WAIT:
    case HVCTL_INSN_MSR_IMMEDIATE:
    case HVCTL_INSN_LOADIWKEY:
        out.has_reg1 = true;
        out.reg1 = info >> 3 & 15u;
        if (out.form == HVCTL_INSN_RANDOM && (info >> 11 & 3u) < 3)
            out.operand_size = 16u << (info >> 11 & 3u);
        if (out.form == HVCTL_INSN_LOADIWKEY) {
            out.has_reg2 = true;
            out.reg2 = info >> 28 & 15u;
        }
        return out;
    case HVCTL_INSN_STRING_IO: break;
    case HVCTL_INSN_SELECTOR:
    case HVCTL_INSN_VMREAD_WRITE: in_register = (info >> 10 & 1u) != 0; break;
    default: break;
    }

    if (out.form == HVCTL_INSN_INVALIDATE || out.form == HVCTL_INSN_VMREAD_WRITE) {
        out.has_reg2 = true;
        out.reg2 = info >> 28 & 15u;
    }
    if (out.form == HVCTL_INSN_TABLE || out.form == HVCTL_INSN_SELECTOR)
        out.which = info >> 28 & 3u;
    if (out.form == HVCTL_INSN_TABLE)
        out.operand_size = info >> 11 & 1u ? 32 : 16;
    if (in_register) {
        out.has_reg1 = true;
        out.reg1 = info >> 3 & 15u;
        return out;
    }
    out.has_memory = true;
    out.address_size = address < 3 ? 16u << address : 0;
    out.segment = info >> 15 & 7u;
    if (out.form == HVCTL_INSN_STRING_IO)
        return out;
    out.scale = 1u << (info & 3u);
    out.has_index = !(info >> 22 & 1u);
    out.index = info >> 18 & 15u;
    out.has_base = !(info >> 27 & 1u);
    out.base = info >> 23 & 15u;
    return out;
}

/*
 * The same on a CPU with APX, where EXTENDED_INSTRUCTION_INFORMATION names registers up to 31 and must be read instead.
 * info is the older field, the only one that tells which of four instructions it was (which). Layout: scale 1:0,
 * address size 3:2, register operand 4, operand size 6:5, segment 9:7, no index 10, no base 11, reg1 20:16, index
 * 28:24, base 36:32, reg2 44:40.
 */
static inline struct hvctl_vmx_insn hvctl_vmx_insn_decode_extended(uint32_t basic_reason, uint64_t extended,
                                                                   uint32_t info)
{
    struct hvctl_vmx_insn out = hvctl_vmx_insn_decode(basic_reason, info);
    bool may_be_register = out.form == HVCTL_INSN_SELECTOR || out.form == HVCTL_INSN_VMREAD_WRITE;
    unsigned address = (unsigned)(extended >> 2 & 3u), operand = (unsigned)(extended >> 5 & 3u);

    if (out.form == HVCTL_INSN_NONE || out.form == HVCTL_INSN_LOADIWKEY)
        return out;
    if (out.form == HVCTL_INSN_RANDOM || out.form == HVCTL_INSN_TABLE)
        out.operand_size = operand < 3 ? 16u << operand : 0;
    if (may_be_register) {
        out.has_reg1 = (extended >> 4 & 1u) != 0;
        out.has_memory = !out.has_reg1;
    }
    out.reg1 = out.has_reg1 ? (unsigned)(extended >> 16 & 31u) : 0;
    out.reg2 = out.has_reg2 ? (unsigned)(extended >> 40 & 31u) : 0;
    out.has_index = out.has_base = false;
    out.index = out.base = out.segment = out.address_size = 0;
    out.scale = 1;
    if (!out.has_memory)
        return out;
    out.address_size = address < 3 ? 16u << address : 0;
    out.segment = (unsigned)(extended >> 7 & 7u);
    if (out.form == HVCTL_INSN_STRING_IO)
        return out;
    out.scale = 1u << (extended & 3u);
    out.has_index = !(extended >> 10 & 1u);
    out.index = (unsigned)(extended >> 24 & 31u);
    out.has_base = !(extended >> 11 & 1u);
    out.base = (unsigned)(extended >> 32 & 31u);
    return out;
}

/*
 * The effective address of the memory operand, without the segment's base: base + index * scale + displacement,
 * truncated to the address size. displacement is the exit qualification; rsp is GUEST_RSP, which regs does not hold. 0
 * without has_memory.
 * APX's registers, which regs does not hold, are taken as 0: the caller adds them.
 */
static inline uint64_t hvctl_vmx_insn_address(const struct hvctl_vmx_insn *insn, const struct hvctl_guest_regs *regs,
                                              uint64_t rsp, uint64_t displacement)
{
    uint64_t address = displacement;

    if (!insn->has_memory)
        return 0;
    if (insn->has_base)
        address += insn->base == HVCTL_RSP ? rsp : insn->base < HVCTL_GPR_COUNT ? regs->gpr[insn->base] : 0;
    if (insn->has_index)
        address += (insn->index == HVCTL_RSP        ? rsp
                    : insn->index < HVCTL_GPR_COUNT ? regs->gpr[insn->index]
                                                    : 0)
                 * insn->scale;
    return insn->address_size == 16 ? address & 0xffffu
         : insn->address_size == 32 ? address & UINT32_C(0xffffffff)
                                    : address;
}

/*
 * Put the operands in words: "LIDT, memory DS:[RAX + RBX*4]", "register R8". Nothing for an exit without instruction
 * information.
 */
static inline void hvctl_vmx_insn_text(const struct hvctl_vmx_insn *insn, const struct hvpt_text *text)
{
    static const char *const segment[8] = {"ES", "CS", "SS", "DS", "FS", "GS", "?", "?"};
    static const char *const table[4] = {"SGDT", "SIDT", "LGDT", "LIDT"};
    static const char *const selector[4] = {"SLDT", "STR", "LLDT", "LTR"};
    struct hvpt_text_list list = {text, ", ", false};

    if (insn->form == HVCTL_INSN_TABLE)
        hvpt_text_item(&list, table[insn->which & 3u]);
    if (insn->form == HVCTL_INSN_SELECTOR)
        hvpt_text_item(&list, selector[insn->which & 3u]);
    if (insn->has_memory) {
        struct hvpt_text_list sum = {text, " + ", false};

        hvpt_text_item(&list, "memory ");
        hvpt_text_string(text, segment[insn->segment & 7u]);
        if (insn->form != HVCTL_INSN_STRING_IO) {
            hvpt_text_string(text, ":[");
            hvpt_text_item_if(&sum, insn->has_base, hvctl_gpr_name_apx(insn->base));
            if (insn->has_index) {
                hvpt_text_item(&sum, hvctl_gpr_name_apx(insn->index));
                if (insn->scale > 1) {
                    hvpt_text_string(text, "*");
                    hvpt_text_decimal(text, insn->scale);
                }
            }
            hvpt_text_item(&sum, "displacement]");
        }
    }
    if (insn->has_reg1) {
        hvpt_text_item(&list, insn->form == HVCTL_INSN_LOADIWKEY ? "XMM" : "register ");
        if (insn->form == HVCTL_INSN_LOADIWKEY)
            hvpt_text_decimal(text, insn->reg1);
        else
            hvpt_text_string(text, hvctl_gpr_name_apx(insn->reg1));
    }
    if (insn->has_reg2) {
        hvpt_text_item(&list, insn->form == HVCTL_INSN_LOADIWKEY ? "XMM" : "register ");
        if (insn->form == HVCTL_INSN_LOADIWKEY)
            hvpt_text_decimal(text, insn->reg2);
        else
            hvpt_text_string(text, hvctl_gpr_name_apx(insn->reg2));
    }
}

#endif
