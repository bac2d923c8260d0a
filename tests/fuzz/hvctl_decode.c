/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: every decoder of hvctl over any value. None reads or writes where it should not, every text ends within
 * its buffer and is as long as it says, and what is decoded and encoded again is what it was.
 *
 * Input: numbers of 8 bytes, taken one after the other; where they end, zeros.
 */
#include "../unit/hvpt/support/check.h"

#include <hvctl/common/bitmaps.h>
#include <hvctl/common/guest_state.h>
#include <hvctl/svm/exit.h>
#include <hvctl/svm/guest.h>
#include <hvctl/vmx/solver.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/guest.h>
#include <hvctl/vmx/insn.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;

static uint64_t next(void)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8 && at < end; i++)
        value |= (uint64_t)*at++ << (8 * i);
    return value;
}

/* A sink over a buffer of any size, zero included, with a guard behind it. */
#define LARGEST 900
static char bytes[LARGEST + 1];
static struct hvpt_text_buffer buffer;

static struct hvpt_text begin(uint64_t size)
{
    memset(bytes, 0x5a, sizeof(bytes));
    return hvpt_text_into(&buffer, bytes, size % (LARGEST + 1));
}

static void check_text(void)
{
    size_t length;

    for (size_t i = buffer.size; i < sizeof(bytes); i++)
        CHECK(bytes[i] == 0x5a, "a text goes on behind its buffer of %zu", buffer.size);
    if (buffer.size == 0)
        return;
    for (length = 0; length < buffer.size && bytes[length] != 0; length++)
        CHECK(bytes[length] >= ' ' && bytes[length] <= '~', "byte %#x in a text", (unsigned char)bytes[length]);
    CHECK_EQ(length, buffer.needed < buffer.size ? buffer.needed : buffer.size - 1, "length of a text");
}

static void fuzz_encodings(uint32_t encoding)
{
    struct hvctl_vmcs_encoding part = hvctl_vmcs_decode(encoding);
    unsigned slot = (unsigned)hvctl_vmcs_slot(encoding);
    const char *name = hvctl_vmcs_field_name(encoding);

    CHECK(part.index < 512 && (unsigned)part.width < 4 && (unsigned)part.type < 4, "an encoding's parts");
    CHECK_EQ(hvctl_vmcs_encode(part.width, part.type, part.index) | (part.high ? 1u : 0u) | part.reserved, encoding,
             "an encoding, decoded and encoded");
    CHECK(slot <= (unsigned)HVCTL_VMCS_SLOT_COUNT, "slot %u", slot);
    CHECK(part.well_formed || (slot == (unsigned)HVCTL_VMCS_SLOT_COUNT && name == NULL), "a field for reserved bits");
    if (slot < (unsigned)HVCTL_VMCS_SLOT_COUNT)
        CHECK_EQ(hvctl_vmcs_slot_info(slot)->encoding, encoding & ~UINT32_C(1), "a slot's encoding");
    if (name != NULL)
        CHECK_EQ(hvctl_vmcs_field_by_name(name, strlen(name)), encoding & ~UINT32_C(1), "a field by its name");
}

static void fuzz_events(uint64_t value, uint64_t size)
{
    uint32_t info = (uint32_t)value, code = (uint32_t)(value >> 32);
    struct hvctl_vmx_event event = hvctl_vmx_event_decode(info, code);
    struct hvctl_svm_event svm = hvctl_svm_event_decode(value);
    struct hvpt_text text = begin(size);

    /* Bit 12 and the reserved ones are not for VM entry */
    CHECK_EQ(hvctl_vmx_event_encode(&event), info & UINT32_C(0x80002fff), "a VMX event, decoded and encoded");
    CHECK_EQ(event.error_code, info & 0x800 ? code : 0, "a VMX event's error code");
    CHECK_EQ(hvctl_svm_event_encode(&svm), value & (info & 0x800 ? UINT64_C(0xffffffff80002fff) : UINT32_C(0x80002fff)),
             "an SVM event, decoded and encoded");
    hvctl_vmx_event_text(&event, &text);
    check_text();
    text = begin(size);
    hvctl_svm_event_text(&svm, &text);
    check_text();
}

static struct hvctl_vmcs_image image;

