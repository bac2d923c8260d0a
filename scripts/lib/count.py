#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Counts single cases in what meson logged, and ends with "N passed, N failed" (", N skipped" may follow).
# usage: count.py LABEL=FILE...    FILE: a testlog.json of meson, or a .tap file
# Exit code: 0 if something passed and nothing failed.
import json
import re
import sys
from collections import Counter
from pathlib import Path

CASE = re.compile(r"(not )?ok\b\s*(?:\d+\b)?\s*(?:-\s*)?(.*)")
DIRECTIVE = re.compile(r"\s#\s*(skip|todo)\S*\s*(.*)$", re.I)
SKIPPED_PLAN = re.compile(r"1\.\.0\b(?:\s*#\s*skip\S*\s*(.*))?", re.I)


DETAIL_LINES = 6  # of a failed case's block


def detail(lines):
    """What the indented block after a failed case says, each line on a line of its own."""
    said = []
    for line in lines:
        if not line.startswith(" "):
            break
        said.append(line.rstrip())
    said = [line for line in said if line.strip() not in ("---", "...", "failures:") and "assertions:" not in line]
    return "".join(f"\n  {line}" for line in said[:DETAIL_LINES])


def tap_cases(text):
    """Each case of a TAP text as (result, name, why): result is passed, failed or skipped."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        case = CASE.match(line)
        if not case:
            continue
        name, why = case.group(2).strip(), ""
        directive = DIRECTIVE.search(" " + name)
        if directive:
            name, why = (" " + name)[: directive.start()].strip(), directive.group(2)
        if directive and directive.group(1).lower() == "skip" and not case.group(1):
            yield "skipped", name, why
        elif directive and directive.group(1).lower() == "todo":
            yield ("skipped" if case.group(1) else "failed"), name, "todo: " + why
        elif case.group(1):
            yield "failed", name, detail(lines[number + 1:])
        else:
            yield "passed", name, ""


def meson_cases(record):
    """The cases of one test that meson ran. A test that ends badly without a failed case is a failed case itself."""
    output = record.get("stdout") or ""
    cases = list(tap_cases(output)) if re.search(r"^(1\.\.\d+|TAP version)", output, re.M) else []
    bad = record["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")
    for result, name, why in cases:
        yield result, f"{record['name']}: {name}", why
    if bad and not any(result == "failed" for result, _, _ in cases):
        errors = (record.get("stderr") or "").strip().splitlines()
        yield "failed", record["name"], f": {record['result'].lower()}{'; ' + errors[-1] if errors else ''}"
    elif not bad and not cases:
        plan = SKIPPED_PLAN.search(output)
        why = (plan.group(1) if plan else "") or output.strip().splitlines()[-1:] or ["it says no reason"]
        yield ("passed", record["name"], "") if record["result"] == "OK" else \
            ("skipped", record["name"], why if isinstance(why, str) else why[0])


def read(path):
    if path.suffix == ".tap":
        yield from tap_cases(path.read_text())
        return
    for line in path.read_text().splitlines():
        yield from meson_cases(json.loads(line))


def main(sources):
    total = Counter()
    failed, skipped = [], Counter()
    rows = []
    for source in sources:
        label, _, path = source.partition("=")
        if not Path(path).is_file():
            continue
        count = Counter()
        for result, name, why in read(Path(path)):
            count[result] += 1
            if result == "failed":
                failed.append(f"{label}: {name}{why}")
            elif result == "skipped":
                skipped[why or name] += 1
        rows.append((label, count))
        total += count

    if skipped:
        print("Skipped, or known to deviate:")
        for why, times in skipped.items():
            print(f"  {times} x {why}")
    if failed:
        print("Failed:")
        for line in failed:
            print(f"  {line}")
    print()
    for label, count in rows:
        print(f"  {label:<12} {count['passed']:>6} passed {count['failed']:>4} failed {count['skipped']:>4} skipped")
    print()
    tail = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{tail}")
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
