/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* /init of a machine that loads and unloads one module, and turns itself off. What the module says is in the kernel's log. */
#define _GNU_SOURCE /* syscall, sync */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    int file = open("/module.ko", O_RDONLY | O_CLOEXEC);

    if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0)
        printf("init: not loaded: %s\n", strerror(errno));
    else if (syscall(SYS_delete_module, "hvpt_demo", 0) != 0)
        printf("init: not unloaded: %s\n", strerror(errno));
    else
        puts("init: loaded and unloaded");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