/* A VMX exit of these values, and an injection into the same image. */
static void fuzz_vmx_exit(void)
{
    static struct hvctl_vmx_caps caps;
    uint64_t choice = next(), reason = next(), size = next();
    enum hvctl_status status = HVCTL_OK;
    struct hvctl_guest_regs regs;
    struct hvctl_vmx_event event;
    struct hvctl_vmx_insn insn;
    struct hvpt_text text;
    uint32_t information;

    memset(&caps, 0, sizeof(caps));
    caps.ept_vpid_cap = choice;
    caps.misc = choice * 3;
    caps.basic = choice * 5;
    hvctl_vmcs_image_init(&image, NULL);
    if (choice & 1)
        reason = (reason & UINT64_C(0xffff0000)) | reason % 96; /* a reason that there is, more often than not */
    hvctl_vmcs_put(&image, HVCTL_VMCS_EXIT_REASON, (uint32_t)reason, &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_EXIT_QUALIFICATION, next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION, (uint32_t)next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE, (uint32_t)next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD, (uint32_t)next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS, next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_LINEAR_ADDRESS, next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, (uint32_t)next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, (uint32_t)next(), &status);
    hvctl_vmcs_put(&image, HVCTL_VMCS_EPT_POINTER, next(), &status);
    CHECK_EQ(status, HVCTL_OK, "an image of every field takes any value");
    text = begin(size);
    hvctl_vmx_exit_text(&image, choice & 2 ? &caps : NULL, &text);
    check_text();
    CHECK(buffer.needed > 0, "an exit without words");

    information = (uint32_t)next();
    for (unsigned i = 0; i < HVCTL_GPR_COUNT; i++)
        regs.gpr[i] = next();
    insn = hvctl_vmx_insn_decode((uint32_t)reason & 0xffff, information);
    CHECK(insn.reg1 < 16 && insn.reg2 < 16 && insn.base < 16 && insn.index < 16 && insn.segment < 8 && insn.which < 4
              && (insn.scale == 1 || insn.scale == 2 || insn.scale == 4 || insn.scale == 8),
          "operands of %#x", information);
    CHECK(!insn.has_memory || insn.address_size == 0 || insn.address_size == 64
              || hvctl_vmx_insn_address(&insn, &regs, reason, choice) >> insn.address_size == 0,
          "an address beyond its size");
    (void)hvctl_vmx_insn_address(&insn, &regs, reason, choice);
    text = begin(size);
    hvctl_vmx_insn_text(&insn, &text);
    check_text();

    event = hvctl_vmx_event_decode((uint32_t)next(), (uint32_t)next());
    event.length = (uint32_t)(choice >> 8 & 31);
    if (choice & 4)
        hvctl_vmcs_put(&image, HVCTL_VMCS_GUEST_CR0, 1, &status);
    if (hvctl_vmx_inject(&image, choice & 2 ? &caps : NULL, event) == HVCTL_OK) {
        uint64_t written = hvctl_vmcs_get(&image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD);

        /* SDM vol. 3, "VM-Entry Control Fields": valid, no reserved bit or type, no error code in real mode */
        CHECK((written & UINT64_C(0xffffffff7fffd000)) == 0 && written >> 31 == 1 && (written >> 8 & 7) != 1,
              "injected: %#llx", (unsigned long long)written);
        CHECK((choice & 4) != 0 || (written & 0x800) == 0, "an error code in real mode");
    }
    (void)hvctl_vmx_reason_decode((uint32_t)reason);
    (void)hvctl_vmx_instruction_error_text((uint32_t)choice);
}

static void fuzz_svm_exit(void)
{
    static struct hvctl_vmcb vmcb;
    uint64_t choice = next(), code = next(), size = next();
    struct hvpt_text text = begin(size);
    struct hvctl_guest_state state;

    hvctl_vmcb_zero(&vmcb);
    vmcb.control.exitcode = choice & 1 ? code % 0x410 : code;
    vmcb.control.exitinfo1 = next();
    vmcb.control.exitinfo2 = next();
    vmcb.control.exitintinfo = next();
    hvctl_svm_exit_text(&vmcb, (choice & 2) != 0, &text);
    check_text();
    CHECK(buffer.needed > 0, "an exit without words");

    vmcb.save.cr0 = choice >> 8 & 1;
    vmcb.save.efer = choice & 4 ? HVCTL_EFER_LMA : 0;
    vmcb.save.cs.attrib = (uint16_t)(choice >> 16);
    if (hvctl_vmcb_inject(&vmcb, hvctl_svm_event_decode(next())) == HVCTL_OK) {
        uint64_t written = vmcb.control.eventinj;

        CHECK((written & UINT64_C(0x7fffd000)) == 0 && (written >> 31 & 1) == 1 && (written >> 8 & 7) != 1
                  && (written >> 8 & 7) <= 4,
              "injected: %#llx", (unsigned long long)written);
        CHECK((vmcb.save.cr0 & 1) != 0 || (written & 0x800) == 0, "an error code in real mode");
    }

    /* Setting an intercept and asking for it; a code without one is refused and changes nothing */
    code = vmcb.control.exitcode;
    hvctl_vmcb_mark_clean(&vmcb);
    if (hvctl_vmcb_intercept(&vmcb, code, true) == HVCTL_OK) {
        CHECK(hvctl_vmcb_intercepts(&vmcb, code), "intercept %#llx", (unsigned long long)code);
        CHECK_EQ(vmcb.control.vmcb_clean & HVCTL_CLEAN_I, 0, "clean bit of intercepts");
        CHECK_EQ(hvctl_vmcb_intercept(&vmcb, code, false), HVCTL_OK, "intercept off");
        CHECK(!hvctl_vmcb_intercepts(&vmcb, code), "intercept %#llx, off", (unsigned long long)code);
    } else {
        CHECK(!hvctl_vmcb_intercepts(&vmcb, code), "intercept %#llx, refused", (unsigned long long)code);
        CHECK_EQ(vmcb.control.vmcb_clean, HVCTL_CLEAN_ALL, "clean bits");
    }
    for (size_t i = 0; i < sizeof(vmcb.save); i++)
        ((uint8_t *)&vmcb.save)[i] = at < end ? *at++ : 0;
    state = hvctl_svm_guest_read(&vmcb);
    hvctl_svm_guest_write(&vmcb, &state);
    CHECK_EQ(hvctl_svm_guest_read(&vmcb).cr3, state.cr3, "CR3 through a guest's state");
}

