#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# README.md's table of features names the tests that show each: they must exist and be built, and a cell must say by a
# dagger whether an emulator or only the manual's tables judged it.
# usage: features.py SOURCE_ROOT
import re
import sys
from pathlib import Path

import tap

ARCHITECTURES = ("x86", "aarch64", "riscv64")
DAGGER = "\u2020"
CODE = re.compile(r"`([^`]+)`")


def table(root):
    """(feature, format, cell) of every cell that says something."""
    lines = (Path(root) / "README.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| feature |"))
    columns = [cell.strip() for cell in lines[start].strip("|").split("|")]
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if len(cells) != len(columns):
            raise ValueError(f"{len(cells)} cells: {line}")
        for column, cell in zip(columns[1:], cells[1:]):
            if cell:
                yield cells[0], column.split(":")[0], cell


def unit_tests(root):
    """Names of the unit tests: a loop over names makes PREFIX-NAME of each, and test('NAME' stands for itself."""
    names = set()
    for build in (Path(root) / "tests/unit").glob("*/meson.build"):
        text = build.read_text()
        names.update(re.findall(r"test\('([\w-]+)'\s*,", text))
        for items, body in re.findall(r"foreach name : \[([^\]]*)\](.*?)endforeach", text, re.S):
            for prefix in re.findall(r"test\('([\w-]+-)' \+ name", body):
                names.update(prefix + item for item in re.findall(r"'([\w-]+)'", items))
    return names


def missing(root, name, units):
    """What is wrong with one `name` of a cell; None if nothing is."""
    architecture, slash, suite = name.partition("/")
    if slash and architecture in ARCHITECTURES:
        folder = Path(root) / "tests/machine" / architecture
        files = [file for file in (f"suite/{suite}.c", f"../common/{suite}.c") if (folder / file).is_file()]
        if not files:
            return f"there is no tests/machine/{name.replace('/', '/suite/')}.c"
        if f"'{files[0]}'" not in (folder / "meson.build").read_text():
            return f"{name} is not built"
        if f"suite_{suite}(" not in (folder / "suite/main.c").read_text():
            return f"{name} is not run"
        return None
    if name.endswith(".h"):
        return None if (Path(root) / "include/hvpt" / name).is_file() else f"there is no include/hvpt/{name}"
    return None if name in units else f"there is no unit test {name}"


def check(root, cell, units):
    named = CODE.findall(cell)
    wrong = [problem for problem in (missing(root, name, units) for name in named) if problem]
    tests = [name for name in named if not name.endswith(".h")]
    if not tests:
        wrong.append("names no test")
    if any("/" in name for name in tests) == (DAGGER in cell):
        wrong.append("a dagger is for what no machine test shows, and for all of that")
    return "\n".join(wrong) or None


def main(root):
    units = unit_tests(root)
    cases = [(f"{feature}, {column}: {', '.join(CODE.findall(cell))}",
              lambda cell=cell: check(root, cell, units)) for feature, column, cell in table(root)]
    cases.append(("the table has four formats", lambda: None if len({column for _, column, _ in table(root)}) == 4 else "no"))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
