/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps of pages: bit i of a range is bit i % 64 of word i / 64.
 */
#ifndef HVPT_ENGINE_BITMAP_H
#define HVPT_ENGINE_BITMAP_H

#include "../std.h"

#include "attributes.h"

/* Set count bits from bit first upwards, whole words at a time. */
HVPT_FUNCTION void hvpt_bitmap_set(uint64_t *bitmap, uint64_t first, uint64_t count)
{
    while (count != 0) {
        uint64_t shift = first & 63;
        uint64_t room = 64 - shift;
        uint64_t here = count < room ? count : room;

        bitmap[first >> 6] |= (here == 64 ? ~UINT64_C(0) : (UINT64_C(1) << here) - 1) << shift;
        first += here;
        count -= here;
    }
}

#endif
