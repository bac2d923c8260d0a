#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The house rules that no compiler checks: who includes whom, as docs/architecture.md draws it, no libc, no instruction in
# the wrong place, no bit-fields, no name without its prefix, and files that say what they are for.
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
         "hvpt/ept_flags.h": 0, "hvpt/npt_flags.h": 0, "hvpt/stage2_flags.h": 0, "hvpt/gstage_flags.h": 0,
         "hvpt/format": 5, "hvpt/explain": 6, "hvpt/explain.h": 7, "hvpt/hvpt.h": 8, "hvpt/debug.h": 8, "hvpt/ept.h": 9, "hvpt/npt.h": 9,
         "hvpt/stage2.h": 9, "hvpt/gstage.h": 9, "hvpt/space.h": 10, "hvpt/audit.h": 11, "hvpt/vmid.h": 2, "hvpt/fault": 2, "hvpt/guest": 10, "hvpt/intel": 10, "hvpt/arm": 10, "hvpt/x86": 10}
# hvctl stands apart: these are never compared with the ones above. The list of VMX controls is names alone, by which the
# report that both vendors' checkers fill spells a bit.
LAYER |= {"hvctl/vmx/control_list.h": 0, "hvctl/common": 1, "hvctl/vmx/vmcs_fields.h": 1, "hvctl/vmx/caps.h": 1,
          "hvctl/svm/caps.h": 1, "hvctl/svm/exit_list.h": 1, "hvctl/vmx/vmcs.h": 2, "hvctl/vmx/vmcs_typed.h": 2,
          "hvctl/vmx/msr_area.h": 2, "hvctl/svm/vmcb.h": 2, "hvctl/svm/vmsa.h": 2, "hvctl/vmx": 3, "hvctl/svm": 3,
          "hvctl/vmx/check_rule.h": 4, "hvctl/vmx/check_unknown.h": 5, "hvctl/vmx/check.h": 6, "hvctl/vmx/models.h": 6,
          "hvctl/svm/check_rule.h": 4, "hvctl/svm/check.h": 6, "hvctl/svm/known.h": 7, "hvctl/cpu": 4, "hvctl": 8}
LAYER |= {f"hvctl/{side}/check_{part}.h": 5 for side, parts in {
    "vmx": ("controls", "host", "injection", "guest", "segments", "state", "memory", "view"),
    "svm": ("control", "save")}.items() for part in parts}
# All that hvctl takes from hvpt: how faults are read, how words are written, and what compilers and environments want.
SHARED = {"hvpt/fault/ept.h", "hvpt/fault/npt.h", "hvpt/text.h", "hvpt/engine/attributes.h", "hvpt/std.h", "hvpt/version.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
DIRECTIVE = re.compile(r"^\s*#\s*(ifdef|ifndef|if|elif|else|endif|include)\b([^\n]*)", re.M)
DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)", re.M)
ASM = re.compile(r"\b(__asm__|__asm|asm)\b")
POINTER_CALL = re.compile(r"(?<![\w.>])((?:\w+(?:\[[^\]]*\])?(?:->|\.))+\w+)\(")
ATTRIBUTE = re.compile(r"__attribute__\(\((.*?)\)\)(?!\))")
OFFSETOF = re.compile(r"(?<!\w)offsetof\b")
BIT_FIELD = re.compile(r"(?:^|[{;])\s*(?:const\s+|volatile\s+)*(?:unsigned|signed|int|bool|_Bool|char|u?int\d+_t)[\w\s]*:\s*\w+\s*;", re.M)


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)


def format_of(name):
    """Which format a header such as hvpt/ept.h, hvpt/ept_flags.h or hvpt/format/ept.h belongs to, or None."""
    stem = Path(name).stem.removesuffix("_flags")
    return stem if name.startswith("hvpt/") and stem in FORMATS else None


def vendor_of(name):
    """"vmx" or "svm" for headers of hvctl that are one vendor's, or None."""
    found = re.match(r"hvctl/(?:cpu/)?(vmx|svm|vmcs|vmcb)", name)
    return {"vmcs": "vmx", "vmcb": "svm"}.get(found[1], found[1]) if found else None


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
        if name == "hvpt/std.h" and (target in STANDARD or target.startswith(("linux/", "sys/"))):
            continue
        if target in STANDARD:
            yield f"includes {written}: only hvpt/std.h does, so that an environment without it is told in one place"
            continue
        if not (include / target).is_file():
            yield f"includes {written}: only this project's headers are allowed"
        elif name.startswith("hvctl/") and target.startswith("hvpt/") and target not in SHARED:
            yield f"includes {target}: hvctl takes from hvpt nothing but {', '.join(sorted(SHARED))}"
        elif name.startswith("hvctl/") and target.startswith("hvctl/"):
            if layer(target) > layer(name):
                yield f"includes {target}, which stands above it"
            elif vendor_of(name) and vendor_of(target) not in (None, vendor_of(name)):
                yield f"includes {target}: Intel's and AMD's do not know one another"
        elif name.startswith("hvpt/"):
            if target.startswith("hvctl/"):
                yield f"includes {target}: hvpt never includes hvctl"
            elif layer(target) > layer(name):
                yield f"includes {target}, which stands above it"
            elif format_of(name) and format_of(target) not in (None, format_of(name)):
                yield f"includes {target}: formats do not know one another"


