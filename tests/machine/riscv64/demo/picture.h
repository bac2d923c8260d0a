/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A picture of a table tree for a person: tables indented by level, runs of like pages merged into one line. */
#ifndef DEMO_PICTURE_H
#define DEMO_PICTURE_H

#include "vm/paging.h"

void picture_print(const struct paging *paging);

#endif
