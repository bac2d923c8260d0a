/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The G-stage's faults as HS-mode gets them: scause, stval, htval and htinst taken apart, and what a trapped access to
 * a device needs to be emulated. RISC-V Privileged Architecture, "Hypervisor Extension", "Traps".
 */
#ifndef HVPT_FAULT_GSTAGE_H
#define HVPT_FAULT_GSTAGE_H

#include "../text.h"
#include "../types.h"

/* Exception codes of scause: "Supervisor Cause (scause) Register", and what the hypervisor extension adds. */
#define HVPT_CAUSE_FETCH_PAGE_FAULT  UINT64_C(12)
#define HVPT_CAUSE_LOAD_PAGE_FAULT   UINT64_C(13)
#define HVPT_CAUSE_STORE_PAGE_FAULT  UINT64_C(15)
#define HVPT_CAUSE_FETCH_GUEST_FAULT UINT64_C(20)
#define HVPT_CAUSE_LOAD_GUEST_FAULT  UINT64_C(21)
#define HVPT_CAUSE_STORE_GUEST_FAULT UINT64_C(23) /* and AMO */

/* "Special pseudoinstruction values for guest-page faults": the walk of the guest's own tables. */
#define HVPT_HTINST_READ_TABLE_32  UINT64_C(0x2000)
#define HVPT_HTINST_READ_TABLE_64  UINT64_C(0x3000)
#define HVPT_HTINST_WRITE_TABLE_32 UINT64_C(0x2020)
#define HVPT_HTINST_WRITE_TABLE_64 UINT64_C(0x3020)

/* htval holds the address without its two lowest bits. */
#define HVPT_HTVAL_SHIFT 2

/* What htinst says of the instruction that trapped. */
enum hvpt_gstage_operation {
    HVPT_GSTAGE_OP_UNKNOWN, /* hardware told nothing, as it may: read the instruction from memory */
    HVPT_GSTAGE_OP_LOAD,
    HVPT_GSTAGE_OP_STORE,
    HVPT_GSTAGE_OP_FLOAT_LOAD,
    HVPT_GSTAGE_OP_FLOAT_STORE,
    HVPT_GSTAGE_OP_LOAD_RESERVED,
    HVPT_GSTAGE_OP_STORE_CONDITIONAL,
    HVPT_GSTAGE_OP_ATOMIC,
    HVPT_GSTAGE_OP_HYPERVISOR_LOAD,  /* HLV, HLVX */
    HVPT_GSTAGE_OP_HYPERVISOR_STORE, /* HSV */
    HVPT_GSTAGE_OP_CACHE_BLOCK,      /* CBO; only cbo.zero needs emulation */
    HVPT_GSTAGE_OP_CUSTOM            /* not a standard instruction, or not one that this header knows */
};

/* Never NULL. */
static inline const char *hvpt_gstage_operation_text(enum hvpt_gstage_operation operation)
{
    switch (operation) {
    case HVPT_GSTAGE_OP_UNKNOWN: return "unknown instruction";
    case HVPT_GSTAGE_OP_LOAD: return "load";
    case HVPT_GSTAGE_OP_STORE: return "store";
    case HVPT_GSTAGE_OP_FLOAT_LOAD: return "floating-point load";
    case HVPT_GSTAGE_OP_FLOAT_STORE: return "floating-point store";
    case HVPT_GSTAGE_OP_LOAD_RESERVED: return "load-reserved";
    case HVPT_GSTAGE_OP_STORE_CONDITIONAL: return "store-conditional";
    case HVPT_GSTAGE_OP_ATOMIC: return "atomic memory operation";
    case HVPT_GSTAGE_OP_HYPERVISOR_LOAD: return "hypervisor load";
    case HVPT_GSTAGE_OP_HYPERVISOR_STORE: return "hypervisor store";
    case HVPT_GSTAGE_OP_CACHE_BLOCK: return "cache-block operation";
    case HVPT_GSTAGE_OP_CUSTOM: return "custom instruction";
    }
    return "unknown operation";
}

/*
 * The instruction, as htinst has it: "Transformed Instruction or Pseudoinstruction for mtinst or htinst".
 * size: bytes accessed; 0 where the operation has none (UNKNOWN, CACHE_BLOCK, CUSTOM). sign_extend: the load extends
 * the sign. destination: rd, where the operation reads. source: rs2, where it writes. function: funct5, which operation
 * an ATOMIC is. execute: HLVX, which needs the permission to execute instead of that to read.
 * offset: stval less the address that the instruction asked for; not 0 only where a misaligned access was half done.
 * length: of the instruction in bytes, 2 or 4; 0: not known.
 */
struct hvpt_gstage_instruction {
    enum hvpt_gstage_operation operation;
    unsigned size;
    bool sign_extend;
    unsigned destination;
    unsigned source;
    unsigned function;
    bool execute;
    bool acquire;
    bool release;
    unsigned offset;
    unsigned length;
};

