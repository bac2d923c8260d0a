/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What a kernel provides to the runtime, and what an architecture's start calls when the processor is ready for it. */
#ifndef RUNTIME_KERNEL_H
#define RUNTIME_KERNEL_H

void kernel_main(void);

_Noreturn void runtime_run(void);

#endif
