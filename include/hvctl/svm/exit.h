/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * SVM's exits as structs and in words, and events that are injected into a guest or interrupted by an exit.
 * APM vol. 2, "#VMEXIT", "Event Injection", "Decode Assists", "Nested Table Walk"; appendix "SVM Intercept Exit Codes".
 */
#ifndef HVCTL_SVM_EXIT_H
#define HVCTL_SVM_EXIT_H

#include "../common/linkage.h"
#include "../../hvpt/fault/npt.h"
#include "exit_list.h"
#include "../../hvpt/text.h"
#include "vmcb.h"

/*
 * Did VMRUN refuse the VMCB? The manual's code is 64 bits of ones; an emulator that writes only the low half is
 * accepted, too.
 */
static inline bool hvctl_svm_exit_invalid(uint64_t exit_code)
{
    return exit_code == HVCTL_SVM_EXIT_INVALID || exit_code == UINT64_C(0xffffffff);
}

enum hvctl_svm_event_type {
    HVCTL_SVM_EVENT_INTR = 0, /* external or virtual interrupt */
    HVCTL_SVM_EVENT_NMI = 2,
    HVCTL_SVM_EVENT_EXCEPTION = 3,
    HVCTL_SVM_EVENT_SOFTWARE_INTERRUPT = 4
};

/* EVENTINJ and EXITINTINFO. */
struct hvctl_svm_event {
    bool valid;
    uint8_t vector;
    unsigned type; /* enum hvctl_svm_event_type, or a reserved number 1, 5, 6, 7 */
    bool has_error_code;
    uint32_t error_code;
    uint32_t reserved; /* bits 30:14 and 12 */
    bool nested;       /* bit 13, with FRED: an exception in the delivery of another event */
};

/* Take EVENTINJ or EXITINTINFO apart; every value is accepted. */
static inline struct hvctl_svm_event hvctl_svm_event_decode(uint64_t value)
{
    struct hvctl_svm_event event;

    event.vector = (uint8_t)(value & 0xffu);
    event.type = (unsigned)(value >> 8 & 7u);
    event.has_error_code = (value >> 11 & 1u) != 0;
    event.valid = (value >> 31 & 1u) != 0;
    event.error_code = event.has_error_code ? (uint32_t)(value >> 32) : 0;
    event.reserved = (uint32_t)value & UINT32_C(0x7fffd000);
    event.nested = (value >> 13 & 1u) != 0;
    return event;
}

/* EVENTINJ of an event; reserved is not encoded. */
static inline uint64_t hvctl_svm_event_encode(const struct hvctl_svm_event *event)
{
    return (uint64_t)event->vector | (uint64_t)(event->type & 7u) << 8
         | (uint64_t)(event->has_error_code ? 1u : 0u) << 11 | (uint64_t)(event->nested ? 1u : 0u) << 13
         | (uint64_t)(event->valid ? 1u : 0u) << 31 | (event->has_error_code ? (uint64_t)event->error_code << 32 : 0);
}

/* Does this exception have an error code on AMD's CPUs? APM vol. 2, "Exceptions and Interrupts". */
static inline bool hvctl_svm_exception_has_error_code(uint8_t vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29
        || vector == 30;
}

/* An event to inject; error_code is used only if the exception has one. */
static inline struct hvctl_svm_event hvctl_svm_event_make(enum hvctl_svm_event_type type, uint8_t vector,
                                                          uint32_t error_code)
{
    struct hvctl_svm_event event = hvctl_svm_event_decode(0);

    event.valid = true;
    event.type = (unsigned)type;
    event.vector = vector;
    event.has_error_code = type == HVCTL_SVM_EVENT_EXCEPTION && hvctl_svm_exception_has_error_code(vector);
    event.error_code = event.has_error_code ? error_code : 0;
    return event;
}

/* Would VMRUN refuse the event, whatever the guest's mode? APM vol. 2, "Event Injection". */
static inline bool hvctl_svm_event_invalid(const struct hvctl_svm_event *event)
{
    return event->type == 1 || event->type > 4
        || (event->type == HVCTL_SVM_EVENT_EXCEPTION && (event->vector > 31 || event->vector == 2));
}

