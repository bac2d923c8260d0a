# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Cases in, TAP out. A case is a name and a function that returns None (well), Skip, or a string that says what is wrong.
import concurrent.futures
import os
import sys


class Skip(str):
    """Why a case could not be tried."""


def run(cases):
    """Run all cases, as many at a time as there are processors; returns the exit code."""
    print("TAP version 13")
    print(f"1..{len(cases)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda case: case[1](), cases)
        for number, ((name, _), outcome) in enumerate(zip(cases, outcomes), 1):
            if outcome is None:
                print(f"ok {number} - {name}")
            elif isinstance(outcome, Skip):
                print(f"ok {number} - {name} # SKIP {outcome}")
            else:
                failed += 1
                print(f"not ok {number} - {name}")
                print("  ---")
                for line in outcome.rstrip().splitlines():
                    print(f"  {line}")
                print("  ...")
    sys.stdout.flush()
    return 1 if failed else 0
