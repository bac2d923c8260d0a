/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Takes a log apart into dumps: where each begins, what is said just before it, and which reader it goes to.
 */
#include "read.h"

#define SAID_BYTES 4096u /* how far behind a remark the dump begins that it belongs to */



bool read_begins(const struct clean *text, size_t at, size_t end)
{
    static const char *const words[] = {"vmentry failure (reason", "Failed vm entry (exit reason", "VMLAUNCH error:",
                                        "VMRESUME error:", "VMCB Control Area:", "************* VMCS Area",
                                        "Dumping guest's current state at", "KVM: entry failed", "VM-ENTRY error:",
                                        ">>> Domain"};
    size_t i;
    char first = text->bytes[at];

    if (first != 'v' && first != 'F' && first != 'V' && first != '*' && first != 'D' && first != 'K' && first != '>')
        return false;
    if (!scan_begins(text, at))
        return false;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i][0] == first && scan_match(text, at, end, words[i]))
            return true;
    /* "VMCS 0000..., last attempted VM-entry on CPU 5" */
    if (first == 'V' && (scan_match(text, at, end, "VMCS ") || scan_match(text, at, end, "VMCB "))) {
        size_t stop = scan_line_end(text, at, end);

        return scan_find(text, at, stop, "last attempted") < stop;
    }
    return false;
}

static void said(struct reader *reader, enum dump_failure failure, const struct number *number, size_t at)
{
    reader->failure = failure;
    reader->code = number->value;
    reader->code_place = number->place;
    reader->qualified = false;
    reader->msr_said = false;
    reader->said_at = at;
}

/* Remarks on the line at at that belong to the dump behind them. */
static void remarks(struct reader *reader, size_t at)
{
    const struct clean *text = reader->text;
    size_t end = text->length, stop = scan_line_end(text, at, end), found, value;
    struct number number, index, mbz;

    found = scan_find(text, at, end, "vmentry failure (reason ");
    if (found == end)
        found = scan_find(text, at, end, "Failed vm entry (exit reason ");
    if (found < end && (value = scan_match(text, found, end, "vmentry failure (reason ")) == 0)
        value = scan_match(text, found, end, "Failed vm entry (exit reason ");
    if (found < end && scan_number(text, value, end, 16, 1, &number)) {
        size_t detail = scan_match(text, number.behind, end, "): Invalid guest state (");

        if (!detail)
            detail = scan_match(text, number.behind, end, ") caused by invalid guest state (");
        said(reader, DUMP_EXIT_REASON, &number, at);
        if (detail && scan_number(text, detail, end, 10, 1, &number)) {
            reader->qualified = true;
            reader->qualification = number.value;
        }
        detail = scan_match(text, reader->code_place.length ? number.behind : value, end, "): MSR loading (entry ");
        if (detail && scan_number(text, detail, end, 10, 1, &number)) {
            reader->qualified = true;
            reader->qualification = number.value + 1; /* counted from 0 there */
        } else if ((detail = scan_match(text, number.behind, end, ") caused by MSR entry ")) != 0
                   && scan_number(text, detail, end, 10, 1, &number)) {
            reader->qualified = true;
            reader->qualification = number.value;
        }
        return;
    }
    found = scan_find(text, at, stop, "VMLAUNCH error: ");
    if (found == stop)
        found = scan_find(text, at, stop, "VMRESUME error: ");
    value = found < stop ? found + 16 : 0;
    if (!value) {
        found = scan_find(text, at, stop, "fail> error code ");
        value = found < stop ? scan_match(text, found, stop, "fail> error code ") : 0;
    }
    if (value && scan_number(text, value, stop, 16, 1, &number)) {
        said(reader, DUMP_INSTRUCTION_ERROR, &number, at);
        return;
    }
    value = scan_match(text, at, stop, "msr ");
    if (value && reader->failure == DUMP_EXIT_REASON && scan_number(text, value, stop, 16, 8, &index)
        && (value = scan_match(text, index.behind, stop, " val ")) != 0 && scan_number(text, value, stop, 16, 16, &number)) {
        reader->msr_said = true;
        reader->msr.index = (uint32_t)index.value;
        reader->msr.value = number.value;
        reader->msr.place = number.place;
        reader->msr.reserved = 0;
        if ((value = scan_match(text, number.behind, stop, " (mbz ")) != 0 && scan_number(text, value, stop, 16, 1, &mbz))
            reader->msr.reserved = (uint32_t)mbz.value;
    }
    if (scan_find(text, at, stop, "dump_invalid_vmcs=1") < stop)
        reader->dump_switched_off = true;
    if (scan_find(text, at, stop, "dump_invalid_vmcb=1") < stop)
        reader->amd_switched_off = true;
}

/* Which format begins on the line at at, if one does, and where its values begin. */
static enum dump_format beginning(const struct clean *text, size_t at, size_t end, bool xen, size_t *values)
{
    size_t stop = scan_line_end(text, at, end), i;
    unsigned section;

