#!/usr/bin/env python3
# The README's example is a program's piece that people paste: it must compile as it stands, with all warnings, and do
# what the README says when it is called on a host.
# usage: readme.py SOURCE_ROOT
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap


def example(root):
    blocks = re.findall(r"^```c\n(.*?)^```", (Path(root) / "README.md").read_text(), re.M | re.S)
    return next(block for block in blocks if "#include <hvpt/" in block)


def compiles(root, family, target, standard):
    argv = compilers.command(family, target, standard)
    if isinstance(argv, tap.Skip):
        return argv
    return compilers.compile_text(argv, Path(root) / "include", example(root), "-O2", "-c", "-o", "/dev/null")


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
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=20)
        return None if done.returncode == 0 else done.stdout + done.stderr + f"exit code {done.returncode}"


def main(root):
    cases = [(f"the README's example compiles, {family} {target.name} {standard}",
              lambda family=family, target=target, standard=standard: compiles(root, family, target, standard))
             for family, target, standard in compilers.combinations() if standard in compilers.C]
    cases.append(("the README's example does what it says", lambda: runs(root)))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
