#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# What scripts/amalgamate makes is judged as the tree is: by the compilers with all warnings, by README.md's example, by the
# symbols it links, and by unit tests compiled against a tree whose every header is the one file.
# usage: amalgamate.py SOURCE_ROOT
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap
from readme import example

BOTH = {"hvpt": '#include "hvpt.h"\n', "hvctl": '#include "hvctl.h"\n', "both": '#include "hvctl.h"\n#include "hvpt.h"\n',
        "both, the other way": '#include "hvpt.h"\n#include "hvctl.h"\n'}
UNIT_TESTS = {"hvpt/generic": "hvpt", "hvpt/explain": "hvpt", "hvctl/vmx_exit": "hvctl", "hvctl/vmcb": "hvctl"}


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return None if done.returncode == 0 else f"{' '.join(argv)}\n{done.stdout}{done.stderr}"


class Amalgamated:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.single = Path(scratch) / "single"
        self.single.mkdir()
        for half in ("hvpt", "hvctl"):
            done = subprocess.run([sys.executable, str(self.root / "scripts/amalgamate"), half], capture_output=True, text=True,
                                  check=True)
            (self.single / f"{half}.h").write_text(done.stdout)
        # A tree in which each header's name leads to the one file.
        self.tree = Path(scratch) / "tree"
        for name in compilers.headers(self.root / "include"):
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'#include "{self.single}/{name.split("/")[0]}.h"\n')
        (self.tree / "hvpt/unit.c").write_text((self.root / "include/hvpt/unit.c").read_text())

    def licence(self):
        text = (self.root / "LICENSE").read_text().split()
        for half in ("hvpt", "hvctl"):
            opening = (self.single / f"{half}.h").read_text()[:2000].replace(" * ", " ").split()
            if not set(text) <= set(opening):
                return f"{half}.h lacks the licence's text"
        return None

    def compiles(self, what, family, target, standard):
        argv = compilers.command(family, target, standard)
        if isinstance(argv, tap.Skip):
            return argv
        return compilers.compile_text([*argv, "-O1", "-c", "-o", "/dev/null"], self.single, BOTH[what])

    def example(self):
        host = (self.root / "tests/compile/readme_host.c").read_text()
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "example.h").write_text(example(self.root).replace("<hvpt/ept.h>", '"hvpt.h"'))
            (Path(scratch) / "host.c").write_text(re.sub(r"#include <hvpt/\w+\.h>", '#include "hvpt.h"', host))
            program = str(Path(scratch) / "host")
            return run("gcc", "-std=c11", "-I", str(self.single), "-I", scratch, "-o", program, f"{scratch}/host.c") or run(program)

    def symbols(self):
        """The one file with HVPT_IMPLEMENT links what hvpt/unit.c links."""
        with tempfile.TemporaryDirectory() as scratch:
            found = []
            for name, include, text in (("tree", self.root / "include", "#include <hvpt/unit.c>\n"),
                                        ("single", self.single, '#define HVPT_IMPLEMENT\n#include "hvpt.h"\n')):
                unit = f"{scratch}/{name}.o"
                wrong = compilers.compile_text(["gcc", "-std=c11", "-O1", "-x", "c", "-c", "-o", unit], include, text)
                if wrong:
                    return wrong
                said = subprocess.run(["nm", unit], capture_output=True, text=True, check=True).stdout
                found.append(set(re.findall(r"^\w+ T (\w+)$", said, re.M)))
        return None if found[0] == found[1] and found[0] else f"only one has {' '.join(sorted(found[0] ^ found[1])) or 'none'}"

    def linked_once(self):
        """A unit that sees prototypes only, linked with one that implements them."""
        with tempfile.TemporaryDirectory() as scratch:
            user = ('#define HVPT_EXTERN\n#include "hvpt.h"\nint main(void)\n{\n    struct hvpt_space space = {0};\n'
                    "    struct hvpt_mapping out;\n"
                    "    return hvpt_space_translate(&space, hvpt_make_gpa(0), &out) == HVPT_E_RANGE ? 0 : 1;\n}\n")
            (Path(scratch) / "user.c").write_text(user)
            (Path(scratch) / "unit.c").write_text('#define HVPT_IMPLEMENT\n#include "hvpt.h"\n')
            program = f"{scratch}/program"
            return run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-I", str(self.single), "-o", program,
                       f"{scratch}/user.c", f"{scratch}/unit.c") or run(program)

    def unit_test(self, name):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "criterion"], capture_output=True, text=True)
        if flags.returncode:
            return tap.Skip("no Criterion (Debian: libcriterion-dev)")
        tests = self.root / "tests/unit"
        half = name.split("/")[0]
        sources = [tests / f"{name}.c", *sorted((tests / half / "support").glob("*.c"))]
        sources = [str(path) for path in sources if path.name != "end_abort.c"]
        with tempfile.TemporaryDirectory() as scratch:
            program = f"{scratch}/program"
            data = self.root / "tests/reference"
            return run("gcc", "-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-w", "-I", str(self.tree), f"-DHVPT_TEST_DATA=\"{data}\"",
                       f"-DHVCTL_TEST_DATA=\"{data}/hvctl\"", "-o", program, *sources, *flags.stdout.split()) or run(program)


def main(root):
    with tempfile.TemporaryDirectory() as scratch:
        made = Amalgamated(root, scratch)
        cases = [("each file has the licence's text", made.licence),
                 ("README.md's example with the one file does what it says", made.example),
                 ("implements what hvpt/unit.c implements", made.symbols),
                 ("prototypes in one unit, code in another", made.linked_once)]
        for family, target, standard in compilers.combinations():
            if standard in ("c11", "c++17", "c++26"):
                for what in BOTH if target is compilers.TARGETS[0] else ("both",):
                    cases.append((f"{what}, {family} {target.name} {standard}",
                                  lambda what=what, family=family, target=target, standard=standard:
                                  made.compiles(what, family, target, standard)))
        cases += [(f"unit test {name}", lambda name=name: made.unit_test(name)) for name in UNIT_TESTS]
        return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
