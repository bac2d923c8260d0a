#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""docs/assurance.md names proofs, tests and counts that the tree has. Speaks TAP. Argument: the source directory."""
import fnmatch
import glob
import json
import os
import re
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else "."


def load(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return json.load(source) if path.endswith(".json") else source.read()


def complaints():
    text, proofs, mutants = load("docs/assurance.md"), load("tests/proof/proofs.json"), load("tests/mutants/hvpt.json")
    names = [proof["name"] for proof in proofs]
    kinds = [proof["kind"] for proof in proofs]
    faults = sum(len(proof.get("faults", [])) for proof in proofs)
    said = "%d proofs: %d by CBMC, %d enumerations, %d litmus tests; %d faults" % (
        len(proofs), kinds.count("cbmc"), kinds.count("enumerate"), kinds.count("litmus"), faults)
    if said not in text:
        yield "it should say: " + said
    covered = set()
    counted = {proof["name"]: len(proof.get("faults", [])) for proof in proofs}
    for row in re.findall(r"^\| (?!promise|---)(.*) \|$", text, re.M):
        promise, proof, _, tests, broken = [cell.strip() for cell in row.split("|")]
        behind = set()
        for pattern in re.findall(r"`([a-z0-9*-]+-[a-z0-9*-]+)`", proof):
            found = fnmatch.filter(names, pattern)
            behind.update(found)
            if not found:
                yield "no proof is named " + pattern
        for test in re.findall(r"`(\w+)`", tests):
            if not any(glob.glob(os.path.join(ROOT, "tests/unit/*", test + end)) for end in (".c", ".py")):
                yield "there is no test " + test
        covered.update(behind)
        own = "%d faults" % sum(counted[name] for name in behind)
        if behind and own not in broken:
            yield "%s: its proofs name %s" % (promise, own)
        number = re.match(r"\d ", promise)
        if number:
            count = sum(record["contract"].startswith(number.group()) for record in mutants)
            stated = int((re.match(r"\d+", broken) or re.match(r"", broken)).group() or 0)
            if count < stated or stated == 0:
                yield "%s: tests/mutants has %d" % (promise, count)
    for name in sorted(set(names) - covered):
        yield "the proof %s stands behind nothing" % name
    for proof in proofs:
        family = [other for other in proofs if other["source"] == proof["source"]]
        if not any(other.get("faults") for other in family):
            yield "no fault was named for " + proof["name"]


def main():
    found = list(complaints())
    print("TAP version 13\n1..1")
    print("%s 1 - what docs/assurance.md says is so" % ("not ok" if found else "ok"))
    if found:
        print("  ---\n" + "\n".join("  " + line for line in found) + "\n  ...")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