/*
 * EVENTINJ and NRIP as hvctl_vmcb_inject wrote them last, kept in the VMCB's bytes 3F0H to 3FFH, which are for
 * software. The CPU clears the one and overwrites the other, and EXITINTINFO alone does not say who executed an INT n.
 * 0: nothing was injected since hvctl_svm_redeliver.
 */
static inline uint64_t hvctl_svm_injected_get(const struct hvctl_vmcb *vmcb, unsigned at)
{
    uint64_t value = 0;
    unsigned i;

    for (i = 0; i < 8; i++)
        value |= (uint64_t)vmcb->control.host_software_reserved[at + i] << (8 * i);
    return value;
}

static inline void hvctl_svm_injected_put(struct hvctl_vmcb *vmcb, uint64_t event, uint64_t nrip)
{
    unsigned i;

    for (i = 0; i < 8; i++) {
        vmcb->control.host_software_reserved[16 + i] = (uint8_t)(event >> (8 * i));
        vmcb->control.host_software_reserved[24 + i] = (uint8_t)(nrip >> (8 * i));
    }
}

/*
 * Write an event into EVENTINJ; VMRUN delivers it before the guest's first instruction, and the CPU clears it. In real
 * mode exceptions have no error code, which is dropped.
 * HVCTL_E_RANGE: VMRUN would refuse it: a reserved type, an exception with a vector above 31 or that of the NMI (2),
 * #BR or #OF for a guest in 64-bit mode.
 *
 * For INT n the guest's RIP must be that of the instruction; VMRUN pushes the address after it only with nRIP support,
 * in which case NRIP must be set before this call. The VMCB remembers the event for hvctl_svm_redeliver, which must
 * then be called after every VMEXIT of this guest. APM vol. 2, "Event Injection".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmcb_inject(struct hvctl_vmcb *vmcb, struct hvctl_svm_event event)
{
    bool long64 = (vmcb->save.efer >> 10 & 1u) && (vmcb->save.cs.attrib >> 9 & 1u);

    if (hvctl_svm_event_invalid(&event))
        return HVCTL_E_RANGE;
    if (event.type == HVCTL_SVM_EVENT_EXCEPTION && long64 && (event.vector == 4 || event.vector == 5))
        return HVCTL_E_RANGE;
    if (!(vmcb->save.cr0 & 1u))
        event.has_error_code = false;
    event.valid = true;
    hvctl_vmcb_set_eventinj(vmcb, hvctl_svm_event_encode(&event));
    hvctl_svm_injected_put(vmcb, vmcb->control.eventinj, vmcb->control.nrip);
    return HVCTL_OK;
}

/* "exception #PF, error code 0x2"; "no event" if it is not valid. */
static inline void hvctl_svm_event_text(const struct hvctl_svm_event *event, const struct hvpt_text *text)
{
    static const char *const type[8] = {"interrupt",           "reserved event type", "NMI",
                                        "exception",           "software interrupt",  "reserved event type",
                                        "reserved event type", "reserved event type"};
    static const char *const exception[32] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
        "#MF", "#AC", "#MC", "#XF", NULL,  "#CP", NULL,  NULL,  NULL,  NULL, NULL,  NULL,  "#HV", "#VC", "#SX", NULL,
    };

    if (!event->valid) {
        hvpt_text_string(text, "no event");
        return;
    }
    hvpt_text_string(text, type[event->type & 7u]);
    if (event->type == HVCTL_SVM_EVENT_EXCEPTION && event->vector < 32 && exception[event->vector]) {
        hvpt_text_string(text, " ");
        hvpt_text_string(text, exception[event->vector]);
    } else if (event->type != HVCTL_SVM_EVENT_NMI) {
        hvpt_text_string(text, ", vector ");
        hvpt_text_decimal(text, event->vector);
    }
    if (event->has_error_code) {
        hvpt_text_string(text, ", error code ");
        hvpt_text_hex(text, event->error_code);
    }
    hvpt_text_string_if(text, event->nested, ", nested");
}

