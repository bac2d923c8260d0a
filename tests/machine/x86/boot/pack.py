#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Packs a kernel's ELF file into a ROM image: the kernel's bytes right below the page with the reset vector.

usage: pack.py KERNEL.elf OUT.rom
"""
import struct
import sys

RESET_PAGE = 0xFFFFF000
ROM_UNIT = 0x10000  # QEMU wants a multiple of 64 KiB
PT_LOAD = 1


def load_segments(elf):
    """(physical address, bytes) of every segment that has bytes in the file."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise SystemExit("pack.py: not a 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        kind, _, start, _, physical, size = struct.unpack_from("<IIQQQQ", elf, offset + i * entry_size)
        if kind == PT_LOAD and size:
            yield physical, elf[start : start + size]


def main():
    source, target = sys.argv[1:]
    with open(source, "rb") as f:
        segments = sorted(load_segments(f.read()))
    *kernel, (reset_at, reset) = segments
    if reset_at != RESET_PAGE or len(reset) != 0x1000 or not kernel:
        raise SystemExit("pack.py: expected kernel segments and one 4 KiB segment at %#x" % RESET_PAGE)
    base = kernel[0][0]
    image = bytearray()
    for at, data in kernel:
        image += bytes(at - base - len(image)) + data
    if len(image) % 16:
        raise SystemExit("pack.py: the kernel's size is not what the link script says")
    image += reset
    padding = -len(image) % ROM_UNIT
    with open(target, "wb") as f:
        f.write(b"\xff" * padding + image)


if __name__ == "__main__":
    main()
