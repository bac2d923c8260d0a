/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A host that has something to lose: what an exit may change of it, in words that are compared. */
#ifndef REDOX_HOST_H
#define REDOX_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A GDT with a limit of its own and a TSS with an I/O map behind it; user mode's selectors in DS, ES, FS and GS; bases,
 * SYSCALL's and SYSENTER's MSRs, breakpoints and CR2 that are not what a reset leaves.
 */
void redox_host_prepare(void);

/* How many words there are; word number n, and its name. */
size_t redox_host_words(uint64_t *words);
const char *redox_host_name(size_t number);

/* Interrupts of vector 40H, and NMIs, that the host has taken. */
uint64_t redox_host_interrupts(void);
uint64_t redox_host_nmis(void);

/* Interrupts on for a moment. */
void redox_host_let_in(void);

/* This CPU's APIC id. */
uint32_t redox_host_apic_id(void);

#endif
