#!/bin/bash -eu
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Run by OSS-Fuzz with CC, CXX, CFLAGS, LIB_FUZZING_ENGINE and OUT set.
cd "$SRC/hvpt"
HVPT_BUILD=$WORK/build scripts/fuzz --build "$OUT"