    for (i = at; i < stop; i++) {
        char c = text->bytes[i];

        *values = i;
        if (c == '*') {
            if (read_section(text, i, end, &section))
                return xen ? DUMP_XEN_VMX : DUMP_KVM_VMX;
            if (scan_match(text, i, end, "************* VMCS Area **************"))
                return DUMP_XEN_VMX;
            while (i + 1 < stop && text->bytes[i + 1] == '*' && !scan_match(text, i + 1, end, "*** "))
                i++;
            continue;
        }
        if (!scan_begins(text, i))
            continue;
        if (c == 'V' && (scan_match(text, i, end, "VMCB Control Area:") || scan_match(text, i, end, "VMCB State Save Area:")))
            return DUMP_KVM_SVM;
        if (c == 'V' && scan_match(text, i, end, "VM-ENTRY error: reason"))
            return DUMP_XMHF;
        if (c == 'D' && scan_match(text, i, end, "Dumping guest's current state at"))
            return DUMP_XEN_SVM;
        if (c == 'K' && scan_match(text, i, end, "KVM: entry failed, hardware error "))
            return DUMP_QEMU;
        if (c == 'K' && scan_match(text, i, end, "KVM internal error."))
            return DUMP_QEMU;
        if (c == 'g' && scan_match(text, i, end, "guest_CS_selector="))
            return DUMP_XMHF;
        if (c == 'H' && scan_match(text, i, stop, "HM error =") && scan_find(text, i, stop, "(") < stop)
            return DUMP_VBOX;
        if (c == 'c' && scan_match(text, i, end, "cs={") && scan_find(text, i, stop, " base=") < stop)
            return DUMP_VBOX;
        if ((c == 'e' || c == 's' || c == 'd') && i == at && scan_match(text, i, end, c == 'e' ? "es:" : c == 's' ? "ss:" : "ds:")
            && scan_find(text, i, stop, " a: ") < stop)
            return DUMP_NONE;
    }
    *values = at;
    if (scan_match(text, at, stop, "CS =") && scan_find(text, at, stop, "[") < stop)
        return DUMP_QEMU;
    if ((scan_match(text, at, stop, "EAX=") || scan_match(text, at, stop, "RAX=")) && scan_find(text, at, stop, "BX=") < stop)
        return DUMP_QEMU;
    if (scan_match(text, at, stop, "reason VMX"))
        return DUMP_BHYVE;
    return read_named_begins(text, at, end);
}

void reader_begin(struct reader *reader, const struct clean *text)
{
    static const struct reader none;

    *reader = none;
    reader->text = text;
}

static void dump_clear(struct dump *dump)
{
    unsigned char *at = (unsigned char *)dump;
    size_t i;

    for (i = 0; i < sizeof(*dump); i++)
        at[i] = 0;
    hvctl_vmcs_image_init_unknown(&dump->image, NULL);
}

/* What the dump says of its end itself, unless something before it said more. */
static void outcome(struct reader *reader, struct dump *dump)
{
    const struct hvctl_vmcs_image *image = &dump->image;

    if (dump->svm) {
        if (hvctl_vmcb_known_has(&dump->known, (unsigned)offsetof(struct hvctl_vmcb, control.exitcode), 8)) {
            dump->failure = DUMP_EXITCODE;
            dump->code = dump->vmcb.control.exitcode;
            dump->code_place = dump->vmcb_place[offsetof(struct hvctl_vmcb, control.exitcode) / 2];
        }
        return;
    }
    if (dump->format != DUMP_KVM_VMX && dump->format != DUMP_XEN_VMX && dump->format != DUMP_HVCTL
        && dump->format != DUMP_NAMED)
        return;
    if (reader->failure != DUMP_SAYS_NOTHING && dump->begin - reader->said_at < SAID_BYTES) {
        dump->failure = reader->failure;
        dump->code = reader->code;
        dump->code_place = reader->code_place;
        dump->qualified = reader->qualified;
        dump->qualification = reader->qualification;
        dump->stale = reader->failure == DUMP_INSTRUCTION_ERROR;
        if (reader->msr_said && reader->qualified && dump->msrs == 0) {
            dump->msr[0] = reader->msr;
            dump->msr[0].number = (uint32_t)reader->qualification;
            dump->msrs = 1;
        }
    } else if (hvctl_vmcs_known(image, HVCTL_VMCS_EXIT_REASON)) {
        dump->failure = DUMP_EXIT_REASON;
        dump->code = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_REASON);
        dump->code_place = dump->place[HVCTL_VMCS_SLOT_EXIT_REASON];
    } else if (hvctl_vmcs_known(image, HVCTL_VMCS_VM_INSTRUCTION_ERROR)
               && hvctl_vmcs_get(image, HVCTL_VMCS_VM_INSTRUCTION_ERROR)) {
        dump->failure = DUMP_INSTRUCTION_ERROR;
        dump->code = hvctl_vmcs_get(image, HVCTL_VMCS_VM_INSTRUCTION_ERROR);
        dump->stale = true;
    }
    if (!dump->qualified && !dump->stale && hvctl_vmcs_known(image, HVCTL_VMCS_EXIT_QUALIFICATION)) {
        dump->qualified = true;
        dump->qualification = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION);
    }
    /* Xen prints an EFER without a word where the field is not used: only with its control it is the field. */
    if (dump->format == DUMP_XEN_VMX && hvctl_vmcs_known(image, HVCTL_VMCS_GUEST_IA32_EFER)
        && !(hvctl_vmcs_known(image, HVCTL_VMCS_VM_ENTRY_CONTROLS)
             && (hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_CONTROLS) & hvctl_vmx_control_mask(HVCTL_ENTRY_LOAD_IA32_EFER)))) {
        hvctl_vmcs_set_remove(&dump->image.known, HVCTL_VMCS_SLOT_GUEST_IA32_EFER);
        dump->image.value[HVCTL_VMCS_SLOT_GUEST_IA32_EFER] = 0;
    }
}

