#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The programs of examples/languages, built and run where their tools are. What they must print is the manual's: EPTP with
# write-back and four levels (SDM vol. 3, "Extended-Page-Table Pointer (EPTP)"), pages as large as 3 MiB allow, and bit 1
# for the right that was taken away.
# usage: languages.py SOURCE_ROOT
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tap

EXPECTED = """EPTP bits 11:0 1e
guest 1000 is host 201000, a page of 2097152
guest 2ff000 is host 4ff000, a page of 4096
denied by level 0 (PTE), bit 1 = 0: no right to write. SDM vol. 3, "EPT Violations"
"""
LIMIT = 1500  # seconds: Zig's first run compiles its own library


class Languages:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.include = str(self.root / "include")
        self.scratch = Path(scratch)

    def folder(self, name):
        """A copy that a build may write into."""
        return Path(shutil.copytree(self.root / "examples/languages" / name, self.scratch / "examples/languages" / name))

    def run(self, folder, *argv, **env):
        done = subprocess.run([str(word) for word in argv], cwd=folder, capture_output=True, text=True, timeout=LIMIT,
                              env={**os.environ, **env})
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, argv))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout + done.stderr

    def says(self, folder, *argv, **env):
        said = self.run(folder, *argv, **env)
        return None if said.endswith(EXPECTED) else f"printed:\n{said}"

    def zig(self):
        zig = ["zig"] if shutil.which("zig") else [sys.executable, "-m", "ziglang"] if importlib.util.find_spec("ziglang") else None
        if not zig:
            return tap.Skip("no zig (PyPI: ziglang)")
        folder = self.folder("zig")
        translated = subprocess.run([*zig, "translate-c", "-I", self.include, str(self.root / "examples/languages/hvpt.h")],
                                    capture_output=True, text=True, timeout=LIMIT)
        if translated.returncode:
            return translated.stderr
        (folder / "hvpt.zig").write_text(translated.stdout)
        self.run(folder, *zig, "build-exe", "main.zig", "-I", self.include, "-DHVPT_EXTERN", "-cflags", "-std=c11", "--",
                 f"{self.include}/hvpt/unit.c", "-lc")
        return self.says(folder, "./main")

    def python(self):
        if not all(importlib.util.find_spec(name) for name in ("cffi", "setuptools")):
            return tap.Skip("no cffi or setuptools (Debian: python3-cffi python3-setuptools)")
        folder = self.folder("python")
        return self.says(folder, sys.executable, "ept.py", INCLUDE=self.include, OUT=str(folder))

    def go(self):
        if not shutil.which("go"):
            return tap.Skip("no go (Debian: golang-go)")
        folder = self.folder("go")
        os.symlink(self.include, self.scratch / "include")
        return self.says(folder, "go", "run", ".", CGO_ENABLED="1", GOFLAGS="-mod=mod", GOTOOLCHAIN="local",
                         GOCACHE=str(self.scratch / "gocache"))

    def rust(self):
        if not shutil.which("bindgen") or not shutil.which("rustc"):
            return tap.Skip("no bindgen or rustc (Debian: bindgen rustc)")
        folder = self.folder("rust")
        # A size_t was not a usize before 0.61, unless asked for.
        older = ["--size_t-is-usize"] if "  --size_t-is-usize" in self.run(folder, "bindgen", "--help") else []
        self.run(folder, "bindgen", "--no-prepend-enum-name", *older, "--allowlist-file", ".*/hvpt/.*",
                 self.root / "examples/languages/hvpt.h", "-o", "hvpt.rs", "--", "-I", self.include)
        self.run(folder, "cc", "-O1", "-c", "-DHVPT_EXTERN", "-I", self.include, f"{self.include}/hvpt/unit.c")
        self.run(folder, "ar", "rcs", "libhvpt.a", "unit.o")
        self.run(folder, "rustc", "--edition", "2021", "main.rs", "-L", ".", "-l", "static=hvpt")
        return self.says(folder, "./main")


def attempt(step):
    try:
        return step()
    except (RuntimeError, subprocess.TimeoutExpired) as wrong:
        return str(wrong)


def main(root):
    with tempfile.TemporaryDirectory() as scratch:
        languages = Languages(root, scratch)
        cases = [(f"examples/languages/{name}", lambda step=getattr(languages, name): attempt(step))
                 for name in ("go", "python", "rust", "zig")]
        return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