/*
 * One guest-page fault.
 * access: HVPT_READ, HVPT_WRITE (stores, and all atomic operations) or HVPT_EXEC: what the guest did. With on_table the
 * walk of the guest's own tables faulted, when it read an entry of table_entry_size bytes or, with table_write, set
 * accessed or dirty in it. Hardware does not tell which entry of the G-stage was in the way: ask translate.
 * gpa, with gpa_valid: to the byte. Hardware may leave htval 0 and so tell nothing (which cannot be told from a
 * faulting address of 0 to 3); translate linear by the guest's tables then (guest/riscv.h).
 * linear: the guest's virtual address (of its own access, with on_table, too).
 */
struct hvpt_gstage_fault {
    uint64_t cause;
    uint32_t access;
    bool on_table;
    bool table_write;
    unsigned table_entry_size;
    bool gpa_valid;
    hvpt_gpa gpa;
    uint64_t linear;
    struct hvpt_gstage_instruction instruction;
};

/* The name of an exception code, if it is a page fault of either stage. Never NULL. */
static inline const char *hvpt_gstage_cause_text(uint64_t cause)
{
    switch (cause) {
    case HVPT_CAUSE_FETCH_PAGE_FAULT: return "instruction page fault";
    case HVPT_CAUSE_LOAD_PAGE_FAULT: return "load page fault";
    case HVPT_CAUSE_STORE_PAGE_FAULT: return "store page fault";
    case HVPT_CAUSE_FETCH_GUEST_FAULT: return "instruction guest-page fault";
    case HVPT_CAUSE_LOAD_GUEST_FAULT: return "load guest-page fault";
    case HVPT_CAUSE_STORE_GUEST_FAULT: return "store guest-page fault";
    default: return "no page fault";
    }
}

/*
 * Take a transformed instruction apart. Its fields lie where the instruction had them: opcode in 6:2 (bit 1 clear: it
 * was compressed), rd, funct3, the offset in place of rs1, rs2, and what is above. htinst is neither 0 nor a
 * pseudoinstruction.
 */
static inline void hvpt_gstage_decode_transformed(uint64_t htinst, struct hvpt_gstage_instruction *out)
{
    const unsigned opcode = (unsigned)htinst & 0x7c;
    const unsigned width = (unsigned)(htinst >> 12) & 7;
    const unsigned function = (unsigned)(htinst >> 27) & 31;
    const unsigned rs2 = (unsigned)(htinst >> 20) & 31;

    out->operation = HVPT_GSTAGE_OP_CUSTOM;
    if (!(htinst & 1))
        return;
    out->length = htinst & 2 ? 4 : 2;
    out->offset = (unsigned)(htinst >> 15) & 31;
    switch (opcode) {
    case 0x00: /* LOAD: funct3 is log2 of the size; with bit 2 set it is unsigned */
        if (width == 7)
            return;
        out->operation = HVPT_GSTAGE_OP_LOAD;
        out->sign_extend = width < 4;
        break;
    case 0x04:
        if (width == 0 || width > 4) /* vectors */
            return;
        out->operation = HVPT_GSTAGE_OP_FLOAT_LOAD;
        break;
    case 0x20:
        if (width > 3)
            return;
        out->operation = HVPT_GSTAGE_OP_STORE;
        break;
    case 0x24:
        if (width == 0 || width > 4)
            return;
        out->operation = HVPT_GSTAGE_OP_FLOAT_STORE;
        break;
    case 0x2c: /* AMO */
        if (width > 4)
            return;
        out->operation = function == 2 ? HVPT_GSTAGE_OP_LOAD_RESERVED
                       : function == 3 ? HVPT_GSTAGE_OP_STORE_CONDITIONAL
                                       : HVPT_GSTAGE_OP_ATOMIC;
        out->function = function;
        out->acquire = (htinst >> 26 & 1) != 0;
        out->release = (htinst >> 25 & 1) != 0;
        out->sign_extend = true;
        break;
    case 0x70: /* SYSTEM: HLV, HLVX, HSV have 0110, log2 of the size, and the direction in funct7 */
        if (width != 4 || (htinst >> 28 & 15) != 6)
            return;
        out->operation = htinst >> 25 & 1 ? HVPT_GSTAGE_OP_HYPERVISOR_STORE : HVPT_GSTAGE_OP_HYPERVISOR_LOAD;
        out->size = 1u << (htinst >> 26 & 3);
        if (out->operation == HVPT_GSTAGE_OP_HYPERVISOR_STORE) {
            out->source = rs2;
            return;
        }
        out->destination = (unsigned)(htinst >> 7) & 31;
        out->sign_extend = rs2 == 0; /* 1: unsigned; 3: HLVX, which is unsigned, too */
        out->execute = rs2 == 3;
        return;
    case 0x0c: /* MISC-MEM: CBO is funct3 2 */
        if (width == 2)
            out->operation = HVPT_GSTAGE_OP_CACHE_BLOCK;
        return;
    default: return;
    }
    out->size = 1u << (opcode == 0x00 ? width & 3 : width);
    if (opcode == 0x00 || opcode == 0x04 || opcode == 0x2c)
        out->destination = (unsigned)(htinst >> 7) & 31;
    if (opcode == 0x20 || opcode == 0x24 || opcode == 0x2c)
        out->source = rs2;
}

