#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The house rules that no compiler checks: who includes whom, no libc, no instruction in the wrong place, no bit-fields,
# no name without its prefix, and files that say what they are for.
# usage: rules.py SOURCE_ROOT
import re
import sys
from pathlib import Path

import compilers
import tap

STANDARD = {"stdint.h", "stdbool.h", "stddef.h"}
FORMATS = {"ept", "npt", "stage2", "gstage"}
# Lower numbers never include higher ones. A folder's number is that of its files, unless they have their own.
LAYER = {"hvpt/version.h": 0, "hvpt/std.h": 0, "hvpt/engine/attributes.h": 0, "hvpt/engine/atomic.h": 0, "hvpt/engine/bitmap.h": 0, "hvpt/types.h": 1,
         "hvpt/text.h": 1, "hvpt/hooks.h": 2, "hvpt/flush.h": 3, "hvpt/format/x86_memtype.h": 2, "hvpt/engine": 4,
         "hvpt/format": 5, "hvpt/explain": 6, "hvpt/explain.h": 7, "hvpt/hvpt.h": 8, "hvpt/debug.h": 8, "hvpt/ept.h": 9, "hvpt/npt.h": 9,
         "hvpt/stage2.h": 9, "hvpt/gstage.h": 9, "hvpt/space.h": 10, "hvpt/audit.h": 11, "hvpt/vmid.h": 2, "hvpt/fault": 2, "hvpt/guest": 10, "hvpt/intel": 10, "hvpt/arm": 10, "hvpt/x86": 10}
# All that hvctl takes from hvpt: how faults are read, how words are written, and what compilers and environments want.
SHARED = {"hvpt/fault/ept.h", "hvpt/fault/npt.h", "hvpt/text.h", "hvpt/engine/attributes.h", "hvpt/std.h", "hvpt/version.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)", re.M)
ASM = re.compile(r"\b(__asm__|__asm|asm)\b")
POINTER_CALL = re.compile(r"(?<![\w.>])((?:\w+(?:\[[^\]]*\])?(?:->|\.))+\w+)\(")
ATTRIBUTE = re.compile(r"__attribute__\(\((.*?)\)\)(?!\))")
OFFSETOF = re.compile(r"(?<!\w)offsetof\b")
BIT_FIELD = re.compile(r"(?:^|[{;])\s*(?:const\s+|volatile\s+)*(?:unsigned|signed|int|bool|_Bool|char|u?int\d+_t)[\w\s]*:\s*\w+\s*;", re.M)


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)


def format_of(name):
    """Which format a header such as hvpt/ept.h or hvpt/format/ept.h belongs to, or None."""
    stem = Path(name).stem
    return stem if name.startswith("hvpt/") and stem in FORMATS else None


def layer(name):
    return LAYER[name] if name in LAYER else LAYER[str(Path(name).parent)]


def resolve(name, written, include):
    """A quoted include may be relative to its own folder."""
    beside = (include / name).parent / written
    if beside.is_file():
        return beside.resolve().relative_to(include.resolve()).as_posix()
    return written


def includes(name, code, include):
    for written in INCLUDE.findall(code):
        target = resolve(name, written, include)
        if name == "hvpt/std.h" and (target in STANDARD or target.startswith("linux/")):
            continue
        if target in STANDARD:
            yield f"includes {written}: only hvpt/std.h does, so that an environment without it is told in one place"
            continue
        if not (include / target).is_file():
            yield f"includes {written}: only this project's headers are allowed"
        elif name.startswith("hvctl/") and target.startswith("hvpt/") and target not in SHARED:
            yield f"includes {target}: hvctl takes from hvpt nothing but {', '.join(sorted(SHARED))}"
        elif name.startswith("hvpt/"):
            if target.startswith("hvctl/"):
                yield f"includes {target}: hvpt never includes hvctl"
            elif layer(target) > layer(name):
                yield f"includes {target}, which stands above it"
            elif format_of(name) and format_of(target) not in (None, format_of(name)):
                yield f"includes {target}: formats do not know one another"


def words(name, code, include):
    prefix = "HVCTL_" if name.startswith("hvctl/") else "HVPT_"
    for macro in DEFINE.findall(code):
        if not macro.startswith(prefix) and name not in ("hvpt/std.h", "hvpt/debug.h"):
            yield f"defines {macro} without the prefix {prefix}"


def instructions(name, code, include):
    if name.startswith("hvctl/cpu/") or name == "hvpt/engine/atomic.h":
        return
    for match in ASM.findall(code):
        yield f"has {match}: instructions belong in hvctl/cpu"


def calls(name, code, include):
    for call in POINTER_CALL.findall(code):
        yield f"calls {call}(: write ({call})(, or a kernel's macro of that name eats the call"


def attributes(name, code, include):
    for spelt in ATTRIBUTE.findall(code):
        for word in re.findall(r"\w+", spelt):
            if not word.startswith("__") and not word.isdigit():
                yield f"says __attribute__(({word})): write __{word}__, since {word} may be a macro"
    if OFFSETOF.search(code):
        yield "says offsetof: write __builtin_offsetof, since a kernel's own is no constant expression"


def anonymous(name, code, include):
    if re.search(r"\benum\s*\{", code):
        yield "has an enum without a name: tools that make bindings stumble over it"


def bit_fields(name, code, include):
    for match in BIT_FIELD.findall(code):
        yield f"has a bit-field: {match.strip()}"


RULES = (("includes downwards only", includes), ("prefixes its macros", words),
         ("has no instruction", instructions), ("has no bit-field", bit_fields),
         ("names its enums", anonymous), ("calls through pointers in parentheses", calls), ("spells attributes out of macros' reach", attributes))


def check(rule, name, include):
    code = without_comments((include / name).read_text())
    return "\n".join(rule(name, code, include)) or None


def opening(name, include):
    after_licence = re.sub(r"^/\* SPDX-[^\n]* \*/\n", "", (include / name).read_text(), flags=re.M)
    return None if after_licence.startswith("/*") else "does not open with a comment on what it is for"


def main(root):
    include = Path(root) / "include"
    cases = []
    for name in compilers.headers(include):
        cases.append((f"{name} says what it is for", lambda name=name: opening(name, include)))
        for says, rule in RULES:
            cases.append((f"{name} {says}", lambda rule=rule, name=name: check(rule, name, include)))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
