/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMCS fields by the names that hypervisors give them: GUEST_ES_AR_BYTES, kGuestEsArBytes, VMCS_GUEST_ES_ACCESS_RIGHTS and
 * "Guest ES attr" are one field.
 */
#ifndef HVPT_TOOLS_NAMES_H
#define HVPT_TOOLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAMES_NO_SLOT (~0u)

/* The slot of the field that name[0..length) stands for; *high: it is the upper half of one of 64 bits. */
unsigned names_slot(const char *name, size_t length, bool *high);

#endif
