#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Where scripts/test and its likes may build: in any folder, with blanks in its name or not, but one run at a time, and
# where nothing can be written they say what to do.
# usage: folders.py SOURCE_ROOT
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import tap

CLAIM = '. scripts/lib/common.sh && claim_build && echo "claimed $build" && { [ -z "${1:-}" ] || read -r _; }'


def claim(root, folder, *more):
    return subprocess.Popen(["bash", "-c", CLAIM, "claim", *more], cwd=root, env={**os.environ, "HVPT_BUILD": str(folder)},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(root, folder, wanted):
    made = claim(root, folder)
    said, why = made.communicate(timeout=600)
    return None if made.returncode and not said and wanted in why else f"exit code {made.returncode}: {said}{why}"


def one_at_a_time(root):
    with tempfile.TemporaryDirectory(prefix="with a blank ") as scratch:
        folder = Path(scratch) / "build"
        first = claim(root, folder, "and wait")
        said = first.stdout.readline()
        wrong = None if said == f"claimed {folder}\n" else f"the first run did not get the folder: {said}"
        wrong = wrong or refused(root, folder, f"Another run works in {folder}: wait for its end, or set HVPT_BUILD")
        first.communicate("\n", timeout=600)
        second = claim(root, folder)
        said, why = second.communicate(timeout=600)
        return wrong or (None if second.returncode == 0 else f"after the first run's end: {said}{why}")


def main(root):
    return tap.run([
        ("one run at a time works in a folder", lambda: one_at_a_time(root)),
        ("where nothing can be written, HVPT_BUILD is named",
         lambda: refused(root, "/proc/hvpt/build", "Nothing can be written to /proc/hvpt/build: set HVPT_BUILD")),
    ])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