/*
 * Take a guest-page fault apart. The CSRs as read before anything else could trap; of an RV64 hart.
 * false: scause is another trap, or an interrupt; *out then has the cause and nothing else.
 */
static inline bool hvpt_gstage_decode_fault(uint64_t scause, uint64_t stval, uint64_t htval, uint64_t htinst,
                                            struct hvpt_gstage_fault *out)
{
    unsigned char *byte = (unsigned char *)out;
    size_t i;

    for (i = 0; i < sizeof(*out); i++)
        byte[i] = 0;
    out->cause = scause;
    switch (scause) {
    case HVPT_CAUSE_FETCH_GUEST_FAULT: out->access = HVPT_EXEC; break;
    case HVPT_CAUSE_LOAD_GUEST_FAULT: out->access = HVPT_READ; break;
    case HVPT_CAUSE_STORE_GUEST_FAULT: out->access = HVPT_WRITE; break;
    default: return false;
    }
    out->linear = stval;
    switch (htinst) {
    case 0: break;
    case HVPT_HTINST_READ_TABLE_32:
    case HVPT_HTINST_READ_TABLE_64:
    case HVPT_HTINST_WRITE_TABLE_32:
    case HVPT_HTINST_WRITE_TABLE_64:
        out->on_table = true;
        out->table_write = (htinst & 0x20) != 0;
        out->table_entry_size = htinst & 0x1000 ? 8 : 4;
        break;
    default: hvpt_gstage_decode_transformed(htinst, &out->instruction); break;
    }
    out->gpa_valid = htval != 0;
    if (out->gpa_valid) /* entries of tables are aligned; else the low bits are those of the guest's address */
        out->gpa = hvpt_make_gpa(htval << HVPT_HTVAL_SHIFT | (out->on_table ? 0 : stval & 3));
    return true;
}

/*
 * The access as the permission that hvpt_space_touch and hvpt_space_explain take. With on_table it is the walk's
 * access: a write where hardware would set accessed or dirty. HLVX needs the permission to execute. Where htinst is 0
 * hardware does not tell, and it is the guest's access.
 */
static inline uint32_t hvpt_gstage_fault_wants(const struct hvpt_gstage_fault *fault)
{
    if (!fault->on_table)
        return fault->instruction.execute ? (uint32_t)HVPT_EXEC : fault->access;
    return fault->table_write ? (uint32_t)HVPT_WRITE : (uint32_t)HVPT_READ;
}

/*
 * What an emulated load leaves in its register: the low size bytes of data, extended as the instruction says. For a
 * LOAD, LOAD_RESERVED, HYPERVISOR_LOAD, or what an ATOMIC reads; for destination 0 the value is dropped.
 */
static inline uint64_t hvpt_gstage_load_value(const struct hvpt_gstage_instruction *instruction, uint64_t data)
{
    const unsigned unused = instruction->size == 0 || instruction->size >= 8 ? 0 : 64 - 8 * instruction->size;

    data = data << unused >> unused;
    if (instruction->sign_extend && (data >> (63 - unused) & 1))
        data |= ~(UINT64_MAX >> unused);
    return data;
}

/*
 * "store guest-page fault, store of 8 bytes from register 11, guest-physical 0x40001128, guest-virtual 0x40001128".
 */
static inline void hvpt_gstage_fault_text(const struct hvpt_gstage_fault *fault, const struct hvpt_text *text)
{
    const struct hvpt_gstage_instruction *instruction = &fault->instruction;

    hvpt_text_string(text, hvpt_gstage_cause_text(fault->cause));
    if (fault->access == 0)
        return;
    if (fault->on_table)
        hvpt_text_string(text, fault->table_write ? ", setting accessed or dirty in a table of the guest"
                                                  : ", reading a table of the guest");
    if (instruction->operation != HVPT_GSTAGE_OP_UNKNOWN) {
        hvpt_text_string(text, instruction->length == 2 ? ", compressed " : ", ");
        hvpt_text_string(text, hvpt_gstage_operation_text(instruction->operation));
    }
    if (instruction->size != 0) {
        hvpt_text_string(text, " of ");
        hvpt_text_decimal(text, instruction->size);
        hvpt_text_string(text, instruction->size == 1 ? " byte" : " bytes");
    }
    if (instruction->source != 0) {
        hvpt_text_string(text, " from register ");
        hvpt_text_decimal(text, instruction->source);
    }
    if (instruction->destination != 0) {
        hvpt_text_string(text, " to register ");
        hvpt_text_decimal(text, instruction->destination);
    }
    if (fault->gpa_valid) {
        hvpt_text_string(text, ", guest-physical ");
        hvpt_text_hex(text, fault->gpa.value);
    }
    hvpt_text_string(text, ", guest-virtual ");
    hvpt_text_hex(text, fault->linear);
}

#endif