/* Put a nested page fault in words, by hvpt's decoder. */
static inline void hvctl_npf_text(uint64_t exitinfo1, uint64_t exitinfo2, const struct hvpt_text *text)
{
    struct hvpt_npt_fault fault = hvpt_npt_decode_fault(exitinfo1, exitinfo2);

    hvpt_npt_fault_text(&fault, text);
}

/* EXITINFO1 of IOIO. */
struct hvctl_svm_io {
    bool in, string, rep;
    unsigned size;         /* bytes: 1, 2 or 4; 0 if the value is reserved */
    unsigned address_size; /* bits: 16, 32 or 64; 0 if the value is reserved */
    unsigned segment;      /* ES, CS, SS, DS, FS, GS from 0 */
    uint16_t port;
};

static inline struct hvctl_svm_io hvctl_svm_io_decode(uint64_t exitinfo1)
{
    struct hvctl_svm_io out;
    unsigned size = (unsigned)(exitinfo1 >> 4 & 7u), address = (unsigned)(exitinfo1 >> 7 & 7u);

    out.in = (exitinfo1 & 1u) != 0;
    out.string = (exitinfo1 >> 2 & 1u) != 0;
    out.rep = (exitinfo1 >> 3 & 1u) != 0;
    out.size = size == 1 || size == 2 || size == 4 ? size : 0;
    out.address_size = address == 1 || address == 2 || address == 4 ? address * 16u : 0;
    out.segment = (unsigned)(exitinfo1 >> 10 & 7u);
    out.port = (uint16_t)(exitinfo1 >> 16);
    return out;
}

/* EXITINFO1 of an access to a control or debug register; filled in by CPUs with decode assists only. */
struct hvctl_svm_cr_access {
    bool mov;     /* false: CLTS or LMSW. For debug registers it is always a MOV */
    unsigned gpr; /* with mov: number of the general register */
};

static inline struct hvctl_svm_cr_access hvctl_svm_cr_access_decode(uint64_t exitinfo1)
{
    struct hvctl_svm_cr_access out;

    out.mov = (exitinfo1 >> 63 & 1u) != 0;
    out.gpr = (unsigned)(exitinfo1 & 15u);
    return out;
}

/* EXITINFO1 and EXITINFO2 of a task switch. */
struct hvctl_svm_task_switch {
    uint16_t selector; /* of the new TSS */
    bool iret, jump;   /* neither: a call, or an event through a task gate */
    bool has_error_code;
    uint32_t error_code;
    bool resume_flag; /* RFLAGS.RF that the old task is to have */
};

static inline struct hvctl_svm_task_switch hvctl_svm_task_switch_decode(uint64_t exitinfo1, uint64_t exitinfo2)
{
    struct hvctl_svm_task_switch out;

    out.selector = (uint16_t)exitinfo1;
    out.iret = (exitinfo2 >> 36 & 1u) != 0;
    out.jump = (exitinfo2 >> 38 & 1u) != 0;
    out.has_error_code = (exitinfo2 >> 44 & 1u) != 0;
    out.error_code = out.has_error_code ? (uint32_t)exitinfo2 : 0;
    out.resume_flag = (exitinfo2 >> 48 & 1u) != 0;
    return out;
}

/* EXITINFO1 and EXITINFO2 of AVIC_INCOMPLETE_IPI. */
struct hvctl_svm_incomplete_ipi {
    uint32_t icr_low, icr_high;
    uint32_t index;  /* into the table that failed */
    uint32_t reason; /* 0 invalid type, 1 target not running, 2 invalid target, 3 invalid backing page, ... */
};

static inline struct hvctl_svm_incomplete_ipi hvctl_svm_incomplete_ipi_decode(uint64_t exitinfo1, uint64_t exitinfo2)
{
    struct hvctl_svm_incomplete_ipi out;

    out.icr_low = (uint32_t)exitinfo1;
    out.icr_high = (uint32_t)(exitinfo1 >> 32);
    out.index = (uint32_t)exitinfo2;
    out.reason = (uint32_t)(exitinfo2 >> 32);
    return out;
}

/* EXITINFO1 and EXITINFO2 of AVIC_NOACCEL. */
struct hvctl_svm_noaccel {
    unsigned offset; /* of the APIC register, in bytes */
    bool write;
    uint8_t vector; /* for EOI */
};

