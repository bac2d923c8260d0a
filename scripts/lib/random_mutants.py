# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Judges faults made by chance: who notices each of them? For scripts/mutants --random N.

faults.py makes the faults, faulty_build.py the programs that hold them. A fault meets the unit tests, the replayed
fuzzers and the engine's enumerations that call its function, the quickest and luckiest first, until one fails. One that
changes no machine code (-O2, same_code.py) is equivalent and not counted. About the formats CBMC is asked at last. What
is left survives. tests/mutants/equivalent.json says of survivors why no test could notice them; these meet the quick
programs only, and are counted by themselves.

Verdicts are kept as they come (mutants-random.jsonl in the build directory), so that a run can be ended and gone on
with. One is asked for again when its function changed, and that of a survivor when a program did.
"""
import collections
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import time

from faults import faults_in
from faulty_build import Tree, broken, run

CHEAP = 2  # seconds: all faults meet the programs that take less before one meets the others
DEAR = 15  # seconds: what takes longer is not asked with --cheap
LONG = 1 << 30
COMPILES_NOT, EQUIVALENT = "", "equivalent"
PROVED = {"ept": "-ept", "npt": "-npt", "stage2": "-s2", "gstage": "-gstage"}


class Judge:
    """The two trees, and who notices a fault."""

    def __init__(self, root, build, halves, cheap):
        self.work, self.halves, self.cheap = os.path.join(build, "mutants"), halves, cheap
        self.jobs = os.cpu_count() or 1
        self.root, self.luck = root, {}
        self.choice = Tree(root, self.work, "choice", ["-Doptimization=1"], halves)
        self.single = Tree(root, self.work, "single", ["-Doptimization=0"], halves)
        for tree in (self.choice, self.single):  # ThreadSanitizer sees what no fault of these makes
            tree.programs = [program for program in tree.programs if not program.name.endswith("-tsan")]
        self.single.set_headers({})
        self.unbroken = self.single.machine_code()
        tools = os.environ.get("HVPT_PROOF_TOOLS", os.path.join(build, "proof-tools"))
        self.cbmc = None if cheap or not (os.path.isdir(tools) or shutil.which("cbmc")) else tools

    def say(self, text):
        print("%s %s" % (time.strftime("%H:%M:%S"), text), flush=True)

    def build(self, faults):
        """Build every program with the faults; those that do not compile are marked."""
        for fault in self.choice.hold(faults):
            fault["by"] = COMPILES_NOT
        self.say("building the programs with %d faults" % len(faults))
        self.choice.make_all(self.jobs)
        self.say("every program without a fault")
        self.choice.ask_each(os.path.join(self.work, "without.json"), self.jobs)
        self.say("the faults")
        timed = {program.name: program for program in self.choice.programs}
        places = {fault["first"]: fault["file"] for fault in faults}
        for program in self.choice.programs:
            called = collections.Counter(places[first] for first in program.reached if first in places)
            program.files = {name: number / sum(called.values()) for name, number in called.items()}
        for program in self.single.programs:
            same = timed[program.name]
            program.seconds, program.reached, program.files = same.seconds, same.reached, same.files

    def likeliest(self, fault, most):
        """Of the programs that take less than so many seconds and have not met the fault, the one to meet it next."""
        def cost(program):
            """In seconds a fault noticed, by its luck with the file so far and by how much of it is about the file."""
            asked, noticed = self.luck.get((fault["file"], program.name), (0, 0))
            return program.seconds * (asked + 1) / (noticed + program.files.get(fault["file"], 0))

        met = fault.setdefault("met", set())
        able = [own for own in self.choice.programs
                if own.reaches(fault) and own.seconds < most and own.name not in met]
        return min(able, key=cost, default=None)

    def meet(self, fault, program):
        """The program's name, if it notices the fault; else None."""
        wrong, _ = run(program.command, 5 + 3 * program.seconds, fault["number"])
        fault["met"].add(program.name)
        asked, noticed = self.luck.get((fault["file"], program.name), (0, 0))
        self.luck[fault["file"], program.name] = (asked + 1, noticed + (wrong is not None))
        return None if wrong is None else program.name

    def by_itself(self, fault):
        """The verdict on a fault that is compiled by itself."""
        self.single.set_headers({fault["file"]: broken(self.single.headers[fault["file"]], fault)})
        code = self.single.machine_code()
        if code in (None, self.unbroken):
            return COMPILES_NOT if code is None else EQUIVALENT
        # Of a macro, the programs that call into its file; all, where it has no function that was broken.
        near = [program for program in self.single.programs if fault["file"] in program.files]
        order = [program for program in near or self.single.programs if program.seconds < DEAR or not self.cheap]
        order.sort(key=lambda program: program.seconds / program.files.get(fault["file"], 1))
        for program in order:
            if fault["within"] is None or program.reaches(fault):
                if not self.single.make(program):
                    return COMPILES_NOT
                if run(program.command, 10 + 10 * program.seconds)[0] is not None:
                    return program.name
        return self.by_proof(fault)

    def by_proof(self, fault):
        """The proof that fails, or None: CBMC on a format's rules."""
        word = PROVED.get(os.path.basename(fault["file"])[:-2])
        if self.cbmc is not None and word is not None and not fault["file"].startswith("hvpt/explain/"):
            self.single.set_headers({fault["file"]: broken(self.single.headers[fault["file"]], fault)})
            done = subprocess.run([os.path.join(self.single.tree, "scripts/prove"), "--tools", self.cbmc, word],
                                  capture_output=True, text=True, check=False)
            failed = re.findall(r"^FAILS\s+(\S+)", done.stdout, re.M)
            if failed:
                return "proof: " + failed[0]
        return None


