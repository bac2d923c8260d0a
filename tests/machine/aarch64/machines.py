# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The Arm machines: QEMU's virt with EL2, several CPUs; where QEMU differs from the Arm ARM; their part of the demo."""
import os

from deviations import ALL, Deviation, Versions
from emulator import qemu_version
from program import find


class QemuArm:
    name = "QEMU Arm"
    package = "qemu-system-arm"

    def __init__(self, cpu, what, options=""):
        self.cpu, self.what, self.options = cpu, what, options
        self.title = "QEMU Arm, %s: %s" % (cpu, what)
        self.binary = find("qemu-system-aarch64")

    def version(self):
        return qemu_version(self.binary)

    def command(self, kernel, folder):
        return self.binary.words + self.binary.options + [
                "-accel", "tcg", "-M", "virt,virtualization=on" + self.options, "-m", "2048", "-cpu", self.cpu,
                "-display", "none", "-nodefaults", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-kernel", kernel,
                "-D", os.path.join(folder, "log")]


MACHINES = {
    "qemu-arm-max": QemuArm("max", "stage 2 with every feature QEMU has", ",mte=on"),
    "qemu-arm-a76": QemuArm("cortex-a76", "stage 2 of Armv8.2"),
    "qemu-arm-a53": QemuArm("cortex-a53", "stage 2 of Armv8.0"),
}

DEMO = [("qemu-arm-max", "aarch64/machine-aarch64-demo.elf")]

SINCE_10 = Versions((8, 0))  # seen in 10.0, not in 7.2, which lacks the feature
ONLY_10_2 = Versions((10, 2), (11, 0))
SINCE_11 = Versions((11, 0))  # seen in 11.1, not in 10.2, which lacks the feature
BEFORE_10 = Versions(None, (10, 0))  # seen in 7.2, not in 10.0

DEVIATIONS = [
    Deviation("QEMU Arm", ALL, "exits: DC CIVAC of nothing: *", "",
              "Arm ARM, DC CIVAC: the instruction translates its address, and takes the faults of a load"),
    Deviation("QEMU Arm", BEFORE_10, "exits: the guest's table is gone: fault status", "5",
              "Arm ARM, ISS encoding for an exception from a Data Abort: with S1PTW the level is that of stage 2"),
    Deviation("QEMU Arm", BEFORE_10, "geometry, 4K granule: ??-bit IPA, LPA2, from level -1, *", "",
              "Arm ARM, VTCR_EL2: SL2 with SL0 0 begins at level -1 for any IPA of more than 48 bits"),
    Deviation("QEMU Arm", BEFORE_10, "geometry, 16K granule: ??-bit IPA, LPA2, from level 0, *", "",
              "Arm ARM, VTCR_EL2: SL0 3 begins at level 0 with the 16K granule and DS"),
    Deviation("QEMU Arm", BEFORE_10, "guest walk: tables that stage 2 keeps from the walk: *", "",
              "Arm ARM, ISS encoding for an exception from a Data Abort: with S1PTW the level is that of stage 2"),
    Deviation("QEMU Arm", BEFORE_10, "guest walk: blocks where there are none: *", "",
              "Arm ARM, VMSAv8-64 descriptor formats: a block descriptor at such a level is not valid"),
    Deviation("QEMU Arm", BEFORE_10, "entries, *: a block where there are none: *", "",
              "Arm ARM, VMSAv8-64 descriptor formats: a block descriptor at such a level is not valid"),
    Deviation("QEMU Arm", SINCE_11, "indirect permissions, stage 2: write to a clean page that was read: a fault again", "0",
              "Arm ARM, Stage 2 Indirect permissions: a page that is clean may not be written, whatever was done before"),
    Deviation("QEMU Arm", ONLY_10_2, "indirect permissions, stage 2: *", "",
              "Arm ARM, Stage 2 Indirect permissions: an entry's bits 54:53, 51 and 6 are the index; 10.2 denies every fetch"),
    Deviation("QEMU Arm", ONLY_10_2, "*, by S2PIR_EL2: *", "",
              "Arm ARM, Stage 2 Indirect permissions: an entry's bits 54:53, 51 and 6 are the index; 10.2 denies every fetch"),
    Deviation("QEMU Arm", SINCE_11, "tags*: ???: status", "0",
              "Arm ARM, ISS encoding for an exception from a Data Abort: what NoTagAccess forbids is a permission fault"),
    Deviation("QEMU Arm", SINCE_11, "tags*: ???: kind of fault", "1",
              "Arm ARM, ISS encoding for an exception from a Data Abort: what NoTagAccess forbids is a permission fault"),
    Deviation("QEMU Arm", ALL, "guest walk: addresses of more than 48 bits: *", "",
              "Arm ARM, AArch64.LeafBase and AArch64.OAOutOfRange: with FEAT_LPA and 64K, or DS, the upper bits of a "
              "descriptor's address count, whatever TCR_EL1.IPS; QEMU ignores them unless IPS is 52 bits"),
    Deviation("QEMU Arm", SINCE_10, "guest walk: fetches with WXN, PAN and EPAN: *", "",
              "Arm ARM, SCTLR_EL1.WXN: what EL1 may write it never executes; PAN is about data, and changes no fetch"),
    Deviation("QEMU Arm", ALL, "guest walk: fetches from what hardware would make writable: *", "",
              "Arm ARM, AArch64.S1ApplyOutputPerms: with HA, HD and DBM the effective value of AP[2] is 0, for the "
              "rule that what EL0 may write EL1 never executes and for WXN, too"),
    Deviation("QEMU Arm", ALL, "memory types: WC with nGRE at stage 1: PAR_EL1.ATTR", "4",
              "Arm ARM, combining stage 1 and stage 2 attributes: Device and Normal give the Device type of the one"),
    Deviation("QEMU Arm", ALL, "memory types: WC with GRE at stage 1: PAR_EL1.ATTR", "4",
              "Arm ARM, combining stage 1 and stage 2 attributes: Device and Normal give the Device type of the one"),
    Deviation("QEMU Arm", ALL, "memory types, FWB: UC with nGnRnE at stage 1: PAR_EL1.ATTR", "4",
              "Arm ARM, stage 2 memory attributes with FEAT_S2FWB: of two Device types the stronger results"),
]