static inline struct hvctl_svm_noaccel hvctl_svm_noaccel_decode(uint64_t exitinfo1, uint64_t exitinfo2)
{
    struct hvctl_svm_noaccel out;

    out.offset = (unsigned)(exitinfo1 & 0xff0u);
    out.write = (exitinfo1 >> 32 & 1u) != 0;
    out.vector = (uint8_t)exitinfo2;
    return out;
}

/* EXITINFO1 of SMI. The I/O part is valid with io_valid. */
struct hvctl_svm_smi {
    bool external, machine_check_redirected;
    bool io_valid;
    struct hvctl_svm_io io;
};

static inline struct hvctl_svm_smi hvctl_svm_smi_decode(uint64_t exitinfo1)
{
    struct hvctl_svm_smi out;
    unsigned size = (unsigned)(exitinfo1 >> 36 & 7u), address = (unsigned)(exitinfo1 >> 39 & 7u);

    out.external = (exitinfo1 & 1u) != 0;
    out.machine_check_redirected = (exitinfo1 >> 1 & 1u) != 0;
    out.io_valid = (exitinfo1 >> 33 & 1u) != 0;
    out.io.in = (exitinfo1 >> 32 & 1u) != 0;
    out.io.string = (exitinfo1 >> 34 & 1u) != 0;
    out.io.rep = (exitinfo1 >> 35 & 1u) != 0;
    out.io.size = size == 1 || size == 2 || size == 4 ? size : 0;
    out.io.address_size = address == 1 || address == 2 || address == 4 ? address * 16u : 0;
    out.io.segment = (unsigned)(exitinfo1 >> 10 & 7u);
    out.io.port = (uint16_t)(exitinfo1 >> 48);
    return out;
}

/* Put an I/O access in words: "REP OUTS of 2 bytes, port 0x1f0". */
static inline void hvctl_svm_io_text(const struct hvctl_svm_io *io, const struct hvpt_text *text)
{
    hvpt_text_string(text, io->rep ? "REP " : "");
    hvpt_text_string(text, io->in ? (io->string ? "INS" : "IN") : (io->string ? "OUTS" : "OUT"));
    hvpt_text_string(text, " of ");
    hvpt_text_decimal(text, io->size);
    hvpt_text_string(text, io->size == 1 ? " byte, port " : " bytes, port ");
    hvpt_text_hex(text, io->port);
}

/*
 * Put a whole VMEXIT in words: "NPF: data read; no nested page is present; ..., guest-physical 0x5000". decode_assists:
 * the CPU has them (HVCTL_SVM_DECODE_ASSISTS), so that EXITINFO1 is valid for register accesses, INVLPG and INT n.
 */
