"""The machines that the x86 kernels run on: how to start each, headless, for a ROM image, and what its version is."""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time

BEGIN = b"---- kernel begins ----\n"
END = b"---- kernel ends ----\n"

BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model={model}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest=2048, host=256
romimage: file={rom}
port_e9_hack: enabled=1
clock: sync=none, time0=1
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""
# The sound line matters: without a configured ALSA device the default driver aborts Bochs at start.


class Bochs:
    name = "Bochs"
    package = "bochs"

    def __init__(self, model, what):
        self.model, self.what = model, what
        self.title = "Bochs, %s: %s" % (model, what)
        self.binary = shutil.which("bochs-bin") or shutil.which("bochs")

    def version(self):
        text = subprocess.run([self.binary, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
        # Bochs prints its version only when it runs; its package knows it too.
        text += subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "bochs"], capture_output=True, text=True).stdout \
            if shutil.which("dpkg-query") else ""
        return parse_version(text) or (2, 7)

    def command(self, rom, folder):
        config, script = os.path.join(folder, "bochsrc"), os.path.join(folder, "debugger")
        with open(config, "w") as f:
            f.write(BOCHSRC.format(model=self.model, rom=os.path.abspath(rom), log=os.path.join(folder, "log")))
        with open(script, "w") as f:
            f.write("c\n")  # Debian's Bochs has its debugger built in, and would wait for a command
        return [self.binary, "-q", "-f", config, "-rc", script]


class Qemu:
    name = "QEMU"
    package = "qemu-system-x86"

    def __init__(self, cpu, what):
        self.cpu, self.what = cpu, what
        self.title = "QEMU, %s: %s" % (cpu, what)
        self.binary = shutil.which("qemu-system-x86_64")

    def version(self):
        return parse_version(subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout) or (0,)

    def command(self, rom, folder):
        return [self.binary, "-accel", "tcg", "-M", "pc", "-m", "2048", "-cpu", self.cpu, "-bios", rom, "-display", "none",
                "-nodefaults", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot",
                "-D", os.path.join(folder, "log")]


def parse_version(text):
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


MACHINES = {
    "bochs-tigerlake": Bochs("tigerlake", "VMX + EPT"),
    "bochs-skylake_x": Bochs("corei7_skylake_x", "VMX + EPT"),
    "bochs-ryzen": Bochs("ryzen", "SVM + NPT"),
    "qemu-svm": Qemu("max,la57=off", "SVM + NPT"),
    "qemu-milan": Qemu("EPYC-Milan,+svm,+npt", "SVM + NPT"),
    "qemu-npt5": Qemu("max", "SVM + 5-level NPT"),
}


class Run:
    """One run of a kernel. lines: what it printed; complete: it came to its own end; why: if not, why not."""

    def __init__(self, machine, lines, complete, why, seconds, log):
        self.machine, self.lines, self.complete, self.why = machine, lines, complete, why
        self.seconds, self.log = seconds, log


def run_once(machine, rom, limit, echo):
    with tempfile.TemporaryDirectory(prefix="hvpt-machine-") as folder:
        errors = open(os.path.join(folder, "errors"), "wb+")
        start = time.monotonic()
        process = subprocess.Popen(machine.command(rom, folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors)
        output, began, shown, why = b"", -1, 0, None
        try:
            while True:
                left = start + limit - time.monotonic()
                ready, _, _ = select.select([process.stdout], [], [], max(left, 0))
                if not ready:
                    why = "no end after %g seconds" % limit
                    break
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    break
                output += data
                if began < 0 and BEGIN in output:
                    began = shown = output.index(BEGIN) + len(BEGIN)
                while echo and began >= 0 and b"\n" in output[shown:] and END not in output[began:shown + 1]:
                    stop = output.index(b"\n", shown) + 1
                    if output[shown:stop] == END:
                        break
                    echo(output[shown:stop].decode("latin-1"))
                    shown = stop
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        seconds = time.monotonic() - start
        complete = began >= 0 and END in output
        text = output[began:output.index(END) if complete else None].decode("latin-1") if began >= 0 else ""
        log = ""
        for name in ("errors", "log"):
            try:
                with open(os.path.join(folder, name), errors="replace") as f:
                    log += f.read()
            except FileNotFoundError:
                pass
        errors.close()
        if not complete and why is None:
            why = "the emulator ended before the kernel" if began >= 0 else "the emulator did not start the kernel"
        return Run(machine, text.splitlines(), complete, why, seconds, log.splitlines()), began >= 0


def run(machine, rom, limit, echo=None):
    """Run rom to its end. An emulator that dies before the kernel's first line gets a second chance (Bochs does, under load)."""
    result, began = run_once(machine, rom, limit, echo)
    if not began:
        result, _ = run_once(machine, rom, limit, echo)
    return result
