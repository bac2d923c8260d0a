#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The README's examples are pieces of programs that people paste: they must compile as they stand, with all warnings, and
# do what the README says: that of hvpt when it is called on a host, that of hvctl on the emulated machines.
# usage: readme.py SOURCE_ROOT          checks, as TAP
#        readme.py SOURCE_ROOT HALF     prints the example of hvpt or hvctl
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap


def example(root, half="hvpt"):
    blocks = re.findall(r"^```c\n(.*?)^```", (Path(root) / "README.md").read_text(), re.M | re.S)
    return "".join(block for block in blocks if f"#include <{half}/" in block)


def compiles(root, half, family, target, standard):
    argv = compilers.command(family, target, standard)
    if isinstance(argv, tap.Skip):
        return argv
    if standard in compilers.CXX: # C++ warns of members that a designated initialiser leaves out; what it warns of by default counts
        argv = [word for word in argv if word not in compilers.WARNINGS or word == "-Werror"]
    return compilers.compile_text(argv, Path(root) / "include", example(root, half), "-O2", "-c", "-o", "/dev/null")


def runs(root):
    """readme_host.c plays the kernel: it supplies the frames, calls the example, and looks at the tables it made."""
    with tempfile.TemporaryDirectory() as scratch:
        piece = Path(scratch) / "example.h"
        piece.write_text(example(root))
        program = Path(scratch) / "host"
        host = Path(__file__).with_name("readme_host.c")
        done = subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-I", str(Path(root) / "include"), "-I", scratch,
                               "-o", str(program), str(host)], capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=600)
        return None if done.returncode == 0 else done.stdout + done.stderr + f"exit code {done.returncode}"


def main(root):
    cases = [(f"the README's example of {half} compiles, {family} {target.name} {standard}",
              lambda half=half, family=family, target=target, standard=standard:
              compiles(root, half, family, target, standard))
             for half in ("hvpt", "hvctl")
             for family, target, standard in compilers.combinations()
             if standard != "c++17" and (half == "hvpt" or target.cpu)] # C++17 has no designated initialisers
    cases.append(("the README's example of hvpt does what it says", lambda: runs(root)))
    return tap.run(cases)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.stdout.write(example(*sys.argv[1:]))
        sys.exit(0)
    sys.exit(main(*sys.argv[1:]))
