#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Debian's Linux in a guest of the Redox kernel module, on emulated machines.

  linux.py tap ROM INIT CACHE MACHINE...   as TAP
  linux.py show ROM INIT CACHE MACHINE     all that the kernel and the guest print

CACHE: where the guest's kernel is kept, and fetched to (tests/machine/linux/kernel.py).
"""
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tests", "machine"), os.path.join(ROOT, "tests", "machine", "linux"),
                os.path.join(ROOT, "examples", "thinhv", "guest")]
from emulator import MACHINES, Bochs, run
from image import initrd, padded
from kernel import NoKernel, kernel

LIMIT = int(os.environ.get("HVPT_LINUX_LIMIT", "900"))  # seconds of a processor, to end what hangs
# Instructions in a second of Bochs's clocks. A tick of the guest's timer takes ten exits, 200,000 instructions with what the
# host does; at 50 million a second the next of its 250 ticks would be due by then, and little of the time the guest's own.
IPS = 200_000_000
CHECK = re.compile(r"(ok|not ok|skip) ([^|]*?)(?: \| (.*))?$")


class WithDisk:
    """A machine of emulator.py with a boot image: put into its memory by QEMU, on a disk for Bochs."""

    def __init__(self, machine, disk):
        self.machine, self.disk, self.binary = machine, disk, machine.binary

    def command(self, rom, folder):
        command = self.machine.command(rom, folder)
        if not isinstance(self.machine, Bochs):
            return command + ["-device", "loader,file=%s,addr=0x10000000,force-raw=on" % self.disk]
        unit = 16 * 63 * 512
        cylinders = -(-os.path.getsize(self.disk) // unit)
        os.truncate(self.disk, cylinders * unit)
        config = os.path.join(folder, "bochsrc")
        with open(config) as f:
            text = f.read().replace("host=%d" % self.machine.host_mib, "host=512")
        text = text.replace("ips=%d" % self.machine.ips, "ips=%d" % IPS)
        text += "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
        text += "ata0-master: type=disk, path=\"%s\", mode=flat, cylinders=%d, heads=16, spt=63\n" % (self.disk, cylinders)
        with open(config, "w") as f:
            f.write(text)
        return command


def boot(name, rom, init, cache, echo=None):
    with open(kernel(cache, "amd64"), "rb") as k, open(init, "rb") as i:
        linux, archive = k.read(), initrd(i.read())
    at_initrd = 4096 + len(padded(linux))
    body = padded(linux) + padded(archive)
    head = b"HVLINUX1" + struct.pack("<5Q", 4096 + len(body), 4096, len(linux), at_initrd, len(archive))
    with tempfile.TemporaryDirectory(prefix="hvpt-redox-linux-") as work:
        disk = os.path.join(work, "disk")
        with open(disk, "wb") as f:
            f.write(padded(head) + body)
        return run(WithDisk(MACHINES[name], disk), rom, LIMIT, echo)


def tap(rom, init, cache, names):
    missing = sorted({MACHINES[name].package for name in names if not MACHINES[name].binary})
    why = "not installed: %s" % ", ".join(missing) if missing else None
    if not why and not os.path.exists(init):
        why = "no static C library"
    try:
        why = why or kernel(cache, "amd64") and None
    except (NoKernel, OSError, subprocess.SubprocessError) as error:
        why = str(error).replace("\n", " ")
    if why:
        print("1..0 # SKIP " + why)
        return 0
    print("TAP version 13")
    number, good = 0, True
    for name in names:
        result = boot(name, rom, init, cache)
        print("# %s, %.1f s" % (MACHINES[name].title, result.seconds))
        seen, announced = 0, None
        for line in result.lines:
            match = CHECK.match(line)
            if not match:
                summary = re.match(r"checks: (\d+)", line)
                announced = int(summary[1]) if summary else announced
                continue
            seen, number = seen + 1, number + 1
            good = good and match[1] != "not ok"
            print("%s %d - %s: %s" % ("not ok" if match[1] == "not ok" else "ok", number, name, match[2]))
        number += 1
        finished = result.complete and announced == seen
        good = good and finished
        print("%s %d - %s: the kernel comes to its end" % ("ok" if finished else "not ok", number, name))
        if not good:
            for line in result.lines[-60:] + ["log: " + line for line in result.log[-10:]] + [result.why or ""]:
                print("# " + line)
        sys.stdout.flush()
    print("1..%d" % number)
    return 0 if good else 1


def main(arguments):
    if len(arguments) >= 5 and arguments[0] == "tap":
        return tap(*arguments[1:4], arguments[4:])
    if len(arguments) == 5 and arguments[0] == "show":
        rom, init, cache, name = arguments[1:]
        result = boot(name, rom, init, cache, echo=lambda text: (sys.stdout.write(text), sys.stdout.flush()))
        if not result.complete:
            print("\n".join(result.log[-40:]) + "\nlinux.py: %s" % result.why)
        print("%.1f s" % result.seconds)
        return 0 if result.complete else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
