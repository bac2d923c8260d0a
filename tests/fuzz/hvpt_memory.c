/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Hostile second-level tables under hvpt walk and hvpt map: whatever lies in memory, the work ends, and nothing outside is
 * read. Input: 4 bytes of choices; words up to a zero byte; then the memory, entry by entry, repeated over 64 frames.
 */
#include "../../tools/hvpt/core/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reading of dumps, which is linked by scripts/fuzz and not tried here, wants memory. */
void *core_memory(size_t size);

void *core_memory(size_t size)
{
    (void)size;
    return NULL;
}

enum { FRAMES = 64 };

static uint64_t tables[FRAMES][512];

/* A frame for every address below 64 frames; larger ones only where they fit. */
static const void *frame(void *ctx, uint64_t address, uint64_t size)
{
    (void)ctx;
    if (address >= FRAMES * UINT64_C(4096) || size > FRAMES * UINT64_C(4096) - address || address % 8)
        return NULL;
    return (const char *)tables + address;
}

static void put(void *ctx, const char *bytes, size_t length)
{
    size_t *total = ctx;

    (void)bytes;
    *total += length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {"ept root=0x101e ",
                                          "npt root=0x1000 ",
                                          "stage2 root=0x4000 ",
                                          "gstage root=0x9000000000000004 ",
                                          "stage2 granule=64 ipa_bits=36 root=0x10000 ",
                                          "gstage root=0x8000000000000004 svnapot ",
                                          "stage2 granule=16 root=0x10000 ",
                                          "ept mbec root=0x1026 "};
    struct memory memory = {NULL, frame, FRAMES, NULL};
    const struct memory *both[2] = {&memory, &memory};
    struct core_request request[2];
    struct core_error error = {0, 0, NULL};
    size_t total = 0, length = 0, at, entries;
    struct hvpt_text out = {put, &total};
    enum core_status status;
    static char words[2][512];
    bool second = false;

    if (size < 5)
        return 0;
    for (at = 4; at < size && data[at] && length < 256; at++)
        length++;
    for (unsigned i = 0; i < 2; i++) {
        strcpy(words[i], formats[data[1 + i] % 8]);
        memcpy(words[i] + strlen(formats[data[1 + i] % 8]), data + 4, length);
        request[i].bytes = words[i];
        request[i].length = strlen(formats[data[1 + i] % 8]) + length;
        request[i].json = (data[0] & 8) != 0;
    }
    at = 4 + length + 1;
    entries = at < size ? (size - at) / 8 : 0;
    /* Entry k of the input is entry k of all tables but where the third choice moves it: most inputs make trees. */
    memset(tables, 0, sizeof(tables));
    for (size_t f = 0; f < FRAMES && entries; f++) {
        for (size_t i = 0; i < 512 && i < entries; i++) {
            uint64_t entry;

            memcpy(&entry, data + at + 8 * ((i + f * data[3]) % entries), 8);
            tables[f][i] = entry;
        }
    }
    switch ((data[0] & 7) % 5) {
    case 0: status = core_map(&request[0], &memory, &out, &error); break;
    case 1: status = core_map_svg(&request[0], &memory, &out, &error); break;
    case 2: status = core_walk(&request[0], &memory, &out, &error); break;
    case 3: status = core_map_diff(request, both, &out, &error, &second); break;
    default: status = core_map_audit(request, both, &out, &error, &second); break;
    }
    if (status == CORE_NOT_READABLE ? error.message == NULL : total == 0)
        abort();
    return 0;
}
