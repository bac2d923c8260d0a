/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt vmcs FILE|-: every dump of a log explained. The work is core/vmcs.c's.
 */
#include "command.h"

#include <hvctl/vmx/models.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: hvpt vmcs [--json] [--cpu MODEL | --caps FILE] [--only N] [--rules] FILE|-\n\n"
    "Finds the VMCS and VMCB dumps of a log (KVM, Xen, VirtualBox, bhyve, XMHF, QEMU's registers, hvctl's own),\n"
    "through quotes, log prefixes, wrapped lines, quoted-printable and HTML, and says of each why the entry failed.\n\n"
    "  --cpu MODEL   the CPU is this one (--cpu list: which there are); otherwise all that the dump does not disprove\n"
    "  --caps FILE   or one with these capability MSRs, a line each, as rdmsr and VBox.log have them\n"
    "  --only N      only dump N of the log\n"
    "  --rules       every rule's verdict\n"
    "  --json        for programs\n";

static int list_models(void)
{
    size_t i;

    for (i = 0; hvctl_vmx_model_at(i); i++)
        puts(hvctl_vmx_model_at(i)->name);
    return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
}

int command_vmcs(int argc, char **argv)
{
    struct core_request request = {NULL, 0, false, NULL, NULL, 0, 0, false};
    struct command_input input, caps = {NULL, NULL, 0};
    int status;

    for (; argc > 0 && argv[0][0] == '-' && argv[0][1]; argc--, argv++) {
        bool has_value = strcmp(argv[0], "--cpu") == 0 || strcmp(argv[0], "--caps") == 0 || strcmp(argv[0], "--only") == 0;

        if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
            fputs(usage, stdout);
            return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
        }
        if (has_value && argc < 2)
            return command_error("vmcs: %s needs a value; --help says which", argv[0]);
        if (strcmp(argv[0], "--json") == 0) {
            request.json = true;
        } else if (strcmp(argv[0], "--rules") == 0) {
            request.rules = true;
        } else if (strcmp(argv[0], "--cpu") == 0) {
            if (strcmp(argv[1], "list") == 0)
                return list_models();
            request.cpu = argv[1];
        } else if (strcmp(argv[0], "--only") == 0) {
            char *behind;
            unsigned long number = strtoul(argv[1], &behind, 10);

            if (*behind || number == 0 || number > 1000000)
                return command_error("vmcs: --only wants a dump's number, from 1; not %s", argv[1]);
            request.only = (unsigned)number;
        } else if (strcmp(argv[0], "--caps") == 0) {
            if (!command_read(argv[1], COMMAND_INPUT_MOST, &caps))
                return CORE_NOT_READABLE;
            request.caps = caps.bytes;
            request.caps_length = caps.length;
        } else {
            return command_error("vmcs: no option %s; --help lists them", argv[0]);
        }
        if (has_value)
            argc--, argv++;
    }
    if (argc != 1) {
        fputs(usage, stderr);
        return CORE_NOT_READABLE;
    }
    if (!command_read(argv[0], COMMAND_INPUT_MOST, &input))
        return CORE_NOT_READABLE;
    request.bytes = input.bytes;
    request.length = input.length;
    status = command_run_request(core_vmcs, &request, input.name);
    free(input.bytes);
    free(caps.bytes);
    return status;
}
