#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Runs cargo for the build: is everything there that the peers need, and if so, build them.
usage: cargo.py probe CARGO          exit code 0 if the crates are there or could be fetched; else it says why not
       cargo.py build CARGO TARGET_DIR OUTPUT
"""
import os
import shutil
import subprocess
import sys

MANIFEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Cargo.toml")
FETCH_SECONDS = 60  # a registry that does not answer must not hold a build up for long


def environment(cargo):
    """rustc stands beside cargo, not always on PATH. Profiles and flags of the caller's own do not belong here."""
    values = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_BUILD_TARGET")}
    values["PATH"] = os.path.dirname(cargo) + os.pathsep + values.get("PATH", "")
    return values


def run(cargo, *arguments, timeout=None):
    command = [cargo, *arguments, "--locked", "--manifest-path", MANIFEST]
    return subprocess.run(command, env=environment(cargo), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout, check=False)


def probe(cargo):
    try:
        result = run(cargo, "fetch", timeout=FETCH_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as problem:
        print(problem)
        return 1
    if result.returncode != 0:
        said = [line.strip() for line in result.stdout.splitlines() if line.startswith("error")]
        print(said[0] if said else "cargo fetch failed")
    return result.returncode


def build(cargo, target, output):
    result = run(cargo, "build", "--release", "--offline", "--target-dir", target)
    if result.returncode != 0:
        sys.stderr.write(result.stdout)
        return result.returncode
    shutil.copyfile(os.path.join(target, "release", "libbench_peers.a"), output)
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "probe":
        sys.exit(probe(sys.argv[2]))
    if len(sys.argv) == 5 and sys.argv[1] == "build":
        sys.exit(build(*sys.argv[2:]))
    sys.exit(__doc__)
