#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Criterion keeps what a case writes to stderr to itself when it speaks TAP. Runs the tests that ended badly once more
# without TAP, and prints what the sanitizers and assertions say. usage: rerun.py TESTLOG_JSON
import json
import re
import subprocess
import sys
from pathlib import Path

WORTH = re.compile(r"runtime error|ERROR: \w+Sanitizer|Assertion failed|^\s+#\d+ ")
LINES = 60  # a test

for line in Path(sys.argv[1]).read_text().splitlines():
    record = json.loads(line)
    if record["result"] in ("OK", "SKIP", "EXPECTEDFAIL") or "--tap" not in record["command"]:
        continue
    command = [word for word in record["command"] if word != "--tap"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=1200)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{record['name']}: {error}")
        continue
    said = [row for row in (done.stdout + done.stderr).splitlines() if WORTH.search(row)]
    print(f"-- {record['name']}, without TAP:")
    print("\n".join(said[:LINES]))