HVCTL_API void hvctl_svm_exit_text(const struct hvctl_vmcb *vmcb, bool decode_assists, const struct hvpt_text *text);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API void hvctl_svm_exit_text(const struct hvctl_vmcb *vmcb, bool decode_assists, const struct hvpt_text *text)
{
    uint64_t code = vmcb->control.exitcode, info1 = vmcb->control.exitinfo1, info2 = vmcb->control.exitinfo2;
    const char *name = hvctl_svm_exit_name(hvctl_svm_exit_invalid(code) ? HVCTL_SVM_EXIT_INVALID : code);
    struct hvctl_svm_event event = hvctl_svm_event_decode(vmcb->control.exitintinfo);

    if (name) {
        hvpt_text_string(text, name);
    } else {
        hvpt_text_string(text, "unknown exit code ");
        hvpt_text_hex(text, code);
    }

    if (code < HVCTL_SVM_EXIT_EXCP_DE || code == HVCTL_SVM_EXIT_CR0_SEL_WRITE) {
        struct hvctl_svm_cr_access cr = hvctl_svm_cr_access_decode(info1);

        if (decode_assists && (cr.mov || (code >= HVCTL_SVM_EXIT_DR0_READ && code < HVCTL_SVM_EXIT_EXCP_DE))) {
            hvpt_text_string(text, ": MOV with ");
            hvpt_text_string(text, hvctl_gpr_name(cr.gpr));
        } else if (decode_assists && code == HVCTL_SVM_EXIT_CR0_WRITE) {
            hvpt_text_string(text, ": CLTS or LMSW");
        }
    } else if (code == HVCTL_SVM_EXIT_NPF) {
        hvpt_text_string(text, ": ");
        hvctl_npf_text(info1, info2, text);
        hvpt_text_string(text, ", guest-physical ");
        hvpt_text_hex(text, info2);
    } else if (code == HVCTL_SVM_EXIT_EXCP_PF) {
        hvpt_text_string(text, ": error code ");
        hvpt_text_hex(text, info1);
        hvpt_text_string(text, ", linear ");
        hvpt_text_hex(text, info2);
    } else if (code >= HVCTL_SVM_EXIT_EXCP_DE && code <= HVCTL_SVM_EXIT_EXCP_RESERVED_31) {
        /* EXITINFO1 is undefined for #DF and #TS, which have an error code all the same. */
        uint8_t vector = (uint8_t)(code - HVCTL_SVM_EXIT_EXCP_DE);

        if (hvctl_svm_exception_has_error_code(vector) && vector != 8 && vector != 10) {
            hvpt_text_string(text, ": error code ");
            hvpt_text_hex(text, info1);
        }
    } else if (code == HVCTL_SVM_EXIT_IOIO) {
        struct hvctl_svm_io io = hvctl_svm_io_decode(info1);

        hvpt_text_string(text, ": ");
        hvctl_svm_io_text(&io, text);
    } else if (code == HVCTL_SVM_EXIT_MSR) {
        hvpt_text_string(text, info1 & 1u ? ": WRMSR" : ": RDMSR");
    } else if (code == HVCTL_SVM_EXIT_TASK_SWITCH) {
        struct hvctl_svm_task_switch task = hvctl_svm_task_switch_decode(info1, info2);

        hvpt_text_string(text, ": to TSS ");
        hvpt_text_hex(text, task.selector);
        hvpt_text_string(text, task.iret ? " by IRET" : task.jump ? " by a far jump" : " by a call or an event");
    } else if (code == HVCTL_SVM_EXIT_INVLPG && decode_assists) {
        hvpt_text_string(text, ": linear ");
        hvpt_text_hex(text, info1);
    } else if (code == HVCTL_SVM_EXIT_SWINT && decode_assists) {
        hvpt_text_string(text, ": vector ");
        hvpt_text_hex(text, info1 & 0xffu);
    } else if (code >= HVCTL_SVM_EXIT_EFER_WRITE_TRAP && code <= HVCTL_SVM_EXIT_CR15_WRITE_TRAP) {
        hvpt_text_string(text, ": new value ");
        hvpt_text_hex(text, info1);
    } else if (code == HVCTL_SVM_EXIT_AVIC_INCOMPLETE_IPI) {
        struct hvctl_svm_incomplete_ipi ipi = hvctl_svm_incomplete_ipi_decode(info1, info2);

        hvpt_text_string(text, ": reason ");
        hvpt_text_decimal(text, ipi.reason);
        hvpt_text_string(text, ", index ");
        hvpt_text_decimal(text, ipi.index);
    } else if (code == HVCTL_SVM_EXIT_AVIC_NOACCEL) {
        struct hvctl_svm_noaccel access = hvctl_svm_noaccel_decode(info1, info2);

        hvpt_text_string(text, access.write ? ": write of register " : ": read of register ");
        hvpt_text_hex(text, access.offset);
    } else if (code == HVCTL_SVM_EXIT_SMI) {
        struct hvctl_svm_smi smi = hvctl_svm_smi_decode(info1);

        hvpt_text_string(text, smi.external ? ": external" : ": internal");
        if (smi.io_valid) {
            hvpt_text_string(text, ", ");
            hvctl_svm_io_text(&smi.io, text);
        }
    }

    if (event.valid && !hvctl_svm_exit_invalid(code)) {
        hvpt_text_string(text, ", while delivering ");
        hvctl_svm_event_text(&event, text);
    }
}
#endif

#endif
