# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The compilers and targets that the headers promise to work with, the flags of each, and what is there of them.
import functools
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tap import Skip

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror".split()
FREESTANDING = "-ffreestanding -nostdlib".split()
KERNEL = "-mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic".split()

# Every inline function of C becomes part of the object, called or not. clang's -femit-all-decls does not do: what it emits
# is static and unused, and so the optimizer drops it again.
EMIT_ALL = {"gcc": "-fkeep-inline-functions", "clang": "-Dinline=__attribute__((__used__))"}

C = ("c11", "c17", "c2x")
CXX = ("c++17", "c++20", "c++23", "c++26")


@dataclass(frozen=True)
class Target:
    """A compiler for one machine. cpu says whether include/hvctl/cpu, which is x86-64 only, belongs there."""

    name: str
    gcc: str  # prefix of the cross compiler; "": an x86-64 machine's own gcc; None: there is no such gcc
    clang: tuple
    standards: tuple
    flags: tuple = ()
    cpu: bool = False


TARGETS = (
    Target("x86-64", "", ("--target=x86_64-linux-gnu",), C + CXX, cpu=True),
    Target("x86-64 kernel", "", ("--target=x86_64-linux-gnu",), ("c11", "c++17"), tuple(KERNEL), cpu=True),
    # The Pentium has CMPXCHG8B, which is all that the headers ask for. From clang 21 on i686 is a Pentium 4, with SSE2.
    Target("i386", "", ("--target=i686-linux-gnu",), ("c11", "c++17"), ("-m32", "-march=pentium")),
    Target("i386 kernel", "", ("--target=i686-linux-gnu",), ("c11", "c++17"), ("-m32", "-mgeneral-regs-only", "-fno-pic")),
    # gcc for Linux calls libgcc for its atomics unless told not to, which every kernel does.
    Target("aarch64", "aarch64-linux-gnu-", ("--target=aarch64-none-elf",), ("c11", "c++17"), ("-mno-outline-atomics",)),
    Target("riscv64", "riscv64-linux-gnu-", ("--target=riscv64-none-elf",), ("c11", "c++17")),
    Target("windows", None, ("--target=x86_64-pc-windows-msvc",), ("c11", "c++17"), cpu=True),
    Target("UEFI", None, ("--target=x86_64-unknown-windows",), ("c11", "c++17"), ("-mno-red-zone", "-fshort-wchar"),
           cpu=True),
    Target("UEFI aarch64", None, ("--target=aarch64-unknown-windows",), ("c11",)),
)


@functools.lru_cache(None)
def newest_clang():
    """Name of the newest clang on PATH, or None."""
    for name in [f"clang-{version}" for version in range(30, 13, -1)] + ["clang"]:
        if shutil.which(name):
            return name
    return None


@functools.lru_cache(None)
def major(program):
    text = subprocess.run([program, "-dumpversion"], capture_output=True, text=True).stdout
    return int(re.match(r"\d+", text).group())


@functools.lru_cache(None)
def knows(program, standard):
    """Has this compiler heard of the standard?"""
    language = "c++" if standard.startswith("c++") else "c"
    done = subprocess.run([program, f"-std={standard}", "-x", language, "-fsyntax-only", "-"], input="",
                          capture_output=True, text=True)
    return done.returncode == 0


def command(family, target, standard):
    """The compiler's argv for one standard, or Skip. family is "gcc" or "clang"."""
    cxx = standard.startswith("c++")
    if family == "clang":
        program = newest_clang()
        if program is None:
            return Skip("no clang (Debian: clang-19)")
        argv = [program, *target.clang]
    else:
        if not target.gcc and platform.machine() != "x86_64":
            return Skip("gcc of another machine than x86-64")
        program = target.gcc + ("g++" if cxx else "gcc")
        if not shutil.which(program):
            package = program if not target.gcc else f"{'g++' if cxx else 'gcc'}-{target.gcc.rstrip('-')}"
            return Skip(f"no {program} (Debian: {package})")
        argv = [program]
    if not knows(argv[0], standard):
        return Skip(f"{argv[0]} does not know {standard}")
    return argv + [f"-std={standard}", "-x", "c++" if cxx else "c", *target.flags, *FREESTANDING, *WARNINGS]


def combinations():
    """All (family, target, standard) that are promised."""
    for target in TARGETS:
        for family in ("gcc", "clang"):
            if family == "gcc" and target.gcc is None:
                continue
            for standard in target.standards:
                # Debian's cross packages named in the README bring no C++; clang covers it for these targets.
                if family == "gcc" and target.gcc and standard.startswith("c++"):
                    continue
                yield family, target, standard


def headers(include, target=None):
    """Public headers as written in an #include, those that belong to target."""
    names = sorted(path.relative_to(include).as_posix() for path in Path(include).rglob("*.h"))
    return [name for name in names if target is None or target.cpu or not name.startswith("hvctl/cpu/")]


def compile_text(argv, include, text, *more):
    """Compile text from stdin; None, or what the compiler said."""
    done = subprocess.run([*argv, "-I", str(include), *more, "-"], input=text, capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr or f"exit code {done.returncode}")
