#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# All headers together, compiled for real: what the objects hold and need from outside, two units linked, headers that are
# not used. Every inline function is emitted, called or not, so that nothing hides. That every compiler takes all headers in
# one unit, in every standard, matrix.py sees to.
# usage: objects.py SOURCE_ROOT [words that the name of a case must have]
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import compilers
import tap

# A freestanding compiler may call these on its own for struct copies and initializers; each kernel has them.
ALLOWED_UNDEFINED = {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
STACK_FRAME_LIMIT = 512  # bytes, the contract that kernels with small stacks rely on
# gcc's frames, for every target; clang's are measured by tests/unit/hvpt/stack.py.
FRAME_TARGETS = ("x86-64", "x86-64 kernel", "i386", "i386 kernel", "aarch64", "riscv64")
# What a kernel may not touch between a guest's instructions: registers of the FPU, MMX and SSE.
FOREIGN_REGISTERS = re.compile(r"%(st\b|st\(|mm\d|xmm|ymm|zmm)|\bf(ild|istp|ld|stp)")


def everything(names, entry):
    return "".join(f"#include <{name}>\n" for name in names) + f"int {entry}(void);\nint {entry}(void) {{ return 0; }}\n"


class Objects:
    def __init__(self, include, scratch):
        self.include = include
        self.scratch = Path(scratch)
        self.done = {}
        self.lock = {}

    def path(self, stem):
        return self.scratch / (stem.replace(" ", "_").replace("/", "_") + ".o")

    def compile(self, argv, names, stem, *more, entry="unit"):
        """(path, None) or (None, what was wrong)."""
        if isinstance(argv, tap.Skip):
            return None, argv
        path = self.path(stem)
        wrong = compilers.compile_text(argv, self.include, everything(names, entry), "-c", "-o", str(path), *more)
        return (None, wrong) if wrong else (path, None)

    def kept(self, argv, names, stem, level="-O2", position="-fno-pic"):
        """The unit with every function emitted, called or not, compiled once and judged by several cases."""
        stem = f"{stem} {level} {position}"
        with self.lock.setdefault(stem, threading.Lock()):
            if stem not in self.done:
                keep = compilers.EMIT_ALL["clang" if "clang" in argv[0] else "gcc"]
                self.done[stem] = self.compile(argv, names, stem, level, keep, position, "-fstack-usage")
        return self.done[stem]

    def symbols(self, argv, names, stem, nm):
        """Lines of nm as (kind, name), or what was wrong."""
        path, wrong = self.kept(argv, names, stem)
        if wrong:
            return None, wrong
        text = subprocess.run([nm, str(path)], capture_output=True, text=True, check=True).stdout
        return [line.split()[-2:] for line in text.splitlines()], None

    def needs_nothing(self, argv, names, stem, nm):
        symbols, wrong = self.symbols(argv, names, stem, nm)
        if wrong:
            return wrong
        extra = {name for kind, name in symbols if kind == "U"} - ALLOWED_UNDEFINED
        return f"needs from outside: {' '.join(sorted(extra))}" if extra else None

    def no_writable_data(self, argv, names, stem, nm):
        symbols, wrong = self.symbols(argv, names, stem, nm)
        if wrong:
            return wrong
        state = [name for kind, name in symbols if kind in "bBdDC"]
        return f"global state: {' '.join(state)}" if state else None

    def prefixed(self, argv, names, stem, nm):
        symbols, wrong = self.symbols(argv, names, stem, nm)
        if wrong:
            return wrong
        foreign = [name for kind, name in symbols if kind in "tT" and not name.startswith(("hvpt_", "hvctl_", "unit"))]
        return f"without prefix: {' '.join(foreign)}" if foreign else None

    def small_frames(self, argv, names, stem):
        # On i386 alone position-independent code needs a register more, and so may need more stack.
        position = "-fpic" if "-m32" in argv and "-fno-pic" not in argv else "-fno-pic"
        path, wrong = self.kept(argv, names, stem, position=position)
        if wrong:
            return wrong
        rows = [line.split("\t") for line in path.with_suffix(".su").read_text().splitlines()]
        large = [f"{row[0]}: {row[1]} bytes" for row in rows if int(row[1]) > STACK_FRAME_LIMIT or row[2] == "dynamic"]
        return "\n".join(large) if large else None if rows else "no frame was seen"

    def no_foreign_registers(self, argv, halves, stem, level):
        """The compiler touches no FPU and calls no library, at any level of optimisation."""
        for half, names in halves.items():
            path, wrong = self.kept(argv, names, stem.format(half=half), level)
            if wrong:
                return wrong
            text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True,
                                  check=True).stdout
            foreign = [line.strip() for line in text.splitlines() if FOREIGN_REGISTERS.search(line)]
            if foreign:
                return f"{len(foreign)} instructions, the first: {foreign[0]}"
            symbols = [line.split()[-2:] for line in subprocess.run(["nm", str(path)], capture_output=True, text=True,
                                                                    check=True).stdout.splitlines()]
            if not any(kind in "tTW" and name.startswith(f"{half}_") for kind, name in symbols):
                return f"the object holds nothing of {half}"
            extra = {name for kind, name in symbols if kind == "U"} - ALLOWED_UNDEFINED
            if extra:
                return f"needs from outside: {' '.join(sorted(extra))}"
        return None

    def costs_nothing(self, argv, names, stem):
        """Including every header and using none leaves nothing in the object, also without optimisation."""
        if isinstance(argv, tap.Skip):
            return argv
        path = self.path(stem)
        text = "".join(f"#include <{name}>\n" for name in names)
        wrong = compilers.compile_text(argv, self.include, text, "-O0", "-c", "-o", str(path))
        if wrong:
            return wrong
        sections = subprocess.run(["size", "-A", "-d", str(path)], check=True, capture_output=True, text=True).stdout
        held = re.findall(r"^(\.(?:text|data|rodata|bss)\S*)\s+([1-9]\d*)", sections, re.M)
        return f"bytes of what nobody asked for: {held}" if held else None

    def linked_apart(self, argv, half, stem):
        """With HVPT_EXTERN and HVCTL_EXTERN a program has the prototype of every call that unit.c defines, and no code."""
        if isinstance(argv, tap.Skip):
            return argv
        code, user = (str(self.path(f"{stem} {part}")) for part in ("code", "user"))
        unit = (self.include / half / "unit.c").read_text()
        wrong = compilers.compile_text([*argv, "-I", str(self.include / half)], self.include, unit, "-O1", "-c", "-o", code)
        if wrong:
            return wrong
        symbols = subprocess.run(["nm", code], check=True, capture_output=True, text=True).stdout
        calls = re.findall(r"^\S+ T (\w+)$", symbols, re.M)
        if not calls:
            return "unit.c defines nothing"
        names = [name for name in compilers.headers(self.include, compilers.TARGETS[0]) if name.startswith(half + "/")
                 and not name.startswith(("hvpt/engine/", "hvpt/explain/"))]  # the code that unit.c holds
        text = "#define HVPT_EXTERN\n#define HVCTL_EXTERN\n" + "".join(f"#include <{name}>\n" for name in names)
        text += "typedef void call(void);\ncall *const calls[] = {" + ", ".join(f"(call *){name}" for name in calls) + "};\n"
        text += "void _start(void);\nvoid _start(void) { calls[0](); }\n"
        wrong = compilers.compile_text(argv, self.include, text, "-O1", "-w", "-c", "-o", user)
        if wrong:
            return wrong
        own = subprocess.run(["nm", user], check=True, capture_output=True, text=True).stdout
        kept = re.findall(r"^\S+ [tT] ((?:hvpt|hvctl)_\w+)$", own, re.M)
        if kept:
            return f"code in the unit that has prototypes only: {' '.join(kept)}"
        theirs = (f"-Wl,--defsym={name}=0" for name in sorted(ALLOWED_UNDEFINED) if name.startswith("mem"))
        done = subprocess.run(["gcc", "-nostdlib", "-static", *theirs, "-o", str(self.path(f"{stem} linked")), user, code],
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr

    def unit(self, argv, half, stem):
        """unit.c itself, by a compiler of C++: in C++ an attribute may not stand before extern "C"."""
        if isinstance(argv, tap.Skip):
            return argv
        text = (self.include / half / "unit.c").read_text()
        return compilers.compile_text([*argv, "-I", str(self.include / half)], self.include, text, "-O0", "-c", "-o",
                                      str(self.path(f"{stem} unit")))

    def two_units(self, argv, names, stem):
        units = []
        for entry in ("_start", "other"):
            path, wrong = self.compile(argv, names, f"{stem} {entry}", "-O1", entry=entry)
            if wrong:
                return wrong
            units.append(str(path))
        language_free = [word for word in argv if not word.startswith("-std=") and word not in ("-x", "c", "c++")]
        done = subprocess.run([*language_free, "-static", "-o", str(self.path(f"{stem} linked")), *units],
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr


def cases(include, scratch):
    objects = Objects(include, scratch)
    for family, target, standard in compilers.combinations():
        if standard != "c11":
            continue
        argv = compilers.command(family, target, standard)
        names = compilers.headers(include, target)
        label = f"{family} {target.name} {standard}"
        halves = {half: [name for name in names if name.startswith(half + "/")] for half in ("hvpt", "hvctl")}
        stem = f"kept {{half}} {label}"
        if target.name in ("i386", "i386 kernel", "x86-64 kernel"):
            for level in ("-Os", "-O2") if family == "gcc" else ("-O2",):
                yield (f"no register of the FPU and no library, {label} {level}",
                       lambda argv=argv, halves=halves, stem=stem, level=level: objects.no_foreign_registers(
                           argv, halves, stem, level))
        if family != "gcc":
            continue
        nm = (target.gcc or "") + "nm"
        for half, part in halves.items():
            for says, judge in (("no symbol needed from outside", objects.needs_nothing),
                                ("no global state", objects.no_writable_data),
                                ("every function has its prefix", objects.prefixed)):
                yield (f"{half}: {says}, {label}",
                       lambda argv=argv, part=part, stem=stem.format(half=half), nm=nm, judge=judge: judge(
                           argv, part, stem, nm))
        if target.name in FRAME_TARGETS:
            yield (f"hvpt: no stack frame above {STACK_FRAME_LIMIT} bytes, {label}",
                   lambda argv=argv, part=halves["hvpt"], stem=stem.format(half="hvpt"): objects.small_frames(
                       argv, part, stem))

    native = compilers.TARGETS[0]
    names = compilers.headers(include, native)
    for target in compilers.TARGETS:
        if target.gcc is not None and target is not native:
            argv = compilers.command("gcc", target, "c11")
            label = f"gcc {target.name} c11"
            yield (f"two units with all headers link, {label}",
                   lambda argv=argv, target=target, label=label: argv if isinstance(argv, tap.Skip) else objects.two_units(
                       argv, compilers.headers(include, target), f"two {label}"))
    for half in ("hvpt", "hvctl"):
        yield (f"{half}: linked from unit.c, prototypes elsewhere, gcc c11",
               lambda half=half: objects.linked_apart(compilers.command("gcc", native, "c11"), half, f"apart {half}"))
        for family in ("gcc", "clang"):
            yield (f"{half}/unit.c, {family} c++17",
                   lambda half=half, family=family: objects.unit(compilers.command(family, native, "c++17"), half, f"{half} {family}"))
    for standard in ("c11", "c++17"):
        yield (f"headers that are included and not used cost nothing at -O0, gcc {standard}",
               lambda standard=standard: objects.costs_nothing(compilers.command("gcc", native, standard), names,
                                                               f"unused {standard}"))
    for family, standard in (("gcc", "c11"), ("gcc", "c++17"), ("clang", "c11")):
        argv = compilers.command(family, native, standard)
        if family == "clang" and not isinstance(argv, tap.Skip):
            argv = [*argv, "-Wno-unused-command-line-argument"]
        yield (f"two units with all headers link, {family} {standard}",
               lambda argv=argv, stem=f"two {family} {standard}": objects.two_units(argv, names, stem))


def main(root, words=""):
    with tempfile.TemporaryDirectory() as scratch:
        return tap.run([case for case in cases(Path(root) / "include", scratch) if words in case[0]])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
