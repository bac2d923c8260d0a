/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What happens when an exception arises while another is being delivered: both in turn, #DF, or shutdown.
 * SDM vol. 3, "Interrupt 8 - Double Fault Exception (#DF)"; APM vol. 2, "#DF - Double-Fault Exception (Vector 8)".
 */
#ifndef HVCTL_COMMON_EXCEPTIONS_H
#define HVCTL_COMMON_EXCEPTIONS_H

#include "../../hvpt/std.h"

#define HVCTL_VECTOR_DOUBLE_FAULT 8

enum hvctl_exception_class {
    HVCTL_EXCEPTION_BENIGN, /* and all interrupts, NMIs and software events */
    HVCTL_EXCEPTION_CONTRIBUTORY,
    HVCTL_EXCEPTION_PAGE_FAULT,
    HVCTL_EXCEPTION_DOUBLE_FAULT
};

/* The class of an exception; #VC and #SX are AMD's, #VE Intel's. Vectors above 31 are benign. */
static inline enum hvctl_exception_class hvctl_exception_class_of(uint8_t vector)
{
    switch (vector) {
    case 8: return HVCTL_EXCEPTION_DOUBLE_FAULT;
    case 0:  /* #DE */
    case 10: /* #TS */
    case 11: /* #NP */
    case 12: /* #SS */
    case 13: /* #GP */
    case 21: /* #CP */
    case 29: /* #VC */
    case 30: /* #SX */ return HVCTL_EXCEPTION_CONTRIBUTORY;
    case 14: /* #PF */
    case 20: /* #VE */ return HVCTL_EXCEPTION_PAGE_FAULT;
    default: return HVCTL_EXCEPTION_BENIGN;
    }
}

/* What to deliver. */
enum hvctl_combined {
    HVCTL_COMBINED_SECOND,       /* the second; the first comes again when its instruction does */
    HVCTL_COMBINED_DOUBLE_FAULT, /* #DF, with error code 0, instead of both */
    HVCTL_COMBINED_TRIPLE_FAULT  /* nothing: the guest shuts down */
};

/* What to deliver when second arose while first, an exception, was being delivered. */
static inline enum hvctl_combined hvctl_exception_combine(uint8_t first, uint8_t second)
{
    enum hvctl_exception_class one = hvctl_exception_class_of(first), two = hvctl_exception_class_of(second);

    if (two == HVCTL_EXCEPTION_BENIGN || one == HVCTL_EXCEPTION_BENIGN)
        return HVCTL_COMBINED_SECOND;
    if (one == HVCTL_EXCEPTION_DOUBLE_FAULT)
        return HVCTL_COMBINED_TRIPLE_FAULT;
    if (one == HVCTL_EXCEPTION_CONTRIBUTORY && two == HVCTL_EXCEPTION_PAGE_FAULT)
        return HVCTL_COMBINED_SECOND;
    return two == HVCTL_EXCEPTION_DOUBLE_FAULT ? HVCTL_COMBINED_SECOND : HVCTL_COMBINED_DOUBLE_FAULT;
}

#endif
