/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt caps: capability MSRs and CPUID in words. The work is core/caps.c's; this file can also read the MSRs of a CPU.
 */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: hvpt caps [--json] -f FILE|-|MSR=NUMBER...\n"
    "       hvpt caps [--json] --device /dev/cpu/0/msr\n"
    "\n"
    "Says in words what a CPU's VMX capability MSRs and its CPUID leaves allow. The text has a value a line:\n"
    "  0x480 = 0x00da040000000012, IA32_VMX_BASIC: ..., a VirtualBox log's lines, the output of cpuid -r or cpuid -1r.\n"
    "Numbers are hexadecimal. --device reads the MSRs of the CPU whose msr device is named (root, modprobe msr).\n"
    "\n"
    "Exit status: 0 sound, 1 the values contradict each other, 2 not readable.\n";

/* Read what there is of MSRs 3AH and 480H to 493H: one that the CPU does not have cannot be read, which is no error. */
static int from_device(const char *name, bool json)
{
    static char text[4096];
    struct command_input input = {name, text, 0};
    FILE *stream = fopen(name, "rb");
    unsigned msr;

    if (!stream)
        return command_error("%s: %s", name, strerror(errno));
    setvbuf(stream, NULL, _IONBF, 0);
    for (msr = 0x47f; msr <= 0x493; msr++) {
        const unsigned number = msr == 0x47f ? 0x3a : msr;
        unsigned char bytes[8];
        unsigned long long value = 0;
        int i;

        if (fseek(stream, (long)number, SEEK_SET) != 0 || fread(bytes, 1, 8, stream) != 8) {
            clearerr(stream);
            continue;
        }
        for (i = 7; i >= 0; i--)
            value = value << 8 | bytes[i];
        input.length +=
            (size_t)snprintf(text + input.length, sizeof(text) - input.length, "0x%x = 0x%llx\n", number, value);
    }
    fclose(stream);
    return command_run_core(core_caps, &input, json);
}

int command_caps(int argc, char **argv)
{
    int i;

    for (i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--device") != 0)
            continue;
        if (argc == 2 && i == 0)
            return from_device(argv[1], false);
        if (argc == 3 && i == 1 && strcmp(argv[0], "--json") == 0)
            return from_device(argv[2], true);
        return command_error("caps: --device wants one file and nothing else but --json before it");
    }
    return command_words(core_caps, usage, argc, argv);
}
