/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory images: raw files, QEMU's dump-guest-memory cores, kdump cores, /dev/mem. Only what is asked for is read.
 */
#ifndef HVPT_TOOLS_IMAGE_H
#define HVPT_TOOLS_IMAGE_H

#include "core/memory.h"

struct image;

/*
 * Open a file, or "live:3,4", descriptors by which frames are asked for and given (see image_ask). base: of a raw
 * image, the physical address of its first byte. NULL: a message was printed.
 * memory: what the cores look at; it lives as long as the image.
 */
struct image *image_open(const char *name, uint64_t base, struct memory *memory);
void image_close(struct image *image);

/* Show progress on standard error while it is a terminal, for work that takes longer than a second. */
bool image_progress(void *ctx, uint64_t tables);

#endif
