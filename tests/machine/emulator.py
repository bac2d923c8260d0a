# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The machines that the x86 kernels run on: how to start each, headless, for a ROM image, and what its version is."""
import functools
import os
import re
import select
import subprocess
import tempfile
import time

from program import find

BEGIN = "---- kernel begins ----"
END = "---- kernel ends ----"
VERSION_LIMIT = 600  # seconds until an emulator has said its version: far more than it takes on any machine
PATIENCE = 20  # times a limit, for an emulator that uses no processor

BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model={model}, count=1, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest=2048, host={host}
romimage: file="{rom}"
vgaromimage: file="{vga_rom}"
port_e9_hack: enabled=1
clock: sync=none, time0=1
log: "{log}"
panic: action=fatal{but}
error: action=report
info: action=report
debug: action=ignore
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""
# Bochs 2.8 and 3.0 panic, after which they do what is right, when CR0.WP is 0 and a supervisor dirties a read-only page on a CPU
# that has shadow stacks. The sound line matters: without a configured ALSA device the default driver aborts Bochs at start.
# So does the line for the video ROM: Bochs 3.0 panics without its default ROM, which no Debian package contains. This ROM has
# a header and no code, because no BIOS runs here that would call it.
VGA_ROM = bytes([0x55, 0xAA, 1, 0xCB]).ljust(511, b"\0")
VGA_ROM += bytes([-sum(VGA_ROM) & 0xFF])  # an option ROM's bytes add up to 0


@functools.lru_cache
def bochs_version(program):
    # Bochs has no option for it, but says it whenever it starts; without a display it goes no further
    start = subprocess.run(program.words + ["-n", "-q", "log: /dev/null", "display_library: none"],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=VERSION_LIMIT, env=program.environment())
    said = (start.stdout + start.stderr).decode("latin-1")
    return parse_version(said.partition("Bochs x86 Emulator")[2]) or (0,)


class Bochs:
    name = "Bochs"
    package = "bochs"
    host_mib = 256  # of the guest's memory, as much as is in use at a time
    ips = 50_000_000  # instructions in a second of the machine's clocks, which know no other time

    def __init__(self, model, what, since=(2, 7), cpus=1):
        self.model, self.what, self.since, self.cpus = model, what, since, cpus
        self.title = "Bochs, %s: %s" % (model, what)
        if since > (2, 7):
            self.package = "bochs %d.%d or later" % since

    @functools.cached_property
    def binary(self):
        program = find("bochs-bin") or find("bochs")
        return program if program and bochs_version(program) >= self.since else None

    def version(self):
        return bochs_version(self.binary)

    def command(self, rom, folder):
        config, script, vga_rom = (os.path.join(folder, name) for name in ("bochsrc", "debugger", "vga.rom"))
        with open(vga_rom, "wb") as f:
            f.write(VGA_ROM)
        with open(config, "w") as f:
            f.write(BOCHSRC.format(model=self.model, rom=os.path.abspath(rom), vga_rom=vga_rom, host=self.host_mib,
                                   ips=self.ips, but=", cpu0=report" if (2, 8) <= self.version() <= (3, 0) else "",
                                   log=os.path.join(folder, "log")).replace("count=1", "count=%d" % self.cpus))
        with open(script, "w") as f:
            f.write("c\n")  # Debian's Bochs has its debugger built in, and would wait for a command
        return self.binary.words + ["-q", "-f", config, "-rc", script]


class Qemu:
    name = "QEMU"
    package = "qemu-system-x86"

    def __init__(self, cpu, what, cpus=1):
        self.cpu, self.what, self.cpus = cpu, what, cpus
        self.title = "QEMU, %s: %s" % (cpu, what)
        self.binary = find("qemu-system-x86_64")

    def version(self):
        return qemu_version(self.binary)

    def command(self, rom, folder):
        return self.binary.words + self.binary.options + [
                "-accel", "tcg", "-M", "pc", "-m", "2048", "-cpu", self.cpu, "-bios", rom, "-display", "none",
                "-nodefaults", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot",
                "-D", os.path.join(folder, "log")] + (["-smp", str(self.cpus)] if self.cpus > 1 else [])


def qemu_version(program):
    said = subprocess.run(program.words + ["--version"], capture_output=True, text=True, timeout=VERSION_LIMIT,
                          env=program.environment()).stdout
    return parse_version(said) or (0,)


def parse_version(text):
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


