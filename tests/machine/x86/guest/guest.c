/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest's home in memory. The tables here are the guest's own (stage 1): 4-level paging, 2 MiB pages. */
#include "guest.h"

#include "memory.h"

#define TABLE_FLAGS UINT64_C(0x23) /* accessed, writable, present */
#define LARGE_FLAGS UINT64_C(0xe3) /* and dirty, large: the CPU need not write the tables on its way */

extern const uint8_t vmx_guest_begin[], vmx_guest_end[], svm_guest_begin[], svm_guest_end[];
extern const uint32_t vmx_guest_table[PIECE_COUNT], svm_guest_table[PIECE_COUNT];

static uint64_t *table_at(struct guest *guest, uint64_t gpa)
{
    return (uint64_t *)(void *)(guest->memory + gpa);
}

void guest_build(struct guest *guest, void *memory, bool svm)
{
    const uint8_t *code = svm ? svm_guest_begin : vmx_guest_begin;
    const uint8_t *end = svm ? svm_guest_end : vmx_guest_end;
    uint64_t pdpt = GUEST_PML4 + 0x1000, directory = GUEST_PML4 + 0x2000;

    guest->memory = memory;
    guest->svm = svm;
    memset(memory, 0xf4, GUEST_HOME_SIZE); /* HLT: a guest that goes astray comes back */
    memcpy(guest->memory + GUEST_CODE, code, (size_t)(end - code));
    memset(guest->memory + GUEST_NOTE, 0, 4096);
    memset(guest->memory + GUEST_PML4, 0, 0x2000);
    table_at(guest, GUEST_PML4)[0] = pdpt | TABLE_FLAGS;
    for (uint64_t i = 0; i < 4; i++) {
        table_at(guest, pdpt)[i] = (directory + i * 0x1000) | TABLE_FLAGS;
        for (uint64_t j = 0; j < 512; j++)
            table_at(guest, directory + i * 0x1000)[j] = (i << 30 | j << 21) | LARGE_FLAGS;
    }
}

uint64_t guest_entry(const struct guest *guest, enum guest_piece piece)
{
    return GUEST_CODE + (guest->svm ? svm_guest_table : vmx_guest_table)[piece];
}

uint64_t guest_reach(struct guest *guest, uint64_t gpa)
{
    if (gpa < GUEST_WINDOW)
        return gpa;
    table_at(guest, GUEST_PML4 + 0x5000)[511] = (gpa & ~UINT64_C(0x1fffff)) | LARGE_FLAGS;
    return GUEST_WINDOW | (gpa & 0x1fffff);
}

void guest_set_far_table(struct guest *guest, uint64_t gpa)
{
    table_at(guest, GUEST_PML4)[1] = gpa | TABLE_FLAGS;
}
