/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * From guest-virtual to guest-physical to host-physical, through the guest's own tables and the second level, as
 * hardware does it, with the faults of the two stages told apart. Each guest architecture has a file of its own.
 *
 * For instruction emulation and introspection. It reads, never writes: where hardware would set accessed and dirty bits
 * of the guest's tables, the report says so. Nothing that the guest wrote is trusted: the work is bounded by the number
 * of levels, each entry is read once, and only in frames that the second level maps and phys_to_virt offers. What it
 * reports is true of the entries that it read; a guest that changes its tables meanwhile gets what hardware would give
 * it.
 */
#ifndef HVPT_GUEST_WALK_H
#define HVPT_GUEST_WALK_H

#include "arm.h"
#include "riscv.h"
#include "x86.h"

#endif
