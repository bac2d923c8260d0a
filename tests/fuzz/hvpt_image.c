/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Any bytes as a memory image: a raw file, an ELF core, or what claims to be one. Every frame asked for is there or not. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "../../tools/hvpt/command.h"
#include "../../tools/hvpt/image.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reading of dumps, which is linked by scripts/fuzz and not tried here, wants memory. */
void *core_memory(size_t size);

void *core_memory(size_t size)
{
    (void)size;
    return NULL;
}

/* The command prints; here messages are of no interest. */
int command_error(const char *format, ...)
{
    (void)format;
    return CORE_NOT_READABLE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t addresses[] = {0, 0x1000, 0x4000, 0x100000, 0x80000000, UINT64_C(0xfffffffffffff000)};
    struct memory memory;
    struct image *image;
    char name[64];
    int file = memfd_create("image", 0);
    volatile unsigned char last = 0;

    if (file < 0)
        return 0;
    if (write(file, data, size) == (ssize_t)size) {
        (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
        image = image_open(name, 0, &memory);
        for (unsigned i = 0; image != NULL && i < sizeof(addresses) / sizeof(addresses[0]); i++) {
            for (uint64_t length = 4096; length <= 65536; length *= 4) {
                const unsigned char *bytes = memory.frame(memory.ctx, addresses[i], length);

                if (bytes != NULL)
                    last = bytes[length - 1];
            }
        }
        (void)last;
        image_close(image);
    }
    close(file);
    return 0;
}
