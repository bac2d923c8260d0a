/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Events in a VMCS: injection at VM entry, interruption information at VM exit, and the IDT-vectoring information of an
 * event that was being delivered. One layout, three fields. SDM vol. 3, "VM-Entry Controls for Event Injection".
 */
#ifndef HVCTL_VMX_EVENT_H
#define HVCTL_VMX_EVENT_H

#include "../../hvpt/text.h"
#include "vmcs.h"

enum hvctl_event_type {
    HVCTL_EVENT_EXTERNAL_INTERRUPT = 0,
    HVCTL_EVENT_RESERVED = 1,
    HVCTL_EVENT_NMI = 2,
    HVCTL_EVENT_HARDWARE_EXCEPTION = 3,
    HVCTL_EVENT_SOFTWARE_INTERRUPT = 4,            /* INT n */
    HVCTL_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION = 5, /* INT1 */
    HVCTL_EVENT_SOFTWARE_EXCEPTION = 6,            /* INT3, INTO */
    HVCTL_EVENT_OTHER = 7                          /* vector 0: pending MTF; with FRED 1: SYSCALL, 2: SYSENTER */
};

struct hvctl_vmx_event {
    bool valid;
    uint8_t vector;
    enum hvctl_event_type type;
    bool has_error_code;
    bool nmi_unblocking; /* VM exit only, undefined in IDT-vectoring information: NMIs were unblocked by IRET */
    bool nested;         /* with FRED only */
    uint32_t error_code; /* 0 without has_error_code */
    uint32_t length;     /* injection of types 4 to 6, and of SYSCALL and SYSENTER: bytes of the instruction, 0 to 15 */
    uint32_t reserved;   /* bits 30:14, which are reserved */
};

/* Bits of an interruption-information field. */
#define HVCTL_EVENT_INFO_ERROR_CODE UINT32_C(0x800)
#define HVCTL_EVENT_INFO_BIT_12     UINT32_C(0x1000)
#define HVCTL_EVENT_INFO_NESTED     UINT32_C(0x2000)
#define HVCTL_EVENT_INFO_VALID      UINT32_C(0x80000000)

/* Take an information field and its error code apart; every value is accepted. */
static inline struct hvctl_vmx_event hvctl_vmx_event_decode(uint32_t info, uint32_t error_code)
{
    struct hvctl_vmx_event event;

    event.valid = (info & HVCTL_EVENT_INFO_VALID) != 0;
    event.vector = (uint8_t)(info & 0xffu);
    event.type = (enum hvctl_event_type)(info >> 8 & 7u);
    event.has_error_code = (info & HVCTL_EVENT_INFO_ERROR_CODE) != 0;
    event.nmi_unblocking = (info & HVCTL_EVENT_INFO_BIT_12) != 0;
    event.nested = (info & HVCTL_EVENT_INFO_NESTED) != 0;
    event.error_code = event.has_error_code ? error_code : 0;
    event.length = 0;
    event.reserved = info & UINT32_C(0x7fffc000);
    return event;
}

/* The information field of an event; nmi_unblocking and reserved are not encoded: they must be 0 at VM entry. */
static inline uint32_t hvctl_vmx_event_encode(const struct hvctl_vmx_event *event)
{
    return (uint32_t)event->vector | ((uint32_t)event->type & 7u) << 8
         | (event->has_error_code ? HVCTL_EVENT_INFO_ERROR_CODE : 0u) | (event->nested ? HVCTL_EVENT_INFO_NESTED : 0u)
         | (event->valid ? HVCTL_EVENT_INFO_VALID : 0u);
}

/* Does this exception push an error code in protected mode? SDM vol. 3, "Exceptions and Interrupts". */
static inline bool hvctl_exception_has_error_code(uint8_t vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* The mnemonic of an exception, "#PF"; NULL for a vector that has none. */
static inline const char *hvctl_exception_name(uint8_t vector)
{
    static const char *const name[32] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP", NULL,  NULL,  NULL,  NULL, NULL,  NULL,  "#HV", "#VC", "#SX", NULL,
    };

    return vector < 32 ? name[vector] : NULL;
}

/* An event to inject. error_code is used only if the exception has one; length as in struct hvctl_vmx_event. */
static inline struct hvctl_vmx_event hvctl_vmx_event_make(enum hvctl_event_type type, uint8_t vector,
                                                          uint32_t error_code, uint32_t length)
{
    struct hvctl_vmx_event event = hvctl_vmx_event_decode(0, 0);

    event.valid = true;
    event.type = type;
    event.vector = vector;
    event.has_error_code = type == HVCTL_EVENT_HARDWARE_EXCEPTION && hvctl_exception_has_error_code(vector);
    event.error_code = event.has_error_code ? error_code : 0;
    event.length = length;
    return event;
}