static void fuzz_segments(uint64_t low, uint64_t high)
{
    struct hvctl_segment segment = hvctl_segment_from_descriptor(8, low, high);
    uint16_t attrib = (uint16_t)(low & 0xfff);
    uint64_t upper, again = hvctl_segment_to_descriptor(&segment, &upper);

    CHECK_EQ(again, low, "a descriptor, decoded and encoded");
    CHECK_EQ(upper, low >> 44 & 1 ? 0 : high & UINT32_C(0xffffffff), "a descriptor's upper half");
    if (attrib & 0x80)
        CHECK_EQ(hvctl_rights_to_attrib(hvctl_attrib_to_rights(attrib)), attrib, "attributes, as rights and back");
    else
        CHECK_EQ(hvctl_rights_to_attrib(hvctl_attrib_to_rights(attrib)), 0,
                 "attributes of a segment that is not present");
}

/* One MSR, one range of ports: these exit, what lies beside them does not. */
static void fuzz_maps(uint64_t value)
{
    static union {
        struct hvctl_vmx_msr_bitmap vmx_msr;
        struct hvctl_svm_msr_map svm_msr;
        struct hvctl_vmx_io_bitmap vmx_io;
        struct hvctl_svm_io_map svm_io;
    } map;
    uint32_t msr = (uint32_t)value;
    uint16_t port = (uint16_t)(value >> 32);
    unsigned size = 1u << (value >> 48) % 3;

    memset(&map, 0, sizeof(map));
    if (hvctl_vmx_msr_exit(&map.vmx_msr, msr, HVCTL_ACCESS_WRITE, true) == HVCTL_OK) {
        CHECK(hvctl_vmx_msr_exits(&map.vmx_msr, msr, true) && !hvctl_vmx_msr_exits(&map.vmx_msr, msr, false),
              "VMX, MSR %#x", msr);
        CHECK(!hvctl_vmx_msr_covered(msr ^ 1) || !hvctl_vmx_msr_exits(&map.vmx_msr, msr ^ 1, true), "VMX, beside %#x",
              msr);
    } else {
        CHECK(hvctl_vmx_msr_exits(&map.vmx_msr, msr, false), "VMX, MSR %#x is not covered", msr);
    }
    memset(&map, 0, sizeof(map));
    if (hvctl_svm_msr_exit(&map.svm_msr, msr, HVCTL_ACCESS_READ, true) == HVCTL_OK) {
        CHECK(hvctl_svm_msr_exits(&map.svm_msr, msr, false) && !hvctl_svm_msr_exits(&map.svm_msr, msr, true),
              "SVM, MSR %#x", msr);
        CHECK(!hvctl_svm_msr_covered(msr ^ 1) || !hvctl_svm_msr_exits(&map.svm_msr, msr ^ 1, false), "SVM, beside %#x",
              msr);
    } else {
        CHECK(hvctl_svm_msr_exits(&map.svm_msr, msr, false), "SVM, MSR %#x is not covered", msr);
    }
    memset(&map, 0, sizeof(map));
    if (hvctl_vmx_io_exit(&map.vmx_io, port, (uint32_t)(value >> 50 & 7), true) == HVCTL_OK)
        CHECK(hvctl_vmx_io_exits(&map.vmx_io, port, size)
                  == ((value >> 50 & 7) != 0 || (uint32_t)port + size > 0x10000),
              "VMX, port %#x", port);
    memset(&map, 0, sizeof(map));
    if (hvctl_svm_io_exit(&map.svm_io, port, (uint32_t)(value >> 50 & 7), true) == HVCTL_OK)
        CHECK(hvctl_svm_io_exits(&map.svm_io, port, size) == ((value >> 50 & 7) != 0), "SVM, port %#x", port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at = data;
    end = data + size;
    while (at < end) {
        uint64_t value = next();

        switch (value & 7) {
        case 0: fuzz_encodings((uint32_t)(value >> 8)); break;
        case 1: fuzz_encodings((uint32_t)(value >> 8) & 0x7fff); break;
        case 2: fuzz_events(next(), value >> 8); break;
        case 3: fuzz_vmx_exit(); break;
        case 4: fuzz_svm_exit(); break;
        case 5: fuzz_segments(next(), next()); break;
        default: fuzz_maps(next()); break;
        }
    }
    return 0;
}
