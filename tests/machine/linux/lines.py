#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Counts, as TAP, the lines of thinhv that a reader meets: for each architecture the files that the README's table names,
without blank lines and comments, together with those that are common to all.

usage: lines.py SOURCE_ROOT
"""
import os
import re
import sys

LIMIT = 1000


def lines(path):
    with open(path) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip())


def main(root):
    folder = os.path.join(root, "examples", "thinhv")
    with open(os.path.join(folder, "README.md")) as f:
        table = re.search(r"\| file \|.*?\n\n", f.read(), flags=re.DOTALL)[0]
    common, architectures = 0, {}
    for row in table.strip().splitlines()[2:]:
        within = ""
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):  # the folder of a row's first file is that of the others
            within = os.path.dirname(name) or within
            count = lines(os.path.join(folder, within, os.path.basename(name)))
            if within:
                architectures[within] = architectures.get(within, 0) + count
            else:
                common += count
    print("TAP version 13\n1..%d" % len(architectures))
    for number, (name, count) in enumerate(sorted(architectures.items()), 1):
        total = common + count
        print("%s %d - thinhv on %s has less than %d lines: %d" %
              ("ok" if total < LIMIT else "not ok", number, name, LIMIT, total))
    return 0 if architectures and all(common + count < LIMIT for count in architectures.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
