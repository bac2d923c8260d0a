#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The three ways a project takes the headers in: installed with pkg-config, as a meson subproject, and by plain -I.
# Each must find every header, and a build that only wants headers must compile nothing.
# usage: install.py SOURCE_ROOT
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap

CONSUMER_C = "#include <{header}>\nint main(void) {{ return 0; }}\n"
CONSUMER_MESON = """project('consumer', 'c')
executable('consumer', 'consumer.c', dependencies: dependency('hvpt', fallback: ['hvpt', 'hvpt_dep']))
"""


class Failed(Exception):
    pass


def call(*argv, **env):
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})
    if done.returncode:
        raise Failed(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Install:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.scratch = Path(scratch)
        self.prefix = self.scratch / "prefix"
        self.headers = compilers.headers(self.root / "include")

    def any_header(self):
        """One to include; the matrix includes them all."""
        return next(name for name in self.headers if name.startswith("hvpt/"))

    def installs(self):
        build = self.scratch / "build"
        call("meson", "setup", str(build), str(self.root), f"--prefix={self.prefix}")
        targets = call("meson", "introspect", "--targets", str(build)).strip()
        if targets != "[]":
            return f"a build for its headers has targets: {targets}"
        call("meson", "install", "-C", str(build))
        installed = compilers.headers(self.prefix / "include")
        return None if installed == self.headers else f"installed {installed}\nthe tree has {self.headers}"

    def pkg_config(self):
        if not shutil.which("pkg-config"):
            return tap.Skip("no pkg-config (Debian: pkg-config)")
        flags = call("pkg-config", "--cflags", "hvpt", PKG_CONFIG_PATH=str(self.prefix / "share" / "pkgconfig")).split()
        if not flags:
            return "pkg-config gives no flags"
        return compilers.compile_text(["gcc", "-x", "c", *flags, "-fsyntax-only"], self.prefix / "none",
                                      CONSUMER_C.format(header=self.any_header()))

    def subproject(self):
        consumer = self.scratch / "consumer"
        (consumer / "subprojects").mkdir(parents=True)
        (consumer / "meson.build").write_text(CONSUMER_MESON)
        (consumer / "consumer.c").write_text(CONSUMER_C.format(header=self.any_header()))
        copy = consumer / "subprojects" / "hvpt"
        copy.mkdir()
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy(self.root / name, copy)
        shutil.copytree(self.root / "include", copy / "include")
        call("meson", "setup", str(consumer / "build"), str(consumer), "--wrap-mode=forcefallback")
        call("ninja", "-C", str(consumer / "build"))
        return None


def attempt(step):
    try:
        return step()
    except Failed as failed:
        return str(failed)


def main(root):
    with tempfile.TemporaryDirectory() as scratch:
        install = Install(root, scratch)
        # One after another: pkg-config looks at what was installed. tap.run only prints.
        steps = [("every header is installed and nothing is built", install.installs),
                 ("pkg-config finds the installed headers", install.pkg_config),
                 ("a meson subproject finds the headers", install.subproject)]
        outcomes = [(name, attempt(step)) for name, step in steps]
        return tap.run([(name, lambda outcome=outcome: outcome) for name, outcome in outcomes])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
