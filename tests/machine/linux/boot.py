#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Boots Linux on examples/thinhv, on emulated machines.

  boot.py tap ROM INIT CACHE BOOT...   as TAP; BOOT: a machine and options, "qemu-svm:work,cpus=2" (see OPTIONS)
  boot.py demo ROM INIT CACHE          for a person
  boot.py show ROM INIT CACHE BOOT     all that Linux and the hypervisor print

Options: work (the second level is put to work), cpus=2, lazy (it begins empty), pages=4 or pages=2048 (the largest page,
in KiB), views (the hook has a second view on every machine), bare (no hypervisor), time (with and without the hypervisor:
how much longer does it take?).
CACHE: where the kernel is kept, and fetched to (kernel.py).
"""
import os
import re
import select
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(ROOT, "examples", "thinhv", "guest"), HERE]
import image
from emulator import BEGIN, END, MACHINES, Bochs, read_terminal
from kernel import NoKernel, kernel

RAM_MIB = 2048
COMMAND_LINE = ("console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 nokaslr mitigations=off no5lvl reboot=t "
                "cryptomgr.notests pci=off loglevel=6")
LINUX_BEGINS = "Linux begins"
USER_SPACE = "init: Linux has come to user space"
DONE = "init: done"
LIMIT = int(os.environ.get("HVPT_LINUX_LIMIT", "1800"))  # seconds, to end what hangs: an idle machine takes a tenth at most
SLOWER_AT_MOST = 1.5
ROUNDS = 3


class Boot:
    """What to boot, where, and what came of it."""

    def __init__(self, text):
        name, _, options = text.partition(":")
        self.text, self.name, self.machine = text, name, MACHINES[name]
        self.options = options.split(",") if options else []
        self.cpus = 2 if "cpus=2" in self.options else 1
        self.vmx = self.machine.what.startswith("VMX")
        self.hypervisor, self.linux = [], []  # lines: the hypervisor's, and Linux's from its serial port
        self.began = self.user_space = None
        self.complete = False
        self.why = None
        self.log = []
        self.seconds = 0.0

    def command_line(self):
        words = COMMAND_LINE
        for option in self.options + (["ept"] if self.vmx else []):
            words += " thinhv." + option
        return words

    def command(self, rom, disk, folder):
        serial = os.path.join(folder, "serial")
        command = self.machine.command(rom, folder)
        if not isinstance(self.machine, Bochs):
            return command + ["-smp", str(self.cpus), "-serial", "file:" + serial, "-device",
                              "loader,file=%s,addr=0x10000000,force-raw=on" % disk]
        unit = 16 * 63 * 512
        cylinders = -(-os.path.getsize(disk) // unit)
        os.truncate(disk, cylinders * unit)
        config = os.path.join(folder, "bochsrc")
        with open(config) as f:
            text = f.read()
        text = text.replace("count=1", "count=%d" % self.cpus).replace("host=%d" % self.machine.host_mib, "host=512")
        text += "com1: enabled=1, mode=file, dev=\"%s\"\n" % serial
        text += "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
        text += "ata0-master: type=disk, path=\"%s\", mode=flat, cylinders=%d, heads=16, spt=63\n" % (disk, cylinders)
        with open(config, "w") as f:
            f.write(text)
        return command

    def take(self, line, from_linux, echo):
        (self.linux if from_linux else self.hypervisor).append(line)
        if LINUX_BEGINS in line and not from_linux:
            self.began = time.monotonic()
        if line == USER_SPACE:
            self.user_space = time.monotonic()
        if echo:
            echo(("linux| " if from_linux else "thinhv| ") + line)

    def finished(self):
        """Without a hypervisor nobody says the last word: the machine ends when Linux restarts it."""
        return self.complete or ("bare" in self.options and DONE in self.linux)

    def run(self, rom, kernel_path, init_path, echo=None):
        with open(kernel_path, "rb") as k, open(init_path, "rb") as i:
            content = image.image(k.read(), i.read(), RAM_MIB, " ".join(self.options), self.command_line())
        with tempfile.TemporaryDirectory(prefix="hvpt-linux-") as folder:
            disk = os.path.join(folder, "disk")
            with open(disk, "wb") as f:
                f.write(content)
            start = time.monotonic()
            output, terminal = os.openpty()
            with open(os.path.join(folder, "errors"), "wb") as errors:
                process = subprocess.Popen(self.command(rom, disk, folder), stdin=subprocess.DEVNULL, stdout=terminal,
                                           stderr=errors, env=self.machine.binary.environment())
            os.close(terminal)
            try:
                self.listen(process, output, os.path.join(folder, "serial"), start + LIMIT, echo)
            finally:
                process.kill()
                process.wait()
                os.close(output)
            self.seconds = time.monotonic() - start
            for name in ("errors", "log"):
                try:
                    with open(os.path.join(folder, name), errors="replace") as f:
                        self.log += f.read().splitlines()
                except FileNotFoundError:
                    pass
        if self.why is None and not self.finished():
            self.why = "the emulator ended before Linux did"
        return self

    def listen(self, process, output, serial_path, end, echo):
        rests = {False: b"", True: b""}
        serial = None
        began = False

        def take(data, from_linux):
            nonlocal began
            *lines, rests[from_linux] = (rests[from_linux] + data).split(b"\n")
            for raw in lines:
                line = raw.decode("latin-1").rstrip("\r")
                if from_linux:
                    self.take(line, True, echo)
                elif line == BEGIN:
                    began = True
                elif line == END:
                    self.complete = True
                elif began and not self.complete and not line.startswith("(0)."):  # Bochs' debugger puts a word in
                    self.take(line, False, echo)

        while True:
            open_still, data = True, b""
            if select.select([output], [], [], 0.02)[0]:
                data = read_terminal(output)
                open_still = bool(data)
            if serial is None and os.path.exists(serial_path):
                serial = open(serial_path, "rb")
            if serial is not None:
                take(serial.read(), True)  # first: what Linux said made the hypervisor speak
            take(data, False)
            if not open_still or self.finished() or process.poll() is not None:
                break
            if time.monotonic() > end:
                self.why = "no end after %d seconds" % LIMIT
                break
        if serial is not None:
            take(serial.read(), True)
            serial.close()
        if rests[True]:
            take(b"\n", True)

    def boot_time(self):
        """Seconds from the kernel's first instruction to /init's first line; None if it did not come there."""
        return self.user_space - self.began if self.began and self.user_space else None


# ---- what must be seen ----

def leaves(boot):
    """Pages of 4K, 2M, 1G for 4 GiB less 32 MiB below 1 GiB, when memory types change at 640K, 768K, 1M, and 2 GiB."""
    if "lazy" in boot.options:
        return (0, 0, 0)
    small = (4096 - 32) * 256
    if "pages=4" in boot.options:
        return (small, 0, 0)
    if "pages=2048" in boot.options:
        return (512, (4096 - 32) // 2 - 1, 0)
    return (512, (1024 - 32) // 2 - 1, 3)


USER = [
    r"/proc/cpuinfo is there",
    r"/proc/meminfo is there",
    r"64 MiB filled and read back, 0 words differ",
    r"slept on a timer",
    r"forked",
]


def expected_of_init(boot):
    """Each must match one of /init's good lines."""
    lines = USER + ["2 CPUs are online" if boot.cpus == 2 else "1 CPU is online"]
    if "work" not in boot.options:
        return lines
    if "lazy" in boot.options:
        lines = lines + [r"\d+ pages are mapped, as many as were faulted for"]
    else:
        lines = lines + [r"RAM split into 4K pages under us: \d+ of them", r"and collapsed again to what it was"]
    for method in ["write protection", "dirty bits"] + (["page-modification logging"] if boot.vmx else []):
        lines = lines + [r"written pages, by %s: .* 0 missed, 0 invented" % method, r"RAM as before %s" % method]
    lines = lines + [r"a page of our code replaced under us: 0x12345678, then 0xcafef00d, then 0x12345678"]
    if boot.cpus == 2:
        lines = lines + [r"the other CPU sees it at once: 0x12345678, then 0xcafef00d, then 0x12345678"]
    lines = lines + [r"a hook: the code that runs says 0xdeadbeef, its bytes read 0x12345678"]
    lines = lines + [r"256 pages taken away and mapped again when touched by %d CPU" % boot.cpus,
                     r"reading the hypervisor's memory through /dev/mem: Segmentation fault, refused 1 time",
                     r"reading another reserved page through /dev/mem"]
    return lines


