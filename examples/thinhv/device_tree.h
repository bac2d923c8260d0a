/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A flattened device tree for the guest, made of the machine's: Devicetree Specification, "Flattened Devicetree". */
#ifndef DEVICE_TREE_H
#define DEVICE_TREE_H

#include "boot.h"

/*
 * Copies the tree, whatever its size says about room at its end. Memory is what the image says, less the hypervisor's;
 * command line and initrd are the image's. edit, which may be NULL, sees each property's copy and may change its bytes
 * and shorten it: it returns the new length.
 */
void device_tree_copy(const void *from, void *to, const struct image *image,
                      uint32_t (*edit)(const char *name, char *value, uint32_t length));

#endif
