/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What bindgen and Zig read: prototypes, for hvpt/unit.c is linked beside them. */
#define HVPT_EXTERN
#include <hvpt/ept.h>
