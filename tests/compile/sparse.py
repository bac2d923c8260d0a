#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Linux' checker over all headers, with every warning that it has: it sees what compilers let pass, a constant too wide for its
# type, two address spaces mixed, a function without its prototype. The functions of each header are named, so that it looks
# into them.
# usage: sparse.py SOURCE_ROOT
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap

# It takes a static table in an inline function, looked at again for its next caller, for one that is initialised twice, and
# compares pointers after inlining.
ARGV = ["sparse", "-Wsparse-all", "-Wno-override-init", "-Wno-tautological-compare", "-Wsparse-error"]
INLINE = re.compile(r"^(?:static inline|HVPT_API|HVPT_INLINE|HVPT_FUNCTION|HVCTL_API)\b[^;{}=]*?\b(h(?:vpt|vctl)_\w+)\([^;{}]*\)\n?\s*\{", re.M)


def checked(include, names):
    if not shutil.which("sparse"):
        return tap.Skip("no sparse (Debian: sparse)")
    functions = sorted({name for header in names if header != "hvpt/debug.h"
                        for name in INLINE.findall((include / header).read_text())})
    text = "".join(f"#include <{name}>\n" for name in names)
    text += f"extern void *const seen[];\nvoid *const seen[] = {{{', '.join(functions)}}};\n"
    with tempfile.TemporaryDirectory() as scratch:
        unit = Path(scratch) / "unit.c"
        unit.write_text(text)
        done = subprocess.run([*ARGV, "-I", str(include), str(unit)], capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode or done.stderr or len(functions) < 300 else None


def main(root):
    include = Path(root) / "include"
    names = compilers.headers(include, compilers.TARGETS[0])
    return tap.run([("sparse has nothing to say of the headers", lambda: checked(include, names))])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
