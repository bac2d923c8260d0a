/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt: what a dump, an exit, a table entry, a capability MSR or a memory image says, in words. This file only picks the subcommand.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"vmcs", "find VMCS and VMCB dumps in a log, and say why the entry failed", command_vmcs},
    {"exit", "say in words what one VM exit says", command_exit},
    {"entry", "say in words what a table entry holds, and which rule it breaks", command_entry},
    {"caps", "say in words what capability MSRs and CPUID allow", command_caps},
    {"walk", "explain what an address of a guest is mapped to, in a memory image", command_walk},
    {"map", "print or draw the tables in a memory image, compare two, audit their isolation", command_map},
};

static void usage(FILE *stream)
{
    size_t i;

    fputs("usage: hvpt COMMAND [ARGUMENT...]\n\n", stream);
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(stream, "  %-6s %s\n", commands[i].name, commands[i].summary);
    fputs("\nhvpt COMMAND --help says more. Exit status: 0 sound, 1 something is broken, 2 not readable.\n", stream);
}

int main(int argc, char **argv)
{
    size_t i;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("hvpt " HVPT_VERSION_STRING);
        return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
    }
    if (argc < 2) {
        usage(stderr);
        return CORE_NOT_READABLE;
    }
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    return command_error("no command %s; hvpt --help lists them", argv[1]);
}
