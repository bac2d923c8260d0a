# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The RISC-V machines: QEMU's virt with H; where QEMU differs from the manual; their part of the demo."""
import functools
import os

from deviations import Deviation, Versions
from emulator import qemu_version
from program import find


class QemuRiscv:
    name = "QEMU RISC-V"
    binary_name = "qemu-system-riscv64"

    def __init__(self, cpu, what, since=(7, 0)):
        self.cpu, self.what, self.since = cpu, what, since
        self.title = "QEMU RISC-V, " + what
        self.package = "qemu-system-riscv64 of QEMU %d.%d or later" % since

    @functools.cached_property
    def binary(self):
        program = find(self.binary_name)
        return program if program and qemu_version(program) >= self.since else None

    def version(self):
        return qemu_version(self.binary)

    def command(self, kernel, folder):
        # Two harts, one asleep: with a single one QEMU makes an atomic of a load and a store, and faults as a load
        return self.binary.words + self.binary.options + [
                "-accel", "tcg", "-M", "virt", "-m", "2048", "-smp", "2", "-cpu", self.cpu,
                "-bios", "none", "-display", "none", "-nodefaults", "-serial", "stdio", "-monitor", "none",
                "-no-reboot", "-kernel", kernel, "-D", os.path.join(folder, "log")]


MACHINES = {
    "qemu-riscv": QemuRiscv("rv64,h=true,svpbmt=true,svnapot=true", "H, Svpbmt, Svnapot: G-stage"),
    # With Svpbmt or Svnapot, QEMU 7.2 no longer looks at reserved bits: so once without
    "qemu-riscv-plain": QemuRiscv("rv64,h=true,svpbmt=false,svnapot=false", "H alone: G-stage"),
    "qemu-riscv-svade": QemuRiscv("rv64,h=true,svpbmt=true,svnapot=true,svade=true,svadu=false",
                                  "H, Svpbmt, Svnapot, Svade: G-stage", (9, 2)),
    "qemu-riscv-max": QemuRiscv("max", "every extension QEMU has: G-stage", (10, 0)),
}

DEMO = [("qemu-riscv", "riscv64/machine-riscv64-demo.elf")]

ALL = Versions((7, 2))
BEFORE_10 = Versions((7, 2), (10, 0))  # seen in 7.2 and not in 10.0; those between have not been looked at
SINCE_10 = Versions((8, 0))            # seen in 10.0 and not in 7.2
SINCE_11 = Versions((10, 1))           # seen in 11.1 and not in 10.0; those between have not been looked at
WALK = "Privileged Architecture, Two-Stage Address Translation: the exception is reported for the original access type"
TOP = "Privileged Architecture, Guest Physical Address Translation: 41, 50 or 59 bits, zero-extended"
HLVX = ("Privileged Architecture, Hypervisor Virtual-Machine Load and Store Instructions: HLVX is a load that wants "
        "execute permission")
RESERVED = "Privileged Architecture, Sv39: bits 60:54 are reserved, and must fault"
STATUS = ("Privileged Architecture, Hypervisor Virtual-Machine Load and Store Instructions: HLV and HSV act by "
          "vsstatus.SUM and vsstatus.MXR, as the guest would")
MXR = "Privileged Architecture, Two-Stage Address Translation: vsstatus.MXR is for loads, at VS-stage"
PSEUDO = ("Privileged Architecture, Transformed Instruction or Pseudoinstruction for mtinst or htinst: 3000H for a read of "
          "the walk, and 3020H for a write to update A or D; QEMU gives 3020H for each walk of a store")
UPDATE = ("Privileged Architecture, Two-Stage Address Translation: the walk's update of an entry is a store that the "
          "G-stage must allow")
ADUE = ("Privileged Architecture, Hypervisor Environment Configuration (henvcfg) Register: ADUE is for VS-stage, whoever "
        "asks")
PBMT = "Privileged Architecture, Svpbmt: the value 3 in a leaf raises a page-fault exception"


def deviation(versions, check, got, manual):
    return Deviation("QEMU RISC-V", versions, "G-stage, " + check, got, manual)


DEVIATIONS = [
    deviation(BEFORE_10, "exits: guest's page walk, for a write: scause", "15", WALK),
    deviation(BEFORE_10, "exits: guest's page walk, for a fetch: scause", "15", WALK),
    deviation(BEFORE_10, "Sv??x4: an address with its top bit set is that address", "15", TOP),
    # 7.2 asks for the right to read; 10.0 asks for the right one, and reports a fetch of no guest-physical address
    deviation(BEFORE_10, "permissions: HLVX of r page of *", "", HLVX),
    deviation(BEFORE_10, "permissions: HLVX of rw page of *", "", HLVX),
    deviation(BEFORE_10, "permissions: HLVX of x page of *: goes through", "", HLVX),
    deviation(SINCE_10, "*: HLVX of *: scause", "c", HLVX),
    deviation(BEFORE_10, "entries: bit [56]?: *, scause", "", RESERVED),
    deviation(BEFORE_10, "entries: bit 54 in a table entry: *, scause", "", RESERVED),
    deviation(BEFORE_10, "entries: bits 60:59 in a table entry: *, scause", "", RESERVED),
    deviation(ALL, "entries: PBMT 3: *, scause", "", PBMT),
    deviation(BEFORE_10, "guest walk: page faults for bits 60:54: *", "", RESERVED),
    deviation(ALL, "guest walk*: page faults for PBMT: *", "", PBMT),
    deviation(ALL, "guest walk*: HLVX: *", "", HLVX),
    deviation(BEFORE_10, "guest walk: page faults for SUM: *", "", STATUS),
    deviation(BEFORE_10, "guest walk: HLV with MXR: *", "", STATUS),
    deviation(BEFORE_10, "guest walk: tables that the G-stage keeps from a read, with MXR: *", "", MXR),
    deviation(BEFORE_10, "guest walk: tables that the G-stage keeps from a write or fetch: *", "", WALK),
    deviation(ALL, "guest walk: tables that the G-stage keeps from being updated: *", "", UPDATE),
    deviation(SINCE_10, "guest walk*: page faults for accessed and dirty, of HLV and HSV: *", "", ADUE),
    deviation(SINCE_11, "exits: guest's page walk, for a write: the walk itself reads", "3020", PSEUDO),
    deviation(SINCE_11, "guest walk*: tables that the G-stage keeps from a read, with MXR: *", "", PSEUDO),
    deviation(SINCE_11, "guest walk*: tables that the G-stage keeps from a write or fetch: *", "", PSEUDO),
]
