/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest's home: the first 128 KiB of guest-physical memory, with vectors, code and the guest's own page table. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdint.h>

#define GUEST_HOME_SIZE UINT64_C(0x20000)
#define GUEST_TABLE     UINT64_C(0x10000) /* in a page of its own, whatever the granule */

/* The pieces; see guest.S. In the kernel's image they are only to be copied. */
extern const char guest_code[], guest_code_end[];
extern const char guest_call[], guest_read[], guest_write[], guest_fetch[];
extern const char guest_user_read[], guest_user_write[], guest_user_fetch[];
extern const char guest_read_unprivileged[], guest_write_unprivileged[];
extern const char guest_read_signed_byte[], guest_write_half[], guest_read_pair[], guest_clean_cache[];
extern const char guest_copy_memory[], guest_set_memory[], guest_load_tag[], guest_store_tag[];
extern const char guest_sweep[], guest_sweep_calling[], guest_story[];

/* Fills the home. */
void guest_build(void *home);

/* The guest-physical address of a piece. */
uint64_t guest_entry(const char *piece);

/*
 * The guest's own translation, once turned on: linear addresses are guest-physical ones below 64 GiB, eight times
 * over, each
 * time with the attributes of another byte of MAIR_EL1.
 */
#define GUEST_TCR UINT64_C(0x200803519) /* 39 bits, 4 KiB granule, walks write-back, 40-bit addresses */
static inline uint64_t guest_linear(uint64_t gpa, unsigned attribute)
{
    return (uint64_t)attribute << 36 | gpa;
}

#endif
