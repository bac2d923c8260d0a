#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Runs the bare-metal kernels on emulated machines.

  run.py demo                       the demo on all machines, one after the other, for a person ($HVPT_BUILD: build folder)
  run.py tap ROM MACHINE...         a kernel of checks on these machines at once, as TAP; with HVPT_MILLION set, of
                                    NAME.rom the larger NAME-million.rom, if there is one, with two hours for each
  run.py show ROM MACHINE           what a kernel prints, as it is, and the emulator's log if it goes wrong
  run.py list                       the machines, and whether they are installed
"""
import importlib
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing is left in the source tree
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import deviations
from emulator import MACHINES, run

# What the demo runs: machine, and the kernel's path below tests/machine in the build folder.
DEMO = [(name, "x86/machine-demo.rom") for name in ("bochs-tigerlake", "qemu-svm", "bochs-ryzen")]
# Every other architecture brings its own machines, deviations and demo in FOLDER/machines.py.
for folder in ("aarch64", "riscv64"):
    if os.path.exists(os.path.join(HERE, folder, "machines.py")):
        other = importlib.import_module(folder + ".machines")
        MACHINES.update(other.MACHINES)
        deviations.DEVIATIONS.extend(other.DEVIATIONS)
        DEMO.extend(other.DEMO)

# Seconds of a processor, to end what hangs, not to judge what is slow: a run takes a tenth at most. The limits of meson.build
# are of time, and larger, for all machines of a test together on a loaded computer.
DEMO_LIMIT = 300
TAP_LIMIT = 600
LONG_LIMIT = 1200
MILLION_LIMIT = 7200
CHECK = re.compile(r"(ok|not ok|skip) ([^|]*?)(?: \| (.*))?$")


def tap(rom, names):
    """Prints TAP for all the machines and returns the exit code."""
    limit, larger = TAP_LIMIT, rom.removesuffix(".rom") + "-million.rom"
    if os.path.exists(larger):
        limit = LONG_LIMIT
        if os.environ.get("HVPT_MILLION"):
            rom, limit = larger, MILLION_LIMIT
    machines = [(name, MACHINES[name]) for name in names]
    present = [(name, machine) for name, machine in machines if machine.binary]
    missing = sorted({machine.package for _, machine in machines if not machine.binary})
    if not present:
        print("1..0 # SKIP not installed: %s" % ", ".join(missing))
        return 0
    print("TAP version 13")
    number, good = 0, True
    judged = []  # emulator, version, check, whether it held

    def report(ok, name, directive="", block=()):
        nonlocal number
        number += 1
        # A '#' would begin a directive
        print("%s %d - %s%s" % ("ok" if ok else "not ok", number, name.replace("#", ""), directive))
        if block:
            print("\n".join(["  ---"] + ["  " + line for line in block] + ["  ..."]))

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        runs = []
        for i, (name, machine) in enumerate(present):
            if i:
                time.sleep(0.2)  # Bochs has been seen to crash when several start in the same instant
            runs.append((name, machine, pool.submit(run, machine, rom, limit)))
    for name, machine, future in runs:
        result = future.result()
        version = machine.version()
        print("# %s, version %s, %.1f s" % (machine.title, ".".join(map(str, version)), result.seconds))
        seen = 0
        announced = None
        for line in result.lines:
            match = CHECK.match(line)
            if not match:
                print("# " + line)
                summary = re.match(r"checks: (\d+)", line)
                announced = int(summary[1]) if summary else announced
                continue
            seen += 1
            kind, check, detail = match.groups()
            where = "%s: %s" % (name, check)
            if kind == "skip":
                report(True, where, " # SKIP " + detail)
                continue
            judged.append((machine.name, version, check, kind == "ok"))
            if kind == "ok":
                report(True, where)
                continue
            got = re.search(r"got (.*)$", detail or "")
            excuse = deviations.find(machine.name, version, check, got[1] if got else "")
            if excuse:
                report(False, where, " # TODO known deviation: %s; manual: %s" % (detail, excuse.manual))
            else:
                report(False, where, block=[detail or "no detail"])
                good = False
        finished = result.complete and announced == seen
        why = result.why or "it announced %s checks and printed %d" % (announced, seen)
        last = [line for line in result.lines if line.startswith("panic: ")] or result.lines[-1:] or ["nothing"]
        report(finished, "%s: the kernel comes to its end" % name,
               block=[] if finished else [why, "last line: " + last[0]] + ["log: " + line for line in result.log[-30:]])
        good = good and finished
    for record in deviations.unused(judged):
        report(False, "%s: the known deviation is still needed: %s" % (record.emulator, record.check),
               block=["it did not show on any of these machines", "manual: " + record.manual])
        good = False
    for name, machine in machines:
        if not machine.binary:
            report(True, "%s: runs" % name, " # SKIP %s is not installed" % machine.package)
    print("1..%d" % number)
    return 0 if good else 1


def demo():
    """The demo on every machine, as it comes. Returns the exit code."""
    build = os.environ.get("HVPT_BUILD")
    if not build:
        sys.exit("run.py: set HVPT_BUILD to the meson build folder")
    roms = [os.path.join(build, "tests", "machine", path) for _, path in DEMO]
    if not any(map(os.path.exists, roms)):
        sys.exit("run.py: %s is not there; build it with: ninja -C %s machine-demo" % (roms[0], build))
    summary = []
    for (name, _), rom in zip(DEMO, roms):
        machine = MACHINES[name]
        print("=" * 100)
        print(machine.title)
        print("=" * 100, flush=True)
        if not machine.binary:
            print("not installed (package %s)\n" % machine.package)
            summary.append((None, machine, "not installed (package %s)" % machine.package, 0))
            continue
        if not os.path.exists(rom):
            print("its kernel was not built: no compiler for it\n")
            summary.append((None, machine, "not built: no compiler for it", 0))
            continue
        result = run(machine, rom, DEMO_LIMIT, echo=lambda text: (sys.stdout.write(text), sys.stdout.flush()))
        last = next((line for line in reversed(result.lines) if line.startswith("result: ")), "")
        good = result.complete and last.startswith("result: good")
        if not good:
            for line in result.log[-20:]:
                print("log: " + line)
        what = last[len("result: "):] if last else "no result: " + (result.why or "the kernel gave none")
        summary.append((good, machine, what, result.seconds))
        print()
    print("=" * 100)
    for good, machine, what, seconds in summary:
        mark = "skipped" if good is None else "good" if good else "FAILED"
        print("%-8s %-42s %5.2f s  %s" % (mark, machine.title, seconds, what.removeprefix("good: ")))
    return 0 if all(good for good, *_ in summary) else 1


def show(rom, name):
    result = run(MACHINES[name], rom, MILLION_LIMIT if rom.endswith("-million.rom") else TAP_LIMIT, echo=sys.stdout.write)
    if not result.complete:
        print("\n".join(result.log[-40:]))
        print("run.py: " + result.why)
    print("%.2f s" % result.seconds)
    return 0 if result.complete else 1


def main(arguments):
    if arguments == ["demo"]:
        return demo()
    if arguments == ["list"]:
        for name, machine in MACHINES.items():
            print("%-16s %-36s %s" % (name, machine.title, machine.binary or "not installed (package %s)" % machine.package))
        return 0
    if len(arguments) >= 3 and arguments[0] == "tap":
        return tap(arguments[1], arguments[2:])
    if len(arguments) == 3 and arguments[0] == "show":
        return show(*arguments[1:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