bool reader_next(struct reader *reader, struct dump *dump)
{
    const struct clean *text = reader->text;
    size_t end = text->length, at = reader->at;
    bool xen = false;

    while (at < end) {
        size_t values = at, behind = at;
        enum dump_format format;
        struct number number;

        remarks(reader, at);
        if (scan_match(text, at, end, "************* VMCS Area") || scan_match(text, at, end, "*********** VMCS Areas"))
            xen = true;
        format = beginning(text, at, end, xen || reader->failure != DUMP_SAYS_NOTHING, &values);
        if (format == DUMP_XEN_VMX && text->bytes[values] == '*' && scan_match(text, values, end, "************* VMCS Area")) {
            at = scan_line_end(text, at, end);
            xen = true;
            continue;
        }
        if (format == DUMP_NONE) {
            at = scan_line_end(text, at, end);
            continue;
        }
        dump_clear(dump);
        dump->format = format;
        dump->begin = at;
        switch (format) {
        case DUMP_KVM_VMX:
        case DUMP_XEN_VMX: behind = read_vmx(text, values, end, dump); break;
        case DUMP_XMHF:
            behind = scan_match(text, values, end, "VM-ENTRY error: reason");
            if (behind && scan_value(text, behind, end, 8, &number)) {
                size_t more = scan_match(text, number.behind, end, ", qualification");

                dump->failure = DUMP_EXIT_REASON;
                dump->code = number.value;
                dump->code_place = number.place;
                if (more && scan_value(text, more, end, 16, &number)) {
                    dump->qualified = true;
                    dump->qualification = number.value;
                }
            }
            behind = read_xmhf(text, behind ? behind : values, end, dump);
            break;
        case DUMP_HVCTL:
        case DUMP_NAMED: behind = read_named(text, values, end, dump); break;
        case DUMP_BHYVE: behind = read_bhyve(text, values, end, dump); break;
        case DUMP_QEMU:
            behind = scan_match(text, values, end, "KVM: entry failed, hardware error ");
            if (behind && scan_number(text, behind, end, 16, 1, &number)) {
                dump->failure = number.value == 7 || number.value == 8 ? DUMP_INSTRUCTION_ERROR
                              : number.value >= UINT64_C(0xfffffff0)   ? DUMP_EXITCODE
                                                                       : DUMP_EXIT_REASON;
                dump->nested_error = dump->failure == DUMP_EXIT_REASON && !(number.value >> 31);
                dump->code = number.value >= UINT64_C(0xfffffff0) ? number.value | UINT64_C(0xffffffff00000000) : number.value;
                dump->code_place = number.place;
            }
            behind = read_qemu(text, behind ? scan_line_end(text, values, end) : at, end, dump);
            break;
        case DUMP_VBOX: behind = read_vbox(text, at, end, dump); break;
        case DUMP_KVM_SVM: behind = read_svm(text, values, end, dump, false); break;
        case DUMP_XEN_SVM: behind = read_svm(text, scan_line_end(text, values, end), end, dump, true); break;
        case DUMP_NONE: break;
        }
        if (behind <= at)
            behind = scan_line_end(text, at, end);
        dump->svm = format == DUMP_KVM_SVM || format == DUMP_XEN_SVM;
        dump->vmx = !dump->svm && dump->failure != DUMP_EXITCODE;
        dump->end = behind;
        at = behind;
        if (dump->signature)
            reader->signature = dump->signature;
        if (dump->fields == 0 && dump->failure == DUMP_SAYS_NOTHING)
            continue; /* a heading without a value */
        outcome(reader, dump);
        reader->failure = DUMP_SAYS_NOTHING;
        reader->msr_said = false;
        dump->number = ++reader->count;
        dump->signature = reader->signature;
        /* Reading goes on at the start of a line, or at the dump that follows on this one. */
        reader->at = at;
        return true;
    }
    reader->at = end;
    return false;
}
