#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Boots Linux on examples/thinhv, on emulated machines.

  boot.py tap FOLDER BOOT...   as TAP; BOOT: a machine and options, "qemu-svm:work,cpus=2" (see OPTIONS)
  boot.py demo FOLDER          for a person: each machine, one line as it goes
  boot.py show FOLDER BOOT     all that Linux and the hypervisor print

FOLDER: tests/machine/linux of the build, with hypervisors and their /init; kernels are kept there, and fetched to it
(kernel.py). Machines: those of targets.py, and the x86 ones of emulator.py.
OPTIONS: work (the second level is put to work), cpus=2, lazy (it begins empty), pages=4 or pages=2048 (the largest page,
in KiB), views (x86: the hook has a second view on every machine), joined (RISC-V, Arm: pages are joined by Svnapot or the
contiguous bit), sbi-timer (RISC-V: Linux has no Sstc), bare (no hypervisor), time (with and without the hypervisor: how much
longer does it take?).
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
from emulator import BEGIN, END, Limit, read_terminal
from kernel import NoKernel, kernel
from targets import RAM_MIB, target

LINUX_BEGINS = "Linux begins"
USER_SPACE = "init: Linux has come to user space"
DONE = "init: done"
LIMIT = int(os.environ.get("HVPT_LINUX_LIMIT", "900"))  # seconds of a processor: it takes a tenth at most
SLOWER_AT_MOST = 1.5
ROUNDS = 3


def processor_time(process):
    """What a process has used, in seconds; None: it has ended. proc(5), /proc/pid/stat."""
    try:
        with open("/proc/%d/stat" % process.pid) as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Boot:
    """What to boot, where, and what came of it."""

    def __init__(self, text):
        name, _, options = text.partition(":")
        self.text, self.target = text, target(name)
        self.options = options.split(",") if options else []
        self.cpus = 2 if "cpus=2" in self.options else 1
        self.hypervisor, self.linux = [], []  # lines: the hypervisor's, and Linux's from its serial port
        self.all = []  # both, as they came
        self.process = self.began = self.user_space = None
        self.complete = False
        self.why = None
        self.log = []
        self.seconds = 0.0

    def command_line(self):
        words = self.target.kernel_words
        for option in self.options + (["ept"] if "page-modification logging" in self.target.own_methods else []):
            words += " thinhv." + option
        return words

    def take(self, line, from_linux, echo):
        (self.linux if from_linux else self.hypervisor).append(line)
        if LINUX_BEGINS in line and not from_linux:
            self.began = processor_time(self.process)
        if line == USER_SPACE:
            self.user_space = processor_time(self.process)
        self.all.append(("linux| " if from_linux else "thinhv| ") + line)
        if echo:
            echo(self.all[-1])

    def finished(self):
        """Without a hypervisor nobody says the last word: the machine ends when Linux restarts it."""
        return self.complete or ("bare" in self.options and DONE in self.linux)

    def run(self, folder, echo=None):
        """Raises NoKernel."""
        with open(kernel(os.path.join(folder, "kernel"), self.target.package_architecture), "rb") as k, \
                open(os.path.join(folder, self.target.init), "rb") as i:
            content = image.image(k.read(), i.read(), RAM_MIB, " ".join(self.options), self.command_line())
        hypervisor = os.path.abspath(os.path.join(folder, self.target.hypervisor))
        with tempfile.TemporaryDirectory(prefix="hvpt-linux-") as work:
            disk = os.path.join(work, "disk")
            with open(disk, "wb") as f:
                f.write(content)
            start = time.monotonic()
            output, terminal = os.openpty()
            with open(os.path.join(work, "errors"), "wb") as errors:
                process = subprocess.Popen(self.target.command(hypervisor, disk, work, self.cpus),
                                           stdin=subprocess.DEVNULL, stdout=terminal, stderr=errors,
                                           env=self.target.binary.environment())
            os.close(terminal)
            self.process = process
            try:
                self.listen(process, output, os.path.join(work, "serial"), Limit(process, LIMIT), echo)
            finally:
                process.kill()
                process.wait()
                os.close(output)
            self.seconds = time.monotonic() - start
            for name in ("errors", "log"):
                try:
                    with open(os.path.join(work, name), errors="replace") as f:
                        self.log += f.read().splitlines()
                except FileNotFoundError:
                    pass
        if self.why is None and not self.finished():
            self.why = "the emulator ended before Linux did"
        return self

    def listen(self, process, output, serial_path, limit, echo):
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
            self.why = limit.over()
            if self.why:
                break
        if serial is not None:
            take(serial.read(), True)
            serial.close()
        if rests[True]:
            take(b"\n", True)

    def boot_time(self):
        """Seconds of processor time, which other work on this computer does not lengthen, from the kernel's first instruction
        to /init's first line; None if it did not come there."""
        return self.user_space - self.began if self.began and self.user_space else None