def profile(lines):
    """(announced total, {reason: [count of each CPU]})"""
    total, counts = None, {}
    for line in lines:
        head = re.match(r"exit profile: (\d+) exits", line)
        if head:
            total = int(head[1])
            continue
        row = re.match(r"  +(\d+)(?: = +(\d+) \+ +(\d+))?  (.*)", line)
        if row and total is not None:
            counts[row[4]] = [int(row[2]), int(row[3])] if row[2] else [int(row[1])]
    return total, counts


def judge(boot, report):
    """Calls report(holds, name, detail) for each thing that must be seen."""
    report(boot.finished(), "boots and ends", boot.why or "")
    good = [line[6:] for line in boot.linux if line.startswith("good: ")]
    for pattern in expected_of_init(boot):
        words = pattern.replace(r"\d+", "N").replace(": .*", ":").replace("\\", "")
        report(any(re.match(pattern, line) for line in good), "init: " + words, "not seen")
    bad = [line for line in boot.linux if line.startswith("bad: ")]
    report(not bad, "init complains of nothing", "; ".join(bad))
    if "bare" in boot.options:
        return
    text = "\n".join(boot.hypervisor)
    found = re.search(r"second level at the beginning: (\d+) pages of 4K, (\d+) of 2M, (\d+) of 1G", text)
    report(bool(found) and tuple(map(int, found.groups())) == leaves(boot),
           "the second level begins with %d, %d, %d leaves" % leaves(boot), found[0] if found else "nothing said")
    report("memory types from: 0 WB a0000 UC c0000 WP 100000 WB 80000000 UC" in text, "memory types are the MTRRs'", "")
    total, counts = profile(boot.hypervisor)
    fault = "EPT violation" if boot.vmx else "NPF"
    report(total is not None and total == sum(map(sum, counts.values())) and sum(counts.get("CPUID", [0])) > 100,
           "the exit profile adds up", str(counts))
    if boot.cpus == 2:
        report(all(count > 0 for count in counts.get("CPUID", [0])), "both CPUs are guests", str(counts.get("CPUID")))
    if "work" in boot.options:
        refused = re.findall(r"refused: the hypervisor's memory: .*guest-physical (0x[0-9a-f]+)", text)
        report([int(gpa, 16) >> 12 for gpa in refused] == [0x3e000], "one access to the hypervisor's memory is logged",
               str(refused))
        report(sum(counts.get(fault, [0])) > 256, "faults of the second level are in the profile", str(counts))
        if boot.cpus == 2:
            report(all(count > 0 for count in counts.get(fault, [0])), "both CPUs faulted", str(counts.get(fault)))


