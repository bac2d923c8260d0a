#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Prints a C unit that includes every public header. usage: every_header.py INCLUDE_FOLDER
import sys
from pathlib import Path

include = Path(sys.argv[1])
for header in sorted(include.rglob("*.h")):
    print(f"#include <{header.relative_to(include).as_posix()}>")
