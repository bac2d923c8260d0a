/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A picture of the tables for a person: the registers, then tables indented by level, runs of like pages in one
 * line.
 */
#ifndef DEMO_PICTURE_H
#define DEMO_PICTURE_H

#include "vm/paging.h"

void picture_print(const struct paging *paging);

#endif
