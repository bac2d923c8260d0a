/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The readers of the formats: each reads from where its dump begins, and returns where it ends.
 */
#ifndef HVPT_TOOLS_READ_H
#define HVPT_TOOLS_READ_H

#include "labels.h"
#include "scan.h"

void read_field(struct dump *dump, unsigned slot, const struct number *number);
size_t read_segment(const struct clean *text, size_t at, size_t end, struct dump *dump, unsigned segment);
size_t read_section(const struct clean *text, size_t at, size_t end, unsigned *section);

/* Does something stand at at that only begins a dump, or is said just before one? */
bool read_begins(const struct clean *text, size_t at, size_t end);

size_t read_vmx(const struct clean *text, size_t at, size_t end, struct dump *dump);
size_t read_svm(const struct clean *text, size_t at, size_t end, struct dump *dump, bool xen);
size_t read_xmhf(const struct clean *text, size_t at, size_t end, struct dump *dump);
size_t read_qemu(const struct clean *text, size_t at, size_t end, struct dump *dump);
size_t read_vbox(const struct clean *text, size_t at, size_t end, struct dump *dump);
size_t read_bhyve(const struct clean *text, size_t at, size_t end, struct dump *dump);
size_t read_named(const struct clean *text, size_t at, size_t end, struct dump *dump);

/* DUMP_HVCTL or DUMP_NAMED, if the line at at is the first of fields by name. */
enum dump_format read_named_begins(const struct clean *text, size_t at, size_t end);

#endif
