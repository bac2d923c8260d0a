#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""No function of the engine uses more than 512 bytes of stack, and none calls itself, by whatever way round.

Compiles every operation of every format (support/adapters.c) as a user would, and reads what the compiler says of
each function's frame and of who calls whom. Speaks TAP. Arguments: the include directory, the source directory.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compile"))
import compilers

LIMIT = 512
COMPILERS = ["gcc", compilers.newest_clang() or "clang"]


def frames(su_file):
    """Function name -> bytes, from a .su file: file:line:column:name <tab> bytes <tab> qualifiers."""
    result = {}
    with open(su_file, encoding="utf-8") as lines:
        for line in lines:
            where, size, kind = line.rstrip("\n").split("\t")
            if kind.startswith("dynamic") and "bounded" not in kind:
                size = "1000000"
            result[where.rsplit(":", 1)[1]] = int(size)
    return result


def calls(ci_file):
    """Caller -> callees, from gcc's call graph."""
    result = {}
    with open(ci_file, encoding="utf-8") as lines:
        for line in lines:
            found = re.match(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', line)
            if found:
                result.setdefault(found.group(1), set()).add(found.group(2))
    return result


def cycle(graph):
    """Some way from a function back to itself, or None."""
    state = {}

    def visit(name, way):
        state[name] = "open"
        for callee in sorted(graph.get(name, ())):
            if state.get(callee) == "open":
                return way + [name, callee]
            if callee not in state:
                found = visit(callee, way + [name])
                if found:
                    return found
        state[name] = "done"
        return None

    for name in sorted(graph):
        if name not in state:
            found = visit(name, [])
            if found:
                return found
    return None


def main():
    include, source = map(os.path.abspath, sys.argv[1:3])
    cases = []
    for compiler in COMPILERS:
        if shutil.which(compiler) is None:
            continue
        with tempfile.TemporaryDirectory() as work:
            command = [compiler, "-std=c11", "-O2", "-I" + include, "-DHVPT_ON_STORE(slot,value)=((void)0)", "-fstack-usage",
                       "-c", os.path.join(source, "support", "adapters.c"), "-o", os.path.join(work, "adapters.o")]
            if compiler == "gcc":
                command.append("-fcallgraph-info")
            built = subprocess.run(command, capture_output=True, text=True, cwd=work, check=False)
            if built.returncode != 0:
                cases.append((compiler, "compiles every operation", built.stderr))
                continue
            sizes = frames(os.path.join(work, "adapters.su"))
            large = {name: size for name, size in sizes.items() if size > LIMIT}
            cases.append((compiler, f"{len(sizes)} functions use at most {LIMIT} bytes of stack each (the most: {max(sizes.values())})",
                          "".join(f"{name}: {size} bytes\n" for name, size in sorted(large.items()))))
            if len(sizes) < 40:
                cases.append((compiler, "every operation was seen", f"only {len(sizes)} functions"))
            if compiler == "gcc":
                found = cycle(calls(os.path.join(work, "adapters.ci")))
                cases.append((compiler, "no function calls itself", " -> ".join(found) if found else ""))
    print("TAP version 13")
    print(f"1..{len(cases)}" if cases else "1..0 # SKIP neither gcc nor clang is installed")
    for number, (compiler, name, trouble) in enumerate(cases, 1):
        print(f"{'not ok' if trouble else 'ok'} {number} - stack::{compiler}: {name}")
        for line in trouble.splitlines():
            print(f"# {line}")
    return 1 if any(trouble for _, _, trouble in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
