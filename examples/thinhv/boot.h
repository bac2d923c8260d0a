/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The boot image and its options; lines of output. Start-up code: nothing of hvpt or hvctl is to be learnt here. */
#ifndef BOOT_H
#define BOOT_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_CPUS 2u

/* The first page of the boot image: what to do, and where in the image kernel and initrd are. image.py writes it. */
struct image {
    char magic[8]; /* "THINHV01" */
    uint64_t size;
    uint64_t kernel, kernel_size; /* offsets from this page */
    uint64_t initrd, initrd_size;
    uint64_t ram_size;
    char options[256]; /* words; see option() */
    char command_line[1024];
};

/* Where and how a kernel begins on a CPU: the address, and the registers that its boot protocol names. */
struct start {
    uint64_t pc, arguments[2];
};

/* Is there one at this address? */
bool image_at(uint64_t address);

/* Is the word among the image's options? value, if not NULL: the number after it ("cpus=2"). */
bool option(const struct image *image, const char *word, uint64_t *value);

/* A line on the hypervisor's own channel to the emulator; whole, whoever else speaks. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
