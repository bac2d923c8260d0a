#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Puts the WebAssembly module into the page, as base64: one file that works from disk.

usage: build.py TEMPLATE WASM PAGE
"""
import base64
import sys
from pathlib import Path

template, wasm, page = map(Path, sys.argv[1:])
html = template.read_text(encoding="utf-8")
if html.count("@WASM@") != 1:
    sys.exit(f"{template}: @WASM@ must stand in it once")
page.write_text(html.replace("@WASM@", base64.b64encode(wasm.read_bytes()).decode()), encoding="utf-8")
