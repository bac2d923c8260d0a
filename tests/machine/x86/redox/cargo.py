#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Builds the Rust library of the Redox test kernel: cargo.py CARGO WORKSPACE TARGET_DIR OUT.a

Cargo knows what is stale, so it is asked each time; the library is copied only where it changed, so that nothing is linked
anew for nothing.
"""
import filecmp
import os
import shutil
import subprocess
import sys

cargo, workspace, target, out = sys.argv[1:]
environment = dict(os.environ)
# One image at a fixed address, without red zone: an exception of the kernel's own uses the stack that it interrupts.
environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(
    "-C%s" % flag for flag in ("relocation-model=static", "no-redzone=yes", "panic=abort", "force-frame-pointers=yes"))
for name in ("RUSTFLAGS", "HVPT_INCLUDE", "CFLAGS"):
    environment.pop(name, None)
command = [cargo, "build", "--quiet", "--locked", "--release", "--package", "redox-machine",
           "--manifest-path", os.path.join(workspace, "Cargo.toml"), "--target-dir", target]
result = subprocess.run(command, env=environment)
if result.returncode != 0:
    sys.exit(result.returncode)
built = os.path.join(target, "release", "libredox_machine.a")
if not os.path.exists(out) or not filecmp.cmp(built, out, shallow=False):
    shutil.copyfile(built, out)