# ---- the ways to run it ----

def ready(arguments):
    rom, init, cache = arguments
    return rom, kernel(cache), init


def time_both(text, files):
    """The best boot times of a few rounds without and with the hypervisor, one after the other."""
    best = {}
    for _ in range(ROUNDS):
        for kind in ("bare", ""):
            took = Boot(text.partition(":")[0] + (":" + kind if kind else "")).run(*files).boot_time()
            if took is not None:
                best[kind] = min(took, best.get(kind, took))
        if len(best) == 2 and best[""] <= SLOWER_AT_MOST * best["bare"]:
            break  # under load one round may tell nothing
    return best.get("bare"), best.get("")


def tap(arguments, boots):
    missing = sorted({MACHINES[b.partition(":")[0]].package for b in boots if not MACHINES[b.partition(":")[0]].binary})
    if missing:
        print("1..0 # SKIP not installed: %s" % ", ".join(missing))
        return 0
    if any(isinstance(machine, Bochs) and machine.version() == (3, 1) for machine in
           (MACHINES[b.partition(":")[0]] for b in boots)):
        print("1..0 # SKIP on Bochs 3.1 Linux counts a TSC of 0 Hz and divides by it; why is not known")
        return 0
    try:
        files = ready(arguments)
    except (NoKernel, OSError, subprocess.SubprocessError) as why:
        print("1..0 # SKIP %s" % str(why).replace("\n", " "))
        return 0
    print("TAP version 13")
    number = failures = 0

    def report(holds, name, detail=""):
        nonlocal number, failures
        number += 1
        failures += not holds
        print("%s %d - %s: %s" % ("ok" if holds else "not ok", number, current, name.replace("#", "")))
        if not holds:
            print("  ---\n  %s\n  ..." % (detail or "no detail"))

    for current in boots:
        if current.endswith(":time"):
            bare, with_it = time_both(current, files)
            report(bare is not None and with_it is not None and with_it <= SLOWER_AT_MOST * bare,
                   "boots in at most %g times what it takes without a hypervisor" % SLOWER_AT_MOST,
                   "without %s s, with %s s" % (bare, with_it))
            times = tuple("%.2f" % took if took else took for took in (bare, with_it))
            print("# user space after %s s without, %s s with it" % times)
            continue
        boot = Boot(current).run(*files)
        took = boot.boot_time()
        print("# %s: user space after %s s, all of it %.1f s" % (current, "%.1f" % took if took else "?", boot.seconds))
        before = failures
        judge(boot, report)
        if failures > before:
            for line in boot.hypervisor[-30:] + boot.linux[-30:] + boot.log[-15:]:
                print("# " + line)
        sys.stdout.flush()
    print("1..%d" % number)
    return 1 if failures else 0