def faults_of(root, under, seed):
    """Every fault of the folders, in the order of the seed, which changes elsewhere leave as it is."""
    faults, include = [], os.path.join(root, "include")
    for path in sorted(glob.glob(os.path.join(include, "**", "*.h"), recursive=True)):
        name = os.path.relpath(path, include)
        if any(name.startswith(folder) for folder in under):
            with open(path, encoding="utf-8") as source:
                faults += faults_in(name, source.read())
    return sorted(faults, key=lambda fault: hashlib.sha256(("%s %s" % (seed, fault["id"])).encode()).digest())


def reasons(root, faults):
    """Why no test could notice a fault, by its id; the records that stand for no fault any more."""
    with open(os.path.join(root, "tests", "mutants", "equivalent.json"), encoding="utf-8") as source:
        records = json.load(source)
    places = {}
    for fault in faults:
        places[fault["file"], fault["function"], fault["text"], fault["what"], fault["nth"]] = fault["id"]
    known, stale = {}, []
    for record in records:
        place = (record["file"], record["function"], record["text"], record["what"], record.get("nth", 1))
        if place in places:
            known[places[place]] = record["why"]
        elif any(fault["file"] == record["file"] for fault in faults):
            stale.append(record)
    return known, stale


def tests_of(root):
    """A number for the tests: a survivor is judged again when they change."""
    key = hashlib.sha256()
    for folder in ("unit", "proof", "fuzz", "reference"):
        for path in sorted(glob.glob(os.path.join(root, "tests", folder, "**", "*.*"), recursive=True)):
            if os.path.isfile(path) and "/corpus/" not in path:
                with open(path, "rb") as source:
                    key.update(source.read())
    return key.hexdigest()[:16]