/*
 * Write an event into the VM-entry injection fields in the form that VM entry accepts: an error code is dropped while
 * the guest is in real mode (GUEST_CR0.PE is 0), since the CPU accepts none then. There is one event for each VM entry:
 * the CPU clears the valid bit at the next VM exit.
 * HVCTL_E_RANGE: type 1, a vector its type cannot have, a length above 15 (0 is refused, too, on CPUs that do not allow
 * it: caps, NULL to skip), or an error code with bits 31:16.
 * SDM vol. 3, "Checks on VMX Controls".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_inject(struct hvctl_vmcs_image *image,
                                                                 const struct hvctl_vmx_caps *caps,
                                                                 struct hvctl_vmx_event event)
{
    enum hvctl_status status = HVCTL_OK;
    bool has_length = event.type >= HVCTL_EVENT_SOFTWARE_INTERRUPT && event.type <= HVCTL_EVENT_SOFTWARE_EXCEPTION;
    bool zero_length = !caps || (caps->misc & HVCTL_VMX_MISC_ZERO_LENGTH_INJECTION);

    if (event.type == HVCTL_EVENT_OTHER && event.vector != 0)
        has_length = true;
    if (event.type == HVCTL_EVENT_RESERVED || (event.type == HVCTL_EVENT_NMI && event.vector != 2)
        || (event.type == HVCTL_EVENT_HARDWARE_EXCEPTION && event.vector > 31)
        || (event.type == HVCTL_EVENT_OTHER && event.vector > 2))
        return HVCTL_E_RANGE;
    if (has_length && (event.length > 15 || (event.length == 0 && !zero_length)))
        return HVCTL_E_RANGE;
    if (event.has_error_code && event.error_code >> 16)
        return HVCTL_E_RANGE;
    if (!(hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0) & HVCTL_CR0_PE))
        event.has_error_code = false;
    event.valid = true;
    /* Bit 13 needs FRED; a pre-FRED CPU with no error code on #CP (IA32_VMX_BASIC[56]) takes vector 21 without one. */
    if (caps && event.vector == 21 && !(caps->basic & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE))
        event.has_error_code = false;
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, hvctl_vmx_event_encode(&event), &status);
    if (event.has_error_code)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, event.error_code, &status);
    if (has_length)
        hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH, event.length, &status);
    return status;
}

/*
 * Inject an event with FRED's event data: for #PF the linear address, for #DB what DR6 would have, for #NM
 * IA32_XFD_ERR, for NMI its sources. Without the field INJECTED_EVENT_DATA data is dropped, as it is if the guest does
 * not use FRED. Otherwise as hvctl_vmx_inject. SDM vol. 3, "VM-Entry Controls for Event Injection".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_vmx_inject_with_data(struct hvctl_vmcs_image *image,
                                                                           const struct hvctl_vmx_caps *caps,
                                                                           struct hvctl_vmx_event event, uint64_t data)
{
    enum hvctl_status status = hvctl_vmx_inject(image, caps, event);

    if (status == HVCTL_OK && hvctl_vmcs_has(image, HVCTL_VMCS_INJECTED_EVENT_DATA))
        hvctl_vmcs_put(image, HVCTL_VMCS_INJECTED_EVENT_DATA, data, &status);
    return status;
}

/*
 * The data of the event that the exit interrupted (ORIGINAL_EVENT_DATA), beside IDT-vectoring information; 0 without
 * FRED.
 */
static inline uint64_t hvctl_vmx_original_event_data(const struct hvctl_vmcs_image *image)
{
    return hvctl_vmcs_get(image, HVCTL_VMCS_ORIGINAL_EVENT_DATA);
}

/* "hardware exception" and so on. */
static inline const char *hvctl_event_type_name(enum hvctl_event_type type)
{
    switch (type) {
    case HVCTL_EVENT_EXTERNAL_INTERRUPT: return "external interrupt";
    case HVCTL_EVENT_RESERVED: return "reserved event type";
    case HVCTL_EVENT_NMI: return "NMI";
    case HVCTL_EVENT_HARDWARE_EXCEPTION: return "hardware exception";
    case HVCTL_EVENT_SOFTWARE_INTERRUPT: return "software interrupt";
    case HVCTL_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION: return "privileged software exception";
    case HVCTL_EVENT_SOFTWARE_EXCEPTION: return "software exception";
    case HVCTL_EVENT_OTHER: return "other event";
    }
    return "unknown event type";
}

/* Put an event in words: "hardware exception #PF, error code 0x2"; "no event" if it is not valid. */
static inline void hvctl_vmx_event_text(const struct hvctl_vmx_event *event, const struct hvpt_text *text)
{
    const char *exception = hvctl_exception_name(event->vector);

    if (!event->valid) {
        hvpt_text_string(text, "no event");
        return;
    }
    hvpt_text_string(text, hvctl_event_type_name(event->type));
    if (event->type == HVCTL_EVENT_OTHER && event->vector == 0) {
        hvpt_text_string(text, ": pending MTF");
    } else if (event->type >= HVCTL_EVENT_HARDWARE_EXCEPTION && event->type != HVCTL_EVENT_SOFTWARE_INTERRUPT
               && event->type != HVCTL_EVENT_OTHER && exception) {
        hvpt_text_string(text, " ");
        hvpt_text_string(text, exception);
    } else if (event->type != HVCTL_EVENT_NMI) {
        hvpt_text_string(text, ", vector ");
        hvpt_text_decimal(text, event->vector);
    }
    if (event->has_error_code) {
        hvpt_text_string(text, ", error code ");
        hvpt_text_hex(text, event->error_code);
    }
    if (event->nmi_unblocking)
        hvpt_text_string(text, ", NMIs unblocked by IRET");
    if (event->nested)
        hvpt_text_string(text, ", nested");
}

#endif
