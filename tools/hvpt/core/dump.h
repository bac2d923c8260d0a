/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One dump of a log: which fields it gives and where, and what is said of the failure around it.
 */
#ifndef HVPT_TOOLS_DUMP_H
#define HVPT_TOOLS_DUMP_H

#include <hvctl/svm/known.h>
#include <hvctl/vmx/check.h>

#include "clean.h"

enum dump_format {
    DUMP_NONE,
    DUMP_KVM_VMX,
    DUMP_XEN_VMX,
    DUMP_XMHF,
    DUMP_HVCTL,
    DUMP_NAMED, /* fields by name, as many hypervisors print them */
    DUMP_BHYVE,
    DUMP_QEMU, /* registers as a guest's debugger would see them */
    DUMP_VBOX, /* likewise */
    DUMP_KVM_SVM,
    DUMP_XEN_SVM
};

/* What the text says of how it ended. */
enum dump_failure {
    DUMP_SAYS_NOTHING,
    DUMP_EXIT_REASON,       /* code is EXIT_REASON; bit 31: VM entry failed */
    DUMP_INSTRUCTION_ERROR, /* code is VM_INSTRUCTION_ERROR */
    DUMP_EXITCODE           /* code is SVM's */
};

#define DUMP_MSRS 32 /* entries of an MSR-load area that a dump keeps */

/* A value's place in the input. */
struct dump_place {
    uint32_t at, length;
};

struct dump_msr {
    uint32_t number; /* of the entry, from 1 */
    uint32_t index, reserved;
    uint64_t value;
    struct dump_place place;
};

struct dump {
    enum dump_format format;
    unsigned number; /* in its log, from 1 */
    size_t begin, end; /* in the cleaned text */
    unsigned fields; /* values that were read */
    bool vmx, svm;

    struct hvctl_vmcs_image image;
    struct dump_place place[HVCTL_VMCS_SLOT_COUNT];

    struct hvctl_vmcb vmcb;
    struct hvctl_vmcb_known known;
    struct dump_place vmcb_place[1024]; /* by offset / 2; the save area ends below 700H */

    enum dump_failure failure;
    uint64_t code, qualification;
    bool qualified; /* qualification was given */
    struct dump_place code_place;
    bool stale;     /* the exit's fields are those of an exit before */
    unsigned msrs;
    struct dump_msr msr[DUMP_MSRS];
    bool msrs_whole; /* all entries of the MSR-load area are here */

    bool tertiary_layout, prefixed, hashed; /* what tells the version of KVM */
    bool effective_efer;
    unsigned vbox_error;      /* what VirtualBox found itself; 0: not in the text */
    bool real_mode_registers; /* QEMU's segments are not the fields' */
    bool nested_error;        /* a made-up failure: entry failed with a normal exit */
    uint32_t signature;       /* of the CPU, if the log says so */
};

/*
 * Find the next dump at or behind *at, fill in dump, and move *at behind it. false: there is none. Several calls take a
 * log apart; pending state between them is in *reader.
 */
struct reader {
    const struct clean *text;
    size_t at;
    unsigned count;
    uint32_t signature;
    /* what was said before a dump and belongs to it */
    enum dump_failure failure;
    uint64_t code, qualification;
    bool qualified;
    struct dump_place code_place;
    size_t said_at;
    struct dump_msr msr;
    bool msr_said;
    /* what helps if there is no dump */
    bool dump_switched_off; /* KVM says how to switch it on */
    bool amd_switched_off;
};
void reader_begin(struct reader *reader, const struct clean *text);
bool reader_next(struct reader *reader, struct dump *dump);

#endif
