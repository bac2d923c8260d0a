#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Every public header, alone and included twice, with every compiler, standard and target that is promised. Of C++ after 17
# objects.py compiles all headers together.
# usage: matrix.py SOURCE_ROOT
import sys
from pathlib import Path

import compilers
import tap


def check(argv, include, header):
    if isinstance(argv, tap.Skip):
        return argv
    return compilers.compile_text(argv, include, f"#include <{header}>\n#include <{header}>\n", "-fsyntax-only")


def main(root):
    include = Path(root) / "include"
    cases = []
    for family, target, standard in compilers.combinations():
        if standard in compilers.CXX[1:]:
            continue
        argv = compilers.command(family, target, standard)
        for header in compilers.headers(include, target):
            name = f"{header} {family} {target.name} {standard}"
            cases.append((name, lambda argv=argv, header=header: check(argv, include, header)))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
