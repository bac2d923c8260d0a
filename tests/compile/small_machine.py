#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The engine at work on a 32-bit machine: small_machine.c, built as a kernel would build it and run where Linux runs i386
# programs. usage: small_machine.py SOURCE_ROOT
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap


def works(root, family, target, level):
    argv = compilers.command(family, target, "c11")
    if isinstance(argv, tap.Skip):
        return argv
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "program"
        done = subprocess.run([*argv, level, "-static", "-fno-pic", "-fno-stack-protector", "-I",
                               str(Path(root) / "include"), "-o", str(program),
                               str(Path(__file__).with_name("small_machine.c"))], capture_output=True, text=True)
        if done.returncode:
            return tap.Skip("no linker for i386") if family == "clang" and "ld" in done.stderr else done.stderr
        try:
            done = subprocess.run([str(program)], capture_output=True, text=True, timeout=600)
        except OSError as error:
            return tap.Skip(f"i386 programs do not run here: {error}")
        return None if done.returncode == 0 else f"{done.stdout}exit code {done.returncode}"


def main(root):
    targets = [target for target in compilers.TARGETS if target.name.startswith("i386")]
    return tap.run([(f"maps, looks up, harvests and keeps to its memory, {family} {target.name} {level}",
                     lambda family=family, target=target, level=level: works(root, family, target, level))
                    for target in targets for family in ("gcc", "clang") for level in ("-O1", "-O2", "-Os")])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
