/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What hvctl's functions return: one value for each cause, and its text. */
#ifndef HVCTL_COMMON_STATUS_H
#define HVCTL_COMMON_STATUS_H

#include "linkage.h"

#if defined(__GNUC__)
#define HVCTL_NODISCARD __attribute__((__warn_unused_result__))
#else
#define HVCTL_NODISCARD
#endif

enum hvctl_status {
    HVCTL_OK,
    HVCTL_E_FIELD,    /* no VMCS field has this encoding or name */
    HVCTL_E_ABSENT,   /* the field exists, but not on a CPU with these capabilities */
    HVCTL_E_WIDTH,    /* the value has bits that the field does not */
    HVCTL_E_READONLY, /* a VM-exit information field, which VMWRITE cannot change on this CPU */
    HVCTL_E_CPU,      /* the CPU refused: a callback reported failure */
    HVCTL_E_MSR,      /* reading or writing an MSR faulted */
    HVCTL_E_CONTROL,  /* a required control is not available */
    HVCTL_E_RANGE,    /* a number is outside what the structure can hold */
    HVCTL_E_ALIGN,    /* an address is not aligned as the structure demands */
    HVCTL_E_FULL,     /* a table or the pool of identifiers has no room left */
    HVCTL_E_SYNTAX,   /* text that is no dump, or not a line of one */
    HVCTL_E_MODE,     /* not possible in the mode that the guest or the CPU is in */
    HVCTL_E_STATE,    /* a guest's state lacks what is needed here */
    HVCTL_E_FAULT,    /* the guest is to get an exception instead */
    HVCTL_E_SHUTDOWN, /* a triple fault: the guest ends */
    HVCTL_OWES_INVVPID /* no error: done, but the caller must execute INVVPID before the guest goes on */
};

/** A short English text without a full stop; never NULL. */
HVCTL_API const char *hvctl_status_text(enum hvctl_status status);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_status_text(enum hvctl_status status)
{
    switch (status) {
    case HVCTL_OK: return "success";
    case HVCTL_E_FIELD: return "no VMCS field has this encoding or name";
    case HVCTL_E_ABSENT: return "the VMCS field does not exist on this CPU";
    case HVCTL_E_WIDTH: return "the value is wider than the field";
    case HVCTL_E_READONLY: return "the VMCS field is read-only on this CPU";
    case HVCTL_E_CPU: return "the CPU refused the operation";
    case HVCTL_E_MSR: return "access to a model-specific register faulted";
    case HVCTL_E_CONTROL: return "a required control is not available";
    case HVCTL_E_RANGE: return "a number is out of range";
    case HVCTL_E_ALIGN: return "an address is not aligned";
    case HVCTL_E_FULL: return "no room is left";
    case HVCTL_E_SYNTAX: return "the text is not understood";
    case HVCTL_E_MODE: return "not possible in this mode";
    case HVCTL_E_STATE: return "the guest's state lacks what is needed";
    case HVCTL_E_FAULT: return "the guest is to get an exception";
    case HVCTL_E_SHUTDOWN: return "the guest ends in a triple fault";
    case HVCTL_OWES_INVVPID: return "success, and an INVVPID is owed";
    }
    return "unknown status";
}
#endif

#endif
