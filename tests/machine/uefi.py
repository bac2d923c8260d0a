#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""examples/uefi: built by the commands of its README.md, and started by a real firmware, OVMF, on QEMU.

usage: uefi.py SOURCE_ROOT       speaks TAP
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

LIMIT = 300  # seconds, for what hangs
# By the manual: bit 1 of an entry of EPT is the right to write; an entry with bits 2:0 clear is not present.
SAID = (
    ("what was mapped is found", r"^hvpt: ok"),
    ("a write is refused", r"^refused\nwrite at 0x1234"),
    ("by the 2-MByte page's bit 1", r"^denied by level 1 \(PDE\), bit 1 = 0: no right to write"),
    ("a page that is gone", r"^not mapped at level 3 \(PML4E\), bits 2:0 = 0x0"),
    ("it comes to its end", r"^hvpt: done"),
)


def newest(program):
    names = ["%s-%d" % (program, number) for number in range(30, 13, -1)] + [program]
    return next((name for name in names if shutil.which(name)), None)


def commands(root):
    """The two commands of the README, with the programs as they are called here."""
    text = open(os.path.join(root, "examples/uefi/README.md")).read()
    return re.search(r"^```\n(clang .*?\nlld-link .*?)\n```", text, re.M | re.S).group(1).splitlines()


def build(root, scratch):
    """(skip, wrong)"""
    for program, package in (("clang", "clang-19"), ("lld-link", "lld-19")):
        if not newest(program):
            return "no %s (Debian: %s)" % (program, package), None
    shutil.copy(os.path.join(root, "examples/uefi/demo.c"), scratch)
    for line in commands(root):
        argv = line.replace("../../include", os.path.join(root, "include")).split()
        argv[0] = newest(argv[0])
        if argv[0].startswith("clang"):
            argv += ["-Wall", "-Wextra", "-Werror"]
        done = subprocess.run(argv, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            return None, done.stdout + done.stderr
    return None, None


def start(scratch):
    """(skip, log)"""
    firmware = next(iter(glob.glob("/usr/share/ovmf/OVMF.fd") + glob.glob("/usr/share/OVMF/OVMF.fd")), None)
    if not shutil.which("qemu-system-x86_64") or not firmware:
        return "no qemu-system-x86_64 or no OVMF (Debian: qemu-system-x86 ovmf)", None
    boot = os.path.join(scratch, "esp/EFI/BOOT")
    os.makedirs(boot)
    shutil.copy(os.path.join(scratch, "demo.efi"), os.path.join(boot, "BOOTX64.EFI"))
    log = os.path.join(scratch, "log")
    with open(log, "wb") as out:
        machine = subprocess.Popen(["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "256", "-nodefaults",
                                    "-display", "none", "-no-reboot", "-nic", "none", "-serial", "stdio", "-bios", firmware,
                                    "-drive", "format=raw,file=fat:rw:esp"],
                                   cwd=scratch, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    said, end = "", time.monotonic() + LIMIT
    try:
        while "hvpt: done" not in said and machine.poll() is None and time.monotonic() < end:
            time.sleep(0.5)
            with open(log, errors="replace") as read:
                said = read.read()
    finally:
        machine.kill()
        machine.wait()
    return None, re.sub(r"\x1b\[[0-9;=]*[A-Za-z]", "", said).replace("\r", "")


def main(root):
    root = os.path.abspath(root)
    names = ["builds by the commands of its README.md, without a warning"] + [name for name, _ in SAID]
    print("TAP version 13\n1..%d" % len(names))
    failed = 0

    def tell(number, wrong, skip=None):
        nonlocal failed
        failed += wrong is not None
        print("%s %d - examples/uefi: %s%s" % ("ok" if wrong is None else "not ok", number, names[number - 1],
                                               " # SKIP " + skip if skip else ""), flush=True)
        for line in (wrong or "").splitlines():
            print("# " + line)

    with tempfile.TemporaryDirectory() as scratch:
        skip, wrong = build(root, scratch)
        tell(1, wrong, skip)
        log = ""
        if not skip and not wrong:
            skip, log = start(scratch)
        for number, (_, pattern) in enumerate(SAID, 2):
            found = skip or re.search(pattern, log, re.M)
            tell(number, None if found else "no %s in\n%s" % (pattern, log[-2000:]), skip)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