def conditions(name, code, include):
    """What a header includes hangs on no compiler, standard or target, and so matrix.py may ask one of each."""
    if name == "hvpt/std.h":
        return
    open_conditions = []
    directives = DIRECTIVE.findall(code)
    guard = directives[0][1].strip()
    for word, rest in directives:
        if word in ("if", "ifdef", "ifndef"):
            open_conditions.append(rest)
        elif word in ("elif", "else"):
            open_conditions[-1] += " or " + rest
        elif word == "endif":
            open_conditions.pop()
        else:
            for condition in open_conditions:
                if set(re.findall(r"\b[A-Za-z_]\w*", condition)) - {"defined", "or", "HVPT_EXTERN", "HVPT_IMPLEMENT", guard}:
                    yield f"includes {rest.strip()} only under a condition: {condition.strip()}"


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


def formats_stay_small(name, code, include):
    if name.startswith("hvpt/format/") and code.count("\n") >= 350:
        yield f"has {code.count(chr(10))} lines: a format is bits and rules"


RULES = (("includes downwards only", includes), ("includes the same everywhere", conditions), ("prefixes its macros", words),
         ("has no instruction", instructions), ("has no bit-field", bit_fields), ("is small if it is a format", formats_stay_small),
         ("names its enums", anonymous), ("calls through pointers in parentheses", calls), ("spells attributes out of macros' reach", attributes))


def drawing(root):
    """The boxes of docs/architecture.md's drawing, as box -> patterns of headers, and its arrows, as (from, to)."""
    boxes, arrows, folder = {}, set(), ""
    for line in (Path(root) / "docs/architecture.md").read_text().split("```")[1].splitlines():
        if found := re.match(r"\s*subgraph \w+ \[(\w+)", line):
            folder = found[1] + "/"
        elif line.strip() == "end":
            folder = ""
        elif found := re.match(r"\s*(\w+) --> (\w+)", line):
            arrows.add(found.groups())
        elif found := re.match(r"\s*(\w+)\[(.*)\]", line):
            words = re.findall(r"[\w*/]+(?:\.h|/)(?=[, ]|$)", found[2].replace("<br/>", " "))
            boxes[found[1]] = [folder + word for word in words]
    return boxes, arrows


def box_of(name, boxes):
    """The box whose pattern fits best: a header's own name before its folder's. None: no box has it."""
    fitting = [(len(pattern), box) for box, patterns in boxes.items() for pattern in patterns
               if Path(name).match(pattern) or (pattern.endswith("/") and name.startswith(pattern))]
    return max(fitting)[1] if fitting else None


def drawn(root, include):
    boxes, arrows = drawing(root)
    wrong, seen = [], set()

    def reached(box):
        below = {to for start, to in arrows if start == box}
        return below.union(*map(reached, below)) if below else below

    for name in compilers.headers(include):
        if re.fullmatch(r"hvctl/\w+\.h", name):
            continue
        box = box_of(name, boxes)
        if box is None:
            wrong.append(f"{name} is in no box")
            continue
        for written in INCLUDE.findall(without_comments((include / name).read_text())):
            to = box_of(resolve(name, written, include), boxes)
            seen.add((box, to))
            if to not in (None, box) and to not in reached(box):
                wrong.append(f"{name} includes {written}: no arrows lead there from {box}")
    wrong += [f"no header of {start} includes one of {to}" for start, to in arrows - seen if start in boxes]
    return "\n".join(wrong) or None


def check(rule, name, include):
    code = without_comments((include / name).read_text())
    return "\n".join(rule(name, code, include)) or None


def opening(name, include):
    after_licence = re.sub(r"^/\* SPDX-[^\n]* \*/\n", "", (include / name).read_text(), flags=re.M)
    return None if after_licence.startswith("/*") else "does not open with a comment on what it is for"


def main(root):
    include = Path(root) / "include"
    cases = [("headers include one another as docs/architecture.md draws it", lambda: drawn(root, include))]
    for name in compilers.headers(include):
        cases.append((f"{name} says what it is for", lambda name=name: opening(name, include)))
        for says, rule in RULES:
            cases.append((f"{name} {says}", lambda rule=rule, name=name: check(rule, name, include)))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
