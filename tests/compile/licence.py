#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# A copied file must say whose it is: every file carries its copyright and licence lines, or REUSE.toml names it; source code
# always carries them. "reuse lint" judges the same where there is one that reads REUSE.toml.
# usage: licence.py SOURCE_ROOT
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tap

LINES = ("SPDX-FileCopyrightText: 2026 the hvpt authors", "SPDX-License-Identifier: MIT")
CODE = {".c", ".h", ".S", ".py", ".sh", ".build", ".js", ".ld", ".inc"}
NOT_OURS = re.compile(r"^(build[^/]*|\.git|\.cache)/|(^|/)(target|__pycache__|packagecache|node_modules)/|\.pyc$")


def files(root):
    """What is in the tree; git's list where it is one, since a working folder has more in it."""
    listed = shutil.which("git") and subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True)
    names = listed.stdout.split("\0")[:-1] if listed and listed.returncode == 0 else [
        (Path(folder) / name).relative_to(root).as_posix() for folder, _, held in os.walk(root) for name in held]
    return sorted(name for name in names if not NOT_OURS.search(name) and (Path(root) / name).is_file())


def named(root):
    text = (Path(root) / "REUSE.toml").read_text()
    return re.findall(r'"([^"]+)"', re.search(r"^path = \[(.*?)\]", text, re.M | re.S).group(1))


def licensed(root, name, patterns):
    """What is missing in one file."""
    if name == "LICENSE" or name.startswith("LICENSES/"):
        return None
    opening = (Path(root) / name).read_bytes()[:600].decode(errors="replace")
    if all(line in opening for line in LINES):
        return None
    if Path(name).suffix in CODE and not name.startswith(("integration/redox/", "integration/rust/")):
        return f"{name}: opens without {' and '.join(LINES)}"
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
        return None
    return f"{name}: neither carries licence lines nor stands in REUSE.toml"


def every(root):
    patterns = named(root)
    return "\n".join(wrong for wrong in (licensed(root, name, patterns) for name in files(root)) if wrong) or None


def lint(root):
    program = shutil.which("reuse")
    if not program:
        return tap.Skip("no reuse (PyPI: reuse)")
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    if int((re.search(r"(\d+)\.\d", version) or [0, 0])[1]) < 4:
        return tap.Skip("reuse before 4.0 does not read REUSE.toml")
    done = subprocess.run([program, "--root", root, "lint"], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout + done.stderr


def same_licence(root):
    here = Path(root)
    return None if (here / "LICENSE").read_text() == (here / "LICENSES/MIT.txt").read_text() else "two texts"


def main(root):
    return tap.run([("every file says whose it is and by which licence", lambda: every(root)),
                    ("LICENSE is LICENSES/MIT.txt", lambda: same_licence(root)),
                    ("reuse lint", lambda: lint(root))])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
