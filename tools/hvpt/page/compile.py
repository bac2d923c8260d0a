#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Compiles C sources to one WebAssembly module without a libc.

usage: compile.py CLANG WASM_LD OUTPUT DEPFILE INCLUDE SOURCE...
"""
import subprocess
import sys
import tempfile
from pathlib import Path

clang, linker, output, depfile, include, *sources = sys.argv[1:]
with tempfile.TemporaryDirectory() as work:
    objects, needed = [], []
    for number, source in enumerate(sources):
        target = f"{work}/{number}.o"
        subprocess.run([clang, "--target=wasm32", "-std=c11", "-O2", "-ffreestanding", "-fno-builtin", "-Wall", "-Wextra", "-MMD",
                        "-MF", f"{target}.d", "-I", include, "-c", source, "-o", target], check=True)
        objects.append(target)
        needed += Path(f"{target}.d").read_text(encoding="utf-8").split(":", 1)[1].replace("\\\n", " ").split()
    subprocess.run([linker, "--no-entry", "--strip-all", "-z", "stack-size=262144", *objects, "-o", output], check=True)
Path(depfile).write_text(f"{output}: " + " ".join(sorted(set(needed))) + "\n", encoding="utf-8")
