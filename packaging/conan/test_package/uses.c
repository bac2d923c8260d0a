/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Both halves are found: 48 is the SDM's number of an EPT violation. */
#include <hvctl/vmx/exit.h>
#include <hvpt/space.h>

#include <string.h>

int main(void)
{
    const char *name = hvctl_vmx_exit_reason_name(48);

    return name != NULL && strstr(name, "EPT") != NULL && strcmp(hvpt_status_text(HVPT_OK), "ok") == 0 ? 0 : 1;
}
