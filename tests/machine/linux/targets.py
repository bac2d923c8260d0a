# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""What Linux boots on: for each architecture its machines, the files that are built for it, and what is to be seen of it."""
import os

from emulator import MACHINES, Bochs, qemu_version
from program import find

RAM_MIB = 2048
HIDDEN_MIB = 32  # the hypervisor's own
USER_WORDS = "loglevel=6 cryptomgr.notests panic=-1"  # a panic ends the machine at once


class X86:
    """A PC of emulator.py with a boot image: put into its memory by QEMU, on a disk for Bochs."""
    package_architecture = "amd64"
    hypervisor, init = "thinhv.rom", "thinhv-init"
    # no_timer_check: on a computer under load Linux may find that the PIT does not tick, since QEMU's does not in time
    kernel_words = ("console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 nokaslr mitigations=off no5lvl reboot=t pci=off "
                    "no_timer_check " + USER_WORDS)
    refused_page = 0x3e000
    memory_types = "0 WB a0000 UC c0000 WP 100000 WB 80000000 UC"
    frequent = "CPUID"  # an exit that each CPU has many of
    own_methods, stops_cpus = (), False

    def __init__(self, name):
        self.machine = MACHINES[name]
        self.title, self.package = self.machine.title, self.machine.package
        self.vmx = self.machine.what.startswith("VMX")
        self.faults = ("EPT violation",) if self.vmx else ("NPF",)
        self.refusal = "Segmentation fault"
        if self.vmx:
            self.own_methods = ("page-modification logging",)

    @property
    def binary(self):
        return self.machine.binary

    def cannot(self):
        """Why this emulator cannot; None: it can."""
        if isinstance(self.machine, Bochs) and self.machine.version() == (3, 1):
            return "IDIV of 64 bits is wrong on Bochs 3.1, with or without a hypervisor: Linux ends before it can print"
        return None

    def command(self, rom, disk, folder, cpus):
        serial = os.path.join(folder, "serial")
        command = self.machine.command(rom, folder)
        if not isinstance(self.machine, Bochs):
            return command + ["-smp", str(cpus), "-serial", "file:" + serial, "-device",
                              "loader,file=%s,addr=0x10000000,force-raw=on" % disk]
        unit = 16 * 63 * 512
        cylinders = -(-os.path.getsize(disk) // unit)
        os.truncate(disk, cylinders * unit)
        config = os.path.join(folder, "bochsrc")
        with open(config) as f:
            text = f.read()
        text = text.replace("count=1", "count=%d" % cpus).replace("host=%d" % self.machine.host_mib, "host=512")
        text += "com1: enabled=1, mode=file, dev=\"%s\"\n" % serial
        text += "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
        text += "ata0-master: type=disk, path=\"%s\", mode=flat, cylinders=%d, heads=16, spt=63\n" % (disk, cylinders)
        with open(config, "w") as f:
            f.write(text)
        return command

    def leaves(self, options):
        """Pages of 4K, 2M, 1G for 4 GiB less 32 MiB below 1 GiB, when memory types change at 640K, 768K, 1M, and 2 GiB."""
        small = (4096 - HIDDEN_MIB) * 256
        if "pages=4" in options:
            return (small, 0, 0)
        if "pages=2048" in options:
            return (512, (4096 - HIDDEN_MIB) // 2 - 1, 0)
        return (512, (1024 - HIDDEN_MIB) // 2 - 1, 3)


class Virt:
    """QEMU's virt machine. Its serial port is Linux's; the hypervisor speaks through semihosting, on standard output."""
    own_methods, since, stops_cpus = (), None, True

    def __init__(self, cpu, what):
        self.cpu, self.title = cpu, "QEMU %s, %s" % (self.name, what)

    @property
    def binary(self):
        return find(self.program)

    def cannot(self):
        if self.since and qemu_version(self.binary) < self.since:
            return "QEMU %d.%d or later has this machine" % self.since
        return None

    def command(self, hypervisor, disk, folder, cpus):
        return self.binary.words + self.binary.options + ["-accel", "tcg"] + self.machine + [
            self.cpu, "-m", str(RAM_MIB), "-smp", str(cpus), "-display", "none", "-nodefaults", "-monitor", "none", "-no-reboot",
            "-serial", "file:" + os.path.join(folder, "serial"), "-chardev", "stdio,id=hypervisor",
            "-semihosting-config", "enable=on,target=native,chardev=hypervisor", "-kernel", hypervisor,
            "-device", "loader,file=%s,addr=%#x,force-raw=on" % (disk, self.ram + 0x10000000),
            "-D", os.path.join(folder, "log")]


class RiscV(Virt):
    name, program, package = "RISC-V", "qemu-system-riscv64", "qemu-system-riscv, or qemu-system-misc"
    package_architecture = "riscv64"
    hypervisor, init = "thinhv-riscv64.elf", "thinhv-riscv64-init"
    kernel_words = "console=ttyS0,115200 earlycon=sbi nokaslr " + USER_WORDS
    ram = 0x80000000
    machine = ["-M", "virt", "-cpu"]
    refused_page, refusal = 0xbe000, "Segmentation fault"
    frequent = "SBI: IPI"
    faults = ("load guest-page fault", "store guest-page fault", "instruction guest-page fault")

    def __init__(self, extensions):
        super().__init__("rv64,h=true," + extensions, ("Svpbmt, Svnapot" if "svnapot=true" in extensions else "plain")
                         + (", Svade" if "svade" in extensions else "") + ": G-stage")
        self.since = (9, 2) if "svade" in extensions else None
        self.memory_types = "0 %s 80000000 WB" % ("UC" if "svpbmt=true" in extensions else "WB")

    def leaves(self, options):
        """4 GiB less 32 MiB of RAM and the four pages by which two harts claim interrupts, in the first GiB."""
        if "pages=4" in options:
            return ((4096 - HIDDEN_MIB) * 256 - 4, 0, 0)
        if "pages=2048" in options:
            return (508, (4096 - HIDDEN_MIB) // 2 - 1, 0)
        return (508, 511 + (1024 - HIDDEN_MIB) // 2, 2)

    def joined(self, options):
        """All pages of 4K but the rest of the 64 KiB that the four pages are missing from."""
        return self.leaves(options)[0] - 12


class Arm(Virt):
    name, program, package = "Arm", "qemu-system-aarch64", "qemu-system-arm"
    package_architecture = "arm64"
    hypervisor, init = "thinhv-aarch64.elf", "thinhv-aarch64-init"
    kernel_words = "console=ttyAMA0 earlycon=pl011,0x9000000 nokaslr mitigations=off " + USER_WORDS
    ram = 0x40000000
    machine = ["-M", "virt,virtualization=on,gic-version=3,highmem=off", "-cpu"]
    refused_page, refusal = 0x7e000, "Bus error"
    memory_types = "0 UC 40000000 WB"
    frequent = None
    faults = ("data abort", "instruction abort")

    def __init__(self, cpu):
        super().__init__(cpu, cpu + ": stage 2")

    def leaves(self, options):
        """1 GiB of devices and 2 GiB of RAM less 32 MiB at the end of its first."""
        if "pages=4" in options:
            return ((3072 - HIDDEN_MIB) * 256, 0, 0)
        if "pages=2048" in options:
            return (0, (3072 - HIDDEN_MIB) // 2, 0)
        return (0, (1024 - HIDDEN_MIB) // 2, 2)

    def joined(self, options):
        """All that were mapped as such: sets of 16 are 64 KiB, or the 32 MiB that the hypervisor hides."""
        return sum(self.leaves(options))


OTHERS = {
    "qemu-riscv": lambda: RiscV("svpbmt=true,svnapot=true"),
    "qemu-riscv-plain": lambda: RiscV("svpbmt=false,svnapot=false"),
    "qemu-riscv-svade": lambda: RiscV("svpbmt=true,svnapot=true,svade=true,svadu=false"),
    "qemu-arm": lambda: Arm("max"),
    "qemu-arm-a76": lambda: Arm("cortex-a76"),
    "qemu-arm-a53": lambda: Arm("cortex-a53"),
}


def target(name):
    """By the name that a test gives it."""
    return OTHERS[name]() if name in OTHERS else X86(name)
