#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Instructions that each main job of EPT takes, counted by callgrind and held against the record, counts.csv.

usage: counts.py PROGRAM COMPILER [--record | --show]
  PROGRAM    hvpt-counts, from counts.c
  COMPILER   what built it, as in the record: "gcc 12.2.0 x86_64"
  --record   write what is counted as the new record of this compiler
  --show     only print it
Without an option it speaks TAP: a job that takes 5 % more than its record fails; one that takes 5 % less asks for a new
record. A compiler that has no record is not judged, and neither is a machine without valgrind.
"""
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RECORD = Path(__file__).resolve().parent / "counts.csv"
SLACK = 0.05
# A test runner may have freed memory overwritten, and the C library's filling would be counted as ours.
QUIET = {name: value for name, value in os.environ.items() if name != "MALLOC_PERTURB_"}


def count(program):
    """Each job's instructions for one unit of its work, by name and in order, or a string that says what went wrong."""
    with tempfile.TemporaryDirectory() as work:
        # A dump at each return of counted(), numbered in the order of the jobs; the last file is what came after them.
        result = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=counted", "--dump-after=counted",
                                 f"--callgrind-out-file={work}/out", program],
                                capture_output=True, text=True, check=False, env=QUIET)
        if result.returncode != 0:
            return result.stderr
        jobs = [line.split("\t") for line in result.stdout.splitlines()]
        counts = {}
        for number, (name, units) in enumerate(jobs, 1):
            total = re.search(r"^(?:totals|summary): (\d+)", Path(f"{work}/out.{number}").read_text(), re.M)
            counts[name] = int(total.group(1)) / int(units)
    return counts


def read_record():
    if not RECORD.is_file():
        return {}
    with RECORD.open(newline="", encoding="utf-8") as data:
        return {(row["compiler"], row["job"]): float(row["instructions"]) for row in csv.DictReader(data)}


def write_record(record, compiler, counts):
    """Other compilers' records stay as they are."""
    kept = {key: value for key, value in record.items() if key[0] != compiler}
    kept.update({(compiler, name): value for name, value in counts.items()})
    with RECORD.open("w", newline="", encoding="utf-8") as data:
        writer = csv.writer(data, lineterminator="\n")
        writer.writerow(["compiler", "job", "instructions"])
        for (by, name), value in sorted(kept.items(), key=lambda item: item[0][0]):
            writer.writerow([by, name, f"{value:.3f}"])


def judge(record, compiler, counts):
    failed = 0
    names = list(counts) + [name for by, name in record if by == compiler and name not in counts]
    print("TAP version 13")
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        was, now = record.get((compiler, name)), counts.get(name)
        if was is None or now is None:
            complaint = "it is not in the record" if was is None else "it is in the record, and no job"
        else:
            complaint = "" if now <= was * (1 + SLACK) else "grew by more than 5 %"
        said = "" if was is None or now is None else f": {now:.2f} instructions a unit, {was:.2f} in the record"
        failed += bool(complaint)
        print(f"{'not ok' if complaint else 'ok'} {number} - {name}{said}")
        if complaint:
            print(f"  ---\n  {complaint}; if it must be, counts.py --record\n  ...")
        elif now < was * (1 - SLACK):
            print(f"# {name} takes 5 % less than its record: lower it, with counts.py --record")
    return 1 if failed else 0


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, compiler, option = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
    record = read_record()
    if not option and not any(by == compiler for by, _ in record):
        print(f"1..0 # SKIP no record of instruction counts for {compiler}")
        return 0
    if not shutil.which("valgrind"):
        print("1..0 # SKIP no valgrind (Debian: valgrind)")
        return 0
    counts = count(program)
    if isinstance(counts, str):
        print(f"TAP version 13\n1..1\nnot ok 1 - {program} runs under callgrind")
        sys.stderr.write(counts)
        return 1
    if option == "--record":
        write_record(record, compiler, counts)
    elif option == "--show":
        for name, value in counts.items():
            print(f"{name:<44} {value:10.2f}")
    else:
        return judge(record, compiler, counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
