/*
 * hvpt vmcs FILE|-: every dump of a log explained. The work is core/vmcs.c's.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: hvpt vmcs [--json] FILE|-\n";

int command_vmcs(int argc, char **argv)
{
    struct command_input input;
    bool json = false;
    int status;

    for (; argc > 0 && argv[0][0] == '-' && argv[0][1]; argc--, argv++) {
        if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
            fputs(usage, stdout);
            return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
        }
        if (strcmp(argv[0], "--json") != 0)
            return command_error("vmcs: no option %s; --help lists them", argv[0]);
        json = true;
    }
    if (argc != 1) {
        fputs(usage, stderr);
        return CORE_NOT_READABLE;
    }
    if (!command_read(argv[0], COMMAND_INPUT_MOST, &input))
        return CORE_NOT_READABLE;
    status = command_run_core(core_vmcs, &input, json);
    free(input.bytes);
    return status;
}
