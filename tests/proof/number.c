/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A number as a dump of a VMCS has it is read back as it was, and has no byte that means something else in a dump. */
#include "proof.h"

#include <hvctl/vmx/vmcs_dump.h>

enum { ROOM = 24 };

static char line[ROOM];
static size_t length;

static void put(void *ctx, const char *bytes, size_t count)
{
    size_t i;

    (void)ctx;
    must(count <= ROOM - length, "it is no longer than a number can be");
    for (i = 0; i < count; i++) {
        must((bytes[i] >= '0' && bytes[i] <= '9') || (bytes[i] >= 'a' && bytes[i] <= 'f') || bytes[i] == 'x',
             "digits alone");
        line[length++] = bytes[i];
    }
}

static const struct hvpt_text text = {put, NULL};

int main(void)
{
    const uint64_t value = nondet_u64();
    uint64_t read;

    hvpt_text_hex(&text, value);
    must(hvctl_vmcs_parse_hex(line, line + length, &read), "it is read");
    must(read == value, "as what it was");
    return 0;
}
