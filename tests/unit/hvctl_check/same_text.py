#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Is a page of the documentation what a program prints? usage: same_text.py PAGE PROGRAM ARGUMENT
import subprocess
import sys

page, *command = sys.argv[1:]
printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
with open(page) as f:
    same = f.read() == printed
print("%s 1 - %s is up to date" % ("ok" if same else "not ok", page.rsplit("/", 1)[-1]))
print("1..1")
sys.exit(not same)
