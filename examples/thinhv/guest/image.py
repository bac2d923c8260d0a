#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Packs a Linux kernel and an /init into a boot image of thinhv: a page that says what to do, then kernel, then initrd.

usage: image.py KERNEL INIT OUT RAM_MIB OPTIONS COMMAND_LINE
"""
import struct
import sys

PAGE = 4096


def cpio(files):
    """An archive in the "newc" format, as Linux unpacks it: (name, mode, (major, minor) of a device, content)."""
    out = bytearray()
    for number, (name, mode, device, content) in enumerate(files + [("TRAILER!!!", 0, (0, 0), b"")], 1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, device[0], device[1], len(encoded), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def initrd(init):
    return cpio([
        ("dev", 0o040755, (0, 0), b""),
        ("dev/console", 0o020600, (5, 1), b""),
        ("init", 0o100755, (0, 0), init),
    ])


def padded(data, unit=PAGE):
    return data + bytes(-len(data) % unit)


def image(kernel, init, ram_mib, options, command_line):
    archive = initrd(init)
    at_kernel = PAGE
    at_initrd = at_kernel + len(padded(kernel))
    body = padded(kernel) + padded(archive)
    options, command_line = options.encode(), command_line.encode()
    if len(options) > 255 or len(command_line) > 1023:
        raise SystemExit("image.py: too many options")
    places = (PAGE + len(body), at_kernel, len(kernel), at_initrd, len(archive), ram_mib << 20)
    head = b"THINHV01" + struct.pack("<6Q", *places)
    head += options.ljust(256, b"\0") + command_line.ljust(1024, b"\0")
    return padded(head) + body


def main():
    kernel, init, out, ram, options, command_line = sys.argv[1:]
    with open(kernel, "rb") as k, open(init, "rb") as i, open(out, "wb") as o:
        o.write(image(k.read(), i.read(), int(ram), options, command_line))


if __name__ == "__main__":
    main()
