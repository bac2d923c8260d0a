#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# All headers together, compiled for real: one unit with everything, two units linked, and what the objects need from
# outside. Every inline function is emitted, called or not (-fkeep-inline-functions), so that nothing hides.
# usage: objects.py SOURCE_ROOT
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

    def compile(self, argv, names, stem, *more, entry="unit"):
        """(path, None) or (None, what was wrong)."""
        if isinstance(argv, tap.Skip):
            return None, argv
        path = self.scratch / (stem.replace(" ", "_").replace("/", "_") + ".o")
        wrong = compilers.compile_text(argv, self.include, everything(names, entry), "-O1", "-c", "-o", str(path), *more)
        return (None, wrong) if wrong else (path, None)

    def one_unit(self, argv, names, stem):
        return self.compile(argv, names, stem)[1]

    def kept(self, argv, names, stem):
        """The unit with every inline function emitted, compiled once and judged by several cases."""
        with self.lock.setdefault(stem, threading.Lock()):
            if stem not in self.done:
                self.done[stem] = self.compile(argv, names, stem, "-fkeep-inline-functions", "-fno-pic")
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
        return self.compile(argv, names, stem, "-O2", "-fkeep-inline-functions",
                            f"-Wframe-larger-than={STACK_FRAME_LIMIT}")[1]

    def no_foreign_registers(self, argv, names, stem, level):
        """The compiler touches no FPU and calls no library, at any level of optimisation."""
        path, wrong = self.compile(argv, names, f"{stem} {level}", level, "-fno-pic")
        if wrong:
            return wrong
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True,
                              check=True).stdout
        foreign = [line.strip() for line in text.splitlines() if FOREIGN_REGISTERS.search(line)]
        if foreign:
            return f"{len(foreign)} instructions, the first: {foreign[0]}"
        text = subprocess.run(["nm", "-u", str(path)], capture_output=True, text=True, check=True).stdout
        extra = {line.split()[-1] for line in text.splitlines()} - ALLOWED_UNDEFINED
        return f"needs from outside: {' '.join(sorted(extra))}" if extra else None

    def costs_nothing(self, argv, names, stem):
        """Including every header and using none leaves nothing in the object, also without optimisation."""
        if isinstance(argv, tap.Skip):
            return argv
        path = self.scratch / (stem.replace(" ", "_") + ".o")
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
        code, user = (str(self.scratch / f"{stem}_{part}.o".replace(" ", "_")) for part in ("code", "user"))
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
        done = subprocess.run(["gcc", "-nostdlib", "-static", "-o", str(self.scratch / "apart"), user, code],
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr

    def unit(self, argv, half, stem):
        """unit.c itself, by a compiler of C++: in C++ an attribute may not stand before extern "C"."""
        if isinstance(argv, tap.Skip):
            return argv
        text = (self.include / half / "unit.c").read_text()
        return compilers.compile_text([*argv, "-I", str(self.include / half)], self.include, text, "-O0", "-c", "-o",
                                      str(self.scratch / f"{stem}_unit.o".replace(" ", "_")))

    def two_units(self, argv, names, stem):
        units = []
        for entry in ("_start", "other"):
            path, wrong = self.compile(argv, names, f"{stem} {entry}", entry=entry)
            if wrong:
                return wrong
            units.append(str(path))
        language_free = [word for word in argv if not word.startswith("-std=") and word not in ("-x", "c", "c++")]
        done = subprocess.run([*language_free, "-static", "-o", str(self.scratch / "linked"), *units],
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr


def cases(include, scratch):
    objects = Objects(include, scratch)
    for family, target, standard in compilers.combinations():
        if standard in ("c17", "c2x"):
            continue
        argv = compilers.command(family, target, standard)
        names = compilers.headers(include, target)
        label = f"{family} {target.name} {standard}"
        yield (f"all headers in one unit, {label}",
               lambda argv=argv, names=names, label=label: objects.one_unit(argv, names, f"one {label}"))

        if target.name in ("i386", "i386 kernel", "x86-64 kernel") and standard == "c11":
            keep = ["-fkeep-inline-functions"] if family == "gcc" else []
            for level in ("-Os", "-O2"):
                yield (f"no register of the FPU and no library, {label} {level}",
                       lambda argv=argv, keep=keep, names=names, label=label, level=level: argv if isinstance(
                           argv, tap.Skip) else objects.no_foreign_registers([*argv, *keep], names, f"registers {label}",
                                                                             level))
        if family != "gcc" or standard != "c11":
            continue
        nm = (target.gcc or "") + "nm"
        for half in ("hvpt", "hvctl"):
            part = [name for name in names if name.startswith(half + "/")]
            stem = f"kept {half} {label}"
            yield (f"{half}: no symbol needed from outside, {label}",
                   lambda argv=argv, part=part, stem=stem, nm=nm: objects.needs_nothing(argv, part, stem, nm))
            yield (f"{half}: no global state, {label}",
                   lambda argv=argv, part=part, stem=stem, nm=nm: objects.no_writable_data(argv, part, stem, nm))
            yield (f"{half}: every function has its prefix, {label}",
                   lambda argv=argv, part=part, stem=stem, nm=nm: objects.prefixed(argv, part, stem, nm))
        if target.name in FRAME_TARGETS:
            pure = [name for name in names if name.startswith("hvpt/")]
            yield (f"hvpt: no stack frame above {STACK_FRAME_LIMIT} bytes, {label}",
                   lambda argv=argv, pure=pure, label=label: objects.small_frames(argv, pure, f"frames {label}"))

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


def main(root):
    with tempfile.TemporaryDirectory() as scratch:
        return tap.run(list(cases(Path(root) / "include", scratch)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