def demo(arguments):
    try:
        files = ready(arguments)
    except NoKernel as why:
        print("Linux cannot be booted: %s" % why)
        return 1
    summary = []
    print(os.path.basename(files[1]))
    for text in ("qemu-svm:work", "bochs-tigerlake:work", "bochs-ryzen:work"):
        boot = Boot(text)
        print("=" * 100 + "\n" + boot.machine.title + "\n" + "=" * 100, flush=True)
        if not boot.machine.binary:
            print("not installed (package %s)" % boot.machine.package)
            continue
        boot.run(*files, echo=lambda line: print(line, flush=True))
        bad = []
        judge(boot, lambda holds, name, detail: None if holds else bad.append("%s (%s)" % (name, detail)))
        summary.append((boot, bad))
    print("=" * 100)
    for boot, bad in summary:
        total, _ = profile(boot.hypervisor)
        words = "; ".join(bad) or "user space after %.1f s, %d exits" % (boot.boot_time(), total)
        print("%-8s %-40s %6.1f s  %s" % ("FAILED" if bad else "good", boot.machine.title, boot.seconds, words))
    bare, with_it = time_both("qemu-svm", files)
    if bare and with_it:
        print("QEMU: user space after %.2f s without the hypervisor, %.2f s with it" % (bare, with_it))
    return 1 if any(bad for _, bad in summary) or not summary else 0


def main(arguments):
    if len(arguments) >= 5 and arguments[0] == "tap":
        return tap(arguments[1:4], arguments[4:])
    if len(arguments) == 4 and arguments[0] == "demo":
        return demo(arguments[1:])
    if len(arguments) == 5 and arguments[0] == "show":
        boot = Boot(arguments[4]).run(*ready(arguments[1:4]), echo=lambda line: print(line, flush=True))
        print("%.1f s%s" % (boot.seconds, "" if boot.finished() else "; " + boot.why))
        return 0 if boot.finished() else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