class Record:
    """The verdicts, in a file to which each is added as it comes."""

    def __init__(self, path, tests):
        self.path, self.tests, self.rows = path, tests, {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as source:
                self.rows = {row["key"]: row for row in map(json.loads, source)}

    def knows(self, fault):
        row = self.rows.get(fault["key"])
        return row is not None and (row["by"] is not None or row["tests"] == self.tests)

    def add(self, fault, by):
        row = {name: fault[name] for name in ("key", "file", "line", "function", "text", "what", "nth")}
        row.update(by=by, tests=self.tests)
        self.rows[fault["key"]] = row
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        if by != COMPILES_NOT:
            verdict = "SURVIVES" if by is None else by if by == EQUIVALENT else "noticed"
            print("%-10s %s:%d: %s: %s%s" % (verdict, fault["file"], fault["line"], fault["what"], fault["text"],
                                             " (%s)" % by if verdict == "noticed" else ""), flush=True)


def judge(court, faults, record, until, compiled, known):
    """A verdict on each of the faults that has none, or on as many as there is time for.

    Those with a known reason meet the quick programs only, which would show it to be wrong.
    """
    left = [fault for fault in faults if not record.knows(fault)]
    alone = [fault for fault in left if compiled or fault["within"] is None]

    def late():
        return until is not None and time.monotonic() > until

    def decide(undecided, verdict):
        """Record what verdict says of each, if it says something. Answers with the others."""
        others = []
        with concurrent.futures.ThreadPoolExecutor(court.jobs) as pool:
            waiting = {pool.submit(lambda one: None if late() else verdict(one), fault): fault for fault in undecided}
            for done in concurrent.futures.as_completed(waiting):
                if done.result() is None:
                    others.append(waiting[done])
                else:
                    record.add(waiting[done], done.result())
        return others

    def in_rounds(undecided, most):
        """Each fault meets one program, then each that is left its next: one that nothing notices keeps none waiting."""
        ended = []
        while undecided and not late():
            able = {fault["number"]: court.likeliest(fault, most) for fault in undecided}
            ended += [fault for fault in undecided if able[fault["number"]] is None]
            undecided = decide([fault for fault in undecided if able[fault["number"]] is not None],
                               lambda fault: court.meet(fault, able[fault["number"]]))
        return ended + undecided

    left = decide([fault for fault in left if fault not in alone], lambda fault: fault.get("by"))
    left = in_rounds(left, CHEAP)
    if late():
        return
    same = {fault["number"] for fault in court.single.same(left)}
    left = decide(left, lambda fault: EQUIVALENT if fault["number"] in same else None)
    for fault in left:
        if fault["id"] in known and not late():
            record.add(fault, None)
    left = in_rounds([fault for fault in left if fault["id"] not in known], DEAR if court.cheap else LONG)
    for fault in left:
        if late():
            return
        record.add(fault, court.by_proof(fault))
    for fault in alone:
        if late():
            return
        record.add(fault, court.by_itself(fault))


def main(root, build, count, seed, under, seconds, cheap, compiled):
    faults = faults_of(root, under or ["hvpt/"], seed)
    known, stale = reasons(root, faults)
    os.makedirs(build, exist_ok=True)
    name = "mutants-random%s%s.jsonl" % ("-cheap" if cheap else "", "-compiled" if compiled else "")
    record = Record(os.path.join(build, name), tests_of(root))
    until = time.monotonic() + seconds if seconds else None

    def counted(fault):
        return fault["key"] not in record.rows or record.rows[fault["key"]]["by"] not in (COMPILES_NOT, EQUIVALENT)

    halves = sorted({"hvpt"} | {fault["file"].split("/")[0] for fault in faults})
    court = Judge(root, build, halves, cheap)
    held = 0  # some do not compile, or change nothing; others come in their place
    while True:
        first, chosen = 0, []
        for fault in faults:
            if first == count:
                break
            first += counted(fault)
            chosen.append(fault)
        if all(record.knows(fault) for fault in chosen) or until is not None and time.monotonic() > until:
            break
        if len(chosen) > held:
            held = max(count, len(chosen)) * 9 // 8 if held else count * 9 // 8
            court.build([fault for fault in faults[:held] if fault["within"] is not None])
        judge(court, chosen, record, until, compiled, known)
    rows = [(fault, record.rows[fault["key"]]["by"]) for fault in chosen if record.knows(fault)]
    survivors = [fault for fault, by in rows if by is None]
    equivalent = sum(by == EQUIVALENT for _, by in rows)
    noticed = sum(by not in (None, EQUIVALENT, COMPILES_NOT) for _, by in rows)
    reasoned = [fault for fault in survivors if fault["id"] in known]
    total = noticed + len(survivors)
    print("\n%d faults that change the machine code: %d noticed (%.1f %%), %d not, %d of these for a known reason; "
          "%d more changed nothing" % (total, noticed, 100.0 * noticed / max(total, 1), len(survivors), len(reasoned),
                                       equivalent))
    for fault in survivors:
        verdict = "known:   " if fault in reasoned else "survived:"
        print("  %s %s:%d, %s: %s: %s" % (verdict, fault["file"], fault["line"], fault["function"], fault["what"],
                                          fault["text"]))
        if fault in reasoned:
            print("      " + known[fault["id"]])
    for row in stale:
        print("  equivalent.json, no such fault: %s, %s: %s" % (row["file"], row["function"], row["what"]))
    return len(survivors) > len(reasoned) or bool(stale)
