/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Formats that say less: XMHF, QEMU's and VirtualBox's registers, bhyve.
 */
#include "read.h"

/* ---- XMHF ---- */

size_t read_xmhf(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    static const char *const segments[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR", "GDTR", "IDTR"};
    static const struct {
        const char *name;
        unsigned slot;
    } others[] = {
        {"CR0", HVCTL_VMCS_SLOT_GUEST_CR0}, {"CR3", HVCTL_VMCS_SLOT_GUEST_CR3}, {"CR4", HVCTL_VMCS_SLOT_GUEST_CR4},
        {"RSP", HVCTL_VMCS_SLOT_GUEST_RSP}, {"RIP", HVCTL_VMCS_SLOT_GUEST_RIP}, {"RFLAGS", HVCTL_VMCS_SLOT_GUEST_RFLAGS},
        {"interruptibility", HVCTL_VMCS_SLOT_GUEST_INTERRUPTIBILITY_STATE},
        {"activity_state", HVCTL_VMCS_SLOT_GUEST_ACTIVITY_STATE},
    };
    unsigned silent = 0, i;
    struct number number;

    while (at < end) {
        size_t name, value;
        bool read = false;

        if (text->bytes[at] == '\n' && ++silent > 20)
            break;
        if (dump->fields && text->bytes[at] == 'V' && scan_match(text, at, end, "VM-ENTRY error:"))
            break;
        name = scan_begins(text, at) ? scan_match(text, at, end, "guest_") : 0;
        for (i = 0; name && i < 10 && !read; i++) {
            size_t behind = scan_match(text, name, end, segments[i]);

            if (!behind || text->bytes[behind] != '_')
                continue;
            if ((value = scan_match(text, behind, end, "_selector")) != 0 && scan_value(text, value, end, 4, &number)) {
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR + i, &number);
                read = true;
            } else if ((value = scan_match(text, behind, end, "_access_rights")) != 0
                       && scan_value(text, value, end, 8, &number)) {
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS + i, &number);
                read = true;
            } else if ((value = scan_match(text, behind, end, "_base/limit")) != 0) {
                size_t slash = scan_skip(text, value, end);

                /* only 16 bits of the limit are printed, and it is followed by the base's own slash */
                while (slash < end && text->bytes[slash] != '/' && text->bytes[slash] != '\n')
                    slash++;
                if (slash < end && scan_value(text, value, slash, 1, &number)) {
                    read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_BASE + i, &number);
                    read = true;
                }
            }
        }
        for (i = 0; name && i < sizeof(others) / sizeof(others[0]) && !read; i++) {
            value = scan_match(text, name, end, others[i].name);
            if (value && !scan_word(text->bytes[value < end ? value : at]) && scan_value(text, value, end, 8, &number)) {
                read_field(dump, others[i].slot, &number);
                read = true;
            }
        }
        if (read) {
            silent = 0;
            at = number.behind;
        } else {
            at++;
        }
    }
    return at;
}

/* ---- QEMU's registers ---- */

static void read_unusable(struct dump *dump, unsigned segment, uint64_t rights, const struct number *number)
{
    struct number field = *number;

    field.value = rights;
    /* A segment that is not present is one that the CPU calls unusable; for CS and TR that cannot be told. */
    if (!(rights & 0x80)) {
        if (segment == 1 || segment == 7)
            return;
        field.value |= 0x10000;
    }
    read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS + segment, &field);
}

