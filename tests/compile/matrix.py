#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Every public header with every compiler, standard and target that is promised, each twice.
#
# Alone, by every compiler for every target in C11, and for the plain ones in C++17: what this finds is a header that
# uses a name without an include for it. Which headers a header includes depends on no compiler, standard or target
# (rules.py sees to that), so that one that has its names in C11 has them in C23; what it uses may depend on the target.
# All together, in both orders, by every compiler in every standard for every target: what this finds is what a
# compiler, a standard or a target says to the text itself.
# usage: matrix.py SOURCE_ROOT
import sys
from pathlib import Path

import compilers
import tap

# The targets that have neither a kernel's flags nor another system's rules.
PLAIN = ("x86-64", "aarch64", "riscv64")


def check(argv, include, names):
    if isinstance(argv, tap.Skip):
        return argv
    return compilers.compile_text(argv, include, "".join(f"#include <{name}>\n" for name in names), "-fsyntax-only")


def main(root):
    include = Path(root) / "include"
    cases = []
    for family, target, standard in compilers.combinations():
        argv = compilers.command(family, target, standard)
        names = compilers.headers(include, target)
        label = f"{family} {target.name} {standard}"
        for order, those in (("forwards", names), ("backwards", names[::-1])):
            cases.append((f"all headers {order}, {label}",
                          lambda argv=argv, those=those: check(argv, include, [*those, *those])))
        if standard == "c11" or (standard == "c++17" and target.name in PLAIN):
            cases += [(f"{name} {label}", lambda argv=argv, name=name: check(argv, include, [name, name])) for name in names]
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
