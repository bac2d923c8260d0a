#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Sums what runs of the differential tests saw of each rule, for the tables in docs/.

  counts.py MACHINE=FILE... > tests/reference/hvctl_check/vmx_counts.csv

FILE is what `run.py show ROM MACHINE` printed; MACHINE is how the table calls it. Then hvctl-rules makes the page.
"""
import re
import sys

RULE = re.compile(r"# rule (\S+): broken alone (\d+), deviated (\d+), kept (\d+), at its edge (\d+)(?:; (.*))?$")


def main(arguments):
    sums, reasons, runs = {}, {}, []
    for argument in arguments:
        name, _, path = argument.partition("=")
        cases = 0
        with open(path, errors="replace") as f:
            lines = f.read().replace("\0", "").splitlines()
        if any(line.startswith("not ok differential: checker and CPU agree") for line in lines):
            sys.exit("counts.py: %s has unexplained differences" % path)
        for line in lines:
            match = re.match(r"# (\d+) cases", line)
            cases = int(match[1]) if match else cases
            match = RULE.match(line)
            if match:
                seen = [int(match[i]) for i in (2, 3, 4, 5)]
                sums[match[1]] = [a + b for a, b in zip(sums.get(match[1], [0] * 4), seen)]
                reasons.setdefault(match[1], set()).add(match[6] or "")
        if not cases or not lines[-2].startswith("checks: "):
            sys.exit("counts.py: %s is not a whole run" % path)
        runs.append("%s: %d" % (name, cases))
    print("# " + "; ".join(runs))
    print("rule,alone,deviated,kept,edge,why not")
    for rule, seen in sums.items():
        # A reason counts where no machine could do it
        why = "" if "" in reasons[rule] else "; ".join(sorted(reasons[rule]))
        print(",".join([rule, *map(str, seen), why.replace(",", "")]))


main(sys.argv[1:])