size_t read_qemu(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    static const char *const segments[] = {"ES =", "CS =", "SS =", "DS =", "FS =", "GS =", "LDT=", "TR =", "GDT=", "IDT="};
    struct number number, cr0 = {0, 0, 0, {0, 0}};
    bool protected_mode = false, mode_known = false, first = true;
    unsigned silent = 0, i;

    while (at < end && silent < 12) {
        size_t stop = scan_line_end(text, at, end), behind;

        if (!first && (scan_match(text, at, end, "KVM: entry failed") || scan_match(text, at, end, "EAX=")
                       || scan_match(text, at, end, "RAX="))
            && dump->fields)
            break;
        if (dump->fields && read_begins(text, at, end) && !scan_match(text, at, end, "KVM: entry failed"))
            break;
        first = false;
        silent++;
        for (i = 0; i < 10; i++) {
            behind = scan_match(text, at, stop, segments[i]);
            if (!behind)
                continue;
            silent = 0;
            if (i < 8) {
                if (!scan_number(text, behind, stop, 16, 4, &number))
                    break;
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR + i, &number);
                behind = number.behind;
            }
            if (!scan_number(text, behind, stop, 16, 8, &number))
                break;
            read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_BASE + i, &number);
            if (!scan_number(text, number.behind, stop, 16, 8, &number))
                break;
            read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_LIMIT + i, &number);
            if (i < 8 && scan_number(text, number.behind, stop, 16, 8, &number))
                read_unusable(dump, i, (number.value >> 8 & 0xffu) | (number.value >> 8 & 0xf000u), &number);
            break;
        }
        for (behind = at; behind < stop; behind++) {
            size_t value;

            if (!scan_begins(text, behind))
                continue;
            value = scan_match(text, behind, stop, "EFL=");
            if (!value)
                value = scan_match(text, behind, stop, "RFL=");
            if (value && scan_number(text, value, stop, 16, 8, &number)) {
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_RFLAGS, &number);
                silent = 0;
            }
            value = scan_match(text, behind, stop, "EIP=");
            if (!value)
                value = scan_match(text, behind, stop, "RIP=");
            if (value && scan_number(text, value, stop, 16, 8, &number)) {
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_RIP, &number);
                silent = 0;
            }
            value = scan_match(text, behind, stop, "CR0=");
            if (value && scan_number(text, value, stop, 16, 8, &cr0)) {
                mode_known = true;
                protected_mode = (cr0.value & HVCTL_CR0_PE) != 0;
                silent = 0;
            }
            value = scan_match(text, behind, stop, "EDX=");
            if (value && scan_number(text, value, stop, 16, 8, &number) && number.value >> 20 == 0
                && (number.value >> 8 & 0xf) == 6)
                dump->signature = (uint32_t)number.value; /* what a CPU has in EDX after reset */
        }
        at = stop;
    }
    /* In real mode a hypervisor without "unrestricted guest" keeps other segments and RFLAGS in the VMCS than the guest has. */
    if (!mode_known || !protected_mode) {
        dump->real_mode_registers = true;
        for (i = 0; i < 8; i++) {
            hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS + i);
            hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR + i);
            hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_ES_BASE + i);
            hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_ES_LIMIT + i);
        }
        hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_RFLAGS);
    }
    return at;
}

/* ---- VirtualBox ---- */

