#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Runs page.js in Debian's chromium over all inputs of the command's tests.

usage: page.py PAGE HVPT WORK [SCREENSHOT]
Skips, saying why, where there is no page, no node, no chromium or no playwright-core.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dumps

PAGE, HVPT, WORK = sys.argv[1:4]


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def inputs():
    wrong = dumps.guest(tr=(0x40, 0x89, 0x206f, 0xfffffe0000003000))
    yield {"name": "KVM, why", "core": 0, "text": "\n".join(dumps.dmesg(dumps.kvm_new(wrong))), "rule": "GUEST.TR.TYPE_64", "value": "0x00089"}
    for name, wrapping in dumps.WRAPPINGS.items():
        yield {"name": f"KVM, {name}", "core": 0, "text": "\n".join(wrapping(dumps.kvm_old(dumps.guest(blocking=3))))}
        yield {"name": f"Xen, {name}", "core": 0, "text": "\n".join(wrapping(dumps.xen(dumps.guest(rflags=0x244))))}
    whole = "\n".join(dumps.kvm_new(wrong))
    for at in range(0, len(whole), 400):
        yield {"name": f"KVM, cut at {at}", "core": 0, "text": whole[:at]}
    yield {"name": "VMCB", "core": 0, "text": "\n".join(dumps.kvm_vmcb(dumps.vmcb(asid=0)))}
    yield {"name": "Xen's VMCB", "core": 0, "text": "\n".join(dumps.xen_vmcb(dumps.vmcb(cr4=0x6d0)))}
    yield {"name": "nothing", "core": 0, "text": ""}
    yield {"name": "not ASCII", "core": 0, "text": "\u00fc\u20ac\U0001f600 " + whole}
    corpus = Path(__file__).resolve().parent.parent / "fuzz" / "corpus"
    for path in sorted((corpus / "hvpt_vmcs").iterdir()):
        yield {"name": f"corpus, {path.name}", "core": 0, "text": path.read_bytes().decode("utf-8", "replace")}
    for core, text in ((1, "reason=48 qualification=0x981"), (1, "reason=30 qualification=0x3f80000"), (1, "code=0x400 exitinfo1=0x4 exitinfo2=0x1000"),
                       (1, "esr=0x93810047 hpfar=0x80000"), (1, "scause=21 htval=0x20000"), (1, "reason=0x80000021 qualification=0"), (1, "what"),
                       (2, "ept level=0 0x8000000012345077"), (2, "ept pte 0x2"), (2, "npt pde 0x800000000001e3"), (2, "stage2 l3 0x4007fd"),
                       (2, "gstage level=0 0xdf"), (2, "x86 pte 0x8000000012345067"), (2, "ept"),
                       (3, "0x480 = 0xda040000000010\n0x481 = 0x7f00000016"), (3, "0x48c = 0xf0106334141"), (3, "nothing")):
        yield {"name": text.replace("\n", ", ")[:40], "core": core, "text": text}


if not Path(PAGE).is_file():
    skip("the page is not built: clang with WebAssembly and wasm-ld (Debian: clang-19, lld-19) are missing")
node = shutil.which("node")
if not node:
    skip("no node (Debian: nodejs)")
chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
if not chromium:
    skip("no chromium (Debian: chromium)")
where = Path(WORK) / "page-inputs.json"
where.write_text(json.dumps(list(inputs())), encoding="utf-8")
script = Path(__file__).resolve().parent / "page.js"
sys.exit(subprocess.run([node, str(script), PAGE, HVPT, chromium, str(where), *sys.argv[4:]], check=False).returncode)
