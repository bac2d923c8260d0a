# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Judges the faults that tests/mutants records by hand: each must be noticed by the program that it names.

For scripts/mutants without --random. The programs are built once over headers that hold all the faults
(faulty_build.py); what lies outside a function is compiled by itself.
"""
import concurrent.futures
import json
import os
import re
import sys

from faults import code_of, functions_in
from faulty_build import MEMORY, Tree, broken, run

LONG = 240  # seconds; a broken loop is noticed, too
FAMILY = "(?:hvpt|hvctl|hvctl-check|guest-walk)-"  # how a program's name begins
CHANCES = 5  # for programs of threads, which meet by chance
STACK = "stack"  # tests/unit/hvpt/stack.py, which compiles the headers, as scripts of tests/compile do:
COMPILE = "compile/"  # "compile/objects the FPU" is objects.py, of which the cases with these words in their names


def is_script(name):
    return name == STACK or name.startswith(COMPILE)


def faults_of(root, words):
    """The records that contain one of the words, as faults; of one whose text is not there once the edit is None."""
    faults = []
    for half in ("hvctl", "hvpt"):
        with open(os.path.join(root, "tests", "mutants", half + ".json"), encoding="utf-8") as data:
            for record in json.load(data):
                if words and not any(word in json.dumps(record) for word in words):
                    continue
                name = record["file"] if record["file"].startswith("hvctl/") else "hvpt/" + record["file"]
                with open(os.path.join(root, "include", name), encoding="utf-8") as source:
                    text = source.read()
                begin = text.find(record["from"])
                end = begin + len(record["from"])
                around = [function for function in functions_in(code_of(text))
                          if function.opening < begin and end < function.end]
                faults.append(dict(record, file=name, within=around[0] if around else None,
                                   edit=(begin, end, record["to"]) if text.count(record["from"]) == 1 else None))
    return faults


class Court:
    """The trees, and whether a fault's program notices it."""

    def __init__(self, root, build):
        self.folder, self.jobs = os.path.join(build, "mutants-recorded"), os.cpu_count() or 1
        self.root, self.halves = root, ["hvctl", "hvpt"]
        self.choice = Tree(root, self.folder, "choice", ["-Doptimization=1"], self.halves)
        self.single, self.without = None, {}

    def program(self, tree, name):
        """tests/unit/hvpt/NAME, or tests/unit/NAME where it has a folder; ended by -tsan: with ThreadSanitizer."""
        folder, _, own = name.rpartition("/")
        for program in tree.programs:
            parts = program.target.split("/")
            if len(parts) == 4 and parts[2] == (folder or "hvpt") and re.fullmatch(FAMILY + own, parts[3]):
                return program
        return None

    def script(self, tree, name):
        if name == STACK:
            return [sys.executable, os.path.join(self.root, "tests/unit/hvpt/stack.py"), tree.include,
                    os.path.join(self.root, "tests/unit/hvpt")]
        script, _, words = name.partition(" ")
        command = [sys.executable, os.path.join(self.root, "tests", script + ".py"), tree.tree]
        return command + ([words] if words else [])

    def complaint(self, tree, name, fault=0, broken_one=True):
        command = self.script(tree, name) if is_script(name) else self.program(tree, name).command
        memory = None if name.endswith("-tsan") or is_script(name) else MEMORY
        for _ in range(CHANCES if name.startswith("race") and broken_one else 1):
            said = run(command, LONG, fault, memory)[0]
            if said is not None:
                return said
        return None

    def build(self, faults):
        """Put the faults into the headers and build the programs that they name. Answers with those left over."""
        chosen = [fault for fault in faults if fault["within"] is not None and not is_script(fault["caught_by"])]
        bad = self.choice.hold(chosen)
        named = {fault["caught_by"] for fault in chosen}
        self.choice.programs = [program for program in self.choice.programs
                                if any(self.program(self.choice, name) is program for name in named)]
        if self.choice.programs:
            self.choice.make_all(self.jobs)
        return [fault for fault in faults if fault not in chosen or fault in bad]

    def by_itself(self, fault):
        """What the program says of a fault that is compiled by itself, or None; raises where that is not possible."""
        if self.single is None:
            self.single = Tree(self.root, self.folder, "single", ["-Doptimization=1"], self.halves)
        name = fault["caught_by"]
        for text in ({}, {fault["file"]: broken(self.single.headers[fault["file"]], fault)}):
            self.single.set_headers(text)
            if not is_script(name) and not self.single.make(self.program(self.single, name)):
                raise ValueError("it does not compile")
            said = self.complaint(self.single, name, broken_one=bool(text))
            if not text and said is not None:
                raise ValueError("%s fails over unbroken headers, too: %s" % (name, said))
        return said


def main(root, build, words):
    faults = faults_of(root, words)
    court = Court(root, build)
    passed = failed = 0

    def tell(fault, said, why="nothing"):
        nonlocal passed, failed
        passed, failed = passed + (said is not None), failed + (said is None)
        print("%s %s: %s (%s)\n    %s" % ("caught    " if said else "NOT CAUGHT", fault["contract"], fault["what"],
                                          fault["caught_by"], (said or why)[:200]), flush=True)

    there = [fault for fault in faults if fault["edit"] is not None]
    for fault in faults:
        if fault["edit"] is None:
            tell(fault, None, "the text to break is not there once: mend the record")
    left = court.build(there)
    with concurrent.futures.ThreadPoolExecutor(court.jobs) as pool:
        names = sorted({fault["caught_by"] for fault in there if fault not in left})
        without = dict(zip(names, pool.map(lambda name: court.complaint(court.choice, name, broken_one=False), names)))
        for name, said in without.items():
            print("%s %s over unbroken headers%s" % ("control ok" if said is None else "CONTROL   ", name,
                                                    "" if said is None else ": " + said[:200]), flush=True)
            passed, failed = passed + (said is None), failed + (said is not None)
        waiting = {pool.submit(court.complaint, court.choice, fault["caught_by"], fault["number"]): fault
                   for fault in there if fault not in left and without[fault["caught_by"]] is None}
        for done in concurrent.futures.as_completed(waiting):
            tell(waiting[done], done.result())
    for fault in left:
        try:
            tell(fault, court.by_itself(fault))
        except ValueError as why:
            tell(fault, None, str(why))
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0 or passed == 0