size_t read_vbox(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    unsigned silent = 0, i;
    struct number number;

    /* Its log has hundreds of lines between the registers and what it says of VT-x. */
    while (at < end && silent < 400) {
        size_t stop = scan_line_end(text, at, end), behind;

        silent++;
        if (dump->fields && read_begins(text, at, end))
            break;
        for (behind = at; behind < stop; behind++) {
            size_t value;

            if (!scan_begins(text, behind))
                continue;
            for (i = 0; i < 8; i++) {
                value = scan_match(text, behind, stop, segments[i]);
                value = value ? scan_match(text, value, stop, " ={") : 0;
                if (!value || !scan_number(text, value, stop, 16, 4, &number))
                    continue;
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR + i, &number);
                silent = 0;
                value = scan_match(text, number.behind, stop, " base=");
                if (!value || !scan_number(text, value, stop, 16, 8, &number))
                    break;
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_BASE + i, &number);
                value = scan_match(text, number.behind, stop, " limit=");
                if (!value || !scan_number(text, value, stop, 16, 8, &number))
                    break;
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_LIMIT + i, &number);
                value = scan_match(text, number.behind, stop, " flags=");
                if (value && scan_number(text, value, stop, 16, 4, &number))
                    read_field(dump, HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS + i, &number);
                break;
            }
            value = scan_match(text, behind, stop, "rip=");
            if (value && scan_number(text, value, stop, 16, 8, &number)) {
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_RIP, &number);
                silent = 0;
            }
            value = scan_match(text, behind, stop, "rflags=");
            if (value && scan_number(text, value, stop, 16, 8, &number))
                read_field(dump, HVCTL_VMCS_SLOT_GUEST_RFLAGS, &number);
            value = scan_match(text, behind, stop, "HM error =");
            if (value && scan_number(text, value, stop, 16, 1, &number)) {
                dump->vbox_error = (unsigned)(number.value & 0xffff);
                silent = 0;
            }
            if (scan_match(text, behind, stop, "VERR_VMX_INVALID_GUEST_STATE") && dump->failure == DUMP_SAYS_NOTHING) {
                dump->failure = DUMP_EXIT_REASON;
                dump->code = UINT64_C(0x80000021);
                silent = 0;
            }
            value = scan_match(text, behind, stop, "Exit reason");
            if (value && (scan_number(text, value, stop, 16, 1, &number) || scan_value(text, value, stop, 1, &number))) {
                dump->failure = DUMP_EXIT_REASON;
                dump->code = number.value & UINT32_C(0xffffffff);
                dump->code_place = number.place;
            }
        }
        at = stop;
    }
    return at;
}

/* ---- bhyve ---- */

size_t read_bhyve(const struct clean *text, size_t at, size_t end, struct dump *dump)
{
    unsigned lines;
    struct number number;
    uint64_t reason = 0, status = 0, error = 0;
    bool have_reason = false;

    for (lines = 0; at < end && lines < 12; lines++) {
        size_t stop = scan_line_end(text, at, end), value;

        if (lines && scan_match(text, at, stop, "reason"))
            break;
        if ((value = scan_match(text, at, stop, "rip ")) != 0 && scan_number(text, value, stop, 16, 16, &number))
            read_field(dump, HVCTL_VMCS_SLOT_GUEST_RIP, &number);
        else if ((value = scan_match(text, at, stop, "inst_length ")) != 0 && scan_number(text, value, stop, 10, 1, &number))
            read_field(dump, HVCTL_VMCS_SLOT_VM_EXIT_INSTRUCTION_LENGTH, &number);
        else if ((value = scan_match(text, at, stop, "status ")) != 0 && scan_number(text, value, stop, 10, 1, &number))
            status = number.value;
        else if ((value = scan_match(text, at, stop, "inst_error ")) != 0 && scan_number(text, value, stop, 10, 1, &number))
            error = number.value;
        else if ((value = scan_match(text, at, stop, "exit_reason ")) != 0
                 && scan_number(text, value, stop, 10, 1, &number)) {
            reason = number.value;
            have_reason = true;
            dump->code_place = number.place;
        } else if ((value = scan_match(text, at, stop, "qualification ")) != 0
                   && scan_number(text, value, stop, 16, 16, &number)) {
            dump->qualification = number.value;
            dump->qualified = true;
            read_field(dump, HVCTL_VMCS_SLOT_EXIT_QUALIFICATION, &number);
        }
        at = stop;
    }
    if (status && error) {
        dump->failure = DUMP_INSTRUCTION_ERROR;
        dump->code = error;
        dump->stale = true;
    } else if (have_reason) {
        /* decimal, and without bit 31: 33, 34 and 41 are failures of entry and nothing else */
        dump->failure = DUMP_EXIT_REASON;
        dump->code = reason | (reason == 33 || reason == 34 || reason == 41 ? UINT64_C(0x80000000) : 0);
        dump->fields++;
    }
    return at;
}
