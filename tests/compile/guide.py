#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The guide's pages: the code of each compiles as it stands, each is in the table, and what they name exists. The small host
# example says what the manual says, and the reference is made without a warning, with a search box and every call in it.
# usage: guide.py SOURCE_ROOT
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap

CODE = re.compile(r"^```c\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def page_compiles(root, page, family):
    argv = compilers.command(family, compilers.TARGETS[0], "c11")
    if isinstance(argv, tap.Skip):
        return argv
    code = "".join(CODE.findall(page.read_text()))
    return compilers.compile_text([*argv, "-O1", "-c", "-o", "/dev/null"], Path(root) / "include", code)


def links(root):
    wrong = []
    for page in [Path(root) / "README.md", *sorted((Path(root) / "docs").rglob("*.md")), *sorted((Path(root) / "examples").rglob("README.md"))]:
        wrong += [f"{page.relative_to(root)}: {target}" for target in LINK.findall(page.read_text())
                  if not (page.parent / target).exists()]
    return "links to nothing:\n" + "\n".join(wrong) if wrong else None


def contents(root):
    folder = Path(root) / "docs/guide"
    listed = set(re.findall(r"\((\w[\w-]*\.md)\)", (folder / "tasks.md").read_text()))
    there = {path.name for path in folder.glob("*.md")} - {"tasks.md"}
    return None if listed == there else f"listed {sorted(listed)}, there {sorted(there)}"


def named(root):
    """Files and folders of this project that the prose names."""
    wrong = []
    for page in (Path(root) / "docs/guide").glob("*.md"):
        for name in re.findall(r"`((?:examples|integration|scripts)/[\w./-]+)`", page.read_text()):
            if not (Path(root) / name).exists():
                wrong.append(f"{page.name}: {name}")
    return "\n".join(wrong) or None


def tests_of_users(root):
    """docs/users.md promises a test in each row: one that meson knows, or a script or folder of tests that is there."""
    build = "".join(path.read_text() for part in ("tests", "bench") for path in (Path(root) / part).rglob("meson.build"))
    wrong = []
    for line in (Path(root) / "docs/users.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] in ("way", "what", "way in", "---"):
            continue
        names = re.findall(r"`([\w/.-]+)`", cells[-1])
        known = [name for name in names if "/" in name and (Path(root) / name).exists()
                 or any(f"'{name.split('-', parts)[-1]}'" in build for parts in range(name.count("-") + 1))]
        if not names or known != names:
            wrong.append(f"{cells[0]}: {names}")
    return "no such test:\n" + "\n".join(wrong) if wrong else None


def host(root):
    """16 MiB of ROM at 0xff000000: a write to it is refused by the 2 MiB leaf, bit 1."""
    with tempfile.TemporaryDirectory() as scratch:
        program = f"{scratch}/first"
        done = subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", f"{root}/include", "-o", program,
                               f"{root}/examples/host/first.c"], capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        said = subprocess.run([program], capture_output=True, text=True, timeout=60).stdout
        good = re.search(r"^EPTP 0x\w+01e$", said, re.M) and said.rstrip().splitlines()[-1] == (
            'denied by level 1 (PDE), bit 1 = 0: no right to write. SDM vol. 3, "EPT Violations"')
        return None if good else said


def cxx(root, program):
    """The same ROM in a class: the last 16 bytes below 4 GiB are those of its host memory."""
    if not shutil.which(program):
        return tap.Skip(f"no {program}")
    with tempfile.TemporaryDirectory() as scratch:
        guest = f"{scratch}/guest"
        done = subprocess.run([program, "-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wold-style-cast", "-Werror", "-isystem",
                               f"{root}/include", "-o", guest, f"{root}/examples/host/guest.cc"], capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        lines = subprocess.run([guest], capture_output=True, text=True, timeout=60).stdout.splitlines()
        good = lines and lines[0] == "40fffff0" and lines[-1] == "not mapped, 1 flush" and lines[-2].startswith(
            "denied by level 1 (PDE), bit 1 = 0: no right to write")
        return None if good else "\n".join(lines)


def reference(root):
    if not shutil.which("doxygen"):
        return tap.Skip("no doxygen (Debian: doxygen)")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run([f"{root}/scripts/reference", scratch], capture_output=True, text=True)
        if done.returncode:
            return done.stdout[-2000:] + done.stderr[-4000:]
        html = Path(scratch) / "html"
        if not any((html / "search").glob("all_*.js")):
            return "no search box"
        found = "".join(path.read_text(errors="replace") for path in (html / "search").glob("functions_*.js"))
        calls = re.findall(r"^HVPT_API [^;{]*?\b(hvpt_\w+)\(", (Path(root) / "include/hvpt/hvpt.h").read_text(), re.M)
        missing = [name for name in calls if name not in found]
        return f"not in the reference: {' '.join(missing)}" if missing or len(calls) < 20 else None


def main(root):
    root = str(Path(root).resolve())
    pages = sorted(page for page in (Path(root) / "docs/guide").glob("*.md") if CODE.search(page.read_text()))
    cases = [(f"the code of {page.name} compiles, {family}", lambda page=page, family=family: page_compiles(root, page, family))
             for page in pages for family in ("gcc", "clang")]
    cases += [("every page is in the table", lambda: contents(root)), ("links lead somewhere", lambda: links(root)),
              ("what the guide names is there", lambda: named(root)), ("every way in has its test", lambda: tests_of_users(root)), ("examples/host says what it says", lambda: host(root)),
              ("examples/host in C++ says what it says, g++", lambda: cxx(root, "g++")),
              ("examples/host in C++ says what it says, clang++",
               lambda: cxx(root, (compilers.newest_clang() or "clang").replace("clang", "clang++"))),
              ("the reference is made without a warning", lambda: reference(root))]
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
