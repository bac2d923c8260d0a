/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What a kernel provides to the runtime. */
#ifndef RUNTIME_KERNEL_H
#define RUNTIME_KERNEL_H

void kernel_main(void);

#endif
