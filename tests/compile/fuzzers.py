#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# packaging/oss-fuzz/build.sh, which is scripts/fuzz, builds for a foreign engine as OSS-Fuzz asks: with its compilers, its flags
# and its library. A stand-in engine feeds a target its corpus and counts; the compilers are wrapped, to see that they and the
# flags were really used. The targets run where the tree is not, as they do there.
# usage: fuzzers.py SOURCE_ROOT
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import compilers
import tap

TARGETS = ("hvpt_words", "operations")
ENGINE = """#include <cstdint>
#include <cstdio>
#include <vector>
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        std::FILE *file = std::fopen(argv[i], "rb");
        std::vector<uint8_t> bytes(1 << 16);
        if (file == nullptr)
            return 2;
        bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
        std::fclose(file);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("engine fed %d\\n", argc - 1);
}
"""


def targets(root):
    """Every file of tests/fuzz with an entry is a target of the script, and has a corpus."""
    script = (Path(root) / "scripts/fuzz").read_text()
    listed = set(re.search(r"targets=\((\w[^)]*)\)", script).group(1).split())
    there = {path.stem for path in (Path(root) / "tests/fuzz").glob("*.c") if re.search(r"^int LLVMFuzzerTestOneInput\(",
                                                                                       path.read_text(), re.M) and path.stem != "replay"}
    if listed != there:
        return f"scripts/fuzz lists {sorted(listed)}, tests/fuzz has {sorted(there)}"
    bare = [name for name in sorted(listed) if not any((Path(root) / "tests/fuzz/corpus" / name).iterdir())]
    return f"no corpus: {bare}" if bare else None


def wrapper(path, program, log):
    path.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >>"{log}"\nexec {program} "$@"\n')
    path.chmod(0o755)


def foreign_engine(root):
    with tempfile.TemporaryDirectory() as scratch:
        here, log = Path(scratch), Path(scratch) / "log"
        wrapper(here / "their-cc", "gcc", log)
        wrapper(here / "their-cxx", "g++", log)
        (here / "engine.cc").write_text(ENGINE)
        subprocess.run(["g++", "-O1", "-c", "-o", str(here / "engine.o"), str(here / "engine.cc")], check=True)
        subprocess.run(["ar", "rcs", str(here / "libengine.a"), str(here / "engine.o")], check=True)
        env = {**os.environ, "CC": str(here / "their-cc"), "CXX": str(here / "their-cxx"), "CFLAGS": "-O0 -DTHEIR_FLAG=1",
               "LIB_FUZZING_ENGINE": str(here / "libengine.a"), "SRC": str(here / "src"), "OUT": str(here / "out"),
               "WORK": str(here / "work")}
        tree = here / "src/hvpt"
        for part in ("include", "packaging", "scripts", "tests/fuzz", "tests/unit/hvpt/support", "tests/reference", "tools/hvpt"):
            shutil.copytree(Path(root) / part, tree / part)
        done = subprocess.run(["bash", "-eu", str(tree / "packaging/oss-fuzz/build.sh"), *TARGETS], env=env, capture_output=True,
                              text=True)
        shutil.rmtree(tree)
        if done.returncode:
            return done.stdout + done.stderr
        calls = log.read_text().splitlines()
        compiled = [call for call in calls if " -c " in call]
        linked = [call for call in calls if " -c " not in call]
        if not compiled or not all(call.startswith("their-cc ") and "-DTHEIR_FLAG=1" in call for call in compiled):
            return f"not compiled by $CC with $CFLAGS: {compiled[:3]}"
        if len(linked) != len(TARGETS) or not all(call.startswith("their-cxx ") and "libengine.a" in call for call in linked):
            return f"not linked once each by $CXX with the engine: {linked}"
        return "\n".join(wrong for wrong in (fed(here, target) for target in TARGETS) if wrong) or None


def fed(here, target):
    """What a built target says to its corpus, if that is not what it should."""
    with zipfile.ZipFile(here / "out" / f"{target}_seed_corpus.zip") as corpus:
        corpus.extractall(here / target)
    seeds = sorted(str(path) for path in (here / target).iterdir())[:40]
    done = subprocess.run([str(here / "out" / target), *seeds], cwd=here / target, capture_output=True, text=True, timeout=600)
    return None if done.stdout.endswith(f"engine fed {len(seeds)}\n") and seeds else done.stdout + done.stderr


def i386(root):
    """OSS-Fuzz builds for i386 as well, where clang leaves an 8-byte access to a library unless it knows of its alignment."""
    clang, host = compilers.newest_clang(), Path("/usr/include/x86_64-linux-gnu")
    if clang is None or not host.is_dir():
        return tap.Skip("no clang, or no C library's headers of an x86-64 Debian")
    root, calls = Path(root), []
    with tempfile.TemporaryDirectory() as scratch:
        # All that a 32-bit C library would bring beside the host's headers.
        (Path(scratch) / "gnu").mkdir()
        (Path(scratch) / "gnu/stubs-32.h").touch()
        for source in sorted([*(root / "tests/fuzz").glob("*.c"), *(root / "tests/unit/hvpt/support").glob("*.c"),
                              *(root / "tools/hvpt/core").glob("*.c")]):
            if "criterion" in source.read_text():
                continue
            unit = f"{scratch}/unit.o"
            done = subprocess.run([clang, "--target=i686-linux-gnu", "-std=c11", "-O0", "-c", "-o", unit, "-I", str(root / "include"),
                                   "-idirafter", str(host), "-idirafter", scratch, "-DREFERENCE_LINKED", str(source)],
                                  capture_output=True, text=True)
            if done.returncode:
                return done.stderr
            named = subprocess.run(["nm", "-u", unit], capture_output=True, text=True, check=True).stdout
            calls += [f"{source.name}: {name}" for name in re.findall(r"__atomic\w+", named)]
    return "\n".join(calls) or None


def main(root):
    return tap.run([("each target is listed and has a corpus", lambda: targets(root)),
                    ("builds for a foreign engine", lambda: foreign_engine(root)),
                    ("for i386 nothing calls a library for an 8-byte access", lambda: i386(root))])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
