#!/usr/bin/env python3
# All headers together, compiled for real: one unit with everything, two units linked, and what the objects need from
# outside. Every inline function is emitted, called or not (-fkeep-inline-functions), so that nothing hides.
# usage: objects.py SOURCE_ROOT
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap

# A freestanding compiler may call these on its own for struct copies and initializers; each kernel has them.
ALLOWED_UNDEFINED = {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
STACK_FRAME_LIMIT = 512  # bytes, the contract that kernels with small stacks rely on


def everything(names, entry):
    return "".join(f"#include <{name}>\n" for name in names) + f"int {entry}(void);\nint {entry}(void) {{ return 0; }}\n"


def undefined(nm, path):
    lines = subprocess.run([nm, "-u", str(path)], capture_output=True, text=True, check=True).stdout.split()
    return {word for word in lines if word != "U"}


class Objects:
    def __init__(self, include, scratch):
        self.include = include
        self.scratch = Path(scratch)

    def compile(self, argv, names, stem, *more, entry="unit"):
        """(path, None) or (None, what was wrong)."""
        if isinstance(argv, tap.Skip):
            return None, argv
        path = self.scratch / (stem.replace(" ", "_").replace("/", "_") + ".o")
        wrong = compilers.compile_text(argv, self.include, everything(names, entry), "-O2", "-c", "-o", str(path), *more)
        return (None, wrong) if wrong else (path, None)

    def one_unit(self, argv, names, stem):
        return self.compile(argv, names, stem)[1]

    def needs_nothing(self, argv, names, stem, nm):
        path, wrong = self.compile(argv, names, stem, "-fkeep-inline-functions")
        if wrong:
            return wrong
        extra = undefined(nm, path) - ALLOWED_UNDEFINED
        return f"needs from outside: {' '.join(sorted(extra))}" if extra else None

    def small_frames(self, argv, names, stem):
        return self.compile(argv, names, stem, "-fkeep-inline-functions", f"-Wframe-larger-than={STACK_FRAME_LIMIT}")[1]

    def no_writable_data(self, argv, names, stem, nm):
        path, wrong = self.compile(argv, names, stem, "-fkeep-inline-functions", "-fno-pic")
        if wrong:
            return wrong
        text = subprocess.run([nm, str(path)], capture_output=True, text=True, check=True).stdout
        state = [line.split()[-1] for line in text.splitlines() if line.split()[-2] in "bBdDC"]
        return f"global state: {' '.join(state)}" if state else None

    def prefixed(self, argv, names, stem, nm):
        path, wrong = self.compile(argv, names, stem, "-fkeep-inline-functions")
        if wrong:
            return wrong
        text = subprocess.run([nm, str(path)], capture_output=True, text=True, check=True).stdout
        functions = [line.split()[-1] for line in text.splitlines() if line.split()[-2] in "tT"]
        foreign = [name for name in functions if not name.startswith(("hvpt_", "hvctl_", "unit"))]
        return f"without prefix: {' '.join(foreign)}" if foreign else None

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

        if family != "gcc" or standard != "c11":
            continue
        nm = (target.gcc or "") + "nm"
        pure = [name for name in names if name.startswith("hvpt/")]
        yield (f"no symbol needed from outside, {label}",
               lambda argv=argv, names=names, label=label, nm=nm: objects.needs_nothing(argv, names, f"nm {label}", nm))
        yield (f"no global state, {label}",
               lambda argv=argv, names=names, label=label, nm=nm: objects.no_writable_data(argv, names, f"data {label}", nm))
        yield (f"hvpt: no stack frame above {STACK_FRAME_LIMIT} bytes, {label}",
               lambda argv=argv, pure=pure, label=label: objects.small_frames(argv, pure, f"frames {label}"))

    native = compilers.TARGETS[0]
    names = compilers.headers(include, native)
    argv = compilers.command("gcc", native, "c11")
    yield ("every function has its prefix", lambda argv=argv: objects.prefixed(argv, names, "prefix", "nm"))
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