# ---- what must be seen ----

def leaves(boot):
    """Pages of 4K, 2M, 1G that the second level begins with."""
    return (0, 0, 0) if "lazy" in boot.options else boot.target.leaves(boot.options)


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
    if boot.cpus == 2 and boot.target.stops_cpus:
        lines = lines + [r"a CPU stopped and started again: 1 online, then 2"]
    if boot.cpus == 2:
        lines = lines + [r"pages that Linux moves under the other CPU: it reads 1, then 2, then 3"]
    if "work" not in boot.options:
        return lines
    if "lazy" in boot.options:
        lines = lines + [r"\d+ pages are mapped, as many as were faulted for"]
    else:
        lines = lines + [r"RAM split into 4K pages under us: \d+ of them", r"and collapsed again to what it was"]
    for method in ["write protection", "dirty bits"] + list(boot.target.own_methods):
        lines = lines + [r"written pages, by %s: .* 0 missed, 0 invented" % method, r"RAM as before %s" % method]
    lines = lines + [r"a page of our code replaced under us: 0x123, then 0x456, then 0x123"]
    if boot.cpus == 2:
        lines = lines + [r"the other CPU sees it at once: 0x123, then 0x456, then 0x123"]
    lines = lines + [r"a hook: the code that runs says 0x789"]
    lines = lines + [r"256 pages taken away and mapped again when touched by %d CPU" % boot.cpus,
                     r"reading the hypervisor's memory through /dev/mem: %s, refused 1 time" % boot.target.refusal,
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
    if "joined" in boot.options:
        report("\njoined: %d of these pages\n" % boot.target.joined(boot.options) in text, "pages are joined", "")
    report("memory types from: %s\n" % boot.target.memory_types in text, "memory has the types that the machine gives it", "")
    total, counts = profile(boot.hypervisor)
    frequent, faults = boot.target.frequent, boot.target.faults
    report(total is not None and total == sum(map(sum, counts.values())), "the exit profile adds up", str(counts))
    if frequent and (boot.cpus == 2 or frequent == "CPUID"):
        each = counts.get(frequent, [0])
        report(sum(each) > 100 and all(each), "every CPU is a guest: it exits for %s" % frequent, str(each))
    if "work" in boot.options:
        refused = re.findall(r"refused: the hypervisor's memory: .*guest-physical (0x[0-9a-f]+)", text)
        report([int(gpa, 16) >> 12 for gpa in refused] == [boot.target.refused_page], "one access to the hypervisor's memory is logged",
               str(refused))
        each = [sum(column) for column in zip(*[counts.get(fault, [0] * boot.cpus) for fault in faults])]
        report(sum(each) > 256, "faults of the second level are in the profile", str(counts))
        if boot.cpus == 2:
            report(all(each), "both CPUs faulted", str(each))


# ---- the ways to run it ----

def time_both(text, folder):
    """The best boot times of a few rounds without and with the hypervisor, one after the other."""
    best = {}
    for _ in range(ROUNDS):
        for kind in ("bare", ""):
            took = Boot(text.partition(":")[0] + (":" + kind if kind else "")).run(folder).boot_time()
            if took is not None:
                best[kind] = min(took, best.get(kind, took))
        if len(best) == 2 and best[""] <= SLOWER_AT_MOST * best["bare"]:
            break  # under load one round may tell nothing
    return best.get("bare"), best.get("")


def why_not(machines, folder):
    """Why these cannot boot here, in words; None: they can."""
    missing = sorted({one.package for one in machines if not one.binary})
    if missing:
        return "not installed: %s" % ", ".join(missing)
    for one in machines:
        if one.cannot():
            return one.cannot()
        if not os.path.exists(os.path.join(folder, one.init)):
            return "no compiler or no static C library for %s" % one.package_architecture
        try:
            kernel(os.path.join(folder, "kernel"), one.package_architecture)
        except (NoKernel, OSError, subprocess.SubprocessError) as why:
            return str(why).replace("\n", " ")
    return None


def tap(folder, boots):
    why = why_not([Boot(text).target for text in boots], folder)
    if why:
        print("1..0 # SKIP " + why)
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
            bare, with_it = time_both(current, folder)
            report(bare is not None and with_it is not None and with_it <= SLOWER_AT_MOST * bare,
                   "boots in at most %g times what it takes without a hypervisor" % SLOWER_AT_MOST,
                   "without %s s, with %s s" % (bare, with_it))
            times = tuple("%.2f" % took if took else took for took in (bare, with_it))
            print("# user space after %s s of processor time without, %s s with it" % times)
            continue
        boot = Boot(current).run(folder)
        took = boot.boot_time()
        print("# %s: user space after %s s of processor time, all of it %.1f s" % (current, "%.1f" % took if took else "?", boot.seconds))
        before = failures
        judge(boot, report)
        if failures > before:
            for line in boot.hypervisor[-30:] + boot.linux[-30:] + boot.log[-15:]:
                print("# " + line)
        sys.stdout.flush()
    print("1..%d" % number)
    return 1 if failures else 0


def demo(folder):
    """A line for each machine, which grows as it goes; at the end all that the last one said of itself."""
    last, failed = None, 0
    for text in ("qemu-svm:work", "bochs-tigerlake:work", "bochs-ryzen:work", "qemu-arm:work", "qemu-riscv:work"):
        boot = Boot(text)
        print("%-44s" % boot.target.title, end="", flush=True)
        why = why_not([boot.target], folder)
        if why:
            print(" skipped: " + why)
            continue

        def progress(line):
            for mark, words in ((LINUX_BEGINS, " Linux begins"), (USER_SPACE, ", user space"), ("linux| good: ", "."),
                                (DONE, " done")):
                if mark in line:
                    print(words, end="", flush=True)

        boot.run(folder, echo=progress)
        bad = []
        judge(boot, lambda holds, name, detail: None if holds else bad.append("%s (%s)" % (name, detail)))
        total, _ = profile(boot.hypervisor)
        took = boot.boot_time()
        print("; FAILED: " + "; ".join(bad) if bad else "; user space after %.1f s of processor time, %d exits, all of it %.1f s"
              % (took, total, boot.seconds))
        failed += bool(bad)
        last = boot
    if last is None:
        return 1
    print("\nWhat %s said at the end:" % last.target.title)
    begin = next((i for i, line in enumerate(last.all) if USER_SPACE in line), 0)
    print("\n".join(last.all[begin:]))
    bare, with_it = time_both("qemu-svm", folder)
    if bare and with_it:
        print("QEMU, SVM: user space after %.2f s of processor time without the hypervisor, %.2f s with it" % (bare, with_it))
    return 1 if failed else 0


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "tap":
        return tap(arguments[1], arguments[2:])
    if len(arguments) == 2 and arguments[0] == "demo":
        return demo(arguments[1])
    if len(arguments) == 3 and arguments[0] == "show":
        boot = Boot(arguments[2]).run(arguments[1], echo=lambda line: print(line, flush=True))
        print("%.1f s%s" % (boot.seconds, "" if boot.finished() else "; " + boot.why))
        return 0 if boot.finished() else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
