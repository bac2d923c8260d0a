/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Plays the kernel for the README's example: supplies frames, calls it, and reads the tables it made bit by bit. */
#include "example.h"

#include <stdio.h>
#include <string.h>

enum { FRAMES = 64, PAGE = 4096 };

_Alignas(4096) char my_linear_map[FRAMES * PAGE];
static unsigned frames_out;

bool my_alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    if (order != 0 || frames_out + 1 >= FRAMES)
        return false;
    frames_out++;
    *out = hvpt_make_hpa((uint64_t)frames_out * PAGE);
    memset(my_linear_map + out->value, 0xa5, PAGE);
    return true;
}

void my_free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    (void)frame;
    (void)order;
}

void my_invept_everywhere(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx;
    (void)flush;
}

static uint64_t entry(uint64_t table, unsigned index)
{
    uint64_t value;
    memcpy(&value, my_linear_map + (table & UINT64_C(0xffffff000)) + 8 * index, sizeof(value));
    return value;
}

/* 3 MiB at host 2 MiB: one 2 MiB leaf and a table of 4 KiB leaves. Values from SDM vol. 3, "EPT Translation Mechanism". */
int main(void)
{
    /* Execute-only, 4 levels, WB tables, 2M and 1G pages, INVEPT: what every Bochs model with EPT reports and more. */
    const uint64_t cap = UINT64_C(1) | UINT64_C(1) << 6 | UINT64_C(1) << 14 | UINT64_C(1) << 16 | UINT64_C(1) << 17
                       | UINT64_C(1) << 20 | UINT64_C(1) << 25;
    struct hvpt_space ept;
    enum hvpt_status status = make_guest_memory(&ept, cap, 46, hvpt_make_hpa(0x200000), 0x300000);
    uint64_t eptp = hvpt_space_root(&ept);
    uint64_t top = entry(eptp, 0), middle = entry(top, 0);
    uint64_t large = entry(middle, 0), table = entry(middle, 1);
    uint64_t last = entry(table, 255), beyond = entry(table, 256);
    char words[HVPT_EXPLAIN_SIZE];
    bool wrong = status != HVPT_OK || (eptp & 0x3f) != 0x1e;

    /* Tables: read, write, execute, and neither a memory type nor the page bit. */
    wrong |= (top & 0xff) != 7 || (middle & 0xff) != 7 || (table & 0xff) != 7;
    /* Leaves: read, write, execute, WB; bit 7 in the large one. Nothing beyond the range. */
    wrong |= large != 0x2000b7 || last != 0x4ff037 || (beyond & 7) != 0;

    /* What the README says of the words, of a page that may be written and of one that may not: bit 1 of its leaf. */
    wrong |= why_no_write(&ept, hvpt_make_gpa(0x2ff000), words, sizeof(words)) != HVPT_OK;
    table = (table & UINT64_C(0xffffff000)) + 8 * 255;
    my_linear_map[table] = 5;
    wrong |= why_no_write(&ept, hvpt_make_gpa(0x2ff000), words, sizeof(words)) != HVPT_E_ATTR;
    wrong |= strcmp(strrchr(words, '\n') + 1,
                    "denied by level 0 (PTE), bit 1 = 0: no right to write. SDM vol. 3, \"EPT Violations\"") != 0;

    if (wrong)
        puts(words);
    if (wrong)
        printf("status %d eptp %llx large %llx last %llx beyond %llx\n", (int)status, (unsigned long long)eptp,
               (unsigned long long)large, (unsigned long long)last, (unsigned long long)beyond);
    return wrong;
}