MACHINES = {
    "bochs-tigerlake": Bochs("tigerlake", "VMX + EPT"),
    "bochs-skylake_x": Bochs("corei7_skylake_x", "VMX + EPT"),
    "bochs-sandy_bridge": Bochs("corei7_sandy_bridge_2600k", "VMX + EPT without accessed and dirty flags"),
    "bochs-haswell_4770": Bochs("corei7_haswell_4770", "VMX + EPT"),
    "bochs-cnl": Bochs("corei3_cnl", "VMX + EPT"),
    "bochs-icelake_u": Bochs("corei7_icelake_u", "VMX + EPT"),
    "bochs-sapphire_rapids": Bochs("sapphire_rapids", "VMX + EPT", (3, 1)),
    "bochs-arrow_lake": Bochs("arrow_lake", "VMX + EPT", (3, 0)),
    "bochs-wildcat_lake": Bochs("wildcat_lake", "VMX + EPT", (3, 1)),
    "bochs-ryzen": Bochs("ryzen", "SVM + NPT"),
    "bochs-tigerlake-two": Bochs("tigerlake", "VMX + EPT, two CPUs", cpus=2),
    "bochs-ryzen-two": Bochs("ryzen", "SVM + NPT, two CPUs", cpus=2),
    "qemu-svm-two": Qemu("max,la57=off", "SVM + NPT, two CPUs", cpus=2),
    "qemu-svm": Qemu("max,la57=off", "SVM + NPT"),
    "qemu-milan": Qemu("EPYC-Milan,+svm,+npt", "SVM + NPT"),
    "qemu-npt5": Qemu("max", "SVM + 5-level NPT"),
}


class Run:
    """One run of a kernel: what it printed, whether it came to its own end, and if not, why not."""

    def __init__(self):
        self.lines = []
        self.began = self.complete = self.timed_out = False
        self.why = None
        self.seconds = 0.0
        self.log = []

    def take(self, line, echo):
        """One line of the emulator's output; only what lies between the kernel's two marks is the kernel's."""
        if line == BEGIN:
            self.began = True
        elif line == END and self.began:
            self.complete = True
        elif self.began and not self.complete:
            self.lines.append(line)
            if echo:
                echo(line + "\n")


def read_terminal(output):
    """What is there to read; nothing at the end."""
    try:
        return os.read(output, 1 << 16)
    except OSError:
        return b""


def processor_seconds(pid):
    """What the process has used of processors; None where that cannot be told."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


class Limit:
    """Ends what hangs, and not what is slow because the computer is loaded: so many seconds of a processor, or, where none
    is used, PATIENCE times as long a time."""

    def __init__(self, process, seconds):
        self.pid, self.seconds, self.start = process.pid, seconds, time.monotonic()

    def over(self):
        """Why it is, in words, or None."""
        passed = time.monotonic() - self.start
        if passed < self.seconds:
            return None
        used = processor_seconds(self.pid)
        if used is None or used >= self.seconds:
            return "no end after %g seconds of a processor" % self.seconds
        return "no end after %g seconds" % passed if passed >= PATIENCE * self.seconds else None


def run_once(machine, rom, limit, echo):
    result = Run()
    with tempfile.TemporaryDirectory(prefix="hvpt-machine-") as folder:
        start = time.monotonic()
        # A terminal, not a pipe: Bochs would keep back what it printed, and lose it when it is killed
        output, terminal = os.openpty()
        with open(os.path.join(folder, "errors"), "wb") as errors:
            process = subprocess.Popen(machine.command(rom, folder), stdin=subprocess.DEVNULL, stdout=terminal, stderr=errors,
                                       env=machine.binary.environment())
        os.close(terminal)
        watch = Limit(process, limit)
        try:
            rest = b""
            while True:
                said = select.select([output], [], [], 1)[0]
                result.why = watch.over()
                if result.why:
                    result.timed_out = True
                    break
                if not said:
                    continue
                data = read_terminal(output)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    result.take(line.decode("latin-1").rstrip("\r"), echo)
            if rest:
                result.take(rest.decode("latin-1"), echo)
        finally:
            process.kill()
            process.wait()
            os.close(output)
        result.seconds = time.monotonic() - start
        for name in ("errors", "log"):
            try:
                with open(os.path.join(folder, name), errors="replace") as f:
                    result.log += f.read().splitlines()
            except FileNotFoundError:
                pass
    if not result.complete and result.why is None:
        result.why = "the emulator ended before the kernel did" if result.began else "the emulator did not start the kernel"
    return result


def run(machine, rom, limit, echo=None):
    """Run rom to its end. An emulator that dies before the kernel's first line gets a second chance (Bochs does, under load)."""
    result = run_once(machine, rom, limit, echo)
    return result if result.began or result.timed_out else run_once(machine, rom, limit, echo)
