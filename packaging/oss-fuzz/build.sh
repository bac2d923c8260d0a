#!/bin/bash -eu
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Run by OSS-Fuzz with SRC, WORK, OUT, CC, CXX, CFLAGS and LIB_FUZZING_ENGINE set; arguments: only these targets.
cd "$SRC/hvpt"
HVPT_BUILD=$WORK/build scripts/fuzz --build "$OUT" "$@"
