#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Bytes of code that all operations of a format take together, as a kernel would compile them, held against size.csv.

usage: size.py [--record | --show]
  --record   write what is measured as the new record
  --show     only print it
Without an option it speaks TAP: a size that is 5 % above its record fails; one 5 % below asks for a new record. Other
versions of gcc than the record's are not judged. Two whole units have goals besides, in bytes of code and in seconds of a
processor that compiling them may take.
"""
import csv
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "bench" / "size.csv"
SLACK = 0.05

HEADERS = {"ept": "ept.h", "npt": "npt.h", "s2": "stage2.h", "gstage": "gstage.h"}
# What a hypervisor cannot do without; every operation; and the words that explain an access.
INIT = ["init", "adopt"]  # of the format; the rest is for all of them
FEW = "init destroy root map unmap protect translate flush".split()
ALL = FEW + ("adopt replace fault_map touch translate_batch walk next_leaf split collapse age dirty write_protect "
             "frames_needed reserve stats").split()
SETS = {"all operations": ALL, "eight operations": FEW, "explain": ["explain"], "map alone": ["map"],
        "translate alone": ["translate"], "explain its own": ["explain"]}
FORMATS_OF = {"ept+npt": ["ept", "npt"], "all four": list(HEADERS)}

KERNEL = ("-std=c11 -ffreestanding -nostdlib -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie "
          "-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -ffunction-sections").split()
ROWS = [(fmt, "all operations", option) for fmt in [*HEADERS, *FORMATS_OF] for option in ("-O2", "-Os")] + \
       [("ept", what, option) for what in ("eight operations", "explain", "explain its own", "map alone", "translate alone")
        for option in ("-O2", "-Os")]


def measure(row):
    """Bytes in the .text sections of one unit that takes the address of each operation, and so has all of them."""
    fmt, what, option = row
    formats = FORMATS_OF.get(fmt, [fmt])
    names = [f"hvpt_space_{operation}" for operation in SETS[what] if operation not in INIT]
    names += [f"hvpt_{one}_{operation}" for operation in SETS[what] if operation in INIT for one in formats]
    if what == "explain its own":
        names = [f"hvpt_{one}_explain" for one in formats]
    text = "".join(f"#include <hvpt/{HEADERS[one]}>\n" for one in formats)
    text += "typedef void operation(void);\noperation *const operations[] = {\n"
    text += "".join(f"    (operation *){name},\n" for name in names) + "};\n"
    with tempfile.TemporaryDirectory() as work:
        source, unit = os.path.join(work, "all.c"), os.path.join(work, "all.o")
        Path(source).write_text(text, encoding="utf-8")
        subprocess.run(["gcc", option, *KERNEL, "-w", "-I", ROOT / "include", "-c", source, "-o", unit], check=True)
        sections = subprocess.run(["size", "-A", "-d", unit], check=True, capture_output=True, text=True).stdout
    return sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", sections, re.M))


def units():
    """Each unit that has a goal: its name, what gcc is told, bytes of code and seconds at most."""
    names = [f"hvpt_space_{operation}" for operation in "map unmap protect translate destroy".split()] + ["hvpt_s2_init"]
    text = "#include <hvpt/stage2.h>\ntypedef void operation(void);\noperation *const operations[] = {\n"
    text += "".join(f"    (operation *){name},\n" for name in names) + "};\n"
    shim = ROOT / "integration" / "rust" / "hvpt" / "shim"
    yield "six calls on stage 2", ["-xc", "-"], text, 20_000, 2.0
    yield "the Rust crate's shim/paging.c", ["-DHVPT_RS_SIZE_SPACE=4096", "-I", shim, shim / "paging.c"], "", 60_000, 3.0


def compile_unit(arguments, text):
    """Bytes in the .text sections, and seconds of a processor."""
    with tempfile.TemporaryDirectory() as work:
        unit = os.path.join(work, "unit.o")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["gcc", "-O2", *KERNEL, "-w", "-I", ROOT / "include", *arguments, "-c", "-o", unit], check=True,
                       input=text, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        sections = subprocess.run(["size", "-A", "-d", unit], check=True, capture_output=True, text=True).stdout
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", sections, re.M)), seconds


def measure_all():
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return dict(zip(ROWS, pool.map(measure, ROWS)))


def read_record():
    """Bytes of each row, and the compiler that the record is of."""
    with RECORD.open(newline="", encoding="utf-8") as data:
        rows = list(csv.DictReader(data))
    return {(row["format"], row["what"], row["option"]): int(row["bytes"]) for row in rows}, \
        rows[0]["compiler"] if rows else ""


def write_record(compiler, sizes):
    with RECORD.open("w", newline="", encoding="utf-8") as data:
        writer = csv.writer(data, lineterminator="\n")
        writer.writerow(["compiler", "format", "what", "option", "bytes"])
        writer.writerows([compiler, *row, size] for row, size in sizes.items())


def judge(record, sizes):
    failed = 0
    goals = list(units())
    print(f"TAP version 13\n1..{len(ROWS) + 2 * len(goals)}")
    for number, row in enumerate(ROWS, 1):
        was, now = record.get(row, 0), sizes[row]
        fine = now <= was * (1 + SLACK)
        failed += not fine
        print(f"{'ok' if fine else 'not ok'} {number} - {' '.join(row)}: {now} bytes, {was} in the record")
        if not fine:
            print("  ---\n  grew by more than 5 %; if it must be, size.py --record\n  ...")
        elif now < was * (1 - SLACK):
            print(f"# {' '.join(row)} is 5 % below its record: lower it, with size.py --record")
    for number, (name, arguments, text, most, longest) in enumerate(goals):
        size, seconds = compile_unit(arguments, text)
        at = len(ROWS) + 2 * number
        failed += (size > most) + (seconds > longest)
        print(f"{'ok' if size <= most else 'not ok'} {at + 1} - {name}: {size} bytes, {most} at most")
        print(f"{'ok' if seconds <= longest else 'not ok'} {at + 2} - {name}: compiled in {seconds:.1f} s, {longest} at most")
    return 1 if failed else 0


def main():
    option = sys.argv[1] if len(sys.argv) > 1 else ""
    if option not in ("", "--record", "--show"):
        sys.exit(__doc__)
    if platform.machine() != "x86_64" or not shutil.which("gcc"):
        print("1..0 # SKIP sizes are those of gcc for x86-64")
        return 0
    version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    compiler = "gcc " + version
    record, recorded = read_record() if RECORD.is_file() else ({}, "")
    if not option and recorded != compiler:
        print(f"1..0 # SKIP the record of code sizes is for {recorded or 'no compiler'}, and this is {compiler}")
        return 0
    sizes = measure_all()
    if option == "--record":
        write_record(compiler, sizes)
    elif option == "--show":
        for row, size in sizes.items():
            print(f"{row[0]:<7} {row[1]:<17} {row[2]}  {size:>7} bytes")
        for name, arguments, text, _, _ in units():
            size, seconds = compile_unit(arguments, text)
            print(f"{name:<30} {size:>7} bytes, compiled in {seconds:.1f} s")
    else:
        return judge(record, sizes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
